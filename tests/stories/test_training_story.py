"""Training from the command line: the network learns, and a killed run loses nothing."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from chronopose import zoo
from chronopose.cli.main import main
from chronopose.engine.checkpoint import read_checkpoint
from chronopose.engine.evaluate import evaluate
from chronopose.recipes import Places, find

FEW_STEPS = (
    "phases.0.steps=6", "phases.1.steps=4", "phases.0.batch_size=4", "phases.1.batch_size=4",
    "save_every=3", "val_every=0", "log_every=2", "warmup_steps=2",
)  # fmt: skip


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_on_generated_people_the_loss_falls_and_pck_rises(tmp_path: Path):
    out, cache = tmp_path / "run", tmp_path / "cache"
    code = main(
        ["train", "procedural", "--out", str(out), "--cache", str(cache), "--device", "cpu",
         "--quiet"]
    )  # fmt: skip
    assert code == 0
    losses = [float(r["heatmap"]) for r in rows(out / "train.csv")]
    assert losses[-1] < 0.85 * losses[0]
    pck = [float(r["pck"]) for r in rows(out / "val.csv")]
    assert pck[-1] > 30
    assert pck[-1] > pck[0]

    model = zoo.load("simple_baseline:lite", weights=out / "weights.safetensors")
    data = find("procedural").val
    assert data is not None
    again = evaluate(model, data.build(Places(cache=cache)), precision="fp32")
    assert again.pck == pytest.approx(pck[-1], abs=3)


def command(out: Path, cache: Path) -> list[str]:
    program = "import sys; from chronopose.cli.main import main; sys.exit(main(sys.argv[1:]))"
    return [
        sys.executable, "-c", program, "train", "procedural", "--out", str(out), "--cache",
        str(cache), "--device", "cpu", "--quiet", "--set", *FEW_STEPS,
    ]  # fmt: skip


def environment() -> dict[str, str]:
    source = str(Path(__file__).resolve().parents[2] / "src")
    return {**os.environ, "PYTHONPATH": source, "OMP_NUM_THREADS": "1"}


def kill_in_the_middle(arguments: list[str], out: Path) -> int:
    """Start training, kill it outright between two checkpoints, and give its exit status."""
    process = subprocess.Popen(arguments, env=environment(), stdout=subprocess.DEVNULL)
    log, deadline = out / "train.csv", time.monotonic() + 1200
    while time.monotonic() < deadline and process.poll() is None:
        # The row of step 4: past the checkpoint of step 3, before that of step 6.
        if log.exists() and len(log.read_text().splitlines()) >= 3:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.005)
    return process.wait()


@pytest.mark.slow
def test_a_killed_run_ends_with_the_weights_of_one_that_was_not(tmp_path: Path):
    cache = tmp_path / "cache"
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run(command(whole, cache), env=environment(), check=True, capture_output=True)

    assert kill_in_the_middle(command(killed, cache), killed) == -signal.SIGKILL
    assert json.loads((killed / "run.json").read_text())["finished"] is False
    stopped_at = read_checkpoint(killed / "last.ckpt")["step"]
    assert stopped_at in (3, 6)
    subprocess.run(command(killed, cache), env=environment(), check=True, capture_output=True)

    first, second = (read_checkpoint(f / "last.ckpt") for f in (whole, killed))
    assert first["step"] == second["step"] == 10
    for part in ("model", "ema"):
        for name, value in first[part].items():
            assert torch.equal(value, second[part][name]), name
    logs = [[(r["step"], r["loss"]) for r in rows(f / "train.csv")] for f in (whole, killed)]
    assert logs[0] == logs[1]
    assert (whole / "weights.safetensors").read_bytes() == (
        killed / "weights.safetensors"
    ).read_bytes()

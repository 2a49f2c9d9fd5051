"""chronopose bench lift, end to end on motion that is made here."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from chronopose.cli.main import main
from chronopose.io.bvh import BvhMotion, write_bvh

TREE = {
    "hip": ("", (0, 100, 0)), "abdomen": ("hip", (0, 20, 0)), "neck": ("abdomen", (0, 30, 0)),
    "head": ("neck", (0, 7, 0)),
}  # fmt: skip
SIDE = {
    "Shldr": ("abdomen", (15, 28, 0)), "ForeArm": ("Shldr", (0, -27, 0)),
    "Hand": ("ForeArm", (0, -25, 0)), "Mid1": ("Hand", (0, -8, 0)), "Thigh": ("hip", (9, 2, 0)),
    "Shin": ("Thigh", (0, -42, 0)), "Foot": ("Shin", (0, -42, 0)),
    "Foot_end": ("Foot", (0, -8, 12)),
}  # fmt: skip


def write_dance(path: Path, seed: int) -> None:
    """A second of somebody who swings all limbs, centimetres, y up."""
    tree = dict(TREE)
    for mark, sign in (("l", 1), ("r", -1)):
        for name, (parent, (x, y, z)) in SIDE.items():
            above = parent if parent in TREE else mark + parent
            tree[mark + name] = (above, (sign * x, y, z))
    names = list(tree)
    turns = ("Zrotation", "Xrotation", "Yrotation")
    channels = [() if n.endswith("_end") else turns for n in names]
    channels[0] = ("Xposition", "Yposition", "Zposition", *turns)
    rng = np.random.default_rng(seed)
    width = sum(map(len, channels))
    angle = rng.uniform(3, 12, width) * np.arange(126)[:, None] / 120 + rng.uniform(0, 6, width)
    values = 30 * np.sin(angle)
    values[:, :3] = 0
    parents = tuple(names.index(p) if p else -1 for p, _ in tree.values())
    offsets = np.array([o for _, o in tree.values()], float)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bvh(path, BvhMotion(tuple(names), parents, offsets, tuple(channels), 1 / 120, values))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Motion of two people to learn from, and of a third to be judged on."""
    root = tmp_path_factory.mktemp("motion")
    write_dance(root / "train" / "ann_01.bvh", 1)
    write_dance(root / "train" / "bob_01.bvh", 2)
    write_dance(root / "test" / "eve_01.bvh", 3)
    return root


def bench(world: Path, *more: str) -> int:
    return main(["bench", "lift", "--train-motion", str(world / "train"), "--test-motion",
                 str(world / "test"), "--out", str(world / "run"), "--epochs", "1", "--device",
                 "cpu", *more])  # fmt: skip


def test_rows_are_trained_judged_and_reported_and_a_second_run_only_reads(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = ["--rows", "temporal_cnn, T=1", "dgnet, T=1", "--seeds", "2"]
    assert bench(world, *rows) == 0
    told = capsys.readouterr().out
    assert "This is not Human3.6M." in told
    assert "| row | exact MPJPE | exact P-MPJPE |" in told
    out = world / "run"
    records = sorted((out / "rows").iterdir())
    assert [r.stem for r in records] == [
        "dgnet__T_1-0", "dgnet__T_1-1", "temporal_cnn__T_1-0", "temporal_cnn__T_1-1",
    ]  # fmt: skip
    found = json.loads(records[0].read_text())
    # Disturbed 2D cannot be smoother over time than exact 2D.
    assert found["errors"]["exact"]["mean"]["MPJVE"] < found["errors"]["disturbed"]["mean"]["MPJVE"]
    with (out / "lift.csv").open() as file:
        sheet = list(csv.DictReader(file))
    # Four records, two inputs, the mean and the one action.
    assert len(sheet) == 4 * 2 * 2
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["seeds"] == [0, 1]
    # One second at 50 frames/s, four cameras, one person.
    assert manifest["frames"]["test"] == 4 * 50
    before = {r.name: r.stat().st_mtime_ns for r in records}
    assert bench(world, *rows) == 0
    assert {r.name: r.stat().st_mtime_ns for r in (out / "rows").iterdir()} == before
    capsys.readouterr()
    assert bench(world, *rows, "--epochs", "2") == 2
    assert "another plan" in capsys.readouterr().err


def test_a_bench_without_motion_says_what_to_give(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "lift"]) == 2
    assert "--motion DIR" in capsys.readouterr().err

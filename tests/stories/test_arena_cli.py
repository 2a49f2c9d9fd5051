"""chronopose bench accuracy, end to end on a set of two short clips."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from chronopose import zoo
from chronopose.cli.main import main
from chronopose.data.datasets import lspet
from chronopose.io.detections import read_detections
from chronopose.models._find import build_model

EVERYBODY = ["--least-share", "0", "--least-height", "4", "--least-visible", "1", "--quiet"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips, their shards, and an untrained twin."""
    root = tmp_path_factory.mktemp("world")
    made = main(["synth", "--out", str(root / "set"), "--clips", "2", "--seed", "5", "--size",
                 "96x64", "--frames", "5", "--people", "2..2", "--difficulty", "clean,blur",
                 "--renderer", "soft", "--quiet"])  # fmt: skip
    cut = main(["shards", str(root / "set"), "--out", str(root / "crops"), "--frames", "5",
                "--every", "2", "--side", "48", *EVERYBODY])  # fmt: skip
    assert (made, cut) == (0, 0)
    torch.manual_seed(0)
    twin = build_model("simple_baseline:lite", crop_size=(96, 128))
    card = {"training_data": "none", "terms": "none", "command": "none"}
    zoo.save(twin, root / "twin.safetensors", {"name": "simple_baseline:lite", **card})
    return root


def arena(world: Path, *more: str) -> int:
    return main(["bench", "accuracy", "--shards", str(world / "crops"), "--data",
                 str(world / "set"), "--split", "train", "--twin", str(world / "twin.safetensors"),
                 "--steps", "2", "--windows", "16", "--seeds", "2", "--out", str(world / "arena"),
                 *more])  # fmt: skip


def test_rows_are_trained_judged_and_reported_and_a_second_run_only_reads(
    world: Path, capsys: pytest.CaptureFixture[str]
):
    rows = ["--rows", "single frame", "tdmi, still", "tdmi"]
    assert arena(world, *rows) == 0
    told = capsys.readouterr().out
    out = world / "arena" / "train"
    records = sorted((out / "rows").iterdir())
    # The frozen network is judged once, the others with two seeds.
    assert [r.stem for r in records] == [
        "single_frame-0", "tdmi-0", "tdmi-1", "tdmi__still-0", "tdmi__still-1",
    ]  # fmt: skip
    with (out / "arena.csv").open() as file:
        sheet = list(csv.DictReader(file))
    # Five records, three strata (all, clean, blur), eight groups of joints.
    assert len(sheet) == 5 * 3 * 8
    assert {row["stratum"] for row in sheet} == {"all", "clean", "blur"}
    assert "| tdmi, still |" in told and "G multiply-adds a pose" in told
    assert Image.open(out / "strata_labels.png").size == (1100, 480)
    assert Image.open(out / "cost_labels.png").size == (900, 560)
    assert json.loads((out / "manifest.json").read_text())["seeds"] == [0, 1]
    before = {r.name: r.stat().st_mtime_ns for r in records}
    assert arena(world, *rows) == 0
    assert {r.name: r.stat().st_mtime_ns for r in (out / "rows").iterdir()} == before
    # What a row has learnt is kept apart from its judgement, which alone is made again.
    learnt = {p: p.stat().st_mtime_ns for p in (world / "arena" / "runs").glob("*/learnt.ckpt")}
    assert len(learnt) == 4
    wanted = json.loads((out / "rows" / "tdmi-1.json").read_text())
    (out / "rows" / "tdmi-1.json").unlink()
    assert arena(world, *rows) == 0
    assert json.loads((out / "rows" / "tdmi-1.json").read_text()) == wanted
    assert learnt == {p: p.stat().st_mtime_ns for p in learnt}
    before = {r.name: r.stat().st_mtime_ns for r in (out / "rows").iterdir()}
    capsys.readouterr()
    assert arena(world, *rows, "--steps", "3") == 2
    assert "another plan" in capsys.readouterr().err
    assert {r.name: r.stat().st_mtime_ns for r in (out / "rows").iterdir()} == before


def test_regressions_stand_on_a_frozen_regression(world: Path, capsys: pytest.CaptureFixture[str]):
    torch.manual_seed(0)
    single = build_model("dsta:lite", crop_size=(96, 128), num_frames=1)
    card = {"training_data": "none", "terms": "none", "command": "none"}
    zoo.save(single, world / "dsta1.safetensors", {"name": "dsta:lite", **card})
    rows = ["--rows", "single regression", "dsta, still", "dsta", "--seeds", "1"]
    out = ["--out", str(world / "regressed")]
    assert arena(world, *rows, *out) != 0
    assert "dsta_lite_nano" in capsys.readouterr().err
    weights = ["--regression", str(world / "dsta1.safetensors")]
    assert arena(world, *rows, *out, *weights) == 0
    told = capsys.readouterr().out
    assert "| single regression |" in told and "| dsta - dsta, still: " in told
    records = {r.stem for r in (world / "regressed" / "train" / "rows").iterdir()}
    assert records == {"single_regression-0", "dsta__still-0", "dsta-0"}
    zoo.save(build_model("dsta:lite"), world / "dsta3.safetensors", {"name": "dsta:lite", **card})
    weights = ["--regression", str(world / "dsta3.safetensors")]
    assert arena(world, *rows, *out, *weights) != 0
    assert "reads 3 frames" in capsys.readouterr().err


def test_photographs_are_judged_by_pck_with_what_was_learnt_on_clips(
    world: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    root = world / "photographs"
    (root / "images").mkdir(parents=True)
    joints = np.ones((14, 3, 9000))
    joints[:, 0] = np.arange(14)[:, None] * 3 + 10
    joints[:, 1] = np.arange(14)[:, None] * 5 + 20
    savemat(root / "joints.mat", {"joints": joints})
    for number in (8501, 8502, 8503):
        grey = np.full((120, 80, 3), number % 251, np.uint8)
        Image.fromarray(grey).save(root / "images" / f"im{number:05d}.jpg")
    monkeypatch.setitem(lspet.SPLITS, "val", (8500, 8503))
    rows = ["--rows", "single frame", "tdmi", "--seeds", "1", "--split", "photographs"]
    assert arena(world, *rows, "--data", str(root)) == 0
    told = capsys.readouterr().out
    assert "PCK@0.2 by stratum" in told and "AP" not in told.partition("## Cost")[0]
    folder = world / "arena" / "photographs"
    assert {r.stem for r in (folder / "rows").iterdir()} == {"single_frame-0", "tdmi-0"}
    for row in ("single frame", "tdmi"):
        record = json.loads((folder / "rows" / f"{row.replace(' ', '_')}-0.json").read_text())
        [(stratum, groups)] = record["ap"]["labels"].items()
        assert stratum == "all" and 0 <= groups["Total"] <= 100
    assert arena(world, *rows, "--data", str(root), "--boxes", str(world / "boxes.json")) == 2
    assert "leave out --boxes" in capsys.readouterr().err


def test_detected_boxes_are_written_as_evaluate_reads_them(world: Path):
    out = world / "boxes.json"
    command = ["data", "boxes", "synthtrack", "--root", str(world / "set"), "--split", "train"]
    assert main([*command, "--out", str(out)]) == 0
    found = read_detections(out)
    assert found and all(0 <= d.score <= 1 for d in found)
    assert {str(d.image).split("/")[-2] for d in found} <= {"000005_clean", "000006_blur"}
    sure = sorted(d.score for d in found)[len(found) // 2]
    assert main([*command, "--out", str(out), "--min-score", str(sure)]) == 0
    assert [d for d in found if d.score >= sure] == read_detections(out)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--rows", "tdmy"], "Did you mean 'tdmi'"),
        (["--tier", "huge"], "no tier 'huge'"),
        (["--seeds", "0"], "from 1"),
        (["--twin", "nowhere.safetensors"], "nowhere.safetensors"),
    ],
)
def test_what_cannot_be_compared_is_told(
    world: Path, more: list[str], told: str, capsys: pytest.CaptureFixture[str]
):
    assert arena(world, *more) != 0
    assert told in capsys.readouterr().err


def test_what_has_to_be_given_is_named(capsys: pytest.CaptureFixture[str]):
    assert main(["bench", "accuracy", "--data", "somewhere"]) != 0
    told = capsys.readouterr().err
    assert "--shards" in told and "--twin" in told and "--data," not in told

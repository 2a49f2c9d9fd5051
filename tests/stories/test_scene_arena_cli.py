"""chronopose bench scenes, end to end on a set of short clips."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from chronopose import zoo
from chronopose.cli.main import main
from chronopose.models._find import build_scene_model

CARD = {
    "name": "pavenet:lite", "training_data": "none", "terms": "none", "command": "none",
}  # fmt: skip
SMALL = {"skeleton": "posetrack15", "frame_size": (96, 64)}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips, and an untrained network of one frame."""
    root = tmp_path_factory.mktemp("scenes")
    made = main(["synth", "--out", str(root / "set"), "--clips", "2", "--seed", "5", "--size",
                 "96x64", "--frames", "4", "--people", "2..2", "--difficulty", "clean,blur",
                 "--renderer", "soft", "--quiet"])  # fmt: skip
    assert made == 0
    torch.manual_seed(0)
    for frames in (1, 3):
        model = build_scene_model("pavenet:lite", None, num_frames=frames, **SMALL)
        zoo.save(model, root / f"of_{frames}.safetensors", CARD)
    return root


def arena(world: Path, start: str, *more: str) -> int:
    return main(["bench", "scenes", "--data", str(world / "set"), "--split", "train", "--twin",
                 str(world / start), "--steps", "2", "--out", str(world / "arena"),
                 *more])  # fmt: skip


def test_rows_learn_from_kept_features_and_a_second_run_only_reads(
    world: Path, capsys: pytest.CaptureFixture[str]
):
    assert arena(world, "of_1.safetensors", "--seeds", "1") == 0
    told = capsys.readouterr().out
    assert "| three frames - one frame: three frames against one |" in told
    # Eight frames in all; every second one is judged, with those beside it.
    assert "train: 8 labelled frames, 8 kept" in told
    assert "judged: 4 labelled frames, 8 kept" in told
    files = {f.stem: f.stat().st_mtime_ns for f in (world / "arena" / "rows").iterdir()}
    assert set(files) == {"as_it_starts-0", "one_frame-0", "three__still-0", "three_frames-0"}
    record = json.loads((world / "arena" / "rows" / "three_frames-0.json").read_text())
    assert set(record["ap"]["whole frames"]) == {"all", "clean", "blur"}
    assert arena(world, "of_1.safetensors", "--seeds", "1") == 0
    assert files == {f.stem: f.stat().st_mtime_ns for f in (world / "arena" / "rows").iterdir()}


@pytest.mark.parametrize(
    ("start", "more", "told"),
    [
        ("of_3.safetensors", [], "reads 3 frames"),
        ("of_1.safetensors", ["--rows", "four frames"], "no row four frames"),
        ("of_1.safetensors", ["--seeds", "0"], "from 1"),
    ],
)
def test_what_cannot_be_compared_is_told(
    world: Path, start: str, more: list[str], told: str, capsys: pytest.CaptureFixture[str]
):
    assert arena(world, start, *more) != 0
    assert told in capsys.readouterr().err


def test_what_has_to_be_given_is_named(capsys: pytest.CaptureFixture[str]):
    assert main(["bench", "scenes", "--data", "somewhere"]) != 0
    told = capsys.readouterr().err
    assert "--twin" in told and "pavenet_lite_still" in told

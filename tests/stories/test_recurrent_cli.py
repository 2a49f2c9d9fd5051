"""A model that carries a state, from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from chronopose import zoo
from chronopose.cli._demo import write_procedural_video
from chronopose.cli.main import main
from chronopose.io.poses import read_poses
from chronopose.models._find import build_model


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "walk.mp4"
    write_procedural_video(path, seconds=0.4, size=(160, 120), people=1, seed=3)
    return path


def predict(clip: Path, model: str, *more: str) -> int:
    return main(["predict", str(clip), "--model", model, "--detector", "whole-frame", "--device",
                 "cpu", "--quiet", *more])  # fmt: skip


def test_a_carried_state_answers_otherwise_than_windows_and_the_file_says_so(
    clip: Path, tmp_path: Path
):
    torch.manual_seed(0)
    model: Any = build_model("dkd:lite", crop_size=(64, 96))
    for name, part in model.named_parameters():
        if "backbone" not in name:
            torch.nn.init.normal_(part, std=0.3)
    card = {"training_data": "nothing", "terms": "test only", "command": "none"}
    zoo.save(model, tmp_path / "dkd.safetensors", {"name": "dkd:lite", **card})
    weights = ["--weights", str(tmp_path / "dkd.safetensors")]
    found = {}
    for name, flags in (
        ("windows", []), ("state", ["--recurrent", "0"]), ("anew", ["--recurrent", "1"]),
    ):  # fmt: skip
        out = tmp_path / f"{name}.parquet"
        assert predict(clip, "dkd:lite", *weights, "--out", str(out), *flags) == 0
        poses = read_poses(out)
        wanted = int(flags[1]) if flags else None
        assert poses.history[0].settings["recurrent"] == wanted
        [track] = poses.tracks
        assert len(track) == len(poses.frame_index) >= 9
        found[name] = np.stack([track.poses.score, *np.moveaxis(track.poses.xy, -1, 0)])
    # A stream begins with the initialiser's own answer, a window with one step from it.
    first = {name: poses[:, 0] for name, poses in found.items()}
    assert np.array_equal(first["state"], first["anew"])
    assert np.abs(first["state"] - first["windows"]).max() > 1
    # The crop stands still in the end: only one of the two starts anew there.
    assert np.abs(found["state"][:, -2:] - found["anew"][:, -2:]).max() > 1


def test_a_model_without_a_state_says_so(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert predict(clip, "tdmi:lite", "--recurrent", "0", "--out", str(tmp_path)) != 0
    assert "carries nothing from frame to frame" in capsys.readouterr().err

"""A video and a model of whole frames, end to end, without a detector."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from chronopose import zoo
from chronopose.cli._demo import write_procedural_video
from chronopose.cli.main import main
from chronopose.io.poses import read_poses
from chronopose.models._find import build_scene_model


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "walk.mp4"
    write_procedural_video(path, seconds=0.3, size=(160, 120), people=1, seed=3)
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that has learnt nothing, for small frames."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "scene.safetensors"
    model = build_scene_model("pavenet:lite", frame_size=(160, 120), people=3)
    said = {"training_data": "nothing", "terms": "test only", "command": "none"}
    zoo.save(model, path, {"name": "pavenet:lite@test", **said})
    return path


def predict(clip: Path, weights: Path, *more: str) -> int:
    return main(["predict", str(clip), "--model", "pavenet:lite", "--weights", str(weights),
                 "--device", "cpu", "--quiet", *more])  # fmt: skip


def test_people_of_whole_frames_are_written_with_ids_and_times(
    clip: Path, weights: Path, tmp_path: Path
) -> None:
    assert predict(clip, weights, "--out", str(tmp_path), "--conf", "0", "--save-video") == 0
    table = read_poses(tmp_path / "walk.parquet")
    assert table.complete and len(table.frame_index) >= 7
    assert table.skeleton.name == "lsp14"
    assert table.history[0].settings["model"] == "pavenet:lite"
    assert (tmp_path / "walk_overlay.mp4").stat().st_size > 0


def test_nobody_sure_enough_leaves_an_empty_table(
    clip: Path, weights: Path, tmp_path: Path
) -> None:
    assert predict(clip, weights, "--out", str(tmp_path), "--conf", "0.99") == 0
    assert len(read_poses(tmp_path / "walk.parquet").tracks) == 0


@pytest.mark.parametrize("flags", [["--detector", "whole-frame"], ["--flip-test"]])
def test_what_it_has_no_use_for_is_refused(
    clip: Path, weights: Path, tmp_path: Path, flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(clip, weights, "--out", str(tmp_path), *flags) == 2
    assert "finds people in whole frames by itself" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_it_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    assert "pavenet" in capsys.readouterr().out

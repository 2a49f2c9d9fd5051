"""A representation is trained from the command line and loaded; what is missing is said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from chronopose import zoo
from chronopose.cli import _css_bench
from chronopose.cli.main import main
from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses
from chronopose.core.skeletons import COCO17
from chronopose.core.tracks import PersonTrack, VideoPoses
from chronopose.io.poses import write_poses
from chronopose.io.video import VideoWriter, open_video

FEW = ("steps=4", "batch_size=4", "log_every=2")


def test_poses_are_learnt_without_any_data_and_the_weights_load_by_name(tmp_path: Path):
    out = tmp_path / "run"
    code = main(
        ["train", "css_poses_procedural", "--out", str(out), "--device", "cpu", "--quiet",
         "--set", *FEW]
    )  # fmt: skip
    assert code == 0
    card = json.loads((out / "weights.json").read_text())
    assert card["model"] == "css"
    assert card["config"]["objective"]["near_s"] == 0.2
    assert card["command"] == "chronopose train css_poses_procedural"
    record = json.loads((out / "run.json").read_text())
    assert record["finished"]
    assert record["videos"] == 360
    model = zoo.load_representation("css:poses", weights=out / "weights.safetensors")
    frames = model.codec.prepare(np.random.default_rng(0).normal(size=(3, 17, 2)))
    with torch.no_grad():
        latent = model.encode(frames)
    assert (latent.variant.shape, latent.invariant.shape) == ((3, 32), (3, 16))


def film(folder: Path) -> None:
    """A bright figure that walks for two seconds, and its track beside it."""
    path, rows = folder / "walk.mp4", np.arange(50)
    left = 10 + rows
    with VideoWriter(path, (96, 64)) as out:
        for n in rows:
            image = np.full((64, 96, 3), 60, np.uint8)
            image[10:54, left[n] : left[n] + 16] = 220
            out.write(image, n / 25)
    box = np.stack([left - 0.5, np.full(50, 9.5), left + 15.5, np.full(50, 53.5)], 1)
    xy = np.random.default_rng(0).uniform(10, 50, (50, 17, 2))
    track = PersonTrack(
        1, rows, rows / 25, Boxes(box, np.ones(50)), Poses(xy, np.ones((50, 17)), COCO17)
    )
    with open_video(str(path)) as video:
        info = video.info
    people = VideoPoses(info, COCO17, (track,), frame_index=rows, time_s=rows / 25)
    write_poses(people, folder / "walk.parquet")


def test_people_of_videos_with_tracks_beside_them_are_learnt_from(tmp_path: Path):
    film(tmp_path)
    shutil.copy(tmp_path / "walk.mp4", tmp_path / "nobody_tracked.mp4")
    out = tmp_path / "run"
    code = main(
        ["train", "css_lite_real", "--data", str(tmp_path), "--out", str(out), "--device", "cpu",
         "--quiet", "--set", *FEW]
    )  # fmt: skip
    assert code == 0
    assert json.loads((out / "run.json").read_text())["videos"] == 1
    assert (out / "weights.safetensors").is_file()


def test_people_in_rooms_are_learnt_from_and_probed_without_any_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(_css_bench, "FILMED", 1)
    monkeypatch.setattr(_css_bench, "JUDGED", 2)
    command = ["bench", "css", "--rooms", "2", "--steps", "2", "--seeds", "1", "--out",
               str(tmp_path), "--rows", "untrained", "full", "from scratch"]  # fmt: skip
    assert main(command) == 0
    assert "| from scratch | " in capsys.readouterr().out
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["model"] == "css:lite_masked"
    assert 10 <= report["videos"][0] <= 12 and 10 <= report["videos"][1] <= 12
    assert report["chance"]["who"] == 0.5
    assert 0 <= report["rows"]["full"]["who/z_ti"][0] <= 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "css_lite", "--out", "r"], "--synthetic"),
        (["train", "css_poses", "--out", "r"], "motion files"),
        (["train", "css_lite_real", "--data", ".", "--out", "r"], "chronopose predict"),
        (["bench", "css", "--learn", "x"], "two generated sets"),
        (["bench", "css", "--rooms", "2", "--motion", "x"], "neither --learn nor --motion"),
        (["bench", "css", "--rooms", "-1"], "at least one room"),
        (["bench", "css", "--rooms", "2", "--videos", "x"], "--videos goes alone"),
    ],
)
def test_what_is_missing_is_said(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(words) != 0
    assert said in capsys.readouterr().err

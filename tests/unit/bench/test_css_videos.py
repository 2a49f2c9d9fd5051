"""Nearest latents of other videos, and what their poses have in common."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from chronopose.bench.css_videos import (
    VideoPlan,
    compact,
    distance,
    nearest_elsewhere,
    run_videos,
    table,
)
from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses
from chronopose.core.skeletons import COCO17
from chronopose.core.tracks import PersonTrack, VideoPoses
from chronopose.engine.fit_css import CssSettings
from chronopose.errors import FormatError, UsageError
from chronopose.io.poses import write_poses
from chronopose.io.video import VideoWriter, open_video

SETTINGS = CssSettings(steps=2, batch_size=2)


def film(folder: Path, name: str, shade: int) -> None:
    """A bright figure for two seconds, and its track beside it."""
    path, rows = folder / f"{name}.mp4", np.arange(50)
    with VideoWriter(path, (96, 64)) as out:
        for n in rows:
            image = np.full((64, 96, 3), shade, np.uint8)
            image[10:54, 10 + n : 26 + n] = 220
            out.write(image, n / 25)
    box = np.stack([rows + 9.5, np.full(50, 9.5), rows + 25.5, np.full(50, 53.5)], 1)
    xy = np.random.default_rng(shade).uniform(10, 50, (50, 17, 2))
    track = PersonTrack(
        1, rows, rows / 25, Boxes(box, np.ones(50)), Poses(xy, np.ones((50, 17)), COCO17)
    )
    with open_video(str(path)) as video:
        info = video.info
    people = VideoPoses(info, COCO17, (track,), frame_index=rows, time_s=rows / 25)
    write_poses(people, folder / f"{name}.parquet")


def test_poses_are_compared_without_place_and_size():
    xy = np.random.default_rng(0).uniform(0, 100, (3, 17, 2))
    moved = compact(3 * xy + 40, COCO17)
    np.testing.assert_allclose(compact(xy, COCO17), moved)
    assert distance(moved, moved) == 0
    xy[:, 0] = np.nan
    assert np.isfinite(distance(compact(xy, COCO17), moved))


def test_the_nearest_latent_is_looked_for_in_other_videos():
    z = np.array([[1.0, 0.1], [1.0, 0.0], [0.9, 0.2], [-1.0, 0.4], [0.1, -1.0]])
    hit = nearest_elsewhere(z, np.array([0, 0, 1, 1, 2]))
    assert hit[0] == 2
    assert hit[3] in (0, 1, 4)
    assert all(np.array([0, 0, 1, 1, 2])[hit] != [0, 0, 1, 1, 2])


def test_videos_are_learnt_from_and_the_table_is_written(tmp_path: Path):
    film(tmp_path, "one", 40)
    film(tmp_path, "two", 90)
    plan = VideoPlan(folder=tmp_path, settings=SETTINGS, seeds=(0, 1))
    found = run_videos(plan, tmp_path / "out")
    assert (found["people"], found["videos"]) == (2, 2)
    assert 0.3 < found["chance"] < 3
    assert set(found["rows"]) == {"untrained", "full"}
    assert all(len(v) == 2 for parts in found["rows"].values() for v in parts.values())
    assert json.loads((tmp_path / "out" / "videos.json").read_text()) == found
    assert (tmp_path / "out" / "videos.md").read_text() == table(found)


def test_one_video_or_no_seed_is_refused(tmp_path: Path):
    film(tmp_path, "one", 40)
    with pytest.raises(FormatError, match="at least two"):
        run_videos(VideoPlan(folder=tmp_path, settings=SETTINGS), tmp_path / "out")
    with pytest.raises(UsageError, match="At least one training"):
        run_videos(VideoPlan(folder=tmp_path, settings=SETTINGS, seeds=()), tmp_path / "out")

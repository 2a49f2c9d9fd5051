"""The video of 2D poses beside the same people in space."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from lift_world import TinyConfig, TinyLifter, person, video

from chronopose.core.tracks import VideoPoses
from chronopose.core.video import VideoInfo
from chronopose.errors import ShapeError, UsageError
from chronopose.io.video import open_video
from chronopose.pipeline.lift import Lifter, LiftSettings
from chronopose.pipeline.lift_video import write_lift_video

SIZE = (2560, 200)
TIMES = np.arange(3) / 25


def poses_and_lifted() -> tuple[VideoPoses, VideoPoses]:
    """Somebody who lies along a very wide picture, all joints on a line from x = 100 to 1060."""
    xy = np.zeros((3, 17, 2))
    xy[..., 0], xy[..., 1] = 100 + 60 * np.arange(17), 100
    # Ids below zero get no tag.
    flat = video(person(TIMES, xy, track_id=-1), size=SIZE)
    model = TinyLifter(TinyConfig())
    return flat, Lifter(model, LiftSettings(space="root_mm")).lift(flat).poses


def test_wide_pictures_are_halved_and_poses_with_them(tmp_path: Path) -> None:
    flat, lifted = poses_and_lifted()
    path = tmp_path / "both.mp4"
    assert write_lift_video(path, flat, lifted, walk="front") == 3
    with open_video(path) as reader:
        pictures = list(reader)
    assert [round(f.time_s, 3) for f in pictures] == [0.0, 0.04, 0.08]
    image = pictures[1].image.astype(int)
    assert image.shape == (100, 2560, 3)
    # The line from (100, 100) to (1060, 100) is at half of that.
    bright = image[:, :1280].max(-1) > 100
    rows, columns = np.nonzero(bright)
    assert rows.min() > 45 and rows.max() < 55
    assert abs(columns.min() - 50) < 6 and abs(columns.max() - 530) < 6


def test_impossible_requests_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    flat, lifted = poses_and_lifted()
    path = tmp_path / "both.mp4"
    with pytest.raises(UsageError, match="turn, side, front; got 'fly'"):
        write_lift_video(path, flat, lifted, walk="fly")  # type: ignore[arg-type]
    nowhere = VideoPoses(VideoInfo("a", (0, 0)), flat.skeleton, flat.tracks)
    with pytest.raises(UsageError, match="how large the picture is"):
        write_lift_video(path, nowhere, lifted)
    nobody = VideoPoses(lifted.info, lifted.skeleton, ())
    with pytest.raises(ShapeError, match="nobody in space"):
        write_lift_video(path, flat, nobody)
    assert list(tmp_path.iterdir()) == []

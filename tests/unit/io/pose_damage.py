"""Poses made up for the tests of other tools' files, and what a damaged file must do."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses, Space
from chronopose.core.skeleton import Skeleton
from chronopose.core.tracks import FramePoses, HistoryStep, VideoPoses
from chronopose.core.video import VideoInfo
from chronopose.errors import ChronoposeError

BODY = Skeleton(
    "three", ("nose", "left_hand", "right_hand"), (("nose", "left_hand"), ("nose", "right_hand"))
)
INFO = VideoInfo("clip.mp4", (640, 360), rate_hz=25.0)
HISTORY = (HistoryStep("predict", {"conf": 0.3}, "0.1.0"),)


def poses(
    ids: Sequence[int] = (3, 8),
    frames: Sequence[int] = (0, 1, 2),
    skeleton: Skeleton = BODY,
    space: Space = "image_px",
) -> VideoPoses:
    """Joint k of person p in frame f is at (100 p + 10 k + f, 50 + k); the last one is unknown."""
    joints, axes = len(skeleton), 2 if space == "image_px" else 3
    listed = []
    for f in frames:
        xy = np.zeros((len(ids), joints, axes), np.float32)
        xy[..., 0] = 100 * np.array(ids)[:, None] + 10 * np.arange(joints) + f
        xy[..., 1] = 50 + np.arange(joints)
        xy[..., 2:] = 4000
        xy[:, -1] = np.nan
        score = np.tile(np.linspace(0.9, 0, joints, dtype=np.float32), (len(ids), 1))
        boxes = np.tile(np.array([5, 10, 45, 60], np.float32), (len(ids), 1))
        people = Poses(xy, score, skeleton, space)
        listed.append(
            FramePoses(f, f / 25, np.array(ids), Boxes(boxes, np.full(len(ids), 0.5)), people)
        )
    return VideoPoses.from_frames(INFO, skeleton, listed, HISTORY)


def edit_json(path: Path, change: Callable[[Any], Any]) -> None:
    """Change the content of a JSON file in place, or by what ``change`` returns."""
    content = json.loads(path.read_text())
    changed = change(content)
    path.write_text(json.dumps(content if changed is None else changed))


def assert_refused(read: Callable[[], object], path: Path) -> None:
    """Reading ends with one of our errors, which names the file."""
    with pytest.raises(ChronoposeError) as told:
        read()
    assert path.name in str(told.value)

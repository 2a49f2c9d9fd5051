"""Clips: frames, numbers and times belong together."""

from __future__ import annotations

import numpy as np
import pytest

from chronopose.core.video import Clip, VideoInfo
from chronopose.errors import ShapeError

FRAMES = np.zeros((3, 4, 6, 3), np.uint8)


def test_clip_counts_its_frames() -> None:
    # At the start of a video the first frame repeats, and the numbers say so.
    clip = Clip(FRAMES, np.array([0, 0, 1]), np.array([0.0, 0.0, 0.04]), key=1)
    assert len(clip) == 3


@pytest.mark.parametrize(
    ("frames", "index", "times", "key", "message"),
    [
        (FRAMES.astype(float), [0, 1, 2], [0, 1, 2], 0, r"must be \(T, H, W, 3\) uint8.*float64"),
        (FRAMES[..., :1], [0, 1, 2], [0, 1, 2], 0, r"got \(3, 4, 6, 1\)"),
        (FRAMES, [0, 1], [0, 1, 2], 0, "clip of 3 frames has 2 frame numbers"),
        (FRAMES, [0, 1, 2], [0, 1], 0, "and 2 times"),
        (FRAMES, [0, 1, 2], [0, 1, 2], 3, "Key frame 3 lies outside a clip of 3 frames"),
    ],
)
def test_impossible_clips_are_refused(
    frames: np.ndarray, index: list[int], times: list[float], key: int, message: str
) -> None:
    with pytest.raises(ShapeError, match=message):
        Clip(frames, np.array(index), np.array(times), key)


def test_unknown_facts_about_a_video_are_nan_and_zero() -> None:
    info = VideoInfo("a.mp4", (640, 480))
    assert np.isnan(info.rate_hz) and np.isnan(info.duration_s)
    assert info.num_frames == 0

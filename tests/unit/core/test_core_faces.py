"""Faces of a frame keep their counts, and say what they show only where they were judged."""

from __future__ import annotations

import numpy as np
import pytest

from chronopose.core.faces import FrameFaces, VideoFaces
from chronopose.core.video import VideoInfo
from chronopose.errors import ShapeError

CLASSES = ("neutral", "anger", "happiness")


def faces(frame: int = 0, **changes: object) -> FrameFaces:
    """Person 4 is happy, person 9 was not judged."""
    values = {
        "frame_index": frame, "time_s": 0.04 * frame, "classes": CLASSES, "ids": np.array([4, 9]),
        "probability": np.array([[0.2, 0.1, 0.7], [np.nan] * 3], np.float32),
        "xyxy": np.array([[10, 20, 50, 60], [np.nan] * 4], np.float32),
        "tilt_deg": np.array([5, np.nan], np.float32), "judged": ("yes", "unsure"), **changes,
    }  # fmt: skip
    return FrameFaces(**values)  # type: ignore[arg-type]


def test_the_likeliest_expression_only_of_judged_faces():
    best = faces().best(0)
    assert best is not None and best[0] == "happiness" and best[1] == pytest.approx(0.7)
    assert faces().best(1) is None and len(faces()) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"judged": ("yes",)},
        {"ids": np.array([4])},
        {"tilt_deg": np.zeros(3, np.float32)},
        {"judged": ("yes", "yes")},
        {"judged": ("small", "small")},
        {"judged": ("yes", "asleep")},
    ],
)
def test_what_contradicts_itself_is_refused(wrong):
    with pytest.raises(ShapeError):
        faces(**wrong)


def test_a_person_over_time():
    video = VideoFaces(VideoInfo("x", (80, 60)), CLASSES, [faces(0), faces(5)])
    times, shares = video.person(4)
    np.testing.assert_allclose(times, [0.0, 0.2])
    np.testing.assert_allclose(shares, [[0.2, 0.1, 0.7]] * 2)
    times, shares = video.person(9)
    assert times.shape == (0,) and shares.shape == (0, 3)

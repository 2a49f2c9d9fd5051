"""Samples and views."""

from __future__ import annotations

import numpy as np
import pytest

from chronopose.core.skeletons import get_skeleton
from chronopose.data.clips import Sample, View
from chronopose.errors import ShapeError

LSP = get_skeleton("lsp14")
IDENTITY = np.array([[1.0, 0, 0], [0, 1.0, 0]])


def sample(frames: int = 1, **changes: object) -> Sample:
    values = {
        "images": np.zeros((frames, 40, 30, 3), np.uint8),
        "joints": np.full((frames, 14, 2), 12.0, np.float32),
        "visible": np.ones((frames, 14), bool),
        "box": np.array([5, 10, 20, 30], np.float32),
        "skeleton": LSP,
        **changes,
    }
    return Sample(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {"images": np.zeros((40, 30, 3), np.uint8)},
        {"images": np.zeros((1, 40, 30, 3), np.float32)},
        {"joints": np.zeros((1, 13, 2), np.float32)},
        {"visible": np.ones((2, 14), bool)},
        {"key": 1},
    ],
)
def test_shapes_that_do_not_fit_are_refused(changes: dict[str, object]):
    with pytest.raises(ShapeError):
        sample(**changes)


def test_only_a_still_picture_can_be_moved():
    moved = np.repeat(IDENTITY[None], 3, axis=0)
    assert len(sample(motion=moved, key=1)) == 3
    with pytest.raises(ShapeError, match="still"):
        sample(frames=3, motion=moved)


def test_the_plain_view_fits_the_box_grown_by_a_quarter():
    # The box is 15 wide and 20 high: 3:4 like the crop. Grown it is 18.75 wide for 75 pixels.
    window = View.of(sample(), (75, 100)).window
    assert window.scale == pytest.approx(4.0)
    np.testing.assert_allclose(window.apply(np.array([12.5, 20.0])), [37.0, 49.5])


def test_motion_is_applied_before_the_window():
    right = IDENTITY.copy()
    right[0, 2] = 3.0
    view = View.of(sample(motion=np.stack([right, IDENTITY]), key=1), (75, 100))
    joints, _ = view.joints()
    np.testing.assert_allclose(joints[0, 0] - joints[1, 0], [12.0, 0.0], atol=1e-4)


def test_a_mirrored_view_exchanges_the_names_of_the_sides():
    joints = np.full((1, 14, 2), 12.0, np.float32)
    joints[0, LSP.index("left_wrist")] = [8.0, 15.0]
    visible = np.ones((1, 14), bool)
    visible[0, LSP.index("left_wrist")] = False
    plain = View.of(sample(joints=joints, visible=visible), (75, 100))
    mirrored = View(plain.sample, plain.size, plain.box, plain.pad, flip=True)
    xy, seen = mirrored.joints()
    before, _ = plain.joints()
    right = LSP.index("right_wrist")
    x, y = before[0, LSP.index("left_wrist")]
    np.testing.assert_allclose(xy[0, right], [74 - x, y], atol=1e-4)
    assert not seen[0, right]
    assert seen[0, LSP.index("left_wrist")]

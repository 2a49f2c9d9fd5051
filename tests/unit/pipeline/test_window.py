"""Windows that stand still until the person leaves their tolerance."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from chronopose.core.crop import CropWindow
from chronopose.errors import UsageError
from chronopose.io.video import Frame
from chronopose.pipeline.window import FrameRing, LockSettings, WindowLock

SIZE = (48, 64)
BOX = np.array([100.0, 50.0, 160.0, 150.0])
REST = np.zeros(2)
# The window of BOX: the height 100 asks for a width of 75, times 1.25: 93.75 by 125 pixels.
WINDOW_PX = np.array([93.75, 125.0])


def lock(**settings: object) -> WindowLock:
    return WindowLock(SIZE, LockSettings(**settings))  # type: ignore[arg-type]


def moved(dx: float, dy: float = 0.0, zoom: float = 1.0) -> np.ndarray:
    centre = (BOX[:2] + BOX[2:]) / 2 + [dx, dy]
    half = (BOX[2:] - BOX[:2]) / 2 * zoom
    return np.concatenate([centre - half, centre + half])


def test_the_first_window_is_that_of_the_box() -> None:
    held = lock().choose(1, BOX, REST)
    np.testing.assert_allclose(held.window.matrix, CropWindow.of_box(BOX, SIZE).matrix)


def test_a_box_that_trembles_does_not_move_the_window() -> None:
    rng = np.random.default_rng(0)
    holder = lock()
    first = holder.choose(1, BOX, REST)
    for _ in range(50):
        assert holder.choose(1, BOX + rng.normal(size=4) * 1.5, REST) is first
    assert holder.moves == 1


# A shift of 0.08 of the window is 7.5 px across and 10 px down.
@pytest.mark.parametrize(
    ("box", "holds"),
    [
        (moved(7.0), True),
        (moved(8.0), False),
        (moved(0, 9.5), True),
        (moved(0, 10.5), False),
        (moved(0, zoom=1.14), True),
        (moved(0, zoom=1.16), False),
        (moved(0, zoom=1 / 1.14), True),
        (moved(0, zoom=1 / 1.16), False),
        # Bigger and lower at once: its feet would leave the window.
        (moved(0, 9.5, zoom=1.14), False),
    ],
)
def test_a_window_moves_when_its_tolerance_is_left(box: np.ndarray, holds: bool) -> None:
    holder = lock()
    first = holder.choose(1, BOX, REST)
    assert (holder.choose(1, box, REST) is first) == holds


def test_a_window_that_moves_is_put_ahead_of_the_person() -> None:
    holder = lock()
    holder.choose(1, BOX, REST)
    window = holder.choose(1, moved(10), np.array([20.0, 0.0])).window
    # 20 px/s for 0.1 s: the box is 2 px left of the middle.
    middle = window.invert(np.array([(SIZE[0] - 1) / 2, (SIZE[1] - 1) / 2]))
    assert middle[0] == pytest.approx(130 + 10 + 2)


def test_the_lead_is_at_most_half_the_tolerance() -> None:
    holder = lock()
    holder.choose(1, BOX, REST)
    window = holder.choose(1, moved(60), np.array([5000.0, 0.0])).window
    middle = window.invert(np.array([(SIZE[0] - 1) / 2, (SIZE[1] - 1) / 2]))
    assert middle[0] == pytest.approx(130 + 60 + 0.04 * WINDOW_PX[0])


def test_every_track_has_its_own_window() -> None:
    holder = lock()
    one, two = holder.choose(1, BOX, REST), holder.choose(2, moved(200), REST)
    assert one.serial != two.serial
    assert holder.choose(1, BOX, REST) is one
    holder.keep_only({2})
    assert holder.choose(1, BOX, REST) is not one
    assert holder.choose(2, moved(200), REST) is two


def test_the_key_policy_never_holds() -> None:
    holder = lock(policy="key")
    first = holder.choose(1, BOX, REST)
    second = holder.choose(1, BOX, REST)
    assert first.serial != second.serial
    np.testing.assert_array_equal(first.window.matrix, second.window.matrix)


def test_features_are_bent_only_over_short_ways() -> None:
    holder = lock(policy="warp")
    here = CropWindow.of_box(BOX, SIZE)
    assert holder.may_bend(here, CropWindow.of_box(moved(20), SIZE))
    assert not holder.may_bend(here, CropWindow.of_box(moved(30), SIZE))
    assert not holder.may_bend(here, CropWindow.of_box(moved(0, zoom=1.3), SIZE))
    assert not lock().may_bend(here, here)


def test_an_unknown_policy_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="reencode, warp, key"):
        LockSettings(policy="slide")  # type: ignore[arg-type]


def frame(index: int) -> Frame:
    return Frame(index, index / 25, np.full((4, 6, 3), index, np.uint8))


def test_a_ring_holds_what_was_not_dropped() -> None:
    ring = FrameRing(torch.device("cpu"))
    assert ring.last == -1
    for i in range(6):
        ring.push(frame(10 * i))
    ring.drop_before(4)
    assert (len(ring), ring.last) == (2, 5)
    assert ring.frame(4).index == 40
    assert int(ring.pixels(5)[0, 0, 0]) == 50


def test_positions_beyond_the_ends_are_the_ends() -> None:
    ring = FrameRing(torch.device("cpu"))
    for i in range(3):
        ring.push(frame(i))
    assert [ring.clamp(p) for p in (-2, -1, 0, 1, 2, 3, 9)] == [0, 0, 0, 1, 2, 2, 2]


def test_a_picture_that_cannot_be_written_to_is_copied() -> None:
    image = np.zeros((4, 6, 3), np.uint8)
    image.flags.writeable = False
    ring = FrameRing(torch.device("cpu"))
    ring.push(Frame(0, 0.0, image))
    assert ring.pixels(0).shape == (4, 6, 3)

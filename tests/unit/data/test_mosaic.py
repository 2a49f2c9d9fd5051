"""Pictures of many people made of pictures of one."""

import numpy as np
import pytest

from chronopose.core.skeletons import get_skeleton
from chronopose.data.mosaic import LEAST_HEIGHT_PX, Mosaic, Portrait, extent_of

SIZE = (192, 160)
GREEN, RED = (0, 200, 0), (220, 0, 0)


def portrait(index):
    """A red person of 20 x 40 pixels in front of nothing but blue."""
    image = np.zeros((60, 40, 3), np.uint8)
    image[..., 2] = 200
    image[10:50, 10:30] = RED
    cover = np.zeros((60, 40), np.uint8)
    cover[10:50, 10:30] = 255
    return Portrait(image, np.array([9.5, 9.5, 29.5, 49.5], np.float32), cover)


@pytest.fixture
def mosaic():
    return Mosaic(3, portrait, [np.full((90, 120, 3), GREEN, np.uint8)])


def plain(monkeypatch):
    """Leave colours as they are, so that people can be told by colour."""
    monkeypatch.setattr("chronopose.data.mosaic.develop", lambda image, rng: np.asarray(image))


@pytest.mark.parametrize("seed", range(25))
def test_red_lies_in_boxes_and_boxes_hold_red(mosaic, monkeypatch, seed):
    plain(monkeypatch)
    drawn = mosaic.draw(SIZE, np.random.default_rng(seed))
    red = (drawn.image[..., 0] > 140) & (drawn.image[..., 1] < 60)
    rows = np.concatenate([drawn.boxes, drawn.ignore])
    covered = np.zeros(red.shape, bool)
    for x1, y1, x2, y2 in rows:
        covered[int(max(y1 + 0.5, 0)) : int(y2 + 1.5), int(max(x1 + 0.5, 0)) : int(x2 + 1.5)] = True
    assert (red & ~covered).sum() <= 0.01 * max(red.sum(), 1)
    for x1, y1, x2, y2 in drawn.boxes:
        inside = red[round(y1 + 0.5) : round(y2 + 0.5), round(x1 + 0.5) : round(x2 + 0.5)]
        assert inside.mean() > 0.25


@pytest.mark.parametrize("seed", range(10))
def test_boxes_stay_in_the_picture_and_are_large_enough(mosaic, seed):
    boxes = mosaic.draw(SIZE, np.random.default_rng(seed)).boxes
    assert (boxes >= -0.5).all() and (boxes[:, 2] <= 191.5).all() and (boxes[:, 3] <= 159.5).all()
    assert (np.maximum(*(boxes[:, 2:] - boxes[:, :2]).T) >= LEAST_HEIGHT_PX - 0.01).all()


def test_the_same_random_numbers_draw_the_same_picture(mosaic):
    one, two = (mosaic.draw(SIZE, np.random.default_rng(5)) for _ in range(2))
    assert (one.image == two.image).all() and (one.boxes == two.boxes).all()


def test_a_person_without_a_known_extent_is_never_asked_for():
    unknown = Mosaic(1, lambda i: Portrait(portrait(i).image, None), [np.zeros((90, 90, 3), "u1")])
    for seed in range(10):
        drawn = unknown.draw(SIZE, np.random.default_rng(seed))
        assert len(drawn.boxes) == 0


def test_the_extent_goes_on_beyond_wrists_and_ankles():
    lsp = get_skeleton("lsp14")
    places = {
        "head_top": (50, 0), "neck": (50, 20), "right_shoulder": (40, 20),
        "left_shoulder": (60, 20),
        "right_elbow": (30, 20), "left_elbow": (70, 20), "right_wrist": (20, 20),
        "left_wrist": (80, 20), "right_hip": (45, 60), "left_hip": (55, 60),
        "right_knee": (45, 80), "left_knee": (55, 80), "right_ankle": (45, 100),
        "left_ankle": (55, 100),
    }  # fmt: skip
    xy = np.array([places[j] for j in lsp.joints], float)
    # hands end at 20 - 4 and 80 + 4, feet at 100 + 5; the margin is 5 % of the height of 105
    assert extent_of(xy, lsp) == pytest.approx([10.75, -5.25, 89.25, 110.25])
    xy[:4] = np.nan
    assert extent_of(xy, lsp) is None

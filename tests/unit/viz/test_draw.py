"""Pictures of poses, heatmaps and sheets, on plain grey frames."""

from __future__ import annotations

import numpy as np
import pytest

from chronopose.core.boxes import Boxes
from chronopose.core.crop import CropWindow
from chronopose.core.poses import Poses
from chronopose.core.skeleton import Skeleton
from chronopose.core.tracks import FramePoses
from chronopose.errors import ShapeError
from chronopose.viz.draw import contact_sheet, draw_heatmaps, draw_poses
from chronopose.viz.palette import PERSON_COLOURS, heat, person_colour, side_tint

LEGS = Skeleton(
    "legs",
    ("left_knee", "left_ankle", "right_knee", "right_ankle"),
    (("left_knee", "left_ankle"), ("right_knee", "right_ankle"), ("left_knee", "right_knee")),
)
GREY = np.full((200, 300, 3), 128, np.uint8)
STAND = np.array([[200.0, 80.0], [200.0, 160.0], [100.0, 80.0], [100.0, 160.0]])
LEFT_SHIN, RIGHT_SHIN, BETWEEN_KNEES = (120, 200), (120, 100), (80, 150)


def people(*xy: np.ndarray, ids: tuple[int, ...] = (1,), score: float = 1.0) -> FramePoses:
    joints = np.array(xy, float).reshape(-1, 4, 2)
    count = len(joints)
    return FramePoses(
        0,
        0.0,
        np.array(ids[:count], np.int64),
        Boxes(np.zeros((count, 4)), np.ones(count)),
        Poses(joints, np.full(joints.shape[:2], score), LEGS),
    )


def test_left_is_light_right_is_dark_and_the_middle_between() -> None:
    picture = draw_poses(GREY, people(STAND), line_px=8)
    colour = person_colour(1)
    assert tuple(picture[LEFT_SHIN]) == side_tint(colour, "left")
    assert tuple(picture[RIGHT_SHIN]) == side_tint(colour, "right")
    assert tuple(picture[BETWEEN_KNEES]) == colour


def test_sides_differ_in_lightness_for_every_person() -> None:
    # Told apart without seeing colours.
    for colour in PERSON_COLOURS:
        left, right = (np.mean(side_tint(colour, side)) for side in ("left", "right"))
        assert left - right > 60


def test_person_keeps_the_colour_whoever_else_is_there() -> None:
    alone = draw_poses(GREY, people(STAND, ids=(5,)), line_px=8)
    far = STAND + np.array([0, 1000])
    second = draw_poses(GREY, people(far, STAND, ids=(2, 5)), line_px=8)
    assert tuple(alone[LEFT_SHIN]) == tuple(second[LEFT_SHIN])


def test_neighbouring_ids_have_different_colours() -> None:
    assert len({person_colour(i) for i in range(len(PERSON_COLOURS))}) == len(PERSON_COLOURS)


def test_input_picture_is_not_touched() -> None:
    image = GREY.copy()
    image.flags.writeable = False
    assert (draw_poses(image, people(STAND)) != image).any()
    assert (image == GREY).all()


def test_unknown_joint_takes_its_limbs_with_it() -> None:
    pose = STAND.copy()
    pose[1] = np.nan
    picture = draw_poses(GREY, people(pose), line_px=8)
    assert tuple(picture[LEFT_SHIN]) == (128, 128, 128)
    assert tuple(picture[RIGHT_SHIN]) != (128, 128, 128)


def test_joints_below_the_threshold_are_not_drawn() -> None:
    assert (draw_poses(GREY, people(STAND, score=0.29)) == GREY).all()
    assert (draw_poses(GREY, people(STAND, score=0.3)) != GREY).any()


def test_person_without_joints_gets_no_tag() -> None:
    assert (draw_poses(GREY, people(STAND * np.nan)) == GREY).all()


def test_person_outside_the_picture_gets_no_tag() -> None:
    assert (draw_poses(GREY, people(STAND + np.array([1000, 0]))) == GREY).all()


def test_tag_stands_above_the_highest_joint() -> None:
    picture = draw_poses(GREY, people(STAND), line_px=4)
    rows = np.flatnonzero((picture != GREY).any((1, 2)))
    assert 50 < rows.min() < 65
    assert (draw_poses(GREY, people(STAND, ids=(-1,)), line_px=4)[: rows.min() + 10] == 128).all()


def test_frame_without_people_is_a_copy() -> None:
    nobody = Poses(np.zeros((0, 4, 2)), np.zeros((0, 4)), LEGS)
    empty = FramePoses(0, 0.0, np.zeros(0, np.int64), Boxes.empty(), nobody)
    picture = draw_poses(GREY, empty)
    assert (picture == GREY).all()
    assert not np.shares_memory(picture, GREY)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 1), (0, 5)])
def test_tiny_pictures_survive(size: tuple[int, int]) -> None:
    assert draw_poses(np.zeros((*size, 3), np.uint8), people(STAND / 100)).shape == (*size, 3)


def test_joints_at_the_end_of_the_world_cost_nothing() -> None:
    pose = STAND.copy()
    pose[1] = (3e38, -3e38)
    picture = draw_poses(GREY, people(pose), line_px=8)
    assert tuple(picture[RIGHT_SHIN]) == side_tint(person_colour(1), "right")


def test_lines_grow_with_the_picture() -> None:
    small = draw_poses(GREY, people(STAND, ids=(-1,)))
    large = draw_poses(np.full((2000, 3000, 3), 128, np.uint8), people(STAND * 10, ids=(-1,)))
    thin, thick = ((p != 128).any(-1).sum() for p in (small, large))
    assert 50 < thick / thin < 150  # ten times as long, about ten times as wide


def test_lines_are_thinner_on_small_people() -> None:
    canvas = np.full((2000, 3000, 3), 128, np.uint8)
    shin = (draw_poses(canvas, people(STAND, ids=(-1,)))[120, 180:220] != 128).any(-1).sum()
    assert shin < 6


def test_grey_picture_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"\(height, width, 3\) uint8 RGB; got \(200, 300\)"):
        draw_poses(GREY[..., 0], people(STAND))


def test_float_picture_is_refused() -> None:
    with pytest.raises(ShapeError, match="float64"):
        draw_poses(GREY / 255, people(STAND))


def test_crop_poses_are_refused() -> None:
    crop = Poses(STAND[None], np.ones((1, 4)), LEGS, "crop_px")
    frame = FramePoses(0, 0.0, np.array([1]), Boxes(np.zeros((1, 4)), np.ones(1)), crop)
    with pytest.raises(ShapeError, match="these are in crop_px"):
        draw_poses(GREY, frame)


def test_heat_gets_lighter_throughout() -> None:
    assert (np.diff(heat(np.linspace(0, 1, 50)).sum(-1)) > 0).all()


@pytest.mark.parametrize("turn", [0.0, 40.0])
def test_peak_of_a_heatmap_lies_under_its_joint(turn: float) -> None:
    window = CropWindow.of_box(np.array([60.0, 20.0, 180.0, 180.0]), (96, 128), rotation_deg=turn)
    # Cell (9, 20) of stride 4 has its centre at crop pixel ((9 + 0.5) * 4 - 0.5, 81.5).
    maps = np.zeros((2, 32, 24))
    maps[1, 20, 9] = 0.3
    picture = draw_heatmaps(GREY, maps, window)
    change = np.abs(picture.astype(float) - 128).sum(-1)
    rows, columns = np.indices(change.shape)
    centre = np.array([(columns * change).sum(), (rows * change).sum()]) / change.sum()
    np.testing.assert_allclose(centre, window.invert(np.array([37.5, 81.5])), atol=0.25)


def test_heatmap_is_drawn_in_its_window_only() -> None:
    window = CropWindow.of_box(np.array([60.0, 40.0, 120.0, 120.0]), (48, 64), pad=1.0)
    picture = draw_heatmaps(GREY, np.ones((1, 16, 12)), window)
    rows, columns = np.nonzero((picture != GREY).any(-1))
    # From 60 to 120 and from 40 to 120; a pixel on the last edge is outside.
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (60, 119, 40, 119)


def test_strength_is_relative_to_the_strongest_cell() -> None:
    window = CropWindow.whole_frame((300, 200), (48, 64))
    maps = np.random.default_rng(0).random((3, 16, 12))
    once, thousandth = (draw_heatmaps(GREY, maps * f, window) for f in (1.0, 0.001))
    np.testing.assert_allclose(once.astype(int), thousandth, atol=1)


@pytest.mark.parametrize("value", [0.0, np.nan, -1.0])
def test_empty_heatmaps_leave_the_picture(value: float) -> None:
    window = CropWindow.whole_frame((300, 200), (48, 64))
    assert (draw_heatmaps(GREY, np.full((3, 16, 12), value), window) == GREY).all()


def test_crop_outside_the_picture_leaves_it() -> None:
    window = CropWindow.of_box(np.array([900.0, 900.0, 950.0, 980.0]), (48, 64))
    assert (draw_heatmaps(GREY, np.ones((1, 16, 12)), window) == GREY).all()


def test_single_heatmap_without_joint_axis_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"\(joints, height, width\); got \(16, 12\)"):
        draw_heatmaps(GREY, np.ones((16, 12)), CropWindow.whole_frame((300, 200), (48, 64)))


def test_sheet_puts_pictures_row_by_row() -> None:
    pictures = [np.full((10, 20, 3), value, np.uint8) for value in (100, 150, 200)]
    sheet = contact_sheet(pictures, 2)
    # Two rows of 10 and two columns of 20 with one gap of 4.
    assert sheet.shape == (24, 44, 3)
    assert [sheet[5, 10, 0], sheet[5, 34, 0], sheet[19, 10, 0]] == [100, 150, 200]
    assert sheet[19, 34, 0] == sheet[5, 21, 0] == 32


def test_small_picture_is_centred_in_its_cell() -> None:
    sheet = contact_sheet([np.full((10, 20, 3), 9, np.uint8), np.full((2, 4, 3), 99, np.uint8)], 1)
    assert np.argwhere(sheet[..., 0] == 99).min(0).tolist() == [14 + 4, 8]


def test_more_columns_than_pictures_make_no_empty_space() -> None:
    assert contact_sheet([GREY], 5).shape == GREY.shape


def test_sheet_of_nothing_is_refused() -> None:
    with pytest.raises(ShapeError, match="got 0 pictures in 3 columns"):
        contact_sheet([], 3)

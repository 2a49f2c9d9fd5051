"""Pictures of people in space."""

from __future__ import annotations

import numpy as np
import pytest

from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses
from chronopose.core.skeleton import Skeleton
from chronopose.core.tracks import FramePoses, VideoPoses
from chronopose.core.video import VideoInfo
from chronopose.errors import ShapeError
from chronopose.viz.palette import person_colour, side_tint
from chronopose.viz.space import (
    PAPER,
    SpaceView,
    beside,
    draw_space,
    scene_view,
)

PAIR = Skeleton("pair", ("left_hip", "right_hip"), (("left_hip", "right_hip"),))
FLAT = SpaceView(centre_mm=(0, 0, 4000), span_mm=1000, elevation_deg=0, perspective=0)


def frame(xyz: list[list[list[float]]], space: str = "camera_mm", score: float = 1.0) -> FramePoses:
    people = np.array(xyz, np.float32)
    poses = Poses(people, np.full(people.shape[:2], score, np.float32), PAIR, space)  # type: ignore[arg-type]
    boxes = Boxes(np.tile([0, 0, 9, 9.0], (len(people), 1)), np.ones(len(people)))
    return FramePoses(0, 0.0, np.arange(len(people)), boxes, poses)


def test_parallel_rays_by_hand() -> None:
    # A span is 0.84 of the smaller side: 84 px of 100. The middle of 101 pixels is 50.
    at, depth = FLAT.project(np.array([[0.0, 0, 4000], [500, -250, 3000]]), (101, 101))
    np.testing.assert_allclose(at, [[50, 50], [50 + 0.42 * 101, 50 - 0.21 * 101]])
    np.testing.assert_allclose(depth, [0, -1])


def test_walking_to_the_right_side_shows_what_is_far_on_the_right() -> None:
    side = SpaceView(
        centre_mm=(0, 0, 4000), span_mm=1000, azimuth_deg=90, elevation_deg=0, perspective=0
    )
    at, depth = side.project(np.array([[0.0, 0, 4500], [500, 0, 4000]]), (101, 101))
    np.testing.assert_allclose(at[0], [50 + 0.42 * 101, 50])
    # What was on the right of the picture is near now.
    assert depth[1] == pytest.approx(-0.5)


def test_near_things_are_larger_and_things_behind_the_eye_are_unknown() -> None:
    view = SpaceView(centre_mm=(0, 0, 0), span_mm=1000, elevation_deg=0, perspective=2)
    at, _ = view.project(np.array([[100.0, 0, -1000], [100, 0, 0], [100, 0, -3000]]), (101, 101))
    # At half of the eye's distance twice as far from the middle.
    assert at[0, 0] - 50 == pytest.approx(2 * (at[1, 0] - 50))
    assert np.isnan(at[2]).all()


def test_a_bone_is_painted_where_it_is_in_the_colours_of_its_sides() -> None:
    picture = draw_space(frame([[[400, 0, 4000], [-400, 0, 4000]]]), FLAT, (201, 201))
    assert picture.shape == (201, 201, 3) and picture.dtype == np.uint8
    colour = person_colour(0)
    right = 100 + round(0.84 * 201 * 0.4)
    assert tuple(picture[100, right]) == side_tint(colour, "left")
    assert tuple(picture[100, 200 - right]) == side_tint(colour, "right")
    assert tuple(picture[100, 100]) == colour
    assert tuple(picture[50, 100]) == PAPER


def test_the_nearer_of_two_people_covers_the_other() -> None:
    near, far = [[300, 0, 3000], [-300, 0, 3000]], [[300, 0, 5000], [-300, 0, 5000]]
    for order in ([near, far], [far, near]):
        picture = draw_space(frame(order), FLAT, (201, 201))
        assert tuple(picture[100, 100]) == person_colour(order.index(near))


def test_doubtful_and_unknown_joints_are_left_out() -> None:
    doubtful = frame([[[400, 0, 4000], [-400, 0, 4000]]], score=0.2)
    assert tuple(draw_space(doubtful, FLAT, (201, 201), kpt_thr=0.3)[100, 100]) == PAPER
    unknown = frame([[[400, 0, 4000], [np.nan, 0, 4000]]])
    assert tuple(draw_space(unknown, FLAT, (201, 201))[100, 100]) == PAPER


def test_people_without_a_place_stand_side_by_side() -> None:
    both = frame([[[100, 0, 0], [-100, 0, 0]], [[100, 0, 0], [-100, 0, 0]]], "root_mm")
    poses = VideoPoses.from_frames(VideoInfo("a", (64, 48)), PAIR, [both])
    view = scene_view(poses, perspective=0)
    # From -100 to 1200 + 100 mm.
    assert view.centre_mm[0] == pytest.approx(600, abs=5)
    first, second = view.project(np.array([[0.0, 0, 0], [1200, 0, 0]]), (301, 301))[0].round()
    picture = draw_space(both, view, (301, 301), order=[0, 1])
    assert tuple(picture[int(first[1]), int(first[0])]) == person_colour(0)
    assert tuple(picture[int(second[1]), int(second[0])]) == person_colour(1)


def test_the_scene_holds_everybody_and_the_floor_is_under_the_feet() -> None:
    frames = [frame([[[0, 0, 3000], [2000, 900, 3500]]])]
    view = scene_view(VideoPoses.from_frames(VideoInfo("a", (64, 48)), PAIR, frames))
    assert view.floor_mm == pytest.approx(900, rel=0.02)
    assert view.span_mm == pytest.approx(2000, rel=0.03)
    picture = draw_space(frames[0], view, (200, 200))
    assert (picture != PAPER).any(-1).mean() > 0.01


def test_two_pictures_side_by_side() -> None:
    left, right = np.zeros((40, 30, 3), np.uint8), np.full((80, 20, 3), 255, np.uint8)
    both = beside(left, right)
    assert both.shape == (40, 40, 3)
    assert both[:, :30].max() == 0 and both[:, 30:].min() == 255


def test_flat_poses_are_refused() -> None:
    flat = Poses(np.zeros((1, 2, 2)), np.ones((1, 2)), PAIR)
    boxes = Boxes(np.zeros((1, 4)), np.ones(1))
    with pytest.raises(ShapeError, match="joints in millimetres"):
        draw_space(FramePoses(0, 0.0, np.zeros(1), boxes, flat), FLAT, (50, 50))
    with pytest.raises(ShapeError, match="nobody in space"):
        scene_view(VideoPoses(VideoInfo("a", (64, 48)), PAIR, ()))

"""Following one person by the poses themselves."""

from __future__ import annotations

import numpy as np
import pytest

from chronopose.core.poses import Poses
from chronopose.core.skeleton import Skeleton
from chronopose.pipeline.follow import (
    PersonFollower,
    person_box,
    pose_score,
    search_boxes,
)

STICK = Skeleton("stick", ("head", "neck", "pelvis", "feet"))
SIZE = (640, 360)
WHOLE = [-0.5, -0.5, 639.5, 359.5]


def pose(x: float, y: float, score: float = 0.9) -> Poses:
    """A person of 100 pixels whose head is at x, y; the pelvis 20 px to the right."""
    xy = np.array([[[x, y], [x, y + 20], [x + 20, y + 60], [x, y + 100]]], np.float32)
    return Poses(xy, np.full((1, 4), score, np.float32), STICK)


def together(*poses: Poses) -> Poses:
    return Poses(
        np.concatenate([p.xy for p in poses]), np.concatenate([p.score for p in poses]), STICK
    )


def settled(x: float = 300.0) -> PersonFollower:
    follower = PersonFollower(SIZE)
    for _ in range(3):
        boxes = follower.candidates(0.0)
        assert boxes is not None
        follower.consider(0.0, together(*[pose(x, 100)] * len(boxes)))
    return follower


def test_the_box_of_a_pose_is_its_extent_and_a_fifth() -> None:
    # 20 by 100 pixels about (310, 150), times 1.2.
    box = person_box(pose(300, 100), 0, SIZE)
    np.testing.assert_allclose(box, [298, 90, 322, 210], atol=1e-3)


def test_joints_of_low_score_do_not_stretch_the_box() -> None:
    found = pose(300, 100)
    found.xy[0, 3] = [600, 350]
    found.score[0, 3] = 0.2  # below 0.3 * 0.9
    box = person_box(found, 0, SIZE)
    assert box is not None and box[2] < 330


def test_a_box_stays_inside_the_frame() -> None:
    box = person_box(pose(0, 300), 0, SIZE)
    assert box is not None
    np.testing.assert_allclose(box, [-0.5, 290, 22, 359.5], atol=1e-3)


def test_poses_without_enough_joints_give_no_box() -> None:
    few = pose(300, 100)
    few.score[0, 1:] = 0.0
    unknown = pose(300, 100)
    unknown.xy[:] = np.nan
    collapsed = pose(300, 100)
    collapsed.xy[:] = 7.0
    assert [person_box(p, 0, SIZE) for p in (few, unknown, collapsed)] == [None] * 3


def test_a_score_that_is_no_number_counts_as_zero() -> None:
    found = pose(0, 0)
    found.score[0, 0] = np.nan
    assert pose_score(found)[0] == pytest.approx(0.9 * 3 / 4)


def test_the_search_covers_the_frame_from_edge_to_edge() -> None:
    boxes = search_boxes(SIZE).xyxy
    np.testing.assert_allclose(boxes[0], WHOLE)
    assert boxes[1:, 0].min() == pytest.approx(-0.5)
    assert boxes[1:, 2].max() == pytest.approx(639.5)
    # Neighbours overlap by at least a third of their width of 216.
    assert np.diff(np.sort(boxes[1:, 0])).max() <= 144 + 1e-3


def test_an_upright_frame_is_searched_as_a_whole() -> None:
    assert len(search_boxes((200, 400))) == 1


def test_nobody_known_means_the_whole_frame() -> None:
    np.testing.assert_allclose(PersonFollower(SIZE).box(3.0), WHOLE)


def test_it_closes_in_on_the_best_candidate() -> None:
    follower = PersonFollower(SIZE)
    first = follower.candidates(0.0)
    assert first is not None
    scores = [0.3, 0.8] + [0.4] * (len(first) - 2)
    follower.consider(0.0, together(*[pose(100 * i, 100, s) for i, s in enumerate(scores)]))
    second = follower.candidates(0.0)
    assert second is not None
    np.testing.assert_allclose(second.xyxy, [[98, 90, 122, 210]], atol=1e-3)


def test_the_search_ends_after_three_looks() -> None:
    assert settled().candidates(0.0) is None


def test_it_follows_a_walking_person() -> None:
    follower = settled()
    for i in range(1, 26):
        follower.follow(i / 25, pose(300 + 100 * i / 25, 100))
    # At 1.04 s the head is at 404; the box reaches from 2 px left of it.
    assert follower.box(1.04)[0] == pytest.approx(402, abs=3)


def test_bad_poses_start_a_new_search_from_the_whole_frame() -> None:
    follower = settled()
    times = [i / 25 for i in range(1, 20)]
    for t in times[:5]:
        follower.follow(t, pose(300, 100, 0.9))
    searched = []
    for t in times[5:]:
        follower.follow(t, pose(300, 100, 0.1))
        searched.append(follower.candidates(t) is not None)
    # Three bad frames are not enough while the last search was less than 0.5 s ago.
    assert searched.index(True) == 7
    assert times[5 + 7] == pytest.approx(0.52)


def test_a_person_who_is_not_there_leaves_the_whole_frame() -> None:
    follower = PersonFollower(SIZE)
    boxes = follower.candidates(0.0)
    assert boxes is not None
    nothing = together(*[pose(100, 100, 0.0)] * len(boxes))
    follower.consider(0.0, nothing)
    assert follower.candidates(0.0) is None
    np.testing.assert_allclose(follower.box(0.0), WHOLE)

"""Boxes and poses become people: worlds of moving boxes without pictures."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses
from chronopose.core.skeleton import Skeleton
from chronopose.errors import UsageError
from chronopose.pipeline.associate import Tracker, TrackSettings, pose_box
from chronopose.pipeline.identity import IdentitySettings, oks

SIZE = (640, 360)
STICK = Skeleton("stick", ("head", "neck", "pelvis", "feet"))
WIDTH, HEIGHT = 50.0, 120.0

Walk = Callable[[float], tuple[float, float] | None]
"""Time in seconds -> centre of a person, or None while nobody sees him."""


def box_at(centre: tuple[float, float], scale: float = 1.0) -> np.ndarray:
    half = np.array([WIDTH, HEIGHT]) / 2 * scale
    return np.concatenate([np.array(centre) - half, np.array(centre) + half])


def poses_of(boxes: np.ndarray, lean: np.ndarray | None = None, score: float = 0.9) -> Poses:
    """Four joints down the middle of each box; ``lean`` moves the head sideways."""
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    share = np.array([0.05, 0.2, 0.55, 0.95], np.float32)
    x = np.repeat((boxes[:, :1] + boxes[:, 2:3]) / 2, 4, axis=1)
    y = boxes[:, 1:2] + share * (boxes[:, 3:] - boxes[:, 1:2])
    if lean is not None:
        x = x + np.asarray(lean, np.float32)[:, None] * np.array([1, 0.7, 0.2, 0], np.float32)
    return Poses(np.stack([x, y], -1), np.full(x.shape, score, np.float32), STICK)


def run(
    walks: list[Walk],
    times: list[float],
    settings: TrackSettings | None = None,
    noise_px: float = 0.0,
    size: tuple[int, int] = SIZE,
) -> list[dict[int, int]]:
    """Person id -> index of the nearest walker, a frame."""
    rng = np.random.default_rng(7)
    tracker = Tracker(settings)
    tracker.start(size)
    answers = []
    for t in times:
        truth = [w(t) for w in walks]
        seen = [box_at(c) + rng.normal(size=4) * noise_px for c in truth if c is not None]
        order = rng.permutation(len(seen))
        xyxy = np.array(seen, np.float32).reshape(-1, 4)[order]
        tracked = tracker.update(t, Boxes(xyxy, np.ones(len(xyxy), np.float32)))
        boxes = np.array([b.xyxy for b in tracked], np.float32).reshape(-1, 4)
        ids = tracker.identify(t, tracked, poses_of(boxes))
        frame = {}
        for box, person in zip(boxes, ids.tolist(), strict=True):
            middle = (box[:2] + box[2:]) / 2
            away = [np.inf if c is None else np.hypot(*(middle - c)) for c in truth]
            if person:
                frame[person] = int(np.argmin(away))
        answers.append(frame)
    return answers


def clock(seconds: float, rate_hz: float = 25.0) -> list[float]:
    return [i / rate_hz for i in range(round(seconds * rate_hz))]


def to_the_right(t: float) -> tuple[float, float]:
    return (100 + 110 * t, 180.0)


def to_the_left(t: float) -> tuple[float, float]:
    return (540 - 110 * t, 188.0)


def hidden(walk: Walk, start_s: float, end_s: float) -> Walk:
    return lambda t: None if start_s <= t < end_s else walk(t)


@pytest.mark.parametrize("rate_hz", [6.0, 12.5, 25.0, 60.0])
def test_two_people_cross_and_keep_their_ids(rate_hz: float) -> None:
    frames = run([to_the_right, to_the_left], clock(4, rate_hz), noise_px=1.5)
    assert set().union(*frames) == {1, 2}
    assert frames[-1] == frames[0]
    assert all(len(f) == 2 for f in frames[: len(frames) // 3])


def test_two_people_cross_at_an_uneven_frame_rate() -> None:
    steps = np.random.default_rng(3).choice([0.02, 0.04, 0.08, 0.12], size=60)
    frames = run([to_the_right, to_the_left], np.cumsum(steps).tolist(), noise_px=1.5)
    assert frames[-1] == frames[0]


def test_two_people_cross_while_one_hides_the_other() -> None:
    # They meet at 2 s; the one behind has no box for 0.3 s.
    frames = run([to_the_right, hidden(to_the_left, 1.85, 2.15)], clock(4), noise_px=1.0)
    assert set().union(*frames) == {1, 2}
    assert frames[-1] == frames[0]


def test_a_missing_box_is_bridged_with_a_falling_score() -> None:
    tracker = Tracker()
    tracker.start(SIZE)
    for t in clock(0.4):
        tracker.update(t, Boxes(box_at(to_the_right(t))[None], np.ones(1)))
    gone = [tracker.update(t, Boxes.empty()) for t in (0.4, 0.44, 0.48)]
    scores = [frame[0].score for frame in gone]
    assert scores == sorted(scores, reverse=True)
    # 1 * exp(-0.04 / 0.25) after one frame.
    assert scores[0] == pytest.approx(np.exp(-0.04 / 0.25), rel=1e-6)
    middle = (gone[2][0].xyxy[0] + gone[2][0].xyxy[2]) / 2
    assert middle == pytest.approx(to_the_right(0.48)[0], abs=3.0)


def test_a_bridge_ends_after_its_time() -> None:
    tracker = Tracker(TrackSettings(bridge_s=0.2))
    tracker.start(SIZE)
    tracker.update(0.0, Boxes(box_at((300, 180))[None], np.ones(1)))
    assert len(tracker.update(0.2, Boxes.empty())) == 1
    assert tracker.update(0.24, Boxes.empty()) == []
    assert tracker.alive == set()


def test_a_person_who_leaves_the_frame_is_not_bridged() -> None:
    tracker = Tracker()
    tracker.start(SIZE)
    for t in clock(0.4):
        tracker.update(t, Boxes(box_at((600 + 100 * t, 180))[None], np.ones(1)))
    assert tracker.update(0.6, Boxes.empty()) == []


@pytest.mark.parametrize("gap_s", [0.2, 0.5, 1.2])
def test_a_lost_person_comes_back_under_the_same_id(gap_s: float) -> None:
    slow: Walk = lambda t: (200 + 20 * t, 180.0)  # noqa: E731
    frames = run([hidden(slow, 1.0, 1.0 + gap_s)], clock(3))
    assert frames[-1] == {1: 0}


def test_somebody_far_away_after_a_gap_is_somebody_new() -> None:
    first = hidden(lambda t: (150.0, 180.0), 1.0, 99)
    second = hidden(lambda t: (520.0, 180.0), -1, 1.6)
    frames = run([first, second], clock(3))
    assert frames[0] == {1: 0}
    assert frames[-1] == {2: 1}


def test_ids_are_never_used_again() -> None:
    walks = [hidden(hidden(lambda t, x=x: (x, 180.0), -1, s), s + 0.5, 99)
             for x, s in ((100.0, 0.0), (300.0, 4.0), (500.0, 8.0), (100.0, 12.0))]  # fmt: skip
    frames = run(walks, clock(13))
    first_seen = {p: i for i, f in reversed(list(enumerate(frames))) for p in f}
    assert list(first_seen) and sorted(first_seen) == [1, 2, 3, 4]
    assert sorted(first_seen, key=lambda p: first_seen[p]) == [1, 2, 3, 4]


def test_the_memory_of_lost_people_is_bounded() -> None:
    tracker = Tracker(TrackSettings(identity=IdentitySettings(relink_s=1.0)))
    tracker.start(SIZE)
    for i in range(60):
        box = box_at((60 + 500 * (i % 2), 180))[None] if i % 2 else box_at((60, 180))[None]
        tracked = tracker.update(i * 1.5, Boxes(box, np.ones(1)))
        tracker.identify(i * 1.5, tracked, poses_of(box))
    assert len(tracker._people._people) <= 2


def test_an_unsure_box_continues_a_person_but_makes_none() -> None:
    tracker = Tracker(TrackSettings(start_score=0.5))
    tracker.start(SIZE)
    box = box_at((300, 180))[None]
    assert tracker.update(0.0, Boxes(box, np.array([0.2]))) == []
    started = tracker.update(0.04, Boxes(box, np.array([0.8])))
    kept = tracker.update(0.08, Boxes(box, np.array([0.2])))
    assert [t.uid for t in kept] == [t.uid for t in started]
    assert kept[0].score == pytest.approx(0.2)
    assert kept[0].decay == 1.0


def test_a_track_must_be_seen_often_enough_to_become_a_person() -> None:
    frames = run([lambda t: (300.0, 180.0)], clock(0.2), TrackSettings(min_hits=3))
    assert frames[:3] == [{}, {}, {1: 0}]


def test_two_boxes_on_one_person_are_one_person() -> None:
    tracker = Tracker()
    tracker.start(SIZE)
    twice = np.stack([box_at((300, 180)), box_at((304, 182), scale=1.1)])
    tracked = tracker.update(0.0, Boxes(twice, np.array([0.9, 0.8])))
    same = poses_of(np.stack([twice[0], twice[0] + 1.0]))
    assert tracker.identify(0.0, tracked, same).tolist() == [1, 0]


def test_a_box_around_two_people_is_nobody_of_its_own() -> None:
    tracker = Tracker()
    tracker.start(SIZE)
    left, right = box_at((280, 180)), box_at((380, 180))
    around = np.concatenate([left[:2], right[2:]])
    xyxy = np.stack([left, right, around])
    tracked = tracker.update(0.0, Boxes(xyxy, np.array([0.9, 0.8, 0.7])))
    poses = poses_of(xyxy)
    mixed = poses.xy.copy()
    mixed[2, :2], mixed[2, 2:] = mixed[0, :2], mixed[1, 2:]  # one's head on the other's legs
    found = tracker.identify(0.0, tracked, Poses(mixed, poses.score, STICK))
    assert found.tolist() == [1, 2, 0]


def test_a_tree_is_nobody_while_its_joints_are_unsure() -> None:
    settings = TrackSettings(identity=IdentitySettings(least_pose=0.45))
    tracker = Tracker(settings)
    tracker.start(SIZE)
    xyxy = np.stack([box_at((150, 180)), box_at((480, 180))])
    for i in range(4):
        tracked = tracker.update(i * 0.04, Boxes(xyxy, np.array([0.9, 0.8])))
        poses = poses_of(xyxy)
        poses.score[1] = 0.3
        assert tracker.identify(i * 0.04, tracked, poses).tolist() == [1, 0]


def test_one_unsure_pose_does_not_hide_a_person_who_was_sure_before() -> None:
    settings = TrackSettings(identity=IdentitySettings(least_pose=0.45))
    tracker = Tracker(settings)
    tracker.start(SIZE)
    xyxy = box_at((300, 180))[None]
    for i, score in enumerate((0.9, 0.9, 0.1, 0.9)):
        tracked = tracker.update(i * 0.04, Boxes(xyxy, np.ones(1)))
        # after the third frame the mean is 0.9 x 0.8 + 0.1 x 0.2 = 0.74
        assert tracker.identify(i * 0.04, tracked, poses_of(xyxy, score=score)).tolist() == [1]


def test_the_last_pose_pulls_a_trembling_box_back() -> None:
    settings = TrackSettings(pose_share=0.5)
    tracker = Tracker(settings)
    tracker.start(SIZE)
    still = box_at((300, 180))
    poses = poses_of(still[None])
    around = pose_box(poses.xy[0], poses.score[0])
    assert around is not None
    tracker.identify(0.0, tracker.update(0.0, Boxes(still[None], np.ones(1))), poses)
    wide = still + np.array([-20.0, 0, 20, 0])
    shown = tracker.update(0.04, Boxes(wide[None], np.ones(1)))[0].xyxy
    np.testing.assert_allclose(shown, (wide + around) / 2, atol=0.5)


def test_there_is_no_box_around_a_pose_that_is_half_unknown() -> None:
    pose = poses_of(box_at((300, 180))[None])
    score = pose.score[0].copy()
    score[:2] = 0.1
    assert pose_box(pose.xy[0], score) is None


def test_poses_undo_an_exchange_of_boxes() -> None:
    # The boxes of two people change places in one frame, but the poses do not.
    tracker = Tracker()
    tracker.start(SIZE)
    here, there = box_at((280, 180)), box_at((330, 180))
    both = np.stack([here, there])
    for i in range(5):
        tracked = tracker.update(i * 0.04, Boxes(both, np.ones(2)))
        before = tracker.identify(i * 0.04, tracked, poses_of(both))
    tracked = tracker.update(0.2, Boxes(both, np.ones(2)))
    after = tracker.identify(0.2, tracked, poses_of(both[::-1]))
    assert before.tolist() == [1, 2]
    assert after.tolist() == [2, 1]


def test_given_ids_are_respected_and_nothing_is_bridged() -> None:
    tracker = Tracker()
    tracker.start(SIZE)
    both = np.stack([box_at((100, 180)), box_at((500, 180))])
    tracked = tracker.update(0.0, Boxes(both, np.ones(2)), np.array([70, 4]))
    assert tracker.identify(0.0, tracked, poses_of([t.xyxy for t in tracked])).tolist() == [4, 70]
    # The two exchange their places at once: only the given ids can know that.
    tracked = tracker.update(0.04, Boxes(both[::-1], np.ones(2)), np.array([70, 4]))
    assert [(t.uid, float(t.xyxy[0])) for t in tracked] == [(4, 75.0), (70, 475.0)]
    assert [t.uid for t in tracker.update(0.08, Boxes(both[:1], np.ones(1)), np.array([4]))] == [4]


def test_an_id_given_twice_in_a_frame_goes_to_the_better_box() -> None:
    tracker = Tracker()
    tracker.start(SIZE)
    both = np.stack([box_at((100, 180)), box_at((500, 180))])
    tracked = tracker.update(0.0, Boxes(both, np.array([0.4, 0.9])), np.array([5, 5]))
    assert [(t.uid, float(t.xyxy[0])) for t in tracked] == [(5, 475.0)]


def test_boxes_without_area_or_outside_the_frame_are_left_out() -> None:
    tracker = Tracker()
    tracker.start(SIZE)
    strange = np.array([[10, 10, 10, 90], [-300, 10, -200, 90], [900, 10, 950, 90]], np.float32)
    assert tracker.update(0.0, Boxes(strange, np.ones(3))) == []


def test_a_frame_without_anybody_is_no_trouble() -> None:
    tracker = Tracker()
    tracker.start(SIZE)
    assert tracker.update(0.0, Boxes.empty()) == []
    assert tracker.identify(0.0, [], poses_of(np.zeros((0, 4)))).tolist() == []


def test_the_same_boxes_give_the_same_ids_every_time() -> None:
    walks = [to_the_right, to_the_left, hidden(lambda t: (320.0, 60.0), 1, 1.5)]
    assert run(walks, clock(3), noise_px=2) == run(walks, clock(3), noise_px=2)


def test_oks_of_two_poses_is_worked_out_by_hand() -> None:
    one = np.zeros((4, 2))
    # Area 100, sigma 0.079: spread 2 * 100 * 0.158^2 = 4.9928; one joint is off by 3 px.
    other = one.copy()
    other[0, 0] = 3.0
    assert oks(one, other, 100.0, STICK) == pytest.approx((3 + np.exp(-9 / 4.9928)) / 4)


def test_poses_without_a_common_joint_are_not_alike() -> None:
    assert oks(np.full((4, 2), np.nan), np.zeros((4, 2)), 100.0, STICK) == 0.0


@pytest.mark.parametrize("bad", [{"bridge_s": -1.0}, {"decay_s": 0.0}, {"min_hits": 0}])
def test_impossible_settings_are_refused(bad: dict) -> None:
    with pytest.raises(UsageError, match=next(iter(bad))):
        TrackSettings(**bad)

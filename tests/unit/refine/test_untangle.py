"""untangle: who is who after two people met, by the colours of what they wear."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest

from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses
from chronopose.core.skeletons import LSP14
from chronopose.core.tracks import PersonTrack, VideoPoses
from chronopose.core.video import VideoInfo
from chronopose.errors import ShapeError, UsageError, VideoError
from chronopose.refine import EditLog, UntangleSettings, undo, untangle
from chronopose.refine._tracks import join_tracks
from chronopose.refine.untangle import LEVELS, histograms

RATE, FRAMES = 25.0, 60
SIZE = (320, 120)
HALF = np.array([15.0, 40.0])
RED, GREEN, BLUE = (200, 30, 30), (30, 200, 30), (30, 30, 200)


@dataclass(frozen=True)
class Shown:
    index: int
    image: np.ndarray


def passing(person: int) -> np.ndarray:
    """``(F, 2)`` centres: 1 goes right, 2 goes left; they are one behind the other in frame 30."""
    step = np.arange(FRAMES) - 30.0
    return np.stack([160 + (4 if person == 1 else -4) * step, np.full(FRAMES, 60.0)], -1)


def turning(person: int) -> np.ndarray:
    """They come as near, and go back where they came from."""
    way = passing(person)
    away = np.abs(way[:, 0] - 160)
    return np.stack([160 + (-1 if person == 1 else 1) * away, way[:, 1]], -1)


def track(person: int, way: np.ndarray, rows: slice = slice(None)) -> PersonTrack:
    index = np.arange(FRAMES)[rows]
    centre = way[rows]
    boxes = np.concatenate([centre - HALF, centre + HALF], -1).astype(np.float32)
    joints = centre[:, None] + np.linspace(-1, 1, 14)[:, None] * HALF
    poses = Poses(joints.astype(np.float32), np.full((len(index), 14), 0.9, np.float32), LSP14)
    ones = np.ones(len(index), np.float32)
    return PersonTrack(person, index, index / RATE, Boxes(boxes, ones), poses)


def video(*tracks: PersonTrack) -> VideoPoses:
    every = np.arange(FRAMES)
    return VideoPoses(VideoInfo("v", SIZE), LSP14, tracks, (), every, every / RATE)


def film(ways: dict[int, np.ndarray], colours: dict[int, tuple[int, int, int]]) -> Iterator[Shown]:
    for frame in range(FRAMES):
        image = np.full((SIZE[1], SIZE[0], 3), 120, np.uint8)
        for person, way in ways.items():
            (x0, y0), (x1, y1) = ((way[frame] + sign * HALF).astype(int) for sign in (-1, 1))
            image[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)] = colours[person]
        yield Shown(frame, image)


def exchanged(poses: VideoPoses, at: int) -> VideoPoses:
    one, two = poses.tracks
    parts = [(t.select(t.frame_index < at), t.select(t.frame_index >= at)) for t in (one, two)]
    return replace(
        poses,
        tracks=(
            join_tracks([parts[0][0], replace(parts[1][1], track_id=one.track_id)]),
            join_tracks([parts[1][0], replace(parts[0][1], track_id=two.track_id)]),
        ),
    )


def same(one: VideoPoses, other: VideoPoses) -> bool:
    return one.ids.tolist() == other.ids.tolist() and all(
        np.array_equal(one.person(i).poses.xy, other.person(i).poses.xy)
        and np.array_equal(one.person(i).frame_index, other.person(i).frame_index)
        for i in one.ids.tolist()
    )


@pytest.mark.parametrize("way", [passing, turning])
@pytest.mark.parametrize("at", [27, 30, 34])
def test_ids_come_back_whether_people_passed_or_turned(way, at: int) -> None:
    ways = {1: way(1), 2: way(2)}
    truth = video(*(track(i, w) for i, w in ways.items()))
    log = EditLog()
    wrong = exchanged(truth, at)
    after = untangle(wrong, film(ways, {1: RED, 2: BLUE}), log=log)
    # People who turn are exchanged without a jump: then any moment of the meeting will do.
    free = 30 + 12
    for person in (1, 2):
        a, b = after.person(person), truth.person(person)
        assert np.array_equal(a.poses.xy[free:], b.poses.xy[free:])
    if way is passing:
        assert same(after, truth)
    assert {(e.action, e.person_id, e.person_id_before) for e in log} == {
        ("relinked", 1, 2), ("relinked", 2, 1),
    }  # fmt: skip
    assert "met person" in next(iter(log)).reason and "colours" in next(iter(log)).reason
    assert same(undo(after, log), wrong)
    assert after.history[-1].step == "untangle"


@pytest.mark.parametrize("way", [passing, turning])
@pytest.mark.parametrize("colours", [{1: RED, 2: BLUE}, {1: GREEN, 2: GREEN}])
def test_right_ids_stay_and_so_do_those_of_people_in_one_dress(way, colours) -> None:
    ways = {1: way(1), 2: way(2)}
    truth, log = video(*(track(i, w) for i, w in ways.items())), EditLog()
    assert same(untangle(truth, film(ways, colours), log=log), truth)
    assert len(log) == 0
    if colours[1] == colours[2]:
        wrong = exchanged(truth, 30)
        assert same(untangle(wrong, film(ways, colours)), wrong)


def test_somebody_who_was_hidden_meanwhile_and_came_back_as_the_other_is_found_out() -> None:
    ways = {1: passing(1), 2: passing(2)}
    one = track(1, ways[1])
    hidden = np.r_[0:26, 35:60]
    two = track(2, ways[2]).select(np.isin(np.arange(FRAMES), hidden))
    truth = video(one, two)
    after = untangle(exchanged(truth, 35), film(ways, {1: RED, 2: BLUE}))
    assert np.array_equal(after.person(1).poses.xy[-20:], one.poses.xy[-20:])
    assert np.array_equal(after.person(2).poses.xy[-20:], two.poses.xy[-20:])


def test_two_meetings_in_a_row_are_taken_one_after_the_other() -> None:
    step = np.arange(FRAMES) - 30.0
    swing = 60 * np.sin(step / 30 * np.pi)  # they pass each other in frames 0, 30 and 60
    ways = {
        1: np.stack([160 + swing, np.full(FRAMES, 60.0)], -1),
        2: np.stack([160 - swing, np.full(FRAMES, 60.0)], -1),
    }
    truth = video(*(track(i, w) for i, w in ways.items()))
    log = EditLog()
    after = untangle(exchanged(truth, 30), film(ways, {1: RED, 2: BLUE}), log=log)
    assert same(after, truth)
    assert len(log) == 2


def test_long_meetings_and_little_seen_people_are_left_alone() -> None:
    ways = {1: passing(1), 2: passing(2)}
    wrong = exchanged(video(*(track(i, w) for i, w in ways.items())), 30)
    colours = {1: RED, 2: BLUE}
    short = UntangleSettings(max_meeting_s=0.1)
    assert same(untangle(wrong, film(ways, colours), short), wrong)
    late = video(*(t.select(t.frame_index >= 25) for t in wrong.tracks))
    assert same(untangle(late, film(ways, colours)), late)


def test_what_lies_in_somebody_elses_box_or_outside_the_picture_is_not_counted() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    image[:, 50:] = (255, 255, 255)
    box, nobody = np.array([30.0, 0, 70, 100]), np.zeros((0, 4))
    black, white = 0, LEVELS**3 - 1
    # The middle half of the box: columns 40 to 60, half of them black.
    both = histograms(image, box, nobody)
    assert both[:, black] == pytest.approx([0.5, 0.5]) and both[:, white] == pytest.approx(
        [0.5] * 2
    )
    right = np.array([[50.0, 0, 100, 100]])
    assert histograms(image, box, right)[:, black] == pytest.approx([1, 1])
    legs = np.array([[0.0, 51, 100, 100]])
    seen = histograms(image, box, legs)
    assert np.isfinite(seen[0]).all() and np.isnan(seen[1]).all()
    assert np.isnan(histograms(image, box + 200, nobody)).all()


def test_what_cannot_be_is_refused() -> None:
    ways = {1: passing(1), 2: passing(2)}
    poses = video(*(track(i, w) for i, w in ways.items()))
    with pytest.raises(UsageError, match="touch"):
        UntangleSettings(touch=1.0)
    with pytest.raises(UsageError, match="look_s"):
        UntangleSettings(look_s=0)
    with pytest.raises(VideoError, match="another video"):
        untangle(poses, list(film(ways, {1: RED, 2: BLUE}))[:20])
    crop = replace(poses.tracks[0], poses=replace(poses.tracks[0].poses, space="crop_px"))
    with pytest.raises(ShapeError, match="before lifting"):
        untangle(replace(poses, tracks=(crop,)), film(ways, {1: RED, 2: BLUE}))

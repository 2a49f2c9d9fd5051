"""Ids for people who were found frame by frame: boxes and poses are given, who is who is not."""

from __future__ import annotations

import numpy as np
from dot_world import DOTS, box_of, joints_of

from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses
from chronopose.core.tracks import FramePoses
from chronopose.pipeline.associate import TrackSettings
from chronopose.pipeline.link import link_people

SIZE = (320, 180)
Spot = tuple[float, float]


def frame(number: int, spots: list[Spot], scores: list[float] | None = None) -> FramePoses:
    """People who stand at these spots in frame ``number`` of a video of 25 frames a second."""
    count = len(spots)
    xyxy = np.array([box_of(s) for s in spots], np.float32).reshape(-1, 4)
    xy = np.array([joints_of(s) for s in spots], np.float32).reshape(-1, 3, 2)
    boxes = Boxes(xyxy, np.array(scores or [1.0] * count, np.float32))
    poses = Poses(xy, np.full((count, 3), 0.9, np.float32), DOTS)
    return FramePoses(number, number / 25, np.arange(count), boxes, poses)


def test_two_people_who_cross_keep_their_ids_whatever_the_order_of_their_boxes() -> None:
    # 5 px a frame from either side: they stand in one place in frame 20.
    frames, swapped = [], []
    for n in range(41):
        spots = [(60.0 + 5 * n, 90.0), (260.0 - 5 * n, 96.0)]
        turned = n % 3 == 1
        frames.append(frame(n, spots[::-1] if turned else spots))
        swapped.append(turned)
    found = link_people(frames, SIZE)
    for ids, turned in zip(found, swapped, strict=True):
        assert ids.tolist() == ([2, 1] if turned else [1, 2])


def test_frames_may_be_missing_as_gaps_count_in_seconds() -> None:
    # Every fourth frame is labelled, as in the videos of PoseTrack.
    frames = [frame(n, [(60.0 + 2 * n, 90.0), (260.0 - 2 * n, 90.0)]) for n in range(0, 41, 4)]
    assert [ids.tolist() for ids in link_people(frames, SIZE)] == [[1, 2]] * 11


def test_somebody_who_is_not_found_for_a_while_comes_back_under_the_same_id() -> None:
    frames = [frame(n, [] if 10 <= n < 16 else [(100.0 + n, 90.0)]) for n in range(30)]
    found = link_people(frames, SIZE)
    assert [ids.tolist() for ids in found[10:16]] == [[]] * 6
    assert {int(ids[0]) for n, ids in enumerate(found) if not 10 <= n < 16} == {1}


def test_everybody_has_an_id_also_doubles_unsure_boxes_and_those_outside_the_frame() -> None:
    spots = [(100.0, 90.0), (100.0, 90.0), (200.0, 90.0), (900.0, 90.0)]
    frames = [frame(n, spots, [0.9, 0.9, 0.01, 0.9]) for n in range(3)]
    found = link_people(frames, SIZE)
    # Three tracks; who is outside has no track, so nobody knows that it is the same one again.
    assert [ids.tolist() for ids in found] == [[1, 2, 3, 4], [1, 2, 3, 5], [1, 2, 3, 6]]


def test_settings_of_the_tracker_decide_who_is_followed() -> None:
    # An unsure box starts no track: its person is somebody new in every frame.
    frames = [frame(n, [(100.0, 90.0), (200.0, 90.0)], [0.9, 0.1]) for n in range(3)]
    found = link_people(frames, SIZE, TrackSettings(start_score=0.3))
    assert [ids.tolist() for ids in found] == [[1, 2], [1, 3], [1, 4]]


def test_a_video_without_people_has_no_ids() -> None:
    assert [ids.tolist() for ids in link_people([frame(0, []), frame(1, [])], SIZE)] == [[], []]
    assert link_people([], SIZE) == []

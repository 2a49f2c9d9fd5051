"""stitch: who vanished and who appeared are the same person, if motion, size and pose say so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses
from chronopose.core.skeletons import LSP14
from chronopose.core.tracks import PersonTrack, VideoPoses
from chronopose.core.video import VideoInfo
from chronopose.errors import ShapeError, UsageError
from chronopose.refine import EditLog, StitchSettings, stitch, undo

RATE = 25.0
STANDING = np.stack([np.linspace(-20, 20, 14), np.linspace(-90, 90, 14)], -1)


def track(
    person: int,
    frames: range,
    start: float = 100.0,
    speed: float = 100.0,
    height: float = 200.0,
    pose: Any = STANDING,
) -> PersonTrack:
    """Somebody who walks to the right: centre x = start + speed * time, px and px / s."""
    index = np.array(frames)
    centre = np.stack([start + speed * index / RATE, np.full(len(index), 180.0)], -1)
    half = np.array([height / 4, height / 2])
    boxes = np.concatenate([centre - half, centre + half], -1).astype(np.float32)
    xy = centre[:, None] + np.asarray(pose) * height / 200
    poses = Poses(xy.astype(np.float32), np.full((len(index), 14), 0.8, np.float32), LSP14)
    return PersonTrack(
        person, index, index / RATE, Boxes(boxes, np.ones(len(index), np.float32)), poses
    )


def video(*tracks: PersonTrack) -> VideoPoses:
    every = np.arange(100)
    return VideoPoses(VideoInfo("v", (640, 360)), LSP14, tracks, (), every, every / RATE)


def test_somebody_who_walks_on_keeps_the_id_and_the_log_says_why() -> None:
    before, log = video(track(2, range(20)), track(5, range(25, 40))), EditLog()
    after = stitch(before, log=log)
    assert after.ids.tolist() == [2]
    assert after.person(2).frame_index.tolist() == [*range(20), *range(25, 40)]
    (edit,) = log
    assert (edit.person_id, edit.person_id_before, edit.joint) == (2, 5, "")
    assert (edit.frame_index, edit.until_frame) == (25, 39)
    assert edit.reason.startswith("gap 0.240 s")  # six frames at 25 a second
    back = undo(after, log)
    assert back.ids.tolist() == [2, 5]
    np.testing.assert_array_equal(back.person(5).poses.xy, before.person(5).poses.xy)
    assert after.history[-1].step == "stitch"


def test_a_chain_of_three_parts_becomes_one_person() -> None:
    parts = video(track(9, range(10)), track(4, range(12, 20)), track(6, range(24, 30)))
    log = EditLog()
    after = stitch(parts, log=log)
    assert after.ids.tolist() == [9]
    assert len(after.person(9)) == 24
    assert sorted(undo(after, log).ids.tolist()) == [4, 6, 9]


@pytest.mark.parametrize(
    "other",
    [
        track(5, range(50, 60)),  # 1.24 s later
        track(5, range(25, 40), start=250.0),  # 150 px beside, more than one body's width
        track(5, range(25, 40), height=400.0),  # twice as tall
        track(5, range(25, 40), pose=STANDING[:, ::-1] * [1, 1]),  # lies on the floor
    ],
    ids=["late", "far", "tall", "lying"],
)
def test_somebody_else_stays_somebody_else(other: PersonTrack) -> None:
    before, log = video(track(2, range(20)), other), EditLog()
    assert stitch(before, log=log).ids.tolist() == [2, 5]
    assert len(log) == 0


def test_motion_tells_two_people_apart_who_crossed_in_the_gap() -> None:
    # They meet at x = 200 after one second; both are lost from frame 23 to 27.
    before = video(
        track(1, range(23), 100, 100), track(2, range(23), 300, -100),
        track(3, range(28, 45), 300, -100), track(4, range(28, 45), 100, 100),
    )  # fmt: skip
    after = stitch(before, settings=StitchSettings(margin=0.0, steady_s=3.0))
    assert after.ids.tolist() == [1, 2]
    assert after.person(1).boxes.xyxy[-1, 0] > after.person(2).boxes.xyxy[-1, 0]


def test_where_two_answers_are_alike_nothing_is_joined() -> None:
    before = video(
        track(1, range(20), 100, 0), track(2, range(25, 40), 110, 0),
        track(3, range(25, 40), 90, 0),
    )  # fmt: skip
    assert stitch(before).ids.tolist() == [1, 2, 3]
    # With no margin either will do.
    assert len(stitch(before, StitchSettings(margin=0.0))) == 2


def test_people_who_are_there_together_are_never_joined() -> None:
    before = video(track(1, range(20)), track(2, range(10, 30)), track(3, range(0, 20), 101))
    assert stitch(before).ids.tolist() == [1, 2, 3]


def test_a_pose_of_which_nothing_is_known_does_not_stand_in_the_way() -> None:
    second = track(5, range(25, 40))
    unknown = np.full_like(second.poses.xy, np.nan)
    second = replace(second, poses=replace(second.poses, xy=unknown, visible=None))
    assert stitch(video(track(2, range(20)), second)).ids.tolist() == [2]


def test_nobody_one_frame_and_whole_tracks_pass() -> None:
    assert len(stitch(video())) == 0
    assert len(stitch(video(track(1, range(1))))) == 1
    whole = video(track(1, range(100)), track(2, range(100), 400, 0))
    np.testing.assert_array_equal(stitch(whole).person(2).poses.xy, whole.person(2).poses.xy)


def test_poses_in_space_are_refused() -> None:
    flat = track(1, range(3))
    deep = Poses(np.zeros((3, 14, 3), np.float32), flat.poses.score, LSP14, "root_mm")
    with pytest.raises(ShapeError, match="Stitch before lifting"):
        stitch(video(replace(flat, poses=deep)))


@pytest.mark.parametrize(
    "wrong", [{"max_gap_s": 0}, {"max_size_ratio": 0.5}, {"margin": -1}, {"max_pose": np.nan}]
)
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        StitchSettings(**wrong)

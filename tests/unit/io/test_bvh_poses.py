"""People in space as BVH figures: forward kinematics gives the bones' directions back."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses
from chronopose.core.skeletons import COCO17, H36M17
from chronopose.core.tracks import PersonTrack, VideoPoses
from chronopose.core.video import VideoInfo
from chronopose.errors import FormatError
from chronopose.io.bvh import read_bvh
from chronopose.io.bvh_poses import (
    bvh_of_track,
    figure_of,
    rest_direction,
    shortest_turn,
    write_bvh_poses,
)
from chronopose.io.poses import FormatLoss

STEP_S = 0.04
UP = np.array([1.0, -1.0, -1.0])


def random_person(track_id: int = 0, count: int = 30, seed: int = 0) -> PersonTrack:
    """Bones of fixed lengths in slowly changing random directions; camera millimetres."""
    rng = np.random.default_rng(seed)
    names, parents = figure_of(H36M17)
    xyz = np.zeros((count, 17, 3))
    xyz[:, 0] = np.linspace([0, 0, 4000], [900, 0, 5000], count)
    for joint, parent in enumerate(parents):
        if parent < 0:
            continue
        ends = rng.normal(0, 1, (3, 3))
        way = np.stack([np.interp(np.arange(count), [0, count / 2, count], e) for e in ends.T], -1)
        way += 0.8 * rest_direction(names[joint]) * UP
        way /= np.linalg.norm(way, axis=-1, keepdims=True)
        xyz[:, joint] = xyz[:, parent] + way * rng.uniform(100, 400)
    order = [names.index(j) for j in H36M17.joints]
    joints = Poses(
        xyz[:, order].astype(np.float32), np.ones((count, 17), np.float32), H36M17, "camera_mm"
    )
    boxes = Boxes(np.tile([0, 0, 9, 9.0], (count, 1)), np.ones(count))
    return PersonTrack(track_id, np.arange(count), STEP_S * np.arange(count), boxes, joints)


def people(*tracks: PersonTrack) -> VideoPoses:
    return VideoPoses(VideoInfo("walk.mp4", (640, 480)), H36M17, tracks)


def bones(xyz: np.ndarray, joints: tuple[str, ...]) -> np.ndarray:
    """``(F, 16, 3)`` directions of the limbs of h36m17, by joint names."""
    pairs = [(joints.index(a), joints.index(b)) for a, b in H36M17.limbs]
    found = np.stack([xyz[:, b] - xyz[:, a] for a, b in pairs], axis=1)
    return found / np.linalg.norm(found, axis=-1, keepdims=True)


def test_forward_kinematics_of_the_file_gives_every_bone_its_direction(tmp_path: Path) -> None:
    track = random_person()
    write_bvh_poses(people(track), tmp_path / "walk.bvh")
    motion = read_bvh(tmp_path / "walk.bvh")
    places, _ = motion.world()
    assert len(motion) == 30
    assert motion.frame_time_s == pytest.approx(STEP_S)
    expected = bones(track.poses.xy * UP, H36M17.joints)
    np.testing.assert_allclose(bones(places, motion.joints), expected, atol=2e-5)
    # These bones are stiff, so the joints come back, too: centimetres with y up.
    order = [motion.joints.index(j) for j in H36M17.joints]
    np.testing.assert_allclose(places[:, order], track.poses.xy * UP / 10, atol=0.01)


def test_bones_are_as_long_as_the_median_of_the_clip() -> None:
    track = random_person()
    xyz = track.poses.xy.copy()
    wrist, elbow = H36M17.index("left_wrist"), H36M17.index("left_elbow")
    xyz[:10, wrist] += 0.5 * (xyz[:10, wrist] - xyz[:10, elbow])
    longer = Poses(xyz, track.poses.score, H36M17, "camera_mm")
    lengths = np.linalg.norm(track.poses.xy[0, wrist] - track.poses.xy[0, elbow])
    moved = PersonTrack(0, track.frame_index, track.time_s, track.boxes, longer)
    motion = bvh_of_track(moved)
    offset = motion.offsets[motion.joints.index("left_wrist")]
    np.testing.assert_allclose(offset, [lengths / 10, 0, 0], atol=1e-4)


def test_a_person_in_the_rest_pose_is_not_turned() -> None:
    names, parents = figure_of(H36M17)
    xyz = np.zeros((2, 17, 3))
    for joint, parent in enumerate(parents[1:], 1):
        xyz[:, joint] = xyz[:, parent] + 200 * rest_direction(names[joint]) * UP
    order = [names.index(j) for j in H36M17.joints]
    joints = Poses(
        xyz[:, order].astype(np.float32), np.ones((2, 17), np.float32), H36M17, "root_mm"
    )
    boxes = Boxes(np.zeros((2, 4)), np.ones(2))
    motion = bvh_of_track(PersonTrack(0, np.arange(2), np.array([0, 0.1]), boxes, joints))
    np.testing.assert_allclose(motion.values, 0, atol=1e-4)
    # Left is +x for somebody who faces +z, the viewer.
    at = motion.offsets[motion.joints.index("left_elbow")]
    np.testing.assert_allclose(at, [20, 0, 0], atol=1e-4)


def test_shortest_turns_by_hand() -> None:
    x = np.array([1.0, 0, 0])
    quarter, half, none = shortest_turn(x, np.array([[0.0, 5, 0], [-2, 0, 0], [0, 0, 0]]))
    np.testing.assert_allclose(quarter, [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-12)
    np.testing.assert_allclose(half @ x, [-1, 0, 0], atol=1e-12)
    assert np.linalg.det(half) == pytest.approx(1)
    np.testing.assert_allclose(none, np.eye(3), atol=1e-12)


def test_angles_do_not_jump_by_a_whole_turn() -> None:
    track = random_person(count=60)
    angle = np.linspace(0, 4 * np.pi, 60)
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    still = np.repeat(track.poses.xy[:1].astype(np.float64), 60, axis=0)
    still -= still[:, :1]
    xyz = still.copy()
    xyz[..., 0] = cos * still[..., 0] + sin * still[..., 2]
    xyz[..., 2] = cos * still[..., 2] - sin * still[..., 0]
    turned = Poses(xyz.astype(np.float32), track.poses.score, H36M17, "root_mm")
    motion = bvh_of_track(PersonTrack(0, track.frame_index, track.time_s, track.boxes, turned))
    # Twice around the vertical in 60 frames: 12 degrees a frame.
    steps = np.diff(motion.values[:, 3:6], axis=0)
    assert np.abs(steps).max() < 30
    assert abs(motion.values[-1, 5] - motion.values[0, 5]) == pytest.approx(720, abs=1e-3)


def test_gaps_are_bridged_and_said() -> None:
    track = random_person().select(np.r_[0:10, 20:30])
    with pytest.warns(FormatLoss, match="person 0: a gap is bridged"):
        motion = bvh_of_track(track)
    assert len(motion) == 30
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(bvh_of_track(random_person())) == 30


def test_several_people_become_several_files(tmp_path: Path) -> None:
    both = people(random_person(2), random_person(7, seed=1))
    files = write_bvh_poses(both, tmp_path / "walk.bvh")
    assert [f.name for f in files] == ["walk_2.bvh", "walk_7.bvh"]
    assert sorted(f.name for f in tmp_path.iterdir()) == ["walk_2.bvh", "walk_7.bvh"]


def test_what_is_no_figure_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no pelvis"):
        figure_of(COCO17)
    with pytest.raises(FormatError, match="nobody"):
        write_bvh_poses(people(), tmp_path / "walk.bvh")
    track = random_person(count=2)
    flat = Poses(track.poses.xy[..., :2], track.poses.score, H36M17)
    with pytest.raises(FormatError, match="chronopose lift"):
        bvh_of_track(PersonTrack(0, track.frame_index, track.time_s, track.boxes, flat))

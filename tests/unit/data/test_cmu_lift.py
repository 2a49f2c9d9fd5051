"""CMU-Lift: its files, cameras, joints and disturbances."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from lift_worlds import clips, performance, write_swinging
from numpy.testing import assert_allclose

from chronopose.core.skeletons import H36M17
from chronopose.data.cmu_lift import (
    FOUR_VIEWS,
    draw_views,
    film,
    frozen_motions,
    read_cmu_lift,
    read_own_motion,
    read_performance,
)
from chronopose.errors import FormatError, UsageError


def bone(xyz: np.ndarray, one: str, other: str) -> np.ndarray:
    return np.linalg.norm(xyz[:, H36M17.index(one)] - xyz[:, H36M17.index(other)], axis=-1)


def test_nobody_of_the_test_is_in_training() -> None:
    people = {s: {m.subject.lstrip("0") for m in frozen_motions(s)} for s in ("train", "test")}
    assert people["test"] == {"3", "5", "6", "7"}
    assert not people["train"] & people["test"]
    with pytest.raises(UsageError, match="train and test"):
        frozen_motions("val")


def test_a_standing_person_is_in_the_middle_of_all_four_pictures() -> None:
    for clip in clips(frames=3):
        # Five metres away and 1.7 m tall at 1145 px: about 390 px, a little less from above.
        assert 350 < np.ptp(clip.xy[0, :, 1]) < 400
        assert_allclose(clip.xy[0, 0, 0], 499.5, atol=1e-3)
        assert_allclose(np.median(clip.xyz[..., 2]), 5.0, atol=0.1)
        # y points down.
        assert clip.xyz[0, 10, 1] < clip.xyz[0, 3, 1]


def test_who_faces_a_camera_has_their_left_on_its_right() -> None:
    # The person faces -y; cameras at 230 and 310 degrees stand there.
    front = [c for c, v in zip(clips(frames=1), FOUR_VIEWS, strict=True) if v.azimuth_deg > 180]
    back = [c for c, v in zip(clips(frames=1), FOUR_VIEWS, strict=True) if v.azimuth_deg < 180]
    left, right = H36M17.index("left_wrist"), H36M17.index("right_wrist")
    assert all(c.xy[0, left, 0] > c.xy[0, right, 0] for c in front)
    assert all(c.xy[0, left, 0] < c.xy[0, right, 0] for c in back)


def test_cameras_follow_who_walks_away() -> None:
    # Thirty metres in ten seconds would leave any fixed picture.
    for clip in clips(frames=500, walk_m=30.0):
        assert ((clip.xy >= 0) & (clip.xy <= 999)).all()


def test_drawn_cameras_keep_people_within_the_picture() -> None:
    views = draw_views(60, np.random.default_rng(0))
    seen = film(performance(frames=1), views)
    assert np.mean([((c.xy >= 0) & (c.xy <= 999)).all() for c in seen]) > 0.95
    tall = [np.ptp(c.xy[0, :, 1]) for c in seen]
    assert min(tall) < 220
    assert max(tall) > 550


def test_motion_is_fifty_frames_a_second_on_the_ground_with_constant_bones(tmp_path: Path) -> None:
    write_swinging(tmp_path / "dance_01.bvh", frames=126)
    found = read_performance(tmp_path / "dance_01.bvh")
    # 120 frames are left after the first six: 119/120 s, so frames at 0, 0.02, ..., 0.98 s.
    assert (len(found.motion), found.motion.fps) == (50, 50.0)
    assert (found.motion.subject, found.motion.action) == ("dance", "dance_01")
    assert_allclose(bone(found.motion.xyz, "left_hip", "left_knee"), 0.42, atol=2e-3)
    assert_allclose(bone(found.motion.xyz, "thorax", "neck_nose"), 0.07, atol=1e-3)
    # The head is 1.6 necks above the base of the skull: 0.112 m.
    assert_allclose(bone(found.motion.xyz, "neck_nose", "head"), 0.112, atol=1e-3)
    middle = found.motion.xyz[:, [1, 4]].mean(1)
    assert_allclose(found.motion.xyz[:, 0], middle, atol=1e-5)
    assert_allclose(found.motion.xyz[..., 2].min(), 0, atol=0.01)


def test_motion_of_ones_own_is_filmed_by_the_same_cameras(tmp_path: Path) -> None:
    write_swinging(tmp_path / "a" / "jump_01.bvh")
    write_swinging(tmp_path / "b" / "run_01.bvh", seed=1)
    found = read_own_motion(tmp_path)
    assert len(found) == 8
    assert [c.action for c in found[::4]] == ["jump", "run"]
    assert [c.camera for c in found[:4]] == [v.name for v in FOUR_VIEWS]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"003_01\.bvh.*cannot be read"):
        read_cmu_lift(tmp_path, "test")


def test_another_file_under_the_same_name_is_refused(tmp_path: Path) -> None:
    write_swinging(tmp_path / frozen_motions("test")[0].path)
    with pytest.raises(FormatError, match="not the file of CMU-Lift"):
        read_cmu_lift(tmp_path, "test")


@pytest.mark.data
def test_the_frozen_files_are_those_here_and_asf_bones_are_human(
    shared_data: Path, tmp_path: Path
) -> None:
    for frozen in frozen_motions("test")[:1]:
        (tmp_path / frozen.path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(shared_data / "mocap" / frozen.path, tmp_path / frozen.path)
    # The first file is accepted; the second is missing.
    with pytest.raises(FormatError, match=r"005_03\.bvh"):
        read_cmu_lift(tmp_path, "test")
    found = read_performance(shared_data / "mocap" / "cmu_asfamc" / "02" / "02_01.amc")
    assert len(found.motion) == 143
    # The femur of subject 02 is 7.594 units of 0.0254 / 0.45 m.
    assert_allclose(bone(found.motion.xyz, "left_hip", "left_knee"), 0.4286, atol=1e-3)
    assert_allclose(bone(found.motion.xyz, "neck_nose", "head"), 0.0918, atol=1e-3)

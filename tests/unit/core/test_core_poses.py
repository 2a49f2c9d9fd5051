"""Poses: conversions, mirrors and spaces on one made-up person."""

from __future__ import annotations

import numpy as np
import pytest

from chronopose.core.crop import CropWindow
from chronopose.core.poses import Poses
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import (
    COCO17,
    H36M17,
    JHMDB15,
    LSP14,
    MPII16,
    POSETRACK15,
    POSETRACK15_POSEVAL,
)
from chronopose.errors import ShapeError, SkeletonMismatch

NAN = float("nan")
PAIR = Skeleton("pair", ("nose", "left_hip", "right_hip"))


def person(skeleton: Skeleton, **joints: tuple[float, float]) -> Poses:
    """One person: the named joints where they are said to be, score 0.5, all others at (0, 0)."""
    xy = np.zeros((1, len(skeleton), 2))
    for name, place in joints.items():
        xy[0, skeleton.index(name)] = place
    return Poses(xy, np.full(xy.shape[:2], 0.5), skeleton)


def at(poses: Poses, joint: str) -> list[float]:
    return poses.xy[0, poses.skeleton.index(joint)].tolist()


def test_head_of_posetrack_is_made_from_nose_and_shoulders() -> None:
    # Shoulders at (40, 100) and (20, 100), nose at (32, 70).
    coco = person(COCO17, nose=(32, 70), left_shoulder=(40, 100), right_shoulder=(20, 100))
    posetrack = coco.to_skeleton(POSETRACK15)
    assert at(posetrack, "head_bottom") == [30, 100]
    # nose + (nose - middle of the shoulders) = (32, 70) + (2, -30)
    assert at(posetrack, "head_top") == [34, 40]
    assert at(posetrack, "left_shoulder") == [40, 100]


def test_made_up_joint_is_as_sure_as_the_worst_joint_it_is_made_of() -> None:
    coco = person(COCO17)
    coco.score[0, COCO17.index("right_shoulder")] = 0.25
    posetrack = coco.to_skeleton(POSETRACK15)
    assert posetrack.score[0, POSETRACK15.index("head_bottom")] == 0.25


def test_joint_made_of_an_unknown_joint_is_unknown() -> None:
    coco = person(COCO17, nose=(1, 1), right_shoulder=(NAN, NAN))
    posetrack = coco.to_skeleton(POSETRACK15)
    row = POSETRACK15.index("head_top")
    assert np.isnan(posetrack.xy[0, row]).all()
    assert posetrack.score[0, row] == 0.0
    assert posetrack.visible is not None and not posetrack.visible[0, row]
    assert at(posetrack, "nose") == [1, 1]


def test_joints_that_cannot_be_had_are_an_error_by_default() -> None:
    with pytest.raises(SkeletonMismatch, match=r"no nose, left_eye.*missing='nan'"):
        person(LSP14).to_skeleton(COCO17)


def test_joints_that_cannot_be_had_become_nan_on_request() -> None:
    coco = person(LSP14, left_knee=(3, 4)).to_skeleton(COCO17, missing="nan")
    assert np.isnan(at(coco, "nose")).all()
    assert coco.score[0, COCO17.index("nose")] == 0.0
    assert at(coco, "left_knee") == [3, 4]


def test_belly_lies_at_65_percent_of_the_trunk() -> None:
    # Shoulders at height 100 and hips at 200: 0.65 of the way is 165.
    coco = person(
        COCO17, left_shoulder=(10, 100), right_shoulder=(-10, 100), left_hip=(10, 200),
        right_hip=(-10, 200),
    )  # fmt: skip
    np.testing.assert_allclose(at(coco.to_skeleton(JHMDB15, missing="nan"), "belly"), [0, 165])


def test_reordering_there_and_back_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    poses = Poses(rng.normal(size=(4, 15, 2)), rng.random((4, 15)), POSETRACK15)
    back = poses.to_skeleton(POSETRACK15_POSEVAL).to_skeleton(POSETRACK15)
    np.testing.assert_array_equal(back.xy, poses.xy)
    np.testing.assert_array_equal(back.score, poses.score)


def test_poses_in_space_convert_by_name_too() -> None:
    xyz = np.zeros((1, len(MPII16), 3))
    xyz[0, MPII16.index("left_hip")] = (1, 2, 3)
    poses = Poses(xyz, np.ones(xyz.shape[:2]), MPII16, "root_mm")
    lifted = poses.to_skeleton(H36M17, missing="nan")
    assert lifted.space == "root_mm"
    assert lifted.xy[0, H36M17.index("left_hip")].tolist() == [1, 2, 3]


def test_flip_mirrors_the_picture_and_exchanges_the_names() -> None:
    # A picture of 100 px: x becomes 99 - x.
    poses = person(PAIR, nose=(50, 10), left_hip=(60, 80), right_hip=(40, 81))
    poses.score[0] = (0.1, 0.2, 0.3)
    mirror = poses.flip(100)
    assert mirror.xy[0].tolist() == [[49, 10], [59, 81], [39, 80]]
    np.testing.assert_allclose(mirror.score[0], [0.1, 0.3, 0.2])


def test_two_flips_are_none() -> None:
    poses = person(COCO17, left_knee=(3, 4), nose=(NAN, NAN))
    back = poses.flip(640).flip(640)
    np.testing.assert_array_equal(back.xy, poses.xy)
    np.testing.assert_array_equal(back.visible, poses.visible)  # type: ignore[arg-type]


def test_flip_is_refused_in_space() -> None:
    poses = Poses(np.zeros((1, 3, 3)), np.ones((1, 3)), PAIR, "camera_mm")
    with pytest.raises(ShapeError, match="flip mirrors pictures; these poses are in camera_mm"):
        poses.flip(100)


def test_crop_joints_return_to_the_image_through_their_window() -> None:
    # One crop pixel is 281.25 / 192 image pixels, and the crop centre is the box centre.
    window = CropWindow.of_box(np.array([100.0, 50.0, 200.0, 350.0]), (192, 256))
    poses = Poses(np.array([[95.5, 127.5], [96.5, 127.5], [NAN, NAN]]), np.ones(3), PAIR, "crop_px")
    image = poses.to_image(window)
    np.testing.assert_allclose(image.xy[:2], [[150, 200], [151.46484, 200]], atol=1e-4)
    assert np.isnan(image.xy[2]).all()
    assert image.space == "image_px"
    np.testing.assert_allclose(image.to_crop(window).xy, poses.xy, atol=1e-4)


def test_a_space_is_left_only_once() -> None:
    window = CropWindow.whole_frame((8, 8), (8, 8))
    with pytest.raises(ShapeError, match="starts from crop_px poses; these are in image_px"):
        person(PAIR).to_image(window)


def test_unknown_joints_are_invisible_unless_said_otherwise() -> None:
    poses = person(PAIR, nose=(NAN, NAN))
    assert poses.visible is not None
    assert poses.visible[0].tolist() == [False, True, True]


def test_extent_leaves_out_unknown_and_unsure_joints() -> None:
    poses = person(PAIR, nose=(NAN, NAN), left_hip=(3, 4), right_hip=(9, 1))
    assert poses.extent().tolist() == [[3, 1, 9, 4]]
    poses.score[0, 2] = 0.1
    assert poses.extent(min_score=0.3).tolist() == [[3, 4, 3, 4]]
    assert np.isnan(poses.extent(min_score=0.9)).all()


def test_select_takes_people_with_scores_and_visibility() -> None:
    poses = Poses(np.zeros((3, 3, 2)), np.arange(9).reshape(3, 3), PAIR)
    picked = poses.select(np.array([True, False, True]))
    assert picked.score[:, 0].tolist() == [0, 6]
    assert picked.visible is not None and picked.visible.shape == (2, 3)


@pytest.mark.parametrize(
    ("xy", "score", "message"),
    [
        ((1, 4, 2), (1, 4), r"'pair' in image_px must end in \(3, 2\); got \(1, 4, 2\)"),
        ((1, 3, 3), (1, 3), r"must end in \(3, 2\)"),
        ((1, 3, 2), (1, 2), "do not match joints"),
    ],
)
def test_wrong_shapes_are_refused(xy: tuple, score: tuple, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        Poses(np.zeros(xy), np.zeros(score), PAIR)

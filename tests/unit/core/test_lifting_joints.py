"""The joints that lifters read, made from those of other skeletons."""

from __future__ import annotations

import numpy as np
import pytest

from chronopose.core.lifting import plan_joints
from chronopose.core.poses import Poses
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import COCO17, FLIC11, H36M17, LSP14, MPII16, PENN13, SKELETONS
from chronopose.errors import SkeletonMismatch

# A person of the front, feet at y = 0, pixels downward.
STANDING = {
    "head_top": (50, -180), "nose": (50, -160), "left_ear": (56, -165), "right_ear": (44, -165),
    "left_shoulder": (70, -140), "right_shoulder": (30, -140), "left_hip": (60, -90),
    "right_hip": (40, -90), "left_ankle": (60, 0), "head": (50, -160),
}  # fmt: skip


def lifted(skeleton: Skeleton, **scores: float) -> tuple[dict[str, list[float]], Poses]:
    xy = np.array([STANDING.get(j, (1.0, 2.0)) for j in skeleton.joints], np.float32)
    score = np.array([scores.get(j, 1.0) for j in skeleton.joints], np.float32)
    found = Poses(xy, score, skeleton).mapped(plan_joints(skeleton, H36M17))
    return {j: found.xy[i].tolist() for i, j in enumerate(H36M17.joints)}, found


@pytest.mark.parametrize("skeleton", [LSP14, COCO17, PENN13], ids=lambda s: s.name)
def test_trunk_is_made_of_hips_and_shoulders(skeleton: Skeleton) -> None:
    at, _ = lifted(skeleton)
    assert at["pelvis"] == [50, -90]
    assert at["thorax"] == [50, -140]
    assert at["spine"] == [50, -115]
    assert at["left_ankle"] == [60, 0]


def test_neck_and_head_lie_on_the_way_to_the_top_of_the_head() -> None:
    at, _ = lifted(LSP14)
    # 40 px from the thorax to the top: 0.35 and 0.75 of them.
    np.testing.assert_allclose(at["neck_nose"], [50, -154], atol=1e-4)
    np.testing.assert_allclose(at["head"], [50, -170], atol=1e-4)


def test_ears_lead_to_the_same_points_as_the_top_of_the_head() -> None:
    # Here the ears are where the table expects them: 25 of 40 px up, 0.625.
    at, _ = lifted(COCO17)
    np.testing.assert_allclose(at["neck_nose"], [50, -154], atol=1e-4)
    np.testing.assert_allclose(at["head"], [50, -170], atol=1e-4)


def test_a_head_that_is_there_is_taken_as_it_is() -> None:
    at, _ = lifted(PENN13)
    assert at["head"] == [50, -160]
    assert at["neck_nose"] == [50, -150]
    assert plan_joints(MPII16, H36M17).approximated == ("spine", "neck_nose", "head")
    assert plan_joints(H36M17, H36M17).approximated == ()


def test_a_made_joint_is_as_sure_as_the_least_sure_of_its_parts() -> None:
    _, found = lifted(LSP14, left_hip=0.25)
    assert found.score[H36M17.index("pelvis")] == 0.25
    assert found.score[H36M17.index("thorax")] == 1


@pytest.mark.parametrize("name", sorted(set(SKELETONS) - {"flic11", "upper7"}))
def test_every_skeleton_of_a_whole_body_can_be_lifted(name: str) -> None:
    plan = plan_joints(SKELETONS[name], H36M17)
    np.testing.assert_allclose(plan.weights.sum(1), 1)


def test_half_a_body_is_refused_by_name() -> None:
    with pytest.raises(SkeletonMismatch, match="left_knee, left_ankle cannot be had from"):
        plan_joints(FLIC11, H36M17)

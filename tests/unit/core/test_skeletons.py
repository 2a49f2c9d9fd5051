"""The registry: orders as published, flips and conversions by name for every pair."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from chronopose.core.skeleton import APPROXIMATIONS, Skeleton, mirrored
from chronopose.core.skeletons import SKELETONS, find_skeleton, get_skeleton, joint_name
from chronopose.errors import SkeletonMismatch
from chronopose.metrics.pck import LIMB_JOINTS

ALL = sorted(SKELETONS)
PAIRS = list(itertools.product(ALL, ALL))
SHORT = {
    "sho": "shoulder", "elb": "elbow", "wri": "wrist", "kne": "knee", "ank": "ankle",
}  # fmt: skip


def long_names(order: str) -> tuple[str, ...]:
    """``l_sho`` -> ``left_shoulder``."""
    names = []
    for word in order.split():
        side = {"l_": "left_", "r_": "right_"}.get(word[:2], "")
        part = word[2:] if side else word
        names.append(side + SHORT.get(part, part))
    return tuple(names)


# Typed from the published lists, independently of the registry.
ORDERS = {
    "coco17": "nose l_eye r_eye l_ear r_ear l_sho r_sho l_elb r_elb l_wri r_wri l_hip r_hip l_kne "
    "r_kne l_ank r_ank",
    "posetrack17slot": "nose head_bottom head_top l_ear r_ear l_sho r_sho l_elb r_elb l_wri r_wri "
    "l_hip r_hip l_kne r_kne l_ank r_ank",
    "posetrack15": "nose head_bottom head_top l_sho r_sho l_elb r_elb l_wri r_wri l_hip r_hip "
    "l_kne r_kne l_ank r_ank",
    "posetrack15_poseval": "r_ank r_kne r_hip l_hip l_kne l_ank r_wri r_elb r_sho l_sho l_elb "
    "l_wri head_bottom nose head_top",
    "hieve14": "nose chest r_sho r_elb r_wri l_sho l_elb l_wri r_hip r_kne r_ank l_hip l_kne l_ank",
    "mpii16": "r_ank r_kne r_hip l_hip l_kne l_ank pelvis thorax upper_neck head_top r_wri r_elb "
    "r_sho l_sho l_elb l_wri",
    "lsp14": "r_ank r_kne r_hip l_hip l_kne l_ank r_wri r_elb r_sho l_sho l_elb l_wri neck "
    "head_top",
    "penn13": "head r_sho l_sho r_elb l_elb r_wri l_wri r_hip l_hip r_kne l_kne r_ank l_ank",
    "jhmdb15": "neck belly face r_sho l_sho r_hip l_hip r_elb l_elb r_kne l_kne r_wri l_wri r_ank "
    "l_ank",
    "crowdpose14": "l_sho r_sho l_elb r_elb l_wri r_wri l_hip r_hip l_kne r_kne l_ank r_ank "
    "head_top neck",
    "flic11": "l_sho l_elb l_wri r_sho r_elb r_wri l_hip r_hip l_eye r_eye nose",
    "upper7": "head r_wri l_wri r_elb l_elb r_sho l_sho",
    "h36m17": "pelvis r_hip r_kne r_ank l_hip l_kne l_ank spine thorax neck_nose head l_sho l_elb "
    "l_wri r_sho r_elb r_wri",
    "mpi_inf_3dhp17": "head_top neck r_sho r_elb r_wri l_sho l_elb l_wri r_hip r_kne r_ank l_hip "
    "l_kne l_ank pelvis spine head",
    "humaneva15": "pelvis thorax l_sho l_elb l_wri r_sho r_elb r_wri l_hip l_kne l_ank r_hip r_kne "
    "r_ank head",
    "coco18": "nose neck r_sho r_elb r_wri l_sho l_elb l_wri r_hip r_kne r_ank l_hip l_kne l_ank "
    "r_eye l_eye r_ear l_ear",
    "body25": "nose neck r_sho r_elb r_wri l_sho l_elb l_wri pelvis r_hip r_kne r_ank l_hip l_kne "
    "l_ank r_eye l_eye r_ear l_ear l_big_toe l_small_toe l_heel r_big_toe r_small_toe r_heel",
    "halpe26": "nose l_eye r_eye l_ear r_ear l_sho r_sho l_elb r_elb l_wri r_wri l_hip r_hip l_kne "
    "r_kne l_ank r_ank head_top neck pelvis l_big_toe r_big_toe l_small_toe r_small_toe l_heel "
    "r_heel",
}
UPPER_BODIES = {"flic11", "upper7"}
LEFT_OF = {
    "h36m17": {4, 5, 6, 11, 12, 13},
    "mpi_inf_3dhp17": {5, 6, 7, 11, 12, 13},
    "humaneva15": {2, 3, 4, 8, 9, 10},
}
FLIPS = {
    "posetrack17slot": "3-4 5-6 7-8 9-10 11-12 13-14 15-16",
    "posetrack15": "3-4 5-6 7-8 9-10 11-12 13-14",
    "posetrack15_poseval": "0-5 1-4 2-3 6-11 7-10 8-9",
}


def test_orders_are_written_down_for_every_skeleton() -> None:
    assert set(ORDERS) == set(ALL)


@pytest.mark.parametrize("name", ALL)
def test_joint_order_is_the_published_one(name: str) -> None:
    assert SKELETONS[name].joints == long_names(ORDERS[name])


@pytest.mark.parametrize("name", ALL)
def test_skeleton_is_registered_under_its_own_name(name: str) -> None:
    assert get_skeleton(name).name == name


@pytest.mark.parametrize("name", sorted(LEFT_OF))
def test_left_joints_are_where_the_3d_sets_say(name: str) -> None:
    assert {left for left, _ in SKELETONS[name].mirror_pairs} == LEFT_OF[name]


@pytest.mark.parametrize("name", sorted(FLIPS))
def test_flip_pairs_are_the_published_ones(name: str) -> None:
    pairs = {tuple(sorted(p)) for p in SKELETONS[name].mirror_pairs}
    assert pairs == {tuple(map(int, p.split("-"))) for p in FLIPS[name].split()}


def test_penn_action_says_right_shoulder_right_after_the_head() -> None:
    assert SKELETONS["penn13"].joints[1] == "right_shoulder"


def test_coco_spreads_are_those_of_the_evaluation() -> None:
    # cocoapi: .26 .25 .25 .35 .35 .79 .79 .72 .72 .62 .62 1.07 1.07 .87 .87 .89 .89, over ten.
    wanted = [26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]
    np.testing.assert_allclose(SKELETONS["coco17"].sigmas, np.array(wanted) / 1000)


@pytest.mark.parametrize("name", ALL)
def test_spreads_are_the_same_on_both_sides(name: str) -> None:
    skeleton = SKELETONS[name]
    np.testing.assert_array_equal(skeleton.sigmas[skeleton.flip_index], skeleton.sigmas)


def test_unpublished_spreads_come_from_the_joint_names() -> None:
    lsp = SKELETONS["lsp14"]
    assert not lsp.oks_sigmas
    # right_ankle, right_wrist and neck; COCO has no neck, so it gets a shoulder's.
    found = lsp.sigmas[[lsp.index(j) for j in ("right_ankle", "right_wrist", "neck")]]
    assert found.tolist() == [0.089, 0.062, 0.079]


@pytest.mark.parametrize("name", ALL)
def test_two_flips_are_none(name: str) -> None:
    order = SKELETONS[name].flip_index
    np.testing.assert_array_equal(order[order], np.arange(len(order)))


@pytest.mark.parametrize("name", ALL)
def test_limbs_join_all_joints_that_a_model_can_find(name: str) -> None:
    skeleton = SKELETONS[name]
    ears = {"left_ear", "right_ear"} if name == "posetrack17slot" else set()
    start = skeleton.joints[0]
    reached, todo = {start}, [start]
    while todo:
        here = todo.pop()
        near = {b if a == here else a for a, b in skeleton.limbs if here in (a, b)}
        todo.extend(near - reached)
        reached |= near
    assert reached == set(skeleton.joints) - ears


@pytest.mark.parametrize("name", ALL)
def test_limbs_look_the_same_in_the_mirror(name: str) -> None:
    limbs = {frozenset(limb) for limb in SKELETONS[name].limbs}
    assert {frozenset(map(mirrored, limb)) for limb in limbs} == limbs
    assert len(limbs) == len(SKELETONS[name].limbs)


@pytest.mark.parametrize("name", sorted(set(ALL) - UPPER_BODIES))
def test_every_whole_body_has_the_twelve_limb_joints(name: str) -> None:
    assert set(LIMB_JOINTS) <= set(SKELETONS[name].joints)


@pytest.mark.parametrize("name", sorted(UPPER_BODIES))
def test_every_upper_body_has_the_arms(name: str) -> None:
    assert set(LIMB_JOINTS[:6]) <= set(SKELETONS[name].joints)


@pytest.mark.parametrize("name", ALL)
def test_conversion_to_itself_changes_nothing(name: str) -> None:
    plan = SKELETONS[name].map_to(SKELETONS[name])
    np.testing.assert_array_equal(plan.weights, np.eye(len(SKELETONS[name])))
    assert (plan.dropped, plan.missing, plan.approximated) == ((), (), ())


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_joints_of_the_same_name_are_copied(source: str, target: str) -> None:
    a, b = SKELETONS[source], SKELETONS[target]
    weights = a.map_to(b).weights
    for joint in set(a.joints) & set(b.joints):
        wanted = np.zeros(len(a))
        wanted[a.index(joint)] = 1
        np.testing.assert_array_equal(weights[b.index(joint)], wanted)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_every_joint_is_copied_approximated_or_missing(source: str, target: str) -> None:
    a, b = SKELETONS[source], SKELETONS[target]
    plan = a.map_to(b)
    shared = [j for j in b.joints if j in a]
    assert sorted([*shared, *plan.approximated, *plan.missing]) == sorted(b.joints)
    assert set(plan.dropped) == set(a.joints) - set(b.joints)
    empty = {b.joints[i] for i in np.flatnonzero(~plan.weights.any(axis=1))}
    assert empty == set(plan.missing)
    np.testing.assert_allclose(plan.weights[plan.weights.any(axis=1)].sum(axis=1), 1.0)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_converting_and_mirroring_can_change_places(source: str, target: str) -> None:
    # True only if no side is ever exchanged and middle joints lean to neither side.
    a, b = SKELETONS[source], SKELETONS[target]
    weights = a.map_to(b).weights
    np.testing.assert_array_equal(weights[b.flip_index][:, a.flip_index], weights)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_side_never_comes_from_the_other_side(source: str, target: str) -> None:
    a, b = SKELETONS[source], SKELETONS[target]
    weights = a.map_to(b).weights
    for row, joint in enumerate(b.joints):
        used = {a.joints[i] for i in np.flatnonzero(weights[row])}
        other = {"left_": "right_", "right_": "left_"}.get(re.match(r"(left_|right_)?", joint)[0])  # type: ignore[index,arg-type]
        assert other is None or not any(name.startswith(other) for name in used)


def test_approximations_keep_the_middle_of_the_body_in_the_middle() -> None:
    for ways in APPROXIMATIONS.values():
        for way in ways:
            assert {mirrored(n): share for n, share in way.items()} == way


def test_coco_has_no_head_top_but_posetrack_gets_one() -> None:
    plan = SKELETONS["coco17"].map_to(SKELETONS["posetrack15"])
    assert plan.approximated == ("head_bottom", "head_top")
    assert plan.missing == ()
    assert plan.dropped == ("left_eye", "right_eye", "left_ear", "right_ear")


def test_leeds_sports_cannot_give_a_face() -> None:
    plan = SKELETONS["lsp14"].map_to(SKELETONS["coco17"])
    assert plan.missing == ("nose", "left_eye", "right_eye", "left_ear", "right_ear")


def test_approximations_can_be_refused() -> None:
    plan = SKELETONS["coco17"].map_to(SKELETONS["posetrack15"], approximate=False)
    assert plan.missing == ("head_bottom", "head_top")


def test_unknown_skeleton_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(SkeletonMismatch, match=r"no skeleton 'COCO-17'. Did you mean 'coco17'\?"):
        get_skeleton("COCO-17")


def test_unknown_joint_is_answered_with_the_list_of_joints() -> None:
    with pytest.raises(SkeletonMismatch, match=r"'lsp14' has no joint 'nose'. .*neck, head_top"):
        SKELETONS["lsp14"].index("nose")


def test_poseval_calls_head_bottom_neck() -> None:
    assert SKELETONS["posetrack15_poseval"].index("neck") == 12


def test_aliases_mean_joints_of_their_skeleton() -> None:
    for skeleton in SKELETONS.values():
        assert set(skeleton.aliases.values()) <= set(skeleton.joints)
        assert not set(skeleton.aliases) & set(skeleton.joints)


def test_registry_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        SKELETONS["mine"] = SKELETONS["coco17"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("LSho", "left_shoulder"),
        ("l-shoulder", "left_shoulder"),
        ("Shoulder.L", "left_shoulder"),
        ("left shoulder", "left_shoulder"),
        ("LeftShoulder", "left_shoulder"),
        ("rAnk", "right_ankle"),
        ("R_Wrist", "right_wrist"),
        ("HeadTop", "head_top"),
        ("top_head", "head_top"),
        ("upper neck", "upper_neck"),
        ("nose", "nose"),
        ("left_big_toe", "left_big_toe"),
    ],
)
def test_other_tools_spellings_are_understood(text: str, name: str) -> None:
    assert joint_name(text) == name


def test_skeleton_is_recognised_by_the_names_in_a_file() -> None:
    # As the keypoints field of a CrowdPose file spells them.
    names = [j.replace("head_top", "head") for j in SKELETONS["crowdpose14"].joints]
    assert find_skeleton(names) is SKELETONS["crowdpose14"]


def test_copies_of_j_hmdb_call_the_face_head() -> None:
    names = [j.replace("face", "head") for j in SKELETONS["jhmdb15"].joints]
    assert find_skeleton(names) is SKELETONS["jhmdb15"]


def test_unknown_joint_list_is_not_recognised() -> None:
    assert find_skeleton(["nose", "tail"]) is None


def test_same_joints_in_another_order_are_another_skeleton() -> None:
    assert find_skeleton(reversed(SKELETONS["coco17"].joints)) is None


@pytest.mark.parametrize(
    ("joints", "limbs", "sigmas", "message"),
    [
        (("nose", "nose"), (), (), r"names joints twice: \['nose'\]"),
        (("left_hip",), (), (), "left_hip without the joint of the other side"),
        (("nose",), (("nose", "neck"),), (), "limb nose-neck, but not both joints"),
        (("nose",), (), (0.1, 0.2), "1 joints but 2 OKS sigmas"),
    ],
)
def test_impossible_skeletons_are_refused(
    joints: tuple[str, ...],
    limbs: tuple[tuple[str, str], ...],
    sigmas: tuple[float, ...],
    message: str,
) -> None:
    with pytest.raises(SkeletonMismatch, match=message):
        Skeleton("mine", joints, limbs, sigmas)

"""Plain bodies: closed, dressed, symmetric, and jointed where they say they are."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from chronopose.core import get_skeleton
from chronopose.core.skeleton import mirrored
from chronopose.errors import UsageError
from chronopose.synth.body import BONES, Body, BonePoses
from chronopose.synth.plain_body import SOLIDS, plain_body, solid

SEEDS = range(6)
ON_BONES = {
    "left_shoulder": "left_upper_arm", "left_elbow": "left_forearm", "left_wrist": "left_hand",
    "left_hip": "left_thigh", "left_knee": "left_shin", "left_ankle": "left_foot",
    "pelvis": "pelvis",
}  # fmt: skip


@pytest.fixture(scope="module")
def bodies() -> list[Body]:
    return [plain_body(seed) for seed in SEEDS]


def at_rest(body: Body) -> BonePoses:
    turns = np.tile(np.eye(3, dtype=np.float32), (1, len(BONES), 1, 1))
    return BonePoses(turns, body.joints[:1], np.zeros(1))


def place(body: Body, name: str) -> np.ndarray:
    mark = body.landmarks[name]
    return mark.weight @ body.vertices[mark.index]


def edges(faces: np.ndarray) -> np.ndarray:
    return np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])


def pieces(body: Body) -> np.ndarray:
    """Number of the connected piece of every face."""
    label = np.arange(len(body.vertices))
    while True:
        low = label[body.faces].min(1)
        lower = label.copy()
        np.minimum.at(lower, body.faces.ravel(), low.repeat(3))
        if (lower == label).all():
            return np.unique(label[body.faces[:, 0]], return_inverse=True)[1]
        label = lower


def six_times_volume(body: Body) -> np.ndarray:
    a, b, c = (body.vertices[body.faces[:, k]].astype(np.float64) for k in range(3))
    return np.bincount(pieces(body), (a * np.cross(b, c)).sum(1))


def test_weights_of_every_vertex_sum_to_exactly_one(bodies: list[Body]) -> None:
    for body in bodies:
        assert (body.weights.sum(1) == 1).all()
        assert (body.weights >= 0).all()


def test_every_edge_is_shared_by_two_faces_that_run_it_opposite_ways(bodies: list[Body]) -> None:
    for body in bodies:
        runs = edges(body.faces)
        assert len(np.unique(runs, axis=0)) == len(runs)
        assert {tuple(e) for e in runs} == {tuple(e) for e in runs[:, ::-1]}


def test_every_piece_has_its_outside_outside(bodies: list[Body]) -> None:
    for body in bodies:
        assert (six_times_volume(body) > 0).all()


def test_a_body_turned_inside_out_is_noticed(bodies: list[Body]) -> None:
    body = bodies[0]
    inside_out = Body(**{**vars(body), "faces": body.faces[:, ::-1]})
    assert (six_times_volume(inside_out) < 0).all()


def test_surfaces_cover_all_faces_in_order(bodies: list[Body]) -> None:
    for body in bodies:
        ends = [0, *(s.last for s in body.surfaces)]
        assert [s.first for s in body.surfaces] == ends[:-1]
        assert ends[-1] == len(body.faces)


def test_everybody_is_dressed(bodies: list[Body]) -> None:
    for body in bodies:
        assert {"skin", "shirt", "trousers", "shoes"} <= {s.name for s in body.surfaces}
        skin = next(s for s in body.surfaces if s.name == "skin")
        heights = body.vertices[body.faces[skin.first : skin.last], 2].mean(1)
        middle = np.abs(body.vertices[body.faces[skin.first : skin.last], 0]).mean(1) < 0.1
        tall = body.vertices[:, 2].max()
        assert not (middle & (heights > 0.53 * tall) & (heights < 0.80 * tall)).any()


def test_landmarks_are_all_that_the_skeletons_ask_for(bodies: list[Body]) -> None:
    wanted = {
        j for s in ("coco17", "posetrack15", "lsp14", "h36m17") for j in get_skeleton(s).joints
    }
    sides = {f"{s}_{n}" for s in ("left", "right") for n in ("heel", "big_toe", "small_toe")}
    for body in bodies:
        assert wanted | sides | {"thorax", "upper_neck"} <= set(body.landmarks)


def test_left_and_right_are_mirror_images(bodies: list[Body]) -> None:
    for body in bodies:
        for name in body.landmarks:
            there = place(body, mirrored(name)) * (-1, 1, 1)
            np.testing.assert_allclose(place(body, name), there, atol=1e-6, err_msg=name)
            if name.startswith("left_"):
                assert place(body, name)[0] > 0.02


def test_landmarks_of_limbs_lie_on_the_joints_of_the_bones(bodies: list[Body]) -> None:
    for body in bodies:
        for name, bone in ON_BONES.items():
            joint = body.joints[BONES.index(bone)]
            np.testing.assert_allclose(place(body, name), joint, atol=2e-5, err_msg=name)


def test_people_stand_on_the_ground_and_look_along_minus_y(bodies: list[Body]) -> None:
    for body in bodies:
        assert body.vertices[:, 2].min() == 0
        assert 1.5 <= place(body, "head_top")[2] <= 1.95
        assert place(body, "nose")[1] < place(body, "left_ear")[1] - 0.05
        assert place(body, "left_big_toe")[1] < place(body, "left_heel")[1] - 0.2


def test_joints_of_the_head_and_trunk_are_stacked_in_anatomical_order(bodies: list[Body]) -> None:
    upwards = ("pelvis", "spine", "thorax", "neck", "upper_neck", "neck_nose", "head", "head_top")
    for body in bodies:
        heights = [place(body, name)[2] for name in upwards]
        assert (np.diff(heights) > 0).all()


def test_the_rest_pose_is_the_identity(bodies: list[Body]) -> None:
    body = bodies[0]
    matrices = body.skin_matrices(at_rest(body))
    np.testing.assert_allclose(body.skin(matrices[0]), body.vertices, atol=1e-6)


def test_a_quarter_turn_of_the_forearm_carries_the_wrist_around_the_elbow(
    bodies: list[Body],
) -> None:
    body = bodies[0]
    poses = at_rest(body)
    forearm, hand = BONES.index("left_forearm"), BONES.index("left_hand")
    # A quarter turn about x takes (x, y, z) to (x, -z, y); the hand turns with the forearm.
    turn = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], np.float32)
    poses.rotations[0, [forearm, hand]] = turn
    before, elbow = place(body, "left_wrist"), body.joints[forearm]
    found = body.locate(body.skin_matrices(poses), ("left_wrist", "left_elbow", "right_wrist"))[0]
    x, y, z = before - elbow
    np.testing.assert_allclose(found[0], elbow + np.array([x, -z, y]), atol=5e-5)
    np.testing.assert_allclose(found[1], elbow, atol=5e-5)
    np.testing.assert_allclose(found[2], place(body, "right_wrist"), atol=1e-6)


def test_a_raised_thigh_keeps_the_hip_and_lifts_the_knee_to_its_height(
    bodies: list[Body],
) -> None:
    body = bodies[1]
    poses = at_rest(body)
    bones = [BONES.index(f"right_{n}") for n in ("thigh", "shin", "foot", "toes")]
    # A quarter turn about -x takes "down" to "forwards": (x, y, z) to (x, z, -y).
    poses.rotations[0, bones] = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], np.float32)
    hip, knee = place(body, "right_hip"), place(body, "right_knee")
    found = body.locate(body.skin_matrices(poses), ("right_hip", "right_knee"))[0]
    x, y, z = knee - hip
    np.testing.assert_allclose(found, [hip, hip + np.array([x, z, -y])], atol=5e-5)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_person() -> None:
    def digest(body: Body) -> str:
        arrays = (body.vertices, body.faces, body.colours, body.bones, body.weights, body.joints)
        return hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest()

    assert digest(plain_body(7)) == digest(plain_body(7))
    assert digest(plain_body(7)) != digest(plain_body(8))


def test_people_differ_in_height_and_clothes() -> None:
    people = [plain_body(seed) for seed in range(12)]
    heights = [place(p, "head_top")[2] for p in people]
    assert np.ptp(heights) > 0.15
    shirts = [
        p.colours[p.faces[next(s.first for s in p.surfaces if s.name == "shirt")][0]]
        for p in people
    ]
    assert len(np.unique(np.round(shirts, 2), axis=0)) >= 10


@pytest.mark.parametrize("kind", SOLIDS)
def test_a_solid_fills_its_size_stands_on_the_ground_and_has_no_landmarks(kind: str) -> None:
    body = solid(kind, (0.5, 0.4, 1.6), 3)
    low, high = body.vertices.min(0), body.vertices.max(0)
    assert (low >= np.array([-0.25, -0.2, 0.0]) - 1e-6).all()
    assert (high <= np.array([0.25, 0.2, 1.6]) + 1e-6).all()
    assert (high - low > 0.7 * np.array([0.5, 0.4, 1.6])).all()
    assert low[2] == 0
    assert not body.landmarks
    assert (body.bones[:, 0] == 0).all()
    assert (body.weights[:, 0] == 1).all()
    assert (six_times_volume(body) > 0).all()


def test_a_box_holds_its_volume() -> None:
    # 0.5 x 0.4 x 1.6 m; the corners of the ring lie 3 % off the sharp ones at the most.
    assert six_times_volume(solid("box", (0.5, 0.4, 1.6), 0)).sum() / 6 == pytest.approx(
        0.32, rel=0.06
    )


def test_a_solid_of_unknown_kind_or_without_size_is_refused() -> None:
    with pytest.raises(UsageError, match="box, pole, board, plant"):
        solid("sofa", (1, 1, 1), 0)
    with pytest.raises(UsageError, match="above zero"):
        solid("box", (1, 0, 1), 0)

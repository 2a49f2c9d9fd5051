"""Banks: a tiny one made of a plain body, written, read, dressed, and damaged on purpose."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from chronopose.core import get_skeleton
from chronopose.errors import FormatError, UsageError
from chronopose.synth._patches import strongest
from chronopose.synth.bank import Bank, Person, Piece, read_bank, write_bank
from chronopose.synth.body import BONES, Body, BonePoses
from chronopose.synth.mhclo import Binding
from chronopose.synth.plain_body import plain_body
from chronopose.synth.wardrobe import _within_trousers

PLAIN = plain_body(3)
SHIRT = next(s for s in PLAIN.surfaces if s.name == "shirt")
SHIRT_FACES = PLAIN.faces[SHIRT.first : SHIRT.last]
OFFSET, UNIT = 0.02, 0.5


def garment(name: str, kind: str, sexes: tuple[str, ...], splits: tuple[str, ...]) -> Piece:
    """A copy of the shirt, 2 cm behind it times the scale, that hides what is beneath."""
    under, faces = np.unique(SHIRT_FACES, return_inverse=True)
    count = len(under)
    crown, sole = PLAIN.vertices[:, 2].argmax(), PLAIN.vertices[:, 2].argmin()
    binding = Binding(
        np.repeat(under[:, None], 3, 1),
        np.tile([1.0, 0.0, 0.0], (count, 1)),
        np.tile([0.0, OFFSET, 0.0], (count, 1)),
        np.array([[crown, sole]] * 3),
        np.full(3, UNIT),
    )
    texture = np.full((4, 4, 4), 255, np.uint8)
    texture[..., 0] = len(name) * 10
    return Piece(
        name, kind, sexes, splits, binding, under, np.arange(count),
        np.full((count, 2), 0.25, np.float32), faces.reshape(-1, 3), texture,
    )  # fmt: skip


def tiny_bank() -> Bank:
    """Six people, grown and widened from one plain body, with two outfits a sex."""
    marks = tuple(PLAIN.landmarks)
    dense = np.zeros((len(PLAIN.vertices), len(BONES)))
    np.put_along_axis(dense, PLAIN.bones.astype(np.int64), PLAIN.weights, 1)
    places = [m.weight @ PLAIN.vertices[m.index] for m in PLAIN.landmarks.values()]
    mixed = [m.weight @ dense[m.index] for m in PLAIN.landmarks.values()]
    rows = np.concatenate([PLAIN.vertices, places, PLAIN.joints]).astype(np.float32)
    bones, weights = strongest(np.concatenate([dense, mixed]))
    people = [
        Person(sex, split, (0.8, 0.6, 0.5), np.array(shape, np.float32))
        for sex, split, shape in (
            ("male", "train", (1.0, 0.0)), ("male", "train", (0.0, 1.0)),
            ("female", "train", (-1.0, 0.0)), ("female", "train", (-1.0, 1.0)),
            ("male", "test", (2.0, 2.0)), ("female", "test", (-2.0, 2.0)),
        )
    ]  # fmt: skip
    pieces = [
        garment(f"{sex}_{kind}_{split}", kind, (sex,), (split,))
        for sex in ("male", "female") for kind in ("outfit", "shoes") for split in ("train", "test")
    ]  # fmt: skip
    pieces.append(garment("bob", "hair", ("male", "female"), ("train", "test")))
    return Bank(
        mean=rows,
        basis=np.stack([rows * 0.05, rows * (0.05, 0, 0)]).astype(np.float32),
        bones=bones,
        weights=weights,
        faces=PLAIN.faces.astype(np.int64),
        paint=np.zeros((len(PLAIN.vertices), 5), np.float32),
        marks=marks,
        people=tuple(people),
        pieces=tuple(pieces),
    )


@pytest.fixture(scope="module")
def bank() -> Bank:
    return tiny_bank()


def at_rest(body: Body) -> BonePoses:
    turns = np.tile(np.eye(3, dtype=np.float32), (1, len(BONES), 1, 1))
    return BonePoses(turns, body.joints[:1], np.zeros(1))


def faces_of(body: Body, name: str) -> np.ndarray:
    surface = next(s for s in body.surfaces if s.name == name)
    return body.faces[surface.first : surface.last]


def test_a_written_bank_is_read_back_as_the_same_people(bank: Bank, tmp_path: Path) -> None:
    write_bank(bank, tmp_path / "bank.npz")
    again = read_bank(tmp_path / "bank.npz")
    for seed in range(4):
        one, two = bank.body(seed), again.body(seed)
        assert one.key == two.key == f"bank/train/{seed}"
        np.testing.assert_allclose(two.vertices, one.vertices, atol=2e-4)
        assert (two.faces == one.faces).all()
        assert (two.bones == one.bones).all()
        assert (two.weights == one.weights).all()
        for a, b in zip(one.surfaces, two.surfaces, strict=True):
            assert (a.name, a.first, a.last, a.tint) == (b.name, b.first, b.last, b.tint)
            assert (a.texture is None) == (b.texture is None)
            assert a.texture is None or (a.texture == b.texture).all()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(bank: Bank) -> None:
    one, two, other = bank.body(5), tiny_bank().body(5), bank.body(6)
    assert one.vertices.tobytes() == two.vertices.tobytes()
    assert one.colours.tobytes() == two.colours.tobytes()
    assert one.vertices.tobytes() != other.vertices.tobytes()


def test_clothes_lie_where_the_rule_says_on_a_grown_person(bank: Bank) -> None:
    wearing = bank.choose(0)
    tall = replace(wearing, person=replace(wearing.person, shape=np.array([2.0, 0.0], np.float32)))
    # Two parts of 5 % make everything 1.1 times as large, also the distance from crown to sole
    # along y, which over the unit of half a metre scales the offset of 2 cm along y.
    body = bank.dress(tall)
    worn = np.unique(faces_of(body, "outfit"))
    under = np.unique(SHIRT_FACES)
    crown, sole = PLAIN.vertices[:, 2].argmax(), PLAIN.vertices[:, 2].argmin()
    far = abs(float(PLAIN.vertices[crown, 1] - PLAIN.vertices[sole, 1]))
    assert far > 0.01
    wanted = 1.1 * PLAIN.vertices[under] + np.array([0, OFFSET * 1.1 * far / UNIT, 0])
    np.testing.assert_allclose(body.vertices[worn], wanted, atol=1e-4)
    assert body.vertices[:, 2].min() == 0


def test_clothes_move_with_the_bones_of_the_body_beneath(bank: Bank) -> None:
    body = bank.body(1)
    worn, under = np.unique(faces_of(body, "outfit")), np.unique(SHIRT_FACES)
    assert (body.bones[worn, 0] == PLAIN.bones[under, 0]).all()
    np.testing.assert_allclose(body.weights[worn], PLAIN.weights[under], atol=2 / 4096)
    assert (body.weights.sum(1) == 1).all()


def test_skin_beneath_clothes_is_not_drawn(bank: Bank) -> None:
    beneath = np.isin(PLAIN.faces, np.unique(SHIRT_FACES)).all(1).sum()
    assert beneath >= len(SHIRT_FACES)
    assert len(faces_of(bank.body(0), "skin")) == len(PLAIN.faces) - beneath


def test_a_sock_inside_a_trouser_leg_is_not_drawn_and_the_toes_of_the_shoe_are() -> None:
    # Leg along z at x = 0.1: knee at 0.5 m, ankle at 0.1 m; a trouser leg of radius 6 cm whose
    # hem is 8 cm above the ground. The other leg has nothing beside it.
    joints = np.zeros((len(BONES), 3))
    for side, x in (("left", 0.1), ("right", -0.1)):
        joints[BONES.index(f"{side}_shin")] = (x, 0, 0.5)
        joints[BONES.index(f"{side}_foot")] = (x, 0, 0.1)
    angle = np.arange(12) * np.pi / 6
    ring = np.stack([0.1 + 0.06 * np.cos(angle), 0.06 * np.sin(angle)], 1)
    cloth = np.concatenate([np.c_[ring, np.full(12, z)] for z in (0.08, 0.14, 0.20, 0.26)])
    sock, wide_sock, below_hem, toes = (
        (0.14, 0, 0.2),
        (0.163, 0, 0.2),
        (0.14, 0, 0.07),
        (0.1, -0.2, 0.1),
    )
    mirrored_sock = (-0.14, 0, 0.2)
    shoes = np.array([sock, wide_sock, below_hem, toes, mirrored_sock])
    assert _within_trousers(shoes, cloth, joints).tolist() == [True, True, False, False, False]


def test_everybody_wears_an_outfit_and_shoes_that_suit_sex_and_split(bank: Bank) -> None:
    for split in ("train", "test"):
        for seed in range(12):
            wearing = bank.choose(seed, split)
            for piece in (wearing.outfit, wearing.shoes):
                assert piece.sexes == (wearing.person.sex,)
                assert piece.splits == (split,)
            names = {s.name for s in bank.dress(wearing).surfaces}
            assert {"skin", "outfit", "shoes"} <= names


def test_people_of_the_test_split_have_other_shapes_than_those_of_the_train_split(
    bank: Bank,
) -> None:
    # The second shape is 0 to 1 for everybody in train and 2 for everybody in test.
    train = [bank.choose(seed).person.shape[1] for seed in range(40)]
    test = [bank.choose(seed, "test").person.shape[1] for seed in range(40)]
    assert 0 <= min(train) < max(train) <= 1
    assert set(test) == {2.0}
    assert len(set(np.round(train, 4))) > 10


def test_landmarks_and_joints_follow_the_shape(bank: Bank) -> None:
    body = bank.body(2, "test")
    joints = get_skeleton("coco17").joints + get_skeleton("h36m17").joints
    found = body.locate(body.skin_matrices(at_rest(body)), joints)[0]
    knee = found[joints.index("left_knee")]
    np.testing.assert_allclose(knee, body.joints[BONES.index("left_shin")], atol=2e-5)
    np.testing.assert_allclose(
        body.skin(body.skin_matrices(at_rest(body))[0]), body.vertices, atol=1e-6
    )


def test_a_landmark_on_a_joint_stays_there_in_every_pose(bank: Bank) -> None:
    body = bank.body(0)
    poses = at_rest(body)
    shin, foot = BONES.index("left_shin"), BONES.index("left_foot")
    poses.rotations[0, [shin, foot]] = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], np.float32)
    found = body.locate(body.skin_matrices(poses), ("left_knee", "left_ankle"))[0]
    x, y, z = body.joints[foot] - body.joints[shin]
    np.testing.assert_allclose(found[0], body.joints[shin], atol=2e-5)
    np.testing.assert_allclose(found[1], body.joints[shin] + np.array([x, -z, y]), atol=4e-5)


def test_a_bank_that_cannot_dress_somebody_is_refused(bank: Bank) -> None:
    for kind in ("outfit", "shoes"):
        rest = tuple(p for p in bank.pieces if p.name != f"female_{kind}_test")
        with pytest.raises(FormatError, match=rf"test people \(female\) but no {kind}"):
            replace(bank, pieces=rest)


def test_unknown_splits_and_seeds_are_refused(bank: Bank) -> None:
    with pytest.raises(UsageError, match="nobody in the split 'val'"):
        bank.body(0, "val")
    with pytest.raises(UsageError, match="from 0; got -1"):
        bank.body(-1)
    with pytest.raises(UsageError, match="from 0; got -1"):
        plain_body(-1)


def test_a_file_that_is_no_bank_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="There is no bank"):
        read_bank(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(FormatError, match="not a bank"):
        read_bank(tmp_path / "text.npz")
    np.savez(tmp_path / "other.npz", points=np.zeros(3))
    with pytest.raises(FormatError, match="not a bank"):
        read_bank(tmp_path / "other.npz")


def test_a_bank_cut_short_is_refused(bank: Bank, tmp_path: Path) -> None:
    write_bank(bank, tmp_path / "bank.npz")
    whole = (tmp_path / "bank.npz").read_bytes()
    for length in (0, 100, len(whole) // 2, len(whole) - 1000):
        (tmp_path / "cut.npz").write_bytes(whole[:length])
        with pytest.raises(FormatError):
            read_bank(tmp_path / "cut.npz")


def stored(bank: Bank, path: Path) -> dict[str, np.ndarray]:
    write_bank(bank, path)
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("faces", np.full((5, 3), 60000, np.uint16), "faces point at 60000"),
        ("bones", np.full((3344, 4), 21, np.uint8), "bones should be|bones point at 21"),
        ("weights", np.zeros((1, 4), np.uint16), "weights should be"),
        ("paint", np.zeros((9, 5), np.uint8), "should be"),
        ("shapes", np.zeros((6, 3), np.float32), "3 shape weights for 2 basis shapes"),
        ("shapes", np.zeros((5, 2), np.float32), "wrong form"),
        ("scale", np.full(2, np.nan, np.float32), "not all finite"),
        ("piece0_refs", np.full((9, 3), 65000, np.uint16), "damaged|wrong form"),
        ("piece0_units", np.zeros(3, np.float32), "contradicts itself"),
        ("piece0_texture", np.zeros(8, np.uint8), "wrong form"),
    ],
)
def test_a_bank_with_a_wrong_part_is_refused(
    bank: Bank, tmp_path: Path, name: str, value: np.ndarray, message: str
) -> None:
    arrays = stored(bank, tmp_path / "bank.npz")
    np.savez(tmp_path / "wrong.npz", **{**arrays, name: value})
    with pytest.raises(FormatError, match=message):
        read_bank(tmp_path / "wrong.npz")


@pytest.mark.parametrize("name", ["mean", "basis", "shapes", "piece0_uv"])
def test_a_bank_without_a_part_is_refused(bank: Bank, tmp_path: Path, name: str) -> None:
    arrays = stored(bank, tmp_path / "bank.npz")
    del arrays[name]
    np.savez(tmp_path / "less.npz", **arrays)
    with pytest.raises(FormatError, match="a part is missing"):
        read_bank(tmp_path / "less.npz")


def test_a_bank_of_another_version_is_refused(bank: Bank, tmp_path: Path) -> None:
    arrays = stored(bank, tmp_path / "bank.npz")
    about = json.loads(arrays["about"].tobytes())
    arrays["about"] = np.frombuffer(json.dumps({**about, "version": 2}).encode(), np.uint8)
    np.savez(tmp_path / "newer.npz", **arrays)
    with pytest.raises(FormatError, match="version 2; this program reads"):
        read_bank(tmp_path / "newer.npz")

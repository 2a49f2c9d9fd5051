"""Face sets, folds of persons, batches and the faces drawn by code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from chronopose.data.drawn_faces import (
    PROTOTYPES,
    DrawnFaces,
    Expression,
    draw_face,
    draw_identity,
    vary,
)
from chronopose.data.face_batches import (
    UNCHANGED,
    USUAL,
    FaceAugmentation,
    FaceBatches,
    augment_faces,
    draw_rows,
    hold_size,
)
from chronopose.data.faces import (
    FaceSet,
    FacesInMemory,
    FacesJoined,
    FacesOf,
    held,
    person_folds,
    read_face,
    without,
)
from chronopose.errors import FormatError, ShapeError, UsageError


def plain_faces(labels: list[int], persons: list[str] | None = None) -> FacesInMemory:
    """Picture i is of one gray, i."""
    count = len(labels)
    pictures = np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None],
                               (count, 24, 20, 3)).copy()  # fmt: skip
    return FacesInMemory("plain", ("calm", "glad", "cross"), pictures, np.array(labels), persons)


def test_every_set_is_a_face_set():
    whole = plain_faces([0, 1, 2])
    assert isinstance(whole, FaceSet)
    assert isinstance(FacesOf(whole, np.array([1])), FaceSet)
    assert isinstance(FacesJoined([whole]), FaceSet)
    assert isinstance(DrawnFaces(1), FaceSet)


def test_a_part_shows_the_chosen_pictures_under_their_labels():
    part = FacesOf(plain_faces([0, 1, 2], ["x", "y", "z"]), np.array([2, 0]))
    assert len(part) == 2
    assert part.picture(0)[0, 0, 0] == 2
    assert (part.label(0), part.persons.tolist()) == (2, ["z", "x"])
    assert part.fingerprint() != FacesOf(plain_faces([0, 1, 2]), np.array([2, 1])).fingerprint()


def test_joined_sets_match_classes_by_name_and_keep_their_people_apart():
    first = plain_faces([0, 1], ["x", ""])
    pictures = np.full((3, 8, 8, 3), 9, np.uint8)
    second = FacesInMemory("two", ("glad", "odd"), pictures, np.array([0, 1, 0]), ["x", "x", "y"])
    both = FacesJoined([first, second], ("glad", "calm"))
    assert both.labels.tolist() == [1, 0, 0, 0]
    assert both.persons.tolist() == ["0/x", "", "1/x", "1/y"]
    assert both.picture(3)[0, 0, 0] == 9
    with pytest.raises(UsageError, match="no picture of the classes"):
        FacesJoined([first, second], ("cross",))


def test_arrays_that_do_not_fit_are_refused():
    pictures = np.zeros((2, 8, 8, 3), np.uint8)
    with pytest.raises(ShapeError, match="labels must be numbers"):
        FacesInMemory("bad", ("a", "b"), pictures, np.array([0, 2]))
    with pytest.raises(ShapeError, match="as many labels"):
        FacesInMemory("bad", ("a", "b"), pictures, np.array([0]))


def test_a_held_set_has_the_size_asked_for():
    kept = held(plain_faces([0, 1, 2]), (10, 12))
    assert kept.size == (10, 12)
    assert kept.pictures[2].max() == kept.pictures[2].min() == 2


def test_dealt_folds_take_turns_by_name_and_share_nobody():
    persons = np.array(["c", "a", "b", "a", "d", "c"])
    folds = person_folds(persons, 2)
    # a b c d dealt to 0 1 0 1.
    assert [f.tolist() for f in folds] == [[0, 1, 3, 5], [2, 4]]
    assert without(6, folds[1]).tolist() == folds[0].tolist()


def test_even_folds_give_the_largest_person_first():
    persons = np.array(["a", "b", "b", "b", "c", "d"])
    folds = person_folds(persons, 2, rule="even")
    assert sorted(map(len, folds)) == [3, 3]
    assert set(persons[folds[0]]).isdisjoint(persons[folds[1]])


def test_folds_refuse_unknown_people_unless_they_are_taken_for_different_ones():
    persons = np.array(["", "a", ""])
    with pytest.raises(UsageError, match="2 of 3 pictures"):
        person_folds(persons, 2)
    folds = person_folds(persons, 3, alone=True)
    assert sorted(np.concatenate(folds).tolist()) == [0, 1, 2]
    with pytest.raises(UsageError, match="1 persons"):
        person_folds(np.array(["a", "a"]), 2)


def test_a_batch_has_as_many_of_each_class_and_walks_through_all():
    labels, persons = np.array([0, 0, 0, 0, 1, 1, 2]), np.array([""] * 7)
    rows = [draw_rows(labels, persons, 2, seed=1, step=s) for s in range(2)]
    assert labels[rows[0]].tolist() == [0, 0, 1, 1, 2, 2]
    # Two batches of two show all four pictures of class 0 once.
    assert sorted([*rows[0][:2], *rows[1][:2]]) == [0, 1, 2, 3]
    assert (rows[0][4:] == 6).all()
    assert rows[0].tolist() == draw_rows(labels, persons, 2, seed=1, step=0).tolist()
    assert rows[0].tolist() != draw_rows(labels, persons, 2, seed=2, step=0).tolist()


def test_identity_aware_batches_have_people_with_two_expressions():
    count = 60
    labels = np.arange(count) % 3
    # Only p0 to p3 are there with all three expressions, everybody else with one.
    persons = np.array([f"p{i // 3}" if i < 12 else f"q{i}" for i in range(count)])

    def pairs(rows: np.ndarray) -> int:
        who, what = persons[rows], labels[rows]
        return int(((who[:, None] == who) & (what[:, None] != what)).sum())

    aware = draw_rows(labels, persons, 4, 0, 5, identity_aware=True)
    assert np.bincount(labels[aware]).tolist() == [4, 4, 4]
    # Two of four places of each class go to two people with all expressions: 2 * 3 * 2 pairs.
    assert pairs(aware) >= 12
    assert pairs(draw_rows(labels, persons, 4, 0, 5)) < 12


def test_batches_need_two_classes_and_two_pictures_of_each():
    with pytest.raises(UsageError, match="two or more classes"):
        draw_rows(np.array([1, 1]), np.array(["", ""]), 2, 0, 0)
    with pytest.raises(UsageError, match="per_class 1"):
        draw_rows(np.array([0, 1]), np.array(["", ""]), 1, 0, 0)


def test_faces_that_are_not_changed_are_only_cut_to_size():
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (3, 12, 12, 3), np.uint8))
    same = augment_faces(pixels, (12, 12), np.random.default_rng(1), UNCHANGED)
    torch.testing.assert_close(same, pixels.permute(0, 3, 1, 2).float(), rtol=0, atol=0.01)


def test_a_flip_mirrors_and_a_quarter_turn_turns():
    pixels = torch.zeros(1, 9, 9, 3, dtype=torch.uint8)
    pixels[0, 4, 1] = 200
    mirrored = augment_faces(
        pixels, (9, 9), np.random.default_rng(0), FaceAugmentation(
            crop=0, flip=1, turn_deg=0, brightness=0, contrast=0, gray=0, erase=0,
        ),
    )  # fmt: skip
    assert mirrored[0, 0].argmax().item() == 4 * 9 + 7


def test_erasing_fills_a_rectangle_of_the_size_asked_for():
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (8, 40, 40, 3), np.uint8))
    how = FaceAugmentation(
        crop=0, flip=0, turn_deg=0, brightness=0, contrast=0, gray=0, erase=1,
        erase_area=(0.1, 0.1),
    )  # fmt: skip
    changed = augment_faces(pixels, (40, 40), np.random.default_rng(3), how)
    gone = ((changed - pixels.permute(0, 3, 1, 2)).abs() > 0.5).any(1).float().mean((1, 2))
    assert gone.max() < 0.13
    assert gone.mean() > 0.04  # part of a rectangle may lie outside the picture


def test_augmentation_out_of_range_is_refused():
    with pytest.raises(UsageError, match=r"within 0\.\.1"):
        FaceAugmentation(flip=1.5)


def test_a_batch_follows_from_its_number():
    faces = DrawnFaces(4, size=20, classes=("neutral", "happiness"))
    batches = FaceBatches(faces, (16, 16), 2, 7, 10, augmentation=USUAL)
    again = FaceBatches(held(faces, hold_size((16, 16))), (16, 16), 2, 7, 10, augmentation=USUAL)
    one, other = batches[3], again[3]
    torch.testing.assert_close(one.faces, other.faces)
    assert one.faces.shape == (4, 3, 16, 16)
    assert one.labels.tolist() == [0, 0, 1, 1]
    assert not torch.equal(one.faces, batches[4].faces)
    few = FaceBatches(faces, (16, 16), 2, 7, 10, augmentation=USUAL, overfit=2)
    torch.testing.assert_close(few[3].faces, few[1].faces)


def test_persons_get_numbers_and_nobody_gets_minus_one():
    batch = FaceBatches(plain_faces([0, 1, 0, 1], ["x", "y", "", "x"]), (20, 24), 2, 0, 1)[0]
    number = dict(zip(batch.faces[:, 0, 0, 0].round().int().tolist(), batch.persons.tolist(),
                      strict=True))  # fmt: skip
    assert number == {0: 0, 1: 1, 2: -1, 3: 0}


def test_a_drawn_face_is_always_the_same_and_every_person_has_every_expression():
    faces = DrawnFaces(3, 2, seed=4, size=32)
    assert len(faces) == 3 * 2 * len(PROTOTYPES)
    assert np.bincount(faces.labels).tolist() == [6] * len(PROTOTYPES)
    assert len(set(faces.persons)) == 3
    np.testing.assert_array_equal(faces.picture(5), DrawnFaces(3, 2, seed=4, size=32).picture(5))
    assert (faces.picture(5) != faces.picture(6)).any()
    assert faces.picture(0).shape == (32, 32, 3)


def test_an_open_mouth_is_a_tall_hole():
    person = draw_identity(np.random.default_rng(5))
    closed, ajar, opened = (
        draw_face(person, Expression(mouth_open=v), 96, np.random.default_rng(11)).mean(-1)
        for v in (0.0, 0.3, 0.9)
    )
    tall, low = (((closed - p)[56:96, 40:56] > 20).any(1).sum() for p in (opened, ajar))
    assert tall > 1.5 * low > 0


def test_one_number_moves_one_part_of_the_face():
    person = draw_identity(np.random.default_rng(3))
    still, brows, mouth = (
        draw_face(person, e, 96, np.random.default_rng(11)).astype(int)
        for e in (Expression(), Expression(brow_raise=0.9), Expression(mouth_curve=0.9))
    )
    upper, lower = slice(0, 48), slice(54, 96)
    assert abs(brows[upper] - still[upper]).mean() > 4 * abs(brows[lower] - still[lower]).mean()
    assert abs(mouth[lower] - still[lower]).mean() > 4 * abs(mouth[upper] - still[upper]).mean()


def test_expressions_vary_around_their_prototype():
    rng = np.random.default_rng(0)
    smiles = [vary("happiness", Expression(), rng).mouth_curve for _ in range(50)]
    frowns = [vary("sadness", Expression(), rng).mouth_curve for _ in range(50)]
    assert min(smiles) > max(frowns)
    assert np.std(smiles) > 0.1
    with pytest.raises(UsageError, match="no drawn expression 'smug'"):
        vary("smug", Expression(), rng)


def test_drawn_faces_refuse_what_they_cannot_draw():
    with pytest.raises(UsageError, match="got smug"):
        DrawnFaces(2, classes=("neutral", "smug"))
    with pytest.raises(UsageError, match="16 pixels"):
        DrawnFaces(2, size=8)


def test_gray_picture_files_get_three_channels(tmp_path: Path):
    Image.fromarray(np.full((5, 7), 90, np.uint8)).save(tmp_path / "a.png")
    assert read_face(tmp_path / "a.png").shape == (5, 7, 3)
    (tmp_path / "b.png").write_bytes(b"no picture")
    with pytest.raises(FormatError, match=r"b\.png"):
        read_face(tmp_path / "b.png")

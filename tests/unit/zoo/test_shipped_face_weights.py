"""The expression weights that come with the package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chronopose import zoo
from chronopose.data.drawn_faces import DrawnFaces
from chronopose.data.expressions._find import open_faces
from chronopose.data.faces import FacesOf
from chronopose.engine.evaluate_faces import embed_faces
from chronopose.engine.fit_faces import judge

NAME = "fer_multithreshold:lite"


def test_the_card_says_what_the_weights_are_and_are_not() -> None:
    card = zoo.find_card("fer_multithreshold", "lite")
    assert card.path is not None and card.path.stat().st_size < 3e6
    assert "unclear" in card.terms
    assert "not an emotion" in card.notes
    assert card.parameters == sum(p.numel() for p in zoo.load_face_model(NAME).parameters())


def test_the_slices_have_length_one_and_the_answers_are_shares() -> None:
    model = zoo.load_face_model(NAME)
    logits, embedding = embed_faces(model, DrawnFaces(2, size=48, classes=model.codec.classes))
    lengths = np.linalg.norm(embedding.reshape(len(embedding), 8, -1), axis=-1)
    np.testing.assert_allclose(lengths, 1, atol=1e-5)
    assert logits.shape == (12, 6)


def test_people_who_were_not_trained_on_are_read_better_than_by_chance(shared_data: Path) -> None:
    folder = shared_data / "fer_portraits"
    if not folder.is_dir():
        pytest.skip("needs the portraits: the folder shared/data/fer_portraits is not there")
    faces = open_faces(f"fer_portraits:{folder}", "test:1")
    told = judge(zoo.load_face_model(NAME), FacesOf(faces, np.arange(0, len(faces), 5)))
    assert told["accuracy"] > 58  # 66.7 of all 495; a third is neutral
    assert told["mean_class_accuracy"] > 40

"""Recipes of expression networks: carried out on drawn faces, and what they ask for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chronopose import zoo
from chronopose.data.drawn_faces import DrawnFaces
from chronopose.engine.fit_faces import FaceSettings
from chronopose.errors import FormatError, UsageError
from chronopose.recipes import Places, find
from chronopose.recipes._faces import DrawnSpec, ExpressionSpec, FaceRecipe, JoinedSpec
from chronopose.recipes._run import run, with_settings
from chronopose.recipes.fer_multithreshold import SIX

TINY = FaceSettings(steps=2, per_class=2, log_every=1)
NET = {"classes": SIX, "crop_size": (24, 24), "widths": (8, 8, 8), "embedding": 64}


def tiny(**changes: object) -> FaceRecipe:
    recipe = find("fer_multithreshold_drawn")
    assert isinstance(recipe, FaceRecipe)
    spec = DrawnSpec(people=3)
    return replace(recipe, train=spec, val=spec, settings=TINY, overrides=NET, **changes)


def portraits(folder: Path) -> Path:
    """A table of drawn portraits of six people."""
    faces = DrawnFaces(6, size=32, classes=SIX)
    (folder / "images").mkdir(parents=True)
    lines = ["image,expression,person"]
    for i in range(len(faces)):
        Image.fromarray(faces.picture(i)).save(folder / "images" / f"{i}.png")
        lines.append(f"{i}.png,{SIX[faces.label(i)]},{faces.persons[i]}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_a_recipe_on_drawn_faces_ends_with_weights_and_a_card(tmp_path: Path):
    result = run(tiny(), tmp_path / "run", quiet=True)
    assert result.steps == 2
    model = zoo.load_face_model(
        "fer_multithreshold:lite", weights=tmp_path / "run" / "weights.safetensors"
    )
    assert model.codec.classes == SIX
    assert model.card is not None
    assert "drawn" in model.card.training_data
    assert "not a" in model.card.notes
    assert {s["metric"] for s in model.card.scores} == {
        "accuracy, percent", "mean class accuracy, percent",
    }  # fmt: skip


def test_portraits_are_split_by_person_and_started_from_a_run(tmp_path: Path):
    run(tiny(), tmp_path / "drawn", quiet=True)
    recipe = replace(
        tiny(),
        name="fer_multithreshold_lite",
        train=ExpressionSpec(dataset="fer_portraits", split="train:1"),
        val=ExpressionSpec(dataset="fer_portraits", split="test:1"),
    )
    places = Places(data=portraits(tmp_path / "table"))
    size = (24, 24)
    train, val = (s.build(places, SIX, size) for s in (recipe.train, recipe.val))
    assert set(train.persons).isdisjoint(val.persons)
    assert len(train) + len(val) == 36
    result = run(recipe, tmp_path / "run", places=places, init=tmp_path / "drawn", quiet=True)
    assert np.isfinite(result.validation["accuracy"])


def test_classes_that_a_network_does_not_tell_are_left_out(tmp_path: Path):
    places = Places(data=portraits(tmp_path))
    spec = ExpressionSpec(dataset="fer_portraits", split="all")
    two = spec.build(places, ("happiness", "anger"), (24, 24))
    assert two.classes == ("happiness", "anger")
    assert len(two) == 12
    both = JoinedSpec(parts=(DrawnSpec(people=2), spec)).build(
        places, ("happiness", "anger"), (24, 24)
    )
    assert len(both) == 4 + 12


def test_recipes_with_data_say_what_they_need(tmp_path: Path):
    with pytest.raises(UsageError, match="--data"):
        ExpressionSpec(dataset="ckplus").build(Places(), SIX, (24, 24))
    with pytest.raises(FormatError):
        ExpressionSpec(dataset="fer_portraits").build(Places(data=tmp_path), SIX, (24, 24))


def test_settings_of_the_command_line_reach_the_recipe():
    changed = with_settings(find("fer_multithreshold_lite"), {"seed": 4, "overfit": 1})
    assert changed.settings.seed == 4
    assert changed.settings.overfit == 1

"""What the recipes of the detector draw, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chronopose.errors import FormatError, UsageError
from chronopose.recipes import Places, find
from chronopose.recipes._detector import read_backdrops
from chronopose.recipes._run import run
from chronopose.recipes._synthetic import SyntheticPictures
from chronopose.synth.generate import GenerateSettings, generate
from chronopose.synth.scenario import ClipPlan


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("set")
    plan = ClipPlan(seed=3, difficulty="crowd", frames=2, fps=2.0, size=(192, 128))
    list(generate([plan], folder, GenerateSettings(renderer="soft")))
    return folder


def test_parts_of_generated_frames_have_the_boxes_of_their_people(generated: Path) -> None:
    pictures = SyntheticPictures(generated)
    assert len(pictures) == 2
    counts = []
    for seed in range(12):
        drawn = pictures.draw((96, 64), np.random.default_rng(seed))
        assert drawn.image.shape == (64, 96, 3)
        assert (drawn.boxes >= -0.5).all()
        assert (drawn.boxes <= [95.5, 63.5, 95.5, 63.5]).all()
        counts.append(len(drawn.boxes))
    assert max(counts) >= 2


def test_a_folder_without_clips_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="chronopose synth"):
        SyntheticPictures(tmp_path)


def test_photographs_without_people_are_read_as_they_are(tmp_path: Path) -> None:
    Image.fromarray(np.full((20, 30, 3), 7, np.uint8)).save(tmp_path / "a.png")
    (picture,) = read_backdrops(tmp_path)
    assert picture.shape == (20, 30, 3) and (picture == 7).all()


def test_an_empty_or_damaged_folder_of_backdrops_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="holds no pictures"):
        read_backdrops(tmp_path)
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    with pytest.raises(FormatError, match="Cannot read the picture"):
        read_backdrops(tmp_path)


def test_what_a_recipe_needs_is_asked_for_by_its_flag(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--backdrops"):
        run(find("person_detector_lite"), tmp_path, places=Places(data=tmp_path))
    places = Places(data=tmp_path, backdrops=tmp_path)
    with pytest.raises(UsageError, match="--init"):
        run(find("person_detector_lite_2"), tmp_path, places=places)
    with pytest.raises(UsageError, match="--synthetic"):
        run(find("person_detector_lite_2"), tmp_path, places=places, init=tmp_path / "w")

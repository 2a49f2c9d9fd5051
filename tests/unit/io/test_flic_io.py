"""FLIC: eleven slots of twenty-nine, the observer's sides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from label_worlds import assert_same, frame
from scipy.io import savemat

from chronopose.core.labels import LabelledSequence, Visibility
from chronopose.core.skeletons import get_skeleton
from chronopose.errors import FormatError
from chronopose.io._mat import struct_array
from chronopose.io.flic import read_flic, write_flic

FLIC = get_skeleton("flic11")


def coords() -> np.ndarray:
    """Slot k at (10 k, 100 + k); the nose, slot 16, is not labelled."""
    places = np.stack([10.0 * np.arange(29), 100.0 + np.arange(29)])
    places[:, 16] = np.nan
    return places


def save(path: Path, **changes: Any) -> Path:
    example = {
        "coords": coords(), "filepath": "bad-santa-0001.jpg", "moviename": "bad-santa",
        "currframe": 101.0, "torsobox": np.array([[20.0, 30, 60, 90]]), "istrain": 1.0,
        "istest": 0.0, "imgdims": np.array([[480.0, 720, 3]]), **changes,
    }  # fmt: skip
    other = {**example, "istrain": 0.0, "istest": 1.0}
    savemat(path, {"examples": struct_array([example, other])})
    return path


def test_sides_become_the_person_s_own(tmp_path: Path) -> None:
    found = read_flic(save(tmp_path / "examples.mat"))[0]
    person = found.frames[0].xy[0]
    assert person[FLIC.index("right_shoulder")].tolist() == [0, 100]
    assert person[FLIC.index("left_wrist")].tolist() == [50, 105]
    assert person[FLIC.index("left_hip")].tolist() == [90, 109]
    assert found.extra == {"sides": "person"}


def test_sides_can_be_left_as_stored(tmp_path: Path) -> None:
    found = read_flic(save(tmp_path / "examples.mat"), sides="stored")[0]
    assert found.frames[0].xy[0, FLIC.index("left_shoulder")].tolist() == [0, 100]
    assert found.extra == {"sides": "stored"}


def test_nan_is_absent(tmp_path: Path) -> None:
    found = read_flic(save(tmp_path / "examples.mat"))[0].frames[0]
    assert found.visibility[0, FLIC.index("nose")] == Visibility.ABSENT
    assert (found.visibility == Visibility.VISIBLE).sum() == 10


def test_the_torso_s_box_is_not_the_person_s(tmp_path: Path) -> None:
    found = read_flic(save(tmp_path / "examples.mat"))[0].frames[0]
    assert np.isnan(found.boxes).all()
    assert found.extra["people"] == [{"torso_box": [20, 30, 60, 90]}]


def test_splits_sizes_and_movies_are_kept(tmp_path: Path) -> None:
    frames = read_flic(save(tmp_path / "examples.mat"))[0].frames
    assert [f.extra["split"] for f in frames] == ["train", "test"]
    assert frames[0].size == (720, 480)
    assert (frames[0].extra["moviename"], frames[0].extra["currframe"]) == ("bad-santa", 101)


@pytest.mark.parametrize("sides", ["observer", "stored"])
def test_examples_come_back(sides: Any, tmp_path: Path) -> None:
    seen = np.full((1, 11), Visibility.VISIBLE)
    seen[0, 4] = Visibility.ABSENT
    frames = tuple(
        frame(FLIC, n, ids=(-1,), boxes=None, visibility=seen, name=f"{n}.jpg", size=(72, 48),
              extra={"split": "test"})
        for n in range(2)
    )  # fmt: skip
    marked = {"sides": "stored"} if sides == "stored" else {}
    wanted = LabelledSequence("flic", FLIC, frames, is_video=False, extra=marked)
    write_flic([wanted], tmp_path / "examples.mat", base=1)
    found = read_flic(tmp_path / "examples.mat", base=1, sides=sides)[0]
    assert_same(found, wanted)
    assert [(f.size, f.extra["split"]) for f in found] == [((72, 48), "test")] * 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"coords": np.zeros((2, 11))}, r"coords must have the shape \(2, 29\)"),
        ({"torsobox": np.array([[60.0, 30, 20, 90]])}, "torsobox has a negative size"),
        ({"imgdims": np.array([[0.0, 720]])}, "imgdims must be rows and columns"),
        ({"filepath": 5.0}, "filepath must be a text"),
    ],
)
def test_a_broken_example_is_named(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=message) as caught:
        read_flic(save(tmp_path / "examples.mat", **changes))
    assert "examples.mat: examples(1)" in str(caught.value)


def test_half_a_joint_is_an_error(tmp_path: Path) -> None:
    half = coords()
    half[0, 3] = np.nan
    with pytest.raises(FormatError, match="only one of its two coordinates"):
        read_flic(save(tmp_path / "examples.mat", coords=half))

"""LSP and LSPET: two layouts, two senses of the third number, one pixel."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from label_worlds import assert_same, frame
from scipy.io import loadmat, savemat

from chronopose.core.labels import LabelledSequence, Visibility
from chronopose.core.skeletons import get_skeleton
from chronopose.errors import FormatError
from chronopose.io.lsp import read_lsp, write_lsp

LSP = get_skeleton("lsp14")


def save(path: Path, joints: np.ndarray) -> Path:
    savemat(path, {"joints": joints})
    return path


def lsp(pictures: int = 2) -> np.ndarray:
    """(3, 14, N): joint k of picture n at (10 + k, 20 + n); the first right ankle is occluded."""
    table = np.zeros((3, 14, pictures))
    table[0], table[1] = 10 + np.arange(14)[:, None], 20 + np.arange(pictures)
    table[2, 0, 0] = 1
    return table


def lspet() -> np.ndarray:
    """(14, 3, 2): all labelled but the right ankle of the first, which lies at a wild place."""
    table = np.zeros((14, 3, 2), np.float32)
    table[:, 0], table[:, 1], table[:, 2] = 10, 20, 1
    table[0, :, 0] = -3e7, np.nan, 0
    return table


def test_one_means_occluded_in_lsp(tmp_path: Path) -> None:
    found = read_lsp(save(tmp_path / "joints.mat", lsp()))[0]
    assert found.name == "lsp"
    assert found.frames[0].visibility[0, :2].tolist() == [Visibility.OCCLUDED, Visibility.VISIBLE]


def test_one_means_labelled_in_lspet(tmp_path: Path) -> None:
    found = read_lsp(save(tmp_path / "joints.mat", lspet()))[0]
    assert found.name == "lspet"
    assert found.frames[0].visibility[0, :2].tolist() == [Visibility.ABSENT, Visibility.VISIBLE]
    assert np.isnan(found.frames[0].xy[0, 0]).all()


def test_coordinates_count_from_zero_after_reading(tmp_path: Path) -> None:
    path = save(tmp_path / "joints.mat", lsp())
    assert read_lsp(path)[0].frames[1].xy[0, 3].tolist() == [12, 20]
    assert read_lsp(path, base=0)[0].frames[1].xy[0, 3].tolist() == [13, 21]


def test_pictures_are_named_as_on_disk(tmp_path: Path) -> None:
    short = read_lsp(save(tmp_path / "joints.mat", lsp()))[0].frames[1]
    long = read_lsp(save(tmp_path / "joints.mat", lspet()))[0].frames[1]
    assert (short.name, long.name, short.frame_index) == ("im0002.jpg", "im00002.jpg", 2)


def test_the_first_thousand_of_lsp_are_for_training(tmp_path: Path) -> None:
    found = read_lsp(save(tmp_path / "joints.mat", lsp(2000)))[0]
    splits = [f.extra["split"] for f in found]
    assert splits == ["train"] * 1000 + ["test"] * 1000


def test_a_part_of_lsp_has_no_split(tmp_path: Path) -> None:
    assert read_lsp(save(tmp_path / "joints.mat", lsp()))[0].frames[0].extra == {}


@pytest.mark.parametrize("table", [lsp(), lspet()], ids=["lsp", "lspet"])
def test_the_exchanged_sense_is_noticed_by_its_mean(table: np.ndarray, tmp_path: Path) -> None:
    third = table[2] if len(table) == 3 else table[:, 2]
    third[:] = 1 - third
    with pytest.raises(FormatError, match="Its sense is exchanged"):
        read_lsp(save(tmp_path / "joints.mat", table))


def test_a_labelled_joint_at_a_wild_place_is_named(tmp_path: Path) -> None:
    table = lspet()
    table[5, 0, 1] = np.nan
    with pytest.raises(FormatError, match="left_ankle of picture 2"):
        read_lsp(save(tmp_path / "joints.mat", table))


def test_the_observer_s_sides_are_marked(tmp_path: Path) -> None:
    path = save(tmp_path / "joints.mat", lsp())
    assert read_lsp(path, sides="observer")[0].extra == {"sides": "observer"}


def test_whole_numbers_do_not_wrap(tmp_path: Path) -> None:
    table = np.zeros((3, 14, 1), np.uint8)
    assert read_lsp(save(tmp_path / "a.mat", table))[0].frames[0].xy[0, 0].tolist() == [-1, -1]


@pytest.mark.parametrize("layout", ["lsp", "lspet"])
def test_labels_come_back(layout: str, tmp_path: Path) -> None:
    absent, seen = (Visibility.ABSENT, 2) if layout == "lspet" else (Visibility.OCCLUDED, 2)
    frames = []
    for number in (1, 2, 3):
        visibility = np.full((1, 14), seen)
        visibility[0, number] = absent
        name = f"im{number:0{4 if layout == 'lsp' else 5}d}.jpg"
        frames.append(frame(LSP, number, ids=(-1,), boxes=None, visibility=visibility, name=name))
    wanted = LabelledSequence(layout, LSP, tuple(frames), is_video=False)
    write_lsp([wanted], tmp_path / "joints.mat", layout)  # type: ignore[arg-type]
    assert_same(read_lsp(tmp_path / "joints.mat")[0], wanted)


def test_lsp_cannot_leave_a_joint_out(tmp_path: Path) -> None:
    wanted = LabelledSequence("lsp", LSP, (frame(LSP, 1, ids=(-1,)),))
    with pytest.raises(FormatError, match=r"right_knee of .* is absent"):
        write_lsp([wanted], tmp_path / "joints.mat")
    write_lsp([replace(wanted, name="mine")], tmp_path / "joints.mat")
    assert loadmat(tmp_path / "joints.mat")["joints"].shape[:2] == (14, 3)


def test_two_people_in_a_picture_cannot_be_written(tmp_path: Path) -> None:
    wanted = LabelledSequence("lspet", LSP, (frame(LSP, 1),))
    with pytest.raises(FormatError, match="has 2 people"):
        write_lsp([wanted], tmp_path / "joints.mat")


@pytest.mark.data
def test_the_real_extension_is_labelled_as_often_as_published(shared_data: Path) -> None:
    found = read_lsp(shared_data / "lspet" / "joints.mat", base=0)[0]
    known = np.array([f.known[0] for f in found])
    assert known.shape == (9000, 14)
    assert abs(known.mean() - 0.88) < 0.005

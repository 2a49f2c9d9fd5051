"""J-HMDB: the pixel it counts from, boxes of puppet masks, splits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from label_worlds import assert_same, frame
from scipy.io import savemat

from chronopose.core.labels import LabelledSequence, Visibility
from chronopose.core.skeletons import get_skeleton
from chronopose.errors import FormatError
from chronopose.io.jhmdb import read_jhmdb, read_jhmdb_split, write_jhmdb
from chronopose.io.labels import read_labels

JHMDB = get_skeleton("jhmdb15")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Joint k of frame t at (10 + k, 20 + t), counted from 1; a mask in the first frame only."""
    place = tmp_path / "joint_positions" / "catch" / "ball_1"
    mask_place = tmp_path / "puppet_mask" / "catch" / "ball_1"
    place.mkdir(parents=True)
    mask_place.mkdir(parents=True)
    joints = np.zeros((2, 15, 2))
    joints[0], joints[1] = 10 + np.arange(15)[:, None], 20 + np.arange(2)
    savemat(place / "joint_positions.mat", {"pos_img": joints, "scale": [[1.5, 1.25]],
                                            "viewpoint": "SE", "pos_world": joints})  # fmt: skip
    mask = np.zeros((240, 320, 2), np.uint8)
    mask[30:51, 40:61, 0] = 3
    savemat(mask_place / "puppet_mask.mat", {"part_mask": mask})
    return place / "joint_positions.mat"


def test_coordinates_count_from_zero_after_reading(clip: Path) -> None:
    found = read_jhmdb(clip)[0]
    assert found.frames[1].xy[0, JHMDB.index("face")].tolist() == [11, 20]
    assert [(f.name, f.frame_index) for f in found] == [("00001.png", 1), ("00002.png", 2)]


def test_every_joint_is_visible_as_far_as_the_file_tells(clip: Path) -> None:
    assert (read_jhmdb(clip)[0].frames[0].visibility == Visibility.VISIBLE).all()


def test_the_box_is_the_tight_box_of_the_mask(clip: Path) -> None:
    frames = read_jhmdb(clip)[0].frames
    assert frames[0].boxes.tolist() == [[40, 30, 60, 50]]
    assert np.isnan(frames[1].boxes).all()
    assert frames[0].size == (320, 240)


def test_a_clip_is_called_by_its_folder(clip: Path) -> None:
    found = read_jhmdb(clip)[0]
    assert (found.name, found.extra) == ("ball_1", {"action": "catch", "viewpoint": "SE"})
    assert [f.extra["scale"] for f in found] == [1.5, 1.25]


def test_the_whole_folder_is_read(clip: Path) -> None:
    root = clip.parents[2]
    assert [s.name for s in read_labels(root)] == ["ball_1"]


def test_a_clip_without_masks_has_no_boxes(clip: Path) -> None:
    (clip.parents[3] / "puppet_mask" / "catch" / "ball_1" / "puppet_mask.mat").unlink()
    frames = read_jhmdb(clip)[0].frames
    assert np.isnan(frames[0].boxes).all()
    assert frames[0].size is None


def test_a_mask_of_another_length_is_refused(clip: Path, tmp_path: Path) -> None:
    savemat(tmp_path / "mask.mat", {"part_mask": np.zeros((240, 320, 3), np.uint8)})
    with pytest.raises(FormatError, match=r"mask\.mat: part_mask must hold numbers for 2 frames"):
        read_jhmdb(clip, mask=tmp_path / "mask.mat")


def test_a_single_frame_keeps_its_axis(tmp_path: Path) -> None:
    savemat(tmp_path / "joint_positions.mat", {"pos_img": np.ones((2, 15))})
    assert len(read_jhmdb(tmp_path / "joint_positions.mat")[0]) == 1


def test_joints_come_back(tmp_path: Path) -> None:
    seen = np.full((1, 15), Visibility.VISIBLE)
    frames = tuple(
        frame(JHMDB, n, ids=(-1,), boxes=None, visibility=seen, name=f"{n:05d}.png",
              extra={"scale": n / 7})
        for n in (1, 2, 3)
    )  # fmt: skip
    wanted = LabelledSequence("run", JHMDB, frames)
    write_jhmdb([wanted], tmp_path / "run.mat")
    found = read_jhmdb(tmp_path / "run.mat")[0]
    assert_same(found, wanted)
    assert [f.extra for f in found] == [f.extra for f in wanted]


def test_an_absent_joint_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"belly of .* is absent"):
        write_jhmdb([LabelledSequence("a", JHMDB, (frame(JHMDB, 1, ids=(-1,)),))], tmp_path / "a")


@pytest.mark.parametrize("name", ["sub_splits", "sub-splits", "splits", "."])
def test_splits_are_found_under_every_spelling(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    folder.mkdir(exist_ok=True)
    (folder / "catch_test_split_1.txt").write_text("ball one.avi 1\nball_2.avi 2\n")
    (folder / "run_test_split_1.txt").write_text("dash.avi 2\n\n")
    (folder / "run_test_split_2.txt").write_text("dash.avi 1\n")
    assert read_jhmdb_split(tmp_path) == {
        "ball one": ("catch", "train"), "ball_2": ("catch", "test"), "dash": ("run", "test"),
    }  # fmt: skip
    assert read_jhmdb_split(tmp_path, 2) == {"dash": ("run", "train")}


@pytest.mark.parametrize("line", ["a.avi 3", "a.avi", "1", "b.avi 1"])
def test_a_broken_line_of_a_split_is_named(line: str, tmp_path: Path) -> None:
    (tmp_path / "run_test_split_1.txt").write_text(f"b.avi 1\n{line}\n")
    with pytest.raises(FormatError, match=r"run_test_split_1\.txt: line 2"):
        read_jhmdb_split(tmp_path)


def test_a_folder_without_splits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="_test_split_3"):
        read_jhmdb_split(tmp_path, 3)


@pytest.mark.data
def test_copies_in_coco_s_form_are_j_hmdb_by_their_names(shared_data: Path) -> None:
    found = read_labels(shared_data / "samples" / "jhmdb" / "test_jhmdb_sub1.json")
    assert [s.skeleton for s in found] == [JHMDB] * 3
    assert found[0].name == "Frisbee_catch_f_cm_np1_ri_med_0"
    assert found[0].frames[0].frame_index == 1

"""What the files of other tools share: names, ids, rates, and folders that are replaced whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chronopose.core.skeletons import BODY25, COCO17, HALPE26, get_skeleton
from chronopose.core.video import VideoInfo
from chronopose.errors import FormatError
from chronopose.io._folder import PendingFolder
from chronopose.io._foreign import ids_of_names, picture_number, skeleton_of_names
from chronopose.io._foreign_sink import frame_rate

BOX = VideoInfo("a.mp4", (64, 48))


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        (["individual1", "individual2"], [1, 2]),
        (["track_7", "track_03"], [7, 3]),
        (["mickey", "minnie"], [0, 1]),
        (["mouse1", "cat1"], [0, 1]),
        (["mouse1", "cat"], [0, 1]),
        (["id_" + "9" * 30], [10**18 - 1]),
        ([], []),
    ],
)
def test_numbers_at_the_ends_of_names_are_ids_if_they_differ(
    names: list[str], ids: list[int]
) -> None:
    assert ids_of_names(names) == ids


def test_joints_of_other_spelling_are_a_known_skeleton() -> None:
    assert skeleton_of_names(list(COCO17.joints), "f") is COCO17
    openpose = [
        "Nose", "Neck", "RShoulder", "RElbow", "RWrist", "LShoulder", "LElbow", "LWrist", "MidHip",
        "RHip", "RKnee", "RAnkle", "LHip", "LKnee", "LAnkle", "REye", "LEye", "REar", "LEar",
        "LBigToe", "LSmallToe", "LHeel", "RBigToe", "RSmallToe", "RHeel",
    ]  # fmt: skip
    assert skeleton_of_names(openpose, "f") is BODY25
    assert get_skeleton("coco17").joints == HALPE26.joints[:17]


def test_joints_of_an_animal_make_a_skeleton_with_its_limbs() -> None:
    found = skeleton_of_names(["snout", "L_ear", "R_ear"], "f", [("snout", "L_ear")])
    assert found.joints == ("snout", "left_ear", "right_ear")
    assert found.limbs == (("snout", "left_ear"),)


def test_a_side_without_its_mirror_keeps_the_spelling_of_the_file() -> None:
    assert skeleton_of_names(["snout", "L_ear"], "f").joints == ("snout", "L_ear")
    with pytest.raises(FormatError, match=r"form no skeleton.*left_ear without"):
        skeleton_of_names(["snout", "left_ear"], "f")


@pytest.mark.parametrize(
    ("name", "number"),
    [("12.jpg", 12), ("clip_000004_keypoints.json", 4), ("a/b/img0007.png", 7), ("x2_y3.png", 3)],
)
def test_the_last_number_of_a_name_is_the_frame(name: str, number: int) -> None:
    assert picture_number(name, "f") == number


def test_the_rate_of_the_video_is_taken_if_the_times_fit_it() -> None:
    index = np.array([0, 1, 2])
    assert frame_rate(VideoInfo("a", (1, 1), rate_hz=25.0), index, index / 25) == (25.0, 0.0)


def test_a_rate_that_does_not_fit_is_measured() -> None:
    index = np.array([0, 1, 2])
    rate, worst_s = frame_rate(VideoInfo("a", (1, 1), rate_hz=30.0), index, index / 25)
    assert rate == pytest.approx(25.0)
    assert worst_s == pytest.approx(0.0)


def test_how_far_the_times_are_from_any_rate_is_told() -> None:
    # 0, 10 and 100 ms: two frames in 100 ms are 20 a second, and the middle one is 40 ms early.
    rate, worst_s = frame_rate(BOX, np.array([0, 1, 2]), np.array([0.0, 0.01, 0.1]))
    assert rate == pytest.approx(20.0)
    assert worst_s == pytest.approx(0.04)


@pytest.mark.parametrize(("index", "time_s", "rate"), [(0, 0.0, 1.0), (5, 0.2, 25.0)])
def test_a_single_frame_has_the_rate_that_gives_its_time(
    index: int, time_s: float, rate: float
) -> None:
    assert frame_rate(BOX, np.array([index]), np.array([time_s]))[0] == pytest.approx(rate)


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    pending = PendingFolder(tmp_path / "out", "*.json")
    (pending.temporary / "a.json").write_text("1")
    assert not (tmp_path / "out").exists()
    pending.commit()
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["a.json"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_folder_that_is_thrown_away_leaves_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old.json").write_text("1")
    pending = PendingFolder(tmp_path / "out", "*.json")
    (pending.temporary / "new.json").write_text("1")
    pending.discard()
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["old.json"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]

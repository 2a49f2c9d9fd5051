"""MOT boxes: what is written is what the reader of boxes reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pose_damage import INFO, poses

from chronopose.core.boxes import Boxes
from chronopose.io.boxes import read_boxes
from chronopose.io.poses import FormatLoss, write_poses


def test_a_line_is_a_person_in_a_frame_counted_from_1(tmp_path: Path) -> None:
    with pytest.warns(FormatLoss, match="cannot hold the joints; times"):
        write_poses(poses(ids=(3,), frames=(0, 4)), tmp_path / "a.mot.txt")
    assert (tmp_path / "a.mot.txt").read_text() == (
        "1,3,5,10,40,50,0.5000,-1,-1,-1\n5,3,5,10,40,50,0.5000,-1,-1,-1\n"
    )


@pytest.mark.filterwarnings("ignore::chronopose.io.poses.FormatLoss")
def test_the_reader_of_boxes_gives_them_back(tmp_path: Path) -> None:
    write_poses(poses(), tmp_path / "a.txt", "mot")
    table = read_boxes(tmp_path / "a.txt", INFO)
    assert list(table) == [0, 1, 2]
    boxes, ids = table[1]
    assert ids is not None
    assert ids.tolist() == [3, 8]
    assert boxes.xyxy[0].tolist() == [5.0, 10.0, 45.0, 60.0]


@pytest.mark.filterwarnings("ignore::chronopose.io.poses.FormatLoss")
def test_a_sure_score_of_zero_is_no_line_to_be_ignored(tmp_path: Path) -> None:
    video = poses(ids=(3,))
    track = video.person(3)
    unsure = replace(track, boxes=Boxes(track.boxes.xyxy, np.zeros(3)))
    write_poses(replace(video, tracks=(unsure,)), tmp_path / "a.txt")
    assert len(read_boxes(tmp_path / "a.txt", INFO)) == 3

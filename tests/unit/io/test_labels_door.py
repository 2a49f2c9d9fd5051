"""The one door: every format by its name, and found out by its content."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from label_worlds import frame, scored, write_json
from scipy.io import savemat

from chronopose.core.labels import LabelledSequence
from chronopose.core.skeletons import get_skeleton
from chronopose.core.video import VideoInfo
from chronopose.errors import FormatError
from chronopose.io.labels import LABEL_FORMATS, read_labels, sniff_labels, write_labels
from chronopose.io.poses import write_poses

COCO, SLOTS = get_skeleton("coco17"), get_skeleton("posetrack17slot")


@pytest.mark.parametrize("name", LABEL_FORMATS)
def test_every_format_has_its_reader_and_writer(name: str) -> None:
    found = LABEL_FORMATS[name]
    assert "path" in inspect.signature(found.load(found.reader)).parameters
    if found.writer:
        known = inspect.signature(found.load(found.writer)).parameters
        assert {"sequences", "path", *found.preset} <= set(known)


def predictions(skeleton: Any, name: str = "000017_mpii_test") -> LabelledSequence:
    people = frame(skeleton, 1, visibility=np.full((2, len(skeleton)), 2))
    scores = frame(skeleton, 1, visibility=np.full((2, len(skeleton)), 2), **scored(people))
    return LabelledSequence(name, skeleton, (scores,))


WRITTEN = {
    "posetrack17": ("posetrack15_poseval", "a.json"),
    "posetrack18": ("posetrack17slot", "a.json"),
    "posetrack21": ("posetrack17slot", "folder"),
    "posetrack_submission": ("posetrack17slot", "folder"),
    "posetrack17_submission": ("posetrack15_poseval", "folder"),
    "hieve": ("hieve14", "7.json"),
    "coco": ("coco17", "a.json"),
    "crowdpose": ("crowdpose14", "a.json"),
    "coco_results": ("coco17", "a.json"),
    "mpii": ("mpii16", "a.mat"),
    "mpii_hrnet": ("mpii16", "a.json"),
}
SAME = {"posetrack21": "posetrack18", "posetrack_submission": "posetrack18",
        "posetrack17_submission": "posetrack17", "crowdpose": "coco"}  # fmt: skip


@pytest.mark.parametrize("format", WRITTEN)
def test_what_is_written_is_found_out_and_read(format: str, tmp_path: Path) -> None:
    skeleton, target = WRITTEN[format]
    wanted = predictions(get_skeleton(skeleton))
    if format == "hieve":
        numbered = frame(wanted.skeleton, 1, name="000001.jpg")
        wanted = LabelledSequence("7", wanted.skeleton, (numbered,))
    write_labels([wanted], tmp_path / target, format)
    assert sniff_labels(tmp_path / target) == SAME.get(format, format)
    found = read_labels(tmp_path / target)
    np.testing.assert_allclose(found[0].frames[0].xy[0], wanted.frames[0].xy[0], atol=1e-9)


@pytest.mark.parametrize(
    ("variables", "format"),
    [
        ({"joints": np.zeros((3, 14, 5))}, "lsp"),
        ({"joints": np.zeros((14, 3, 5))}, "lspet"),
        ({"pos_img": np.zeros((2, 15, 5))}, "jhmdb"),
        ({"x": 1, "visibility": 1}, "penn_action"),
        ({"examples": 1}, "flic"),
        ({"pos_gt_src": 1}, "mpii_eval"),
        ({"bbcpose": 1}, "upper_body"),
    ],
)
def test_matlab_files_are_found_out_by_their_variables(
    variables: dict[str, Any], format: str, tmp_path: Path
) -> None:
    savemat(tmp_path / "a.mat", variables)
    assert sniff_labels(tmp_path / "a.mat") == format


def test_head_boxes_and_person_boxes_are_never_guessed(tmp_path: Path) -> None:
    entry = {"image": [{"name": "frame 12.jpg"}], "annorect": []}
    path = write_json(tmp_path / "video.json", {"annolist": [entry]})
    with pytest.raises(FormatError, match=r"head boxes.*person boxes"):
        read_labels(path)
    assert read_labels(path, "hieve")[0].frames[0].frame_index == 12


def test_our_own_poses_can_be_scored(tmp_path: Path) -> None:
    labels = predictions(COCO)
    video = labels.to_video(VideoInfo("a.mp4", (640, 480), rate_hz=25.0))
    for name in ("a.parquet", "a.csv", "a.json"):
        write_poses(video, tmp_path / name)
        assert sniff_labels(tmp_path / name) == "poses"
        found = read_labels(tmp_path / name)[0].frames[0]
        np.testing.assert_allclose(found.xy, labels.frames[0].xy, atol=1e-3)


def test_options_reach_the_reader(tmp_path: Path) -> None:
    empty = LabelledSequence("a", SLOTS, (frame(SLOTS, 1, ids=()),))
    write_labels([empty], tmp_path / "a.json", "posetrack_submission")
    assert len(read_labels(tmp_path / "a.json")[0].frames[0]) == 0
    assert len(read_labels(tmp_path / "a.json", keep_dummies=True)[0].frames[0]) == 1


def test_one_sequence_need_not_be_in_a_list(tmp_path: Path) -> None:
    write_labels(predictions(COCO), tmp_path / "a.json", "coco")  # type: ignore[arg-type]
    assert len(read_labels(tmp_path / "a.json")) == 1


def test_a_folder_of_files_that_hold_one_each_is_read(tmp_path: Path) -> None:
    for name in ("b", "a"):
        write_labels([predictions(COCO)], tmp_path / f"{name}.json", "coco")
    assert [s.name for s in read_labels(tmp_path)] == ["a", "b"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: read_labels(p, "cocoa"), "no format 'cocoa' for labels. There are: posetrack17"),
        (lambda p: read_labels(p, "coco", base=1), "COCO keypoint labels have no option 'base'"),
        (lambda p: write_labels([], p, "mpii_h5"), "'mpii_h5' is only read"),
        (lambda p: write_labels([], p, "poses"), "write_poses"),
        (lambda p: read_labels(p.with_name("gone.json")), "gone.json: there is no such file"),
        (lambda p: read_labels(p.with_name("gone")), "there is no such file"),
        (lambda p: read_labels(p.parent / "empty"), "holds no .json"),
    ],
)
def test_requests_that_cannot_be_met_say_why(call: Any, message: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    path = write_json(tmp_path / "a.json", {})
    with pytest.raises(FormatError, match=message):
        call(path)


@pytest.mark.parametrize("content", [{}, [], 5, [{}], [[1]], {"images": []}, [{"bbox": []}]])
def test_json_of_no_known_structure_is_refused(content: Any, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"a\.json is in no format of labels"):
        read_labels(write_json(tmp_path / "a.json", content))


def test_text_of_numbers_is_not_guessed(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("1,2,3,4,5,6,1,-1,-1,-1\n")
    with pytest.raises(FormatError, match="give the format"):
        read_labels(tmp_path / "a.txt")
    assert len(read_labels(tmp_path / "a.txt", "hieve_boxes")[0]) == 1


def test_caffe_lines_are_found_out(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a/b.jpg 1,2,3,4,5,6,7,8,9,10,11,12,13,14 0,1,0,1,0.5 0\n")
    assert sniff_labels(tmp_path / "a.txt") == "caffe_lines"


@pytest.mark.data
def test_real_files_are_found_out(shared_data: Path) -> None:
    formats = {
        "posetrack18/annotations/val": "posetrack18",
        "posetrack18/annotations/test_posetrack18_val.json": "posetrack18",
        "bonn_tracks": "posetrack18",
        "coco_mini/person_keypoints.json": "coco",
        "samples/crowdpose/test_crowdpose.json": "coco",
        "samples/mpii/test_mpii.json": "mpii_hrnet",
        "penn_action/0502.mat": "penn_action",
        "lspet/joints.mat": "lspet",
    }
    assert {n: sniff_labels(shared_data / n) for n in formats} == formats

"""PoseTrack17: one-element lists, head boxes, numbers of frames from imgnum."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from label_worlds import assert_same, frame, scored, write_json

from chronopose.core.labels import NO_ID, LabelledFrame, LabelledSequence, Visibility
from chronopose.core.skeletons import get_skeleton
from chronopose.errors import FormatError, SkeletonMismatch
from chronopose.io.posetrack17 import (
    read_posetrack17,
    write_posetrack17,
    write_posetrack17_predictions,
)

POSEVAL = get_skeleton("posetrack15_poseval")


def point(id: int, x: float, y: float, **more: Any) -> dict[str, Any]:
    return {"id": [id], "x": [x], "y": [y], **{k: [v] for k, v in more.items()}}


def by_hand() -> dict[str, Any]:
    """A labelled frame with two people and a polygon, and one that nobody labelled."""
    tall = {
        "x1": [10], "y1": [20], "x2": [40], "y2": [60], "track_id": [7],
        "annopoints": [
            {"point": [point(13, 25, 40, is_visible=1), point(0, 5.5, 6, is_visible=0)]}
        ],
    }  # fmt: skip
    bare = {"track_id": [8], "annopoints": []}
    return {
        "annolist": [
            {
                "image": [{"name": "images/bonn/000001/00000005.jpg"}],
                "imgnum": [3],
                "is_labeled": [1],
                "ignore_regions": [{"point": [{"x": [0], "y": [0]}, {"x": [9], "y": [0]},
                                              {"x": [9], "y": [8]}]}],
                "annorect": [tall, bare],
            },
            {"image": [{"name": "images/bonn/000001/00000006.jpg"}], "imgnum": [4],
             "is_labeled": [0], "ignore_regions": [], "annorect": []},
        ]
    }  # fmt: skip


@pytest.fixture
def labels(tmp_path: Path) -> LabelledSequence:
    return read_posetrack17(write_json(tmp_path / "000001_bonn.json", by_hand()))[0]


def test_the_rectangle_is_the_head_not_the_person(labels: LabelledSequence) -> None:
    assert labels.frames[0].head_boxes[0].tolist() == [10, 20, 40, 60]
    assert np.isnan(labels.frames[0].boxes).all()


def test_point_ids_are_the_poseval_joints(labels: LabelledSequence) -> None:
    person = labels.frames[0]
    assert person.xy[0, POSEVAL.index("nose")].tolist() == [25, 40]
    assert person.xy[0, POSEVAL.index("right_ankle")].tolist() == [5.5, 6]
    assert person.known[0].sum() == 2


def test_a_listed_point_that_cannot_be_seen_is_occluded(labels: LabelledSequence) -> None:
    seen = labels.frames[0].visibility[0]
    assert seen[POSEVAL.index("right_ankle")] == Visibility.OCCLUDED
    assert seen[POSEVAL.index("nose")] == Visibility.VISIBLE


def test_a_person_without_points_is_a_person(labels: LabelledSequence) -> None:
    assert labels.frames[0].ids.tolist() == [7, 8]
    assert not labels.frames[0].known[1].any()


def test_the_number_of_a_frame_is_imgnum_not_its_picture_s(labels: LabelledSequence) -> None:
    assert [f.frame_index for f in labels] == [3, 4]


def test_a_frame_that_nobody_labelled_is_told_from_an_empty_one(labels: LabelledSequence) -> None:
    assert [f.labelled for f in labels] == [True, False]


def test_ignore_regions_are_polygons(labels: LabelledSequence) -> None:
    assert labels.frames[0].ignore[0].tolist() == [[0, 0], [9, 0], [9, 8]]


def test_bare_scalars_are_understood(tmp_path: Path) -> None:
    content = by_hand()
    first = content["annolist"][0]
    first["image"], first["imgnum"] = first["image"][0], 3
    first["annorect"][0]["track_id"] = 7
    found = read_posetrack17(write_json(tmp_path / "a.json", content))[0]
    assert (found.frames[0].frame_index, found.frames[0].ids[0]) == (3, 7)


def test_without_imgnum_the_picture_s_name_counts(tmp_path: Path) -> None:
    content = by_hand()
    for entry in content["annolist"]:
        del entry["imgnum"]
    found = read_posetrack17(write_json(tmp_path / "a.json", content))[0]
    assert [f.frame_index for f in found] == [5, 6]


def video() -> LabelledSequence:
    square = np.array([[0.0, 0], [5, 0], [5, 5]])
    head = np.array([[1.25, 2, 30, 40], [3, 4, 33, 44]])
    frames = (
        frame(POSEVAL, 1, boxes=None, head_boxes=head, ignore=(square, square + 7)),
        frame(POSEVAL, 2, ids=(), boxes=None),
        frame(POSEVAL, 3, ids=(), boxes=None, labelled=False),
        frame(POSEVAL, 4, ids=(NO_ID,), boxes=None),
    )
    return LabelledSequence("000017_mpii_test", POSEVAL, frames)


def test_labels_come_back(tmp_path: Path) -> None:
    write_posetrack17([video()], tmp_path)
    assert_same(read_posetrack17(tmp_path)[0], video())


def test_other_fields_come_back(tmp_path: Path) -> None:
    content = by_hand()
    content["annolist"][0]["vididx"] = [12]
    content["annolist"][0]["annorect"][0]["scale"] = [2.5]
    first = read_posetrack17(write_json(tmp_path / "a.json", content))
    write_posetrack17(first, tmp_path / "b.json")
    written = json.loads((tmp_path / "b.json").read_text())["annolist"][0]
    assert written["vididx"] == [12]
    assert written["annorect"][0]["scale"] == [2.5]


def test_joints_in_another_order_are_written_by_name(tmp_path: Path) -> None:
    pose = get_skeleton("posetrack15")
    other = LabelledSequence("a", pose, (frame(pose, 1),))
    write_posetrack17([other], tmp_path)
    found = read_posetrack17(tmp_path)[0].frames[0]
    for joint in pose.joints:
        np.testing.assert_array_equal(
            found.xy[:, POSEVAL.index(joint)], other.frames[0].xy[:, pose.index(joint)]
        )


def test_joints_are_never_made_up_while_writing(tmp_path: Path) -> None:
    coco = get_skeleton("coco17")
    with pytest.raises(SkeletonMismatch, match=r"no head_bottom, head_top. Convert first"):
        write_posetrack17([LabelledSequence("a", coco, (frame(coco, 1),))], tmp_path)
    assert list(tmp_path.iterdir()) == []


def predictions() -> LabelledSequence:
    labels = video()
    frames = [replace(f, **scored(f), ignore=(), labelled=True, boxes=None) for f in labels]
    frames = [replace(f, head_boxes=None) for f in frames]
    return replace(labels, frames=tuple(frames))


def test_predictions_come_back_with_scores_and_numbers(tmp_path: Path) -> None:
    wanted = predictions()
    write_posetrack17_predictions([wanted], tmp_path, truth=[video()])
    found = read_posetrack17(tmp_path)[0]
    seen = [np.where(f.known, Visibility.VISIBLE, Visibility.ABSENT) for f in wanted]
    frames = [replace(f, visibility=v) for f, v in zip(wanted, seen, strict=True)]
    free = replace(frames[3], ids=np.array([0]))
    wanted = replace(wanted, frames=(*frames[:3], free))
    assert_same(found, wanted)


def test_an_empty_frame_is_submitted_with_a_dummy(tmp_path: Path) -> None:
    write_posetrack17_predictions([predictions()], tmp_path / "a.json")
    listed = json.loads((tmp_path / "a.json").read_text())["annolist"]
    assert [len(e["annorect"]) for e in listed] == [2, 1, 1, 1]
    dummy = {"id": [0], "x": [0.0], "y": [0.0], "score": [-100.0]}
    assert listed[1]["annorect"][0]["annopoints"] == [{"point": [dummy]}]


def test_the_dummy_is_nobody_unless_asked_for(tmp_path: Path) -> None:
    write_posetrack17_predictions([predictions()], tmp_path / "a.json")
    assert [len(f) for f in read_posetrack17(tmp_path / "a.json")[0]] == [2, 0, 0, 1]
    kept = read_posetrack17(tmp_path / "a.json", keep_dummies=True)[0]
    assert [len(f) for f in kept] == [2, 1, 1, 1]


def test_a_joint_without_a_score_is_not_submitted(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"right_ankle of a person in frame 1 .* has no score"):
        write_posetrack17_predictions([video()], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_track_id_of_ten_thousand_is_not_submitted(tmp_path: Path) -> None:
    one = predictions()
    one = replace(one, frames=(replace(one.frames[0], ids=np.array([1, 10_000])),))
    with pytest.raises(FormatError, match="Track id 10000 in frame 1"):
        write_posetrack17_predictions([one], tmp_path)


def test_frames_that_the_labels_do_not_have_are_refused(tmp_path: Path) -> None:
    moved = tuple(replace(f, frame_index=f.frame_index - 1) for f in predictions())
    shifted = replace(predictions(), frames=moved)
    with pytest.raises(FormatError, match=r"frame 0 of the predictions .* begins at 1"):
        write_posetrack17_predictions([shifted], tmp_path, truth=[video()])


def test_frames_without_a_prediction_are_there(tmp_path: Path) -> None:
    short = replace(predictions(), frames=predictions().frames[:1])
    write_posetrack17_predictions([short], tmp_path, truth=[video()])
    found = read_posetrack17(tmp_path)[0]
    assert [(f.frame_index, f.name) for f in found] == [(f.frame_index, f.name) for f in video()]


def test_a_video_without_predictions_is_named(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no predictions for '000017_mpii_test'"):
        write_posetrack17_predictions([], tmp_path, truth=[video()])


def test_a_video_that_the_labels_do_not_have_is_named(tmp_path: Path) -> None:
    other = replace(predictions(), name="000099_mpii_test")
    with pytest.raises(FormatError, match="the labels have no video '000099_mpii_test'"):
        write_posetrack17_predictions([predictions(), other], tmp_path, truth=[video()])


def test_a_name_that_leaves_the_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="is no file name"):
        write_posetrack17([replace(video(), name="../up")], tmp_path / "in")
    assert not (tmp_path / "up.json").exists()


BROKEN = {
    "a point twice": (
        lambda r: r["annopoints"][0]["point"].append(point(13, 1, 1)), "a second time"),
    "a point beyond the skeleton": (
        lambda r: r["annopoints"][0]["point"].append(point(15, 1, 1)), "ends at 14"),
    "half a rectangle": (lambda r: r.pop("x2"), r"annorect\[0\] has no field 'x2'"),
    "a reversed rectangle": (lambda r: r.update(x2=[1]), "negative size"),
    "two track ids": (lambda r: r.update(track_id=[7, 8]), "one element; it has 2"),
    "the id of another": (lambda r: r.update(track_id=[8]), "the track id 8 stands for two"),
    "visible perhaps": (
        lambda r: r["annopoints"][0]["point"][0].update(is_visible=[0.5]),
        "is_visible must be 0 or 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_person_is_named(name: str, tmp_path: Path) -> None:
    change, message = BROKEN[name]
    content = by_hand()
    change(content["annolist"][0]["annorect"][0])
    with pytest.raises(FormatError, match=message) as caught:
        read_posetrack17(write_json(tmp_path / "labels.json", content))
    assert "labels.json: annolist[0]" in str(caught.value)


def test_a_frame_twice_is_named(tmp_path: Path) -> None:
    content = by_hand()
    content["annolist"][1]["imgnum"] = [3]
    with pytest.raises(FormatError, match="are both frame 3"):
        read_posetrack17(write_json(tmp_path / "a.json", content))


def test_a_frame_is_what_it_was(tmp_path: Path) -> None:
    one = LabelledFrame("00000001.jpg", 1, POSEVAL, np.full((1, 15, 2), 1 / 3))
    write_posetrack17([LabelledSequence("a", POSEVAL, (one,))], tmp_path)
    assert read_posetrack17(tmp_path)[0].frames[0].xy[0, 0, 0] == 1 / 3

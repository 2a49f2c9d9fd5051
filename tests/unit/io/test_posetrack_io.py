"""PoseTrack 2018 and 2021: ids, codes of visibility, boxes, submissions; the official samples."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from label_worlds import assert_same, frame, scored, write_json

from chronopose.core.labels import NO_ID, LabelledSequence, Visibility
from chronopose.core.skeletons import get_skeleton
from chronopose.errors import FormatError, SkeletonMismatch
from chronopose.io.posetrack import (
    read_posetrack,
    write_posetrack,
    write_posetrack_predictions,
)

SLOTS, FIFTEEN = get_skeleton("posetrack17slot"), get_skeleton("posetrack15")
EARS = [SLOTS.index("left_ear"), SLOTS.index("right_ear")]


def by_hand(**person: Any) -> dict[str, Any]:
    """One picture of one person, whose nose is at (100, 50) and whose left ankle at (90, 200)."""
    keypoints = [100, 50, 1] + [0, 0, 0] * 14 + [90, 200, 1] + [0, 0, 0]
    annotation = {
        "id": 1000017000300, "image_id": 10000170003, "track_id": 4, "category_id": 1,
        "bbox": [-10, 20, 130, 190], "bbox_head": [80, 30, 40, 45], "keypoints": keypoints,
        "num_keypoints": 2, "iscrowd": 0, "scores": [], **person,
    }  # fmt: skip
    image = {
        "id": 10000170003, "frame_id": 10000170003, "vid_id": "000017", "nframes": 140,
        "file_name": "images/val/000017_mpii_test/000003.jpg", "is_labeled": True,
        "has_no_densepose": True, "width": 640, "height": 480,
        "ignore_regions_x": [[0, 9, 9]], "ignore_regions_y": [[0, 0, 8]],
    }  # fmt: skip
    category = {"id": 1, "name": "person", "supercategory": "person",
                "keypoints": list(SLOTS.joints), "skeleton": [[16, 14]]}  # fmt: skip
    return {"images": [image], "annotations": [annotation], "categories": [category]}


def read_one(tmp_path: Path, content: Any) -> LabelledSequence:
    return read_posetrack(write_json(tmp_path / "labels.json", content))[0]


def test_both_boxes_are_left_top_width_height(tmp_path: Path) -> None:
    found = read_one(tmp_path, by_hand()).frames[0]
    assert found.head_boxes[0].tolist() == [80, 30, 120, 75]
    assert found.boxes[0].tolist() == [-10, 20, 120, 210]


def test_ids_and_other_fields_are_kept(tmp_path: Path) -> None:
    found = read_one(tmp_path, by_hand(person_id=311)).frames[0]
    assert (found.image_id, found.ids.tolist(), found.size) == (10000170003, [4], (640, 480))
    assert found.extra["vid_id"] == "000017"
    assert found.extra["people"] == [{"id": 1000017000300, "person_id": 311}]


@pytest.mark.parametrize(
    ("name", "number"),
    [("images/val/a/000003.jpg", 3), ("images/a/00000012.jpg", 12), ("a/0.jpg", 0),
     ("7_mpii/frame 0019.png", 19)],
)  # fmt: skip
def test_the_number_of_a_frame_is_in_its_name_however_long(
    name: str, number: int, tmp_path: Path
) -> None:
    content = by_hand()
    content["images"][0]["file_name"] = name
    assert read_one(tmp_path, content).frames[0].frame_index == number


def test_a_video_is_called_by_the_folder_of_its_pictures(tmp_path: Path) -> None:
    assert read_one(tmp_path, by_hand()).name == "000017_mpii_test"


def test_ignore_regions_are_polygons(tmp_path: Path) -> None:
    assert read_one(tmp_path, by_hand()).frames[0].ignore[0].tolist() == [[0, 0], [9, 0], [9, 8]]


def codes(tmp_path: Path, *triples: tuple[float, float, float], **more: Any) -> list[int]:
    """Visibility of the first joints of a person with these x, y, v."""
    flat = [v for t in triples for v in t] + [0, 0, 0] * (17 - len(triples))
    found = read_one(tmp_path, by_hand(keypoints=flat, **more)).frames[0]
    return found.visibility[0, : len(triples)].tolist()


def test_zero_with_coordinates_is_occluded_and_without_is_absent(tmp_path: Path) -> None:
    assert codes(tmp_path, (5, 6, 1), (5, 6, 0), (0, 0, 0)) == [2, 1, 0]


def test_an_annotated_joint_at_the_corner_is_not_absent(tmp_path: Path) -> None:
    assert codes(tmp_path, (0, 0, 1)) == [2]


def test_a_file_with_a_two_speaks_coco(tmp_path: Path) -> None:
    assert codes(tmp_path, (5, 6, 1), (5, 6, 2), (0, 0, 0)) == [1, 2, 0]


def test_a_list_of_occluded_joints_counts(tmp_path: Path) -> None:
    hidden = [1, 0] + [0] * 15
    assert codes(tmp_path, (5, 6, 1), (7, 8, 1), occluded=hidden) == [1, 2]


def test_visibility_means_nothing_in_predictions(tmp_path: Path) -> None:
    scores = [0.5] * 17
    assert codes(tmp_path, (5, 6, 0), (5, 6, 0.37), (0, 0, 0), scores=scores) == [2, 2, 0]


def test_scores_of_joints_that_are_not_there_are_none(tmp_path: Path) -> None:
    found = read_one(tmp_path, by_hand(scores=[0.25] * 17, score=0.5)).frames[0]
    assert found.score[0, 0] == 0.25
    assert np.isnan(found.score[0, 1])
    assert found.person_score.tolist() == [0.5]


def test_a_person_may_be_a_box_only(tmp_path: Path) -> None:
    found = read_one(tmp_path, by_hand(keypoints=[0] * 51)).frames[0]
    assert len(found) == 1
    assert not found.known.any()


def test_joints_go_by_the_names_of_the_category(tmp_path: Path) -> None:
    content = by_hand()
    names = content["categories"][0]["keypoints"]
    names[0], names[15] = names[15], names[0]
    found = read_one(tmp_path, content)
    assert found.frames[0].xy[0, found.skeleton.index("nose")].tolist() == [90, 200]


def test_without_names_fifteen_joints_are_the_slots_without_ears(tmp_path: Path) -> None:
    content = by_hand(keypoints=[1, 2, 1] * 15)
    del content["categories"]
    assert read_one(tmp_path, content).skeleton is FIFTEEN


def videos() -> list[LabelledSequence]:
    found = []
    for name in ("000017_mpii_test", "000018_bonn_train"):
        seen = np.full((2, 17), Visibility.VISIBLE)
        seen[:, EARS], seen[:, 6] = Visibility.ABSENT, Visibility.OCCLUDED
        head = np.array([[1.5, 2, 31, 42], [3, 4, 33, 44]])
        square = np.array([[0.0, 0], [5, 0], [5, 5]])
        frames = [
            frame(SLOTS, 4, visibility=seen, head_boxes=head, ignore=(square,), size=(640, 480)),
            frame(SLOTS, 5, ids=(), visibility=np.zeros((0, 17))),
            frame(SLOTS, 6, ids=(), visibility=np.zeros((0, 17)), labelled=False),
            frame(SLOTS, 7, ids=(NO_ID, 9), visibility=seen, crowd=[True, False],
                  area=[np.nan, 70.5]),
        ]  # fmt: skip
        frames = [replace(f, name=f"images/val/{name}/{f.frame_index:06d}.jpg") for f in frames]
        found.append(LabelledSequence(name, SLOTS, tuple(frames)))
    return found


@pytest.mark.parametrize("version", ["18", "21"])
@pytest.mark.parametrize("target", ["folder", "all.json"])
def test_labels_come_back(version: Any, target: str, tmp_path: Path) -> None:
    write_posetrack(videos(), tmp_path / target, version)
    found = read_posetrack(tmp_path / target)
    assert len(found) == 2
    for ours, theirs in zip(found, videos(), strict=True):
        assert_same(ours, theirs)
        assert [f.size for f in ours] == [f.size for f in theirs]


def test_occluded_joints_are_written_as_each_version_has_them(tmp_path: Path) -> None:
    for version, code, lists in (("18", 1, True), ("21", 0, False)):
        write_posetrack(videos()[:1], tmp_path / "a.json", version)  # type: ignore[arg-type]
        person = json.loads((tmp_path / "a.json").read_text())["annotations"][0]
        assert person["keypoints"][3 * 6 + 2] == code
        assert ("occluded" in person) is lists


def test_picture_ids_follow_the_official_pattern(tmp_path: Path) -> None:
    write_posetrack(videos(), tmp_path)
    ids = [f.image_id for s in read_posetrack(tmp_path) for f in s]
    assert ids == [*range(10000170004, 10000170008), *range(20000180004, 20000180008)]


def test_ids_of_people_who_changed_their_places_stay_unique(tmp_path: Path) -> None:
    first = read_one(tmp_path, by_hand())
    twice = replace(first.frames[0], frame_index=4, image_id=5, name="a/000004.jpg")
    write_posetrack([replace(first, frames=(*first.frames, twice))], tmp_path / "a.json")
    ids = [a["id"] for a in json.loads((tmp_path / "a.json").read_text())["annotations"]]
    assert len(set(ids)) == 2


def test_videos_in_one_file_need_folders_of_their_own(tmp_path: Path) -> None:
    same = [replace(s, frames=videos()[0].frames) for s in videos()]
    with pytest.raises(FormatError, match="in the same folder"):
        write_posetrack(same, tmp_path / "all.json")


def test_joints_that_have_no_slot_are_not_dropped_in_silence(tmp_path: Path) -> None:
    fifteen = LabelledSequence("a", FIFTEEN, (frame(FIFTEEN, 1),))
    write_posetrack([fifteen], tmp_path / "fine")
    coco = get_skeleton("coco17")
    with pytest.raises(SkeletonMismatch, match="no head_bottom, head_top"):
        write_posetrack([LabelledSequence("a", coco, (frame(coco, 1),))], tmp_path / "not")


def predictions() -> list[LabelledSequence]:
    found = []
    for video in videos():
        frames = []
        for f in video:
            f = replace(f, ignore=(), crowd=None, area=None, head_boxes=None, labelled=True)
            frames.append(replace(f, **scored(f), size=None))
        found.append(replace(video, frames=tuple(frames)))
    return found


def submitted(video: LabelledSequence) -> LabelledSequence:
    """What a submission keeps of predictions: known joints are visible, people have numbers."""
    frames = []
    for f in video:
        seen = np.where(f.known, Visibility.VISIBLE, Visibility.ABSENT)
        ids = np.where(f.ids == NO_ID, 0, f.ids)
        frames.append(replace(f, visibility=seen, ids=ids))
    return replace(video, frames=tuple(frames))


def test_predictions_come_back(tmp_path: Path) -> None:
    write_posetrack_predictions(predictions(), tmp_path, truth=videos())
    for ours, theirs in zip(read_posetrack(tmp_path), predictions(), strict=True):
        assert_same(ours, submitted(theirs))


def test_a_submission_is_what_the_evaluators_want(tmp_path: Path) -> None:
    write_posetrack_predictions(predictions()[:1], tmp_path)
    content = json.loads((tmp_path / "000017_mpii_test.json").read_text())
    assert content["images"][0] == {
        "file_name": "images/val/000017_mpii_test/000004.jpg",
        "id": 10000170004, "frame_id": 10000170004,
    }  # fmt: skip
    person = content["annotations"][0]
    assert {"bbox", "image_id", "keypoints", "scores", "person_id", "track_id"} <= set(person)
    assert (len(person["keypoints"]), len(person["scores"]), person["track_id"]) == (51, 17, 2)
    assert content["categories"][0]["keypoints"] == list(SLOTS.joints)


def test_every_empty_frame_has_the_dummy(tmp_path: Path) -> None:
    write_posetrack_predictions(predictions()[:1], tmp_path)
    content = json.loads((tmp_path / "000017_mpii_test.json").read_text())
    assert [a["image_id"] % 10 for a in content["annotations"]] == [4, 4, 5, 6, 7, 7]
    dummy = content["annotations"][2]
    assert dummy["keypoints"][:3] == [0.0, 0.0, 1]
    assert dummy["keypoints"][3:] == [0.0, 0.0, 0] * 16
    assert dummy["scores"] == [-100.0] + [0.0] * 16


def test_the_dummy_is_nobody_unless_asked_for(tmp_path: Path) -> None:
    write_posetrack_predictions(predictions()[:1], tmp_path)
    assert [len(f) for f in read_posetrack(tmp_path)[0]] == [2, 0, 0, 2]
    assert [len(f) for f in read_posetrack(tmp_path, keep_dummies=True)[0]] == [2, 1, 1, 2]


def test_pictures_of_a_submission_are_those_of_the_labels(tmp_path: Path) -> None:
    bare = [
        replace(s, frames=tuple(replace(f, name=f"{f.frame_index:06d}") for f in s))
        for s in predictions()
    ]
    labels = read_one(tmp_path, by_hand())
    one = replace(bare[0], frames=(replace(bare[0].frames[0], frame_index=3),))
    write_posetrack_predictions([one], tmp_path / "a.json", truth=[labels])
    image = json.loads((tmp_path / "a.json").read_text())["images"][0]
    assert (image["id"], image["file_name"]) == (10000170003, labels.frames[0].name)


def test_a_negative_track_id_is_not_submitted(tmp_path: Path) -> None:
    one = predictions()[0]
    one = replace(one, frames=(replace(one.frames[0], ids=np.array([1, -7])),))
    with pytest.raises(FormatError, match="Track id -7"):
        write_posetrack_predictions([one], tmp_path)


BROKEN = {
    "a three": ({"keypoints": [1, 2, 3] * 17}, r"annotations\[0\].keypoints has the visibility 3"),
    "an id twice": ({}, "the second one with the id 10000170003"),
    "an unknown picture": ({"image_id": 5}, "image_id 5, but no image has that id"),
    "no scores of joints": ({"scores": [0.5]}, r"annotations\[0\].scores must be a list of 17"),
    "occluded perhaps": ({"occluded": [2] * 17}, "occluded must hold 0 or 1"),
    "a wide crowd": ({"iscrowd": 2}, r"annotations\[0\].iscrowd must be 0 or 1"),
    "a reversed head": ({"bbox_head": [5, 5, -3, 3]}, r"bbox_head has a negative size"),
    "a box in words": ({"bbox": "here"}, r"annotations\[0\].bbox must be a list of 4"),
    "a track in words": ({"track_id": "4"}, r"track_id must be a whole number"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_record_is_named(name: str, tmp_path: Path) -> None:
    person, message = BROKEN[name]
    content = by_hand(**person)
    if name == "an id twice":
        content["images"] *= 2
    with pytest.raises(FormatError, match=message) as caught:
        read_one(tmp_path, content)
    assert "labels.json" in str(caught.value)


def test_polygons_need_both_coordinates(tmp_path: Path) -> None:
    content = by_hand()
    content["images"][0]["ignore_regions_y"] = [[0, 0]]
    with pytest.raises(
        FormatError, match=r"ignore_regions_x\[0\] has 3 numbers and .*y\[0\] has 2"
    ):
        read_one(tmp_path, content)


@pytest.mark.data
def test_the_official_samples_come_back_field_by_field(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "posetrack18" / "annotations" / "val"
    labels = read_posetrack(folder)
    assert [len(s.frames[0]) for s in labels] == [1, 2, 11]
    assert labels[0].frames[0].head_boxes[0].tolist() == [346, 337, 642, 574]
    write_posetrack(labels, tmp_path)
    for file in folder.glob("*.json"):
        was, now = json.loads(file.read_text()), json.loads((tmp_path / file.name).read_text())
        assert now["images"] == was["images"]
        for theirs, ours in zip(was["annotations"], now["annotations"], strict=True):
            np.testing.assert_allclose(ours.pop("bbox"), theirs.pop("bbox"), atol=1e-9)
            assert ours == theirs


@pytest.mark.data
def test_occlusion_flags_of_real_tracks_are_understood(shared_data: Path) -> None:
    videos = read_posetrack(shared_data / "bonn_tracks")
    raw = [
        json.loads(f.read_text())["annotations"]
        for f in sorted((shared_data / "bonn_tracks").glob("*.json"))
    ]
    people = [p for v in raw for p in v]
    wanted = sum(
        o == 1 and v == 1
        for p in people
        for o, v in zip(p["occluded"], p["keypoints"][2::3], strict=True)
    )
    found = sum((f.visibility == Visibility.OCCLUDED).sum() for v in videos for f in v)
    assert (len(videos), int(found)) == (30, wanted)

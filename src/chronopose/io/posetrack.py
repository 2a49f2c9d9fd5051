"""PoseTrack 2018 and 2021: labels read and written, predictions in the official form.

A JSON object of ``images``, ``annotations`` and ``categories``; one file a video, or one file of
many videos (``posetrack_train.json`` of the COCO-style training sets), which are told apart by the
folder of their pictures. What is read:

- **Frames.** ``frame_index`` is the number in the picture's file name, as the file counts (from 0
  in the official files seen, from 1 in others). ``is_labeled`` false is a frame that nobody has
  labelled. Ignore regions become polygons. All other fields of an image stay in ``frame.extra``.
- **Joints** go by the names of the category; without one, 17 joints are the PoseTrack slots and 15
  the slots without ears.
- **Visibility.** x = y = v = 0 is absent; v = 0 with coordinates is occluded (PoseTrack21; that its
  code is 0 is not confirmed by its authors' text); v = 1 is annotated, hence visible, or occluded
  where a list ``occluded`` says so. A file that uses v = 2 anywhere speaks COCO: 0 absent,
  1 occluded, 2 visible. In predictions v means nothing.
- **Boxes.** ``bbox`` and ``bbox_head`` are left, top, width, height; both may leave the picture.
- **People.** ``scores`` are joint scores, ``score`` the person's. Fields that have no place in a
  frame (``id``, ``person_id``, ...) are in ``frame.extra["people"]``.
- **The dummy** that stands in submissions for "nobody here" is nobody.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from chronopose.core.labels import NO_ID, LabelledFrame, LabelledSequence
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import POSETRACK15, POSETRACK17SLOT
from chronopose.errors import FormatError
from chronopose.io._fields import field, load_json, number, numbers, records
from chronopose.io._keypoints import (
    category,
    coco_visibility,
    flat_keypoints,
    person_category,
    skeleton_of,
    triples,
)
from chronopose.io._labelled import (
    ABSENT,
    OCCLUDED,
    VISIBLE,
    Person,
    arranged,
    files_for,
    flag,
    frame_of,
    integer,
    once,
    optional_box,
    people_extra,
    picture_number,
    picture_size,
    pixels,
    positive,
    text,
    to_xywh,
    write_jsons,
)
from chronopose.io._submission import (
    is_dummy,
    match_truth,
    person_boxes,
    submission_ids,
    submission_scores,
    with_dummies,
)

_EARS = ("left_ear", "right_ear")
_SOURCES = {"mpii": 1, "bonn": 2, "mpiinew": 3}
_IMAGE_FIELDS = {
    "id", "file_name", "is_labeled", "ignore_regions_x", "ignore_regions_y", "width", "height",
}  # fmt: skip
_PERSON_FIELDS = {
    "image_id", "track_id", "category_id", "bbox", "bbox_head", "keypoints", "num_keypoints",
    "iscrowd", "scores", "score", "area", "occluded",
}  # fmt: skip


def read_posetrack(path: str | Path, *, keep_dummies: bool = False) -> list[LabelledSequence]:
    """Read labels or predictions of PoseTrack 2018 or 2021.

    Args:
        path: A JSON file, or a folder of them.
        keep_dummies: Take the dummy of an empty frame for a person, as the published evaluator
            does.

    Returns:
        The videos in the order of the files, named by the folder of their pictures, or by the
        file if the pictures are in none.

    Raises:
        FormatError: a file is missing, damaged or something else; the message names the file, the
            record and the field.
    """
    folder = Path(path)
    if folder.is_dir():
        files = sorted(folder.glob("*.json"))
        if not files:
            raise FormatError(f"{path} holds no .json file. Give the folder of the annotations.")
        return [s for f in files for s in read_posetrack(f, keep_dummies=keep_dummies)]
    content = load_json(path)
    images = records(field(content, "images", str(path)), f"{path}: images")
    people = records(field(content, "annotations", str(path)), f"{path}: annotations")
    skeleton = _skeleton(content, people, path)
    found = _people(people, skeleton, path, keep_dummies)
    groups: dict[str, list[LabelledFrame]] = {}
    seen: set[int] = set()
    for at, record in enumerate(images):
        where = f"{path}: images[{at}]"
        frame = _frame(record, where, skeleton, found)
        assert frame.image_id is not None
        if frame.image_id in seen:
            raise FormatError(f"{where} is the second one with the id {frame.image_id}.")
        seen.add(frame.image_id)
        parent = str(PurePosixPath(frame.name.replace("\\", "/")).parent)
        groups.setdefault("" if parent == "." else parent, []).append(frame)
    orphans = sorted(set(found) - seen)
    if orphans:
        raise FormatError(
            f"{path}: an annotation has the image_id {orphans[0]}, but no image has that id."
        )
    return [_sequence(name, frames, skeleton, path) for name, frames in groups.items()]


def _sequence(
    parent: str, frames: list[LabelledFrame], skeleton: Skeleton, path: str | Path
) -> LabelledSequence:
    once(frames, f"{path}: images")
    name = PurePosixPath(parent).name or Path(path).stem
    return LabelledSequence(name, skeleton, tuple(frames))


def _skeleton(content: Mapping[str, Any], people: list[Any], path: str | Path) -> Skeleton:
    if content.get("categories") not in (None, []):
        joints, limbs, _ = person_category(content, path)
        return skeleton_of(joints, limbs, path)
    first = people[0] if people and isinstance(people[0], Mapping) else {}
    keypoints = first.get("keypoints")
    count = len(keypoints) if isinstance(keypoints, list) else 51
    if count not in (51, 45):
        raise FormatError(
            f"{path}: annotations[0].keypoints has {count} numbers, and no category names the "
            f"joints. Without names they must be 17 or 15 joints of x, y, v."
        )
    return POSETRACK17SLOT if count == 51 else POSETRACK15


def _frame(
    record: object, where: str, skeleton: Skeleton, people: Mapping[int, list[Person]]
) -> LabelledFrame:
    name = text(field(record, "file_name", where), f"{where}.file_name")
    assert isinstance(record, Mapping)
    image_id = integer(field(record, "id", where), f"{where}.id")
    return frame_of(
        where, name, picture_number(name, f"{where}.file_name"), skeleton,
        people.get(image_id, []),
        {k: v for k, v in record.items() if k not in _IMAGE_FIELDS},
        ignore=_regions(record, where),
        labelled=flag(record.get("is_labeled", True), f"{where}.is_labeled"),
        image_id=image_id,
        size=picture_size(record.get("width"), record.get("height"), where),
    )  # fmt: skip


def _regions(record: Mapping[str, Any], where: str) -> tuple[NDArray[np.float64], ...]:
    sides = [
        records(record.get(name, []), f"{where}.{name}")
        for name in ("ignore_regions_x", "ignore_regions_y")
    ]
    if len(sides[0]) != len(sides[1]):
        raise FormatError(
            f"{where} has {len(sides[0])} polygons in ignore_regions_x and {len(sides[1])} in "
            f"ignore_regions_y."
        )
    polygons = []
    for at, (xs, ys) in enumerate(zip(*sides, strict=True)):
        here = [f"{where}.ignore_regions_{side}[{at}]" for side in "xy"]
        counts = [len(records(v, h)) for v, h in zip((xs, ys), here, strict=True)]
        if counts[0] != counts[1]:
            raise FormatError(f"{here[0]} has {counts[0]} numbers and {here[1]} has {counts[1]}.")
        both = [pixels(v, counts[0], h) for v, h in zip((xs, ys), here, strict=True)]
        polygons.append(np.stack(both, -1))
    return tuple(polygons)


def _people(
    annotations: list[Any], skeleton: Skeleton, path: str | Path, keep_dummies: bool
) -> dict[int, list[Person]]:
    """Image id -> its people. Every image id that occurs is a key."""
    read = []
    for at, record in enumerate(annotations):
        where = f"{path}: annotations[{at}]"
        keypoints = field(record, "keypoints", where)
        xy, code = triples(keypoints, len(skeleton), f"{where}.keypoints")
        read.append((record, where, xy, code))
    speaks_coco = any((code == 2).any() for r, _, _, code in read if not r.get("scores"))
    found: dict[int, list[Person]] = defaultdict(list)
    for record, where, xy, code in read:
        image = integer(field(record, "image_id", where), f"{where}.image_id")
        person = _person(record, where, xy, code, speaks_coco)
        if keep_dummies or not is_dummy(person):
            found[image].append(person)
        else:
            found.setdefault(image, [])
    return found


def _person(
    record: Mapping[str, Any],
    where: str,
    xy: NDArray[np.float64],
    code: NDArray[np.float64],
    speaks_coco: bool,
) -> Person:
    scores = _scores(record, len(xy), where)
    if scores is not None:
        absent = (xy == 0).all(-1) & (code == 0)
        visibility = np.where(absent, ABSENT, VISIBLE).astype(np.int8)
    elif speaks_coco:
        visibility = coco_visibility(code, f"{where}.keypoints")
    else:
        visibility = _posetrack_visibility(record, xy, code, where)
    known = visibility > 0
    track = record.get("track_id")
    return Person(
        np.where(known[:, None], xy, np.nan),
        visibility,
        None if scores is None else np.where(known, scores, np.nan),
        number(record["score"], f"{where}.score") if "score" in record else float("nan"),
        NO_ID if track is None else integer(track, f"{where}.track_id"),
        optional_box(record, "bbox", where),
        optional_box(record, "bbox_head", where),
        positive(record["area"], f"{where}.area") if "area" in record else float("nan"),
        flag(record.get("iscrowd", 0), f"{where}.iscrowd"),
        {k: v for k, v in record.items() if k not in _PERSON_FIELDS},
    )


def _scores(record: Mapping[str, Any], joints: int, where: str) -> NDArray[np.float64] | None:
    given = records(record.get("scores") or [], f"{where}.scores")
    if not given:
        return None
    return np.array(numbers(given, joints, f"{where}.scores"))


def _posetrack_visibility(
    record: Mapping[str, Any], xy: NDArray[np.float64], code: NDArray[np.float64], where: str
) -> NDArray[np.int8]:
    wrong = (code != 0) & (code != 1)
    if wrong.any():
        bad = code[wrong][0]
        raise FormatError(
            f"{where}.keypoints has the visibility {bad:g}; it is 0 or 1 in labels. Predictions "
            f"need a list 'scores' of one score a joint."
        )
    there = (xy != 0).any(-1)
    found = np.where(code == 1, VISIBLE, np.where(there, OCCLUDED, ABSENT))
    if record.get("occluded"):
        hidden = pixels(record["occluded"], len(xy), f"{where}.occluded")
        if not np.isin(hidden, (0, 1)).all():
            raise FormatError(f"{where}.occluded must hold 0 or 1 for each joint.")
        found = np.where((found > 0) & (hidden == 1), OCCLUDED, found)
    return found.astype(np.int8)


# ---- writing --------------------------------------------------------------------------------


def write_posetrack(
    sequences: Sequence[LabelledSequence],
    path: str | Path,
    version: Literal["18", "21"] = "18",
) -> None:
    """Write labels.

    Args:
        sequences: Videos whose joints are the PoseTrack ones (ears may be lacking).
        path: A ``.json`` file for all of them, or a folder for one file each.
        version: How an occluded joint is written: ``"18"`` as v = 1 and in a list ``occluded``
            (which the official files do not have), ``"21"`` as v = 0 with coordinates.

    Raises:
        FormatError: names or ids collide, or the system refused to write; nothing is left behind.
        SkeletonMismatch: other joints.
    """
    if version not in ("18", "21"):
        raise FormatError(f"PoseTrack labels are version '18' or '21'; got {version!r}.")
    slots = [arranged(s, POSETRACK17SLOT, path, _EARS) for s in sequences]
    contents = {}
    for file, group in _targets(slots, path).items():
        numbered = _numbered(group, file)
        contents[file] = {
            "images": [_image(f, s.name) for s in numbered for f in s],
            "annotations": _annotations(numbered, version, file),
            "categories": [category(POSETRACK17SLOT)],
        }
    write_jsons(contents)


def write_posetrack_predictions(
    sequences: Sequence[LabelledSequence],
    path: str | Path,
    truth: Sequence[LabelledSequence] | None = None,
) -> None:
    """Write predictions as the PoseTrack evaluators and servers take them, one file a video.

    A frame without anybody gets one dummy person, joint 0 at (0, 0) with score -100, as the frame
    would not count otherwise. Absent joints are 0, 0, 0 with score 0; people without any joint are
    left out. People without an id get the free numbers of their frame, which say nothing about
    who they are in the next one.

    Args:
        sequences: Predictions with a score for every joint.
        path: A folder, or a ``.json`` file for a single video.
        truth: The labels of the same videos: they decide names and ids of the pictures and which
            frames must be there. Without it the frames are those of the predictions.

    Raises:
        FormatError: a joint has no score, a track id is above 9999, videos or frames are not those
            of ``truth``, or the system refused to write; nothing is left behind.
        SkeletonMismatch: other joints than PoseTrack's.
    """
    slots = [arranged(s, POSETRACK17SLOT, path, _EARS) for s in sequences]
    if truth is not None:
        slots = match_truth(slots, truth, path)
    contents = {}
    for file, group in _targets(slots, path, single=True).items():
        numbered = _numbered(group, file)
        people = [p for s in numbered for f in s for p in _predictions(f, s.name)]
        contents[file] = {
            "images": [
                {"file_name": f.name, "id": f.image_id, "frame_id": f.image_id}
                for s in numbered
                for f in s
            ],
            "annotations": people,
            "categories": [category(POSETRACK17SLOT)],
        }
    write_jsons(contents)


def _targets(
    sequences: Sequence[LabelledSequence], path: str | Path, single: bool = False
) -> dict[Path, list[LabelledSequence]]:
    target = Path(path)
    if single or target.suffix.lower() != ".json" or target.is_dir():
        return {f: [s] for f, s in files_for(sequences, path, ".json").items()}
    parents: dict[str, str] = {}
    for sequence in sequences:
        for parent in {str(PurePosixPath(f.name).parent) for f in sequence}:
            if len(sequences) > 1 and parents.setdefault(parent, sequence.name) != sequence.name:
                raise FormatError(
                    f"Cannot write {path}: the pictures of {parents[parent]!r} and "
                    f"{sequence.name!r} are in the same folder {parent!r}, so the videos could not "
                    f"be told apart. Write a folder of files instead."
                )
    return {target: list(sequences)}


def _numbered(sequences: Iterable[LabelledSequence], path: Path) -> list[LabelledSequence]:
    """Every frame with a picture id that no other has."""
    found, taken, running = [], set[int](), 0
    for sequence in sequences:
        base = _base(sequence)
        frames = []
        for frame in sequence:
            running += 1
            image = frame.image_id
            if image is None:
                image = running if base is None else base + frame.frame_index
            if image in taken:
                raise FormatError(
                    f"Cannot write {path}: frame {frame.frame_index} of {sequence.name!r} is the "
                    f"second one with the picture id {image}. Give the pictures other ids."
                )
            taken.add(image)
            frames.append(replace(frame, image_id=image))
        found.append(replace(sequence, frames=tuple(frames)))
    return found


def _base(sequence: LabelledSequence) -> int | None:
    """Picture id of frame 0 by the official pattern TSSSSSSFFFF, if the name tells T and S."""
    name = re.match(r"([0-9]{1,6})_(mpiinew|mpii|bonn)(_|$)", sequence.name)
    if name is None or max((f.frame_index for f in sequence), default=0) > 9999:
        return None
    return _SOURCES[name[2]] * 10**10 + int(name[1]) * 10**4


def _image(frame: LabelledFrame, video: str) -> dict[str, Any]:
    extra = {k: v for k, v in frame.extra.items() if k not in ("people", *_IMAGE_FIELDS)}
    image: dict[str, Any] = {
        "frame_id": frame.image_id,
        "vid_id": next(iter(re.findall(r"^[0-9]+", video)), video),
        **extra,
        "id": frame.image_id,
        "file_name": frame.name,
        "is_labeled": frame.labelled,
        "ignore_regions_x": [p[:, 0].tolist() for p in frame.ignore],
        "ignore_regions_y": [p[:, 1].tolist() for p in frame.ignore],
    }
    if frame.size is not None:
        image |= {"width": frame.size[0], "height": frame.size[1]}
    return image


def _annotations(
    sequences: Sequence[LabelledSequence], version: str, path: Path
) -> list[dict[str, Any]]:
    found = [
        _annotation(frame, row, extra, version, path)
        for sequence in sequences
        for frame in sequence
        for row, extra in enumerate(people_extra(frame))
    ]
    ids = [a["id"] for a in found]
    if len(set(map(str, ids))) != len(ids):
        for at, annotation in enumerate(found):
            annotation["id"] = at + 1
    return found


def _annotation(
    frame: LabelledFrame, row: int, extra: dict[str, Any], version: str, path: Path
) -> dict[str, Any]:
    assert frame.image_id is not None
    hidden = frame.visibility[row] == OCCLUDED
    at_origin = hidden & (frame.xy[row] == 0).all(-1)
    if version == "21" and at_origin.any():
        raise FormatError(
            f"Cannot write {path}: an occluded joint of frame {frame.frame_index} lies at (0, 0), "
            f"which means absent in PoseTrack21."
        )
    code = np.where(hidden, 0, 1) if version == "21" else np.ones(len(hidden), int)
    found = {
        "id": frame.image_id * 100 + row,
        **extra,
        "image_id": frame.image_id,
        "category_id": 1,
        "keypoints": flat_keypoints(frame, row, code),
        "num_keypoints": int(frame.known[row].sum()),
        "iscrowd": int(frame.crowd[row]),
        "scores": [],
    }
    if version == "18" and hidden.any():
        found["occluded"] = hidden.astype(int).tolist()
    if frame.ids[row] != NO_ID:
        found["track_id"] = int(frame.ids[row])
    for name, box in (("bbox", frame.boxes[row]), ("bbox_head", frame.head_boxes[row])):
        if np.isfinite(box).all():
            found[name] = to_xywh(box)
    if np.isfinite(frame.area[row]):
        found["area"] = float(frame.area[row])
    return found


def _predictions(frame: LabelledFrame, video: str) -> list[dict[str, Any]]:
    frame = with_dummies(frame)
    ids, boxes = submission_ids(frame, video), person_boxes(frame)
    found = []
    for row, track in enumerate(ids):
        person: dict[str, Any] = {
            "image_id": frame.image_id,
            "track_id": track,
            "person_id": track,
            "category_id": 1,
            "bbox": to_xywh(boxes[row]),
            "keypoints": flat_keypoints(frame, row, np.ones(len(frame.skeleton), int)),
            "scores": submission_scores(frame, row, video),
        }
        if np.isfinite(frame.person_score[row]):
            person["score"] = float(frame.person_score[row])
        found.append(person)
    return found

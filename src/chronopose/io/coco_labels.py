"""COCO keypoints and CrowdPose: labels as one set of stills, and lists of results.

Poses of a video with times and tracks are :mod:`chronopose.io.coco`; this is the form in which the
field ships and scores pictures. Coordinates count from 0 already. Visibility is 0 not labelled
(absent), 1 labelled but not visible (occluded), 2 visible. Joints go by the names of the category;
CrowdPose's "head" is our ``head_top``. Fields of an image stay in ``frame.extra`` (CrowdPose's
``crowdIndex`` among them), fields of an annotation in ``frame.extra["people"]``; segments, which
are most of such a file, are dropped, and their ``area`` is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from chronopose.core.labels import NO_ID, LabelledFrame, LabelledSequence
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import COCO17, CROWDPOSE14
from chronopose.errors import FormatError
from chronopose.io._fields import field, load_json, number, records
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
    flag,
    frame_of,
    integer,
    optional_box,
    people_extra,
    picture_size,
    positive,
    text,
    to_xywh,
    write_jsons,
)

_IMAGE_FIELDS = {"id", "file_name", "width", "height"}
_PERSON_FIELDS = {
    "image_id", "category_id", "keypoints", "num_keypoints", "bbox", "area", "iscrowd",
    "track_id", "segmentation", "score",
}  # fmt: skip
_RESULT_FIELDS = {"image_id", "category_id", "keypoints", "score", "bbox", "track_id"}


def read_coco_labels(path: str | Path) -> list[LabelledSequence]:
    """Read a file of COCO keypoint annotations, or of any set in its form.

    ``num_keypoints`` is kept in ``frame.extra["people"]`` only where it differs from the count of
    joints with v > 0, as in CrowdPose, which leaves out head_top and neck: evaluators ignore
    people with 0.

    Returns:
        One set of stills; ``frame_index`` is the place in the list of images.

    Raises:
        FormatError: the file is missing, damaged or something else; the message names the record
            and the field.
    """
    content = load_json(path)
    images = records(field(content, "images", str(path)), f"{path}: images")
    annotations = records(field(content, "annotations", str(path)), f"{path}: annotations")
    joints, limbs, _ = person_category(content, path)
    skeleton = skeleton_of(joints, limbs, path)
    people: dict[int, list[Person]] = {}
    for at, record in enumerate(annotations):
        where = f"{path}: annotations[{at}]"
        image = integer(field(record, "image_id", where), f"{where}.image_id")
        people.setdefault(image, []).append(_person(record, where, skeleton))
    frames = []
    for at, record in enumerate(images):
        frames.append(_frame(record, at, f"{path}: images[{at}]", skeleton, people))
    ids = [f.image_id for f in frames]
    if len(set(ids)) != len(ids):
        twice = next(i for i in ids if ids.count(i) > 1)
        raise FormatError(f"{path}: two images have the id {twice}.")
    orphans = sorted(set(people) - {i for i in ids if i is not None})
    if orphans:
        raise FormatError(
            f"{path}: an annotation has the image_id {orphans[0]}, but no image has that id."
        )
    return [LabelledSequence(Path(path).stem, skeleton, tuple(frames), is_video=False)]


def _frame(
    record: object, at: int, where: str, skeleton: Skeleton, people: Mapping[int, list[Person]]
) -> LabelledFrame:
    image = integer(field(record, "id", where), f"{where}.id")
    assert isinstance(record, Mapping)
    return frame_of(
        where, text(field(record, "file_name", where), f"{where}.file_name"), at, skeleton,
        people.get(image, []), {k: v for k, v in record.items() if k not in _IMAGE_FIELDS},
        image_id=image, size=picture_size(record.get("width"), record.get("height"), where),
    )  # fmt: skip


def _person(record: Mapping[str, Any], where: str, skeleton: Skeleton) -> Person:
    flat = field(record, "keypoints", where)
    xy, code = triples(flat, len(skeleton), f"{where}.keypoints")
    visibility = coco_visibility(code, f"{where}.keypoints")
    extra = {k: v for k, v in record.items() if k not in _PERSON_FIELDS}
    if "num_keypoints" in record:
        count = integer(record["num_keypoints"], f"{where}.num_keypoints")
        if count > len(skeleton):
            raise FormatError(
                f"{where}.num_keypoints is {count}, and there are {len(skeleton)} joints."
            )
        if count != (visibility > 0).sum():
            extra["num_keypoints"] = count
    track = record.get("track_id")
    return Person(
        np.where((visibility > 0)[:, None], xy, np.nan),
        visibility,
        person_score=number(record["score"], f"{where}.score") if "score" in record else np.nan,
        id=NO_ID if track is None else integer(track, f"{where}.track_id"),
        box=optional_box(record, "bbox", where),
        area=positive(record["area"], f"{where}.area") if "area" in record else np.nan,
        crowd=flag(record.get("iscrowd", 0), f"{where}.iscrowd"),
        extra=extra,
    )


def read_coco_results(path: str | Path, skeleton: Skeleton | None = None) -> list[LabelledSequence]:
    """Read a list of keypoint results ``{image_id, category_id, keypoints, score}``.

    The third number of a joint is its score. A joint 0, 0, 0 is absent. ``image_id`` may be a
    file's name.

    Args:
        path: The JSON file.
        skeleton: Joints of the results, which the format does not name: 17 are taken for COCO's
            and 14 for CrowdPose's unless it is given.

    Returns:
        One set of stills with a frame for each picture that has a result, in order of appearance.

    Raises:
        FormatError: the file is missing, damaged or something else; the message names the record
            and the field.
    """
    listed = records(load_json(path), f"{path}: the content")
    people: dict[int | str, list[Person]] = {}
    for at, record in enumerate(listed):
        where = f"{path}: record {at}"
        image = field(record, "image_id", where)
        if not isinstance(image, str) or not image:
            image = integer(image, f"{where}.image_id")
        if skeleton is None:
            skeleton = _by_count(field(record, "keypoints", where), where)
        people.setdefault(image, []).append(_result(record, where, skeleton))
    found = skeleton or COCO17
    frames = tuple(
        frame_of(
            f"{path}: image {image}", str(image), at, found, group,
            image_id=None if isinstance(image, str) else image,
        )
        for at, (image, group) in enumerate(people.items())
    )  # fmt: skip
    return [LabelledSequence(Path(path).stem, found, frames, is_video=False)]


def _by_count(keypoints: object, where: str) -> Skeleton:
    count = len(keypoints) if isinstance(keypoints, list) else 0
    for skeleton in (COCO17, CROWDPOSE14):
        if count == 3 * len(skeleton):
            return skeleton
    raise FormatError(
        f"{where}.keypoints has {count} numbers; COCO's are 51 and CrowdPose's 42. Say which "
        f"joints they are with skeleton=."
    )


def _result(record: Mapping[str, Any], where: str, skeleton: Skeleton) -> Person:
    xy, score = triples(field(record, "keypoints", where), len(skeleton), f"{where}.keypoints")
    known = (xy != 0).any(-1) | (score != 0)
    track = record.get("track_id")
    return Person(
        np.where(known[:, None], xy, np.nan),
        np.where(known, VISIBLE, ABSENT).astype(np.int8),
        np.where(known, score, np.nan),
        number(field(record, "score", where), f"{where}.score"),
        NO_ID if track is None else integer(track, f"{where}.track_id"),
        optional_box(record, "bbox", where),
        extra={k: v for k, v in record.items() if k not in _RESULT_FIELDS},
    )


# ---- writing --------------------------------------------------------------------------------


def write_coco_labels(sequences: Sequence[LabelledSequence], path: str | Path) -> None:
    """Write labels as COCO keypoint annotations; CrowdPose's joint is called "head" again.

    Picture ids and annotation ids are kept where they are known and unique, and counted from 1
    otherwise. Joint scores, head boxes and ignore regions have no place in the format.

    Raises:
        FormatError: sequences of different joints, or the system refused to write.
    """
    skeleton = sequences[0].skeleton if sequences else COCO17
    ready = [arranged(s, skeleton, path) for s in sequences]
    frames = _numbered([f for s in ready for f in s])
    annotations = [
        _annotation(frame, row, extra)
        for frame in frames
        for row, extra in enumerate(people_extra(frame))
    ]
    ids = [a.get("id") for a in annotations]
    if len(set(map(str, ids))) != len(ids) or None in ids:
        annotations = [a | {"id": at} for at, a in enumerate(annotations, 1)]
    names = None
    if skeleton.joints == CROWDPOSE14.joints:
        names = [n.replace("head_top", "head") for n in skeleton.joints]
    content = {
        "images": [_image(f) for f in frames],
        "annotations": annotations,
        "categories": [category(skeleton, names)],
    }
    write_jsons({Path(path): content})


def _numbered(frames: list[LabelledFrame]) -> list[LabelledFrame]:
    ids = [f.image_id for f in frames]
    if None in ids or len(set(ids)) != len(ids):
        return [replace(f, image_id=at) for at, f in enumerate(frames, 1)]
    return frames


def _image(frame: LabelledFrame) -> dict[str, Any]:
    extra = {k: v for k, v in frame.extra.items() if k != "people"}
    size = {} if frame.size is None else {"width": frame.size[0], "height": frame.size[1]}
    return {**extra, "file_name": frame.name, "id": frame.image_id, **size}


def _annotation(frame: LabelledFrame, row: int, extra: dict[str, Any]) -> dict[str, Any]:
    code = np.where(frame.visibility[row] == OCCLUDED, 1, 2)
    found: dict[str, Any] = {
        "num_keypoints": int(frame.known[row].sum()),
        **extra,
        "image_id": frame.image_id,
        "category_id": 1,
        "keypoints": flat_keypoints(frame, row, code),
        "iscrowd": int(frame.crowd[row]),
    }
    if np.isfinite(frame.boxes[row]).all():
        found["bbox"] = to_xywh(frame.boxes[row])
    if np.isfinite(frame.area[row]):
        found["area"] = float(frame.area[row])
    if np.isfinite(frame.person_score[row]):
        found["score"] = float(frame.person_score[row])
    if frame.ids[row] != NO_ID:
        found["track_id"] = int(frame.ids[row])
    return found


def write_coco_results(sequences: Sequence[LabelledSequence], path: str | Path) -> None:
    """Write predictions as a list of keypoint results.

    A picture goes by its id, or by its name where it has none. Absent joints are 0, 0, 0; people
    without any joint are left out.

    Raises:
        FormatError: a person or a joint has no score, or the system refused to write.
    """
    found = [
        _result_record(f, row, extra)
        for s in sequences
        for f in s
        for row, extra in enumerate(people_extra(f))
        if f.known[row].any()
    ]
    write_jsons({Path(path): found})


def _result_record(frame: LabelledFrame, row: int, extra: dict[str, Any]) -> dict[str, Any]:
    known = frame.known[row]
    if np.isnan(frame.person_score[row]) or np.isnan(frame.score[row][known]).any():
        raise FormatError(
            f"A person of {frame.name} has no score, or has a joint without one, and results are "
            f"ranked by scores. Give them with dataclasses.replace(frame, person_score=..., "
            f"score=...)."
        )
    image: int | str = frame.name if frame.image_id is None else frame.image_id
    found: dict[str, Any] = {
        **{k: v for k, v in extra.items() if k == "id"},
        "image_id": image,
        "category_id": 1,
        "keypoints": flat_keypoints(frame, row, frame.score[row]),
        "score": float(frame.person_score[row]),
    }
    if np.isfinite(frame.boxes[row]).all():
        found["bbox"] = to_xywh(frame.boxes[row])
    if frame.ids[row] != NO_ID:
        found["track_id"] = int(frame.ids[row])
    return found

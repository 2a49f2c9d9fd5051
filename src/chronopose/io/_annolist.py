"""JSON in the shape of a MATLAB struct, as PoseTrack17 and HiEve have it.

``annolist`` is a list of frames, ``annorect`` of a frame the list of its people, and every scalar
sits in a list of one element. Bare scalars are accepted too. What the four numbers x1 y1 x2 y2 of
a person mean differs between the formats, so they are called ``box`` here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chronopose.core.labels import NO_ID, LabelledFrame, LabelledSequence
from chronopose.core.skeleton import Skeleton
from chronopose.errors import FormatError
from chronopose.io._fields import field as member
from chronopose.io._fields import load_json, number, records
from chronopose.io._labelled import (
    ABSENT,
    OCCLUDED,
    VISIBLE,
    Person,
    box_xyxy,
    files_for,
    flag,
    integer,
    pixel,
    text,
)
from chronopose.io._submission import is_dummy

_EDGES = ("x1", "y1", "x2", "y2")
_FRAME_FIELDS = {"image", "imgnum", "is_labeled", "ignore_regions", "annorect"}
_RECT_FIELDS = {*_EDGES, "track_id", "score", "annopoints"}


@dataclass
class Entry:
    """One frame of an annolist."""

    where: str
    name: str
    number: int | None
    labelled: bool
    ignore: tuple[NDArray[np.float64], ...]
    people: list[Person]
    """``box`` holds x1 y1 x2 y2, whatever they mean."""
    extra: dict[str, Any] = field(default_factory=dict)


def load_annolist(path: str | Path) -> list[Any]:
    """The records of the frames.

    Raises:
        FormatError: the file is missing, no JSON, or has no annolist.
    """
    return records(member(load_json(path), "annolist", str(path)), f"{path}: annolist")


def entries(
    listed: list[Any], skeleton: Skeleton, path: str | Path, keep_dummies: bool = False
) -> list[Entry]:
    """Check and take apart the records of :func:`load_annolist`.

    Args:
        listed: The records.
        skeleton: Joints by their point ids.
        path: The file, for messages.
        keep_dummies: Take the dummy of an empty frame for a person.

    Raises:
        FormatError: a field is missing or of another kind; the message names it.
    """
    return [
        _entry(record, f"{path}: annolist[{at}]", skeleton, keep_dummies)
        for at, record in enumerate(listed)
    ]


def _entry(record: object, where: str, skeleton: Skeleton, keep_dummies: bool) -> Entry:
    image = member(record, "image", where)
    name = one(member(one(image, f"{where}.image"), "name", f"{where}.image"), f"{where}.name")
    assert isinstance(record, Mapping)
    rects = records(record.get("annorect") or [], f"{where}.annorect")
    people = [_person(r, f"{where}.annorect[{at}]", skeleton) for at, r in enumerate(rects)]
    seen = record.get("is_labeled")
    count = record.get("imgnum")
    return Entry(
        where,
        text(name, f"{where}.image.name"),
        None if count in (None, []) else _whole(count, f"{where}.imgnum"),
        True if seen in (None, []) else _flag(seen, f"{where}.is_labeled"),
        _regions(record, where),
        [p for p in people if keep_dummies or not is_dummy(p)],
        {k: v for k, v in record.items() if k not in _FRAME_FIELDS},
    )


def one(value: object, where: str) -> Any:
    """The element of a list of one, or a bare value.

    Raises:
        FormatError: a list of another length.
    """
    if not isinstance(value, list):
        return value
    if len(value) != 1:
        raise FormatError(f"{where} must be a list of one element; it has {len(value)}.")
    return value[0]


def _whole(value: object, where: str) -> int:
    return integer(one(value, where), where)


def _number(value: object, where: str) -> float:
    return number(one(value, where), where)


def _flag(value: object, where: str) -> bool:
    return flag(one(value, where), where)


def _regions(record: Mapping[str, Any], where: str) -> tuple[NDArray[np.float64], ...]:
    found = []
    for at, region in enumerate(records(record.get("ignore_regions") or [], f"{where}.ignore")):
        here = f"{where}.ignore_regions[{at}]"
        points = records(member(region, "point", here), f"{here}.point")
        found.append(np.array([_xy(p, f"{here}.point") for p in points], float).reshape(-1, 2))
    return tuple(found)


def _xy(point: object, where: str) -> list[float]:
    return [pixel(one(member(point, n, where), f"{where}.{n}"), f"{where}.{n}") for n in ("x", "y")]


def _person(rect: object, where: str, skeleton: Skeleton) -> Person:
    points = _points(rect, where)
    assert isinstance(rect, Mapping)
    joints = len(skeleton)
    xy, score = np.full((joints, 2), np.nan), np.full(joints, np.nan)
    visibility = np.full(joints, ABSENT, np.int8)
    for at, point in enumerate(points):
        here = f"{where}.annopoints.point[{at}]"
        joint = _whole(member(point, "id", here), f"{here}.id")
        if joint >= joints or visibility[joint] != ABSENT:
            why = "a second time" if joint < joints else f"and {skeleton.name} ends at {joints - 1}"
            raise FormatError(f"{here}.id is {joint}, {why}. Every joint comes once.")
        xy[joint] = _xy(point, here)
        visibility[joint] = _visibility(point, here)
        if point.get("score") not in (None, []):
            score[joint] = _number(point["score"], f"{here}.score")
    person = Person(xy, visibility, None if np.isnan(score).all() else score)
    if rect.get("score") not in (None, []):
        person.person_score = _number(rect["score"], f"{where}.score")
    track = rect.get("track_id")
    person.id = NO_ID if track in (None, []) else _whole(track, f"{where}.track_id")
    person.box = _box(rect, where)
    person.extra = {k: v for k, v in rect.items() if k not in _RECT_FIELDS}
    return person


def _points(rect: object, where: str) -> list[Any]:
    if not isinstance(rect, Mapping):
        raise FormatError(f"{where} must be a JSON object; got {str(rect)[:60]!r}.")
    outer = rect.get("annopoints")
    if outer is None or outer == [] or outer == {}:
        return []
    points = member(one(outer, f"{where}.annopoints"), "point", f"{where}.annopoints")
    return records(points, f"{where}.annopoints.point")


def _visibility(point: Mapping[str, Any], where: str) -> int:
    if point.get("is_visible") in (None, []):
        return VISIBLE
    seen = _flag(point["is_visible"], f"{where}.is_visible")
    return VISIBLE if seen else OCCLUDED


def _box(rect: Mapping[str, Any], where: str) -> list[float] | None:
    if all(rect.get(n) in (None, []) for n in _EDGES):
        return None
    edges = [one(member(rect, n, where), f"{where}.{n}") for n in _EDGES]
    return box_xyxy(edges, f"{where}, fields x1 y1 x2 y2")


# ---- writing --------------------------------------------------------------------------------


def write_entry(
    frame: LabelledFrame, rects: list[dict[str, Any]], labels: bool, **fields: Any
) -> dict[str, Any]:
    """The record of a frame; labels also say their number and ignore regions."""
    found: dict[str, Any] = {"image": [{"name": frame.name}]}
    if labels:
        found |= {k: v for k, v in frame.extra.items() if k != "people"}
        found |= fields
        found["ignore_regions"] = [
            {"point": [{"x": [x], "y": [y]} for x, y in p.tolist()]} for p in frame.ignore
        ]
    return found | {"annorect": rects}


def write_rect(
    frame: LabelledFrame,
    row: int,
    box: NDArray[np.float64],
    scores: list[float] | None,
    track: int,
    is_visible: bool = False,
) -> dict[str, Any]:
    """The record of a person; ``is_visible`` adds the points' visibility, ``scores`` theirs."""
    rect: dict[str, Any] = {}
    if np.isfinite(box).all():
        rect |= {n: [v] for n, v in zip(_EDGES, box.tolist(), strict=True)}
    if np.isfinite(frame.person_score[row]):
        rect["score"] = [float(frame.person_score[row])]
    if track != NO_ID:
        rect["track_id"] = [int(track)]
    points = []
    for joint in np.flatnonzero(frame.known[row]).tolist():
        x, y = frame.xy[row, joint].tolist()
        point = {"id": [joint], "x": [x], "y": [y]}
        if is_visible:
            point["is_visible"] = [int(frame.visible[row, joint])]
        if scores is not None:
            point["score"] = [scores[joint]]
        elif np.isfinite(frame.score[row, joint]):
            point["score"] = [float(frame.score[row, joint])]
        points.append(point)
    return rect | {"annopoints": [{"point": points}]}


def annolists(
    sequences: Sequence[LabelledSequence],
    path: str | Path,
    entry: Callable[[LabelledFrame, str], dict[str, Any]],
) -> dict[Path, Any]:
    """File -> its content, for one file a video.

    Args:
        sequences: The videos, arranged.
        path: Folder for the files, or a ``.json`` file for a single video.
        entry: Frame and name of its video -> record of the frame.

    Raises:
        FormatError: names of videos collide.
    """
    files = files_for(sequences, path, ".json")
    return {file: {"annolist": [entry(f, s.name) for f in s]} for file, s in files.items()}


def file_sequence(
    path: str | Path, name: str, skeleton: Skeleton, frames: list[LabelledFrame]
) -> LabelledSequence:
    """A video of a file; an empty list of frames is refused.

    Raises:
        FormatError: there are no frames.
    """
    if not frames:
        raise FormatError(f"{path} has no frame in its annolist: there is nothing to read.")
    return LabelledSequence(name, skeleton, tuple(frames))

"""From the records of a file of labels to frames and back: what the label formats share.

Readers collect :class:`Person` records, every value checked, and turn them into frames. Writers
put a sequence into the joint order of their format by name, and refuse what would be lost.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chronopose.core.labels import NO_ID, LabelledFrame, LabelledSequence, Visibility
from chronopose.core.skeleton import Skeleton
from chronopose.errors import FormatError, ShapeError, SkeletonMismatch
from chronopose.io._fields import number, numbers, whole
from chronopose.io.atomic import PendingFile, write_failure

LARGEST_PX = 1e6
"""No coordinate is larger: a picture of a million pixels across is a damaged number."""

_PLAIN = {int, float}
ABSENT, OCCLUDED, VISIBLE = Visibility.ABSENT, Visibility.OCCLUDED, Visibility.VISIBLE


@dataclass
class Person:
    """One person as a reader found them; arguments as for a row of :class:`LabelledFrame`.

    Args:
        xy: ``(K, 2)`` image pixels; NaN where absent.
        visibility: ``(K,)`` of :class:`Visibility`.
        score: ``(K,)`` joint scores; None if there are none.
        person_score: Score of the person; NaN if there is none.
        id: Track id.
        box: Person box x1 y1 x2 y2; None if there is none.
        head_box: Head box x1 y1 x2 y2; None if there is none.
        area: Square pixels; NaN if it is not given.
        crowd: Stands for several people.
        extra: What else the file says of the person.
    """

    xy: NDArray[np.float64]
    visibility: NDArray[np.int8]
    score: NDArray[np.float64] | None = None
    person_score: float = float("nan")
    id: int = NO_ID
    box: Sequence[float] | None = None
    head_box: Sequence[float] | None = None
    area: float = float("nan")
    crowd: bool = False
    extra: dict[str, Any] = field(default_factory=dict)


def frame_of(
    where: str,
    name: str,
    index: int,
    skeleton: Skeleton,
    people: Sequence[Person],
    extra: Mapping[str, Any] | None = None,
    **fields: Any,
) -> LabelledFrame:
    """A frame of people; what else is known of each goes to ``extra["people"]``, in their order.

    Args:
        where: The file and the record, for messages.
        name: As for :class:`LabelledFrame`, like everything below.
        index: ``frame_index``.
        skeleton: Joints of everybody.
        people: The people.
        extra: What else the file says of the frame.
        **fields: ``ignore``, ``labelled``, ``image_id``, ``size``, ``time_s``.

    Raises:
        FormatError: a track id stands twice in the frame.
    """
    none = [float("nan")] * 4
    unscored = np.full(len(skeleton), np.nan)
    more = dict(extra or {})
    if any(p.extra for p in people):
        more["people"] = [p.extra for p in people]
    own = [p.id for p in people if p.id != NO_ID]
    if len(set(own)) != len(own):
        twice = next(i for i in own if own.count(i) > 1)
        raise FormatError(
            f"{where}: the track id {twice} stands for two people of the frame. Ids must be "
            f"unique in a frame."
        )
    try:
        return LabelledFrame(
            name, index, skeleton,
            np.array([p.xy for p in people], np.float64),
            visibility=np.array([p.visibility for p in people], np.int8),
            score=np.array([unscored if p.score is None else p.score for p in people], float),
            person_score=np.array([p.person_score for p in people], np.float64),
            ids=np.array([p.id for p in people], np.int64),
            boxes=np.array([none if p.box is None else p.box for p in people], np.float64),
            head_boxes=np.array(
                [none if p.head_box is None else p.head_box for p in people], np.float64
            ),
            area=np.array([p.area for p in people], np.float64),
            crowd=np.array([p.crowd for p in people], bool),
            extra=more, **fields,
        )  # fmt: skip
    except ShapeError as error:
        raise FormatError(f"{where}: {error}") from error


def people_extra(frame: LabelledFrame) -> list[dict[str, Any]]:
    """What a reader put aside for each person; empty where people came or went since then."""
    found = frame.extra.get("people")
    if isinstance(found, list) and len(found) == len(frame):
        return [dict(e) if isinstance(e, Mapping) else {} for e in found]
    return [{} for _ in range(len(frame))]


# ---- checked values -------------------------------------------------------------------------


def pixels(value: object, count: int, where: str) -> NDArray[np.float64]:
    """``count`` coordinates from a JSON list.

    Raises:
        FormatError: it is no list of that many finite numbers, or one is beyond
            :data:`LARGEST_PX`.
    """
    if (
        not isinstance(value, list)
        or len(value) != count
        or not _PLAIN.issuperset(map(type, value))
    ):
        value = numbers(value, count, where)
    try:
        found = np.array(value, np.float64)
    except OverflowError:
        found = np.array(numbers(value, count, where))
    if not (np.abs(found) <= LARGEST_PX).all():
        bad = found[~(np.abs(found) <= LARGEST_PX)][0]
        raise FormatError(
            f"{where} holds {bad:g}, which is no place in a picture: coordinates are finite "
            f"numbers below {LARGEST_PX:g} pixels."
        )
    return found


def pixel(value: object, where: str) -> float:
    """One coordinate; errors as for :func:`pixels`."""
    return float(pixels([number(value, where)], 1, where)[0])


def box_xywh(value: object, where: str) -> list[float]:
    """A JSON box ``[left, top, width, height]`` as x1 y1 x2 y2.

    Raises:
        FormatError: not four coordinates, or a negative size.
    """
    left, top, width, height = pixels(value, 4, where).tolist()
    return box_xyxy([left, top, left + width, top + height], where)


def optional_box(record: Mapping[str, Any], name: str, where: str) -> list[float] | None:
    """The field as :func:`box_xywh`; None where it is missing, null or an empty list."""
    value = record.get(name)
    return None if value is None or value == [] else box_xywh(value, f"{where}.{name}")


def box_xyxy(value: Sequence[float], where: str) -> list[float]:
    """Four edges x1 y1 x2 y2, none of them reversed.

    Raises:
        FormatError: not four coordinates, or a negative size.
    """
    left, top, right, bottom = pixels(list(value), 4, where).tolist()
    if right < left or bottom < top:
        raise FormatError(
            f"{where} has a negative size: from ({left:g}, {top:g}) to ({right:g}, {bottom:g}). "
            f"Exchange its edges, or take it out."
        )
    return [left, top, right, bottom]


def to_xywh(box: NDArray[np.float64]) -> list[float]:
    """x1 y1 x2 y2 as left, top, width, height."""
    return [*box[:2].tolist(), *(box[2:] - box[:2]).tolist()]


def integer(value: object, where: str, *, least: int | None = 0) -> int:
    """A whole number, which may be written as 3.0.

    Raises:
        FormatError: it is something else, or below ``least``.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return whole(value, where, least=least)


def flag(value: object, where: str) -> bool:
    """A yes or no that is written as a boolean, 0 or 1.

    Raises:
        FormatError: it is something else.
    """
    if isinstance(value, bool | int | float) and value in (0, 1):
        return bool(value)
    raise FormatError(f"{where} must be 0 or 1; got {str(value)[:40]!r}.")


def positive(value: object, where: str) -> float:
    """A number of at least zero.

    Raises:
        FormatError: it is something else.
    """
    found = number(value, where)
    if found < 0:
        raise FormatError(f"{where} must not be negative; got {found:g}.")
    return found


def text(value: object, where: str) -> str:
    """A text that is not empty.

    Raises:
        FormatError: it is something else.
    """
    if not isinstance(value, str) or not value:
        raise FormatError(f"{where} must be a text; got {str(value)[:40]!r}.")
    return value


def picture_size(width: object, height: object, where: str) -> tuple[int, int] | None:
    """``(width, height)`` of a picture, or None where the file gives neither.

    Raises:
        FormatError: one is missing or not a whole number of at least 1.
    """
    if width is None and height is None:
        return None
    return integer(width, f"{where}.width", least=1), integer(height, f"{where}.height", least=1)


def picture_number(name: str, where: str) -> int:
    """The number of a frame by the last digits of its picture's name, whatever their count.

    Raises:
        FormatError: the name has no digits, or too many for a number.
    """
    digits = re.findall(r"[0-9]+", PurePosixPath(name.replace("\\", "/")).stem)
    if not digits or len(digits[-1]) > 18:
        raise FormatError(
            f"{where} does not say which frame it is: {name[:80]!r} has no number in its file "
            f"name. Name the pictures by their number, as in 000017.jpg."
        )
    return int(digits[-1])


def once(frames: Iterable[LabelledFrame], where: str) -> None:
    """Refuse a sequence in which a frame number stands twice.

    Raises:
        FormatError: it does; the message names the pictures.
    """
    seen: dict[int, str] = {}
    for frame in frames:
        if frame.frame_index in seen:
            raise FormatError(
                f"{where}: {seen[frame.frame_index]!r} and {frame.name!r} are both frame "
                f"{frame.frame_index} of one video. Give each frame one picture."
            )
        seen[frame.frame_index] = frame.name


# ---- writing --------------------------------------------------------------------------------


def arranged(
    sequence: LabelledSequence, skeleton: Skeleton, path: str | Path, optional: Iterable[str] = ()
) -> LabelledSequence:
    """The sequence in the joint order of a format, by name and without approximations.

    Args:
        sequence: What is to be written.
        skeleton: Joints of the format.
        path: The file, for messages.
        optional: Joints that the format has a place for and that may be lacking.

    Raises:
        SkeletonMismatch: the sequence lacks a joint of the format, or has coordinates of a joint
            that the format has no place for.
    """
    if sequence.skeleton.joints == skeleton.joints:
        return replace(sequence, skeleton=skeleton)
    plan = sequence.skeleton.map_to(skeleton, approximate=False)
    hint = f"Convert first: sequence.to_skeleton(get_skeleton({skeleton.name!r}))."
    lacking = [j for j in plan.missing if j not in set(optional)]
    if lacking:
        raise SkeletonMismatch(
            f"Cannot write {path}: {sequence.name!r} has {sequence.skeleton.name!r} joints and no "
            f"{', '.join(lacking)}. {hint}"
        )
    extra = [sequence.skeleton.index(j) for j in plan.dropped]
    for frame in sequence:
        lost = [sequence.skeleton.joints[k] for k in extra if frame.known[:, k].any()]
        if lost:
            raise SkeletonMismatch(
                f"Cannot write {path}: it has no place for {', '.join(lost)} of frame "
                f"{frame.frame_index} of {sequence.name!r}. {hint}"
            )
    source = [sequence.skeleton.index(j) if j in sequence.skeleton else -1 for j in skeleton.joints]
    frames = tuple(_rearranged(f, skeleton, source) for f in sequence)
    return replace(sequence, skeleton=skeleton, frames=frames)


def _rearranged(frame: LabelledFrame, skeleton: Skeleton, source: list[int]) -> LabelledFrame:
    gone = np.array(source) < 0
    xy, score = frame.xy[:, source].copy(), frame.score[:, source].copy()
    visibility = frame.visibility[:, source].copy()
    xy[:, gone], score[:, gone], visibility[:, gone] = np.nan, np.nan, Visibility.ABSENT
    return replace(frame, skeleton=skeleton, xy=xy, score=score, visibility=visibility)


def single(sequences: Iterable[LabelledSequence], path: str | Path) -> LabelledSequence:
    """The only sequence, for a format that holds one.

    Raises:
        FormatError: there are none or several.
    """
    given = list(sequences)
    if len(given) != 1:
        raise FormatError(
            f"Cannot write {path}: a file of this format holds one sequence; got {len(given)}."
        )
    return given[0]


def only_person(frame: LabelledFrame, path: str | Path) -> NDArray[np.int8]:
    """``(K,)`` visibility of the only person of a frame, for a format that has no more.

    Raises:
        FormatError: there is nobody, or there are several.
    """
    if len(frame) != 1:
        raise FormatError(
            f"Cannot write {path}: {frame.name} has {len(frame)} people, and the format holds one "
            f"in each picture."
        )
    return frame.visibility[0]


def file_for(sequence: LabelledSequence, folder: Path, suffix: str) -> Path:
    """The file of a sequence in a folder of them.

    Raises:
        FormatError: the sequence's name cannot be the name of a file.
    """
    name = sequence.name
    if not name or name != Path(name).name or "\\" in name or "\0" in name or name in (".", ".."):
        raise FormatError(
            f"Cannot write a file of the sequence {name[:80]!r} into {folder}: its name is no file "
            f"name. Rename it with dataclasses.replace(sequence, name=...)."
        )
    return folder / f"{name}{suffix}"


def files_for(
    sequences: Sequence[LabelledSequence], path: str | Path, suffix: str
) -> dict[Path, LabelledSequence]:
    """Where each sequence goes: to ``path`` itself if it has the suffix, else into that folder.

    Raises:
        FormatError: several sequences for one file, or two of the same name.
    """
    target = Path(path)
    if target.suffix.lower() == suffix and not target.is_dir():
        return {target: single(sequences, path)}
    found: dict[Path, LabelledSequence] = {}
    for sequence in sequences:
        file = file_for(sequence, target, suffix)
        if file in found:
            raise FormatError(
                f"Cannot write {file}: two sequences are called {sequence.name!r}. Rename one."
            )
        found[file] = sequence
    return found


def write_jsons(contents: Mapping[Path, Any], indent: int | None = None) -> None:
    """Write JSON files, whose folder is made if need be: all of them or none.

    Raises:
        FormatError: the system refused to write, or a value has no JSON form (NaN included).
    """
    pending: list[PendingFile] = []
    try:
        for path, content in contents.items():
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                pending.append(PendingFile(path))
                with open(pending[-1].temporary, "w", encoding="utf-8") as file:
                    json.dump(content, file, ensure_ascii=False, allow_nan=False, indent=indent)
                    file.write("\n")
            except OSError as error:
                raise write_failure(path, error) from error
            except (TypeError, ValueError) as error:
                raise FormatError(
                    f"Cannot write {path}: {error}. Give plain numbers, texts, lists and dicts."
                ) from error
        while pending:
            pending.pop(0).commit()
    finally:
        for file_ in pending:
            file_.discard()

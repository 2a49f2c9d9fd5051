"""The long table of Parquet and CSV: one row a joint, the same columns in both.

``video`` name, ``frame`` from 0, ``time_s`` seconds, ``person_id``, ``joint`` name, ``x y [z]``
pixels (millimetres in 3D; null where unknown), ``score`` in [0, 1], ``visible``, ``box_x1 box_y1
box_x2 box_y2`` pixels, ``box_score`` in [0, 1]. Written in order of frame, person and joint; read
in any order. A joint whose row is missing is unknown.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses
from chronopose.core.tracks import FramePoses, PersonTrack, VideoPoses, frames_to_table
from chronopose.errors import FormatError
from chronopose.io._facts import FileFacts, guess_facts

BOX = ("box_x1", "box_y1", "box_x2", "box_y2")


def table_schema(axes: str, *, names: pa.DataType | None = None) -> pa.Schema:
    """Columns of the table.

    Args:
        axes: ``"xy"`` or ``"xyz"``.
        names: Type of the text columns; dictionary-encoded text unless given.
    """
    text = names or pa.dictionary(pa.int32(), pa.string())
    columns = [
        ("video", text), ("frame", pa.int64()), ("time_s", pa.float64()),
        ("person_id", pa.int64()), ("joint", text),
        *((axis, pa.float32()) for axis in axes),
        ("score", pa.float32()), ("visible", pa.bool_()),
        *((name, pa.float32()) for name in (*BOX, "box_score")),
    ]  # fmt: skip
    return pa.schema(columns)


def frames_to_arrow(frames: Iterable[FramePoses], facts: FileFacts, schema: pa.Schema) -> pa.Table:
    """Rows of some frames, unknown coordinates as null."""
    columns = frames_to_table(frames, facts.skeleton)
    rows = len(columns["frame"])
    arrays = []
    for column in schema:
        if column.name == "video":
            array = pa.repeat(pa.scalar(facts.info.source, pa.string()), rows)
        else:
            array = pa.array(columns[column.name], from_pandas=True)
        if pa.types.is_dictionary(column.type):
            array = array.dictionary_encode()
        arrays.append(array.cast(column.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def arrow_to_poses(table: pa.Table, facts: FileFacts | None, path: str | Path) -> VideoPoses:
    """Inverse of :func:`frames_to_arrow`, for rows in any order.

    Args:
        table: At least the columns of :func:`table_schema`; others are ignored.
        facts: What the file says about itself; None to go by the joint names.
        path: The file, for messages.

    Raises:
        FormatError: a column is missing or of another kind, a joint is unknown or given twice, or a
            box is not finite.
    """
    axes = facts.axes if facts else ("xyz" if "z" in table.column_names else "xy")
    missing = [n for n in table_schema(axes).names if n not in table.column_names and n != "video"]
    if missing:
        raise FormatError(
            f"{path} has no column {', '.join(missing)}; a table of poses needs "
            f"{', '.join(table_schema(axes).names)}. Add the column, or write the file again."
        )
    names, codes = _names(table, path)
    if facts is None:
        facts = guess_facts(names, _video(table, path), path)
        if axes == "xyz":
            raise FormatError(
                f"{path} has a column z but does not say in which space its 3D joints are. Write "
                f"it again with chronopose, or drop z to read x and y as pixels."
            )
    strange = [n for n in names if n not in facts.skeleton]
    if strange:
        raise FormatError(
            f"{path} has joint {strange[0]!r}, which its skeleton {facts.skeleton.name!r} does not "
            f"have. Its joints are: {', '.join(facts.skeleton.joints)}."
        )
    order = np.array([facts.skeleton.index(n) for n in names], np.int64)
    joint = order[codes] if len(codes) else codes
    return _collect(_columns(table, axes, path), joint, facts, axes, path)


def _video(table: pa.Table, path: str | Path) -> str:
    if "video" not in table.column_names or not len(table):
        return str(path)
    return str(table.column("video")[0])


def _names(table: pa.Table, path: str | Path) -> tuple[list[str], NDArray[np.int64]]:
    """The joint names that occur and, for each row, which of them it is."""
    column = table.column("joint")
    if column.null_count:
        raise FormatError(f"{path}: column 'joint' is empty in {column.null_count} rows.")
    try:
        encoded = column.cast(pa.string()).combine_chunks().dictionary_encode()
    except pa.ArrowException as error:
        raise FormatError(f"{path}: column 'joint' must hold names, not {column.type}.") from error
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.unify_dictionaries().combine_chunks()
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy().astype(np.int64)


def _columns(table: pa.Table, axes: str, path: str | Path) -> dict[str, NDArray[Any]]:
    """All columns but the names, in our types; only the joints' own numbers may be empty."""
    found = {}
    for want in table_schema(axes):
        if want.name in ("video", "joint"):
            continue
        column = table.column(want.name)
        if column.null_count and want.name not in (*axes, "score", "visible"):
            raise FormatError(
                f"{path}: column {want.name!r} is empty in {column.null_count} rows. Fill them, or "
                f"remove the rows."
            )
        try:
            column = column.cast(want.type)
        except pa.ArrowException as error:
            raise FormatError(
                f"{path}: column {want.name!r} must be {want.type}, and its {column.type} values "
                f"cannot be converted ({error})."
            ) from error
        if column.null_count and want.name in ("score", "visible"):
            column = column.fill_null(False if want.name == "visible" else 0.0)
        found[want.name] = column.to_numpy()
    return found


def _collect(
    columns: dict[str, NDArray[Any]],
    joint: NDArray[np.int64],
    facts: FileFacts,
    axes: str,
    path: str | Path,
) -> VideoPoses:
    frame, person = columns["frame"], columns["person_id"]
    by_person = np.lexsort((joint, frame, person))
    frame, person, joint = frame[by_person], person[by_person], joint[by_person]
    new = np.ones(len(frame), bool)
    new[1:] = (np.diff(frame) != 0) | (np.diff(person) != 0)
    _refuse_twice(new, frame, person, joint, facts, path)
    pose = np.cumsum(new) - 1
    count, joints = int(new.sum()), len(facts.skeleton)
    xy = np.full((count, joints, len(axes)), np.nan, np.float32)
    for k, axis in enumerate(axes):
        xy[pose, joint, k] = columns[axis][by_person]
    score = np.zeros((count, joints), np.float32)
    score[pose, joint] = columns["score"][by_person]
    visible = np.zeros((count, joints), bool)
    visible[pose, joint] = columns["visible"][by_person]
    first = by_person[new]
    xyxy = np.stack([columns[name][first] for name in BOX], axis=-1)
    box_score, time_s = columns["box_score"][first], columns["time_s"][first]
    frame, person = frame[new], person[new]
    _refuse_bad(xyxy, time_s, frame, person, path)
    starts = np.flatnonzero(np.diff(person, prepend=person[:1] - 1))
    tracks = []
    for start, end in pairwise([*starts.tolist(), count]):
        at = slice(start, end)
        poses = Poses(xy[at], score[at], facts.skeleton, facts.space, visible[at])
        boxes = Boxes(xyxy[at], box_score[at])
        tracks.append(PersonTrack(int(person[start]), frame[at], time_s[at], boxes, poses))
    return with_frames(facts, tracks, frame, time_s)


def with_frames(
    facts: FileFacts,
    tracks: list[PersonTrack],
    frame: NDArray[np.int64],
    time_s: NDArray[np.float64],
) -> VideoPoses:
    """The tracks of a file with all frames looked at: those of the rows and the empty ones."""
    index, first = np.unique(np.r_[frame, facts.empty_index].astype(np.int64), return_index=True)
    times = np.r_[time_s, facts.empty_time_s].astype(np.float64)[first]
    return VideoPoses(
        facts.info, facts.skeleton, tuple(tracks), facts.history, index, times, facts.complete
    )


def _refuse_twice(
    new: NDArray[np.bool_],
    frame: NDArray[np.int64],
    person: NDArray[np.int64],
    joint: NDArray[np.int64],
    facts: FileFacts,
    path: str | Path,
) -> None:
    twice = np.flatnonzero(~new[1:] & (np.diff(joint) == 0))
    if len(twice):
        at = int(twice[0])
        raise FormatError(
            f"{path} gives joint {facts.skeleton.joints[joint[at]]!r} of person {person[at]} in "
            f"frame {frame[at]} twice. A file holds one video; remove the double rows."
        )


def _refuse_bad(
    xyxy: NDArray[np.float32],
    time_s: NDArray[np.float64],
    frame: NDArray[np.int64],
    person: NDArray[np.int64],
    path: str | Path,
) -> None:
    wrong = ~np.isfinite(xyxy).all(-1) | (xyxy[:, 2:] < xyxy[:, :2]).any(-1)
    for bad, name, values in (
        (wrong, "box (left, top, right, bottom)", xyxy),
        (~np.isfinite(time_s), "time_s", time_s),
    ):
        if bad.any():
            at = int(np.flatnonzero(bad)[0])
            raise FormatError(
                f"{path}: {name} of person {person[at]} in frame {frame[at]} is "
                f"{values[at].tolist()}. Correct it or remove the rows."
            )

"""Upper bodies in seven joints: BBC Pose, ChaLearn, Poses in the Wild, and Caffe label lines.

Joints are head, right wrist, left wrist, right elbow, left elbow, right shoulder, left shoulder
(``upper7``), person-centric. Neither this order, nor the layout of the sets' tables, nor the pixel
that they count from is confirmed by their own text, so a table says by its header what it holds, or
is taken as laid out here, and coordinates are taken as stored.

- **Tables** (``.txt``, ``.csv``): a line a frame, its number and x, y of the seven joints, split by
  commas or blanks. A header ``frame head_x head_y ...`` may give any order. NaN is absent.
- **.mat**: a struct (array) ``bbcpose`` with ``locs`` (2, 7, F), ``frame`` (F) and ``name``.
- **Caffe lines**: ``file x1,y1,... crop cluster``, where the crop is left, right, top, bottom and
  scale of the picture in its original, and the cluster a number to sample by.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chronopose.core.labels import LabelledFrame, LabelledSequence
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import UPPER7, joint_name
from chronopose.errors import FormatError
from chronopose.io._fields import reading
from chronopose.io._labelled import (
    ABSENT,
    LARGEST_PX,
    VISIBLE,
    Person,
    arranged,
    frame_of,
    integer,
    once,
    only_person,
    single,
)
from chronopose.io._mat import has, load_mat, mat_array, mat_text, member, struct_list
from chronopose.io.atomic import write_text


def read_upper_body(path: str | Path) -> list[LabelledSequence]:
    """Read a table of seven joints, or ``bbcpose.mat``.

    Returns:
        A video for each table, named by the file, or for each struct, named by its ``name``.

    Raises:
        FormatError: the file is missing, damaged or something else; the message names the line.
    """
    if Path(path).suffix.lower() == ".mat":
        return _read_mat(path)
    lines = _lines(path)
    columns = _header(lines[0][1].lower(), f"{path}: line {lines[0][0]}")
    if columns is not None:
        lines = lines[1:]
    order = columns or ["frame", *(f"{j}_{c}" for j in UPPER7.joints for c in "xy")]
    frames = []
    for at, line in lines:
        where = f"{path}: line {at}"
        values = [_number(v, where) for v in re.split(r"[,\s]+", line.strip())]
        if len(values) != len(order):
            raise FormatError(
                f"{where} has {len(values)} numbers; a frame's number and seven joints are "
                f"{len(order)}."
            )
        row = dict(zip(order, values, strict=True))
        xy = np.array([[row[f"{j}_x"], row[f"{j}_y"]] for j in UPPER7.joints])
        index = integer(row["frame"], f"{where}, frame")
        frames.append(_frame(xy, str(index), index, where, UPPER7))
    if not frames:
        raise FormatError(f"{path} has a header and no frame.")
    once(frames, str(path))
    return [LabelledSequence(Path(path).stem, UPPER7, tuple(frames))]


def _lines(path: str | Path) -> list[tuple[int, str]]:
    with reading(path, "a text file"):
        content = Path(path).read_text(encoding="utf-8-sig").splitlines()
    lines = [(at, line) for at, line in enumerate(content, 1) if line.strip()]
    if not lines:
        raise FormatError(f"{path} is empty: there is no frame in it.")
    return lines


def _header(line: str, where: str) -> list[str] | None:
    words = re.split(r"[,\s]+", line.strip())
    if not re.match(r"[a-z]", words[0]) or words[0] == "nan":
        return None
    names = ["frame" if w == "frame" else f"{joint_name(w[:-2])}_{w[-1]}" for w in words]
    wanted = {"frame", *(f"{j}_{c}" for j in UPPER7.joints for c in "xy")}
    if set(names) != wanted or len(names) != len(wanted):
        odd = sorted(set(names) ^ wanted) or ["a column twice"]
        raise FormatError(f"{where}: the header must name frame and x, y of seven joints; {odd}.")
    return names


def _number(value: str, where: str) -> float:
    try:
        found = float(value)
    except ValueError as error:
        raise FormatError(f"{where} must hold numbers; got {value[:40]!r}.") from error
    if not (np.isnan(found) or abs(found) <= LARGEST_PX):
        raise FormatError(f"{where} holds {found:g}, which is no place in a picture.")
    return found


def _frame(
    xy: NDArray[np.float64], name: str, index: int, where: str, skeleton: Skeleton, **extra: object
) -> LabelledFrame:
    missing = np.isnan(xy)
    if (missing[:, 0] != missing[:, 1]).any():
        raise FormatError(f"{where} has a joint with only one of its two coordinates.")
    visibility = np.where(missing[:, 0], ABSENT, VISIBLE).astype(np.int8)
    return frame_of(where, name, index, skeleton, [Person(xy, visibility)], extra)


def _read_mat(path: str | Path) -> list[LabelledSequence]:
    found = []
    for at, video in enumerate(struct_list(load_mat(path, ["bbcpose"])["bbcpose"])):
        where = f"{path}: bbcpose({at + 1})"
        locs = mat_array(member(video, "locs", where), (2, 7, None), f"{where}.locs", nan=True)
        count = locs.shape[2]
        numbers = mat_array(
            np.asarray(member(video, "frame", where)).reshape(-1), (count,), f"{where}.frame"
        )
        frames: list[LabelledFrame] = []
        for row, xy in enumerate(locs.transpose(2, 1, 0)):
            index = integer(float(numbers[row]), f"{where}.frame({row + 1})")
            frames.append(_frame(xy, str(index), index, f"{where}: frame {index}", UPPER7))
        once(frames, where)
        named = has(video, "name")
        name = mat_text(member(video, "name", where), f"{where}.name") if named else str(at + 1)
        found.append(LabelledSequence(name, UPPER7, tuple(frames)))
    return found


def write_upper_body(sequences: Sequence[LabelledSequence], path: str | Path) -> None:
    """Write a table with a header, comma-separated; absent joints are nan.

    Raises:
        FormatError: several sequences, a frame without exactly one person, or the system refused
            to write.
        SkeletonMismatch: other joints.
    """
    sequence = arranged(single(sequences, path), UPPER7, path)
    names = [f"{j}_{c}" for j in UPPER7.joints for c in "xy"]
    lines = [",".join(["frame", *names])]
    for frame in sequence:
        only_person(frame, path)
        lines.append(",".join([str(frame.frame_index), *map(repr, frame.xy[0].ravel().tolist())]))
    write_text(path, "\n".join(lines) + "\n")


def read_caffe_lines(path: str | Path, skeleton: Skeleton = UPPER7) -> list[LabelledSequence]:
    """Read label lines ``file x1,y1,... crop cluster`` of the Caffe heatmap networks.

    Args:
        path: The text file.
        skeleton: Joints in the order of the lines, which do not name them.

    Returns:
        One set of stills; ``frame_index`` is the place of the line, from 0. ``frame.extra`` holds
        ``crop`` (five numbers, or fewer as stored) and ``cluster``.

    Raises:
        FormatError: the file is missing, or a line is something else; the message names it.
    """
    frames: list[LabelledFrame] = []
    for at, line in _lines(path):
        where = f"{path}: line {at}"
        parts = line.split()
        if len(parts) != 4:
            raise FormatError(
                f"{where} has {len(parts)} parts; it must be 'file x1,y1,... crop cluster'."
            )
        values = [_number(v, where) for v in parts[1].split(",")]
        if len(values) != 2 * len(skeleton):
            raise FormatError(
                f"{where} has {len(values)} coordinates; {len(skeleton)} joints of "
                f"{skeleton.name} have {2 * len(skeleton)}. Give other joints with skeleton=."
            )
        crop = [_number(v, where) for v in parts[2].split(",")]
        cluster = integer(_number(parts[3], where), f"{where}, cluster", least=None)
        xy = np.array(values).reshape(-1, 2)
        place = len(frames)
        frames.append(_frame(xy, parts[0], place, where, skeleton, crop=crop, cluster=cluster))
    return [LabelledSequence(Path(path).stem, skeleton, tuple(frames), is_video=False)]


def write_caffe_lines(sequences: Sequence[LabelledSequence], path: str | Path) -> None:
    """Write Caffe label lines; a picture without a crop gets 0, without a cluster 0.

    Raises:
        FormatError: several sequences, a frame without exactly one person, a name with blanks, or
            the system refused to write.
    """
    lines = []
    for frame in single(sequences, path):
        only_person(frame, path)
        if len(frame.name.split()) != 1:
            raise FormatError(f"Cannot write {path}: the name {frame.name!r} has a blank in it.")
        places = ",".join(map(repr, frame.xy[0].ravel().tolist()))
        crop = ",".join(map(repr, frame.extra.get("crop", [0])))
        lines.append(f"{frame.name} {places} {crop} {int(frame.extra.get('cluster', 0))}")
    write_text(path, "\n".join(lines) + "\n")

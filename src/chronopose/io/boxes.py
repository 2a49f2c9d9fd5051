"""Person boxes that somebody else found: COCO detections, MOT text, and our own files.

Frames are numbered from 0 in the result. MOT counts from 1 and is shifted, and so are the pictures
of a COCO dict whose smallest number is 1, as most tools that cut videos into pictures count;
everything else is taken as counting from 0. Coordinates are taken as they are, in pixels.

- ``.json``, a list: COCO detections ``{"image_id": FRAME, "bbox": [l, t, w, h], "score": s}``. The
  frame is ``frame_index``, ``frame``, ``frame_id`` or ``image_id``, whichever comes first in this
  order; an ``image_id``, ``image_name`` or ``file_name`` that is a picture's name counts by its
  last digits. ``track_id`` is used if it is there; records of a category other than 1 are passed
  over.
- ``.json``, a dict: COCO annotations. The frame is ``frame_index``, ``frame`` or ``frame_id`` of
  the image (not a ``frame_id`` that only repeats the image's id), else the last digits of its
  picture name.
  Only the category named person counts, if there is one.
- ``.txt``: MOT lines ``frame,id,left,top,width,height[,confidence,...]``. The id -1 and the
  confidence -1 mean that there is none (1 is used for the latter). Lines of confidence 0 are to be
  ignored in MOT's own files and are passed over.
- ``.parquet``, ``.csv``: our pose files; the boxes and ids of the people.

Boxes of many pictures or videos at once, as the ``val_boxes.json`` of the PoseTrack papers, go by
the picture's name instead: :mod:`chronopose.io.detections`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chronopose.core.boxes import Boxes
from chronopose.core.video import VideoInfo
from chronopose.errors import FormatError
from chronopose.io._fields import (
    field,
    load_json,
    reading,
    records,
    score,
    whole,
    xywh_to_xyxy,
)
from chronopose.io.poses import read_poses

BoxTable = dict[int, tuple[Boxes, NDArray[np.int64] | None]]
"""Frame number -> its boxes and, where every box of the frame has one, their ids."""

PICTURES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}
MOT_FIELDS = ("frame", "id", "left", "top", "width", "height", "confidence")

_Found = tuple[list[float], float, int | None]
_Rows = dict[int, list[_Found]]


def read_boxes(path: str | Path, info: VideoInfo | None = None) -> BoxTable:
    """Read a file of person boxes.

    Args:
        path: The file; its suffix picks the format, see the head of this module.
        info: The video that the boxes belong to; files that clearly belong to another one are
            refused.

    Returns:
        Frames in rising order. A frame that the file lists without people has no boxes; one that
        it does not mention is not in the table.

    Raises:
        FormatError: the file is missing, damaged, of an unknown kind, or holds no box at all; a
            box is not finite or has a negative size; a score is not in [0, 1]; an id occurs twice
            in a frame; the boxes do not fit the video. The message names the record and the field.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".json":
        content = load_json(path)
        if isinstance(content, list):
            rows = _coco_list(content, path)
        else:
            rows = _coco_dict(content, path, info)
        table = _table(rows, path)
    elif suffix == ".txt":
        table = _table(_mot(path), path)
    elif suffix in (".parquet", ".csv"):
        table = {f.frame_index: (f.boxes, f.ids) for f in read_poses(path).frames()}
    else:
        raise FormatError(
            f"The suffix {suffix!r} of {path} stands for no format of boxes. Use .json (COCO), "
            f".txt (MOT), or .parquet or .csv (poses written by chronopose)."
        )
    _refuse_misfits(table, path, info)
    return table


def _table(rows: _Rows, path: str | Path) -> BoxTable:
    table: BoxTable = {}
    for frame in sorted(rows):
        xyxy = np.array([box for box, _, _ in rows[frame]], np.float32)
        scores = np.array([s for _, s, _ in rows[frame]], np.float32)
        given = [i for _, _, i in rows[frame] if i is not None]
        if len(set(given)) != len(given):
            twice = next(i for i in given if given.count(i) > 1)
            raise FormatError(
                f"{path}: id {twice} occurs twice in frame {frame}. Ids must be unique in a frame; "
                f"leave them out if they are no tracks."
            )
        ids = np.array(given, np.int64) if given and len(given) == len(xyxy) else None
        table[frame] = (Boxes(xyxy, scores), ids)
    return table


def _frame_by_name(name: object, where: str) -> int:
    text = PurePosixPath(str(name).replace("\\", "/"))
    digits = re.findall(r"[0-9]+", text.stem)
    if text.suffix.lower() not in PICTURES or not digits or len(digits[-1]) > 18:
        raise FormatError(
            f"{where} does not say which frame it belongs to: {str(name)[:80]!r} is no picture "
            f"name with a number. Add a field frame_index, counted from 0."
        )
    return int(digits[-1])


def _coco_list(content: list[Any], path: str | Path) -> _Rows:
    rows: _Rows = {}
    for at, record in enumerate(content):
        where = f"{path}: record {at}"
        box = xywh_to_xyxy(field(record, "bbox", where), f"{where}, field 'bbox'")
        if record.get("category_id", 1) != 1:
            continue
        found = (box, _score(record, where), _track(record, where))
        rows.setdefault(_list_frame(record, where), []).append(found)
    return rows


def _list_frame(record: Mapping[str, Any], where: str) -> int:
    for name in ("frame_index", "frame", "frame_id", "image_id"):
        if name in record and not isinstance(record[name], str):
            return whole(record[name], f"{where}, field {name!r}")
    for name in ("image_id", "image_name", "file_name"):
        if name in record:
            return _frame_by_name(record[name], where)
    raise FormatError(
        f"{where} does not say which frame it belongs to. Give image_id or frame_index, from 0."
    )


def _coco_dict(content: object, path: str | Path, info: VideoInfo | None) -> _Rows:
    frame_of = _image_frames(content, path, info)
    rows: _Rows = {frame: [] for frame in frame_of.values()}
    people = _person_categories(content)
    listed = records(field(content, "annotations", str(path)), f"{path}: annotations")
    for at, record in enumerate(listed):
        where = f"{path}: annotations[{at}]"
        box = xywh_to_xyxy(field(record, "bbox", where), f"{where}, field 'bbox'")
        if people and record.get("category_id", 1) not in people:
            continue
        key = whole(field(record, "image_id", where), f"{where}, field 'image_id'", least=None)
        if key not in frame_of:
            raise FormatError(f"{where}, field 'image_id' is {key}, but no image has that id.")
        rows[frame_of[key]].append((box, _score(record, where), _track(record, where)))
    return rows


def _image_frames(content: object, path: str | Path, info: VideoInfo | None) -> dict[int, int]:
    """Image id -> frame number, from 0."""
    frame_of: dict[int, int] = {}
    taken: set[int] = set()
    named = True
    for at, image in enumerate(records(field(content, "images", str(path)), f"{path}: images")):
        where = f"{path}: images[{at}]"
        key = whole(field(image, "id", where), f"{where}, field 'id'", least=None)
        frame, by_name = _image_frame(image, where)
        if key in frame_of or frame in taken:
            raise FormatError(
                f"{where} is the second one with id {key} or frame {frame}. A file of boxes "
                f"belongs to one video; split it."
            )
        _refuse_size(image, where, info)
        frame_of[key] = frame
        taken.add(frame)
        named = named and by_name
    shift = 1 if named and min(taken, default=0) == 1 else 0
    return {key: frame - shift for key, frame in frame_of.items()}


def _image_frame(image: Mapping[str, Any], where: str) -> tuple[int, bool]:
    for name in ("frame_index", "frame", "frame_id"):
        if name in image and not (name == "frame_id" and image[name] == image["id"]):
            return whole(image[name], f"{where}, field {name!r}"), False
    return _frame_by_name(image.get("file_name", ""), where), True


def _person_categories(content: Any) -> set[int]:
    listed = content.get("categories")
    if not isinstance(listed, list):
        return set()
    return {
        c["id"]
        for c in listed
        if isinstance(c, dict) and c.get("name") == "person" and isinstance(c.get("id"), int)
    }


def _score(record: Mapping[str, Any], where: str) -> float:
    name = "box_score" if "box_score" in record else "score"
    return score(record.get(name, 1.0), f"{where}, field {name!r}")


def _track(record: Mapping[str, Any], where: str) -> int | None:
    if record.get("track_id") is None:
        return None
    found = whole(record["track_id"], f"{where}, field 'track_id'", least=None)
    return found if found >= 0 else None


def _mot(path: str | Path) -> _Rows:
    with reading(path, "a text file of MOT boxes"):
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    rows: _Rows = {}
    for at, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{path}: line {at}"
        texts = line.split(",")
        if len(texts) < 6:
            raise FormatError(
                f"{where} has {len(texts)} fields, and MOT needs "
                f"frame,id,left,top,width,height[,confidence]: {line.strip()[:80]!r}."
            )
        frame, person, *box, confidence = _mot_numbers(texts, where)
        if confidence == 0:
            continue
        found = xywh_to_xyxy(box, f"{where}, fields 'left' to 'height'")
        sure = 1.0 if confidence == -1 else score(confidence, f"{where}, field 'confidence'")
        first = whole(_integral(frame), f"{where}, field 'frame' (MOT counts from 1)", least=1)
        name = whole(_integral(person), f"{where}, field 'id'", least=None)
        rows.setdefault(first - 1, []).append((found, sure, name if name >= 0 else None))
    return rows


def _mot_numbers(texts: list[str], where: str) -> list[float]:
    values = []
    for name, text in zip(MOT_FIELDS, [*texts[:7], "1"], strict=False):
        try:
            values.append(float(text))
        except ValueError as error:
            raise FormatError(
                f"{where}, field {name!r} must be a number; got {text.strip()[:40]!r}."
            ) from error
        if not np.isfinite(values[-1]):
            raise FormatError(f"{where}, field {name!r} must be a finite number; got {text}.")
    return values


def _integral(value: float) -> float | int:
    return int(value) if value.is_integer() else value


def _refuse_size(image: Mapping[str, Any], where: str, info: VideoInfo | None) -> None:
    size = (image.get("width"), image.get("height"))
    if info is None or 0 in info.size or None in size or 0 in size or size == info.size:
        return
    raise FormatError(
        f"{where} is {size[0]}x{size[1]} pixels, but {info.source} is "
        f"{info.size[0]}x{info.size[1]}. Scale the boxes to the video, or give the file of this "
        f"video."
    )


def _all_edges(table: BoxTable) -> NDArray[np.float32]:
    parts: Iterable[NDArray[np.float32]] = [boxes.xyxy for boxes, _ in table.values()]
    return np.concatenate([np.zeros((0, 4), np.float32), *parts])


def _refuse_misfits(table: BoxTable, path: str | Path, info: VideoInfo | None) -> None:
    edges = _all_edges(table)
    if not len(edges):
        raise FormatError(
            f"{path} holds no box at all, so nobody could be found in any frame. Check how it was "
            f"made, or use another --detector."
        )
    if edges[:, 2:].max() <= 2:
        raise FormatError(
            f"{path}: no box reaches beyond pixel 2, so they seem to be fractions of the frame. "
            f"Multiply them by its width and height."
        )
    if info is None:
        return
    width, height = info.size
    outside = (edges[:, 2:] < 0).any(-1) | (edges[:, 0] > width) | (edges[:, 1] > height)
    if 0 not in info.size and outside.all():
        raise FormatError(
            f"{path}: all {len(edges)} boxes lie outside the {width}x{height} pixels of "
            f"{info.source}. Give the boxes of this video."
        )
    first = min(frame for frame, (boxes, _) in table.items() if len(boxes))
    if 0 < info.num_frames <= first:
        raise FormatError(
            f"{path}: the first box is in frame {first}, but {info.source} has "
            f"{info.num_frames} frames. Number the frames from 0 (MOT: from 1)."
        )

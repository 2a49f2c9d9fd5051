"""Person boxes that a detector found in the pictures of a data set, one JSON list for all of them.

Records are ``{image_name | file_name | image_id, bbox: [left, top, width, height], score}``;
``category_id`` other than 1 is passed over, ``nframes`` and ``frame_id`` are not looked at. This is
how the boxes of PoseTrack (``val_boxes.json``) and COCO go round. Nothing is suppressed: boxes that
overlap all stay, as in the published evaluations. Boxes of a single video are
:mod:`chronopose.io.boxes`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chronopose.errors import FormatError
from chronopose.io._fields import field, load_json, records, score
from chronopose.io._labelled import box_xywh, integer, text
from chronopose.io.atomic import write_json


@dataclass(frozen=True)
class Detection:
    """One box.

    Args:
        image: The picture's name, or its id.
        box: Left, top, right, bottom, image pixels.
        score: The detector's confidence, in [0, 1].
    """

    image: str | int
    box: tuple[float, float, float, float]
    score: float


def read_detections(path: str | Path) -> list[Detection]:
    """Read a list of person boxes, in the order of the file.

    Raises:
        FormatError: the file is missing, damaged or something else; the message names the record
            and the field.
    """
    found = []
    for at, record in enumerate(records(load_json(path), f"{path}: the content")):
        where = f"{path}: record {at}"
        edges = box_xywh(field(record, "bbox", where), f"{where}.bbox")
        if record.get("category_id", 1) != 1:
            continue
        left, top, right, bottom = edges
        sure = score(field(record, "score", where), f"{where}.score")
        found.append(Detection(_image(record, where), (left, top, right, bottom), sure))
    if not found:
        raise FormatError(f"{path} holds no box of a person.")
    return found


def write_detections(path: str | Path, detections: Sequence[Detection]) -> None:
    """Write a list of person boxes as :func:`read_detections` reads it.

    Args:
        path: The file to be.
        detections: In the order in which they shall stand.

    Raises:
        FormatError: the disk refused.
    """
    rows = []
    for found in detections:
        left, top, right, bottom = found.box
        key = "image_name" if isinstance(found.image, str) else "image_id"
        rows.append(
            {key: found.image, "category_id": 1, "score": found.score,
             "bbox": [left, top, right - left, bottom - top]}
        )  # fmt: skip
    write_json(path, rows, indent=None)


def _image(record: Mapping[str, Any], where: str) -> str | int:
    """Name or number of the picture."""
    for name in ("image_name", "file_name"):
        if record.get(name):
            return text(record[name], f"{where}.{name}")
    if "image_id" not in record:
        raise FormatError(f"{where} does not name its picture: give it an image_name or image_id.")
    image = record["image_id"]
    return image if isinstance(image, str) and image else integer(image, f"{where}.image_id")

"""Person boxes that a detector found in the pictures of a data set, one JSON list for all of them.

Records are ``{image_name | image_id, bbox: [left, top, width, height], score}``; ``category_id``
other than 1 is passed over. This is how the boxes of PoseTrack (``val_boxes.json``) and COCO go
round. Boxes of a single video are :mod:`chronopose.io.boxes`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from chronopose.errors import FormatError
from chronopose.io._fields import field, load_json, number, records
from chronopose.io._labelled import box_xywh, integer


@dataclass(frozen=True)
class Detection:
    """One box.

    Args:
        image: The picture's name, or its id.
        box: Left, top, right, bottom, image pixels.
        score: The detector's confidence, any range.
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
        image: object = record.get("image_name")
        if not isinstance(image, str) or not image:
            image = field(record, "image_id", where)
        if not isinstance(image, str) or not image:
            image = integer(image, f"{where}.image_id")
        left, top, right, bottom = edges
        score = number(field(record, "score", where), f"{where}.score")
        found.append(Detection(image, (left, top, right, bottom), score))
    if not found:
        raise FormatError(f"{path} holds no box of a person.")
    return found

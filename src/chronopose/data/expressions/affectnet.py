"""AffectNet: faces from the web, seven or eight expressions.

Layout    New release: ``train_set`` and ``val_set``, in each ``images/17.jpg`` and
          ``annotations/17_exp.npy``. A csv in circulation beside them, ``affectnet.csv`` of
          ``phase, img_path, label``, is used where it lies: it saves opening every annotation.
          Old release: ``training.csv`` and ``validation.csv`` with the face's box (unverified);
          pictures below the root or ``Manually_Annotated_Images``; faces are cut with a margin.
Protocol  Accuracy of the 500 validation pictures of each class, of 8 classes or of 7 without
          contempt (unverified). Pictures of the numbers 8 to 10 (none, uncertain, no face) are
          left out. Persons are unknown.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from chronopose.data.expressions._base import (
    ExpressionSet,
    Face,
    below,
    classes_but,
    first_of,
    pictures_in,
)
from chronopose.errors import FormatError
from chronopose.io.expressions import (
    AFFECTNET,
    AFFECTNET_NONE,
    Row,
    numbered_expression,
    read_rows,
)

_NEW = {"train": "train_set", "val": "val_set"}
_OLD = {"train": "training.csv", "val": "validation.csv"}
_PHASES = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val"}
_BOX = ("face_x", "face_y", "face_width", "face_height")
_OLD_HOMES = ("Manually_Annotated_Images", "Manually_Annotated/Manually_Annotated_Images")


class AffectNet(ExpressionSet):
    """All eight expressions."""

    NAME = "affectnet"
    TITLE = "AffectNet (8 classes)"
    CLASSES = classes_but()
    PARTS = ("train", "val")
    REPORTED = "val"
    PROTOCOL = "train on train, accuracy of val"
    LAYOUT = "train_set and val_set (images, annotations), or training.csv and validation.csv"
    OWNER = (
        "It is given out by Mohammad Mahoor of the University of Denver to research groups that "
        "sign its agreement."
    )

    def find(self, part: str) -> Iterator[Face]:
        """Pictures of a part whose number is an expression."""
        table = first_of(self.root, "affectnet.csv")
        for half in self.PARTS if part == "all" else (part,):
            old = first_of(self.root, _OLD[half], f"Manually_Annotated_file_lists/{_OLD[half]}")
            new = below(self.root, _NEW[half])
            if table is not None:
                yield from self._circulating(table, half)
            elif new.is_dir():
                yield from _new(new)
            elif old is not None:
                yield from self._old(old)
            else:
                raise self.nothing(f"neither {_NEW[half]} nor {_OLD[half]}")

    def _circulating(self, table: Path, half: str) -> Iterator[Face]:
        for row in read_rows(table, ("phase", "img_path", "label")):
            phase = _PHASES.get(row["phase"].lower())
            if phase is None:
                raise FormatError(f"{row.where}: phase is {row['phase']!r}, not train or val.")
            expression = _expression(row["label"], row.where)
            if phase == half and expression is not None:
                named = below(self.root, row["img_path"])
                inside = below(self.root, f"{_NEW[half]}/images/{row['img_path']}")
                yield Face(inside if inside.is_file() else named, expression)

    def _old(self, table: Path) -> Iterator[Face]:
        home = first_of(self.root, *_OLD_HOMES) or self.root
        for row in read_rows(table, ("subdirectory_filepath", *_BOX, "expression")):
            expression = _expression(row["expression"], row.where)
            if expression is not None:
                yield Face(below(home, row["subdirectory_filepath"]), expression, box=_box(row))


class AffectNet7(AffectNet):
    """Without contempt."""

    NAME = "affectnet7"
    TITLE = "AffectNet (7 classes)"
    CLASSES = classes_but("contempt")


def _new(home: Path) -> Iterator[Face]:
    for file in pictures_in(below(home, "images")):
        label = below(home, f"annotations/{file.stem}_exp.npy")
        try:
            value = np.load(label, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise FormatError(
                f"Cannot read {label}, the expression of {file.name}: {error}. Unpack the "
                f"annotations anew, or remove the picture."
            ) from error
        if value.size != 1:
            raise FormatError(f"{label} holds {value.size} values and must hold one number.")
        expression = _expression(value.item(), str(label))
        if expression is not None:
            yield Face(file, expression)


def _expression(value: object, where: str) -> str | None:
    """The expression of a number; None for 8, 9 and 10."""
    found = numbered_expression(value, {**AFFECTNET, **AFFECTNET_NONE}, where)
    return None if found in AFFECTNET_NONE.values() else found


def _box(row: Row) -> tuple[float, float, float, float]:
    try:
        left, top, width, height = (float(row[c]) for c in _BOX)
    except ValueError as error:
        raise FormatError(f"{row.where}: the face's box is no four numbers ({error}).") from error
    return left, top, left + width, top + height

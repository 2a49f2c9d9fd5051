"""FER2013: 48x48 grey faces from the web, and FERPlus, its labels by ten people each.

Layout    FER2013: ``fer2013.csv`` of ``emotion, pixels, Usage``. Copies in folders of classes are
          read as ``folder:DIR``; a re-balanced one of 32,197 training pictures is unfit to compare.
          FERPlus: ``fer2013new.csv`` beside ``fer2013.csv``, row by row the same pictures; or the
          folders ``FER2013Train``, ``FER2013Valid``, ``FER2013Test`` of pictures and ``label.csv``.
Protocol  28,709 pictures to train (Training), 3,589 to choose (PublicTest), 3,589 to report
          (PrivateTest). FERPlus: the expression with the most votes; pictures where two have as
          many, or where "unknown" or "no face" have as many, are left out (our choice: numbers
          compare with papers only where they say the same). Persons are unknown.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from chronopose.data.expressions._base import (
    ExpressionSet,
    Face,
    below,
    classes_but,
    first_of,
)
from chronopose.errors import FormatError
from chronopose.io.expressions import read_fer2013, read_votes

_FOLDERS = {"train": "FER2013Train", "val": "FER2013Valid", "test": "FER2013Test"}


class FER2013(ExpressionSet):
    """The csv."""

    NAME = "fer2013"
    TITLE = "FER2013"
    CLASSES = classes_but("contempt")
    PARTS = ("train", "val", "test")
    REPORTED = "test"
    PROTOCOL = "train on train, choose on val (PublicTest), accuracy of test (PrivateTest)"
    LAYOUT = "fer2013.csv"
    OWNER = (
        "It was given out by Pierre-Luc Carrier, Aaron Courville and Ian Goodfellow with the "
        "Kaggle challenge in representation learning of 2013; the rights of its pictures are "
        "unclear."
    )

    def find(self, part: str) -> Iterator[Face]:
        """Rows of a part."""
        for row in read_fer2013(self._table()):
            if part in ("all", row.usage):
                yield Face(row, row.expression)

    def _table(self) -> Path:
        table = first_of(self.root, "fer2013.csv", "fer2013/fer2013.csv", "icml_face_data.csv")
        if table is None:
            raise self.nothing("no fer2013.csv")
        return table


class FERPlus(FER2013):
    """FER2013's pictures with the votes of ten people."""

    NAME = "ferplus"
    TITLE = "FERPlus"
    CLASSES = classes_but()
    LAYOUT = "fer2013new.csv and fer2013.csv, or FER2013Train, FER2013Valid and FER2013Test"
    OWNER = (
        "Its votes are given out by Microsoft under the MIT licence; the pictures are FER2013's."
    )

    def find(self, part: str) -> Iterator[Face]:
        """Pictures of a part on which most people agree."""
        votes = first_of(self.root, "fer2013new.csv", "ferplus/fer2013new.csv")
        folders = {half: below(self.root, name) for half, name in _FOLDERS.items()}
        if votes is not None and first_of(self.root, "fer2013.csv") is not None:
            return self._aligned(votes, part)
        if any(folder.is_dir() for folder in folders.values()):
            return self._folders(folders, part)
        raise self.nothing("neither fer2013new.csv with fer2013.csv nor FER2013Test")

    def _aligned(self, votes: Path, part: str) -> Iterator[Face]:
        rows = zip_longest(read_fer2013(self._table()), read_votes(votes))
        for number, (row, vote) in enumerate(rows, 2):
            if row is None or vote is None:
                raise FormatError(
                    f"{votes} and fer2013.csv must have as many rows, picture by picture; one ends "
                    f"before line {number}. Get both anew."
                )
            expression = vote.expression if vote.name else None
            if expression is not None and part in ("all", row.usage):
                yield Face(row, expression)

    def _folders(self, folders: dict[str, Path], part: str) -> Iterator[Face]:
        for half in self.PARTS if part == "all" else (part,):
            table = below(folders[half], "label.csv")
            if not table.is_file():
                raise self.nothing(f"no {folders[half].name}/label.csv")
            for vote in read_votes(table):
                if vote.expression is not None:
                    yield Face(below(folders[half], vote.name), vote.expression)

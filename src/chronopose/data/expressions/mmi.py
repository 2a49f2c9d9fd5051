"""MMI: sequences that go from neutral to an expression and back.

Layout    The release is videos with descriptions in XML, which nobody has documented for us; what
          is read is the form of CK+ into which people bring it: pictures in
          ``SUBJECT/SEQUENCE/img_001.png`` and a table, ``mmi.csv`` or the only csv of the folder,
          of ``expression_type;subject_number;sequence_number`` (or ``expression, subject,
          sequence``), and if known ``apex``, the position of the strongest frame from 0.
Protocol  205 to 208 frontal sequences of about 31 persons, 6 classes, 3 peak frames, 10 folds of
          persons (unverified). The expression ends at neutral again, so the peak is around the
          apex, or the middle of the sequence where none is given, not at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from chronopose.data.expressions._base import (
    ExpressionSet,
    Face,
    below,
    classes_but,
    first_of,
    listed,
    pictures_in,
)
from chronopose.errors import FormatError
from chronopose.io.expressions import Row, around, expression_of, read_rows

_LONG = ("expression_type", "subject_number", "sequence_number")
_SHORT = ("expression", "subject", "sequence")


class MMI(ExpressionSet):
    """Pictures of sequences and a table."""

    NAME = "mmi"
    TITLE = "MMI"
    CLASSES = classes_but("neutral", "contempt")
    FOLDS = 10
    PROTOCOL = "10 folds of persons, 3 frames around the peak, mean accuracy"
    LAYOUT = (
        "SUBJECT/SEQUENCE/*.png and mmi.csv with expression, subject, sequence and maybe apex "
        "(cut the pictures from its videos first)"
    )
    OWNER = (
        "It is given out by the iBUG group of Imperial College London (Maja Pantic) to those who "
        "sign its agreement, for research."
    )

    def find(self, part: str) -> Iterator[Face]:
        """Frames around the peak of the sequences of the table."""
        table = self._table()
        columns = _LONG if _is_long(table) else _SHORT
        for row in read_rows(table, columns):
            word, person, sequence = (row[c] for c in columns)
            expression = expression_of(word, row.where)
            frames = pictures_in(below(self.root, f"{person}/{sequence}"))
            if not frames:
                raise FormatError(
                    f"{row.where}: there is no picture in {self.root / person / sequence}. Cut "
                    f"them from the video, or remove the line."
                )
            for file in around(frames, _apex(row, len(frames))):
                yield Face(file, expression, person)

    def _table(self) -> Path:
        named = first_of(self.root, "mmi.csv", "labels.csv")
        found = [n for n in listed(self.root).values() if n.lower().endswith(".csv")]
        if named is None and len(found) != 1:
            raise self.nothing(f"{len(found)} tables and no mmi.csv")
        return named or self.root / found[0]


def _is_long(table: Path) -> bool:
    with open(table, encoding="utf-8-sig", errors="replace") as file:
        return _LONG[0] in file.readline().lower()


def _apex(row: Row, count: int) -> int:
    text = row.cells.get("apex", "")
    if not text:
        return (count - 1) // 2
    if not text.isdigit() or int(text) >= count:
        raise FormatError(
            f"{row.where}: apex is {text!r}, and the sequence has frames 0 to {count - 1}."
        )
    return int(text)

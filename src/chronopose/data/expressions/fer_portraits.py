"""Portraits in a table of image, expression and person; the form for pictures of one's own.

Layout    ``labels.csv`` with the columns ``image, expression`` and maybe ``person``; pictures in
          ``images`` or beside the table.
Protocol  5 folds of persons, where all persons are named.
"""

from __future__ import annotations

from collections.abc import Iterator

from chronopose.data.expressions._base import ExpressionSet, Face, below, first_of
from chronopose.data.faces import UNKNOWN
from chronopose.io.expressions import expression_of, read_rows


class FERPortraits(ExpressionSet):
    """A table and its pictures; the classes are those that occur."""

    NAME = "fer_portraits"
    TITLE = "a table of portraits"
    CLASSES = ()
    FOLDS = 5
    PROTOCOL = "5 folds of persons, mean accuracy and mean class accuracy"
    LAYOUT = "labels.csv (image, expression, person) and images"
    OWNER = "It is a form for pictures of your own."

    def find(self, part: str) -> Iterator[Face]:
        """Every line of the table."""
        table = first_of(self.root, "labels.csv")
        if table is None:
            raise self.nothing("no labels.csv")
        for row in read_rows(table, ("image", "expression")):
            file = below(self.root, f"images/{row['image']}")
            if not file.is_file():
                beside = below(self.root, row["image"])
                file = beside if beside.is_file() else file
            expression = expression_of(row["expression"], row.where)
            yield Face(file, expression, row.cells.get("person", UNKNOWN))

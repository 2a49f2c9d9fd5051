"""JAFFE: ten women, seven posed expressions, 213 grey pictures.

Layout    ``KA.AN1.39.tiff`` in one folder: subject, expression and its number, number of all
          (unverified).
Protocol  Leave one subject out: ten folds of one person, mean accuracy (unverified).
"""

from __future__ import annotations

from collections.abc import Iterator

from chronopose.data.expressions._base import (
    ExpressionSet,
    Face,
    classes_but,
    first_of,
    pictures_in,
)
from chronopose.errors import FormatError
from chronopose.io.expressions import JAFFE as CODES
from chronopose.io.expressions import read_jaffe_name


class JAFFE(ExpressionSet):
    """The folder of the release, or the one around it."""

    NAME = "jaffe"
    TITLE = "JAFFE"
    CLASSES = classes_but("contempt")
    FOLDS = "persons"
    PROTOCOL = "leave one subject out, mean accuracy"
    LAYOUT = "KA.AN1.39.tiff and so on, or a folder jaffe with them"
    OWNER = (
        "It is given out by Michael Lyons, Miyuki Kamachi and Jiro Gyoba for non-commercial "
        "research."
    )

    def find(self, part: str) -> Iterator[Face]:
        """All pictures, by name."""
        for file in pictures_in(first_of(self.root, "jaffe", "jaffedbase") or self.root):
            read = read_jaffe_name(file.name)
            if read is None:
                raise FormatError(
                    f"{file} is no name of JAFFE, such as KA.AN1.39.tiff; the expressions are "
                    f"{', '.join(f'{c} {e}' for c, e in CODES.items())}. Move it elsewhere."
                )
            yield Face(file, read[1], read[0])

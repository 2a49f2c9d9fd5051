"""Oulu-CASIA: 80 persons, six posed expressions, filmed in visible light under strong lamps.

Layout    ``OriginalImg`` or ``B_OriginalImg``, in it ``VL/Strong/P001/Anger/000.jpeg``
          (unverified). Infrared and weaker lamps are left out. The pictures are whole frames.
Protocol  480 sequences, the last 3 frames of each, 10 folds of persons (unverified).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from chronopose.data.expressions._base import (
    ExpressionSet,
    Face,
    below,
    class_folders,
    classes_but,
    folders_in,
    pictures_in,
)
from chronopose.errors import FormatError
from chronopose.io.expressions import peak


class OuluCASIA(ExpressionSet):
    """Visible light, strong illumination."""

    NAME = "oulu_casia"
    TITLE = "Oulu-CASIA (visible light, strong)"
    CLASSES = classes_but("neutral", "contempt")
    FOLDS = 10
    PROTOCOL = "10 folds of persons, the last 3 frames of a sequence, mean accuracy"
    LAYOUT = "OriginalImg/VL/Strong/P001/Anger/000.jpeg and so on"
    OWNER = (
        "It is given out by the Center for Machine Vision and Signal Analysis of the University of "
        "Oulu (Guoying Zhao) to those who sign its agreement, for research."
    )

    def find(self, part: str) -> Iterator[Face]:
        """Peak frames of every person and expression."""
        for person in folders_in(self._strong()):
            for expression, folder in class_folders(person):
                frames = pictures_in(folder)
                if not frames:
                    raise FormatError(f"{folder} holds no picture. Unpack the set anew.")
                for file in peak(frames):
                    yield Face(file, expression, person.name.upper())

    def _strong(self) -> Path:
        places = [self.root, *folders_in(self.root)]
        first = ("originalimg", "b_originalimg")
        places.sort(key=lambda p: p.name.lower() not in first)
        for place in places:
            for inside in ("VL/Strong", "Strong"):
                if (found := below(place, inside)).is_dir():
                    return found
        raise self.nothing("no VL/Strong")

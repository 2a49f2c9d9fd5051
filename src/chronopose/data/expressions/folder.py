"""A folder a class: the form in which most copies of expression sets go round.

Layout    ``happiness/*.png`` and so on, or the same in ``train``, ``test`` and maybe ``val``.
          Folders are words, in any letter case; numbers are refused, because sets count their
          classes in different orders.
Protocol  The part ``test`` where there is one, else all pictures. Persons are unknown.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from chronopose.data.expressions._base import (
    ALL,
    ExpressionSet,
    Face,
    class_folders,
    first_of,
    folders_in,
    pictures_in,
)
from chronopose.errors import FormatError


class FolderOfClasses(ExpressionSet):
    """Any pictures in folders of classes; the classes are those that occur."""

    NAME = "folder"
    TITLE = "a folder of classes"
    CLASSES = ()
    PARTS = ("train", "val", "test")
    PROTOCOL = "the set's own"
    LAYOUT = "a folder an expression (neutral, anger, happiness, ...), or train and test with them"
    OWNER = "It is a form for pictures of your own."

    def __init__(self, root: Path | str, split: str = "") -> None:
        parted = first_of(Path(root), "test") is not None
        super().__init__(root, split or ("test" if parted else ALL))

    def find(self, part: str) -> Iterator[Face]:
        """Pictures of a part."""
        halves = {half: first_of(self.root, half) for half in self.PARTS}
        homes = [h for name, h in halves.items() if h is not None and part in (ALL, name)]
        if part != ALL and not homes:
            raise self.nothing(f"no folder {part}")
        for home in homes or [self.root]:
            digits = [f.name for f in folders_in(home) if f.name.isdigit()]
            if digits:
                raise FormatError(
                    f"{home} has a folder {digits[0]!r}: sets count their classes in different "
                    f"orders. Open it under its name, e.g. rafdb:{self.root}, or rename the "
                    f"folders to the expressions."
                )
            for expression, folder in class_folders(home):
                for file in pictures_in(folder):
                    yield Face(file, expression)

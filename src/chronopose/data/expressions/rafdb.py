"""RAF-DB, basic: faces from the web, seven expressions.

Layout    Release: ``EmoLabel/list_patition_label.txt`` (spelled so) with ``train_00001.jpg 5``,
          pictures ``Image/aligned/train_00001_aligned.jpg``. Numbers 1 to 7.
          Copies in folders: ``train/0 ... 6``, whose numbers mean OTHER expressions than those of
          the list, or ``train/1 ... 7``, which are the list's. Which one it is shows in whether
          there is a folder 0 or a folder 7; where neither tells, the copy is refused.
Protocol  12,271 pictures to train, 3,068 to test; accuracy and mean class accuracy (unverified).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from chronopose.data.expressions._base import (
    ExpressionSet,
    Face,
    below,
    classes_but,
    first_of,
    folders_in,
    pictures_in,
)
from chronopose.errors import FormatError
from chronopose.io.expressions import RAFDB as NUMBERS
from chronopose.io.expressions import RAFDB_FOLDERS, numbered_expression, read_rafdb

_LISTS = ("list_patition_label.txt", "list_partition_label.txt")


class RAFDB(ExpressionSet):
    """The release with its list, or a copy in folders."""

    NAME = "rafdb"
    TITLE = "RAF-DB (basic)"
    CLASSES = classes_but("contempt")
    PARTS = ("train", "test")
    REPORTED = "test"
    PROTOCOL = "train on train, accuracy and mean class accuracy of test"
    LAYOUT = "EmoLabel/list_patition_label.txt and Image/aligned, or train/0 to 6 and test/0 to 6"
    OWNER = (
        "It is given out by Shan Li and Weihong Deng of the Beijing University of Posts and "
        "Telecommunications to researchers who ask from the address of their institution."
    )

    def find(self, part: str) -> Iterator[Face]:
        """Pictures of a part; nobody says who is on them."""
        places = [
            f"{home}{name}" for home in ("EmoLabel/", "basic/EmoLabel/", "") for name in _LISTS
        ]
        listing = first_of(self.root, *places)
        if listing is not None:
            return self._listed(listing, part)
        if first_of(self.root, *self.PARTS) is None:
            raise self.nothing("neither the list nor folders train and test")
        return self._copied(part)

    def _listed(self, listing: Path, part: str) -> Iterator[Face]:
        inside = first_of(self.root, "Image/aligned", "basic/Image/aligned", "aligned")
        pictures = inside or self.root / "Image" / "aligned"
        for name, expression in read_rafdb(listing):
            half = name.partition("_")[0].lower()
            if half not in self.PARTS:
                raise FormatError(f"{listing}: {name} begins with neither train_ nor test_.")
            if part in ("all", half):
                path = PurePosixPath(name)
                yield Face(below(pictures, f"{path.stem}_aligned{path.suffix}"), expression)

    def _copied(self, part: str) -> Iterator[Face]:
        halves = {half: below(self.root, half) for half in self.PARTS}
        order = self._order([f.name for home in halves.values() for f in folders_in(home)])
        for half, home in halves.items():
            if part in ("all", half):
                for folder in folders_in(home):
                    expression = numbered_expression(folder.name, order, str(home))
                    for file in pictures_in(folder):
                        yield Face(file, expression)

    def _order(self, names: list[str]) -> Mapping[int, str]:
        zero, seven = "0" in names, "7" in names
        if zero == seven:
            raise FormatError(
                f"{self.root}: its folders are {', '.join(sorted(set(names))) or 'none'}, and the "
                f"copies of RAF-DB have either 0 to 6 or 1 to 7, which count the expressions in "
                f"other orders. Use the release with its list."
            )
        return RAFDB_FOLDERS if zero else NUMBERS

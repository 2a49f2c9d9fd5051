"""What the sets of facial expressions have in common.

A file of this folder says where a set's labels and pictures lie on the disks of those who have it,
and which pictures count. Here is the rest: parts and folds, what is missing and who gives it out,
and the :class:`~chronopose.data.faces.FaceSet` that networks are trained and judged on.
"""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from chronopose.data.faces import UNKNOWN, person_folds, read_face, without
from chronopose.data.pictures import SUFFIXES
from chronopose.errors import FormatError, UsageError
from chronopose.io.expressions import EXPRESSIONS, GreyRow, expression_of
from chronopose.io.sources import natural_key

MARGIN = 0.2
"""Share of a face's box that is kept around it on each side, where a set has boxes."""
ALL = "all"


@dataclass(frozen=True)
class Face:
    """One labelled picture.

    Args:
        source: File, or a row of grey values.
        expression: One of :data:`~chronopose.io.expressions.EXPRESSIONS`.
        person: Who it is; ``""`` where that is not known.
        box: ``(left, top, right, bottom)`` of the face, pixels; None: the whole picture.
    """

    source: Path | GreyRow
    expression: str
    person: str = UNKNOWN
    box: tuple[float, float, float, float] | None = None


class ExpressionSet(ABC):
    """A set of facial expressions in a folder of the user's: a ``FaceSet``.

    Args:
        root: Its folder.
        split: A part of ``PARTS``; for a set without parts ``all``, ``train:3`` or ``test:3``,
            the third fold; empty for what papers report, or all pictures where that is folds.

    Raises:
        UsageError: there is no such part or fold.
        FormatError: the folder, labels or pictures are missing or damaged, or nothing is in them.

    Attributes:
        classes: Names of the expressions, in the order of
            :data:`~chronopose.io.expressions.EXPRESSIONS`.
        labels: ``(N,)`` class numbers from 0.
        persons: ``(N,)`` who it is; ``""`` where that is not known.
    """

    NAME: ClassVar[str]
    """As typed on the command line."""
    TITLE: ClassVar[str]
    """Its full name; what to search for."""
    CLASSES: ClassVar[tuple[str, ...]]
    """Its expressions; empty: those that occur in any of its parts."""
    PARTS: ClassVar[tuple[str, ...]] = ()
    """Its own parts; none: folds of persons are made."""
    REPORTED: ClassVar[str] = ALL
    """The part that papers report."""
    FOLDS: ClassVar[int | Literal["persons"]] = 0
    """How many folds of persons; ``persons``: one person each."""
    PROTOCOL: ClassVar[str]
    """What papers report, in words."""
    LAYOUT: ClassVar[str]
    """What must be in the folder, in words."""
    OWNER: ClassVar[str]
    """Who gives it out, and on which terms."""

    def __init__(self, root: Path | str, split: str = "") -> None:
        self.root = Path(root)
        self.part, self.fold = self._parse(split or self.REPORTED)
        if not self.root.is_dir():
            raise FormatError(
                f"There is no folder {self.root} with {self.TITLE}. {self.where_to_get_it()}"
            )
        named = self.CLASSES or {f.expression for f in self.find(ALL)}
        self.classes = tuple(e for e in EXPRESSIONS if e in named)
        found = [f for f in self.find(self.part) if f.expression in self.classes]
        if not found:
            raise self.nothing(f"no picture of {self.part}")
        self._refuse_missing(found)
        self._faces = found if self.fold is None else [found[i] for i in self._rows(found)]
        numbers = {name: n for n, name in enumerate(self.classes)}
        self.labels: NDArray[np.int64] = np.array([numbers[f.expression] for f in self._faces])
        self.persons: NDArray[np.str_] = np.array([f.person for f in self._faces], np.str_)

    @abstractmethod
    def find(self, part: str) -> Iterable[Face]:
        """Labelled pictures of a part, in a fixed order.

        Raises:
            FormatError: labels are missing or damaged.
        """

    @property
    def name(self) -> str:
        """Set and split, e.g. ``ckplus test:3``."""
        return f"{self.NAME} {self.split}"

    @property
    def split(self) -> str:
        """As given, or the one that papers report."""
        return self.part if self.fold is None else f"{self.fold[0]}:{self.fold[1]}"

    def __len__(self) -> int:
        return len(self._faces)

    def picture(self, index: int) -> NDArray[np.uint8]:
        """``(h, w, 3)`` uint8 RGB; cut to the face with a margin where the set has boxes."""
        face = self._faces[index]
        if isinstance(face.source, GreyRow):
            return np.repeat(face.source.picture()[..., None], 3, -1)
        pixels = read_face(face.source)
        return pixels if face.box is None else cut_face(pixels, face.box, str(face.source))

    def label(self, index: int) -> int:
        """Class number of a picture."""
        return int(self.labels[index])

    def face(self, index: int) -> Face:
        """Where a picture comes from, and what is said of it."""
        return self._faces[index]

    def fingerprint(self) -> str:
        """Digest of the pictures' names and sizes, labels, persons and boxes."""
        digest = hashlib.sha256(repr((self.NAME, self.classes)).encode())
        for face in self._faces:
            source = face.source
            if isinstance(source, GreyRow):
                digest.update(source.pixels)
                told: tuple[object, ...] = ()
            else:
                told = (source.relative_to(self.root).as_posix(), source.stat().st_size)
            digest.update(repr((*told, face.expression, face.person, face.box)).encode())
        return digest.hexdigest()[:16]

    def folds(self) -> list[str]:
        """Names of the splits that papers average over; empty where there are no folds."""
        if not self.FOLDS:
            return []
        count = self._fold_count(self._faces if self.fold is None else list(self.find(self.part)))
        return [f"test:{n}" for n in range(1, count + 1)]

    @classmethod
    def where_to_get_it(cls) -> str:
        """Who gives it out and what the folder must hold, in words."""
        return f"{cls.OWNER} Its folder holds {cls.LAYOUT}."

    def nothing(self, what: str) -> FormatError:
        """The error that says what is missing and where it comes from."""
        return FormatError(f"{self.root} holds {what} of {self.TITLE}. {self.where_to_get_it()}")

    def _parse(self, split: str) -> tuple[str, tuple[str, int] | None]:
        part, colon, number = split.partition(":")
        if not colon and part in (*self.PARTS, ALL):
            return part, None
        if self.FOLDS and part in ("train", "test") and number.isdigit() and int(number) > 0:
            return ALL, (part, int(number))
        folds = " train:1, test:1 and so on" if self.FOLDS else ""
        known = ", ".join((*self.PARTS, ALL))
        near = get_close_matches(split, (*self.PARTS, ALL), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UsageError(f"{self.NAME} has no split {split!r}.{hint} It has: {known}{folds}.")

    def _fold_count(self, faces: list[Face]) -> int:
        people = {f.person for f in faces}
        return len(people) if self.FOLDS == "persons" else self.FOLDS

    def _rows(self, faces: list[Face]) -> list[int]:
        """Numbers of the pictures of the chosen fold."""
        assert self.fold is not None
        half, number = self.fold
        count = self._fold_count(faces)
        if number > count:
            raise UsageError(f"{self.NAME} has {count} folds here; there is no {half}:{number}.")
        persons = np.array([f.person for f in faces], np.str_)
        chosen = person_folds(persons, count)[number - 1]
        return (chosen if half == "test" else without(len(faces), chosen)).tolist()

    def _refuse_missing(self, faces: list[Face]) -> None:
        files = [f.source for f in faces if isinstance(f.source, Path)]
        there = {folder: set(listed(folder).values()) for folder in {f.parent for f in files}}
        lost = [f for f in files if f.name not in there[f.parent]]
        if lost:
            raise FormatError(
                f"{len(lost)} of {len(files)} labelled pictures of {self.TITLE} are missing, the "
                f"first is {lost[0]}. Unpack the pictures anew, or remove their labels."
            )


def cut_face(
    pixels: NDArray[np.uint8], box: tuple[float, float, float, float], where: str
) -> NDArray[np.uint8]:
    """The box of a face and :data:`MARGIN` around it, as far as the picture reaches.

    Args:
        pixels: ``(H, W, 3)``.
        box: Left, top, right, bottom, pixels.
        where: File, for the message.

    Raises:
        FormatError: the box has no area in the picture.
    """
    left, top, right, bottom = box
    dx, dy = MARGIN * (right - left), MARGIN * (bottom - top)
    height, width = pixels.shape[:2]
    x0, x1 = (int(np.clip(round(v), 0, width)) for v in (left - dx, right + dx))
    y0, y1 = (int(np.clip(round(v), 0, height)) for v in (top - dy, bottom + dy))
    if x1 <= x0 or y1 <= y0:
        raise FormatError(
            f"{where}: the face's box {tuple(round(v, 1) for v in box)} has no area in a picture "
            f"of {width}x{height} pixels. Correct its line."
        )
    return pixels[y0:y1, x0:x1]


@lru_cache(maxsize=4096)
def _entries(folder: Path, changed: int) -> dict[str, str]:
    return {name.lower(): name for name in sorted(os.listdir(folder))}


def listed(folder: Path) -> dict[str, str]:
    """Name in lower case -> name of everything in a folder; empty where there is no folder."""
    return _entries(folder, folder.stat().st_mtime_ns) if folder.is_dir() else {}


def below(root: Path, path: str) -> Path:
    """``root / path`` in the letter case that the disk has; as asked for where it is not there."""
    at = root
    for part in path.replace("\\", "/").split("/"):
        if part not in ("", "."):
            at = at / listed(at).get(part.lower(), part)
    return at


def first_of(root: Path, *paths: str) -> Path | None:
    """The first of some files or folders below ``root`` that is there."""
    return next((p for p in (below(root, path) for path in paths) if p.exists()), None)


def folders_in(folder: Path) -> list[Path]:
    """Folders of a folder in natural order of their names, hidden ones left out."""
    found = (folder / name for name in listed(folder).values() if name[0] not in "._")
    return sorted((p for p in found if p.is_dir()), key=_order)


def pictures_in(folder: Path) -> list[Path]:
    """Pictures of a folder in natural order of their names (9 before 10), hidden ones left out."""
    found = (
        folder / name
        for name in listed(folder).values()
        if name[0] not in "._" and Path(name).suffix.lower() in SUFFIXES
    )
    return sorted(found, key=_order)


def _order(path: Path) -> tuple[object, str]:
    return natural_key(path.name.lower()), path.name


def class_folders(folder: Path) -> Iterator[tuple[str, Path]]:
    """Expression and folder of every class.

    Raises:
        FormatError: a folder's name is no expression.
    """
    for found in folders_in(folder):
        yield expression_of(found.name, str(folder)), found


def classes_but(*names: str) -> tuple[str, ...]:
    """All expressions but some, in their order."""
    return tuple(e for e in EXPRESSIONS if e not in names)

"""FaceSet: pictures of faces with one expression each, and who is on them.

A reader of a data set gives a :class:`FaceSet`; everything else here takes one and gives one. Folds
are made of persons, never of pictures: whoever is on both sides of a split is recognised, not read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chronopose.errors import ShapeError, UsageError
from chronopose.io._fields import reading

UNKNOWN = ""
"""Name of a person whom nobody knows."""


@runtime_checkable
class FaceSet(Protocol):
    """Pictures of faces, each with one expression."""

    @property
    def name(self) -> str:
        """What messages and records call it."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the expressions, in the order of their numbers."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """``(N,)`` class numbers from 0."""

    @property
    def persons(self) -> NDArray[np.str_]:
        """``(N,)`` who is on each picture; ``""`` where that is not known."""

    def __len__(self) -> int:
        """Number of pictures."""

    def picture(self, index: int) -> NDArray[np.uint8]:
        """``(h, w, 3)`` uint8 RGB: one face, upright, with a little around it."""

    def label(self, index: int) -> int:
        """Class number of a picture."""

    def fingerprint(self) -> str:
        """Changes when pictures or labels do."""


class FacesInMemory:
    """A face set of arrays.

    Args:
        name: What messages call it.
        classes: Names of the expressions.
        pictures: ``(N, h, w, 3)`` uint8 RGB.
        labels: ``(N,)`` class numbers from 0.
        persons: ``(N,)`` names; None: nobody is known.

    Raises:
        ShapeError: shapes disagree, or a label is no class.
    """

    def __init__(
        self,
        name: str,
        classes: Sequence[str],
        pictures: NDArray[np.uint8],
        labels: NDArray[np.integer],
        persons: Sequence[str] | NDArray[np.str_] | None = None,
    ) -> None:
        count = len(pictures)
        who = np.asarray([UNKNOWN] * count if persons is None else persons, dtype=np.str_)
        numbers = np.asarray(labels, np.int64)
        if pictures.ndim != 4 or pictures.shape[-1] != 3 or pictures.dtype != np.uint8:
            raise ShapeError(
                f"{name}: pictures must be (N, h, w, 3) uint8; got {pictures.shape} "
                f"{pictures.dtype}."
            )
        if numbers.shape != (count,) or who.shape != (count,):
            raise ShapeError(
                f"{name}: {count} pictures need as many labels and persons; got {numbers.shape} "
                f"and {who.shape}."
            )
        if count and not 0 <= numbers.min() <= numbers.max() < len(classes):
            raise ShapeError(
                f"{name}: labels must be numbers of the {len(classes)} classes "
                f"{', '.join(classes)}; got {numbers.min()} to {numbers.max()}."
            )
        self.name, self.classes = name, tuple(classes)
        self.labels, self.persons, self.pictures = numbers, who, pictures

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of all pictures, pixels."""
        height, width = self.pictures.shape[1:3]
        return width, height

    def picture(self, index: int) -> NDArray[np.uint8]:
        """``(h, w, 3)`` uint8 RGB; a view of the array."""
        return self.pictures[index]

    def label(self, index: int) -> int:
        """Class number of a picture."""
        return int(self.labels[index])

    def fingerprint(self) -> str:
        """Digest of everything that is held."""
        return _digest(self.name, *self.classes, self.pictures, self.labels, *self.persons)


class FacesOf:
    """Some pictures of another set.

    Args:
        whole: The set.
        indices: ``(M,)`` numbers of its pictures; one may come twice.
        name: Instead of the set's own.
    """

    def __init__(self, whole: FaceSet, indices: NDArray[np.integer], name: str = "") -> None:
        self._whole, self._indices = whole, np.asarray(indices, np.int64)
        self.name, self.classes = name or whole.name, whole.classes
        self.labels = whole.labels[self._indices]
        self.persons = whole.persons[self._indices]

    def __len__(self) -> int:
        return len(self._indices)

    def picture(self, index: int) -> NDArray[np.uint8]:
        """As the whole set gives it."""
        return self._whole.picture(int(self._indices[index]))

    def label(self, index: int) -> int:
        """Class number of a picture."""
        return int(self.labels[index])

    def fingerprint(self) -> str:
        """Digest of the whole set's fingerprint and the choice."""
        return _digest(self._whole.fingerprint(), self._indices)


class FacesJoined:
    """Several sets one after the other, their classes matched by name.

    Args:
        sets: At least one. Persons of different sets are different people.
        classes: Names and their order; None: those of the first set. Pictures of classes that are
            not among them are left out.

    Raises:
        UsageError: there is no set, or one shares no class.
    """

    def __init__(self, sets: Sequence[FaceSet], classes: Sequence[str] | None = None) -> None:
        if not sets:
            raise UsageError("Joining face sets needs at least one; got none.")
        self.classes = tuple(sets[0].classes if classes is None else classes)
        self.name = "+".join(s.name for s in sets)
        self._sets = tuple(sets)
        rows, labels, persons = [], [], []
        for number, part in enumerate(sets):
            to = np.array(
                [self.classes.index(c) if c in self.classes else -1 for c in part.classes]
            )
            mapped = to[part.labels]
            kept = np.flatnonzero(mapped >= 0)
            if not len(kept):
                raise UsageError(
                    f"{part.name} has no picture of the classes {', '.join(self.classes)}; its "
                    f"own are {', '.join(part.classes)}. Leave it out, or rename its classes."
                )
            rows.append(np.stack([np.full(len(kept), number), kept], 1))
            labels.append(mapped[kept])
            persons += [f"{number}/{p}" if p else UNKNOWN for p in part.persons[kept]]
        self._rows = np.concatenate(rows)
        self.labels: NDArray[np.int64] = np.concatenate(labels).astype(np.int64)
        self.persons: NDArray[np.str_] = np.asarray(persons, dtype=np.str_)

    def __len__(self) -> int:
        return len(self._rows)

    def picture(self, index: int) -> NDArray[np.uint8]:
        """As its own set gives it."""
        part, row = self._rows[index].tolist()
        return self._sets[part].picture(row)

    def label(self, index: int) -> int:
        """Class number of a picture."""
        return int(self.labels[index])

    def fingerprint(self) -> str:
        """Digest of the sets' fingerprints and the classes."""
        return _digest(*(s.fingerprint() for s in self._sets), *self.classes)


def read_face(path: Path) -> NDArray[np.uint8]:
    """``(h, w, 3)`` uint8 RGB of a picture file, turned upright as its header says.

    Raises:
        FormatError: the file is missing or no picture.
    """
    from PIL import ImageOps

    with reading(path, "a picture"), Image.open(path) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def held(faces: FaceSet, size: tuple[int, int]) -> FacesInMemory:
    """Read a whole set into memory at one size.

    Args:
        faces: The set.
        size: Width and height, pixels; pictures of other shapes are squeezed to it.

    Returns:
        A set whose fingerprint is that of its pixels at this size.
    """
    width, height = size
    pixels = np.empty((len(faces), height, width, 3), np.uint8)
    for index in range(len(faces)):
        pixels[index] = resized(faces.picture(index), size)
    return FacesInMemory(faces.name, faces.classes, pixels, faces.labels, faces.persons)


def resized(picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """``(h, w, 3)`` uint8 -> width and height of ``size``, smoothed where it shrinks."""
    if picture.shape[1::-1] == tuple(size):
        return picture
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR))


def person_folds(
    persons: NDArray[np.str_],
    count: int,
    *,
    rule: Literal["dealt", "even"] = "dealt",
    alone: bool = False,
) -> list[NDArray[np.int64]]:
    """Split pictures into folds that share no person.

    Args:
        persons: ``(N,)`` names.
        count: Number of folds, at least two.
        rule: ``dealt``: persons sorted by name are dealt out in turn, as the protocol of CK+ asks;
            ``even``: whoever has most pictures first, each to the fold that has fewest so far.
        alone: Take every picture of an unknown person for a person of its own.

    Returns:
        For each fold the sorted numbers of its pictures; all of them together are all pictures.

    Raises:
        UsageError: fewer than two folds, fewer persons than folds, or persons are unknown.

    Source:
        ``dealt``: subject-independent folds of CK+, fer_multithreshold spec, section 5.
    """
    names = np.asarray(persons, dtype=np.str_)
    unknown = np.flatnonzero(names == UNKNOWN)
    if len(unknown) and not alone:
        raise UsageError(
            f"Nobody knows who is on {len(unknown)} of {len(names)} pictures, so folds may share a "
            f"person. Use the set's own split, or say alone=True if they are all different people."
        )
    names = names.astype(object)
    for index in unknown:
        names[index] = f"\0{index:09d}"
    people, of_picture, sizes = np.unique(
        names.astype(np.str_), return_inverse=True, return_counts=True
    )
    if not 2 <= count <= len(people):
        raise UsageError(
            f"{len(people)} persons can be split into 2 to {len(people)} folds; got {count}."
        )
    if rule == "dealt":
        fold_of = np.arange(len(people)) % count
    else:
        fold_of, filled = np.zeros(len(people), np.int64), np.zeros(count, np.int64)
        for person in np.argsort(-sizes, kind="stable"):
            fold_of[person] = int(filled.argmin())
            filled[fold_of[person]] += sizes[person]
    return [np.flatnonzero(fold_of[of_picture] == f) for f in range(count)]


def without(count: int, fold: NDArray[np.integer]) -> NDArray[np.int64]:
    """The numbers from 0 to ``count`` - 1 that a fold does not have."""
    rest = np.ones(count, bool)
    rest[fold] = False
    return np.flatnonzero(rest)


def _digest(*parts: str | NDArray) -> str:
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else np.ascontiguousarray(part).tobytes()
        total.update(len(data).to_bytes(8, "little") + data)
    return total.hexdigest()[:16]

"""Labels of facial expression sets: words, numbers and tables, without their pictures.

All sets speak one vocabulary, :data:`EXPRESSIONS`. Every release numbers or spells its classes in
its own way; the orders stand here once, by name, and a word or number that no release uses is an
error with the line it stands in.

Formats (shared specification, formats.md 12)
    RAF-DB      ``train_00001.jpg 5`` a line; 1-7 surprise ... neutral.
    AffectNet   old: csv ``subDirectory_filePath, face_x, ..., expression``; new: a number a file;
                0-7 and 8 none, 9 uncertain, 10 no face, which are no expressions.
    FER2013     csv ``emotion, pixels, Usage``; 2304 grey values a row.
    FERPlus     csv of ten votes a picture, row by row those of FER2013; or ``label.csv`` a folder.
    CK+         one number in a text file a sequence.
    JAFFE       in the file's name: ``KA.AN1.39``.
    tables      csv with a header; letter case, CR line ends, semicolons and a BOM do not matter.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chronopose.errors import FormatError

EXPRESSIONS = (
    "neutral", "anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise",
)  # fmt: skip
"""Every class of every set, in the order of class numbers."""

RAFDB = dict(
    zip(
        range(1, 8),
        ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"),
        strict=True,
    )
)
"""RAF-DB, basic: number in its list (and name of a folder from 1 to 7) -> expression."""
RAFDB_FOLDERS = dict(
    enumerate(("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger"))
)
"""The copy of RAF-DB in folders 0 to 6, in another order."""
AFFECTNET = {**RAFDB_FOLDERS, 7: "contempt"}
"""AffectNet, both releases."""
AFFECTNET_NONE = {8: "none", 9: "uncertain", 10: "no face"}
"""Numbers of AffectNet that are no expressions; their pictures are left out."""
FER2013 = dict(
    enumerate(("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"))
)
CKPLUS = dict(enumerate(EXPRESSIONS))
"""CK+'s emotion files; its order happens to be that of our vocabulary."""
JAFFE = {
    "AN": "anger", "DI": "disgust", "FE": "fear", "HA": "happiness", "NE": "neutral",
    "SA": "sadness", "SU": "surprise",
}  # fmt: skip

_WORDS = {
    **{name: name for name in EXPRESSIONS},
    "angry": "anger", "contemptuous": "contempt", "disgusted": "disgust", "fearful": "fear",
    "afraid": "fear", "scared": "fear", "happy": "happiness", "joy": "happiness", "sad": "sadness",
    "surprised": "surprise", "surprised_face": "surprise", "natural": "neutral",
}  # fmt: skip
VOTES = (
    "neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt",
)  # fmt: skip
"""Columns of FERPlus that are expressions; ``unknown`` and ``NF`` (no face) follow them."""
_USAGES = {"training": "train", "publictest": "val", "privatetest": "test"}
_SIDE = 48


def expression_named(word: str) -> str | None:
    """The expression that a word means, whatever its letter case; None if it means none.

    >>> expression_named("Angry"), expression_named("HAPPINESS"), expression_named("images")
    ('anger', 'happiness', None)
    """
    return _WORDS.get(word.strip().lower())


def expression_of(word: str, where: str) -> str:
    """The expression that a label says.

    Args:
        word: The label.
        where: File and line, for the message.

    Raises:
        FormatError: it is no expression.
    """
    found = expression_named(word)
    if found is None:
        raise FormatError(
            f"{where}: {word.strip()!r} is no expression that is known. Write one of "
            f"{', '.join(EXPRESSIONS)}, or remove the line."
        )
    return found


def numbered_expression(value: object, order: Mapping[int, str], where: str) -> str:
    """The expression of a class number, which may be written as ``3``, ``"3"`` or ``3.0``.

    Raises:
        FormatError: it is no number of this set.
    """
    try:
        number = float(str(value).strip())
        return order[int(number)] if number == int(number) else order[-1]
    except (ValueError, OverflowError, KeyError) as error:
        raise FormatError(
            f"{where}: the class is {str(value).strip()!r}, and this set has "
            f"{', '.join(f'{n} {name}' for n, name in order.items())}. Correct the line, or say "
            f"which set it is."
        ) from error


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Args:
        cells: Column name in lower case -> text.
        where: File and line, for messages.
    """

    cells: Mapping[str, str]
    where: str

    def __getitem__(self, column: str) -> str:
        return self.cells[column]


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f"Cannot read the labels {path}: {error}. Get them anew.") from error


def read_rows(path: Path, columns: Sequence[str], *, header: Sequence[str] = ()) -> Iterator[Row]:
    """Lines of a csv file, one at a time; empty ones are passed over.

    Args:
        path: A text file (UTF-8, or Latin-1 where it is not), any line ends, separated by commas or
            semicolons.
        columns: Names that it must have, in lower case; the file's own may be in any letter case
            and order.
        header: Names of the columns of a file that has none in it.

    Raises:
        FormatError: it cannot be read, a column is missing, or a line is too short.
    """
    with _reading(path), open(path, encoding=_encoding(path), newline=None) as file:
        first = file.readline()
        mark = ";" if first.count(";") > first.count(",") else ","
        names = [c.strip().lower() for c in header] or [
            c.strip().lower() for c in next(csv.reader([first], delimiter=mark), [])
        ]
        missing = [c for c in columns if c not in names]
        if missing:
            raise FormatError(
                f"{path} has no column {missing[0]!r}; it has {', '.join(names) or 'none'}. "
                f"A table of this set needs {', '.join(columns)}."
            )
        if header:
            file.seek(0)
        need = 1 + max(names.index(c) for c in columns)
        reader = csv.reader(file, delimiter=mark)
        for cells in reader:
            if not any(c.strip() for c in cells):
                continue
            where = f"{path}, line {reader.line_num + (0 if header else 1)}"
            if len(cells) < need:
                raise FormatError(
                    f"{where} has {len(cells)} columns where {need} are needed. Repair it."
                )
            yield Row(dict(zip(names, (c.strip() for c in cells), strict=False)), where)


def _encoding(path: Path) -> str:
    with open(path, "rb") as file:
        head = file.read(65536)
    try:
        head[: head.rfind(b"\n") + 1 or None].decode("utf-8-sig")
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8-sig"


def read_rafdb(path: Path) -> list[tuple[str, str]]:
    """RAF-DB's list: names of pictures as in the list, and their expressions.

    Raises:
        FormatError: a line is no name and number, or the number is none of 1 to 7.
    """
    found = []
    with _reading(path), open(path, encoding="utf-8-sig", newline=None) as file:
        for number, line in enumerate(file, 1):
            words = line.split()
            where = f"{path}, line {number}"
            if words and len(words) != 2:
                raise FormatError(f"{where}: {line.strip()!r} is no 'train_00001.jpg 5'.")
            if words:
                found.append((words[0], numbered_expression(words[1], RAFDB, where)))
    return found


def read_emotion_file(path: Path) -> str | None:
    """The expression of a CK+ sequence; None where the file is empty.

    Raises:
        FormatError: it holds something else than one number from 0 to 7.
    """
    with _reading(path):
        text = path.read_text(encoding="utf-8-sig").strip()
    return numbered_expression(text, CKPLUS, str(path)) if text else None


def read_landmarks(path: Path) -> NDArray[np.float64]:
    """``(N, 2)`` points of a face from a text file of one ``x y`` a line, pixels.

    Raises:
        FormatError: it holds something else.
    """
    with _reading(path):
        text = path.read_text(encoding="utf-8-sig")
    try:
        points = np.array([line.split() for line in text.splitlines() if line.strip()], np.float64)
    except ValueError as error:
        raise FormatError(f"{path} must hold one 'x y' a line ({error}).") from error
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise FormatError(f"{path} must hold one 'x y' a line; it holds {points.shape}.")
    return points


@dataclass(frozen=True)
class GreyRow:
    """One row of FER2013: 48x48 grey values as text, decoded when they are looked at.

    Args:
        usage: ``train``, ``val`` or ``test``.
        expression: Its label.
        pixels: 2304 numbers.
        where: File and line.
    """

    usage: str
    expression: str
    pixels: bytes
    where: str

    def picture(self) -> NDArray[np.uint8]:
        """``(48, 48)`` uint8."""
        return np.frombuffer(self.pixels, np.uint8).reshape(_SIDE, _SIDE)


def read_fer2013(path: Path) -> Iterator[GreyRow]:
    """FER2013's csv, row by row.

    Raises:
        FormatError: a column is missing, a class or usage is unknown, or a row has other than
            2304 values from 0 to 255.
    """
    for row in read_rows(path, ("emotion", "pixels", "usage")):
        usage = _usage(row)
        expression = numbered_expression(row["emotion"], FER2013, row.where)
        values = row["pixels"].split()
        try:
            pixels = bytes(map(int, values))
        except ValueError as error:
            raise FormatError(
                f"{row.where}: pixels must be whole numbers from 0 to 255 ({error}). Get the file "
                f"anew."
            ) from error
        if len(pixels) != _SIDE * _SIDE:
            raise FormatError(
                f"{row.where} has {len(pixels)} pixels and must have {_SIDE * _SIDE}: the file is "
                f"cut short. Get it anew."
            )
        yield GreyRow(usage, expression, pixels, row.where)


def _usage(row: Row) -> str:
    usage = _USAGES.get(row["usage"].lower().replace(" ", ""))
    if usage is None:
        raise FormatError(
            f"{row.where}: Usage is {row['usage']!r} and must be Training, PublicTest or "
            f"PrivateTest."
        )
    return usage


@dataclass(frozen=True)
class Votes:
    """What ten people said of a picture of FERPlus.

    Args:
        name: Of the picture; empty where FERPlus lists none because it is not to be used.
        counts: Expression -> votes.
        others: Votes for "unknown" and "no face".
    """

    name: str
    counts: Mapping[str, int]
    others: tuple[int, int]

    @property
    def expression(self) -> str | None:
        """The one expression with the most votes; None at a tie, or where others have as many."""
        most = max(self.counts.values())
        first = [name for name, count in self.counts.items() if count == most]
        clear = most > 0 and len(first) == 1 and most > max(self.others)
        return first[0] if clear else None


_LABEL_HEADER = ("file", "box", *VOTES, "unknown", "nf")


def read_votes(path: Path) -> Iterator[Votes]:
    """FERPlus's votes: ``fer2013new.csv``, or a folder's ``label.csv``, which has no header.

    Raises:
        FormatError: a column is missing, or a vote is no whole number.
    """
    plain = path.name.lower() == "label.csv"
    need = ("file" if plain else "image name", *VOTES, "unknown", "nf")
    for row in read_rows(path, need, header=_LABEL_HEADER if plain else ()):
        try:
            counts = {name: int(float(row[name])) for name in VOTES}
            others = (int(float(row["unknown"])), int(float(row["nf"])))
        except ValueError as error:
            raise FormatError(f"{row.where}: votes must be whole numbers ({error}).") from error
        yield Votes(row[need[0]], counts, others)


def read_jaffe_name(name: str) -> tuple[str, str] | None:
    """Subject and expression of a JAFFE file name such as ``KA.AN1.39.tiff``; None for others."""
    found = re.match(r"([A-Za-z]{2})\.([A-Za-z]{2})\d*\.", name)
    expression = JAFFE.get(found[2].upper()) if found else None
    return (found[1].upper(), expression) if found and expression else None


def peak(frames: Sequence[Path], count: int = 3) -> list[Path]:
    """The last frames of a sequence that ends at the height of an expression.

    Args:
        frames: In order of time.
        count: How many, fewer where the sequence is shorter.
    """
    return list(frames[-count:])


def around(frames: Sequence[Path], at: int, count: int = 3) -> list[Path]:
    """Frames around position ``at``, moved inwards at the ends of the sequence."""
    first = min(max(at - count // 2, 0), max(len(frames) - count, 0))
    return list(frames[first : first + count])

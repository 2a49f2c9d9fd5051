"""Where the pictures of a data set are, and what is in them.

Labels call a picture by a path that seldom is where the user's copy has it. A
:class:`PictureFinder` knows the folders that a set's pictures can be in and looks for as much of
the path as is there.
"""

from __future__ import annotations

import os
import re
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chronopose.errors import FormatError

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}
_KEPT = 8


def picture_parts(name: str) -> tuple[str, ...]:
    """Folders and file name of a picture as labels spell it, without roots and detours."""
    path = PurePosixPath(name.replace("\\", "/"))
    return tuple(p for p in path.parts if p not in ("/", "..", ".") and not p.endswith(":"))


def file_number(stem: str) -> int | None:
    """The last number in a file's name, whatever its count of digits; None if there is none."""
    digits = re.findall(r"[0-9]+", stem)
    return int(digits[-1]) if digits and len(digits[-1]) <= 18 else None


class PictureFinder:
    """Finds pictures by the names that labels give them; every folder is listed once.

    Args:
        bases: Folders that names may start from, the likeliest first.
        least: Folders of a name that must be found again, counted from its end: 1 for videos, whose
            pictures have the same names in each folder, 0 for stills.
    """

    def __init__(self, bases: Sequence[Path], least: int = 0) -> None:
        self.bases, self.least = tuple(bases), least
        self._folders: dict[tuple[str, ...], list[Path]] = {}
        self._lists: dict[Path, frozenset[str]] = {}
        self._numbers: dict[tuple[Path, str], tuple[NDArray[np.int64], dict[int, str]]] = {}

    def places(self, name: str) -> list[Path]:
        """Every folder that the picture could be in, whether it exists or not."""
        folders = picture_parts(name)[:-1]
        least = min(self.least, len(folders))
        found = [
            base.joinpath(*folders[cut:])
            for base in self.bases
            for cut in range(len(folders) - least + 1)
        ]
        return list(dict.fromkeys(found))

    def find(self, name: str) -> Path | None:
        """The picture, or None.

        Args:
            name: As in the labels. A name without a suffix, such as ``video/12``, is the picture of
                that number in the folder.

        Raises:
            FormatError: it goes by its number, and two pictures have it.
        """
        parts = picture_parts(name)
        if not parts:
            return None
        if parts[:-1] not in self._folders:
            self._folders[parts[:-1]] = [p for p in self.places(name) if p.is_dir()]
        by_number = PurePosixPath(parts[-1]).suffix.lower() not in SUFFIXES
        for folder in self._folders[parts[:-1]]:
            if by_number:
                number = file_number(parts[-1])
                named = self.numbered(folder)[1].get(-1 if number is None else number)
                if named is not None:
                    return folder / named
            elif parts[-1] in self._listed(folder):
                return folder / parts[-1]
        return None

    def require(self, name: str, whose: str) -> Path:
        """The picture.

        Args:
            name: As for :meth:`find`.
            whose: The data set, for the message.

        Raises:
            FormatError: it is not there; the message says where it was looked for.
        """
        found = self.find(name)
        if found is None:
            places = self.places(name)
            raise FormatError(
                f"The picture {name} of {whose} is missing: it is in none of "
                f"{', '.join(map(str, places[:3]))}{' ...' if len(places) > 3 else ''}. "
                f"'chronopose data check' lists what is missing."
            )
        return found

    def _listed(self, folder: Path) -> frozenset[str]:
        if folder not in self._lists:
            try:
                with os.scandir(folder) as entries:
                    self._lists[folder] = frozenset(e.name for e in entries)
            except OSError as error:
                raise FormatError(f"Cannot list the pictures in {folder}: {error}.") from error
        return self._lists[folder]

    def numbered(
        self, folder: Path, suffix: str | None = None
    ) -> tuple[NDArray[np.int64], dict[int, str]]:
        """The pictures of a video by their numbers.

        Args:
            folder: Where they lie.
            suffix: Only files of this suffix, e.g. ``".jpg"``; None for all pictures.

        Returns:
            The rising numbers, and number -> file name.

        Raises:
            FormatError: two pictures have one number.
        """
        key = (folder, suffix or "")
        if key not in self._numbers:
            wanted = SUFFIXES if suffix is None else {suffix.lower()}
            names: dict[int, str] = {}
            for name in sorted(self._listed(folder)):
                path = PurePosixPath(name)
                number = file_number(path.stem)
                if path.suffix.lower() not in wanted or number is None:
                    continue
                if number in names:
                    raise FormatError(
                        f"{folder} holds two pictures of the number {number}: {names[number]} and "
                        f"{name}. A folder is one video; move one of them away."
                    )
                names[number] = name
            self._numbers[key] = (np.array(sorted(names), np.int64), names)
        return self._numbers[key]


class PictureReader:
    """Decodes pictures; the last few are kept, as the people of a frame follow each other."""

    def __init__(self) -> None:
        self._recent: OrderedDict[Path, NDArray[np.uint8]] = OrderedDict()

    def __call__(self, path: Path) -> NDArray[np.uint8]:
        """``(H, W, 3)`` RGB. The turn noted by a camera is not applied: labels do not know it.

        Raises:
            FormatError: there is no such picture, or it is damaged.
        """
        if path in self._recent:
            self._recent.move_to_end(path)
            return self._recent[path]
        pixels = read_picture(path)
        self._recent[path] = pixels
        if len(self._recent) > _KEPT:
            self._recent.popitem(last=False)
        return pixels

    def __getstate__(self) -> dict[str, object]:
        return {"_recent": OrderedDict()}


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Decode one picture, ``(H, W, 3)`` RGB, as stored.

    Raises:
        FormatError: there is no such picture, or it is damaged.
    """
    try:
        with Image.open(path) as image:
            return np.array(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise FormatError(
            f"Cannot read the picture {path}: {' '.join(str(error).split())[:200]}. Get it anew "
            f"from the data set."
        ) from error


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height, pixels; only the header is read.

    Raises:
        FormatError: there is no such picture, or it is damaged.
    """
    try:
        with Image.open(path) as image:
            return image.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise FormatError(
            f"Cannot read the picture {path}: {' '.join(str(error).split())[:200]}. Get it anew "
            f"from the data set."
        ) from error

"""A folder of pictures, or one picture, read as the frames of a video."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from chronopose.core.video import VideoInfo
from chronopose.errors import VideoError
from chronopose.io.sources import no_pictures, pictures_in
from chronopose.io.video_source import Picture, check_size

_ORIENTATION_TAG = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> what shows the picture upright (CIPA DC-008, 4.6.4 A)."""
_LIMIT_LOCK = threading.Lock()
_WIDE_MODES = ("I", "I;16", "I;16L", "I;16B")


class PictureSource:
    """Pictures in natural order of their names, all of one size.

    Pictures have no clock: picture number n is shown at ``n / rate_hz`` seconds. The turn noted by
    the camera (EXIF) is applied. All headers are read at the start, so that a file that is no
    picture is found before any work is done; a picture that turns out broken later is left out,
    keeps its number, and is reported in ``damage``.

    Args:
        path: The folder, or one picture.
        rate_hz: Pictures a second.
        max_pixels: Larger pictures are refused.

    Raises:
        VideoError: no pictures, a file that is no picture, pictures of different sizes, or a size
            out of range.
    """

    def __init__(self, path: Path, *, rate_hz: float, max_pixels: int) -> None:
        self._files = pictures_in(path) if path.is_dir() else [path]
        self._rate_hz = rate_hz
        self._broken: list[Path] = []
        if not self._files:
            raise no_pictures(path)
        size = _header(self._files[0])
        check_size(self._files[0], size, max_pixels)
        for file in self._files[1:]:
            other = _header(file)
            if other != size:
                raise VideoError(
                    f"{file} has {other[0]}x{other[1]} pixels, but {self._files[0].name} has "
                    f"{size[0]}x{size[1]}: the frames of one video share one size. For single "
                    f"photos name the files instead of the folder: '{path}/*{file.suffix}'"
                )
        count = len(self._files)
        self.info = VideoInfo(
            source=str(path),
            size=size,
            time_base=1 / rate_hz,
            rate_hz=rate_hz,
            num_frames=count,
            duration_s=count / rate_hz,
            codec="images",
        )

    @property
    def damage(self) -> str | None:
        """What could not be read, None if everything could."""
        if not self._broken:
            return None
        count = len(self._broken)
        names = ", ".join(file.name for file in self._broken[:3])
        verbs = "is broken and was" if count == 1 else "are broken and were"
        return (
            f"{count} of {len(self._files)} pictures {verbs} left out: {names}"
            f"{', …' if count > 3 else ''}."
        )

    def pictures(self, start_s: float, end_s: float) -> Iterator[Picture]:
        """Pictures from ``start_s`` on, or a little before; the reader stops at ``end_s``."""
        first = max(0, int(start_s * self._rate_hz) - 1) if start_s > 0 else 0
        for index in range(first, len(self._files)):
            time_s = index / self._rate_hz
            yield Picture(index, time_s, partial(self._read, self._files[index]))

    def close(self) -> None:
        """Nothing stays open between pictures."""

    def _read(self, file: Path) -> NDArray[np.uint8] | None:
        try:
            with _without_bomb_limit(), Image.open(file) as image:
                return _rgb(image)
        except (OSError, SyntaxError, ValueError):
            self._broken.append(file)
            return None


def _header(file: Path) -> tuple[int, int]:
    """Width and height of a picture as shown; the pixels are not decoded."""
    try:
        with _without_bomb_limit(), Image.open(file) as image:
            width, height = image.size
            turned = _orientation(image) >= 5
    except UnidentifiedImageError as error:
        raise VideoError(
            f"{file} is no picture, whatever its name says. Remove it from the folder, or name the "
            f"pictures that are meant."
        ) from error
    except (OSError, SyntaxError, ValueError) as error:
        raise VideoError(
            f"{file} cannot be read as a picture: {error}. Remove it or save it again."
        ) from error
    return (height, width) if turned else (width, height)


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8, as far as it stands before the pixels."""
    if image.format == "PNG" and "exif" not in image.info:
        return 1
    found = image.getexif().get(_ORIENTATION_TAG, 1)
    return found if found in _TURNS else 1


def _rgb(image: Image.Image) -> NDArray[np.uint8]:
    turn = _TURNS.get(_orientation(image))
    upright = image if turn is None else image.transpose(turn)
    if upright.mode in _WIDE_MODES:
        grey = np.clip(np.asarray(upright, np.int64) >> 8, 0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    return np.array(upright.convert("RGB"))


@contextmanager
def _without_bomb_limit() -> Iterator[None]:
    """Let ``max_pixels`` decide about large pictures instead of Pillow's own limit."""
    with _LIMIT_LOCK:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit

"""What every kind of video source gives: numbered, timed pictures that are made when asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from chronopose.core.video import VideoInfo
from chronopose.errors import VideoError

MIN_SIDE_PX = 2


@dataclass(frozen=True, eq=False)
class Picture:
    """A frame before its pixels are converted."""

    index: int
    time_s: float
    image: Callable[[], NDArray[np.uint8] | None]
    """Makes the ``(H, W, 3)`` RGB image; None if it turns out unreadable."""


class PictureStream(Protocol):
    """A file, folder, camera or address that yields pictures once."""

    info: VideoInfo

    @property
    def damage(self) -> str | None:
        """What is missing, in whole sentences; None if nothing is."""

    def pictures(self, start_s: float, end_s: float) -> Iterator[Picture]:
        """All pictures of a time span, and perhaps some before and after it."""

    def close(self) -> None:
        """Let go of files and devices; harmless when repeated."""


def check_size(source: str | Path, size: tuple[int, int], max_pixels: int) -> None:
    """Refuse frames too small to hold anything or too large to hold in memory.

    Args:
        source: Name for the message.
        size: Width and height, pixels.
        max_pixels: Largest allowed area.

    Raises:
        VideoError: the size is out of range.
    """
    width, height = size
    if min(size) < MIN_SIDE_PX:
        raise VideoError(
            f"{source} has frames of {width}x{height} pixels; at least "
            f"{MIN_SIDE_PX}x{MIN_SIDE_PX} are needed. Check that this is the right file."
        )
    if width * height > max_pixels:
        raise VideoError(
            f"{source} has frames of {width}x{height} pixels = {width * height / 1e6:.0f} "
            f"megapixels, above the limit of {max_pixels / 1e6:.0f}. Scale it down first "
            f"(ffmpeg -i IN -vf scale=1920:-2 OUT.mp4), or raise max_pixels of open_video."
        )

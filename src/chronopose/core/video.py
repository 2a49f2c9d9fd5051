"""VideoInfo and Clip: frames with their presentation times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chronopose.errors import ShapeError


@dataclass(frozen=True)
class VideoInfo:
    """What is known about a video before its frames are read.

    Args:
        source: Path, address or name, as the user gave it.
        size: Width and height as displayed, after rotation metadata; pixels.
        time_base: Seconds a tick of the container's clock.
        rate_hz: Average frames a second, ``nan`` if the container does not say.
        num_frames: Frames announced by the container, 0 if unknown; never trusted for indexing.
        duration_s: Seconds announced by the container, ``nan`` if unknown.
        rotation_deg: Clockwise rotation that was applied to the stored pixels.
        codec: Name of the video codec, ``"images"`` for a folder.
    """

    source: str
    size: tuple[int, int]
    time_base: float = 0.0
    rate_hz: float = float("nan")
    num_frames: int = 0
    duration_s: float = float("nan")
    rotation_deg: int = 0
    codec: str = ""


@dataclass(frozen=True)
class Clip:
    """A run of frames.

    Args:
        frames: ``(T, H, W, 3)`` uint8 RGB.
        frame_index: ``(T,)`` int64, number of each frame in its video, from 0.
        time_s: ``(T,)`` float64, presentation time in seconds.
        key: Position of the key frame in the clip.

    At the ends of a video frames repeat, and ``frame_index`` tells the truth about it.

    Raises:
        ShapeError: shapes disagree or the key lies outside the clip.
    """

    frames: NDArray[np.uint8]
    frame_index: NDArray[np.int64]
    time_s: NDArray[np.float64]
    key: int = 0

    def __post_init__(self) -> None:
        count = len(self.frames)
        if self.frames.ndim != 4 or self.frames.shape[-1] != 3 or self.frames.dtype != np.uint8:
            raise ShapeError(
                f"Clip frames must be (T, H, W, 3) uint8; got {self.frames.shape} "
                f"{self.frames.dtype}."
            )
        if len(self.frame_index) != count or len(self.time_s) != count:
            raise ShapeError(
                f"A clip of {count} frames has {len(self.frame_index)} frame numbers and "
                f"{len(self.time_s)} times; there must be one of each a frame."
            )
        if not 0 <= self.key < max(count, 1):
            raise ShapeError(f"Key frame {self.key} lies outside a clip of {count} frames.")

    def __len__(self) -> int:
        return len(self.frames)

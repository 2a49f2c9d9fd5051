"""Optical flow kept in files: the Middlebury ``.flo`` format and plain ``.npy`` arrays.

Content at ``(x, y)`` of one frame is found at ``(x + u, y + v)`` in the other; pixels, u right, v
down, as in :mod:`chronopose.nn.flow`.

Source of ``.flo``: Baker, Scharstein, Lewis, Roth, Black, Szeliski, "A Database and Evaluation
Methodology for Optical Flow": the number 202021.25, width and height as 32-bit integers, then u and
v row by row, all little-endian; above 1e9 means unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chronopose.errors import FormatError
from chronopose.io.atomic import replacing

MAGIC = np.float32(202021.25)
UNKNOWN = 1e9
SUFFIXES = (".flo", ".npy")
_HEAD = 12
"""Bytes before the numbers of a ``.flo`` file."""


def read_flow(path: str | Path) -> NDArray[np.float32]:
    """Read a flow.

    Args:
        path: A ``.flo`` file, or ``.npy`` with an array ``(H, W, 2)``.

    Returns:
        ``(H, W, 2)`` u and v, pixels; NaN where unknown.

    Raises:
        FormatError: the file is missing, damaged or of another kind.
    """
    file = Path(path)
    if file.suffix.lower() not in SUFFIXES:
        raise FormatError(f"Flow is read from {' and '.join(SUFFIXES)} files; got {file}.")
    try:
        flow = np.load(file) if file.suffix.lower() == ".npy" else _flo(file)
    except (OSError, ValueError) as error:
        raise FormatError(
            f"{file} holds no optical flow: {error}. It must be a Middlebury .flo file or an array "
            f"(H, W, 2)."
        ) from error
    if flow.ndim != 3 or flow.shape[-1] != 2 or flow.dtype.kind != "f":
        raise FormatError(
            f"{file} holds an array {flow.shape} of {flow.dtype}; a flow is (H, W, 2) floats."
        )
    return np.where(np.abs(flow) > UNKNOWN, np.nan, flow).astype(np.float32)


def _flo(file: Path) -> NDArray[np.float32]:
    data = file.read_bytes()
    if len(data) < _HEAD or np.frombuffer(data[:4], "<f4")[0] != MAGIC:
        raise ValueError("it does not begin as a .flo file does")
    width, height = np.frombuffer(data[4:_HEAD], "<i4").tolist()
    if min(width, height) < 1 or len(data) != _HEAD + 8 * width * height:
        raise ValueError(f"it says {width}x{height} pixels and has {len(data)} bytes")
    return np.frombuffer(data[_HEAD:], "<f4").reshape(height, width, 2)


def write_flow(flow: NDArray[np.floating], path: str | Path) -> None:
    """Write a flow as a ``.flo`` file; it appears whole or not at all.

    Args:
        flow: ``(H, W, 2)`` pixels; NaN where unknown.
        path: The file.

    Raises:
        FormatError: another shape, or the file cannot be written.
    """
    if flow.ndim != 3 or flow.shape[-1] != 2:
        raise FormatError(f"A flow is (H, W, 2); got {flow.shape}.")
    known = np.where(np.isfinite(flow), flow, 10 * UNKNOWN).astype("<f4")
    head = MAGIC.astype("<f4").tobytes() + np.array(flow.shape[1::-1], "<i4").tobytes()
    with replacing(path) as temporary:
        temporary.write_bytes(head + known.tobytes())


@dataclass(frozen=True)
class FlowFiles:
    """Flow of a video, computed before by any tool.

    Args:
        folder: Files named by the numbers of the two frames, ``FIRST_SECOND.flo`` or ``.npy``,
            e.g. ``000012_000013.flo`` from frame 12 to frame 13; numbers may have any width.

    Raises:
        FormatError: the folder is not there or holds no such file.
    """

    folder: Path

    def __post_init__(self) -> None:
        if not self.files:
            raise FormatError(
                f"{self.folder} holds no flow. Name files by their two frames: 000012_000013.flo "
                f"goes from frame 12 to frame 13, 000013_000012.flo back."
            )

    @cached_property
    def files(self) -> dict[tuple[int, int], Path]:
        """Numbers of both frames -> file."""
        found = {}
        for file in sorted(Path(self.folder).glob("*_*")):
            numbers = file.stem.split("_")
            named = len(numbers) == 2 and all(n.isdecimal() for n in numbers)
            if named and file.suffix.lower() in SUFFIXES:
                found[int(numbers[0]), int(numbers[1])] = file
        return found

    def between(self, first: int, second: int, size: tuple[int, int]) -> NDArray[np.float32]:
        """``(H, W, 2)`` flow from one frame to another.

        Args:
            first: Number of the frame that it starts from.
            second: Number of the other one.
            size: Width and height of the frames, pixels.

        Raises:
            FormatError: there is no such file, or it is damaged or of another size.
        """
        file = self.files.get((first, second))
        if file is None:
            raise FormatError(
                f"{self.folder} holds no flow from frame {first} to frame {second}: there is no "
                f"{first:06d}_{second:06d}.flo."
            )
        flow = read_flow(file)
        if flow.shape[1::-1] != size:
            raise FormatError(
                f"{file} is for frames of {flow.shape[1]}x{flow.shape[0]} pixels; the video has "
                f"{size[0]}x{size[1]}."
            )
        return flow

"""Shot: frames on their way through degradations, with all that must move or hide with them.

A degradation takes a shot and a generator and gives another shot. What is random is drawn once a
clip, so that the frames of a clip agree with each other; only sensor noise is fresh in each frame.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from chronopose.core.video import Clip
from chronopose.errors import ShapeError, UsageError


@dataclass(frozen=True)
class Shot:
    """A clip, where its pixels came from and what came to lie over them.

    Args:
        frames: ``(T, H, W, 3)`` uint8 RGB.
        frame_index: ``(T,)`` int64, numbers of the frames in their video.
        time_s: ``(T,)`` float64 seconds.
        matrices: ``(T, 2, 3)`` float64, pixels of the frame as it was -> pixels as it is now.
        source: ``(T,)`` int64, position in the clip as it was.
        hidden: ``(T, H, W)`` bool, pixels that a degradation has covered.
        key: Position of the key frame.
        depth: ``(T, H, W)`` float32 metres, inf for the background; None where nobody knows.
        person: ``(T, H, W)`` uint8 as :class:`chronopose.synth.scene.Layers` has it, or None.
        boxes: For each frame as it was, ``(N, 4)`` person boxes x1 y1 x2 y2; empty if nobody
            knows. They are what occluders aim at.

    Raises:
        ShapeError: sizes or counts disagree.
    """

    frames: NDArray[np.uint8]
    frame_index: NDArray[np.int64]
    time_s: NDArray[np.float64]
    matrices: NDArray[np.float64]
    source: NDArray[np.int64]
    hidden: NDArray[np.bool_]
    key: int = 0
    depth: NDArray[np.float32] | None = None
    person: NDArray[np.uint8] | None = None
    boxes: tuple[NDArray[np.float64], ...] = ()

    def __post_init__(self) -> None:
        count, layer = len(self.frames), self.frames.shape[:3]
        want = {
            "frame_index": (count,), "time_s": (count,), "matrices": (count, 2, 3),
            "source": (count,), "hidden": layer, "depth": layer, "person": layer,
        }  # fmt: skip
        for name, shape in want.items():
            value = getattr(self, name)
            if value is not None and np.shape(value) != shape:
                raise ShapeError(
                    f"A shot of frames {self.frames.shape} needs {name} {shape}; got "
                    f"{np.shape(value)}."
                )

    @classmethod
    def of(
        cls,
        clip: Clip,
        *,
        depth: NDArray[np.float32] | None = None,
        person: NDArray[np.uint8] | None = None,
        boxes: tuple[NDArray[np.float64], ...] = (),
    ) -> Shot:
        """A clip that nothing has happened to yet; arguments as for the class.

        Raises:
            ShapeError: layers or boxes do not fit the clip.
        """
        if boxes and len(boxes) != len(clip):
            raise ShapeError(f"{len(clip)} frames have boxes for {len(boxes)}; give each its own.")
        return cls(
            clip.frames, np.asarray(clip.frame_index, np.int64), np.asarray(clip.time_s, float),
            np.tile(np.eye(2, 3), (len(clip), 1, 1)), np.arange(len(clip)),
            np.zeros(clip.frames.shape[:3], bool), clip.key, depth, person, boxes,
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""
        return self.frames.shape[2], self.frames.shape[1]

    @property
    def clip(self) -> Clip:
        """The frames as they are now."""
        return Clip(self.frames, self.frame_index, self.time_s, self.key)

    def people(self, place: int) -> NDArray[np.float64]:
        """``(N, 4)`` person boxes of frame ``place`` as it is now; empty if nobody knows."""
        if not self.boxes:
            return np.zeros((0, 4))
        return move_boxes(self.matrices[place], self.boxes[self.source[place]])

    def select(self, keep: NDArray[np.bool_]) -> Shot:
        """The frames of a mask ``(T,)``; the key frame must be among them.

        Raises:
            UsageError: it is not.
        """
        if not keep[self.key]:
            raise UsageError("The key frame of a clip cannot be left out; keep it in the mask.")
        fields: dict[str, Any] = {"key": int(keep[: self.key].sum())}
        for name in (
            "frames", "frame_index", "time_s", "matrices", "source", "hidden", "depth", "person",
        ):  # fmt: skip
            layer = getattr(self, name)
            fields[name] = None if layer is None else layer[keep]
        return replace(self, **fields)


class Degradation(Protocol):
    """Makes a shot worse, as cameras, files and the world do.

    The classes of :mod:`chronopose.synth.degrade` are frozen dataclasses whose ``strength`` goes
    from 0, which leaves a shot as it is, to 1, which is as bad as real video gets.
    """

    @property
    def strength(self) -> float:
        """0 to 1."""

    def __call__(self, shot: Shot, rng: np.random.Generator) -> Shot:
        """The worse shot; everything random in it comes from ``rng``."""


def check_strength(step: Degradation) -> None:
    """Refuse a strength outside 0 to 1.

    Raises:
        UsageError: it is outside, or no number.
    """
    if not 0 <= step.strength <= 1:
        raise UsageError(
            f"The strength of {type(step).__name__} goes from 0 to 1; got {step.strength}."
        )


def move_points(matrix: NDArray[np.float64], xy: NDArray[np.floating]) -> NDArray[np.float64]:
    """Points ``(..., 2)`` through a ``(2, 3)`` matrix; NaN stays NaN."""
    return np.asarray(xy, np.float64) @ matrix[:, :2].T + matrix[:, 2]


def move_boxes(matrix: NDArray[np.float64], boxes: NDArray[np.floating]) -> NDArray[np.float64]:
    """Boxes ``(N, 4)`` around the corners of boxes that went through a ``(2, 3)`` matrix."""
    corners = np.asarray(boxes, np.float64)[:, [0, 1, 2, 1, 0, 3, 2, 3]].reshape(-1, 4, 2)
    moved = move_points(matrix, corners)
    return np.concatenate([moved.min(1), moved.max(1)], axis=1)

"""Crop windows that stand still, and what is kept while they do.

While a person's window does not move, the features of a frame are computed once and used by every
window of time the frame belongs to. A window moves only when the person leaves its tolerance.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chronopose.core.crop import CropWindow
from chronopose.errors import UsageError

if TYPE_CHECKING:
    from chronopose.io.video import Frame

WindowPolicy = Literal["reencode", "warp", "key"]
"""What happens when a window has to move: encode the frames again, bend the features that are
there, or (``key``) do not hold it at all: the key frame's box cuts every frame, the papers' way."""


@dataclass(frozen=True, kw_only=True)
class LockSettings:
    """When a window has to move.

    Args:
        policy: ``reencode``, ``warp`` or ``key``.
        pad: Window over box, the margin that the networks were trained with.
        shift: How far the middle of the box may be off the middle of the window, share of the
            window's width and height.
        zoom: How much larger or smaller than its own window the held one may be.
        lead_s: A window that moves is put where the person will be this much later, seconds.
        far: With ``warp``, frames are encoded again after a move of more than this share of the
            window or this zoom over one.

    Raises:
        UsageError: the policy is unknown.
    """

    policy: WindowPolicy = "reencode"
    pad: float = 1.25
    shift: float = 0.08
    zoom: float = 1.15
    lead_s: float = 0.1
    far: float = 0.25

    def __post_init__(self) -> None:
        if self.policy not in get_args(WindowPolicy):
            raise UsageError(
                f"window must be {', '.join(get_args(WindowPolicy))}; got {self.policy!r}."
            )


@dataclass(frozen=True)
class HeldWindow:
    """A window with a number that no other window of the video has."""

    serial: int
    window: CropWindow


class WindowLock:
    """Holds one window a track.

    Args:
        size: Width and height of the crop, pixels.
        settings: When to move.
    """

    def __init__(self, size: tuple[int, int], settings: LockSettings) -> None:
        self.settings = settings
        self.moves = 0
        """Windows made so far, first ones included."""
        self._size = size
        self._held: dict[int, HeldWindow] = {}

    def window_of(self, xyxy: NDArray[np.floating]) -> CropWindow:
        """The window that a box would get for itself."""
        return CropWindow.of_box(xyxy, self._size, self.settings.pad)

    def choose(
        self, uid: int, xyxy: NDArray[np.floating], velocity: NDArray[np.float64]
    ) -> HeldWindow:
        """The window of a track for this key frame: the one it has, or a new one.

        Args:
            uid: The track.
            xyxy: ``(4,)`` its box, image pixels.
            velocity: ``(2,)`` of the box, pixels a second.
        """
        ideal = self.window_of(xyxy)
        held = self._held.get(uid)
        if self.settings.policy == "key":
            return self._hold(uid, ideal)
        if held is not None and self._fits(held.window, ideal, xyxy):
            return held
        if held is not None:
            reach = np.array(self._size) / ideal.scale * self.settings.shift / 2
            lead = np.clip(velocity * self.settings.lead_s, -reach, reach)
            ahead = np.asarray(xyxy, np.float64) + np.tile(lead, 2)
            ideal = self.window_of(ahead)
        return self._hold(uid, ideal)

    def may_bend(self, old: CropWindow, new: CropWindow) -> bool:
        """Whether features of ``old`` can stand in for those of ``new``: both see much the same."""
        far = self.settings.far
        if self.settings.policy != "warp":
            return False
        size = np.array(self._size, np.float64)
        middle = (size - 1) / 2
        moved = np.abs(old.apply(new.invert(middle)) - middle) / size
        zoom = max(old.scale / new.scale, new.scale / old.scale)
        return bool((moved <= far).all() and zoom <= 1 + far)

    def keep_only(self, uids: set[int]) -> None:
        """Forget the windows of all other tracks."""
        self._held = {uid: held for uid, held in self._held.items() if uid in uids}

    def _hold(self, uid: int, window: CropWindow) -> HeldWindow:
        self.moves += 1
        self._held[uid] = HeldWindow(self.moves, window)
        return self._held[uid]

    def _fits(self, held: CropWindow, ideal: CropWindow, xyxy: NDArray[np.floating]) -> bool:
        zoom = held.scale / ideal.scale
        if not 1 / self.settings.zoom <= zoom <= self.settings.zoom:
            return False
        size = np.array(self._size, np.float64)
        corners = held.apply(np.asarray(xyxy, np.float64).reshape(2, 2))
        off = np.abs(corners.mean(0) - (size - 1) / 2) / size
        inside = (corners[0] >= -0.5).all() and (corners[1] <= size - 0.5).all()
        return bool((off <= self.settings.shift).all() and inside)


@dataclass
class _Slot:
    frame: Frame
    pixels: Tensor | None = None


class FrameRing:
    """The last frames of a video, by position: the n-th frame that was read, from 0.

    Args:
        device: Where crops are cut.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._slots: deque[_Slot] = deque()
        self._first = 0

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def last(self) -> int:
        """Position of the newest frame; -1 before the first."""
        return self._first + len(self._slots) - 1

    def push(self, frame: Frame) -> None:
        """Add the next frame."""
        self._slots.append(_Slot(frame))

    def frame(self, position: int) -> Frame:
        """The frame at a position that is still held."""
        return self._slots[position - self._first].frame

    def pixels(self, position: int) -> Tensor:
        """``(H, W, 3)`` uint8 of a frame on the device, moved there once."""
        slot = self._slots[position - self._first]
        if slot.pixels is None:
            image = np.ascontiguousarray(slot.frame.image)
            if not image.flags.writeable:
                image = image.copy()
            slot.pixels = torch.from_numpy(image).to(self._device, non_blocking=True)
        return slot.pixels

    def clamp(self, position: int) -> int:
        """A position inside the video so far: frames repeat at its ends."""
        return min(max(position, 0), self.last)

    def drop_before(self, position: int) -> None:
        """Let go of frames that nobody will need again."""
        while self._slots and self._first < position:
            self._slots.popleft()
            self._first += 1

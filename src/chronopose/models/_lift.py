"""The contract of a lifter: 2D poses of one person over time in, joints in space out.

A file in this folder that defines a ``LiftModel`` is named in ``_find.LIFTERS``. There is no
``encode`` and ``fuse``: a pose is a handful of numbers, so nothing of a frame is worth keeping but
the pose itself. What a long clip shares between windows is inside :meth:`LiftModel.dense`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from chronopose.codecs.root_relative import RootRelative
from chronopose.errors import ShapeError
from chronopose.tensors.space import LiftOutput, LiftTarget


class LiftCriterion(Protocol):
    """Compares an output with a target; returns named, unweighted scalar terms."""

    def __call__(self, output: LiftOutput, target: LiftTarget) -> dict[str, Tensor]: ...


@dataclass(frozen=True, kw_only=True)
class LiftNeeds:
    """What a lifter has to be given."""

    frames: int
    """Length T of the window, odd for a network that answers for its middle frame."""
    channels: int = 2
    """Numbers a joint: x and y on the screen, and 3 where the network also reads the score."""
    before: int = 0
    """Frames of the window before the one that is answered for."""

    @property
    def lookahead(self) -> int:
        """Frames after the answered one that must be seen first."""
        return self.frames - 1 - self.before


class LiftModel(nn.Module, ABC):
    """Base of every lifter."""

    PRESETS: ClassVar[Mapping[str, Any]]
    """Preset name -> Config."""

    config: Any
    needs: LiftNeeds
    codec: RootRelative
    card: Any = None
    """The weights card, where the weights came from the zoo."""

    @abstractmethod
    def forward(self, poses: Tensor) -> LiftOutput:
        """Lift windows.

        Args:
            poses: ``(B, T, J, C)`` screen coordinates of T = ``needs.frames`` frames, C =
                ``needs.channels``; every joint has a number (gaps are filled before).

        Returns:
            ``(B, 1, J, 3)`` for the answered frame; ``(B, T, J, 3)`` from a network that answers
            for all frames (setting ``seq2seq``).
        """

    @abstractmethod
    def dense(self, poses: Tensor) -> LiftOutput:
        """Lift every window of longer clips: the same numbers as :meth:`forward` one by one.

        Args:
            poses: ``(B, F, J, C)`` with F >= T.

        Returns:
            ``(B, F - T + 1, J, 3)``: row i answers for frame i + ``needs.before``.
        """

    @abstractmethod
    def criterion(self) -> LiftCriterion:
        """The loss that the paper trains with."""

    def weights_of_terms(self) -> dict[str, float]:
        """Default weight of each term of the criterion; a term not named weighs 1."""
        return {}

    def check(self, poses: Tensor, *, windows: bool) -> None:
        """Refuse poses that are not as :meth:`forward` (``windows``) or :meth:`dense` reads them.

        Raises:
            ShapeError: other joints, other numbers a joint, or not the right count of frames.
        """
        joints, channels, frames = len(self.codec.skeleton), self.needs.channels, self.needs.frames
        shape = tuple(poses.shape)
        if len(shape) != 4 or shape[2:] != (joints, channels):
            raise ShapeError(
                f"A lifter of {self.codec.skeleton.name} reads (clips, frames, {joints}, "
                f"{channels}); got {shape}. The last axis is x and y on the screen, and the score "
                f"where the network's config asks for it."
            )
        if windows and shape[1] != frames:
            raise ShapeError(
                f"forward lifts windows of exactly {frames} frames; got {shape[1]}. "
                f"Longer clips go to dense."
            )
        if shape[1] < frames:
            raise ShapeError(
                f"A clip of {shape[1]} frames holds no window of {frames}. Repeat its ends first: "
                f"model.dense(model.pad_ends(poses))."
            )

    def pad_ends(self, poses: Tensor) -> Tensor:
        """Clips with their ends repeated, so that :meth:`dense` answers for each of their frames.

        Args:
            poses: ``(B, F, J, C)`` with F >= 1.

        Returns:
            ``(B, F + T - 1, J, C)``: the first frame ``needs.before`` times more, the last one
            ``needs.lookahead`` times more.
        """
        first = poses[:, :1].expand(-1, self.needs.before, -1, -1)
        last = poses[:, -1:].expand(-1, self.needs.lookahead, -1, -1)
        return torch.cat([first, poses, last], 1)


def overlapping(poses: Tensor, frames: int, windows: int) -> Iterator[Tensor]:
    """Cut long clips ``(B, F, ...)`` into parts that hold at most ``windows`` windows each.

    Neighbouring parts share ``frames - 1`` frames, so every window of ``frames`` frames lies whole
    in exactly one part, and memory does not grow with the clip.
    """
    for start in range(0, poses.shape[1] - frames + 1, windows):
        yield poses[:, start : start + windows + frames - 1]

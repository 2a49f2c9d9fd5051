"""The contract of a model.

A model is a file in this folder with a ``Config`` dataclass, a dict ``PRESETS`` and one subclass of
:class:`PoseModel`. Nothing else has to be edited: the folder is the registry (``_find.py``).

Every multi-frame model is split in two: ``encode`` looks at one frame at a time, so its result can
be kept while the crop window stands still; ``fuse`` joins the features of a window of frames.
``forward`` is ``fuse(encode(...))`` and nothing more.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from chronopose.codecs.codec import Codec
from chronopose.losses.adversarial import Adversary
from chronopose.tensors import Output, Target

Features = tuple[Tensor, ...]
"""What ``encode`` returns: a tuple of tensors (a NamedTuple is welcome), each with frames first."""


class Criterion(Protocol):
    """Compares an output with a target; returns named, unweighted scalar terms."""

    def __call__(self, output: Any, target: Target) -> dict[str, Tensor]: ...


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a model has to be given."""

    offsets: tuple[int, ...]
    """Frames of the window relative to the key frame, rising; (0,) for a single-frame model."""
    crop_size: tuple[int, int]
    """Width and height of the crop, pixels."""

    @property
    def key(self) -> int:
        """Position of the key frame in the window."""
        return self.offsets.index(0)

    @property
    def lookahead(self) -> int:
        """Frames after the key frame that must be seen first: the latency of a live stream."""
        return max(self.offsets)


class PoseModel(nn.Module, ABC):
    """Base of every top-down model: crops of one person in, joints of the key frame out."""

    PRESETS: ClassVar[Mapping[str, Any]]
    """Preset name -> Config."""

    config: Any
    needs: Needs
    codec: Codec
    card: Any = None
    """The weights card, where the weights came from the zoo."""
    whole_clip: ClassVar[bool] = False
    """Whether it is trained on the labels of all frames of a window."""

    @abstractmethod
    def encode(self, frames: Tensor) -> Features:
        """Features of single frames.

        Args:
            frames: ``(N, 3, H, W)`` float, normalised RGB crops; frames do not see each other.

        Returns:
            Tensors whose first axis is N.
        """

    @abstractmethod
    def fuse(self, features: Features) -> Output:
        """Join the features of a window.

        Args:
            features: as ``encode`` returns them, but with two leading axes ``(B, T, ...)``.
        """

    @abstractmethod
    def criterion(self) -> Criterion:
        """The loss that the paper trains with."""

    def weights_of_terms(self) -> dict[str, float]:
        """Default weight of each term of the criterion; a term not named weighs 1."""
        return {}

    def phases(self) -> Adversary | None:
        """The network that is trained by turns with this one; most have none."""
        return None

    def forward(self, frames: Tensor) -> Output:
        """``(B, T, 3, H, W)`` clips -> output of the key frames: ``fuse(encode(frames))``."""
        batch, count = frames.shape[:2]
        features = self.encode(frames.flatten(0, 1))
        return self.fuse(unfold_features(features, batch, count))


def unfold_features(features: Features, batch: int, count: int) -> Features:
    """Split the leading axis ``B*T`` of every tensor into ``(B, T)``, keeping the tuple's type."""
    return _rebuild(features, [f.unflatten(0, (batch, count)) for f in features])


def stack_windows(windows: Sequence[Sequence[Features]]) -> Features:
    """Join cached single-frame features: ``windows[b][t]`` has tensors without a frame axis."""
    n = len(windows[0][0])
    joined = [torch.stack([torch.stack([w[i] for w in win]) for win in windows]) for i in range(n)]
    return _rebuild(windows[0][0], joined)


def _rebuild(like: Features, tensors: list[Tensor]) -> Features:
    return getattr(like, "_make", tuple)(tensors)  # type: ignore[no-any-return]

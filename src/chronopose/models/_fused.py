"""FusedModel: several heatmap networks as one whose maps are the weighted mean of theirs.

Source: fused heatmaps, ``sum_m a_m H_m``, as in the pose step of optical-flow refinement for crowds
(HiEve challenge); the flip test averages the fused maps like any others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from chronopose.codecs.heatmap import HeatmapCodec
from chronopose.errors import UsageError
from chronopose.models._base import Criterion, Features, Needs, PoseModel
from chronopose.tensors import HeatmapOutput

Part = tuple[Callable[[list[Tensor]], Features], int]
"""What makes the features of one network out of tensors, and of how many."""


class FusedFeatures(tuple[Tensor, ...]):
    """The features of all networks, one after the other; it remembers whose is what."""

    parts: tuple[Part, ...]

    def __new__(cls, tensors: Iterable[Tensor], parts: Sequence[Part]) -> FusedFeatures:
        made = super().__new__(cls, tensors)
        made.parts = tuple(parts)
        return made

    def _make(self, tensors: Iterable[Tensor]) -> FusedFeatures:
        """The same with other tensors."""
        return FusedFeatures(tensors, self.parts)

    def split(self) -> list[Features]:
        """The features of each network, of its own type."""
        found, first = [], 0
        for make, count in self.parts:
            found.append(make(list(self[first : first + count])))
            first += count
        return found


class FusedModel(PoseModel):
    """Networks that find the same joints in the same crops, asked together.

    Args:
        models: Two or more, single-frame or of several frames, each with a heatmap codec.
        weights: One for each, above 0; they are scaled to sum 1. By default all count the same.

    Raises:
        UsageError: joints, crops, cells or the meaning of a map differ, or a weight is not above
            0; the message says which.
    """

    PRESETS: ClassVar[dict[str, Any]] = {}

    codec: HeatmapCodec

    def __init__(self, models: Sequence[PoseModel], weights: Sequence[float] | None = None) -> None:
        super().__init__()
        shares = [1.0] * len(models) if weights is None else list(weights)
        if len(models) < 2 or len(shares) != len(models) or not all(w > 0 for w in shares):
            raise UsageError(
                f"Fusing takes two or more models and a weight above 0 for each; got "
                f"{len(models)} models and weights {shares}."
            )
        codec, *others = (m.codec for m in models)
        for model, other in zip(models[1:], others, strict=True):
            differs = _difference(codec, other)
            if differs:
                raise UsageError(
                    f"Maps of {type(models[0]).__name__} and {type(model).__name__} cannot be "
                    f"averaged: they differ in {differs}. Choose models that agree."
                )
        assert isinstance(codec, HeatmapCodec)
        self.models = torch.nn.ModuleList(models)
        self.shares = [w / sum(shares) for w in shares]
        self.codec = codec
        offsets = sorted({o for m in models for o in m.needs.offsets})
        self.needs = Needs(offsets=tuple(offsets), crop_size=models[0].needs.crop_size)
        self.card = models[0].card

    def encode(self, frames: Tensor) -> FusedFeatures:
        """``(N, 3, H, W)`` -> the features of all networks."""
        tensors: list[Tensor] = []
        parts: list[Part] = []
        for model in self.models:
            own: Any = model.encode(frames)  # type: ignore[operator]
            tensors += own
            parts.append((getattr(own, "_make", tuple), len(own)))
        return FusedFeatures(tensors, parts)

    def fuse(self, features: Features) -> HeatmapOutput:
        """The weighted mean of the networks' probabilities, each from the frames it reads."""
        assert isinstance(features, FusedFeatures)
        mean: Tensor | None = None
        for model, share, own in zip(self.models, self.shares, features.split(), strict=True):
            rows = [self.needs.offsets.index(o) for o in model.needs.offsets]  # type: ignore[union-attr]
            make: Any = getattr(own, "_make", tuple)
            output: Any = model.fuse(make([f[:, rows] for f in own]))  # type: ignore[operator]
            maps = share * self.codec.probability(output.heatmaps.float())
            mean = maps if mean is None else mean + maps
        assert mean is not None
        return HeatmapOutput(mean if self.codec.activation == "gaussian" else mean.log())

    def criterion(self) -> Criterion:
        """There is none: networks are trained one by one.

        Raises:
            UsageError: always.
        """
        raise UsageError("Fused models are not trained together; train each by itself.")


def _difference(one: Any, other: Any) -> str:
    """What two codecs disagree in; empty if their maps can be averaged."""
    if not (isinstance(one, HeatmapCodec) and isinstance(other, HeatmapCodec)):
        return "kind: only heatmaps can be averaged"
    if one.skeleton.joints != other.skeleton.joints:
        return f"joints ({one.skeleton.name}, {other.skeleton.name})"
    for name in ("crop_size", "stride", "activation", "align"):
        first, second = getattr(one, name), getattr(other, name)
        if first != second:
            return f"{name} ({first}, {second})"
    return ""

"""A pose model small enough to be trained in a test, by the same contract as the real ones."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from chronopose.codecs.heatmap import HeatmapCodec
from chronopose.core.skeletons import get_skeleton
from chronopose.losses.heatmap import HeatmapCriterion
from chronopose.models._base import Criterion, Features, Needs, PoseModel
from chronopose.tensors import HeatmapOutput


@dataclass(frozen=True, kw_only=True)
class SmallConfig:
    """Size of the small model."""

    width: int = 8
    frames: int = 1
    crop_size: tuple[int, int] = (32, 32)


class Small(PoseModel):
    """Two strided convolutions with batch norm, dropout, and a 1×1 head; mean over frames."""

    PRESETS = {"small": SmallConfig()}  # noqa: RUF012

    def __init__(self, config: SmallConfig) -> None:
        super().__init__()
        self.config = config
        self.codec = HeatmapCodec(
            get_skeleton("lsp14"), config.crop_size, activation="softmax", decoder="expectation"
        )
        half = config.frames // 2
        self.needs = Needs(offsets=tuple(range(-half, half + 1)), crop_size=config.crop_size)
        self.body = nn.Sequential(
            nn.Conv2d(3, config.width, 3, 2, 1), nn.BatchNorm2d(config.width), nn.ReLU(),
            nn.Conv2d(config.width, config.width, 3, 2, 1), nn.ReLU(), nn.Dropout(0.1),
        )  # fmt: skip
        self.head = nn.Conv2d(config.width, 14, 1)

    def encode(self, frames: Tensor) -> Features:
        """Feature at stride 4."""
        return (self.body(frames),)

    def fuse(self, features: Features) -> HeatmapOutput:
        """Mean over the window."""
        return HeatmapOutput(self.head(features[0].mean(1)))

    def criterion(self) -> Criterion:
        """As the single-frame networks have it."""
        return HeatmapCriterion(self.codec)


@pytest.fixture
def make_small():
    """Builds the small model with weights that follow from the seed."""

    def make(seed: int = 0, frames: int = 1) -> Small:
        torch.manual_seed(seed)
        return Small(SmallConfig(frames=frames))

    return make

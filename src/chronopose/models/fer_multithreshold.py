"""Multi-threshold deep metric learning: one embedding, a triplet threshold for each slice of it.

Paper     Yang et al., "Multi-threshold Deep Metric Learning for Facial Expression Recognition",
          Pattern Recognition 156:110711, 2024.
Reads     faces        float  B 3 H W   upright pictures of one face each, normalised RGB
Returns   FaceOutput   float  B C logits and B E embedding
Idea      1. A backbone and one linear layer give an embedding of E numbers.
          2. It is cut into N slices; each has its own threshold of a range, so no single
             threshold has to be searched for.
          3. Triplets are mined by Batch Hard; a dual triplet loss judges a triplet from its
             anchor and from its positive, for the usual one may not converge.
          4. The slices side by side are the feature that the expression is read from.
Differs   The paper's formulas are not known to us beyond its abstract; loss, width and range are
          choices: Euclidean distances of slices that are each brought to length 1, thresholds at
          equal steps over [0.1, 0.8], cross-entropy of a linear layer beside the triplet loss.
          Preset ``lite`` is ours: 48-pixel faces and a network of half a million parameters.
Written   from the abstract and our own notes (spec); no code was read, none is known.
Checked   tests/unit/models/test_fer_multithreshold.py, tests/unit/losses/test_triplet.py and every
          test in tests/contracts/test_face_models.py.

Axes: B face, C class, E embedding, N slice, W width of a slice, H row, W column.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chronopose.codecs.faces import FaceCodec
from chronopose.errors import UsageError
from chronopose.losses.triplet import (
    Distance,
    LossKind,
    Mining,
    batch_hard,
    cut_slices,
    spread_thresholds,
    triplet_loss,
)
from chronopose.models._face import FaceCriterion, FaceModel
from chronopose.nn.residual import BasicBlock, conv_bn_relu
from chronopose.tensors.faces import FaceOutput

EXPRESSIONS = ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise")
"""No expression and the six basic ones."""
LITE_GRID = 3
"""The lite network keeps that many rows and columns of its last map."""


@dataclass(frozen=True, kw_only=True)
class FerMultithresholdConfig:
    """What the network is built from, and how its criterion judges."""

    classes: tuple[str, ...] = EXPRESSIONS
    """Names of the expressions, in the order of the logits."""
    crop_size: tuple[int, int] = (224, 224)
    """Width and height of the picture, pixels."""
    backbone: Literal["resnet18", "resnet50", "lite"] = "resnet18"
    widths: tuple[int, int, int] = (32, 48, 96)
    """Channels of the lite network at strides 2, 4 and 8."""
    pretrained: bool = False
    """Start the ResNet from ImageNet weights, fetched by timm."""
    embedding: int = 256
    """Numbers E of the embedding, a multiple of ``slices``; 16 and more a slice do best."""
    slices: int = 8
    """Number N of slices."""
    thresholds: tuple[float, float] = (0.1, 0.8)
    """The lowest and the highest threshold; those between are at equal steps. A single slice has
    the middle of both, so (0.4, 0.4) is plain metric learning with threshold 0.4."""
    normalise: bool = True
    """Bring each slice to length 1, so that its distances are at most 2."""
    distance: Distance = "euclidean"
    """``squared`` can collapse: all faces in one point."""
    loss: LossKind = "dual"
    """``plain`` is the usual triplet loss."""
    mining: Mining = "slice"
    """``slice``: each slice mines for itself; ``shared``: all by the whole embedding."""
    head: Literal["joint", "frozen"] = "joint"
    """``frozen``: the cross-entropy trains the last layer only, the metric all before it."""
    metric_weight: float = 1.0
    """Weight of the triplet loss; 0 is plain classification."""
    class_weight: float = 1.0
    """Weight of the cross-entropy."""

    def __post_init__(self) -> None:
        if self.slices < 1 or self.embedding < 1 or self.embedding % self.slices:
            raise UsageError(
                f"An embedding of {self.embedding} numbers cannot be cut into {self.slices} equal "
                f"slices. Choose a multiple of the number of slices, at least 16 times as large."
            )
        low, high = self.thresholds
        spread_thresholds(low, high, self.slices)
        reach = (4.0 if self.distance == "squared" else 2.0) if self.normalise else float("inf")
        if high >= reach:
            raise UsageError(
                f"Slices of length 1 are at most {reach:g} apart ({self.distance}), so a threshold "
                f"of {high} cannot be met. Use thresholds below it, or normalise=False."
            )
        if min(self.crop_size) < 16:
            raise UsageError(f"A face needs at least 16×16 pixels; got {self.crop_size}.")
        if min(self.metric_weight, self.class_weight) < 0:
            raise UsageError(
                f"Weights of losses are not negative; got metric_weight {self.metric_weight} and "
                f"class_weight {self.class_weight}."
            )


_RESNET18 = FerMultithresholdConfig()
PRESETS = {
    "resnet18": _RESNET18,
    "resnet18_slices_4": replace(_RESNET18, slices=4),
    "resnet18_slices_16": replace(_RESNET18, slices=16),
    "resnet50": replace(_RESNET18, backbone="resnet50"),
    "lite": replace(_RESNET18, backbone="lite", crop_size=(48, 48)),
}


class LiteFaceNet(nn.Module):
    """A small residual network for faces of 48 to 64 pixels.

    The last map, at stride 8, is averaged over three rows and three columns, so that brows stay
    above eyes and eyes above the mouth.

    Args:
        widths: Channels at strides 2, 4 and 8.
    """

    def __init__(self, widths: tuple[int, int, int]) -> None:
        super().__init__()
        fine, middle, coarse = widths
        self.body = nn.Sequential(
            conv_bn_relu(3, fine, stride=2),
            conv_bn_relu(fine, middle, stride=2),
            BasicBlock(middle, middle, project=False),
            conv_bn_relu(middle, coarse, stride=2),
            BasicBlock(coarse, coarse, project=False),
            nn.AdaptiveAvgPool2d(LITE_GRID),
            nn.Flatten(),
        )
        self.num_features = coarse * LITE_GRID**2

    def forward(self, faces: Tensor) -> Tensor:
        """``(B, 3, H, W) -> (B, num_features)``."""
        features: Tensor = self.body(faces)
        return features


class FerMultithreshold(FaceModel):
    """Expressions from an embedding whose slices were trained at different thresholds.

    Args:
        config: See :class:`FerMultithresholdConfig`.
    """

    PRESETS: ClassVar[Mapping[str, FerMultithresholdConfig]] = PRESETS

    def __init__(self, config: FerMultithresholdConfig) -> None:
        super().__init__()
        self.config = config
        self.codec = FaceCodec(config.classes, config.crop_size)
        backbone: Any = (
            LiteFaceNet(config.widths)
            if config.backbone == "lite"
            else timm.create_model(config.backbone, pretrained=config.pretrained, num_classes=0)
        )
        self.backbone = backbone
        self.embed_layer = nn.Linear(backbone.num_features, config.embedding)
        self.head = nn.Linear(config.embedding, len(config.classes))
        if config.normalise:
            self.head_scale = (config.embedding / config.slices) ** 0.5

    def embed(self, faces: Tensor) -> Tensor:
        """``(B, 3, H, W) -> (B, E)``: the slices one after the other, each of length 1."""
        config = self.config
        flat: Tensor = self.embed_layer(self.backbone(faces))
        return cut_slices(flat, config.slices, normalise=config.normalise).flatten(1)

    def forward(self, faces: Tensor) -> FaceOutput:
        """``(B, 3, H, W)`` normalised RGB -> logits ``(B, C)`` and embedding ``(B, E)``."""
        embedding = self.embed(faces)
        read = embedding.detach() if self.config.head == "frozen" else embedding
        return FaceOutput(self.head(self.head_scale * read), embedding)

    def thresholds(self) -> Tensor:
        """``(N,)`` threshold of each slice."""
        return torch.tensor(_thresholds(self.config))

    def criterion(self) -> FaceCriterion:
        """Cross-entropy and multi-threshold triplet loss."""
        return MultiThresholdCriterion(self.config)

    def weights_of_terms(self) -> dict[str, float]:
        """Weight of each term."""
        config = self.config
        return {"cross_entropy": config.class_weight, "triplet": config.metric_weight}


def _thresholds(config: FerMultithresholdConfig) -> tuple[float, ...]:
    low, high = config.thresholds
    return spread_thresholds(low, high, config.slices)


class MultiThresholdCriterion:
    """Terms ``cross_entropy`` and ``triplet``, the mean over slices, each at its own threshold.

    Args:
        config: Of the network.
    """

    def __init__(self, config: FerMultithresholdConfig) -> None:
        self._config = config
        self._thresholds = _thresholds(config)

    def __call__(
        self, output: FaceOutput, labels: Tensor, persons: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Judge a batch.

        Args:
            output: Of the network.
            labels: ``(B,)`` class numbers.
            persons: ``(B,)`` numbers of persons for identity-aware mining; see
                :func:`~chronopose.losses.triplet.batch_hard`.
        """
        config = self._config
        slices = output.embedding.float().unflatten(-1, (config.slices, -1))
        mined = batch_hard(slices, labels, mining=config.mining, persons=persons)
        thresholds = slices.new_tensor(self._thresholds)
        each = triplet_loss(slices, mined, thresholds, kind=config.loss, distance=config.distance)
        return {
            "cross_entropy": F.cross_entropy(output.logits.float(), labels),
            "triplet": each.mean(),
        }

"""SimpleBaseline: a ResNet, a way back up, a 1×1 layer; the single-frame yardstick.

Paper     Xiao, Wu, Wei, "Simple Baselines for Human Pose Estimation and Tracking", ECCV 2018.
Reads     ClipBatch.frames   float  B 1 3 H W   crops of one person
Returns   HeatmapOutput      float  B K H/4 W/4
Idea      Features at stride 32, three transposed convolutions up to stride 4, a 1×1 layer.
Differs   Preset ``lite`` is ours: a narrow ResNet-18 with a top-down pyramid for CPUs, trained
          with the cross-entropy over cells. While training, the same 1×1 layer also reads the
          pyramid at strides 8 and 16 (deep supervision). It is the single-frame twin of
          tdmi:lite and shares its backbone.
Written   from the paper and from facts of the MIT release; the ResNets are timm's.
Checked   tests/parity/test_single_frame_parity.py: r50 equal to the published network in float64.

Axes: B clip, T frame (one), C channel, h w cells, K joint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from torch import Tensor, nn

from chronopose.codecs.heatmap import HeatmapCodec
from chronopose.core.skeletons import get_skeleton
from chronopose.errors import ShapeError, UsageError
from chronopose.losses.heatmap import HeatmapCriterion
from chronopose.models._base import Criterion, Features, Needs, PoseModel
from chronopose.nn.backbones import LiteBackbone, build_backbone
from chronopose.nn.residual import init_head
from chronopose.tensors import HeatmapOutput

SIDE_WEIGHTS = {"side_8": 0.3, "side_16": 0.2}
"""Weights of the deep-supervision terms."""


@dataclass(frozen=True, kw_only=True)
class SimpleBaselineConfig:
    """What SimpleBaseline is built from."""

    backbone: str = "resnet50"
    """``resnet50``, ``resnet101``, ``resnet152`` or ``lite``."""
    skeleton: str = "coco17"
    """Registry name of the joints K."""
    crop_size: tuple[int, int] = (192, 256)
    """Width and height, pixels, multiples of 32."""
    sigma: float | None = None
    """Spread of the target, cells; None: 3 for crops at least 288 wide, else 2."""
    activation: Literal["gaussian", "softmax"] = "gaussian"
    decoder: Literal["quarter", "dark", "expectation"] = "quarter"
    align: Literal["centre", "corner"] = "centre"
    """``corner`` for published weights, which were trained under that law."""
    rounded: bool = False
    pretrained: bool = False
    """Start the ResNet from ImageNet weights, fetched by timm."""
    side_outputs: bool = False
    """Also give maps of the pyramid's strides 8 and 16 while training; needs ``lite``."""

    def __post_init__(self) -> None:
        if self.side_outputs and self.backbone != "lite":
            raise UsageError(
                f"side_outputs needs the pyramid of the lite backbone; {self.backbone} has none. "
                f"Set side_outputs=False."
            )

    def build_codec(self) -> HeatmapCodec:
        """The codec of these settings."""
        sigma = self.sigma if self.sigma is not None else 3.0 if self.crop_size[0] >= 288 else 2.0
        return HeatmapCodec(
            get_skeleton(self.skeleton), self.crop_size, sigma=sigma, activation=self.activation,
            decoder=self.decoder, align=self.align, rounded=self.rounded,
        )  # fmt: skip


R50 = SimpleBaselineConfig()
PRESETS = {
    "r50": R50,
    "r101": replace(R50, backbone="resnet101"),
    "r152": replace(R50, backbone="resnet152"),
    "r50_384": replace(R50, crop_size=(288, 384)),
    "r152_384": replace(R50, backbone="resnet152", crop_size=(288, 384)),
    "lite": SimpleBaselineConfig(
        backbone="lite", skeleton="lsp14", crop_size=(192, 256), activation="softmax",
        decoder="expectation", side_outputs=True,
    ),
}  # fmt: skip


class SimpleBaseline(PoseModel):
    """Backbone at stride 4 and a 1×1 ``head``."""

    PRESETS: ClassVar[Mapping[str, SimpleBaselineConfig]] = PRESETS

    codec: HeatmapCodec

    def __init__(self, config: SimpleBaselineConfig) -> None:
        super().__init__()
        self.config = config
        self.codec = config.build_codec()
        self.needs = Needs(offsets=(0,), crop_size=config.crop_size)
        self.backbone = build_backbone(config.backbone, config.pretrained)
        self.head = nn.Conv2d(self.backbone.out_channels, len(self.codec.skeleton), 1)
        init_head(self.head)

    def encode(self, frames: Tensor) -> Features:
        """``(N, 3, H, W)`` -> feature at stride 4; while training ``lite`` also strides 8, 16."""
        if self.training and self.config.side_outputs:
            assert isinstance(self.backbone, LiteBackbone)
            return self.backbone.pyramid(frames)[1][:3]
        return (self.backbone(frames),)

    def fuse(self, features: Features) -> HeatmapOutput:
        """Features of one frame ``(B, 1, C, h, w)`` -> heatmaps.

        Raises:
            ShapeError: the window has more than one frame.
        """
        if features[0].shape[1] != 1:
            raise ShapeError(
                f"SimpleBaseline looks at one frame at a time; got {features[0].shape[1]}."
            )
        maps = [self.head(feature[:, 0]) for feature in features]
        return HeatmapOutput(maps[0], tuple(maps[1:]))

    def criterion(self) -> Criterion:
        """Squared error with the factor 1/2, or the cross-entropy over cells; and side terms."""
        return HeatmapCriterion(self.codec, half=True)

    def weights_of_terms(self) -> dict[str, float]:
        """Coarser maps count less."""
        return dict(SIDE_WEIGHTS) if self.config.side_outputs else {}

    @staticmethod
    def from_official_keys(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """State dict of the published SimpleBaseline -> ours."""
        ours = {}
        for key, value in state.items():
            part, _, rest = key.removeprefix("module.").partition(".")
            home = {"final_layer": "head", "deconv_layers": "backbone.deconv_layers"}
            ours[f"{home.get(part, f'backbone.body.{part}')}.{rest}"] = value
        return ours

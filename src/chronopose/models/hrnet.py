"""HRNet: the single-frame network that keeps a high-resolution branch throughout.

Paper     Sun, Xiao, Liu, Wang, "Deep High-Resolution Representation Learning for Human Pose
          Estimation", CVPR 2019.
Reads     ClipBatch.frames   float  B 1 3 H W   crops of one person
Returns   HeatmapOutput      float  B K H/4 W/4
Idea      Four stages of parallel branches that keep exchanging what they see; a 1×1 layer on the
          finest branch gives the heatmaps.
Differs   Nothing in the function. Convolutions start from timm's initialisation.
Written   from the paper and from facts of the MIT release; the blocks are timm's.
Checked   tests/parity/test_single_frame_parity.py: equal to the published network in float64.

Axes: B clip, T frame (one), C channel, h w cells, K joint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from torch import Tensor

from chronopose.codecs.heatmap import HeatmapCodec
from chronopose.core.skeletons import get_skeleton
from chronopose.errors import ShapeError
from chronopose.losses.heatmap import HeatmapCriterion
from chronopose.models._base import Criterion, Features, Needs, PoseModel
from chronopose.nn.backbones import PoseHRNet
from chronopose.tensors import HeatmapOutput


@dataclass(frozen=True, kw_only=True)
class HRNetConfig:
    """What HRNet is built from."""

    backbone: Literal["hrnet_w32", "hrnet_w48", "hrnet_w18_small_v2"] = "hrnet_w48"
    skeleton: str = "coco17"
    """Registry name of the joints K."""
    crop_size: tuple[int, int] = (288, 384)
    """Width and height, pixels, multiples of 32."""
    sigma: float | None = None
    """Spread of the target, cells; None: 3 for crops at least 288 wide, else 2."""
    activation: Literal["gaussian", "softmax"] = "gaussian"
    decoder: Literal["quarter", "dark", "expectation"] = "quarter"
    align: Literal["centre", "corner"] = "centre"
    """``corner`` for published weights, which were trained under that law."""
    rounded: bool = False
    pretrained: bool = False
    """Start the backbone from ImageNet weights, fetched by timm."""

    def build_codec(self) -> HeatmapCodec:
        """The codec of these settings."""
        sigma = self.sigma if self.sigma is not None else 3.0 if self.crop_size[0] >= 288 else 2.0
        return HeatmapCodec(
            get_skeleton(self.skeleton), self.crop_size, sigma=sigma, activation=self.activation,
            decoder=self.decoder, align=self.align, rounded=self.rounded,
        )  # fmt: skip


W48 = HRNetConfig()
PRESETS = {
    "w32": replace(W48, backbone="hrnet_w32", crop_size=(192, 256)),
    "w48": W48,
    "w32_384": replace(W48, backbone="hrnet_w32"),
    "w48_256": replace(W48, crop_size=(192, 256)),
    "lite": replace(
        W48, backbone="hrnet_w18_small_v2", skeleton="lsp14", crop_size=(160, 192),
        activation="softmax", decoder="expectation",
    ),
}  # fmt: skip


class HRNetPose(PoseModel):
    """HRNet with its 1×1 heatmap layer, ``backbone.final_layer``."""

    PRESETS: ClassVar[Mapping[str, HRNetConfig]] = PRESETS

    codec: HeatmapCodec

    def __init__(self, config: HRNetConfig) -> None:
        super().__init__()
        self.config = config
        self.codec = config.build_codec()
        self.needs = Needs(offsets=(0,), crop_size=config.crop_size)
        self.backbone = PoseHRNet(
            config.backbone, pretrained=config.pretrained, num_joints=len(self.codec.skeleton)
        )

    def encode(self, frames: Tensor) -> Features:
        """``(N, 3, H, W)`` -> the last stage ``(N, C, H/4, W/4)``."""
        return (self.backbone(frames),)

    def fuse(self, features: Features) -> HeatmapOutput:
        """The last stage of one frame ``(B, 1, C, h, w)`` -> heatmaps.

        Raises:
            ShapeError: the window has more than one frame.
        """
        (feature,) = features
        if feature.shape[1] != 1:
            raise ShapeError(f"HRNet looks at one frame at a time; got {feature.shape[1]}.")
        return HeatmapOutput(self.backbone.final_layer(feature[:, 0]))

    def criterion(self) -> Criterion:
        """Squared error with the factor 1/2, or the cross-entropy over cells."""
        return HeatmapCriterion(self.codec, half=True)

    @staticmethod
    def from_official_keys(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """State dict of the published pose HRNet -> ours: the same names below ``backbone.``."""
        return {f"backbone.{key.removeprefix('module.')}": value for key, value in state.items()}

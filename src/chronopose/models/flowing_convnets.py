"""Flowing ConvNets: heatmaps of many frames, brought to the key frame by optical flow and pooled.

Paper     Pfister, Charles, Zisserman, "Flowing ConvNets for Human Pose Estimation in Videos",
          ICCV 2015.
Reads     ClipBatch.frames   float  B T 3 H W   one person, crops aligned to the key frame
Returns   HeatmapOutput      float  B K H/4 W/4
Idea      1. SpatialNet gives heatmaps of every frame at stride 4 (conv1-8, Loss 1).
          2. Spatial fusion: layers on conv3 and conv7 learn which joints go together (conv1_f-5_f,
             Loss 2).
          3. Dense flow brings the neighbours' heatmaps to the key frame.
          4. One learned weight for each joint and frame joins them; or their mean, or maximum.
Differs   Any odd T; the paper goes up to 31. Losses leave out unlabelled joints. The layout of
          CoordinateNet, which gives places and no maps that could flow, is ours.
          Where a clip ends, the repeated frames (equal to their neighbour to the bit) get no
          weight and the others are scaled up, so that no frame counts twice.
          The lite presets are ours: steps 2-4 on top of a frozen single-frame twin, the fusion
          layers narrow, added to the twin's maps and starting at zero, the pooling starting at the
          key frame: an untrained lite model equals its single-frame twin.
          Logits (``activation="softmax"``) are pooled as evidence: the log of how much more
          likely a cell is than under a uniform map. Zero means no opinion, and is what comes in
          from outside a warped map; a weighted sum multiplies the frames' probabilities.
Written   from the paper's abstract, introduction and Section 5 and from facts of the BSD release
          (layers, target, gradient); Sections 3-4 could not be read.
Checked   tests/unit/models/test_flowing_convnets.py and every test in tests/contracts/.

Axes: B clip, T frame, N frames of all clips, C channel, h w cells, K joint.
"""

from __future__ import annotations

import math
from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chronopose.codecs.heatmap import HeatmapCodec
from chronopose.codecs.regression import RegressionCodec
from chronopose.codecs.upsampled import UpsampledHeatmapCodec
from chronopose.core.skeletons import get_skeleton
from chronopose.errors import ShapeError, UsageError
from chronopose.losses.flowing import PlaceCriterion, ReleasedCriterion
from chronopose.losses.heatmap import HeatmapCriterion
from chronopose.models._base import Criterion, Features, Needs
from chronopose.models._spatial_net import CoordinateNet, FusionConfig, FusionLayers, SpatialNet
from chronopose.models._twin import TwinModel
from chronopose.nn.flow import CropFlows, FlowMethod
from chronopose.nn.pool import ParametricPool, present_frames
from chronopose.nn.residual import init_head
from chronopose.nn.warp import warp_by_flow
from chronopose.tensors import HeatmapOutput, Output, RegressionOutput

OWN = "spatialnet"
"""The paper's own network, as a backbone."""
Pooling = Literal["parametric", "sum", "max"]


@dataclass(frozen=True, kw_only=True)
class FlowingConfig:
    """What Flowing ConvNets are built from; the paper's axes of comparison are settings."""

    backbone: str = OWN
    """``spatialnet``, or a name that :func:`~chronopose.nn.backbones.build_backbone` knows."""
    variant: Literal["coordinate", "spatial", "fusion"] = "fusion"
    """CoordinateNet; SpatialNet; SpatialNet with the spatial fusion layers."""
    fusion: FusionConfig = field(default_factory=FusionConfig)
    flow: FlowMethod | Literal["off"] = "dis"
    """Which flow aligns the neighbours' maps; ``off`` pools them where they are."""
    flow_weights: str | None = None
    """Of RAFT; see :class:`~chronopose.nn.flow.FlowEstimator`."""
    pooling: Pooling = "parametric"
    pool_bias: bool = False
    num_frames: int = 31
    """Frames of a window, key frame in the middle. Odd; 1 is the single-frame network."""
    skeleton: str = "upper7"
    crop_size: tuple[int, int] = (256, 256)
    """Width and height, pixels, multiples of 4 (``spatialnet``) or 32."""
    sigma: float | None = 1.5
    """Spread of the target, cells; None: 3 for crops at least 288 wide, else 2."""
    activation: Literal["gaussian", "softmax"] = "gaussian"
    decoder: Literal["upsampled", "quarter", "dark", "expectation"] = "upsampled"
    """``upsampled``: the highest pixel of the map enlarged to the crop, as the paper decodes."""
    align: Literal["centre", "corner"] = "centre"
    rounded: bool = False
    loss_mode: Literal["released", "intended"] = "released"
    """Weights of Loss 1 and Loss 2: equal, as the release's gradients are, or 1 and 3."""
    loss_scale: Literal["sum", "mean"] = "mean"
    """``sum``: the gradient is prediction less target, as released, made for a rate of 1e-8;
    ``mean`` over B, K, h, w does the same at a rate of 4e-3 for batches of 14 and 7 joints."""
    residual_head: bool = False
    """Add the fusion's result, starting at zero, to the single-frame maps; pooling starts at the
    key frame."""
    freeze_backbone: bool = True
    """Train the pooling (and the fusion on a foreign backbone) alone; the paper's second stage."""
    bn_eval: bool = True
    """A frozen backbone keeps its batch-norm statistics while training."""
    pretrained: bool = False
    """Start the backbone from ImageNet weights, fetched by timm; ``spatialnet`` has none."""

    def __post_init__(self) -> None:
        if self.num_frames < 1 or self.num_frames % 2 == 0:
            raise UsageError(
                f"num_frames must be odd so that the key frame lies in the middle; got "
                f"{self.num_frames}. The paper uses up to 31; 1 looks at the key frame alone."
            )
        if self.backbone == OWN and (self.activation != "gaussian" or self.pretrained):
            raise UsageError(
                "spatialnet is trained with a squared error from random weights; got "
                f"activation={self.activation!r}, pretrained={self.pretrained}. Use "
                f"activation='gaussian' and pretrained=False, or another backbone."
            )
        if self.variant == "coordinate" and (self.backbone != OWN or self.num_frames > 1):
            raise UsageError(
                f"CoordinateNet is a network of its own and gives no maps that could be pooled; "
                f"got backbone={self.backbone!r}, num_frames={self.num_frames}. Use spatialnet "
                f"and 1, or variant='spatial'."
            )

    def build_codec(self) -> HeatmapCodec | RegressionCodec:
        """The codec of these settings."""
        skeleton = get_skeleton(self.skeleton)
        if self.variant == "coordinate":
            return RegressionCodec(skeleton, self.crop_size, self.align)
        sigma = self.sigma if self.sigma is not None else 3.0 if self.crop_size[0] >= 288 else 2.0
        settings: dict[str, Any] = {
            "sigma": sigma, "activation": self.activation, "align": self.align,
            "rounded": self.rounded,
        }  # fmt: skip
        if self.decoder == "upsampled":
            return UpsampledHeatmapCodec(skeleton, self.crop_size, **settings)
        return HeatmapCodec(skeleton, self.crop_size, decoder=self.decoder, **settings)


FLOWING = FlowingConfig()
SINGLE = replace(FLOWING, num_frames=1, flow="off", freeze_backbone=False)
LITE = FlowingConfig(
    backbone="lite", skeleton="lsp14", crop_size=(192, 256), sigma=None, activation="softmax",
    decoder="expectation", num_frames=5, residual_head=True,
    fusion=FusionConfig(reduce=16, widths=(16, 16, 32, 64)),
)  # fmt: skip
PRESETS = {
    "flowing": FLOWING,
    "coordinate": replace(SINGLE, variant="coordinate"),
    "spatial": replace(SINGLE, variant="spatial"),
    "fusion": SINGLE,
    "spatial_flow": replace(FLOWING, variant="spatial"),
    "fusion_noflow": replace(FLOWING, flow="off"),
    "flowing_sum": replace(FLOWING, pooling="sum"),
    "flowing_max": replace(FLOWING, pooling="max"),
    "lite": LITE,
    "lite_noflow": replace(LITE, flow="off"),
}


class FlowingConvNets(TwinModel):
    """CoordinateNet, SpatialNet, SpatialNet Fusion, and the latter two with flow and pooling."""

    PRESETS: ClassVar[Mapping[str, FlowingConfig]] = PRESETS
    codec: Any

    def __init__(self, config: FlowingConfig) -> None:
        super().__init__()
        self.config = config
        self.codec = config.build_codec()
        half = config.num_frames // 2
        self.needs = Needs(offsets=tuple(range(-half, half + 1)), crop_size=config.crop_size)
        joints = len(self.codec.skeleton)
        self._own = config.backbone == OWN
        if config.variant == "coordinate":
            self.net = CoordinateNet(joints, config.crop_size)
            return
        fusion = config.fusion if config.variant == "fusion" else None
        if self._own:
            self.backbone = SpatialNet(joints, fusion)
        else:
            self.add_twin(config, joints)
            if fusion is not None:
                first, _, _, last = self.backbone.channels
                self.fusion = FusionLayers(first, last, fusion)
                self.head = nn.Conv2d(self.fusion.out_channels, joints, 1)
                init_head(self.head, std=0.0 if config.residual_head else 0.001)
        if config.num_frames > 1:
            self._add_pooling(joints)
        if config.freeze_backbone or not self._own:
            self.freeze_twin()

    def _add_pooling(self, joints: int) -> None:
        config = self.config
        if config.flow != "off":
            self.flow: nn.Module = CropFlows(config.flow, weights=config.flow_weights)
        if config.pooling == "parametric":
            centre = 1.0 if config.residual_head else 0.5
            self.pool = ParametricPool(
                joints, config.num_frames, centre=centre, bias=config.pool_bias
            )

    def train(self, mode: bool = True) -> FlowingConvNets:
        """Training or eval mode; see :class:`~chronopose.models._twin.TwinModel`."""
        if self.config.variant == "coordinate":
            nn.Module.train(self, mode)
        else:
            super().train(mode)
        return self

    @property
    def side_terms(self) -> tuple[str, ...]:
        """Names of the maps that the output's ``side`` holds while training."""
        names = []
        trained = not self.config.freeze_backbone
        fusion = self.config.variant == "fusion"
        if self.config.num_frames > 1 and (trained or (fusion and not self._own)):
            names.append("frame")
        if self._own and trained and fusion:
            names.append("spatial")
        return tuple(names)

    def encode(self, frames: Tensor) -> Features:
        """Heatmaps of single frames.

        Returns:
            NamedTuple of ``maps`` ``(N, K, h, w)``; with neighbours also ``image``, the frames as
            they came; while conv8 is trained also its maps, ``spatial``. Of CoordinateNet
            ``places`` ``(N, K, 2)``, shares of the crop.
        """
        if self.config.variant == "coordinate":
            return _named(("places",))([self.net(frames)])
        if self._own:
            conv7, last = self.stages_of(frames, (2, 4))
            parts = {"maps": self.single_frame_head(last)}
        else:
            parts = {"maps": self._twin_maps(frames)}
        if self.config.num_frames > 1:
            parts["image"] = frames
        if self.training and "spatial" in self.side_terms:
            assert isinstance(self.backbone, SpatialNet)
            parts["spatial"] = F.relu(self.backbone.conv8(conv7))
        return _named(tuple(parts))(parts.values())

    def _twin_maps(self, frames: Tensor) -> Tensor:
        if self.config.variant == "spatial":
            return self.single_frame_head(*self.stages_of(frames))
        shallow, deep = self.stages_of(frames, (1, 4))
        added = self.head(self.fusion(shallow, deep))
        return added + self.single_frame_head(deep) if self.config.residual_head else added

    def fuse(self, features: Features) -> Output:
        """Warp and pool the maps of a window ``(B, T, K, h, w)``.

        CoordinateNet's places, which come with no doubt, get spread 0 and therefore score 1.

        Raises:
            ShapeError: the window has another number of frames.
        """
        maps, key = features[0], self.needs.key
        if maps.shape[1] != self.config.num_frames:
            raise ShapeError(
                f"These Flowing ConvNets read windows of {self.config.num_frames} frames; got "
                f"{maps.shape[1]}. Repeat frames at the ends of a video."
            )
        if self.config.variant == "coordinate":
            return RegressionOutput(maps[:, 0], torch.zeros_like(maps[:, 0]))
        pooled = maps[:, 0] if maps.shape[1] == 1 else self._pool(maps, features[1])
        if not self.training:
            return HeatmapOutput(pooled)
        found = {"frame": maps[:, key], "spatial": features[-1][:, key]}
        return HeatmapOutput(pooled, tuple(found[name] for name in self.side_terms))

    def _pool(self, maps: Tensor, images: Tensor) -> Tensor:
        key, count = self.needs.key, maps.shape[1]
        level = None
        if self.codec.activation == "softmax":
            level = maps.flatten(3).logsumexp(-1) - math.log(maps.shape[-2] * maps.shape[-1])
            maps = maps - level[..., None, None]
        if self.config.flow != "off":
            others = [t for t in range(count) if t != key]
            flow = self.flow(images, key).flatten(0, 1)
            moved = warp_by_flow(maps[:, others].flatten(0, 1), flow)
            moved = moved.unflatten(0, (len(maps), count - 1))
            maps = torch.cat([moved[:, :key], maps[:, key : key + 1], moved[:, key:]], dim=1)
        present = present_frames(images, key)
        if self.config.pooling == "parametric":
            pooled = self.pool(maps, present)
        elif self.config.pooling == "sum":
            weight = present.to(maps.dtype) / present.sum(1, keepdim=True)
            pooled = torch.einsum("btkhw,bt->bkhw", maps, weight)
        else:
            absent = ~present[:, :, None, None, None]
            pooled = maps.masked_fill(absent, -math.inf).amax(1)
        # Softmax does not see this constant; with it an untrained model gives its twin's maps.
        return pooled if level is None else pooled + level[:, key, :, None, None]

    def criterion(self) -> Criterion:
        """Squared errors on the pooled maps, on conv5_f and conv8; or the twin's kind of loss."""
        scale = self.config.loss_scale
        if self.config.variant == "coordinate":
            return PlaceCriterion(self.codec, scale)
        if self._own:
            return ReleasedCriterion(self.codec, self.side_terms, scale)
        return HeatmapCriterion(self.codec)

    def weights_of_terms(self) -> dict[str, float]:
        """As released, all 1; as intended, 1 for conv8 and 3 for what comes after it."""
        if not self._own or self.config.loss_mode == "released":
            return {}
        return {"heatmap": 3.0, "frame": 3.0, "spatial": 1.0}


@cache
def _named(fields: tuple[str, ...]) -> Callable[[Iterable[Tensor]], Features]:
    """Maker of NamedTuples; what is kept of a frame depends on the settings."""
    kind: Any = namedtuple("FrameMaps", fields)  # type: ignore[misc]
    return kind._make

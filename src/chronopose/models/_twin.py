"""Models that stand on a single-frame network: their twin, which is trained first and then frozen.

The twin is a backbone and a 1×1 layer that reads heatmaps off its last stage: ``hrnet`` for HRNets,
``simple_baseline`` for the others. What such a model adds sees features only, so a backbone that
gives out kept features in place of computed ones (the feature bank of the arena) changes nothing
else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from chronopose.codecs.heatmap import HeatmapCodec
from chronopose.core.skeletons import get_skeleton
from chronopose.errors import UsageError, WeightsError
from chronopose.models._base import PoseModel
from chronopose.nn.backbones import Backbone, PoseHRNet, build_backbone
from chronopose.nn.residual import init_head


class TwinFields(Protocol):
    """What :meth:`TwinModel.add_twin` reads of a Config."""

    @property
    def backbone(self) -> str:
        """A name of :data:`~chronopose.nn.backbones.BACKBONES`."""

    @property
    def freeze_backbone(self) -> bool:
        """No gradient reaches the twin."""

    @property
    def bn_eval(self) -> bool:
        """A frozen backbone keeps its batch-norm statistics while training."""

    @property
    def pretrained(self) -> bool:
        """Start the backbone from ImageNet weights, fetched by timm."""


@dataclass(frozen=True, kw_only=True)
class TwinConfig:
    """Settings that the Configs of such models share; the defaults are those of the papers."""

    backbone: str = "hrnet_w48"
    """A name of :data:`~chronopose.nn.backbones.BACKBONES`."""
    skeleton: str = "posetrack17slot"
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
    residual_head: bool = False
    """Add the head's result, starting at zero, to the single-frame heatmaps."""
    freeze_backbone: bool = True
    bn_eval: bool = True
    """A frozen backbone keeps its batch-norm statistics while training."""
    pretrained: bool = False
    """Start the backbone from ImageNet weights, fetched by timm."""

    def build_codec(self) -> HeatmapCodec:
        """The codec of these settings."""
        sigma = self.sigma if self.sigma is not None else 3.0 if self.crop_size[0] >= 288 else 2.0
        return HeatmapCodec(
            get_skeleton(self.skeleton), self.crop_size, sigma=sigma, activation=self.activation,
            decoder=self.decoder, align=self.align, rounded=self.rounded,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class WindowConfig(TwinConfig):
    """The same for models whose window has a length to choose.

    Raises:
        UsageError: ``num_frames`` is even, or below 3.
    """

    num_frames: int = 5
    """Frames of a window, key frame in the middle. Odd, at least 3."""

    def __post_init__(self) -> None:
        if self.num_frames < 3 or self.num_frames % 2 == 0:
            raise UsageError(
                f"num_frames must be odd and at least 3 so that a key frame has neighbours on "
                f"both sides; got {self.num_frames}. The paper uses 5."
            )


class TwinModel(PoseModel):
    """Base of the models on top of a single-frame network."""

    backbone: Backbone
    codec: HeatmapCodec

    def add_twin(self, config: TwinFields, joints: int, **taps: Any) -> None:
        """Build ``backbone`` and, unless an HRNet brings its own, ``visual_head``.

        Args:
            config: Of the model.
            joints: Number of heatmaps.
            **taps: ``stage1`` and ``branches`` of an HRNet.
        """
        self.backbone = build_backbone(
            config.backbone, config.pretrained, num_joints=joints, **taps
        )
        if not isinstance(self.backbone, PoseHRNet):
            self.visual_head = nn.Conv2d(self.backbone.out_channels, joints, 1)
            init_head(self.visual_head)

    def freeze_twin(self) -> None:
        """Let no gradient reach the head, nor a frozen backbone; call it when all is built."""
        self.single_frame_head.requires_grad_(False)
        self.backbone.requires_grad_(not self.config.freeze_backbone)
        self.train()

    @property
    def single_frame_head(self) -> nn.Module:
        """The 1×1 layer that reads heatmaps off the last stage of one frame; never trained here."""
        if hasattr(self, "visual_head"):
            return self.visual_head
        head = self.backbone.final_layer
        assert isinstance(head, nn.Module)
        return head

    def train(self, mode: bool = True) -> TwinModel:
        """Training or eval mode; a frozen backbone stays in eval mode unless ``bn_eval`` is off."""
        super().train(mode)
        if self.config.freeze_backbone and self.config.bn_eval:
            self.backbone.eval()
        return self

    def stages_of(self, frames: Tensor, stages: Sequence[int] = (4,)) -> tuple[Tensor, ...]:
        """Backbone features of single frames ``(N, 3, H, W)``; no gradient if it is frozen."""
        frozen = self.config.freeze_backbone
        with torch.set_grad_enabled(torch.is_grad_enabled() and not frozen):
            return self.backbone.forward_stages(frames, stages)

    def load_single_frame(self, state: Mapping[str, Tensor]) -> None:
        """Start from a trained single-frame twin: hrnet for HRNets, simple_baseline otherwise.

        Raises:
            WeightsError: the state dict is not that of the twin.
        """
        own = {k: v for k, v in self.state_dict().items() if k.startswith(("backbone.", "visual"))}
        given = {
            f"visual_{k}" if k.startswith("head.") else k: v for k, v in state.items()
        }  # fmt: skip
        wrong = [k for k in own.keys() | given.keys() if _shape(own, k) != _shape(given, k)]
        if wrong:
            raise WeightsError(
                f"These are not the weights of a single-frame twin of {self.config.backbone}: "
                f"{len(wrong)} entries are missing, too many or of another shape, e.g. "
                f"{min(wrong)}. Use weights of hrnet or simple_baseline with the same backbone "
                f"and joints."
            )
        self.load_state_dict(given, strict=False)


def _shape(state: Mapping[str, Any], key: str) -> tuple[int, ...] | None:
    return tuple(state[key].shape) if key in state else None

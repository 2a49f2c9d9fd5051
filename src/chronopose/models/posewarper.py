"""PoseWarper: heatmaps of neighbouring frames, warped to the key frame and averaged.

Paper     Bertasius, Feichtenhofer, Tran, Shi, Torresani, "Learning Temporal Pose Estimation from
          Sparsely-Labeled Videos", NeurIPS 2019.
Reads     ClipBatch.frames   float  B 5 3 H W   one person, crops aligned to the key frame
Returns   HeatmapOutput      float  B K H/4 W/4
Idea      1. Heatmaps of every frame, from a frozen single-frame network.
          2. Key frame minus frame, residual blocks: how the pose has moved.
          3. From it five sets of offsets; deformable convolutions with five dilations re-sample
             the frame's maps to the key frame's pose; their mean. The key frame goes through
             the same with a difference of zero.
          4. Weights .1 .25 .3 .25 .1 join the five frames.
          Trained where one frame is labelled: the warped map of a neighbour, drawn from all five
          positions, is compared with the labelled frame's target. The other way round the
          warper carries labels to frames without any (:meth:`PoseWarper.spread`).
Differs   Frames stand in time order; the published channel order begins with the key frame.
          ``supervise="all"`` compares the warped maps of all frames and their average at once:
          the same mean as one drawn at a time, with less noise, at five times the work.
          With ``activation="softmax"`` the twin's maps are logits, which know no zero: they are
          turned into probabilities, scaled to the peak of the target Gaussian (1), before step 2,
          so that differences, warping, averages and zeros beyond the border mean what they mean
          in the paper; what comes out goes back to logits as log(max(map, 0) + 1e-4).
          Preset ``lite`` is ours: fewer blocks, two dilations, ``supervise="all"``, and an answer
          that starts at the key frame's own logits and moves towards the average by a learned
          share a joint, zero at first: untrained it equals its single-frame twin.
Written   from the paper and from facts of the released weights (Apache-2.0) in our notes; no code
          was read. The factor 1/2 of the squared error is that of HRNet, which it continues.
Checked   tests/parity/test_posewarper_parity.py: equal to the published network in float64.

Axes: B clip, T frame, N frame of any clip, C channel, h w cells, K joint.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from chronopose.codecs.heatmap import HeatmapCodec
from chronopose.errors import ShapeError, UsageError
from chronopose.losses.heatmap import heatmap_loss
from chronopose.models._base import Needs
from chronopose.models._twin import TwinConfig, TwinModel
from chronopose.nn.deform import deform_conv2d
from chronopose.nn.residual import residual_chain
from chronopose.tensors import HeatmapOutput, Target

TAPS = 9
FLOOR = 1e-4
"""Added to a warped map before its logarithm; the target Gaussian peaks at 1."""


@dataclass(frozen=True, kw_only=True)
class PoseWarperConfig(TwinConfig):
    """What PoseWarper is built from."""

    frame_weights: tuple[float, ...] = (0.1, 0.25, 0.3, 0.25, 0.1)
    """Weight of every frame of the window, oldest first; as many as there are frames, an odd
    number, the key frame in the middle."""
    blocks: int = 20
    """Residual blocks on the difference."""
    width: int = 128
    """Channels of the difference feature."""
    dilations: tuple[int, ...] = (3, 6, 12, 18, 24)
    """Of the offset and deformable convolutions, cells."""
    supervise: Literal["drawn", "all"] = "drawn"
    """While training: one frame of each window, drawn evenly, or all and their average."""
    residual_head: bool = False
    """Start at the key frame's own maps; needs ``supervise="all"``."""

    def __post_init__(self) -> None:
        if len(self.frame_weights) % 2 == 0:
            raise UsageError(
                f"frame_weights must be an odd number of weights with the key frame's in the "
                f"middle; got {self.frame_weights}."
            )
        if self.blocks < 1 or not self.dilations or min(self.dilations) < 1:
            raise UsageError(
                f"PoseWarper needs at least one block and dilations of at least one cell; got "
                f"blocks = {self.blocks} and dilations = {self.dilations}."
            )
        if self.residual_head and self.supervise != "all":
            raise UsageError(
                "residual_head learns how far to trust the average, which is only computed in "
                "training with supervise='all'. Set that, or residual_head=False."
            )


PRESETS = {
    "hrnet_w48": PoseWarperConfig(),
    "lite": PoseWarperConfig(
        backbone="lite", skeleton="lsp14", crop_size=(192, 256), activation="softmax",
        decoder="expectation", blocks=4, width=16, dilations=(3, 6), supervise="all",
        residual_head=True,
    ),
}  # fmt: skip


class FrameMaps(NamedTuple):
    """What PoseWarper keeps of a frame."""

    heatmaps: Tensor
    """float N K h w, of the single-frame twin."""


class OffsetWarp(nn.Module):
    """One of the deformable convolutions: K maps, a deformable group each, no mask, no bias.

    Offsets start at zero and the kernel as the identity: maps come out as they go in.

    Args:
        width: Channels that offsets are predicted from.
        joints: Number of maps K.
        dilation: Of both convolutions, cells.
    """

    def __init__(self, width: int, joints: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.offset = nn.Conv2d(
            width, 2 * TAPS * joints, 3, padding=dilation, dilation=dilation, bias=False
        )
        nn.init.zeros_(self.offset.weight)
        kernel = torch.zeros(joints, joints, 3, 3)
        kernel[:, :, 1, 1] = torch.eye(joints)
        self.weight = nn.Parameter(kernel)

    def forward(self, maps: Tensor, guide: Tensor) -> Tensor:
        """Maps ``(N, K, h, w)`` and guide ``(N, width, h, w)`` -> ``(N, K, h, w)``."""
        mask = maps.new_ones(len(maps), TAPS * maps.shape[1], *maps.shape[-2:])
        return deform_conv2d(maps, self.offset(guide), mask, self.weight, dilation=self.dilation)


class PoseWarp(nn.Module):
    """Warps maps by the difference of two poses.

    Args:
        joints: Number of maps K.
        width: Channels of the difference feature.
        blocks: Residual blocks on the difference.
        dilations: One deformable convolution each; the mean of all is the result.
    """

    def __init__(self, joints: int, width: int, blocks: int, dilations: Sequence[int]) -> None:
        super().__init__()
        self.difference = residual_chain(joints, width, blocks)
        self.steps = nn.ModuleList(OffsetWarp(width, joints, d) for d in dilations)

    def forward(self, maps: Tensor, difference: Tensor) -> Tensor:
        """Maps and target pose minus source pose, ``(N, K, h, w)`` each -> warped maps."""
        guide = self.difference(difference)
        return torch.stack([step(maps, guide) for step in self.steps]).mean(0)


class PoseWarper(TwinModel):
    """PoseWarper on a single-frame twin."""

    PRESETS: ClassVar[Mapping[str, PoseWarperConfig]] = PRESETS

    def __init__(self, config: PoseWarperConfig) -> None:
        super().__init__()
        self.config = config
        self.codec = config.build_codec()
        half = len(config.frame_weights) // 2
        self.needs = Needs(offsets=tuple(range(-half, half + 1)), crop_size=config.crop_size)
        joints = len(self.codec.skeleton)
        self.add_twin(config, joints)
        self.warp = PoseWarp(joints, config.width, config.blocks, config.dilations)
        if config.residual_head:
            self.trust = nn.Parameter(torch.zeros(joints))
        self.freeze_twin()

    def encode(self, frames: Tensor) -> FrameMaps:
        """Heatmaps of single frames ``(N, K, H/4, W/4)``, those of the twin."""
        (feature,) = self.stages_of(frames)
        return FrameMaps(self.single_frame_head(feature))

    def fuse(self, features: tuple[Tensor, ...]) -> HeatmapOutput:
        """Heatmaps of a window ``(B, T, K, h, w)`` -> heatmaps of the key frame.

        Returns:
            In training with ``supervise="drawn"`` the warped maps of one drawn frame; with
            ``"all"`` the average, and in ``side`` the warped maps of every frame. Otherwise the
            average.

        Raises:
            ShapeError: the window has another number of frames.
        """
        (own,) = features
        count = len(self.config.frame_weights)
        if own.shape[1] != count:
            raise ShapeError(
                f"This PoseWarper reads windows of {count} frames; got {own.shape[1]}. Repeat "
                f"frames at the ends of a video."
            )
        maps = self._peaks(own)
        key = maps[:, self.needs.key]
        if self.training and self.config.supervise == "drawn":
            rows = torch.arange(len(maps), device=maps.device)
            drawn = maps[rows, torch.randint(count, (len(maps),), device=maps.device)]
            return HeatmapOutput(self._as_maps(self.warp(drawn, key - drawn)))
        warped = self.warp(maps.flatten(0, 1), (key[:, None] - maps).flatten(0, 1))
        warped = warped.unflatten(0, maps.shape[:2])
        parts = zip(self.config.frame_weights, warped.unbind(1), strict=True)
        heatmaps = self._as_maps(torch.stack([weight * maps for weight, maps in parts]).sum(0))
        if self.config.residual_head:
            frame = own[:, self.needs.key]
            heatmaps = frame + self.trust[:, None, None] * (heatmaps - frame)
        side = tuple(self._as_maps(warped).unbind(1)) if self.training else ()
        return HeatmapOutput(heatmaps, side)

    def spread(self, labelled: Tensor, source: Tensor, target: Tensor) -> Tensor:
        """Carry joints from a labelled frame to another one: the application in reverse.

        Args:
            labelled: ``(N, K, h, w)`` target maps of the labelled frame, as the codec draws them.
            source: ``(N, K, h, w)`` the twin's maps of the labelled frame, from :meth:`encode`.
            target: ``(N, K, h, w)`` the twin's maps of the frame without labels.

        Returns:
            ``(N, K, h, w)`` maps of that frame, for the codec to decode.
        """
        return self._as_maps(self.warp(labelled, self._peaks(target) - self._peaks(source)))

    def _peaks(self, maps: Tensor) -> Tensor:
        """Maps whose ideal is a Gaussian of peak 1, whatever the twin's maps mean."""
        if self.config.activation == "gaussian":
            return maps
        return self.codec.probability(maps) * (2 * math.pi * self.codec.sigma**2)

    def _as_maps(self, peaks: Tensor) -> Tensor:
        """The way back: maps that mean what the codec's maps mean."""
        if self.config.activation == "gaussian":
            return peaks
        return (peaks.clamp_min(0) + FLOOR).log()

    def criterion(self) -> PoseWarperCriterion:
        """Squared error with the factor 1/2, or the cross-entropy over cells."""
        return PoseWarperCriterion(self.codec)

    @staticmethod
    def from_official_keys(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """State dict of the published PoseWarper (HRNet keys and the warper's) -> ours."""
        return {_our_key(key.removeprefix("module.")): value for key, value in state.items()}


class PoseWarperCriterion(nn.Module):
    """Terms ``heatmap`` and, with ``supervise="all"``, ``warped``: the mean over all frames."""

    def __init__(self, codec: HeatmapCodec) -> None:
        super().__init__()
        self.loss = heatmap_loss(codec, half=True)

    def forward(self, output: HeatmapOutput, target: Target) -> dict[str, Tensor]:
        """Named, unweighted terms of a batch.

        Raises:
            ShapeError: output and target do not fit together.
        """
        terms = {"heatmap": self.loss(output.heatmaps, target)}
        if output.side:
            each = [self.loss(maps, target) for maps in output.side]
            terms["warped"] = torch.stack(each).mean()
        return terms


def _our_key(key: str) -> str:
    head, _, rest = key.partition(".")
    if head == "offset_feats":
        return "warp.difference." + rest.replace("downsample", "shortcut")
    numbered = re.fullmatch(r"(offsets|deform_conv)(\d+)", head)
    if numbered is None:
        return f"backbone.{key}"
    part = "offset." if numbered.group(1) == "offsets" else ""
    return f"warp.steps.{int(numbered.group(2)) - 1}.{part}{rest}"

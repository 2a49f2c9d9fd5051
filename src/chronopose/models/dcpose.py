"""DCPose: heatmaps of three frames, fused by how far apart they are and corrected by their change.

Paper     Liu, Chen, Feng, Wu, Ji, Yang, Wang, "Deep Dual Consecutive Network for Human Pose
          Estimation", CVPR 2021.
Reads     ClipBatch.frames   float  B 3 3 H W   one person: frame before, key frame, frame after
Returns   HeatmapOutput      float  B K H/4 W/4
Idea      1. Rough heatmaps of every frame, from a frozen single-frame network.
          2. Neighbours weigh the more the nearer they are in time.
          3. Change: differences to the key frame, per joint (pose residual fusion).
          4. Support: heatmaps of all frames merged, per joint (pose temporal merger).
          5. Both predict offsets and masks of deformable convolutions with five dilations; their
             mean over the support map is the answer (pose correction network).
Differs   Frames stand in time order; the published channel order begins with the key frame. The
          single-frame 1×1 layer is not trained even where the backbone is thawed.
          With ``activation="softmax"`` the twin's maps are logits, which know no zero: they are
          turned into probabilities, scaled to the peak of the target Gaussian (1), before step 2,
          so that differences, merging and zeros beyond the border mean what they mean in the paper.
          Preset ``lite`` is ours: fewer blocks, two dilations, and the result, starting at zero,
          is added to the key frame's logits: untrained it equals its single-frame twin.
Written   from facts of the paper and of the released weights, in our notes; no code was read.
Checked   tests/parity/test_dcpose_famipose_parity.py: equal to the published network in float64.

Axes: B clip, T frame (three), N frame of any clip, C channel, h w cells, K joint.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from chronopose.codecs.heatmap import HeatmapCodec
from chronopose.errors import ShapeError, UsageError
from chronopose.losses.heatmap import heatmap_loss
from chronopose.models._base import Needs
from chronopose.models._twin import TwinConfig, TwinModel
from chronopose.nn.deform import ModulatedDeformConv2d
from chronopose.tensors import HeatmapOutput, Target

BRANCHES = 4
"""Rows of a residual-steps block; row a has a convolutions."""


@dataclass(frozen=True, kw_only=True)
class DCPoseConfig(TwinConfig):
    """What DCPose is built from."""

    blocks: tuple[int, int, int] = (2, 1, 2)
    """Residual-steps blocks of the change, of the support and of what joins them."""
    base: int = 26
    """A row of a block is ``base * cin // 64`` channels wide."""
    width: int = 64
    """Channels that offsets and masks are predicted from."""
    dilations: tuple[int, ...] = (3, 6, 9, 12, 15)
    """Of the deformable convolutions, cells."""
    residual_head: bool = False
    """Add the result, starting at zero, to the key frame's rough heatmaps."""

    def __post_init__(self) -> None:
        if min(self.blocks) < 1 or not self.dilations or min(self.dilations) < 1:
            raise UsageError(
                f"DCPose needs at least one block in each of its three chains and dilations of at "
                f"least one cell; got blocks = {self.blocks} and dilations = {self.dilations}."
            )


PRESETS = {
    "hrnet_w48": DCPoseConfig(),
    "lite": DCPoseConfig(
        backbone="lite", skeleton="lsp14", crop_size=(192, 256), activation="softmax",
        decoder="expectation", blocks=(1, 1, 1), base=13, width=16, dilations=(3, 6),
        residual_head=True,
    ),
}  # fmt: skip


class RoughMaps(NamedTuple):
    """What DCPose keeps of a frame."""

    heatmaps: Tensor
    """float N K h w, of the single-frame twin."""


class ResidualStepsBlock(nn.Module):
    """1×1 convolution, four rows of one to four 3×3 convolutions, 1×1 convolution, shortcut, ReLU.

    Convolution b of row a reads what stands before it in its row plus convolution b of the row
    above, where there is one: y[a, b] = conv(y[a, b-1] + y[a-1, b]).

    Args:
        cin: Channels in.
        cout: Channels out.
        base: A row is ``base * cin // 64`` channels wide, at least one.
        project: Shortcut of 1×1 convolution and batch norm; the identity otherwise.

    Source:
        Cai et al., "Learning Delicate Local Representations for Multi-Person Pose Estimation",
        ECCV 2020, in the widths of DCPose's released weights.
    """

    def __init__(self, cin: int, cout: int, *, base: int, project: bool) -> None:
        super().__init__()
        width = max(1, base * cin // 64)
        self.enter = nn.Sequential(*_conv_bn(cin, BRANCHES * width, 1), nn.ReLU(inplace=True))
        self.steps = nn.ModuleDict(
            {
                f"{a}_{b}": nn.Sequential(*_conv_bn(width, width, 3), nn.ReLU(inplace=True))
                for a in range(1, BRANCHES + 1)
                for b in range(1, a + 1)
            }
        )
        self.leave = nn.Sequential(*_conv_bn(BRANCHES * width, cout, 1))
        self.shortcut = nn.Sequential(*_conv_bn(cin, cout, 1)) if project else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """``(N, cin, h, w) -> (N, cout, h, w)``."""
        above: list[Tensor] = []
        ends = []
        for a, y in enumerate(self.enter(x).chunk(BRANCHES, dim=1), start=1):
            row: list[Tensor] = []
            for b in range(1, a + 1):
                y = self.steps[f"{a}_{b}"](y + above[b - 1] if b < a else y)
                row.append(y)
            ends.append(y)
            above = row
        return torch.relu(self.leave(torch.cat(ends, dim=1)) + self.shortcut(x))


class PoseCorrection(nn.Module):
    """Re-samples the support map with deformable convolutions of several dilations; their mean.

    One deformable group a joint, masks as they come, kernels that start as the identity.

    Args:
        width: Channels of the guide.
        joints: Number of maps K.
        dilations: Of the offset, mask and deformable convolutions, cells.
        silent: Start with masks of zero, which let nothing through.
    """

    def __init__(self, width: int, joints: int, dilations: Sequence[int], *, silent: bool) -> None:
        super().__init__()
        taps = joints * 9
        self.offset = nn.ModuleList(_taps_conv(width, 2 * taps, d, 0.001) for d in dilations)
        self.mask = nn.ModuleList(
            _taps_conv(width, taps, d, 0.0 if silent else 0.001) for d in dilations
        )
        self.dcn = nn.ModuleList(
            ModulatedDeformConv2d(joints, joints, dilation=d, mask_act="raw") for d in dilations
        )
        for dcn in self.dcn:
            nn.init.zeros_(dcn.weight)  # type: ignore[arg-type]
            dcn.weight.data[:, :, 1, 1] = torch.eye(joints)  # type: ignore[union-attr,operator]

    def forward(self, support: Tensor, guide: Tensor) -> Tensor:
        """Support maps ``(B, K, h, w)`` and guide ``(B, width, h, w)`` -> ``(B, K, h, w)``."""
        maps = [
            dcn(support, offset(guide), mask(guide))
            for dcn, offset, mask in zip(self.dcn, self.offset, self.mask, strict=True)
        ]
        return torch.stack(maps).mean(0)


class DCPose(TwinModel):
    """DCPose on a single-frame twin."""

    PRESETS: ClassVar[Mapping[str, DCPoseConfig]] = PRESETS

    def __init__(self, config: DCPoseConfig) -> None:
        super().__init__()
        self.config = config
        self.codec = config.build_codec()
        self.needs = Needs(offsets=(-1, 0, 1), crop_size=config.crop_size)
        joints = len(self.codec.skeleton)
        self.add_twin(config, joints)
        change, support, join = config.blocks
        self.change = _chain(4 * joints, 2 * joints, change, config.base)
        self.support = _chain(3 * joints, joints, support, config.base)
        self.combine = _chain(3 * joints, config.width, join, config.base)
        self.head = PoseCorrection(
            config.width, joints, config.dilations, silent=config.residual_head
        )
        self.freeze_twin()

    def encode(self, frames: Tensor) -> RoughMaps:
        """Rough heatmaps of single frames ``(N, K, H/4, W/4)``, those of the twin."""
        (feature,) = self.stages_of(frames)
        return RoughMaps(self.single_frame_head(feature))

    def fuse(self, features: tuple[Tensor, ...], margins: Tensor | None = None) -> HeatmapOutput:
        """Rough heatmaps ``(B, 3, K, h, w)`` in time order -> heatmaps of the key frame.

        Args:
            features: As :meth:`encode` gives them, with a window's two leading axes.
            margins: ``(B, 2)`` distances in time, any unit, above zero: key frame minus the one
                before, frame after minus the key frame. None: all the same, which also holds at
                the ends of a clip, where the key frame stands for the missing one at distance 1.

        Returns:
            While the backbone is trained, ``side`` holds the key frame's rough heatmaps, which
            then have a loss of their own.

        Raises:
            ShapeError: the window has not three frames, or margins do not fit.
        """
        (rough,) = features
        if rough.shape[1] != 3:
            raise ShapeError(
                f"DCPose reads windows of 3 frames; got {rough.shape[1]}. Repeat the key frame at "
                f"the ends of a video."
            )
        before, after = _weights(rough, margins)
        previous, key, following = self._peaks(rough).unbind(1)
        a, b = key - previous, key - following
        change = self.change(_per_joint(a, a * before, b, b * after))
        support = self.support(_per_joint(key, previous * before, following * after))
        heatmaps = self.head(support, self.combine(torch.cat([change, support], dim=1)))
        if self.config.residual_head:
            heatmaps = heatmaps + rough[:, 1]
        supervised = self.training and not self.config.freeze_backbone
        return HeatmapOutput(heatmaps, (rough[:, 1],) if supervised else ())

    def _peaks(self, maps: Tensor) -> Tensor:
        """Maps whose ideal is a Gaussian of peak 1, whatever the twin's maps mean."""
        if self.config.activation == "gaussian":
            return maps
        return self.codec.probability(maps) * (2 * math.pi * self.codec.sigma**2)

    def criterion(self) -> DCPoseCriterion:
        """Squared error without the factor 1/2, or the cross-entropy over cells."""
        return DCPoseCriterion(self.codec)

    @staticmethod
    def from_official_keys(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """State dict of the published DCPose (RSN blocks) -> ours."""
        ours = {}
        for key, value in state.items():
            name = key.removeprefix("module.")
            for pattern, home in _OFFICIAL:
                name = re.sub(pattern, home, name)
            ours[name] = value
        return ours


_OFFICIAL = (
    (r"^rough_pose_estimation_net\.", "backbone."),
    (r"^diff_temporal_fuse\.layers\.", "change."),
    (r"^support_temporal_fuse\.layers\.", "support."),
    (r"^offset_mask_combine_conv\.layers\.", "combine."),
    (r"^offsets_list\.(\d+)\.0\.", r"head.offset.\1."),
    (r"^masks_list\.(\d+)\.0\.", r"head.mask.\1."),
    (r"^modulated_deform_conv_list\.(\d+)\.deform_conv\.", r"head.dcn.\1."),
    (r"\.conv_bn_relu1\.", ".enter."),
    (r"\.conv_bn_relu2_(\d)_(\d)\.", r".steps.\1_\2."),
    (r"\.conv_bn_relu3\.", ".leave."),
    (r"^((?:change|support|combine)\.\d+)\.downsample\.", r"\1.shortcut."),
    (r"^((?:change|support|combine)\..+)\.conv\.", r"\1.0."),
    (r"^((?:change|support|combine)\..+)\.bn\.", r"\1.1."),
)


class DCPoseCriterion(nn.Module):
    """Terms ``heatmap`` and, while the backbone is trained, ``rough``: the same for its maps."""

    def __init__(self, codec: HeatmapCodec) -> None:
        super().__init__()
        self.loss = heatmap_loss(codec)

    def forward(self, output: HeatmapOutput, target: Target) -> dict[str, Tensor]:
        """Named, unweighted terms of a batch.

        Raises:
            ShapeError: output and target do not fit together.
        """
        terms = {"heatmap": self.loss(output.heatmaps, target)}
        if output.side:
            terms["rough"] = self.loss(output.side[0], target)
        return terms


def _weights(rough: Tensor, margins: Tensor | None) -> tuple[Tensor, Tensor]:
    """Weights of the frames before and after: each the share of the other one's distance."""
    if margins is None:
        margins = rough.new_ones(len(rough), 2)
    if margins.shape != (len(rough), 2):
        raise ShapeError(
            f"Margins of {len(rough)} clips must have shape ({len(rough)}, 2): the distance to "
            f"the frame before and to the frame after; got {tuple(margins.shape)}."
        )
    margins = margins.to(rough)
    before, after = (margins.flip(1) / margins.sum(1, keepdim=True)).unbind(1)
    return before.view(-1, 1, 1, 1), after.view(-1, 1, 1, 1)


def _per_joint(*maps: Tensor) -> Tensor:
    """Several ``(B, K, h, w)`` -> ``(B, K * n, h, w)``; all maps of a joint stand together."""
    return torch.stack(maps, dim=2).flatten(1, 2)


def _chain(cin: int, cout: int, count: int, base: int) -> nn.Sequential:
    return nn.Sequential(
        *(
            ResidualStepsBlock(cin if i == 0 else cout, cout, base=base, project=i == 0)
            for i in range(count)
        )
    )


def _conv_bn(cin: int, cout: int, kernel: int) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    conv = nn.Conv2d(cin, cout, kernel, padding=kernel // 2)
    nn.init.normal_(conv.weight, std=0.001)
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv, nn.BatchNorm2d(cout)


def _taps_conv(cin: int, cout: int, dilation: int, std: float) -> nn.Conv2d:
    conv = nn.Conv2d(cin, cout, 3, padding=dilation, dilation=dilation, bias=False)
    nn.init.normal_(conv.weight, std=std)
    return conv

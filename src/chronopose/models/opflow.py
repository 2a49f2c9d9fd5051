"""Op-Flow: optical flow as the motion feature; the yardstick that TDMI is measured against.

Paper     Named in one row of Feng, Gao, Ma, Tse, Chang, "Mutual Information-Based Temporal
          Difference Learning for Human Pose Estimation in Video", CVPR 2023: RAFT flows in place
          of feature differences. They give no layout.
Reads     ClipBatch.frames   float  B T 3 H W   one person, crops aligned to the key frame
Returns   HeatmapOutput      float  B K H/4 W/4
Idea      1. Dense flow from the key frame to every other frame, on the crops.
          2. Averaged over the cells of the heatmaps, in cells; u, v and the length.
          3. Residual blocks turn all flows into the motion feature M.
          4. M and the key frame's feature are fused and give the heatmaps, as in TDMI.
Differs   Steps 2 and 3 are choices of ours. Flow on whole frames in place of crops is left to
          those who replace ``flow`` by a module that hands it out.
          The paper presets hold RAFT (large) with RANDOM weights, for chronopose downloads
          nothing. Published numbers need the real ones: set ``flow.pretrained`` where torchvision
          has fetched them before, or call :meth:`OpFlow.load_flow`.
          The lite preset is ours: DIS flow, which has no weights and needs the extra ``flow``;
          narrow layers; the head, starting at zero, is added to the frozen single-frame heatmaps:
          an untrained lite model equals its single-frame twin. With ``activation="softmax"`` both
          are logits, and so is their sum.
Written   from one sentence of that paper; no other source was read.
Checked   tests/unit/models/test_opflow.py and every test in tests/contracts/.

Axes: B clip, T frame, S other frame (T - 1), C channel, h w cells, K joint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from chronopose.errors import ShapeError, UsageError
from chronopose.losses.heatmap import HeatmapCriterion
from chronopose.models._base import Criterion, Needs
from chronopose.models._twin import TwinModel, WindowConfig
from chronopose.nn.flow import OWN, CropFlows, FlowMethod
from chronopose.nn.residual import init_head, residual_chain
from chronopose.tensors import HeatmapOutput


@dataclass(frozen=True, kw_only=True)
class FlowConfig:
    """Where the flow comes from."""

    method: FlowMethod = "raft_large"
    pretrained: bool = False
    """Start RAFT from the weights that torchvision publishes; they have to lie in torch's cache,
    nothing is downloaded. Off: random, until a state dict or :meth:`OpFlow.load_flow`."""
    iterations: int = 12
    """Update steps of RAFT."""
    magnitudes: bool = True
    """Add the length of every flow to its two components."""


@dataclass(frozen=True, kw_only=True)
class OpFlowConfig(WindowConfig):
    """What Op-Flow is built from."""

    flow: FlowConfig = field(default_factory=FlowConfig)
    width: int = 48
    """Channels of the motion feature M."""
    motion_blocks: int = 3
    """Residual blocks that make M."""
    fuse_blocks: int = 3
    """Residual blocks of the fusion."""
    fuse_width: int | None = None
    """Channels of the fused feature; None: as the backbone's last stage."""


PRESETS = {
    "hrnet_w48": OpFlowConfig(),
    "lite": OpFlowConfig(
        backbone="lite", skeleton="lsp14", crop_size=(192, 256), activation="softmax",
        decoder="expectation", flow=FlowConfig(method="dis"), width=32, motion_blocks=3,
        fuse_blocks=1, fuse_width=32, residual_head=True,
    ),
}  # fmt: skip


class VisualAndImage(NamedTuple):
    """What Op-Flow keeps of a frame."""

    visual: Tensor
    """float N C h w, the backbone's last stage."""
    image: Tensor
    """float N 3 H W, the frame as it came, for the flow."""


class OpFlow(TwinModel):
    """Op-Flow on a single-frame twin; ``flow`` gives ``(B, T, 3, H, W), key -> (B, S, 2, h, w)``.

    Any module of that form can take the place of ``flow``; the images may then be any tensors that
    the backbone and it understand.
    """

    PRESETS: ClassVar[Mapping[str, OpFlowConfig]] = PRESETS

    def __init__(self, config: OpFlowConfig) -> None:
        super().__init__()
        self.config = config
        self.codec = config.build_codec()
        half = config.num_frames // 2
        self.needs = Needs(offsets=tuple(range(-half, half + 1)), crop_size=config.crop_size)
        joints = len(self.codec.skeleton)
        self.add_twin(config, joints)
        visual = self.backbone.out_channels
        flow = config.flow
        self.flow: nn.Module = CropFlows(
            flow.method, weights=OWN if flow.pretrained else None, iterations=flow.iterations,
            stride=self.codec.stride,
        )  # fmt: skip
        per_frame = 3 if flow.magnitudes else 2
        fused = config.fuse_width or visual
        self.motion = residual_chain(
            per_frame * (config.num_frames - 1), config.width, config.motion_blocks
        )
        self.fusion = residual_chain(config.width + visual, fused, config.fuse_blocks)
        self.head = nn.Conv2d(fused, joints, 3, padding=1)
        init_head(self.head, std=0.0 if config.residual_head else 0.001)
        self.freeze_twin()

    def load_flow(self, weights: str | Path) -> None:
        """Take over weights of RAFT: a path, or ``"torchvision"`` for those in torch's cache.

        Raises:
            UsageError: this model's flow has no weights.
            WeightsError: they are not there, damaged or of another network.
        """
        if not isinstance(self.flow, CropFlows):
            raise UsageError(
                f"The flow of this model is a {type(self.flow).__name__}, which has no weights of "
                f"RAFT. Load them before it is replaced."
            )
        self.flow.estimator.load(weights)

    def encode(self, frames: Tensor) -> VisualAndImage:
        """The last stage ``(N, C, H/4, W/4)`` of single frames, and the frames themselves."""
        (visual,) = self.stages_of(frames)
        return VisualAndImage(visual, frames)

    def fuse(self, features: tuple[Tensor, ...]) -> HeatmapOutput:
        """Window of features ``(B, T, C, h, w)`` and images ``(B, T, 3, H, W)`` -> heatmaps.

        Raises:
            ShapeError: the window has another number of frames.
            MissingExtra: DIS flow without OpenCV.
        """
        visual, images = features
        if visual.shape[1] != self.config.num_frames:
            raise ShapeError(
                f"This Op-Flow reads windows of {self.config.num_frames} frames; got "
                f"{visual.shape[1]}. Repeat frames at the ends of a video."
            )
        key = self.needs.key
        frame = visual[:, key]
        motion = self.motion(self._motion_channels(self.flow(images, key)).to(frame.dtype))
        heatmaps = self.head(self.fusion(torch.cat([motion, frame], dim=1)))
        if self.config.residual_head:
            heatmaps = heatmaps + self.single_frame_head(frame)
        return HeatmapOutput(heatmaps)

    def _motion_channels(self, flow: Tensor) -> Tensor:
        """``(B, S, 2, h, w) -> (B, 3 S, h, w)``: all u and v, then the lengths."""
        channels = flow.flatten(1, 2)
        if not self.config.flow.magnitudes:
            return channels
        return torch.cat([channels, flow.square().sum(2).sqrt()], dim=1)

    def criterion(self) -> Criterion:
        """Squared error without the factor 1/2, or the cross-entropy over cells."""
        return HeatmapCriterion(self.codec)

"""DG-Net: 2D poses over time -> joints in space, over a graph found anew for every clip.

Paper     Zhang et al., "Learning Dynamical Human-Joint Affinity for 3D Pose
          Estimation in Videos", IEEE TIP 2021. Only the abstract could be read.
Reads     poses        float  B T J C   screen coordinates; C = 2, or 3 with the score
Returns   LiftOutput   float  B 1 J 3   metres from the root, the middle frame (seq2seq: B T J 3)
Idea      1. DSG: a joint listens to joints that are near it.              (abstract)
          2. DTG: a joint listens to joints that move as it does.          (abstract)
          3. Stages of DSG and DTG, each followed by a convolution over three frames that takes
             every third: log3 T stages leave one frame.                   (ours)
Differs   Nothing can be said to follow the paper beyond 1 and 2: every formula, size and default
          is ours. So no number of the paper is printed beside ours.
          T = 1 keeps one stage, without DTG and without the convolution over frames.
          ``seq2seq`` dilates the convolutions over frames, repeats the clip's ends, and answers
          for all T frames: same weights' shapes, another function.
Shared    DTG has one affinity a clip, so windows of a long clip have little in common. ``dense``
          computes the first layer, the first DSG and the linear part of the first DTG once a
          frame; from there on each window is its own.
Written   from the abstract only; no other source was read.
Checked   tests/unit/nn/test_graph.py, tests/unit/models/test_dgnet.py and tests/contracts/.

Axes: B clip, T frame of a window, F frame of a long clip, J joint, C numbers a joint, N channel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chronopose.codecs.root_relative import RootRelative
from chronopose.core.skeletons import get_skeleton
from chronopose.errors import UsageError
from chronopose.losses.space import SpaceCriterion
from chronopose.models._lift import LiftCriterion, LiftModel, LiftNeeds, overlapping
from chronopose.nn.graph import (
    JointNorm,
    SpatialAffinity,
    SpatialGraphConv,
    TemporalAffinity,
    TemporalGraphConv,
    limb_mask,
)
from chronopose.tensors.space import LiftOutput

LENGTHS = (1, 3, 9, 27, 81)
FRAMES_AT_ONCE = 1024
"""Frames that one pass of ``dense`` holds: it bounds the memory."""


@dataclass(frozen=True, kw_only=True)
class DGNetConfig:
    """What DG-Net is built from."""

    frames: int = 9
    """Length T of a window: 1, 3, 9, 27 or 81."""
    channels: int = 256
    """N."""
    blocks: int = 1
    """Pairs of DSG and DTG a stage."""
    dropout: float | None = None
    """After each convolution over frames; None: 0.1 up to 128 channels, else 0.25."""
    spatial: SpatialAffinity = field(default_factory=SpatialAffinity)
    temporal: TemporalAffinity = field(default_factory=TemporalAffinity)
    joint_embedding: bool = True
    """Tell joints apart by learnt numbers; without, renaming joints renames the answer."""
    seq2seq: bool = False
    """Answer for all frames of the window."""
    score: bool = False
    """Also read the score of each joint: C = 3."""
    skeleton: str = "h36m17"
    """Registry name of the joints J."""
    root: str = "pelvis"
    """Joint that positions are relative to."""

    def __post_init__(self) -> None:
        if self.frames not in LENGTHS:
            raise UsageError(
                f"frames must be one of {', '.join(map(str, LENGTHS))}, for every stage takes each "
                f"third frame until one is left; got {self.frames}."
            )
        if self.blocks < 1:
            raise UsageError(f"A stage needs at least 1 block; got {self.blocks}.")

    @property
    def stages(self) -> int:
        """Number of stages."""
        return max(1, LENGTHS.index(self.frames))

    @property
    def drop(self) -> float:
        """Share of numbers put to zero while training."""
        if self.dropout is not None:
            return self.dropout
        return 0.1 if self.channels <= 128 else 0.25


T9 = DGNetConfig()
PRESETS = {
    "t9_c256": T9,
    "t27_c128": replace(T9, frames=27, channels=128),
    "t27_c256": replace(T9, frames=27),
    "t81_c256": replace(T9, frames=81),
    "t27_c384": replace(T9, frames=27, channels=384),
    "lite": replace(T9, channels=64),
}


class GraphBlock(nn.Module):
    """DSG, then DTG; split where frames begin to see each other."""

    def __init__(self, config: DGNetConfig, limbs: Tensor, *, first: bool) -> None:
        super().__init__()
        space, time, channels = config.spatial, config.temporal, config.channels
        self.dsg = (
            SpatialGraphConv(channels, space, limbs, first=first)
            if space.affinity != "off"
            else None
        )
        self.dtg = (
            TemporalGraphConv(channels, time, limbs, first=first)
            if time.affinity != "off" and config.frames > 1
            else None
        )

    def per_frame(self, x: Tensor, xy: Tensor) -> tuple[Tensor, ...]:
        """``(B, F, J, N)`` and ``(B, F, J, 2)`` -> tensors ``(B, F, J, N)`` for per_window."""
        if self.dsg is not None:
            x = self.dsg(x, xy)
        return (x,) if self.dtg is None else (x, *self.dtg.project(x))

    def per_window(self, known: tuple[Tensor, ...], xy: Tensor) -> Tensor:
        """What per_frame gave for the frames of a window -> ``(B, T, J, N)``."""
        x, *said = known
        return x if self.dtg is None else self.dtg.mix(x, tuple(said), xy)

    def forward(self, x: Tensor, xy: Tensor) -> Tensor:
        """``(B, T, J, N)`` features and ``(B, T, J, 2)`` positions -> ``(B, T, J, N)``."""
        return self.per_window(self.per_frame(x, xy), xy)


class FrameMerge(nn.Module):
    """Convolution over three frames of each joint, a 1×1 one, and the middle frame added."""

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        self.wide = nn.Linear(3 * channels, channels, bias=False)
        self.wide_norm = JointNorm(channels)
        self.drop = nn.Dropout(dropout)
        self.point = nn.Linear(channels, channels, bias=False)
        self.point_norm = JointNorm(channels)

    def strided(self, x: Tensor) -> Tensor:
        """``(B, 3 n, J, N)`` -> ``(B, n, J, N)``: groups that do not overlap."""
        return self._join(x[:, 0::3], x[:, 1::3], x[:, 2::3])

    def dilated(self, x: Tensor, step: int) -> Tensor:
        """``(B, T, J, N)`` -> the same shape: frames ``step`` apart, the ends repeated."""
        frames = torch.arange(x.shape[1], device=x.device)
        before, after = (frames - step).clamp_min(0), (frames + step).clamp_max(len(frames) - 1)
        return self._join(x[:, before], x, x[:, after])

    def _join(self, before: Tensor, middle: Tensor, after: Tensor) -> Tensor:
        out = self.wide(torch.cat([before, middle, after], -1))
        out = self.point(self.drop(F.relu(self.wide_norm(out))))
        return F.relu(self.point_norm(out)) + middle


class Stage(nn.Module):
    """Blocks over the graph, then a merge of frames (none for single frames)."""

    def __init__(self, config: DGNetConfig, limbs: Tensor, *, first: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            GraphBlock(config, limbs, first=first and i == 0) for i in range(config.blocks)
        )
        self.merge = FrameMerge(config.channels, config.drop) if config.frames > 1 else None


class DGNet(LiftModel):
    """``embed``, ``stages`` and a linear ``head``."""

    PRESETS: ClassVar[Mapping[str, DGNetConfig]] = PRESETS

    config: DGNetConfig

    def __init__(self, config: DGNetConfig) -> None:
        super().__init__()
        self.config = config
        self.codec = RootRelative(get_skeleton(config.skeleton), config.root)
        skeleton, channels = self.codec.skeleton, 3 if config.score else 2
        self.needs = LiftNeeds(frames=config.frames, channels=channels, before=config.frames // 2)
        limbs = limb_mask(skeleton)
        self.embed = nn.Linear(channels, config.channels, bias=False)
        self.joints = (
            nn.Parameter(0.1 * torch.randn(len(skeleton), config.channels))
            if config.joint_embedding
            else None
        )
        self.norm = JointNorm(config.channels)
        self.stages = nn.ModuleList(
            Stage(config, limbs, first=i == 0) for i in range(config.stages)
        )
        self.head = nn.Linear(config.channels, 3)

    def forward(self, poses: Tensor) -> LiftOutput:
        """Windows ``(B, T, J, C)`` -> ``(B, 1, J, 3)``, with seq2seq ``(B, T, J, 3)``; metres.

        Raises:
            ShapeError: other joints or another number of frames.
        """
        self.check(poses, windows=True)
        xy = poses[..., :2]
        return LiftOutput(self._per_window(self._per_frame(poses), xy))

    def dense(self, poses: Tensor) -> LiftOutput:
        """Long clips ``(B, F, J, C)`` -> ``(B, F - T + 1, J, 3)``, metres.

        In eval mode row i is what :meth:`forward` says of the middle frame of window i, to
        rounding. Memory does not grow with F.

        Raises:
            ShapeError: other joints, or fewer than T frames.
        """
        self.check(poses, windows=False)
        parts = overlapping(poses, self.needs.frames, FRAMES_AT_ONCE)
        return LiftOutput(torch.cat([self._dense(part) for part in parts], 1))

    def _dense(self, poses: Tensor) -> Tensor:
        frames, batch = self.needs.frames, len(poses)
        at_once = max(1, FRAMES_AT_ONCE // frames)
        known = (poses[..., :2], *self._per_frame(poses))
        found = []
        for cut in zip(*(overlapping(k, frames, at_once) for k in known), strict=True):
            xy, *rest = (c.unfold(1, frames, 1).movedim(-1, 2).flatten(0, 1) for c in cut)
            xyz = self._per_window(tuple(rest), xy)
            middle = xyz[:, self.needs.before] if self.config.seq2seq else xyz[:, 0]
            found.append(middle.unflatten(0, (batch, -1)))
        return torch.cat(found, 1)

    def _per_frame(self, poses: Tensor) -> tuple[Tensor, ...]:
        """What windows share: see the header."""
        x = self.embed(poses)
        x = F.relu(self.norm(x if self.joints is None else x + self.joints))
        return self._first.per_frame(x, poses[..., :2])

    def _per_window(self, known: tuple[Tensor, ...], xy: Tensor) -> Tensor:
        x = self._first.per_window(known, xy)
        step = 1
        for index, stage in enumerate(self.stages):
            assert isinstance(stage, Stage)
            for block in stage.blocks[1 if index == 0 else 0 :]:
                x = block(x, xy)
            if stage.merge is None:
                continue
            if self.config.seq2seq:
                x, step = stage.merge.dilated(x, step), 3 * step
            else:
                x, xy = stage.merge.strided(x), xy[:, 1::3]
        xyz: Tensor = self.head(x)
        return xyz

    @property
    def _first(self) -> GraphBlock:
        stage = self.stages[0]
        assert isinstance(stage, Stage)
        block = stage.blocks[0]
        assert isinstance(block, GraphBlock)
        return block

    def criterion(self) -> LiftCriterion:
        """Mean distance of the joints, metres; with seq2seq also that of their steps."""
        return SpaceCriterion(velocity=self.config.seq2seq and self.config.frames > 1)

    def weights_of_terms(self) -> dict[str, float]:
        """Steps count a tenth."""
        return {"velocity": 0.1} if self.config.seq2seq else {}

"""TDMI: pose of the key frame from feature differences between frames.

Paper     Feng, Gao, Ma, Tse, Chang, "Mutual Information-Based Temporal Difference Learning for
          Human Pose Estimation in Video", CVPR 2023. Eq. numbers below are theirs.
Reads     ClipBatch.frames   float  B T 3 H W   one person, crops aligned to the key frame
Returns   TDMIOutput         float  B K H/4 W/4
Idea      1. Features of every frame, four stages of a frozen backbone.
          2. Differences of neighbouring frames, residual blocks per stage.     Eq. 1-2
          3. Deformable re-weighting, then accumulate across the stages.        Eq. 3-5
          4. Two channel gates split the motion into useful and noise.          Eq. 6
          5. Useful motion and the key frame's feature give the heatmaps.
          6. Mutual-information terms train the split.                          Eq. 7-15
          TDMI-ST takes a feature of the whole sequence in place of the key frame's.
Differs   Any odd T >= 3; the paper runs T = 5. Widths, block counts and the estimators that the
          paper leaves open are settings; the paper presets follow the choices of our notes.
          The lite presets are ours: features are projected to 16 channels before the differences
          (this commutes with Eq. 1), offset and mask convolutions have no residual blocks, and
          the head, starting at zero, is added to the frozen single-frame heatmaps: an untrained
          lite model therefore equals its single-frame twin. Their alpha is 0.01: beside a
          cross-entropy, the label term of Eq. 10 with weight 1 pulls the heatmaps towards what
          the motion alone can tell, which is next to nothing (docs/arena.md).
          Channel split (Table 7) brings each half back to full width by a 1×1 convolution, so
          that fusion and mutual information see the same shapes as with masks.
Written   from the paper only; no other source was read.
Checked   tests/unit/models/test_tdmi.py and every test in tests/contracts/.

Axes: B clip, T frame, S difference (T - 1), C channel, h w cells, K joint, j stage.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from chronopose.codecs.heatmap import HeatmapCodec
from chronopose.errors import ShapeError, UsageError
from chronopose.losses.heatmap import heatmap_loss
from chronopose.losses.mutual_information import TERMS, MutualInformation
from chronopose.models._base import Features, Needs
from chronopose.models._twin import TwinModel, WindowConfig
from chronopose.nn.align import AlignedAggregation, GlobalTranslation, StackedAggregation
from chronopose.nn.backbones import Branches, Stage1
from chronopose.nn.gate import ChannelGate
from chronopose.nn.residual import init_head, residual_chain
from chronopose.nn.stages import DeformConfig, TDEConfig, TemporalDifferenceEncoder
from chronopose.tensors import Target, TDMIOutput


@dataclass(frozen=True, kw_only=True)
class RDMConfig:
    """Representation disentanglement and fusion, Eq. 6; switches of Table 7."""

    enabled: bool = True
    factor: Literal["masks", "split"] = "masks"
    r: int = 4
    """Reduction of the gates' hidden layer."""
    blocks: int = 3
    """Residual blocks of the fusion."""
    width: int | None = None
    """Channels of the fused feature; None: as the backbone's last stage."""


@dataclass(frozen=True, kw_only=True)
class STConfig:
    """The spatiotemporal feature of TDMI-ST."""

    mode: Literal["none", "fami_align", "concat"] = "none"
    blocks: tuple[int, int, int] = (2, 1, 3)
    width: int | None = None
    dilation: int = 3
    global_warp: bool = False


@dataclass(frozen=True, kw_only=True)
class MIConfig:
    """The mutual-information objective, Eq. 7-13; see ``losses/mutual_information.py``."""

    mode: Literal["vsd", "literal", "none"] = "vsd"
    temperature: float = 0.05
    label_temperature: float | None = None
    """None: ``temperature`` for Gaussian maps, 1 for softmax maps, which are logits already."""
    standardise: bool = False
    reduction: Literal["mean", "batch"] = "mean"
    alpha: float = 1.0
    """Weight of the terms, Eq. 15."""


@dataclass(frozen=True, kw_only=True)
class TDMIConfig(WindowConfig):
    """What TDMI is built from; every row of the paper's ablations is a setting."""

    stage1: Stage1 = "layer1"
    branches: Branches = "high"
    tde: TDEConfig = field(default_factory=TDEConfig)
    rdm: RDMConfig = field(default_factory=RDMConfig)
    st: STConfig = field(default_factory=STConfig)
    mi: MIConfig = field(default_factory=MIConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        stages = self.tde.stages
        if not stages or sorted(set(stages)) != list(stages) or not set(stages) <= {1, 2, 3, 4}:
            raise UsageError(f"tde.stages must be rising numbers from 1 to 4; got {stages}.")


PAPER = TDMIConfig()
LITE = TDMIConfig(
    backbone="lite",
    skeleton="lsp14",
    crop_size=(192, 256),
    activation="softmax",
    decoder="expectation",
    tde=TDEConfig(
        blocks=(1, 1, 1, 1), width=16, reduce=16, convs=1, dcn=DeformConfig(groups=2, blocks=0)
    ),
    rdm=RDMConfig(blocks=1, width=32),
    mi=MIConfig(reduction="batch", alpha=0.01),
    residual_head=True,
)
LITE_ST = STConfig(mode="fami_align", blocks=(1, 1, 1), width=16)
PRESETS = {
    "hrnet_w48": PAPER,
    "hrnet_w48_st": replace(PAPER, st=STConfig(mode="fami_align")),
    "hrnet_w32": replace(PAPER, backbone="hrnet_w32", tde=TDEConfig(dcn=DeformConfig(groups=8))),
    "lite": LITE,
    "lite_st": replace(LITE, st=LITE_ST),
}


class RepresentationDisentanglement(nn.Module):
    """M -> useful M_u and noise M_n (Eq. 6), and the fusion of M_u with the visual feature.

    Args:
        width: Channels of M.
        visual: Channels of the visual feature.
        out: Channels of the fused feature.
        config: Switches; not enabled, M_u is M and there is no M_n.
    """

    def __init__(self, width: int, visual: int, out: int, config: RDMConfig) -> None:
        super().__init__()
        self.config = config
        if config.enabled and config.factor == "masks":
            self.mlp_u = ChannelGate(width, config.r)
            self.mlp_n = ChannelGate(width, config.r)
        elif config.enabled:
            self.split_u = nn.Conv2d(width // 2, width, 1)
            self.split_n = nn.Conv2d(width - width // 2, width, 1)
        self.fuse = residual_chain(width + visual, out, config.blocks)

    def useful(self, motion: Tensor) -> Tensor:
        """M_u ``(B, width, h, w)``."""
        if not self.config.enabled:
            return motion
        if self.config.factor == "masks":
            return self.mlp_u(motion) * motion
        return self.split_u(motion[:, : motion.shape[1] // 2])

    def noise(self, motion: Tensor) -> Tensor | None:
        """M_n ``(B, width, h, w)``; nothing but the losses reads it."""
        if not self.config.enabled:
            return None
        if self.config.factor == "masks":
            return self.mlp_n(motion) * motion
        return self.split_n(motion[:, motion.shape[1] // 2 :])


class TDMI(TwinModel):
    """TDMI and TDMI-ST."""

    PRESETS: ClassVar[Mapping[str, TDMIConfig]] = PRESETS
    gives_features = False
    """Put the features out in eval mode too, for pictures of them."""

    def __init__(self, config: TDMIConfig) -> None:
        super().__init__()
        self.config = config
        self.codec = config.build_codec()
        half = config.num_frames // 2
        self.needs = Needs(offsets=tuple(range(-half, half + 1)), crop_size=config.crop_size)
        joints = len(self.codec.skeleton)
        self.add_twin(config, joints, stage1=config.stage1, branches=config.branches)
        last = self.backbone.out_channels
        width, out = config.tde.width or last, config.rdm.width or last
        channels = {j: self.backbone.channels[j - 1] for j in config.tde.stages}
        self.reduce = nn.ModuleDict()
        fields = [f"stage{j}" for j in channels]
        if config.tde.reduce is not None:
            for j, cin in channels.items():
                self.reduce[str(j)] = nn.Conv2d(cin, config.tde.reduce, 1, bias=False)
                channels[j] = config.tde.reduce
            fields.append("visual")
        elif 4 not in channels:
            fields.append("stage4")
        self._fields = tuple(fields)
        self.tde = TemporalDifferenceEncoder(
            list(channels.values()), width, config.num_frames, config.tde
        )
        self.rdm = RepresentationDisentanglement(width, last, out, config.rdm)
        self.st = _spatiotemporal(config, last, self.codec.map_size)
        self.head = nn.Conv2d(out, joints, 3, padding=1)
        init_head(self.head, std=0.0 if config.residual_head else 0.001)
        self.probe = nn.Conv2d(width, joints, 1)
        self._label_by_probe = not (config.mi.mode == "literal" and width == last)
        if config.mi.mode == "literal" and not width == out == last:
            raise UsageError(
                f"mi.mode literal compares motion, fused and visual features channel by channel; "
                f"their widths are {width}, {out} and {last}. Use mi.mode vsd, or set tde.width "
                f"and rdm.width to {last}."
            )
        self.freeze_twin()

    def encode(self, frames: Tensor) -> Features:
        """Stage features of single frames; no gradient reaches a frozen backbone.

        Returns:
            NamedTuple of ``stage1`` ... ``stage4``, those that ``tde.stages`` names and always
            the last one, each ``(N, C_j, H/4, W/4)``; with ``tde.reduce`` the projected stages,
            and ``visual``, the last stage as it is.
        """
        stages = self.config.tde.stages
        wanted = stages if 4 in stages else (*stages, 4)
        taps = self.stages_of(frames, wanted)
        if self.config.tde.reduce is None:
            return _named(self._fields)(taps)
        reduced = [self.reduce[str(j)](x) for j, x in zip(stages, taps, strict=False)]
        return _named(self._fields)((*reduced, taps[-1]))

    def fuse(self, features: Features) -> TDMIOutput:
        """Eq. 1-6, fusion and head on a window ``(B, T, C_j, h, w)``.

        Raises:
            ShapeError: the window has another number of frames.
        """
        *_, last = features
        if last.shape[1] != self.config.num_frames:
            raise ShapeError(
                f"This TDMI reads windows of {self.config.num_frames} frames; got "
                f"{last.shape[1]}. Repeat frames at the ends of a video."
            )
        key = self.needs.key
        frame = last[:, key]
        motion = self.tde(features[: len(self.config.tde.stages)], key)
        visual = frame if self.st is None else self.st(last, key)
        useful = self.rdm.useful(motion)
        fused = self.rdm.fuse(torch.cat([useful, visual], dim=1))
        heatmaps = self.head(fused)
        if self.config.residual_head:
            heatmaps = heatmaps + self.single_frame_head(frame)
        if not (self.training or self.gives_features):
            return TDMIOutput(heatmaps)
        label = self.probe if self._label_by_probe else self.single_frame_head
        return TDMIOutput(
            heatmaps, motion, useful, self.rdm.noise(motion), fused, visual,
            visual_heatmaps=self.single_frame_head(visual),
            useful_heatmaps=label(useful.detach()),
        )  # fmt: skip

    def criterion(self) -> TDMICriterion:
        """Eq. 14-15: the heatmap term and the four mutual-information terms."""
        return TDMICriterion(self.config, self.codec)

    def weights_of_terms(self) -> dict[str, float]:
        """Alpha of Eq. 15 for every mutual-information term."""
        return dict.fromkeys(TERMS, self.config.mi.alpha)


class TDMICriterion(nn.Module):
    """Terms ``heatmap`` (Eq. 14), those of Eq. 13, and ``probe``, the auxiliary layer's own loss.

    The squared error has no factor 1/2. Outputs of eval mode carry no features: ``heatmap`` only.
    """

    def __init__(self, config: TDMIConfig, codec: HeatmapCodec) -> None:
        super().__init__()
        mi = config.mi
        label = mi.label_temperature
        if label is None:
            label = 1.0 if config.activation == "softmax" else mi.temperature
        self.loss = heatmap_loss(codec)
        self.information = MutualInformation(
            mi.mode, temperature=mi.temperature, label_temperature=label,
            standardise=mi.standardise, reduction=mi.reduction,
        )  # fmt: skip

    def forward(self, output: TDMIOutput, target: Target) -> dict[str, Tensor]:
        """Named, unweighted terms of a batch.

        Raises:
            ShapeError: output and target do not fit together.
        """
        terms = {"heatmap": self.loss(output.heatmaps, target)}
        terms |= self.information(output)
        if len(terms) > 1 and output.useful_heatmaps is not None:
            terms["probe"] = self.loss(output.useful_heatmaps, target)
        return terms


@cache
def _named(fields: tuple[str, ...]) -> Callable[[Iterable[Tensor]], Features]:
    """Maker of NamedTuples of stage features; which stages there are is a setting."""
    kind: Any = namedtuple("StageFeatures", fields)  # type: ignore[misc]
    return kind._make


def _spatiotemporal(
    config: TDMIConfig, channels: int, map_size: tuple[int, int]
) -> AlignedAggregation | StackedAggregation | None:
    st, frames = config.st, config.num_frames
    if st.mode == "none":
        return None
    if st.mode == "concat":
        return StackedAggregation(channels, frames, blocks=st.blocks[2])
    return AlignedAggregation(
        channels, frames, width=st.width or channels, blocks=st.blocks,
        groups=config.tde.dcn.groups, dilation=st.dilation, mask_act=config.tde.dcn.mask_act,
        warp=GlobalTranslation(channels, map_size) if st.global_warp else None,
    )  # fmt: skip

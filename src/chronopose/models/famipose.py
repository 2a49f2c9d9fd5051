"""FAMI-Pose: features of neighbouring frames, aligned to the key frame in two steps and joined.

Paper     Liu, Feng, Chen, Wu, Gao, Wang, "Temporal Feature Alignment and Mutual Information
          Maximization for Video-Based Human Pose Estimation", CVPR 2022.
Reads     ClipBatch.frames   float  B T 3 H W   one person, crops aligned to the key frame
Returns   FAMIOutput         float  B K H/4 W/4
Idea      1. Features of every frame, from a frozen single-frame network.
          2. Global: each neighbour is moved by one predicted translation.
          3. Local: the neighbours, joined, are re-sampled by four deformable convolutions.
          4. Key frame and aligned neighbours give one feature, a 3×3 convolution its heatmaps.
          5. Mutual-information terms: the joined feature is to say what the key frame does not,
             and to lose nothing that the single frames say.
Differs   Any odd T >= 3; the paper runs T = 5. In mode ``paper`` the two "lose nothing" terms,
          I(y; z) - I(z; fused), are the divergence that they equal by Variational
          Self-Distillation, and the others are bounded; ``released`` is what the published loss
          computes, see :class:`FAMICriterion`. Which feature of the neighbours enters the terms
          is not told; here it is the one before any alignment, each neighbour by itself.
          Maps are not warped, features are, so softmax logits need no care; their label
          distributions are taken at temperature 1.
          Preset ``lite`` is ours: narrow aggregation, and the head, starting at zero, is added to
          the frozen single-frame heatmaps: untrained it equals its single-frame twin.
Written   from facts of the paper and of the released loss, in our notes; no code was read.
Checked   tests/parity/test_dcpose_famipose_parity.py: equal to the published network in float64.

Axes: B clip, T frame, S neighbour (T - 1), N frame of any clip, C channel, h w cells, K joint.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from chronopose.codecs.heatmap import HeatmapCodec
from chronopose.errors import ShapeError, UsageError
from chronopose.losses.heatmap import heatmap_loss
from chronopose.losses.mutual_information import (
    bounded_information,
    divergence,
    literal_information,
    spatial_log_distribution,
)
from chronopose.models._base import Needs
from chronopose.models._twin import TwinModel, WindowConfig
from chronopose.nn.align import AlignedAggregation, GlobalTranslation
from chronopose.nn.residual import init_head
from chronopose.tensors import FAMIOutput, Target

MIMode = Literal["paper", "released", "none"]

RELEASED_WEIGHTS = {
    "mi_label_fused": -0.05,
    "mi_key_fused": 0.05,
    "mi_label_neighbours": 0.5,
    "mi_neighbours_fused": -0.5,
    "mi_label_key": 0.5,
    "mi_key_fused_again": -0.5,
}
"""Terms of mode ``released`` -> weight, in the published order; the second and sixth are equal."""
PAPER_WEIGHTS = {
    "mi_label_fused": -0.05,
    "mi_key_fused": 0.05,
    "mi_neighbours_lost": 0.5,
    "mi_key_lost": 0.5,
}
"""Terms of mode ``paper`` -> weight."""


@dataclass(frozen=True, kw_only=True)
class FAMIPoseConfig(WindowConfig):
    """What FAMI-Pose is built from."""

    crop_size: tuple[int, int] = (288, 384)
    """Width and height, pixels, multiples of 32; the weights depend on it."""
    blocks: tuple[int, int, int] = (2, 1, 3)
    """Residual blocks that join the neighbours, guide the re-sampling, and join the result."""
    width: int | None = None
    """Channels between; None: as the backbone's last stage."""
    groups: int = 12
    """Offset groups of the deformable convolutions."""
    dilation: int = 3
    """Of the deformable, offset and mask convolutions, cells."""
    mi_mode: MIMode = "paper"
    mi_temperature: float = 0.05
    mi_label_temperature: float | None = None
    """None: ``mi_temperature`` for Gaussian maps, 1 for softmax maps, which are logits already."""
    mi_reduction: Literal["mean", "batch"] = "mean"
    """``mean`` divides each row's value by its cells, the published balance with a squared error;
    ``batch`` does not, which suits a cross-entropy."""
    mi_alpha: float = 1.0
    """Multiplies the weights of the mutual-information terms."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mi_mode not in get_args(MIMode) or self.mi_reduction not in ("mean", "batch"):
            raise UsageError(
                f"mi_mode must be paper, released or none and mi_reduction mean or batch; got "
                f"{self.mi_mode!r} and {self.mi_reduction!r}."
            )
        if min(self.mi_temperature, self.label_temperature) <= 0:
            raise UsageError(
                f"Temperatures must be positive; got {self.mi_temperature} for features and "
                f"{self.label_temperature} for heatmaps."
            )

    @property
    def label_temperature(self) -> float:
        """Temperature of the distributions of heatmaps."""
        if self.mi_label_temperature is not None:
            return self.mi_label_temperature
        return 1.0 if self.activation == "softmax" else self.mi_temperature


PRESETS = {
    "hrnet_w48": FAMIPoseConfig(),
    "lite": FAMIPoseConfig(
        backbone="lite", skeleton="lsp14", crop_size=(192, 256), activation="softmax",
        decoder="expectation", blocks=(1, 1, 1), width=12, groups=2, dilation=2,
        mi_reduction="batch", mi_alpha=0.01, residual_head=True,
    ),
}  # fmt: skip


class FrameFeature(NamedTuple):
    """What FAMI-Pose keeps of a frame."""

    stage4: Tensor
    """float N C h w, the backbone's last stage."""


class FAMIPose(TwinModel):
    """FAMI-Pose on a single-frame twin."""

    PRESETS: ClassVar[Mapping[str, FAMIPoseConfig]] = PRESETS

    def __init__(self, config: FAMIPoseConfig) -> None:
        super().__init__()
        self.config = config
        self.codec = config.build_codec()
        half = config.num_frames // 2
        self.needs = Needs(offsets=tuple(range(-half, half + 1)), crop_size=config.crop_size)
        joints = len(self.codec.skeleton)
        self.add_twin(config, joints)
        channels = self.backbone.out_channels
        self.temporal = AlignedAggregation(
            channels, config.num_frames, width=config.width or channels, blocks=config.blocks,
            groups=config.groups, dilation=config.dilation, mask_act="raw",
            warp=GlobalTranslation(channels, self.codec.map_size, bias=True),
        )  # fmt: skip
        self.head = nn.Conv2d(channels, joints, 3, padding=1)
        init_head(self.head, std=0.0 if config.residual_head else 0.001)
        self.freeze_twin()

    def encode(self, frames: Tensor) -> FrameFeature:
        """Last stage of single frames ``(N, C, H/4, W/4)``; no gradient if the twin is frozen."""
        return FrameFeature(*self.stages_of(frames))

    def fuse(self, features: tuple[Tensor, ...]) -> FAMIOutput:
        """Features of a window ``(B, T, C, h, w)`` in time order -> heatmaps of the key frame.

        Raises:
            ShapeError: the window has another number of frames.
        """
        (sequence,) = features
        if sequence.shape[1] != self.config.num_frames:
            raise ShapeError(
                f"This FAMI-Pose reads windows of {self.config.num_frames} frames; got "
                f"{sequence.shape[1]}. Repeat the key frame at the ends of a video."
            )
        position = self.needs.key
        key = sequence[:, position]
        fused = self.temporal(sequence, position)
        heatmaps = self.head(fused)
        if self.config.residual_head:
            heatmaps = heatmaps + self.single_frame_head(key)
        if not self.training or self.config.mi_mode == "none":
            return FAMIOutput(heatmaps)
        neighbours = torch.cat([sequence[:, :position], sequence[:, position + 1 :]], dim=1)
        read = self.single_frame_head
        return FAMIOutput(
            heatmaps, fused, key, neighbours, read(fused), read(key),
            read(neighbours.flatten(0, 1)).unflatten(0, neighbours.shape[:2]),
        )  # fmt: skip

    def criterion(self) -> FAMICriterion:
        """Squared error without the factor 1/2, or the cross-entropy over cells; and MI terms."""
        return FAMICriterion(self.config, self.codec)

    def weights_of_terms(self) -> dict[str, float]:
        """Published weights of the mutual-information terms, times ``mi_alpha``."""
        weights = {"paper": PAPER_WEIGHTS, "released": RELEASED_WEIGHTS, "none": {}}
        return {k: self.config.mi_alpha * w for k, w in weights[self.config.mi_mode].items()}

    @staticmethod
    def from_official_keys(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """State dict of the published FAMI-Pose (alignment V15) -> ours."""
        ours = {}
        for key, value in state.items():
            name = key.removeprefix("module.")
            for pattern, home in _OFFICIAL:
                name = re.sub(pattern, home, name)
            # The published deformable steps count from 1.
            step = r"^temporal\.(offset|mask|dcn)\.(\d)"
            ours[re.sub(step, lambda m: f"temporal.{m[1]}.{int(m[2]) - 1}", name)] = value
        return ours


_OFFICIAL = (
    (r"^hrnet\.", "backbone."),
    (r"^feat_global_offset_layers\.0\.layers\.0\.", "temporal.warp.layers.0."),
    (r"^feat_global_offset_layers\.(\d)\.conv\.", r"temporal.warp.layers.\1.0."),
    (r"^feat_global_offset_layers\.(\d)\.bn\.", r"temporal.warp.layers.\1.1."),
    (r"^feat_global_offset_layers\.", "temporal.warp.layers."),
    (r"^sup_agg_block\.layers\.", "temporal.neighbours."),
    (r"^combined_feat_layers\.layers\.", "temporal.combine."),
    (r"^init_feature_agg_block\.layers\.", "temporal.join."),
    (r"^dcn_(offset|mask)_(\d)\.conv\.", r"temporal.\1.\2."),
    (r"^dcn_(\d)\.", r"temporal.dcn.\1."),
    (r"^(temporal\..+)\.downsample\.", r"\1.shortcut."),
    (r"^agg_final_layer\.", "head."),
)


class FAMICriterion(nn.Module):
    """Term ``heatmap`` and the mutual-information terms of ``mi_mode``.

    Features and heatmaps are read as one distribution over cells per channel; y is the network's
    own answer, read off a feature by the frozen single-frame layer.

    ``released``
        Six terms (:data:`RELEASED_WEIGHTS`), each [-H(live) - <live, detached>] / N: a KL function
        that expects log-probabilities was given probabilities. The live sides are the heatmaps
        and the fused feature. In sum little more than -0.95 H(heatmaps) with the sign that
        flattens them. To reproduce, not to recommend.
    ``paper``
        Four terms (:data:`PAPER_WEIGHTS`). I(y; fused) and I(key; fused) are bounded,
        ln 2 - JS in [0, ln 2], and teach the fused feature alone. What the fused feature has lost
        of y given the key frame, and given each neighbour, is KL(y of that feature || heatmaps).

    Outputs of eval mode carry no features: ``heatmap`` only.

    Source:
        FAMI-Pose's objective; estimators in ``losses/mutual_information.py``.
    """

    def __init__(self, config: FAMIPoseConfig, codec: HeatmapCodec) -> None:
        super().__init__()
        self.config = config
        self.loss = heatmap_loss(codec)

    def forward(self, output: FAMIOutput, target: Target) -> dict[str, Tensor]:
        """Named, unweighted terms of a batch.

        Raises:
            ShapeError: output and target do not fit together.
        """
        return {"heatmap": self.loss(output.heatmaps, target), **self.information(output)}

    def information(self, output: FAMIOutput) -> dict[str, Tensor]:
        """The mutual-information terms alone; none if the output carries no features."""
        mode = self.config.mi_mode
        if mode == "none" or output.fused is None:
            return {}
        with torch.autocast(output.heatmaps.device.type, enabled=False):
            rows = self._released(output) if mode == "released" else self._paper(output)
            cells = output.heatmaps.shape[-2] * output.heatmaps.shape[-1]
            scale = 1.0 / cells if self.config.mi_reduction == "mean" else 1.0
            return {name: row.mean() * scale for name, row in rows.items()}

    def _released(self, output: FAMIOutput) -> dict[str, Tensor]:
        answer, *labels = self._labels(output)
        fused, key, neighbours = self._features(output)
        of_fused, of_key, of_neighbours = labels
        about_key = literal_information(key, fused)
        values = (
            literal_information(of_fused, answer),
            about_key,
            literal_information(of_neighbours, answer[:, None]),
            literal_information(neighbours, fused[:, None]),
            literal_information(of_key, answer),
            about_key,
        )
        return dict(zip(RELEASED_WEIGHTS, values, strict=True))

    def _paper(self, output: FAMIOutput) -> dict[str, Tensor]:
        answer, of_fused, of_key, of_neighbours = self._labels(output)
        fused, key, _ = self._features(output)
        values = (
            bounded_information(answer.detach(), of_fused),
            bounded_information(key.detach(), fused),
            divergence(of_neighbours, answer[:, None]),
            divergence(of_key, answer),
        )
        return dict(zip(PAPER_WEIGHTS, values, strict=True))

    def _labels(self, output: FAMIOutput) -> list[Tensor]:
        """Of the answer, then as read off the fused, the key and the neighbours' features."""
        maps = (
            output.heatmaps, output.fused_heatmaps, output.key_heatmaps, output.neighbour_heatmaps
        )  # fmt: skip
        return _distributions(maps, self.config.label_temperature)

    def _features(self, output: FAMIOutput) -> list[Tensor]:
        """Of the fused, the key and the neighbours' features."""
        maps = (output.fused, output.key, output.neighbours)
        return _distributions(maps, self.config.mi_temperature)


def _distributions(maps: tuple[Tensor | None, ...], temperature: float) -> list[Tensor]:
    """``(..., C, h, w) -> (..., C, N)`` logarithms of distributions over the N cells."""
    return [
        spatial_log_distribution(m.flatten(0, -4), temperature).unflatten(0, m.shape[:-3])
        for m in maps
        if m is not None
    ]

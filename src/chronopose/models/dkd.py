"""DKD: kernels distilled from the previous frame find the joints of the current one.

Paper     Nie, Li, Luo, Zhang, Feng, "Dynamic Kernel Distillation for Efficient Pose Estimation in
          Videos", ICCV 2019.
Reads     ClipBatch.frames   float  B T 3 H W   one person, key frame last
Returns   ClipOutput         float  B K H/4 W/4; while training also B T K H/4 W/4
Idea      1. First frame: a large pose initialiser gives the heatmaps.
          2. Every frame: a small encoder gives features, a 1×1 layer V projects them.
          3. The distillator makes a kernel for every channel out of the previous frame's heatmaps
             and projected feature.
          4. The current feature is convolved with these kernels; a 1×1 layer U gives heatmaps.
          5. A critic of temporal changes trains against it, by turns.
Differs   Layers are those of a later network's published base, as the paper's text beyond its
          abstract could not be read. Four of its habits are settings and off: one batch norm for
          two tensors, the first frame's raw feature for the distillator, kernels of any size, batch
          norm on the initialiser's maps. Maps other than 64×64 cells and kernels other than 7×7
          pool as Distillator says. ``start`` and ``step`` carry a state from frame to frame, for
          as long as one likes; ``fuse`` starts at the first frame of its window. ``forward`` gives
          what ``fuse(encode(...))`` gives but runs the initialiser on the first frame alone.
          Preset ``lite`` is ours: the frozen single-frame twin is initialiser and encoder at once,
          and the matching is added to the twin's maps of each frame, starting at zero.
          Without ``distil`` the kernels are learnt and fixed, so no frame sees another.
Written   from the abstract and figure captions, and from facts of the base network inside RPSTN.
Checked   tests/unit/models/test_dkd.py and every test in tests/contracts/.

Axes: B clip, T frame, N frame of any clip, C channel, K joint, S side of a kernel, h w cells.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from chronopose.codecs.heatmap import HeatmapCodec
from chronopose.errors import UsageError, WeightsError
from chronopose.losses.adversarial import TemporalAdversary
from chronopose.losses.clip import ClipCriterion
from chronopose.models._base import Criterion, Features, Needs
from chronopose.models._twin import TwinConfig, TwinModel
from chronopose.nn.backbones import build_backbone
from chronopose.nn.distil import ChangeCritic, Distillator, match_kernels
from chronopose.nn.residual import init_head
from chronopose.tensors import ClipOutput, HeatmapOutput


@dataclass(frozen=True, kw_only=True)
class AdversaryConfig:
    """The critic of changes: :class:`~chronopose.losses.adversarial.TemporalAdversary`."""

    enabled: bool = True
    weight: float = 1e-3
    """Of the term ``adversarial``."""
    gamma: float = 0.5
    rate: float = 1e-3
    lr: float = 1e-4
    widths: tuple[int, ...] = (64, 128, 256)


@dataclass(frozen=True, kw_only=True)
class DKDConfig(TwinConfig):
    """What DKD is built from; ``backbone`` is the frame encoder.

    Raises:
        UsageError: values do not fit together.
    """

    backbone: str = "resnet50"
    """``resnet18``, ``resnet34``, ``resnet50`` and larger, or ``lite``."""
    initialiser: str | None = "resnet101"
    """Backbone of the pose initialiser; None: the frame encoder with a 1×1 layer of its own, the
    single-frame twin."""
    skeleton: str = "penn13"
    crop_size: tuple[int, int] = (256, 256)
    frames: int = 5
    """Frames T of a window, the key frame last; at least 2."""
    width: int = 256
    """Channels of projection, distillator and kernels."""
    kernel: int = 7
    """Side S of the kernels; odd."""
    distil: bool = True
    """Off: learnt, fixed kernels in place of distilled ones."""
    kernel_scale: bool = True
    """Divide kernels by S². Off as in the network that the layers come from."""
    shared_bn: bool = False
    """One batch norm for the distillator's input and the projected feature."""
    carry_raw_first: bool = False
    """The encoder's own feature of the first frame goes into the distillator, not the projected
    one; needs as many channels as ``width``."""
    bn_on_initial: bool = False
    """The output's batch norm also acts on the initialiser's maps."""
    freeze_backbone: bool = False
    adversary: AdversaryConfig = field(default_factory=AdversaryConfig)

    def __post_init__(self) -> None:
        if self.frames < 2:
            raise UsageError(
                f"A window of DKD has at least two frames, the first for the initialiser; got "
                f"{self.frames}. For one frame use simple_baseline."
            )
        if self.initialiser is not None and (self.residual_head or self.freeze_backbone):
            raise UsageError(
                "residual_head and freeze_backbone build on a single-frame twin. Set "
                "initialiser=None, or switch them off."
            )


PAPER = DKDConfig()
PRESETS = {
    "paper": PAPER,
    "paper_jhmdb": replace(PAPER, skeleton="jhmdb15"),
    "r34": replace(PAPER, backbone="resnet34"),
    "r18": replace(PAPER, backbone="resnet18"),
    "lite": DKDConfig(
        backbone="lite", initialiser=None, skeleton="lsp14", crop_size=(192, 256),
        activation="softmax", decoder="expectation", frames=3, width=64, residual_head=True,
        freeze_backbone=True, adversary=AdversaryConfig(widths=(32, 64, 128)),
    ),
}  # fmt: skip


class State(NamedTuple):
    """What is carried from frame to frame."""

    maps: Tensor
    """float B K h w, heatmaps of the newest frame."""
    feature: Tensor
    """float B C h w, its projected feature."""


class Initialiser(nn.Module):
    """Backbone at stride 4 and a 1×1 ``head``; state-dict keys of our simple_baseline and hrnet.

    Args:
        name: Backbone.
        joints: K.
        pretrained: Start from ImageNet weights.
    """

    def __init__(self, name: str, joints: int, pretrained: bool = False) -> None:
        super().__init__()
        self.backbone = build_backbone(name, pretrained)
        self.head = nn.Conv2d(self.backbone.out_channels, joints, 1)
        init_head(self.head)

    def forward(self, frames: Tensor) -> Tensor:
        """``(N, 3, H, W) -> (N, K, H/4, W/4)``."""
        maps: Tensor = self.head(self.backbone(frames))
        return maps


class DKD(TwinModel):
    """``initialiser``, ``backbone``, ``project``, ``distillator``, ``head`` and what is between."""

    PRESETS: ClassVar[Mapping[str, DKDConfig]] = PRESETS
    whole_clip: ClassVar[bool] = True

    codec: HeatmapCodec

    def __init__(self, config: DKDConfig) -> None:
        super().__init__()
        self.config = config
        self.codec = config.build_codec()
        self.needs = Needs(offsets=tuple(range(1 - config.frames, 1)), crop_size=config.crop_size)
        joints, width, size = len(self.codec.skeleton), config.width, config.kernel
        if config.initialiser is None:
            self.add_twin(config, joints)
        else:
            self.backbone = build_backbone(config.backbone, config.pretrained)
            self.initialiser = Initialiser(config.initialiser, joints, config.pretrained)
        given = self.backbone.out_channels
        if config.carry_raw_first and given != width:
            raise UsageError(
                f"carry_raw_first feeds {given} channels where projected features have {width}. "
                f"Set width={given}, or carry_raw_first=False."
            )
        self.project = nn.Conv2d(given, width, 1, bias=False)
        self.norm_project = nn.BatchNorm2d(width)
        if config.distil:
            self.reduce = nn.Conv2d(width + joints, width, 1, bias=False)
            if not config.shared_bn:
                self.norm_reduce = nn.BatchNorm2d(width)
            self.distillator = Distillator(width, size)
        else:
            self.kernels = nn.Parameter(torch.randn(1, width, size, size))
        self.head = nn.Conv2d(width, joints, 1, bias=False)
        self.head_norm = nn.BatchNorm2d(joints)
        if config.residual_head:
            nn.init.zeros_(self.head_norm.weight)
        if config.initialiser is None:
            self.freeze_twin()

    # ---- one frame ------------------------------------------------------------------------------

    def initial_maps(self, frames: Tensor) -> Tensor:
        """Heatmaps ``(N, K, h, w)`` of single frames by the initialiser alone."""
        if self.config.initialiser is not None:
            maps: Tensor = self.initialiser(frames)
            return maps
        return self._twin_maps(self.stages_of(frames)[0])

    def _twin_maps(self, feature: Tensor) -> Tensor:
        maps: Tensor = self.single_frame_head(feature)
        return maps

    def encode(self, frames: Tensor) -> Features:
        """The encoder's feature ``(N, C, h, w)``; with an initialiser of its own also its maps."""
        feature = self.stages_of(frames)[0]
        if self.config.initialiser is None:
            return (feature,)
        return feature, self.initialiser(frames)

    # ---- a window -------------------------------------------------------------------------------

    def forward(self, frames: Tensor) -> ClipOutput:
        """``(B, T, 3, H, W)`` -> heatmaps of the last frame; the initialiser sees the first."""
        if self.config.initialiser is None:
            return self.fuse(self._features(frames))
        return self._run(self._features(frames)[0], self.initialiser(frames[:, 0]))

    def _features(self, frames: Tensor) -> Features:
        feature = self.stages_of(frames.flatten(0, 1))[0]
        return (feature.unflatten(0, frames.shape[:2]),)

    def fuse(self, features: Features) -> ClipOutput:
        """Start at the first frame of a window ``(B, T, ...)`` of any length, step to the last."""
        feature = features[0]
        if self.config.initialiser is None:
            return self._run(feature, self._twin_maps(feature[:, 0]))
        return self._run(feature, features[1][:, 0])

    def _run(self, feature: Tensor, first: Tensor) -> ClipOutput:
        """Encoder features ``(B, T, C, h, w)`` and the first frame's maps -> those of the last."""
        if not self.config.distil and not self.training and feature.shape[1] > 1:
            last = feature[:, -1]
            return ClipOutput(self._match(last, self._projected(last), None))
        projected = self._projected(feature.flatten(0, 1)).unflatten(0, feature.shape[:2])
        state = self._first_state(first, feature[:, 0], projected[:, 0])
        maps = [state.maps]
        for t in range(1, feature.shape[1]):
            state = self._next(feature[:, t], projected[:, t], state)
            maps.append(state.maps)
        return ClipOutput(maps[-1], torch.stack(maps, 1) if self.training else None)

    # ---- a stream -------------------------------------------------------------------------------

    def start(self, frame: Tensor) -> State:
        """The initialiser's maps of a first frame ``(B, 3, H, W)``, and its feature."""
        feature = self.stages_of(frame)[0]
        own = self.config.initialiser is not None
        maps = self.initialiser(frame) if own else self._twin_maps(feature)
        return self._first_state(maps, feature, self._projected(feature))

    def step(self, frame: Tensor, state: State) -> tuple[HeatmapOutput, State]:
        """Heatmaps of the next frame ``(B, 3, H, W)``, and what the one after it needs."""
        feature = self.stages_of(frame)[0]
        state = self._next(feature, self._projected(feature), state)
        return HeatmapOutput(state.maps), state

    # ---- the method -----------------------------------------------------------------------------

    def _projected(self, feature: Tensor) -> Tensor:
        projected: Tensor = self.norm_project(self.project(feature))
        return projected

    def _first_state(self, maps: Tensor, raw: Tensor, projected: Tensor) -> State:
        maps = self.head_norm(maps) if self.config.bn_on_initial else maps
        return State(maps, raw if self.config.carry_raw_first else projected)

    def _next(self, feature: Tensor, projected: Tensor, state: State) -> State:
        return State(self._match(feature, projected, self.distilled(state)), projected)

    def _match(self, feature: Tensor, projected: Tensor, kernels: Tensor | None) -> Tensor:
        if kernels is None:
            kernels = self._scaled(self.kernels).expand(len(feature), -1, -1, -1)
        maps: Tensor = self.head_norm(self.head(match_kernels(projected, kernels)))
        return maps + self._twin_maps(feature) if self.config.residual_head else maps

    def distilled(self, state: State) -> Tensor | None:
        """Kernels ``(B, C, S, S)`` for the frame after a state; None where they are fixed."""
        if not self.config.distil:
            return None
        seen = self.reduce(torch.cat([self._as_gaussians(state.maps), state.feature], 1))
        norm = self.norm_project if self.config.shared_bn else self.norm_reduce
        return self._scaled(self.distillator(norm(seen)))

    def _scaled(self, kernels: Tensor) -> Tensor:
        return kernels / self.config.kernel**2 if self.config.kernel_scale else kernels

    def _as_gaussians(self, maps: Tensor) -> Tensor:
        """Maps whose peaks are about 1, also of logits: the distillator should not see levels."""
        if self.codec.activation == "gaussian":
            return maps
        mass = 2 * math.pi * self.codec.sigma**2
        return self.codec.probability(maps.float()).to(maps.dtype) * mass

    # ---- training -------------------------------------------------------------------------------

    def criterion(self) -> Criterion:
        """The heatmap loss over all frames of the clip."""
        return ClipCriterion(self.codec)

    def weights_of_terms(self) -> dict[str, float]:
        """Weight of the adversary's term."""
        return {"adversarial": self.config.adversary.weight}

    def phases(self) -> TemporalAdversary | None:
        """A fresh critic of temporal changes, unless it is switched off."""
        own = self.config.adversary
        if not own.enabled:
            return None
        return TemporalAdversary(
            ChangeCritic(len(self.codec.skeleton), own.widths), activation=self.codec.activation,
            gamma=own.gamma, rate=own.rate, lr=own.lr,
        )  # fmt: skip

    def load_single_frame(self, state: Mapping[str, Tensor]) -> None:
        """Start initialiser and encoder from single-frame networks.

        With an initialiser of its own, call it once with the weights of each: whichever part has
        the backbone takes them. The initialiser keeps its 1×1 layer where the joints differ.

        Args:
            state: Of our simple_baseline with the backbone of either part.

        Raises:
            WeightsError: they fit neither.
        """
        if self.config.initialiser is None:
            super().load_single_frame(state)
            return
        body = {k.removeprefix("backbone."): v for k, v in state.items() if k.startswith("back")}
        taken = [
            part
            for part in (self.backbone, self.initialiser.backbone)
            if _shapes(part.state_dict()) == _shapes(body)
        ]
        if not taken:
            raise WeightsError(
                f"These are weights of neither the frame encoder ({self.config.backbone}) nor the "
                f"pose initialiser ({self.config.initialiser}). Use weights of simple_baseline "
                f"with one of these backbones."
            )
        for part in taken:
            part.load_state_dict(body)
        head = {k.removeprefix("head."): v for k, v in state.items() if k.startswith("head.")}
        own = self.initialiser
        if own.backbone in taken and _shapes(head) == _shapes(own.head.state_dict()):
            own.head.load_state_dict(head)


def _shapes(state: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in state.items()}

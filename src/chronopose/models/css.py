"""CSS: a latent in two parts, learnt without labels from what changes in a video and what stays.

Paper     Honari, Constantin, Rhodin, Salzmann, Fua, "Temporal Representation Learning on
          Monocular Videos for 3D Human Pose Estimation", TPAMI 45(5), 2023. Its loss weights
          and tables could not be read.
Reads     Moments.frames        float  B M 3 H W   crops, or whole frames with the detector
                                float  B M K 2     poses, for the preset of poses
Returns   MomentsOutput         latents z_tv B M V and z_ti B M I; decoded B D ...
Idea      1. Each frame is encoded alone: z = [z_tv, z_ti].
          2. It is rebuilt from its z_tv and the z_ti of another moment of the same video, so
             that z_ti can only hold what stays.
          3. z_tv of near moments attract, those of moments away repel.
          4. In between, likeness falls gradually with time.
Differs   The losses' formulas and weights are ours. With boxes given, the whole crop is rebuilt and
          no mask is learnt, unless the empty scene is given too. The finder serves one person, so
          depth is not used.
Written   from the abstract and facts about Neural Scene Decomposition; no code was copied.
Checked   tests/unit/models/test_css.py, tests/contracts/test_representations.py.

Axes: B sample, M moment, D decoded moment, N frame, K joint, H row, W column, V and I numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chronopose.codecs.self_supervised import PictureInput, PoseInput
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import H36M17, get_skeleton
from chronopose.errors import ShapeError, UsageError
from chronopose.losses.contrastive import (
    contrastive_loss,
    matched_colours,
    near_and_away,
    rank_loss,
    same_pose,
    torso_joints,
    transition_loss,
    unit,
)
from chronopose.losses.perceptual import FeatureDistance
from chronopose.models._represent import RepresentationModel
from chronopose.nn.autoencoder import LiteEncoder, ResNetEncoder, UpDecoder, pose_layers
from chronopose.nn.subject_window import (
    SubjectFinder,
    look_at_place,
    paste,
    place_prior,
    soft_window,
)
from chronopose.tensors.representation import Moments, MomentsOutput, Split

FLOOR = 1e-4
"""Least value of a mask inside its window, so that gradients never vanish."""


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What is asked of the latents; each term can be switched off.

    Raises:
        UsageError: times or weights make no sense.
    """

    near_s: float = 0.2
    """Up to this many seconds from the reference a moment is near."""
    away_s: float = 1.0
    """From this many seconds on it is away; between the two it counts for the transition only."""
    reconstruct: float = 1.0
    """Weight of the squared error of the rebuilt picture or pose."""
    features: float = 0.0
    """Weight of its error in the features of ResNet-18 on ImageNet; needs those weights."""
    contrast: float = 0.1
    """Weight of L_con."""
    transition: Literal["curve", "rank", "off"] = "curve"
    """How likeness has to fall with time: along a line, in order only, or unasked."""
    transition_weight: float = 0.1
    split: bool = True
    """Contrast z_tv alone; False contrasts all of z."""
    swap: float = 0.5
    """Share of the decoded moments whose z_ti comes from another moment of the video."""
    temperature: float = 0.1
    """Of L_con."""
    margin: float = 0.1
    """Of the order of likenesses."""
    other_videos: bool = False
    """Moments of other videos are negatives too."""
    cyclic: float = 0.1
    """Where 2D poses are known, moments away that show the reference's pose to within so many torso
    lengths are no negatives; 0 keeps them."""
    prior: float = 0.1
    """Weight of the wish for places in the middle, of a person's size; with the detector."""
    matched: bool = False
    """Bring the rebuilt picture to the colours of the target before comparing, as published."""
    decoded: int = 2
    """So many moments of a sample are rebuilt."""

    def __post_init__(self) -> None:
        if not 0 < self.near_s < self.away_s:
            raise UsageError(
                f"Times must rise: 0 < near_s < away_s; got {self.near_s} s and {self.away_s} s."
            )
        if not 0 <= self.swap <= 1 or self.temperature <= 0 or self.decoded < 1:
            raise UsageError(
                f"swap is a share of 0 to 1, temperature above zero, decoded at least 1; got "
                f"{self.swap}, {self.temperature} and {self.decoded}."
            )


@dataclass(frozen=True, kw_only=True)
class CSSConfig:
    """Sizes of the network, and what it is asked for."""

    reads: Literal["pictures", "poses"] = "pictures"
    backbone: Literal["resnet50", "lite"] = "resnet50"
    """Encoder of pictures."""
    crop_size: tuple[int, int] = (128, 128)
    """Width and height of the crops, pixels."""
    detector: bool = True
    """Whole frames are given, and the person is found by the network itself."""
    masked: bool = False
    """Crops come with those of the empty scene: the decoder draws the person and a mask."""
    skeleton: str = "h36m17"
    """Joints of poses, and of 2D poses that come with pictures."""
    variant: int = 600
    """Numbers of z_tv."""
    invariant: int = 128
    """Numbers of z_ti."""
    widths: tuple[int, ...] = (24, 32, 64, 96)
    """Channels of the encoder ``lite``; of poses, the first is that of the hidden layers."""
    map_channels: int = 128
    """Channels of the map that the decoder makes of z_tv."""
    decoder_widths: tuple[int, ...] = (128, 64, 32)
    double: bool = True
    """Two more convolutions at each size of the decoder."""
    pretrained: bool = False
    """ImageNet weights through timm for ResNets; their first stages are then frozen."""
    objective: Objective = field(default_factory=Objective)


LITE = CSSConfig(
    backbone="lite", crop_size=(64, 64), detector=False, variant=48, invariant=16,
    map_channels=24, decoder_widths=(32, 24, 12), double=False,
)  # fmt: skip

PRESETS: dict[str, CSSConfig] = {
    "resnet50": CSSConfig(objective=Objective(features=2.0, matched=True)),
    "lite": LITE,
    "lite_masked": replace(LITE, masked=True),
    "poses": CSSConfig(
        reads="poses", detector=False, variant=32, invariant=16, widths=(256,),
        objective=Objective(decoded=4),
    ),
}  # fmt: skip


class CSS(RepresentationModel):
    """The network, and the terms it is trained with."""

    PRESETS: ClassVar[Mapping[str, CSSConfig]] = PRESETS

    def __init__(self, config: CSSConfig) -> None:
        super().__init__()
        self.config = config
        numbers = config.variant + config.invariant
        self.finder: SubjectFinder | None = None
        if config.reads == "poses":
            if self._masks:
                raise UsageError("Poses show no scene: set detector=False and masked=False.")
            self.codec: PictureInput | PoseInput = PoseInput(get_skeleton(config.skeleton))
            count, width = 2 * len(self.codec.skeleton), config.widths[0]
            self.encoder: nn.Module = pose_layers(count, width, numbers)
            self.decoder: nn.Module = pose_layers(numbers, width, count)
            return
        self.codec = PictureInput(config.crop_size)
        if config.backbone == "lite":
            self.encoder = LiteEncoder(config.crop_size, config.widths, numbers)
        else:
            self.encoder = ResNetEncoder(config.crop_size, numbers, config.pretrained)
        self.decoder = UpDecoder(
            config.variant, config.invariant, config.crop_size, channels=config.map_channels,
            widths=config.decoder_widths, out=4 if self._masks else 3, double=config.double,
        )  # fmt: skip
        if config.detector:
            self.finder = SubjectFinder(config.pretrained)

    def encode(self, frames: Tensor) -> Split:
        """Latents of single frames or poses.

        Args:
            frames: ``(N, 3, H, W)`` crops of ``crop_size``, whole frames of any size with the
                detector, or ``(N, K, 2)`` poses; as ``codec.prepare`` gives them.

        Raises:
            ShapeError: they have another shape.
        """
        self._check(frames)
        return self._encode(frames, None if self.finder is None else self.finder(frames))

    def locate(self, frames: Tensor) -> Tensor:
        """Where the person is: ``(N, 3, H, W)`` frames -> ``(N, 4)`` places.

        Raises:
            UsageError: this model has no detector; it is given crops.
        """
        if self.finder is None:
            raise UsageError("This model is given crops and looks for nobody. Set detector=True.")
        place: Tensor = self.finder(frames)
        return place

    def decode(self, latent: Split) -> Tensor:
        """Latents -> ``(N, 3, h, w)`` crops, or ``(N, K, 2)`` poses: what was looked at."""
        return self._draw(latent)[0]

    def render(self, latent: Split, place: Tensor | None, background: Tensor) -> Tensor:
        """Put decoded people back into their scene.

        Args:
            latent: Of N people.
            place: ``(N, 4)`` of :meth:`locate`; None for a model that is given crops.
            background: ``(N, 3, H, W)`` the scenes without them, or the crops of them.

        Returns:
            ``(N, 3, H, W)``: the mask says how much of a pixel is the person.

        Raises:
            UsageError: this model draws no masks.
        """
        colours, mask = self._draw(latent)
        if mask is None:
            raise UsageError(
                "This model draws whole crops and no masks. Set detector=True or masked=True."
            )
        if place is None:
            return mask * colours + (1 - mask) * background
        size = background.shape[-1], background.shape[-2]
        pasted = paste(torch.cat([mask * colours, mask], 1), place, size)
        return pasted[:, :3] + (1 - pasted[:, 3:]) * background

    def forward(self, moments: Moments) -> MomentsOutput:
        """Encode all moments and rebuild the first ones, some with the z_ti of another moment.

        Raises:
            ShapeError: frames have another shape.
            UsageError: with the detector, the background is not given.
        """
        batch, count = moments.frames.shape[:2]
        frames = moments.frames.flatten(0, 1)
        self._check(frames)
        place = None if self.finder is None else self.finder(frames)
        latent = Split(*(z.unflatten(0, (batch, count)) for z in self._encode(frames, place)))
        places = None if place is None else place.unflatten(0, (batch, count))
        few = min(count, self.config.objective.decoded)
        rows = torch.arange(batch, device=frames.device)[:, None]
        stays = latent.invariant[rows, moments.partner[:, :few]]
        part = Split(latent.variant[:, :few].flatten(0, 1), stays.flatten(0, 1))
        if not self.config.objective.reconstruct:
            decoded = moments.frames[:, :0]
        elif not self._masks:
            decoded = self.decode(part).unflatten(0, (batch, few))
        else:
            scene = self._scenes(moments, few).flatten(0, 1)
            where = None if places is None else places[:, :few].flatten(0, 1)
            decoded = self.render(part, where, scene).unflatten(0, (batch, few))
        return MomentsOutput(latent, decoded, places)

    def _scenes(self, moments: Moments, few: int) -> Tensor:
        """``(B, few, 3, H, W)`` what is behind the person in the moments that are rebuilt."""
        known = moments.background
        if known is None:
            raise UsageError(
                "A model that draws masks needs the background of each video: give its footage one."
            )
        if known.ndim == 4:
            return known[:, None].expand(-1, few, -1, -1, -1)
        return known[:, :few]

    def criterion(self) -> CSSCriterion:
        """The terms of the loss, unweighted."""
        return CSSCriterion(self.config.objective, get_skeleton(self.config.skeleton))

    def weights_of_terms(self) -> dict[str, float]:
        """Weight of each term."""
        asked = self.config.objective
        return {
            "reconstruct": asked.reconstruct, "features": asked.features,
            "contrast": asked.contrast, "transition": asked.transition_weight,
            "prior": asked.prior,
        }  # fmt: skip

    def _encode(self, frames: Tensor, place: Tensor | None) -> Split:
        if place is not None:
            width, height = self.config.crop_size
            crops = look_at_place(frames, place, (width, height))
            frames = crops * soft_window(height, width, frames.device)
        elif self.config.reads == "poses":
            frames = frames.flatten(1)
        z = self.encoder(frames)
        return Split(z[:, : self.config.variant], z[:, self.config.variant :])

    def _draw(self, latent: Split) -> tuple[Tensor, Tensor | None]:
        """Colours, and the mask of the person if there is one; or a pose."""
        if isinstance(self.codec, PoseInput):
            pose = self.decoder(torch.cat(latent, 1))
            return pose.unflatten(1, (len(self.codec.skeleton), 2)), None
        drawn = self.decoder(*latent)
        if not self._masks:
            return drawn, None
        if not self.config.detector:
            return drawn[:, :3], drawn[:, 3:].sigmoid()
        window = soft_window(drawn.shape[2], drawn.shape[3], drawn.device)
        mask = (drawn[:, 3:].sigmoid().clamp(min=FLOOR)) * window
        return drawn[:, :3], mask / mask.amax((1, 2, 3), keepdim=True)

    @property
    def _masks(self) -> bool:
        return self.config.detector or self.config.masked

    def _check(self, frames: Tensor) -> None:
        if isinstance(self.codec, PoseInput):
            want: tuple[int, ...] = (len(self.codec.skeleton), 2)
            good = frames.shape[1:] == want
        else:
            want = (3, *self.config.crop_size[::-1])
            good = frames.ndim == 4 and frames.shape[1] == 3
            good = good and (self.config.detector or frames.shape[1:] == want)
        if not good:
            raise ShapeError(f"Frames must be (N, {', '.join(map(str, want))}); got {frames.shape}")


class CSSCriterion:
    """Compares latents with time, and what was rebuilt with what was seen.

    Args:
        objective: Which terms there are.
        skeleton: Joints of ``Moments.xy``.
        features: Distance of pictures in features; None makes the published one where asked for.
    """

    def __init__(
        self, objective: Objective, skeleton: Skeleton = H36M17,
        features: FeatureDistance | None = None,
    ) -> None:  # fmt: skip
        self.objective, self.skeleton = objective, skeleton
        if features is None and objective.features and objective.reconstruct:
            features = FeatureDistance()
        self.features = features

    def __call__(self, output: MomentsOutput, moments: Moments) -> dict[str, Tensor]:
        """Unweighted terms, those that are asked for.

        Raises:
            ShapeError: the 2D poses have other joints than the config says.
        """
        asked = self.objective
        z = output.latent.variant if asked.split else torch.cat(output.latent, -1)
        units = unit(z)
        near, middle, away = near_and_away(moments.delta_s, asked.near_s, asked.away_s)
        if asked.cyclic and moments.xy is not None:
            away = away & ~self._again(moments.xy)
        terms = {}
        if asked.contrast:
            video = moments.video if asked.other_videos else None
            terms["contrast"] = contrastive_loss(units, near, away, asked.temperature, video)
        if asked.transition == "curve":
            terms["transition"] = transition_loss(
                units, moments.delta_s, asked.near_s, asked.away_s
            )
        elif asked.transition == "rank":
            terms["transition"] = rank_loss(units, near, middle, away, asked.margin)
        if asked.reconstruct:
            terms |= self._rebuilt(output, moments)
        if output.place is not None and asked.prior:
            terms["prior"] = place_prior(output.place.flatten(0, 1))
        return terms

    def _again(self, xy: Tensor) -> Tensor:
        """Moments that show the reference's pose again."""
        if xy.shape[2] != len(self.skeleton):
            raise ShapeError(
                f"2D poses of {xy.shape[2]} joints came with the frames, but the model's skeleton "
                f"{self.skeleton.name} has {len(self.skeleton)}. Convert them, or set skeleton."
            )
        return same_pose(xy, torso_joints(self.skeleton), self.objective.cyclic)

    def _rebuilt(self, output: MomentsOutput, moments: Moments) -> dict[str, Tensor]:
        drawn = output.decoded.flatten(0, 1)
        target = moments.frames[:, : output.decoded.shape[1]].flatten(0, 1)
        if self.objective.matched and drawn.ndim == 4:
            drawn = matched_colours(drawn, target)
        terms = {"reconstruct": F.mse_loss(drawn, target)}
        if self.features is not None and drawn.ndim == 4:
            terms["features"] = self.features.to(drawn.device)(drawn, target)
        return terms

"""DSTA: coordinates regressed from joint tokens, space and time looked at apart.

Paper     He, Yang, "Video-Based Human Pose Regression via Decoupled Space-Time Aggregation",
          CVPR 2024.
Reads     ClipBatch.frames   float  B T 3 H W   one person, crops aligned to the key frame
Returns   RegressionOutput   float  B K 2       coordinates and spreads, shares of the crop
Idea      1. One feature vector a frame: the backbone, pooled over the picture.
          2. A token for every joint: one linear layer on the vector over its length.
          3. Space: the key frame's tokens attend inside their body part only.
          4. Time: the tokens of one joint attend along its own frames only.
          5. A learnt mean of both gives each joint's coordinates and spreads.
          6. Residual log-likelihood with a flow trains it; there are no heatmaps anywhere.
Differs   Any odd T, the release is tied to three. Parts come from joint names, for any skeleton;
          they are told apart by a mask, which gives the same numbers as a batch of parts. The two
          tokens of the release that reach no output are left out. Any batch has one layout, so a
          batch of one needs no other. Backbones other than ResNet-50 are adapters of ours: an
          HRNet's four last maps pooled and joined, the mean token of a ViT with patches of 16.
          Embeddings start small and random, the flow as the identity. Preset ``lite`` is ours.
Written   from the paper and from facts of the Apache-2.0 release; blocks and backbones are timm's.
Checked   tests/parity/test_dsta_parity.py: r50 equal to the published network in float64;
          tests/unit/models/test_dsta.py and every test in tests/contracts/.

Axes: B clip, T frame, N frame of any clip, K joint, P token, D width of a token, C channel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, NamedTuple

import timm
import torch
import torch.nn.functional as F
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from chronopose.codecs.regression import Align, RegressionCodec
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import get_skeleton
from chronopose.errors import ShapeError, SkeletonMismatch, UsageError, WeightsError
from chronopose.losses.rle import ResidualLogLikelihood
from chronopose.models._base import Needs, PoseModel
from chronopose.nn.coupling import RealNVP
from chronopose.tensors import RegressionOutput

_HEAD = (
    "head_top", "head", "face", "left_eye", "right_eye", "left_ear", "right_ear", "nose",
    "head_bottom", "upper_neck", "neck_nose", "neck",
)  # fmt: skip
_ARM = ("shoulder", "elbow", "wrist")
_LEG = ("hip", "knee", "ankle", "heel", "big_toe", "small_toe")
_TRUNK = ("thorax", "chest", "spine", "belly", "pelvis")
PARTS: dict[str, tuple[str, ...]] = {
    "head": _HEAD,
    **{f"{side}_arm": tuple(f"{side}_{j}" for j in _ARM) for side in ("left", "right")},
    **{f"{side}_leg": tuple(f"{side}_{j}" for j in _LEG) for side in ("left", "right")},
    "trunk": _TRUNK,
}
"""Body part -> the joints that belong to it, from the body's top or middle outwards."""
BORROWED = {"posetrack17slot": {"left_ear": "head_top", "right_ear": "head_top"}}
"""Skeleton -> joints that are never labelled there, and the joint whose token they read."""
SPARE_TOKENS = 2
"""Tokens at the end of the release's ``fc_coord`` that reach no output."""

RESNETS = ("resnet50", "resnet101", "resnet152")
HRNETS = ("hrnet_w32", "hrnet_w48")
VITS = {
    "vit_b": "vit_base_patch16_224", "vit_l": "vit_large_patch16_224",
    "vit_h": "vit_huge_patch14_224",
}  # fmt: skip
"""Our name -> timm's; patches are 16 pixels wide in all of them."""
LITE_WIDTHS = (64, 128, 256, 384)
BACKBONES = (*RESNETS, *HRNETS, *VITS, "lite")


@dataclass(frozen=True, kw_only=True)
class DSTAConfig:
    """What DSTA is built from."""

    backbone: str = "resnet50"
    """``resnet50/101/152``, ``hrnet_w32/w48``, ``vit_b/l/h`` or ``lite``."""
    skeleton: str = "posetrack17slot"
    """Registry name of the joints K."""
    crop_size: tuple[int, int] = (192, 256)
    """Width and height, pixels, multiples of 32."""
    num_frames: int = 3
    """Frames of a window, key frame in the middle. Odd; 1 looks at the key frame alone."""
    width: int = 32
    """Width D of a token, a multiple of ``heads``."""
    depth: int = 4
    """Attention blocks in space, and as many in time."""
    heads: int = 8
    mlp_ratio: float = 2.0
    drop_path: float = 0.1
    """Stochastic depth of the last block; it rises from 0 at the first."""
    flow_prior_mean: float = 0.5
    """Mean of the flow's normal distribution: 0.5 as released; 0 is the usual one."""
    joint_weights: bool = True
    """Elbows and knees weigh 1.2, wrists and ankles 1.5 in the loss."""
    align: Align = "centre"
    """``corner`` for published weights, which were trained under that law."""
    pretrained: bool = False
    """Start the backbone from ImageNet weights, fetched by timm."""

    def __post_init__(self) -> None:
        if self.num_frames < 1 or self.num_frames % 2 == 0:
            raise UsageError(
                f"num_frames must be odd so that the key frame has as many neighbours on both "
                f"sides; got {self.num_frames}. The paper uses 3 and 5."
            )
        if self.width % self.heads or self.depth < 1:
            raise UsageError(
                f"Tokens {self.width} wide cannot be shared by {self.heads} heads in {self.depth} "
                f"blocks. Give a width that is a multiple of heads and a depth of at least 1."
            )


PAPER = DSTAConfig()
PRESETS = {
    "r50": PAPER,
    "r50_t5": replace(PAPER, num_frames=5),
    "hrnet_w48": replace(PAPER, backbone="hrnet_w48"),
    "vit_h": replace(PAPER, backbone="vit_h"),
    "lite": replace(PAPER, backbone="lite", skeleton="lsp14", flow_prior_mean=0.0),
}


class TokenFeatures(NamedTuple):
    """What ``encode`` returns."""

    tokens: Tensor
    """float N P D, joint tokens of single frames, part by part."""


class PooledBackbone(nn.Module):
    """A timm network whose last feature is pooled over the picture: ``(N, 3, H, W) -> (N, C)``.

    Args:
        name: One of :data:`BACKBONES`.
        crop_size: Width and height of the pictures, pixels; a ViT takes others as well.
        pretrained: ImageNet weights through timm; ``lite`` has none.

    Raises:
        UsageError: there is no such backbone, or no pretrained weights for it.
    """

    def __init__(self, name: str, crop_size: tuple[int, int], pretrained: bool = False) -> None:
        super().__init__()
        if name not in BACKBONES:
            raise UsageError(f"There is no backbone {name!r}. Known: {', '.join(BACKBONES)}.")
        if name == "lite" and pretrained:
            raise UsageError(
                "The lite backbone has no ImageNet weights. Use pretrained=False and start from "
                "the weights of simple_baseline:lite instead."
            )
        extra: dict[str, Any] = {"num_classes": 0, "global_pool": ""}
        if name in HRNETS:
            extra = {"head": "none"}
        elif name in VITS:
            size = crop_size[::-1]
            extra |= {"img_size": size, "patch_size": 16, "dynamic_img_size": True}
        elif name == "lite":
            extra |= {"channels": LITE_WIDTHS, "replace_stem_pool": True}
        timm_name = "resnet18" if name == "lite" else VITS.get(name, name)
        body: Any = timm.create_model(timm_name, pretrained=pretrained, **extra)
        self.body = body
        if name in HRNETS:
            widths = [branch[-1].conv2.out_channels for branch in body.stage4[-1].branches]
            self.channels = sum(widths)
        else:
            self.channels = int(body.num_features)

    def forward(self, frames: Tensor) -> Tensor:
        """``(N, 3, H, W)`` -> the pooled feature ``(N, C)``."""
        body: Any = self.body
        last = body.forward_features(frames)
        if isinstance(last, list):
            return torch.cat([branch.mean((-2, -1)) for branch in last], 1)
        if last.ndim == 3:
            return last[:, body.num_prefix_tokens :].mean(1)
        return last.mean((-2, -1))


class UnitLinear(nn.Linear):
    """``x W^T / |x| + b``: a linear layer on the vector brought to length 1."""

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C) -> (N, out)``; a vector of zeros gives b."""
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        unit = x / length.clamp_min(torch.finfo(length.dtype).tiny)
        return F.linear(unit, self.weight, self.bias)


class DSTA(PoseModel):
    """``backbone``, ``to_tokens``, the two branches, their mean, two heads and the flow."""

    PRESETS: ClassVar[Mapping[str, DSTAConfig]] = PRESETS

    codec: RegressionCodec
    joint_of: Tensor
    place: Tensor
    apart: Tensor

    def __init__(self, config: DSTAConfig) -> None:
        super().__init__()
        self.config = config
        self.codec = RegressionCodec(
            get_skeleton(config.skeleton), config.crop_size, align=config.align
        )
        half = config.num_frames // 2
        self.needs = Needs(offsets=tuple(range(-half, half + 1)), crop_size=config.crop_size)
        parts = body_parts(self.codec.skeleton)
        self._add_parts(parts)
        count, width = len(self.place), config.width
        self.backbone = PooledBackbone(config.backbone, config.crop_size, config.pretrained)
        self.to_tokens = UnitLinear(self.backbone.channels, count * width)
        nn.init.xavier_uniform_(self.to_tokens.weight, gain=0.01)
        self.space_embed = nn.Parameter(torch.zeros(max(map(len, parts)), width))
        self.time_embed = nn.Parameter(torch.zeros(1, config.num_frames, width))
        for embedding in (self.space_embed, self.time_embed):
            nn.init.trunc_normal_(embedding, std=0.02)
        self.space_blocks, self.time_blocks = _blocks(config), _blocks(config)
        self.space_norm = nn.LayerNorm(width, eps=1e-6)
        self.time_norm = nn.LayerNorm(width, eps=1e-6)
        self.weighted_mean = nn.Conv2d(2, 1, 1)
        self.head_coord = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2))
        self.head_sigma = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2))
        self.flow = RealNVP(prior_mean=config.flow_prior_mean)

    def _add_parts(self, parts: Sequence[Sequence[str]]) -> None:
        """Keep where each token belongs, as buffers that are not part of the state dict."""
        skeleton = self.codec.skeleton
        borrowed = BORROWED.get(skeleton.name, {})
        order = [joint for part in parts for joint in part]
        token_of = [order.index(borrowed.get(joint, joint)) for joint in skeleton.joints]
        part_of = torch.tensor([i for i, part in enumerate(parts) for _ in part])
        buffers = {
            "joint_of": torch.tensor(token_of),
            "place": torch.tensor([i for part in parts for i in range(len(part))]),
            "apart": part_of[:, None] != part_of,
        }
        for name, value in buffers.items():
            self.register_buffer(name, value, persistent=False)

    def encode(self, frames: Tensor) -> TokenFeatures:
        """Joint tokens of single frames: backbone, pooling and one linear layer."""
        tokens = self.to_tokens(self.backbone(frames))
        return TokenFeatures(tokens.unflatten(-1, (-1, self.config.width)))

    def fuse(self, features: Sequence[Tensor]) -> RegressionOutput:
        """Space, time, their mean and the heads on tokens ``(B, T, P, D)``.

        Raises:
            ShapeError: the window has another number of frames.
        """
        (tokens,) = features
        if tokens.shape[1] != self.config.num_frames:
            raise ShapeError(
                f"This DSTA reads windows of {self.config.num_frames} frames; got "
                f"{tokens.shape[1]}. Repeat frames at the ends of a video."
            )
        key = self.needs.key
        both = torch.stack([self.in_time(tokens)[:, key], self.in_space(tokens[:, key])], dim=1)
        fused = self.weighted_mean(both)[:, 0].index_select(1, self.joint_of)
        return RegressionOutput(self.head_coord(fused), self.head_sigma(fused).sigmoid())

    def in_space(self, tokens: Tensor) -> Tensor:
        """Tokens of one frame ``(B, P, D)``, each having seen its own body part."""
        x = tokens + self.space_embed[self.place]
        mask = torch.zeros_like(self.apart, dtype=x.dtype).masked_fill(self.apart, -torch.inf)
        for block in self.space_blocks:
            x = block(x, attn_mask=mask)
        return self.space_norm(x)

    def in_time(self, tokens: Tensor) -> Tensor:
        """Tokens ``(B, T, P, D)``, each having seen its own joint in all frames."""
        batch = tokens.shape[0]
        x = tokens.transpose(1, 2).flatten(0, 1) + self.time_embed
        for block in self.time_blocks:
            x = block(x)
        return self.time_norm(x).unflatten(0, (batch, -1)).transpose(1, 2)

    def criterion(self) -> ResidualLogLikelihood:
        """Terms ``flow`` and ``base`` of the residual log-likelihood."""
        return ResidualLogLikelihood(
            self.codec.skeleton, self.flow, use_joint_weights=self.config.joint_weights
        )

    def load_single_frame(self, state: Mapping[str, Tensor]) -> None:
        """Start from a network of single pictures.

        Args:
            state: Of our simple_baseline or hrnet with the same backbone, or of a published
                residual log-likelihood network (keys ``preact.*``), as the paper does: the backbone
                is taken and nothing else. Of a DSTA of one frame everything is taken, and its one
                embedding of time serves all frames.

        Raises:
            WeightsError: an entry of the backbone is missing or of another shape.
        """
        if state.get("time_embed", self.time_embed[:, :0]).shape[1] == 1:
            embed = state["time_embed"].expand_as(self.time_embed)
            self.load_state_dict({**state, "time_embed": embed})
            return
        own = {k: v for k, v in self.backbone.state_dict().items() if not _coarse_only(k)}
        given = {}
        for key, value in state.items():
            for prefix in ("backbone.body.", "backbone.", "preact."):
                if key.startswith(prefix):
                    given["body." + key.removeprefix(prefix)] = value
                    break
        wrong = [k for k, v in own.items() if k not in given or given[k].shape != v.shape]
        if wrong:
            raise WeightsError(
                f"These weights do not fit the backbone {self.config.backbone}: {len(wrong)} of "
                f"its {len(own)} entries are missing or of another shape, e.g. {min(wrong)}. Use "
                f"weights of simple_baseline or hrnet with the same backbone."
            )
        self.backbone.load_state_dict({k: given[k] for k in own}, strict=False)

    @staticmethod
    def from_official_keys(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """State dict of the published DSTA -> ours; the rows of the two spare tokens are cut."""
        ours = {_renamed(key.removeprefix("module."), _OURS): v for key, v in state.items()}
        spare = SPARE_TOKENS * ours["space_embed"].shape[-1]
        for key in ("to_tokens.weight", "to_tokens.bias"):
            ours[key] = ours[key][:-spare]
        return ours

    @staticmethod
    def to_official_keys(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Inverse of :meth:`from_official_keys`; the rows of the two spare tokens are zero."""
        spare = SPARE_TOKENS * state["space_embed"].shape[-1]
        theirs = {_renamed(key, {v: k for k, v in _OURS.items()}): v for key, v in state.items()}
        for key in ("fc_coord.linear.weight", "fc_coord.linear.bias"):
            value = theirs[key]
            theirs[key] = torch.cat([value, value.new_zeros(spare, *value.shape[1:])])
        return theirs


_OURS = {
    "preact": "backbone.body", "fc_coord.linear": "to_tokens", "Spatial_pos_embed": "space_embed",
    "Temporal_pos_embed": "time_embed", "Spatial_blocks": "space_blocks", "blocks": "time_blocks",
    "Spatial_norm": "space_norm", "Temporal_norm": "time_norm", "weighted_mean": "weighted_mean",
    "head_coord": "head_coord", "head_sigma": "head_sigma", "flow.mask": "flow.mask",
    "flow.s": "flow.scale", "flow.t": "flow.shift",
}  # fmt: skip
"""Beginnings of the published keys -> ours; whole words between dots."""


def body_parts(skeleton: Skeleton) -> tuple[tuple[str, ...], ...]:
    """The joints that have a token, part by part in the order of :data:`PARTS`; no part is empty.

    Raises:
        SkeletonMismatch: a joint belongs to no part.
    """
    homeless = set(skeleton.joints).difference(*PARTS.values())
    if homeless:
        raise SkeletonMismatch(
            f"DSTA does not know the body part of {', '.join(sorted(homeless))} of "
            f"{skeleton.name!r}. Add the joint to PARTS in models/dsta.py."
        )
    borrowed = BORROWED.get(skeleton.name, {})
    found = (tuple(j for j in p if j in skeleton and j not in borrowed) for p in PARTS.values())
    return tuple(part for part in found if part)


def _blocks(config: DSTAConfig) -> nn.ModuleList:
    depths = torch.linspace(0, config.drop_path, config.depth, device="cpu").tolist()
    norm: Any = partial(nn.LayerNorm, eps=1e-6)
    return nn.ModuleList(
        Block(
            config.width, config.heads, mlp_ratio=config.mlp_ratio, qkv_bias=True, drop_path=drop,
            norm_layer=norm,
        )
        for drop in depths
    )  # fmt: skip


def _renamed(key: str, names: Mapping[str, str]) -> str:
    for old, new in names.items():
        if key == old or key.startswith(old + "."):
            return new + key.removeprefix(old)
    return key


def _coarse_only(key: str) -> bool:
    """Whether an entry serves the coarser branches alone, which a pose HRNet does not have."""
    last = "body.stage4.2.fuse_layers."
    return key.startswith(last) and not key.startswith(last + "0.")

"""PAVE-Net: poses of everyone in the key frame, end to end from whole frames of a video.

Paper     PAVE-Net, a pose-aware video transformer for multi-person pose without detector, crops or
          suppression of duplicates, AAAI 2026.
Reads     frames       float  B T 3 H W   whole frames, padded on the right and below
Returns   SceneOutput  joints of the best people in pixels, with scores
Idea      1. Backbone and neck: four maps a frame, strides 8 to 64.
          2. Spatial encoder: tokens of one frame look at each other, frames do not.
          3. The best tokens of the key frame become queries, each with a pose.
          4. Pose decoder: a query looks at all frames at once, around each joint of the pose it
             has in that frame; every layer corrects the poses of all frames.
          5. Joint decoder: the joints of the best people, one query each, are corrected once more.
          6. One person, one query: matched by the Hungarian method, trained by the likelihood of
             the joints.
Differs   Any odd T, also 1; the paper runs T = 3. The weights of all frames' samples are one
          softmax, which is what the published code computes, without its overflow. The values that
          the joint decoder looks at are projected once a frame, not once a person. In eval mode
          tokens that no query grows from get no pose. Padding never becomes a query. Cells of our
          lite models are centred between pixels (``align="centre"``); published weights count
          from the corner. The last layer's corrections of neighbouring frames, which nothing
          reads, are left out. Preset ``lite`` is ours: small, for CPUs.
Written   from our notes of the paper and of what the release computes; no other source was read.
Checked   tests/parity/test_pavenet_parity.py: equal to the published network in float64; and
          tests/unit/models/test_pavenet.py.

Axes: B clip, T frame, N single frame, S token of all levels, C channel, L level, Q query,
P person, K joint.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from chronopose.codecs.scene import SceneCodec
from chronopose.core.skeletons import get_skeleton
from chronopose.errors import ShapeError, UsageError
from chronopose.losses.matching import SceneMatching
from chronopose.models._base import Features
from chronopose.models._scene import SceneModel, SceneNeeds
from chronopose.nn.attention import (
    DecoderLayer,
    EncoderLayer,
    PerFrame,
    perceptron,
    sine_encoding,
)
from chronopose.nn.coupling import RealNVP
from chronopose.nn.detection_neck import ChannelMapper, FrameBackbone
from chronopose.nn.frame_tokens import FrameTokens, inverse_sigmoid, take, valid_cells
from chronopose.tensors.scene import SceneGuess, SceneOutput

OKS_SIGMAS = (
    0.026, 0.025, 0.025, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087,
    0.089, 0.089,
)  # fmt: skip
"""Spreads of the paper's 15 joints; other joints take the skeleton's own."""
LEVELS = 4
FRAMES = ("pre_", "", "next_")
OFFICIAL = (
    (r"^backbone\.", "backbone.body."),
    (r"^neck\.convs\.", "neck.maps."),
    (r"^neck\.extra_convs\.0\.", "neck.extra."),
    (r"^(neck\..*)\.gn\.", r"\1.norm."),
    (r"^bbox_head\.(transformer\.)?", ""),
    (r"^level_embeds$", "level_embedding"),
    (r"^enc_output\.", "propose.0."),
    (r"^enc_output_norm\.", "propose.1."),
    (r"^query_embedding\.", "queries."),
    (r"^refine_query_embedding\.", "joint_queries."),
    (r"^refine_decoder\.", "joint_decoder."),
    (r"^(\w*coder)\.layers\.", r"\1."),
    (r"attentions\.0\.attn\.", "among."),
    *((rf"ions\.1\.{f}sampling_offsets", f"ion.offsets.{i}") for i, f in enumerate(FRAMES)),
    *((rf"ions\.1\.{f}attention_weights", f"ion.weights.{i}") for i, f in enumerate(FRAMES)),
    (r"attentions\.0\.sampling_offsets", "attention.offsets.0"),
    (r"attentions\.0\.attention_weights", "attention.weights.0"),
    (r"attentions\.[01]\.(\w+)_proj", r"attention.\1"),
    (r"attention\.output", "attention.out"),
    (r"ffns\.0\.layers\.0\.0", "feed.0"),
    (r"ffns\.0\.layers\.1", "feed.3"),
    (r"^cls_branches\.", "person."),
    (r"^kpt_branches\.3\.", "propose_pose."),
    (r"^refine_kpt_branches\.1\.", "joint_shift.1.0."),
    *((rf"^{f}kpt_branches\.(\d)\.", rf"pose.\1.{i}.") for i, f in enumerate(FRAMES)),
    *((rf"^{f}refine_kpt_branches\.0\.", f"joint_shift.0.{i}.") for i, f in enumerate(FRAMES)),
    (r"^dec_fc_sigma_branches\.", "spread."),
    (r"^refine_fc_sigma_branches\.", "joint_spread."),
    (r"\.2\.linear\.", ".2."),
    (r"^enc_flow\.", "flows.proposals."),
    (r"^dec_flow\.", "flows.layers."),
    (r"^flow\.", "flows.refined."),
    (r"^(flows\.\w+)\.t\.", r"\1.shift."),
    (r"^(flows\.\w+)\.s\.", r"\1.scale."),
)
"""Parts of published names -> ours, one after the other."""
DEAD = re.compile(r"bbox_head\.(fc_hm|(pre|next)_refine_kpt_branches\.1)\.")
"""Published entries that reach no output."""
SHARED = re.compile(
    r"(.*refine_decoder\.layers\.\d\.attentions\.1\.)(pre_)?(?=sampling_offsets\.bias)"
)
"""Offset biases of the joint decoder, of which the release keeps one for all frames in one place.
The next frame's, loaded last, is the one that counts: measured with ``tests/parity``."""


@dataclass(frozen=True, kw_only=True)
class PAVENetConfig:
    """What PAVE-Net is built from."""

    backbone: str = "resnet50"
    """``resnet50``, ``hrnet_w48``, ``swin_large`` or ``lite``."""
    skeleton: str = "posetrack15"
    """Registry name of the joints K."""
    num_frames: int = 3
    """Frames of a window, key frame in the middle. Odd, at least 1."""
    frame_size: tuple[int, int] = (1333, 800)
    """Longest longer and shorter side of a frame when it is looked at, pixels."""
    width: int = 256
    """Channels C of the tokens; a multiple of 32."""
    hidden: tuple[int, int] = (1024, 512)
    """Channels inside the feed-forward parts, and inside the networks that place poses."""
    encoder_layers: int = 6
    decoder_layers: int = 3
    joint_layers: int = 2
    queries: int = 300
    people: int = 20
    """People that are given in eval mode, best first."""
    dropout: float = 0.1
    align: Literal["centre", "corner"] = "centre"
    """Where pixel 0 of a frame is centred, see ``Differs``; ``corner`` for published weights."""
    pull: bool = False
    """Move unsure joints towards the origin, as the published code does."""
    pretrained: bool = False
    """Start the backbone from ImageNet weights, fetched by timm."""

    def __post_init__(self) -> None:
        if self.num_frames < 1 or self.num_frames % 2 == 0:
            raise UsageError(
                f"num_frames must be odd, so that a key frame is in the middle; got "
                f"{self.num_frames}. The paper uses 3."
            )


PAPER = PAVENetConfig()
LITE = PAVENetConfig(
    backbone="lite", skeleton="lsp14", frame_size=(640, 384), width=96, hidden=(256, 128),
    encoder_layers=2, decoder_layers=2, joint_layers=1, queries=60, people=40, dropout=0.0,
)  # fmt: skip
PRESETS = {
    "r50": PAPER,
    "hrnet_w48": replace(PAPER, backbone="hrnet_w48"),
    "swin_large": replace(PAPER, backbone="swin_large"),
    "lite": LITE,
}


class SceneFeatures(NamedTuple):
    """Encoded frames: maps at strides 8 to 64 and what of them is no padding."""

    stride_8: Tensor
    """float N C h w, and so on."""
    stride_16: Tensor
    stride_32: Tensor
    stride_64: Tensor
    cells: Tensor
    """float N L 2, width and height of each map without padding, cells."""
    valid: Tensor
    """float N 2, width and height of the frame without padding, pixels."""


class PAVENet(SceneModel):
    """PAVE-Net on any of its backbones."""

    PRESETS: ClassVar[Mapping[str, PAVENetConfig]] = PRESETS
    OWN_FRAME = r"((?:attention\.(?:offsets|weights)|pose\.\d+|joint_shift\.\d+)\.)\d+\."

    def __init__(self, config: PAVENetConfig) -> None:
        super().__init__()
        self.config = config
        self.codec = SceneCodec(get_skeleton(config.skeleton), config.frame_size, config.align)
        half, frames, joints = config.num_frames // 2, config.num_frames, len(self.codec.skeleton)
        self.needs = SceneNeeds(offsets=tuple(range(-half, half + 1)))
        width, (feed, branch), drop = config.width, config.hidden, config.dropout
        self.backbone = FrameBackbone(config.backbone, config.pretrained)
        self.neck = ChannelMapper(self.backbone.channels, width)
        self.level_embedding = nn.Parameter(torch.randn(LEVELS, width))
        self.encoder = nn.ModuleList(
            [EncoderLayer(width, 8, LEVELS, 4, feed, drop) for _ in range(config.encoder_layers)]
        )
        depth = config.decoder_layers
        self.propose = nn.Sequential(nn.Linear(width, width), nn.LayerNorm(width))
        self.queries = nn.Embedding(config.queries, 2 * width)
        self.decoder = nn.ModuleList(
            [DecoderLayer(width, 8, LEVELS, joints, frames, feed, drop) for _ in range(depth)]
        )
        self.person = nn.ModuleList([nn.Linear(width, 1) for _ in range(depth + 1)])
        self.spread = nn.ModuleList([_linear_chain(width, 2 * joints) for _ in range(depth + 1)])
        self.pose = nn.ModuleList(
            [PerFrame(frames, width, [branch] * 3, 2 * joints) for _ in range(depth)]
        )
        self.propose_pose = perceptron(width, [branch] * 3, 2 * joints, zero=True)
        depth = config.joint_layers
        self.joint_queries = nn.Embedding(joints, 2 * width)
        self.joint_decoder = nn.ModuleList(
            [DecoderLayer(width, 8, LEVELS, 4, frames, feed, drop) for _ in range(depth)]
        )
        self.joint_spread = nn.ModuleList([_linear_chain(width, 2) for _ in range(depth)])
        seen = [frames] * (depth - 1) + [1]
        self.joint_shift = nn.ModuleList([PerFrame(n, width, [width] * 2, 2) for n in seen])
        self.flows = nn.ModuleDict(
            {name: RealNVP(prior_mean=0.5) for name in ("proposals", "layers", "refined")}
        )
        for layer in self.joint_decoder:
            layer.attention.start_on_rings(still=False)  # type: ignore[union-attr,operator]
        for layer in self.person:
            nn.init.constant_(layer.bias, -math.log(99))  # type: ignore[arg-type]

    def encode(self, frames: Tensor, valid: Tensor | None = None) -> SceneFeatures:
        """``(N, 3, H, W)`` -> maps after the spatial encoder; see :class:`SceneModel`."""
        n, _, height, width = frames.shape
        if valid is None:
            valid = frames.new_tensor([[width, height]]).expand(n, 2)
        valid = valid.to(frames.dtype)
        maps = self.neck(self.backbone(frames))
        sizes = [(m.shape[-2], m.shape[-1]) for m in maps]
        row = FrameTokens.of_maps(maps, valid_cells(valid, (height, width), sizes))
        places = [
            sine_encoding(row.cells[:, i], size, self.config.width) + self.level_embedding[i]
            for i, size in enumerate(row.sizes)
        ]
        place = torch.cat(places, 1)
        anchors = row.grid[:, None, :, None, None] * row.ratios[:, None, None, :, None]
        tokens, reach, padded = row.tokens, row.reach, row.padded
        for layer in self.encoder:
            tokens = layer(tokens, place, row.sizes, anchors, reach, padded)
        tokens = tokens.masked_fill(padded[..., None], 0.0)
        fine, middle, coarse, extra = row.maps(tokens)
        return SceneFeatures(fine, middle, coarse, extra, row.cells, valid)

    def fuse(self, features: Features) -> SceneOutput:
        """Queries of the key frame through both decoders on a window ``(B, T, ...)``.

        Raises:
            ShapeError: the window has another number of frames.
        """
        scene = SceneFeatures(*features)
        if scene.valid.shape[1] != self.config.num_frames:
            raise ShapeError(
                f"This PAVE-Net reads windows of {self.config.num_frames} frames; got "
                f"{scene.valid.shape[1]}. Repeat frames at the ends of a video."
            )
        memory = FrameTokens.of_maps(scene[:LEVELS], scene.cells)
        states, references, proposals = self.choose(memory.frame(self.needs.key))
        layers, references = self.decode_poses(memory, states, references)
        valid = scene.valid[:, self.needs.key]
        guess = layers[-1]
        scores = guess.logits.sigmoid()
        scores, best = scores.topk(min(self.config.people, scores.shape[1]), dim=1)
        if self.training:
            answer = self._answer(take(guess.joints, best), take(guess.sigmas, best), scores, valid)
            return answer._replace(
                layers=tuple(layers), proposals=proposals, references=references,
                features=features, valid=valid,
            )  # fmt: skip
        chosen = torch.stack([take(poses, best) for poses in references.unbind(1)], 1)
        refined = self.refine(features, chosen)[-1]
        return self._answer(refined.joints, refined.sigmas, scores, valid)

    def choose(self, frame: FrameTokens) -> tuple[Tensor, Tensor, SceneGuess]:
        """Queries from the best tokens of the key frame.

        Returns:
            What the queries know ``(B, Q, C)``, their poses ``(B, T, Q, K, 2)``, the same in all
            frames, and what was proposed: by all tokens while training, by the best otherwise.
        """
        grid, padded = frame.grid, frame.padded
        outside = (padded | ~((grid > 0.01) & (grid < 0.99)).all(-1))[..., None]
        tokens = self.propose(frame.tokens.masked_fill(outside, 0.0))
        grid = torch.log(grid / (1 - grid)).masked_fill(outside, math.inf)
        logits = self.person[-1](tokens)[..., 0]
        ranks = logits.detach().masked_fill(padded, -math.inf)
        best = ranks.topk(min(self.config.queries, ranks.shape[1]), dim=1).indices
        if not self.training:
            tokens, grid, logits = take(tokens, best), take(grid, best), logits.gather(1, best)
        poses = _pairs(self.propose_pose(tokens)) + grid[:, :, None]
        proposals = SceneGuess(logits, poses.sigmoid(), _pairs(self.spread[-1](tokens).sigmoid()))
        chosen = proposals.joints
        if self.training:
            tokens, chosen = take(tokens, best), take(chosen, best)
        references = chosen.detach()[:, None].expand(-1, self.config.num_frames, -1, -1, -1)
        return tokens.detach(), references, proposals

    def decode_poses(
        self, memory: FrameTokens, states: Tensor, references: Tensor
    ) -> tuple[list[SceneGuess], Tensor]:
        """Layers of the pose decoder, from what :meth:`choose` gives.

        Returns:
            What each layer says about the key frame, and the last poses in all frames.
        """
        ranks = torch.arange(states.shape[1], device=states.device)
        place, content = self.queries(ranks).chunk(2, -1)
        states, layers = states + content, []
        ratios = memory.ratios[:, :, None, :, None]
        for i, layer in enumerate(self.decoder):
            anchors = references[:, :, :, None] * ratios
            box = anchors.amax(-2, keepdim=True) - anchors.amin(-2, keepdim=True)
            states = layer(
                states, place, memory.tokens, memory.sizes, anchors, 0.5 * box.clamp(min=1e-4),
            )  # fmt: skip
            shifts = _pairs(self.pose[i](states))
            references = (shifts + inverse_sigmoid(references)).sigmoid()
            logits, sigmas = self.person[i](states)[..., 0], self.spread[i](states).sigmoid()
            layers.append(SceneGuess(logits, references[:, self.needs.key], _pairs(sigmas)))
        return layers, references

    def refine(self, features: Features, references: Tensor) -> tuple[SceneGuess, ...]:
        """Layers of the joint decoder on some people.

        Args:
            features: Of the window, as for ``fuse``.
            references: ``(B, T, P, K, 2)`` poses in all frames; no gradient goes back through them.

        Returns:
            What each layer says about the key frame ``(B, P, K, 2)``; its logits are empty.
        """
        scene = SceneFeatures(*features)
        memory = FrameTokens.of_maps(scene[:LEVELS], scene.cells)
        people, joints = references.shape[2:4]
        references = references.detach().flatten(2, 3)
        place, states = self.joint_queries.weight.repeat(people, 1).chunk(2, -1)
        states = states.expand(len(references), -1, -1)
        ratios, layers = memory.ratios[:, :, None, :, None], []
        for i, layer in enumerate(self.joint_decoder):
            anchors = references[:, :, :, None, None] * ratios
            states = layer(
                states, place, memory.tokens, memory.sizes, anchors, memory.reach,
                joints,
            )  # fmt: skip
            last = i + 1 == len(self.joint_decoder)
            if last:
                references = references[:, self.needs.key, None]
            shifts = self.joint_shift[i](states)
            references = (shifts + inverse_sigmoid(references)).sigmoid()
            found = references[:, 0 if last else self.needs.key]
            sigmas = self.joint_spread[i](states).sigmoid()
            found, sigmas = (x.unflatten(1, (people, joints)) for x in (found, sigmas))
            layers.append(SceneGuess(found.new_empty(0), found, sigmas))
        return tuple(layers)

    def _answer(self, joints: Tensor, sigmas: Tensor, scores: Tensor, valid: Tensor) -> SceneOutput:
        """Shares of the frame -> pixels and scores."""
        sure = 0.7 * (1 - torch.exp(-0.2 / sigmas)).prod(-1)
        xy = joints * valid[:, None, None]
        if self.config.pull:
            xy = xy * (sure**5 / (sure**5 + 1e-10))[..., None]
        return SceneOutput(xy + self.codec.edge, scores, sure * scores[..., None])

    def criterion(self) -> SceneMatching:
        """Matching, focal loss and likelihoods; it reads outputs of training mode only."""
        skeleton = self.codec.skeleton
        own = skeleton.name == PAPER.skeleton
        return SceneMatching(
            OKS_SIGMAS if own else tuple(skeleton.sigmas), self.flows, self.refine,
            offset=-self.codec.edge,
        )  # fmt: skip

    def weights_of_terms(self) -> dict[str, float]:
        """The focal losses count half."""
        return {"person": 0.5, "person_proposals": 0.5}

    @staticmethod
    def from_official_keys(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """State dict of the published PAVE-Net on ResNet-50 -> ours."""
        ours = {}
        for key in state:
            if DEAD.match(key):
                continue
            value = state[SHARED.sub(r"\1next_", key)]
            for pattern, name in OFFICIAL:
                key = re.sub(pattern, name, key)
            ours[key] = value
        return ours


def _pairs(numbers: Tensor) -> Tensor:
    """``(..., 2 K)`` x and y of each joint -> ``(..., K, 2)``."""
    return numbers.unflatten(-1, (-1, 2))


def _linear_chain(width: int, out: int) -> nn.Sequential:
    """Three linear layers with nothing between them."""
    return nn.Sequential(nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, out))

"""Graph convolutions over joints whose neighbours are found anew for every clip.

:class:`SpatialGraphConv` (DSG) lets a joint listen to joints that are near it in the same frame,
:class:`TemporalGraphConv` (DTG) to joints that have moved alike over the clip. Both form a message

    m_i = sum_j a_ij h([f_i, f_j - f_i]),   h linear with weights [W1, W2] and bias b,

and return ``ReLU(BatchNorm(m)) + f``. Since the a_ij of a joint sum to 1, that is
``(W1 - W2) f_i + b + sum_j a_ij W2 f_j``: two products a joint, however many neighbours there are.
There are so few joints that masks over all pairs are used, and no graph library.

Source: only the abstract of Zhang et al., "Learning Dynamical Human-Joint Affinity for 3D Pose
Estimation in Videos" (IEEE TIP 2021) could be read; it says what makes joints neighbours. Every
formula here is ours, of the kind of EdgeConv (Wang et al., "Dynamic Graph CNN for Learning on Point
Clouds", 2019).

Axes: B clip, T frame, J joint, C channel, D numbers that positions or movements are told by.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chronopose.core.skeleton import Skeleton
from chronopose.errors import UsageError

Affinity = Literal["topk", "dense", "skeleton", "skeleton+topk", "off"]
Aggregator = Literal["attn", "max", "mean"]

STILL = 1e-3
"""Length of a joint's whole movement, in box sizes, below which it has no direction."""
_EPS = 1e-8


@dataclass(frozen=True, kw_only=True)
class SpatialAffinity:
    """Which joints listen to which because they are near each other."""

    affinity: Affinity = "topk"
    """``topk``: the nearest; ``dense``: all others; ``skeleton``: those at the other end of a limb,
    a fixed graph; ``skeleton+topk``: both together; ``off``: there is no such convolution."""
    neighbours: int = 5
    """K of ``topk``."""
    distance: Literal["feature", "coord"] = "feature"
    """Between features, or on the screen; the first convolution always takes the screen."""
    aggregator: Aggregator = "attn"
    """``attn``: nearer ones weigh more; ``mean``: all alike; ``max``: the largest, each channel."""

    def __post_init__(self) -> None:
        _check_neighbours(self.neighbours)


@dataclass(frozen=True, kw_only=True)
class TemporalAffinity:
    """Which joints listen to which because they move alike."""

    affinity: Affinity = "topk"
    """As for :class:`SpatialAffinity`."""
    neighbours: int = 5
    """K of ``topk``."""
    movement: Literal["feature", "coord"] = "feature"
    """Of C/4 learnt features, or on the screen; the first convolution always takes the screen."""
    similarity: Literal["cos", "l2"] = "cos"
    """Same direction, or same steps."""
    aggregator: Aggregator = "attn"
    """As for :class:`SpatialAffinity`."""
    scope: Literal["clip", "window"] = "clip"
    """One affinity for all frames of the clip, or one a frame from the 3 frames around it."""
    kernel: Literal[1, 3] = 1
    """3: also hear joints one frame earlier and later, with weights of their own."""

    def __post_init__(self) -> None:
        _check_neighbours(self.neighbours)
        if self.kernel not in (1, 3):
            raise UsageError(f"kernel must be 1 or 3 frames; got {self.kernel}.")


def _check_neighbours(count: int) -> None:
    if count < 1:
        raise UsageError(f"A joint needs at least 1 neighbour to listen to; got {count}.")


def limb_mask(skeleton: Skeleton) -> Tensor:
    """``(J, J)`` bool: whether two joints are the ends of one limb; symmetric."""
    mask = torch.zeros(len(skeleton), len(skeleton), dtype=torch.bool)
    for a, b in skeleton.limbs:
        i, j = skeleton.index(a), skeleton.index(b)
        mask[i, j] = mask[j, i] = True
    return mask


def nearest(cost: Tensor, count: int) -> Tensor:
    """The ``count`` smallest entries of each row, the diagonal left out.

    Args:
        cost: ``(..., J, J)``.
        count: K, from 1 to J - 1.

    Returns:
        ``(..., J, J)`` bool. Of equal entries the one of the earlier joint is taken.
    """
    self_pair = torch.eye(cost.shape[-1], dtype=torch.bool, device=cost.device)
    known = cost.detach().masked_fill(self_pair, math.inf)
    # By the K-th smallest value, not by the indices of topk: those do not say which of equals.
    worst = known.topk(count, dim=-1, largest=False).values.amax(-1, keepdim=True)
    less, equal = known < worst, known == worst
    left = count - less.sum(-1, keepdim=True)
    return less | (equal & (equal.cumsum(-1) <= left))


def squared_distances(points: Tensor) -> Tensor:
    """``(..., J, D)`` -> ``(..., J, J)`` squared distances of all pairs."""
    if points.shape[-1] <= 4:
        difference = points[..., :, None, :] - points[..., None, :, :]
        return difference.square().sum(-1)
    # |a - b|^2 = |a|^2 + |b|^2 - 2 ab without a tensor of all pairs' differences; the centre is
    # taken off first, for the three terms cancel less then.
    centred = points - points.mean(-2, keepdim=True)
    power = centred.square().sum(-1)
    product = centred @ centred.transpose(-1, -2)
    return (power[..., :, None] + power[..., None, :] - 2 * product).clamp_min(0)


def in_mean_pairs(cost: Tensor) -> Tensor:
    """``(..., J, J)`` costs with a zero diagonal, in units of their mean over pairs of joints."""
    joints = cost.shape[-1]
    mean = cost.sum((-2, -1), keepdim=True) / (joints * (joints - 1))
    return cost / mean.clamp_min(torch.finfo(cost.dtype).tiny)


class JointNorm(nn.BatchNorm1d):
    """Batch norm of ``(..., C)``: statistics over everything but the channels."""

    def forward(self, x: Tensor) -> Tensor:
        """``(..., C)`` -> the same shape."""
        return super().forward(x.flatten(0, -2)).view(x.shape)


class Neighbours(nn.Module):
    """Turns the cost of listening into what a joint hears.

    Args:
        affinity: As for :class:`SpatialAffinity`.
        count: K of ``topk``.
        aggregator: As for :class:`SpatialAffinity`. The fixed graph of ``skeleton`` knows no costs:
            there ``attn`` is ``mean``.
        limbs: ``(J, J)`` bool of :func:`limb_mask`.
        scale: First value of the learnt unit ``tau`` of costs in ``softmax(-cost / tau)``.

    Raises:
        UsageError: K is not below J, or a joint of the fixed graph has no limb.
    """

    limbs: Tensor

    def __init__(
        self, affinity: Affinity, count: int, aggregator: Aggregator, limbs: Tensor, scale: float
    ) -> None:
        super().__init__()
        if "topk" in affinity and count >= len(limbs):
            raise UsageError(
                f"Each of {len(limbs)} joints has {len(limbs) - 1} others to listen to; "
                f"neighbours is {count}. Lower it, or set affinity='dense'."
            )
        if affinity == "skeleton" and not limbs.any(-1).all():
            raise UsageError(
                "affinity='skeleton' needs a limb at every joint; this skeleton has joints "
                "without one. Set affinity='topk'."
            )
        self.affinity = affinity
        self.count = count
        self.aggregator = aggregator
        self.register_buffer("limbs", limbs, persistent=False)
        self.weighs = aggregator == "attn" and affinity != "skeleton"
        """Whether costs become weights."""
        self.log_tau = nn.Parameter(torch.tensor(math.log(scale))) if self.weighs else None

    @property
    def asks(self) -> bool:
        """Whether the cost counts at all."""
        return self.weighs or "topk" in self.affinity

    def heard(self, cost: Tensor) -> Tensor:
        """``(..., J, J)`` costs -> bool: whom each joint (row) listens to."""
        if self.affinity == "dense":
            everyone = torch.eye(len(self.limbs), device=cost.device) == 0
            return everyone.expand(cost.shape)
        if self.affinity == "skeleton":
            return self.limbs.expand(cost.shape)
        found = nearest(cost, self.count)
        return found | self.limbs if self.affinity == "skeleton+topk" else found

    def weights(self, cost: Tensor) -> Tensor:
        """``(..., J, J)`` costs -> a_ij; rows sum to 1 and are 0 where nothing is heard."""
        mask = self.heard(cost)
        if self.log_tau is None:
            return mask.to(cost.dtype) / mask.sum(-1, keepdim=True)
        logits = (-cost / self.log_tau.exp()).masked_fill(~mask, -math.inf)
        return logits.softmax(-1)

    def forward(self, told: Tensor, cost: Tensor) -> Tensor:
        """What joints hear.

        Args:
            told: ``(B, T, J, C)`` what each joint tells.
            cost: ``(B, T or 1, J, J)``.

        Returns:
            ``(B, T, J, C)``. ``max`` makes a tensor of all pairs on the way, J times as large.
        """
        if self.aggregator == "max":
            pairs = self.heard(cost)[..., None]
            return told[..., None, :, :].masked_fill(~pairs, -math.inf).amax(-2)
        return self.weights(cost) @ told


class _GraphConv(nn.Module):
    """What both convolutions do once costs are known."""

    def __init__(self, channels: int, neighbours: Neighbours, taps: int) -> None:
        super().__init__()
        self.neighbours = neighbours
        self.messages = nn.ModuleList(nn.Linear(2 * channels, channels) for _ in range(taps))
        self.norm = JointNorm(channels)

    def project(self, f: Tensor) -> tuple[Tensor, ...]:
        """``(..., J, C)`` -> what a joint says to itself, and what it tells others, each tap's.

        Frames do not see each other here.
        """
        halves = [layer.weight.chunk(2, 1) for layer in self._layers()]
        bias = torch.stack([layer.bias for layer in self._layers()]).sum(0)
        own = torch.stack([w1 - w2 for w1, w2 in halves]).sum(0)
        return F.linear(f, own, bias), *(F.linear(f, w2) for _, w2 in halves)

    def _layers(self) -> list[nn.Linear]:
        return [layer for layer in self.messages if isinstance(layer, nn.Linear)]

    def _finish(self, f: Tensor, message: Tensor) -> Tensor:
        return F.relu(self.norm(message)) + f


class SpatialGraphConv(_GraphConv):
    """DSG: joints listen to joints that are near in the same frame. Frames do not see each other.

    The cost of a pair is its squared distance: on the screen in units of the frame's mean pair
    (so the size of the person does not count), with tau 1 at first; or of features, with tau
    ``sqrt(C)`` at first.

    Args:
        channels: C.
        settings: What is a neighbour.
        limbs: ``(J, J)`` bool.
        first: The first convolution of a network, which takes distances on the screen.
    """

    def __init__(
        self, channels: int, settings: SpatialAffinity, limbs: Tensor, *, first: bool = False
    ) -> None:
        self_distance = "coord" if first else settings.distance
        scale = 1.0 if self_distance == "coord" else math.sqrt(channels)
        neighbours = Neighbours(
            settings.affinity, settings.neighbours, settings.aggregator, limbs, scale
        )
        super().__init__(channels, neighbours, 1)
        self.distance = self_distance

    def cost(self, f: Tensor, xy: Tensor) -> Tensor:
        """``(B, T, J, C)`` features and ``(B, T, J, 2)`` positions -> ``(B, T, J, J)``."""
        if not self.neighbours.asks:
            return f.new_zeros((*f.shape[:3], f.shape[2]))
        if self.distance == "coord":
            return in_mean_pairs(squared_distances(xy))
        return squared_distances(f)

    def forward(self, f: Tensor, xy: Tensor) -> Tensor:
        """``(B, T, J, C)`` features and ``(B, T, J, 2)`` positions -> ``(B, T, J, C)``."""
        own, told = self.project(f)
        return self._finish(f, own + self.neighbours(told, self.cost(f, xy)))


class TemporalGraphConv(_GraphConv):
    """DTG: joints listen to joints that have moved alike. One frame alone stays as it is.

    The movement v_i of a joint is the list of its steps from frame to frame, in units of the
    longest side of the clip's box. The cost of a pair is minus the cosine of v_i and v_j (``cos``,
    tau 0.1 at first), or the mean squared difference of their steps in units of the mean pair
    (``l2``, tau 1 at first). A joint that stands still has no direction: if ``|v_i|`` is below
    :data:`STILL`, its costs are ``|v_j|^2``, so it listens to joints that stand still too.

    Args:
        channels: C.
        settings: What is a neighbour.
        limbs: ``(J, J)`` bool.
        first: The first convolution of a network, which takes movements on the screen.
    """

    def __init__(
        self, channels: int, settings: TemporalAffinity, limbs: Tensor, *, first: bool = False
    ) -> None:
        scale = 0.1 if settings.similarity == "cos" else 1.0
        neighbours = Neighbours(
            settings.affinity, settings.neighbours, settings.aggregator, limbs, scale
        )
        super().__init__(channels, neighbours, settings.kernel)
        self.settings = settings
        on_screen = first or settings.movement == "coord" or not neighbours.asks
        self.reduce = None if on_screen else nn.Linear(channels, channels // 4, bias=False)

    def cost(self, f: Tensor, xy: Tensor) -> Tensor:
        """``(B, T, J, C)`` features and ``(B, T, J, 2)`` positions -> ``(B, T or 1, J, J)``."""
        if not self.neighbours.asks:
            return f.new_zeros((len(f), 1, f.shape[2], f.shape[2]))
        places = xy if self.reduce is None else self.reduce(f)
        box = (places.amax((1, 2)) - places.amin((1, 2))).amax(-1)
        tiny = torch.finfo(places.dtype).tiny
        steps = places.diff(dim=1) / box.clamp_min(tiny)[:, None, None, None]  # B T-1 J D
        if self.settings.scope == "clip" or steps.shape[1] < 2:
            moves = steps.transpose(1, 2).flatten(2)[:, None]  # B 1 J (T-1 D)
        else:
            pairs = torch.cat([steps[:, :-1], steps[:, 1:]], -1)  # B T-2 J 2D
            frames = torch.arange(places.shape[1], device=f.device)
            moves = pairs[:, (frames - 1).clamp(0, pairs.shape[1] - 1)]
        if self.settings.similarity == "l2":
            return in_mean_pairs(squared_distances(moves))
        return _turn_cost(moves)

    def mix(self, f: Tensor, said: tuple[Tensor, ...], xy: Tensor) -> Tensor:
        """The rest of the convolution, with what :meth:`project` gave; T is at least 2."""
        own, *told = said
        cost = self.cost(f, xy)
        frames = torch.arange(f.shape[1], device=f.device)
        message = own
        for tap, words in enumerate(told):
            shift = tap - len(told) // 2
            late = words if shift == 0 else words[:, (frames + shift).clamp(0, len(frames) - 1)]
            message = message + self.neighbours(late, cost)
        return self._finish(f, message)

    def forward(self, f: Tensor, xy: Tensor) -> Tensor:
        """``(B, T, J, C)`` features and ``(B, T, J, 2)`` positions -> ``(B, T, J, C)``."""
        if f.shape[1] == 1:
            return f
        return self.mix(f, self.project(f), xy)


def _turn_cost(moves: Tensor) -> Tensor:
    """``(..., J, M)`` movements in box sizes -> ``(..., J, J)`` minus cosines, or still rows."""
    length = torch.linalg.vector_norm(moves, dim=-1)
    turned = moves @ moves.transpose(-1, -2)
    cosine = turned / (length[..., :, None] * length[..., None, :] + _EPS)
    still = (length < STILL)[..., None]
    return torch.where(still, length.square()[..., None, :].expand_as(cosine), -cosine)

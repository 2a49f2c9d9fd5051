"""One person, one query: the Hungarian assignment of a scene, and the losses that follow from it.

Source
    Assignment: Carion et al., "End-to-End Object Detection with Transformers". Focal loss: Lin et
    al., "Focal Loss for Dense Object Detection". Costs, weights and likelihoods as in PAVE-Net.

Axes: B clip, Q query, G labelled person, K joint.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from chronopose.errors import ShapeError
from chronopose.losses.rle import LOG_SQRT_2PI
from chronopose.nn.coupling import RealNVP
from chronopose.tensors.scene import SceneGuess, SceneOutput, SceneTarget

ALPHA, GAMMA = 0.25, 2.0
"""Share of the positive class, and how much less sure answers count, in the focal loss."""


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Weights of the assignment's costs."""

    person: float = 2.0
    distance: float = 70.0
    similarity: float = 7.0


def focal_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Focal loss of each entry: ``-a (1 - p)^2 log p`` of the probability p of the truth.

    Args:
        logits: Any shape.
        truth: The same shape, 1 or 0; a is 0.25 for 1 and 0.75 for 0.
    """
    each = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    p = logits.sigmoid()
    miss = truth * (1 - p) + (1 - truth) * p
    return each * miss**GAMMA * (truth * ALPHA + (1 - truth) * (1 - ALPHA))


def person_cost(logits: Tensor) -> Tensor:
    """``(Q,)`` what it costs to call a query a person rather than not: the focal losses' gap."""
    ones = torch.ones_like(logits)
    return focal_loss(logits, ones) - focal_loss(logits, ones * 0)


def distance_cost(joints: Tensor, truth: Tensor, visible: Tensor) -> Tensor:
    """Mean distance along x and y between visible joints.

    Args:
        joints: ``(Q, K, 2)`` shares of the frame.
        truth: ``(G, K, 2)``.
        visible: ``(G, K)`` bool.

    Returns:
        ``(Q, G)``; 0 for a person without visible joints.
    """
    away = (joints[:, None] - truth).abs().sum(-1) * visible
    return away.sum(-1) / (2 * visible.sum(-1)).clamp(min=1)


def similarity(
    joints: Tensor, truth: Tensor, visible: Tensor, area: Tensor, sigmas: Tensor
) -> Tensor:
    """Object keypoint similarity of every query with every person.

    Args:
        joints: ``(Q, K, 2)`` pixels.
        truth: ``(G, K, 2)`` pixels.
        visible: ``(G, K)`` bool.
        area: ``(G,)`` square pixels.
        sigmas: ``(K,)`` spread of each joint as a fraction of ``sqrt(area)``.

    Returns:
        ``(Q, G)`` in [0, 1]; 0 for a person without visible joints.
    """
    squared = (joints[:, None] - truth).square().sum(-1)
    near = torch.exp(-squared / (2 * area[:, None] * (2 * sigmas).square())) * visible
    return near.sum(-1) / visible.sum(-1).clamp(min=1)


def assign_people(cost: Tensor) -> tuple[Tensor, Tensor]:
    """The pairs with the least total cost; nobody is used twice.

    Args:
        cost: ``(Q, G)``; what is not finite counts as very dear.

    Returns:
        Queries and their people, ``(min(Q, G),)`` each, queries rising.
    """
    finite = torch.nan_to_num(cost.detach().double(), nan=1e9, posinf=1e9, neginf=-1e9)
    queries, people = linear_sum_assignment(finite.cpu().numpy())
    return torch.from_numpy(queries).to(cost.device), torch.from_numpy(people).to(cost.device)


def joint_likelihood(
    joints: Tensor, sigmas: Tensor, truth: Tensor, visible: Tensor, flow: RealNVP
) -> Tensor:
    """Negative residual log-likelihood, summed over x and y of visible joints, over their number.

    With spread s and error e: ``log s - log p(e / s)`` for each coordinate, where p is a density of
    both, plus ``log(s sqrt(2 pi)) + |e| / (sqrt(2) s)``.

    Args:
        joints: ``(..., K, 2)`` predicted.
        sigmas: ``(..., K, 2)`` predicted spreads, above 0.
        truth: ``(..., K, 2)``.
        visible: ``(..., K)`` bool.
        flow: The density p.

    Returns:
        A scalar, 0 if nothing is visible.
    """
    error, sigma = (joints - truth)[visible], sigmas[visible]
    if not len(error):
        return joints.sum() * 0 + sigmas.sum() * 0
    log_sigma = sigma.log()
    learnt = log_sigma - flow.log_prob(error / sigma)[:, None]
    plain = log_sigma + LOG_SQRT_2PI + error.abs() / (math.sqrt(2) * sigma + 1e-9)
    return (learnt + plain).mean()


class SceneMatching:
    """The losses of a scene: every layer is matched with the people of the key frame by itself.

    Terms ``person`` and ``joints``, summed over the decoder's layers, ``person_proposals`` and
    ``joints_proposals`` of the tokens, and ``joints_refined``, summed over the layers of the joint
    decoder, which runs on the people that the last layer found. Focal losses are divided by the
    number of labelled people, likelihoods by the number of visible coordinates.

    Args:
        sigmas: Spread of each of the K joints, a fraction of ``sqrt(area)``.
        flows: Densities ``layers``, ``proposals`` and ``refined``. They belong to the network.
        refine: The joint decoder: features and references ``(B, T, P, K, 2)`` -> its layers.
        offset: Coordinate of the frame's left and upper edge, pixels, times -1.
        costs: Weights of the assignment's costs.
    """

    def __init__(
        self,
        sigmas: Sequence[float],
        flows: nn.ModuleDict,
        refine: Callable[[Any, Tensor], Sequence[SceneGuess]],
        *,
        offset: float,
        costs: Costs | None = None,
    ) -> None:
        self.sigmas = tuple(sigmas)
        self.flows = cast(Mapping[str, RealNVP], flows)
        self.refine = refine
        self.offset = offset
        self.costs = costs or Costs()

    def __call__(self, output: SceneOutput, target: SceneTarget) -> dict[str, Tensor]:
        """Named, unweighted terms.

        Raises:
            ShapeError: the output is one of eval mode, or not of as many clips and joints.
        """
        proposals, references, valid = output.proposals, output.references, output.valid
        if proposals is None or references is None or valid is None:
            raise ShapeError(
                "This loss reads what a network gives while training; the output is one of eval "
                "mode. Call model.train() first."
            )
        want = (*proposals.joints.shape[:1], target.joints.shape[1], *proposals.joints.shape[2:])
        if tuple(target.joints.shape) != want:
            raise ShapeError(
                f"Labelled joints must be (clips, people, joints, 2) = {want} to fit the output; "
                f"got {tuple(target.joints.shape)}."
            )
        truth = (target.joints.to(valid.dtype) + self.offset) / valid[:, None, None]
        visible = target.visible & _people(target)[..., None]
        truth = torch.where(visible[..., None], truth, torch.zeros_like(truth))
        terms = {
            name: proposals.joints.sum() * 0 for name in ("person", "joints", "joints_refined")
        }
        for guess in output.layers:
            pairs = self.match(guess, truth, visible, valid, target)
            terms["person"] = terms["person"] + self._person(guess, pairs, target)
            terms["joints"] = terms["joints"] + self._joints(guess, pairs, truth, visible, "layers")
        terms["joints_refined"] = terms["joints_refined"] + self._refined(
            output, pairs, truth, visible
        )
        pairs = self.match(proposals, truth, visible, valid, target)
        terms["person_proposals"] = self._person(proposals, pairs, target)
        terms["joints_proposals"] = self._joints(proposals, pairs, truth, visible, "proposals")
        return terms

    @torch.no_grad()
    def match(
        self, guess: SceneGuess, truth: Tensor, visible: Tensor, valid: Tensor, target: SceneTarget
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Clips, queries and people of all pairs, ``(pairs,)`` each."""
        sigmas = truth.new_tensor(self.sigmas)
        found: list[tuple[Tensor, Tensor, Tensor]] = []
        for clip, count in enumerate(target.people.tolist()):
            there, seen = truth[clip, :count], visible[clip, :count]
            joints = guess.joints[clip].to(truth.dtype)
            size, area = valid[clip], target.area[clip, :count].to(truth.dtype)
            cost = self.costs.person * person_cost(guess.logits[clip].to(truth.dtype))[:, None]
            cost = cost + self.costs.distance * distance_cost(joints, there, seen)
            alike = similarity(joints * size, there * size, seen, area, sigmas)
            queries, people = assign_people(cost - self.costs.similarity * alike)
            found.append((torch.full_like(queries, clip), queries, people))
        clips, queries, people = (torch.cat(part) for part in zip(*found, strict=True))
        return clips, queries, people

    def _person(
        self, guess: SceneGuess, pairs: tuple[Tensor, Tensor, Tensor], target: SceneTarget
    ) -> Tensor:
        truth = torch.zeros_like(guess.logits)
        truth[pairs[0], pairs[1]] = 1.0
        return focal_loss(guess.logits, truth).sum() / target.people.sum().clamp(min=1)

    def _joints(
        self, guess: SceneGuess, pairs: tuple[Tensor, Tensor, Tensor], truth: Tensor,
        visible: Tensor, flow: str,
    ) -> Tensor:  # fmt: skip
        clips, queries, people = pairs
        return joint_likelihood(
            guess.joints[clips, queries], guess.sigmas[clips, queries], truth[clips, people],
            visible[clips, people], self.flows[flow],
        )  # fmt: skip

    def _refined(
        self, output: SceneOutput, pairs: tuple[Tensor, Tensor, Tensor], truth: Tensor,
        visible: Tensor,
    ) -> Tensor:  # fmt: skip
        """The joint decoder on the matched queries; clips with fewer people repeat query 0."""
        clips, queries, people = pairs
        references = output.references
        assert references is not None
        if not len(clips):
            return references.sum() * 0
        counts = torch.bincount(clips, minlength=len(truth))
        rank = torch.arange(len(clips), device=clips.device) - (counts.cumsum(0) - counts)[clips]
        rows = queries.new_zeros(len(truth), int(counts.max()))
        rows[clips, rank] = queries
        chosen = references.transpose(1, 2)[torch.arange(len(truth))[:, None], rows]
        total = references.sum() * 0
        for guess in self.refine(output.features, chosen.transpose(1, 2)):
            total = total + self._joints(guess, (clips, rank, people), truth, visible, "refined")
        return total


def _people(target: SceneTarget) -> Tensor:
    """``(B, G)`` bool, which rows are people."""
    rows = torch.arange(target.joints.shape[1], device=target.people.device)
    return rows < target.people[:, None]

"""Temporally adversarial training: the changes of heatmaps should look like those of labels.

A critic reconstructs changes. It learns to do so for the labels' and, as far as it can afford it,
to fail for the network's; the network learns changes that the critic reconstructs well.

Axes: B clip, T frame, K joint, h w cells.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Literal

import torch
from torch import Tensor, nn

from chronopose.errors import ShapeError
from chronopose.tensors import ClipTarget, Target


class Adversary(nn.Module, ABC):
    """A network that is trained by turns with a pose network; no part of that network's weights.

    What it remembers between steps are its parameters and buffers.
    """

    lr: float
    """Rate of its optimiser, Adam."""

    @abstractmethod
    def generator_terms(self, output: Any, target: Target) -> dict[str, Tensor]:
        """Named, unweighted terms for the pose network; no gradient reaches the adversary."""

    @abstractmethod
    def adversary_loss(self, output: Any, target: Target) -> Tensor:
        """What the adversary minimises; no gradient reaches ``output``."""

    @abstractmethod
    def settle(self) -> dict[str, float]:
        """After a step of its optimiser: update balances; returns numbers for the log."""


class TemporalAdversary(Adversary):
    """Boundary-equilibrium game about ``d_t = H_t - H_(t-1)``.

    With ``e(d)`` the squared error of the reconstruction of a change, summed over the cells and
    averaged over clips, frames and joints that are labelled in both frames:

    - the critic minimises ``e(labels) - k e(network)``;
    - the network's term ``adversarial`` is ``e(network)``;
    - after each step ``k <- clip(k + rate (gamma e(labels) - e(network)), 0, 1)``; k starts at 0.

    Args:
        critic: Two frames ``(N, 3, h, w)`` and a change ``(N, K, h, w)`` -> the change again.
        activation: What maps mean; logits (``softmax``) become distributions scaled to the mass of
            the target's Gaussian first.
        gamma: Wanted ratio of the network's error to the labels'.
        rate: Of k.
        lr: Of the critic's optimiser.

    Source:
        The game of Nie et al., "Dynamic Kernel Distillation"; constants and the means are ours,
        after BEGAN practice.
    """

    balance: Tensor

    def __init__(
        self,
        critic: nn.Module,
        *,
        activation: Literal["gaussian", "softmax"] = "gaussian",
        gamma: float = 0.5,
        rate: float = 1e-3,
        lr: float = 1e-4,
    ) -> None:
        super().__init__()
        self.critic, self.activation = critic, activation
        self.gamma, self.rate, self.lr = gamma, rate, lr
        self.register_buffer("balance", torch.zeros(()))
        self._errors: list[tuple[float, float]] = []

    def generator_terms(self, output: Any, target: Target) -> dict[str, Tensor]:
        """Term ``adversarial``.

        Args:
            output: With ``clip``, maps ``(B, T, K, h, w)``.
            target: With ``clip``.

        Raises:
            ShapeError: output or target know one frame only.
        """
        clip = _whole(output, target)
        self.critic.requires_grad_(False)
        try:
            return {"adversarial": self.error(self.as_gaussians(output.clip, clip), clip)}
        finally:
            self.critic.requires_grad_(True)

    def adversary_loss(self, output: Any, target: Target) -> Tensor:
        """The critic's loss; arguments as for :meth:`generator_terms`."""
        clip = _whole(output, target)
        real = self.error(clip.heatmaps, clip)
        fake = self.error(self.as_gaussians(output.clip.detach(), clip), clip)
        self._errors.append((float(real.detach()), float(fake.detach())))
        return real - self.balance * fake

    def settle(self) -> dict[str, float]:
        """Update k by the errors since the last time; gives ``real``, ``fake``, ``balance``."""
        if not self._errors:
            return {}
        real, fake = (sum(each) / len(self._errors) for each in zip(*self._errors, strict=True))
        self._errors = []
        self.balance.add_(self.rate * (self.gamma * real - fake)).clamp_(0, 1)
        return {"real": real, "fake": fake, "balance": float(self.balance)}

    def as_gaussians(self, maps: Tensor, clip: ClipTarget) -> Tensor:
        """Maps ``(B, T, K, h, w)`` in the unit of the target's."""
        if self.activation == "gaussian":
            return maps
        mass = clip.heatmaps.sum((-2, -1), keepdim=True)
        return maps.flatten(-2).softmax(-1).view_as(maps) * mass

    def error(self, maps: Tensor, clip: ClipTarget) -> Tensor:
        """``e(d)`` of the changes of maps ``(B, T, K, h, w)``; 0 if no joint counts."""
        known = ((clip.weight[:, 1:] > 0) & (clip.weight[:, :-1] > 0)).to(maps.dtype)
        change = ((maps[:, 1:] - maps[:, :-1]) * known[..., None, None]).flatten(0, 1)
        before, after = (p.flatten(0, 1) for p in (clip.pictures[:, :-1], clip.pictures[:, 1:]))
        away = (self.critic(before, after, change) - change).square().sum((-2, -1))
        return (away * known.flatten(0, 1)).sum() / known.sum().clamp_min(1)


def _whole(output: Any, target: Target) -> ClipTarget:
    if output.clip is None or target.clip is None or output.clip.shape[1] < 2:
        raise ShapeError(
            "Adversarial training compares frames with each other and needs the maps and labels of "
            "all frames of a clip, at least two. Train with make_target(..., whole_clip=True), or "
            "without the adversary."
        )
    return target.clip

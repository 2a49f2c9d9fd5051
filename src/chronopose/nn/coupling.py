"""RealNVP: the density of points of a plane, by affine coupling layers.

A layer keeps some coordinates and scales and shifts the others by amounts that two small networks
read off the kept ones; so it can be undone, and its determinant is a product of the scales.

Axes: L layer, D dimension.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class RealNVP(nn.Module):
    """Flow between data and a normal distribution of unit spread; it starts as the identity.

    Args:
        dims: Dimensions D of a point, at least 2.
        layers: Coupling layers. Layer i changes the dimensions d with ``(i + d)`` even.
        hidden: Width of the two hidden layers of each network.
        prior_mean: Mean of the normal distribution, the same in all dimensions.

    Source:
        Dinh, Sohl-Dickstein, Bengio, "Density Estimation Using Real NVP", ICLR 2017, Eq. 4-8;
        networks and masks as in the flow of residual log-likelihood estimation, tanh on the
        logarithm of the scale.
    """

    mask: Tensor

    def __init__(
        self, dims: int = 2, layers: int = 6, hidden: int = 64, prior_mean: float = 0.0
    ) -> None:
        super().__init__()
        self.prior_mean = prior_mean
        place = torch.arange(layers)[:, None] + torch.arange(dims)
        self.register_buffer("mask", (place % 2).float())
        self.scale = nn.ModuleList(
            nn.Sequential(*_network(dims, hidden), nn.Tanh()) for _ in range(layers)
        )
        self.shift = nn.ModuleList(nn.Sequential(*_network(dims, hidden)) for _ in range(layers))

    def log_prob(self, points: Tensor) -> Tensor:
        """Logarithm of the density, nats: ``(..., D) -> (...)``."""
        latent, log_det = self.to_latent(points)
        squared = (latent - self.prior_mean).square().sum(-1)
        return log_det - 0.5 * squared - 0.5 * points.shape[-1] * math.log(2 * math.pi)

    def to_latent(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Data -> latent points ``(..., D)`` and the log-determinant ``(...)`` of that map."""
        log_det = points.new_zeros(points.shape[:-1])
        for i in reversed(range(len(self.mask))):
            kept, log_scale, shift = self._layer(i, points)
            points = kept + (1 - self.mask[i]) * (points - shift) * torch.exp(-log_scale)
            log_det = log_det - log_scale.sum(-1)
        return points, log_det

    def from_latent(self, latent: Tensor) -> Tensor:
        """Latent points -> data, the inverse of :meth:`to_latent`; ``(..., D)``."""
        points = latent
        for i in range(len(self.mask)):
            kept, log_scale, shift = self._layer(i, points)
            points = kept + (1 - self.mask[i]) * (points * torch.exp(log_scale) + shift)
        return points

    def _layer(self, i: int, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Kept coordinates, logarithm of the scale and shift of a layer; 0 where not meant."""
        mask = self.mask[i]
        kept = points * mask
        return kept, self.scale[i](kept) * (1 - mask), self.shift[i](kept) * (1 - mask)


def _network(dims: int, hidden: int) -> list[nn.Module]:
    last = nn.Linear(hidden, dims)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return [
        nn.Linear(dims, hidden), nn.LeakyReLU(), nn.Linear(hidden, hidden), nn.LeakyReLU(), last,
    ]  # fmt: skip

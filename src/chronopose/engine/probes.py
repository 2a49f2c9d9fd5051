"""Probes: what can be read out of a frozen latent, with how many labels.

A latent is good for poses if a small regression finds them in it from few labels. It is split if a
linear classifier finds the person in one part and not in the other. All probes are deterministic.

Axes: N row (a frame), D numbers of the latent, T numbers of the target, C class.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from chronopose.data.moments import Footage
from chronopose.errors import UsageError
from chronopose.models._represent import RepresentationModel

Floats = NDArray[np.float64]
ALPHAS = tuple(10.0**p for p in range(-1, 6))
"""Penalties that a ridge regression chooses from."""
FOLDS = 4


@dataclass(frozen=True, eq=False)
class Latents:
    """Both parts of the latents of N frames.

    Args:
        variant: ``(N, V)`` float64.
        invariant: ``(N, I)`` float64.
    """

    variant: Floats
    invariant: Floats

    def part(self, name: str) -> Floats:
        """``z_tv``, ``z_ti`` or ``both``.

        Raises:
            UsageError: another name.
        """
        parts = {
            "z_tv": self.variant, "z_ti": self.invariant,
            "both": np.concatenate([self.variant, self.invariant], 1),
        }  # fmt: skip
        if name not in parts:
            raise UsageError(f"A latent has {', '.join(parts)}; got {name!r}.")
        return parts[name]


@torch.no_grad()
def latents_of(
    model: RepresentationModel, videos: Sequence[Footage], batch_size: int = 256
) -> Latents:
    """Latents of all frames of all videos, one video after the other."""
    was, _ = model.training, model.eval()
    parts: list[list[Floats]] = [[], []]
    device = next(model.parameters()).device
    for frames in _pieces(videos, batch_size):
        latent = model.encode(model.codec.prepare(frames).to(device))
        for kept, z in zip(parts, latent, strict=True):
            kept.append(z.double().cpu().numpy())
    model.train(was)
    return Latents(np.concatenate(parts[0]), np.concatenate(parts[1]))


def labelled(count: int, share: float, seed: int = 0) -> NDArray[np.int64]:
    """Which of ``count`` rows have labels: at least two, and all rows of a smaller share.

    Args:
        count: Rows.
        share: In (0, 1].
        seed: Decides which.

    Raises:
        UsageError: the share is not in (0, 1].
    """
    if not 0 < share <= 1:
        raise UsageError(f"A share of labels lies above 0 and up to 1; got {share}.")
    order = np.random.default_rng(seed).permutation(count)
    return np.sort(order[: min(count, max(2, round(count * share)))])


class Ridge:
    """Linear regression with a penalty that is chosen on rows held back.

    Args:
        x: ``(N, D)`` latents.
        y: ``(N, T)`` targets.
        groups: ``(N,)`` rows of one group, such as a person, are held back together; None holds
            back every fourth row.

    Raises:
        UsageError: counts disagree, or there are fewer than two rows.
    """

    def __init__(self, x: Floats, y: Floats, groups: NDArray[np.integer] | None = None) -> None:
        if len(x) != len(y) or len(x) < 2:
            raise UsageError(
                f"A regression needs as many latents as targets, at least 2; got {len(x)}, {len(y)}"
            )
        self._mean, self._spread = x.mean(0), x.std(0) + 1e-9
        x = (x - self._mean) / self._spread
        self.alpha = _best_alpha(x, y, _folds(len(x), groups))
        self._weights, self._bias = _solve(x, y, self.alpha)

    def predict(self, x: Floats) -> Floats:
        """``(N, D) -> (N, T)``."""
        found: Floats = (x - self._mean) / self._spread @ self._weights + self._bias
        return found


class SmallNet:
    """Regression by a network with one hidden layer; otherwise as :class:`Ridge`.

    Args:
        x: ``(N, D)`` latents.
        y: ``(N, T)`` targets.
        hidden: Numbers of the hidden layer; the published pose head has two of 2048.
        steps: Optimiser steps, each on all rows or a batch of 256.
        seed: Decides weights and batches.
    """

    def __init__(
        self, x: Floats, y: Floats, *, hidden: int = 256, steps: int = 400, seed: int = 0
    ) -> None:
        self._x = x.mean(0), x.std(0) + 1e-9
        self._y = y.mean(0), y.std(0) + 1e-9
        inputs, targets = (
            torch.from_numpy((v - m) / s).float() for v, (m, s) in ((x, self._x), (y, self._y))
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._net = nn.Sequential(
                nn.Linear(x.shape[1], hidden), nn.ReLU(), nn.Dropout(0.2),
                nn.Linear(hidden, y.shape[1]),
            )  # fmt: skip
            optimiser = torch.optim.AdamW(self._net.parameters(), lr=2e-3, weight_decay=1e-2)
            for _ in range(steps):
                rows = torch.randperm(len(inputs))[:256]
                loss = F.mse_loss(self._net(inputs[rows]), targets[rows])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
        self._net.eval()

    @torch.no_grad()
    def predict(self, x: Floats) -> Floats:
        """``(N, D) -> (N, T)``."""
        inputs = torch.from_numpy((x - self._x[0]) / self._x[1]).float()
        found: Floats = self._net(inputs).double().numpy() * self._y[1] + self._y[0]
        return found


def explained(predicted: Floats, truth: Floats) -> float:
    """Share of the variance of the targets that predictions explain, over all columns; at most 1.

    Below 0: worse than the mean of ``truth``.
    """
    spread = ((truth - truth.mean(0)) ** 2).sum()
    return float(1 - ((truth - predicted) ** 2).sum() / spread)


def identity_accuracy(
    x: Floats, who: NDArray[np.integer], test_x: Floats, test_who: NDArray[np.integer]
) -> float:
    """Share of the test rows whose person a linear classifier names, in [0, 1].

    Multinomial logistic regression with a small penalty, from zero weights, by L-BFGS.

    Args:
        x: ``(N, D)`` latents to learn from.
        who: ``(N,)`` persons.
        test_x: ``(M, D)``.
        test_who: ``(M,)`` persons; those who are not in ``who`` cannot be named.
    """
    people, classes = np.unique(who, return_inverse=True)
    mean, spread = x.mean(0), x.std(0) + 1e-9
    inputs, asked = (torch.from_numpy((v - mean) / spread).float() for v in (x, test_x))
    target = torch.from_numpy(classes)
    weight = torch.zeros(x.shape[1] + 1, len(people), requires_grad=True)
    optimiser = torch.optim.LBFGS([weight], max_iter=120, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        logits = inputs @ weight[:-1] + weight[-1]
        loss = F.cross_entropy(logits, target) + 1e-3 * weight[:-1].square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        named = people[(asked @ weight[:-1] + weight[-1]).argmax(1).numpy()]
    return float((named == test_who).mean())


def nearest(
    query: Floats, gallery: Floats,
    groups: tuple[NDArray[np.integer], NDArray[np.integer]] | None = None,
) -> NDArray[np.int64]:  # fmt: skip
    """``(N,)`` the row of the gallery whose latent has the largest cosine with each query.

    Args:
        query: ``(N, D)``.
        gallery: ``(M, D)``.
        groups: Of the queries ``(N,)`` and of the gallery ``(M,)``: rows of a query's own group do
            not count.
    """
    a, b = (v / (np.linalg.norm(v, axis=1, keepdims=True) + 1e-12) for v in (query, gallery))
    found = []
    for rows in np.array_split(np.arange(len(a)), max(1, len(a) // 1024)):
        likeness = a[rows] @ b.T
        if groups is not None:
            likeness[groups[0][rows][:, None] == groups[1]] = -np.inf
        found.append(likeness.argmax(1))
    return np.concatenate(found).astype(np.int64)


def _pieces(videos: Sequence[Footage], size: int) -> Iterator[NDArray[Any]]:
    for video in videos:
        for start in range(0, len(video), size):
            yield video.frames[start : start + size]


def _folds(count: int, groups: NDArray[np.integer] | None) -> NDArray[np.int64]:
    """The fold of each row; fewer than :data:`FOLDS` groups are split by rows."""
    if groups is not None:
        numbers = np.unique(groups, return_inverse=True)[1]
        if numbers.max() + 1 >= FOLDS:
            return np.asarray(numbers % FOLDS, np.int64)
    return np.arange(count) % min(FOLDS, count)


def _best_alpha(x: Floats, y: Floats, fold: NDArray[np.int64]) -> float:
    """The penalty with the least squared error on rows that were held back."""
    errors = np.zeros(len(ALPHAS))
    for number in np.unique(fold):
        held = fold == number
        for place, alpha in enumerate(ALPHAS):
            weights, bias = _solve(x[~held], y[~held], alpha)
            errors[place] += ((x[held] @ weights + bias - y[held]) ** 2).sum()
    return ALPHAS[int(errors.argmin())]


def _solve(x: Floats, y: Floats, alpha: float) -> tuple[Floats, Floats]:
    """Weights and bias of ``|x w + b - y|^2 + alpha |w|^2``; the bias is free."""
    mean_x, mean_y = x.mean(0), y.mean(0)
    centred = x - mean_x
    gram = centred.T @ centred + alpha * np.eye(x.shape[1])
    weights = np.linalg.solve(gram, centred.T @ (y - mean_y))
    return weights, mean_y - mean_x @ weights

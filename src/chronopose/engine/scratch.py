"""The yardstick of learning without labels: the same encoder, trained on the labels alone."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from chronopose.data.moments import Footage
from chronopose.models._represent import RepresentationModel

Floats = NDArray[np.float64]


class Supervised:
    """An encoder and one linear layer, trained together to regress numbers.

    Args:
        model: Its encoder is copied, with the weights that it has.
        videos: Footage.
        rows: ``(N,)`` which of all frames, one video after the other, have labels.
        y: ``(N, T)`` their labels.
        steps: Optimiser steps.
        batch_size: Frames a step.
        lr: Learning rate of Adam; it falls to 0 along a cosine.
        seed: Decides the layer's weights and the batches.
    """

    def __init__(
        self, model: RepresentationModel, videos: Sequence[Footage], rows: NDArray[np.int64],
        y: Floats, *, steps: int = 400, batch_size: int = 64, lr: float = 1e-3, seed: int = 0,
    ) -> None:  # fmt: skip
        self._model = copy.deepcopy(model).train().to(memory_format=torch.channels_last)
        self._mean, self._spread = y.mean(0), y.std(0) + 1e-9
        frames = np.concatenate([v.frames for v in videos])[rows]
        target = torch.from_numpy((y - self._mean) / self._spread).float()
        rng = np.random.default_rng(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            with torch.no_grad():
                width = torch.cat(self._model.encode(self._model.codec.prepare(frames[:2])), 1)
            self._out = nn.Linear(width.shape[1], y.shape[1])
            learnt = [*self._model.parameters(), *self._out.parameters()]
            optimiser = torch.optim.Adam(learnt, lr=lr)
            for step in range(steps):
                optimiser.param_groups[0]["lr"] = lr * (1 + np.cos(np.pi * step / steps)) / 2
                chosen = rng.choice(len(rows), min(batch_size, len(rows)), replace=False)
                z = torch.cat(self._model.encode(self._model.codec.prepare(frames[chosen])), 1)
                loss = F.mse_loss(self._out(z), target[torch.from_numpy(chosen)])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
        self._model.eval()

    @torch.no_grad()
    def predict(self, videos: Sequence[Footage]) -> Floats:
        """``(R, T)`` for all frames of all videos, one video after the other."""
        parts = []
        for video in videos:
            z = torch.cat(self._model.encode(self._model.codec.prepare(video.frames)), 1)
            parts.append(self._out(z).double().numpy() * self._spread + self._mean)
        return np.concatenate(parts)

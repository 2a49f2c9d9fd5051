"""PoseModule: the one Lightning module that trains every model."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chronopose.codecs.codec import Codec
from chronopose.engine.muon import Muon
from chronopose.engine.settings import Phase, TrainSettings
from chronopose.engine.turns import Turns
from chronopose.errors import ChronoposeError, ShapeError, UsageError
from chronopose.models._base import Criterion, PoseModel
from chronopose.tensors import ClipBatch, ClipTarget, Target

PATIENCE = 20
"""Steps in a row whose loss may be infinite or NaN (they are skipped) before training stops."""


class PoseModule(pl.LightningModule):
    """Trains a pose model by its own criterion.

    What the module remembers between steps is the model, its averaged copy, the optimiser and
    ``step``. The learning rate, the data and the random numbers of a step follow from ``step``.

    Args:
        model: Any model of ``models/``.
        settings: How to train.

    Raises:
        UsageError: a model with an adversary shall be trained on several devices.
    """

    def __init__(self, model: PoseModel, settings: TrainSettings) -> None:
        super().__init__()
        self.model = model
        self.settings = settings
        self.step = 0
        """Optimiser steps done."""
        self.ema: PoseModel | None = None
        if settings.ema_decay > 0:
            self.ema = copy.deepcopy(model).requires_grad_(False).eval()
        self.adversary = model.phases()
        self.turns = None if self.adversary is None else Turns(self.adversary)
        """The adversary's side of the training, if the model has one."""
        if self.turns is not None and settings.devices > 1:
            raise UsageError(
                f"{type(model).__name__} has an adversary, whose gradients are not shared between "
                f"devices; got devices={settings.devices}. Train on one, or switch it off."
            )
        self.meters: dict[str, list[float]] = {}
        """Term -> [sum, count] since the last row of the log."""
        self.terms: dict[str, float] = {}
        """Terms of the newest pass whose loss was finite, and ``loss``, their weighted sum."""
        self._bad = 0
        self._phase = -1
        self._codec: Codec = model.codec
        self._criterion: Criterion | None = None

    @property
    def best_model(self) -> PoseModel:
        """The averaged copy, or the model itself when no average is kept."""
        return self.ema if self.ema is not None else self.model

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The optimiser, with decay on matrices and kernels only; frozen weights are left out."""
        rate, decay = self.settings.lr_at(0), self.settings.weight_decay
        if self.settings.optimiser == "muon":
            return Muon(self.model.named_parameters(), lr=rate, weight_decay=decay)
        if self.settings.optimiser == "rmsprop":
            return torch.optim.RMSprop(decay_groups(self.model, decay), lr=rate)
        kind = torch.optim.AdamW if self.settings.optimiser == "adamw" else torch.optim.Adam
        return kind(decay_groups(self.model, decay), lr=rate, fused=True)

    def on_train_batch_start(self, batch: ClipBatch, batch_idx: int) -> None:
        """Set everything that follows from the step: rate, random numbers, phase."""
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = self.settings.lr_at(self.step)
        part = batch_idx % self.settings.accumulate
        seeds = np.random.SeedSequence([self.settings.seed, self.step, part, self.global_rank])
        torch.manual_seed(int(seeds.generate_state(1)[0]))
        number, phase, _ = self.settings.phase_at(self.step)
        if number != self._phase:
            self._phase = number
            self._codec = phase_codec(self.model, phase)
            self._criterion = criterion_for(self.model, self._codec)
            if isinstance(self._criterion, nn.Module):
                self._criterion.to(self.device)

    def training_step(self, batch: ClipBatch, batch_idx: int) -> Tensor | None:
        """Weighted sum of the criterion's terms; None skips a step whose loss is not finite.

        Raises:
            ChronoposeError: too many such steps in a row.
        """
        assert self._criterion is not None
        target = make_target(self._codec, batch, whole_clip=self.model.whole_clip)
        output = self.model(batch.frames)
        with torch.autocast(self.device.type, enabled=False):
            output = to_float(output)
            terms = self._criterion(output, target)
            if self.turns is not None:
                terms |= self.turns.network.generator_terms(output, target)
            total = sum_terms(terms, self.model, self.settings)
            if not bool(torch.isfinite(total.detach())):
                self._give_up(terms)
                return None
            if self.turns is not None:
                self.turns.learn(output, target, 1 / self.settings.accumulate)
        self._bad = 0
        self.terms = {n: float(v.detach()) for n, v in (*terms.items(), ("loss", total))}
        for name, value in self.terms.items():
            self.note(name, value)
        return total

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Clip the gradient (Lightning's own clipping refuses fused optimisers)."""
        limit = self.settings.clip_norm or float("inf")
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), limit)
        self.note("grad_norm", float(norm))

    def optimizer_step(
        self,
        epoch: int,
        batch_idx: int,
        optimizer: Any,
        optimizer_closure: Callable[[], Any] | None = None,
    ) -> None:
        """One step of the optimiser, then of the adversary's and of the averaged copy."""
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        self.step += 1
        if self.turns is not None:
            for name, value in self.turns.step().items():
                self.note(name, value)
        if self.ema is not None:
            update_average(self.ema, self.model, self.settings.ema_decay_at(self.step))

    def take_meters(self) -> dict[str, float]:
        """Mean of every term since the last call."""
        means = {name: total / max(1.0, count) for name, (total, count) in self.meters.items()}
        self.meters = {}
        return means

    def note(self, name: str, value: float) -> None:
        """Count a number in: the next row of the log shows its mean since the last one."""
        meter = self.meters.setdefault(name, [0.0, 0.0])
        meter[0] += value
        meter[1] += 1

    def _give_up(self, terms: dict[str, Tensor]) -> None:
        self._bad += 1
        if self._bad >= PATIENCE or self.trainer.world_size > 1:
            wrong = [n for n, v in terms.items() if not bool(torch.isfinite(v.detach()))]
            raise ChronoposeError(
                f"The loss has not been a finite number for {self._bad} steps up to step "
                f"{self.step} (terms: {', '.join(wrong) or 'the sum'}). Lower the learning rate "
                f"or clip_norm, or train with precision='fp32'; the last checkpoint is good."
            )


def decay_groups(model: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Groups for an optimiser: decay on matrices and kernels, none on biases and norms.

    Frozen weights are left out; a group without any, too.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return [g for g in groups if g["params"]]


def phase_codec(model: PoseModel, phase: Phase) -> Codec:
    """The model's codec at the crop size and target spread of a phase."""
    return model.codec.at(phase.crop_size, phase.sigma)


def criterion_for(model: PoseModel, codec: Codec) -> Criterion:
    """The model's criterion, built for another codec than its own."""
    own = model.codec
    try:
        model.codec = codec
        return model.criterion()
    finally:
        model.codec = own


def make_target(codec: Codec, batch: ClipBatch, *, whole_clip: bool = False) -> Target:
    """Target of the key frame; joints outside the crop are not trained on.

    Args:
        codec: Of the network.
        batch: Labelled clips.
        whole_clip: Also make ``clip``, the targets of all frames.

    Raises:
        ShapeError: of kept features, no pictures were kept.
    """
    joints, visible = batch.joints, batch.visible
    edge = torch.tensor(codec.crop_size, device=joints.device) - 0.5
    visible = visible & ((joints > -0.5) & (joints < edge)).all(-1)
    if not whole_clip:
        return codec.encode(joints[:, batch.key], visible[:, batch.key])
    every = codec.encode(joints.flatten(0, 1), visible.flatten(0, 1))
    if every.heatmaps is None:
        raise ShapeError("Targets of whole clips are heatmaps; this codec makes none.")
    shape = joints.shape[:2]
    maps, weight = every.heatmaps.unflatten(0, shape), every.weight.unflatten(0, shape)
    pictures = batch.pictures
    if pictures is None:
        pictures = small_pictures(batch.frames, (maps.shape[-2], maps.shape[-1]))
    key = batch.key
    return Target(
        joints[:, key], weight[:, key], maps[:, key], clip=ClipTarget(maps, weight, pictures)
    )


def small_pictures(frames: Tensor, size: tuple[int, int]) -> Tensor:
    """``(B, T, 3, H, W)`` frames at another size ``(h, w)``, by means over areas.

    Raises:
        ShapeError: the frames are no pictures but kept features.
    """
    if frames.shape[2] != 3:
        raise ShapeError(
            f"Pictures have 3 channels; these frames have {frames.shape[2]}: they are kept "
            f"features. Keep the pictures as well, with FeatureBank.complete."
        )
    return F.interpolate(frames.flatten(0, 1), size=size, mode="area").unflatten(
        0, frames.shape[:2]
    )


def sum_terms(terms: dict[str, Tensor], model: PoseModel, settings: TrainSettings) -> Tensor:
    """Terms times their weights: the settings', else the model's, else 1."""
    weights = {**model.weights_of_terms(), **settings.term_weights}
    return torch.stack([weights.get(n, 1.0) * value.float() for n, value in terms.items()]).sum()


def to_float(value: Any) -> Any:
    """Floating tensors of a (nested, possibly named) tuple in float32."""
    if isinstance(value, Tensor):
        return value.float() if value.is_floating_point() else value
    if isinstance(value, tuple):
        parts = [to_float(v) for v in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return value


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Move an averaged copy a little towards the model: weights and batch-norm statistics."""
    own, new = average.state_dict(), model.state_dict()
    floats = [k for k, v in own.items() if v.is_floating_point()]
    torch._foreach_lerp_([own[k] for k in floats], [new[k] for k in floats], 1.0 - decay)
    for name, value in own.items():
        if not value.is_floating_point():
            value.copy_(new[name])

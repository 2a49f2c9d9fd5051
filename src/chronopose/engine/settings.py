"""TrainSettings: everything about a training run that does not change the shape of the weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from chronopose.errors import UsageError

Precision = Literal["bf16", "fp32"]


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A run of steps with one crop size and a straight line of learning rates.

    Args:
        steps: Optimiser steps.
        crop_size: Width and height, pixels.
        batch_size: Clips in one pass on each device.
        lr: Learning rate at the first step, and where the line ends after the last one.
        sigma: Spread of the target, cells; None takes the model's own.

    Raises:
        UsageError: a number makes no sense.
    """

    steps: int
    crop_size: tuple[int, int]
    batch_size: int = 32
    lr: tuple[float, float] = (2e-3, 2e-3)
    sigma: float | None = None

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch_size < 1 or min(self.lr) < 0 or min(self.crop_size) < 1:
            raise UsageError(
                f"A phase needs steps, a batch and a crop above zero and no negative rate; got "
                f"{self}."
            )


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """How to train.

    Args:
        phases: What the steps look like, in order.
        optimiser: ``adamw``, ``adam``, ``rmsprop``, or ``muon`` (kernels inside the network by
            Muon, the rest by AdamW).
        weight_decay: On matrices and kernels only, never on biases and norms.
        warmup_steps: The rate rises from zero over this many steps at the start.
        clip_norm: Largest norm of the gradient; 0 does not clip.
        ema_decay: Decay of the averaged copy of the weights; 0 switches it off.
        ema_warmup: The decay is at most ``s / (s + ema_warmup)`` at step s, so that the average
            forgets the random start.
        term_weights: Weight of criterion terms by name, over the model's own defaults.
        precision: ``bf16`` (autocast) or ``fp32``.
        seed: Decides weights, data order and augmentation.
        accumulate: Passes whose gradients are added up for one step.
        val_every: Steps between validations; 0 validates at the end only.
        save_every: Steps between checkpoints.
        log_every: Steps whose losses are averaged into one row of the log.
        val_batch_size: Clips a batch in validation.
        flip_test: Also show validation the mirrored crops.
        workers: Processes that prepare batches; 0 is right for CPU training.
        devices: Devices to train on.
        deterministic: Refuse kernels that do not repeat themselves; only matters on GPUs.
        limit_batches: Stop after this many steps, and this many batches of validation.
        overfit: Train on, and validate with, this many samples without augmentation.

    Raises:
        UsageError: a number makes no sense.
    """

    phases: tuple[Phase, ...]
    optimiser: Literal["adamw", "adam", "rmsprop", "muon"] = "adamw"
    weight_decay: float = 0.05
    warmup_steps: int = 300
    clip_norm: float = 5.0
    ema_decay: float = 0.9995
    ema_warmup: int = 20
    term_weights: Mapping[str, float] = field(default_factory=dict)
    precision: Precision = "bf16"
    seed: int = 0
    accumulate: int = 1
    val_every: int = 1000
    save_every: int = 500
    log_every: int = 50
    val_batch_size: int = 50
    flip_test: bool = False
    workers: int = 0
    devices: int = 1
    deterministic: bool = False
    limit_batches: int | None = None
    overfit: int | None = None

    def __post_init__(self) -> None:
        if not self.phases:
            raise UsageError("Training needs at least one phase: phases=(Phase(steps=...),).")
        positive = ("accumulate", "save_every", "log_every", "val_batch_size", "devices")
        low = [n for n in positive if getattr(self, n) < 1]
        optional = {n: getattr(self, n) for n in ("limit_batches", "overfit")}
        low += [n for n, value in optional.items() if value is not None and value < 1]
        if low:
            raise UsageError(f"{low[0]} must be at least 1; got {getattr(self, low[0])}.")
        if not 0 <= self.ema_decay < 1:
            raise UsageError(f"ema_decay must lie in [0, 1); got {self.ema_decay}.")

    @property
    def planned_steps(self) -> int:
        """Optimiser steps of all phases."""
        return sum(p.steps for p in self.phases)

    @property
    def total_steps(self) -> int:
        """Optimiser steps that will be run, with ``limit_batches`` in force."""
        return min(self.planned_steps, self.limit_batches or self.planned_steps)

    def phase_at(self, step: int) -> tuple[int, Phase, int]:
        """Number of the phase of a step, the phase, and the step within it; from 0.

        A step beyond the last one counts as the end of the last phase.
        """
        left = step
        for number, phase in enumerate(self.phases):
            if left < phase.steps:
                return number, phase, left
            left -= phase.steps
        return len(self.phases) - 1, self.phases[-1], self.phases[-1].steps

    def lr_at(self, step: int) -> float:
        """Learning rate of a step: a pure function, so resuming needs no state."""
        _, phase, within = self.phase_at(step)
        start, end = phase.lr
        rate = start + (end - start) * within / phase.steps
        return rate * min(1.0, (step + 1) / max(1, self.warmup_steps))

    def ema_decay_at(self, step: int) -> float:
        """Decay of the averaged weights after ``step`` steps have been done."""
        return min(self.ema_decay, step / (step + self.ema_warmup))

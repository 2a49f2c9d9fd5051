"""fit_lift: train a lifter on windows of poses; save, and go on after a crash.

A lifter sees no pictures and no crops, so it does not go through :mod:`chronopose.engine.fit`.
Checkpoints and the record of a run are the same. A batch follows from the seed and its number, so a
resumed run ends as one that never stopped.

Source: optimiser, rate, batch-norm momentum and mirroring as published with D. Pavllo et al., "3D
human pose estimation in video with temporal convolutions and semi-supervised training".
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from chronopose.data.lift import LiftAugmentation, LiftBatches, LiftClip, fingerprint
from chronopose.engine.checkpoint import write_checkpoint
from chronopose.engine.evaluate_lift import evaluate_lift
from chronopose.engine.module import update_average
from chronopose.engine.plain_run import (
    LAST,
    Resume,
    device_of,
    open_run,
    refuse_changes,
)
from chronopose.engine.record import RunLog, plain, write_record
from chronopose.errors import ChronoposeError, UsageError
from chronopose.metrics.mpjpe import MPJPEResult
from chronopose.models._lift import LiftModel
from chronopose.tensors.space import LiftTarget

FREE = {"save_every", "log_every", "val_every", "limit_batches"}
"""Settings that may change while a run goes on: they do not change what it becomes."""


@dataclass(frozen=True, kw_only=True)
class LiftSettings:
    """How to train a lifter.

    Args:
        epochs: Passes over all windows.
        batch_size: Windows a step.
        stride: Every so manyth frame of a clip is the middle of a window.
        lr: Learning rate of the first epoch (Adam with amsgrad).
        lr_decay: The rate is multiplied by this after every epoch.
        bn_momentum: Momentum of batch norms in the first epoch, and where its exponential decay
            would end after the last.
        augmentation: What is done to windows.
        ema_decay: Decay of an averaged copy that is validated and kept instead; None: no copy.
        flip_test: Validate with the mean of a clip and its mirror image.
        seed: Decides weights, order and augmentation.
        val_every: Epochs between validations; the last epoch is always validated.
        save_every: Steps between checkpoints.
        log_every: Steps averaged into one row of the log.
        limit_batches: Stop after this many steps.
        overfit: Train on the same so many batches again and again.

    Raises:
        UsageError: a number makes no sense.
    """

    epochs: int = 60
    batch_size: int = 1024
    stride: int = 1
    lr: float = 1e-3
    lr_decay: float = 0.95
    bn_momentum: tuple[float, float] = (0.1, 0.001)
    augmentation: LiftAugmentation = field(default_factory=LiftAugmentation)
    ema_decay: float | None = None
    flip_test: bool = True
    seed: int = 0
    val_every: int = 1
    save_every: int = 1000
    log_every: int = 100
    limit_batches: int | None = None
    overfit: int | None = None

    def __post_init__(self) -> None:
        counts = (self.epochs, self.batch_size, self.stride, self.val_every, self.save_every)
        if min(*counts, self.log_every) < 1 or self.lr < 0 or not 0 < self.lr_decay <= 1:
            raise UsageError(
                f"Training counts epochs, batches and strides from 1, with a rate from 0 and a "
                f"decay in 0..1; got {counts}, lr {self.lr}, lr_decay {self.lr_decay}."
            )
        if min(self.bn_momentum) <= 0:
            raise UsageError(f"bn_momentum must be above 0; got {self.bn_momentum}.")

    def lr_in(self, epoch: int) -> float:
        """Learning rate of an epoch, counted from 0."""
        return self.lr * self.lr_decay**epoch

    def bn_momentum_in(self, epoch: int) -> float:
        """``first * exp(-(epoch / epochs) * ln(first / last))``."""
        first, last = self.bn_momentum
        return first * math.exp(-epoch / self.epochs * math.log(first / last))


@dataclass(frozen=True)
class LiftFit:
    """How a run ended.

    Args:
        model: In eval mode, on the CPU; the averaged copy if one was kept.
        steps: Steps done.
        validation: Column of :data:`~chronopose.metrics.mpjpe.COLUMNS` in small letters -> mean
            over the actions, mm; empty without validation clips.
        run_dir: Folder with the log, the record and the checkpoint.
        errors: The last validation by action; None without validation clips.
    """

    model: LiftModel
    steps: int
    validation: dict[str, float]
    run_dir: Path
    errors: MPJPEResult | None


def fit_lift(
    model: LiftModel,
    train: Sequence[LiftClip],
    val: Sequence[LiftClip],
    settings: LiftSettings,
    run_dir: Path | str,
    resume: Resume = False,
    *,
    device: str = "auto",
    name: str = "",
    quiet: bool = False,
) -> LiftFit:
    """Train a lifter.

    Writes into ``run_dir``: ``run.json``, ``train.csv``, ``val.csv`` and ``last.ckpt``.

    Args:
        model: With the weights it shall start from.
        train: Clips to learn from.
        val: Clips to validate with; none: no validation.
        settings: How to train.
        run_dir: Folder of the run; made if needed.
        resume: True goes on from ``last.ckpt``; ``"auto"`` does so if there is one.
        device: ``auto``, ``cpu`` or ``cuda``.
        name: What the record calls the run.
        quiet: No progress bar.

    Raises:
        UsageError: the folder holds another run, there is nothing to resume, or the clips cannot
            be disturbed as the settings want.
        WeightsError: the checkpoint is damaged.
        ChronoposeError: the loss did not stay finite.
    """
    folder, state = open_run(run_dir, resume)
    where = device_of(device)
    batches = LiftBatches(
        train, model.codec, frames=model.needs.frames, before=model.needs.before,
        channels=model.needs.channels, batch_size=settings.batch_size, stride=settings.stride,
        augmentation=settings.augmentation, seed=settings.seed,
    )  # fmt: skip
    loop = _Loop(model.to(where), settings, batches, where)
    identity = {
        "config": plain(model.config), "settings": plain(settings), "clips": fingerprint(train),
    }  # fmt: skip
    if state is not None:
        refuse_changes(state["identity"], identity, FREE, folder)
        loop.restore(state)
    facts = {"name": name, "model": type(model).__name__, **identity, "windows": batches.windows}
    write_record(folder, {**facts, "finished": False})
    errors = loop.run(val, folder, identity, quiet)
    found = {} if errors is None else {c.lower(): v for c, v in errors.mean.items()}
    write_record(folder, {**facts, "finished": True, "steps": loop.step, "validation": found})
    return LiftFit(loop.result().cpu().eval(), loop.step, found, folder, errors)


class _Loop:
    """Steps, epochs, and what a checkpoint holds."""

    def __init__(
        self, model: LiftModel, settings: LiftSettings, batches: LiftBatches, device: torch.device
    ) -> None:
        self._model, self._settings, self._batches = model, settings, batches
        self._device = device
        self._average: LiftModel | None = None
        if settings.ema_decay is not None:
            self._average = copy.deepcopy(model).eval().requires_grad_(False)
        self._optimiser = torch.optim.Adam(model.parameters(), lr=settings.lr, amsgrad=True)
        self._criterion, self._weights = model.criterion(), model.weights_of_terms()
        self.step = 0

    def result(self) -> LiftModel:
        """The network that is validated and kept."""
        return self._model if self._average is None else self._average

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._model.load_state_dict(state["model"])
        if self._average is not None:
            self._average.load_state_dict(state["ema"])
        self._optimiser.load_state_dict(state["optimiser"])
        self.step = state["step"]

    def run(
        self, val: Sequence[LiftClip], folder: Path, identity: dict[str, Any], quiet: bool
    ) -> MPJPEResult | None:
        """Train to the end; the last validation."""
        settings, each = self._settings, len(self._batches)
        last = min(settings.epochs * each, settings.limit_batches or settings.epochs * each)
        log = RunLog(folder, self.step)
        rows: list[dict[str, float]] = []
        errors = None
        bar = tqdm(total=last, initial=self.step, disable=quiet, unit="step")
        while self.step < last:
            if self.step % each == 0 or not rows:
                self._enter(self.step // each)
            rows.append(self._one())
            bar.update()
            if self.step % settings.log_every == 0 or self.step == last:
                means = {k: float(np.mean([r[k] for r in rows])) for k in rows[0]}
                log.write("train", self.step, {**means, "lr": self._rate()})
                bar.set_postfix(means)
                rows = []
            epoch_ends = self.step % each == 0 and self.step // each % settings.val_every == 0
            if self.step == last or epoch_ends:
                errors = self._validate(val, log)
            if self.step % settings.save_every == 0 or self.step == last:
                self._save(folder, identity)
        bar.close()
        log.close()
        return errors if errors is not None else self._validate(val, None)

    def _enter(self, epoch: int) -> None:
        """Set what belongs to an epoch."""
        momentum = self._settings.bn_momentum_in(epoch)
        for part in self._model.modules():
            if isinstance(part, nn.modules.batchnorm._BatchNorm):
                part.momentum = momentum
        for group in self._optimiser.param_groups:
            group["lr"] = self._settings.lr_in(epoch)

    def _rate(self) -> float:
        return float(self._optimiser.param_groups[0]["lr"])

    def _one(self) -> dict[str, float]:
        settings = self._settings
        number = self.step if settings.overfit is None else self.step % settings.overfit
        # Dropout draws from the step's own source, so that a resumed run goes on exactly.
        torch.manual_seed(settings.seed * 1_000_003 + self.step)
        poses, xyz = (torch.from_numpy(a).to(self._device) for a in self._batches[number])
        self._model.train()
        output = self._model(poses)
        terms = self._criterion(output, self._target(xyz, output.xyz.shape[1]))
        total = torch.stack([self._weights.get(k, 1.0) * v for k, v in terms.items()]).sum()
        if not bool(torch.isfinite(total.detach())):
            raise ChronoposeError(
                f"The loss is no finite number at step {self.step}. Lower the learning rate; the "
                f"last checkpoint is good."
            )
        self._optimiser.zero_grad()
        total.backward()
        self._optimiser.step()
        self.step += 1
        if self._average is not None and settings.ema_decay is not None:
            decay = min(settings.ema_decay, self.step / (self.step + 20))
            update_average(self._average, self._model, decay)
        return {k: float(v.detach()) for k, v in {**terms, "loss": total}.items()}

    def _target(self, xyz: Tensor, frames: int) -> LiftTarget:
        """Labels of all frames, or of the one that the network answers for."""
        if frames == 1:
            before = self._model.needs.before
            xyz = xyz[:, before : before + 1]
        return LiftTarget(xyz, torch.ones(xyz.shape[:-1], device=xyz.device))

    def _validate(self, val: Sequence[LiftClip], log: RunLog | None) -> MPJPEResult | None:
        if not val:
            return None
        errors = evaluate_lift(self.result(), val, flip_test=self._settings.flip_test)
        if log is not None:
            log.write("val", self.step, {c.lower(): v for c, v in errors.mean.items()})
        return errors

    def _save(self, folder: Path, identity: dict[str, Any]) -> None:
        average = {} if self._average is None else self._average.state_dict()
        write_checkpoint(
            folder / LAST,
            {
                "identity": identity, "model": self._model.state_dict(), "ema": average,
                "optimiser": self._optimiser.state_dict(), "step": self.step,
            },
        )  # fmt: skip

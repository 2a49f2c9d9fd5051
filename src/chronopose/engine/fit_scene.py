"""fit_scene: train a model that reads whole frames; save, and go on after a crash.

Such a model has no crops, and frames of every batch have another size, so it does not go through
:mod:`chronopose.engine.fit`. A step's scenes, its colours and its dropout follow from the seed and
its number, so a resumed run ends as one that never stopped.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from chronopose.data.scene_augment import SceneAugmentation, SceneBatch, SceneBatches
from chronopose.data.scenes import SceneSource
from chronopose.engine.checkpoint import write_checkpoint
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
from chronopose.models._scene import SceneModel

Validate = Callable[[SceneModel], Mapping[str, float]]
FREE = ("save_every", "log_every", "val_every", "workers", "limit_batches")
"""Settings that a resumed run may change: they do not change what is learnt."""


@dataclass(frozen=True, kw_only=True)
class SceneSettings:
    """How to train a model of whole frames; defaults are PAVE-Net's where its paper tells.

    ``drops``, ``frozen`` and ``val_every`` are in epochs where ``epochs`` is given, else in steps.

    Args:
        steps: Steps of the optimiser (AdamW); 0 where ``epochs`` is given.
        epochs: Rounds through the scenes; 0 where ``steps`` is given.
        batch_size: Scenes in one pass.
        accumulate: Passes to a step.
        lr: Learning rate.
        warmup_steps: The rate rises from zero over the first ones.
        drops: Where the rate falls to a tenth, rising.
        slow: Parts of names of parameters that learn at a tenth of the rate. The paper's list also
            names ``reference_points``, of which PAVE-Net has none.
        weight_decay: On everything.
        clip_norm: Largest norm of the gradient; 0 does not clip.
        ema_decay: Of the averaged weights, which are validated and the result; 0 keeps none.
        frozen: How long the backbone is not trained, from the start.
        still_norms: Whether batch norms of the backbone keep their statistics.
        seed: Decides order and augmentation of the scenes, and dropout.
        val_every: Between validations; 0 validates never, otherwise also at the end.
        save_every: Steps between checkpoints.
        log_every: Steps averaged into one row of the log.
        workers: Processes that read scenes; 0 reads them in this one.
        limit_batches: Stop after this many steps.
        overfit: Train on the first so many scenes only.

    Raises:
        UsageError: a number makes no sense.
    """

    steps: int = 0
    epochs: int = 0
    batch_size: int = 1
    accumulate: int = 1
    lr: float = 2e-5
    warmup_steps: int = 0
    drops: tuple[int, ...] = ()
    slow: tuple[str, ...] = ("backbone.", ".offsets.")
    weight_decay: float = 1e-4
    clip_norm: float = 0.1
    ema_decay: float = 0.0
    frozen: int = 0
    still_norms: bool = True
    seed: int = 0
    val_every: int = 0
    save_every: int = 500
    log_every: int = 50
    workers: int = 0
    limit_batches: int | None = None
    overfit: int | None = None

    def __post_init__(self) -> None:
        if (self.steps > 0) == (self.epochs > 0):
            raise UsageError(
                f"Training lasts either steps or epochs above zero; got steps={self.steps} and "
                f"epochs={self.epochs}. Set the other one to 0."
            )
        counts = (self.batch_size, self.accumulate, self.save_every, self.log_every)
        if min(counts) < 1 or self.lr <= 0 or not 0 <= self.ema_decay < 1:
            raise UsageError(
                f"Training needs batch_size, accumulate, save_every and log_every of at least 1, "
                f"a rate above 0 and an ema_decay from 0 to below 1; got {self}."
            )

    def unit(self, scenes: int) -> int:
        """Steps of one epoch where lengths are in epochs, else 1.

        Args:
            scenes: How many there are.
        """
        if not self.epochs:
            return 1
        used = scenes if self.overfit is None else max(1, min(self.overfit, scenes))
        return max(1, -(-used // (self.batch_size * self.accumulate)))

    def total(self, scenes: int) -> int:
        """Steps of the whole training."""
        return self.steps or self.epochs * self.unit(scenes)

    def lr_at(self, step: int, scenes: int) -> float:
        """Learning rate of a step."""
        unit = self.unit(scenes)
        fallen = sum(step >= drop * unit for drop in self.drops)
        return float(self.lr * 0.1**fallen * min(1.0, (step + 1) / max(1, self.warmup_steps)))


@dataclass(frozen=True)
class SceneFit:
    """How a run ended.

    Args:
        model: The averaged weights, or the last ones where no average is kept; in eval mode, on
            the CPU.
        steps: Steps done.
        validation: What validation said last; mean terms of the last row of the log where there
            was none.
        validated: Whether there was one.
        run_dir: Folder with the log, the record and the checkpoint.
    """

    model: SceneModel
    steps: int
    validation: dict[str, float]
    validated: bool
    run_dir: Path


def fit_scene(
    model: SceneModel,
    scenes: SceneSource,
    settings: SceneSettings,
    run_dir: Path | str,
    resume: Resume = False,
    *,
    augmentation: SceneAugmentation | None = None,
    make_batches: Callable[[int], Dataset[SceneBatch]] | None = None,
    validate: Validate | None = None,
    device: str = "auto",
    name: str = "",
    quiet: bool = False,
) -> SceneFit:
    """Train a model of whole frames by its own criterion.

    Writes into ``run_dir``: ``run.json``, ``train.csv``, ``val.csv`` and ``last.ckpt``.

    Args:
        model: With the weights that it shall start from.
        scenes: What to learn from, in the model's joints and with its length of a window.
        settings: How to train.
        run_dir: Folder of the run; made if needed.
        resume: True goes on from ``last.ckpt``; ``"auto"`` does so if there is one.
        augmentation: How scenes are looked at; None shows them as in prediction.
        make_batches: How many -> batches, where they are not made of the scenes' pictures.
        validate: Model in eval mode -> named numbers; called as ``settings.val_every`` says.
        device: ``auto``, ``cpu`` or ``cuda``.
        name: What the record calls the run.
        quiet: No progress bar.

    Raises:
        UsageError: the folder holds another run, there is nothing to resume, the scenes have
            other joints, or the model counts pixels from the frame's corner.
        WeightsError: the checkpoint is damaged.
        ChronoposeError: the loss did not stay finite.
    """
    _check(model, scenes)
    folder, state = open_run(run_dir, resume)
    where = device_of(device)
    identity = {
        "config": plain(model.config), "settings": plain(settings),
        "augmentation": plain(augmentation), "data": scenes.fingerprint(),
    }  # fmt: skip
    loop = _Loop(model.to(where), settings, len(scenes), where)
    if state is not None:
        refuse_changes(state["identity"], identity, FREE, folder)
        loop.restore(state)
    facts = {
        "name": name, "model": type(model).__name__, "scenes": len(scenes), **identity,
    }  # fmt: skip
    write_record(folder, {**facts, "finished": False})
    last = min(loop.total, settings.limit_batches or loop.total)
    if make_batches is None:
        make_batches = partial(
            SceneBatches, scenes, model.codec, augmentation, frames=len(model.needs.offsets),
            batch_size=settings.batch_size, seed=settings.seed, first=settings.overfit,
            divisor=model.needs.divisor,
        )  # fmt: skip
    batches = make_batches(last * settings.accumulate)
    loop.run(batches, last, _Folder(folder, identity, validate, quiet))
    ended = {"steps": loop.step, "terms": loop.terms, "validation": loop.validation}
    write_record(folder, {**facts, "finished": True, **ended})
    return SceneFit(
        loop.best.cpu().eval(), loop.step, loop.validation or loop.terms, bool(loop.validation),
        folder,
    )  # fmt: skip


def _check(model: SceneModel, scenes: SceneSource) -> None:
    if model.codec.skeleton.joints != scenes.skeleton.joints:
        raise UsageError(
            f"The model has the joints of {model.codec.skeleton.name!r}, the scenes those of "
            f"{scenes.skeleton.name!r}. Open the scenes with skeleton="
            f"{model.codec.skeleton.name!r}."
        )
    if model.codec.align != "centre":
        raise UsageError(
            "Scenes are scaled about the centres of pixels, and this model counts from the "
            "frame's corner. Build it with align='centre'; its weights need no change."
        )


@dataclass(frozen=True)
class _Folder:
    """Where a loop writes, and what it calls meanwhile."""

    path: Path
    identity: dict[str, Any]
    validate: Validate | None
    quiet: bool


@dataclass
class _Meter:
    rows: list[dict[str, float]] = field(default_factory=list)

    def take(self) -> dict[str, float]:
        means = {k: float(np.mean([r[k] for r in self.rows])) for k in self.rows[0]}
        self.rows = []
        return means


class _Loop:
    def __init__(
        self, model: SceneModel, settings: SceneSettings, scenes: int, device: torch.device
    ) -> None:
        self._model, self._settings, self._scenes, self._device = model, settings, scenes, device
        self.total = settings.total(scenes)
        self.best = model
        if settings.ema_decay > 0:
            self.best = copy.deepcopy(model).eval().requires_grad_(False)
        self._criterion, self._weights = model.criterion(), model.weights_of_terms()
        self._backbone = [p for p in _backbone(model).parameters() if p.requires_grad]
        self._optimiser = _optimiser(model, settings)
        self._meter = _Meter()
        self.step = 0
        self.terms: dict[str, float] = {}
        self.validation: dict[str, float] = {}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._model.load_state_dict(state["model"])
        if self.best is not self._model:
            self.best.load_state_dict(state["ema"])
        self._optimiser.load_state_dict(state["optimiser"])
        self.step, self.validation = state["step"], state["validation"]

    def run(self, batches: Dataset[SceneBatch], last: int, to: _Folder) -> None:
        """Train up to step ``last``."""
        settings, log = self._settings, RunLog(to.path, self.step)
        passes = range(self.step * settings.accumulate, last * settings.accumulate)
        loader = iter(
            DataLoader(batches, batch_size=None, sampler=list(passes), num_workers=settings.workers)
        )
        every = settings.val_every * settings.unit(self._scenes) if to.validate else 0
        bar = tqdm(total=last, initial=self.step, disable=to.quiet, unit="step")
        started, since = time.monotonic(), self.step
        while self.step < last:
            self._meter.rows.append(self._one(loader))
            bar.update()
            ended = self.step == last
            if self.step % settings.log_every == 0 or ended:
                self.terms = self._meter.take()
                pace = (time.monotonic() - started) / (self.step - since)
                rate = settings.lr_at(self.step - 1, self._scenes)
                row = {**self.terms, "lr": rate, "seconds_per_step": round(pace, 3)}
                log.write("train", self.step, row)
                bar.set_postfix(loss=f"{self.terms['loss']:.3f}")
            if to.validate and every and (self.step % every == 0 or ended):
                self.validation = dict(to.validate(self.best.eval()))
                log.write("val", self.step, self.validation)
            if self.step % settings.save_every == 0 or ended:
                self._save(to)
        bar.close()
        log.close()

    def _one(self, loader: Iterator[SceneBatch]) -> dict[str, float]:
        """One step: all its passes, then the optimiser."""
        settings = self._settings
        rate = settings.lr_at(self.step, self._scenes)
        for group in self._optimiser.param_groups:
            group["lr"] = rate * group["share"]
        self._set_mode()
        self._optimiser.zero_grad(set_to_none=True)
        meter = _Meter()
        for part in range(settings.accumulate):
            seeds = np.random.SeedSequence([settings.seed, self.step, part])
            torch.manual_seed(int(seeds.generate_state(1)[0]))
            meter.rows.append(self._pass(next(loader)))
        norm = nn.utils.clip_grad_norm_(
            self._model.parameters(), settings.clip_norm or float("inf")
        )
        self._optimiser.step()
        self.step += 1
        if self.best is not self._model:
            decay = min(settings.ema_decay, self.step / (self.step + 20))
            update_average(self.best, self._model, decay)
        return {**meter.take(), "grad_norm": float(norm)}

    def _pass(self, batch: SceneBatch) -> dict[str, float]:
        batch = batch.to(self._device)
        terms = self._criterion(self._model(batch.frames, batch.valid), batch.target)
        parts = [self._weights.get(name, 1.0) * value for name, value in terms.items()]
        loss: Tensor = torch.stack(parts).sum()
        values = {k: float(v.detach()) for k, v in (*terms.items(), ("loss", loss))}
        if not np.isfinite(values["loss"]):
            raise ChronoposeError(
                f"The loss is no finite number at step {self.step}: {values}. Lower the learning "
                f"rate; the last checkpoint is good."
            )
        torch.autograd.backward(loss / self._settings.accumulate)
        return values

    def _set_mode(self) -> None:
        settings = self._settings
        frozen = self.step < settings.frozen * settings.unit(self._scenes)
        self._model.train()
        for parameter in self._backbone:
            parameter.requires_grad_(not frozen)
        for part in _backbone(self._model).modules():
            norm = isinstance(part, nn.modules.batchnorm._BatchNorm)
            if frozen or (settings.still_norms and norm):
                part.training = False

    def _save(self, to: _Folder) -> None:
        kept = None if self.best is self._model else self.best.state_dict()
        write_checkpoint(
            to.path / LAST,
            {
                "identity": to.identity, "model": self._model.state_dict(), "ema": kept,
                "optimiser": self._optimiser.state_dict(), "step": self.step,
                "validation": self.validation,
            },
        )  # fmt: skip


def _backbone(model: SceneModel) -> nn.Module:
    """The part called ``backbone``; an empty one where there is none."""
    found = getattr(model, "backbone", None)
    return found if isinstance(found, nn.Module) else nn.Module()


def _optimiser(model: SceneModel, settings: SceneSettings) -> torch.optim.AdamW:
    """Two groups, each with its ``share`` of the rate."""
    parts: dict[float, list[nn.Parameter]] = {1.0: [], 0.1: []}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            slow = any(part in name for part in settings.slow)
            parts[0.1 if slow else 1.0].append(parameter)
    groups = [{"params": p, "share": share} for share, p in parts.items() if p]
    return torch.optim.AdamW(groups, lr=settings.lr, weight_decay=settings.weight_decay)

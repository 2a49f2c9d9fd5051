"""What happens between the steps of a run: log, validation, checkpoints, progress bar."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from tqdm import tqdm

from chronopose.engine.checkpoint import write_checkpoint
from chronopose.engine.module import PoseModule
from chronopose.engine.record import RunLog

LAST, BEST = "last.ckpt", "best.ckpt"


@dataclass
class Progress:
    """Best validation so far; part of every checkpoint."""

    best: float = float("-inf")
    best_step: int = 0
    last: dict[str, float] = field(default_factory=dict)
    """The newest validation."""


class RunKeeper(pl.Callback):
    """Logs, validates and saves after the steps that ask for it, in this order.

    Args:
        folder: The run's folder.
        identity: What a resumed run must agree on; saved with every checkpoint.
        validate: Gives the numbers of a validation, ``pck`` among them; None for no validation.
        progress: Best validation so far.
        first_step: Steps done before.
        quiet: No progress bar.
    """

    def __init__(
        self,
        folder: Path,
        identity: dict[str, Any],
        validate: Callable[[PoseModule], dict[str, float]] | None,
        progress: Progress,
        first_step: int,
        quiet: bool,
    ) -> None:
        self._folder, self._identity, self._validate = folder, identity, validate
        self.progress, self._first, self._quiet = progress, first_step, quiet
        self._bar: tqdm[Any] | None = None
        self._clips, self._since = 0, 0.0
        self._waited, self._ready = 0.0, 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the log and the bar."""
        module = _ours(pl_module)
        if not trainer.is_global_zero:
            return
        self._log = RunLog(self._folder, self._first)
        self._bar = tqdm(
            total=module.settings.total_steps, initial=self._first, unit="step",
            disable=self._quiet, desc="train", leave=True,
        )  # fmt: skip
        self._since = self._ready = time.perf_counter()

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Count the time since the last pass as waiting for data."""
        self._waited += time.perf_counter() - self._ready

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """After the last pass of a step: log, validate, save."""
        self._after_pass(trainer, pl_module, batch, batch_idx)
        self._ready = time.perf_counter()

    def _after_pass(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        module = _ours(pl_module)
        settings, step = module.settings, module.step
        self._clips += len(batch.frames) * trainer.world_size
        if (batch_idx + 1) % settings.accumulate:
            return
        done = step >= settings.total_steps
        if trainer.is_global_zero:
            if step % settings.log_every == 0 or done:
                self._write_log(module)
            if self._bar is not None:
                self._bar.update()
            if done or (settings.val_every and step % settings.val_every == 0):
                self._write_validation(module)
            if done or step % settings.save_every == 0:
                self.save(module, trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the log and the bar."""
        if self._bar is not None:
            self._bar.close()
            self._log.close()

    def save(self, module: PoseModule, trainer: pl.Trainer) -> None:
        """Write ``last.ckpt``."""
        ema = module.ema.state_dict() if module.ema is not None else None
        state = {
            "step": module.step,
            "identity": self._identity,
            "model": module.model.state_dict(),
            "ema": ema,
            "optimiser": trainer.optimizers[0].state_dict(),
            "adversary": module.turns and module.turns.state(),
            "meters": module.meters,
            "best": self.progress.best,
            "best_step": self.progress.best_step,
            "last": self.progress.last,
        }
        write_checkpoint(self._folder / LAST, state)

    def _write_log(self, module: PoseModule) -> None:
        now = time.perf_counter()
        spent = max(1e-9, now - self._since)
        rate, waiting = self._clips / spent, self._waited / spent
        self._clips, self._since, self._waited = 0, now, 0.0
        number, _, _ = module.settings.phase_at(module.step - 1)
        means = module.take_meters()
        row = {
            "phase": number,
            "lr": module.settings.lr_at(module.step - 1),
            **{k: means[k] for k in sorted(means)},
            "clips_per_s": round(rate, 2),
            "waiting": round(waiting, 3),
        }
        self._log.write("train", module.step, row)
        if self._bar is not None:
            shown = {"loss": f"{means.get('loss', float('nan')):.4g}", "clips/s": f"{rate:.0f}"}
            if "pck" in self.progress.last:
                shown["pck"] = f"{self.progress.last['pck']:.1f}"
            self._bar.set_postfix(shown, refresh=False)

    def _write_validation(self, module: PoseModule) -> None:
        if self._validate is None:
            return
        started = time.perf_counter()
        numbers = self._validate(module)
        self.progress.last = numbers
        self._log.write("val", module.step, numbers)
        if self._bar is not None:
            self._bar.write(f"step {module.step}: PCK {numbers['pck']:.2f}", end="\n")
        if numbers["pck"] > self.progress.best:
            self.progress.best, self.progress.best_step = numbers["pck"], module.step
            write_checkpoint(
                self._folder / BEST,
                {
                    "step": module.step,
                    "identity": self._identity,
                    "model": module.best_model.state_dict(),
                    "validation": numbers,
                },
            )
        self._since += time.perf_counter() - started


def _ours(module: pl.LightningModule) -> PoseModule:
    assert isinstance(module, PoseModule)
    return module

"""fit_css: train a latent in two parts on moments of videos; save, and go on after a crash.

Nothing is labelled, so there is nothing to validate with: the probes of
:mod:`chronopose.engine.probes` tell what was learnt. A step's batch follows from its number, and so
does what dropout leaves out, so a resumed run ends as one that never stopped.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from chronopose.data.moments import Footage, MomentBatches, MomentRule
from chronopose.engine.checkpoint import write_checkpoint
from chronopose.engine.module import update_average
from chronopose.engine.plain_run import (
    LAST,
    Resume,
    device_of,
    open_run,
    refuse_changes,
    refuse_infinite,
)
from chronopose.engine.record import RunLog, plain, write_record
from chronopose.errors import UsageError
from chronopose.models.css import CSS
from chronopose.tensors.representation import Moments

IN_TIME = ("contrast", "transition")
"""Terms that wait until the network rebuilds what it sees."""
FREE = {"save_every", "log_every", "limit_batches"}
"""Settings that do not change what is learnt."""


@dataclass(frozen=True, kw_only=True)
class CssSettings:
    """How to train.

    Args:
        steps: Optimiser steps.
        batch_size: Samples a step.
        away: Moments away in a sample.
        middle: Moments between near and away in a sample.
        near: Moments near in a sample.
        lr: Learning rate of Adam; it falls to a hundredth along a cosine.
        decoder_lr: Factor on the rate of the decoder.
        warmup: Share of the steps in which only the reconstruction counts.
        ema_decay: Decay of the averaged copy.
        clip_norm: Largest norm of the gradient.
        seed: Decides weights and batches.
        save_every: Steps between checkpoints.
        log_every: Steps averaged into one row of the log.
        limit_batches: Stop after this many steps.
        overfit: Train on the same so many batches again and again.

    Raises:
        UsageError: a number makes no sense.
    """

    steps: int
    batch_size: int = 16
    away: int = 2
    middle: int = 1
    near: int = 1
    lr: float = 1e-3
    decoder_lr: float = 1.0
    warmup: float = 0.1
    ema_decay: float = 0.99
    clip_norm: float = 10.0
    seed: int = 0
    save_every: int = 500
    log_every: int = 50
    limit_batches: int | None = None
    overfit: int | None = None

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch_size < 2 or self.lr <= 0 or not 0 <= self.warmup < 1:
            raise UsageError(
                f"Training needs steps above zero, a batch of at least 2, a rate above zero and a "
                f"warmup of 0 to 1; got steps {self.steps}, batch_size {self.batch_size}, lr "
                f"{self.lr}, warmup {self.warmup}."
            )

    def lr_at(self, step: int) -> float:
        """Learning rate of a step."""
        return self.lr * (0.01 + 0.99 * (1 + math.cos(math.pi * step / self.steps)) / 2)

    def warming(self, step: int) -> bool:
        """Whether only the reconstruction counts."""
        return step < self.warmup * self.steps


@dataclass(frozen=True)
class CssFit:
    """How a run ended.

    Args:
        model: The averaged weights in eval mode, on the CPU.
        steps: Steps done.
        validation: Mean loss terms of the last row of the log; no data is held back.
        run_dir: Folder with the log, the record and the checkpoint.
    """

    model: CSS
    steps: int
    validation: dict[str, float]
    run_dir: Path


def rule_of(model: CSS, settings: CssSettings) -> MomentRule:
    """Which moments a model's objective asks for."""
    asked = model.config.objective
    return MomentRule(
        near_s=asked.near_s, away_s=asked.away_s, away=settings.away, middle=settings.middle,
        near=settings.near, swap=asked.swap,
    )  # fmt: skip


def fit_css(
    model: CSS,
    videos: Sequence[Footage],
    settings: CssSettings,
    run_dir: Path | str,
    resume: Resume = False,
    *,
    device: str = "auto",
    name: str = "",
    quiet: bool = False,
) -> CssFit:
    """Train without labels.

    Writes into ``run_dir``: ``run.json``, ``train.csv`` and ``last.ckpt``.

    Args:
        model: With the weights it shall start from.
        videos: What moments are drawn from.
        settings: How to train.
        run_dir: Folder of the run; made if needed.
        resume: True goes on from ``last.ckpt``; ``"auto"`` does so if there is one.
        device: ``auto``, ``cpu`` or ``cuda``.
        name: What the record calls the run.
        quiet: No progress bar.

    Raises:
        UsageError: no video fits the moments asked for, the folder holds another run, or there is
            nothing to resume.
        WeightsError: the checkpoint is damaged.
        ChronoposeError: the loss did not stay finite.
    """
    batches = MomentBatches(
        videos, rule_of(model, settings), model.codec, batch_size=settings.batch_size,
        steps=settings.steps, seed=settings.seed, overfit=settings.overfit,
    )  # fmt: skip
    folder, state = open_run(run_dir, resume)
    where = device_of(device)
    model = model.to(where).to(memory_format=torch.channels_last)
    loop = _Loop(model, settings, where)
    identity = {
        "model": type(model).__name__, "config": plain(model.config), "settings": plain(settings),
    }  # fmt: skip
    if state is not None:
        refuse_changes(state["identity"], identity, FREE, folder)
        loop.restore(state)
    facts = {
        "name": name, **identity, "videos": len(batches.videos), "left_out": batches.left_out
    }  # fmt: skip
    write_record(folder, {**facts, "finished": False})
    last = min(settings.steps, settings.limit_batches or settings.steps)
    loop.run(batches, last, folder, identity, quiet)
    write_record(folder, {**facts, "finished": True, "steps": loop.step, "terms": loop.terms})
    return CssFit(loop.average.cpu().eval(), loop.step, loop.terms, folder)


class _Loop:
    def __init__(self, model: CSS, settings: CssSettings, device: torch.device) -> None:
        self._model, self._settings, self._device = model, settings, device
        self.average = copy.deepcopy(model).eval().requires_grad_(False)
        self._criterion, self._weights = model.criterion(), model.weights_of_terms()
        self._groups = _groups(model, settings)
        self._optimiser = torch.optim.Adam(self._groups, lr=settings.lr)
        self.step = 0
        self.terms: dict[str, float] = {}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._model.load_state_dict(state["model"])
        self.average.load_state_dict(state["ema"])
        self._optimiser.load_state_dict(state["optimiser"])
        self.step = state["step"]

    def run(
        self, batches: MomentBatches, last: int, folder: Path, identity: dict[str, Any], quiet: bool
    ) -> None:
        """Train up to step ``last``."""
        settings, log = self._settings, RunLog(folder, self.step)
        rows: list[dict[str, float]] = []
        bar = tqdm(total=last, initial=self.step, disable=quiet, unit="step")
        while self.step < last:
            rows.append(self._one(_to(batches[self.step], self._device)))
            bar.update()
            if self.step % settings.log_every == 0 or self.step == last:
                self.terms = {k: float(np.mean([r[k] for r in rows])) for k in rows[0]}
                rate = settings.lr_at(self.step - 1)
                log.write("train", self.step, {**self.terms, "lr": rate})
                bar.set_postfix(self.terms)
                rows = []
            if self.step % settings.save_every == 0 or self.step == last:
                self._save(folder, identity)
        bar.close()
        log.close()

    def _one(self, moments: Moments) -> dict[str, float]:
        settings, step = self._settings, self.step
        for group in self._optimiser.param_groups:
            group["lr"] = settings.lr_at(step) * group["share"]
        self._model.train()
        torch.manual_seed(settings.seed * 1_000_003 + step)
        output = self._model(moments)
        terms = self._criterion(output, moments)
        total = torch.zeros((), device=self._device)
        alone = bool(self._model.config.objective.reconstruct) and settings.warming(step)
        for key, value in terms.items():
            if not (alone and key in IN_TIME):
                total = total + self._weights[key] * value
        refuse_infinite(total, step)
        self._optimiser.zero_grad()
        total.backward()
        nn.utils.clip_grad_norm_(self._model.parameters(), settings.clip_norm)
        self._optimiser.step()
        self.step += 1
        decay = min(settings.ema_decay, self.step / (self.step + 20))
        update_average(self.average, self._model, decay)
        return {k: float(v.detach()) for k, v in {**terms, "loss": total}.items()}

    def _save(self, folder: Path, identity: dict[str, Any]) -> None:
        write_checkpoint(
            folder / LAST,
            {
                "identity": identity, "model": self._model.state_dict(),
                "ema": self.average.state_dict(), "optimiser": self._optimiser.state_dict(),
                "step": self.step,
            },
        )  # fmt: skip


def _groups(model: CSS, settings: CssSettings) -> list[dict[str, Any]]:
    """Parameters with the share of the learning rate that they get."""
    decoder = {id(p) for p in model.decoder.parameters()}
    learnt = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in learnt if id(p) not in decoder], "share": 1.0},
        {"params": [p for p in learnt if id(p) in decoder], "share": settings.decoder_lr},
    ]


def _to(moments: Moments, device: torch.device) -> Moments:
    moved = {
        name: value.to(device)
        for name, value in moments._asdict().items()
        if isinstance(value, Tensor)
    }
    return moments._replace(**moved)

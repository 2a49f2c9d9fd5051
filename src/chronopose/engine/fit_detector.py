"""fit_detector: train the person detector on drawn pictures; save, and go on after a crash.

A detector is no pose model: it has no joints, no crops and no flip test, so it does not go through
:mod:`chronopose.engine.fit`. Optimiser, averaging, checkpoints and the record of a run are the
same. A step's pictures follow from its number, so a resumed run ends as one that never stopped.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from chronopose.data.mosaic import CrowdPicture
from chronopose.engine.checkpoint import write_checkpoint
from chronopose.engine.module import update_average
from chronopose.engine.muon import Muon
from chronopose.engine.plain_run import (
    LAST,
    Resume,
    device_of,
    open_run,
    refuse_changes,
)
from chronopose.engine.record import RunLog, plain, write_record
from chronopose.errors import ChronoposeError, UsageError
from chronopose.losses.detection import BoxTarget, detection_terms
from chronopose.models.person_detector import STRIDES, PersonDetector, cell_centres
from chronopose.tensors.colours import normalise

Draw = Callable[[tuple[int, int], np.random.Generator], CrowdPicture]
FREE = {"save_every", "log_every", "workers", "limit_batches"}
"""Settings that do not change what is learnt."""


@dataclass(frozen=True, kw_only=True)
class DetectorSettings:
    """How to train a detector.

    Args:
        steps: Optimiser steps.
        batch_size: Pictures a step.
        sizes: Widths and heights of the pictures, multiples of 32; one is drawn for each step.
        lr: Learning rate at the first step, and where its straight line ends.
        warmup_steps: The rate rises from zero over this many steps.
        weight_decay: On kernels only.
        box_weight: Weight of the term ``box``; ``score`` weighs 1.
        freeze: Do not train the stem and the first residual stage.
        ema_decay: Decay of the averaged copy.
        clip_norm: Largest norm of the gradient.
        precision: ``bf16`` (autocast) or ``fp32``.
        seed: Decides weights and pictures.
        save_every: Steps between checkpoints.
        log_every: Steps averaged into one row of the log.
        workers: Processes that draw pictures; 0 draws them in this one.
        limit_batches: Stop after this many steps.
        overfit: Train on the same so many batches again and again.

    Raises:
        UsageError: a number makes no sense.
    """

    steps: int
    batch_size: int = 16
    sizes: tuple[tuple[int, int], ...] = (
        (320, 192), (256, 224), (224, 256), (352, 192), (288, 224),
    )  # fmt: skip
    lr: tuple[float, float] = (1.2e-3, 1e-4)
    warmup_steps: int = 100
    weight_decay: float = 0.02
    box_weight: float = 2.0
    freeze: bool = True
    ema_decay: float = 0.998
    clip_norm: float = 10.0
    precision: Literal["bf16", "fp32"] = "fp32"
    seed: int = 0
    save_every: int = 300
    log_every: int = 50
    workers: int = 1
    limit_batches: int | None = None
    overfit: int | None = None

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch_size < 1 or min(self.lr) < 0:
            raise UsageError(
                f"Training needs steps and a batch above zero and no negative rate; got steps "
                f"{self.steps}, batch_size {self.batch_size}, lr {self.lr}."
            )
        if any(n % 32 or n < 32 for size in self.sizes for n in size):
            raise UsageError(f"Sizes must be multiples of 32 pixels; got {self.sizes}.")

    def lr_at(self, step: int) -> float:
        """Learning rate of a step."""
        first, last = self.lr
        rate = first + (last - first) * step / self.steps
        return rate * min(1.0, (step + 1) / max(1, self.warmup_steps))


@dataclass(frozen=True)
class DetectorFit:
    """How a run ended.

    Args:
        model: The averaged weights in eval mode, on the CPU.
        steps: Steps done.
        validation: Mean loss terms of the last row of the log.
        run_dir: Folder with the log, the record and the checkpoint.
        waiting: Share of this process's training time spent waiting for pictures, 0..1.
    """

    model: PersonDetector
    steps: int
    validation: dict[str, float]
    run_dir: Path
    waiting: float


class PictureBatches(Dataset[tuple[Tensor, BoxTarget]]):
    """Batch ``step`` is a pure function of the seed and its number."""

    def __init__(self, draw: Draw, settings: DetectorSettings) -> None:
        self._draw, self._settings = draw, settings

    def __len__(self) -> int:
        return self._settings.steps

    def __getitem__(self, step: int) -> tuple[Tensor, BoxTarget]:
        settings = self._settings
        number = step if settings.overfit is None else step % settings.overfit
        rng = np.random.default_rng([settings.seed, number])
        size = settings.sizes[int(rng.integers(len(settings.sizes)))]
        return pack([self._draw(size, rng) for _ in range(settings.batch_size)])


def pack(pictures: Sequence[CrowdPicture]) -> tuple[Tensor, BoxTarget]:
    """Pictures of one size -> ``(N, H, W, 3)`` uint8 and their people."""
    pixels = torch.from_numpy(np.stack([p.image for p in pictures]))
    counts = torch.tensor([len(p.boxes) for p in pictures])
    boxes, ignore = ([getattr(p, name) for p in pictures] for name in ("boxes", "ignore"))
    return pixels, BoxTarget(_padded(boxes), counts, _padded(ignore))


def fit_detector(
    model: PersonDetector,
    draw: Draw,
    settings: DetectorSettings,
    run_dir: Path | str,
    resume: Resume = False,
    *,
    device: str = "auto",
    name: str = "",
    quiet: bool = False,
) -> DetectorFit:
    """Train a detector.

    Writes into ``run_dir``: ``run.json``, ``train.csv`` and ``last.ckpt``.

    Args:
        model: With the weights it shall start from.
        draw: Gives a picture of a size.
        settings: How to train.
        run_dir: Folder of the run; made if needed.
        resume: True goes on from ``last.ckpt``; ``"auto"`` does so if there is one.
        device: ``auto``, ``cpu`` or ``cuda``.
        name: What the record calls the run.
        quiet: No progress bar.

    Raises:
        UsageError: the folder holds another run, or there is nothing to resume.
        WeightsError: the checkpoint is damaged.
        ChronoposeError: the loss did not stay finite.
    """
    folder, state = open_run(run_dir, resume)
    where = device_of(device)
    model = model.to(where).to(memory_format=torch.channels_last)
    loop = _Loop(model, settings, where)
    identity = {"config": plain(model.config), "settings": plain(settings)}
    if state is not None:
        refuse_changes(state["identity"], identity, FREE, folder)
        loop.restore(state)
    facts = {"name": name, "model": type(model).__name__, **identity}
    write_record(folder, {**facts, "finished": False})
    last = min(settings.steps, settings.limit_batches or settings.steps)
    loop.run(PictureBatches(draw, settings), last, folder, identity, quiet)
    write_record(folder, {**facts, "finished": True, "steps": loop.step, "terms": loop.terms})
    best = loop.average.cpu().eval()
    return DetectorFit(best, loop.step, loop.terms, folder, loop.waiting)


class _Loop:
    def __init__(
        self, model: PersonDetector, settings: DetectorSettings, device: torch.device
    ) -> None:
        self._model, self._settings, self._device = model, settings, device
        self.average = copy.deepcopy(model).eval().requires_grad_(False)
        self._frozen = model.first_stage() if settings.freeze else []
        for part in self._frozen:
            part.requires_grad_(False)
        self._optimiser = Muon(_named(model), lr=settings.lr[0], weight_decay=settings.weight_decay)
        self.step, self.waiting = 0, 0.0
        self.terms: dict[str, float] = {}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._model.load_state_dict(state["model"])
        self.average.load_state_dict(state["ema"])
        self._optimiser.load_state_dict(state["optimiser"])
        self.step = state["step"]

    def run(
        self,
        batches: PictureBatches,
        last: int,
        folder: Path,
        identity: dict[str, Any],
        quiet: bool,
    ) -> None:
        """Train up to step ``last``."""
        settings, log = self._settings, RunLog(folder, self.step)
        loader = DataLoader(
            batches, batch_size=None, sampler=range(self.step, last), num_workers=settings.workers
        )
        rows: list[dict[str, float]] = []
        waited, started = 0.0, time.monotonic()
        before = started
        bar = tqdm(total=last, initial=self.step, disable=quiet, unit="step")
        for pixels, target in loader:
            waited += time.monotonic() - before
            rows.append(self._one(pixels, target))
            bar.update()
            if self.step % settings.log_every == 0 or self.step == last:
                self.terms = {k: float(np.mean([r[k] for r in rows])) for k in rows[0]}
                share = waited / max(time.monotonic() - started, 1e-9)
                row = {**self.terms, "lr": settings.lr_at(self.step - 1)}
                log.write("train", self.step, {**row, "waiting": round(share, 3)})
                bar.set_postfix(self.terms)
                rows = []
            if self.step % settings.save_every == 0 or self.step == last:
                self._save(folder, identity)
            before = time.monotonic()
        bar.close()
        self.waiting = waited / max(time.monotonic() - started, 1e-9)

    def _one(self, pixels: Tensor, target: BoxTarget) -> dict[str, float]:
        settings = self._settings
        for group in self._optimiser.param_groups:
            group["lr"] = settings.lr_at(self.step)
        self._model.train()
        for part in self._frozen:
            part.eval()
        frames = normalise(pixels.to(self._device).permute(0, 3, 1, 2).float())
        frames = frames.contiguous(memory_format=torch.channels_last)
        narrow = settings.precision == "bf16"
        with torch.autocast(self._device.type, torch.bfloat16, enabled=narrow):
            output = self._model(frames)
        height, width = frames.shape[-2:]
        centres = torch.cat(
            [cell_centres(height // s, width // s, s, self._device) for s in STRIDES]
        )
        target = BoxTarget(*(t.to(self._device) for t in target))
        terms = detection_terms(output.logits, output.boxes, centres, target)
        total = terms["score"] + settings.box_weight * terms["box"]
        if not bool(torch.isfinite(total.detach())):
            raise ChronoposeError(
                f"The loss is no finite number at step {self.step}. Lower the learning rate; the "
                f"last checkpoint is good."
            )
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


def _named(model: PersonDetector) -> list[tuple[str, nn.Parameter]]:
    """Parameters with the names that tell Muon its last layers."""
    ends = ("score.", "sides.")
    return [
        (f"head.{n}" if n.startswith(ends) else n, p)
        for n, p in model.named_parameters()
        if p.requires_grad
    ]


def _padded(rows: Sequence[np.ndarray]) -> Tensor:
    longest = max(1, max(len(r) for r in rows))
    out = np.zeros((len(rows), longest, 4), np.float32)
    for place, row in enumerate(rows):
        out[place, : len(row)] = row
    return torch.from_numpy(out)

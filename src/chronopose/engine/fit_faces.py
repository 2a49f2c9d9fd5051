"""fit_faces: train an expression network; save, and go on after a crash.

The metric comes first or at once: with ``head="joint"`` the cross-entropy trains everything, with
``head="frozen"`` the last layer alone, and at the end it can be fitted anew to the embeddings of
the whole training set, without augmentation. A batch follows from its number, so a resumed run ends
as one that never stopped.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from chronopose.data.face_batches import (
    USUAL,
    FaceAugmentation,
    FaceBatch,
    FaceBatches,
    hold_size,
)
from chronopose.data.faces import FaceSet, held
from chronopose.engine.checkpoint import write_checkpoint
from chronopose.engine.evaluate_faces import embed_faces
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
from chronopose.losses.triplet import batch_spread
from chronopose.metrics.classification import Classification
from chronopose.metrics.embedding import class_centroids
from chronopose.models._face import FaceModel
from chronopose.tensors.colours import normalise

HELD_PICTURES = 40_000
"""Training sets up to this size are kept in memory where ``held`` says ``auto``."""
FREE = {"save_every", "log_every", "workers", "limit_batches", "held"}
"""Settings that a resumed run may change."""


@dataclass(frozen=True, kw_only=True)
class FaceSettings:
    """How to train an expression network.

    Args:
        steps: Optimiser steps.
        per_class: Pictures of each class in a batch, K.
        identity_aware: Batches and triplets of one person with several expressions; see
            :func:`~chronopose.losses.triplet.batch_hard`.
        optimiser: ``adamw``, or ``sgd`` with momentum 0.9.
        lr: Learning rate, which falls to zero along a cosine.
        warmup_steps: The rate rises from zero over this many steps.
        weight_decay: On matrices and kernels only.
        ema_decay: Decay of the averaged copy.
        clip_norm: Largest norm of the gradient.
        augmentation: How training faces are changed.
        refit: Fit the last layer anew at the end: ``linear`` (logistic regression) or ``centroid``
            (the class of the nearest mean); ``none`` keeps it as trained.
        precision: ``bf16`` (autocast) or ``fp32``.
        seed: Decides weights, batches and changes.
        held: Keep the training pictures in memory at training size; ``auto``: if they are few.
        save_every: Steps between checkpoints.
        log_every: Steps averaged into one row of the log.
        workers: Processes that make batches; 0 makes them in this one.
        limit_batches: Stop after this many steps.
        overfit: Train on the same so many batches again and again.

    Raises:
        UsageError: a number makes no sense.
    """

    steps: int
    per_class: int = 8
    identity_aware: bool = False
    optimiser: Literal["adamw", "sgd"] = "adamw"
    lr: float = 1e-3
    warmup_steps: int = 20
    weight_decay: float = 5e-4
    ema_decay: float = 0.99
    clip_norm: float = 5.0
    augmentation: FaceAugmentation = USUAL
    refit: Literal["none", "linear", "centroid"] = "none"
    precision: Literal["bf16", "fp32"] = "fp32"
    seed: int = 0
    held: Literal["auto", "yes", "no"] = "auto"
    save_every: int = 500
    log_every: int = 50
    workers: int = 0
    limit_batches: int | None = None
    overfit: int | None = None

    def __post_init__(self) -> None:
        if self.steps < 1 or self.per_class < 2 or self.lr <= 0:
            raise UsageError(
                f"Training needs steps, two or more pictures of a class and a rate above zero; got "
                f"steps {self.steps}, per_class {self.per_class}, lr {self.lr}."
            )

    def lr_at(self, step: int) -> float:
        """Learning rate of a step."""
        rate = 0.5 * self.lr * (1 + math.cos(math.pi * step / self.steps))
        return rate * min(1.0, (step + 1) / max(1, self.warmup_steps))


@dataclass(frozen=True)
class FaceFit:
    """How a run ended.

    Args:
        model: The averaged weights in eval mode, on the CPU.
        steps: Steps done.
        validation: ``accuracy`` and ``mean_class_accuracy`` of the validation set, percent; the
            last terms of the loss without one.
        run_dir: Folder with the log, the record and the checkpoint.
    """

    model: FaceModel
    steps: int
    validation: dict[str, float]
    run_dir: Path


def fit_faces(
    model: FaceModel,
    train: FaceSet,
    settings: FaceSettings,
    run_dir: Path | str,
    resume: Resume = False,
    *,
    val: FaceSet | None = None,
    device: str = "auto",
    name: str = "",
    quiet: bool = False,
) -> FaceFit:
    """Train an expression network.

    Writes into ``run_dir``: ``run.json``, ``train.csv`` and ``last.ckpt``.

    Args:
        model: With the weights it shall start from.
        train: Training set, with the model's classes in the model's order.
        settings: How to train.
        run_dir: Folder of the run; made if needed.
        resume: True goes on from ``last.ckpt``; ``"auto"`` does so if there is one.
        val: Judged once, at the end.
        device: ``auto``, ``cpu`` or ``cuda``.
        name: What the record calls the run.
        quiet: No progress bar.

    Raises:
        UsageError: the classes differ, the folder holds another run, or there is nothing to resume.
        WeightsError: the checkpoint is damaged.
        ChronoposeError: the loss did not stay finite.
    """
    for part in (train, val):
        if part is not None:
            same_classes(model, part)
    folder, state = open_run(run_dir, resume)
    where = device_of(device)
    identity = {
        "config": plain(model.config), "settings": plain(settings), "train": train.fingerprint(),
    }  # fmt: skip
    loop = FaceLoop(model, settings, where)
    if state is not None:
        refuse_changes(state["identity"], identity, FREE, folder)
        loop.restore(state)
    facts = {
        "name": name, "model": type(model).__name__, **identity, "pictures": len(train),
        "val": None if val is None else val.fingerprint(),
    }  # fmt: skip
    write_record(folder, {**facts, "finished": False})
    kept = settings.held == "yes" or (settings.held == "auto" and len(train) <= HELD_PICTURES)
    pictures = held(train, hold_size(model.codec.crop_size)) if kept else train
    last = min(settings.steps, settings.limit_batches or settings.steps)
    loop.run(
        pictures, last, RunLog(folder, loop.step), quiet, lambda: _save(loop, folder, identity)
    )
    best = loop.finished(train)
    validation = loop.terms if val is None else judge(best, val, where)
    write_record(folder, {**facts, "finished": True, "steps": loop.step, "scores": validation})
    return FaceFit(best, loop.step, validation, folder)


def same_classes(model: FaceModel, faces: FaceSet) -> None:
    """Raise an error unless a set has the model's classes in the model's order.

    Raises:
        UsageError: it has others; the message says how to change that.
    """
    own = model.codec.classes
    if tuple(faces.classes) != own:
        raise UsageError(
            f"The network tells {', '.join(own)}, and {faces.name} has {', '.join(faces.classes)}. "
            f"Use FacesJoined([...], classes=...) to bring a set into the network's order, or "
            f"build the network with classes=(...)."
        )


def judge(model: FaceModel, faces: FaceSet, device: torch.device | str = "cpu") -> dict[str, float]:
    """``accuracy`` and ``mean_class_accuracy`` of a set, percent; the model ends on the CPU."""
    metric = Classification(model.codec.classes)
    logits, _ = embed_faces(model, faces, device=device)
    model.cpu()
    metric.update(logits.argmax(1), faces.labels)
    result = metric.compute()
    return {"accuracy": result.accuracy, "mean_class_accuracy": result.mean_class_accuracy}


class FaceLoop:
    """The steps of a training, without files.

    Args:
        model: Trained in place.
        settings: How.
        device: Where.
    """

    def __init__(
        self, model: FaceModel, settings: FaceSettings, device: torch.device | str = "cpu"
    ) -> None:
        self._settings, self._device = settings, torch.device(device)
        self.model = model.to(self._device).to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        self._criterion, self._weights = model.criterion(), model.weights_of_terms()
        trained = [p for p in model.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in trained if p.ndim > 1], "weight_decay": settings.weight_decay},
            {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self._optimiser: torch.optim.Optimizer = (
            torch.optim.AdamW(groups, lr=settings.lr)
            if settings.optimiser == "adamw"
            else torch.optim.SGD(groups, lr=settings.lr, momentum=0.9)
        )
        self.step = 0
        """Steps done."""
        self.terms: dict[str, float] = {}
        """Mean terms of the newest row of the log."""

    def run(
        self,
        pictures: FaceSet,
        last: int,
        log: RunLog | None = None,
        quiet: bool = True,
        save: Callable[[], None] | None = None,
    ) -> None:
        """Train up to step ``last``.

        Args:
            pictures: Training set.
            last: Number of steps after which to stop.
            log: Where rows go.
            quiet: No progress bar.
            save: Called now and then, and at the end.
        """
        settings = self._settings
        batches = FaceBatches(
            pictures, self.model.codec.crop_size, settings.per_class, settings.seed,
            settings.steps, augmentation=settings.augmentation,
            identity_aware=settings.identity_aware, overfit=settings.overfit,
        )  # fmt: skip
        loader = DataLoader(
            batches, batch_size=None, sampler=range(self.step, last), num_workers=settings.workers
        )
        rows: list[dict[str, float]] = []
        started = time.monotonic()
        bar = tqdm(total=last, initial=self.step, disable=quiet, unit="step")
        for batch in loader:
            rows.append(self._one(batch))
            bar.update()
            if self.step % settings.log_every == 0 or self.step == last:
                self.terms = {k: float(np.mean([r[k] for r in rows])) for k in rows[0]}
                row = {**self.terms, "lr": settings.lr_at(self.step - 1)}
                if log is not None:
                    log.write("train", self.step, {**row, "s": time.monotonic() - started})
                bar.set_postfix(self.terms)
                rows = []
            if save is not None and (self.step % settings.save_every == 0 or self.step == last):
                save()
        bar.close()

    def _one(self, batch: FaceBatch) -> dict[str, float]:
        settings = self._settings
        for group in self._optimiser.param_groups:
            group["lr"] = settings.lr_at(self.step)
        self.model.train()
        faces = normalise(batch.faces.to(self._device))
        faces = faces.contiguous(memory_format=torch.channels_last)
        narrow = settings.precision == "bf16"
        with torch.autocast(self._device.type, torch.bfloat16, enabled=narrow):
            output = self.model(faces)
        persons = batch.persons.to(self._device) if settings.identity_aware else None
        terms = self._criterion(output, batch.labels.to(self._device), persons)
        total = torch.stack([self._weights.get(k, 1.0) * v for k, v in terms.items()]).sum()
        if not bool(torch.isfinite(total.detach())):
            raise ChronoposeError(
                f"The loss is no finite number at step {self.step}. Lower the learning rate; the "
                f"last checkpoint is good."
            )
        self._optimiser.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), settings.clip_norm)
        self._optimiser.step()
        self.step += 1
        decay = min(settings.ema_decay, self.step / (self.step + 10))
        update_average(self.average, self.model, decay)
        count = getattr(self.model.config, "slices", 1)
        slices = output.embedding.detach().float().unflatten(-1, (count, -1))
        told = {**terms, "loss": total, "spread": batch_spread(slices).mean()}
        return {k: float(v.detach()) for k, v in told.items()}

    def finished(self, train: FaceSet) -> FaceModel:
        """The averaged network on the CPU, its last layer fitted anew if that is asked for."""
        if self._settings.refit != "none":
            refit_head(self.average, train, self._settings.refit, self._device)
        return self.average.cpu().eval()

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        return {
            "model": self.model.state_dict(), "ema": self.average.state_dict(),
            "optimiser": self._optimiser.state_dict(), "step": self.step,
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["ema"])
        self._optimiser.load_state_dict(state["optimiser"])
        self.step = state["step"]


def refit_head(
    model: FaceModel,
    train: FaceSet,
    how: Literal["linear", "centroid"],
    device: torch.device | str = "cpu",
) -> None:
    """Fit the last layer, ``model.head``, to the embeddings of a set.

    Args:
        model: With a linear layer ``head``; in eval mode.
        train: Pictures without augmentation; each class weighs the same, however many it has.
        how: ``linear``: logistic regression with a small ridge; ``centroid``: the class whose mean
            is nearest, written as a linear layer: ``2 e.c - |c|^2``.
        device: Where pictures are embedded; the model stays there.

    Raises:
        UsageError: a class has no picture.
    """
    embedding = model.head_scale * embed_faces(model, train, device=device)[1]
    labels, count = train.labels, len(model.codec.classes)
    centres = class_centroids(embedding, labels, count)
    if not np.isfinite(centres).all():
        missing = [c for c, m in zip(train.classes, centres, strict=True) if np.isnan(m).any()]
        raise UsageError(
            f"{train.name} has no picture of {', '.join(missing)}, so its head cannot be fitted."
        )
    if how == "centroid":
        means = torch.from_numpy(centres).float()
        with torch.no_grad():
            model.head.weight.copy_(2 * means)
            model.head.bias.copy_(-means.square().sum(1))
        return
    weight, bias = _logistic(torch.from_numpy(embedding), torch.from_numpy(labels), count)
    with torch.no_grad():
        model.head.weight.copy_(weight)
        model.head.bias.copy_(bias)


def _logistic(rows: Tensor, labels: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Multinomial logistic regression by LBFGS, classes weighing the same."""
    rows = rows.float()
    share = torch.bincount(labels, minlength=count).clamp_min(1).float()
    weight = torch.zeros(count, rows.shape[1], requires_grad=True)
    bias = torch.zeros(count, requires_grad=True)
    solver = torch.optim.LBFGS(
        [weight, bias], max_iter=100, history_size=10, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        solver.zero_grad()
        fit = F.cross_entropy(rows @ weight.T + bias, labels, weight=1 / share)
        total = fit + 1e-3 * weight.square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    solver.step(loss)  # type: ignore[arg-type]
    return weight.detach(), bias.detach()


def _save(loop: FaceLoop, folder: Path, identity: dict[str, Any]) -> None:
    write_checkpoint(folder / LAST, {"identity": identity, **loop.state()})

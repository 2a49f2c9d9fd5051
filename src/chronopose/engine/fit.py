"""fit: train a model on labelled clips, log, validate, save, and go on after a crash."""

from __future__ import annotations

import logging
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import nn
from torch.utils.data import DataLoader

from chronopose.data.clips import ClipSource
from chronopose.data.loader import ClipShape, Stage, TrainBatches
from chronopose.data.sampling import FirstFew
from chronopose.data.transforms import NOTHING, Augmentation
from chronopose.engine.callbacks import BEST, LAST, Progress, RunKeeper
from chronopose.engine.checkpoint import read_checkpoint
from chronopose.engine.collapse import CollapseGuard
from chronopose.engine.evaluate import evaluate
from chronopose.engine.module import PoseModule, phase_codec
from chronopose.engine.picture import draw_batch, draw_run
from chronopose.engine.plain_run import Resume
from chronopose.engine.record import plain, write_record
from chronopose.engine.settings import TrainSettings
from chronopose.errors import SkeletonMismatch, UsageError
from chronopose.models._base import PoseModel
from chronopose.tensors import ClipBatch

MAY_CHANGE = {
    "val_every", "save_every", "log_every", "val_batch_size", "workers", "limit_batches",
    "flip_test",
}  # fmt: skip
"""Settings that do not change what is learnt, so a resumed run may differ in them."""


@dataclass(frozen=True)
class FitResult:
    """How a run ended.

    Args:
        model: The averaged weights in eval mode, on the CPU.
        steps: Steps done.
        validation: Numbers of the last validation; empty without validation data.
        best: Best ``pck`` of all validations; -inf without.
        run_dir: Folder with the log, the record and the checkpoints.
    """

    model: PoseModel
    steps: int
    validation: dict[str, float]
    best: float
    run_dir: Path


def fit(
    model: PoseModel,
    train_data: ClipSource,
    val_data: ClipSource | None,
    settings: TrainSettings,
    run_dir: Path | str,
    resume: Resume = False,
    *,
    augmentation: Augmentation = NOTHING,
    device: str = "auto",
    name: str = "",
    quiet: bool = False,
) -> FitResult:
    """Train a model.

    Writes into ``run_dir``: ``run.json`` (record), ``train.csv``, ``val.csv``, ``batch.png`` (a
    picture of an augmented batch), ``curves.png`` (every term of the run, drawn at its end),
    ``last.ckpt`` and ``best.ckpt``. What :class:`~chronopose.engine.collapse.CollapseGuard`
    noticed is a warning, and in the record.

    Args:
        model: Any model of ``models/``, with the weights it shall start from.
        train_data: Labelled clips of the model's skeleton.
        val_data: Labelled clips for validation, or None.
        settings: How to train.
        run_dir: Folder of the run; made if needed.
        resume: True goes on from ``last.ckpt``; ``"auto"`` does so if there is one. A resumed run
            ends with the same weights as one that was never stopped.
        augmentation: Applied to training samples.
        device: ``auto``, ``cpu`` or ``cuda``.
        name: What the record calls the run.
        quiet: No progress bar.

    Returns:
        The averaged model and how well it does.

    Raises:
        UsageError: the folder holds another run, or the resumed run was started with other
            settings or data.
        SkeletonMismatch: model and data name their joints differently.
        WeightsError: the checkpoint is damaged.
        ChronoposeError: the loss did not stay finite.
    """
    folder = Path(run_dir)
    train_data, val_data, augmentation = _choose(train_data, val_data, augmentation, settings)
    for data in (train_data, val_data):
        if data is not None and data.skeleton.joints != model.codec.skeleton.joints:
            raise SkeletonMismatch(
                f"The model has {model.codec.skeleton.name!r} joints, the data "
                f"{data.skeleton.name!r}. Build the data with that skeleton, or the model with "
                f"skeleton={data.skeleton.name!r}."
            )
    going_on = _wants_resume(folder, resume)
    folder.mkdir(parents=True, exist_ok=True)
    identity = _identity(model, train_data, val_data, settings, augmentation)
    torch.manual_seed(settings.seed)
    module = PoseModule(model, settings).to(memory_format=torch.channels_last)
    progress, optimiser = Progress(), None
    if going_on:
        progress, optimiser = _restore(module, folder, identity)
    facts = {"name": name, **identity, "finished": False}
    write_record(folder, facts)
    batches = _batches(module, train_data, augmentation)
    if not (folder / "batch.png").exists():
        draw_batch(batches[0], model.codec.skeleton, folder / "batch.png")
    guard = CollapseGuard()
    if module.step < settings.total_steps:
        validate = _validator(val_data, settings) if val_data is not None else None
        keeper = RunKeeper(folder, identity, validate, progress, module.step, quiet)
        _run(module, batches, [guard, keeper, _LoadOptimiser(optimiser)], folder, device)
    write_record(
        folder,
        {**facts, "finished": True, "steps": module.step, "validation": progress.last,
         "warnings": guard.said,
         "best": {"pck": progress.best, "step": progress.best_step} if progress.last else None},
    )  # fmt: skip
    draw_run(folder)
    best = module.best_model.cpu().eval()
    return FitResult(best, module.step, progress.last, progress.best, folder)


class _Loaders(pl.LightningDataModule):
    """Gives Lightning the rest of the batches, once it has said how many processes there are."""

    def __init__(self, module: PoseModule, batches: TrainBatches) -> None:
        super().__init__()
        self._module, self._all = module, batches

    def train_dataloader(self) -> DataLoader[ClipBatch]:
        """Batches from the module's step on."""
        assert self.trainer is not None
        settings, all_batches = self._module.settings, self._all
        all_batches.rank, all_batches.world = self.trainer.global_rank, self.trainer.world_size
        first = self._module.step * settings.accumulate
        last = settings.total_steps * settings.accumulate
        return all_batches.loader(first, last, settings.workers)


def _run(
    module: PoseModule,
    batches: TrainBatches,
    callbacks: list[pl.Callback],
    folder: Path,
    device: str,
) -> None:
    settings = module.settings
    with _hushed():
        trainer = pl.Trainer(
            accelerator=device if device in ("auto", "cpu", "cuda") else "auto",
            devices=settings.devices,
            precision="bf16-mixed" if settings.precision == "bf16" else "32-true",
            max_epochs=1,
            accumulate_grad_batches=settings.accumulate,
            deterministic=settings.deterministic,
            callbacks=callbacks,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
            default_root_dir=folder,
        )
        with _honest_interrupt():
            trainer.fit(module, datamodule=_Loaders(module, batches))


class _LoadOptimiser(pl.Callback):
    """Gives a fresh optimiser the memory of the run that is resumed."""

    def __init__(self, state: dict[str, Any] | None) -> None:
        self._state = state

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Before the first step."""
        if self._state is not None:
            trainer.optimizers[0].load_state_dict(self._state)


def _choose(
    train_data: ClipSource,
    val_data: ClipSource | None,
    augmentation: Augmentation,
    settings: TrainSettings,
) -> tuple[ClipSource, ClipSource | None, Augmentation]:
    if settings.overfit is None:
        return train_data, val_data, augmentation
    few = FirstFew(train_data, settings.overfit)
    return few, few, NOTHING


def _batches(module: PoseModule, data: ClipSource, augmentation: Augmentation) -> TrainBatches:
    settings, needs = module.settings, module.model.needs
    stages = [
        Stage(steps=p.steps * settings.accumulate, crop_size=p.crop_size, batch_size=p.batch_size)
        for p in settings.phases
    ]
    shape = ClipShape(count=len(needs.offsets), key=needs.key)
    return TrainBatches(data, stages, shape=shape, augmentation=augmentation, seed=settings.seed)


def _validator(data: ClipSource, settings: TrainSettings) -> Any:
    def validate(module: PoseModule) -> dict[str, float]:
        _, phase, _ = settings.phase_at(module.step - 1)
        model = module.best_model
        training = model.training
        result = evaluate(
            model,
            data,
            flip_test=settings.flip_test,
            batch_size=settings.val_batch_size,
            codec=phase_codec(module.model, phase),
            limit_batches=settings.limit_batches,
            precision=settings.precision,
        )
        model.train(training)
        return {"pck": result.pck, **result.per_joint}

    return validate


def _wants_resume(folder: Path, resume: Resume) -> bool:
    there = (folder / LAST).exists()
    if there and resume is False:
        raise UsageError(
            f"{folder} already holds a run. Resume it, or choose another folder for a new one."
        )
    if not there and resume is True:
        raise UsageError(
            f"There is nothing to resume in {folder}: no {LAST}. Start the run without resuming."
        )
    return there


def _identity(
    model: PoseModel,
    train_data: ClipSource,
    val_data: ClipSource | None,
    settings: TrainSettings,
    augmentation: Augmentation,
) -> dict[str, Any]:
    def named(parts: Any) -> list[dict[str, Any]]:
        return [{"kind": type(p).__name__, **plain(asdict(p))} for p in parts]

    return {
        "model": type(model).__name__,
        "config": plain(model.config),
        "settings": plain(settings),
        "augmentation": named((*augmentation.geometric, *augmentation.effects)),
        "train_data": {"samples": len(train_data), "hash": train_data.fingerprint()},
        "val_data": None
        if val_data is None
        else {"samples": len(val_data), "hash": val_data.fingerprint()},
    }


def _restore(
    module: PoseModule, folder: Path, identity: dict[str, Any]
) -> tuple[Progress, dict[str, Any]]:
    state = read_checkpoint(folder / LAST)
    changed = _changes(state["identity"], identity)
    if changed:
        raise UsageError(
            f"The run in {folder} was started with another {', '.join(changed)}; resumed, it would "
            f"no longer be the same run. Use the same settings and data, or start a new run in "
            f"another folder."
        )
    module.model.load_state_dict(state["model"])
    if module.ema is not None:
        module.ema.load_state_dict(state["ema"])
    if module.turns is not None:
        module.turns.load(state["adversary"])
    module.step = state["step"]
    module.meters = state["meters"]
    return Progress(state["best"], state["best_step"], state["last"]), state["optimiser"]


def _changes(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    changed = []
    for key in new:
        if key == "settings":
            keys = (old[key].keys() | new[key].keys()) - MAY_CHANGE
            changed += sorted(k for k in keys if old[key].get(k) != new[key].get(k))
        elif key != "val_data" and old.get(key) != new[key]:
            changed.append(key)
    return changed


@contextmanager
def _honest_interrupt() -> Iterator[None]:
    """Ctrl-C stays a KeyboardInterrupt, and SIGTERM ends the program with its usual status 143.

    Lightning would leave with 1 after the one, deaf to the next, and with a traceback after the
    other.
    """
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as stop:
        if isinstance(stop.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from stop
        raise
    except SIGTERMException as stop:
        raise SystemExit(128 + signal.SIGTERM) from stop
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)


@contextmanager
def _hushed() -> Iterator[None]:
    """Keep Lightning's banners and its advice on loaders out of the terminal."""
    loggers = [logging.getLogger(n) for n in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning.*")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def load_best(model: PoseModel, run_dir: Path | str) -> PoseModel:
    """Give ``model`` the weights of a run's best validation.

    Raises:
        WeightsError: the run has no readable ``best.ckpt``.
    """
    state = read_checkpoint(Path(run_dir) / BEST)
    nn.Module.load_state_dict(model, state["model"])
    return model.eval()

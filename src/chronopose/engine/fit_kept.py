"""fit_kept: train the temporal part of a model on a feature bank.

A plain loop: no pictures are read and nothing is frozen any more, since the backbone has gone. The
order of the clips, and so the result, follows from the seed alone; a run that was stopped goes on
where it was.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from chronopose.data.sampling import place_at
from chronopose.engine.checkpoint import read_checkpoint, write_checkpoint
from chronopose.engine.feature_bank import FeatureBank
from chronopose.engine.kept import hold_still
from chronopose.engine.module import (
    criterion_for,
    decay_groups,
    make_target,
    sum_terms,
    to_float,
    update_average,
)
from chronopose.engine.settings import Phase, TrainSettings
from chronopose.engine.turns import Turns
from chronopose.errors import ChronoposeError, UsageError
from chronopose.models._base import PoseModel

Made = TypeVar("Made")


@dataclass(frozen=True, kw_only=True)
class KeptSettings:
    """How to train on a bank.

    Args:
        steps: Steps of the optimiser (AdamW).
        batch_size: Clips a step.
        lr: Rate at the first step; it falls to zero in a straight line.
        warmup_steps: The rate rises from zero over the first ones.
        weight_decay: On kernels only.
        clip_norm: Largest norm of the gradient.
        ema_decay: Of the averaged weights, which are the result.
        seed: Decides the order of the clips and the starting weights.
        save_every: Steps between checkpoints.

    Raises:
        UsageError: a number makes no sense.
    """

    steps: int = 300
    batch_size: int = 16
    lr: float = 4e-3
    warmup_steps: int = 50
    weight_decay: float = 0.05
    clip_norm: float = 5.0
    ema_decay: float = 0.99
    seed: int = 0
    save_every: int = 200

    def __post_init__(self) -> None:
        if min(self.steps, self.batch_size, self.save_every) < 1 or self.lr <= 0:
            raise UsageError(
                f"Training needs steps, a batch and save_every of at least 1 and a rate above 0; "
                f"got {self}."
            )

    def plan(self, crop_size: tuple[int, int]) -> TrainSettings:
        """The same as settings of :func:`~chronopose.engine.fit.fit`."""
        phase = Phase(
            steps=self.steps, crop_size=crop_size, batch_size=self.batch_size, lr=(self.lr, 0.0)
        )
        return TrainSettings(
            phases=(phase,), warmup_steps=self.warmup_steps, weight_decay=self.weight_decay,
            clip_norm=self.clip_norm, ema_decay=self.ema_decay, seed=self.seed, precision="fp32",
        )  # fmt: skip


def fit_kept(
    model: PoseModel,
    bank: FeatureBank,
    settings: KeptSettings,
    run_dir: Path | str,
    *,
    still: bool = False,
) -> tuple[PoseModel, list[dict[str, float]]]:
    """Train a model that reads kept features.

    Args:
        model: After :func:`~chronopose.engine.kept.use_kept`, at the start of its training.
        bank: Training clips.
        settings: How to train.
        run_dir: Folder of the checkpoint; a run that is found there goes on.
        still: Show the key frame in the place of all frames.

    Returns:
        The averaged model in eval mode, and the mean terms of every tenth of the run.

    Raises:
        ChronoposeError: the loss did not stay finite.
        UsageError: the folder holds a run with other settings.
    """
    plan = settings.plan(model.codec.crop_size)
    codec, needs = model.codec, model.needs
    identity = {"settings": asdict(settings), "config": repr(model.config), "still": still}
    optimiser = _optimiser(model, plan)
    average = copy.deepcopy(model).requires_grad_(False).eval()
    file = Path(run_dir) / "kept.ckpt"
    network = _with_seed(model.phases, settings.seed)
    turns = None if network is None else Turns(network)
    first, curve = _resume(file, identity, model, average, optimiser, turns)
    criterion = criterion_for(model, codec)
    meters: dict[str, list[float]] = {}
    tenth = max(1, settings.steps // 10)
    model.train()
    for step in range(first, settings.steps):
        torch.manual_seed(settings.seed * 1_000_003 + step)
        for group in optimiser.param_groups:
            group["lr"] = plan.lr_at(step)
        start = step * settings.batch_size
        places = [place_at(settings.seed, start + i, len(bank)) for i in range(settings.batch_size)]
        rows = np.array([p.index for p in places])
        batch = bank.batch(rows, needs.offsets, whole_clip=model.whole_clip)
        frames = hold_still(batch.frames, needs.key) if still else batch.frames
        target = make_target(codec, batch, whole_clip=model.whole_clip)
        output = to_float(model(frames))
        terms = criterion(output, target)
        if turns is not None:
            terms |= turns.network.generator_terms(output, target)
        loss = sum_terms(terms, model, plan)
        if not bool(torch.isfinite(loss.detach())):
            raise ChronoposeError(
                f"The loss of {type(model).__name__} is not finite at step {step}: "
                f"{ {n: v.item() for n, v in terms.items()} }. Lower the learning rate."
            )
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
        optimiser.step()
        met: dict[str, float] = {}
        if turns is not None:
            turns.learn(output, target)
            met = turns.step()
        update_average(average, model, plan.ema_decay_at(step + 1))
        values = {n: float(v.detach()) for n, v in (*terms.items(), ("loss", loss))} | met
        for name, value in values.items():
            meters.setdefault(name, []).append(value)
        if (step + 1) % tenth == 0:
            curve.append({"step": step + 1.0, **{n: float(np.mean(v)) for n, v in meters.items()}})
            meters = {}
        if (step + 1) % settings.save_every == 0 and step + 1 < settings.steps:
            _save(file, identity, model, average, optimiser, turns, step + 1, curve)
    file.unlink(missing_ok=True)
    return average.eval(), curve


def _with_seed(make: Callable[[], Made], seed: int) -> Made:
    """What ``make`` makes after seeding; the random numbers of the caller stay as they are."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def _optimiser(model: PoseModel, plan: TrainSettings) -> torch.optim.Optimizer:
    groups = decay_groups(model, plan.weight_decay)
    if not groups:
        raise UsageError(
            f"{type(model).__name__} has nothing left to train on a bank: all of it is the frozen "
            f"network. Evaluate it as it is."
        )
    return torch.optim.AdamW(groups, lr=plan.lr_at(0))


def _save(
    file: Path, identity: dict[str, Any], model: PoseModel, average: PoseModel,
    optimiser: torch.optim.Optimizer, turns: Turns | None, step: int,
    curve: list[dict[str, float]],
) -> None:  # fmt: skip
    file.parent.mkdir(parents=True, exist_ok=True)
    write_checkpoint(
        file,
        {"identity": identity, "model": model.state_dict(), "average": average.state_dict(),
         "optimiser": optimiser.state_dict(), "adversary": turns and turns.state(), "step": step,
         "curve": curve},
    )  # fmt: skip


def _resume(
    file: Path, identity: dict[str, Any], model: PoseModel, average: PoseModel,
    optimiser: torch.optim.Optimizer, turns: Turns | None,
) -> tuple[int, list[dict[str, float]]]:  # fmt: skip
    if not file.exists():
        return 0, []
    state = read_checkpoint(file)
    if state["identity"] != identity:
        raise UsageError(
            f"{file} belongs to a run with other settings. Delete it, or choose another folder."
        )
    model.load_state_dict(state["model"])
    average.load_state_dict(state["average"])
    optimiser.load_state_dict(state["optimiser"])
    if turns is not None:
        turns.load(state["adversary"])
    return int(state["step"]), list(state["curve"])

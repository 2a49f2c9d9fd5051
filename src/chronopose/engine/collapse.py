"""CollapseGuard: notices in time that TDMI's split, or what was learnt, is gone.

The training of the mutual-information terms is reported to be unstable. A run whose split has
collapsed goes on to the end and gives a single-frame network with extra cost; the guard says so
while there is time to stop. It never stops a run itself.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

import lightning.pytorch as pl
import torch
from torch import nn

from chronopose.engine.module import PoseModule
from chronopose.losses.mutual_information import LN2
from chronopose.losses.split import EDGE, SplitState, split_state
from chronopose.tensors import TDMIOutput

SAME = 1e-3
"""Below this ``apart`` of a split, M_u and M_n are one feature."""
EVEN = 1e-3
"""Below this ``uneven`` of a split, M_u says nothing about places."""
CEILING = 0.99 * LN2
"""Above this ``shared`` of a split, the information is at its largest possible value."""

SAID: Mapping[str, str] = {
    "useful shut": (
        "every gate of the useful motion M_u is shut (below {edge}): the heatmaps see single "
        "frames only. Lower model.mi.alpha, or the learning rate"
    ),
    "useful open": (
        "every gate of the useful motion M_u is open (above {open}): M_u is all of M, nothing is "
        "held back. Raise model.mi.alpha, or switch the split off with model.rdm.enabled=false"
    ),
    "noise shut": (
        "every gate of the noise M_n is shut (below {edge}): there is nothing left that M_u could "
        "be told apart from. Lower model.mi.alpha, or the learning rate"
    ),
    "noise open": (
        "every gate of the noise M_n is open (above {open}): M_n is all of M. Lower "
        "model.mi.alpha, or the learning rate"
    ),
    "frozen": (
        "every gate of M_u and M_n is saturated at 0 or 1: which channels are useful is the same "
        "for every clip, and the gates no longer learn. If accuracy has stopped rising too, lower "
        "model.mi.alpha or the learning rate from the start"
    ),
    "even": (
        "the useful motion M_u is the same in all cells (spread {uneven:.2g} of its size): it says "
        "nothing about where anything is. Lower model.mi.alpha, or clip_norm to 1"
    ),
    "same": (
        "M_u and M_n are the same feature (distance {apart:.2g}): the split does nothing. Raise "
        "model.mi.alpha, or set model.mi.standardise=true"
    ),
    "ceiling": (
        "I(M_u; M_n) stands at its ceiling ln 2 ({shared:.3f}): the features are too even for the "
        "temperature to tell them apart. Lower model.mi.temperature, or set "
        "model.mi.standardise=true"
    ),
    "back": (
        "the heatmap loss is back where this phase of the run began ({start:.4g}; it was at "
        "{best:.4g}, now {now:.4g}): what was learnt is gone. Go back to best.ckpt; lower the "
        "learning rate, or set clip_norm to 1 or model.mi.alpha to a tenth"
    ),
}
"""Sign of a collapse -> what is said of it."""


class CollapseWarning(UserWarning):
    """A run goes on, but what it trains has collapsed."""


def signs_of(state: SplitState) -> set[str]:
    """Signs of a collapse, by their names in :data:`SAID`, that a single batch shows.

    At the start of a training some are normal: two untrained gates are alike.
    """
    signs = set()
    for name, (least, _, most) in (("useful", state.useful), ("noise", state.noise)):
        if most < EDGE:
            signs.add(f"{name} shut")
        if least > 1 - EDGE:
            signs.add(f"{name} open")
    if state.saturated == 1.0 and not signs:
        signs.add("frozen")
    if state.uneven < EVEN:
        signs.add("even")
    if state.apart < SAME:
        signs.add("same")
    elif state.shared > CEILING:
        signs.add("ceiling")
    return signs


class LossWatch:
    """Notices a loss that has fallen and come back.

    Args:
        steps: Length of the running mean, and of the start that later values are compared with.
        fallen: Share of the start below which the loss has been learnt something from.
    """

    def __init__(self, steps: int = 50, fallen: float = 0.9) -> None:
        self._steps, self._fallen = steps, fallen
        self.restart()

    def restart(self) -> None:
        """Begin anew: another phase has another scale of losses."""
        self._seen = 0
        self.start = self.best = self.now = math.nan

    def is_back(self, value: float) -> bool:
        """Take the loss of one step; whether the running mean is back at the start."""
        if not math.isfinite(value):
            return False
        self._seen += 1
        share = 1 / min(self._seen, self._steps)
        self.now = value if self._seen == 1 else self.now + share * (value - self.now)
        if self._seen <= self._steps:
            self.start = self.best = self.now
            return False
        self.best = min(self.best, self.now)
        return self.best < self._fallen * self.start and self.now >= self.start


class CollapseGuard(pl.Callback):
    """Looks at the split and at the heatmap loss; warns once of each sign that persists.

    The numbers of the split go into ``train.csv``. What was seen before a run was resumed is not
    remembered.

    Args:
        every: Steps between two looks at the split.
        patience: Steps that a sign has to persist, after the warm-up of the learning rate.
    """

    def __init__(self, every: int = 10, patience: int = 200) -> None:
        self.every, self.patience = every, patience
        self.said: list[str] = []
        """Warnings given so far."""
        self._since: dict[str, int] = {}
        self._told: set[str] = set()
        self._loss, self._phase = LossWatch(), -1
        self._state: SplitState | None = None
        self._hook: Any = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin to listen to what the model puts out."""
        module = _ours(pl_module)
        mi = getattr(module.model.config, "mi", None)
        how = {} if mi is None else {"temperature": mi.temperature, "standardise": mi.standardise}

        def look(_: nn.Module, __: Any, output: Any) -> None:
            if isinstance(output, TDMIOutput) and module.step % self.every == 0:
                with torch.autocast(module.device.type, enabled=False):
                    self._state = split_state(output, **how)

        self._trained_apart = mi is None or mi.mode != "none"
        self._hook = module.model.register_forward_hook(look)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Judge the last look and the last loss."""
        module = _ours(pl_module)
        state, self._state = self._state, None
        if state is not None:
            for name, value in state.numbers().items():
                module.note(name, value)
        if not trainer.is_global_zero:
            return
        if state is not None and module.step > module.settings.warmup_steps:
            signs = signs_of(state)
            if not self._trained_apart:
                # Nothing asks M_u and M_n to differ, and nothing reads M_n.
                signs &= {"useful shut", "even"}
            self._judge(signs, set(SAID) - {"back"}, module.step, vars(state))
        self._judge_loss(module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop listening."""
        self._stop()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Stop listening."""
        self._stop()

    def _stop(self) -> None:
        if self._hook is not None:
            self._hook.remove()
            self._hook = None

    def _judge_loss(self, module: PoseModule) -> None:
        number, _, _ = module.settings.phase_at(module.step - 1)
        if number != self._phase:
            self._phase = number
            self._loss.restart()
        back = self._loss.is_back(module.terms.get("heatmap", math.nan))
        facts = {"start": self._loss.start, "best": self._loss.best, "now": self._loss.now}
        self._judge({"back"} if back else set(), {"back"}, module.step, facts)

    def _judge(self, signs: set[str], about: set[str], step: int, facts: Mapping[str, Any]) -> None:
        """Count how long signs have been there; warn of those that stay."""
        for sign in about - signs:
            self._since.pop(sign, None)
        for sign in sorted(signs - self._told):
            first = self._since.setdefault(sign, step)
            if step - first < self.patience:
                continue
            self._told.add(sign)
            what = SAID[sign].format(edge=EDGE, open=1 - EDGE, **facts)
            text = f"Since step {first}, {what}. Training goes on; this is said once."
            self.said.append(text)
            warnings.warn(text, CollapseWarning, stacklevel=2)


def _ours(module: pl.LightningModule) -> PoseModule:
    assert isinstance(module, PoseModule)
    return module

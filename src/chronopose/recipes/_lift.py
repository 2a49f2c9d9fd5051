"""LiftRecipe: how a lifter is trained, and carrying it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from chronopose.data.cmu_lift import (
    DROPOUT,
    NOISE_PX,
    read_cmu_lift,
)
from chronopose.data.lift import LiftClip, disturbed_clip
from chronopose.data.lift_h36m import TEST, TRAIN, read_h36m_clips
from chronopose.engine.fit_lift import LiftFit, LiftSettings, fit_lift
from chronopose.engine.plain_run import Resume
from chronopose.errors import UsageError
from chronopose.models._find import build_lifter
from chronopose.recipes._recipe import Places, card_facts
from chronopose.recipes._run import WEIGHTS

Clips = tuple[LiftClip, ...]


class LiftSpec(Protocol):
    """Data of a recipe, before anything is read."""

    def read(self, places: Places) -> tuple[Clips, Clips]:
        """Clips of training and of validation."""


@dataclass(frozen=True, kw_only=True)
class CMULiftSpec:
    """CMU-Lift; see :mod:`chronopose.data.cmu_lift`.

    Args:
        drawn: Further cameras of every training performance, others for each.
        seed: Of their drawing.
        disturbed: Validate on disturbed 2D, else on exact.
    """

    drawn: int = 0
    seed: int = 0
    disturbed: bool = True

    def read(self, places: Places) -> tuple[Clips, Clips]:
        """Clips of training and of validation.

        Raises:
            UsageError: no folder was given.
            FormatError: it does not hold the motion of the benchmark.
        """
        if places.data is None:
            raise UsageError(
                "This recipe needs free CMU motion: give the folder that holds cmu_asfamc, cmu_bvh "
                "and cmu_iclone_bvh with --data."
            )
        train = read_cmu_lift(places.data, "train", drawn=self.drawn, seed=self.seed)
        val = read_cmu_lift(places.data, "test")
        if self.disturbed:
            val = tuple(disturbed_clip(c, NOISE_PX, DROPOUT) for c in val)
        return train, val

    @property
    def told(self) -> str:
        """What validation is, for the weights card."""
        kind = f"N({NOISE_PX:g} px) and {DROPOUT:.0%} gaps" if self.disturbed else "exact 2D"
        return f"CMU-Lift test, {kind} (not Human3.6M)"


@dataclass(frozen=True, kw_only=True)
class H36MSpec:
    """Human3.6M; see :mod:`chronopose.data.lift_h36m`.

    Args:
        source: Whose 2D: ``gt`` for the ground truth.
    """

    source: str = "gt"

    def read(self, places: Places) -> tuple[Clips, Clips]:
        """Clips of training and of test.

        Raises:
            UsageError: no folder was given.
            FormatError: it does not hold Human3.6M.
        """
        if places.data is None:
            raise UsageError(
                "This recipe needs Human3.6M, which its licensees may use: give the folder that "
                f"holds data_3d_h36m.npz, data_2d_h36m_{self.source}.npz and cameras.pkl with "
                f"--data."
            )
        train, test = (read_h36m_clips(places.data, s, self.source) for s in (TRAIN, TEST))
        return train, test

    @property
    def told(self) -> str:
        """What validation is, for the weights card."""
        return f"Human3.6M, subjects 9 and 11, 2D: {self.source}"


@dataclass(frozen=True, kw_only=True)
class LiftRecipe:
    """One training of a lifter.

    Args:
        name: As the registry knows it.
        model: Model name, ``MODEL:PRESET``.
        data: What to learn from and to validate with.
        settings: How to train.
        overrides: Fields of the network's Config that differ from its preset.
        trained_on: What the weights card says it was trained on.
        terms: Terms under which the weights may be used.
    """

    name: str
    model: str
    data: CMULiftSpec | H36MSpec
    settings: LiftSettings
    overrides: Mapping[str, Any] = field(default_factory=dict)
    trained_on: str = ""
    terms: str = ""

    def carry_out(
        self, run_dir: Path | str, *, places: Places, init: Path | str | None = None,
        resume: Resume = "auto", device: str = "auto", quiet: bool = False,
    ) -> LiftFit:  # fmt: skip
        """Train the lifter, and save its weights with a card.

        Args:
            run_dir: Folder of the run; ends with ``weights.safetensors`` and its card in it.
            places: Folder of the data.
            init: Weights to start from; None: random ones.
            resume: As for :func:`~chronopose.engine.fit_lift.fit_lift`.
            device: ``auto``, ``cpu`` or ``cuda``.
            quiet: No progress bar.

        Raises:
            UsageError: no folder was given, or the folder of the run holds another one.
            FormatError: the folder does not hold what it should.
            WeightsError: the weights to start from do not fit.
        """
        import torch

        from chronopose import zoo

        torch.manual_seed(self.settings.seed)
        model = build_lifter(self.model, None, **self.overrides)
        if init is not None:
            model.load_state_dict(zoo.load_lifter(self.model, weights=init).state_dict())
        train, val = self.data.read(places)
        result = fit_lift(
            model, train, val, self.settings, run_dir, resume, device=device, name=self.name,
            quiet=quiet,
        )  # fmt: skip
        zoo.save(result.model, result.run_dir / WEIGHTS, _card(self, result))
        return result


def _card(recipe: LiftRecipe, result: LiftFit) -> dict[str, Any]:
    """What the weights card says beside what the model knows itself."""
    command = f"chronopose train {recipe.name} --data DIR"
    flip = ", flip test" if recipe.settings.flip_test else ""
    return {
        **card_facts(recipe.model, recipe, command),
        "scores": [
            {
                "data": recipe.data.told,
                "metric": f"{column.upper()}, mm{' a frame' if column == 'mpjve' else ''}{flip}",
                "value": round(value, 2),
                "command": command,
            }
            for column, value in result.validation.items()
        ],
        "notes": f"{result.steps} steps; weights of the last step"
        + (", averaged." if recipe.settings.ema_decay is not None else "."),
    }

"""Carry a recipe out: build, start from the right weights, train, save."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from chronopose.engine.checkpoint import read_checkpoint
from chronopose.engine.fit import FitResult, fit
from chronopose.engine.plain_run import Resume
from chronopose.errors import UsageError, WeightsError
from chronopose.models._base import PoseModel
from chronopose.models._find import build_model
from chronopose.recipes._recipe import AnyRecipe, Places, Recipe, card_facts

WEIGHTS = "weights.safetensors"


def with_settings(recipe: AnyRecipe, changes: Mapping[str, Any]) -> AnyRecipe:
    """A copy of a recipe with some training settings replaced; None values change nothing.

    Raises:
        UsageError: there is no such setting.
    """
    wanted = {k: v for k, v in changes.items() if v is not None}
    settings: Any = recipe.settings
    try:
        return replace(recipe, settings=replace(settings, **wanted))
    except TypeError as error:
        raise UsageError(
            f"There is no training setting among {', '.join(wanted)} by that name: {error}."
        ) from error


def run(
    recipe: AnyRecipe,
    run_dir: Path | str,
    *,
    places: Places | None = None,
    init: Path | str | None = None,
    resume: Resume = "auto",
    device: str = "auto",
    quiet: bool = False,
) -> Any:
    """Train what a recipe describes, and save its weights with a card.

    Args:
        recipe: The experiment.
        run_dir: Folder of the run; ends with ``weights.safetensors`` and its card in it.
        places: Where data are and what is kept where.
        init: Weights to start from: a weights file, or the folder of a run of the same model or
            of the single-frame twin. By default the twin's shipped weights, if the recipe names
            one.
        resume: As for :func:`~chronopose.engine.fit.fit`.
        device: ``auto``, ``cpu`` or ``cuda``.
        quiet: No progress bar.

    Returns:
        :class:`~chronopose.engine.fit.FitResult`, or what another kind of recipe ends with: it has
        ``steps``, ``validation`` and ``run_dir``.

    Raises:
        UsageError: data or weights that the recipe needs were not given.
        WeightsError: the weights to start from do not fit.
    """
    import torch

    from chronopose import zoo

    places = places or Places()
    if not isinstance(recipe, Recipe):
        return recipe.carry_out(
            run_dir, places=places, init=init, resume=resume, device=device, quiet=quiet
        )
    torch.manual_seed(recipe.settings.seed)
    model = build_model(recipe.model, None, **recipe.overrides)
    start(model, recipe, init)
    train_data = recipe.train.build(places)
    val_data = None if recipe.val is None else recipe.val.build(places)
    result = fit(
        model, train_data, val_data, recipe.settings, run_dir, resume,
        augmentation=recipe.augmentation, device=device, name=recipe.name, quiet=quiet,
    )  # fmt: skip
    zoo.save(result.model, result.run_dir / WEIGHTS, card_of(recipe, result))
    return result


def card_of(recipe: Recipe, result: FitResult) -> dict[str, Any]:
    """What the weights card of a finished run says beside what the model knows itself."""
    command = f"chronopose train {recipe.name}" + (" --data DIR" if recipe.needs_data else "")
    scores = []
    if "pck" in result.validation and math.isfinite(result.validation["pck"]):
        scores.append(
            {
                "data": f"validation data of the recipe {recipe.name}",
                "metric": "PCK@0.2 (torso), 12 limb joints"
                + (", flip test" if recipe.settings.flip_test else ""),
                "value": round(result.validation["pck"], 2),
                "command": command,
            }
        )
    return {
        **card_facts(recipe.model, recipe, command),
        "scores": scores,
        "notes": f"{result.steps} steps; averaged weights of the last step.",
    }


def start(model: PoseModel, recipe: Recipe, init: Path | str | None) -> None:
    """Give a fresh model the weights that it starts from.

    Raises:
        WeightsError: the weights do not fit.
        UsageError: the model cannot start from a single-frame network.
    """
    if init is None and recipe.single_frame is None:
        return
    twin = recipe.single_frame or recipe.model
    state = _read_state(twin, init)
    if recipe.backbone_only:
        model.load_state_dict({**model.state_dict(), **_body(model, state, twin)})
        return
    if recipe.single_frame is None or set(state) == set(model.state_dict()):
        model.load_state_dict(state)
        return
    load = getattr(model, "load_single_frame", None)
    if load is None:
        raise UsageError(f"{recipe.model} cannot start from the weights of {twin}.")
    load(state)


def _body(model: PoseModel, state: Mapping[str, Tensor], twin: str) -> dict[str, Tensor]:
    """Entries of the model's body, taken from that of the twin's backbone."""
    mark, own = ".body.", model.state_dict()
    names = {k.partition(mark)[2]: k for k in own if mark in k}
    given = {k.removeprefix("backbone.body."): v for k, v in state.items()}
    wrong = [n for n, k in names.items() if n not in given or given[n].shape != own[k].shape]
    if wrong or not names:
        raise WeightsError(
            f"The backbone of {twin} is another one than that of {type(model).__name__}: "
            f"{len(wrong)} of {len(names)} entries do not fit, e.g. {min(wrong, default='none')}. "
            f"Choose a preset with the same backbone."
        )
    return {k: given[n] for n, k in names.items()}


def _read_state(name: str, source: Path | str | None) -> dict[str, Tensor]:
    from chronopose import zoo

    if source is not None and Path(source).is_dir():
        folder = Path(source)
        best = folder / "best.ckpt"
        if not best.exists() and (folder / WEIGHTS).exists():
            return dict(zoo.load(name, weights=folder / WEIGHTS).state_dict())
        return dict(read_checkpoint(best)["model"])
    return dict(zoo.load(name, weights=source).state_dict())

"""SceneRecipe: how a model of whole frames is trained, and carrying it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chronopose.data.datasets._find import find_dataset
from chronopose.data.scene_augment import SceneAugmentation
from chronopose.data.scenes import LabelledScenes
from chronopose.engine.fit_scene import SceneFit, SceneSettings, fit_scene
from chronopose.engine.plain_run import Resume
from chronopose.engine.predict_scenes import headline, score_scenes
from chronopose.errors import UsageError, WeightsError
from chronopose.models._find import build_scene_model
from chronopose.recipes._recipe import Places, card_facts
from chronopose.recipes._run import WEIGHTS

if TYPE_CHECKING:
    from chronopose.models._scene import SceneModel


@dataclass(frozen=True, kw_only=True)
class SceneRecipe:
    """One training of a model of whole frames.

    Args:
        name: As the registry knows it.
        model: Model name, ``MODEL:PRESET``.
        dataset: Name of the data set, as ``chronopose data list`` prints it.
        settings: How to train; ``val_every=0`` opens no validation data.
        augmentation: How scenes are looked at while training.
        val_split: Split that validation reads; None validates never.
        val_options: Further fields of the set's class for validation, e.g. ``{"every": 8}``.
        backbone_from: Name of the pose model whose backbone the network starts from; None keeps
            what the network is built with.
        needs_init: Whether it goes on from the weights of an earlier run.
        overrides: Fields of the model's Config that differ from the preset; the window's length
            is one of them.
        trained_on: What the weights card says they were trained on.
        terms: Terms under which the weights may be used.
    """

    name: str
    model: str
    dataset: str
    settings: SceneSettings
    augmentation: SceneAugmentation = field(default_factory=SceneAugmentation)
    val_split: str | None = "val"
    val_options: Mapping[str, Any] = field(default_factory=dict)
    backbone_from: str | None = None
    needs_init: bool = False
    overrides: Mapping[str, Any] = field(default_factory=dict)
    trained_on: str = ""
    terms: str = ""

    def carry_out(
        self, run_dir: Path | str, *, places: Places, init: Path | str | None = None,
        resume: Resume = "auto", device: str = "auto", quiet: bool = False,
    ) -> SceneFit:  # fmt: skip
        """Train the model, and save its weights with a card.

        Args:
            run_dir: Folder of the run; ends with ``weights.safetensors`` and its card in it.
            places: Folder of the data.
            init: Weights to start from, or the folder of a run of the same model; a model of
                several frames may also start from that of one.
            resume: As for :func:`~chronopose.engine.fit_scene.fit_scene`.
            device: ``auto``, ``cpu`` or ``cuda``.
            quiet: No progress bar.

        Raises:
            UsageError: a folder or weights that the recipe needs were not given.
            FormatError: the folder does not hold the data set.
            WeightsError: the weights to start from do not fit.
        """
        import torch

        from chronopose import zoo

        if places.data is None:
            raise UsageError(
                f"This recipe needs the data set {self.dataset!r}: give its folder with --data. "
                f"'chronopose data check {self.dataset} --root DIR' says what it should hold."
            )
        if self.needs_init and init is None:
            raise UsageError(
                f"{self.name} goes on from an earlier run: name its weights by --init."
            )
        torch.manual_seed(self.settings.seed)
        model = build_scene_model(self.model, None, **self.overrides)
        _start(model, self, init)
        scenes = LabelledScenes(
            find_dataset(self.dataset, places.data, "train"),
            frames=len(model.needs.offsets), skeleton=model.codec.skeleton,
        )  # fmt: skip
        validate = None
        if self.val_split is not None and self.settings.val_every:
            held_out = find_dataset(self.dataset, places.data, self.val_split, **self.val_options)
            held_out.sequences()  # missing labels show now, not after hours

            def validate(averaged: SceneModel) -> dict[str, float]:
                return headline(score_scenes(averaged, held_out).values)

        result = fit_scene(
            model, scenes, self.settings, run_dir, resume, augmentation=self.augmentation,
            validate=validate, device=device, name=self.name, quiet=quiet,
        )  # fmt: skip
        zoo.save(result.model, result.run_dir / WEIGHTS, _card(self, result))
        return result


def _start(model: SceneModel, recipe: SceneRecipe, init: Path | str | None) -> None:
    """Give a fresh model the weights that it starts from."""
    from chronopose import zoo
    from chronopose.zoo.states import fit_state

    if init is not None:
        file = Path(init) / WEIGHTS if Path(init).is_dir() else Path(init)
        given = zoo.load_scene(recipe.model, weights=file)
        if given.needs.offsets == (0,) != model.needs.offsets:
            model.load_single_frame(given.state_dict())
        else:
            fit_state(model, given.state_dict(), file, recipe.name)
    elif recipe.backbone_from is not None:
        own = model.state_dict()
        theirs = zoo.load(recipe.backbone_from).state_dict()
        wanted = [k for k in own if k.startswith("backbone.")]
        lacking = [k for k in wanted if k not in theirs or theirs[k].shape != own[k].shape]
        if lacking:
            raise WeightsError(
                f"The backbone of {recipe.backbone_from} is another one: it has no fitting "
                f"{', '.join(lacking[:3])}. Choose the network whose backbone is "
                f"{model.config.backbone!r}."
            )
        model.load_state_dict({**own, **{k: theirs[k] for k in wanted}})


def _card(recipe: SceneRecipe, result: SceneFit) -> dict[str, Any]:
    """What the weights card says beside what the model knows itself."""
    command = f"chronopose train {recipe.name} --data DIR" + (
        " --init RUN" if recipe.needs_init else ""
    )
    scores: list[dict[str, Any]] = []
    if result.validated and "ap" in result.validation:
        options = "".join(f", {k}={v}" for k, v in recipe.val_options.items())
        scores.append(
            {
                "data": f"{recipe.dataset} {recipe.val_split}{options}",
                "metric": "mean AP as papers on this set report it, from whole frames",
                "value": round(result.validation["ap"], 2),
                "command": command,
            }
        )
    averaged = "averaged weights" if recipe.settings.ema_decay else "weights"
    return {
        **card_facts(recipe.model, recipe, command),
        "scores": scores,
        "notes": f"{result.steps} steps; {averaged} of the last step.",
    }

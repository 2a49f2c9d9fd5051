"""Recipe: one experiment as typed data, and the registry of them.

The folder is the registry: every public function of a recipe file that is annotated to return a
:class:`Recipe`, or another class of that name's ending that can carry itself out, is one, under its
own name.
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

from chronopose.data.clips import ClipSource
from chronopose.data.datasets._find import find_dataset
from chronopose.data.datasets.lspet import LSPET, CameraMotion
from chronopose.data.datasets.procedural import ProceduralClips
from chronopose.data.sampling import Mixture
from chronopose.data.shards import ShardClips
from chronopose.data.transforms import NOTHING, Augmentation
from chronopose.engine.record import hardware
from chronopose.engine.settings import TrainSettings
from chronopose.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where a run finds and keeps things.

    Args:
        data: Folder of the data set, for recipes that need one.
        cache: Folder for decoded pictures and rendered clips.
        backdrops: Folder of pictures without people, for the detector.
        synthetic: Root of a generated set, for the detector; or a folder of shards of people.
    """

    data: Path | None = None
    cache: Path = Path("runs") / "cache"
    backdrops: Path | None = None
    synthetic: Path | None = None


class DataSpec(Protocol):
    """Data of a recipe, before anything is read."""

    def build(self, places: Places) -> ClipSource:
        """Open the data."""


@dataclass(frozen=True, kw_only=True)
class LSPETSpec:
    """People of LSPET.

    Args:
        split: ``train`` or ``val``.
        frames: Length of a clip; 1 for stills.
        motion: Camera motion of pseudo-clips; None keeps clips still.
    """

    split: Literal["train", "val"]
    frames: int = 1
    motion: CameraMotion | None = None

    def build(self, places: Places) -> ClipSource:
        """Open the data.

        Raises:
            UsageError: no data folder was given.
            FormatError: it does not hold LSPET.
        """
        if places.data is None:
            raise UsageError(
                "This recipe needs the LSPET data set: give the folder that holds joints.mat and "
                "images/ with --data."
            )
        return LSPET(
            places.data, self.split, frames=self.frames, motion=self.motion, cache=places.cache
        )


@dataclass(frozen=True, kw_only=True)
class ProceduralSpec:
    """Generated clips; see :class:`~chronopose.data.datasets.procedural.ProceduralClips`."""

    count: int
    seed: int = 0
    frames: int = 1
    size: tuple[int, int] = (160, 160)
    skeleton: str = "lsp14"
    motions: tuple[str, ...] | None = None
    cached: bool = True
    """Render once and keep the pixels; False renders every time."""

    def build(self, places: Places) -> ClipSource:
        """Open, or render, the clips."""
        return ProceduralClips(
            self.count, self.seed, frames=self.frames, size=self.size, skeleton=self.skeleton,
            motions=self.motions, cache=places.cache if self.cached else None,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class LabelledSpec:
    """People of a data set of the registry; see :mod:`chronopose.data.datasets`.

    Args:
        dataset: Its name, as ``chronopose data list`` prints it.
        split: One of its splits; empty for the one that papers report.
        frames: Length of a clip, odd; None for the rule's own, 1 for the key frame alone.
        neighbours: Name of a neighbour rule; None for the set's usual one.
        training: Draw neighbours and runs where the rule or the windows do.
        skeleton: Registry name of the joints of the samples; None for the set's own.
        windows: ``"key"``, or ``"run"`` for runs of neighbouring frames.
        options: Further fields of the set's class, e.g. ``{"fold": 2}``.
        folder: Where it lies in the data folder, for recipes that read several sets.
    """

    dataset: str
    split: str = ""
    frames: int | None = None
    neighbours: str | None = None
    training: bool = False
    skeleton: str | None = None
    windows: Literal["key", "run"] = "key"
    options: Mapping[str, Any] = field(default_factory=dict)
    folder: str = ""

    def build(self, places: Places) -> ClipSource:
        """Open the data.

        Raises:
            UsageError: no data folder was given, or there is no such set, split, rule or option.
            FormatError: the folder does not hold the labels.
        """
        if places.data is None:
            raise UsageError(
                f"This recipe needs the data set {self.dataset!r}: give its folder with --data. "
                f"'chronopose data check {self.dataset} --root DIR' says what it should hold."
            )
        root = Path(places.data) / self.folder
        data = find_dataset(self.dataset, root, self.split, **self.options)
        return data.clips(
            frames=self.frames, neighbours=self.neighbours, training=self.training,
            skeleton=self.skeleton, windows=self.windows,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ShardSpec:
    """People cut out of generated clips; see :class:`~chronopose.data.shards.ShardClips`.

    Args:
        skeleton: Registry name of the joints of the samples.
        frames: Length of a clip, odd; the middle of what is stored.
    """

    skeleton: str = "lsp14"
    frames: int = 1

    def build(self, places: Places) -> ClipSource:
        """Open the shards.

        Raises:
            UsageError: no folder was given.
            FormatError: it holds no shards, or damaged ones.
        """
        if places.synthetic is None:
            raise UsageError(
                "This recipe needs shards of synthetic people: make clips with 'chronopose synth', "
                "cut the people out with 'chronopose shards', and give the folder with --synthetic."
            )
        return ShardClips(places.synthetic, skeleton=self.skeleton, frames=self.frames)


@dataclass(frozen=True, kw_only=True)
class MixtureSpec:
    """Several sources in whole-number shares."""

    parts: tuple[DataSpec, ...]
    shares: tuple[int, ...]

    def build(self, places: Places) -> ClipSource:
        """Open all parts."""
        return Mixture([p.build(places) for p in self.parts], self.shares)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One experiment.

    Args:
        name: As the registry knows it.
        model: Model name, ``MODEL:PRESET``.
        train: Training data.
        val: Validation data.
        settings: How to train.
        augmentation: Applied to training samples.
        overrides: Fields of the model's Config that differ from the preset.
        single_frame: Name of the single-frame twin whose weights the model starts from; None
            starts from random weights.
        backbone_only: Take the body of its backbone alone (``backbone.body.*`` there, ``*.body.*``
            here); everything behind it stays random.
        needs_data: Whether a folder with a data set has to be given.
        trained_on: What the weights card says they were trained on.
        terms: Terms under which the weights may be used.
    """

    name: str
    model: str
    train: DataSpec
    val: DataSpec | None
    settings: TrainSettings
    augmentation: Augmentation = NOTHING
    overrides: Mapping[str, Any] = field(default_factory=dict)
    single_frame: str | None = None
    backbone_only: bool = False
    needs_data: bool = False
    trained_on: str = ""
    terms: str = ""


class OtherRecipe(Protocol):
    """An experiment whose model is no crop model: it is a frozen dataclass and trains itself."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def name(self) -> str:
        """As the registry knows it."""

    @property
    def settings(self) -> Any:
        """How to train: a frozen dataclass with ``seed``, ``limit_batches`` and ``overfit``."""

    @property
    def overrides(self) -> Mapping[str, Any]:
        """Fields of the network's Config that differ from its preset."""

    def carry_out(
        self, run_dir: Path | str, *, places: Places, init: Path | str | None, resume: Any,
        device: str, quiet: bool,
    ) -> Any:  # fmt: skip
        """Train, and save ``weights.safetensors`` with its card in ``run_dir``; see ``_run.run``.

        Returns:
            Something with ``steps``, ``validation`` (name -> number) and ``run_dir``.
        """


AnyRecipe = Recipe | OtherRecipe


def card_facts(name: str, recipe: Any, command: str) -> dict[str, Any]:
    """What every weights card of a run says beside what the model knows itself.

    Args:
        name: ``MODEL:PRESET`` of the weights.
        recipe: The experiment: its ``trained_on``, ``terms`` and the seed of its settings.
        command: What to type to train them again.
    """
    machine = hardware()
    return {
        "name": name,
        "training_data": recipe.trained_on,
        "terms": recipe.terms,
        "command": command,
        "hardware": f"{machine['cores']} CPU cores ({machine['processor']})"
        + "".join(f", {gpu}" for gpu in machine["gpus"]),
        "seeds": (recipe.settings.seed,),
    }


@cache
def list_recipes() -> dict[str, Callable[[], AnyRecipe]]:
    """Name -> function, of every recipe in this folder."""
    package = import_module("chronopose.recipes")
    found = {}
    for info in pkgutil.iter_modules(package.__path__):
        if info.name.startswith("_"):
            continue
        module = import_module(f"chronopose.recipes.{info.name}")
        for name, value in vars(module).items():
            if name.startswith("_") or not inspect.isfunction(value):
                continue
            returned = value.__annotations__.get("return", "")
            kind = getattr(returned, "__name__", str(returned))
            if value.__module__ == module.__name__ and kind.endswith("Recipe"):
                found[name] = value
    return dict(sorted(found.items()))


def find(name: str) -> AnyRecipe:
    """The recipe called ``name``; ``tdmi:lite`` and ``tdmi-lite`` mean ``tdmi_lite``.

    Raises:
        UsageError: there is none; the message names the nearest one.
    """
    wanted = name.strip().replace(":", "_").replace("-", "_")
    recipes = list_recipes()
    if wanted not in recipes:
        close = get_close_matches(wanted, recipes, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise UsageError(f"There is no recipe {name!r}.{hint} Known: {', '.join(recipes)}.")
    return recipes[wanted]()

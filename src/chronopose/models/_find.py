"""The folder is the registry: which models there are, and how to build one by name.

Listing the models reads file names only; torch starts when presets are asked for or a model is
built.
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from chronopose.errors import UsageError

if TYPE_CHECKING:
    from chronopose.models._base import PoseModel
    from chronopose.models._face import FaceModel
    from chronopose.models._lift import LiftModel
    from chronopose.models._represent import RepresentationModel
    from chronopose.models._scene import SceneModel


@dataclass(frozen=True)
class ModelName:
    """A model's full name: file, preset and, optionally, which of its weights."""

    model: str
    preset: str
    tag: str | None = None

    def __str__(self) -> str:
        return f"{self.model}:{self.preset}" + (f"@{self.tag}" if self.tag else "")


@dataclass(frozen=True)
class Kind:
    """Models that are asked in the same way.

    Args:
        base: Class that they are subclasses of.
        home: File of that class.
        reads: What they are given, in words.
        files: Their files; those of no kind's list are crop models.
        load: Function that loads them with their weights.
        build: Function of this module that builds them.
    """

    base: str
    home: str
    reads: str
    files: tuple[str, ...]
    load: str
    build: str


CROPS = Kind("PoseModel", "_base", "crops of one person", (), "zoo.load", "build_model")
SCENES = Kind(
    "SceneModel", "_scene", "whole frames", ("pavenet",), "zoo.load_scene", "build_scene_model"
)
LIFTERS = Kind(
    "LiftModel", "_lift", "2D poses over time", ("dgnet", "temporal_cnn"),
    "zoo.load_lifter", "build_lifter",
)  # fmt: skip
FACES = Kind(
    "FaceModel", "_face", "pictures of faces", ("fer_multithreshold",),
    "zoo.load_face_model", "build_face_model",
)  # fmt: skip
REPRESENTATIONS = Kind(
    "RepresentationModel", "_represent", "frames or poses without labels", ("css",),
    "zoo.load_representation", "build_representation",
)  # fmt: skip
OTHERS = (SCENES, LIFTERS, FACES, REPRESENTATIONS)
NO_POSE = ("person_detector",)
"""Files of this folder whose networks know no joints; the detectors load them themselves."""


@cache
def _files() -> tuple[str, ...]:
    """Names of all models' files of this folder, sorted; nothing is imported."""
    package = import_module("chronopose.models")
    found = (m.name for m in pkgutil.iter_modules(package.__path__))
    return tuple(sorted(n for n in found if not n.startswith("_") and n not in NO_POSE))


def kind_of(name: str) -> Kind:
    """Which kind of model a file holds."""
    return next((k for k in OTHERS if name in k.files), CROPS)


def files_of(kind: Kind) -> tuple[str, ...]:
    """Names of the files of a kind, sorted; nothing is imported."""
    return tuple(n for n in _files() if kind_of(n) is kind)


def model_files() -> tuple[str, ...]:
    """Names of the crop models' files."""
    return files_of(CROPS)


def find_model(name: str) -> type[Any]:
    """The model class of a file, of whatever kind.

    Raises:
        UsageError: there is no such file.
    """
    if name not in _files():
        raise UsageError(_unknown("model", name, _files()))
    kind = kind_of(name)
    base = getattr(import_module(f"chronopose.models.{kind.home}"), kind.base)
    module = import_module(f"chronopose.models.{name}")
    classes = [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, base)
        and value.__module__ == module.__name__
        and not inspect.isabstract(value)
    ]
    if len(classes) != 1:
        raise UsageError(
            f"models/{name}.py must define exactly one {kind.base}; it defines "
            f"{', '.join(c.__name__ for c in classes) or 'none'}."
        )
    return classes[0]


def list_models(kind: Kind = CROPS) -> dict[str, tuple[str, ...]]:
    """Model file -> its presets, in the order of the file."""
    return {name: tuple(find_model(name).PRESETS) for name in files_of(kind)}


def parse_name(name: str) -> ModelName:
    """Read ``tdmi:lite``, ``tdmi:lite@real`` or ``tdmi_lite``.

    Only the model's part is checked here; :func:`build_model` checks the preset.

    Raises:
        UsageError: no model of that name, or no preset in it.
    """
    files = _files()
    body, at, tag = name.strip().partition("@")
    model, colon, preset = body.partition(":")
    if not colon:
        owners = [m for m in files if body == m or body.startswith(m + "_")]
        model = max(owners, key=len, default=body)
        preset = body[len(model) + 1 :]
    if model not in files:
        raise UsageError(_unknown("model", model, files))
    if not preset or (at and not tag):
        raise UsageError(
            f"{name!r} is not a whole model name. Write MODEL:PRESET or MODEL:PRESET@WEIGHTS, "
            f"e.g. {model}:{next(iter(find_model(model).PRESETS))}."
        )
    return ModelName(model, preset, tag or None)


def build_model(name: str, preset: str | None = None, **overrides: Any) -> PoseModel:
    """Build a model with random weights, in training mode.

    Args:
        name: Model file, e.g. ``tdmi``; or a whole name such as ``tdmi:lite`` without a preset.
        preset: One of the model's presets.
        **overrides: Fields of its Config, e.g. ``crop_size=(192, 256)``; nested ones by their
            path, e.g. ``**{"tde.fuse": "concat"}``.

    Raises:
        UsageError: no such model, preset or field, or values that do not fit together.
    """
    built: PoseModel = _build(CROPS, name, preset, overrides)
    return built


def build_scene_model(name: str, preset: str | None = None, **overrides: Any) -> SceneModel:
    """Build a model of whole frames with random weights; as :func:`build_model`."""
    built: SceneModel = _build(SCENES, name, preset, overrides)
    return built


def build_lifter(name: str, preset: str | None = None, **overrides: Any) -> LiftModel:
    """Build a model that lifts 2D poses into space, with random weights; as :func:`build_model`."""
    built: LiftModel = _build(LIFTERS, name, preset, overrides)
    return built


def build_face_model(name: str, preset: str | None = None, **overrides: Any) -> FaceModel:
    """Build a model of faces with random weights; as :func:`build_model`."""
    built: FaceModel = _build(FACES, name, preset, overrides)
    return built


def build_representation(
    name: str, preset: str | None = None, **overrides: Any
) -> RepresentationModel:
    """Build a model that learns without labels, with random weights; as :func:`build_model`."""
    built: RepresentationModel = _build(REPRESENTATIONS, name, preset, overrides)
    return built


def build_any(name: str, preset: str | None = None, **overrides: Any) -> Any:
    """Build a model of whatever kind with random weights; as :func:`build_model`."""
    model, config = _choose(name, preset, overrides)
    return model(config)


def _build(kind: Kind, name: str, preset: str | None, overrides: Mapping[str, Any]) -> Any:
    model, config = _choose(name, preset, overrides)
    refuse_other(kind, model.__module__.rpartition(".")[2])
    return model(config)


def refuse_other(kind: Kind, name: str) -> None:
    """Raise an error unless a file holds a model of this kind.

    Raises:
        UsageError: it is of another; the message says what it reads and how it is built.
    """
    own = kind_of(name)
    if own is not kind:
        raise UsageError(
            f"{name} reads {own.reads}, not {kind.reads}: load it with {own.load} or build it with "
            f"{own.build}. Models of {kind.reads}: {', '.join(files_of(kind)) or 'none'}."
        )


def _choose(name: str, preset: str | None, overrides: Mapping[str, Any]) -> tuple[type[Any], Any]:
    """Class and Config of a model."""
    if preset is None:
        whole = parse_name(name)
        name, preset = whole.model, whole.preset
    model = find_model(name)
    if preset not in model.PRESETS:
        raise UsageError(_unknown(f"preset of {name}", preset, tuple(model.PRESETS)))
    return model, override(model.PRESETS[preset], overrides)


def override(config: Any, changes: Mapping[str, Any]) -> Any:
    """A copy of a Config with some fields replaced; dots lead into nested ones, lists fit tuples.

    Raises:
        UsageError: there is no such field; the message names the nearest one.
    """
    own: dict[str, Any] = {}
    nested: dict[str, dict[str, Any]] = {}
    names = tuple(f.name for f in fields(config))
    for path, value in changes.items():
        head, dot, rest = path.partition(".")
        if head not in names or (dot and not is_dataclass(getattr(config, head))):
            raise UsageError(_unknown(f"setting of {type(config).__name__}", path, names))
        if dot:
            nested.setdefault(head, {})[rest] = value
        else:
            own[head] = tuple(value) if isinstance(value, list) else value
    for head, inner in nested.items():
        own[head] = override(own.get(head, getattr(config, head)), inner)
    try:
        return replace(config, **own) if own else config
    except TypeError as error:
        values = ", ".join(f"{k} = {v!r}" for k, v in own.items())
        raise UsageError(
            f"{type(config).__name__} cannot take {values}: {error}. Give values of the same kind "
            f"as the ones they replace."
        ) from error


def config_of(name: str, preset: str) -> Any:
    """The Config of a preset.

    Raises:
        UsageError: no such model or preset.
    """
    presets = find_model(name).PRESETS
    if preset not in presets:
        raise UsageError(_unknown(f"preset of {name}", preset, tuple(presets)))
    return presets[preset]


def _unknown(kind: str, name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name, known, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"There is no {kind} {name!r}.{hint} Known: {', '.join(known)}."

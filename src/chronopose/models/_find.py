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
    from chronopose.models._scene import SceneModel


@dataclass(frozen=True)
class ModelName:
    """A model's full name: file, preset and, optionally, which of its weights."""

    model: str
    preset: str
    tag: str | None = None

    def __str__(self) -> str:
        return f"{self.model}:{self.preset}" + (f"@{self.tag}" if self.tag else "")


NO_POSE = ("person_detector",)
"""Files of this folder whose networks know no joints; the detectors load them themselves."""
SCENES = ("pavenet",)
"""Files whose networks read whole frames; see ``_scene.py``."""


@cache
def model_files() -> tuple[str, ...]:
    """Names of the crop models' files of this folder, sorted; nothing is imported."""
    package = import_module("chronopose.models")
    found = (m.name for m in pkgutil.iter_modules(package.__path__))
    return tuple(sorted(n for n in found if not n.startswith("_") and n not in (*NO_POSE, *SCENES)))


def find_model(name: str) -> type[Any]:
    """The model class of a file: a PoseModel, or a SceneModel for one of :data:`SCENES`.

    Raises:
        UsageError: there is no such file.
    """
    from chronopose.models._base import PoseModel
    from chronopose.models._scene import SceneModel

    if name not in (*model_files(), *SCENES):
        raise UsageError(_unknown("model", name, (*model_files(), *SCENES)))
    kind: type[Any] = SceneModel if name in SCENES else PoseModel
    module = import_module(f"chronopose.models.{name}")
    classes = [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, kind)
        and value.__module__ == module.__name__
        and not inspect.isabstract(value)
    ]
    if len(classes) != 1:
        raise UsageError(
            f"models/{name}.py must define exactly one {kind.__name__}; it defines "
            f"{', '.join(c.__name__ for c in classes) or 'none'}."
        )
    return classes[0]


def find_scene_model(name: str) -> type[SceneModel]:
    """The model class of one of :data:`SCENES`.

    Raises:
        UsageError: there is no such file.
    """
    if name not in SCENES:
        raise UsageError(_unknown("model of whole frames", name, SCENES))
    return find_model(name)


def list_models() -> dict[str, tuple[str, ...]]:
    """Model file -> its presets, in the order of the file."""
    return {name: tuple(find_model(name).PRESETS) for name in model_files()}


def list_scene_models() -> dict[str, tuple[str, ...]]:
    """The same for the models of whole frames."""
    return {name: tuple(find_scene_model(name).PRESETS) for name in SCENES}


def parse_name(name: str) -> ModelName:
    """Read ``tdmi:lite``, ``tdmi:lite@real`` or ``tdmi_lite``.

    Only the model's part is checked here; :func:`build_model` checks the preset.

    Raises:
        UsageError: no model of that name, or no preset in it.
    """
    files = (*model_files(), *SCENES)
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
    kind, config = _choose(name, preset, overrides)
    if kind.__module__.rpartition(".")[2] in SCENES:
        raise UsageError(f"{name} reads whole frames, no crops: build it with build_scene_model.")
    built: PoseModel = kind(config)
    return built


def build_scene_model(name: str, preset: str | None = None, **overrides: Any) -> SceneModel:
    """Build a model of whole frames with random weights; as :func:`build_model`."""
    kind, config = _choose(name, preset, overrides)
    if kind.__module__.rpartition(".")[2] not in SCENES:
        raise UsageError(f"{name} reads crops, no whole frames: build it with build_model.")
    built: SceneModel = kind(config)
    return built


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

"""Loading a model by name: from shipped weights, from a file, or without any."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from chronopose.errors import ChronoposeError, UsageError, WeightsError
from chronopose.models._any import AnyModel
from chronopose.models._base import PoseModel
from chronopose.models._face import FaceModel
from chronopose.models._find import (
    CROPS,
    FACES,
    LIFTERS,
    REPRESENTATIONS,
    SCENES,
    Kind,
    ModelName,
    build_any,
    config_of,
    find_model,
    kind_of,
    parse_name,
    refuse_other,
)
from chronopose.models._lift import LiftModel
from chronopose.models._represent import RepresentationModel
from chronopose.models._scene import SceneModel
from chronopose.zoo.card import RANDOM, Card, card_path, find_card, read_card
from chronopose.zoo.convert import Recognised, recognise, sources
from chronopose.zoo.saving import facts_of
from chronopose.zoo.states import StateFile, fit_state, read_state, sha256_of

UNKNOWN = "unknown: the file came without a card"


def load(
    name: str,
    *,
    weights: str | Path | None = None,
    device: str = "cpu",
    verify: bool = True,
) -> PoseModel:
    """Load a model with its weights; nothing is ever downloaded.

    Args:
        name: ``MODEL:PRESET`` or ``MODEL:PRESET@TAG``; the tag ``random`` asks for a network that
            has learnt nothing.
        weights: A file instead of the weights found by name: ``.safetensors`` (with its card
            beside it, if it has one), or a file of torch.save: a state dict, a checkpoint of our
            training, or a published checkpoint of HRNet or SimpleBaseline. ``"random"`` is the
            same as the tag.
        device: Where the model is put.
        verify: Compare the file with the SHA-256 of its card.

    Returns:
        The model in eval mode; its attribute ``card`` is the :class:`Card`.

    Raises:
        UsageError: there is no such model or preset, or it reads no crops.
        WeightsError: there are no such weights, or they are damaged, unsafe or of another model.
    """
    model: PoseModel = _load(CROPS, name, weights, device, verify)
    return model


def load_scene(
    name: str,
    *,
    weights: str | Path | None = None,
    device: str = "cpu",
    verify: bool = True,
) -> SceneModel:
    """Load a model of whole frames with its weights; everything else as for :func:`load`."""
    model: SceneModel = _load(SCENES, name, weights, device, verify)
    return model


def load_lifter(
    name: str,
    *,
    weights: str | Path | None = None,
    device: str = "cpu",
    verify: bool = True,
) -> LiftModel:
    """Load a model that lifts 2D poses into space; everything else as for :func:`load`."""
    model: LiftModel = _load(LIFTERS, name, weights, device, verify)
    return model


def load_face_model(
    name: str,
    *,
    weights: str | Path | None = None,
    device: str = "cpu",
    verify: bool = True,
) -> FaceModel:
    """Load a model of facial expressions; everything else as for :func:`load`."""
    model: FaceModel = _load(FACES, name, weights, device, verify)
    return model


def load_representation(
    name: str,
    *,
    weights: str | Path | None = None,
    device: str = "cpu",
    verify: bool = True,
) -> RepresentationModel:
    """Load a model that learnt without labels; everything else as for :func:`load`."""
    model: RepresentationModel = _load(REPRESENTATIONS, name, weights, device, verify)
    return model


def load_any(
    name: str,
    *,
    weights: str | Path | None = None,
    device: str = "cpu",
    verify: bool = True,
) -> AnyModel:
    """Load a model of whatever kind; everything else as for :func:`load`."""
    model: AnyModel = _load(kind_of(parse_name(name).model), name, weights, device, verify)
    return model


def _load(kind: Kind, given: str, weights: str | Path | None, device: str, verify: bool) -> Any:
    wanted = parse_name(given)
    refuse_other(kind, wanted.model)
    config_of(wanted.model, wanted.preset)
    if weights == RANDOM or (weights is None and wanted.tag == RANDOM):
        return _finish(_untrained(wanted), device)
    if weights is None:
        card = find_card(wanted.model, wanted.preset, wanted.tag)
        return _finish(_from_card(card, verify), device)
    path = Path(weights)
    page = card_path(path)
    if path.suffix == ".safetensors" and path.is_file() and page.is_file():
        found = read_card(page)
        if found is not None:
            _same_model(found, wanted)
            return _finish(_from_card(found, verify), device)
    return _finish(_from_file(wanted, read_state(path)), device)


def load_foreign(
    source: str,
    weights: str | Path | Mapping[str, Tensor],
    *,
    device: str = "cpu",
    **overrides: Any,
) -> AnyModel:
    """Load a checkpoint published by others as one of our models.

    Args:
        source: A file of ``zoo/convert``, e.g. ``hrnet``.
        weights: The checkpoint, or its state dict. If the file's name holds a size, as in
            ``pose_hrnet_w32_256x192.pth`` (height x width), that is the crop size.
        device: Where the model is put.
        **overrides: Fields of the model's Config, e.g. ``crop_size=(288, 384)`` in pixels, or
            ``skeleton`` for a joint list that the number of heatmaps does not tell.

    Returns:
        The model in eval mode with its :class:`Card` as ``card``; coordinates follow the law that
        the source was trained under, for most the corner law.

    Raises:
        UsageError: there is no such source, or no such setting.
        WeightsError: this is no checkpoint of that source, or entries are missing, unexpected or
            of another shape; the message names them.
    """
    if source not in sources():
        raise UsageError(f"There is no source {source!r}. Known: {', '.join(sources())}.")
    file = None if isinstance(weights, Mapping) else Path(weights)
    state = _named(weights) if isinstance(weights, Mapping) else read_state(Path(weights)).tensors
    where = file or Path("the state dict")
    found = recognise(state, source)
    if found is None:
        shown = ", ".join(list(state)[:3]) or "nothing"
        raise WeightsError(
            f"{where} does not have the keys of a published {source} pose network that this "
            f"version knows; it begins with {shown}. Known sources: {', '.join(sources())}; files "
            f"of our own training are loaded by zoo.load."
        )
    name = ModelName(found.model, found.preset)
    known = {f.name for f in fields(config_of(name.model, name.preset))}
    told = _size_in(file.name) if file is not None and "crop_size" in known else {}
    settings = {**found.settings, **told, **overrides}
    if "skeleton" in known - settings.keys():
        raise WeightsError(
            f"{where} gives {found.joints} joints, and no published order of that many is known. "
            f"Name the joints with skeleton=NAME."
        )
    return _finish(_from_recognised(name, found, build(name, settings), where, file), device)


def build(name: ModelName, config: Mapping[str, Any]) -> Any:
    """A model of whatever kind with random weights; never with downloaded ones.

    Args:
        name: Model and preset.
        config: Fields that differ from the preset's, nested ones as dicts; lists for tuples.

    Raises:
        ChronoposeError: no such field, or values that do not fit together.
    """
    changes = dict(_flat(config))
    changes.update({f: False for f in _downloads(config_of(name.model, name.preset))})
    return build_any(name.model, name.preset, **changes)


def _rebuild(name: ModelName, config: Mapping[str, Any], where: Path) -> AnyModel:
    """The model that a file was written with; this version may not know it any more."""
    try:
        return build(name, config)
    except (ChronoposeError, TypeError, ValueError) as error:
        raise WeightsError(
            f"{where} was written for a {name} that this version cannot build: {error} "
            f"Use the version of chronopose that wrote it."
        ) from error


def _untrained(name: ModelName) -> AnyModel:
    model = build(name, {})
    full = ModelName(name.model, name.preset, RANDOM)
    return _attach(model, full, "nothing: these are random weights", "those of chronopose itself")


def _from_card(card: Card, verify: bool) -> AnyModel:
    path = card.path
    assert path is not None
    if verify:
        digest = sha256_of(path)
        if digest != card.sha256:
            raise WeightsError(
                f"{path} is not the file its card describes: its SHA-256 is {digest[:16]}..., "
                f"the card says {card.sha256[:16]}... It was damaged or replaced: copy both "
                f"again, or load it with verify=False if the change was meant."
            )
    model = _rebuild(ModelName(card.model, card.preset), card.config, path)
    skeleton = getattr(model.codec, "skeleton", None)
    if skeleton is not None and skeleton.joints != card.joints:
        raise WeightsError(
            f"{path} gives the joints {', '.join(card.joints)}; {skeleton.name!r} has "
            f"{', '.join(skeleton.joints)}. Use the version of chronopose that wrote it."
        )
    fit_state(model, read_state(path).tensors, path, card.name)
    model.__dict__["card"] = card
    return model


def _from_file(wanted: ModelName, file: StateFile) -> AnyModel:
    """A file without a card: ours by its keys, or a published one by its own."""
    name = ModelName(wanted.model, wanted.preset)
    foreign = recognise(file.tensors)
    if foreign is not None:
        if foreign.model != name.model:
            raise WeightsError(
                f"{file.path} holds published weights of {foreign.model}, not of {name.model}. "
                f"Load them as {foreign.model}:{foreign.preset}."
            )
        model = build(name, foreign.settings)
        return _from_recognised(name, foreign, model, file.path, file.path)
    own = find_model(name.model).__name__
    if file.model_class not in ("", own):
        raise WeightsError(
            f"{file.path} is a checkpoint of a {file.model_class}, not of {name} ({own}). Load it "
            f"under the name of the model that was trained."
        )
    model = _rebuild(name, file.config, file.path)
    fit_state(model, file.tensors, file.path, str(name))
    return _attach(model, name, UNKNOWN, UNKNOWN, file.path)


def _from_recognised(
    name: ModelName, found: Recognised, model: AnyModel, where: Path, file: Path | None
) -> AnyModel:
    fit_state(model, found.tensors, where, str(name))
    data = f"unknown: published {found.source} weights for {found.joints} joints"
    return _attach(model, name, data, UNKNOWN, file)


def _named(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict without the prefix of ``DataParallel``."""
    others = [k for k, v in state.items() if not isinstance(v, Tensor)]
    if others or not state:
        raise WeightsError(
            f"A state dict holds tensors only; got {', '.join(others[:3]) or 'no entries'}. Give "
            f"the inner dict, or the path of the file."
        )
    return {key.removeprefix("module."): value for key, value in state.items()}


def _attach(
    model: AnyModel, name: ModelName, data: str, terms: str, path: Path | None = None
) -> AnyModel:
    """Give a model without a card one that says so."""
    model.__dict__["card"] = Card(
        name=str(name),
        model=name.model,
        preset=name.preset,
        training_data=data,
        terms=terms,
        command="",
        sha256=sha256_of(path) if path is not None else "",
        path=path,
        **facts_of(model),
    )
    return model


def _same_model(card: Card, wanted: ModelName) -> None:
    if (card.model, card.preset) != (wanted.model, wanted.preset):
        raise WeightsError(
            f"{card.path} holds weights of {card.name}, not of {wanted}. Load it as "
            f"{card.model}:{card.preset}."
        )


def _finish(model: AnyModel, device: str) -> AnyModel:
    return model.to(device).eval()


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested Config values -> dotted names; lists become tuples at every depth."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", _tuples(value)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


def _downloads(config: Any, prefix: str = "") -> Iterator[str]:
    """Dotted names of the fields that would fetch weights."""
    for f in fields(config):
        value = getattr(config, f.name)
        if is_dataclass(value):
            yield from _downloads(value, f"{prefix}{f.name}.")
        elif f.name == "pretrained":
            yield prefix + f.name


def _size_in(name: str) -> dict[str, tuple[int, int]]:
    """The crop size in the name of a published file, which has the height first."""
    size = re.search(r"(?<!\d)(\d{2,4})x(\d{2,4})(?!\d)", name)
    return {"crop_size": (int(size.group(2)), int(size.group(1)))} if size else {}

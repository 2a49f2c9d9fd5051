"""Writing weights: the tensors as safetensors, the card as JSON, both or neither."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from chronopose import __version__
from chronopose.errors import UsageError, WeightsError
from chronopose.io.atomic import replacing
from chronopose.models._any import AnyModel
from chronopose.models._find import find_model, parse_name
from chronopose.tensors.colours import IMAGENET_MEAN, IMAGENET_STD
from chronopose.zoo.card import RANDOM, Card, card_path

GIVEN = ("name", "training_data", "terms", "command", "hardware", "seeds", "scores", "notes")
"""Fields of a card that only the author of the weights knows; the model gives all others."""
HALF_MAX = float(torch.finfo(torch.float16).max)


def save(model: AnyModel, path: str | Path, card: Mapping[str, Any], *, half: bool = False) -> Card:
    """Write ``X.safetensors`` and its card ``X.json``; both appear whole, or neither does.

    Args:
        model: The trained model.
        path: Where to; ends in ``.safetensors``.
        card: ``name`` (``MODEL:PRESET`` or ``MODEL:PRESET@TAG``), ``training_data``, ``terms`` and
            ``command``; optionally ``hardware``, ``seeds``, ``scores`` and ``notes``. Everything
            else on the card is read off the model.
        half: Store tensors of two and more axes as float16. Norms and biases, and tensors with a
            value that float16 cannot hold, stay as they are.

    Returns:
        The card as written.

    Raises:
        UsageError: a field of the card is unknown or missing, the name is not that of ``model``,
            or the suffix is another.
        WeightsError: the weights are not finite, or the disk refused.
    """
    return write_weights(
        path, model.state_dict(), half,
        lambda digest, target: _describe(model, card, half, digest, target),
    )  # fmt: skip


def write_weights(
    path: str | Path,
    state: Mapping[str, Tensor],
    half: bool,
    describe: Callable[[str, Path], Card],
    **metadata: str,
) -> Card:
    """Write tensors and the card that describes them; both appear whole, or neither does.

    Args:
        path: Where to; ends in ``.safetensors``. The card lies beside it.
        state: A state dict.
        half: As for :func:`storable`.
        describe: Makes the card from the sha256 of the weights file and its path.
        **metadata: Stored in the header of the weights file.

    Returns:
        The card as written.

    Raises:
        UsageError: the suffix is another.
        WeightsError: the weights are not finite, or the disk refused.
    """
    target = Path(path)
    if target.suffix != ".safetensors":
        raise UsageError(f"Weights are written as .safetensors; got {path}. Change the suffix.")
    data = safetensors.torch.save(storable(state, half), metadata={"format": "pt", **metadata})
    whole = describe(hashlib.sha256(data).hexdigest(), target)
    text = json.dumps(whole.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with (
        replacing(target, WeightsError) as weights,
        replacing(card_path(target), WeightsError) as page,
    ):
        weights.write_bytes(data)
        page.write_text(text, encoding="utf-8")
    return whole


def config_values(config: Any) -> dict[str, Any]:
    """Every field of a Config as JSON values, nested ones as dicts; no downloads asked for."""
    if not is_dataclass(config) or isinstance(config, type):
        raise UsageError(f"A model's config must be a dataclass; got {type(config).__name__}.")
    values: dict[str, Any] = json.loads(json.dumps(asdict(config)))
    if "pretrained" in values:
        values["pretrained"] = False
    return values


def codec_values(model: AnyModel) -> dict[str, Any]:
    """Settings of the model's codec as JSON values, without the skeleton."""
    codec = model.codec
    values = {f.name: getattr(codec, f.name) for f in fields(codec) if f.name != "skeleton"}
    return dict(json.loads(json.dumps(values)))


def normalisation_values() -> dict[str, Any]:
    """How frames are normalised before a network sees them."""
    return {"mean": list(IMAGENET_MEAN), "std": list(IMAGENET_STD), "order": "RGB"}


def facts_of(model: AnyModel) -> dict[str, Any]:
    """The fields of a card that a model knows itself."""
    skeleton = getattr(model.codec, "skeleton", None)
    return {
        "config": config_values(model.config),
        "skeleton": "" if skeleton is None else skeleton.name,
        "joints": () if skeleton is None else skeleton.joints,
        "normalisation": normalisation_values(),
        "codec": codec_values(model),
        "parameters": sum(p.numel() for p in model.parameters()),
        "version": __version__,
    }


def _describe(
    model: AnyModel, card: Mapping[str, Any], half: bool, digest: str, path: Path
) -> Card:
    for key in card:
        if key not in GIVEN:
            close = get_close_matches(key, GIVEN, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise UsageError(
                f"A card has no field {key!r} to fill in.{hint} Known: {', '.join(GIVEN)}."
            )
    missing = [key for key in ("name", "training_data", "terms", "command") if key not in card]
    if missing:
        raise UsageError(f"The card of {path} has no {', '.join(missing)}; say it.")
    name = parse_name(card["name"])
    if not isinstance(model, find_model(name.model)) or name.preset not in model.PRESETS:
        raise UsageError(
            f"{card['name']!r} cannot be the name of a {type(model).__name__}; its presets are "
            f"{', '.join(model.PRESETS)}."
        )
    if name.tag == RANDOM:
        raise UsageError(f"The tag {RANDOM!r} means untrained; give trained weights another one.")
    return Card(
        **{**card, "name": str(name)},
        **facts_of(model),
        model=name.model,
        preset=name.preset,
        storage="float16" if half else "float32",
        sha256=digest,
        path=path,
    )


def storable(state: Mapping[str, Tensor], half: bool) -> dict[str, Tensor]:
    """Plain tensors on the CPU, none sharing memory with another.

    Args:
        state: A state dict.
        half: Bring tensors of two and more axes to float16 where their values allow it.

    Raises:
        WeightsError: a value is not finite.
    """
    out = {}
    for key, value in state.items():
        value = value.detach().cpu()
        if value.is_floating_point():
            if not value.isfinite().all():
                raise WeightsError(
                    f"These weights are not finite ({key}): the training has diverged. "
                    f"Nothing was written."
                )
            if half and value.ndim >= 2 and not (value.abs() > HALF_MAX).any():
                value = value.half()
        out[key] = value.clone(memory_format=torch.contiguous_format)
    return out

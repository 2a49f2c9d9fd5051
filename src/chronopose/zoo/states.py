"""State dicts: read from any weights file without running code in it, and fitted to a model."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from chronopose.errors import WeightsError
from chronopose.models._any import AnyModel

PICKLED = (".pth", ".pt", ".ckpt", ".tar", ".bin")
"""Suffixes of files written by torch.save."""

_OPTIONAL = "num_batches_tracked"


@dataclass(frozen=True)
class StateFile:
    """What a weights file holds."""

    tensors: dict[str, Tensor]
    path: Path
    config: Mapping[str, Any] = field(default_factory=dict)
    """The Config of a checkpoint of our training, nested ones as dicts; else empty."""
    model_class: str = ""
    """Name of the model's class in a checkpoint of our training; else empty."""


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file.

    Raises:
        WeightsError: the file cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from error


def read_state(path: Path) -> StateFile:
    """Read the tensors of a weights file onto the CPU; code in it is never executed.

    ``.safetensors`` files are read as they are. Files of torch.save may hold a state dict, a
    checkpoint of our training or of Lightning (the averaged weights are preferred), or a dict with
    an entry ``state_dict``; prefixes of ``DataParallel`` are removed.

    Raises:
        WeightsError: the file is missing, damaged, of an unknown kind, or holds anything but
            tensors and plain values.
    """
    if not path.is_file():
        raise WeightsError(
            f"There is no weights file {path}. Check the name; 'chronopose models' lists the "
            f"weights that are here."
        )
    if path.suffix == ".safetensors":
        try:
            return StateFile(safetensors.torch.load_file(path), path)
        except SafetensorError as error:
            raise WeightsError(
                f"{path} is not a whole safetensors file ({error}). It was cut off or is another "
                f"kind of file: copy it again."
            ) from error
        except OSError as error:
            raise _unreadable(path, error) from error
    if path.suffix not in PICKLED:
        raise WeightsError(
            f"{path} has a suffix that weights do not have. Known: .safetensors, "
            f"{', '.join(PICKLED)}."
        )
    raw = _load_pickled(path)
    return StateFile(_find_tensors(raw, path), path, *_find_identity(raw))


def fit_state(model: AnyModel, state: Mapping[str, Tensor], where: Path, name: str) -> None:
    """Copy a state dict into a model; every entry has to find its place.

    Args:
        model: The model; its floating-point types stay as they are.
        state: Our keys.
        where: The file, for messages.
        name: The model's name, for messages.

    Raises:
        WeightsError: entries are missing, unexpected, of another shape, or not finite.
    """
    own = model.state_dict()
    missing = [k for k in own if k not in state and not k.endswith(_OPTIONAL)]
    extra = [k for k in state if k not in own]
    other = [k for k in state if k in own and state[k].shape != own[k].shape]
    if missing or extra or other:
        shapes = [f"{k} {_shape(state[k])} in the file, {_shape(own[k])} here" for k in other]
        parts = [
            f"{len(keys)} entries are {what} ({_few(keys)})"
            for keys, what in (
                (missing, "missing"), (extra, "unexpected"), (shapes, "of another shape"),
            ) if keys
        ]  # fmt: skip
        raise WeightsError(
            f"{where} does not fit {name}: {'; '.join(parts)}.{_joint_hint(model, state, other)} "
            f"Load it under the name of the model that it was trained as."
        )
    broken = [k for k, v in state.items() if v.is_floating_point() and not v.isfinite().all()]
    if broken:
        raise WeightsError(
            f"{where} holds numbers that are not finite in {len(broken)} entries "
            f"({_few(broken)}): the training that wrote it had diverged. Use another file."
        )
    model.load_state_dict(dict(state), strict=False)


def _load_pickled(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols: what counts is the result
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise _unreadable(path, error) from error
    except Exception as error:  # a damaged pickle can raise anything at all
        asked = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = (
            f"it wants to run {asked.group(1)}, and weights must not run code"
            if asked
            else "it is cut off, or is not a file of torch.save with tensors only"
        )
        raise WeightsError(
            f"{path} was not loaded: {what}. Get a .safetensors file, or, if you trust its "
            f"origin, write it again with torch.save(model.state_dict(), FILE)."
        ) from error


def _find_tensors(raw: Any, path: Path) -> dict[str, Tensor]:
    """The state dict inside what torch.save wrote."""
    inner = raw
    if isinstance(raw, Mapping):
        for key in ("ema", "model", "state_dict", "model_pos"):
            if isinstance(raw.get(key), Mapping):
                inner = raw[key]
                break
    if not isinstance(inner, Mapping) or not inner:
        raise WeightsError(f"{path} holds no state dict but a {type(raw).__name__}.")
    tensors = {str(k): v for k, v in inner.items() if isinstance(v, Tensor)}
    if len(tensors) != len(inner):
        others = [str(k) for k in inner if str(k) not in tensors]
        raise WeightsError(
            f"{path} holds no state dict: its entries {_few(others)} are no tensors. Write it "
            f"with torch.save(model.state_dict(), FILE)."
        )
    for prefix in ("ema.", "model.", "module."):
        chosen = {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}
        tensors = chosen or tensors
    return tensors


def _find_identity(raw: Any) -> tuple[Mapping[str, Any], str]:
    """Config and class name that our training writes beside the tensors."""
    identity = raw.get("identity") if isinstance(raw, Mapping) else None
    if not isinstance(identity, Mapping) or not isinstance(identity.get("config"), Mapping):
        return {}, ""
    return identity["config"], str(identity.get("model", ""))


def _joint_hint(model: AnyModel, state: Mapping[str, Tensor], other: list[str]) -> str:
    """Say so when the number of joints explains the shapes."""
    skeleton = getattr(model.codec, "skeleton", None)
    if skeleton is None:
        return ""
    counts = {state[k].shape[0] for k in other if len(state[k].shape) > 0}
    ours = {model.state_dict()[k].shape[0] for k in other if state[k].ndim > 0}
    if len(counts) == 1 and ours == {len(skeleton)}:
        return (
            f" The file was trained for {counts.pop()} joints, this model is for the "
            f"{len(skeleton)} of {skeleton.name}."
        )
    return ""


def _shape(value: Tensor) -> str:
    return "×".join(map(str, value.shape)) or "scalar"


def _few(items: list[str], limit: int = 3) -> str:
    return ", ".join(items[:limit]) + (", ..." if len(items) > limit else "")


def _unreadable(path: Path, error: OSError) -> WeightsError:
    return WeightsError(
        f"Cannot read the weights {path}: {error.strerror or error}. Check the file and its "
        f"permissions."
    )

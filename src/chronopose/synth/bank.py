"""The bank of dressed people: baked once (:mod:`chronopose.synth.bake`), read at run time.

The file is one compressed .npz without pickles. People, outfits, shoes and hair of the test split
are others than those of the train split.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chronopose.errors import FormatError
from chronopose.io.atomic import replacing
from chronopose.synth._patches import STEPS
from chronopose.synth.mhclo import Binding
from chronopose.synth.wardrobe import Bank, Person, Piece, Wearing

__all__ = ["Bank", "Person", "Piece", "Wearing", "read_bank", "write_bank"]

FORMAT, VERSION = "chronopose-bank", 1

_UV_STEPS = 60000
"""Texture coordinates are kept as whole parts of this; they reach a little beyond 1."""


def write_bank(bank: Bank, path: str | Path) -> None:
    """Write a bank, all or nothing.

    Shapes are kept as a float32 mean and float16 basis, each basis shape scaled to at most one;
    indices and weights as 16-bit integers; textures as PNG.

    Raises:
        FormatError: the file cannot be written, or the bank is too large for 16-bit indices.
    """
    longest = max([len(bank.mean), *(len(p.corners) for p in bank.pieces)])
    if longest >= 2**16:
        raise FormatError(f"Cannot write {path}: {longest} vertices are more than 65,535.")
    scale = np.abs(bank.basis).max((1, 2), initial=1e-9)
    arrays: dict[str, NDArray[Any]] = {
        "about": np.frombuffer(json.dumps(_about(bank)).encode(), np.uint8),
        "mean": bank.mean.astype(np.float32),
        "basis": (bank.basis / scale[:, None, None]).astype(np.float16),
        "scale": scale.astype(np.float32),
        "bones": bank.bones,
        "weights": np.round(bank.weights * STEPS).astype(np.uint16),
        "faces": bank.faces.astype(np.uint16),
        "paint": np.round(bank.paint * 255).astype(np.uint8),
        "shapes": np.array([p.shape for p in bank.people], np.float32).reshape(-1, len(scale)),
    }
    for number, piece in enumerate(bank.pieces):
        for name, array in _piece_arrays(piece).items():
            arrays[f"piece{number}_{name}"] = array
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def read_bank(path: str | Path) -> Bank:
    """Read a bank that :func:`write_bank` or the bake tool wrote.

    Raises:
        FormatError: the file is missing, not a bank, of another version, cut short, or its parts
            contradict each other.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        about = json.loads(arrays["about"].tobytes())
        kind, version = about["format"], about["version"]
    except FileNotFoundError as error:
        raise FormatError(
            f"There is no bank {path}. Bake one from MakeHuman's CC0 assets, or use plain bodies."
        ) from error
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        zipfile.BadZipFile,
        EOFError,
    ) as error:
        raise FormatError(f"Cannot read {path}: it is not a bank of bodies ({error}).") from error
    if (kind, version) != (FORMAT, VERSION):
        raise FormatError(
            f"Cannot read {path}: it says {kind!r} version {version!r}; this program reads "
            f"{FORMAT!r} version {VERSION}. Bake it again."
        )
    try:
        return _assemble(arrays, about)
    except FormatError as error:
        raise FormatError(f"Cannot read {path}: {error}") from error
    except (KeyError, TypeError, ValueError, IndexError, OSError) as error:
        raise FormatError(
            f"Cannot read {path}: a part is missing or has the wrong form ({error}). "
            f"The file is damaged; bake it again."
        ) from error


def _about(bank: Bank) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "marks": list(bank.marks),
        "people": [{"sex": p.sex, "split": p.split, "skin": list(p.skin)} for p in bank.people],
        "pieces": [
            {"name": p.name, "kind": p.kind, "sexes": list(p.sexes), "splits": list(p.splits)}
            for p in bank.pieces
        ],
    }


def _piece_arrays(piece: Piece) -> dict[str, NDArray[Any]]:
    binding = piece.binding
    picture = io.BytesIO()
    Image.fromarray(piece.texture).save(picture, "PNG", optimize=True)
    return {
        "refs": binding.refs.astype(np.uint16),
        "shares": binding.shares.astype(np.float16),
        "offsets": binding.offsets.astype(np.float16),
        "spans": binding.spans.astype(np.uint16),
        "units": binding.units.astype(np.float32),
        "hidden": piece.hidden.astype(np.uint16),
        "corners": piece.corners.astype(np.uint16),
        "uv": np.round(piece.uv * _UV_STEPS).clip(0, 65535).astype(np.uint16),
        "faces": piece.faces.astype(np.uint16),
        "texture": np.frombuffer(picture.getvalue(), np.uint8),
    }


def _assemble(arrays: Mapping[str, NDArray[Any]], about: Mapping[str, Any]) -> Bank:
    basis = arrays["basis"].astype(np.float32) * arrays["scale"][:, None, None]
    shapes = arrays["shapes"]
    people = tuple(
        Person(str(p["sex"]), str(p["split"]), _colour(p["skin"]), shape)
        for p, shape in zip(about["people"], shapes, strict=True)
    )
    pieces = tuple(_piece(arrays, number, said) for number, said in enumerate(about["pieces"]))
    return Bank(
        mean=arrays["mean"],
        basis=basis,
        bones=arrays["bones"],
        weights=(arrays["weights"] / STEPS).astype(np.float32),
        faces=arrays["faces"].astype(np.int64),
        paint=(arrays["paint"] / 255).astype(np.float32),
        marks=tuple(str(m) for m in about["marks"]),
        people=people,
        pieces=pieces,
    )


def _piece(arrays: Mapping[str, NDArray[Any]], number: int, said: Mapping[str, Any]) -> Piece:
    part = {
        name: arrays[f"piece{number}_{name}"]
        for name in ("refs", "shares", "offsets", "spans", "units", "hidden", "corners", "uv",
                     "faces", "texture")
    }  # fmt: skip
    shares = part["shares"].astype(np.float64)
    binding = Binding(
        part["refs"].astype(np.int64),
        shares / shares.sum(1, keepdims=True),
        part["offsets"].astype(np.float64),
        part["spans"].astype(np.int64),
        part["units"].astype(np.float64),
    )
    with Image.open(io.BytesIO(part["texture"].tobytes())) as picture:
        texture = np.asarray(picture.convert("RGBA"))
    return Piece(
        name=str(said["name"]),
        kind=str(said["kind"]),
        sexes=tuple(said["sexes"]),
        splits=tuple(said["splits"]),
        binding=binding,
        hidden=part["hidden"].astype(np.int64),
        corners=part["corners"].astype(np.int64),
        uv=(part["uv"] / _UV_STEPS).astype(np.float32),
        faces=part["faces"].astype(np.int64),
        texture=texture,
    )


def _colour(values: Any) -> tuple[float, float, float]:
    red, green, blue = (float(v) for v in values)
    return red, green, blue

"""Making a bank of dressed people from MakeHuman's CC0 clothes and the model ``anny``.

Run once by hand; nothing of the assets belongs in a package or a repository, and ``anny`` is not
needed afterwards. Beside the bank a table says where every file came from.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chronopose.errors import FormatError, UsageError
from chronopose.io.atomic import write_text
from chronopose.synth._anny_people import People, load_people
from chronopose.synth._patches import BONE, Array, strongest
from chronopose.synth.bank import write_bank
from chronopose.synth.body import BONES
from chronopose.synth.mhclo import Binding, Garment, read_garment
from chronopose.synth.wardrobe import SEXES, SPLITS, Bank, Person, Piece

_MUST_COVER = ("pelvis", "chest", "left_thigh", "right_thigh")
_COVERED = 30
"""An outfit has at least this many vertices that follow each bone of trunk and thighs."""

_GREY = 0.72
"""Mean brightness of hair and brow textures, which are kept in grey and tinted."""


@dataclass(frozen=True)
class _Asset:
    """One garment of the folder and what became of it."""

    garment: Garment
    kind: str
    note: str


def bake(
    assets: str | Path,
    out: str | Path,
    *,
    people: Mapping[str, int] | None = None,
    seed: int = 0,
    rank: int = 48,
    texture_px: int = 256,
) -> Bank:
    """Bake a bank and write it with its table of sources, ``<name>.provenance.csv``, beside it.

    Args:
        assets: Folder with MakeHuman's ``clothes``, ``hair`` and ``eyebrows``, at any depth. Only
            files that say they are CC0 are used.
        out: The bank, ``.npz``.
        people: Split -> number of adults; by default 80 to train and 40 to test.
        seed: Of the draw of people.
        rank: Number of basis shapes.
        texture_px: Longest side of the textures.

    Returns:
        The bank as written, before rounding to the file's precision.

    Raises:
        MissingExtra: ``anny`` is not installed; the message says what to install.
        UsageError: the folder has too few clothes to dress everybody in both splits.
        FormatError: an asset is damaged, or the bank cannot be written.
    """
    found = _collect(Path(assets))
    _require_wardrobe([a for a in found if not a.note])
    drawn = load_people(people or {"train": 80, "test": 40}, seed)
    used, table = [], []
    for asset in found:
        bare = _uncovered(asset.garment, drawn.weights) if asset.kind == "outfit" else []
        if bare and not asset.note:
            asset = replace(asset, note=f"left out: does not cover {', '.join(bare)}")
        table += _rows(asset)
        if not asset.note:
            used.append(asset)
    bank = _assemble(drawn, _pieces(used, texture_px), rank)
    write_bank(bank, out)
    _write_provenance(Path(out).with_suffix(".provenance.csv"), table, drawn.sources)
    return bank


def _collect(folder: Path) -> list[_Asset]:
    """All garments of the folder in order of their paths, with a note where one is left out."""
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder}. Give MakeHuman's folder of CC0 assets.")
    found = []
    for path in sorted(folder.rglob("*.mhclo")):
        kind = _kind(path.relative_to(folder))
        if kind is None:
            continue
        garment = read_garment(path)
        if kind == "outfit" and ("shoes" in garment.tags or path.stem.startswith("shoes")):
            kind = "shoes"
        open_licence = all(_says_cc0(f) for f in garment.files if f != garment.texture)
        note = "" if open_licence else "left out: its files do not say that they are CC0"
        if garment.texture is None:
            note = "left out: it has no texture"
        found.append(_Asset(garment, kind, note))
    return found


def _kind(path: Path) -> str | None:
    folders = {part.lower() for part in path.parts[:-1]}
    for folder, kind in (("hair", "hair"), ("eyebrows", "brows"), ("clothes", "outfit")):
        if folder in folders:
            return kind
    return None


def _says_cc0(path: Path) -> bool:
    with open(path, encoding="utf-8", errors="replace") as file:
        return "CC0" in file.read(4000)


def _sexes(asset: _Asset) -> tuple[str, ...]:
    """Who wears it: by its tags, else by its name, else everybody."""
    tags, name = asset.garment.tags, asset.garment.name.lower()
    tagged = tuple(s for s in SEXES if s in tags)
    return tagged or tuple(s for s in SEXES if name.startswith(s)) or SEXES


def _groups(assets: Sequence[_Asset]) -> dict[tuple[str, tuple[str, ...]], list[_Asset]]:
    groups: dict[tuple[str, tuple[str, ...]], list[_Asset]] = {}
    for asset in assets:
        groups.setdefault((asset.kind, _sexes(asset)), []).append(asset)
    return groups


def _require_wardrobe(assets: Sequence[_Asset]) -> None:
    """Two outfits and pairs of shoes for each sex, so that each split has one of its own."""
    counts = Counter((a.kind, sex) for a in assets for sex in _sexes(a))
    for sex in SEXES:
        for kind in ("outfit", "shoes"):
            if counts[kind, sex] < len(SPLITS):
                raise UsageError(
                    f"The assets hold {counts[kind, sex]} {kind} for {sex} people, and "
                    f"{len(SPLITS)} are needed: people are always dressed, in test otherwise than "
                    f"in train. Add clothes, e.g. MakeHuman's CC0 system assets."
                )


def _uncovered(garment: Garment, weights: Array) -> list[str]:
    """The bones of trunk and thighs that a garment leaves bare."""
    follows = weights[garment.binding.refs[:, 0]].argmax(1)
    counts = np.bincount(follows, minlength=len(BONES))
    return [bone for bone in _MUST_COVER if counts[BONE[bone]] < _COVERED]


def _pieces(assets: Sequence[_Asset], texture_px: int) -> list[Piece]:
    """Garments as pieces; of three of a kind the third is for the test split only."""
    pieces = []
    for (kind, sexes), group in sorted(_groups(assets).items()):
        for number, asset in enumerate(group):
            garment = asset.garment
            test = number % 3 == 2 or (len(group) == 2 and number == 1)
            shared = kind == "brows" or (kind == "hair" and len(group) == 1)
            splits = SPLITS if shared else ("test",) if test else ("train",)
            assert garment.texture is not None
            pieces.append(
                Piece(
                    garment.name,
                    kind,
                    sexes,
                    splits,
                    garment.binding.z_up(),
                    garment.hidden,
                    garment.corners,
                    garment.uv.astype(np.float32),
                    garment.faces,
                    _picture(garment.texture, kind, texture_px),
                )
            )
    return pieces


def _picture(path: Path, kind: str, size: int) -> NDArray[np.uint8]:
    """``(h, w, 4)`` texture of at most ``size`` pixels; hair and brows in grey."""
    try:
        with Image.open(path) as picture:
            full = np.asarray(picture.convert("RGBA")).astype(np.float32) / 255
    except OSError as error:
        raise FormatError(f"Cannot read the texture {path}: {error}.") from error
    cover = full[..., 3:]
    grey = kind in ("hair", "brows")
    if grey:
        light = full[..., :3] @ np.array([0.3, 0.59, 0.11], np.float32)
        mean = float((light * cover[..., 0]).sum() / max(cover.sum(), 1e-6))
        light = (light * _GREY / max(mean, 1e-3)).clip(0.2 * _GREY, 1)
        full = np.concatenate([np.repeat(light[..., None], 3, 2), cover], 2)
    # Colours are averaged by coverage, so that what lies under clear parts does not bleed in.
    weighted = np.concatenate([full[..., :3] * cover, cover], 2)
    high, wide = full.shape[:2]
    share = min(size / max(high, wide), 1.0)
    shape = max(round(wide * share), 1), max(round(high * share), 1)
    layers = [
        Image.fromarray(weighted[..., k]).resize(shape, Image.Resampling.BOX) for k in range(4)
    ]
    small = np.stack([np.asarray(layer) for layer in layers], -1)
    colours = small[..., :3] / np.maximum(small[..., 3:], 1e-3)
    if grey:
        colours = np.where(small[..., 3:] > 0.02, colours, _GREY)
    # Thin strands lose coverage when they shrink; this keeps them above the cut at one half.
    small[..., 3] = (small[..., 3] * (1.5 if grey else 1.0)).clip(0, 1)
    small[..., :3] = colours
    return np.round(small.clip(0, 1) * 255).astype(np.uint8)


def _assemble(drawn: People, pieces: Sequence[Piece], rank: int) -> Bank:
    """Only body vertices that something needs; shapes as a mean and their principal parts."""
    needed = [drawn.faces.ravel()]
    for piece in pieces:
        needed += [piece.binding.refs.ravel(), piece.binding.spans.ravel()]
    kept = np.unique(np.concatenate(needed))
    place = np.full(drawn.shapes.shape[1], -1)
    place[kept] = np.arange(len(kept))
    rows = np.concatenate([drawn.shapes[:, kept], drawn.marks, drawn.joints], 1)
    mean = rows.mean(0)
    left, size, right = np.linalg.svd((rows - mean).reshape(len(rows), -1), full_matrices=False)
    rank = min(rank, len(size))
    shapes = (left * size)[:, :rank]
    bones, weights = strongest(np.concatenate([drawn.weights[kept], drawn.mark_weights]))
    return Bank(
        mean=mean.astype(np.float32),
        basis=right[:rank].reshape(rank, -1, 3).astype(np.float32),
        bones=bones,
        weights=weights,
        faces=place[drawn.faces],
        paint=drawn.paint[kept].astype(np.float32),
        marks=drawn.names,
        people=tuple(
            Person(sex, split, skin, shape.astype(np.float32))
            for (sex, split, skin), shape in zip(drawn.facts, shapes, strict=True)
        ),
        pieces=tuple(_moved(piece, place) for piece in pieces),
    )


def _moved(piece: Piece, place: NDArray[np.int64]) -> Piece:
    """The piece with body vertices numbered anew."""
    binding: Binding = piece.binding
    hidden = place[piece.hidden]
    return replace(
        piece,
        binding=replace(binding, refs=place[binding.refs], spans=place[binding.spans]),
        hidden=hidden[hidden >= 0],
    )


def _rows(asset: _Asset) -> list[tuple[str, ...]]:
    note = asset.note or f"used as {asset.kind}"
    licence = "unknown" if "CC0" in asset.note else "CC0-1.0"
    names = (f"{f.parent.name}/{f.name}" for f in asset.garment.files)
    pairs = zip(names, asset.garment.files, strict=True)
    return [(name, _digest([file]), licence, note) for name, file in pairs]


def _write_provenance(path: Path, rows: Iterable[tuple[str, ...]], sources: Sequence[Path]) -> None:
    """One line a file: name, SHA-256, licence, use; the folder of shape targets is one line."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("file", "sha256", "licence", "use"))
    table.writerows(rows)
    for source in sources:
        inside = "mpfb2" in source.parts
        licence = "CC0-1.0" if inside else "Apache-2.0"
        table.writerow((f"anny/{source.name}", _digest([source]), licence, "body"))
    targets = next(p for p in sources[0].parents if p.name == "mpfb2") / "targets"
    files = sorted(p for p in targets.rglob("*.target.gz"))
    table.writerow((f"anny/targets/* ({len(files)} files)", _digest(files), "CC0-1.0", "body"))
    write_text(path, text.getvalue())


def _digest(files: Sequence[Path]) -> str:
    """SHA-256 of one file, or of the files joined in order."""
    total = hashlib.sha256()
    for file in files:
        total.update(file.read_bytes())
    return total.hexdigest()

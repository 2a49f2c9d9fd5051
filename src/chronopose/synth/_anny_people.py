"""Adults of the model ``anny``: shapes, joints, markers and skin weights for the bake tool.

Nothing here runs unless a bank is baked; ``anny`` is imported inside the functions. Only its
MakeHuman data (CC0) and code (Apache-2.0) are used: the rig and topology ``makehuman`` need neither
its SMPL download nor its SOMA data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chronopose.errors import MissingExtra
from chronopose.synth._patches import BONE, Array
from chronopose.synth._plain_looks import Colour
from chronopose.synth.body import BONES
from chronopose.synth.wardrobe import PAINTS

STATURE_M = {"male": (1.76, 0.07), "female": (1.63, 0.065)}
"""Mean and spread of adult body height; drawn heights stay within 1.50 to 1.95 m."""

DATA = (
    "mpfb2/3dobjs/base.obj", "mpfb2/rigs/standard/rig.default.json",
    "mpfb2/rigs/standard/weights.default.json", "mpfb2/textures/mpfb_lips.jpg",
    "mpfb2/textures/mpfb_ears.jpg", "mpfb2/textures/mpfb_eyelids.jpg", "keypoints/coco.pth",
)  # fmt: skip
"""Files of anny's data folder that are used, besides the shape targets in ``mpfb2/targets``."""

# Bones of the MakeHuman rig that begin one of ours; every other bone goes with its parent.
_STARTS = {
    "root": "pelvis", "spine04": "spine", "spine02": "chest", "neck01": "neck", "head": "head",
    "clavicle": "clavicle", "upperarm01": "upper_arm", "lowerarm01": "forearm", "wrist": "hand",
    "upperleg01": "thigh", "lowerleg01": "shin", "foot": "foot",
}  # fmt: skip
_FACE_AND_FEET = ("nose", *(f"{s}_{n}" for s in ("left", "right") for n in (
    "eye", "ear", "big_toe", "small_toe", "heel")))  # fmt: skip
_LIMBS = {
    "shoulder": "upper_arm", "elbow": "forearm", "wrist": "hand", "hip": "thigh", "knee": "shin",
    "ankle": "foot",
}  # fmt: skip
_SKINS: Mapping[str, Colour] = {
    "african": (0.36, 0.23, 0.16), "asian": (0.86, 0.68, 0.53), "caucasian": (0.92, 0.74, 0.64),
}  # fmt: skip
_BODY, _EYES = slice(0, 13380), slice(14598, 14742)
"""Vertices of the skin and of both eyeballs in the base mesh hm08, the left eye first."""


@dataclass(frozen=True)
class People:
    """What is taken from the model.

    Args:
        facts: Sex, split and skin of each of ``P`` people.
        shapes: ``(P, V, 3)`` rest shapes of the whole base mesh, metres, z up, facing -y.
        joints: ``(P, J, 3)`` starts of the bones.
        marks: ``(P, M, 3)`` landmarks.
        names: Of the marks.
        weights: ``(V, J)`` skin weights; ``mark_weights`` ``(M, J)`` those of the marks.
        faces: ``(F, 3)`` skin and eyes.
        paint: ``(V, len(PAINTS))`` in [0, 1].
        sources: Files that were read.
    """

    facts: tuple[tuple[str, str, Colour], ...]
    shapes: Array
    joints: Array
    marks: Array
    names: tuple[str, ...]
    weights: Array
    mark_weights: Array
    faces: NDArray[np.int64]
    paint: Array
    sources: tuple[Path, ...]


class AnnyMissing(MissingExtra):
    """Baking needs the package anny, which is not installed."""

    def __init__(self, package: str) -> None:
        Exception.__init__(
            self,
            f"Baking a bank of bodies needs the package {package!r}, which is not installed. "
            f"Install it with: pip install anny. Reading a bank does not need it.",
        )


def load_people(counts: Mapping[str, int], seed: int) -> People:
    """Draw adults and shape them; takes one to two minutes the first time.

    Args:
        counts: Split -> how many people, half of them female.
        seed: Of the draw.

    Raises:
        AnnyMissing: the package is not installed.
    """
    model, root = _model()
    drawn = _draw(counts, np.random.default_rng(seed))
    values = _at_height(model, drawn)
    flat = np.concatenate([model.blendshapes.numpy(), model.bone_heads_blendshapes.numpy()], 1)
    start = np.concatenate([model.template_vertices.numpy(), model.template_bone_heads.numpy()])
    moved = start + np.tensordot(_coefficients(model, values), flat, 1)
    count = len(model.template_vertices)
    shapes, heads = moved[:, :count], moved[:, count:]
    ours = _our_bones(list(model.bone_labels), list(model.bone_parents))
    dense = np.zeros((count, len(BONES)))
    bones = ours[model.vertex_bone_indices.numpy()]
    rows = np.arange(count)[:, None]
    np.add.at(dense, (rows, bones), model.vertex_bone_weights.numpy())
    joints = _joints(heads, list(model.bone_labels))
    names, marks, mark_weights = _marks(root, shapes, joints, heads, list(model.bone_labels), dense)
    return People(
        facts=tuple((sex, split, skin) for sex, split, skin, _, _ in drawn),
        shapes=shapes,
        joints=joints,
        marks=marks,
        names=names,
        weights=dense,
        mark_weights=mark_weights,
        faces=_faces(model),
        paint=_paint(model, root, shapes[0]),
        sources=tuple(root / name for name in DATA),
    )


def _model() -> tuple[Any, Path]:
    try:
        import anny
        from anny.paths import get_anny_root_dir
    except ImportError as error:
        raise AnnyMissing(error.name or "anny") from error
    model = anny.Anny(
        rig="makehuman", topology="makehuman", phenotypes="all", phenotype_blendshapes="original"
    )
    return model, Path(get_anny_root_dir()) / "data"


def _draw(
    counts: Mapping[str, int], rng: np.random.Generator
) -> list[tuple[str, str, Colour, dict[str, float], float]]:
    """Sex, split, skin, phenotype and body height of everybody; adults only."""
    drawn = []
    for split, count in counts.items():
        for number in range(count):
            sex = ("female", "male")[number % 2]
            origin = rng.dirichlet((0.6, 0.6, 0.6))
            values = {
                "gender": rng.uniform(0.9, 1.0) if sex == "female" else rng.uniform(0.0, 0.1),
                "age": rng.uniform(0.67, 0.95),
                "muscle": rng.uniform(0.3, 0.85),
                "weight": rng.uniform(0.25, 0.85),
                "proportions": rng.uniform(0.0, 0.8),
                "cupsize": rng.uniform(0.2, 0.7),
                "firmness": rng.uniform(0.3, 0.8),
                "african": origin[0], "asian": origin[1], "caucasian": origin[2],
            }  # fmt: skip
            mixed = origin @ np.array([_SKINS[k] for k in ("african", "asian", "caucasian")])
            red, green, blue = (mixed * rng.uniform(0.92, 1.06)).clip(0, 1).tolist()
            mean, spread = STATURE_M[sex]
            tall = float(np.clip(rng.normal(mean, spread), 1.50, 1.95))
            drawn.append((sex, split, (red, green, blue), values, tall))
    return drawn


def _coefficients(model: Any, values: list[dict[str, float]]) -> Array:
    import torch

    columns = {k: torch.tensor([v[k] for v in values], dtype=model.dtype) for k in values[0]}
    found: Array = model.get_phenotype_blendshape_coefficients(**columns).numpy()
    return found


def _at_height(
    model: Any, drawn: list[tuple[str, str, Colour, dict[str, float], float]]
) -> list[dict[str, float]]:
    """The phenotypes with the height that makes everybody as tall as drawn.

    Height is linear in its phenotype; ``anny`` has no metres to ask for.
    """
    z, basis = model.template_vertices.numpy()[_BODY, 2], model.blendshapes.numpy()[:, _BODY, 2]
    ends = []
    for height in (0.0, 1.0):
        values = [{**v, "height": height} for *_, v, _ in drawn]
        ends.append(np.ptp(z + _coefficients(model, values) @ basis, axis=1))
    tall = np.array([t for *_, t in drawn])
    share = (tall - ends[0]) / (ends[1] - ends[0])
    return [{**v, "height": float(s)} for (*_, v, _), s in zip(drawn, share, strict=True)]


def _our_bones(labels: list[str], parents: list[int]) -> NDArray[np.int64]:
    """Our bone of every bone of the rig: fingers go with the hand, the face with the head."""
    ours: list[int] = []
    for label, parent in zip(labels, parents, strict=True):
        name, _, side = label.partition(".")
        start = "toes" if name.startswith("toe") else _STARTS.get(name)
        if start is None:
            ours.append(ours[parent])
        else:
            ours.append(BONE[{"L": "left_", "R": "right_"}.get(side, "") + start])
    return np.array(ours)


def _joints(heads: Array, labels: list[str]) -> Array:
    """``(P, J, 3)`` where our bones begin; the pelvis lies between the hips."""
    joints = np.zeros((len(heads), len(BONES), 3))
    for label, start in _STARTS.items():
        sides = ((".L", "left_"), (".R", "right_")) if f"{label}.L" in labels else (("", ""),)
        for suffix, side in sides:
            joints[:, BONE[side + start]] = heads[:, labels.index(label + suffix)]
    for suffix, side in ((".L", "left_"), (".R", "right_")):
        toes = [labels.index(f"toe{k}-1{suffix}") for k in range(1, 6)]
        joints[:, BONE[f"{side}toes"]] = heads[:, toes].mean(1)
    hips = [BONE["left_thigh"], BONE["right_thigh"]]
    joints[:, BONE["pelvis"]] = joints[:, hips].mean(1)
    return joints


def _marks(
    root: Path, shapes: Array, joints: Array, heads: Array, labels: list[str], weights: Array
) -> tuple[tuple[str, ...], Array, Array]:
    """Names, places and skin weights of the landmarks.

    Limbs: the joints of the rig. Face and feet: anny's COCO regressors. Trunk and head: as the
    plain body places them.
    """
    import torch

    regressors = torch.load(root / "keypoints" / "coco.pth", weights_only=True)
    found: dict[str, tuple[Array, Array]] = {}
    for name in _FACE_AND_FEET:
        row = regressors[name].numpy().astype(np.float64)
        found[name] = np.einsum("v,pva->pa", row, shapes), row @ weights
    for side in ("left", "right"):
        for name, bone in _LIMBS.items():
            at = BONE[f"{side}_{bone}"]
            parent = "chest" if name == "shoulder" else "pelvis"
            before = {"shoulder": "clavicle", "elbow": "upper_arm", "wrist": "forearm",
                      "knee": "thigh", "ankle": "shin"}.get(name)  # fmt: skip
            other = BONE[f"{side}_{before}"] if before else BONE[parent]
            found[f"{side}_{name}"] = joints[:, at], _half(at, other)
    top = int(shapes.mean(0)[_BODY, 2].argmax())
    found["head_top"] = shapes[:, top], weights[top]
    low, high = heads[:, labels.index("spine01")], heads[:, labels.index("neck01")]
    jaw = heads[:, labels.index("neck02")]
    ears = (found["left_ear"][0] + found["right_ear"][0]) / 2
    chest, neck, head = (_half(BONE[b], BONE[b]) for b in ("chest", "neck", "head"))
    found |= {
        "pelvis": (joints[:, BONE["pelvis"]], _half(BONE["pelvis"], BONE["pelvis"])),
        "spine": (joints[:, BONE["chest"]], _half(BONE["spine"], BONE["chest"])),
        "thorax": (low + 0.65 * (high - low), chest),
        "neck": (low + 0.75 * (high - low), chest),
        "upper_neck": (jaw, neck),
        "head_bottom": (jaw, neck),
        "neck_nose": (0.8 * jaw + 0.2 * found["nose"][0], (neck + head) / 2),
        "head": (0.75 * ears + 0.25 * found["head_top"][0], head),
    }
    places = np.stack([place for place, _ in found.values()], 1)
    return tuple(found), places, np.stack([row for _, row in found.values()])


def _half(one: int, other: int) -> Array:
    row = np.zeros(len(BONES))
    row[one] += 0.5
    row[other] += 0.5
    return row


def _faces(model: Any) -> NDArray[np.int64]:
    """Triangles of skin and eyes."""
    quads = model.faces.numpy()
    kept = (quads < _BODY.stop) | ((quads >= _EYES.start) & (quads < _EYES.stop))
    quads = quads[kept.all(1)]
    triangles: NDArray[np.int64] = np.stack([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]], 1)
    triangles = triangles.reshape(-1, 3)
    a, b, c = triangles.T
    return triangles[(a != b) & (b != c) & (c != a)]


def _paint(model: Any, root: Path, shape: Array) -> Array:
    """Lips, ears and lids from anny's masks; white, iris and pupil by angle on the eyeballs."""
    paint = np.zeros((len(shape), len(PAINTS)))
    where = np.zeros((len(shape), 2))
    corners = model.face_texture_coordinate_indices.numpy().ravel()
    where[model.faces.numpy().ravel()] = model.texture_coordinates.numpy()[corners]

    def mask(name: str) -> Array:
        with Image.open(root / "mpfb2" / "textures" / f"mpfb_{name}.jpg") as picture:
            values = np.asarray(picture.convert("L")) / 255.0
        across = (where[:, 0] * values.shape[1]).astype(int).clip(0, values.shape[1] - 1)
        down = ((1 - where[:, 1]) * values.shape[0]).astype(int).clip(0, values.shape[0] - 1)
        return values[down, across]

    paint[_BODY, PAINTS.index("lips")] = mask("lips")[_BODY]
    paint[_BODY, PAINTS.index("blush")] = 0.7 * np.maximum(mask("ears"), mask("eyelids"))[_BODY]
    for eye in np.split(np.arange(_EYES.start, _EYES.stop), 2):
        away = shape[eye] - shape[eye].mean(0)
        angle = np.rad2deg(np.arccos((-away[:, 1] / np.linalg.norm(away, axis=1)).clip(-1, 1)))
        paint[eye, PAINTS.index("white")] = 1.0
        paint[eye, PAINTS.index("iris")] = angle < 32
        paint[eye, PAINTS.index("pupil")] = angle < 14
    return paint

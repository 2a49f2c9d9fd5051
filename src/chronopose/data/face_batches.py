"""Batches of faces for metric learning: P classes times K pictures, moved and lit at random.

A batch is a pure function of the seed and its number, so a resumed run goes on as if it had never
stopped. Pictures are moved and lit a whole batch at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from chronopose.data.faces import UNKNOWN, FaceSet, FacesInMemory, resized
from chronopose.errors import UsageError

HOLD = 1.17
"""Side of a held picture as a multiple of the network's: turned pictures stay sharp."""


@dataclass(frozen=True, kw_only=True)
class FaceAugmentation:
    """How training faces are changed.

    Args:
        crop: A window with sides of 1 - crop to 1 of the picture is taken anywhere in it.
        flip: Chance of a mirrored picture.
        turn_deg: Largest angle of a rotation about the middle, either way, degrees.
        brightness: Largest share of the full range that is added or taken away.
        contrast: Largest relative change of the spread about the picture's mean.
        gray: Chance that colours are taken out.
        erase: Chance that a rectangle is filled with the picture's mean.
        erase_area: Smallest and largest share of the picture that is erased.

    Raises:
        UsageError: a chance or a share is not within 0..1.
    """

    crop: float = 0.15
    flip: float = 0.5
    turn_deg: float = 10.0
    brightness: float = 0.1
    contrast: float = 0.3
    gray: float = 0.2
    erase: float = 0.25
    erase_area: tuple[float, float] = (0.02, 0.15)

    def __post_init__(self) -> None:
        shares = (self.crop, self.flip, self.brightness, self.contrast, self.gray, self.erase)
        if not all(0 <= v <= 1 for v in (*shares, *self.erase_area)):
            raise UsageError(
                f"Chances and shares lie within 0..1; got crop, flip, brightness, contrast, gray, "
                f"erase {shares} and erase_area {self.erase_area}."
            )


USUAL = FaceAugmentation()
UNCHANGED = FaceAugmentation(
    crop=0, flip=0, turn_deg=0, brightness=0, contrast=0, gray=0, erase=0
)  # fmt: skip


@lru_cache(maxsize=256)
def _order(seed: int, group: int, epoch: int, count: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, 3, group, epoch]).permutation(count)


def draw_rows(
    labels: NDArray[np.int64],
    persons: NDArray[np.str_],
    per_class: int,
    seed: int,
    step: int,
    *,
    identity_aware: bool = False,
) -> NDArray[np.int64]:
    """Numbers of the pictures of one batch: ``per_class`` of every class that has any.

    Each class is walked through evenly, shuffled anew each time; a class with few pictures comes
    round more often.

    Args:
        labels: ``(N,)`` class numbers.
        persons: ``(N,)`` names.
        per_class: Pictures of each class, K.
        seed: Decides the order.
        step: Number of the batch, from 0.
        identity_aware: Fill up to half of each class with people who are there with several
            expressions, so that a batch has pairs of one person and of two expressions.

    Returns:
        ``(P * K,)``, class by class.

    Raises:
        UsageError: there are fewer than two classes, or ``per_class`` is below two.
    """
    present = np.unique(labels)
    if len(present) < 2 or per_class < 2:
        raise UsageError(
            f"Triplets need two or more classes with two or more pictures each; got "
            f"{len(present)} classes and per_class {per_class}."
        )
    chosen = {int(c): [] for c in present} if not identity_aware else _paired(
        labels, persons, per_class // 2, np.random.default_rng([seed, 4, step])
    )  # fmt: skip
    rows: list[int] = []
    for group in present.tolist():
        members = np.flatnonzero(labels == group)
        own = list(chosen[group])
        for place in range(step * per_class, (step + 1) * per_class - len(own)):
            epoch, row = divmod(place, len(members))
            own.append(int(members[_order(seed, group, epoch, len(members))[row]]))
        rows += own
    return np.array(rows, np.int64)


def _paired(
    labels: NDArray[np.int64], persons: NDArray[np.str_], room: int, rng: np.random.Generator
) -> dict[int, list[int]]:
    """Pictures of people with several expressions, one each, at most ``room`` a class."""
    chosen: dict[int, list[int]] = {int(c): [] for c in np.unique(labels)}
    for person in rng.permutation(_with_several(tuple(labels.tolist()), tuple(persons.tolist()))):
        own = np.flatnonzero(persons == person)
        wanted = [c for c in np.unique(labels[own]).tolist() if len(chosen[c]) < room]
        if len(wanted) < 2:
            continue
        for group in wanted:
            chosen[group].append(int(rng.choice(own[labels[own] == group])))
    return chosen


@lru_cache(maxsize=4)
def _with_several(labels: tuple[int, ...], persons: tuple[str, ...]) -> NDArray[np.str_]:
    """Names of the people who are there with two or more expressions, sorted."""
    seen: dict[str, set[int]] = {}
    for label, person in zip(labels, persons, strict=True):
        if person != UNKNOWN:
            seen.setdefault(person, set()).add(label)
    return np.array(sorted(p for p, own in seen.items() if len(own) > 1), dtype=np.str_)


def augment_faces(
    pixels: Tensor, size: tuple[int, int], rng: np.random.Generator, how: FaceAugmentation
) -> Tensor:
    """Change a batch at random.

    Args:
        pixels: ``(B, h, w, 3)`` uint8 RGB.
        size: Width and height of the result, pixels.
        rng: Decides the changes.
        how: Their sizes.

    Returns:
        ``(B, 3, H, W)`` float32 RGB, 0..255.
    """
    count = len(pixels)
    faces = _moved(pixels.permute(0, 3, 1, 2).float(), size, rng, how)
    uniform = rng.uniform(-1, 1, (2, count)).astype(np.float32)
    light, spread = torch.from_numpy(uniform)[:, :, None, None, None]
    grays = torch.from_numpy(rng.random(count) < how.gray)[:, None, None, None]
    faces = torch.where(grays, faces.mean(1, keepdim=True), faces)
    mean = faces.mean((1, 2, 3), keepdim=True)
    faces = (faces - mean) * (1 + how.contrast * spread) + mean + 255 * how.brightness * light
    inside = _rectangles(count, size, rng, how)[:, None]
    return torch.where(inside, mean, faces).clamp_(0, 255)


def _moved(
    faces: Tensor, size: tuple[int, int], rng: np.random.Generator, how: FaceAugmentation
) -> Tensor:
    """Crop, turn and mirror in one step; what lies outside repeats the border."""
    count = len(faces)
    scale = 1 - how.crop * rng.random((count, 2))
    shift = (1 - scale) * rng.uniform(-1, 1, (count, 2))
    angle = np.deg2rad(how.turn_deg) * rng.uniform(-1, 1, count)
    side = np.where(rng.random(count) < how.flip, -1.0, 1.0)
    # Coordinates of affine_grid run from -1 to 1 on both axes: a turn needs the picture's shape.
    width, height = size
    ratio = height / width
    cos, sin = np.cos(angle), np.sin(angle)
    matrix = np.empty((count, 2, 3), np.float32)
    matrix[:, 0] = np.stack([side * scale[:, 0] * cos, -scale[:, 0] * sin * ratio, shift[:, 0]], 1)
    matrix[:, 1] = np.stack([side * scale[:, 1] * sin / ratio, scale[:, 1] * cos, shift[:, 1]], 1)
    grid = F.affine_grid(torch.from_numpy(matrix), [count, 3, height, width], align_corners=False)
    return F.grid_sample(faces, grid, "bilinear", "border", align_corners=False)


def _rectangles(
    count: int, size: tuple[int, int], rng: np.random.Generator, how: FaceAugmentation
) -> Tensor:
    """``(B, H, W)`` bool, true where a picture is erased."""
    width, height = size
    area = rng.uniform(*how.erase_area, count) * (rng.random(count) < how.erase)
    stretch = np.exp(rng.uniform(-0.7, 0.7, count))
    half = np.sqrt(area)[:, None] * np.stack([stretch, 1 / stretch], 1) / 2
    middle = rng.random((count, 2))
    inside = [
        np.abs((np.arange(n) + 0.5) / n - middle[:, axis, None]) < half[:, axis, None]
        for axis, n in ((0, width), (1, height))
    ]
    return torch.from_numpy(inside[1][:, :, None] & inside[0][:, None, :])


class FaceBatch(NamedTuple):
    """One batch.

    Axes: B face, H row, W column.
    """

    faces: Tensor
    """float32 B 3 H W, RGB 0..255."""
    labels: Tensor
    """int64 B, class numbers."""
    persons: Tensor
    """int64 B, numbers of persons, -1 where unknown."""


class FaceBatches(Dataset[FaceBatch]):
    """Batch ``step`` of a training set.

    Args:
        faces: The set.
        size: Width and height of the faces, pixels.
        per_class: Pictures of each class.
        seed: Decides what is drawn and how it is changed.
        steps: Length.
        augmentation: How faces are changed.
        identity_aware: See :func:`draw_rows`.
        overfit: The same so many batches again and again.
    """

    def __init__(
        self,
        faces: FaceSet,
        size: tuple[int, int],
        per_class: int,
        seed: int,
        steps: int,
        *,
        augmentation: FaceAugmentation = UNCHANGED,
        identity_aware: bool = False,
        overfit: int | None = None,
    ) -> None:
        self._faces, self._size, self._per_class = faces, size, per_class
        self._seed, self._steps, self._how = seed, steps, augmentation
        self._identity_aware, self._overfit = identity_aware, overfit
        names = sorted(set(faces.persons.tolist()) - {UNKNOWN})
        number = {name: i for i, name in enumerate(names)} | {UNKNOWN: -1}
        self._person = np.array([number[p] for p in faces.persons.tolist()], np.int64)

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, step: int) -> FaceBatch:
        number = step if self._overfit is None else step % self._overfit
        faces = self._faces
        rows = draw_rows(
            faces.labels, faces.persons, self._per_class, self._seed, number,
            identity_aware=self._identity_aware,
        )  # fmt: skip
        rng = np.random.default_rng([self._seed, 5, number])
        return FaceBatch(
            augment_faces(torch.from_numpy(self._pixels(rows)), self._size, rng, self._how),
            torch.from_numpy(faces.labels[rows]),
            torch.from_numpy(self._person[rows]),
        )

    def _pixels(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        size = hold_size(self._size)
        if isinstance(self._faces, FacesInMemory) and self._faces.size == size:
            return self._faces.pictures[rows]
        return np.stack([resized(self._faces.picture(int(i)), size) for i in rows])


def hold_size(size: tuple[int, int]) -> tuple[int, int]:
    """Width and height at which training pictures of a network's size are kept."""
    width, height = (round(HOLD * n) for n in size)
    return width, height

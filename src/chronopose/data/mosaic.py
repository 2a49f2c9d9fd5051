"""Pictures of many people made of pictures of one: what a detector is trained on.

Two kinds are drawn, half of the time each. A *grid* tiles parts of several pictures, some of
them without anybody. A *crowd* stands people that were cut out along their silhouettes into
another picture, the near ones before the far ones. Both give people of all sizes, cut off by edges
and by each other, and both contain borders with nobody behind them, so that a border betrays
nothing.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from chronopose.core.skeleton import Skeleton

LEAST_VISIBLE = 0.3
"""A person of whom less is left is not asked for, nor held against anybody."""
LEAST_HEIGHT_PX = 14.0
"""Height of the smallest person that is asked for."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Portrait:
    """A picture of one person.

    Args:
        image: ``(h, w, 3)`` uint8 RGB.
        box: ``(4,)`` x1 y1 x2 y2, the person's extent in pixels; None where it is not known.
        cover: ``(h, w)`` uint8, share of each pixel that belongs to the person; None if unknown.
    """

    image: Pixels
    box: NDArray[np.float32] | None
    cover: Pixels | None = None


@dataclass(frozen=True)
class CrowdPicture:
    """A picture with people.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        boxes: ``(N, 4)`` float32 x1 y1 x2 y2 of the people, cut at the picture's edge.
        ignore: ``(M, 4)`` float32, areas with people of whom too little is seen or known.
    """

    image: Pixels
    boxes: NDArray[np.float32]
    ignore: NDArray[np.float32]


def extent_of(xy: NDArray[np.floating], skeleton: Skeleton) -> NDArray[np.float32] | None:
    """Box of a person from their joints: hands and feet go on beyond wrists and ankles.

    Args:
        xy: ``(K, 2)`` joints, pixels; NaN where unlabelled.
        skeleton: Their names.

    Returns:
        ``(4,)`` x1 y1 x2 y2, or None if a quarter of the joints or more is missing.
    """
    known = np.isfinite(xy).all(-1)
    if known.mean() <= 0.75:
        return None
    tips = []
    for side in ("left_", "right_"):
        for near, far, share in (("elbow", "wrist", 0.4), ("knee", "ankle", 0.25)):
            a, b = (xy[skeleton.index(side + j)] for j in (near, far))
            tips.append(b + share * (b - a))
    points = np.concatenate([xy, tips])
    low, high = np.nanmin(points, 0), np.nanmax(points, 0)
    margin = 0.05 * float((high - low).max())
    return np.concatenate([low - margin, high + margin]).astype(np.float32)


class Mosaic:
    """Draws crowd pictures.

    Args:
        count: Number of portraits.
        portrait: Gives portrait ``i``.
        backdrops: Pictures without people, ``(h, w, 3)`` uint8 of any sizes.
    """

    def __init__(
        self, count: int, portrait: Callable[[int], Portrait], backdrops: Sequence[Pixels]
    ) -> None:
        self._count, self._portrait, self._backdrops = count, portrait, backdrops

    def draw(self, size: tuple[int, int], rng: np.random.Generator) -> CrowdPicture:
        """A new picture of ``size`` (width, height), the same for the same random numbers."""
        kind = self._grid if rng.random() < 0.5 else self._crowd
        image, boxes, ignore = kind(size, rng)
        pixels = develop(image, rng)
        return CrowdPicture(pixels, _rows(boxes), _rows(ignore))

    def _grid(self, size: tuple[int, int], rng: np.random.Generator) -> _Drawn:
        canvas = Image.new("RGB", size)
        across, down = (int(n) for n in rng.choice((1, 2, 3, 4), 2, p=(0.25, 0.35, 0.25, 0.15)))
        boxes: list[_Row] = []
        ignore: list[_Row] = []
        for x1, x2 in _cuts(size[0], across, rng):
            for y1, y2 in _cuts(size[1], down, rng):
                tile = self._backdrop((x2 - x1, y2 - y1), rng)
                if rng.random() < 0.72:
                    self._lay(tile, (x1, y1), boxes, ignore, rng)
                elif rng.random() < 0.5:
                    self._decoy(tile, rng)
                canvas.paste(tile, (x1, y1))
        return canvas, boxes, ignore

    def _lay(
        self,
        tile: Image.Image,
        corner: tuple[int, int],
        boxes: list[_Row],
        ignore: list[_Row],
        rng: np.random.Generator,
    ) -> None:
        """Put a whole picture of somebody into a tile; what does not fit is cut off."""
        person = self._someone(rng)
        width, height = tile.size
        box = person.box
        if box is None:
            box = np.array([0, 0, *person.image.shape[1::-1]], np.float32)
        wanted = height * np.exp(rng.uniform(np.log(0.35), np.log(1.4)))
        scale = max(wanted, LEAST_HEIGHT_PX) / float(max(box[3] - box[1], 0.7 * (box[2] - box[0])))
        middle = np.array([width, height]) * rng.uniform(0.25, 0.75, 2)
        shift = middle - scale * (box[:2] + box[2:]) / 2
        _paste(tile, person.image, None, scale, shift)
        whole = np.concatenate([scale * box[:2] + shift, scale * box[2:] + shift])
        seen = np.clip(whole, 0, [width, height, width, height])
        share = _area(seen) / max(_area(whole), 1e-6)
        row = tuple(float(v) for v in seen + np.tile(corner, 2) - 0.5)
        good = person.box is not None and share >= LEAST_VISIBLE and _tall(seen)
        (boxes if good else ignore).append(row)

    def _crowd(self, size: tuple[int, int], rng: np.random.Generator) -> _Drawn:
        boxes: list[_Row] = []
        ignore: list[_Row] = []
        canvas = self._backdrop(size, rng)
        if rng.random() < 0.25:
            self._lay(canvas, (0, 0), boxes, ignore, rng)
        for _ in range(rng.integers(0, 3)):
            self._decoy(canvas, rng)
        count = int(rng.integers(1, 9)) if rng.random() < 0.95 else 0
        typical = size[1] * np.exp(rng.uniform(np.log(0.12), np.log(1.0), 1))
        heights = np.sort(typical * np.exp(rng.normal(0, 0.35, count)))
        owner = np.zeros(size[::-1], np.int16)
        drawn: list[tuple[NDArray[np.float64], int]] = []
        for height in heights:
            person = self._someone(rng)
            if person.box is None or person.cover is None:
                continue
            whole, before = self._stand(canvas, person, float(height), rng)
            mine = before > 100
            owner[mine] = len(drawn) + 1
            drawn.append((whole, int(mine.sum())))
        for number, (whole, total) in enumerate(drawn, 1):
            seen = np.clip(whole, 0, [*size, *size])
            left = float((owner == number).sum()) / max(total, 1)
            left *= _area(seen) / max(_area(whole), 1e-6)
            good = left >= LEAST_VISIBLE and _tall(seen)
            (boxes if good else ignore).append(tuple(float(v) for v in seen - 0.5))
        return canvas, boxes, ignore

    def _stand(
        self, canvas: Image.Image, person: Portrait, height: float, rng: np.random.Generator
    ) -> tuple[NDArray[np.float64], Pixels]:
        """Cut somebody out and stand them in the picture; their box and where they cover it."""
        assert person.box is not None and person.cover is not None
        box = person.box
        tall = float(max(box[3] - box[1], 0.7 * (box[2] - box[0])))
        scale = max(height, LEAST_HEIGHT_PX) / tall
        middle = np.array(canvas.size) * rng.uniform(-0.02, 1.02, 2)
        shift = middle - scale * (box[:2] + box[2:]) / 2
        gain = np.exp(rng.normal(0, 0.15, 3) * 0.3 + rng.normal(0, 0.15))
        image = np.clip(person.image * gain, 0, 255).astype(np.uint8)
        layer = Image.new("L", canvas.size)
        _paste(layer, person.cover, None, scale, shift)
        _paste(canvas, image, layer, scale, shift)
        whole = np.concatenate([scale * box[:2] + shift, scale * box[2:] + shift])
        return whole, np.asarray(layer)

    def _someone(self, rng: np.random.Generator) -> Portrait:
        """A person, mirrored half of the time; the box counts from the picture's edges."""
        person = self._portrait(int(rng.integers(self._count)))
        height, width = person.image.shape[:2]
        box = person.box
        if box is not None:
            box = np.clip(box + 0.5, 0, [width, height, width, height]).astype(np.float32)
        if rng.random() < 0.5:
            return Portrait(person.image, box, person.cover)
        if box is not None:
            box = np.array([width - box[2], box[1], width - box[0], box[3]], np.float32)
        cover = None if person.cover is None else person.cover[:, ::-1]
        return Portrait(person.image[:, ::-1], box, cover)

    def _backdrop(self, size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
        """A part of a picture without people, as large as asked for."""
        source = self._backdrops[int(rng.integers(len(self._backdrops)))]
        height, width = source.shape[:2]
        fits = min(width / size[0], height / size[1])
        scale = fits * np.exp(rng.uniform(np.log(0.3), 0.0))
        w, h = size[0] * scale, size[1] * scale
        x, y = rng.uniform(0, width - w), rng.uniform(0, height - h)
        part = Image.fromarray(source).resize(size, Image.Resampling.BILINEAR, (x, y, x + w, y + h))
        mirrored = rng.random() < 0.5
        return part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirrored else part

    def _decoy(self, canvas: Image.Image, rng: np.random.Generator) -> None:
        """A rectangle of another place: a border without a person."""
        share = rng.uniform(0.15, 0.6, 2)
        width, height = (max(4, int(s * n)) for s, n in zip(share, canvas.size, strict=True))
        part = self._backdrop((width, height), rng)
        x, y = (int(rng.uniform(-0.3, 0.9) * n) for n in canvas.size)
        canvas.paste(part, (x, y))


_Row = tuple[float, ...]
_Drawn = tuple[Image.Image, list[_Row], list[_Row]]


def develop(image: Image.Image, rng: np.random.Generator) -> Pixels:
    """Light, colour, blur, noise and compression as cameras make them; ``(H, W, 3)`` uint8."""
    if rng.random() < 0.2:
        image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.4, 1.6))))
    pixels = np.asarray(image, np.float32) / 255
    gain = np.exp(rng.normal(0, 0.08, 3) + rng.normal(0, 0.25))
    pixels = np.clip(pixels * gain, 0, 1) ** np.exp(rng.normal(0, 0.2))
    grey = pixels.mean(-1, keepdims=True)
    colour = 0.0 if rng.random() < 0.08 else float(np.exp(rng.normal(0, 0.25)))
    pixels = grey + colour * (pixels - grey)
    if rng.random() < 0.3:
        pixels = pixels + rng.normal(0, rng.uniform(0.005, 0.05), pixels.shape)
    done = (np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    if rng.random() < 0.3:
        file = io.BytesIO()
        Image.fromarray(done).save(file, "JPEG", quality=int(rng.integers(25, 90)))
        done = np.asarray(Image.open(file))
    return done


def _paste(
    canvas: Image.Image,
    image: Pixels,
    mask: Image.Image | None,
    scale: float,
    shift: NDArray[np.floating],
) -> None:
    """Scale a picture, shift it (edge coordinates) and put what falls onto the canvas there."""
    height, width = image.shape[:2]
    edges = np.array([shift[0], shift[1], shift[0] + scale * width, shift[1] + scale * height])
    x1, y1 = (int(v) for v in np.ceil(np.maximum(edges[:2], 0)))
    x2, y2 = (int(v) for v in np.floor(np.minimum(edges[2:], canvas.size)))
    if x2 - x1 < 1 or y2 - y1 < 1:
        return
    part = (np.array([x1, y1, x2, y2]) - np.tile(shift, 2)) / scale
    part = np.clip(part, 0, [width, height, width, height])
    piece = Image.fromarray(np.ascontiguousarray(image)).resize(
        (x2 - x1, y2 - y1), Image.Resampling.BILINEAR, tuple(part), reducing_gap=2.0
    )
    canvas.paste(piece, (x1, y1), None if mask is None else mask.crop((x1, y1, x2, y2)))


def _cuts(length: int, parts: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Divide a length at uneven places."""
    inner = (np.arange(1, parts) + rng.uniform(-0.25, 0.25, parts - 1)) / parts * length
    edges = [0, *(int(v) for v in inner), length]
    return list(pairwise(edges))


def _area(box: NDArray[np.floating]) -> float:
    return float(max(box[2] - box[0], 0) * max(box[3] - box[1], 0))


def _tall(box: NDArray[np.floating]) -> bool:
    return bool(max(box[2] - box[0], box[3] - box[1]) >= LEAST_HEIGHT_PX)


def _rows(rows: list[_Row]) -> NDArray[np.float32]:
    return np.array(rows, np.float32).reshape(-1, 4)

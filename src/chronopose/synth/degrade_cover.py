"""What comes between camera and people: textured things that drift over the picture."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from chronopose.synth.scene import THING
from chronopose.synth.shot import Shot, check_strength

SHAPES = ("board", "pole", "ball", "leaf")
NEAR_M = 0.3
"""How near an occluder is taken to be where depth is kept, metres."""

_FINE = 2
_OCTAVES = (3, 7, 17)


@dataclass(frozen=True, kw_only=True)
class Occluders:
    """Things in front of everything, on straight ways, turning slowly; some stand still.

    They aim at people where the shot knows boxes, else at the picture's middle half. What they
    cover is marked in ``Shot.hidden``; a joint that stood there is occluded from then on.

    Args:
        strength: 0 to 1.
        count: Things at full strength.
        size: Range of their height as a share of the height of whom they aim at.
        still: Share that does not move.
    """

    strength: float = 0.5
    count: int = 4
    size: tuple[float, float] = (0.25, 0.7)
    still: float = 0.3

    def __call__(self, shot: Shot, rng: np.random.Generator) -> Shot:
        """The shot with things in front."""
        check_strength(self)
        if self.strength == 0:
            return shot
        frames, hidden = shot.frames.copy(), shot.hidden.copy()
        for _ in range(max(round(self.count * self.strength), 1)):
            thing = _draw_thing(shot, rng, self.size, self.still)
            for place, time in enumerate(shot.time_s):
                thing.paint(frames[place], hidden[place], float(time))
        fresh = hidden & ~shot.hidden
        depth = None if shot.depth is None else np.where(fresh, np.float32(NEAR_M), shot.depth)
        person = None if shot.person is None else np.where(fresh, np.uint8(THING), shot.person)
        return replace(shot, frames=frames, hidden=hidden, depth=depth, person=person)


@dataclass(frozen=True)
class _Thing:
    """A picture with coverage that moves.

    Args:
        sprite: ``(h, w, 4)`` uint8, its middle is what moves.
        middle: ``(2,)`` where it is at ``time_s``, pixels.
        speed: ``(2,)`` pixels a second.
        time_s: Seconds.
        turn: Radians at ``time_s``, and radians a second.
    """

    sprite: Image.Image
    middle: NDArray[np.float64]
    speed: NDArray[np.float64]
    time_s: float
    turn: tuple[float, float]

    def paint(self, frame: NDArray[np.uint8], hidden: NDArray[np.bool_], time_s: float) -> None:
        """Draw it into ``(H, W, 3)`` and mark ``(H, W)``, both in place."""
        past = time_s - self.time_s
        place, angle = self.middle + self.speed * past, self.turn[0] + self.turn[1] * past
        half = np.array(self.sprite.size) / 2
        cos, sin = np.cos(angle), np.sin(angle)
        reach = np.abs([[cos, sin], [sin, cos]]) @ half
        height, width = hidden.shape
        first = np.clip(np.floor(place - reach).astype(int), 0, (width, height))
        last = np.clip(np.ceil(place + reach).astype(int) + 1, 0, (width, height))
        if (last <= first).any():
            return
        back = np.array([[cos, sin], [-sin, cos]])
        # Pillow counts pixel centres from a half.
        shift = half + back @ (first - place - 0.5)
        patch = self.sprite.transform(
            (int(last[0] - first[0]), int(last[1] - first[1])), Image.Transform.AFFINE,
            (*back[0], shift[0], *back[1], shift[1]), Image.Resampling.BILINEAR,
        )  # fmt: skip
        pixels = np.asarray(patch, np.float32)
        share = pixels[..., 3:] / 255
        rows, columns = slice(first[1], last[1]), slice(first[0], last[0])
        under = frame[rows, columns]
        frame[rows, columns] = np.rint(under + (pixels[..., :3] - under) * share).astype(np.uint8)
        hidden[rows, columns] |= share[..., 0] >= 0.5


def _draw_thing(
    shot: Shot, rng: np.random.Generator, size: tuple[float, float], still: float
) -> _Thing:
    width, height = shot.size
    moment = int(rng.integers(len(shot)))
    people = shot.people(moment)
    people = people[np.isfinite(people).all(1)]
    inside = (people[:, 2:] > 0).all(1) & (people[:, :2] < shot.size).all(1)
    who, where = rng.random(), rng.uniform(0.1, 0.9, 2)
    tall = height * 0.6
    aim = (0.25 + 0.5 * where) * shot.size
    if inside.any():
        box = people[inside][int(who * inside.sum())]
        aim, tall = box[:2] + where * (box[2:] - box[:2]), box[3] - box[1]
    shape = SHAPES[int(rng.integers(len(SHAPES)))]
    side = max(tall * rng.uniform(*size), 6.0)
    sprite = _sprite(shape, min(side, 2.0 * height), rng)
    seconds, heading = rng.uniform(1.5, 5), rng.normal(0, 0.3) + np.pi * int(rng.integers(2))
    speed = (width / seconds) * np.array([np.cos(heading), np.sin(heading)])
    if rng.random() < still:
        speed = np.zeros(2)
    upright = 0.1 if shape == "pole" else 1.0
    turn = float(rng.normal(0, upright * 0.6)), float(rng.normal(0, upright * 0.3))
    return _Thing(sprite, aim, speed, float(shot.time_s[moment]), turn)


def _sprite(shape: str, side_px: float, rng: np.random.Generator) -> Image.Image:
    """A shape of this height with a texture and smooth edges, RGBA."""
    ratio = {"board": rng.uniform(0.4, 1.4), "pole": rng.uniform(0.06, 0.15),
             "ball": rng.uniform(0.8, 1.2), "leaf": rng.uniform(0.6, 1.2)}[shape]  # fmt: skip
    tall = side_px * (3 if shape == "pole" else 1)
    height, width = max(round(tall), 4), max(round(tall * ratio), 4)
    fine = Image.new("L", (width * _FINE, height * _FINE))
    draw = ImageDraw.Draw(fine)
    edge = (2 * _FINE, 2 * _FINE, fine.width - 2 * _FINE, fine.height - 2 * _FINE)
    if fine.width <= 4 * _FINE or fine.height <= 4 * _FINE or shape in ("board", "pole"):
        fine.paste(255, (_FINE, _FINE, fine.width - _FINE, fine.height - _FINE))
    elif shape == "ball":
        draw.ellipse(edge, fill=255)
    else:
        draw.polygon(_outline(fine.size, rng), fill=255)
    cover = np.asarray(fine.resize((width, height), Image.Resampling.BOX))
    colour = _texture(height, width, rng)
    return Image.fromarray(np.concatenate([colour, cover[..., None]], -1), "RGBA")


def _outline(size: tuple[int, int], rng: np.random.Generator) -> list[tuple[float, float]]:
    """A wavy closed line that fills most of the picture."""
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    wave = sum(rng.uniform(0, 0.14) * np.cos(k * angle + rng.uniform(0, 6)) for k in (2, 3, 5, 7))
    reach = np.clip(0.8 + wave, 0.25, 0.98)
    middle = np.array(size) / 2
    points = middle + np.stack([np.cos(angle), np.sin(angle)], 1) * reach[:, None] * middle
    return [(float(x), float(y)) for x, y in points]


def _texture(height: int, width: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """``(h, w, 3)``: two colours mixed by noise of several grains, some stripes, some shade."""
    vivid = 70 if rng.random() < 0.25 else 18
    colours = np.clip(rng.uniform(15, 240, (2, 1)) + rng.normal(0, vivid, (2, 3)), 0, 255)
    mix = np.zeros((height, width), np.float32)
    for number, cells in enumerate(_OCTAVES):
        coarse = Image.fromarray(rng.random((cells, cells), dtype=np.float32))
        grown = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))
        mix += (grown - 0.5) / 2**number
    if rng.random() < 0.4:
        wave = rng.uniform(4, 14) * np.arange(height)[:, None] / height + 3 * mix
        mix = mix + np.where(np.sin(2 * np.pi * wave) > 0, 0.5, -0.5).astype(np.float32)
    mix = np.clip(0.5 + mix, 0, 1)[..., None]
    shade = 1 - 0.5 * rng.random() * np.linspace(0, 1, width)[None, :, None]
    return np.clip((colours[0] + (colours[1] - colours[0]) * mix) * shade, 0, 255).astype(np.uint8)

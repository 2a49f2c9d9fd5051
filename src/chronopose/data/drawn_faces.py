"""DrawnFaces: faces drawn by code, with the expression and the person as numbers.

Every edge is smooth: a pixel is covered by as much as a signed distance says. A drawn face is no
portrait: it has the parts that expressions move (brows, lids, nose, mouth and the lines about
them) and parts that only tell people apart (shape, colours, hair, glasses, beard). Nobody's picture
is in it, so it can be used and passed on freely.

Units: a face is drawn in coordinates from -1 to 1 across the picture, x right, y down.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from chronopose.errors import UsageError

Array = NDArray[np.floating]
Colour = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Expression:
    """What moves in a face. Zero is at rest; the rest is about -1 to 1."""

    brow_raise: float = 0.0
    brow_inner: float = 0.0
    """Inner ends of the brows: up, as in grief, or down, as in a frown."""
    eye_open: float = 0.0
    squint: float = 0.0
    """Lower lids and cheeks pushed up."""
    nose_wrinkle: float = 0.0
    mouth_curve: float = 0.0
    """Corners of the mouth up or down."""
    mouth_open: float = 0.0
    mouth_width: float = 0.0
    upper_lip: float = 0.0
    """Upper lip pulled up."""


PROTOTYPES: Mapping[str, tuple[Expression, ...]] = {
    "anger": (
        Expression(brow_raise=-0.6, brow_inner=-1.0, eye_open=0.2, squint=0.4, mouth_curve=-0.4),
        Expression(
            brow_raise=-0.6, brow_inner=-1.0, eye_open=0.2, squint=0.3, mouth_curve=-0.3,
            mouth_open=0.6, mouth_width=0.3, upper_lip=0.3,
        ),
    ),
    "disgust": (
        Expression(
            brow_raise=-0.5, brow_inner=-0.4, eye_open=-0.3, squint=0.9, nose_wrinkle=1.0,
            mouth_curve=-0.4, mouth_open=0.1, upper_lip=0.9,
        ),
    ),
    "fear": (
        Expression(
            brow_raise=0.6, brow_inner=0.8, eye_open=0.9, mouth_curve=-0.2, mouth_open=0.35,
            mouth_width=0.5,
        ),
    ),
    "happiness": (
        Expression(squint=0.6, mouth_curve=0.9, mouth_open=0.35, mouth_width=0.6),
        Expression(squint=0.4, mouth_curve=0.9, mouth_width=0.5),
    ),
    "neutral": (Expression(),),
    "sadness": (
        Expression(brow_inner=1.0, eye_open=-0.4, mouth_curve=-0.8, mouth_width=-0.1),
    ),
    "surprise": (
        Expression(brow_raise=1.0, eye_open=0.9, mouth_open=0.9, mouth_width=-0.5),
    ),
}  # fmt: skip
"""Class -> the faces that it is drawn around. The forms are a choice, after common descriptions of
the basic expressions; they are no claim about what people feel."""


HAIR: tuple[Colour, ...] = (
    (28, 24, 22), (62, 42, 30), (104, 72, 44), (150, 118, 72), (196, 168, 112), (128, 58, 32),
    (150, 148, 146), (206, 204, 202),
)  # fmt: skip
IRIS: tuple[Colour, ...] = ((52, 34, 22), (84, 60, 34), (70, 92, 70), (78, 104, 132))


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What does not move in a face: shape and colours of one made-up person."""

    head: tuple[float, float]
    """Half width and half height of the head."""
    jaw: float
    """Share by which the head narrows towards the chin."""
    eyes: tuple[float, float, float]
    """Half distance, height above the middle and half width of the eyes."""
    brow: tuple[float, float]
    """Height above the eyes, and thickness."""
    nose: tuple[float, float]
    """Length and half width."""
    mouth: tuple[float, float, float]
    """Height below the middle, half width, and thickness of the lips."""
    skin: Colour
    hair: Colour
    iris: Colour
    hairline: float
    """Height of the hair's edge above the middle; beyond the head's top: bald."""
    long_hair: bool
    glasses: float
    """Thickness of the frame; 0 for none."""
    beard: float
    """Strength, 0..1."""
    rest: Expression
    """What the face looks like at rest."""


def draw_identity(rng: np.random.Generator) -> Identity:
    """A made-up person."""
    tone, warm = rng.uniform(0.35, 0.97), rng.uniform(0.78, 0.92)
    hair = np.array(HAIR[int(rng.integers(len(HAIR)))]) * rng.uniform(0.8, 1.2)
    bald, bearded = rng.random() < 0.15, rng.random() < 0.25
    return Identity(
        head=(rng.uniform(0.56, 0.68), rng.uniform(0.76, 0.9)),
        jaw=rng.uniform(0.05, 0.3),
        eyes=(rng.uniform(0.25, 0.31), rng.uniform(0.08, 0.2), rng.uniform(0.13, 0.18)),
        brow=(rng.uniform(0.15, 0.21), rng.uniform(0.02, 0.05)),
        nose=(rng.uniform(0.27, 0.38), rng.uniform(0.08, 0.13)),
        mouth=(rng.uniform(0.38, 0.46), rng.uniform(0.23, 0.32), rng.uniform(0.03, 0.065)),
        skin=(255 * tone, 255 * tone * warm, 255 * tone * warm * rng.uniform(0.75, 0.95)),
        hair=(float(hair[0]), float(hair[1]), float(hair[2])),
        iris=IRIS[int(rng.integers(len(IRIS)))],
        hairline=1.2 if bald else rng.uniform(0.42, 0.62),
        long_hair=bool(rng.random() < 0.4 and not bald),
        glasses=rng.uniform(0.012, 0.03) if rng.random() < 0.25 else 0.0,
        beard=rng.uniform(0.2, 0.8) if bearded else 0.0,
        rest=Expression(
            brow_raise=rng.normal(0, 0.1), brow_inner=rng.normal(0, 0.15),
            eye_open=rng.normal(0, 0.12), mouth_curve=rng.normal(0, 0.12),
        ),
    )  # fmt: skip


def vary(name: str, rest: Expression, rng: np.random.Generator) -> Expression:
    """An expression of a class, at some strength, on somebody's face at rest.

    Raises:
        UsageError: there is no such class.
    """
    if name not in PROTOTYPES:
        raise UsageError(f"There is no drawn expression {name!r}. Known: {', '.join(PROTOTYPES)}.")
    forms = PROTOTYPES[name]
    form = forms[int(rng.integers(len(forms)))]
    strength = rng.uniform(0.5, 1.15)
    return Expression(
        **{
            f.name: getattr(rest, f.name)
            + strength * getattr(form, f.name)
            + float(rng.normal(0, 0.08))
            for f in fields(Expression)
        }
    )


class _Sheet:
    """A picture that shapes are painted on, with the coordinates of the face.

    Args:
        size: Width and height, pixels.
        rng: Decides the background, the pose and the light.
    """

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        line = ((np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1).astype(np.float32)
        x, y = np.meshgrid(line, line)
        zoom, roll = rng.uniform(1.0, 1.35), np.deg2rad(rng.normal(0, 5))
        x0, y0 = rng.normal(0, 0.04, 2)
        cos, sin = np.float32(np.cos(roll) / zoom), np.float32(np.sin(roll) / zoom)
        self.x = cos * (x - np.float32(x0)) + sin * (y - np.float32(y0))
        self.y = -sin * (x - np.float32(x0)) + cos * (y - np.float32(y0))
        self.pixel = 2 / size / zoom
        self.yaw, self.pitch = rng.normal(0, 0.35), rng.normal(0, 0.25)
        self.light = rng.normal(0, 0.35, 2)
        first, second = rng.uniform(0, 255, (2, 1)) + rng.normal(0, 25, (2, 3))
        blend = (np.clip(x * rng.normal() + y * rng.normal(), -1, 1) / 2 + 0.5)[..., None]
        self.image = (first + (second - first) * blend).astype(np.float32)
        # Parts of the face slide with a turn of the head, those nearer the far side less.
        slide = np.clip(1 - (self.x / 0.75) ** 2, 0, 1) * 0.14
        self.u = (self.x - np.float32(self.yaw) * slide).astype(np.float32)
        self.v = (self.y - np.float32(self.pitch * 0.1)).astype(np.float32)

    def cover(self, distance: Array) -> Array:
        """Share of each pixel inside, from the signed distance to the edge, negative inside."""
        return np.clip(0.5 - distance / np.float32(self.pixel), 0, 1)

    def paint(self, cover: Array, colour: Sequence[float], strength: float = 1.0) -> None:
        """Blend a colour in."""
        alpha = (cover * np.float32(np.clip(strength, 0, 1)))[..., None]
        self.image += alpha * (np.asarray(colour, np.float32) - self.image)

    def ellipse(self, x: float, y: float, a: float, b: float) -> Array:
        """Signed distance, near enough, to an ellipse in the face's own coordinates."""
        return _ellipse(self.u - x, self.v - y, a, b)

    def stroke(self, x: float, y: float, x2: float, y2: float, thick: float) -> Array:
        """Signed distance to a straight line with round ends."""
        ex, ey = x2 - x, y2 - y
        dx, dy = self.u - x, self.v - y
        t = np.clip((dx * ex + dy * ey) / max(ex * ex + ey * ey, 1e-9), 0, 1)
        return np.hypot(dx - t * ex, dy - t * ey) - np.float32(thick)


def _ellipse(x: Array, y: Array, a: float, b: float) -> Array:
    radius = np.sqrt((x / a) ** 2 + (y / b) ** 2) + np.float32(1e-6)
    return (radius - 1) * radius / (np.sqrt((x / a**2) ** 2 + (y / b**2) ** 2) + np.float32(1e-6))


def draw_face(
    person: Identity, expression: Expression, size: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """One face.

    Args:
        person: Who.
        expression: What the face does.
        size: Width and height, pixels.
        rng: Decides pose, light, background and noise.

    Returns:
        ``(size, size, 3)`` uint8 RGB.
    """
    sheet = _Sheet(size, rng)
    inside = _draw_head(sheet, person)
    _draw_lines(sheet, person, expression)
    _draw_eyes(sheet, person, expression, rng)
    _draw_nose(sheet, person)
    _draw_mouth(sheet, person, expression)
    _draw_hair(sheet, person, inside)
    image = sheet.image * _light(sheet, person)[..., None]
    mean = image.mean()
    image = (image - mean) * rng.uniform(0.75, 1.3) + mean * rng.uniform(0.8, 1.25)
    image += rng.normal(0, rng.uniform(1, 8), image.shape[:2])[..., None]
    return np.clip(image, 0, 255).astype(np.uint8)


def _shade(colour: Colour, factor: float) -> tuple[float, ...]:
    return tuple(factor * c for c in colour)


def _head_distance(sheet: _Sheet, person: Identity) -> Array:
    a, b = person.head
    narrow = 1 - person.jaw * np.clip(sheet.y / b, 0, 1) ** 2
    return _ellipse(sheet.x / narrow, sheet.y, a, b)


def _draw_head(sheet: _Sheet, person: Identity) -> Array:
    a, b = person.head
    if person.long_hair:
        behind = np.minimum(
            _ellipse(sheet.x, sheet.y + 0.1, a * 1.2, b * 1.02),
            np.maximum(np.abs(sheet.x) - a * 1.18, -sheet.y),
        )
        sheet.paint(sheet.cover(behind), _shade(person.hair, 0.8))
    neck = np.maximum(np.abs(sheet.x) - a * 0.55, 0.3 - sheet.y)
    sheet.paint(sheet.cover(neck), _shade(person.skin, 0.75))
    for side in (-1, 1):
        ear = _ellipse(sheet.x - side * a, sheet.y + 0.02, 0.09, 0.16)
        sheet.paint(sheet.cover(ear), _shade(person.skin, 0.85))
    inside = sheet.cover(_head_distance(sheet, person))
    sheet.paint(inside, person.skin)
    if person.beard:
        top = person.mouth[0] - 0.1 - 0.5 * (sheet.x / a) ** 2
        chin = np.clip(0.5 - (top - sheet.v) / 0.1, 0, 1)
        sheet.paint(chin * inside, person.hair, person.beard)
    return inside


def _draw_lines(sheet: _Sheet, person: Identity, e: Expression) -> None:
    """Creases that an expression makes in the skin."""
    dark, (apart, high, wide) = _shade(person.skin, 0.55), person.eyes
    mouth_y, mouth_w, _ = person.mouth
    for row in (0, 1):
        y = -high - person.brow[0] - 0.14 - 0.08 * row - 0.06 * e.brow_raise
        crease = sheet.stroke(-0.22, y, 0.22, y, 0.008)
        sheet.paint(sheet.cover(crease), dark, 0.6 * (e.brow_raise - 0.3))
    top = -high - person.brow[0]
    bottom = mouth_y - 0.02 - 0.1 * e.mouth_curve
    for side in (-1, 1):
        frown = sheet.stroke(side * 0.05, top - 0.03, side * 0.045, top + 0.1, 0.01)
        sheet.paint(sheet.cover(frown), dark, 0.9 * max(-e.brow_inner - 0.2, 0))
        wrinkle = sheet.stroke(side * 0.03, -high + 0.03, side * 0.11, -high + 0.1, 0.01)
        sheet.paint(sheet.cover(wrinkle), dark, e.nose_wrinkle)
        x = person.nose[1]
        fold = sheet.stroke(
            side * (x + 0.02), person.nose[0] - high - 0.06, side * (mouth_w + 0.08), bottom, 0.012
        )
        depth = 0.6 * max(e.mouth_curve, 0) + 0.6 * e.upper_lip + 0.3 * e.nose_wrinkle + 0.08
        sheet.paint(sheet.cover(fold), dark, depth)
        cheek = sheet.stroke(
            side * (apart - wide), -high + 0.12, side * (apart + wide), -high + 0.09, 0.008
        )
        sheet.paint(sheet.cover(cheek), dark, 0.6 * max(e.squint, 0))


def _draw_eyes(sheet: _Sheet, person: Identity, e: Expression, rng: np.random.Generator) -> None:
    apart, high, wide = person.eyes
    look = rng.normal(0, 0.02, 2)
    upper = wide * np.clip(0.45 + 0.4 * e.eye_open - 0.1 * max(e.squint, 0), 0.03, 1)
    lower = wide * np.clip(0.35 + 0.12 * e.eye_open - 0.25 * max(e.squint, 0), 0.03, 1)
    for side in (-1, 1):
        dx, dy = sheet.u - side * apart, sheet.v + high
        bow = np.clip(1 - (dx / wide) ** 2, 0, 1)
        opening = np.maximum(-upper * bow - dy, dy - lower * bow)
        opening = np.where(np.abs(dx) < wide, opening, 1)
        inside = sheet.cover(opening)
        socket = sheet.ellipse(side * apart, -high - 0.02, wide * 1.2, wide * 0.8)
        sheet.paint(np.clip(0.5 - socket / 0.1, 0, 1), _shade(person.skin, 0.8), 0.5)
        sheet.paint(inside, (235, 232, 228))
        for radius, colour in ((wide * 0.46, person.iris), (wide * 0.22, (10.0, 10.0, 10.0))):
            ball = _ellipse(dx - look[0], dy - look[1], radius, radius)
            sheet.paint(np.minimum(sheet.cover(ball), inside), colour)
        lid = np.abs(dy + upper * bow) - 0.014
        sheet.paint(
            sheet.cover(np.where(np.abs(dx) < wide, lid, 1)), _shade(person.skin, 0.25), 0.9
        )
        _draw_brow(sheet, person, e, side)
        if person.glasses:
            ring = np.abs(sheet.ellipse(side * apart, -high + 0.02, wide * 1.6, wide * 1.35))
            sheet.paint(sheet.cover(ring - np.float32(person.glasses)), (30, 28, 32))
    if person.glasses:
        inner = apart - wide * 1.6
        bridge = sheet.stroke(-inner, -high, inner, -high, person.glasses)
        sheet.paint(sheet.cover(bridge), (30, 28, 32))


def _draw_brow(sheet: _Sheet, person: Identity, e: Expression, side: int) -> None:
    apart, high, wide = person.eyes
    inner, outer = apart - wide * 1.15, apart + wide * 1.3
    t = (side * sheet.u - inner) / (outer - inner)
    level = -high - person.brow[0] - 0.09 * e.brow_raise
    curve = level - 0.1 * e.brow_inner * (1 - t) + 0.03 * e.brow_inner + 0.12 * (t - 0.55) ** 2
    thick = person.brow[1] * (1.1 - 0.6 * np.clip(t, 0, 1))
    within = np.maximum(-t, t - 1) * np.float32(outer - inner)
    brow = np.maximum(np.abs(sheet.v - curve) - thick, within)
    colour = tuple(0.5 * h + 0.12 * s for h, s in zip(person.hair, person.skin, strict=True))
    sheet.paint(sheet.cover(brow), colour, 0.9)


def _draw_nose(sheet: _Sheet, person: Identity) -> None:
    length, wide = person.nose
    tip = length - person.eyes[1]
    dark = _shade(person.skin, 0.72)
    side = 1 if sheet.light[0] < 0 else -1
    ridge = sheet.stroke(side * 0.035, -0.05, side * wide * 0.8, tip - 0.05, 0.02)
    sheet.paint(np.clip(0.5 - ridge / 0.06, 0, 1), dark, 0.6)
    under = sheet.ellipse(0, tip + 0.01, wide, 0.035)
    sheet.paint(np.clip(0.5 - under / 0.05, 0, 1), dark, 0.8)
    for at in (-1, 1):
        hole = sheet.ellipse(at * wide * 0.5, tip, wide * 0.28, 0.018)
        sheet.paint(sheet.cover(hole), _shade(person.skin, 0.3))


def _draw_mouth(sheet: _Sheet, person: Identity, e: Expression) -> None:
    level, wide, lip = person.mouth
    wide = wide * (1 + 0.35 * float(np.clip(e.mouth_width, -1, 1)))
    along = sheet.u / np.float32(wide)
    bow = np.sqrt(np.clip(1 - along**2, 0, 1))
    line = level - 0.12 * e.mouth_curve * (along**2 - 0.5)
    gap = 0.3 * max(e.mouth_open, 0)
    top = line - (0.35 * gap + 0.05 * e.upper_lip) * bow
    bottom = np.maximum(line + 0.65 * gap * bow, top)
    within = np.abs(along) < 1

    def between(high: Array, low: Array) -> Array:
        edge = np.maximum(high - sheet.v, sheet.v - low)
        return sheet.cover(np.where(within, edge, 1))

    lips = tuple(
        np.clip(c * f, 0, 255) for c, f in zip(person.skin, (0.8, 0.52, 0.55), strict=True)
    )
    sheet.paint(between(top - lip * bow, bottom + 1.25 * lip * bow), lips)
    sheet.paint(between(top, bottom), (45, 18, 20))
    bite = np.minimum(bottom, top + 0.05 * bow + 0.25 * (bottom - top))
    sheet.paint(between(top, bite), (232, 228, 218), 6 * gap + 4 * max(e.upper_lip - 0.6, 0))
    seam = sheet.cover(np.where(within, np.abs(sheet.v - (top + bottom) / 2) - 0.01, 1))
    sheet.paint(seam, (50, 22, 24), 0.8 - 12 * gap)
    shadow = sheet.ellipse(0, level + 0.75 * gap + 2.4 * lip + 0.05, wide * 0.5, 0.02)
    sheet.paint(np.clip(0.5 - shadow / 0.05, 0, 1), _shade(person.skin, 0.7), 0.5)


def _draw_hair(sheet: _Sheet, person: Identity, inside: Array) -> None:
    a, b = person.head
    edge = -person.hairline - 0.12 * np.cos(3 * sheet.x) + 0.35 * (sheet.x / a) ** 2
    cap = np.maximum(_ellipse(sheet.x, sheet.y + 0.06, a * 1.1, b * 1.05), sheet.y - edge)
    if person.hairline < 1:
        sheet.paint(sheet.cover(cap), person.hair)


def _light(sheet: _Sheet, person: Identity) -> Array:
    """Brightness of a ball lit from one side."""
    a, b = person.head
    x, y = sheet.x / a, sheet.y / b
    depth = np.sqrt(np.clip(1 - 0.7 * (x**2 + y**2), 0.1, 1))
    lx, ly = sheet.light
    return np.clip(0.55 + 0.45 * depth + 0.5 * (lx * x + ly * y), 0.2, 1.5).astype(np.float32)


class DrawnFaces:
    """A face set of made-up people, each with every expression equally often.

    Args:
        people: How many.
        per_class: Pictures of each expression of each person.
        seed: Decides everything.
        size: Width and height, pixels.
        classes: Expressions, of :data:`PROTOTYPES`.

    Raises:
        UsageError: a number is below one, or there is no such expression.
    """

    def __init__(
        self,
        people: int,
        per_class: int = 1,
        *,
        seed: int = 0,
        size: int = 64,
        classes: Sequence[str] = tuple(PROTOTYPES),
    ) -> None:
        unknown = [c for c in classes if c not in PROTOTYPES]
        if unknown or not classes:
            raise UsageError(
                f"Drawn faces know {', '.join(PROTOTYPES)}; got {', '.join(unknown) or 'none'}."
            )
        if min(people, per_class) < 1 or size < 16:
            raise UsageError(
                f"Drawn faces need people, pictures of each expression and 16 pixels or more; got "
                f"{people}, {per_class} and {size}."
            )
        self.name, self.classes = "drawn", tuple(classes)
        self._seed, self._size, self._per_person = seed, size, per_class * len(self.classes)
        numbers = np.arange(people * self._per_person)
        self.labels: NDArray[np.int64] = (numbers % len(self.classes)).astype(np.int64)
        self.persons: NDArray[np.str_] = np.array(
            [f"p{n // self._per_person:05d}" for n in numbers], dtype=np.str_
        )

    def __len__(self) -> int:
        return len(self.labels)

    def picture(self, index: int) -> NDArray[np.uint8]:
        """Draw picture ``index``; always the same."""
        person = draw_identity(np.random.default_rng([self._seed, index // self._per_person, 0]))
        rng = np.random.default_rng([self._seed, index, 1])
        name = self.classes[self.label(index)]
        return draw_face(person, vary(name, person.rest, rng), self._size, rng)

    def label(self, index: int) -> int:
        """Class number of a picture."""
        return int(self.labels[index])

    def fingerprint(self) -> str:
        """What the set was made from."""
        names = ",".join(self.classes)
        return f"drawn-1-{self._seed}-{self._size}-{self._per_person}-{len(self)}-{names}"

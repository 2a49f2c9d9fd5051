"""What a plain body is like: measures, skin, hair and clothes, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Colour = tuple[float, float, float]

SKINS: tuple[Colour, ...] = (
    (0.96, 0.82, 0.73), (0.90, 0.72, 0.60), (0.83, 0.64, 0.50), (0.72, 0.52, 0.38),
    (0.56, 0.38, 0.26), (0.40, 0.26, 0.18), (0.29, 0.19, 0.14),
)  # fmt: skip
HAIRS: tuple[Colour, ...] = (
    (0.07, 0.06, 0.06), (0.14, 0.10, 0.08), (0.26, 0.17, 0.11), (0.40, 0.27, 0.17),
    (0.62, 0.47, 0.28), (0.80, 0.68, 0.45), (0.55, 0.25, 0.13), (0.62, 0.61, 0.60),
)  # fmt: skip
CLOTHS: tuple[Colour, ...] = (
    (0.10, 0.10, 0.11), (0.92, 0.92, 0.90), (0.13, 0.18, 0.32), (0.27, 0.38, 0.55),
    (0.45, 0.46, 0.48), (0.72, 0.64, 0.50), (0.62, 0.13, 0.15), (0.16, 0.38, 0.24),
    (0.86, 0.68, 0.22), (0.42, 0.22, 0.42), (0.80, 0.42, 0.24), (0.36, 0.62, 0.72),
    (0.90, 0.62, 0.66), (0.34, 0.26, 0.19),
)  # fmt: skip
DARK: tuple[Colour, ...] = (
    (0.09, 0.09, 0.10), (0.16, 0.19, 0.28), (0.22, 0.31, 0.46), (0.30, 0.30, 0.31),
    (0.62, 0.55, 0.43), (0.35, 0.34, 0.25), (0.27, 0.20, 0.16), (0.78, 0.76, 0.72),
)  # fmt: skip


@dataclass(frozen=True)
class Looks:
    """One drawn person.

    Args:
        height: Metres, shoes included.
        build: -1 thin to 1 heavy.
        curve: 0 for straight, broad shoulders; 1 for wide hips, a waist and a bust.
        skin, lips, hair, shirt, second, trousers, shoes, sole: Colours, sRGB in [0, 1].
        sleeve: Where the sleeve ends: 0 at the shoulder, 1 at the elbow, 2 at the wrist.
        leg: Where the trouser leg ends: 0 at the hip, 1 at the knee, 2 at the ankle.
        skirt: A skirt to the fraction ``leg``; the legs below are skin or ``second``.
        hairdo: ``none``, ``short``, ``bob``, ``long``, ``bun``, ``tail``, ``cap``.
        beard: 0 to 1.
        pattern: ``plain``, ``stripes``, ``block``, ``open``, ``checks``.
        loose: Extra room in the clothes, 0 tight to 1 wide.
        tucked: The shirt ends at the waist instead of the hip.
    """

    height: float
    build: float
    curve: float
    skin: Colour
    lips: Colour
    hair: Colour
    shirt: Colour
    second: Colour
    trousers: Colour
    shoes: Colour
    sole: Colour
    sleeve: float
    leg: float
    skirt: bool
    hairdo: str
    beard: float
    pattern: str
    loose: float
    tucked: bool


def draw_looks(seed: int) -> Looks:
    """Measures, colours and clothes of the plain body ``seed``; the same on every machine."""
    rng = np.random.default_rng(seed)
    curve = float(rng.random() < 0.5) * (0.6 + 0.4 * rng.random()) + 0.25 * rng.random()
    curve = min(curve, 1.0)
    middle = 0.5 * (rng.random() + rng.random())
    height = 1.56 + 0.39 * middle if curve < 0.5 else 1.50 + 0.34 * middle
    skin = _mix(SKINS, rng)
    hair = _choose(HAIRS, rng, 0.03)
    woman = curve >= 0.5
    dos = (
        ("short", "bob", "long", "bun", "tail", "cap")
        if woman
        else ("short", "short", "cap", "none")
    )
    skirt = bool(woman and rng.random() < 0.3)
    return Looks(
        height=float(height),
        build=float(rng.random() + rng.random() - 1),
        curve=curve,
        skin=skin,
        lips=(skin[0] * 0.86, skin[1] * 0.62, skin[2] * 0.62),
        hair=hair,
        shirt=_cloth(CLOTHS, skin, rng),
        second=_cloth(CLOTHS, skin, rng),
        trousers=_cloth(DARK, skin, rng),
        shoes=_choose(CLOTHS if rng.random() < 0.4 else DARK, rng, 0.05),
        sole=(0.9, 0.9, 0.88) if rng.random() < 0.5 else (0.12, 0.11, 0.10),
        sleeve=_pick((0.22, 0.62, 0.62, 1.45, 1.93, 1.93), rng),
        leg=_pick((0.55, 0.8, 1.05), rng) if skirt else _pick((0.85, 1.5, 1.93, 1.93, 1.93), rng),
        skirt=skirt,
        hairdo=dos[int(rng.integers(len(dos)))],
        beard=0.0 if woman or rng.random() < 0.6 else 0.4 + 0.6 * float(rng.random()),
        pattern=("plain", "plain", "stripes", "block", "open", "checks")[int(rng.integers(6))],
        loose=float(rng.random()),
        tucked=bool(skirt or rng.random() < 0.3),
    )


def _pick(values: tuple[float, ...], rng: np.random.Generator) -> float:
    return values[int(rng.integers(len(values)))]


def _cloth(palette: tuple[Colour, ...], skin: Colour, rng: np.random.Generator) -> Colour:
    """A colour that nobody takes for bare skin."""
    while True:
        colour = _choose(palette, rng, 0.08)
        if np.abs(np.array(colour) - skin).max() > 0.2:
            return colour


def _choose(palette: tuple[Colour, ...], rng: np.random.Generator, spread: float) -> Colour:
    base = np.array(palette[int(rng.integers(len(palette)))])
    shifted = base * (0.9 + 0.2 * rng.random()) + spread * (rng.random(3) - 0.5)
    red, green, blue = shifted.clip(0.02, 0.98).tolist()
    return red, green, blue


def _mix(palette: tuple[Colour, ...], rng: np.random.Generator) -> Colour:
    place = rng.random() * (len(palette) - 1)
    low = int(place)
    share = place - low
    mixed = (1 - share) * np.array(palette[low]) + share * np.array(palette[low + 1])
    red, green, blue = (mixed + 0.03 * (rng.random(3) - 0.5)).clip(0.02, 0.98).tolist()
    return red, green, blue

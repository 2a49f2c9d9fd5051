"""Places under the open sky: ground, buildings, trees, hills, clouds and a sun."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chronopose.synth.light import irradiance_harmonics, lit, panorama_directions, solid_angles
from chronopose.synth.sky_canvas import Ball, Block, Canvas, Floats, Noise, in_shade

_GROUNDS = {
    "grass": (0.10, 0.16, 0.04), "meadow": (0.20, 0.20, 0.08), "asphalt": (0.13, 0.13, 0.14),
    "paving": (0.34, 0.32, 0.29), "sand": (0.48, 0.39, 0.26), "gravel": (0.28, 0.26, 0.23),
    "earth": (0.22, 0.15, 0.09), "court": (0.33, 0.13, 0.08),
}  # fmt: skip
_WALLS = (
    (0.42, 0.19, 0.13), (0.62, 0.57, 0.48), (0.50, 0.50, 0.50), (0.70, 0.68, 0.64),
    (0.34, 0.29, 0.25), (0.57, 0.43, 0.27), (0.26, 0.31, 0.36),
)  # fmt: skip
_CLEAR_NEAR_M = 8.0


@dataclass
class _Sky:
    """Direction to the sun, its irradiance / pi, and the sky's own colours."""

    sun: Floats
    sunlight: Floats
    zenith: Floats
    horizon: Floats
    clouds: float
    grey: bool

    def seen(self, rays: Floats, noise: Noise) -> Floats:
        """Radiance ``(n, 3)`` without the sun's disc."""
        rise = np.clip(rays[:, 2], 0, 1)[:, None]
        colour = self.horizon + (self.zenith - self.horizon) * rise**0.45
        towards = np.clip(rays @ self.sun, -1, 1)[:, None]
        near = np.exp((towards - 1) * 30) * 0.6 + np.exp((towards - 1) * 4) * 0.25
        colour = colour + near * self.sunlight * (0.05 if self.grey else 0.3)
        scale = 0.8 / np.maximum(rays[:, 2], 0.03)
        x, y = rays[:, 0] * scale, rays[:, 1] * scale
        cover = noise.fractal(x, y, 5, blur=0.004 * scale * scale)
        thick = np.clip((cover + self.clouds) * 2.2, 0, 1)[:, None]
        thick *= np.clip(rays[:, 2:] * 12, 0, 1)
        shade = 0.75 + 0.5 * np.clip(noise.fractal(x + 0.3, y + 0.2, 3), -0.5, 0.5)[:, None]
        white = shade * (self.horizon.mean() * 0.8 + 0.25 * self.sunlight.mean())
        return colour + (white * np.ones(3, np.float32) - colour) * thick * 0.9


def outdoor_panorama(rng: np.random.Generator, height: int) -> Floats:
    """``(height, 2 height, 3)`` float32 linear radiance of an open place."""
    canvas, noise = Canvas(height), Noise(rng)
    sky = _choose_sky(rng)
    ground = str(rng.choice(list(_GROUNDS)))
    harmonics = _sky_light(sky, noise, np.array(_GROUNDS[ground]))
    _paint_ground(canvas, noise, rng, ground)
    blocks = _buildings(rng, sky)
    for block in blocks:
        _paint_building(canvas, noise, rng, block, sky)
    trunks, crowns = _trees(rng, sky)
    for trunk in trunks:
        hit = canvas.block(trunk)
        bark = 1 + 0.4 * noise.fractal(hit.inside.sum(1) * 12, hit.inside[:, 2] * 3)
        canvas.put(hit, bark[:, None] * np.array([0.12, 0.09, 0.06], np.float32))
    leaf = np.array([0.06, 0.12, 0.03]) * rng.uniform(0.7, 1.4) * (1 + rng.uniform(-0.2, 0.4, 3))
    for crown in crowns:
        hit = canvas.ball(crown, noise)
        blur = canvas.blur(hit.distance) * 4
        rough = noise.fractal(hit.inside[:, 0] * 4 + hit.inside[:, 2] * 3, hit.inside[:, 1] * 4
                              - hit.inside[:, 2] * 3, 3, blur)  # fmt: skip
        canvas.put(hit, leaf.astype(np.float32) * (1 + 0.9 * rough)[:, None].clip(0.2, 2))
    _shine(canvas, sky, harmonics, blocks + trunks, crowns)
    picture = _behind(canvas, sky, noise, rng, harmonics)
    return picture.reshape(height, 2 * height, 3)


def _choose_sky(rng: np.random.Generator) -> _Sky:
    grey = bool(rng.random() < 0.35)
    rise, turn = np.radians(rng.uniform(14, 62)), rng.uniform(-np.pi, np.pi)
    flat = np.cos(rise)
    sun = np.array([flat * np.sin(turn), flat * np.cos(turn), np.sin(rise)], np.float32)
    warm = np.clip(1 - np.degrees(rise) / 40, 0, 1)
    if grey:
        base = np.array([0.80, 0.85, 0.92]) * rng.uniform(0.8, 1.1)
        light = np.zeros(3) if rng.random() < 0.7 else np.array([0.30, 0.29, 0.27])
        zenith, horizon, clouds = base * 1.15, base * 0.9, rng.uniform(0.3, 0.6)
    else:
        light = np.array([1.0, 0.95 - 0.2 * warm, 0.86 - 0.42 * warm]) * rng.uniform(1.3, 2.4)
        zenith = np.array([0.13, 0.26, 0.56]) * rng.uniform(0.8, 1.4)
        horizon = np.array([0.62 + 0.2 * warm, 0.70, 0.85 - 0.25 * warm])
        clouds = rng.uniform(-0.7, 0.25)
    one, two, three = (np.asarray(p, np.float32) for p in (light, zenith, horizon))
    return _Sky(sun, one, two, three, float(clouds), grey)


def _sky_light(sky: _Sky, noise: Noise, ground: Floats) -> Floats:
    """``(9, 3)`` irradiance / pi of sky and of the ground that the sky and sun light."""
    rays = panorama_directions(32, 64)
    picture = sky.seen(rays.reshape(-1, 3), noise).reshape(32, 64, 3)
    upper = picture[:16] * rays[:16, :, 2:] * solid_angles(32, 64)[:16, None]
    light = upper.sum((0, 1)) / np.pi + sky.sunlight * sky.sun[2]
    picture[16:] = ground * light
    return irradiance_harmonics(picture)


def _paint_ground(canvas: Canvas, noise: Noise, rng: np.random.Generator, kind: str) -> None:
    hit = canvas.plane()
    turn = rng.uniform(0, np.pi)
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    x = cos * hit.place[:, 0] + sin * hit.place[:, 1]
    y = cos * hit.place[:, 1] - sin * hit.place[:, 0]
    blur = canvas.blur(hit.distance) * np.sqrt(hit.distance / 1.5)
    albedo = _ground(kind, x, y, blur, noise, rng)
    if rng.random() < 0.6:
        other = str(rng.choice(["asphalt", "paving", "gravel", "earth"]))
        low, wide = rng.uniform(2.5, 9) * rng.choice([-1, 1]), rng.uniform(1.5, 6)
        strip = (y > low) & (y < low + wide)
        albedo[strip] = _ground(other, x[strip], y[strip], blur[strip], noise, rng)
        edge = np.clip(1 - np.abs(np.abs(y - low - wide / 2) - wide / 2) / (0.08 + blur), 0, 1)
        albedo += edge[:, None] * (np.array([0.42, 0.41, 0.39], np.float32) - albedo)
    canvas.put(hit, albedo)


def _ground(
    kind: str, x: Floats, y: Floats, blur: Floats, noise: Noise, rng: np.random.Generator
) -> Floats:
    """Albedo ``(n, 3)`` of the ground at points of the plane."""
    base = np.array(_GROUNDS[kind], np.float32) * rng.uniform(0.85, 1.15)
    fine = noise.fractal(x * 9, y * 9, 4, blur * 9)
    wide = noise.fractal(x * 0.35 + 7, y * 0.35, 4, blur * 0.35)
    strength = 0.55 if kind in ("grass", "meadow", "gravel") else 0.18
    shade = 1 + strength * fine + 0.3 * wide
    tint = np.ones((len(x), 3), np.float32)
    if kind in ("grass", "meadow"):
        tint[:, 0] += 0.5 * wide
    if kind == "paving":
        size = rng.uniform(0.3, 0.9)
        joint, number = _tiles(x, y, size, 0.5, blur)
        shade += 0.14 * noise.at(number[0] * 0.77, number[1] * 0.71) - 0.5 * joint
    if kind in ("court", "asphalt") and rng.random() < 0.6:
        gap = rng.uniform(3, 6)
        off = np.abs((x + gap / 2) % gap - gap / 2)
        line = np.clip((0.05 - off) / np.maximum(blur, 0.01) + 0.5, 0, 1)
        line *= np.clip(0.08 / np.maximum(blur, 0.08), 0, 1)
        tint += line[:, None] * (0.6 / base - 1)
    return base * tint * np.clip(shade, 0.25, 2)[:, None]


def _tiles(
    x: Floats, y: Floats, size: float, shift: float, blur: Floats
) -> tuple[Floats, tuple[Floats, Floats]]:
    """How much of a joint each point shows, [0, 1], and the column and row of its tile."""
    row = np.floor(y / size)
    across = x / size + shift * (row % 2)
    column = np.floor(across)
    off = np.minimum(np.abs(across - column - 0.5), np.abs(y / size - row - 0.5))
    far = np.maximum(np.abs(across - column - 0.5), np.abs(y / size - row - 0.5))
    width = 0.02 + blur / size
    joint = np.clip((far - 0.5 + width) / width, 0, 1) * (off <= 0.5)
    return joint * np.clip(0.02 / width + 0.1, 0, 1), (column, row)


def _buildings(rng: np.random.Generator, sky: _Sky) -> list[Block]:
    """Houses around, none of which shades the middle of the place."""
    blocks = []
    for _ in range(int(rng.integers(0, 9))):
        turn, away = rng.uniform(-np.pi, np.pi), rng.uniform(16, 60)
        wide, deep = rng.uniform(4, 14), rng.uniform(4, 8)
        middle = away * np.sin(turn), away * np.cos(turn)
        top = float(rng.choice([rng.uniform(3, 9), rng.uniform(9, 26)]))
        yaw = -turn + rng.normal(0, 0.25)
        blocks.append(Block(middle, (wide, deep), 0.0, top, float(yaw)))
    around = _around()
    return [b for b in blocks if not in_shade(around, sky.sun, [b], []).any()]


def _trees(rng: np.random.Generator, sky: _Sky) -> tuple[list[Block], list[Ball]]:
    trunks, crowns, around = [], [], _around()
    for _ in range(int(rng.integers(0, 12))):
        turn, away = rng.uniform(-np.pi, np.pi), rng.uniform(8, 40)
        x, y = float(away * np.sin(turn)), float(away * np.cos(turn))
        tall = rng.uniform(3.5, 10)
        size = tall * rng.uniform(0.2, 0.3)
        thick = 0.03 * tall
        tree = [
            Ball(
                (x + rng.normal(0, 0.45 * size), y + rng.normal(0, 0.45 * size),
                 tall - size * rng.uniform(0.8, 1.9)),
                size * rng.uniform(0.6, 1.0), 0.35,
            )
            for _ in range(5)
        ]  # fmt: skip
        if not in_shade(around, sky.sun, [], tree).any():
            trunks.append(Block((x, y), (thick, thick), 0.0, tall - size))
            crowns += tree
    return trunks, crowns


def _around() -> Floats:
    """Points of the ground where people will stand."""
    x, y = np.meshgrid(np.linspace(-_CLEAR_NEAR_M, _CLEAR_NEAR_M, 9), np.linspace(-1, 1, 9) * 8)
    return np.stack([x.ravel(), y.ravel(), np.full(x.size, 0.5)], -1).astype(np.float32)


def _paint_building(
    canvas: Canvas, noise: Noise, rng: np.random.Generator, block: Block, sky: _Sky
) -> None:
    base = np.array(_WALLS[rng.integers(len(_WALLS))], np.float32) * rng.uniform(0.8, 1.15)
    across_m, storey_m = rng.uniform(1.8, 4.0), rng.uniform(2.7, 3.6)
    glass = rng.uniform(0.35, 0.85)
    hit = canvas.block(block)
    local = hit.inside
    upright = np.abs(hit.normal[:, 2]) < 0.5
    side = np.abs(block.local(hit.normal)[:, 0]) > 0.5
    along = np.where(side, local[:, 1], local[:, 0]) / across_m
    up = hit.place[:, 2] / storey_m
    pane = (np.abs(along % 1 - 0.5) < glass / 2) & (np.abs(up % 1 - 0.55) < 0.28) & upright
    pane &= hit.place[:, 2] < block.top - 0.6
    stain = noise.fractal(along * across_m * 0.6, hit.place[:, 2] * 0.6, 4)
    albedo = base * (1 + 0.2 * stain)[:, None]
    lift = noise.at(np.floor(along) * 0.73, np.floor(up) * 0.91)
    albedo[pane] = 0.05 + 0.04 * lift[pane, None]
    mirror = np.zeros_like(albedo)
    mirror[pane] = sky.horizon * (0.18 + 0.12 * lift[pane, None])
    canvas.put(hit, albedo, mirror)


def _shine(
    canvas: Canvas, sky: _Sky, harmonics: Floats, blocks: list[Block], balls: list[Ball]
) -> None:
    """Turn what is painted into light, in place, as ``glow``."""
    index = np.nonzero(np.isfinite(canvas.distance))[0]
    fall = lit(harmonics, canvas.normal[index])
    facing = canvas.normal[index] @ sky.sun
    bright = np.nonzero((facing > 0) & (sky.sunlight.max() > 0))[0]
    mine = index[bright]
    places = canvas.eye + canvas.rays[mine] * canvas.distance[mine, None]
    places += 0.05 * canvas.normal[mine]
    clear = ~in_shade(places, sky.sun, blocks, balls)
    fall[bright] += (facing[bright] * clear)[:, None] * sky.sunlight
    light = canvas.albedo[index] * fall + canvas.glow[index]
    haze = (1 - np.exp(-canvas.distance[index] / 700))[:, None]
    canvas.glow[index] = light + (sky.horizon * 0.8 - light) * haze


def _behind(
    canvas: Canvas, sky: _Sky, noise: Noise, rng: np.random.Generator, harmonics: Floats
) -> Floats:
    """The whole picture: hills and sky where nothing stands nearer, and the sun's disc."""
    picture = canvas.glow.copy()
    height, width = canvas.height, 2 * canvas.height
    open_sky = np.nonzero(~np.isfinite(canvas.distance))[0]
    picture[open_sky] = sky.seen(canvas.rays[open_sky], noise)
    columns = np.arange(width)
    for distance, tall in ((0.75, rng.uniform(0.01, 0.12)), (0.35, rng.uniform(0.0, 0.05))):
        turn = columns / width * 2 * np.pi
        ridge = noise.fractal(
            (3 * np.cos(turn) + 40 * distance).astype(np.float32),
            (3 * np.sin(turn)).astype(np.float32), 6,
        )  # fmt: skip
        top = tall * (0.5 + ridge)
        hill = canvas.rays[open_sky, 2] < top[open_sky % width]
        near = np.array([0.09, 0.12, 0.06], np.float32) * lit(harmonics, np.array([0, -0.7, 0.7]))
        near = near + 0.06 * sky.sunlight * np.array([0.8, 1, 0.6], np.float32)
        picture[open_sky[hill]] = near + (sky.horizon * 0.75 - near) * distance
    if sky.sunlight.max() > 0 and not sky.grey:
        _disc(picture, canvas, sky, height)
    return picture


def _disc(picture: Floats, canvas: Canvas, sky: _Sky, height: int) -> None:
    """Add the sun where it is not covered, with all its light on the pixels nearest to it."""
    angle = np.broadcast_to(solid_angles(height, 2 * height), (height, 2 * height)).ravel()
    close = canvas.rays @ sky.sun
    size = np.cos(max(0.006, 0.8 * np.pi / height))
    disc = np.nonzero((close > size) & ~np.isfinite(canvas.distance))[0]
    if len(disc):
        picture[disc] += sky.sunlight * (np.pi / angle[disc].sum())

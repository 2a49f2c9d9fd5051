"""Camera, background, light and obstacles of generated videos."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chronopose.data.raster import Capsule

if TYPE_CHECKING:
    from chronopose.data.wardrobe import Person

Rng = np.random.Generator


@dataclass(frozen=True, kw_only=True)
class Camera:
    """A pinhole camera that looks along z and stands still, but for a little sway.

    Args:
        size: Width and height, pixels.
        focal_px: Focal length, pixels.
        centre: Principal point, pixels.
        height_m: Height above the ground, metres.
        shutter: Share of the frame time that the shutter is open.
        sway_px: Size of the sway, pixels.
        sway_hz: Its rate, cycles a second.
    """

    size: tuple[int, int]
    focal_px: float
    centre: tuple[float, float]
    height_m: float
    shutter: float
    sway_px: float
    sway_hz: float

    @classmethod
    def draw(cls, rng: Rng, size: tuple[int, int]) -> Camera:
        """A camera for pictures of ``size``: chest high, moderate field of view."""
        width, height = size
        return cls(
            size=size,
            focal_px=float(height * rng.uniform(1.3, 2.2)),
            centre=((width - 1) / 2, (height - 1) / 2),
            height_m=float(rng.uniform(0.7, 1.3)),
            shutter=float(rng.uniform(0.0, 0.6)) if rng.random() < 0.7 else 0.0,
            sway_px=float(height * 0.02 * rng.random()) if rng.random() < 0.5 else 0.0,
            sway_hz=float(rng.uniform(0.1, 0.5)),
        )

    def sway(self, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """``(T, 2)`` pixels by which the whole picture is moved."""
        turn = 2 * np.pi * self.sway_hz * time_s
        return self.sway_px * np.stack([np.sin(turn), 0.5 * np.sin(1.7 * turn + 1)], -1)

    def project(self, xyz_m: NDArray[np.float64]) -> NDArray[np.float64]:
        """``(..., 3)`` metres in camera axes -> ``(..., 2)`` image pixels, without sway."""
        return xyz_m[..., :2] / xyz_m[..., 2:] * self.focal_px + np.array(self.centre)

    def ends(
        self, points: NDArray[np.float64], radii_m: NDArray[np.float64], sway: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """``(N, 4)`` x, y, depth and radius in pixels of points ``(N, 3)`` with radii ``(N,)``."""
        xy = self.project(points) + sway
        return np.concatenate(
            [xy, points[:, 2:], (radii_m / points[:, 2] * self.focal_px)[:, None]], axis=1
        )


@dataclass(frozen=True, kw_only=True)
class Backdrop:
    """A painted wall and floor, the light, and the sensor's grain.

    Args:
        texture: ``(3, H + 2 m, W + 2 m)`` float32 RGB 0..255.
        margin: m, pixels on each side that sway may uncover.
        light: ``(3,)`` direction towards the light.
        ambient: Brightness of surfaces that face away from it.
        grain: ``(3, H + 16, W + 16)`` float32 noise, grey levels.
        seed: Decides how the grain moves from frame to frame.
    """

    texture: NDArray[np.float32]
    margin: int
    light: NDArray[np.float64]
    ambient: float
    grain: NDArray[np.float32]
    seed: int

    def at(
        self, index: int, times: NDArray[np.float64], camera: Camera
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Background of a frame, and the pixels it moves until the next one."""
        sway = camera.sway(times)
        width, height = camera.size
        corner = self.margin - sway[0]
        left, top = np.floor(corner).astype(int)
        fx, fy = (corner - (left, top)).astype(np.float32)
        block = self.texture[:, top : top + height + 1, left : left + width + 1]
        rows = block[:, :-1] + fy * (block[:, 1:] - block[:, :-1])
        return rows[:, :, :-1] + fx * (rows[:, :, 1:] - rows[:, :, :-1]), sway[1] - sway[0]

    def sensor(self, image: NDArray[np.float32], index: int) -> NDArray[np.uint8]:
        """Add the frame's grain to a ``(3, H, W)`` picture and round to bytes."""
        dx, dy = np.random.default_rng([self.seed, index, 5]).integers(0, 16, 2)
        height, width = image.shape[1:]
        noisy = image + self.grain[:, dy : dy + height, dx : dx + width]
        return np.clip(noisy + 0.5, 0, 255).astype(np.uint8)


def _smooth_noise(rng: Rng, size: tuple[int, int], cells: int) -> NDArray[np.float32]:
    """``(H, W)`` noise in about -1..1 with ``cells`` bumps across."""
    rows = max(2, round(cells * size[1] / size[0]))
    coarse = rng.normal(size=(rows, max(2, cells))).astype(np.float32)
    return np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))


def _muted(rng: Rng) -> NDArray[np.float64]:
    """A colour of random brightness and mostly low saturation."""
    return np.clip(rng.uniform(25, 225) + rng.normal(size=3) * rng.uniform(5, 50), 0, 255)


def draw_backdrop(rng: Rng, size: tuple[int, int], camera: Camera) -> Backdrop:
    """Paint wall, floor, noise at several scales, and a few bars and boxes as clutter."""
    margin = int(np.ceil(camera.sway_px)) + 2
    width, height = size[0] + 2 * margin, size[1] + 2 * margin
    wall, floor = _muted(rng), _muted(rng)
    horizon = int(margin + camera.centre[1] + size[1] * rng.uniform(0.05, 0.3))
    texture = np.empty((3, height, width), np.float32)
    slope = np.linspace(rng.uniform(-40, 40), rng.uniform(-40, 40), height, dtype=np.float32)
    texture[:] = wall.astype(np.float32)[:, None, None] + slope[:, None]
    texture[:, horizon:] = floor.astype(np.float32)[:, None, None] + slope[horizon:, None]
    for cells in (3, 9, 30):
        texture += rng.uniform(0, 22) * _smooth_noise(rng, (width, height), cells)
    for _ in range(int(rng.integers(0, 9))):
        long, thin = rng.uniform(0.1, 0.6) * height, rng.uniform(0.02, 0.15) * height
        w, h = (long, thin) if rng.random() < 0.5 else (thin, long)
        x, y = rng.uniform(-w / 2, width), rng.uniform(-h / 2, height)
        colour = _muted(rng).astype(np.float32)[:, None, None]
        part = texture[:, max(0, int(y)) : int(y + h), max(0, int(x)) : int(x + w)]
        part += rng.uniform(0.3, 1.0) * (colour - part)
    light = np.array([rng.uniform(-0.8, 0.8), rng.uniform(-1.0, -0.2), rng.uniform(-1.0, -0.3)])
    grain_shape = (3, size[1] + 16, size[0] + 16)
    grain = rng.uniform(0, 8) * rng.standard_normal(grain_shape, dtype=np.float32)
    return Backdrop(
        texture=np.clip(texture, 0, 255),
        margin=margin,
        light=light / np.linalg.norm(light),
        ambient=float(rng.uniform(0.35, 0.65)),
        grain=grain.astype(np.float32),
        seed=int(rng.integers(0, 2**31)),
    )


@dataclass(frozen=True, kw_only=True)
class Obstacle:
    """A post, a bar or a ball between the camera and a person.

    Args:
        base: ``(2, 3)`` its ends, metres in camera axes.
        radius_m: Its radius.
        swing: ``(3,)`` how far it moves, metres.
        rate_hz: How often.
        colour: RGB 0..255.
        stripes: Bands along it.
    """

    base: NDArray[np.float64]
    radius_m: float
    swing: NDArray[np.float64]
    rate_hz: float
    colour: NDArray[np.float64]
    stripes: float

    def capsule(self, times: NDArray[np.float64], camera: Camera) -> Capsule:
        """The obstacle as it is drawn at ``times[0]``, with its place at ``times[1]``."""
        sway = camera.sway(times)
        radii = np.full(2, self.radius_m)
        now, later = (
            camera.ends(self.base + self.swing * np.sin(2 * np.pi * self.rate_hz * t), radii, s)
            for t, s in zip(times, sway, strict=True)
        )
        return Capsule(now, later, self.colour, -1, self.stripes, 0.4)


def draw_obstacles(rng: Rng, count: int, people: list[Person], camera: Camera) -> list[Obstacle]:
    """Obstacles at 0.6 to 0.85 of the depth of some person each."""
    out = []
    for _ in range(count if people else 0):
        person = people[int(rng.integers(len(people)))]
        depth = person.depth_m * rng.uniform(0.6, 0.85)
        x = person.centre_x_m * depth / person.depth_m + rng.normal() * 0.35
        y = rng.uniform(-0.4, camera.height_m)
        kind = rng.random()
        if kind < 0.4:
            ends = np.array([[x, -3.0, depth], [x, camera.height_m, depth]])
        elif kind < 0.7:
            ends = np.array([[x - 0.3, y, depth], [x + 0.3, y + rng.normal() * 0.2, depth]])
        else:
            ends = np.array([[x, y, depth], [x, y + 0.01, depth]])
        out.append(
            Obstacle(
                base=ends,
                radius_m=float(rng.uniform(0.04, 0.16)),
                swing=np.array([rng.uniform(0, 0.8), 0.0, 0.0]),
                rate_hz=float(rng.uniform(0.05, 0.5)),
                colour=rng.uniform(10, 245, 3),
                stripes=float(rng.choice([0, 3, 8])),
            )
        )
    return out

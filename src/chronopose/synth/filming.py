"""The one behind the camera: standing still, holding it by hand, panning or zooming."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from chronopose.synth.camera import Camera, look_at

Style = Literal["static", "handheld", "pan", "zoom"]
STYLES: tuple[Style, ...] = ("static", "handheld", "pan", "zoom")


@dataclass(frozen=True)
class Shooting:
    """How a clip is filmed.

    Args:
        style: One of :data:`STYLES`.
        height_m: Height of the camera, metres.
        focal_px: Focal length at the start, pixels.
        half_width: Half the width of the view at a distance of one metre, metres.
        shake_deg: Spread of a hand's unrest, degrees.
        pan_deg_s: Speed of the pan, degrees a second.
        zoom: Focal length at the end as a share of that at the start.
    """

    style: Style
    height_m: float
    focal_px: float
    half_width: float
    shake_deg: float
    pan_deg_s: float
    zoom: float


def draw_shooting(size: tuple[int, int], lively: bool, rng: np.random.Generator) -> Shooting:
    """Choose style, height and lens.

    Args:
        size: Width and height, pixels.
        lively: Never a camera that stands still, and twice as much unrest.
        rng: Source of randomness.
    """
    shares = (0.0, 0.4, 0.45, 0.15) if lively else (0.4, 0.3, 0.15, 0.15)
    style = STYLES[int(rng.choice(len(STYLES), p=shares))]
    width = np.deg2rad(rng.uniform(45, 70))
    focal = size[0] / 2 / np.tan(width / 2)
    gain = 2.0 if lively else 1.0
    return Shooting(
        style=style,
        height_m=float(rng.uniform(1.15, 2.0)),
        focal_px=float(focal),
        half_width=float(np.tan(width / 2)),
        shake_deg=float(gain * rng.uniform(0.15, 0.7)) if style == "handheld" else 0.0,
        pan_deg_s=float(gain * rng.uniform(3, 12) * rng.choice([-1, 1])) if style == "pan" else 0.0,
        zoom=float(np.exp(gain * rng.uniform(-0.2, 0.2))) if style == "zoom" else 1.0,
    )


def follow_cameras(
    shooting: Shooting,
    middle: NDArray[np.floating],
    time_s: NDArray[np.float64],
    size: tuple[int, int],
    rng: np.random.Generator,
) -> tuple[Camera, ...]:
    """The camera at every moment; it stands over the origin and only turns and zooms.

    Args:
        shooting: How it is filmed.
        middle: ``(2,)`` ground point in the middle of the view, halfway through the clip.
        time_s: ``(M,)`` moments.
        size: Width and height, pixels.
        rng: Draws the hand's unrest.
    """
    place = np.array([0.0, 0.0, shooting.height_m])
    ahead = np.array([*np.asarray(middle, float), 0.95]) - place
    yaw, pitch = np.arctan2(ahead[0], ahead[1]), np.arctan2(ahead[2], np.hypot(*ahead[:2]))
    since = time_s - time_s.mean()
    unrest = np.stack([_wander(time_s, rng) for _ in range(3)]) * np.deg2rad(shooting.shake_deg)
    yaws = yaw + np.deg2rad(shooting.pan_deg_s) * since + unrest[0]
    pitches, rolls = pitch + unrest[1], unrest[2] / 2
    share = (time_s - time_s[0]) / max(float(time_s[-1] - time_s[0]), 1e-9)
    focals = shooting.focal_px * shooting.zoom**share
    cameras = []
    for a, b, roll, focal in zip(yaws, pitches, rolls, focals, strict=True):
        target = place + [np.sin(a) * np.cos(b), np.cos(a) * np.cos(b), np.sin(b)]
        cameras.append(look_at(place, target, size, float(focal), float(roll)))
    if shooting.style == "static":
        return (cameras[0],) * len(cameras)
    return tuple(cameras)


def _wander(time_s: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """``(M,)`` smooth unrest of spread one: slow drift and faster tremble."""
    total = np.zeros(len(time_s))
    for rate_hz, amount in ((0.4, 1.0), (1.1, 0.7), (2.7, 0.35)):
        phase, pace = rng.uniform(0, 2 * np.pi), rate_hz * rng.uniform(0.8, 1.25)
        total += amount * np.sin(2 * np.pi * pace * time_s + phase)
    return total / np.sqrt((1.0 + 0.49 + 0.1225) / 2)

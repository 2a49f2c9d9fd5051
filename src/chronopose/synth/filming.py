"""The one behind the camera: standing still, holding it by hand, panning or zooming."""

from __future__ import annotations

from collections.abc import Sequence
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


PAN_SHARE = 0.6
"""A pan turns to either side by at most this share of half the view."""
LOOK_AT_M = 0.95
"""Height of what the camera looks at, metres."""


def draw_shooting(
    size: tuple[int, int], seconds: float, lively: bool, rng: np.random.Generator
) -> Shooting:
    """Choose style, height and lens.

    Args:
        size: Width and height, pixels; the longer side sees 45 to 70 degrees.
        seconds: Length of the clip. In a long one a pan is slower.
        lively: Never a camera that stands still, and twice as much unrest.
        rng: Source of randomness.
    """
    shares = (0.0, 0.4, 0.45, 0.15) if lively else (0.4, 0.3, 0.15, 0.15)
    style = STYLES[int(rng.choice(len(STYLES), p=shares))]
    width = np.deg2rad(rng.uniform(45, 70))
    focal = max(size) / 2 / np.tan(width / 2)
    half_width = size[0] / 2 / focal
    gain = 2.0 if lively else 1.0
    most = PAN_SHARE * np.rad2deg(np.arctan(half_width)) / (seconds / 2)
    height, shake = rng.uniform(1.15, 2.0), gain * rng.uniform(0.15, 0.7)
    pan = min(gain * rng.uniform(3, 12), most) * rng.choice([-1, 1])
    zoom = np.exp(gain * rng.uniform(-0.2, 0.2))
    return Shooting(
        style=style,
        height_m=float(height),
        focal_px=float(focal),
        half_width=float(half_width),
        shake_deg=float(shake) if style == "handheld" else 0.0,
        pan_deg_s=float(pan) if style == "pan" else 0.0,
        zoom=float(zoom) if style == "zoom" else 1.0,
    )


def follow_cameras(
    shooting: Shooting,
    focus_m: float,
    time_s: NDArray[np.float64],
    size: tuple[int, int],
    rng: np.random.Generator,
) -> tuple[Camera, ...]:
    """The camera at every moment.

    It stands over the origin, looks along +y and only turns and zooms. If it stands still, all
    cameras are one object.

    Args:
        shooting: How it is filmed.
        focus_m: How far away the person stands who is in the middle of its picture, metres.
        time_s: ``(M,)`` moments.
        size: Width and height, pixels.
        rng: Draws the hand's unrest.
    """
    place = np.array([0.0, 0.0, shooting.height_m])
    pitch = np.arctan2(LOOK_AT_M - shooting.height_m, focus_m)
    since = time_s - time_s.mean()
    unrest = np.stack([_wander(time_s, rng) for _ in range(3)]) * np.deg2rad(shooting.shake_deg)
    yaws = np.deg2rad(shooting.pan_deg_s) * since + unrest[0]
    pitches, rolls = pitch + unrest[1], unrest[2] / 2
    share = (time_s - time_s[0]) / max(float(time_s[-1] - time_s[0]), 1e-9)
    focals = shooting.focal_px * shooting.zoom**share
    cameras = []
    for a, b, roll, focal in zip(yaws, pitches, rolls, focals, strict=True):
        ahead = np.array([np.sin(a) * np.cos(b), np.cos(a) * np.cos(b), np.sin(b)])
        cameras.append(look_at(place, place + ahead, size, float(focal), float(roll)))
    if shooting.style == "static":
        return (cameras[0],) * len(cameras)
    return tuple(cameras)


def share_in_picture(
    cameras: Sequence[Camera], points: NDArray[np.floating]
) -> NDArray[np.float64]:
    """``(M,)`` share of the world points ``(M, P, 3)`` that M cameras have in their pictures."""
    turns = np.stack([c.rotation for c in cameras])
    seen = np.einsum("mab,mpb->mpa", turns, points)
    seen += np.stack([c.translation for c in cameras])[:, None]
    lenses = np.stack([c.intrinsics for c in cameras])[:, None]
    depth = np.maximum(seen[..., 2], 1e-6)
    x = seen[..., 0] / depth * lenses[..., 0, 0] + lenses[..., 0, 2]
    y = seen[..., 1] / depth * lenses[..., 1, 1] + lenses[..., 1, 2]
    width, height = cameras[0].size
    inside = (seen[..., 2] > 0.1) & (np.abs(x + 0.5 - width / 2) < width / 2)
    found: NDArray[np.float64] = (inside & (np.abs(y + 0.5 - height / 2) < height / 2)).mean(1)
    return found


def _wander(time_s: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """``(M,)`` smooth unrest of spread one: slow drift and faster tremble."""
    total = np.zeros(len(time_s))
    for rate_hz, amount in ((0.4, 1.0), (1.1, 0.7), (2.7, 0.35)):
        phase, pace = rng.uniform(0, 2 * np.pi), rate_hz * rng.uniform(0.8, 1.25)
        total += amount * np.sin(2 * np.pi * pace * time_s + phase)
    return total / np.sqrt((1.0 + 0.49 + 0.1225) / 2)

"""Light from all around: directions of a panorama, spherical harmonics, splitting off a sun.

A panorama is ``(h, w, 3)`` linear radiance, equirectangular: row 0 looks up, the middle column
along +y, columns to the right of it towards +x (see :class:`chronopose.synth.scene.Environment`).

Source: Ramamoorthi and Hanrahan, "An Efficient Representation for Irradiance Environment Maps":
nine coefficients of the radiance, each scaled by what a cosine lobe leaves of its band.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from chronopose.errors import ShapeError
from chronopose.synth.camera import Camera

LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Weights of linear red, green and blue (ITU-R BT.709)."""

_SUN_RADIUS = np.radians(6.0)
_RING = np.radians(9.0), np.radians(16.0)
_SUN_SHARE = 0.25


def panorama_directions(height: int, width: int) -> NDArray[np.float32]:
    """``(height, width, 3)`` world directions of the pixels' centres, of length one."""
    across = ((np.arange(width) + 0.5) / width - 0.5) * 2 * np.pi
    down = (np.arange(height) + 0.5) / height * np.pi
    flat, up = np.sin(down)[:, None], np.cos(down)[:, None]
    parts = np.sin(across) * flat, np.cos(across) * flat, np.broadcast_to(up, (height, width))
    return np.stack(parts, -1).astype(np.float32)


def solid_angles(height: int, width: int) -> NDArray[np.float32]:
    """``(height, 1)`` steradians that a pixel of each row covers; the panorama sums to 4 pi."""
    edges = np.cos(np.arange(height + 1) / height * np.pi)
    return ((edges[:-1] - edges[1:]) * (2 * np.pi / width))[:, None].astype(np.float32)


def look_up(panorama: NDArray[np.float32], rays: NDArray[np.floating]) -> NDArray[np.float32]:
    """Radiance ``(..., 3)`` seen along unit directions ``(..., 3)``, bilinear; columns wrap."""
    height, width = panorama.shape[:2]
    x = (np.arctan2(rays[..., 0], rays[..., 1]) / (2 * np.pi) + 0.5) * width - 0.5
    y = np.arccos(np.clip(rays[..., 2], -1, 1)) / np.pi * height - 0.5
    y = np.clip(y, 0, height - 1)
    left, top = np.floor(x).astype(np.int64), np.minimum(np.floor(y).astype(np.int64), height - 2)
    right, top = (left + 1) % width, np.maximum(top, 0)
    across, down = (x - left)[..., None].astype(np.float32), (y - top)[..., None]
    left, below = left % width, np.minimum(top + 1, height - 1)
    above = panorama[top, left] * (1 - across) + panorama[top, right] * across
    under = panorama[below, left] * (1 - across) + panorama[below, right] * across
    return (above + (under - above) * down).astype(np.float32)


def harmonic_basis(directions: NDArray[np.floating]) -> NDArray[np.float32]:
    """The nine real spherical harmonics of bands 0 to 2 at unit directions, ``(..., 9)``."""
    x, y, z = np.moveaxis(np.asarray(directions, np.float32), -1, 0)
    one = np.ones_like(x)
    parts = (
        0.282095 * one,
        0.488603 * y, 0.488603 * z, 0.488603 * x,
        1.092548 * x * y, 1.092548 * y * z, 0.315392 * (3 * z * z - 1),
        1.092548 * x * z, 0.546274 * (x * x - y * y),
    )  # fmt: skip
    return np.stack(parts, -1).astype(np.float32)


def irradiance_harmonics(panorama: NDArray[np.float32]) -> NDArray[np.float32]:
    """``(9, 3)`` coefficients of irradiance / pi around; a panorama of ones gives ones.

    Raises:
        ShapeError: The panorama is not ``(h, w, 3)``.
    """
    if panorama.ndim != 3 or panorama.shape[-1] != 3:
        raise ShapeError(f"A panorama must be (h, w, 3) linear radiance; got {panorama.shape}.")
    height, width = panorama.shape[:2]
    basis = (
        harmonic_basis(panorama_directions(height, width)) * solid_angles(height, width)[..., None]
    )
    radiance = basis.reshape(-1, 9).T @ np.asarray(panorama, np.float32).reshape(-1, 3)
    lobe = np.array([1] + [2 / 3] * 3 + [1 / 4] * 5, np.float32)
    return (radiance * lobe[:, None]).astype(np.float32)


def lit(harmonics: NDArray[np.float32], normals: NDArray[np.floating]) -> NDArray[np.float32]:
    """Irradiance / pi ``(..., 3)`` on surfaces with these normals ``(..., 3)``; never negative."""
    return np.maximum(harmonic_basis(normals) @ harmonics, 0)


def split_sun(
    panorama: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Take the sun, or the one lamp that rules, out of a panorama.

    The sun is what exceeds the ring around the brightest place above the horizon, within six
    degrees of it. It counts as a sun if it gives at least a quarter of what the rest of the
    panorama gives a surface on average; otherwise there is none.

    Returns:
        The panorama without the sun, ``(h, w, 3)``; the direction to it, ``(3,)``, of length one
        (straight up without one); its irradiance / pi at normal incidence, ``(3,)``, zeros
        without one.
    """
    height, width = panorama.shape[:2]
    directions, angle = panorama_directions(height, width), solid_angles(height, width)
    luminance = panorama @ LUMINANCE
    peak = np.argmax(np.where(directions[..., 2] > 0, luminance, -1))
    near = directions @ directions.reshape(-1, 3)[peak]
    ring = (near < np.cos(_RING[0])) & (near > np.cos(_RING[1])) & (directions[..., 2] > 0)
    none = panorama, np.array([0, 0, 1], np.float32), np.zeros(3, np.float32)
    if not ring.any():
        return none
    around = np.median(panorama[ring], 0)
    row, column = np.nonzero(near > np.cos(_SUN_RADIUS))
    excess = np.maximum(panorama[row, column] - around, 0) * angle[row]
    sun = excess.sum(0)
    rest = (luminance * angle).sum() - sun @ LUMINANCE
    if sun @ LUMINANCE < _SUN_SHARE * rest / 4:
        return none
    direction = (excess @ LUMINANCE) @ directions[row, column]
    without = panorama.copy()
    without[row, column] = np.minimum(panorama[row, column], around)
    return without, direction / np.linalg.norm(direction), (sun / np.pi).astype(np.float32)


def background_flow(camera: Camera, following: Camera) -> NDArray[np.float32]:
    """``(H, W, 2)`` pixels that an infinitely far background moves between two cameras.

    Only the turn and the lens count. Places that turn out of sight altogether stay where they are.
    """
    width, height = camera.size
    back = np.linalg.inv(_plain(camera))
    matrix = _plain(following) @ following.rotation @ camera.rotation.T @ back
    x, y = np.arange(width), np.arange(height)[:, None]
    moved = [matrix[i, 0] * x + matrix[i, 1] * y + matrix[i, 2] for i in range(3)]
    seen = moved[2] > 1e-6
    depth = np.where(seen, moved[2], 1)
    flow = np.stack([moved[0] / depth - x, moved[1] / depth - y], -1)
    return np.where(seen[..., None], flow, 0).astype(np.float32)


def _plain(camera: Camera) -> NDArray[np.float64]:
    matrix = np.eye(3)
    matrix[[0, 1], [0, 1]] = camera.intrinsics[[0, 1], [0, 1]]
    matrix[:2, 2] = camera.intrinsics[:2, 2]
    return matrix

"""A pinhole camera without distortion, one a frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Camera:
    """Where a camera stands and how it sees.

    Args:
        intrinsics: ``(3, 3)`` float64; focal lengths and centre in pixels, the centre of the
            top-left pixel being (0, 0).
        rotation: ``(3, 3)`` float64, world to camera: x right, y down, z forward.
        translation: ``(3,)`` float64; ``rotation @ world + translation`` is the camera's frame.
        size: Width and height, pixels.
    """

    intrinsics: NDArray[np.float64]
    rotation: NDArray[np.float64]
    translation: NDArray[np.float64]
    size: tuple[int, int]

    @property
    def place(self) -> NDArray[np.float64]:
        """``(3,)`` where the camera stands in the world, metres."""
        return -self.rotation.T @ self.translation

    def to_camera(self, world: NDArray[np.floating]) -> NDArray[np.float64]:
        """World points ``(..., 3)`` in the camera's frame, metres."""
        return np.asarray(world, np.float64) @ self.rotation.T + self.translation

    def project(
        self, world: NDArray[np.floating]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """World points ``(..., 3)`` -> pixels ``(..., 2)`` and depths ``(...,)`` along z, metres.

        Points at or behind the camera get NaN pixels.
        """
        seen = self.to_camera(world)
        depth = seen[..., 2]
        with np.errstate(divide="ignore", invalid="ignore"):
            flat = np.where(depth[..., None] > 1e-6, seen[..., :2] / depth[..., None], np.nan)
        focal = self.intrinsics[[0, 1], [0, 1]]
        return flat * focal + self.intrinsics[:2, 2], depth

    def rays(self) -> NDArray[np.float64]:
        """``(H, W, 3)`` world directions through the pixel centres, of length one."""
        width, height = self.size
        x, y = np.meshgrid(np.arange(width), np.arange(height))
        flat = (np.stack([x, y], -1) - self.intrinsics[:2, 2]) / self.intrinsics[[0, 1], [0, 1]]
        rays = np.concatenate([flat, np.ones((height, width, 1))], -1) @ self.rotation
        return rays / np.linalg.norm(rays, axis=-1, keepdims=True)


def look_at(
    place: NDArray[np.floating],
    target: NDArray[np.floating],
    size: tuple[int, int],
    focal_px: float,
    roll_rad: float = 0.0,
) -> Camera:
    """A camera at ``place`` whose axis passes through ``target``; both ``(3,)``, metres.

    Args:
        place: Where it stands.
        target: What is in the middle of its picture.
        size: Width and height, pixels.
        focal_px: Focal length, pixels.
        roll_rad: Turn around the axis; positive turns the picture clockwise.
    """
    place = np.asarray(place, np.float64)
    forward = np.asarray(target, np.float64) - place
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    cos, sin = np.cos(roll_rad), np.sin(roll_rad)
    rotation = np.stack([cos * right + sin * down, cos * down - sin * right, forward])
    width, height = size
    intrinsics = np.array(
        [[focal_px, 0, (width - 1) / 2], [0, focal_px, (height - 1) / 2], [0, 0, 1.0]]
    )
    return Camera(intrinsics, rotation, -rotation @ place, size)

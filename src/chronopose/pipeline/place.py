"""Where a lifted person stands: the root's place that explains the 2D pose best.

A lifter says how a body is posed, not where it is. If the camera is a pinhole of known focal
length, a pose of known size in millimetres fits its picture at one distance only. The answer is
as good as the two assumptions: a focal length that is 10 % wrong makes the distance about 10 %
wrong, and so does a person who is 10 % taller than the lifter believes. Directions and motion
across the picture are much better than distance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chronopose.errors import UsageError
from chronopose.refine.filters import kalman_rts

Array = NDArray[np.float64]

USUAL_FOCAL = 1.145
"""Focal length over the longer side of the picture where nobody says: that of Human3.6M's cameras
(1145 px in pictures of 1000 px, an angle of view of 47 degrees), which lifters learn from."""
ROUNDS = 10
NEAREST_MM, FARTHEST_MM = 300.0, 1e6
LEAST_WEIGHT = 0.05
DEPTH_DRIFT = 0.25
"""Spread by which the speed of the logarithm of the distance changes within a second, 1 / s: one
metre a second at four metres."""


@dataclass(frozen=True)
class Pinhole:
    """A camera without distortion.

    Args:
        focal_px: Focal length, pixels.
        centre_px: x, y of the principal point, pixels.
    """

    focal_px: float
    centre_px: tuple[float, float]

    @classmethod
    def assumed(
        cls, size: tuple[int, int], *, focal_px: float | None = None, fov_deg: float | None = None
    ) -> Pinhole:
        """The camera of a video of which little is known; its axis meets the picture's middle.

        Args:
            size: Width and height of the picture, pixels.
            focal_px: Focal length, if known.
            fov_deg: Else the angle of view along the longer side; :data:`USUAL_FOCAL` if neither.

        Raises:
            UsageError: both are given, or one is out of range.
        """
        longer = max(size)
        if focal_px is not None and fov_deg is not None:
            raise UsageError("Give the focal length or the angle of view, not both.")
        if focal_px is not None and not 0 < focal_px < math.inf:
            raise UsageError(f"The focal length must be above 0 px; got {focal_px}.")
        if fov_deg is not None and not 0 < fov_deg < 180:
            raise UsageError(f"The angle of view must be within 0 and 180 degrees; got {fov_deg}.")
        if focal_px is None:
            focal_px = USUAL_FOCAL * longer
            if fov_deg is not None:
                focal_px = longer / 2 / math.tan(math.radians(fov_deg) / 2)
        return cls(float(focal_px), ((size[0] - 1) / 2, (size[1] - 1) / 2))

    def project(self, xyz_mm: NDArray[np.floating]) -> Array:
        """Camera millimetres ``(..., 3)`` -> pixels ``(..., 2)``; NaN at and behind the camera."""
        xyz = np.asarray(xyz_mm, np.float64)
        depth = np.where(xyz[..., 2:] > 0, xyz[..., 2:], np.nan)
        return self.pixels(xyz[..., :2] / depth)

    def pixels(self, rays: Array) -> Array:
        """Inverse of :meth:`rays`."""
        return np.asarray(rays * self.focal_px + self.centre_px)

    def rays(self, xy_px: NDArray[np.floating]) -> Array:
        """Pixels ``(..., 2)`` -> x and y at distance 1."""
        return np.asarray((np.asarray(xy_px, np.float64) - self.centre_px) / self.focal_px)


def fit_root(
    root_mm: NDArray[np.floating],
    xy_px: NDArray[np.floating],
    score: NDArray[np.floating],
    camera: Pinhole,
) -> Array:
    """The root's place in each frame by itself.

    Least squares of the distances between projected and found joints, weighed by the scores:
    Gauss-Newton from the place that fits without perspective (the size of the body over its size
    in the picture).

    Args:
        root_mm: ``(N, J, 3)`` joints from the root, axes of the camera.
        xy_px: ``(N, J, 2)`` the same joints in the picture.
        score: ``(N, J)`` in [0, 1]; joints count at least 0.05.
        camera: How the picture came about.

    Returns:
        ``(N, 3)`` millimetres.
    """
    body, seen = np.asarray(root_mm, np.float64), camera.rays(xy_px)
    weight = np.maximum(np.asarray(score, np.float64), LEAST_WEIGHT)[..., None]
    weight = weight / weight.sum(1, keepdims=True)

    def spread(points: Array) -> Array:
        off = points - (weight * points).sum(1, keepdims=True)
        return np.asarray(np.sqrt((weight * off**2).sum((1, 2))))

    far = spread(body[..., :2]) / np.maximum(spread(seen), 1e-9)
    place = np.zeros((len(body), 3))
    place[:, 2] = np.clip(far, NEAREST_MM, FARTHEST_MM)
    place[:, :2] = _across(body, seen, weight, place[:, 2])
    eye = np.eye(2)
    for _ in range(ROUNDS):
        at = body + place[:, None]
        depth = np.maximum(at[..., 2], NEAREST_MM)[..., None]
        told = at[..., :2] / depth
        slope = np.concatenate([eye / depth[..., None], -(told / depth)[..., None]], axis=-1)
        pull = np.einsum("njk,njka,njkb->nab", np.repeat(weight, 2, -1), slope, slope)
        push = np.einsum("njk,njka,njk->na", np.repeat(weight, 2, -1), slope, seen - told)
        damp = 1e-9 * np.trace(pull, axis1=1, axis2=2)[:, None, None] * np.eye(3)
        step = np.linalg.solve(pull + damp, push[..., None])[..., 0]
        # Half of the distance at most: a step from a poor start may not cross the camera.
        most = 0.5 * np.abs(place[:, 2]) / np.maximum(np.abs(step[:, 2]), 1e-9)
        place += step * np.minimum(most, 1.0)[:, None]
        place[:, 2] = np.clip(place[:, 2], NEAREST_MM, FARTHEST_MM)
    return place


def place_root(
    root_mm: NDArray[np.floating],
    xy_px: NDArray[np.floating],
    score: NDArray[np.floating],
    time_s: NDArray[np.floating],
    camera: Pinhole,
    *,
    depth_noise: float = 0.05,
) -> Array:
    """The root's place over time with a steady distance; arguments as for :func:`fit_root`.

    The distance of a single frame trembles by several percent, the direction does not. So the
    distance (its logarithm) is smoothed by a Kalman filter of constant velocity in real time, and
    x and y are fitted again at the smoothed distance: the pose stays where it is in the picture.

    Args:
        time_s: ``(N,)`` rising, seconds.
        depth_noise: Spread of the distance of one frame, as a share of it; 0 for no smoothing.

    Returns:
        ``(N, 3)`` millimetres.
    """
    place = fit_root(root_mm, xy_px, score, camera)
    if depth_noise <= 0 or len(place) < 2:
        return place
    log = kalman_rts(np.log(place[:, None, 2:]), time_s, noise=depth_noise, speed_drift=DEPTH_DRIFT)
    place[:, 2] = np.exp(log[:, 0, 0])
    weight = np.maximum(np.asarray(score, np.float64), LEAST_WEIGHT)[..., None]
    body = np.asarray(root_mm, np.float64)
    place[:, :2] = _across(body, camera.rays(xy_px), weight, place[:, 2])
    return place


def _across(body: Array, seen: Array, weight: Array, far: Array) -> Array:
    """``(N, 2)`` x and y that fit best at given distances."""
    depth = np.maximum(body[..., 2:] + far[:, None, None], NEAREST_MM)
    share = weight / depth**2
    return np.asarray((share * (seen * depth - body[..., :2])).sum(1) / share.sum(1))

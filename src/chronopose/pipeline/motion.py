"""BoxMotion: where a box will be, in real time.

A constant-velocity Kalman filter of a box's centre and size. Time is in seconds, so the same
numbers serve every frame rate and a video whose rate varies.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

DRIFT = np.array([4.0, 4.0, 1.0, 1.0])
"""How fast the velocity of (x, y, width, height) wanders, box heights squared a cubed second."""
JITTER = np.array([0.03, 0.03, 0.06, 0.06])
"""Spread of a detected (x, y, width, height), box heights."""
FIRST_SPEED = np.array([1.5, 1.5, 0.5, 0.5])
"""Spread of the velocity of a box seen once, box heights a second."""
STEADY_S = 0.4
"""Seconds for which a box that is not seen keeps its speed."""
COAST_S = 0.7
"""Seconds more after which it has lost most of it."""


def to_centre(xyxy: NDArray[np.floating]) -> Array:
    """``(..., 4)`` left, top, right, bottom -> centre x, y, width, height."""
    box = np.asarray(xyxy, np.float64)
    return np.concatenate([(box[..., :2] + box[..., 2:]) / 2, box[..., 2:] - box[..., :2]], -1)


def to_corners(cxywh: NDArray[np.floating]) -> Array:
    """Inverse of :func:`to_centre`; a negative size becomes zero."""
    box = np.asarray(cxywh, np.float64)
    half = np.maximum(box[..., 2:], 0.0) / 2
    return np.concatenate([box[..., :2] - half, box[..., :2] + half], -1)


class BoxMotion:
    """Position and velocity of one box.

    Args:
        time_s: When the box was seen, seconds.
        xyxy: ``(4,)`` box, image pixels.

    Source:
        The constant-velocity filter with white-noise acceleration, whose spread grows the same
        over one long step as over many short ones; sizes are relative to the box's own height.
    """

    def __init__(self, time_s: float, xyxy: NDArray[np.floating]) -> None:
        self.time_s = time_s
        self._mean = to_centre(xyxy)
        self._speed = np.zeros(4)
        self._p00 = JITTER**2
        self._p01 = np.zeros(4)
        self._p11 = FIRST_SPEED**2

    @property
    def unit_px(self) -> float:
        """The box's longer side, pixels; at least one."""
        return max(float(self._mean[2:].max()), 1.0)

    @property
    def velocity(self) -> Array:
        """``(2,)`` velocity of the centre, pixels a second."""
        return self._speed[:2].copy()

    def at(self, time_s: float) -> tuple[Array, float]:
        """Where the box is expected.

        Returns:
            ``(4,)`` box in image pixels, and the spread of its centre in pixels.
        """
        dt = max(time_s - self.time_s, 0.0)
        p00 = self._grown(dt)[0]
        return to_corners(self._mean + self._speed * _way(dt)), float(
            np.sqrt(p00[0])
        ) * self.unit_px

    def see(self, time_s: float, xyxy: NDArray[np.floating]) -> None:
        """Correct the motion with a box seen at ``time_s``; time may stand still, not run back."""
        dt = max(time_s - self.time_s, 0.0)
        p00, p01, p11 = self._grown(dt)
        expected = self._mean + self._speed * _way(dt)
        surprise = to_centre(xyxy) - expected
        total = p00 + JITTER**2
        self._mean = expected + p00 / total * surprise
        self._speed = self._speed + p01 / total * surprise
        self._p00 = p00 - p00 * p00 / total
        self._p01 = p01 - p00 * p01 / total
        self._p11 = p11 - p01 * p01 / total
        self.time_s = max(time_s, self.time_s)

    def _grown(self, dt: float) -> tuple[Array, Array, Array]:
        """The covariance after ``dt`` seconds without a box."""
        p00 = self._p00 + 2 * dt * self._p01 + dt**2 * self._p11 + DRIFT * dt**3 / 3
        p01 = self._p01 + dt * self._p11 + DRIFT * dt**2 / 2
        return p00, p01, self._p11 + DRIFT * dt


def _way(dt: float) -> float:
    """Seconds of full speed that a box covers in ``dt`` seconds without being seen."""
    late = max(dt - STEADY_S, 0.0)
    return min(dt, STEADY_S) + COAST_S * (1 - math.exp(-late / COAST_S))

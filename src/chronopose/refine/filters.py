"""Filters of joints in time, with real time steps; arrays in, arrays out.

All take ``(T, K, D)`` joints and ``(T,)`` seconds. Frequencies are in Hz, times in s, lengths in
the unit of the joints (pixels, or millimetres in 3D). A joint that is unknown (NaN) stays unknown.
Where it is unknown, or nobody was found, for longer than ``max_gap_s``, the filter starts anew
behind the gap: nothing is carried over it. Across shorter gaps the real time counts.

``step_s`` is the usual time between two frames of the video; without it, the median step of
``time_s``, which is longer for a person who is found now and then. One and a half steps are never a
gap, so that a low frame rate is none. ``parted`` is ``(T, K)``, True where a joint starts anew
though there is no gap: the place before is that of something else, and nothing is carried over.

Savitzky-Golay and Butterworth are made for equal steps. A run whose steps are unequal, or longer
than those of the video, is interpolated (cubic spline) at equal steps of ``step_s``, filtered, and
read at its own times; or :class:`~chronopose.errors.ShapeError` is raised, as the caller wants.

Source    One-Euro: Casiez, Roussel, Vogel, CHI 2012, algorithm 1. Savitzky-Golay, Butterworth and
          the pass in both directions: scipy.signal. Correction of the Butterworth cutoff for two
          passes: Winter, "Biomechanics and Motor Control of Human Movement". Kalman filter with
          constant velocity and Rauch-Tung-Striebel smoother: Bar-Shalom, Li, Kirubarajan,
          "Estimation with Applications to Tracking and Navigation".

Axes: T frame, K joint, D dimension.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.signal import butter, savgol_filter, sosfiltfilt

from chronopose.errors import ShapeError, UsageError

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Irregular = Literal["resample", "error"]

REGULAR = 0.05
"""Steps that differ from their median by at most this share of it are equal ..."""
ROUNDING_S = 0.0011
"""... and so are steps that differ by no more than times rounded to milliseconds make them."""
FIRST_SPEED = 10.0
"""Spread of the speed of a joint that has just appeared, in ``speed_drift``."""
USUAL = 1.5
"""Steps of up to this many medians are no gap."""


def one_euro(
    xy: NDArray[np.floating],
    time_s: NDArray[np.floating],
    *,
    min_cutoff_hz: float = 1.0,
    beta: float = 0.01,
    speed_cutoff_hz: float = 1.0,
    max_gap_s: float = math.inf,
    step_s: float | None = None,
    parted: Flags | None = None,
) -> Array:
    """One-Euro filter: causal, strong on slow joints and weak on fast ones.

    The cutoff is ``min_cutoff_hz + beta * |speed|`` with the norm of the filtered velocity, so that
    turning the picture does not change the result; ``beta`` is in Hz per (unit / s). The first
    velocity is zero.

    Returns:
        ``(T, K, D)``; NaN where ``xy`` is.
    """
    place, known = _known(xy)
    time = _rising(time_s, place)
    out = np.full_like(place, np.nan)
    value, speed = np.zeros(place.shape[1:]), np.zeros(place.shape[1:])
    anew = np.zeros_like(known) if parted is None else parted
    last_s = np.full(place.shape[1], -math.inf)
    gap_s = max(max_gap_s, USUAL * _usual_step(time, step_s))
    for t in range(len(place)):
        here = known[t]
        step = time[t] - last_s
        fresh = here & ((step > gap_s) | np.isinf(step) | anew[t])
        on = here & ~fresh
        value[fresh], speed[fresh] = place[t, fresh], 0.0
        raw = (place[t, on] - value[on]) / step[on, None]
        speed[on] += _alpha(speed_cutoff_hz, step[on])[:, None] * (raw - speed[on])
        cutoff = min_cutoff_hz + beta * np.linalg.norm(speed[on], axis=-1)
        value[on] += _alpha(cutoff, step[on])[:, None] * (place[t, on] - value[on])
        last_s[here] = time[t]
        out[t, here] = value[here]
    return out


def savitzky_golay(
    xy: NDArray[np.floating],
    time_s: NDArray[np.floating],
    *,
    window_s: float = 0.28,
    order: int = 2,
    max_gap_s: float = math.inf,
    step_s: float | None = None,
    parted: Flags | None = None,
    irregular: Irregular = "resample",
) -> Array:
    """Least-squares polynomials of degree ``order`` in a sliding window; acausal.

    The window has the odd number of frames nearest to ``window_s``, and at least the two more than
    ``order`` without which nothing is smoothed. Runs of fewer frames take a shorter window; those
    too short for any are left as they are.

    Raises:
        ShapeError: unequal steps, and ``irregular`` is ``"error"``.
    """

    def smooth(run: Array, step: float) -> Array:
        odd = 2 * round((window_s / step - 1) / 2) + 1
        window = min(max(odd, order + 2 + (order + 1) % 2), len(run) - 1 + len(run) % 2)
        if window < order + 2:
            return run
        return np.asarray(savgol_filter(run, window, order, axis=0, mode="interp"))

    return _by_run(xy, time_s, smooth, _Parting(max_gap_s, step_s, parted), irregular)


def butterworth(
    xy: NDArray[np.floating],
    time_s: NDArray[np.floating],
    *,
    cutoff_hz: float = 6.0,
    order: int = 2,
    max_gap_s: float = math.inf,
    step_s: float | None = None,
    parted: Flags | None = None,
    irregular: Irregular = "resample",
) -> Array:
    """Zero-phase Butterworth low-pass: ``order`` once forward and once backward; acausal.

    The cutoff is corrected for the two passes: a sine of ``cutoff_hz`` keeps ``1 / sqrt(2)`` of its
    amplitude after both. Runs of fewer than four frames are left as they are.

    Raises:
        UsageError: the frame rate of a run is too low for this cutoff.
        ShapeError: unequal steps, and ``irregular`` is ``"error"``.
    """
    correction = (math.sqrt(2.0) - 1) ** (1 / (2 * order))

    def smooth(run: Array, step: float) -> Array:
        if len(run) < 4:
            return run
        if cutoff_hz * step >= 0.5:
            raise UsageError(
                f"A cutoff of {cutoff_hz:g} Hz needs more than {2 * cutoff_hz:g} frames a second; "
                f"these poses have {1 / step:.3g}. Choose a cutoff below {0.5 / step:.3g} Hz."
            )
        once = math.atan(math.tan(math.pi * cutoff_hz * step) / correction) * 2 / math.pi
        sos = butter(order, once, output="sos")
        pad = min(3 * (2 * len(sos) + 1), len(run) - 1)
        return np.asarray(sosfiltfilt(sos, run, axis=0, padtype="odd", padlen=pad))

    return _by_run(xy, time_s, smooth, _Parting(max_gap_s, step_s, parted), irregular)


def kalman_rts(
    xy: NDArray[np.floating],
    time_s: NDArray[np.floating],
    *,
    noise: float = 3.0,
    speed_drift: float = 300.0,
    score: NDArray[np.floating] | None = None,
    max_gap_s: float = math.inf,
    step_s: float | None = None,
    parted: Flags | None = None,
) -> Array:
    """Kalman filter with constant velocity, smoothed backward (Rauch, Tung, Striebel); acausal.

    Args:
        xy: ``(T, K, D)`` measured joints.
        time_s: ``(T,)`` rising.
        noise: Spread of a measured joint, unit of ``xy``.
        speed_drift: Spread by which a speed changes within a second, unit / s.
        score: ``(T, K)``; the noise of a joint is ``noise / score``, with scores of at least 0.1.
        max_gap_s: Behind a longer gap a joint starts anew.

    Returns:
        ``(T, K, D)`` the most likely places, also of unknown joints inside gaps of up to
        ``max_gap_s``; NaN elsewhere.
    """
    place, known = _known(xy)
    time = _rising(time_s, place)
    out = np.full_like(place, np.nan)
    trust = np.ones(known.shape) if score is None else np.clip(score, 0.1, 1.0)
    for joints, rows in _runs(known, time, _Parting(max_gap_s, step_s, parted)):
        inside = np.arange(rows[0], rows[-1] + 1)
        block = np.ix_(inside, joints)
        out[block] = _rts(place[block], time[inside], (noise / trust[block]) ** 2, speed_drift)
    return out


def _rts(place: Array, time: Array, variance: Array, speed_drift: float) -> Array:
    """Joints ``(T, J, D)`` that are known in the same frames, the first and the last among them."""
    count, joints, dims = place.shape
    state, expected = np.zeros((count, joints, 2, dims)), np.zeros((count, joints, 2, dims))
    cov, grown = np.zeros((count, joints, 2, 2)), np.zeros((count, joints, 2, 2))
    state[0, :, 0] = place[0]
    cov[0, :, 0, 0], cov[0, :, 1, 1] = variance[0], (FIRST_SPEED * speed_drift) ** 2
    move = np.tile(np.eye(2), (count, 1, 1))
    move[1:, 0, 1] = np.diff(time)
    for t in range(1, count):
        dt = time[t] - time[t - 1]
        drift = speed_drift**2 * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
        expected[t] = move[t] @ state[t - 1]
        grown[t] = move[t] @ cov[t - 1] @ move[t].T + drift
        state[t], cov[t] = expected[t], grown[t]
        if np.isfinite(place[t, 0]).all():
            gain = grown[t, :, :, 0] / (grown[t, :, 0, 0] + variance[t])[:, None]
            state[t] += gain[..., None] * (place[t] - expected[t, :, 0])[:, None]
            cov[t] -= gain[..., None] * grown[t, :, :1]
    for t in range(count - 2, -1, -1):
        back = cov[t] @ move[t + 1].T @ np.linalg.inv(grown[t + 1])
        state[t] += back @ (state[t + 1] - expected[t + 1])
    return state[:, :, 0]


def _alpha(cutoff_hz: float | Array, step_s: Array) -> Array:
    """Share of the new value in a first-order low-pass."""
    return np.asarray(1 / (1 + 1 / (2 * math.pi * cutoff_hz * step_s)))


def _known(xy: NDArray[np.floating]) -> tuple[Array, Flags]:
    place = np.asarray(xy, np.float64)
    if place.ndim != 3:
        raise ShapeError(f"Filters take joints (T, K, D); got an array {place.shape}.")
    return place, np.asarray(np.isfinite(place).all(-1))


def _rising(time_s: NDArray[np.floating], place: Array) -> Array:
    time = np.asarray(time_s, np.float64)
    if len(time) != len(place) or not (np.diff(time) > 0).all() or not np.isfinite(time).all():
        raise ShapeError(
            f"{len(place)} frames need as many times that rise; got {len(time)} times"
            f"{'' if len(time) != len(place) else ' that stand still or fall'}."
        )
    return time


def _usual_step(time: Array, step_s: float | None) -> float:
    if step_s is not None:
        return step_s
    return float(np.median(np.diff(time))) if len(time) > 1 else 0.0


@dataclass(frozen=True)
class _Parting:
    """Where a filter starts anew."""

    max_gap_s: float
    step_s: float | None
    parted: Flags | None


def _runs(
    known: Flags, time: Array, parting: _Parting
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Joints that are known and parted in the same frames, with the frames of each run."""
    if not known.size:
        return
    gap_s = max(parting.max_gap_s, USUAL * _usual_step(time, parting.step_s))
    parted = np.zeros_like(known) if parting.parted is None else parting.parted
    patterns, which = np.unique(np.concatenate([known, parted]), axis=1, return_inverse=True)
    for number, pattern in enumerate(patterns.T):
        rows = np.flatnonzero(pattern[: len(known)])
        joints = np.flatnonzero(which.reshape(-1) == number)
        if len(rows):
            anew = (np.diff(time[rows]) > gap_s) | pattern[len(known) :][rows[1:]]
            for run in np.split(rows, np.flatnonzero(anew) + 1):
                yield joints, run


def _by_run(
    xy: NDArray[np.floating],
    time_s: NDArray[np.floating],
    smooth: Callable[[Array, float], Array],
    parting: _Parting,
    irregular: Irregular,
) -> Array:
    """Apply a filter for equal steps to every run of every joint."""
    place, known = _known(xy)
    time = _rising(time_s, place)
    step = _usual_step(time, parting.step_s)
    out = np.full_like(place, np.nan)
    for joints, rows in _runs(known, time, parting):
        block = np.ix_(rows, joints)
        out[block] = _equal_steps(place[block], time[rows], step, smooth, irregular)
    return out


def _equal_steps(
    place: Array,
    time: Array,
    step: float,
    smooth: Callable[[Array, float], Array],
    irregular: Irregular,
) -> Array:
    """Filter one run, ``(N, J, D)`` at ``(N,)`` times, as if it had a place at every step."""
    if len(place) < 3:
        return place
    steps = np.diff(time)
    if np.abs(steps - step).max() <= max(REGULAR * step, ROUNDING_S):
        return smooth(place, float(steps.mean()))
    if irregular == "error":
        raise ShapeError(
            f"This filter needs equal steps, and the time steps between {time[0]:.3f} s and "
            f"{time[-1]:.3f} s are {steps.min():.4g} to {steps.max():.4g} s. Let it resample "
            f"(irregular='resample'), fill the gaps first, or use one-euro or kalman."
        )
    count = max(round((time[-1] - time[0]) / step), len(time) - 1) + 1
    grid = np.linspace(time[0], time[-1], count)
    even = CubicSpline(time, place)(grid)
    return np.asarray(CubicSpline(grid, smooth(even, float(grid[1] - grid[0])))(time))

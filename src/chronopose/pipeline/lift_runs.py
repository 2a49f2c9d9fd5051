"""What a lifter needs before it can start: its own joints, no gaps, and its own frame rate.

Networks that lift learn from clips of one frame rate in which every joint has a place. The poses
of a video have real times, gaps and other joints. Here they become runs: stretches of one person's
track in which every joint is known or was unknown for a moment only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chronopose.core.tracks import PersonTrack

Array = NDArray[np.float64]
ROUNDING_S = 1e-6
"""Presentation times are rounded; a gap of exactly the limit is still short."""
USUAL_STEPS = 1.5
"""A step of up to this many usual ones is no gap, however slow the video is."""


@dataclass(frozen=True)
class Run:
    """A stretch of a track in which every joint has a place.

    Args:
        rows: ``(N,)`` rows of the track.
        time_s: ``(N,)`` their times, seconds, rising.
        xy: ``(N, J, 2)`` image pixels, gaps filled.
        score: ``(N, J)`` in [0, 1].
        filled: ``(N, J)`` joints that were put between known places.
    """

    rows: NDArray[np.intp]
    time_s: Array
    xy: Array
    score: Array
    filled: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.rows)


def runs_of(
    track: PersonTrack,
    *,
    max_gap_s: float = 0.5,
    min_score: float = 0.0,
    filled_score: float = 0.2,
) -> list[Run]:
    """Cut a track into runs and fill the short gaps inside them.

    Args:
        track: 2D poses with the lifter's joints, image pixels.
        max_gap_s: Longest time between two known places of a joint, seconds, that is filled by a
            straight line; before the first and behind the last known place it is held as long.
            Longer ones cut the track. Where frames are further apart than that, so may places be.
        min_score: Joints scored below are unknown.
        filled_score: Score of filled joints.

    Returns:
        Runs in the order of time; none if a joint is never known.
    """
    poses = track.poses
    known = np.isfinite(poses.xy).all(-1) & (poses.score >= min_score)
    if not len(track) or not known.any(0).all():
        return []
    times = track.time_s
    steps = np.diff(times)
    limit = max(max_gap_s, USUAL_STEPS * float(np.median(steps)) if len(steps) else 0.0)
    limit += ROUNDING_S
    usable = np.flatnonzero((known | _short(known, times, limit)).all(1))
    if not len(usable):
        return []
    xy = np.empty(poses.xy.shape)
    score = np.where(known, poses.score, filled_score).astype(np.float64)
    for joint in range(known.shape[1]):
        there = known[:, joint]
        for axis in range(2):
            xy[:, joint, axis] = np.interp(times, times[there], poses.xy[there, joint, axis])
    cuts = np.flatnonzero(np.diff(times[usable]) > limit) + 1
    return [
        Run(rows, times[rows], xy[rows], score[rows], ~known[rows])
        for rows in np.split(usable, cuts)
    ]


def _short(known: NDArray[np.bool_], times: Array, limit_s: float) -> NDArray[np.bool_]:
    """``(N, J)`` unknown joints whose last and next known place are near enough in time."""
    at = np.where(known, times[:, None], -np.inf)
    before = np.maximum.accumulate(at, axis=0)
    after = np.minimum.accumulate(np.where(known, times[:, None], np.inf)[::-1], axis=0)[::-1]
    span = np.where(
        np.isinf(before),
        after - times[:, None],
        np.where(np.isinf(after), times[:, None] - before, after - before),
    )
    return np.asarray(~known & (span <= limit_s))


def steady_times(time_s: Array, rate_hz: float) -> Array:
    """``(M,)`` times at equal steps of ``1 / rate_hz`` from the first one to the last or beyond."""
    span = float(time_s[-1] - time_s[0])
    count = math.ceil(span * rate_hz - ROUNDING_S) + 1
    return np.asarray(time_s[0] + np.arange(max(count, 1)) / rate_hz)


def at_times(values: Array, time_s: Array, wanted_s: Array) -> Array:
    """Linear interpolation in time.

    Args:
        values: ``(N, ...)``.
        time_s: ``(N,)`` rising, seconds.
        wanted_s: ``(M,)`` seconds; beyond the ends the end's value is held.

    Returns:
        ``(M, ...)``.
    """
    if len(time_s) == 1:
        return np.repeat(np.asarray(values, np.float64), len(wanted_s), axis=0)
    left = np.clip(np.searchsorted(time_s, wanted_s, side="right") - 1, 0, len(time_s) - 2)
    share = np.clip((wanted_s - time_s[left]) / (time_s[left + 1] - time_s[left]), 0.0, 1.0)
    share = share.reshape(-1, *([1] * (values.ndim - 1)))
    return np.asarray((1 - share) * values[left] + share * values[left + 1])

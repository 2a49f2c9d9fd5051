"""smooth: joints filtered in time, each person and joint for itself.

Nothing is invented: an unknown joint stays unknown, scores, boxes and ids stay as they are. Fill
short gaps first (:mod:`chronopose.refine.fill_gaps`) where a filter should run through them.

A joint that jumps was taken for another, or found by mistake. A linear filter would smear the
mistake over its neighbours and make them worse, too, so the filters start anew there. A jump stays,
and :mod:`chronopose.refine.crowd_flow` is what repairs it.

One-Euro uses the past only and lags behind fast motion; the others look ahead and do not lag.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from chronopose.core.tracks import PersonTrack, VideoPoses
from chronopose.errors import UsageError
from chronopose.refine._log import EditLog
from chronopose.refine._tracks import looked_at, sizes, with_joints
from chronopose.refine.filters import (
    Array,
    Irregular,
    butterworth,
    kalman_rts,
    one_euro,
    savitzky_golay,
)

STEP = "smooth"
MAX_GAP_S = 0.25
JUMP = 0.08
FASTEST_PER_S = 2.0
"""What a joint may move beside a jump, square roots of the box area a second."""
USUAL_CUTOFF_HZ = 6.0
"""Cutoff of Butterworth for people, as biomechanics has it."""


@dataclass(frozen=True, kw_only=True)
class OneEuroSettings:
    """Settings of :func:`~chronopose.refine.filters.one_euro`: causal, for live use.

    Args:
        min_cutoff_hz: Cutoff for a joint at rest; lower is smoother.
        beta: How much the cutoff grows with the speed, Hz per (px / s); higher lags less.
        speed_cutoff_hz: Cutoff of the filtered speed.
        max_gap_s: Behind a longer gap the filter starts anew, seconds.
        jump: So it does where a joint jumps, see :func:`jumps`; 0 for never.
    """

    min_cutoff_hz: float = 1.0
    beta: float = 0.01
    speed_cutoff_hz: float = 1.0
    max_gap_s: float = MAX_GAP_S
    jump: float = JUMP

    def __post_init__(self) -> None:
        _above_zero(self, "min_cutoff_hz", "speed_cutoff_hz", "max_gap_s")
        if not self.beta >= 0:
            raise UsageError(f"beta must be at least 0; got {self.beta}.")


@dataclass(frozen=True, kw_only=True)
class SavitzkyGolaySettings:
    """Settings of :func:`~chronopose.refine.filters.savitzky_golay`.

    Args:
        window_s: Width of the sliding window, seconds.
        order: Degree of the polynomials.
        max_gap_s: Behind a longer gap the filter starts anew, seconds.
        jump: So it does where a joint jumps, see :func:`jumps`; 0 for never.
        irregular: Unequal time steps: ``resample`` or ``error``.
    """

    window_s: float = 0.28
    order: int = 2
    max_gap_s: float = MAX_GAP_S
    jump: float = JUMP
    irregular: Irregular = "resample"

    def __post_init__(self) -> None:
        _above_zero(self, "window_s", "max_gap_s")
        if not 0 <= self.order <= 8:
            raise UsageError(f"order must be 0 to 8; got {self.order}. 2 is usual.")
        _check_irregular(self.irregular)


@dataclass(frozen=True, kw_only=True)
class ButterworthSettings:
    """Settings of :func:`~chronopose.refine.filters.butterworth`.

    Args:
        cutoff_hz: Frequency of which 1 / sqrt(2) is left after both passes; None: 6 Hz, or a
            quarter of the frame rate where that is lower.
        order: Order of one pass; 2 is the "fourth-order zero-lag" filter of biomechanics.
        max_gap_s: Behind a longer gap the filter starts anew, seconds.
        jump: So it does where a joint jumps, see :func:`jumps`; 0 for never.
        irregular: Unequal time steps: ``resample`` or ``error``.
    """

    cutoff_hz: float | None = None
    order: int = 2
    max_gap_s: float = MAX_GAP_S
    jump: float = JUMP
    irregular: Irregular = "resample"

    def __post_init__(self) -> None:
        _above_zero(self, *(["cutoff_hz"] if self.cutoff_hz is not None else []), "max_gap_s")
        if not 1 <= self.order <= 8:
            raise UsageError(f"order must be 1 to 8; got {self.order}. 2 is usual.")
        _check_irregular(self.irregular)


@dataclass(frozen=True, kw_only=True)
class KalmanSettings:
    """Settings of :func:`~chronopose.refine.filters.kalman_rts`.

    Args:
        noise_px: Spread of a joint that is scored 1, pixels (millimetres in 3D).
        speed_drift_px_s: Spread by which a speed changes within a second, px / s.
        by_score: The noise of a joint is ``noise_px / score``, scores of at least 0.1.
        max_gap_s: Behind a longer gap the filter starts anew, seconds.
        jump: So it does where a joint jumps, see :func:`jumps`; 0 for never.
    """

    noise_px: float = 3.0
    speed_drift_px_s: float = 300.0
    by_score: bool = True
    max_gap_s: float = MAX_GAP_S
    jump: float = JUMP

    def __post_init__(self) -> None:
        _above_zero(self, "noise_px", "speed_drift_px_s", "max_gap_s")


SmoothSettings = OneEuroSettings | SavitzkyGolaySettings | ButterworthSettings | KalmanSettings

METHODS: dict[str, type[SmoothSettings]] = {
    "one-euro": OneEuroSettings,
    "savitzky-golay": SavitzkyGolaySettings,
    "butterworth": ButterworthSettings,
    "kalman": KalmanSettings,
}
"""Name on the command line -> settings, which say which filter is meant."""


def smooth(
    poses: VideoPoses, settings: SmoothSettings | None = None, *, log: EditLog | None = None
) -> VideoPoses:
    """Filter every joint of every person in time.

    Args:
        poses: 2D or 3D poses of a video.
        settings: Which filter; Butterworth by default.
        log: Takes an edit for every joint that moved.

    Returns:
        The same people in the same frames, one more line of history.

    Raises:
        UsageError: the frame rate is too low for the filter.
        ShapeError: unequal time steps and settings that refuse them.
    """
    from chronopose import __version__

    chosen = settings or ButterworthSettings()
    times = looked_at(poses)[1]
    step_s = float(np.median(np.diff(times))) if len(times) > 1 else None
    if isinstance(chosen, ButterworthSettings) and chosen.cutoff_hz is None:
        usual = USUAL_CUTOFF_HZ if step_s is None else min(USUAL_CUTOFF_HZ, 0.25 / step_s)
        chosen = replace(chosen, cutoff_hz=usual)
    tracks = tuple(_smoothed(t, chosen, step_s) for t in poses.tracks)
    after = replace(poses, tracks=tracks)
    if log is not None:
        log.compare(STEP, poses, after)
    name = next(n for n, kind in METHODS.items() if isinstance(chosen, kind))
    return after.with_step(STEP, {"method": name, **asdict(chosen)}, __version__)


def jumps(track: PersonTrack, jump: float) -> NDArray[np.bool_]:
    """Where a joint is farther from its last known place than a body moves.

    Args:
        track: 2D in image pixels; in 3D, where boxes tell no size, nothing is a jump.
        jump: The most that a joint moves at once, square roots of the box area, beside
            :data:`FASTEST_PER_S` of them for each second between the two places; 0: nothing is a
            jump.

    Returns:
        ``(N, K)`` True in the frame behind the jump.
    """
    found = np.zeros(track.poses.score.shape, bool)
    if track.poses.space != "image_px" or jump == 0:
        return found
    xy, size = track.poses.xy.astype(np.float64), sizes(track)
    known = np.asarray(np.isfinite(xy).all(-1))
    for k in range(xy.shape[1]):
        rows = np.flatnonzero(known[:, k])
        way = np.linalg.norm(np.diff(xy[rows, k], axis=0), axis=-1)
        reach = jump + FASTEST_PER_S * np.diff(track.time_s[rows])
        found[rows[1:], k] = way > reach * size[rows[:-1]]
    return found


def _smoothed(track: PersonTrack, settings: SmoothSettings, step_s: float | None) -> PersonTrack:
    given = asdict(settings)
    xy, time, parted = track.poses.xy, track.time_s, jumps(track, given.pop("jump"))
    if isinstance(settings, KalmanSettings):
        place = kalman_rts(
            xy, time, noise=settings.noise_px, speed_drift=settings.speed_drift_px_s,
            score=track.poses.score if settings.by_score else None, max_gap_s=settings.max_gap_s,
            step_s=step_s, parted=parted,
        )  # fmt: skip
        place[~np.isfinite(xy).all(-1)] = np.nan
        return with_joints(track, place)
    how: Callable[..., Array] = butterworth
    if isinstance(settings, OneEuroSettings):
        how = one_euro
    elif isinstance(settings, SavitzkyGolaySettings):
        how = savitzky_golay
    return with_joints(track, how(xy, time, step_s=step_s, parted=parted, **given))


def _above_zero(settings: SmoothSettings, *names: str) -> None:
    if not 0 <= settings.jump < float("inf"):
        raise UsageError(f"jump must be at least 0; got {settings.jump}.")
    for name in names:
        value = getattr(settings, name)
        if not 0 < value < float("inf"):
            raise UsageError(f"{name} must be a number above 0; got {value}.")


def _check_irregular(how: str) -> None:
    if how not in ("resample", "error"):
        raise UsageError(f"irregular must be resample or error; got {how!r}.")

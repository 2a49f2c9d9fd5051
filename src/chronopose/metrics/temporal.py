"""Quality of tracked poses in time, without ground truth: jitter, gaps, exchanged ids and sides.

None of these says that a pose is right. They say whether it trembles, disappears or changes its
name, which is what people see first in an overlay. Compare them between methods on the same video:
real motion accelerates too, so there is no good absolute value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from chronopose.core.tracks import PersonTrack, VideoPoses
from chronopose.errors import ShapeError
from chronopose.metrics._exchanges import SeenTrack, id_exchanges, renames, side_swaps
from chronopose.metrics.pck import torso_diagonals, torso_sizes

Array = NDArray[np.floating]


@dataclass(frozen=True)
class TrackQuality:
    """One person of one video."""

    source: str
    """The video, as :attr:`VideoInfo.source` names it."""
    track_id: int
    """The person."""
    frames: int
    """Frames in which the person was found."""
    size_px: float
    """Median size over the track, pixels: what jitter is divided by. NaN if it has none."""
    jitter: float
    """Mean acceleration of a joint in sizes per square second; NaN if it cannot be measured."""
    jitter_median: float
    """Median of the same: unlike the mean it does not see rare jumps."""
    gaps: int
    """Times the person was lost and found again under the same id."""
    missing_frames: int
    """Frames inside these gaps."""
    longest_gap_s: float
    """Time from the last frame before the longest gap to the first one after it; 0 without."""
    joint_coverage: float
    """Share of the track's joints that are known and scored well enough, in [0, 1]."""
    late: bool
    """The id appears after the first frame that was looked at."""
    side_swaps: int
    """Times a left and a right joint probably took each other's name, each pair of joints once."""


@dataclass(frozen=True)
class TemporalResult:
    """What :meth:`TemporalQuality.compute` found; each track has its own line in ``tracks``."""

    tracks: tuple[TrackQuality, ...]
    """Every person of every video."""
    jitter: float
    """Mean over all measured joints and frames of the acceleration, sizes per square second."""
    jitter_median: float
    """Median of the same."""
    gaps: int
    """Sum over the tracks."""
    missing_frames: int
    """Sum over the tracks."""
    longest_gap_s: float
    """Longest of all, seconds."""
    id_births: int
    """Ids that appear after the first frame: people who walk in, and people who were renamed."""
    births_per_minute: float
    """``id_births`` over the time that was looked at; NaN for a single frame."""
    joint_coverage: float
    """Share of the joints of all tracks that are known, in [0, 1]."""
    unmeasured: int
    """Tracks without jitter: fewer than three frames in a row, or no size to divide by."""
    id_switches: int
    """``id_exchanges`` and ``id_renames`` together."""
    id_exchanges: int
    """Times two people who are both there probably took each other's id."""
    id_renames: int
    """Times somebody was lost and found in the same place under another id."""
    side_swaps: int
    """Sum over the tracks: left and right joints that probably took each other's name."""

    def __str__(self) -> str:
        many = f"{len(self.tracks)} tracks"
        lost = f"{self.missing_frames} frames, up to {self.longest_gap_s:.2f} s"
        rows = (
            ("jitter", f"{self.jitter:.2f} sizes/s², median {self.jitter_median:.2f}"),
            ("gaps", f"{self.gaps}, {lost}"),
            ("id switches", f"{self.id_switches}: {self.id_exchanges} exchanged, "
                            f"{self.id_renames} renamed"),
            ("id births", f"{self.id_births}, {self.births_per_minute:.1f} a minute"),
            ("left/right swaps", f"{self.side_swaps}"),
            ("joints known", f"{100 * self.joint_coverage:.1f} %"),
        )  # fmt: skip
        lines = [f"  {name:<18}{value}" for name, value in rows]
        return "\n".join([f"Quality in time of {many}, {self.unmeasured} without jitter", *lines])


def acceleration(xy: Array, time_s: Array) -> NDArray[np.float64]:
    """Norm of the second derivative over three neighbouring frames at their real times.

    Args:
        xy: ``(T, ..., D)`` positions, pixels; NaN where unknown.
        time_s: ``(T,)`` strictly rising, seconds.

    Returns:
        ``(T - 2, ...)`` pixels per square second, NaN where one of the three is unknown; T - 2 is
        zero for shorter input.

    Source:
        Second divided difference: ``2 * ((x2-x1)/(t2-t1) - (x1-x0)/(t1-t0)) / (t2-t0)``, exact
        for constant acceleration whatever the steps.
    """
    position, time = np.asarray(xy, np.float64), np.asarray(time_s, np.float64)
    if len(position) != len(time):
        raise ShapeError(f"{len(position)} positions need as many times; got {len(time)}.")
    if (np.diff(time) <= 0).any():
        raise ShapeError("Acceleration needs strictly rising times.")
    if len(time) < 3:
        return np.zeros((0, *position.shape[1:-1]))
    wide = (slice(None), *(None,) * (position.ndim - 1))
    velocity = np.diff(position, axis=0) / np.diff(time)[wide]
    second = 2 * np.diff(velocity, axis=0) / (time[2:] - time[:-2])[wide]
    return np.linalg.norm(second, axis=-1)


class TemporalQuality:
    """Collects jitter, gaps and births over videos.

    Args:
        normalise: Size that jitter is divided by: ``"torso"`` is the shoulder-to-hip diagonal of
            the pose, ``"bbox"`` the longer side of the person's box. The median over the track is
            taken, so that a trembling size does not hide a trembling pose.
        min_score: Joints scored below are treated as unknown.

    Raises:
        ShapeError: ``normalise`` is unknown.
    """

    def __init__(
        self, normalise: Literal["torso", "bbox"] = "torso", min_score: float = 0.0
    ) -> None:
        if normalise not in ("torso", "bbox"):
            raise ShapeError(f"Jitter is normalised by 'torso' or 'bbox'; got {normalise!r}.")
        self.normalise = normalise
        self.min_score = min_score
        self._tracks: list[TrackQuality] = []
        self._jitter: list[NDArray[np.float64]] = []
        self._joints = np.zeros(2, np.int64)
        self._seconds = 0.0
        self._exchanges = 0
        self._renames = 0

    def update(self, poses: VideoPoses) -> None:
        """Add a video.

        Gaps and neighbours are told by the frames that were looked at, so a stride is no gap.
        Where the video does not list them, they are the frames in which anybody was found.

        Raises:
            SkeletonMismatch: there is no torso to divide by; use ``normalise="bbox"``.
        """
        looked, times = _frames_looked_at(poses)
        if len(times):
            self._seconds += float(times.max() - times.min())
        seen = [self._add(poses.info.source, track, looked) for track in poses.tracks]
        self._exchanges += id_exchanges(seen)
        self._renames += renames(seen, len(looked))

    def compute(self) -> TemporalResult:
        """Sum up everything added so far."""
        jitter = np.concatenate([*self._jitter, np.zeros(0)])
        births = sum(t.late for t in self._tracks)
        known, total = self._joints.tolist()
        return TemporalResult(
            tracks=tuple(self._tracks),
            jitter=_of(np.mean, jitter),
            jitter_median=_of(np.median, jitter),
            gaps=sum(t.gaps for t in self._tracks),
            missing_frames=sum(t.missing_frames for t in self._tracks),
            longest_gap_s=max((t.longest_gap_s for t in self._tracks), default=0.0),
            id_births=births,
            births_per_minute=60 * births / self._seconds if self._seconds else float("nan"),
            joint_coverage=known / total if total else float("nan"),
            unmeasured=sum(bool(np.isnan(t.jitter)) for t in self._tracks),
            id_switches=self._exchanges + self._renames,
            id_exchanges=self._exchanges,
            id_renames=self._renames,
            side_swaps=sum(t.side_swaps for t in self._tracks),
        )

    def _add(self, source: str, track: PersonTrack, looked: NDArray[np.int64]) -> SeenTrack:
        xy, score = track.poses.xy, track.poses.score
        known = np.isfinite(xy).all(-1) & (score >= self.min_score)
        size = self._size(track, known)
        place = np.searchsorted(looked, track.frame_index)
        clean = np.where(known[..., None], xy, np.nan).astype(np.float64)
        jitter = _jitter(clean, track.time_s, place) / size
        jitter = jitter[np.isfinite(jitter)]
        lost = np.flatnonzero(np.diff(place) > 1)
        waits = track.time_s[lost + 1] - track.time_s[lost]
        self._jitter.append(jitter)
        self._joints += (int(known.sum()), known.size)
        seen = SeenTrack(place, track.time_s, clean, size)
        self._tracks.append(
            TrackQuality(
                source=source,
                track_id=track.track_id,
                frames=len(track),
                size_px=size,
                jitter=_of(np.mean, jitter),
                jitter_median=_of(np.median, jitter),
                gaps=len(lost),
                missing_frames=int((np.diff(place)[lost] - 1).sum()),
                longest_gap_s=float(waits.max()) if len(waits) else 0.0,
                joint_coverage=float(known.mean()) if known.size else float("nan"),
                late=bool(len(place)) and int(place[0]) > 0,
                side_swaps=int(side_swaps(seen, track.poses.skeleton.mirror_pairs).sum()),
            )
        )
        return seen

    def _size(self, track: PersonTrack, known: NDArray[np.bool_]) -> float:
        """Median size over the track, pixels; NaN if no frame has one."""
        if self.normalise == "torso":
            sizes = torso_sizes(track.poses.xy, known, torso_diagonals(track.poses.skeleton))
        else:
            sides = track.boxes.xyxy[:, 2:] - track.boxes.xyxy[:, :2]
            sizes = sides.max(-1).astype(np.float64)
        return _of(np.median, sizes[sizes > 0])


def _frames_looked_at(poses: VideoPoses) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Frame numbers that were looked at, rising, and all known times."""
    index = [poses.frame_index, *(t.frame_index for t in poses.tracks)]
    times = [poses.time_s, *(t.time_s for t in poses.tracks)]
    return np.unique(np.concatenate(index)), np.concatenate(times)


def _jitter(xy: Array, time_s: Array, place: NDArray[np.intp]) -> NDArray[np.float64]:
    """Acceleration where the three frames follow each other without a gap, pixels per s²."""
    values = acceleration(xy, time_s)
    together = place[2:] - place[:-2] == 2
    return values[together[: len(values)]]


def _of(how: Callable[..., Any], values: NDArray[np.float64]) -> float:
    """Mean or median of the values; NaN if there are none."""
    return float(how(values)) if len(values) else float("nan")

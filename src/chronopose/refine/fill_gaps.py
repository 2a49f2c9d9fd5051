"""fill_gaps: joints and people that are missing for a moment, put between what is known around it.

Only short gaps are filled, and only between two known places: nothing is continued beyond the first
or the last frame in which a joint is known. What was filled can be told from what was found: its
score is ``filled_score`` and its ``visible`` is False.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from chronopose.core.boxes import Boxes
from chronopose.core.tracks import PersonTrack, VideoPoses
from chronopose.errors import UsageError
from chronopose.refine._log import EditLog
from chronopose.refine._tracks import looked_at, oks_matrix, sizes, with_joints, with_rows
from chronopose.refine.filters import kalman_rts

FillMethod = Literal["linear", "cubic", "kalman"]
STEP = "fill_gaps"
Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class FillGapsSettings:
    """Settings of :func:`fill_gaps`.

    Args:
        max_gap_s: Longest time between the last known place before a gap and the first one behind
            it, seconds.
        method: ``linear``; ``cubic``: the cubic polynomial through the two known places on either
            side, linear where there is only one; ``kalman``: constant velocity with noise, the
            known places themselves stay as they are.
        filled_score: Score of filled joints, and of the boxes of people who were filled in.
        max_speed: A gap that a joint would have to cross faster stays: the two ends are hardly the
            same joint of the same person. Square roots of the box area a second; 2D only.
        same_pose: Nobody is put into a frame in which somebody else resembles them by at least this
            OKS: after an exchange of ids the person is there already. 2D only; above 1 for never.
        min_score: Joints scored below this are unknown, too, and are filled where they can be.
        noise_px: Of ``kalman``: spread of a known joint, pixels (millimetres in 3D).
        speed_drift_px_s: Of ``kalman``: spread by which a speed changes within a second, px / s.
    """

    max_gap_s: float = 0.25
    method: FillMethod = "linear"
    filled_score: float = 0.2
    max_speed: float = 4.0
    same_pose: float = 0.5
    min_score: float = 0.0
    noise_px: float = 3.0
    speed_drift_px_s: float = 300.0

    def __post_init__(self) -> None:
        if self.method not in get_args(FillMethod):
            names = ", ".join(get_args(FillMethod))
            raise UsageError(f"No method {self.method!r} fills gaps; there are {names}.")
        for name in ("max_gap_s", "max_speed", "noise_px", "speed_drift_px_s"):
            if not 0 < getattr(self, name) < float("inf"):
                raise UsageError(f"{name} must be a number above 0; got {getattr(self, name)}.")
        if not self.same_pose > 0:
            raise UsageError(f"same_pose must be above 0; got {self.same_pose}.")
        for name in ("filled_score", "min_score"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} must be within [0, 1]; got {getattr(self, name)}.")


def fill_gaps(
    poses: VideoPoses, settings: FillGapsSettings | None = None, *, log: EditLog | None = None
) -> VideoPoses:
    """Fill short gaps of joints, and of people in frames that were looked at.

    Args:
        poses: 2D or 3D poses of a video.
        settings: How, and how long a gap may be.
        log: Takes an edit for every filled joint.

    Returns:
        The same people, some with more frames, and one more line of history. A person is put into
        a frame if at least one joint can be and nobody else stands there; the box lies between the
        neighbours'.
    """
    from chronopose import __version__

    chosen = settings or FillGapsSettings()
    frames, times = looked_at(poses)
    people = _People(poses)
    tracks = []
    for track in poses.tracks:
        filled = _filled(track, frames, times, chosen)
        new = ~np.isin(filled.frame_index, track.frame_index)
        twice = new & people.double(filled, new, chosen.same_pose)
        tracks.append(filled.select(~twice) if twice.any() else filled)
        people.add(filled, new & ~twice)
    after = replace(poses, tracks=tuple(tracks))
    if log is not None:
        log.compare(STEP, poses, after)
    return after.with_step(STEP, asdict(chosen), __version__)


class _People:
    """Who is in each frame, to find out whether somebody is there already."""

    def __init__(self, poses: VideoPoses) -> None:
        self._sigmas = poses.skeleton.sigmas
        self._there: dict[int, list[Array]] = {}
        for track in poses.tracks:
            self.add(track, np.ones(len(track), bool))

    def add(self, track: PersonTrack, rows: NDArray[np.bool_]) -> None:
        """Put the rows of a track into their frames."""
        for row in np.flatnonzero(rows).tolist():
            frame = int(track.frame_index[row])
            self._there.setdefault(frame, []).append(track.poses.xy[row].astype(np.float64))

    def double(
        self, track: PersonTrack, rows: NDArray[np.bool_], same_pose: float
    ) -> NDArray[np.bool_]:
        """``(N,)`` rows in whose place somebody else is."""
        twice = np.zeros(len(track), bool)
        for row in np.flatnonzero(rows).tolist() if track.poses.space == "image_px" else ():
            others = self._there.get(int(track.frame_index[row]), [])
            if others:
                mine, area = track.poses.xy[row].astype(np.float64), track.boxes.area[row]
                alike = oks_matrix(
                    mine[None], np.stack(others), np.array([float(area)]), self._sigmas
                )
                twice[row] = alike.max() >= same_pose
        return twice


def _filled(
    track: PersonTrack, frames: NDArray[np.int64], times: Array, settings: FillGapsSettings
) -> PersonTrack:
    if len(track) < 2:
        return track
    inside = (frames > track.frame_index[0]) & (frames < track.frame_index[-1])
    lacking = inside & ~np.isin(frames, track.frame_index)
    longer = with_rows(track, frames[lacking], times[lacking]) if lacking.any() else track
    was_there = np.isin(longer.frame_index, track.frame_index)
    xy = longer.poses.xy.astype(np.float64)
    known = np.isfinite(xy).all(-1) & (longer.poses.score >= settings.min_score)
    known &= was_there[:, None]
    place = np.where(known[..., None], xy, np.nan)
    short, slow = _fillable(place, longer, settings)
    # Somebody most of whose joints would have to fly was not here.
    gap = short & slow & (was_there | (2 * slow.sum(1) >= short.sum(1)))[:, None]
    if not gap.any():
        return track
    xy[gap] = _between(place, longer.time_s, settings)[gap]
    score = longer.poses.score.copy()
    score[gap] = settings.filled_score
    visible = np.asarray(longer.poses.visible) & ~gap
    box_score = np.where(was_there, longer.boxes.score, settings.filled_score)
    filled = replace(
        with_joints(longer, xy, score, visible), boxes=Boxes(longer.boxes.xyxy, box_score)
    )
    return filled.select(was_there | gap.any(1))


def _fillable(
    place: Array, track: PersonTrack, settings: FillGapsSettings
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """``(T, K)`` unknown joints in gaps that are short enough, and those of them slow enough."""
    known = np.isfinite(place).all(-1)
    count, joints = known.shape
    rows = np.broadcast_to(np.arange(count)[:, None], known.shape)
    before = np.maximum.accumulate(np.where(known, rows, -1), axis=0)
    after = np.minimum.accumulate(np.where(known, rows, count)[::-1], axis=0)[::-1]
    inside = ~known & (before >= 0) & (after < count)
    before, after = np.where(inside, before, 0), np.where(inside, after, 0)
    wait_s = track.time_s[after] - track.time_s[before]
    # Presentation times are rounded; a gap of exactly the limit is still filled.
    short = inside & (wait_s <= settings.max_gap_s + 1e-6)
    if track.poses.space != "image_px":
        return short, short
    which = np.arange(joints)
    way = np.linalg.norm(np.nan_to_num(place[after, which] - place[before, which]), axis=-1)
    return short, short & (way <= settings.max_speed * sizes(track)[before] * wait_s)


def _between(place: Array, time_s: Array, settings: FillGapsSettings) -> Array:
    """Places at all times; only those inside gaps mean something."""
    if settings.method == "kalman":
        return kalman_rts(
            place, time_s, noise=settings.noise_px, speed_drift=settings.speed_drift_px_s
        )
    out = np.full_like(place, np.nan)
    for k in range(place.shape[1]):
        rows = np.flatnonzero(np.isfinite(place[:, k]).all(-1))
        if len(rows) < 2:
            continue
        for axis in range(place.shape[2]):
            out[:, k, axis] = np.interp(time_s, time_s[rows], place[rows, k, axis])
        if settings.method == "cubic":
            for left in np.flatnonzero(np.diff(rows) > 1).tolist():
                four = rows[max(left - 1, 0) : left + 3]
                if left >= 1 and len(four) == 4:
                    gap = np.arange(rows[left] + 1, rows[left + 1])
                    out[gap, k] = _cubic(time_s[gap], time_s[four], place[four, k])
    return out


def _cubic(at: Array, time_s: Array, place: Array) -> Array:
    """The polynomial through four places (Lagrange): ``(N,)`` times -> ``(N, D)``."""
    value = np.zeros((len(at), place.shape[1]))
    for i in range(4):
        others = [j for j in range(4) if j != i]
        weight = np.prod([(at - time_s[j]) / (time_s[i] - time_s[j]) for j in others], axis=0)
        value += weight[:, None] * place[i]
    return value

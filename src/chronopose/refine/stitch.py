"""stitch: tracks of one person that broke into several are joined again.

A track that ends and one that begins a moment later are the same person if the person went on as
before (place), is as tall as before (size) and stands as before (pose). All ends and beginnings are
weighed against each other at once, each is used once at most, and where two answers are almost as
good as each other nothing is joined.

The joined track keeps the id of its first part. The gap itself stays empty:
:mod:`chronopose.refine.fill_gaps` fills it if it is short.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from chronopose.core.tracks import PersonTrack, VideoPoses
from chronopose.errors import ShapeError, UsageError
from chronopose.refine._log import WHOLE_PERSON, Edit, EditLog
from chronopose.refine._tracks import centres, join_tracks, sizes

STEP = "stitch"
Array = NDArray[np.float64]
LEAST_JOINTS = 3
"""Poses are compared if they share this many known joints."""


@dataclass(frozen=True, kw_only=True)
class StitchSettings:
    """Settings of :func:`stitch`. Lengths are in sizes: square roots of the box area.

    Args:
        max_gap_s: Longest time between the end of a track and the beginning of its continuation,
            seconds.
        max_distance: Farthest that the person may be from where the motion before the gap (and,
            backward, that behind it) leads, sizes, after the shortest gap.
        distance_per_s: How much farther for each second of the gap, sizes.
        max_size_ratio: Largest ratio of the two sizes.
        max_pose: Largest mean distance of the joints of the two poses laid over each other, sizes.
        margin: The second-best continuation must cost this much more; costs lie in [0, 1].
        motion_s: The speed at an end is that of this last or first bit of the track, seconds.
        steady_s: Time constant after which a speed is forgotten, seconds.
    """

    max_gap_s: float = 1.0
    max_distance: float = 0.4
    distance_per_s: float = 0.8
    max_size_ratio: float = 1.5
    max_pose: float = 0.25
    margin: float = 0.1
    motion_s: float = 0.25
    steady_s: float = 0.3

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            least = name in ("distance_per_s", "margin")
            if not (value >= 0 if least else value > 0) or not np.isfinite(value):
                raise UsageError(
                    f"{name} must be a number {'of at least' if least else 'above'} 0; got {value}."
                )
        if self.max_size_ratio < 1:
            raise UsageError(f"max_size_ratio must be at least 1; got {self.max_size_ratio}.")


@dataclass(frozen=True)
class _Fit:
    """How well one track continues another; each part is 1 at its limit."""

    gap_s: float
    place: float
    size: float
    pose: float

    @property
    def cost(self) -> float:
        """In [0, 1] if every part is within its limit, else infinite."""
        parts = (self.place, self.size, self.pose)
        return float("inf") if max(parts) > 1 else 0.6 * parts[0] + 0.2 * (parts[1] + parts[2])


def stitch(
    poses: VideoPoses, settings: StitchSettings | None = None, *, log: EditLog | None = None
) -> VideoPoses:
    """Join the parts of broken tracks.

    Args:
        poses: 2D poses in image pixels.
        settings: What counts as the same person.
        log: Takes an edit for every part that gets another id.

    Returns:
        The same people in the same frames under fewer ids, one more line of history.

    Raises:
        ShapeError: the poses are not in image pixels.
    """
    from chronopose import __version__

    chosen = settings or StitchSettings()
    strange = [t for t in poses.tracks if t.poses.space != "image_px"]
    if strange:
        raise ShapeError(
            f"stitch compares people in the picture; track {strange[0].track_id} is in "
            f"{strange[0].poses.space}. Stitch before lifting."
        )
    tracks = [t for t in poses.tracks if len(t)]
    fits = _fits(tracks, chosen)
    after = {n: replace(t) for n, t in enumerate(tracks)}
    first = list(range(len(tracks)))
    # By time, so that a chain grows from its first part.
    for end, begin in sorted(_pairs(tracks, fits, chosen), key=lambda p: tracks[p[1]].time_s[0]):
        root = first[begin] = first[end]
        if log is not None:
            log.add(_edit(tracks[begin], tracks[root].track_id, fits[end, begin]))
        after[root] = join_tracks([after[root], after.pop(begin)])
    return replace(poses, tracks=tuple(after.values())).with_step(STEP, asdict(chosen), __version__)


def _fits(tracks: list[PersonTrack], settings: StitchSettings) -> dict[tuple[int, int], _Fit]:
    """(track that ends, track that begins) -> fit, for gaps that are short enough."""
    fits = {}
    order = sorted(range(len(tracks)), key=lambda n: tracks[n].time_s[0])
    begins = np.array([tracks[n].time_s[0] for n in order])
    for i, a in enumerate(tracks):
        end_s = a.time_s[-1]
        first, last = np.searchsorted(begins, [end_s, end_s + settings.max_gap_s + 1e-6], "right")
        for j in order[first:last]:
            if a.frame_index[-1] < tracks[j].frame_index[0]:
                fits[i, j] = _fit(a, tracks[j], float(tracks[j].time_s[0] - end_s), settings)
    return fits


def _fit(a: PersonTrack, b: PersonTrack, gap_s: float, settings: StitchSettings) -> _Fit:
    size_a, size_b = _end_size(a, last=True, settings=settings), _end_size(b, False, settings)
    size = (size_a * size_b) ** 0.5
    way_s = settings.steady_s * (1 - np.exp(-gap_s / settings.steady_s))
    forward = centres(a)[-1] + way_s * _speed(a, True, settings) - centres(b)[0]
    backward = centres(b)[0] - way_s * _speed(b, False, settings) - centres(a)[-1]
    # One of the two speeds is often that of a box that shrank or jumped when the person vanished.
    apart = min(np.linalg.norm(forward), np.linalg.norm(backward)) / size
    reach = settings.max_distance + settings.distance_per_s * gap_s
    ratio = abs(np.log(size_a / size_b)) / max(np.log(settings.max_size_ratio), 1e-9)
    return _Fit(gap_s, float(apart / reach), float(ratio), _pose(a, b, settings))


def _pose(a: PersonTrack, b: PersonTrack, settings: StitchSettings) -> float:
    """Mean distance of the joints after moving and scaling; half the limit if nobody can tell."""
    end, start = a.poses.xy[-1].astype(np.float64), b.poses.xy[0].astype(np.float64)
    both = np.isfinite(end).all(-1) & np.isfinite(start).all(-1)
    if both.sum() < LEAST_JOINTS:
        return 0.5
    end = (end[both] - end[both].mean(0)) / sizes(a)[-1]
    start = (start[both] - start[both].mean(0)) / sizes(b)[0]
    return float(np.linalg.norm(end - start, axis=-1).mean() / settings.max_pose)


def _pairs(
    tracks: list[PersonTrack], fits: dict[tuple[int, int], _Fit], settings: StitchSettings
) -> list[tuple[int, int]]:
    """The cheapest joins of all, without the doubtful ones."""
    able = [pair for pair, fit in fits.items() if np.isfinite(fit.cost)]
    if not able:
        return []
    ends, begins = (sorted({pair[side] for pair in able}) for side in (0, 1))
    cost = np.full((len(ends), len(begins)), np.inf)
    for i, j in able:
        cost[ends.index(i), begins.index(j)] = fits[i, j].cost
    rows, columns = linear_sum_assignment(np.where(np.isfinite(cost), cost, 10.0))
    chosen = []
    for i, j in zip(rows.tolist(), columns.tolist(), strict=True):
        others = np.concatenate([np.delete(cost[i], j), np.delete(cost[:, j], i)])
        if np.isfinite(cost[i, j]) and not (others < cost[i, j] + settings.margin).any():
            chosen.append((ends[i], begins[j]))
    return chosen


def _edit(part: PersonTrack, track_id: int, fit: _Fit) -> Edit:
    reason = (
        f"gap {fit.gap_s:.3f} s; of the limits: place {fit.place:.2f}, size {fit.size:.2f}, "
        f"pose {fit.pose:.2f}"
    )
    return Edit(
        step=STEP, action="relinked", reason=reason, frame_index=int(part.frame_index[0]),
        until_frame=int(part.frame_index[-1]), time_s=float(part.time_s[0]),
        person_id=track_id, person_id_before=part.track_id, joint=WHOLE_PERSON,
    )  # fmt: skip


def _near(track: PersonTrack, last: bool, settings: StitchSettings) -> NDArray[np.bool_]:
    """Rows of the last or first bit of a track."""
    edge = track.time_s[-1] if last else track.time_s[0]
    return np.asarray(np.abs(track.time_s - edge) <= settings.motion_s + 1e-6)


def _end_size(track: PersonTrack, last: bool, settings: StitchSettings) -> float:
    return float(np.median(sizes(track)[_near(track, last, settings)]))


def _speed(track: PersonTrack, last: bool, settings: StitchSettings) -> Array:
    """Least-squares speed of the centre, pixels per second; zero with fewer than three frames."""
    rows = _near(track, last, settings)
    if rows.sum() < 3:
        return np.zeros(2)
    time = track.time_s[rows] - track.time_s[rows].mean()
    centre = centres(track)[rows]
    return np.asarray((time[:, None] * (centre - centre.mean(0))).sum(0) / (time**2).sum())

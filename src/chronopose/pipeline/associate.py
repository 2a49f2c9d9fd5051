"""Tracking: boxes of frames become tracks, tracks become people with ids.

Two steps. :class:`BoxTracker` joins the boxes of neighbouring frames before any pose is known, by
overlap and by motion in seconds, and carries a track over frames in which its box is missing.
:class:`~chronopose.pipeline.identity.Identities` gives a track its id once its first pose is known,
so that a person who was lost comes back under the same id. :class:`Tracker` is both.

Source: the order of the two matching rounds (sure boxes first, unsure boxes only to continue what
is there) is that of ByteTrack; the rest is ours.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses
from chronopose.errors import UsageError
from chronopose.pipeline.identity import Identities, IdentitySettings
from chronopose.pipeline.motion import BoxMotion, to_centre

Array = NDArray[np.float64]

BASE_SPREAD = 0.1
"""Distance that any match may be off, longer sides of the box."""
GATE = 3.0
"""Spreads of distance beyond which a box cannot continue a track it does not overlap."""
LEAVING = 0.2
"""Speed outwards that takes a box at the edge out of the frame, its longer sides a second."""
SURE_JOINT, POSE_ROOM = 0.4, 0.08
"""Least score of a joint that a box is put around, and the room around them, of the longer side."""
LARGEST_RATIO = 2.0
"""Change of height between two matched boxes that do not overlap."""


@dataclass(frozen=True, kw_only=True)
class TrackSettings:
    """How boxes become people.

    Args:
        start_score: A box scored lower starts no track; it may continue one.
        min_match: Least similarity of a box and a track, in [0, 1].
        min_unsure_match: The same for boxes below ``start_score``.
        bridge_s: A track without a box lives on for this long, seconds, with falling scores.
        decay_s: Seconds in which the score of such a track falls to 37 %.
        min_hits: Boxes that a track needs before it becomes a person.
        pose_share: How much the pose of the frame before says about a person's box, in [0, 1];
            the rest says the detector. For detectors whose boxes tremble.
        identity: How people who were lost are recognised.

    Raises:
        UsageError: a time is negative or ``min_hits`` is below 1.
    """

    start_score: float = 0.3
    min_match: float = 0.1
    min_unsure_match: float = 0.3
    bridge_s: float = 0.3
    decay_s: float = 0.25
    min_hits: int = 1
    pose_share: float = 0.0
    identity: IdentitySettings = field(default_factory=IdentitySettings)

    def __post_init__(self) -> None:
        if self.bridge_s < 0 or self.decay_s <= 0:
            raise UsageError(
                f"bridge_s must not be negative and decay_s must be above zero; "
                f"got {self.bridge_s} and {self.decay_s}."
            )
        if self.min_hits < 1:
            raise UsageError(f"min_hits must be at least 1; got {self.min_hits}.")


@dataclass(frozen=True)
class TrackedBox:
    """One track in one frame."""

    uid: int
    """Number of the track; a person can consist of several."""
    xyxy: NDArray[np.float32]
    """``(4,)`` image pixels; predicted when the track was not seen."""
    score: float
    """Of the last box seen, times ``decay``."""
    decay: float
    """1 where a box was seen, falling while none is."""
    hits: int
    """Boxes seen so far."""
    motion: BoxMotion
    velocity: Array
    """``(2,)`` pixels a second, as known at this frame."""
    given: bool = False
    """The number came with the boxes and is the person's id."""


@dataclass
class _Track:
    uid: int
    motion: BoxMotion
    xyxy: Array
    score: float
    seen_s: float
    hits: int = 1
    posed: Array | None = None
    """Box around the pose of the latest frame, if that was a good one."""

    def shown(self, xyxy: Array, decay: float, given: bool = False) -> TrackedBox:
        return TrackedBox(
            self.uid, xyxy.astype(np.float32), self.score * decay, decay, self.hits, self.motion,
            self.motion.velocity, given,
        )  # fmt: skip


class BoxTracker:
    """Joins boxes of successive frames into tracks; deterministic.

    Args:
        settings: Thresholds.
        frame_size: Width and height of the frames, pixels: tracks that leave it end at once.
    """

    def __init__(self, settings: TrackSettings, frame_size: tuple[int, int]) -> None:
        self.settings = settings
        self._frame_size = frame_size
        self._tracks: list[_Track] = []
        self._next_uid = 1

    def update(
        self, time_s: float, boxes: Boxes, ids: NDArray[np.int64] | None = None
    ) -> list[TrackedBox]:
        """Take the boxes of the next frame.

        Args:
            time_s: The frame's presentation time; not before the last one's.
            boxes: What was found, image pixels; boxes without area or outside the frame are
                left out.
            ids: ``(N,)`` ids that came with the boxes; they are kept and nothing is guessed then.

        Returns:
            The tracks that live in this frame, by age: those seen and those bridged.
        """
        inside = boxes.clip(self._frame_size)
        good = inside.area > 0
        boxes = inside.select(good)
        if ids is not None:
            return self._follow(time_s, boxes, np.asarray(ids)[good])
        sure = np.flatnonzero(boxes.score >= self.settings.start_score)
        unsure = np.flatnonzero(boxes.score < self.settings.start_score)
        waiting = list(self._tracks)
        waiting, sure = self._match(time_s, waiting, boxes, sure, self.settings.min_match)
        waiting, _ = self._match(time_s, waiting, boxes, unsure, self.settings.min_unsure_match)
        for row in sure.tolist():
            self._start(self._next_uid, time_s, boxes, row)
            self._next_uid += 1
        return self._living(time_s, {t.uid for t in waiting})

    @property
    def alive(self) -> set[int]:
        """Numbers of the tracks that can be continued."""
        return {t.uid for t in self._tracks}

    def remember_pose(self, uid: int, box: Array | None) -> None:
        """Keep the box around a track's latest pose; None if the pose was not a good one."""
        for track in self._tracks:
            if track.uid == uid:
                track.posed = box

    def _follow(self, time_s: float, boxes: Boxes, ids: NDArray[np.generic]) -> list[TrackedBox]:
        """Boxes that know whose they are (the best one each); without a box nobody is there."""
        known = {t.uid: t for t in self._tracks}
        best: dict[int, int] = {}
        for row in np.argsort(-boxes.score, kind="stable").tolist():
            best.setdefault(int(ids[row]), row)
        shown = []
        for uid, row in sorted(best.items()):
            track = known.get(uid)
            if track is None:
                track = self._start(uid, time_s, boxes, row)
            else:
                _see(track, time_s, boxes, row, 0.0)
            shown.append(track.shown(track.xyxy, 1.0, given=True))
        self._tracks = [t for t in self._tracks if time_s - t.seen_s <= self.settings.bridge_s]
        return shown

    def _start(self, uid: int, time_s: float, boxes: Boxes, row: int) -> _Track:
        xyxy = boxes.xyxy[row].astype(np.float64)
        track = _Track(uid, BoxMotion(time_s, xyxy), xyxy, float(boxes.score[row]), time_s)
        self._tracks.append(track)
        return track

    def _match(
        self,
        time_s: float,
        tracks: list[_Track],
        boxes: Boxes,
        rows: NDArray[np.intp],
        least: float,
    ) -> tuple[list[_Track], NDArray[np.intp]]:
        """Continue tracks with boxes; returns the tracks and rows that are left over."""
        if not tracks or not len(rows):
            return tracks, rows
        alike = similarity(time_s, [t.motion for t in tracks], boxes.select(rows))
        left, right = linear_sum_assignment(-alike)
        fits = alike[left, right] >= least
        left, right = left[fits], right[fits]
        for track, row in zip(left, rows[right], strict=True):
            _see(tracks[track], time_s, boxes, int(row), self.settings.pose_share)
        taken = set(left.tolist())
        free = np.delete(rows, right)
        return [t for i, t in enumerate(tracks) if i not in taken], free

    def _living(self, time_s: float, missing: set[int]) -> list[TrackedBox]:
        shown, kept = [], []
        for track in self._tracks:
            if track.uid not in missing:
                kept.append(track)
                shown.append(track.shown(track.xyxy, 1.0))
                continue
            gap_s = time_s - track.seen_s
            expected = track.motion.at(time_s)[0]
            gone = self._leaves(expected, track.motion)
            if gone or gap_s > self.settings.bridge_s:
                continue
            kept.append(track)
            shown.append(track.shown(expected, float(np.exp(-gap_s / self.settings.decay_s))))
        self._tracks = kept
        return shown

    def _leaves(self, xyxy: Array, motion: BoxMotion) -> bool:
        """Whether a box is over the edge of the frame, or at the edge and on its way out."""
        size = np.array(self._frame_size, np.float64)
        centre = to_centre(xyxy)[:2]
        if (centre < 0).any() or (centre >= size).any() or (xyxy[2:] <= xyxy[:2]).any():
            return True
        speed = motion.velocity / motion.unit_px
        out_low = (xyxy[:2] <= 0) & (speed < -LEAVING)
        out_high = (xyxy[2:] >= size - 1) & (speed > LEAVING)
        return bool((out_low | out_high).any())


def _see(track: _Track, time_s: float, boxes: Boxes, row: int, pose_share: float) -> None:
    box = boxes.xyxy[row].astype(np.float64)
    if track.posed is not None and pose_share > 0:
        moved = track.posed + np.tile(track.motion.velocity * (time_s - track.seen_s), 2)
        box += pose_share * (moved - box)
    track.xyxy = box
    track.motion.see(time_s, track.xyxy)
    track.score = float(boxes.score[row])
    track.seen_s = time_s
    track.hits += 1


def similarity(time_s: float, motions: list[BoxMotion], boxes: Boxes) -> Array:
    """``(tracks, boxes)`` likeness in [0, 1]; 0 where a match is impossible.

    Half of it is the overlap with the expected box; half is the distance of the centres, measured
    in the spread that the motion has at this time, times the ratio of the heights.
    """
    places = [m.at(time_s) for m in motions]
    expected = np.stack([p[0] for p in places])
    unit = np.array([m.unit_px for m in motions])
    spread = np.array([p[1] for p in places]) + BASE_SPREAD * unit
    overlap = Boxes(expected.astype(np.float32), np.ones(len(expected), np.float32)).iou(boxes)
    here, there = to_centre(expected), to_centre(boxes.xyxy)
    away = np.linalg.norm(here[:, None, :2] - there[None, :, :2], axis=-1) / spread[:, None]
    heights = np.maximum(here[:, None, 3], 1e-6) / np.maximum(there[None, :, 3], 1e-6)
    ratio = np.minimum(heights, 1 / heights)
    alike = 0.5 * overlap + 0.5 * np.exp(-0.5 * away**2) * ratio
    possible = (overlap > 0.1) | ((away < GATE) & (ratio > 1 / LARGEST_RATIO))
    return np.where(possible, alike, 0.0)


class Tracker:
    """Boxes and poses of a video in, people with ids out.

    Args:
        settings: Thresholds; the defaults suit people at any frame rate.
    """

    def __init__(self, settings: TrackSettings | None = None) -> None:
        self.settings = settings or TrackSettings()
        self.start((1, 1))

    def start(self, frame_size: tuple[int, int]) -> None:
        """Forget everybody: a new video of ``frame_size`` (width, height) pixels begins."""
        self._boxes = BoxTracker(self.settings, frame_size)
        self._people = Identities(self.settings.identity)

    def update(
        self, time_s: float, boxes: Boxes, ids: NDArray[np.int64] | None = None
    ) -> list[TrackedBox]:
        """Tracks of the next frame; see :meth:`BoxTracker.update`."""
        return self._boxes.update(time_s, boxes, ids)

    @property
    def alive(self) -> set[int]:
        """Numbers of the tracks that live on after the last frame."""
        return self._boxes.alive

    def identify(self, time_s: float, tracked: list[TrackedBox], poses: Poses) -> NDArray[np.int64]:
        """``(N,)`` person ids of the tracks of a frame, 0 for a track that is not shown.

        Args:
            time_s: The frame's presentation time.
            tracked: What :meth:`update` returned for this frame.
            poses: Their poses ``(N, K, 2)``, image pixels.
        """
        ready = np.array([t.hits >= self.settings.min_hits for t in tracked], bool)
        ids = self._people.assign(time_s, tracked, poses, ready)
        if self.settings.pose_share > 0:
            for row, track in enumerate(tracked):
                good = ids[row] > 0 and track.decay >= 1
                box = pose_box(poses.xy[row], poses.score[row]) if good else None
                self._boxes.remember_pose(track.uid, box)
        return ids


def pose_box(xy: NDArray[np.floating], score: NDArray[np.floating]) -> Array | None:
    """Box around a pose with room for head, hands and feet.

    Args:
        xy: ``(K, 2)`` joints, image pixels.
        score: ``(K,)`` in [0, 1].

    Returns:
        ``(4,)`` x1 y1 x2 y2; None if less than three quarters of the joints are sure.
    """
    sure = np.isfinite(xy).all(-1) & (score >= SURE_JOINT)
    if sure.mean() < 0.75:
        return None
    low, high = xy[sure].min(0), xy[sure].max(0)
    room = POSE_ROOM * float((high - low).max())
    return np.concatenate([low - room, high + room]).astype(np.float64)

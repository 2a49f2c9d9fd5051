"""Identities: which track is which person, decided by motion, size and pose.

A track gets its id when its first pose is known. By then it can be compared with the people who
were lost a moment ago; a match continues that person, anything else is somebody new. Ids count up
from 1 and are never used again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from chronopose.core.poses import Poses
from chronopose.core.skeleton import Skeleton
from chronopose.pipeline.motion import BoxMotion, to_centre

Array = NDArray[np.float64]

KEEP_TRUST = 0.8
"""Share of a track's earlier trust that one more frame leaves."""
LONGEST_GUESS_S = 0.3
"""Seconds over which a pose is expected to keep its shape while it moves with its box."""


class Tracked(Protocol):
    """What identities need to know about a track in one frame."""

    @property
    def uid(self) -> int:
        """Number of the track, never used again."""

    @property
    def xyxy(self) -> NDArray[np.float32]:
        """``(4,)`` box, image pixels."""

    @property
    def score(self) -> float:
        """Of the box, in [0, 1]."""

    @property
    def decay(self) -> float:
        """1 when the box was seen now; less the longer it was not."""

    @property
    def motion(self) -> BoxMotion:
        """Where the box is expected."""

    @property
    def velocity(self) -> Array:
        """Of the box, pixels a second."""

    @property
    def given(self) -> bool:
        """Whether the detector itself said who it is."""


@dataclass(frozen=True, kw_only=True)
class IdentitySettings:
    """How people are recognised.

    Args:
        relink_s: A lost person can come back for this long, seconds.
        min_relink: Least likeness of a lost person and a new track, in [0, 1].
        same_pose: A pose whose joints lie this much on those of people known for longer (OKS, each
            joint against the nearest of them) is somebody seen twice, or made of two people.
        least_pose: Least mean score of a track's joints, averaged over its latest frames; below it
            the track is nobody. For detectors that also see people in trees.
        swap_gain: OKS that exchanging ids must win for each of the people concerned.
    """

    relink_s: float = 2.0
    min_relink: float = 0.5
    same_pose: float = 0.9
    least_pose: float = 0.0
    swap_gain: float = 0.6


@dataclass
class _Person:
    person_id: int
    uid: int
    since_s: float
    seen_s: float
    xyxy: Array
    xy: Array
    score: Array
    motion: BoxMotion
    velocity: Array


class Identities:
    """Keeps track of who is who; one instance a video."""

    def __init__(self, settings: IdentitySettings) -> None:
        self.settings = settings
        self._trust: dict[int, float] = {}
        """uid -> mean score of the joints over the latest frames."""
        self._people: dict[int, _Person] = {}
        """uid -> person, for everybody alive or lost less than ``relink_s`` ago."""
        self._next_id = 1

    def assign(
        self,
        time_s: float,
        tracked: Sequence[Tracked],
        poses: Poses,
        ready: NDArray[np.bool_],
    ) -> NDArray[np.int64]:
        """``(N,)`` ids of the tracks of one frame; 0 for a track that is not to be shown.

        Args:
            time_s: Presentation time, not before the last frame's.
            tracked: All living tracks.
            poses: Their poses ``(N, K, 2)``, image pixels.
            ready: ``(N,)`` whether a track has been seen often enough to become a person.
        """
        ids = np.zeros(len(tracked), np.int64)
        given = np.array([t.given for t in tracked], bool)
        ids[given] = [t.uid for t in tracked if t.given]
        rows = np.flatnonzero(~given)
        self._watch(tracked, poses)
        sure = [self._trust[t.uid] >= self.settings.least_pose for t in tracked]
        rows = rows[np.array(sure, bool)[rows]]
        shown = self._without_doubles(tracked, poses, rows)
        self._undo_swaps(time_s, tracked, poses, shown)
        fresh = [r for r in shown if tracked[r].uid not in self._people and ready[r]]
        self._welcome(time_s, tracked, poses, [r for r in fresh if tracked[r].decay >= 1])
        for row in shown:
            if tracked[row].uid in self._people:
                ids[row] = self._remember(time_s, tracked[row], poses, row)
        alive = {t.uid for t in tracked}
        self._people = {
            uid: p
            for uid, p in self._people.items()
            if uid in alive or time_s - p.seen_s <= self.settings.relink_s
        }
        return ids

    def _watch(self, tracked: Sequence[Tracked], poses: Poses) -> None:
        """Update how sure the poses of every living track are."""
        new = poses.score.mean(-1) if len(tracked) else np.zeros(0)
        self._trust = {
            t.uid: float(s + KEEP_TRUST * (self._trust.get(t.uid, float(s)) - s))
            for t, s in zip(tracked, new, strict=True)
        }

    def _without_doubles(
        self, tracked: Sequence[Tracked], poses: Poses, rows: NDArray[np.intp]
    ) -> list[int]:
        """Rows left when poses that lie on those of better tracks are dropped.

        Better is: seen over bridged, known for longer, scored higher.
        """

        def rank(row: int) -> tuple[bool, float, float]:
            track = tracked[row]
            person = self._people.get(track.uid)
            since = person.since_s if person else np.inf
            return (track.decay < 1, since, -track.score)

        kept: list[int] = []
        area = [_area(t.xyxy) for t in tracked]
        for row in sorted(rows.tolist(), key=rank):
            alike = [
                joint_likeness(
                    poses.xy[row], poses.xy[other], (area[row] + area[other]) / 2, poses.skeleton
                )
                for other in kept
            ]
            if not kept or _mean_known(np.fmax.reduce(alike)) < self.settings.same_pose:
                kept.append(row)
        return sorted(kept)

    def _undo_swaps(
        self, time_s: float, tracked: Sequence[Tracked], poses: Poses, shown: list[int]
    ) -> None:
        """Exchange people between tracks when their poses clearly went with the other track."""
        rows = [
            r
            for r in shown
            if tracked[r].uid in self._people
            and time_s - self._people[tracked[r].uid].seen_s <= LONGEST_GUESS_S
        ]
        people = [self._people[tracked[r].uid] for r in rows]
        if len(rows) < 2:
            return
        alike = np.zeros((len(rows), len(rows)))
        for i, p in enumerate(people):
            expected = p.xy + p.velocity * (time_s - p.seen_s)
            for j, r in enumerate(rows):
                alike[i, j] = oks(expected, poses.xy[r], _area(p.xyxy), poses.skeleton)
        stay = self.settings.swap_gain * np.eye(len(rows))
        _, column = linear_sum_assignment(-(alike + stay))
        for person, row in zip(people, column, strict=True):
            person.uid = tracked[rows[row]].uid
        self._people.update({p.uid: p for p in people})

    def _welcome(
        self, time_s: float, tracked: Sequence[Tracked], poses: Poses, rows: list[int]
    ) -> None:
        """Give every fresh track a person: a likely one whose box is missing, or a new one."""
        seen = {t.uid for t in tracked if t.decay >= 1}
        lost = [p for uid, p in sorted(self._people.items()) if uid not in seen]
        matched: dict[int, _Person] = {}
        if lost and rows:
            alike = np.array(
                [[self._likeness(time_s, p, tracked[r], poses, r) for r in rows] for p in lost]
            )
            for i, j in zip(*linear_sum_assignment(-alike), strict=True):
                if alike[i, j] >= self.settings.min_relink:
                    matched[rows[j]] = lost[i]
        for row in rows:
            track = tracked[row]
            person = matched.get(row)
            if person is None:
                person_id, since_s = self._next_id, time_s
                self._next_id += 1
            else:
                person_id, since_s = person.person_id, person.since_s
                del self._people[person.uid]
            self._people[track.uid] = _Person(
                person_id, track.uid, since_s, time_s, np.zeros(4), poses.xy[row].astype(float),
                poses.score[row].astype(float), track.motion, track.velocity,
            )  # fmt: skip

    def _likeness(
        self, time_s: float, person: _Person, track: Tracked, poses: Poses, row: int
    ) -> float:
        """How likely a new track is a lost person, in [0, 1]: place, size, posture.

        Posture counts as much as the poses are sure of themselves.
        """
        gap_s = max(time_s - person.seen_s, 0.0)
        expected, _ = person.motion.at(time_s)
        old, new = to_centre(expected), to_centre(track.xyxy)
        away = np.linalg.norm(old[:2] - new[:2]) / person.motion.unit_px
        place = float(np.exp(-0.5 * (away / (0.25 + 0.5 * gap_s)) ** 2))
        ratio = (new[3] + 1.0) / (old[3] + 1.0)
        size = float(min(ratio, 1 / ratio))
        if place < 0.05 or size < 0.4:
            return 0.0
        before = (person.xy - to_centre(person.xyxy)[:2]) * ratio + new[:2]
        posture = oks(before, poses.xy[row], _area(track.xyxy), poses.skeleton)
        sure = float(min(np.mean(person.score), np.mean(poses.score[row])))
        weight = 0.4 * float(np.clip(sure, 0, 1))
        return (0.4 * place + 0.2 * size + weight * posture) / (0.6 + weight)

    def _remember(self, time_s: float, track: Tracked, poses: Poses, row: int) -> int:
        person = self._people[track.uid]
        person.seen_s = time_s
        person.xyxy = track.xyxy.astype(np.float64)
        person.xy = poses.xy[row].astype(np.float64)
        person.score = poses.score[row].astype(np.float64)
        person.motion, person.velocity = track.motion, track.velocity
        return person.person_id


def oks(
    one: NDArray[np.floating], other: NDArray[np.floating], area_px2: float, skeleton: Skeleton
) -> float:
    """Object keypoint similarity of two predicted poses, in [0, 1]; 0 if they share no joint.

    Args:
        one: ``(K, 2)`` joints, image pixels, NaN where unknown.
        other: ``(K, 2)``.
        area_px2: Area of the person's box.
        skeleton: Gives the spread of each joint.

    Source:
        COCO keypoint evaluation, over the joints that both poses know.
    """
    return _mean_known(joint_likeness(one, other, area_px2, skeleton))


def joint_likeness(
    one: NDArray[np.floating], other: NDArray[np.floating], area_px2: float, skeleton: Skeleton
) -> Array:
    """``(K,)`` the terms of :func:`oks`, in [0, 1]; NaN for a joint that one pose does not know."""
    d2 = ((one - other) ** 2).sum(-1)
    spread2 = 2 * max(area_px2, 1.0) * (2 * skeleton.sigmas) ** 2
    return np.asarray(np.exp(-d2 / spread2), np.float64)


def _mean_known(values: Array) -> float:
    known = np.isfinite(values)
    return float(values[known].mean()) if known.any() else 0.0


def _area(xyxy: NDArray[np.floating]) -> float:
    return float((xyxy[2] - xyxy[0]) * (xyxy[3] - xyxy[1]))

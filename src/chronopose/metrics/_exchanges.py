"""Exchanged names seen in the poses alone: left for right, one person for another.

Between neighbouring frames bodies move little. Where the joints of two frames fit much better after
an exchange of names, the names were probably exchanged. The bounds are ours, and so is the word
"probably": somebody who turns round within a frame looks the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

GAIN = 0.25
"""An exchange must shorten the way by this many sizes ..."""
BETTER = 0.5
"""... and to less than this share of itself."""
RENAME_SIZES = 1.0
"""Who is lost and who appears are the same if their joints are at most this many sizes apart ..."""
RENAME_S = 0.5
"""... and at most this many seconds."""


@dataclass(frozen=True)
class SeenTrack:
    """A person through a video.

    Args:
        place: ``(N,)`` which of the frames that were looked at, rising.
        time_s: ``(N,)`` seconds.
        xy: ``(N, K, 2 or 3)`` pixels or millimetres; NaN where unknown.
        size: In the same unit; NaN if it cannot be told.
    """

    place: NDArray[np.intp]
    time_s: Floats
    xy: Floats
    size: float


def side_swaps(track: SeenTrack, pairs: Sequence[tuple[int, int]]) -> NDArray[np.bool_]:
    """``(N - 1, pairs)``: between which neighbouring frames a left and a right joint changed names.

    Args:
        track: The person.
        pairs: Joint numbers of left and right.
    """
    if len(track.place) < 2 or not pairs:
        return np.zeros((max(len(track.place) - 1, 0), len(pairs)), bool)
    left, right = (track.xy[:, list(side)] for side in zip(*pairs, strict=True))
    found = _exchanged(left[:-1], left[1:], right[:-1], right[1:], track.size)
    return found & (np.diff(track.place) == 1)[:, None]


def id_exchanges(tracks: Sequence[SeenTrack]) -> int:
    """How often two people who are both there took each other's id."""
    steps = [np.flatnonzero(np.diff(t.place) == 1) for t in tracks]
    count = 0
    for one, two in combinations(range(len(tracks)), 2):
        a, b = tracks[one], tracks[two]
        if not (len(steps[one]) and len(steps[two])):
            continue
        if a.place[0] > b.place[-1] or b.place[0] > a.place[-1]:
            continue
        _, at_a, at_b = np.intersect1d(
            a.place[steps[one]], b.place[steps[two]], assume_unique=True, return_indices=True
        )
        i, j = steps[one][at_a], steps[two][at_b]
        # Bodies are compared by the joints that all four poses know.
        poses = (a.xy[i], a.xy[i + 1], b.xy[j], b.xy[j + 1])
        known = np.asarray(np.isfinite(sum(poses)).all(-1))
        a0, a1, b0, b1 = poses
        straight = _mean_distance(a0, a1, known) + _mean_distance(b0, b1, known)
        crossed = _mean_distance(a0, b1, known) + _mean_distance(b0, a1, known)
        count += int(_better(straight, crossed, _size(a, b)).sum())
    return count


def renames(tracks: Sequence[SeenTrack], frames: int) -> int:
    """How often a person is lost and somebody in the same place appears under a new id.

    Args:
        tracks: The people.
        frames: Frames that were looked at.
    """
    lost = [t for t in tracks if len(t.place) and t.place[-1] < frames - 1]
    born = [t for t in tracks if len(t.place) and t.place[0] > 0]
    pairs = []
    for i, a in enumerate(lost):
        for j, b in enumerate(born):
            if not 0 < b.time_s[0] - a.time_s[-1] <= RENAME_S:
                continue
            known = np.asarray(np.isfinite(a.xy[-1] + b.xy[0]).all(-1))
            apart = _mean_distance(a.xy[-1], b.xy[0], known) / _size(a, b)
            if apart <= RENAME_SIZES:
                pairs.append((float(apart), i, j))
    used_lost: set[int] = set()
    used_born: set[int] = set()
    for _, i, j in sorted(pairs):
        if i not in used_lost and j not in used_born:
            used_lost.add(i)
            used_born.add(j)
    return len(used_lost)


def _size(a: SeenTrack, b: SeenTrack) -> float:
    """Mean of the known sizes; NaN if there is none."""
    known = [t.size for t in (a, b) if t.size > 0]
    return float(np.mean(known)) if known else float("nan")


def _exchanged(a0: Floats, a1: Floats, b0: Floats, b1: Floats, size: float) -> NDArray[np.bool_]:
    def way(p: Floats, q: Floats) -> Floats:
        return np.linalg.norm(q - p, axis=-1)

    return _better(way(a0, a1) + way(b0, b1), way(a0, b1) + way(b0, a1), size)


def _better(straight: Floats, crossed: Floats, size: float) -> NDArray[np.bool_]:
    """Where the crossed way is shorter by so much that names were exchanged; never where NaN."""
    found: NDArray[np.bool_] = (straight - crossed > GAIN * size) & (crossed < BETTER * straight)
    return found


def _mean_distance(p: Floats, q: Floats, known: NDArray[np.bool_]) -> Floats:
    """Mean over the known joints of their distances; NaN where none is known."""
    apart = np.where(known, np.linalg.norm(q - p, axis=-1), 0.0).sum(-1)
    count = known.sum(-1)
    return np.where(count > 0, apart / np.maximum(count, 1), np.nan)

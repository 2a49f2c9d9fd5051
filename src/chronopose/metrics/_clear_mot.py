"""CLEAR-MOT correspondences and identity assignment of many small problems at once.

Every joint is tracked on its own. A pair in which neither side has another partner within reach
is matched whatever happened before, so only crowded places are gone through one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from chronopose.metrics._people import Floats, Ints, Near, Scene


@dataclass(frozen=True)
class Tracks:
    """Which track each row belongs to, numbered from 0."""

    truth: Ints
    """``(N,)`` for rows of the labels."""
    pred: Ints
    """``(M,)`` for rows of the predictions."""
    truth_count: int
    pred_count: int

    @classmethod
    def of(cls, scene: Scene) -> Tracks:
        """The tracks of a sequence by their ids."""
        truth_ids, truth = np.unique(scene.truth.ids, return_inverse=True)
        pred_ids, pred = np.unique(scene.pred.ids, return_inverse=True)
        return cls(truth, pred, len(truth_ids), len(pred_ids))


@dataclass(frozen=True)
class TrackCounts:
    """Sums of CLEAR-MOT and of the identity score, one column a joint; they add up."""

    objects: NDArray[np.int64]
    """Labelled joints."""
    predicted: NDArray[np.int64]
    """Predicted joints."""
    matches: NDArray[np.int64]
    """Correspondences, switched ones included."""
    switches: NDArray[np.int64]
    """Correspondences with another track than the label's last one."""
    apart: NDArray[np.int64]
    """Switches after the labelled track itself was interrupted."""
    distance: Floats
    """Sum over the correspondences."""
    identity: NDArray[np.int64]
    """Joints that are right under the best one-to-one pairing of whole tracks."""
    frames: int = field(default=0)
    """Frames that counted."""

    @classmethod
    def zeros(cls, groups: int) -> TrackCounts:
        """Nothing yet."""
        none = np.zeros(groups, np.int64)
        return cls(none, none, none, none, none, np.zeros(groups), none)

    def __add__(self, other: TrackCounts) -> TrackCounts:
        names = self.__dataclass_fields__
        return TrackCounts(**{n: getattr(self, n) + getattr(other, n) for n in names})

    def plus_dummies(self, number: int) -> TrackCounts:
        """With so many labelled and predicted joints more that match nothing."""
        return replace(self, objects=self.objects + number, predicted=self.predicted + number)

    @property
    def misses(self) -> NDArray[np.int64]:
        """Labelled joints without a correspondence."""
        return self.objects - self.matches

    @property
    def false_positives(self) -> NDArray[np.int64]:
        """Predicted joints without a correspondence."""
        return self.predicted - self.matches

    def mota(self, apart_weight: float = 1.0) -> Floats:
        """Percent of the labels minus misses, false positives and switches; NaN without labels."""
        switches = self.switches + (apart_weight - 1) * self.apart
        return 100 * (1 - _share(self.misses + self.false_positives + switches, self.objects))

    def motp(self) -> Floats:
        """Percent: 100 minus the mean distance of the correspondences; NaN without any."""
        return 100 * (1 - _share(self.distance, self.matches))

    def precision(self) -> Floats:
        """Percent of predicted joints that correspond."""
        return 100 * _share(self.matches, self.predicted)

    def recall(self) -> Floats:
        """Percent of labelled joints that correspond."""
        return 100 * _share(self.matches, self.objects)

    def idf1(self) -> Floats:
        """Percent: identity F1; NaN without labels."""
        f1 = 100 * _share(2 * self.identity, self.objects + self.predicted)
        return np.where(self.objects > 0, f1, np.nan)


def _share(part: NDArray[np.number], whole: NDArray[np.number]) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(whole > 0, part / whole, np.nan)


def count_tracks(
    near: Near, tracks: Tracks, truth_frame: Ints, truth_known: NDArray[np.bool_],
    pred_known: NDArray[np.bool_], *, find_apart: bool = False,
) -> TrackCounts:  # fmt: skip
    """Match and count one sequence.

    Args:
        near: Pairs that may be matched.
        tracks: Tracks of the rows.
        truth_frame: ``(N,)`` frame of each labelled row.
        truth_known: ``(N, K)`` labelled joints.
        pred_known: ``(M, K)`` predicted joints.
        find_apart: Also count the switches of interrupted tracks; zero otherwise.
    """
    groups = truth_known.shape[1]
    matched = near.select(match_over_time(near, tracks))
    order, switched = _switches(matched, tracks)
    apart = np.zeros(len(matched), bool)
    if find_apart:
        apart = switched & _interrupted(matched, order, tracks, truth_frame, truth_known)

    def per_group(mask: NDArray[np.bool_] | slice) -> NDArray[np.int64]:
        return np.bincount(matched.joint[mask], minlength=groups)

    return TrackCounts(
        objects=truth_known.sum(0, dtype=np.int64),
        predicted=pred_known.sum(0, dtype=np.int64),
        matches=per_group(slice(None)),
        switches=per_group(switched),
        apart=per_group(apart),
        distance=np.bincount(matched.joint, matched.distance, groups).astype(np.float64),
        identity=identity_matches(near, tracks, groups),
    )


def match_over_time(near: Near, tracks: Tracks) -> NDArray[np.bool_]:
    """Which pairs correspond under CLEAR-MOT.

    In every frame a label first keeps the predicted track it was last matched with, if that is
    within reach; the rest is matched so that as many pairs as possible have the least distance.
    """
    chosen = lonely_pairs(near)
    if chosen.all():
        return chosen
    last = _LastMatch(near.select(chosen), tracks)
    for cell in crowded_cells(near, chosen):
        _match_cell(cell, near, tracks, last, chosen)
    return chosen


def lonely_pairs(near: Near) -> NDArray[np.bool_]:
    """Pairs of joints that both have nobody else within reach."""
    lonely = np.ones(len(near), bool)
    for rows in (near.truth, near.pred):
        if len(near):
            code = near.joint * (rows.max() + 1) + rows
            lonely &= np.bincount(code)[code] == 1
    return lonely


def crowded_cells(near: Near, done: NDArray[np.bool_]) -> Iterator[Ints]:
    """The pairs that are not done, joint by joint and frame by frame in time.

    Each in the order of labelled and predicted rows.
    """
    open_pairs = np.flatnonzero(~done)
    if not len(open_pairs):
        return
    joint, frame = near.joint[open_pairs], near.frame[open_pairs]
    order = np.lexsort((near.pred[open_pairs], near.truth[open_pairs], joint, frame))
    change = (np.diff(frame[order]) != 0) | (np.diff(joint[order]) != 0)
    yield from np.split(open_pairs[order], np.flatnonzero(change) + 1)


class _LastMatch:
    """With which predicted track a label was matched last."""

    def __init__(self, lonely: Near, tracks: Tracks) -> None:
        self._tracks = tracks
        self._frames = int(lonely.frame.max(initial=0)) + 1
        key = self._key(lonely.joint, tracks.truth[lonely.truth]) * self._frames + lonely.frame
        order = np.argsort(key)
        self._sorted = key[order]
        self._pred = tracks.pred[lonely.pred][order]
        self._later: dict[int, tuple[int, int]] = {}

    def _key(self, joint: Ints, track: Ints) -> Ints:
        return joint * self._tracks.truth_count + track

    def before(self, joint: int, frame: int, tracks: Ints) -> list[int]:
        """The predicted track of each labelled track; -1 for none."""
        keys = self._key(np.full(len(tracks), joint), tracks)
        place = np.searchsorted(self._sorted, keys * self._frames + min(frame, self._frames)) - 1
        found = []
        for key, at in zip(keys.tolist(), place.tolist(), strict=True):
            when, whom = -1, -1
            if at >= 0 and self._sorted[at] // self._frames == key:
                when, whom = int(self._sorted[at] % self._frames), int(self._pred[at])
            later = self._later.get(key, (-1, -1))
            found.append(later[1] if later[0] > when else whom)
        return found

    def put(self, joint: int, frame: int, track: int, pred_track: int) -> None:
        self._later[joint * self._tracks.truth_count + track] = (frame, pred_track)


def _match_cell(
    cell: Ints, near: Near, tracks: Tracks, last: _LastMatch, chosen: NDArray[np.bool_]
) -> None:
    """Match the crowded pairs of one joint in one frame."""
    joint, frame = int(near.joint[cell[0]]), int(near.frame[cell[0]])
    rows, row_of = np.unique(near.truth[cell], return_inverse=True)
    columns, column_of = np.unique(near.pred[cell], return_inverse=True)
    cost = np.full((len(rows), len(columns)), np.nan)
    cost[row_of, column_of] = near.distance[cell]
    pair = np.zeros(cost.shape, np.intp)
    pair[row_of, column_of] = cell
    pred_tracks = tracks.pred[columns].tolist()
    truth_tracks = tracks.truth[rows]
    taken: list[tuple[int, int]] = []
    free = set(range(len(columns)))
    open_rows = []
    for row, before in enumerate(last.before(joint, frame, truth_tracks)):
        column = pred_tracks.index(before) if before in pred_tracks else -1
        if column in free and not np.isnan(cost[row, column]):
            taken.append((row, column))
            free.remove(column)
        else:
            open_rows.append(row)
    open_columns = sorted(free)
    if open_rows and open_columns:
        some = assign_cheapest(cost[np.ix_(open_rows, open_columns)])
        taken += [(open_rows[r], open_columns[c]) for r, c in some]
    for row, column in taken:
        chosen[pair[row, column]] = True
        last.put(joint, frame, int(truth_tracks[row]), pred_tracks[column])


def assign_cheapest(cost: Floats) -> list[tuple[int, int]]:
    """As many pairs as possible, and of these the cheapest; NaN pairs are impossible.

    Args:
        cost: ``(R, C)``, not negative where possible.
    """
    possible = ~np.isnan(cost)
    if not possible.any():
        return []
    if 1 in cost.shape:
        best = int(np.nanargmin(cost))
        return [(best // cost.shape[1], best % cost.shape[1])]
    # One impossible pair costs more than all possible ones together.
    forbidden = 2.0 * min(cost.shape) * (float(cost[possible].max()) + 1) + 1
    rows, columns = linear_sum_assignment(np.where(possible, cost, forbidden))
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return [(r, c) for r, c in pairs if possible[r, c]]


def _switches(matched: Near, tracks: Tracks) -> tuple[Ints, NDArray[np.bool_]]:
    """The matches in the order of joint, labelled track and time, and which are switches."""
    track = tracks.truth[matched.truth]
    order = np.lexsort((matched.frame, track, matched.joint))
    joint, own, whom = matched.joint[order], track[order], tracks.pred[matched.pred][order]
    same = (joint[1:] == joint[:-1]) & (own[1:] == own[:-1])
    switched = np.zeros(len(matched), bool)
    switched[order[1:]] = same & (whom[1:] != whom[:-1])
    return order, switched


def _interrupted(
    matched: Near, order: Ints, tracks: Tracks, truth_frame: Ints, truth_known: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Matches since whose predecessor in ``order`` the label was away for a frame or more."""
    frame = matched.frame[order]
    nth = _appearance(tracks.truth, truth_frame, truth_known)[matched.truth, matched.joint][order]
    found = np.zeros(len(matched), bool)
    found[order[1:]] = (nth[1:] - nth[:-1]) < (frame[1:] - frame[:-1])
    return found


def _appearance(track: Ints, frame: Ints, known: NDArray[np.bool_]) -> NDArray[np.int64]:
    """``(N, K)`` how many times the joint of the row's track was labelled up to its frame."""
    order = np.lexsort((frame, track))
    running = np.cumsum(known[order], axis=0, dtype=np.int64)
    counts = np.empty_like(running)
    counts[order] = running
    return counts


def identity_matches(near: Near, tracks: Tracks, groups: int) -> NDArray[np.int64]:
    """``(K,)`` pairs within reach under the one-to-one pairing of tracks that has the most.

    Source:
        Ristani et al., "Performance Measures and a Data Set for Multi-Target, Multi-Camera
        Tracking": the least false positive and false negative identities together.
    """
    found = np.zeros(groups, np.int64)
    rows, row_of = np.unique(tracks.truth[near.truth], return_inverse=True)
    columns, column_of = np.unique(tracks.pred[near.pred], return_inverse=True)
    size = (len(rows), len(columns))
    code = row_of * size[1] + column_of
    for joint in range(groups if len(near) else 0):
        own = code[near.joint == joint]
        together = np.bincount(own, minlength=size[0] * size[1]).reshape(size)
        found[joint] = together[linear_sum_assignment(together, maximize=True)].sum()
    return found

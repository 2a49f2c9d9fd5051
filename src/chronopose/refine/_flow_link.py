"""Who is who between neighbouring frames, told by optical flow: step 3 of crowd_flow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from chronopose.core.boxes import Boxes
from chronopose.core.tracks import FramePoses
from chronopose.refine._tracks import oks_matrix

Array = NDArray[np.float64]
Carry = Callable[[Array], Array]
"""``(..., 2)`` places of one frame -> places of the next; NaN where the flow is doubtful."""
GRID = np.stack(np.meshgrid(np.linspace(0.3, 0.7, 5), np.linspace(0.2, 0.8, 7)), axis=-1)
"""Where a box is asked for its motion, shares of its width and height."""


@dataclass(frozen=True)
class FlowPair:
    """Flow between two neighbouring frames, both ways.

    Args:
        there: ``(H, W, 2)`` from the first frame to the second, pixels.
        back: ``(H, W, 2)`` from the second to the first.
        limit_px: Largest distance between a place and where it comes to after going there and
            back, pixels ...
        share: ... plus this share of the way there.
    """

    there: NDArray[np.floating]
    back: NDArray[np.floating]
    limit_px: float
    share: float

    def ahead(self, xy: Array) -> Array:
        """Places of the first frame, in the second; NaN where outside or doubtful."""
        return self._carried(xy, self.there, self.back)

    def behind(self, xy: Array) -> Array:
        """Places of the second frame, in the first; NaN where outside or doubtful."""
        return self._carried(xy, self.back, self.there)

    def _carried(self, xy: Array, there: NDArray[np.floating], back: NDArray[np.floating]) -> Array:
        from chronopose.nn.flow import flow_at

        step = flow_at(there, xy).astype(np.float64)
        moved = xy + step
        error = np.linalg.norm(step + flow_at(back, moved), axis=-1)
        sure = error <= self.limit_px + self.share * np.linalg.norm(step, axis=-1)
        high = np.array([there.shape[1], there.shape[0]]) - 0.5
        inside = ((xy >= -0.5) & (xy <= high) & (moved >= -0.5) & (moved <= high)).all(-1)
        return np.where((sure & inside)[..., None], moved, np.nan)


def median_shift(before: Array, after: Array) -> Array:
    """``(2,)`` median motion of the places known in both; NaN if there is none."""
    both = np.isfinite(before).all(-1) & np.isfinite(after).all(-1)
    if not both.any():
        return np.full(2, np.nan)
    return np.asarray(np.median((after - before)[both], axis=0))


def shifted_box(box: Array, carry: Carry) -> Array:
    """A box moved by the median motion inside it; where it was if nothing is known."""
    places = (box[:2] + GRID * (box[2:] - box[:2])).reshape(-1, 2)
    shift = np.nan_to_num(median_shift(places, carry(places)))
    return box + np.tile(shift, 2)


@dataclass
class _Tracklet:
    key: int
    box: Array
    xy: Array
    embedding: Array | None
    unseen: int = 0


class TrackletLinker:
    """Gives people of successive frames the key of their tracklet.

    Args:
        by: ``link``: cost = 1 - IoU of the flow-shifted box, averaged with 1 - cosine of appearance
            where embeddings are given; ``oks``: cost = 1 - OKS of the flow-shifted pose.
        gate: Largest cost of a link.
        keep: Frames for which a tracklet waits for its person.
        sigmas: ``(K,)`` spreads of the joints.
    """

    def __init__(self, by: str, gate: float, keep: int, sigmas: Array) -> None:
        self._by, self._gate, self._keep, self._sigmas = by, gate, keep, sigmas
        self._tracklets: list[_Tracklet] = []
        self._next = 1

    def link(
        self, people: FramePoses, carry: Carry | None, embeddings: Array | None = None
    ) -> NDArray[np.int64]:
        """``(N,)`` keys of the people of the next frame.

        Args:
            people: Of this frame.
            carry: From the frame before to this one; None for the first frame.
            embeddings: ``(N, E)`` appearance of the people, None for none.
        """
        if carry is not None:
            for old in self._tracklets:
                old.box, old.xy = shifted_box(old.box, carry), carry(old.xy)
        keys = np.zeros(len(people), np.int64)
        cost = self._cost(people, embeddings)
        rows, columns = linear_sum_assignment(cost)
        pairs = {c: self._tracklets[r] for r, c in zip(rows, columns, strict=True)
                 if cost[r, c] <= self._gate}  # fmt: skip
        for old in self._tracklets:
            old.unseen += 1
        for n in range(len(people)):
            seen = pairs.get(n)
            if seen is None:
                seen = _Tracklet(self._next, np.zeros(4), np.zeros(0), None)
                self._tracklets.append(seen)
                self._next += 1
            seen.box = people.boxes.xyxy[n].astype(np.float64)
            seen.xy = people.poses.xy[n].astype(np.float64)
            seen.embedding = None if embeddings is None else embeddings[n]
            seen.unseen, keys[n] = 0, seen.key
        self._tracklets = [t for t in self._tracklets if t.unseen <= self._keep]
        return keys

    def _cost(self, people: FramePoses, embeddings: Array | None) -> Array:
        old, many = self._tracklets, len(people)
        if not old or not many:
            return np.zeros((len(old), many))
        boxes = np.stack([t.box for t in old])
        if self._by == "oks":
            sides = boxes[:, 2:] - boxes[:, :2]
            poses = people.poses.xy.astype(np.float64)
            return 1 - oks_matrix(np.stack([t.xy for t in old]), poses, sides.prod(-1),
                                  self._sigmas)  # fmt: skip
        ones = np.ones(len(old), np.float32)
        apart = 1 - Boxes(boxes.astype(np.float32), ones).iou(people.boxes).astype(np.float64)
        if embeddings is None or any(t.embedding is None for t in old):
            return apart
        a = _unit(np.stack([t.embedding for t in old if t.embedding is not None]))
        return 0.5 * apart + 0.5 * (1 - a @ _unit(embeddings).T)


def _unit(vectors: Array) -> Array:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)

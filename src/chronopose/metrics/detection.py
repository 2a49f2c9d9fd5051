"""Boxes of people against labelled boxes: average precision, and what one threshold gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chronopose.core.boxes import Boxes
from chronopose.errors import ShapeError

RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class DetectionResult:
    """How well people were found.

    Args:
        ap: Average precision at the least overlap, 0..100; NaN without labelled people.
        recall: Share of the labelled people found by boxes at or above ``min_score``, 0..100.
        precision: Share of those boxes that find somebody, 0..100; NaN without such a box.
        people: Labelled people.
        pictures: Pictures.
        min_score: The threshold of recall and precision.
    """

    ap: float
    recall: float
    precision: float
    people: int
    pictures: int
    min_score: float

    def __str__(self) -> str:
        return (
            f"AP50 {self.ap:.1f}   recall {self.recall:.1f}   precision {self.precision:.1f}   "
            f"(scores from {self.min_score:g}; {self.people} people in {self.pictures} pictures)"
        )


class BoxAP:
    """Average precision of boxes; feed pictures with :meth:`update`.

    Boxes are matched best score first, each with the labelled box of largest overlap that is
    still free. A box that finds nobody counts as wrong, unless it lies mostly in an area to
    ignore.

    Args:
        overlap: Least IoU of a match.
        min_score: Threshold of recall and precision.

    Source:
        The COCO detection evaluation with one overlap, all areas and 100 boxes a picture; compared
        with faster-coco-eval in ``tests/unit/metrics/test_detection.py``.
    """

    def __init__(self, overlap: float = 0.5, min_score: float = 0.3) -> None:
        self._overlap, self._least = overlap, min_score
        self._scores: list[NDArray[np.float64]] = []
        self._hits: list[NDArray[np.bool_]] = []
        self._people = self._pictures = 0

    def update(
        self, found: Boxes, labelled: NDArray[np.floating], ignore: NDArray[np.floating]
    ) -> None:
        """Count one picture.

        Args:
            found: Predicted boxes, pixels, with scores.
            labelled: ``(N, 4)`` boxes of the people, pixels.
            ignore: ``(M, 4)`` areas in which boxes are neither right nor wrong.

        Raises:
            ShapeError: boxes are not ``(N, 4)``.
        """
        truth, away = (np.asarray(b, np.float64) for b in (labelled, ignore))
        for name, rows in (("labelled", truth), ("ignore", away)):
            if rows.ndim != 2 or rows.shape[1] != 4:
                raise ShapeError(f"{name} boxes must be (N, 4); got {rows.shape}.")
        order = np.argsort(-found.score, kind="stable")[:100]
        boxes = found.xyxy[order].astype(np.float64)
        free = np.ones(len(truth), bool)
        overlaps = _shared(boxes, truth, of="union")
        hidden = np.any(_shared(boxes, away, of="first") >= 0.5, axis=1)
        keep, hits = [], []
        for row in range(len(boxes)):
            near = np.where(free, overlaps[row], -1.0)
            best = int(near.argmax()) if len(truth) else -1
            hit = best >= 0 and near[best] >= self._overlap
            if hit:
                free[best] = False
            if hit or not hidden[row]:
                keep.append(float(found.score[order[row]]))
                hits.append(hit)
        self._scores.append(np.array(keep, np.float64))
        self._hits.append(np.array(hits, bool))
        self._people += len(truth)
        self._pictures += 1

    def compute(self) -> DetectionResult:
        """The result of all pictures so far."""
        scores = np.concatenate([*self._scores, np.zeros(0)])
        hits = np.concatenate([*self._hits, np.zeros(0, bool)])
        order = np.argsort(-scores, kind="stable")
        scores, hits = scores[order], hits[order]
        right = np.cumsum(hits)
        precision = right / np.arange(1, len(hits) + 1)
        if self._people == 0:
            ap = float("nan")
        else:
            recall = right / self._people
            falling = np.maximum.accumulate(precision[::-1])[::-1]
            place = np.searchsorted(recall, RECALLS, side="left")
            reached = place < len(falling)
            ap = 100 * float(np.where(reached, np.append(falling, 0)[place], 0).mean())
        sure = int((scores >= self._least).sum())
        found = int(right[sure - 1]) if sure else 0
        return DetectionResult(
            ap=ap,
            recall=100 * found / self._people if self._people else float("nan"),
            precision=100 * found / sure if sure else float("nan"),
            people=self._people,
            pictures=self._pictures,
            min_score=self._least,
        )


def _shared(
    first: NDArray[np.float64], second: NDArray[np.float64], of: str
) -> NDArray[np.float64]:
    """``(N, M)`` common area, as a share of the union or of the first box."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    both = np.clip(high - low, 0, None).prod(-1)
    areas = [np.clip(b[:, 2:] - b[:, :2], 0, None).prod(-1) for b in (first, second)]
    whole = areas[0][:, None] + (areas[1][None] - both if of == "union" else 0.0)
    return both / np.maximum(whole, 1e-9)

"""Following one person by the poses themselves: search, close in, follow, start over."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses
from chronopose.pipeline.motion import BoxMotion

MARGIN = 1.2
"""Person box over the extent of the joints: joints lie inside the body."""
RELIABLE = 0.3
"""A joint counts for the box when it scores at least this share of the pose's best joint."""
MIN_JOINTS = 3
"""Joints without which there is no box."""
MIN_SIDE = 0.08
"""Longer side of a believable person, share of the frame's shorter side."""
ROUNDS = 3
"""Looks at one frame while searching: parts of the frame, then twice closer around the best."""
LOST = 0.5
"""The person is lost when the pose scores less than this share of what it has scored before."""
LEAST = 0.2
"""Mean joint score below which a pose is never trusted."""
PATIENCE = 3
"""Bad frames in a row after which the search starts again."""
RETRY_S = 0.5
"""Seconds between two searches while nothing better is found."""


def pose_score(poses: Poses) -> NDArray[np.float64]:
    """``(N,)`` mean score of the joints of each pose; 0 for a joint that is not a number."""
    return np.nan_to_num(poses.score.astype(np.float64)).mean(-1)


def person_box(poses: Poses, row: int, size: tuple[int, int]) -> NDArray[np.float32] | None:
    """``(4,)`` box of a pose in image pixels, or None when its joints do not give one.

    Args:
        poses: Poses ``(N, K, 2)``, image pixels.
        row: Which of them.
        size: Width and height of the frame.
    """
    score = np.nan_to_num(poses.score[row])
    sure = np.isfinite(poses.xy[row]).all(-1) & (score > 0) & (score >= RELIABLE * score.max())
    if sure.sum() < MIN_JOINTS:
        return None
    xy = poses.xy[row][sure]
    box = Boxes(np.concatenate([xy.min(0), xy.max(0)])[None], np.ones(1, np.float32))
    box = box.grow(MARGIN).clip(size)
    sides = box.xyxy[0, 2:] - box.xyxy[0, :2]
    if sides.min() <= 0 or sides.max() < MIN_SIDE * min(size):
        return None
    return box.xyxy[0]


def search_boxes(size: tuple[int, int]) -> Boxes:
    """The whole frame and upright parts of it, as high as it is and overlapping by a third."""
    width, height = size
    part = 0.6 * height
    count = max(1, int(np.ceil((width - part) / (part * 2 / 3))) + 1) if width > part else 0
    left = np.linspace(0, width - part, count) - 0.5 if count else np.zeros(0)
    parts = np.stack(
        [left, np.full(count, -0.5), left + part, np.full(count, height - 0.5)], axis=1
    )
    whole = np.array([[-0.5, -0.5, width - 0.5, height - 0.5]])
    xyxy = np.concatenate([whole, parts])
    return Boxes(xyxy, np.ones(len(xyxy), np.float32))


class PersonFollower:
    """State of the search for one person in one video.

    Args:
        size: Width and height of the frames, pixels.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self._size = size
        self._motion: BoxMotion | None = None
        self._closer: NDArray[np.float32] | None = None
        self._round = 0
        self._best = 0.0
        self._bad = 0
        self._searched_s = -np.inf

    def box(self, time_s: float) -> NDArray[np.float32]:
        """``(4,)`` where the person is expected at ``time_s``; the whole frame if nobody knows."""
        whole = search_boxes(self._size).xyxy[0]
        if self._motion is None:
            return whole
        expected = self._motion.at(time_s)[0][None].astype(np.float32)
        box = Boxes(expected, np.ones(1, np.float32)).clip(self._size)
        return box.xyxy[0] if box.area[0] > 0 else whole

    def candidates(self, time_s: float) -> Boxes | None:
        """Boxes whose poses are wanted now; None while a person is being followed."""
        if self._round >= ROUNDS:
            return None
        if self._round == 0:
            self._searched_s = time_s
            return search_boxes(self._size)
        assert self._closer is not None
        return Boxes(self._closer[None], np.ones(1, np.float32))

    def consider(self, time_s: float, poses: Poses) -> None:
        """Close in on the best of the candidates' poses.

        Args:
            time_s: Of the frame.
            poses: ``(N, K, 2)`` image pixels, one a candidate.
        """
        best = int(pose_score(poses).argmax())
        box = person_box(poses, best, self._size)
        if box is None:
            self._motion, self._round = None, ROUNDS
            return
        self._closer, self._round = box, self._round + 1
        self._motion = BoxMotion(time_s, box)

    def follow(self, time_s: float, poses: Poses) -> None:
        """Take the pose found in the box of this frame; search again when it is no good.

        Args:
            time_s: Of the frame.
            poses: ``(1, K, 2)`` image pixels, or none.
        """
        score = float(pose_score(poses)[0]) if len(poses) else 0.0
        box = person_box(poses, 0, self._size) if len(poses) else None
        if box is not None:
            if self._motion is None:
                self._motion = BoxMotion(time_s, box)
            else:
                self._motion.see(time_s, box)
        good = box is not None and score >= max(LOST * self._best, LEAST)
        self._bad = 0 if good else self._bad + 1
        self._best = max(self._best, score)
        if self._bad >= PATIENCE and time_s - self._searched_s >= RETRY_S:
            self._round, self._bad, self._best = 0, 0, 0.9 * self._best

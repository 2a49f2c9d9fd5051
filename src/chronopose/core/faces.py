"""FrameFaces and VideoFaces: the expressions that the faces of tracked people show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from chronopose.core.tracks import HistoryStep
from chronopose.core.video import VideoInfo
from chronopose.errors import ShapeError

Judged = Literal["yes", "small", "unsure", "behind", "outside"]
"""``yes``; or why a face was not judged: too few pixels, head joints scored too low, seen from
behind, or outside the picture."""


@dataclass(frozen=True)
class FrameFaces:
    """The faces of the people of one frame.

    Args:
        frame_index: Number of the frame in its video, from 0.
        time_s: Presentation time, seconds.
        classes: C names of expressions.
        ids: ``(N,)`` int64 person ids, those of the frame's poses.
        probability: ``(N, C)`` float32, rows of sum 1 for faces that were judged, else NaN.
        xyxy: ``(N, 4)`` float32 left, top, right, bottom of the face, image pixels, before it is
            turned about its middle by ``tilt_deg``; NaN where no face could be placed.
        tilt_deg: ``(N,)`` float32 turn of the head, clockwise on screen positive; NaN likewise.
        judged: N times whether, and if not, why.

    Raises:
        ShapeError: the counts disagree, or a probability contradicts ``judged``.
    """

    frame_index: int
    time_s: float
    classes: tuple[str, ...]
    ids: NDArray[np.int64]
    probability: NDArray[np.float32]
    xyxy: NDArray[np.float32]
    tilt_deg: NDArray[np.float32]
    judged: tuple[Judged, ...]

    def __post_init__(self) -> None:
        count = len(self.ids)
        shapes = (self.probability.shape, self.xyxy.shape, self.tilt_deg.shape, len(self.judged))
        if shapes != ((count, len(self.classes)), (count, 4), (count,), count):
            raise ShapeError(
                f"{count} faces of {len(self.classes)} classes need probabilities, boxes, tilts "
                f"and judgements of these counts; got {shapes}."
            )
        strange = set(self.judged) - set(get_args(Judged))
        known = np.isfinite(self.probability).all(-1)
        if strange or (known != np.array([j == "yes" for j in self.judged], bool)).any():
            raise ShapeError(
                f"Frame {self.frame_index}: a face has probabilities exactly if it was judged; "
                f"got {known.tolist()} and {', '.join(self.judged)}."
            )

    def __len__(self) -> int:
        return len(self.ids)

    def best(self, row: int) -> tuple[str, float] | None:
        """Expression with the largest probability, and that; None if the face was not judged."""
        if self.judged[row] != "yes":
            return None
        best = int(self.probability[row].argmax())
        return self.classes[best], float(self.probability[row, best])


@dataclass(frozen=True)
class VideoFaces:
    """The faces of one video.

    Args:
        info: The video.
        classes: Names of the expressions.
        frames: Frames with people, in order of time.
        history: Which steps with which settings made this, oldest first.
        complete: False when the video broke off or the run was stopped.
    """

    info: VideoInfo
    classes: tuple[str, ...]
    frames: Sequence[FrameFaces]
    history: tuple[HistoryStep, ...] = ()
    complete: bool = True

    def person(self, track_id: int) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Times and expressions of one person, frames in which nothing was judged left out.

        Returns:
            ``(T,)`` seconds and ``(T, C)`` probabilities; both empty if the face was never judged.
        """
        found = [
            (frame.time_s, frame.probability[row])
            for frame in self.frames
            for row in np.flatnonzero(frame.ids == track_id).tolist()
            if frame.judged[row] == "yes"
        ]
        times = np.array([t for t, _ in found], np.float64)
        shares = np.array([p for _, p in found], np.float32).reshape(-1, len(self.classes))
        return times, shares

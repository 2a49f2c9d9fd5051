"""MOT text: the boxes of tracked people, for tools and benchmarks of tracking.

A line a person and frame: ``frame,id,left,top,width,height,confidence,-1,-1,-1``, frames counted
from 1, pixels rounded to 1/1000 and confidences to 1/10000. MOT ignores confidence 0, so a smaller
one than 0.0001 is written as that.

Not held: joints, times, frames without people, history, and whether the video broke off. It is
therefore written and not read as poses; :func:`chronopose.io.boxes.read_boxes` reads the boxes, and
``--detector boxes:FILE`` uses them. This is not the ``.mot`` of OpenSim, which holds joint angles.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO, ClassVar

import numpy as np

from chronopose.core.skeleton import Skeleton
from chronopose.core.tracks import FramePoses, HistoryStep
from chronopose.core.video import VideoInfo
from chronopose.io._foreign import PIXEL_DIGITS, SCORE_DIGITS
from chronopose.io._foreign_sink import ForeignSink


class MotSink(ForeignSink):
    """Writes MOT lines as the frames come; nothing waits in memory.

    Args:
        path: The file to be; it appears whole at :meth:`close`.
        info: The video.
        skeleton: Joints of every frame; not held by the file.
        history: Steps that make the poses; not held by the file.

    Raises:
        FormatError: the file cannot be written, here or in any method.
    """

    tool: ClassVar[str] = "MOT"
    holds: ClassVar[frozenset[str]] = frozenset({"boxes", "scores", "visibility", "missing frames"})

    def __init__(
        self,
        path: str | Path,
        info: VideoInfo,
        skeleton: Skeleton,
        history: tuple[HistoryStep, ...] = (),
    ) -> None:
        self._file: IO[str] | None = None
        super().__init__(path, info, skeleton, history)

    def _lost(self, complete: bool) -> list[str]:
        lost = super()._lost(complete)
        return ["the joints", *lost] if self._people else lost

    def _begin(self, temporary: Path) -> None:
        self._file = open(temporary, "w", encoding="utf-8", newline="\n")  # noqa: SIM115

    def _add(self, frame: FramePoses) -> None:
        assert self._file is not None
        for row, person in enumerate(frame.ids.tolist()):
            edges = np.round(frame.boxes.xyxy[row].astype(np.float64), PIXEL_DIGITS)
            size = np.round(edges[2:] - edges[:2], PIXEL_DIGITS)
            box = [*edges[:2].tolist(), *size.tolist()]
            numbers = ",".join(f"{v:.0f}" if v.is_integer() else f"{v:.3f}" for v in box)
            sure = max(round(float(frame.boxes.score[row]), SCORE_DIGITS), 10**-SCORE_DIGITS)
            self._file.write(f"{frame.frame_index + 1},{person},{numbers},{sure:.4f},-1,-1,-1\n")

    def _finish(self, complete: bool) -> None:
        pass

    def _release(self) -> None:
        if self._file is not None:
            self._file.close()

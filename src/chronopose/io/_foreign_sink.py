"""What the writers for other tools share: joints by name, and an account of what was left out."""

from __future__ import annotations

from abc import abstractmethod
from array import array
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from chronopose.core.poses import Space
from chronopose.core.skeleton import Skeleton
from chronopose.core.tracks import FramePoses, HistoryStep
from chronopose.core.video import VideoInfo
from chronopose.errors import FormatError, SkeletonMismatch
from chronopose.io._facts import FileFacts
from chronopose.io._foreign import MAX_NUMBERS, Dense, tell
from chronopose.io._sink import FileSink

NATIVE = "native"
TIME_ERROR_S = 5e-4
"""A time that is this near to frame / rate is not called lost."""


def asked_joints(joints: str, known: Mapping[str, Skeleton]) -> Skeleton | None:
    """The skeleton that an option ``joints`` names; None for ``"native"``, the frames' own.

    Raises:
        FormatError: it is neither ``"native"`` nor one of ``known``.
    """
    if joints != NATIVE and joints not in known:
        offered = ", ".join(repr(n) for n in known)
        raise FormatError(f"joints must be {offered} or {NATIVE!r}; got {joints!r}.")
    return known.get(joints)


class ForeignSink(FileSink):
    """A :class:`FileSink` for a format with gaps; it warns at the end what they swallowed.

    Args:
        path: The file to be; it appears whole at :meth:`close`.
        info: The video.
        skeleton: Joints of every frame that is given.
        history: Steps that make the poses.
        space: Where the coordinates live.
        target: Joints of the file, converted to by name; None for those of the frames.

    Raises:
        FormatError: the file cannot be written, here or in any method.
        SkeletonMismatch: the skeleton gives none of the joints of ``target``.
    """

    tool: ClassVar[str] = ""
    """The format as the user knows it."""
    holds: ClassVar[frozenset[str]] = frozenset()
    """Which of times, boxes, scores, visibility, history, empty frames and missing frames."""

    def __init__(
        self,
        path: str | Path,
        info: VideoInfo,
        skeleton: Skeleton,
        history: tuple[HistoryStep, ...] = (),
        *,
        space: Space = "image_px",
        target: Skeleton | None = None,
    ) -> None:
        self._index, self._time_s = array("q"), array("d")
        self._people = self._hidden = self._nobody = False
        self._dropped: tuple[str, ...] = ()
        self._made: tuple[str, ...] = ()
        self._target = target if target and target.joints != skeleton.joints else None
        if self._target is not None:
            plan = skeleton.map_to(self._target)
            if len(plan.missing) == len(self._target):
                raise SkeletonMismatch(
                    f"{skeleton.name!r} has no joint of {self._target.name}. Write it with "
                    f"joints='native'."
                )
            self._dropped, self._made = plan.dropped, plan.approximated
        super().__init__(path, FileFacts(info, skeleton, history, space))

    def write(self, frame: FramePoses) -> None:
        """Append the people of the next frame; errors as for :meth:`FileSink.write`."""
        super().write(frame)
        self._index.append(frame.frame_index)
        self._time_s.append(frame.time_s)
        self._people |= len(frame) > 0
        self._nobody |= len(frame) == 0
        known = np.isfinite(frame.poses.xy).all(-1)
        self._hidden |= bool((known & ~np.asarray(frame.poses.visible)).any())

    def _as_written(self, frame: FramePoses) -> FramePoses:
        """The frame with the joints of the file."""
        if self._target is None:
            return frame
        return replace(frame, poses=frame.poses.to_skeleton(self._target, missing="nan"))

    def close(self, complete: bool = True) -> None:
        """Finish the file; see :meth:`FileSink.close`. Warns of what it could not hold."""
        was_open = self._open
        super().close(complete)
        lost = self._lost(complete) if was_open else []
        if was_open and self._made:
            tell(f"{self.path}: {', '.join(self._made)} are made from other joints.")
        if lost:
            tell(
                f"{self.path}: {self.tool} files cannot hold {'; '.join(lost)}. Keep the poses as "
                f".parquet too if you need that."
            )

    def _lost(self, complete: bool) -> list[str]:
        lost = []
        if "times" not in self.holds and len(self._index):
            rate, worst_s = self._rate()
            off = f", which differ from frame/fps by up to {1000 * worst_s:.3g} ms"
            lost.append(f"times (fps={rate:.6g}{off if worst_s > TIME_ERROR_S else ''})")
        present = {
            "boxes": self._people,
            "scores": self._people,
            "visibility": self._hidden,
            "empty frames": self._nobody,
            "missing frames": len(self._index) > 0
            and self._index[-1] - self._index[0] + 1 != len(self._index),
            "history": bool(self._facts.history),
            "completeness": not complete,
        }
        told = {
            "scores": "joint scores",
            "visibility": "which joints are hidden",
            "empty frames": "frames without people",
            "missing frames": "that some frames were not looked at",
            "completeness": "that the video broke off",
        }
        lost += [told.get(k, k) for k, there in present.items() if there and k not in self.holds]
        if self._dropped:
            lost.append(f"the joints {', '.join(self._dropped)}")
        return lost

    def _rate(self) -> tuple[float, float]:
        """Frames a second, and the most that a time differs from frame / rate, seconds."""
        index = np.array(self._index, np.int64)
        times = np.array(self._time_s, np.float64)
        return frame_rate(self._facts.info, index, times)


def frame_rate(
    info: VideoInfo, index: NDArray[np.int64], time_s: NDArray[np.float64]
) -> tuple[float, float]:
    """Frames a second that fit the times best: what the video says if that does, else measured.

    Returns:
        The rate, and the largest ``|time - frame / rate|`` in seconds. With a single frame at time
        0 and a video that does not tell, the rate is 1, which is right for that frame.
    """
    rates = [info.rate_hz] if info.rate_hz > 0 else []
    if len(index) > 1:
        rates.append(float((index[-1] - index[0]) / (time_s[-1] - time_s[0])))
    elif len(index) and time_s[0] > 0 and index[0] > 0:
        rates.append(float(index[0] / time_s[0]))
    if not len(index) or not rates:
        return (rates or [1.0])[0], 0.0
    worst = [float(np.abs(time_s - index / rate).max()) for rate in rates]
    best = next((i for i, w in enumerate(worst) if w <= TIME_ERROR_S), int(np.argmin(worst)))
    return rates[best], worst[best]


class CollectingSink(ForeignSink):
    """A writer for formats that want whole arrays; all poses wait in memory until the end.

    One person in one frame of K joints takes about 12 K bytes: an hour of one person with 17
    joints at 30 frames a second about 22 MB.
    """

    every_row: ClassVar[bool] = False
    """True for a row for every frame from 0, also for those that nobody looked at."""

    def _begin(self, temporary: Path) -> None:
        self._temporary = temporary
        self._frames: list[FramePoses] = []

    def _add(self, frame: FramePoses) -> None:
        self._frames.append(frame)

    def _finish(self, complete: bool) -> None:
        self._save(self._temporary, self._gathered(), complete)

    def _release(self) -> None:
        self._frames = []

    @abstractmethod
    def _save(self, temporary: Path, dense: Dense, complete: bool) -> None:
        """Write the arrays; an OSError stands for anything that the disk refused."""

    def _gathered(self) -> Dense:
        index = np.array([f.frame_index for f in self._frames], np.int64)
        times = np.array([f.time_s for f in self._frames], np.float64)
        ids = sorted({i for f in self._frames for i in f.ids.tolist()})
        joints, axes = len(self._facts.skeleton), len(self._facts.axes)
        rows = index
        if self.every_row and len(index):
            rows = np.arange(index[-1] + 1) if index[-1] < MAX_NUMBERS else index
        if len(rows) * max(len(ids), 1) * joints * axes >= MAX_NUMBERS or (
            self.every_row and len(index) and index[-1] >= MAX_NUMBERS
        ):
            raise FormatError(
                f"Cannot write {self.path}: {len(rows)} frames of {len(ids)} people are too many "
                f"for one array. Write a part of the video, or use .parquet."
            )
        xy = np.full((len(rows), len(ids), joints, axes), np.nan, np.float32)
        score = np.full(xy.shape[:-1], np.nan, np.float32)
        box_score = np.full(xy.shape[:2], np.nan, np.float32)
        column = {person: p for p, person in enumerate(ids)}
        for at, frame in zip(np.searchsorted(rows, index), self._frames, strict=True):
            here = [column[i] for i in frame.ids.tolist()]
            if here:
                xy[at, here] = frame.poses.xy
                score[at, here] = frame.poses.score
                box_score[at, here] = frame.boxes.score
        time_s = np.full(len(rows), np.nan)
        time_s[np.searchsorted(rows, index)] = times
        return Dense(xy, score, ids, rows, time_s, box_score)

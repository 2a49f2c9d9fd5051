"""What the streaming writers share: order, empty frames, and all or nothing."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa

from chronopose.core.tracks import FramePoses
from chronopose.errors import FormatError, SkeletonMismatch
from chronopose.io._facts import FileFacts, FrameLog
from chronopose.io._folder import PendingFolder
from chronopose.io.atomic import PendingFile, write_failure


class FileSink(ABC):
    """Takes frames in order, writes them to a temporary file, and renames it at the end.

    Any failure removes the temporary file. Use it in a ``with`` block, which closes it as complete,
    or call :meth:`close` or :meth:`abort`.

    Args:
        path: The file to be; one that exists stays as it is until :meth:`close`.
        facts: What the file says about itself. Bytes of the video's name that are no UTF-8 become
            the replacement character.

    Raises:
        FormatError: the file cannot be written, here or in any method.
    """

    def __init__(self, path: str | Path, facts: FileFacts) -> None:
        self.path = Path(path)
        source = facts.info.source.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        self._facts = replace(facts, info=replace(facts.info, source=source))
        self._empty = FrameLog()
        self._last: int | None = None
        self._open = True
        self._pending = self._claim(path)
        with self._guard():
            self._begin(self._pending.temporary)

    def write(self, frame: FramePoses) -> None:
        """Append the people of the next frame; a frame without people is noted too.

        Raises:
            FormatError: frame numbers do not rise, a time is not finite, the sink is closed, or
                the disk is full.
            SkeletonMismatch: the frame has other joints than the file.
        """
        with self._guard():
            self._check(frame)
            self._last = frame.frame_index
            if len(frame) == 0:
                self._empty.append(frame.frame_index, frame.time_s)
            self._add(frame)

    def close(self, complete: bool = True) -> None:
        """Finish the file and give it its name; nothing happens if that was done already.

        Args:
            complete: False when the video broke off or the run was stopped.
        """
        if not self._open:
            return
        with self._guard():
            self._finish(complete)
            self._release()
        self._open = False
        self._pending.commit()

    def abort(self) -> None:
        """Throw the unfinished file away; nothing happens after :meth:`close`."""
        if not self._open:
            return
        self._open = False
        try:
            self._release()
        except (OSError, ValueError, pa.ArrowException):
            pass  # A full disk complains again when its last bytes are flushed; they go anyway.
        finally:
            self._pending.discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def _claim(self, path: str | Path) -> PendingFile | PendingFolder:
        return PendingFile(path)

    @abstractmethod
    def _begin(self, temporary: Path) -> None:
        """Open the temporary file, or make the temporary folder."""

    @abstractmethod
    def _add(self, frame: FramePoses) -> None:
        """Write the people of a frame, which was checked already."""

    @abstractmethod
    def _finish(self, complete: bool) -> None:
        """Write what stands at the end."""

    @abstractmethod
    def _release(self) -> None:
        """Close all handles; called once, also after a failure half-way through the others."""

    def _end(self, complete: bool) -> dict[str, Any]:
        return {"complete": bool(complete), "empty_frames": self._empty.to_dict()}

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            self.abort()
            raise write_failure(self.path, error) from error
        except BaseException:
            self.abort()
            raise

    def _check(self, frame: FramePoses) -> None:
        if not self._open:
            raise FormatError(f"{self.path} is closed already; open a new sink to write more.")
        if self._last is not None and frame.frame_index <= self._last:
            raise FormatError(
                f"Cannot write frame {frame.frame_index} to {self.path} after frame {self._last}: "
                f"frames are written in order. Sort them first."
            )
        if frame.frame_index < 0:
            raise FormatError(
                f"Cannot write frame {frame.frame_index} to {self.path}: frames are numbered "
                f"from 0."
            )
        if not math.isfinite(frame.time_s):
            raise FormatError(
                f"Cannot write frame {frame.frame_index} to {self.path}: its time is "
                f"{frame.time_s}, and every frame needs one in seconds."
            )
        if frame.skeleton.joints != self._facts.skeleton.joints:
            raise SkeletonMismatch(
                f"Cannot write {frame.skeleton.name!r} poses to {self.path}, which holds "
                f"{self._facts.skeleton.name!r}. Convert first: poses.to_skeleton(...)."
            )
        if len(frame) and frame.poses.space != self._facts.space:
            raise FormatError(
                f"Cannot write poses in {frame.poses.space} to {self.path}, which holds "
                f"{self._facts.space}. Convert them, or open the sink with that space."
            )
        if not (np.isfinite(frame.scores).all() and np.isfinite(frame.boxes.score).all()):
            raise FormatError(
                f"Cannot write frame {frame.frame_index} to {self.path}: a score is not a finite "
                f"number. Give joints that are unknown the score 0."
            )
        if len(set(frame.ids.tolist())) != len(frame):
            raise FormatError(
                f"Cannot write frame {frame.frame_index} to {self.path}: ids "
                f"{frame.ids.tolist()} name a person twice."
            )

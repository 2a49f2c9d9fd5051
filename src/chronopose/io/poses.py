"""The one door to files of poses: the suffix or the name of a format picks the reader or writer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from chronopose.core.skeleton import Skeleton
from chronopose.core.tracks import FramePoses, HistoryStep, VideoPoses
from chronopose.core.video import VideoInfo
from chronopose.errors import FormatError


@runtime_checkable
class PoseSink(Protocol):
    """Takes the frames of one video in order and writes them as they come.

    The file appears under its name at :meth:`close`, whole, or never.
    """

    def write(self, frame: FramePoses) -> None:
        """Append the people of the next frame, also when there are none."""

    def close(self, complete: bool = True) -> None:
        """Finish the file; ``complete`` is False when the video broke off."""

    def abort(self) -> None:
        """Throw the unfinished file away."""


@dataclass(frozen=True)
class PoseFormat:
    """One file format: where its reader and writer are, and what they accept.

    Args:
        suffix: Ending that stands for the format.
        module: Module of this package.
        sink: Name of its :class:`PoseSink` class.
        reader: Name of its reading function.
        options: Keyword options of the sink.
    """

    suffix: str
    module: str
    sink: str
    reader: str
    options: tuple[str, ...] = ()

    def load(self, name: str) -> Callable[..., Any]:
        """The class or function called ``name`` in the format's module."""
        loaded: Callable[..., Any] = getattr(import_module(f"chronopose.io.{self.module}"), name)
        return loaded


FORMATS: dict[str, PoseFormat] = {
    "parquet": PoseFormat(".parquet", "parquet", "ParquetSink", "read_parquet", ("space",)),
    "coco": PoseFormat(".json", "coco", "CocoSink", "read_coco", ("joints",)),
    "csv": PoseFormat(".csv", "csv", "CsvSink", "read_csv", ("space",)),
}
"""Name -> format, in the order in which they are offered."""


def find_format(path: str | Path, format: str | None = None) -> PoseFormat:
    """The format with this name, or the one that the suffix of ``path`` stands for.

    Raises:
        FormatError: there is no such format, or the suffix stands for none.
    """
    offered = ", ".join(f"{name} ({f.suffix})" for name, f in FORMATS.items())
    if format is not None:
        if format not in FORMATS:
            raise FormatError(f"There is no format {format!r} for poses. There are: {offered}.")
        return FORMATS[format]
    suffix = Path(path).suffix.lower()
    for found in FORMATS.values():
        if found.suffix == suffix:
            return found
    raise FormatError(
        f"The suffix {suffix!r} of {path} stands for no format of poses. Use one of: {offered}."
    )


def open_sink(
    path: str | Path,
    format: str | None,
    info: VideoInfo,
    skeleton: Skeleton,
    history: tuple[HistoryStep, ...] = (),
    **options: Any,
) -> PoseSink:
    """A streaming writer.

    Args:
        path: The file to be.
        format: ``parquet``, ``coco``, ``csv``, or None to go by the suffix.
        info: The video.
        skeleton: Joints of every frame that will be written.
        history: Steps that make the poses.
        **options: ``space`` for parquet and csv, ``joints`` for coco; see their sinks.

    Raises:
        FormatError: unknown format or option, or the file cannot be written.
    """
    found = find_format(path, format)
    unknown = [name for name in options if name not in found.options]
    if unknown:
        raise FormatError(
            f"{found.sink} has no option {unknown[0]!r}. It has: {', '.join(found.options)}."
        )
    sink: PoseSink = found.load(found.sink)(path, info, skeleton, history, **options)
    return sink


def write_poses(
    poses: VideoPoses, path: str | Path, format: str | None = None, **options: Any
) -> None:
    """Write the poses of one video; the file appears whole or not at all.

    Args:
        poses: What to write.
        path: The file to be; one that exists is replaced.
        format: ``parquet``, ``coco``, ``csv``, or None to go by the suffix.
        **options: As for :func:`open_sink`; ``space`` is that of the poses.

    Raises:
        FormatError: unknown format, poses that it cannot hold, or the file cannot be written.
    """
    found = find_format(path, format)
    spaces = {t.poses.space for t in poses.tracks} or {"image_px"}
    if len(spaces) > 1:
        raise FormatError(
            f"Cannot write {path}: its tracks are in different spaces ({', '.join(sorted(spaces))})"
            f". Convert them to one, or write one file for each."
        )
    if "space" in found.options:
        options.setdefault("space", next(iter(spaces)))
    sink = open_sink(path, format, poses.info, poses.skeleton, poses.history, **options)
    try:
        for frame in poses.frames():
            sink.write(frame)
        sink.close(complete=poses.complete)
    except BaseException:
        sink.abort()
        raise


def read_poses(path: str | Path, format: str | None = None) -> VideoPoses:
    """Read a file of poses.

    Args:
        path: The file.
        format: ``parquet``, ``coco``, ``csv``, or None to go by the suffix.

    Raises:
        FormatError: unknown format, or the file is missing, damaged or something else.
    """
    found = find_format(path, format)
    poses: VideoPoses = found.load(found.reader)(path)
    return poses

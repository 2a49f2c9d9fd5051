"""The one door to files of poses: the name of a format, or of a file, picks the reader or writer.

Several formats share a suffix. A writer takes the format whose whole ending fits
(``.mmpose.json``), else the first with that suffix (``.json`` is COCO); a reader looks into the
file.
"""

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
from chronopose.io._foreign import FormatLoss as FormatLoss
from chronopose.io._sniff import sniff


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
        suffix: Ending of a name that stands for the format; it may have two parts.
        module: Module of this package.
        sink: Name of its :class:`PoseSink` class.
        reader: Name of its reading function; empty for a format that holds no joints.
        options: Keyword options of the sink.
        others: Further suffixes that files of this format have, perhaps shared with other formats.
        reads: Keyword options of the reader.
        folder: True when the target is a folder of files.
    """

    suffix: str
    module: str
    sink: str
    reader: str
    options: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    folder: bool = False

    def load(self, name: str) -> Callable[..., Any]:
        """The class or function called ``name`` in the format's module."""
        loaded: Callable[..., Any] = getattr(import_module(f"chronopose.io.{self.module}"), name)
        return loaded

    def accepts(self, path: str | Path) -> bool:
        """Whether the name may belong to a file of this format."""
        name = Path(path).name.lower()
        return name.endswith((self.suffix, *self.others))


_NAMED = ("fps", "skeleton")
_MARKED = ("skeleton", "units")

FORMATS: dict[str, PoseFormat] = {
    "parquet": PoseFormat(".parquet", "parquet", "ParquetSink", "read_parquet", ("space",)),
    "coco": PoseFormat(".json", "coco", "CocoSink", "read_coco", ("joints",)),
    "csv": PoseFormat(".csv", "csv", "CsvSink", "read_csv", ("space",)),
    "openpose": PoseFormat(
        "_openpose", "openpose", "OpenPoseSink", "read_openpose", ("joints",), (), _NAMED, True
    ),
    "alphapose": PoseFormat(
        ".alphapose.json", "alphapose", "AlphaPoseSink", "read_alphapose", ("joints",),
        (".json",), _NAMED,
    ),
    "mmpose": PoseFormat(
        ".mmpose.json", "mmpose", "MMPoseSink", "read_mmpose", (), (".json",), _NAMED
    ),
    "deeplabcut": PoseFormat(
        ".dlc.csv", "deeplabcut", "DeepLabCutSink", "read_deeplabcut", ("layout",),
        (".dlc.h5", ".csv", ".h5", ".hdf5"), _NAMED,
    ),
    "sleap": PoseFormat(
        ".analysis.h5", "sleap", "SleapSink", "read_sleap", (), (".h5", ".hdf5"), _NAMED
    ),
    "movement": PoseFormat(
        ".nc", "movement", "MovementSink", "read_movement", ("space",), (), _NAMED
    ),
    "trc": PoseFormat(".trc", "trc", "TrcSink", "read_trc", ("space",), (), _MARKED),
    "c3d": PoseFormat(".c3d", "c3d", "C3dSink", "read_c3d", ("space",), (), _MARKED),
    "mot": PoseFormat(".mot.txt", "mot", "MotSink", "", (), (".txt",)),
}  # fmt: skip
"""Name -> format, in the order in which they are offered."""


def _offered() -> str:
    return ", ".join(f"{n} ({f.suffix}{'/' * f.folder})" for n, f in FORMATS.items())


def _by_name(format: str) -> PoseFormat:
    if format not in FORMATS:
        raise FormatError(f"There is no format {format!r} for poses. There are: {_offered()}.")
    return FORMATS[format]


def find_format(path: str | Path, format: str | None = None) -> PoseFormat:
    """The format with this name, or the one that the ending of ``path`` stands for.

    Raises:
        FormatError: there is no such format, or the ending stands for none or for several.
    """
    if format is not None:
        return _by_name(format)
    name, suffix = Path(path).name.lower(), Path(path).suffix.lower()
    whole = [f for f in FORMATS.values() if name.endswith(f.suffix)]
    if whole:
        return max(whole, key=lambda f: len(f.suffix))
    shared = {n: f for n, f in FORMATS.items() if f.accepts(path)}
    ending = {f for f in shared.values() if any(name.endswith(o) for o in f.others if o != suffix)}
    if len(shared) == 1 or len(ending) == 1:
        return next(iter(ending or shared.values()))
    if shared:
        raise FormatError(
            f"The suffix {suffix!r} of {path} stands for {' and '.join(shared)}. Give the format "
            f"by its name."
        )
    raise FormatError(
        f"The suffix {suffix!r} of {path} stands for no format of poses. Use one of: {_offered()}."
    )


def detect_format(path: str | Path, format: str | None = None) -> PoseFormat:
    """The format of a file that is there: by name, else by its content and its ending.

    Raises:
        FormatError: there is no such format, or neither content nor ending tells.
    """
    if format is not None:
        return _by_name(format)
    folder = Path(path).is_dir()
    able = [n for n, f in FORMATS.items() if f.folder == folder and (folder or f.accepts(path))]
    told = sniff(path, able) if folder or len(able) > 1 else None
    if told is None and folder:
        raise FormatError(
            f"Cannot read {path}: the folder holds no poses that are known. OpenPose has a "
            f".json file a frame there."
        )
    return FORMATS[told] if told else find_format(path)


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
        format: A name in :data:`FORMATS`, or None to go by the ending of ``path``.
        info: The video.
        skeleton: Joints of every frame that will be written.
        history: Steps that make the poses.
        **options: Those of the format's sink, e.g. ``space`` for parquet, ``joints`` for coco.

    Raises:
        FormatError: unknown format or option, or the file cannot be written.
    """
    found = find_format(path, format)
    unknown = [name for name in options if name not in found.options]
    if unknown:
        raise FormatError(
            f"{found.sink} has no option {unknown[0]!r}. It has: "
            f"{', '.join(found.options) or 'none'}."
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
        format: A name in :data:`FORMATS`, or None to go by the ending of ``path``.
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


def read_poses(
    path: str | Path,
    format: str | None = None,
    *,
    fps: float | None = None,
    skeleton: Skeleton | None = None,
    units: str | None = None,
) -> VideoPoses:
    """Read a file of poses, or a folder of them.

    Args:
        path: The file or folder.
        format: A name in :data:`FORMATS`, or None to go by the content and the ending of ``path``.
        fps: Frames a second, for formats that hold no times.
        skeleton: Joints in file order, for formats that do not name them.
        units: ``px``, ``mm``, ``cm`` or ``m``, for marker files that state a wrong unit.

    Raises:
        FormatError: unknown format; the file is missing, damaged or something else; it needs one of
            the options, or holds itself what an option says.
    """
    found = detect_format(path, format)
    if not found.reader:
        raise FormatError(
            f"Cannot read poses from {path}: the format holds boxes and no joints. Read them with "
            f"read_boxes, or use them with --detector boxes:{path}."
        )
    given = {"fps": fps, "skeleton": skeleton, "units": units}
    options = {name: value for name, value in given.items() if value is not None}
    needless = [name for name in options if name not in found.reads]
    if needless:
        raise FormatError(
            f"Cannot read {path} with {needless[0]}={options[needless[0]]}: this format has that "
            f"in the file. Leave it out."
        )
    poses: VideoPoses = found.load(found.reader)(path, **options)
    return poses

"""The work behind ``convert``: which formats are meant, and what stands between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from chronopose.cli._flags import make_folder
from chronopose.core.labels import LabelledSequence
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import get_skeleton
from chronopose.core.tracks import VideoPoses
from chronopose.core.video import VideoInfo
from chronopose.errors import ChronoposeError, FormatError, SkeletonMismatch, UsageError
from chronopose.io._foreign import tell
from chronopose.io._sniff import sniff
from chronopose.io.labels import LABEL_FORMATS, read_labels, sniff_labels, write_labels
from chronopose.io.poses import FORMATS, find_format, read_poses, write_poses

LABELS = "labels:"
AMBIGUOUS = {".json", ".mat", ".xml", ".zip", ".h5", ".hdf5", ".txt", ""}
"""Suffixes that labels and poses share, or that only labels have; none for a folder."""


@dataclass(frozen=True, kw_only=True)
class _Named:
    """A format by the name that a user gives it."""

    name: str
    labels: bool


@dataclass(frozen=True)
class Request:
    """What the command line asks for; see the flags of ``convert``."""

    source: str
    out: str
    target: str | None = None
    origin: str | None = None
    skeleton: str | None = None
    joints: str | None = None
    fps: float | None = None
    units: str | None = None
    person: int | None = None
    overwrite: bool = False


def convert(request: Request) -> list[str]:
    """Read, convert and write.

    Returns:
        One line for each thing that was written.

    Raises:
        UsageError: the target exists, a format or a skeleton is unknown, or a flag does not fit.
        ChronoposeError: the source cannot be read, or the target cannot hold it.
    """
    if Path(request.out).exists() and not request.overwrite:
        raise UsageError(f"{request.out} exists already. Use --overwrite, or another name.")
    target = _target(request)
    found = read_source(request)
    wanted = _skeleton(request.skeleton)
    if isinstance(found, VideoPoses):
        poses = _chosen(_converted(found, wanted), request)
        if target.labels:
            return _write_labels([LabelledSequence.from_video(poses)], request, target)
        return [_write_poses(poses, Path(request.out), target)]
    if request.person is not None:
        raise UsageError("--person picks from poses; labels are converted whole.")
    sequences = found if wanted is None else [s.to_skeleton(wanted) for s in found]
    if request.fps is not None:
        sequences = [replace(s, fps=request.fps) for s in sequences]
    if target.labels:
        return _write_labels(sequences, request, target)
    return _labels_to_poses(sequences, request, target)


def _named(name: str, offered: Sequence[str]) -> _Named:
    plain = name.removeprefix(LABELS)
    if plain == name and name in FORMATS:
        return _Named(name=name, labels=False)
    if plain in LABEL_FORMATS:
        return _Named(name=plain, labels=True)
    raise UsageError(f"There is no format {name!r}. There are: {', '.join(offered)}.")


def _offered(writing: bool) -> list[str]:
    poses = [n for n, f in FORMATS.items() if writing or f.reader]
    labels = [n for n, f in LABEL_FORMATS.items() if n != "poses" and (f.writer or not writing)]
    return poses + [f"{LABELS}{n}" if n in FORMATS else n for n in labels]


def _target(request: Request) -> _Named:
    if request.target is not None:
        return _named(request.target, _offered(writing=True))
    try:
        found = find_format(request.out)
    except FormatError as error:
        raise UsageError(f"{error} Or name a format with --to.") from error
    return _Named(name=next(n for n, f in FORMATS.items() if f is found), labels=False)


def _skeleton(name: str | None) -> Skeleton | None:
    return None if name is None else get_skeleton(name)


def read_source(request: Request) -> VideoPoses | list[LabelledSequence]:
    """Poses or labels, whatever the source holds.

    Raises:
        UsageError: there is no format of the name given.
        ChronoposeError: the source cannot be read.
    """
    joints, path = _skeleton(request.joints), request.source
    if request.origin is not None:
        named = _named(request.origin, _offered(writing=False))
        if named.labels:
            return read_labels(path, named.name)
        return read_poses(path, named.name, fps=request.fps, skeleton=joints, units=request.units)
    try:
        return read_poses(path, fps=request.fps, skeleton=joints, units=request.units)
    except FormatError:
        name = _label_format(path)
        if name is None:
            raise
    return read_labels(path, name)


def _label_format(path: str) -> str | None:
    """The format of labels that the content speaks for, unless it speaks for poses."""
    suffix = "" if Path(path).is_dir() else Path(path).suffix.lower()
    if suffix not in AMBIGUOUS or sniff(path, list(FORMATS)) not in (None, "coco"):
        return None
    try:
        name = sniff_labels(path)
    except ChronoposeError:
        return None
    return None if name == "poses" else name


def _converted(poses: VideoPoses, wanted: Skeleton | None) -> VideoPoses:
    if wanted is None or wanted.joints == poses.skeleton.joints:
        return poses
    plan = poses.skeleton.map_to(wanted)
    if len(plan.missing) == len(wanted):
        raise SkeletonMismatch(
            f"{poses.skeleton.name!r} poses cannot become {wanted.name!r}: they have none of its "
            f"joints. They have: {', '.join(poses.skeleton.joints)[:300]}."
        )
    for what, joints in (
        ("cannot be had and stay unknown", plan.missing),
        ("are made from others", plan.approximated),
        ("have no place there", plan.dropped),
    ):
        if joints:
            tell(f"To {wanted.name}: {', '.join(joints)} {what}.")
    return poses.to_skeleton(wanted)


def _chosen(poses: VideoPoses, request: Request) -> VideoPoses:
    if request.person is None:
        return poses
    return replace(poses, tracks=(poses.person(request.person),))


def _write_poses(poses: VideoPoses, path: Path, target: _Named) -> str:
    make_folder(path.parent)
    write_poses(poses, path, target.name)
    return f"{path}: {len(poses.frame_index)} frames, {len(poses)} people, {target.name}"


def _write_labels(sequences: list[LabelledSequence], request: Request, target: _Named) -> list[str]:
    make_folder(Path(request.out).parent)
    write_labels(sequences, request.out, target.name)
    frames = sum(len(s) for s in sequences)
    return [f"{request.out}: {frames} frames, {len(sequences)} sequences, {target.name}"]


def _labels_to_poses(
    sequences: list[LabelledSequence], request: Request, target: _Named
) -> list[str]:
    """One file for one sequence, a folder of them for several."""
    if not sequences:
        raise FormatError(f"{request.source} holds no sequence.")
    out, suffix = Path(request.out), FORMATS[target.name].suffix
    clean = ["".join(c if c.isalnum() or c in "-_." else "_" for c in s.name) for s in sequences]
    if len(set(clean)) != len(clean):
        raise FormatError(f"{request.source} holds two sequences of one name: {clean}.")
    paths = [out] if len(sequences) == 1 else [out / f"{n}{suffix}" for n in clean]
    poses = [as_video(s) for s in sequences]
    return [_write_poses(p, path, target) for p, path in zip(poses, paths, strict=True)]


def as_video(sequence: LabelledSequence) -> VideoPoses:
    """Labels of a video as poses; what poses cannot hold is said.

    Raises:
        UsageError: these are pictures and no video, or nobody knows their times.
    """
    if not sequence.is_video:
        raise UsageError(
            f"{sequence.name!r} is a set of pictures and no video: it has no times and no tracks. "
            f"Convert it into a format of labels."
        )
    if sequence.fps is None and any(f.time_s is None for f in sequence):
        raise UsageError(
            f"{sequence.name!r} tells neither times nor a rate. Give the frames a second with "
            f"--fps."
        )
    lost = {
        "head boxes": any((f.head_boxes == f.head_boxes).any() for f in sequence),
        "areas": any((f.area == f.area).any() for f in sequence),
        "crowds": any(f.crowd.any() for f in sequence),
        "regions to ignore": any(len(f.ignore) for f in sequence),
        "that some frames are not labelled": any(not f.labelled for f in sequence),
    }
    gone = [what for what, there in lost.items() if there]
    if gone:
        tell(f"{sequence.name}: files of poses cannot hold {', '.join(gone)}.")
    size = next((f.size for f in sequence if f.size), (0, 0))
    rate = float("nan") if sequence.fps is None else sequence.fps
    return sequence.to_video(VideoInfo(sequence.name, size, rate_hz=rate))

"""The work behind ``lift``: 2D poses from a file or a video, lifted, written in several formats."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chronopose import zoo
from chronopose._api import PredictSettings, load, pick_device
from chronopose.cli._flags import make_folder, parse_size
from chronopose.cli._predict import warn
from chronopose.core.skeletons import get_skeleton
from chronopose.core.tracks import FramePoses, VideoPoses
from chronopose.errors import FormatError, UsageError
from chronopose.io._sniff import sniff
from chronopose.io.bvh_poses import bvh_files, write_bvh_poses
from chronopose.io.performances import motions_of, write_motions
from chronopose.io.poses import FORMATS, find_format, read_poses, write_poses
from chronopose.io.rerun import write_rerun
from chronopose.io.sources import expand_sources
from chronopose.io.video import open_video
from chronopose.io.video_writer import FORMATS as VIDEOS
from chronopose.pipeline.lift import Lifter, LiftSettings
from chronopose.pipeline.lift_video import write_lift_video

SPACES = {"camera": "camera_mm", "root": "root_mm"}
WALKS = ("turn", "side", "front")
OTHERS = (".npz", ".bvh", ".rrd")
"""Endings beside those of the formats of poses that can hold 3D joints."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the command line asks for; see the flags of ``lift``."""

    input: str
    out: tuple[str, ...]
    overlay: str | None
    model: str
    weights: str | None
    device: str
    pose_model: str
    settings: LiftSettings
    video: str | None
    walk: str
    kpt_thr: float
    origin: str | None
    fps: float | None
    joints: str | None
    overwrite: bool
    quiet: bool

    @classmethod
    def of_flags(cls, options: Any) -> Request:
        """Check everything that can be checked before anything is read.

        Raises:
            UsageError: nothing to write, an output that exists or has no format of joints in
                space, or a flag out of range.
        """
        if options.space not in SPACES:
            raise UsageError(f"--space is camera or root; got {options.space!r}.")
        settings = LiftSettings(
            space=SPACES[options.space], rate_hz=options.rate, max_gap_s=options.gap,  # type: ignore[arg-type]
            min_score=options.min_score, flip_test=not options.no_flip, chunk=options.chunk,
            size=options.size and parse_size(options.size, "--size"),
            focal_px=options.focal, fov_deg=options.fov, depth_noise=options.depth_noise,
        )  # fmt: skip
        request = cls(
            input=options.input, out=tuple(options.out), overlay=options.overlay,
            model=options.model, weights=options.weights, device=options.device,
            pose_model=options.pose_model, settings=settings, video=options.video,
            walk=options.walk, kpt_thr=options.kpt_thr, origin=options["from"], fps=options.fps,
            joints=options.joints, overwrite=options.overwrite, quiet=options.quiet,
        )  # fmt: skip
        request._check()
        return request

    def _check(self) -> None:
        if not self.out and self.overlay is None:
            raise UsageError("Nothing to write: give --out FILE..., --overlay FILE, or both.")
        if self.walk not in WALKS:
            raise UsageError(f"--walk is {', '.join(WALKS)}; got {self.walk!r}.")
        if self.overlay is not None and Path(self.overlay).suffix.lower() not in VIDEOS:
            raise UsageError(f"--overlay writes {', '.join(VIDEOS)}; got {self.overlay}.")
        files = [f for f in (*self.out, self.overlay) if f is not None]
        if len(set(files)) != len(files):
            raise UsageError("Two outputs have the same name.")
        for path in self.out:
            _check_format(path)
        self.refuse_existing(files)

    def refuse_existing(self, files: list[str]) -> None:
        """Raise an error if an output is there and may not be replaced."""
        there = [f for f in files if Path(f).exists()]
        if there and not self.overwrite:
            raise UsageError(f"{there[0]} exists already. Use --overwrite, or another name.")


def lift(request: Request) -> list[str]:
    """Read or find poses, lift them and write.

    Returns:
        One line for each thing that was assumed, left out or written.

    Raises:
        ChronoposeError: the input cannot be read or lifted, or an output cannot be written.
    """
    video = video_of(request)
    place = pick_device(request.device)
    model = zoo.load_lifter(request.model, weights=request.weights, device=place)
    lifter = Lifter(model, request.settings, name=request.model, device=place)
    poses = _poses(request, video)
    total = sum(len(t) for t in poses.tracks)
    if not total:
        raise UsageError(f"{request.input} holds nobody who could be lifted.")
    with _bar("lift", None, request.quiet) as bar:
        found = lifter.lift(poses, bar.update)
    told = list(found.notes)
    if not found.poses.tracks:
        raise UsageError(" ".join(("Nobody could be lifted.", *told)))
    settings = found.poses.history[-1].settings
    if request.settings.space == "camera_mm":
        given = request.settings.focal_px or request.settings.fov_deg
        told.append(
            f"Distances rest on a focal length of {settings['focal_px']:.0f} px"
            f"{'' if given else ', which is assumed: --focal or --fov say better'}."
        )
    figures = [f for f in request.out if Path(f).suffix.lower() == ".bvh"]
    ids = found.poses.ids.tolist()
    request.refuse_existing([str(f) for path in figures for f in bvh_files(path, ids)])
    for path in (*request.out, *([request.overlay] if request.overlay else [])):
        make_folder(Path(path).parent)
    for path in request.out:
        told += _write(poses, found.poses, path)
    if request.overlay is not None:
        told.append(_overlay(poses, found.poses, request, video))
    return told


def video_of(request: Request) -> str | None:
    """The one video of INPUT, or None if INPUT is a file of poses.

    Raises:
        UsageError: INPUT is several videos, or a flag of poses goes with a video.
    """
    path = Path(request.input)
    known = any(not f.folder and f.reader and f.accepts(path) for f in FORMATS.values())
    folders = [n for n, f in FORMATS.items() if f.folder]
    if path.is_dir():
        known = sniff(path, folders) is not None
    if request.origin is not None or known:
        return None
    sources = expand_sources(request.input)
    if len(sources) != 1:
        raise UsageError(f"lift takes one video or file of poses; {request.input} is several.")
    if request.fps is not None or request.joints is not None or request.video is not None:
        raise UsageError(
            f"--fps, --joints and --video go with files of poses; {request.input} is a video."
        )
    return sources[0]


def _poses(request: Request, video: str | None) -> VideoPoses:
    if video is None:
        joints = None if request.joints is None else get_skeleton(request.joints)
        poses = read_poses(request.input, request.origin, fps=request.fps, skeleton=joints)
        return _sized(poses, request)
    predictor = load(request.pose_model, device=request.device)
    settings = PredictSettings()
    with open_video(video) as reader:
        frames = predictor.pipeline(settings).stream(reader)
        total = reader.info.num_frames or None
        bar = _bar(Path(video).name, total, request.quiet)
        found = VideoPoses.from_frames(
            reader.info, predictor.model.codec.skeleton, _counted(frames, bar),
            predictor.history(settings),
        )  # fmt: skip
        if reader.damage is not None:
            warn(f"{video}: {reader.damage} What could be read is lifted.")
        return replace(found, complete=reader.damage is None)


def _counted(frames: Iterator[FramePoses], bar: Any) -> Iterator[FramePoses]:
    with bar:
        for frame in frames:
            yield frame
            bar.update()


def _sized(poses: VideoPoses, request: Request) -> VideoPoses:
    """Poses that say how large the picture is, where the flags or the video do."""
    size = request.settings.size
    if size is None and min(poses.info.size) < 1 and request.video is not None:
        with open_video(request.video) as reader:
            size = reader.info.size
    if size is None:
        return poses
    return replace(poses, info=replace(poses.info, size=size))


def _check_format(path: str) -> None:
    """Raise an error unless a file of this name can hold joints in space."""
    if Path(path).suffix.lower() in OTHERS:
        return
    able = [f.suffix for f in FORMATS.values() if "space" in f.options]
    try:
        found = find_format(path)
    except FormatError as error:
        raise UsageError(
            f"{path}: there is no such format for joints in space. Use one of: "
            f"{', '.join((*able, *OTHERS))}."
        ) from error
    if "space" not in found.options:
        raise UsageError(
            f"{path}: {found.suffix} files hold flat poses only. Use one of: "
            f"{', '.join((*able, *OTHERS))}."
        )


def _write(flat: VideoPoses, lifted: VideoPoses, path: str) -> list[str]:
    """Write one output; returns what to say."""
    people = f"{len(lifted.frame_index)} frames, {len(lifted)} people"
    match Path(path).suffix.lower():
        case ".bvh":
            return [f"{f}: one person" for f in write_bvh_poses(lifted, path)]
        case ".npz":
            write_motions(motions_of(lifted, Path(path).name.split(".")[0]), path)
        case ".rrd":
            write_rerun(path, flat, lifted)
        case _:
            write_poses(lifted, path)
    return [f"{path}: {people}"]


def _overlay(flat: VideoPoses, lifted: VideoPoses, request: Request, video: str | None) -> str:
    source = video or request.video
    how: dict[str, Any] = {"walk": request.walk, "kpt_thr": request.kpt_thr}
    path = str(request.overlay)
    if source is None:
        count = write_lift_video(path, flat, lifted, **how)
    else:
        with open_video(source) as reader:
            count = write_lift_video(path, flat, lifted, reader, **how)
    return f"{path}: {count} frames"


def _bar(name: str, total: int | None, quiet: bool) -> Any:
    from tqdm import tqdm

    return tqdm(total=total, unit="frame", disable=quiet, desc=name)

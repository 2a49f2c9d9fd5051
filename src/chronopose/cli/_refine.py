"""The work behind ``refine``: settings from flags, steps in their order, poses and log written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chronopose.cli._flags import make_folder
from chronopose.core.skeletons import get_skeleton
from chronopose.core.tracks import VideoPoses
from chronopose.errors import UsageError
from chronopose.io.flow_files import FlowFiles
from chronopose.io.poses import find_format, read_poses, write_poses
from chronopose.refine import (
    ButterworthSettings,
    CrowdFlowSettings,
    EditLog,
    FillGapsSettings,
    KalmanSettings,
    OneEuroSettings,
    SavitzkyGolaySettings,
    StitchSettings,
    crowd_flow,
    fill_gaps,
    smooth,
    stitch,
    untangle,
)
from chronopose.refine.smooth import METHODS, SmoothSettings

if TYPE_CHECKING:
    from chronopose.core.video import VideoInfo
    from chronopose.io.video import Frame, VideoReader

STEPS = ("stitch", "untangle", "crowd-flow", "fill-gaps", "smooth")
SEES = ("untangle", "crowd-flow")
"""Steps that look at the frames."""
LOGS = (".csv", ".json")
OF_METHOD: dict[type, dict[str, str]] = {
    ButterworthSettings: {"cutoff": "cutoff_hz", "order": "order"},
    SavitzkyGolaySettings: {"smooth_window": "window_s", "order": "order"},
    KalmanSettings: {"noise": "noise_px", "speed_drift": "speed_drift_px_s"},
    OneEuroSettings: {"cutoff": "min_cutoff_hz", "beta": "beta"},
}
"""Settings of a filter -> flag -> field."""
NEEDS_EQUAL_STEPS = (ButterworthSettings, SavitzkyGolaySettings)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the command line asks for; see the flags of ``refine``."""

    poses: str
    out: str
    video: str | None
    steps: tuple[str, ...]
    log: str | None
    origin: str | None
    target: str | None
    fps: float | None
    joints: str | None
    overwrite: bool
    quiet: bool
    stitch: StitchSettings
    crowd_flow: CrowdFlowSettings
    flow: str
    fill: FillGapsSettings
    smooth: SmoothSettings

    @classmethod
    def of_flags(cls, options: Any) -> Request:
        """Check everything that can be checked before anything is read.

        Raises:
            UsageError: an unknown step, a flag that does not fit, no video for a step that looks
                at it, an output that exists.
        """
        request = cls(
            poses=options.poses, out=options.out, video=options.video,
            steps=_steps(options.steps), log=options.log, origin=options["from"],
            target=options.to, fps=options.fps, joints=options.joints,
            overwrite=options.overwrite, quiet=options.quiet,
            stitch=StitchSettings(max_gap_s=options.stitch_gap),
            crowd_flow=CrowdFlowSettings(
                window=options.window, direction=options.direction, identity=options.identity,
                method="files" if Path(options.flow).is_dir() else options.flow,
                insert=not options.no_insert,
            ),
            flow=options.flow,
            fill=FillGapsSettings(
                max_gap_s=options.fill_gap, method=options.fill,
                filled_score=options.filled_score, min_score=options.min_score,
            ),
            smooth=_smooth_settings(options),
        )  # fmt: skip
        request._check()
        return request

    def _check(self) -> None:
        seeing = [step for step in self.steps if step in SEES]
        if seeing and self.video is None:
            raise UsageError(
                f"The step {seeing[0]} looks at the frames: give the video in which the poses were "
                f"found with --video, or leave the step out of --steps."
            )
        if "crowd-flow" in self.steps:
            from chronopose.nn.flow import METHODS as FLOWS

            if self.crowd_flow.method not in (*FLOWS, "files"):
                raise UsageError(
                    f"No flow {self.flow!r}; there are {', '.join(FLOWS)}, or name a folder of "
                    f"flow files."
                )
        if self.log is not None and Path(self.log).suffix.lower() not in LOGS:
            raise UsageError(f"--log writes {' or '.join(LOGS)}; got {self.log}.")
        find_format(self.out, self.target)
        for path in (self.out, self.log):
            if path is not None and Path(path).exists() and not self.overwrite:
                raise UsageError(f"{path} exists already. Use --overwrite, or another name.")


def refine(request: Request) -> list[str]:
    """Read, refine and write.

    Returns:
        One line for each step and each file.

    Raises:
        ChronoposeError: the poses or the video cannot be read, do not belong together, or the
            result cannot be written.
    """
    joints = None if request.joints is None else get_skeleton(request.joints)
    poses = read_poses(request.poses, request.origin, fps=request.fps, skeleton=joints)
    log = EditLog()
    told = []
    for step in request.steps:
        many = len(poses)
        poses = _STEPS[step](poses, request, log)
        told.append(_line(step, many, poses, log))
    for folder in {Path(p).parent for p in (request.out, request.log) if p is not None}:
        make_folder(folder)
    write_poses(poses, request.out, request.target)
    told.append(f"{request.out}: {len(poses.frame_index)} frames, {len(poses)} people")
    if request.log is not None:
        log.write(request.log)
        told.append(f"{request.log}: {len(log)} edits")
    return told


def _line(step: str, many: int, poses: VideoPoses, log: EditLog) -> str:
    mine = {a: n for (s, a), n in log.counts().items() if s == step.replace("-", "_")}
    edits = ", ".join(f"{n} {action}" for action, n in mine.items()) or "nothing to change"
    people = f"; {many} ids became {len(poses)}" if many != len(poses) else ""
    return f"{step}: {edits}{people}"


def _flowed(poses: VideoPoses, request: Request, log: EditLog) -> VideoPoses:
    kept = request.crowd_flow.method == "files"
    flow = FlowFiles(Path(request.flow)) if kept else None
    with _frames(poses, request, "crowd-flow") as frames:
        return crowd_flow(poses, frames, request.crowd_flow, flow=flow, log=log)


def _untangled(poses: VideoPoses, request: Request, log: EditLog) -> VideoPoses:
    with _frames(poses, request, "untangle") as frames:
        return untangle(poses, frames, log=log)


@contextmanager
def _frames(poses: VideoPoses, request: Request, step: str) -> Iterator[_Counted]:
    """The video of the poses, counted on the terminal."""
    from chronopose.io.sources import expand_sources
    from chronopose.io.video import open_video

    sources = expand_sources(str(request.video))
    if len(sources) != 1:
        raise UsageError(f"--video must be one video; {request.video} is {len(sources)}.")
    with open_video(sources[0]) as reader:
        _tell_of_rest(poses, reader.info)
        yield _Counted(reader, len(poses.frame_index), request.quiet, step)


def _tell_of_rest(poses: VideoPoses, video: VideoInfo) -> None:
    """Poses of other tools do not say how many frames they looked at."""
    from chronopose.cli._predict import warn

    last = int(poses.frame_index[-1]) + 1 if len(poses.frame_index) else 0
    if poses.info.num_frames == 0 and 0 < last < video.num_frames:
        warn(
            f"the poses end with frame {last - 1}, {video.source} has {video.num_frames} frames; "
            f"make sure that they belong together."
        )


class _Counted:
    """The frames of a reader with a progress bar."""

    def __init__(self, reader: VideoReader, total: int, quiet: bool, step: str) -> None:
        self._reader, self._total, self._quiet, self._step = reader, total, quiet, step
        self.info = reader.info

    def __iter__(self) -> Iterator[Frame]:
        from tqdm import tqdm

        yield from tqdm(
            self._reader, total=self._total, unit="frame", disable=self._quiet, desc=self._step
        )


_STEPS: dict[str, Callable[[VideoPoses, Request, EditLog], VideoPoses]] = {
    "stitch": lambda poses, r, log: stitch(poses, r.stitch, log=log),
    "untangle": _untangled,
    "crowd-flow": _flowed,
    "fill-gaps": lambda poses, r, log: fill_gaps(poses, r.fill, log=log),
    "smooth": lambda poses, r, log: smooth(poses, r.smooth, log=log),
}


def _steps(text: str) -> tuple[str, ...]:
    from difflib import get_close_matches

    steps = tuple(s.strip().replace("_", "-") for s in text.split(",") if s.strip())
    for step in steps:
        if step not in STEPS:
            near = get_close_matches(step, STEPS, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise UsageError(f"No step {step!r}; there are {', '.join(STEPS)}.{hint}")
    if not steps:
        raise UsageError(f"--steps names no step; there are {', '.join(STEPS)}.")
    return steps


def _smooth_settings(options: Any) -> SmoothSettings:
    """The filter that is meant, refusing flags of other filters."""
    if options.smooth not in METHODS:
        raise UsageError(f"No filter {options.smooth!r}; there are {', '.join(METHODS)}.")
    kind = METHODS[options.smooth]
    fields = OF_METHOD[kind]
    every = dict.fromkeys(flag for flags in OF_METHOD.values() for flag in flags)
    given = {flag: options[flag] for flag in every if options[flag] is not None}
    strange = [flag for flag in given if flag not in fields]
    if strange:
        raise UsageError(
            f"--{strange[0].replace('_', '-')} means nothing to {options.smooth}; its flags are "
            f"{', '.join('--' + f.replace('_', '-') for f in fields)}."
        )
    settings: Any = kind(
        max_gap_s=options.smooth_gap, jump=options.jump,
        **{fields[f]: v for f, v in given.items()},
    )  # fmt: skip
    if isinstance(settings, NEEDS_EQUAL_STEPS):
        settings = replace(settings, irregular=options.irregular)
    return settings  # type: ignore[no-any-return]

"""What the files of other tools have in common: names to be understood, times to be made up.

Most of them know neither the times of their frames nor the boxes of their people. A reader takes
``fps`` then, and refuses to guess; a box becomes the tight extent of the known joints, its score
the mean of theirs. A writer says with a :class:`FormatLoss` what its file could not hold.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses, Space
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import find_skeleton, joint_name
from chronopose.core.tracks import FramePoses, HistoryStep, PersonTrack, VideoPoses
from chronopose.core.video import VideoInfo
from chronopose.errors import FormatError, SkeletonMismatch

PIXEL_DIGITS = 3
SCORE_DIGITS = 4
MAX_NUMBERS = 2**31


class FormatLoss(UserWarning):
    """Something that a file format has no place for, so that it was left out or made up."""


def tell(text: str) -> None:
    """Warn of a :class:`FormatLoss`."""
    warnings.warn(text, FormatLoss, stacklevel=2)


@dataclass(frozen=True)
class Found:
    """A person in a frame, as far as a file tells.

    Args:
        xy: ``(K, 2)`` pixels, NaN where unknown.
        score: ``(K,)`` as stored; zero where unknown.
        person: Track id, None where the file has none.
        box: Left, top, right, bottom in pixels, None where the file has none.
        box_score: Score of the person, None where the file has none.
        visible: ``(K,)`` bool, None for "wherever it is known".
    """

    xy: NDArray[np.float32]
    score: NDArray[np.float32]
    person: int | None = None
    box: Sequence[float] | None = None
    box_score: float | None = None
    visible: NDArray[np.bool_] | None = None


def frame_times(
    frame_index: NDArray[np.int64], fps: float | None, path: str | Path, tool: str
) -> NDArray[np.float64]:
    """``frame_index / fps``, seconds, for a file without times.

    Raises:
        FormatError: ``fps`` is not given, or not a sensible number.
    """
    if fps is None:
        raise FormatError(
            f"Cannot read {path}: {tool} files hold no times, and the frames need them. Say how "
            f"many frames a second the video has: read_poses(path, fps=...), or --fps."
        )
    if not (math.isfinite(fps) and 0 < fps <= 100_000):
        raise FormatError(f"Cannot read {path}: fps must be above 0; got {fps}.")
    return np.asarray(frame_index, np.float64) / fps


def ids_of_names(names: Sequence[str]) -> list[int]:
    """Track ids of named individuals: the numbers that all names end in, else 0, 1, 2, ..."""
    ends = [re.search(r"[0-9]{1,18}$", name) for name in names]
    numbers = [int(m.group()) for m in ends if m]
    if len(numbers) == len(names) == len(set(numbers)):
        return numbers
    return list(range(len(names)))


def skeleton_of_names(
    names: Sequence[str], path: str | Path, limbs: Iterable[tuple[str, str]] = ()
) -> Skeleton:
    """The skeleton with these joints: a known one, or one made for the file.

    Raises:
        FormatError: a name is empty or comes twice, or a side has no mirror joint.
    """
    if not names or any(not n.strip() for n in names) or len(set(names)) != len(names):
        raise FormatError(
            f"{path}: its joints need names that are there and differ; got {list(names)[:40]}."
        )
    found = find_skeleton(names)
    if found is not None:
        return found
    plain = [joint_name(n) or n for n in names]
    reason = ""
    for spelled in (plain, list(names)):
        renamed = dict(zip(names, spelled, strict=True))
        pairs = tuple((renamed[a], renamed[b]) for a, b in limbs if a in renamed and b in renamed)
        try:
            return Skeleton("custom", tuple(spelled), pairs)
        except SkeletonMismatch as error:
            reason = str(error)
    raise FormatError(f"{path}: its joints form no skeleton. {reason}")


def whole_lines(text: str, path: str | Path) -> list[str]:
    """The lines of a text file of numbers.

    Raises:
        FormatError: the last line has no end, so its last number may have been cut.
    """
    if text and not text.endswith(("\n", "\r")):
        raise FormatError(
            f"{path}: its last line has no end, so the file may have been cut short. Write it "
            f"again from its source, or add a line feed if nothing is missing."
        )
    return text.splitlines()


def single(values: NDArray[Any]) -> NDArray[np.float32]:
    """In single precision; what is too large becomes infinite, which is refused later."""
    with np.errstate(over="ignore"):
        return np.asarray(values, np.float32)


def picture_number(name: object, where: str) -> int:
    """The number that the name of a picture or of a frame's file ends in.

    Raises:
        FormatError: there is none.
    """
    text = PurePosixPath(str(name).replace("\\", "/"))
    digits = re.findall(r"[0-9]+", text.stem)
    if not digits or len(digits[-1]) > 18:
        raise FormatError(
            f"{where} does not say which frame it belongs to: {str(name)[:80]!r} has no number. "
            f"Name the pictures by their frame numbers, counted from 0."
        )
    return int(digits[-1])


def refuse_nonsense(xy: NDArray[Any], path: str | Path, *, pixels: bool = True) -> None:
    """Check coordinates of any shape ``(..., 2 or 3)``; NaN means unknown.

    Raises:
        FormatError: infinite, too large for single precision, known only in part, or fractions of
            the picture instead of pixels.
    """
    if xy.size == 0:
        return
    with np.errstate(invalid="ignore"):
        large = np.abs(xy) > float(np.finfo(np.float32).max)
    if large.any():
        raise FormatError(f"{path} holds a coordinate that is infinite or far too large.")
    known = np.isfinite(xy)
    if (known.any(-1) != known.all(-1)).any():
        raise FormatError(
            f"{path} holds a joint of which only some coordinates are known. Correct it, or leave "
            f"all of them empty."
        )
    if pixels and known.any() and np.nanmax(np.abs(xy)) <= 2:
        raise FormatError(
            f"{path}: no joint lies beyond pixel 2, so the coordinates seem to be fractions of the "
            f"frame. Multiply them by its width and height."
        )


def found_to_video(
    found: Mapping[int, Sequence[Found]],
    time_s: Mapping[int, float],
    info: VideoInfo,
    skeleton: Skeleton,
    history: tuple[HistoryStep, ...],
    path: str | Path,
    *,
    complete: bool = False,
) -> VideoPoses:
    """Collect people that were read frame by frame.

    People without ids get their place in the list of their frame, with a :class:`FormatLoss`.

    Args:
        found: Frame number -> its people, for all frames that were looked at.
        time_s: Frame number -> seconds.
        info: The video.
        skeleton: Joints of all people.
        history: What is known of the making.
        path: The file, for messages.
        complete: Whether the file says that nothing is missing at the end.

    Raises:
        FormatError: an id comes twice in a frame, some people have ids and others not, or times
            do not rise with the frames.
    """
    everybody = [p for people in found.values() for p in people]
    given = sum(p.person is not None for p in everybody)
    if 0 < given < len(everybody):
        raise FormatError(
            f"{path} gives ids to {given} of {len(everybody)} people. Give one to all or to none."
        )
    if everybody and not given:
        tell(
            f"{path} holds no track ids: people are numbered by their place in each frame, which "
            f"says nothing about who is who. Track them before using the ids."
        )
    refuse_nonsense(np.array([p.xy for p in everybody], np.float64).reshape(-1, 2), path)
    frames = []
    order = sorted(found)
    for before, after in pairwise(order):
        if not time_s[after] > time_s[before]:
            raise FormatError(
                f"{path}: frame {after} at {time_s[after]} s does not come after frame {before} at "
                f"{time_s[before]} s."
            )
    for index in order:
        people = [p for p in found[index] if p.box is not None or np.isfinite(p.xy).any()]
        frames.append(_frame(index, time_s[index], people, skeleton, path))
    return VideoPoses.from_frames(info, skeleton, frames, history, complete)


def _frame(
    index: int, time_s: float, people: Sequence[Found], skeleton: Skeleton, path: str | Path
) -> FramePoses:
    ids = [row if p.person is None else p.person for row, p in enumerate(people)]
    if len(set(ids)) != len(ids):
        raise FormatError(f"{path}: frame {index} has a track id twice: {sorted(ids)}.")
    count, joints = len(people), len(skeleton)
    poses = Poses(
        np.array([p.xy for p in people], np.float32).reshape(count, joints, 2),
        np.array([p.score for p in people], np.float32).reshape(count, joints),
        skeleton,
        visible=np.array(
            [np.isfinite(p.xy).all(-1) if p.visible is None else p.visible for p in people], bool
        ).reshape(count, joints),
    )
    tight, mean = poses.extent(), mean_score(poses)
    boxes = Boxes(
        np.array([tight[i] if p.box is None else p.box for i, p in enumerate(people)], np.float32),
        np.array([mean[i] if p.box_score is None else p.box_score for i, p in enumerate(people)]),
    )
    by_id = np.argsort(ids, kind="stable")
    return FramePoses(
        index, time_s, np.array(ids, np.int64)[by_id], boxes.select(by_id), poses.select(by_id)
    )


def mean_score(poses: Poses) -> NDArray[np.float32]:
    """``(N,)`` mean score of the known joints; zero where none is known."""
    known = np.isfinite(poses.xy).all(-1)
    total = np.where(known, poses.score, 0).sum(-1)
    return (total / np.maximum(known.sum(-1), 1)).astype(np.float32)


@dataclass(frozen=True)
class Dense:
    """Tracks as arrays, one row a frame; NaN where nobody is there.

    Args:
        xy: ``(F, P, K, 2 or 3)`` pixels or millimetres.
        score: ``(F, P, K)``; NaN where none is given, which becomes 1 for a known joint.
        ids: P track ids.
        frame_index: ``(F,)`` rising.
        time_s: ``(F,)`` seconds, rising.
        box_score: ``(F, P)`` scores of the people; NaN where none is given.
    """

    xy: NDArray[np.float32]
    score: NDArray[np.float32]
    ids: Sequence[int]
    frame_index: NDArray[np.int64]
    time_s: NDArray[np.float64]
    box_score: NDArray[np.float32] | None = None


def dense_to_video(
    dense: Dense,
    info: VideoInfo,
    skeleton: Skeleton,
    history: tuple[HistoryStep, ...],
    path: str | Path,
    *,
    space: Space = "image_px",
    complete: bool = False,
) -> VideoPoses:
    """Tracks of a file that is an array: a person is there in the frames with a known joint.

    A 3D track has boxes of size zero: they belong to a picture, and there is none.

    Raises:
        FormatError: coordinates or scores are no sensible numbers, or frames or times do not rise.
    """
    refuse_nonsense(dense.xy, path, pixels=space == "image_px")
    known = np.asarray(np.isfinite(dense.xy).all(-1))
    if np.isinf(dense.score).any():
        raise FormatError(f"{path} holds a score that is infinite.")
    for name, values in (("frame numbers", dense.frame_index), ("times", dense.time_s)):
        stuck = np.flatnonzero(~(np.diff(values) > 0))
        if len(stuck) or not np.isfinite(values).all():
            at = int(stuck[0]) if len(stuck) else 0
            raise FormatError(
                f"{path}: the {name} do not rise from row to row: {values[at : at + 2].tolist()} "
                f"in rows {at} and {at + 1}. A file holds one video in order."
            )
    if len(dense.frame_index) and dense.frame_index[0] < 0:
        raise FormatError(f"{path}: frame {dense.frame_index[0]} lies before frame 0.")
    score = np.where(np.isfinite(dense.score), dense.score, known).astype(np.float32)
    tracks = []
    for row, person in enumerate(dense.ids):
        here = known[:, row].any(-1)
        if not here.any():
            continue
        poses = Poses(dense.xy[here, row], score[here, row], skeleton, space)
        tight = poses.extent() if space == "image_px" else np.zeros((len(poses), 4), np.float32)
        sure = mean_score(poses)
        if dense.box_score is not None:
            given = dense.box_score[here, row]
            sure = np.where(np.isfinite(given), given, sure).astype(np.float32)
        tracks.append(
            PersonTrack(
                int(person), dense.frame_index[here], dense.time_s[here], Boxes(tight, sure), poses
            )
        )
    return VideoPoses(
        info, skeleton, tuple(tracks), history, dense.frame_index, dense.time_s, complete
    )


def file_info(path: str | Path, fps: float | None, source: str = "") -> VideoInfo:
    """What is known of the video of a file that tells no more than its source, if that."""
    return VideoInfo(source or Path(path).name, (0, 0), rate_hz=math.nan if fps is None else fps)


def read_step(tool: str, **settings: Any) -> tuple[HistoryStep, ...]:
    """The line of history of a file that brings none: which format it was, and how it was read."""
    given = {k: v for k, v in settings.items() if v is not None}
    return (HistoryStep("read", {"format": tool, **given}),)

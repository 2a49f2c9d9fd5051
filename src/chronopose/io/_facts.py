"""What a file of poses says about itself, beside its rows: one JSON object in every format.

Keys: ``layout`` (1), ``video`` (the fields of VideoInfo), ``skeleton`` (name, joints, limbs,
sigmas), ``space``, ``history`` (step, settings, version), and from the end of the writing
``complete`` and ``empty_frames``. A number that is unknown (NaN) is null.

``empty_frames`` lists the frames that were looked at but hold nobody, since they have no rows:
``{"step": s, "runs": [[first, count], ...], "time_s": text}``. A run stands for the frames
``first, first + s, ...``; ``time_s`` is one time a frame of all runs in order, little-endian
float64, zlib, base64. Twenty empty minutes at 60 frames a second need 16 bytes a frame in memory
while they are written, 1.2 MB.
"""

from __future__ import annotations

import base64
import json
import math
import zlib
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from chronopose.core.poses import Space
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import SKELETONS
from chronopose.core.tracks import HistoryStep
from chronopose.core.video import VideoInfo
from chronopose.errors import ChronoposeError, FormatError

LAYOUT = 1


class FrameLog:
    """Numbers and times of frames, 16 bytes each."""

    def __init__(self) -> None:
        self._index = array("q")
        self._time_s = array("d")

    def append(self, frame_index: int, time_s: float) -> None:
        """Note one frame; numbers must rise."""
        self._index.append(frame_index)
        self._time_s.append(time_s)

    def to_dict(self) -> dict[str, Any]:
        """The ``empty_frames`` object of the module's head."""
        index = np.frombuffer(self._index, np.int64) if self._index else np.zeros(0, np.int64)
        steps = np.diff(index)
        step = int(steps.min()) if len(steps) else 1
        starts = np.flatnonzero(np.r_[True, steps != step]) if len(index) else steps
        counts = np.diff(np.r_[starts, len(index)])
        times = np.frombuffer(self._time_s, np.float64).astype("<f8") if self._index else b""
        return {
            "step": step,
            "runs": [[int(index[s]), int(c)] for s, c in zip(starts, counts, strict=True)],
            "time_s": base64.b64encode(zlib.compress(bytes(times))).decode("ascii"),
        }


@dataclass(frozen=True)
class FileFacts:
    """Everything a file of poses holds beside its rows.

    Args:
        info: The video.
        skeleton: Joint names of all rows.
        history: Steps that made the poses, oldest first.
        space: Where the coordinates live.
        complete: False when the video broke off, the run was stopped, or nobody knows.
        empty_index: ``(E,)`` frames that were looked at and hold nobody.
        empty_time_s: ``(E,)`` their times, seconds.
    """

    info: VideoInfo
    skeleton: Skeleton
    history: tuple[HistoryStep, ...] = ()
    space: Space = "image_px"
    complete: bool = True
    empty_index: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    empty_time_s: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0, np.float64))

    @property
    def axes(self) -> str:
        """``"xy"``, or ``"xyz"`` in the 3D spaces."""
        return "xyz" if self.space in ("camera_mm", "root_mm") else "xy"

    def to_dict(self) -> dict[str, Any]:
        """The JSON object without its end, which is known only when all frames are written."""
        skeleton = {
            "name": self.skeleton.name,
            "joints": self.skeleton.joints,
            "limbs": self.skeleton.limbs,
            "sigmas": self.skeleton.oks_sigmas,
        }
        value = {
            "layout": LAYOUT,
            "video": asdict(self.info),
            "skeleton": skeleton,
            "space": self.space,
            "history": [
                {"step": h.step, "settings": h.settings, "version": h.version} for h in self.history
            ],
        }
        return plain(value)

    @classmethod
    def from_dict(cls, value: Any, path: str | Path) -> FileFacts:
        """Inverse of :meth:`to_dict`, with :meth:`with_end` for what follows.

        Raises:
            FormatError: the object was written by a newer layout, lacks something, or names a
                known skeleton but other joints.
        """
        try:
            _need(isinstance(value, Mapping), f"a {type(value).__name__} instead of an object")
            if value["layout"] != LAYOUT:
                raise FormatError(
                    f"{path} has layout {value['layout']}; this version reads {LAYOUT}. "
                    f"Update chronopose."
                )
            video = {f.name: value["video"][f.name] for f in fields(VideoInfo)}
            for name in ("rate_hz", "duration_s"):
                video[name] = math.nan if video[name] is None else float(video[name])
            width, height = video["size"]
            video["size"] = (int(width), int(height))
            history = tuple(
                HistoryStep(str(h["step"]), dict(h["settings"]), str(h["version"]))
                for h in value["history"]
            )
            _need(value["space"] in get_args(Space), f"space {value['space']!r}")
            skeleton = _skeleton(value["skeleton"], path)
            return cls(VideoInfo(**video), skeleton, history, value["space"])
        except FormatError:
            raise
        except (KeyError, TypeError, ValueError, ChronoposeError, OverflowError) as error:
            raise FormatError(_unreadable(path, error)) from error

    def with_end(self, value: Any, path: str | Path) -> FileFacts:
        """The same facts with ``complete`` and ``empty_frames`` of the JSON object ``value``.

        Raises:
            FormatError: they are missing or contradict themselves.
        """
        try:
            _need(isinstance(value, Mapping), f"a {type(value).__name__} instead of an object")
            index, time_s = _empty_frames(value["empty_frames"])
            return replace(
                self, complete=value["complete"] is True, empty_index=index, empty_time_s=time_s
            )
        except (KeyError, TypeError, ValueError, OverflowError, zlib.error) as error:
            raise FormatError(_unreadable(path, error)) from error


def parse_facts(text: bytes | str, path: str | Path) -> Any:
    """The JSON object behind ``text``.

    Raises:
        FormatError: it is not JSON.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormatError(_unreadable(path, error)) from error


def _unreadable(path: str | Path, error: Exception) -> str:
    reason = f"no {error.args[0]!r}" if isinstance(error, KeyError) else str(error)
    return (
        f"Cannot read {path}: its description of video and skeleton is damaged ({reason}). "
        f"Without the description the rows can still be read if their joints are those of a "
        f"known skeleton: remove it, or write the file again."
    )


def plain(value: Any) -> Any:
    """``value`` in JSON's own types: tuples as lists, NaN as null, anything else as its text."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(v) for v in value]
    return str(value)


def _need(ok: bool, otherwise: str) -> None:
    if not ok:
        raise ValueError(otherwise)


def _skeleton(value: Mapping[str, Any], path: str | Path) -> Skeleton:
    found = Skeleton(
        str(value["name"]),
        tuple(str(j) for j in value["joints"]),
        tuple((str(a), str(b)) for a, b in value["limbs"]),
        tuple(float(s) for s in value["sigmas"]),
    )
    known = SKELETONS.get(found.name)
    if known is None:
        return found
    if known.joints != found.joints:
        other = sorted(set(found.joints) ^ set(known.joints)) or "the order"
        raise FormatError(
            f"{path} calls its skeleton {found.name!r}, but its joints are not those of "
            f"{found.name} (different: {other}). Give the skeleton another name in the file."
        )
    return known if known == found else found


def _empty_frames(value: Mapping[str, Any]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    raw = zlib.decompress(base64.b64decode(value["time_s"], validate=True))
    times = np.frombuffer(raw, "<f8").astype(np.float64)
    runs = np.array(value["runs"], np.int64).reshape(-1, 2)
    total = sum(int(c) for c in runs[:, 1])
    _need(
        bool((runs >= 0).all()) and total == len(times),
        f"{total} empty frames, {len(times)} times",
    )
    step = int(value["step"])
    parts = [first + step * np.arange(count, dtype=np.int64) for first, count in runs]
    index = np.concatenate(parts) if parts else np.zeros(0, np.int64)
    _need(bool((np.diff(index) > 0).all()), "empty frames out of order")
    _need(bool(np.isfinite(times).all()), "empty frames without a time")
    return index, times


def guess_facts(joints: Iterable[str], video: str, path: str | Path) -> FileFacts:
    """Facts of a table that lost its description: the skeleton with exactly these joints.

    Args:
        joints: Names in the table, any order.
        video: Name in its video column.
        path: The file, for the message.

    Raises:
        FormatError: no known skeleton has exactly these joints.
    """
    names = set(joints)
    for skeleton in SKELETONS.values():
        if set(skeleton.joints) == names:
            return FileFacts(VideoInfo(video, (0, 0)), skeleton, complete=False)
    raise FormatError(
        f"{path} does not describe its skeleton, and its joints are those of none that is known: "
        f"{', '.join(sorted(names))[:300]}. Known: {', '.join(SKELETONS)}. Rename the joints, or "
        f"write the file with chronopose."
    )

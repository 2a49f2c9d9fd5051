"""OpenPose: a folder with one JSON file a frame, ``NAME_000000000012_keypoints.json``.

A file is ``{"version": 1.3, "people": [...]}``; a person has ``person_id`` (a list with one number,
-1 for none) and ``pose_keypoints_2d``, flat ``x, y, c`` in pixels with all three zero for a joint
that was not found. The lists for face, hands and 3D are written empty and passed over in reading.

The joints have no names: their number says which model it was, BODY_25 (25), COCO (18), or of tools
that write this layout Halpe (26) and COCO without neck (17). Give ``skeleton`` for any other.

Not held: times (give ``fps`` to read it back), boxes (become the extent of the joints), which
joints are hidden, history, and whether the video broke off. Pixels are rounded to 1/1000, scores to
1/10000. Ids are those of the tool: OpenPose itself gives none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import BODY25, COCO17, COCO18, HALPE26
from chronopose.core.tracks import FramePoses, HistoryStep, VideoPoses
from chronopose.core.video import VideoInfo
from chronopose.errors import FormatError
from chronopose.io._fields import field, load_json, numbers, reading, records, whole
from chronopose.io._folder import PendingFolder
from chronopose.io._foreign import (
    PIXEL_DIGITS,
    SCORE_DIGITS,
    Found,
    file_info,
    found_to_video,
    frame_times,
    picture_number,
    read_step,
)
from chronopose.io._foreign_sink import ForeignSink, asked_joints

TOOL = "OpenPose"
BY_COUNT: Mapping[int, Skeleton] = {len(s): s for s in (COCO17, COCO18, BODY25, HALPE26)}
"""Number of joints in a person -> the model that has so many."""
WRITTEN = {s.name: s for s in (BODY25, COCO18)}
OWN = "*_keypoints.json"
EMPTY = (
    "face_keypoints_2d", "hand_left_keypoints_2d", "hand_right_keypoints_2d", "pose_keypoints_3d",
    "face_keypoints_3d", "hand_left_keypoints_3d", "hand_right_keypoints_3d",
)  # fmt: skip


class OpenPoseSink(ForeignSink):
    """Writes a folder of OpenPose JSON files as the frames come; nothing waits in memory.

    Args:
        path: The folder to be; it appears whole at :meth:`close`. A folder that exists is replaced
            only if it holds nothing but such files.
        info: The video; the stem of its name begins the file names.
        skeleton: Joints of every frame.
        history: Steps that make the poses; not held by the files.
        joints: ``"body25"`` or ``"coco18"`` converts by name, joints that cannot be had as not
            found; ``"native"`` writes the joints as they are.

    Raises:
        FormatError: the folder cannot be written, here or in any method; poses are not 2D pixels.
        SkeletonMismatch: the skeleton gives no joint of ``joints``.
    """

    tool: ClassVar[str] = TOOL
    holds: ClassVar[frozenset[str]] = frozenset({"scores", "empty frames", "missing frames"})

    def __init__(
        self,
        path: str | Path,
        info: VideoInfo,
        skeleton: Skeleton,
        history: tuple[HistoryStep, ...] = (),
        *,
        joints: Literal["body25", "coco18", "native"] = "body25",
    ) -> None:
        target = asked_joints(joints, WRITTEN)
        stem = Path(info.source.replace("\\", "/")).stem.encode("utf-8", "replace").decode()
        self._stem = re.sub(r"[^\w.-]+", "_", stem).strip("_.")[:80] or "video"
        super().__init__(path, info, skeleton, history, target=target)

    def _claim(self, path: str | Path) -> PendingFolder:
        return PendingFolder(path, OWN)

    def _begin(self, temporary: Path) -> None:
        self._folder = temporary

    def _add(self, frame: FramePoses) -> None:
        frame = self._as_written(frame)
        people = [_person(frame, row) for row in range(len(frame))]
        text = json.dumps({"version": 1.3, "people": people}, allow_nan=False)
        name = f"{self._stem}_{frame.frame_index:012d}_keypoints.json"
        (self._folder / name).write_text(text, encoding="utf-8")

    def _finish(self, complete: bool) -> None:
        pass

    def _release(self) -> None:
        pass


def _person(frame: FramePoses, row: int) -> dict[str, Any]:
    flat = flat_joints(frame.poses.xy[row], frame.poses.score[row])
    empty: dict[str, list[float]] = {name: [] for name in EMPTY}
    return {"person_id": [int(frame.ids[row])], "pose_keypoints_2d": flat, **empty}


def flat_joints(xy: NDArray[np.float32], score: NDArray[np.float32]) -> list[float]:
    """``x, y, c`` of every joint in one list, rounded; zeros for a joint that is unknown.

    Args:
        xy: ``(K, 2)`` pixels.
        score: ``(K,)``.
    """
    known = np.asarray(np.isfinite(xy).all(-1))[:, None]
    pixels = np.round(xy.astype(np.float64), PIXEL_DIGITS)
    sure = np.round(score.astype(np.float64), SCORE_DIGITS)[:, None]
    rows: list[float] = np.where(known, np.concatenate([pixels, sure], -1), 0.0).ravel().tolist()
    return rows


def found_joints(
    flat: object, joints: int, where: str
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Inverse of :func:`flat_joints`: ``(K, 2)`` pixels with NaN, and ``(K,)`` scores.

    Raises:
        FormatError: not ``3 * joints`` finite numbers.
    """
    values = np.array(numbers(flat, 3 * joints, where), np.float64).reshape(-1, 3)
    xy = values[:, :2].astype(np.float32)
    xy[(values == 0).all(-1)] = np.nan
    return xy, values[:, 2].astype(np.float32)


def layout_of(
    count: int, skeleton: Skeleton | None, where: str, by_count: Mapping[int, Skeleton]
) -> Skeleton:
    """The joints behind a flat list of ``count`` numbers, ``x, y, c`` for each joint.

    Raises:
        FormatError: no model has so many, or ``skeleton`` has another number.
    """
    if skeleton is not None and count == 3 * len(skeleton):
        return skeleton
    if skeleton is None and count % 3 == 0 and count // 3 in by_count:
        return by_count[count // 3]
    asked = f"{skeleton.name} has {len(skeleton)}" if skeleton else (
        f"known without a name are {', '.join(f'{n} ({s.name})' for n, s in by_count.items())}"
    )  # fmt: skip
    raise FormatError(
        f"{where} holds {count} numbers, x, y and c for {count / 3:g} joints, but {asked}. Say "
        f"which joints they are: read_poses(path, skeleton=...), or --joints NAME."
    )


def read_openpose(
    path: str | Path, *, fps: float | None = None, skeleton: Skeleton | None = None
) -> VideoPoses:
    """Read a folder of OpenPose JSON files; each frame's number is the last one in its file's name.

    Args:
        path: The folder.
        fps: Frames a second of the video.
        skeleton: Joints in file order, for other models than those of :data:`BY_COUNT`.

    Raises:
        FormatError: no such folder, no file in it, a file or a field damaged (the message names
            it), an unknown number of joints, or ``fps`` missing.
    """
    with reading(path, "a folder of OpenPose files"):
        names = sorted(p for p in Path(path).iterdir() if p.suffix.lower() == ".json")
    if not names:
        raise FormatError(
            f"Cannot read {path}: the folder holds no .json file. OpenPose writes one a frame, "
            f"named ..._keypoints.json."
        )
    by_frame: dict[int, Path] = {}
    for name in names:
        number = picture_number(name.stem.removesuffix("_keypoints") + ".json", str(name))
        if number in by_frame:
            raise FormatError(
                f"{name} and {by_frame[number].name} are both frame {number}. Keep one video in a "
                f"folder."
            )
        by_frame[number] = name
    index = np.array(sorted(by_frame), np.int64)
    times = frame_times(index, fps, path, TOOL)
    found: dict[int, list[Found]] = {}
    for number in index.tolist():
        found[number], skeleton = _read_frame(by_frame[number], skeleton)
    info = file_info(path, fps)
    time_s = dict(zip(index.tolist(), times.tolist(), strict=True))
    return found_to_video(
        found, time_s, info, skeleton or BODY25, read_step("openpose", fps=fps), path
    )


def _read_frame(path: Path, skeleton: Skeleton | None) -> tuple[list[Found], Skeleton | None]:
    people = records(field(load_json(path), "people", str(path)), f"{path}: people")
    found = []
    for row, record in enumerate(people):
        where = f"{path}: people[{row}]"
        flat = records(field(record, "pose_keypoints_2d", where), f"{where}.pose_keypoints_2d")
        if not flat:
            continue
        skeleton = layout_of(len(flat), skeleton, f"{where}.pose_keypoints_2d", BY_COUNT)
        xy, score = found_joints(flat, len(skeleton), f"{where}.pose_keypoints_2d")
        found.append(Found(xy, score, _person_id(record, where)))
    return found, skeleton


def _person_id(record: Mapping[str, Any], where: str) -> int | None:
    value = record.get("person_id", [-1])
    if isinstance(value, list):
        if len(value) != 1:
            raise FormatError(f"{where}.person_id must be a list of one number; got {value}.")
        value = value[0]
    person = whole(value, f"{where}.person_id", least=-1)
    return person if person >= 0 else None

"""AlphaPose: one JSON list of people, with the picture's name in each.

``{"image_id": "12.jpg", "category_id": 1, "keypoints": [x, y, c, ...], "score": s, "box": [left,
top, width, height], "idx": id}``; the number in the picture's name is the frame, from 0 for a
video. ``score`` is AlphaPose's score of a pose, which goes beyond 1; it is read as the score of
the box, unscaled. Also read: the variants ``cmu`` and ``open``, dicts from a picture's name to
``bodies[].joints`` or ``people[].pose_keypoints_2d``, which have 18 joints, no boxes and no ids.

The joints have no names: 17 are COCO's, 26 Halpe's, 18 those of the two variants. Give ``skeleton``
for any other number.

Not held: times (give ``fps`` to read it back), frames without people, which joints are hidden,
history, and whether the video broke off. Pixels are rounded to 1/1000, scores to 1/10000.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, ClassVar, Literal

import numpy as np

from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import COCO17, COCO18, HALPE26
from chronopose.core.tracks import FramePoses, HistoryStep, VideoPoses
from chronopose.core.video import VideoInfo
from chronopose.errors import FormatError
from chronopose.io._fields import field, load_json, number, records, whole, xywh_to_xyxy
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
from chronopose.io.openpose import flat_joints, found_joints, layout_of

TOOL = "AlphaPose"
BY_COUNT: Mapping[int, Skeleton] = {len(s): s for s in (COCO17, COCO18, HALPE26)}
WRITTEN = {s.name: s for s in (COCO17, HALPE26)}
VARIANTS = {"bodies": "joints", "people": "pose_keypoints_2d"}
"""List of people in a picture -> its list of joints."""


class AlphaPoseSink(ForeignSink):
    """Writes an AlphaPose list as the frames come; nothing waits in memory.

    Args:
        path: The file to be; it appears whole at :meth:`close`.
        info: The video.
        skeleton: Joints of every frame.
        history: Steps that make the poses; not held by the file.
        joints: ``"coco17"`` or ``"halpe26"`` converts by name, joints that cannot be had as not
            found; ``"native"`` writes the joints as they are.

    Raises:
        FormatError: the file cannot be written, here or in any method; poses are not 2D pixels.
        SkeletonMismatch: the skeleton gives no joint of ``joints``.
    """

    tool: ClassVar[str] = TOOL
    holds: ClassVar[frozenset[str]] = frozenset({"scores", "boxes", "missing frames"})

    def __init__(
        self,
        path: str | Path,
        info: VideoInfo,
        skeleton: Skeleton,
        history: tuple[HistoryStep, ...] = (),
        *,
        joints: Literal["coco17", "halpe26", "native"] = "coco17",
    ) -> None:
        target = asked_joints(joints, WRITTEN)
        self._file: IO[str] | None = None
        self._count = 0
        super().__init__(path, info, skeleton, history, target=target)

    def _begin(self, temporary: Path) -> None:
        self._file = open(temporary, "w", encoding="utf-8")  # noqa: SIM115
        self._file.write("[")

    def _add(self, frame: FramePoses) -> None:
        assert self._file is not None
        frame = self._as_written(frame)
        for row in range(len(frame)):
            edges = np.round(frame.boxes.xyxy[row].astype(np.float64), PIXEL_DIGITS)
            size = np.round(edges[2:] - edges[:2], PIXEL_DIGITS)
            record = {
                "image_id": f"{frame.frame_index}.jpg",
                "category_id": 1,
                "keypoints": flat_joints(frame.poses.xy[row], frame.poses.score[row]),
                "score": round(float(frame.boxes.score[row]), SCORE_DIGITS),
                "box": [*edges[:2].tolist(), *size.tolist()],
                "idx": int(frame.ids[row]),
            }
            text = json.dumps(record, allow_nan=False)
            self._file.write((",\n" if self._count else "\n") + text)
            self._count += 1

    def _finish(self, complete: bool) -> None:
        assert self._file is not None
        self._file.write("\n]\n")

    def _release(self) -> None:
        if self._file is not None:
            self._file.close()


def read_alphapose(
    path: str | Path, *, fps: float | None = None, skeleton: Skeleton | None = None
) -> VideoPoses:
    """Read an AlphaPose list, or its ``cmu`` or ``open`` variant.

    Args:
        path: The file.
        fps: Frames a second of the video.
        skeleton: Joints in file order, for other numbers of joints than 17, 18 and 26.

    Raises:
        FormatError: not JSON, a field missing or of another kind (the message names the record),
            an unknown number of joints, or ``fps`` missing.
    """
    content = load_json(path)
    if isinstance(content, list):
        people = _list(content, path)
    elif isinstance(content, Mapping):
        people = _variant(content, path)
    else:
        raise FormatError(f"Cannot read {path}: AlphaPose writes a list or a dict of pictures.")
    found: dict[int, list[Found]] = {}
    for frame, name, record, joints in people:
        if joints is None:
            found.setdefault(frame, [])
            continue
        flat = records(joints, f"{name}")
        skeleton = layout_of(len(flat), skeleton, name, BY_COUNT)
        xy, score = found_joints(flat, len(skeleton), name)
        found.setdefault(frame, []).append(_found(xy, score, record, name))
    index = np.array(sorted(found), np.int64)
    times = frame_times(index, fps, path, TOOL)
    time_s = dict(zip(index.tolist(), times.tolist(), strict=True))
    info = file_info(path, fps)
    return found_to_video(
        found, time_s, info, skeleton or COCO17, read_step("alphapose", fps=fps), path
    )


_Person = tuple[int, str, Mapping[str, Any], object]
"""Frame, name of the joints for messages, the record, its joints (None: nobody in the frame)."""


def _list(content: list[Any], path: str | Path) -> Iterator[_Person]:
    for at, record in enumerate(content):
        where = f"{path}: record {at}"
        image = field(record, "image_id", where)
        if not isinstance(image, str):
            raise FormatError(
                f"{where}.image_id must be the name of a picture; got {image!r}. Lists whose "
                f"image_id is a number are COCO results, which tell neither joints nor times."
            )
        if record.get("category_id", 1) != 1:
            continue
        frame = picture_number(image, f"{where}.image_id")
        yield frame, f"{where}.keypoints", record, field(record, "keypoints", where)


def _variant(content: Mapping[str, Any], path: str | Path) -> Iterator[_Person]:
    for image, picture in content.items():
        where = f"{path}: {image}"
        names = [n for n in VARIANTS if isinstance(picture, Mapping) and n in picture]
        if len(names) != 1:
            raise FormatError(
                f"{where} must be an object with 'bodies' (cmu) or 'people' (open): this is no "
                f"file of AlphaPose."
            )
        frame = picture_number(image, where)
        yield frame, where, {}, None
        for row, record in enumerate(records(picture[names[0]], f"{where}.{names[0]}")):
            here = f"{where}.{names[0]}[{row}]"
            joints = VARIANTS[names[0]]
            yield frame, f"{here}.{joints}", {}, field(record, joints, here)


def _found(xy: Any, score: Any, record: Mapping[str, Any], name: str) -> Found:
    where = name.removesuffix(".keypoints")
    box = xywh_to_xyxy(record["box"], f"{where}.box") if "box" in record else None
    sure = number(record["score"], f"{where}.score") if "score" in record else None
    return Found(xy, score, _track(record.get("idx"), f"{where}.idx"), box, sure)


def _track(value: object, where: str) -> int | None:
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return whole(value, where, least=None)

"""MMPose: one JSON file a video, in the two layouts that its tools write.

- Wrapped, by the demos: ``{"meta_info": {...}, "instance_info": [{"frame_id": 1, "instances":
  [...]}]}``. ``meta_info`` names the joints; frames are counted from 1.
- Bare, by the inferencer: the list alone. It names no joints, so ``skeleton`` must be given; frames
  are counted from 0.

An instance has ``keypoints`` [[x, y], ...], ``keypoint_scores``, ``bbox`` [[left, top, right,
bottom]] and ``bbox_score``. We write the wrapped layout and add what it has no place for:
``track_id`` and ``keypoints_visible`` in an instance, ``time_s`` in a frame, and our description of
the video under ``chronopose``. An unknown joint is (0, 0) with score 0.

A file of MMPose itself holds no times (give ``fps``) and no ids. Pixels are rounded to 1/1000,
scores to 1/10000. The 3D results of MMPose are not read: their unit and origin are not stated.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np

from chronopose.core.skeleton import Skeleton
from chronopose.core.tracks import FramePoses, HistoryStep, VideoPoses
from chronopose.core.video import VideoInfo
from chronopose.errors import FormatError
from chronopose.io._facts import FileFacts
from chronopose.io._fields import field, load_json, number, numbers, records, whole
from chronopose.io._foreign import (
    PIXEL_DIGITS,
    SCORE_DIGITS,
    Found,
    file_info,
    found_to_video,
    frame_times,
    read_step,
    skeleton_of_names,
)
from chronopose.io._foreign_sink import ForeignSink

TOOL = "MMPose"


class MMPoseSink(ForeignSink):
    """Writes the wrapped layout as the frames come; nothing waits in memory.

    Args:
        path: The file to be; it appears whole at :meth:`close`.
        info: The video.
        skeleton: Joints of every frame; they are written under their names.
        history: Steps that make the poses.

    Raises:
        FormatError: the file cannot be written, here or in any method; poses are not 2D pixels.
    """

    tool: ClassVar[str] = TOOL
    holds: ClassVar[frozenset[str]] = frozenset(
        {"times", "boxes", "scores", "visibility", "history", "empty frames", "missing frames",
         "completeness"}
    )  # fmt: skip

    def __init__(
        self,
        path: str | Path,
        info: VideoInfo,
        skeleton: Skeleton,
        history: tuple[HistoryStep, ...] = (),
    ) -> None:
        self._file: IO[str] | None = None
        self._count = 0
        super().__init__(path, info, skeleton, history)

    def _begin(self, temporary: Path) -> None:
        self._file = open(temporary, "w", encoding="utf-8")  # noqa: SIM115
        self._file.write(f'{{"meta_info": {_text(_meta(self._facts.skeleton))},\n')
        self._file.write('"instance_info": [')

    def _add(self, frame: FramePoses) -> None:
        assert self._file is not None
        record = {
            "frame_id": frame.frame_index + 1,
            "time_s": float(frame.time_s),
            "instances": [_instance(frame, row) for row in range(len(frame))],
        }
        self._file.write((",\n" if self._count else "\n") + _text(record))
        self._count += 1

    def _finish(self, complete: bool) -> None:
        assert self._file is not None
        facts = self._facts.to_dict() | {"complete": bool(complete)}
        self._file.write(f'\n],\n"chronopose": {_text(facts)}}}\n')

    def _release(self) -> None:
        if self._file is not None:
            self._file.close()


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _meta(skeleton: Skeleton) -> dict[str, Any]:
    names = dict(enumerate(skeleton.joints))
    return {
        "dataset_name": skeleton.name,
        "num_keypoints": len(skeleton),
        "keypoint_id2name": names,
        "keypoint_name2id": {n: i for i, n in names.items()},
        "flip_indices": skeleton.flip_index.tolist(),
        "skeleton_links": skeleton.limb_index.tolist(),
        "sigmas": skeleton.sigmas.tolist(),
    }


def _instance(frame: FramePoses, row: int) -> dict[str, Any]:
    xy = frame.poses.xy[row].astype(np.float64)
    known = np.isfinite(xy).all(-1)
    pixels = np.where(known[:, None], np.round(xy, PIXEL_DIGITS), 0.0)
    sure = np.where(known, np.round(frame.poses.score[row].astype(np.float64), SCORE_DIGITS), 0.0)
    edges = np.round(frame.boxes.xyxy[row].astype(np.float64), PIXEL_DIGITS)
    return {
        "keypoints": pixels.tolist(),
        "keypoint_scores": sure.tolist(),
        "keypoints_visible": (np.asarray(frame.poses.visible)[row] & known).astype(int).tolist(),
        "bbox": [edges.tolist()],
        "bbox_score": round(float(frame.boxes.score[row]), SCORE_DIGITS),
        "track_id": int(frame.ids[row]),
    }


def read_mmpose(
    path: str | Path, *, fps: float | None = None, skeleton: Skeleton | None = None
) -> VideoPoses:
    """Read either layout.

    Args:
        path: The file.
        fps: Frames a second of the video, for files without ``time_s``.
        skeleton: Joints in file order, for the bare layout, which does not name them.

    Raises:
        FormatError: not JSON, a field missing or of another kind (the message names the record),
            joints without names, 3D joints, or no times and no ``fps``.
    """
    content = load_json(path)
    wrapped = isinstance(content, Mapping)
    facts = None
    if wrapped:
        listed = field(content, "instance_info", str(path))
        named = _skeleton(field(content, "meta_info", str(path)), path)
        if "chronopose" in content:
            facts = FileFacts.from_dict(content["chronopose"], path)
            complete = content["chronopose"].get("complete") is True
            facts = replace(facts, complete=complete)
            _refuse_other(facts.skeleton, named, path)
            named = facts.skeleton
        skeleton = named if skeleton is None else _same_length(skeleton, named, path)
    else:
        listed = content
    if skeleton is None:
        raise FormatError(
            f"Cannot read {path}: the bare layout of MMPose does not name its joints. Say which "
            f"they are: read_poses(path, skeleton=...), or --joints coco17."
        )
    found, times = _frames(listed, skeleton, path, first=1 if wrapped else 0)
    index = np.array(sorted(found), np.int64)
    if None in times.values():
        if any(t is not None for t in times.values()):
            raise FormatError(f"{path} gives a time_s to some frames and not to others.")
        seconds = frame_times(index, fps, path, TOOL).tolist()
        times = dict(zip(index.tolist(), seconds, strict=True))
    elif fps is not None and times:
        raise FormatError(f"{path} holds the times of its frames; leave fps out.")
    info = facts.info if facts else file_info(path, fps)
    history = facts.history if facts else read_step("mmpose", fps=fps)
    exact = {k: v for k, v in times.items() if v is not None}
    done = facts.complete if facts else False
    return found_to_video(found, exact, info, skeleton, history, path, complete=done)


def _skeleton(meta: object, path: str | Path) -> Skeleton:
    where = f"{path}: meta_info"
    names = field(meta, "keypoint_id2name", where)
    if not isinstance(names, Mapping):
        raise FormatError(f"{where}.keypoint_id2name must be an object from numbers to names.")
    try:
        ordered = {int(k): str(v) for k, v in names.items()}
    except ValueError as error:
        raise FormatError(f"{where}.keypoint_id2name: {error}.") from error
    if sorted(ordered) != list(range(len(ordered))):
        raise FormatError(f"{where}.keypoint_id2name must count from 0 without gaps.")
    joints = [ordered[k] for k in range(len(ordered))]
    assert isinstance(meta, Mapping)
    limbs = []
    for pair in records(meta.get("skeleton_links", []), f"{where}.skeleton_links"):
        a, b = (int(n) for n in numbers(pair, 2, f"{where}.skeleton_links"))
        if not (0 <= a < len(joints) and 0 <= b < len(joints)):
            raise FormatError(f"{where}.skeleton_links names joint {max(a, b)} of {len(joints)}.")
        limbs.append((joints[a], joints[b]))
    return skeleton_of_names(joints, where, limbs)


def _refuse_other(ours: Skeleton, named: Skeleton, path: str | Path) -> None:
    if ours.joints != named.joints:
        raise FormatError(
            f"{path}: meta_info names other joints than its skeleton {ours.name!r} has."
        )


def _same_length(asked: Skeleton, named: Skeleton, path: str | Path) -> Skeleton:
    if asked.joints != named.joints:
        raise FormatError(
            f"{path} names its joints itself ({named.name}: {', '.join(named.joints)[:200]}); "
            f"leave out skeleton={asked.name!r}."
        )
    return asked


_Times = dict[int, float | None]


def _frames(
    listed: object, skeleton: Skeleton, path: str | Path, first: int
) -> tuple[dict[int, list[Found]], _Times]:
    found: dict[int, list[Found]] = {}
    times: _Times = {}
    for at, record in enumerate(records(listed, f"{path}: the frames")):
        where = f"{path}: frame record {at}"
        index = whole(field(record, "frame_id", where), f"{where}.frame_id", least=first) - first
        if index in found:
            raise FormatError(f"{where}.frame_id is {index + first} a second time.")
        time_s = record.get("time_s")
        times[index] = None if time_s is None else number(time_s, f"{where}.time_s")
        people = records(field(record, "instances", where), f"{where}.instances")
        found[index] = [
            _person(p, skeleton, f"{where}.instances[{row}]") for row, p in enumerate(people)
        ]
    return found, times


def _person(record: object, skeleton: Skeleton, where: str) -> Found:
    joints = records(field(record, "keypoints", where), f"{where}.keypoints")
    if len(joints) != len(skeleton):
        raise FormatError(
            f"{where}.keypoints has {len(joints)} joints, but {skeleton.name} has {len(skeleton)}."
        )
    if joints and isinstance(joints[0], list) and len(joints[0]) == 3:
        raise FormatError(
            f"{where}.keypoints are 3D. MMPose does not state their unit and origin, so they are "
            f"not read; convert the 2D results."
        )
    xy = np.array([numbers(j, 2, f"{where}.keypoints") for j in joints], np.float32)
    score = field(record, "keypoint_scores", where)
    sure = np.array(numbers(score, len(skeleton), f"{where}.keypoint_scores"), np.float32)
    xy[(xy == 0).all(-1) & (sure == 0)] = np.nan
    assert isinstance(record, Mapping)
    visible = None
    if "keypoints_visible" in record:
        flags = numbers(record["keypoints_visible"], len(skeleton), f"{where}.keypoints_visible")
        visible = (np.array(flags) > 0) & np.isfinite(xy).all(-1)
    person = record.get("track_id")
    box_score = record.get("bbox_score")
    return Found(
        xy,
        sure,
        None if person is None else whole(person, f"{where}.track_id", least=None),
        _box(record["bbox"], f"{where}.bbox") if "bbox" in record else None,
        None if box_score is None else number(box_score, f"{where}.bbox_score"),
        visible,
    )


def _box(value: object, where: str) -> list[float]:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    edges = numbers(value, 4, where)
    if edges[2] < edges[0] or edges[3] < edges[1]:
        raise FormatError(
            f"{where} is [left, top, right, bottom], but ends before it begins: {edges}."
        )
    return edges

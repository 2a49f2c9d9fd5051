"""COCO keypoints: one JSON file a video, for every tool that reads COCO annotations.

A dict with ``info``, ``images``, ``annotations`` and ``categories``. An image is a frame: ``id``
is the frame number, ``file_name`` the video, and ``frame_index`` and ``time_s`` are extra. An
annotation is a person in a frame: ``bbox`` is [left, top, width, height], ``keypoints`` is
``x, y, v`` for each joint with v 0 unknown (x = y = 0, as COCO demands), 1 known but not visible,
2 visible; extra are ``track_id``, ``keypoint_scores``, ``box_score`` and ``score`` (box score times
the mean score of the known joints, the usual score of a COCO result). Ids of annotations start at
1. The key ``chronopose`` holds the video, the history and whether the file is complete.

Pixels are rounded to 1/1000 and scores to 1/10000; reading back is exact up to that, except that a
joint marked visible without coordinates comes back as not visible.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import COCO17
from chronopose.core.tracks import FramePoses, HistoryStep, VideoPoses
from chronopose.core.video import VideoInfo
from chronopose.errors import FormatError, SkeletonMismatch
from chronopose.io._facts import FileFacts
from chronopose.io._fields import (
    field,
    load_json,
    number,
    numbers,
    records,
    score,
    whole,
    xywh_to_xyxy,
)
from chronopose.io._keypoints import category, person_category, skeleton_of
from chronopose.io._sink import FileSink

PIXEL_DIGITS = 3
SCORE_DIGITS = 4


class CocoSink(FileSink):
    """Writes frames to a COCO keypoints file as they come; nothing waits in memory.

    Args:
        path: The file to be; it appears whole at :meth:`close`.
        info: The video.
        skeleton: Joints of every frame.
        history: Steps that make the poses.
        joints: ``"native"`` writes the joints as they are; ``"coco17"`` converts them by name to
            the seventeen of COCO, those that cannot be had as unknown.

    Raises:
        FormatError: the file cannot be written, here or in any method; poses are not 2D pixels.
        SkeletonMismatch: ``joints`` is ``"coco17"`` and the skeleton gives none of them.
    """

    def __init__(
        self,
        path: str | Path,
        info: VideoInfo,
        skeleton: Skeleton,
        history: tuple[HistoryStep, ...] = (),
        *,
        joints: Literal["native", "coco17"] = "native",
    ) -> None:
        if joints not in ("native", "coco17"):
            raise FormatError(f"joints must be 'native' or 'coco17'; got {joints!r}.")
        self._convert = joints == "coco17" and skeleton.joints != COCO17.joints
        if self._convert:
            missing = skeleton.map_to(COCO17).missing
            if len(missing) == len(COCO17):
                raise SkeletonMismatch(
                    f"{skeleton.name!r} has no joint of coco17. Write it with joints='native'."
                )
            history = (*history, HistoryStep("to_skeleton", {"to": "coco17"}))
            skeleton = COCO17
        self._images: IO[str] | None = None
        self._file: IO[str] | None = None
        self._count = 0
        super().__init__(path, FileFacts(info, skeleton, history))

    def write(self, frame: FramePoses) -> None:
        """Append the people of the next frame; errors as for :meth:`FileSink.write`."""
        if self._convert and frame.skeleton.joints != COCO17.joints:
            frame = replace(frame, poses=frame.poses.to_skeleton(COCO17, missing="nan"))
        super().write(frame)

    def _begin(self, temporary: Path) -> None:
        self._file = open(temporary, "w", encoding="utf-8")  # noqa: SIM115
        # Images and annotations grow side by side; a nameless file beside the target keeps the
        # images until the annotations are done, and the system removes it whatever happens.
        self._images = tempfile.TemporaryFile(  # noqa: SIM115
            "w+", dir=temporary.parent, encoding="utf-8"
        )
        person = _text(category(self._facts.skeleton))
        about = {"description": f"Human poses in {self._facts.info.source}"}
        self._file.write(f'{{"info": {_text(about)},\n"categories": [{person}],\n')
        self._file.write('"annotations": [')

    def _add(self, frame: FramePoses) -> None:
        assert self._file is not None and self._images is not None
        width, height = self._facts.info.size
        image = {
            "id": int(frame.frame_index),
            "file_name": self._facts.info.source,
            "frame_index": int(frame.frame_index),
            "time_s": float(frame.time_s),
            "width": int(width),
            "height": int(height),
        }
        self._images.write((",\n" if self._images.tell() else "\n") + _text(image))
        for row in range(len(frame)):
            start = ",\n" if self._count else "\n"
            self._count += 1
            self._file.write(start + _text(_annotation(frame, row, self._count)))

    def _finish(self, complete: bool) -> None:
        assert self._file is not None and self._images is not None
        self._file.write('\n],\n"images": [')
        self._images.seek(0)
        shutil.copyfileobj(self._images, self._file)
        facts = self._facts.to_dict() | {"complete": bool(complete)}
        self._file.write(f'\n],\n"chronopose": {_text(facts)}}}\n')

    def _release(self) -> None:
        try:
            if self._images is not None:
                self._images.close()
        finally:
            if self._file is not None:
                self._file.close()


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _annotation(frame: FramePoses, row: int, number: int) -> dict[str, Any]:
    xy, scores = frame.poses.xy[row].astype(np.float64), frame.poses.score[row]
    known = np.isfinite(xy).all(-1)
    flag = np.where(known, np.where(np.asarray(frame.poses.visible)[row], 2, 1), 0)
    rounded = np.where(known[:, None], np.round(xy, PIXEL_DIGITS), 0.0).tolist()
    edges = np.round(frame.boxes.xyxy[row].astype(np.float64), PIXEL_DIGITS)
    size = np.round(edges[2:] - edges[:2], PIXEL_DIGITS)
    box_score = float(frame.boxes.score[row])
    mean = float(scores[known].mean()) if known.any() else 0.0
    keypoints = [v for (x, y), f in zip(rounded, flag.tolist(), strict=True) for v in (x, y, f)]
    return {
        "id": number,
        "image_id": int(frame.frame_index),
        "category_id": 1,
        "track_id": int(frame.ids[row]),
        "bbox": [*edges[:2].tolist(), *size.tolist()],
        "area": round(float(size.prod()), PIXEL_DIGITS),
        "iscrowd": 0,
        "num_keypoints": int(known.sum()),
        "keypoints": keypoints,
        "keypoint_scores": np.round(scores.astype(np.float64), SCORE_DIGITS).tolist(),
        "box_score": round(box_score, SCORE_DIGITS),
        "score": round(box_score * mean, SCORE_DIGITS),
    }


def read_coco(path: str | Path) -> VideoPoses:
    """Read a file of :class:`CocoSink`, or any COCO keypoints file with frames, times and tracks.

    A file of another tool needs ``frame_index`` and ``time_s`` in its images and ``track_id`` in
    its annotations; it is taken as one video, and ``complete`` is False because it does not say.

    Raises:
        FormatError: not JSON, a field missing or of another kind, or joints that are not those of
            the skeleton it names; the message names the record.
    """
    content = load_json(path)
    if isinstance(content, list):
        raise FormatError(
            f"Cannot read {path}: a COCO result list names neither joints nor times. Give the "
            f"dict file with images, annotations and categories."
        )
    joints, limbs = _category(content, path)
    images = _read_images(content, path)
    facts = _read_facts(content, joints, limbs, path)
    people: dict[int, list[dict[str, Any]]] = {}
    for at, record in enumerate(records(field(content, "annotations", str(path)), "annotations")):
        where = f"{path}: annotations[{at}]"
        image = whole(field(record, "image_id", where), f"{where}.image_id", least=None)
        if image not in images:
            raise FormatError(f"{where}.image_id is {image}, but no image has that id.")
        people.setdefault(image, []).append(_read_person(record, len(joints), where))
    order = sorted(images, key=lambda i: images[i][0])
    frames = [_frame(*images[i], people.get(i, []), facts.skeleton, path) for i in order]
    return VideoPoses.from_frames(facts.info, facts.skeleton, frames, facts.history, facts.complete)


def _category(content: object, path: str | Path) -> tuple[tuple[str, ...], list[list[int]]]:
    joints, limbs, where = person_category(content, path)
    pairs = [[int(n) for n in numbers(p, 2, f"{where}.skeleton")] for p in limbs]
    if any(not 1 <= n <= len(joints) for pair in pairs for n in pair):
        raise FormatError(f"{where}.skeleton counts joints from 1 to {len(joints)}; got {pairs}.")
    return joints, pairs


def _read_facts(
    content: dict[str, Any], joints: tuple[str, ...], limbs: list[list[int]], path: str | Path
) -> FileFacts:
    if "chronopose" in content:
        facts = FileFacts.from_dict(content["chronopose"], path)
        if facts.skeleton.joints != joints:
            raise FormatError(
                f"{path} names other joints in its category ({', '.join(joints)[:200]}) than its "
                f"skeleton {facts.skeleton.name!r} has ({', '.join(facts.skeleton.joints)[:200]})."
            )
        return replace(facts, complete=content["chronopose"].get("complete") is True)
    first: dict[str, Any] = next(iter(content["images"]), {})
    where = f"{path}: images[0]"
    width = whole(first.get("width", 0), f"{where}.width")
    size = (width, whole(first.get("height", 0), f"{where}.height"))
    info = VideoInfo(str(first.get("file_name", path)), size)
    return FileFacts(info, skeleton_of(joints, limbs, path), complete=False)


def _read_images(content: object, path: str | Path) -> dict[int, tuple[int, float]]:
    """Image id -> frame number and time."""
    images: dict[int, tuple[int, float]] = {}
    frames: set[int] = set()
    for at, record in enumerate(records(field(content, "images", str(path)), f"{path}: images")):
        where = f"{path}: images[{at}]"
        image = whole(field(record, "id", where), f"{where}.id", least=None)
        frame = whole(field(record, "frame_index", where), f"{where}.frame_index")
        if image in images or frame in frames:
            raise FormatError(
                f"{where} is the second one with id {image} or frame {frame}. A file holds one "
                f"video; split it."
            )
        frames.add(frame)
        images[image] = (frame, number(field(record, "time_s", where), f"{where}.time_s"))
    return images


def _read_person(record: object, joints: int, where: str) -> dict[str, Any]:
    flat = numbers(field(record, "keypoints", where), 3 * joints, f"{where}.keypoints")
    assert isinstance(record, dict)
    x, y, flag = np.array(flat, np.float32).reshape(-1, 3).T
    scores = record.get("keypoint_scores", (flag > 0).astype(float).tolist())
    name = "box_score" if "box_score" in record else "score"
    return {
        "id": whole(field(record, "track_id", where), f"{where}.track_id", least=None),
        "box": xywh_to_xyxy(field(record, "bbox", where), f"{where}.bbox"),
        "box_score": score(record.get(name, 1.0), f"{where}.{name}"),
        "xy": np.where((flag > 0)[:, None], np.stack([x, y], -1), np.nan),
        "score": numbers(scores, joints, f"{where}.keypoint_scores"),
        "visible": flag > 1,
    }


def _frame(
    index: int, time_s: float, people: list[dict[str, Any]], skeleton: Skeleton, path: str | Path
) -> FramePoses:
    people = sorted(people, key=lambda p: int(p["id"]))
    ids = np.array([p["id"] for p in people], np.int64)
    if len(np.unique(ids)) != len(ids):
        raise FormatError(f"{path}: track ids {ids.tolist()} in frame {index} are not unique.")
    count, joints = len(people), len(skeleton)
    poses = Poses(
        np.array([p["xy"] for p in people], np.float32).reshape(count, joints, 2),
        np.array([p["score"] for p in people], np.float32).reshape(count, joints),
        skeleton,
        visible=np.array([p["visible"] for p in people], bool).reshape(count, joints),
    )
    boxes = Boxes(
        np.array([p["box"] for p in people], np.float32),
        np.array([p["box_score"] for p in people], np.float32),
    )
    return FramePoses(index, time_s, ids, boxes, poses)

"""LabelledFrame and LabelledSequence: what a file of labels or of predictions says, unrounded.

Poses that go on to drawing and filtering are :class:`~chronopose.core.poses.Poses` (single
precision, "known or not"). Scoring needs more: double precision, so that a distance on a threshold
falls on the same side as in the field's evaluators, and everything that an evaluator looks at:
three states of visibility, head boxes, areas, crowds, regions to ignore and unlabelled frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses
from chronopose.core.skeleton import Skeleton
from chronopose.core.tracks import FramePoses, HistoryStep, VideoPoses
from chronopose.core.video import VideoInfo
from chronopose.errors import ShapeError, SkeletonMismatch

NO_ID = -1
"""The id of a person to whom the file gives none."""


class Visibility(IntEnum):
    """What is known of a joint; every format's own code is translated into these three."""

    ABSENT = 0
    """No coordinates: not labelled, or not found."""
    OCCLUDED = 1
    """Coordinates are known, the joint cannot be seen."""
    VISIBLE = 2
    """Coordinates are known and the joint can be seen, or the format does not tell which."""


@dataclass(frozen=True)
class LabelledFrame:
    """The people of one picture, as told by labels or by predictions.

    Every argument after ``xy`` has a default that means "the file does not say".

    Args:
        name: The picture's file name as stored, for messages and for writing back.
        frame_index: Number of the frame in its sequence, as the file counts.
        skeleton: Names of the K joints.
        xy: ``(N, K, 2)`` float64 image pixels, the centre of the top-left pixel at (0, 0); NaN
            where absent.
        visibility: ``(N, K)`` int8 of :class:`Visibility`; default: visible wherever ``xy`` is.
        score: ``(N, K)`` float64 joint scores of predictions, any range; NaN where none is given.
        person_score: ``(N,)`` float64 scores of the people; NaN where none is given.
        ids: ``(N,)`` int64 track ids; :data:`NO_ID` where none is given.
        boxes: ``(N, 4)`` float64 person boxes x1 y1 x2 y2; NaN rows where none is given.
        head_boxes: ``(N, 4)`` float64 head boxes x1 y1 x2 y2; NaN rows where none is given.
        area: ``(N,)`` float64 square pixels of the people's segments; NaN where none is given.
        crowd: ``(N,)`` bool; True for a region that stands for several people.
        ignore: Polygons ``(M, 2)`` whose inside is not scored.
        labelled: False for a frame that nobody has labelled: it says nothing about who is there.
        image_id: The picture's number in the file.
        size: ``(width, height)`` px.
        time_s: Presentation time, seconds, where the file tells.
        extra: Whatever else the format holds for the frame (plain values), for writing back; an
            entry ``people`` has one value for each person.

    Raises:
        ShapeError: counts or shapes disagree, a joint has coordinates and is absent or the other
            way round, or an id stands twice in a frame.
    """

    name: str
    frame_index: int
    skeleton: Skeleton
    xy: NDArray[np.float64]
    visibility: NDArray[np.int8] = None  # type: ignore[assignment]
    score: NDArray[np.float64] = None  # type: ignore[assignment]
    person_score: NDArray[np.float64] = None  # type: ignore[assignment]
    ids: NDArray[np.int64] = None  # type: ignore[assignment]
    boxes: NDArray[np.float64] = None  # type: ignore[assignment]
    head_boxes: NDArray[np.float64] = None  # type: ignore[assignment]
    area: NDArray[np.float64] = None  # type: ignore[assignment]
    crowd: NDArray[np.bool_] = None  # type: ignore[assignment]
    ignore: tuple[NDArray[np.float64], ...] = ()
    labelled: bool = True
    image_id: int | None = None
    size: tuple[int, int] | None = None
    time_s: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        joints = len(self.skeleton)
        xy = np.asarray(self.xy, np.float64)
        if xy.size == 0:
            xy = xy.reshape(0, joints, 2)
        if xy.ndim != 3 or xy.shape[1:] != (joints, 2):
            raise ShapeError(
                f"{self._here}: joints of {self.skeleton.name!r} must be (people, {joints}, 2); "
                f"got {xy.shape}."
            )
        people, known = len(xy), np.isfinite(xy).all(-1)
        seen = np.where(known, Visibility.VISIBLE, Visibility.ABSENT)
        self._put("visibility", seen, (people, joints), np.int8)
        self._put("score", np.nan, (people, joints), np.float64)
        self._put("person_score", np.nan, (people,), np.float64)
        self._put("ids", NO_ID, (people,), np.int64)
        self._put("boxes", np.nan, (people, 4), np.float64)
        self._put("head_boxes", np.nan, (people, 4), np.float64)
        self._put("area", np.nan, (people,), np.float64)
        self._put("crowd", False, (people,), bool)
        object.__setattr__(self, "xy", xy)
        polygons = tuple(np.asarray(p, np.float64).reshape(-1, 2) for p in self.ignore)
        object.__setattr__(self, "ignore", polygons)
        if ((self.visibility > 0) != known).any():
            raise ShapeError(
                f"{self._here}: a joint must have coordinates exactly if it is not absent."
            )
        own = self.ids[self.ids != NO_ID]
        if len(np.unique(own)) != len(own):
            raise ShapeError(f"{self._here} has a person id twice: {sorted(own.tolist())}.")

    def _put(self, name: str, default: ArrayLike, shape: tuple[int, ...], dtype: Any) -> None:
        given = getattr(self, name)
        value = np.asarray(default if given is None else given, dtype)
        if given is None:
            value = np.broadcast_to(value, shape).copy()
        if value.size == 0 and 0 in shape:
            value = value.reshape(shape)
        if value.shape != shape:
            raise ShapeError(f"{self._here}: {name} must be {shape}; got {value.shape}.")
        object.__setattr__(self, name, value)

    @property
    def _here(self) -> str:
        return f"Frame {self.frame_index} ({self.name})"

    def __len__(self) -> int:
        return len(self.xy)

    @property
    def known(self) -> NDArray[np.bool_]:
        """``(N, K)`` joints that have coordinates, seen or occluded."""
        return self.visibility > 0

    @property
    def visible(self) -> NDArray[np.bool_]:
        """``(N, K)`` joints that can be seen."""
        return self.visibility == Visibility.VISIBLE

    def select(self, keep: Any) -> LabelledFrame:
        """The people that an index array, slice or mask picks."""
        per_person = (
            "xy", "visibility", "score", "person_score", "ids", "boxes", "head_boxes", "area",
            "crowd",
        )  # fmt: skip
        changed = {name: getattr(self, name)[keep] for name in per_person}
        people = self.extra.get("people")
        if isinstance(people, list | tuple) and len(people) == len(self):
            rows = np.arange(len(self))[keep]
            changed["extra"] = {**self.extra, "people": [people[row] for row in rows]}
        return replace(self, **changed)

    def to_skeleton(self, other: Skeleton) -> LabelledFrame:
        """Convert by joint name; joints that cannot be had become absent.

        A joint made from several others (a mid-point) is absent if one of them is, occluded if
        one of them is, and has the least of their scores.
        """
        if other.joints == self.skeleton.joints:
            return replace(self, skeleton=other)
        weights = self.skeleton.map_to(other).weights
        xy = np.einsum("ks,nsd->nkd", weights, np.nan_to_num(self.xy))
        visibility = np.zeros((len(self), len(other)), np.int8)
        score = np.full((len(self), len(other)), np.nan)
        for row, used in enumerate(weights != 0):
            if used.any() and len(self):
                visibility[:, row] = self.visibility[:, used].min(1)
                score[:, row] = self.score[:, used].min(1)
        xy[visibility == Visibility.ABSENT] = np.nan
        return replace(self, skeleton=other, xy=xy, visibility=visibility, score=score)

    def extent(self) -> NDArray[np.float64]:
        """``(N, 4)`` tight boxes around the known joints; NaN rows for people without any."""
        known = self.known[..., None]
        low = np.where(known, self.xy, np.inf).min(1, initial=np.inf)
        high = np.where(known, self.xy, -np.inf).max(1, initial=-np.inf)
        box = np.concatenate([low, high], axis=-1)
        return np.where(np.isfinite(box).all(-1, keepdims=True), box, np.nan)

    def to_poses(self) -> FramePoses:
        """The same people for drawing, filtering and export; ids are made up where none is given.

        A person without a box gets the extent of the joints. Scores that are not given become 1
        for known joints; given ones are cut to [0, 1].
        """
        known = self.known
        score = np.where(known, np.clip(np.nan_to_num(self.score, nan=1.0), 0, 1), 0)
        boxes = np.where(np.isfinite(self.boxes).all(-1, keepdims=True), self.boxes, self.extent())
        box_score = np.clip(np.nan_to_num(self.person_score, nan=1.0), 0, 1)
        ids = self.ids.copy()
        lacking = ids == NO_ID
        free = np.setdiff1d(np.arange(2 * len(ids) + 1), ids)
        ids[lacking] = free[: lacking.sum()]
        poses = Poses(
            self.xy.astype(np.float32), score.astype(np.float32), self.skeleton,
            visible=self.visible,
        )  # fmt: skip
        has_box = np.isfinite(boxes).all(-1, keepdims=True)
        boxes = np.where(has_box, boxes, 0.0).astype(np.float32)
        return FramePoses(
            self.frame_index, self.time_s if self.time_s is not None else float(self.frame_index),
            ids, Boxes(boxes, box_score.astype(np.float32)), poses,
        )  # fmt: skip

    @classmethod
    def from_poses(cls, frame: FramePoses, name: str = "") -> LabelledFrame:
        """Predicted 2D people of a frame as something that can be scored.

        Raises:
            ShapeError: the poses are not in image pixels.
        """
        poses = frame.poses
        if poses.space != "image_px":
            raise ShapeError(f"Only image_px poses are labels of a picture; got {poses.space}.")
        xy = poses.xy.astype(np.float64)
        known = np.isfinite(xy).all(-1)
        xy[~known] = np.nan
        seen = np.where(np.asarray(poses.visible), Visibility.VISIBLE, Visibility.OCCLUDED)
        return cls(
            name or f"{frame.frame_index:06d}", frame.frame_index, poses.skeleton, xy,
            visibility=np.where(known, seen, Visibility.ABSENT),
            score=np.where(known, poses.score, np.nan),
            person_score=frame.boxes.score.astype(np.float64),
            ids=frame.ids, boxes=frame.boxes.xyxy.astype(np.float64), time_s=frame.time_s,
        )  # fmt: skip


@dataclass(frozen=True)
class LabelledSequence:
    """The frames of one video, or the unrelated pictures of a set of stills.

    Args:
        name: The video's or the set's name.
        skeleton: Joints shared by all frames.
        frames: In the order of the file.
        is_video: False for stills: neighbours have nothing to do with each other.
        fps: Frames per second where the file tells.
        extra: Whatever else the format holds (plain values), for writing back.

    Raises:
        SkeletonMismatch: a frame has other joints.
    """

    name: str
    skeleton: Skeleton
    frames: tuple[LabelledFrame, ...]
    is_video: bool = True
    fps: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "frames", tuple(self.frames))
        for frame in self.frames:
            if frame.skeleton.joints != self.skeleton.joints:
                raise SkeletonMismatch(
                    f"Frame {frame.frame_index} of {self.name!r} has {frame.skeleton.name!r} joints"
                    f" in a sequence of {self.skeleton.name!r}. Convert it with to_skeleton."
                )

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[LabelledFrame]:
        return iter(self.frames)

    def to_skeleton(self, other: Skeleton) -> LabelledSequence:
        """Convert every frame by joint name; see :meth:`LabelledFrame.to_skeleton`."""
        frames = tuple(f.to_skeleton(other) for f in self.frames)
        return replace(self, skeleton=other, frames=frames)

    def to_video(
        self, info: VideoInfo, history: tuple[HistoryStep, ...] = (), complete: bool = True
    ) -> VideoPoses:
        """Tracks for drawing, filtering and export.

        Frames that know their time keep it; otherwise it is the frame's number over ``fps``, or
        over the rate of ``info``. People without an id get the free numbers of their frame, which
        say nothing about who they are in the next.

        Raises:
            ShapeError: a frame has no time and nobody knows the rate.
        """
        rate = self.fps or info.rate_hz
        if not rate > 0 and any(f.time_s is None for f in self.frames):
            raise ShapeError(
                f"{self.name!r} tells neither times nor frames per second. Give it a rate with "
                f"dataclasses.replace(sequence, fps=...)."
            )

        def timed(frame: LabelledFrame) -> FramePoses:
            if frame.time_s is None:
                frame = replace(frame, time_s=frame.frame_index / rate)
            return frame.to_poses()

        frames = [timed(f) for f in self.frames if f.labelled]
        return VideoPoses.from_frames(info, self.skeleton, frames, history, complete)

    @classmethod
    def from_video(cls, poses: VideoPoses) -> LabelledSequence:
        """Predicted poses of a video as something that can be scored."""
        frames = tuple(LabelledFrame.from_poses(f) for f in poses.frames())
        rate = poses.info.rate_hz
        fps = rate if rate > 0 else None
        return cls(poses.info.source, poses.skeleton, frames, fps=fps)

"""FramePoses, PersonTrack and VideoPoses: poses with identity and time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses, Space
from chronopose.core.skeleton import Skeleton
from chronopose.core.video import VideoInfo
from chronopose.errors import ShapeError


@dataclass(frozen=True)
class HistoryStep:
    """One step that made or changed a result: which, with which settings, by which version."""

    step: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    version: str = ""


@dataclass(frozen=True)
class FramePoses:
    """The people of one frame: what the streaming interface yields.

    Args:
        frame_index: Number of the frame in its video, from 0.
        time_s: Presentation time, seconds.
        ids: ``(N,)`` int64 person ids, stable through the video and never used again.
        boxes: N person boxes, image pixels.
        poses: Poses of shape ``(N, K, 2)``, image pixels; ``(N, K, 3)`` after lifting.

    Raises:
        ShapeError: the counts disagree, the poses have no person axis, or an id comes twice.
    """

    frame_index: int
    time_s: float
    ids: NDArray[np.int64]
    boxes: Boxes
    poses: Poses

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", np.asarray(self.ids, np.int64).reshape(-1))
        if self.poses.xy.ndim != 3:
            raise ShapeError(
                f"The poses of a frame must be (people, joints, 2 or 3); got {self.poses.xy.shape}."
            )
        if not len(self.ids) == len(self.boxes) == len(self.poses):
            raise ShapeError(
                f"Frame {self.frame_index} has {len(self.ids)} ids, {len(self.boxes)} boxes and "
                f"{len(self.poses)} poses; there must be one of each a person."
            )
        if len(np.unique(self.ids)) != len(self.ids):
            raise ShapeError(
                f"Frame {self.frame_index} has a person id twice: {self.ids.tolist()}."
            )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def keypoints(self) -> NDArray[np.float32]:
        """``(N, K, 2)`` joints, image pixels."""
        return self.poses.xy

    @property
    def scores(self) -> NDArray[np.float32]:
        """``(N, K)`` joint scores in [0, 1]."""
        return self.poses.score

    @property
    def skeleton(self) -> Skeleton:
        """Names of the joints."""
        return self.poses.skeleton


@dataclass(frozen=True)
class PersonTrack:
    """One person through a video.

    Args:
        track_id: Identity, unique in the video.
        frame_index: ``(N,)`` int64, strictly rising.
        time_s: ``(N,)`` float64 seconds, strictly rising.
        boxes: N boxes.
        poses: Poses of shape ``(N, K, 2 or 3)``.

    Raises:
        ShapeError: the counts disagree, or frames or times do not rise.
    """

    track_id: int
    frame_index: NDArray[np.int64]
    time_s: NDArray[np.float64]
    boxes: Boxes
    poses: Poses

    def __post_init__(self) -> None:
        object.__setattr__(self, "frame_index", np.asarray(self.frame_index, np.int64))
        object.__setattr__(self, "time_s", np.asarray(self.time_s, np.float64))
        counts = {len(self.frame_index), len(self.time_s), len(self.boxes), len(self.poses)}
        if len(counts) != 1:
            raise ShapeError(
                f"Track {self.track_id} has {len(self.frame_index)} frames, {len(self.time_s)} "
                f"times, {len(self.boxes)} boxes and {len(self.poses)} poses."
            )
        stuck = (np.diff(self.frame_index) <= 0) | ~(np.diff(self.time_s) > 0)
        if stuck.any():
            row = int(np.flatnonzero(stuck)[0])
            raise ShapeError(
                f"Track {self.track_id} does not move forward: frame {self.frame_index[row]} at "
                f"{self.time_s[row]} s is followed by frame {self.frame_index[row + 1]} at "
                f"{self.time_s[row + 1]} s. Frames and times must rise."
            )

    def __len__(self) -> int:
        return len(self.frame_index)

    def select(self, keep: Any) -> PersonTrack:
        """The frames that a mask, slice or index array picks."""
        return PersonTrack(
            self.track_id,
            self.frame_index[keep],
            self.time_s[keep],
            self.boxes.select(keep),
            self.poses.select(keep),
        )


@dataclass(frozen=True)
class VideoPoses:
    """Everything found in one video.

    Args:
        info: The video.
        skeleton: Joint names shared by all tracks.
        tracks: One entry a person, ordered by id.
        history: Which steps with which settings made this, oldest first.
        frame_index: ``(F,)`` all frames that were looked at, also those without people.
        time_s: ``(F,)`` their presentation times, seconds.
        complete: False when the video broke off or the run was stopped.

    Raises:
        ShapeError: an id comes twice, a track has other joints, or a frame has no time.
    """

    info: VideoInfo
    skeleton: Skeleton
    tracks: tuple[PersonTrack, ...]
    history: tuple[HistoryStep, ...] = ()
    frame_index: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    time_s: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0, np.float64))
    complete: bool = True

    def __post_init__(self) -> None:
        by_id = tuple(sorted(self.tracks, key=lambda t: t.track_id))
        object.__setattr__(self, "tracks", by_id)
        if len(self.frame_index) != len(self.time_s):
            raise ShapeError(
                f"{len(self.frame_index)} frames but {len(self.time_s)} times; give each a time."
            )
        ids = [t.track_id for t in self.tracks]
        if len(set(ids)) != len(ids):
            raise ShapeError(f"Track ids must be unique in a video; got {ids}.")
        for track in self.tracks:
            if track.poses.skeleton.joints != self.skeleton.joints:
                raise ShapeError(
                    f"Track {track.track_id} is a {track.poses.skeleton.name!r} skeleton in a "
                    f"video of {self.skeleton.name!r} poses; convert one of them first."
                )

    def __len__(self) -> int:
        return len(self.tracks)

    @property
    def ids(self) -> NDArray[np.int64]:
        """``(P,)`` person ids."""
        return np.array([t.track_id for t in self.tracks], dtype=np.int64)

    def person(self, track_id: int) -> PersonTrack:
        """The track of one person.

        Raises:
            ShapeError: nobody has this id.
        """
        for track in self.tracks:
            if track.track_id == track_id:
                return track
        raise ShapeError(f"No person {track_id}; the ids are {self.ids.tolist()}.")

    def between(self, start_s: float, end_s: float) -> VideoPoses:
        """The part with ``start_s <= time < end_s`` (seconds)."""
        keep = (self.time_s >= start_s) & (self.time_s < end_s)
        cut = [t.select((t.time_s >= start_s) & (t.time_s < end_s)) for t in self.tracks]
        return replace(
            self,
            tracks=tuple(t for t in cut if len(t)),
            frame_index=self.frame_index[keep],
            time_s=self.time_s[keep],
        )

    def with_step(self, step: str, settings: Mapping[str, Any], version: str = "") -> VideoPoses:
        """The same poses with one more line of history."""
        return replace(self, history=(*self.history, HistoryStep(step, dict(settings), version)))

    def to_skeleton(self, other: Skeleton) -> VideoPoses:
        """Convert all tracks by joint name; joints that cannot be had become NaN."""
        tracks = tuple(
            replace(t, poses=t.poses.to_skeleton(other, missing="nan")) for t in self.tracks
        )
        return replace(self, skeleton=other, tracks=tracks).with_step(
            "to_skeleton", {"to": other.name}
        )

    def frames(self) -> Iterator[FramePoses]:
        """Every frame that was looked at, in time order, with its people ordered by id."""
        by_frame: dict[int, list[tuple[PersonTrack, int]]] = {}
        for track in self.tracks:
            for row, frame in enumerate(track.frame_index.tolist()):
                by_frame.setdefault(frame, []).append((track, row))
        times = dict(zip(self.frame_index.tolist(), self.time_s.tolist(), strict=True))
        for people in by_frame.values():
            track, row = people[0]
            times.setdefault(int(track.frame_index[row]), float(track.time_s[row]))
        for frame in sorted(times):
            yield _gather(frame, times[frame], by_frame.get(frame, []), self.skeleton)

    def to_table(self) -> dict[str, NDArray[np.generic]]:
        """Long table, one row a joint: the columns of our Parquet files.

        Returns:
            Columns ``frame time_s person_id joint x y [z] score visible box_x1 box_y1 box_x2
            box_y2 box_score``; ``joint`` holds names. Ordered by frame, person, joint.
        """
        return frames_to_table(self.frames(), self.skeleton)

    @classmethod
    def from_table(
        cls,
        info: VideoInfo,
        skeleton: Skeleton,
        table: Mapping[str, NDArray[np.generic]],
        history: tuple[HistoryStep, ...] = (),
        complete: bool = True,
    ) -> VideoPoses:
        """Inverse of :meth:`to_table`; frames without people are not in a table and stay unknown.

        Raises:
            ShapeError: columns are missing or rows are not K joints for each person.
        """
        return cls.from_frames(info, skeleton, table_to_frames(table, skeleton), history, complete)

    @classmethod
    def from_frames(
        cls,
        info: VideoInfo,
        skeleton: Skeleton,
        frames: Iterable[FramePoses],
        history: tuple[HistoryStep, ...] = (),
        complete: bool = True,
    ) -> VideoPoses:
        """Collect a stream of frames into tracks."""
        rows: dict[int, list[tuple[FramePoses, int]]] = {}
        index, time_s = [], []
        for frame in frames:
            index.append(frame.frame_index)
            time_s.append(frame.time_s)
            for row, person in enumerate(frame.ids.tolist()):
                rows.setdefault(person, []).append((frame, row))
        tracks = tuple(_track(person, rows[person], skeleton) for person in sorted(rows))
        return cls(
            info, skeleton, tracks, history,
            np.array(index, np.int64), np.array(time_s, np.float64), complete,
        )  # fmt: skip


def _gather(
    frame: int, time_s: float, people: list[tuple[PersonTrack, int]], skeleton: Skeleton
) -> FramePoses:
    people = sorted(people, key=lambda p: p[0].track_id)
    dims = 2 if not people else people[0][0].poses.xy.shape[-1]
    space: Space = "image_px" if not people else people[0][0].poses.space
    joints = len(skeleton)
    xy = np.zeros((len(people), joints, dims), np.float32)
    score = np.zeros((len(people), joints), np.float32)
    visible = np.zeros((len(people), joints), bool)
    xyxy = np.zeros((len(people), 4), np.float32)
    box_score = np.zeros(len(people), np.float32)
    for i, (track, row) in enumerate(people):
        assert track.poses.visible is not None
        xy[i], score[i] = track.poses.xy[row], track.poses.score[row]
        visible[i] = track.poses.visible[row]
        xyxy[i], box_score[i] = track.boxes.xyxy[row], track.boxes.score[row]
    ids = np.array([t.track_id for t, _ in people], np.int64)
    poses = Poses(xy, score, skeleton, space, visible)
    return FramePoses(frame, time_s, ids, Boxes(xyxy, box_score), poses)


def _track(person: int, rows: list[tuple[FramePoses, int]], skeleton: Skeleton) -> PersonTrack:
    first = rows[0][0].poses
    poses = Poses(
        np.stack([f.poses.xy[r] for f, r in rows]),
        np.stack([f.poses.score[r] for f, r in rows]),
        skeleton,
        first.space,
        np.stack([f.poses.visible[r] for f, r in rows]),  # type: ignore[index]
    )
    return PersonTrack(
        person,
        np.array([f.frame_index for f, _ in rows], np.int64),
        np.array([f.time_s for f, _ in rows], np.float64),
        Boxes(
            np.stack([f.boxes.xyxy[r] for f, r in rows]),
            np.stack([f.boxes.score[r] for f, r in rows]),
        ),
        poses,
    )


def frames_to_table(
    frames: Iterable[FramePoses], skeleton: Skeleton
) -> dict[str, NDArray[np.generic]]:
    """Columns of the long table (see :meth:`VideoPoses.to_table`) for a run of frames."""
    kept = [f for f in frames if len(f)]
    joints = len(skeleton)
    people = [len(f) for f in kept]
    total = sum(people)

    def stack(parts: list[NDArray[Any]], shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        return np.concatenate(parts) if parts else np.zeros(shape, dtype)

    dims = kept[0].poses.xy.shape[-1] if kept else 2
    xy = stack([f.poses.xy for f in kept], (0, joints, dims), np.float32)
    boxes = stack([f.boxes.xyxy for f in kept], (0, 4), np.float32)
    box_score = stack([f.boxes.score for f in kept], (0,), np.float32)
    score = stack([f.poses.score for f in kept], (0, joints), np.float32)
    visible = stack([np.asarray(f.poses.visible) for f in kept], (0, joints), bool)
    ids = stack([f.ids for f in kept], (0,), np.int64)
    frame = np.repeat(np.array([f.frame_index for f in kept], np.int64), people)
    time_s = np.repeat(np.array([f.time_s for f in kept], np.float64), people)
    table: dict[str, NDArray[np.generic]] = {
        "frame": np.repeat(frame, joints),
        "time_s": np.repeat(time_s, joints),
        "person_id": np.repeat(ids, joints),
        "joint": np.tile(np.array(skeleton.joints), total),
    }
    for axis, name in enumerate("xyz"[:dims]):
        table[name] = xy[..., axis].reshape(-1)
    table["score"] = score.reshape(-1)
    table["visible"] = visible.reshape(-1)
    for column, name in enumerate(("box_x1", "box_y1", "box_x2", "box_y2")):
        table[name] = np.repeat(boxes[:, column], joints)
    table["box_score"] = np.repeat(box_score, joints)
    return table


_COLUMNS = (
    "frame", "time_s", "person_id", "joint", "x", "y", "score", "visible",
    "box_x1", "box_y1", "box_x2", "box_y2", "box_score",
)  # fmt: skip


def _check_table(table: Mapping[str, NDArray[np.generic]], skeleton: Skeleton) -> None:
    lacking = [c for c in _COLUMNS if c not in table]
    if lacking:
        raise ShapeError(f"The table of poses has no column {', '.join(lacking)}.")
    joints, rows = len(skeleton), len(table["frame"])
    wrong = "" if rows % joints == 0 else f"{rows} rows are no multiple of {joints}"
    if not wrong:
        names = np.asarray(table["joint"]).reshape(-1, joints)
        same = [np.asarray(table[c]).reshape(-1, joints) for c in ("frame", "person_id")]
        if not (names == np.array(skeleton.joints)).all():
            wrong = "the joint column names other joints or has another order"
        elif any((block != block[:, :1]).any() for block in same):
            wrong = "the joints of one person are not beside each other"
    if wrong:
        raise ShapeError(
            f"The table does not hold the {joints} joints of {skeleton.name!r} in order for "
            f"each person and frame: {wrong}."
        )


def table_to_frames(
    table: Mapping[str, NDArray[np.generic]], skeleton: Skeleton
) -> Iterator[FramePoses]:
    """Inverse of :func:`frames_to_table` for rows ordered by frame, person and joint.

    A table with a ``z`` column holds camera millimetres.

    Raises:
        ShapeError: columns are missing, or the rows are not K joints for each person, in the
            skeleton's order.
    """
    _check_table(table, skeleton)
    joints = len(skeleton)
    axes = [a for a in "xyz" if a in table]

    def block(name: str) -> NDArray[Any]:
        return np.asarray(table[name]).reshape(-1, joints)

    xy = np.stack([block(a) for a in axes], axis=-1)
    boxes = np.stack([block(f"box_{n}")[:, 0] for n in ("x1", "y1", "x2", "y2")], axis=-1)
    frame, time_s, ids = block("frame")[:, 0], block("time_s")[:, 0], block("person_id")[:, 0]
    box_score, score, visible = block("box_score")[:, 0], block("score"), block("visible")
    space: Space = "image_px" if len(axes) == 2 else "camera_mm"
    edges = [0, *(np.flatnonzero(frame[1:] != frame[:-1]) + 1).tolist(), len(frame)]
    for start, end in pairwise(edges if len(frame) else []):
        at = slice(start, end)
        poses = Poses(xy[at], score[at], skeleton, space, visible[at].astype(bool))
        yield FramePoses(
            int(frame[at.start]), float(time_s[at.start]), ids[at].astype(np.int64),
            Boxes(boxes[at], box_score[at]), poses,
        )  # fmt: skip

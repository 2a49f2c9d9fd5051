"""Tracks taken apart and put together: what every step of refinement does with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses
from chronopose.core.tracks import PersonTrack, VideoPoses

LEAST_AREA_PX2 = 1.0


def join_tracks(parts: Sequence[PersonTrack]) -> PersonTrack:
    """One track out of several that share no frame; the first one's id.

    Raises:
        ShapeError: two parts are in the same frame.
    """
    frame = np.concatenate([p.frame_index for p in parts])
    order = np.argsort(frame, kind="stable")
    first = parts[0]
    poses = Poses(
        np.concatenate([p.poses.xy for p in parts])[order],
        np.concatenate([p.poses.score for p in parts])[order],
        first.poses.skeleton,
        first.poses.space,
        np.concatenate([np.asarray(p.poses.visible) for p in parts])[order],
    )
    boxes = Boxes(
        np.concatenate([p.boxes.xyxy for p in parts])[order],
        np.concatenate([p.boxes.score for p in parts])[order],
    )
    time_s = np.concatenate([p.time_s for p in parts])[order]
    return PersonTrack(first.track_id, frame[order], time_s, boxes, poses)


def looked_at(poses: VideoPoses) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Frames that were looked at, rising, and their times: those of the video and of its tracks."""
    index = np.concatenate([poses.frame_index, *(t.frame_index for t in poses.tracks)])
    times = np.concatenate([poses.time_s, *(t.time_s for t in poses.tracks)])
    frames, first = np.unique(index.astype(np.int64), return_index=True)
    return frames, times.astype(np.float64)[first]


def with_rows(
    track: PersonTrack, frame_index: NDArray[np.int64], time_s: NDArray[np.float64]
) -> PersonTrack:
    """The track with empty rows added: unknown joints of score 0 in boxes between the neighbours'.

    Args:
        track: With at least one row.
        frame_index: ``(M,)`` frames that the track does not have, rising.
        time_s: ``(M,)`` their times.
    """
    joints, dims = track.poses.xy.shape[1:]
    many = len(frame_index)
    box = [np.interp(time_s, track.time_s, side) for side in track.boxes.xyxy.T]
    rows = PersonTrack(
        track.track_id, frame_index, time_s,
        Boxes(np.stack(box, axis=-1), np.zeros(many, np.float32)),
        Poses(
            np.full((many, joints, dims), np.nan, np.float32),
            np.zeros((many, joints), np.float32), track.poses.skeleton, track.poses.space,
        ),
    )  # fmt: skip
    return join_tracks([track, rows])


def with_joints(
    track: PersonTrack,
    xy: NDArray[np.floating],
    score: NDArray[np.floating] | None = None,
    visible: NDArray[np.bool_] | None = None,
) -> PersonTrack:
    """The track with other joints; scores and visibility stay unless they are given."""
    old = track.poses
    poses = replace(
        old,
        xy=np.asarray(xy, np.float32),
        score=old.score if score is None else np.asarray(score, np.float32),
        visible=old.visible if visible is None else visible,
    )
    return replace(track, poses=poses)


def sizes(track: PersonTrack) -> NDArray[np.float64]:
    """``(N,)`` square root of the box areas, pixels, at least 1."""
    area = np.maximum(track.boxes.area.astype(np.float64), LEAST_AREA_PX2)
    return np.asarray(np.sqrt(area))


def centres(track: PersonTrack) -> NDArray[np.float64]:
    """``(N, 2)`` centres of the boxes, pixels."""
    box = track.boxes.xyxy.astype(np.float64)
    return np.asarray((box[:, :2] + box[:, 2:]) / 2)


def oks_matrix(
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    area_px2: NDArray[np.float64],
    sigmas: NDArray[np.float64],
) -> NDArray[np.float64]:
    """``(N, M)`` object keypoint similarity of poses ``(N, K, 2)`` and ``(M, K, 2)``.

    Args:
        a: Poses, pixels; NaN where unknown.
        b: Other poses.
        area_px2: ``(N,)`` areas of the people of ``a``.
        sigmas: ``(K,)`` spreads as a share of the square root of the area.

    Returns:
        Means over the joints known in both; 0 where there are none.

    Source:
        COCO keypoint evaluation.
    """
    d2 = ((a[:, None] - b[None]) ** 2).sum(-1)
    known = np.isfinite(d2)
    scale = 2 * np.maximum(area_px2, 1.0)[:, None, None] * (2 * sigmas) ** 2
    value = np.where(known, np.exp(-np.where(known, d2, 0.0) / scale), 0.0).sum(-1)
    return np.asarray(value / np.maximum(known.sum(-1), 1))

"""link_people: ids for people who were found frame by frame.

The tracker of the pipeline, for results that exist already: people of labelled frames whose boxes
came from a file, or frames that another tool looked at one by one. Nobody is left out and nobody is
made up, so only the ids change.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from chronopose.core.boxes import Boxes
from chronopose.core.tracks import FramePoses
from chronopose.pipeline.associate import TrackedBox, Tracker, TrackSettings
from chronopose.pipeline.identity import IdentitySettings

EVERYBODY = TrackSettings(start_score=-math.inf, identity=IdentitySettings(same_pose=math.inf))
"""Settings under which every box starts a track and two people in one pose are two people."""


def link_people(
    frames: Sequence[FramePoses], size: tuple[int, int], settings: TrackSettings | None = None
) -> list[NDArray[np.int64]]:
    """Who is who in the frames of one video.

    Args:
        frames: People with boxes and poses in image pixels, times not falling; their own ids are
            not looked at. Frames may be missing: gaps count in seconds.
        size: Width and height of the frames, pixels.
        settings: Of the tracker; by default everybody is tracked (:data:`EVERYBODY`).

    Returns:
        For each frame the ``(N,)`` ids of its people in their order, from 1. People whom the
        tracker leaves out (boxes without area or outside the frame, and by other settings unsure
        boxes and doubles) have ids of their own that nobody else has.
    """
    tracker = Tracker(settings or EVERYBODY)
    tracker.start(size)
    found = []
    for frame in frames:
        tracked = [t for t in tracker.update(frame.time_s, frame.boxes) if t.decay >= 1]
        rows = rows_of(frame.boxes, size, tracked)
        ids = np.zeros(len(frame), np.int64)
        ids[rows] = tracker.identify(frame.time_s, tracked, frame.poses.select(rows))
        found.append(ids)
    return _with_strangers(found)


def rows_of(boxes: Boxes, size: tuple[int, int], tracked: Sequence[TrackedBox]) -> NDArray[np.intp]:
    """``(N,)`` which of the boxes of a frame each tracked box is; of equal ones the first.

    Args:
        boxes: As the tracker got them.
        size: Width and height of the frame, pixels.
        tracked: Tracks that were seen in this frame.
    """
    places: dict[tuple[float, ...], list[int]] = {}
    for row, box in enumerate(boxes.clip(size).xyxy.tolist()):
        places.setdefault((*box, float(boxes.score[row])), []).append(row)
    return np.array([places[(*t.xyxy.tolist(), t.score)].pop(0) for t in tracked], np.intp)


def _with_strangers(found: list[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    """The ids with new ones, never used again, in place of zeros."""
    free = 1 + max((int(ids.max()) for ids in found if len(ids)), default=0)
    for ids in found:
        nobody = np.flatnonzero(ids == 0)
        ids[nobody] = np.arange(free, free + len(nobody))
        free += len(nobody)
    return found

"""The procedural videos that ``demo`` and ``doctor`` run the main job on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chronopose.core.tracks import VideoPoses

SKELETON = "lsp14"
"""Joints of the true poses; those of the shipped weights."""
RATE_HZ = 25.0


def write_procedural_video(
    path: Path, *, seconds: float, size: tuple[int, int], people: int, seed: int
) -> VideoPoses:
    """Render moving capsule people into a video file.

    Args:
        path: The video to write, ``.mp4``.
        seconds: Length.
        size: Width and height, pixels.
        people: How many are in the picture.
        seed: The same seed gives the same video.

    Returns:
        The true poses, boxes, ids and times.
    """
    from chronopose.core.skeletons import get_skeleton
    from chronopose.core.tracks import VideoPoses
    from chronopose.core.video import VideoInfo
    from chronopose.data.datasets.procedural import render_video
    from chronopose.io.video import VideoWriter

    truth = []
    with VideoWriter(path, size) as writer:
        frames = render_video(
            frames=round(seconds * RATE_HZ),
            size=size,
            people=people,
            rate_hz=RATE_HZ,
            seed=seed,
            skeleton=SKELETON,
        )
        for image, people_there in frames:
            writer.write(image, people_there.time_s)
            truth.append(people_there)
    info = VideoInfo(str(path), size, num_frames=len(truth))
    return VideoPoses.from_frames(info, get_skeleton(SKELETON), truth)


@dataclass(frozen=True)
class Agreement:
    """How well found poses agree with true ones."""

    pck: float
    """Percent of true limb joints found within 0.2 torso lengths; an unseen person is a miss."""
    switches: int
    """How often a true person is taken over by another id."""
    found: int
    """Ids in the result."""


def compare(found: VideoPoses, truth: VideoPoses) -> Agreement:
    """Match people frame by frame by the overlap of their boxes, then count joints and ids.

    Args:
        found: What the pipeline wrote.
        truth: What was rendered; the same frames.
    """
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    from chronopose.metrics.pck import LIMB_JOINTS, PCK

    skeleton = truth.skeleton
    metric = PCK(skeleton, joints=LIMB_JOINTS)
    by_frame = {f.frame_index: f for f in found.to_skeleton(skeleton).frames()}
    last: dict[int, int] = {}
    switches = 0
    for true in truth.frames():
        seen = by_frame.get(true.frame_index)
        xy = np.full_like(true.poses.xy, np.nan)
        if seen is not None and len(seen) and len(true):
            overlap = true.boxes.iou(seen.boxes)
            for row, column in zip(*linear_sum_assignment(-overlap), strict=True):
                if overlap[row, column] < 0.1:
                    continue
                xy[row] = seen.poses.xy[column]
                person, got = int(true.ids[row]), int(seen.ids[column])
                switches += last.get(person, got) != got
                last[person] = got
        if len(true):
            known = np.asarray(np.isfinite(true.poses.xy).all(-1))
            metric.update(xy, true.poses.xy, known)
    return Agreement(metric.compute().pooled, switches, len(found.tracks))

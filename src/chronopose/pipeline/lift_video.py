"""A video of lifting: on the left what was seen, on the right the same people in space."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from PIL import Image

from chronopose.core.poses import Poses
from chronopose.core.tracks import FramePoses, VideoPoses
from chronopose.errors import UsageError
from chronopose.io.video import VideoWriter
from chronopose.refine._frames import TimedImage, together
from chronopose.viz.draw import Picture, draw_poses
from chronopose.viz.space import PAPER, beside, draw_space, scene_view

Walk = Literal["turn", "side", "front"]

LONGEST_PX = 1280
"""Longer side of the left picture; larger videos are scaled down."""
TURN_DEG_S = 30.0
SIDE_DEG = 60.0


def write_lift_video(
    path: str | Path,
    poses: VideoPoses,
    lifted: VideoPoses,
    frames: Iterable[TimedImage] | None = None,
    *,
    walk: Walk = "turn",
    kpt_thr: float = 0.3,
) -> int:
    """Write the overlay; the file appears whole or not at all.

    Args:
        path: A video file to be.
        poses: The 2D poses that were lifted.
        lifted: The same people in space.
        frames: The video in which they were found; None draws them on a dark ground.
        walk: ``turn``: once around in 12 seconds; ``side``: from 60 degrees; ``front``: from where
            the camera stood.
        kpt_thr: Smallest score of a 2D joint that is drawn.

    Returns:
        Number of frames written.

    Raises:
        UsageError: there is no such walk, or nobody knows the size of the picture.
        ShapeError: nobody was lifted.
        VideoError: the video is another one, or the file cannot be written.
    """
    if walk not in get_args(Walk):
        raise UsageError(f"walk must be {', '.join(get_args(Walk))}; got {walk!r}.")
    size = poses.info.size
    if min(size) < 1:
        raise UsageError("The poses do not say how large the picture is; there is no overlay.")
    share = min(1.0, LONGEST_PX / max(size))
    small = (max(1, round(size[0] * share)), max(1, round(size[1] * share)))
    view, order = scene_view(lifted), lifted.ids.tolist()
    in_space = iter(lifted.frames())
    pairs = together(poses, frames) if frames is not None else _dark(poses, size)
    count, first_s, found = 0, None, next(in_space, None)
    with VideoWriter(path, (2 * small[0], small[1])) as writer:
        for image, flat in pairs:
            first_s = flat.time_s if first_s is None else first_s
            while found is not None and found.frame_index < flat.frame_index:
                found = next(in_space, None)
            there = found if found and found.frame_index == flat.frame_index else _nobody(flat)
            turned = {"turn": TURN_DEG_S * (flat.time_s - first_s), "side": SIDE_DEG}.get(walk, 0.0)
            right = draw_space(there, replace(view, azimuth_deg=turned), small, order=order)
            left = draw_poses(*_scaled(image, flat, share, small), kpt_thr=kpt_thr)
            writer.write(np.ascontiguousarray(beside(left, right)), flat.time_s)
            count += 1
    return count


def _scaled(
    image: Picture, flat: FramePoses, share: float, small: tuple[int, int]
) -> tuple[Picture, FramePoses]:
    """Picture and poses at the size of the overlay."""
    if share == 1.0:
        return image, flat
    picture = np.asarray(Image.fromarray(image).resize(small, Image.Resampling.BILINEAR))
    height, width = image.shape[:2]
    scale = np.array([small[0] / width, small[1] / height], np.float32)
    # Pixel centres: half a pixel from the edge stays half a pixel from the edge.
    xy = (flat.poses.xy + np.float32(0.5)) * scale - np.float32(0.5)
    return picture, replace(flat, poses=replace(flat.poses, xy=xy))


def _dark(poses: VideoPoses, size: tuple[int, int]) -> Iterator[tuple[Picture, FramePoses]]:
    canvas = np.empty((size[1], size[0], 3), np.uint8)
    canvas[:] = PAPER
    for frame in poses.frames():
        yield canvas, frame


def _nobody(flat: FramePoses) -> FramePoses:
    joints = len(flat.skeleton)
    empty = Poses(
        np.zeros((0, joints, 3), np.float32), np.zeros((0, joints), np.float32), flat.skeleton,
        "camera_mm",
    )  # fmt: skip
    return FramePoses(flat.frame_index, flat.time_s, flat.ids[:0], flat.boxes.select([]), empty)

"""Poses and the frames of their video, side by side; refusing those of another video."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from chronopose.core.tracks import FramePoses, VideoPoses
from chronopose.core.video import VideoInfo
from chronopose.errors import VideoError

Image = NDArray[np.uint8]


class TimedImage(Protocol):
    """A frame of a video, as :class:`chronopose.io.video.Frame` is one."""

    @property
    def index(self) -> int:
        """Number in the video, from 0."""

    @property
    def image(self) -> Image:
        """``(H, W, 3)`` uint8 RGB."""


def check_same_video(told: VideoInfo, video: VideoInfo) -> None:
    """Compare what poses say about their video with a video, as far as both say anything.

    Raises:
        VideoError: the size or the announced number of frames differ.
    """
    for what, ours, theirs in (
        ("frames of {} pixels", "x".join(map(str, told.size)), "x".join(map(str, video.size))),
        ("{} frames", str(told.num_frames), str(video.num_frames)),
    ):
        if ours != theirs and not {"0", "0x0"} & {ours, theirs}:
            raise VideoError(
                f"These are poses of another video: {told.source} had {what.format(ours)}, "
                f"{video.source} has {what.format(theirs)}. Give the video in which they were "
                f"found."
            )


def together(poses: VideoPoses, frames: Iterable[TimedImage]) -> Iterator[tuple[Image, FramePoses]]:
    """The frames that were looked at, with their people; others are passed over.

    Raises:
        VideoError: a frame that was looked at is not there, or has another size.
    """
    waiting = poses.frames()
    people = next(waiting, None)
    last = -1
    for frame in frames if people is not None else ():
        last = frame.index
        if people is None or frame.index > people.frame_index:
            break
        if frame.index == people.frame_index:
            height, width = frame.image.shape[:2]
            check_same_video(poses.info, VideoInfo("the video", (width, height)))
            yield frame.image, people
            people = next(waiting, None)
    if people is not None:
        raise VideoError(
            f"These are poses of another video, or the video is damaged: they go on in frame "
            f"{people.frame_index}, and the video "
            f"{'ends after' if last < people.frame_index else 'goes from before it to'} frame "
            f"{last}. Give the video in which they were found, all of it."
        )

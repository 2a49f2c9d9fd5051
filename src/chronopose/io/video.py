"""Videos in and out: frames with their numbers and presentation times, whatever the source."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from chronopose.core.video import VideoInfo
from chronopose.errors import UsageError, VideoError
from chronopose.io.pictures import PictureSource
from chronopose.io.sources import (
    LIST_SUFFIX,
    PICTURE_SUFFIXES,
    check_readable,
    expand_sources,
    is_address,
    is_camera,
    videos_in,
)
from chronopose.io.video_source import PictureStream
from chronopose.io.video_stream import StreamSource
from chronopose.io.video_writer import VideoWriter

__all__ = ["Frame", "VideoReader", "VideoWriter", "expand_sources", "open_video"]

MAX_PIXELS = 64_000_000
PICTURE_RATE_HZ = 25.0
TIMEOUT_S = 10.0


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame of a video.

    Args:
        index: Number in the video, from 0; not in the range that was asked for.
        time_s: Presentation time, seconds.
        image: ``(H, W, 3)`` uint8 RGB, upright.
    """

    index: int
    time_s: float
    image: NDArray[np.uint8]


class VideoReader:
    """Reads the frames of one source, once, a few at a time; :func:`open_video` makes it.

    Iterating yields :class:`Frame` objects of a size ``info.size``. Memory does not grow with the
    length of the video: the reader keeps no frame that it has handed out.

    Raises:
        VideoError: while iterating: no frame lies in the wanted time span, or the frames cannot be
            turned into RGB.
    """

    def __init__(
        self, source: PictureStream, *, start_s: float, end_s: float | None, stride: int
    ) -> None:
        self._source = source
        self._start_s = start_s if start_s > 0 else -math.inf
        self._end_s = math.inf if end_s is None else end_s
        self._stride = stride
        self._begun = False

    @property
    def info(self) -> VideoInfo:
        """What is known about the whole video, not only about the wanted span."""
        return self._source.info

    @property
    def damage(self) -> str | None:
        """After iterating: what could not be read, in whole sentences; None if all is well.

        Only the wanted time span counts: damage beyond ``end_s`` is not seen.
        """
        return self._source.damage

    def __iter__(self) -> Iterator[Frame]:
        if self._begun:
            raise UsageError(
                f"The frames of {self.info.source} have been read already. Open the video again "
                f"to read them a second time."
            )
        self._begun = True
        return self._frames()

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file or device; harmless when repeated."""
        self._source.close()

    def _frames(self) -> Iterator[Frame]:
        used, given, last_s = 0, 0, math.nan
        for picture in self._source.pictures(self._start_s, self._end_s):
            last_s = picture.time_s
            if round(last_s, 6) >= round(self._end_s, 6):
                break
            if round(last_s, 6) < round(self._start_s, 6):
                continue
            used += 1
            if (used - 1) % self._stride == 0 and (image := picture.image()) is not None:
                given += 1
                yield Frame(picture.index, last_s, image)
                del image
        if given == 0:
            raise self._nothing(last_s)

    def _nothing(self, last_s: float) -> VideoError:
        until = "" if self._end_s == math.inf else f" and before {self._end_s:g} s"
        from_s = "the beginning" if self._start_s == -math.inf else f"{self._start_s:g} s"
        damage = f" {self.damage}" if self.damage else ""
        return VideoError(
            f"{self.info.source} has no readable frame from {from_s} on{until}; the last one read "
            f"lies at {last_s:.3f} s. Choose an earlier start or a later end.{damage}"
        )


def open_video(
    source: str | Path,
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
    stride: int = 1,
    picture_rate_hz: float = PICTURE_RATE_HZ,
    max_pixels: int = MAX_PIXELS,
    timeout_s: float = TIMEOUT_S,
) -> VideoReader:
    """Open a video file, a folder of pictures, one picture, a camera or an address.

    Times are the presentation times of the video stream, ``pts * time_base``, with nothing
    subtracted: a stream that starts at 1.4 s has its first frame at 1.4 s, as other tools say.
    Cameras and live addresses, whose clocks start anywhere, are counted from their first frame.
    Times are strictly rising; :class:`~chronopose.io.video_clock.FrameClock` says what becomes of
    missing, repeated and falling ones. AVI files store no presentation times: their frames take
    the times of their chunks in order.

    A range begins at the key frame before ``start_s`` where that is sure to give the same frames,
    numbers and times as decoding everything (MP4, MOV, Matroska and WebM files in order), and else
    decodes from the beginning: slower, never different.

    The turn and mirroring in the metadata is applied; pixels that are not square are left as they
    are. When frames change size but keep their shape they are scaled to the first size; when their
    shape changes, reading breaks off there.

    A file that is cut off or damaged yields the frames that can be read, and then
    ``reader.damage`` tells what is missing. Frames that the decoder marks as corrupt are left out;
    they keep their numbers. A cut transport stream (.ts) cannot be told from a short one.

    Args:
        source: One source as :func:`expand_sources` returns it.
        start_s: First time that is used, seconds, compared to the microsecond; zero and less mean
            from the first frame on.
        end_s: Stop before this time, seconds; None for the end.
        stride: Use every n-th frame, counted from the first one of the range.
        picture_rate_hz: Pictures a second in a folder, which has no clock of its own.
        max_pixels: Refuse frames with more pixels.
        timeout_s: How long a camera or an address may be silent, seconds.

    Raises:
        VideoError: the source is missing, empty, no video, without a video stream or any readable
            frame, or its frames are too small or too large.
        UsageError: the range or the stride cannot be.
    """
    if math.isnan(start_s) or (end_s is not None and not end_s > start_s):
        raise UsageError(
            f"end_s must lie after start_s; got start_s = {start_s} and end_s = {end_s}. Leave "
            f"end_s out to read to the end."
        )
    if stride < 1:
        raise UsageError(f"stride must be at least 1; got {stride}. 2 means every other frame.")
    if not picture_rate_hz > 0:
        raise UsageError(f"picture_rate_hz must be above 0; got {picture_rate_hz}.")
    stream = _stream(str(source), picture_rate_hz, max_pixels, timeout_s)
    return VideoReader(stream, start_s=start_s, end_s=end_s, stride=stride)


def _stream(
    source: str, picture_rate_hz: float, max_pixels: int, timeout_s: float
) -> PictureStream:
    if is_camera(source) or is_address(source):
        return StreamSource(source, max_pixels=max_pixels, timeout_s=timeout_s)
    path = Path(source).expanduser()
    check_readable(path)
    if path.is_dir() or path.suffix.lower() in PICTURE_SUFFIXES:
        if path.is_dir() and videos_in(path):
            raise VideoError(
                f"{path} is a folder with videos in it. Open them one by one: "
                f"expand_sources({str(path)!r}) lists them."
            )
        return PictureSource(path, rate_hz=picture_rate_hz, max_pixels=max_pixels)
    if path.suffix.lower() == LIST_SUFFIX:
        raise VideoError(
            f"{path} is a list of sources. Open them one by one: "
            f"expand_sources({str(path)!r}) lists them."
        )
    return StreamSource(str(path), max_pixels=max_pixels, timeout_s=timeout_s)

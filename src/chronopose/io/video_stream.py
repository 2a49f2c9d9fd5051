"""One video stream decoded by PyAV: opening, turning, seeking, and what damage looks like."""

from __future__ import annotations

import itertools
import math
import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import av
import numpy as np
from av.codec.context import ThreadType
from av.packet import Packet
from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from chronopose.core.video import VideoInfo
from chronopose.errors import VideoError
from chronopose.io.sources import is_address, is_camera, is_live
from chronopose.io.video_clock import FrameClock, FrameCounter
from chronopose.io.video_open import OpenVideo, open_container, pick_stream, reason
from chronopose.io.video_source import Picture, check_size

FALLBACK_RATE_HZ = 25.0
MAX_THREADS = 8
"""Every decoding thread holds a frame, so their number is part of the memory bound."""
DECODER_MARGIN_PX = 256 * 256
"""Decoders count the padding of a frame, too, so that their own limit lies above ours."""
CUT_OFF = "the file ends in the middle of a frame"


@dataclass(frozen=True)
class Orientation:
    """How stored pixels are turned and mirrored for display: transpose first, then flips."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False
    clockwise_deg: int = 0

    @classmethod
    def of_frame(cls, frame: VideoFrame) -> Orientation:
        """Read the display matrix that the demuxer attaches to decoded frames.

        Raises:
            VideoError: the picture is to be shown turned by something else than quarter turns.

        Source:
            ISO/IEC 14496-12, 8.3.2 and 6.2.2: stored (x, y) is shown at (a x + c y, b x + d y), in
            16.16 fixed point, y down.
        """
        data = frame.side_data.get("DISPLAYMATRIX")
        if not isinstance(data, SideData):
            return cls()
        matrix = np.frombuffer(bytes(data), np.int32)
        a, b, c, d = (int(matrix[i]) / 65536 for i in (0, 1, 3, 4))
        if abs(a * d - b * c) < 1e-6:
            return cls()
        transpose = abs(a) < abs(b)
        used, unused = ((b, c), (a, d)) if transpose else ((a, d), (b, c))
        degrees = math.degrees(math.atan2(b, a))
        if max(abs(v) for v in unused) > 0.02 * min(abs(v) for v in used):
            raise VideoError(
                f"The video is marked to be shown turned by {degrees:.0f} degrees; only quarter "
                f"turns can be applied. Turn its pixels first, for example with: "
                f"ffmpeg -i IN -c:a copy OUT.mp4"
            )
        flips = (c < 0, b < 0) if transpose else (a < 0, d < 0)
        return cls(transpose, *flips, clockwise_deg=round(degrees / 90) % 4 * 90)

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Stored ``(H, W, 3)`` pixels -> shown pixels, contiguous."""
        if self.transpose:
            image = image.transpose(1, 0, 2)
        rows = slice(None, None, -1 if self.flip_y else 1)
        columns = slice(None, None, -1 if self.flip_x else 1)
        return np.ascontiguousarray(image[rows, columns])

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Stored width and height -> shown width and height."""
        return (height, width) if self.transpose else (width, height)


@dataclass
class Damage:
    """What went wrong while decoding, told in whole sentences."""

    span_s: tuple[float, float] = (-math.inf, math.inf)
    """Lost frames outside this time are nobody's loss."""
    last: tuple[int, float] = (-1, math.nan)
    """Number and time of the last readable frame."""
    broke_off: str = ""
    lost_s: list[float] = field(default_factory=list)
    lost: int = 0
    skipped_bytes: int = 0

    def lose(self, time_s: float) -> None:
        """Note one unreadable frame near this time (``nan``: nobody knows)."""
        if time_s < self.span_s[0] or time_s >= self.span_s[1]:
            return
        self.lost += 1
        if math.isfinite(time_s):
            self.lost_s = [min([time_s, *self.lost_s]), max([time_s, *self.lost_s])]

    def skip(self, count: int, time_s: float) -> None:
        """Note bytes that the demuxer passed over before this time."""
        if self.span_s[0] <= time_s < self.span_s[1]:
            self.skipped_bytes += count

    def tell(self) -> str | None:
        """The sentences, None if all is well."""
        told = []
        if self.broke_off:
            frames, time_s = self.last[0] + 1, self.last[1]
            told.append(
                f"It breaks off at {time_s:.2f} s, after {frames} frames: {self.broke_off}."
            )
        if self.lost:
            span = ""
            if self.lost_s:
                first, last = (f"{time_s:.2f} s" for time_s in self.lost_s)
                span = f" at {first}" if first == last else f" between {first} and {last}"
            told.append(f"{self.lost} damaged frame{'s' * (self.lost > 1)}{span} left out.")
        if self.skipped_bytes:
            told.append(f"{self.skipped_bytes} damaged bytes were passed over.")
        return " ".join(told) or None


@dataclass(frozen=True)
class Entry:
    """A packet at which decoding can begin, and how many packets lie before it."""

    pts: int
    dts: int | None
    before: int


@dataclass(frozen=True)
class Decoded:
    """A decoded frame with its number and time."""

    frame: VideoFrame
    index: int
    time_s: float


class Pass:
    """One run through a stream, from its beginning or from a key frame."""

    def __init__(
        self,
        video: OpenVideo,
        packets: Iterator[Packet[VideoStream]],
        *,
        live: bool,
        timeout_s: float,
        before: int = 0,
    ) -> None:
        self.damage = Damage()
        self._video, self._packets = video, packets
        self._live, self._timeout_s = live, timeout_s
        self._base = video.time_base
        self._step_s = 1 / (video.rate_hz if video.rate_hz > 0 else FALLBACK_RATE_HZ)
        self._clock = FrameClock(self._step_s)
        self._counter = FrameCounter(video.is_ranked, before)
        self._packet_count = before
        self._cut = ""
        self._avi_ticks: deque[int] = deque()
        self._first_pts: int | None = None

    def frames(self) -> Iterator[Decoded]:
        """Frames in presentation order; unreadable ones are left out and noted as damage."""
        end_s = math.nan
        for frame in self._decode():
            index = self._counter.frame(frame.pts)
            time_s = self._clock.next(self._stated_s(frame))
            shown_s = float(frame.duration * self._base) if frame.duration else self._step_s
            if frame.is_corrupt and not self._live:
                self.damage.lose(time_s)
                continue
            end_s = time_s + shown_s
            self.damage.last = (index, time_s)
            yield Decoded(frame, index, time_s)
        self.damage.broke_off = self._cut or ("" if self._live else self._missing(end_s))

    def _decode(self) -> Iterator[VideoFrame]:
        while True:
            try:
                packet = next(self._packets, None)
            except (av.error.FFmpegError, OSError) as error:
                self._cut = reason(error, self._timeout_s)
                yield from self._flush()
                return
            if packet is None:
                return
            if packet.size:
                self._note(packet)
            try:
                yield from packet.decode()
            except (av.error.FFmpegError, OSError):
                self._counter.lost()
                if self._avi_ticks:
                    self._avi_ticks.popleft()
                self.damage.lose(self._packet_s(packet))

    def _packet_s(self, packet: Packet[VideoStream]) -> float:
        return math.nan if packet.pts is None else float(packet.pts * self._base)

    def _flush(self) -> list[VideoFrame]:
        try:
            return list(self._video.stream.decode(None))
        except (av.error.FFmpegError, OSError):
            return []

    def _note(self, packet: Packet[VideoStream]) -> None:
        self._packet_count += 1
        if (hole := self._video.trail.take_hole()) and self._video.format == "matroska":
            self.damage.skip(hole, self._packet_s(packet))
        if packet.is_corrupt and self._video.format != "mpegts":
            self._cut = self._cut or CUT_OFF
        if packet.is_discard:
            return
        self._counter.packet(packet.pts)
        if self._video.format == "avi" and packet.dts is not None:
            self._avi_ticks.append(packet.dts)

    def _stated_s(self, frame: VideoFrame) -> float | None:
        """Time that the container states; AVI has none but the order of its chunks."""
        if self._avi_ticks:
            return float(self._avi_ticks.popleft() * self._base)
        tick = frame.pts if frame.pts is not None else frame.dts
        if tick is None:
            return None
        if self._live:
            self._first_pts = tick if self._first_pts is None else self._first_pts
            tick -= self._first_pts
        return float(tick * self._base)

    def _missing(self, end_s: float) -> str:
        """What the container announces beyond the frames that came; empty if nothing."""
        lost = self._video.announced_packets - self._packet_count
        if lost > 0:
            return f"{lost} more frames are announced"
        if share := self._video.unread_share:
            return f"{share:.0%} of the file could not be read"
        if missing := self._video.missing_bytes:
            return f"the file announces {missing} more bytes"
        announced_s = self._video.announced_end_s
        if announced_s - end_s > max(2 * self._step_s, 0.5, 0.01 * announced_s):
            return f"{announced_s:.2f} s are announced"
        return ""


class StreamSource:
    """A video file, camera or address.

    Args:
        source: Path, camera number or address.
        max_pixels: Larger frames are refused.
        timeout_s: How long an address or camera may be silent.

    Raises:
        VideoError: it cannot be opened, has no video stream, or not one frame can be decoded.
    """

    def __init__(self, source: str, *, max_pixels: int, timeout_s: float) -> None:
        self._source, self._max_pixels, self._timeout_s = source, max_pixels, timeout_s
        self._live = is_live(source)
        self._reformatter = VideoReformatter()
        self._open_videos: list[OpenVideo] = []
        try:
            video = self._open()
            self._pass = self._begin(video, video.packets())
            self._frames: Iterator[Decoded] = self._pass.frames()
            first = next(self._frames, None)
            if first is None:
                raise VideoError(
                    f"Not one frame of {source} can be decoded. Copy or record it again; "
                    f"'ffmpeg -i {source} -f null -' tells more."
                )
            self._first: Decoded | None = first
            self._orientation = Orientation.of_frame(first.frame)
        except BaseException:
            self.close()
            raise
        self._stored = (first.frame.width, first.frame.height)
        self.info = self._describe(video)

    @property
    def damage(self) -> str | None:
        """What is missing, in whole sentences; None if nothing is."""
        return self._pass.damage.tell()

    def pictures(self, start_s: float, end_s: float) -> Iterator[Picture]:
        """Pictures from the key frame before ``start_s`` on, or from the beginning."""
        assert self._first is not None, "a source is read once; VideoReader sees to that"
        first, self._first = self._first, None
        found: Iterator[Decoded] = itertools.chain([first], self._frames)
        if start_s > first.time_s and (entry := self._find_entry(start_s)) is not None:
            found = self._jump(entry) or found
        self._frames = iter(())
        del first
        self._pass.damage.span_s = (start_s, end_s)
        for decoded in found:
            size = (decoded.frame.width, decoded.frame.height)
            if size != self._stored and not _same_shape(size, self._stored):
                self._pass.damage.broke_off = (
                    f"the frames change from {self._stored[0]}x{self._stored[1]} to "
                    f"{size[0]}x{size[1]} pixels there; split the video and use the parts"
                )
                return
            yield Picture(decoded.index, decoded.time_s, partial(self._rgb, decoded.frame))

    def close(self) -> None:
        """Close the file or device."""
        while self._open_videos:
            self._open_videos.pop().close()

    def _open(self) -> OpenVideo:
        container = open_container(self._source, self._timeout_s if self._is_remote else None)
        try:
            video = OpenVideo(container, pick_stream(container, self._source))
            self._prepare(video.stream)
        except BaseException:
            container.close()
            raise
        self._open_videos.append(video)
        return video

    def _prepare(self, stream: VideoStream) -> None:
        context = stream.codec_context
        if context.width and context.height:
            check_size(self._source, (context.width, context.height), self._max_pixels)
        context.options = {"max_pixels": str(2 * self._max_pixels + DECODER_MARGIN_PX)}
        stream.thread_type = ThreadType.AUTO
        stream.thread_count = min(os.cpu_count() or 1, MAX_THREADS)

    @property
    def _is_remote(self) -> bool:
        return is_address(self._source) or is_camera(self._source)

    def _begin(
        self, video: OpenVideo, packets: Iterator[Packet[VideoStream]], before: int = 0
    ) -> Pass:
        return Pass(video, packets, live=self._live, timeout_s=self._timeout_s, before=before)

    def _rgb(self, frame: VideoFrame) -> NDArray[np.uint8]:
        width, height = self._stored
        try:
            shown = self._reformatter.reformat(frame, width, height, format="rgb24")
        except (av.error.FFmpegError, ValueError, OSError) as error:
            raise VideoError(
                f"Frames of {self._source} (pixel format {frame.format.name}) cannot be turned "
                f"into RGB: {error}. Convert the video: ffmpeg -i IN -pix_fmt yuv420p OUT.mp4"
            ) from error
        return self._orientation.apply(np.asarray(shown.to_ndarray(), np.uint8))

    def _describe(self, video: OpenVideo) -> VideoInfo:
        return VideoInfo(
            source=self._source,
            size=self._orientation.size(*self._stored),
            time_base=float(video.time_base),
            rate_hz=video.rate_hz,
            num_frames=0 if self._live else max(video.stream.frames, 0),
            duration_s=math.nan if self._live else video.duration_s,
            rotation_deg=self._orientation.clockwise_deg,
            codec=video.codec,
        )

    def _find_entry(self, start_s: float) -> Entry | None:
        """The last key frame at or before ``start_s``, found by reading packets without decoding.

        None where skipping could change a frame, its number or its time: streams that are not one
        packet a frame, or whose packets up to there are cut, discarded, untimed or out of order.
        """
        if self._is_remote:
            return None
        video = self._open()
        try:
            return find_entry(video, start_s) if video.is_ranked else None
        except (av.error.FFmpegError, OSError):
            return None
        finally:
            self._open_videos.pop().close()

    def _jump(self, entry: Entry) -> Iterator[Decoded] | None:
        """Begin again at a key frame; None if the file does not lead exactly there."""
        video = self._open()
        for tick in (entry.pts, entry.pts if entry.dts is None else entry.dts):
            try:
                video.container.seek(tick, stream=video.stream)
                packets = video.packets()
                packet = next(packets)
            except (av.error.FFmpegError, OSError, StopIteration):
                continue
            if packet.pts != entry.pts or not packet.is_keyframe:
                continue
            again = self._begin(video, itertools.chain([packet], packets), entry.before)
            frames = again.frames()
            first = next(frames, None)
            if first is not None and first.frame.pts == entry.pts:
                self._open_videos.pop(0).close()
                self._pass = again
                return itertools.chain([first], frames)
            break
        self._open_videos.pop().close()
        return None


def find_entry(video: OpenVideo, start_s: float) -> Entry | None:
    """The last key frame at or before ``start_s``; reads ``video`` from its beginning.

    None if a packet up to there is cut, discarded, untimed or out of order.
    """
    base, entry, before, newest, last_dts = video.time_base, None, 0, -math.inf, -math.inf
    for packet in video.packets():
        if not packet.size:
            break
        pts, dts = packet.pts, packet.dts
        if pts is None or packet.is_discard or packet.is_corrupt or video.trail.take_hole():
            return None
        if dts is not None:
            if dts < last_dts:
                return None
            last_dts = dts
        if packet.is_keyframe and pts > newest:
            if round(float(pts * base), 6) > start_s:
                break
            entry = Entry(pts, dts, before)
        newest, before = max(newest, pts), before + 1
    return entry


def _same_shape(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return abs(one[0] * other[1] - one[1] * other[0]) <= 0.01 * one[0] * other[1]

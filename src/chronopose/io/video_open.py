"""Opening a video with PyAV, and what its container can be trusted to say."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from chronopose.errors import VideoError
from chronopose.io.sources import is_address, is_camera

INDEXED_FORMATS = frozenset({"mov", "matroska"})
ONE_PACKET_CODECS = frozenset({"h264", "hevc", "av1", "vp9", "mpeg4", "mjpeg", "prores", "ffv1"})
CAMERAS = {"linux": ("v4l2", "/dev/video{}"), "darwin": ("avfoundation", "{}")}
HOLE_BYTES = 1024
"""Headers between the packets of Matroska take some 20 bytes; more is a hole."""
TAIL_SHARE = 0.05
"""More of a fragmented file than this behind its last packet has not been read."""
_CLOCK_TIME = re.compile(r"(\d+):(\d+):(\d+(?:\.\d+)?)")


@dataclass(eq=False)
class ByteTrail:
    """Follows the packets of all streams through a file: demuxers skip damage in silence."""

    end: int = 0
    """Where the last packet ends."""
    hole: int = 0
    """Bytes skipped before the last packet."""

    def note(self, packet: Packet[Stream]) -> None:
        """Follow the next packet."""
        if packet.pos is None or packet.pos < 0:
            return
        skipped = packet.pos - self.end if self.end else 0
        extra = packet.has_sidedata("matroska_block_additional")
        if skipped > HOLE_BYTES and not extra:
            self.hole += skipped
        self.end = max(self.end, packet.pos + packet.size)

    def take_hole(self) -> int:
        """The bytes skipped since this was asked before."""
        hole, self.hole = self.hole, 0
        return hole


@dataclass(frozen=True, eq=False)
class OpenVideo:
    """A container and the one stream of it that is watched."""

    container: InputContainer
    stream: VideoStream
    trail: ByteTrail = field(default_factory=ByteTrail)

    @property
    def format(self) -> str:
        """Short name of the container's format: ``mov`` (also MP4), ``matroska``, ``avi``, …"""
        return self.container.format.name.split(",")[0]

    @property
    def codec(self) -> str:
        """Name of the decoder."""
        return self.stream.codec_context.name

    @property
    def time_base(self) -> Fraction:
        """Seconds a tick."""
        return self.stream.time_base or Fraction(0)

    @property
    def rate_hz(self) -> float:
        """Average frames a second, ``nan`` if the container does not say."""
        rate = self.stream.average_rate or self.stream.guessed_rate
        return float(rate) if rate else math.nan

    @property
    def duration_s(self) -> float:
        """Stated length of the stream, else of the container, seconds; ``nan`` if unknown."""
        if self.stream.duration and self.time_base:
            return float(self.stream.duration * self.time_base)
        return self.container.duration / av.time_base if self.container.duration else math.nan

    @property
    def is_ranked(self) -> bool:
        """Whether every packet of the stream is known to be exactly one frame."""
        return self.codec in ONE_PACKET_CODECS and self.format in INDEXED_FORMATS

    @property
    def announced_packets(self) -> int:
        """Packets in the container's own index, 0 if it has none that can be relied on."""
        return len(self.stream.index_entries) if self.format == "mov" else 0

    @property
    def announced_end_s(self) -> float:
        """Time at which the container says the video ends, 0 if it cannot be relied on.

        Transport streams and raw streams say nothing: their length is measured, cut or not.
        """
        if self.format == "avi" and self.rate_hz > 0:
            return self.stream.frames / self.rate_hz
        tag = _CLOCK_TIME.match(self.stream.metadata.get("DURATION", ""))
        if self.format == "matroska" and tag:
            return int(tag[1]) * 3600 + int(tag[2]) * 60 + float(tag[3])
        alone = len(self.container.streams) == 1
        if self.format in ("matroska", "flv") and alone and self.container.duration:
            return self.container.duration / av.time_base
        return 0.0

    @property
    def missing_bytes(self) -> int:
        """Bytes that a Matroska file announces beyond its end; 0 for other formats."""
        name = self.container.name.removeprefix("file:")
        if self.format != "matroska" or self.container.size <= 0 or is_address(name):
            return 0
        with open(name, "rb") as file:
            return max(0, _matroska_end(file.read(4096)) - self.container.size)

    @property
    def unread_share(self) -> float:
        """Share of the file behind its last packet, where that tells of damage; else 0."""
        if not self._is_fragmented or self.container.size <= 0:
            return 0.0
        share = 1 - self.trail.end / self.container.size
        return share if share > TAIL_SHARE else 0.0

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """Packets of the stream from where the container stands, then an empty one."""
        if self.format != "matroska" and not self._is_fragmented:
            yield from self.container.demux(self.stream)
            return
        for packet in self.container.demux():
            if packet.size:
                self.trail.note(packet)
            if packet.stream_index == self.stream.index:
                yield cast("Packet[VideoStream]", packet)

    @property
    def _is_fragmented(self) -> bool:
        return self.format == "mov" and self.stream.frames == 0

    def close(self) -> None:
        """Close the file or device."""
        self.container.close()


def _matroska_end(head: bytes) -> int:
    """Where a Matroska file ends by its own account, bytes; 0 if it does not say (a live stream).

    The file is an EBML header and a segment; each is an id, a size of variable length, a body.
    """
    at = 0
    for name in (b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"):
        if head[at : at + 4] != name or len(head) < at + 5 or head[at + 4] == 0:
            return 0
        length = 9 - head[at + 4].bit_length()
        digits = head[at + 4 : at + 4 + length]
        size = int.from_bytes(digits, "big") & ((1 << 7 * length) - 1)
        if size == (1 << 7 * length) - 1:
            return 0
        at += 4 + length + size
    return at


def open_container(source: str, timeout_s: float | None) -> InputContainer:
    """Open a path, camera number or address with PyAV.

    Raises:
        VideoError: with what was tried, why it failed, and what to do.
    """
    target, form, advice, options = f"file:{source}", None, "Copy or convert it again", {}
    if is_camera(source):
        form, pattern = CAMERAS.get(sys.platform, ("", "{}"))
        target, advice = pattern.format(source), "Plug it in, or name another number"
        if form not in av.formats_available:
            raise VideoError(f"Camera {source} cannot be opened: no camera driver is built in.")
    elif is_address(source):
        target, advice = source, "Check the address and the network"
        if source.lower().startswith("rtsp"):
            options = {"rtsp_transport": "tcp"}
    elif Path(source).stat().st_size == 0:
        raise VideoError(f"{source} is empty (0 bytes). Copy or download it again.")
    try:
        return av.open(target, "r", format=form, options=options, timeout=timeout_s)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        name = f"Camera {source}" if is_camera(source) else source
        raise VideoError(
            f"{name} cannot be opened as a video: {reason(error, timeout_s or 0)}. {advice}."
        ) from error


def pick_stream(container: InputContainer, source: str) -> VideoStream:
    """The first moving picture in a container; cover pictures of audio files do not count.

    Raises:
        VideoError: there is none, or no decoder for it.
    """
    cover = av.stream.Disposition.attached_pic
    streams = [s for s in container.streams.video if not s.disposition & cover]
    if not streams:
        kinds = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
        raise VideoError(
            f"{source} has no video stream, only {kinds}. Name a file with moving pictures in it."
        )
    if streams[0].codec_context is None:
        raise VideoError(
            f"{source} has no video stream that can be decoded: its codec is unknown here. "
            f"Convert it: ffmpeg -i IN -c:v libx264 OUT.mp4"
        )
    return streams[0]


def reason(error: Exception, timeout_s: float) -> str:
    """What an FFmpeg error means, in words."""
    if isinstance(error, av.error.ExitError):
        return f"no answer within {timeout_s:g} s"
    if isinstance(error, av.error.InvalidDataError):
        return "its contents are no video, or its index is lost because it was cut off"
    return getattr(error, "strerror", None) or str(error)

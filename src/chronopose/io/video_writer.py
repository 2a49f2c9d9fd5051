"""Writing a video whose frames keep the times they had in their source."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.container import OutputContainer
from av.packet import Packet
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from chronopose.errors import ShapeError, UsageError, VideoError
from chronopose.io.atomic import PendingFile, write_failure

FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
TICKS = {"libx264": 90_000, "mpeg4": 60_000}
"""Clock ticks a second; MPEG-4 part 2 cannot count beyond 65535."""
OPTIONS = {
    "libx264": {"preset": "superfast", "crf": "20"},
    "mpeg4": {"flags": "+qscale", "global_quality": str(3 * 118)},
}
NOMINAL_RATE_HZ = 30
_BT709 = 1


class VideoWriter:
    """Writes RGB frames, each with its own time, so that a variable rate stays variable.

    The first frame is shown at once (time 0 of the file); every other frame as long after it as in
    the source, to the tick of 1/90000 s. A side of an odd number of pixels grows by one
    (the last row or column repeated), because the pixel format yuv420p needs even sides.

    The file appears under its name when it is complete: until :meth:`close`, a file that was there
    before stays as it is. Leaving a ``with`` block by an error throws the new file away.

    Args:
        path: File to write: .mp4, .m4v, .mov or .mkv. MP4 files can be played while they load.
        size: Width and height of the frames, pixels.
        codec: Encoder; where it is not built in, ``mpeg4`` takes its place (see ``codec``).

    Raises:
        VideoError: the name ends in something else, the folder cannot be written to, the size is
            out of range, or no encoder is built in.
    """

    def __init__(self, path: str | Path, size: tuple[int, int], *, codec: str = "libx264") -> None:
        self.path = Path(path)
        self.size = size
        self.codec = _pick_encoder(codec)
        """The encoder in use."""
        if self.path.suffix.lower() not in FORMATS:
            raise VideoError(
                f"Cannot write a video named {self.path}: its name must end in "
                f"{', '.join(FORMATS)}."
            )
        if min(size) < 1 or max(size) > 16384:
            raise VideoError(
                f"Cannot write a video of {size[0]}x{size[1]} pixels to {self.path}: each side "
                f"must have 1 to 16384."
            )
        self._ticks = TICKS.get(self.codec, TICKS["mpeg4"])
        self._reformatter = VideoReformatter()
        self._first_s: float | None = None
        self._last_tick = -1
        self._done = False
        self._pending = PendingFile(self.path, VideoError)
        try:
            self._container, self._stream = self._open()
        except (av.error.FFmpegError, OSError, ValueError) as error:
            self._pending.discard()
            raise write_failure(self.path, error, VideoError) from error

    def write(self, image: NDArray[np.uint8], time_s: float) -> None:
        """Append a frame.

        Args:
            image: ``(H, W, 3)`` uint8 RGB of the size of the video.
            time_s: Presentation time in the source, seconds, later than the one before.

        Raises:
            ShapeError: the image has another size or type.
            UsageError: the time is not later, or the writer has been closed.
            VideoError: the disk is full or the encoder failed; the unfinished file is gone.
        """
        if self._done:
            raise UsageError(f"{self.path} is closed: no frame can be added to it.")
        width, height = self.size
        if image.shape != (height, width, 3) or image.dtype != np.uint8:
            raise ShapeError(
                f"Frames of {self.path} are ({height}, {width}, 3) uint8; got {image.shape} "
                f"{image.dtype}."
            )
        first_s = time_s if self._first_s is None else self._first_s
        tick = round((time_s - first_s) * self._ticks) if np.isfinite(time_s) else -1
        if tick <= self._last_tick:
            last_s = first_s + max(self._last_tick, 0) / self._ticks
            raise UsageError(
                f"Frames must be written in the order of their times: got {time_s} s after "
                f"{last_s:.6f} s."
            )
        self._first_s, self._last_tick = first_s, tick
        even = image
        if width % 2 or height % 2:
            even = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        try:
            frame = self._reformatter.reformat(
                av.VideoFrame.from_ndarray(even, format="rgb24"),
                format="yuv420p",
                dst_colorspace=Colorspace.ITU709,
                dst_color_range=ColorRange.MPEG,
            )
            frame.pts, frame.time_base = tick, Fraction(1, self._ticks)
            self._mux(self._stream.encode(frame))
        except (av.error.FFmpegError, OSError, ValueError) as error:
            self.abort()
            raise write_failure(self.path, error, VideoError) from error

    def close(self) -> None:
        """Finish the file and give it its name; nothing happens when repeated.

        Raises:
            VideoError: no frame was written, or the disk is full; nothing is left behind.
        """
        if self._done:
            return
        if self._first_s is None:
            self.abort()
            raise VideoError(f"No frame was written to {self.path}, so there is no video to keep.")
        try:
            self._mux(self._stream.encode(None))
            self._container.close()
        except (av.error.FFmpegError, OSError, ValueError) as error:
            self.abort()
            raise write_failure(self.path, error, VideoError) from error
        self._done = True
        self._pending.commit()

    def abort(self) -> None:
        """Throw the unfinished file away; nothing happens after :meth:`close`."""
        if self._done:
            return
        self._done = True
        with suppress(av.error.FFmpegError, OSError, ValueError):
            self._container.close()
        self._pending.discard()

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def _mux(self, packets: list[Packet[VideoStream]]) -> None:
        for packet in packets:
            self._container.mux(packet)

    def _open(self) -> tuple[OutputContainer, VideoStream]:
        form = FORMATS[self.path.suffix.lower()]
        options = {} if form == "matroska" else {"movflags": "+faststart"}
        container = av.open(f"file:{self._pending.temporary}", "w", format=form, options=options)
        stream: VideoStream = container.add_stream(self.codec, rate=NOMINAL_RATE_HZ)  # type: ignore[assignment]
        stream.width, stream.height = (side + side % 2 for side in self.size)
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, self._ticks)
        context = stream.codec_context
        context.time_base = Fraction(1, self._ticks)
        context.options = OPTIONS.get(self.codec, {})
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = ColorRange.MPEG.value
        return container, stream


def _pick_encoder(wanted: str) -> str:
    for name in (wanted, "mpeg4"):
        try:
            if av.Codec(name, "w").type == "video":
                return name
        except (av.codec.codec.UnknownCodecError, ValueError):
            continue
    raise VideoError(
        f"No video encoder named {wanted!r} is built into PyAV, nor mpeg4. Reinstall PyAV from its "
        f"wheel: pip install --force-reinstall av"
    )

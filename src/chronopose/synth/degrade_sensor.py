"""What sensor and file do: gain and noise, a coarse picture, a video codec."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray
from PIL import Image

from chronopose.errors import VideoError
from chronopose.synth._kernels import to_bytes, to_light
from chronopose.synth.shot import Shot, check_strength

_RATE_HZ = 25
_REPEATABLE = "mbtree=0"
"""The macroblock tree reads memory that was never written, so what lay there shows in the result:
with scenecut=0 and memory filled before, four results of eight runs; without the tree, one."""
_FILTERS = (Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.LANCZOS)


@dataclass(frozen=True, kw_only=True)
class SensorNoise:
    """Noise of a sensor that gets little light and turns its gain up.

    In linear light, in electrons: a white pixel collects ``full_well / gain``; shot noise is its
    square root, read noise is added; then the gain brings back the brightness.

    Args:
        strength: 0 to 1.
        gain: Largest gain at full strength; drawn between its square root and itself.
        full_well: Electrons of a white pixel at gain 1.
        read: Read noise, electrons.

    Source:
        The affine noise model: variance = a * light + b (Foi et al., "Practical Poissonian-Gaussian
        noise modeling and fitting for single-image raw-data").
    """

    strength: float = 0.5
    gain: float = 16.0
    full_well: float = 2400.0
    read: float = 2.0

    def __call__(self, shot: Shot, rng: np.random.Generator) -> Shot:
        """The noisy shot; noise is fresh in every frame."""
        check_strength(self)
        if self.strength == 0:
            return shot
        gain = self.gain ** (self.strength * rng.uniform(0.5, 1))
        white = self.full_well / gain
        frames = np.empty_like(shot.frames)
        for place, frame in enumerate(shot.frames):
            light = to_light(frame)
            spread = np.sqrt(light / np.float32(white) + np.float32((self.read / white) ** 2))
            grain = rng.standard_normal(light.shape, dtype=np.float32)
            frames[place] = to_bytes(light + spread * grain)
        return replace(shot, frames=frames)


@dataclass(frozen=True, kw_only=True)
class Rescale:
    """Made smaller and larger again, as by a cheap camera, a call or a download.

    Args:
        strength: 0 to 1.
        factor: Largest factor at full strength.
    """

    strength: float = 0.5
    factor: float = 4.0

    def __call__(self, shot: Shot, rng: np.random.Generator) -> Shot:
        """The coarse shot, of the same size."""
        check_strength(self)
        factor = 1 + self.strength * (self.factor - 1) * rng.uniform(0.6, 1)
        down = _FILTERS[int(rng.integers(len(_FILTERS)))]
        small = max(round(shot.size[0] / factor), 1), max(round(shot.size[1] / factor), 1)
        if small == shot.size:
            return shot
        frames = np.empty_like(shot.frames)
        for place, frame in enumerate(shot.frames):
            coarse = Image.fromarray(frame).resize(small, down)
            frames[place] = np.asarray(coarse.resize(shot.size, Image.Resampling.BICUBIC))
        return replace(shot, frames=frames)


@dataclass(frozen=True, kw_only=True)
class Codec:
    """Written as a video file with few bits, and read again.

    Args:
        strength: 0 to 1; 0 leaves the clip as it is, above it the rate factor (CRF) is drawn
            between ``crf[0]`` and that share of the way to ``crf[1]``.
        crf: x264's constant rate factor, from good to bad.
    """

    strength: float = 0.5
    crf: tuple[int, int] = (30, 45)

    def __call__(self, shot: Shot, rng: np.random.Generator) -> Shot:
        """The shot as the file gives it back: as many frames, the same size."""
        check_strength(self)
        low, high = self.crf
        drawn = round(low + (high - low) * self.strength * rng.uniform(0.5, 1))
        if self.strength == 0:
            return shot
        return replace(shot, frames=through_codec(shot.frames, drawn))


def through_codec(
    frames: NDArray[np.uint8], crf: int, preset: str = "veryfast"
) -> NDArray[np.uint8]:
    """Frames ``(T, H, W, 3)`` uint8 RGB after x264 with this rate factor; the same shape.

    The same frames come back as the same pixels: encoding uses one thread, and does without x264's
    macroblock tree.

    Raises:
        VideoError: PyAV has no x264, or it failed.
    """
    height, width = frames.shape[1:3]
    even = np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    file = io.BytesIO()
    try:
        _encode(even, file, {"crf": str(crf), "preset": preset, "x264-params": _REPEATABLE})
        file.seek(0)
        found = [f[:height, :width] for f in _decode(file)]
    except (av.error.FFmpegError, av.codec.codec.UnknownCodecError, ValueError) as error:
        raise VideoError(
            f"Cannot pass frames of {width}x{height} through x264: {error}. Reinstall PyAV from "
            f"its wheel: pip install --force-reinstall av"
        ) from error
    if len(found) != len(frames):
        raise VideoError(f"x264 gave {len(found)} frames back for {len(frames)}; report this.")
    return np.stack(found)


def _encode(frames: NDArray[np.uint8], file: io.BytesIO, options: dict[str, str]) -> None:
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=_RATE_HZ)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        stream.codec_context.options = options
        stream.codec_context.color_range = ColorRange.MPEG.value
        stream.codec_context.colorspace = 1
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame = frame.reformat(
                format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
            )
            frame.pts, frame.time_base = number, Fraction(1, _RATE_HZ)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _decode(file: io.BytesIO) -> list[NDArray[np.uint8]]:
    with av.open(file, "r") as container:
        container.streams.video[0].codec_context.thread_count = 1
        plain = (
            f.reformat(
                format="rgb24", src_colorspace=Colorspace.ITU709, src_color_range=ColorRange.MPEG
            )
            for f in container.decode(video=0)
        )
        return [f.to_ndarray().astype(np.uint8, copy=False) for f in plain]

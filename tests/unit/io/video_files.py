"""Small real videos whose frames show their own number."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from chronopose.io.video import Frame, open_video

SIZE = (96, 64)
RATE_HZ = 25
BITS = 8
EVEN_QUALITY = {"mpeg4": {"g": "12", "flags": "+qscale", "global_quality": "590"}}


def numbered(number: int, size: tuple[int, int] = SIZE, seed: int | None = None) -> NDArray:
    """Eight vertical bars, white for each set bit of ``number``; noise when seeded."""
    width, height = size
    bits = (number >> np.arange(BITS)) & 1
    columns = bits[np.minimum(np.arange(width) * BITS // width, BITS - 1)]
    image = np.broadcast_to((40 + 160 * columns)[None, :, None], (height, width, 3)).astype(float)
    if seed is not None:
        image = image + np.random.default_rng(seed + number).normal(0, 12, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def number_of(image: NDArray) -> int:
    """The number that an image made by :func:`numbered` shows."""
    bars = np.array_split(image.mean(axis=(0, 2)), BITS)
    return sum(int(bar.mean() > 120) << bit for bit, bar in enumerate(bars))


def write_clip(
    path: Path,
    *,
    count: int = 50,
    times_s: Sequence[float] | None = None,
    size: tuple[int, int] = SIZE,
    codec: str = "libx264",
    encoder: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
    rotation: tuple[float, bool, bool] | None = None,
    images: Sequence[NDArray] | None = None,
) -> Path:
    """Encode numbered frames at 25 a second, or at ``times_s`` seconds to the millisecond."""
    with av.open(str(path), "w", options=container or {}) as box:
        stream = box.add_stream(codec, rate=RATE_HZ)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.options = EVEN_QUALITY.get(codec, {"g": "12"}) if encoder is None else encoder
        if rotation is not None:
            stream.set_display_rotation(rotation[0], hflip=rotation[1], vflip=rotation[2])
        if times_s is not None:
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        frames = images or [numbered(n, size, seed=7) for n in range(len(times_s or range(count)))]
        for n, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            if times_s is not None:
                frame.pts, frame.time_base = round(times_s[n] * 1000), Fraction(1, 1000)
            box.mux(stream.encode(frame))
        box.mux(stream.encode(None))
    return path


FASTSTART = {"movflags": "faststart"}


def cut(path: Path, share: float) -> Path:
    """Throw away everything after this share of the bytes."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def blot(path: Path, first: float, last: float) -> Path:
    """Overwrite the bytes between two shares of the file with noise."""
    data = bytearray(path.read_bytes())
    span = slice(int(len(data) * first), int(len(data) * last))
    data[span] = np.random.default_rng(3).bytes(span.stop - span.start)
    path.write_bytes(data)
    return path


def read_all(path: Path, **how: object) -> tuple[list[Frame], str | None]:
    """All frames and the damage."""
    with open_video(path, **how) as reader:  # type: ignore[arg-type]
        return list(reader), reader.damage

"""Photographed light: Radiance .hdr panoramas as environments, and the way from light to pixels.

Source: Greg Ward, "Real Pixels" (Graphics Gems II) and the Radiance picture file format: four
bytes a pixel, three mantissas and a common exponent, scanlines run-length coded by component.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chronopose.errors import FormatError, ShapeError
from chronopose.synth.light import (
    LUMINANCE,
    irradiance_harmonics,
    panorama_directions,
    solid_angles,
    split_sun,
)
from chronopose.synth.scene import Environment

MIDDLE_GREY = 0.18
_KNEE = 0.5
_BAND = np.radians(-60.0), np.radians(45.0)
_BRIGHTEST = 1.5
_LARGEST = 1 << 15


def read_hdr(path: str | Path) -> NDArray[np.float32]:
    """Read a Radiance picture (.hdr, .pic).

    Args:
        path: The file; ``-Y h +X w`` (row 0 on top), coded ``32-bit_rle_rgbe``. Scanlines may be
            plain, run-length coded, or coded in the old way of repeated pixels.

    Returns:
        ``(h, w, 3)`` float32 linear radiance.

    Raises:
        FormatError: The file cannot be read, is no Radiance picture, or ends early.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise FormatError(
            f"Cannot read the panorama {path}: {error.strerror}. Check the name."
        ) from error
    size, exposure, start = _read_header(path, data)
    height, width = size
    rows = np.empty((height, 4, width), np.uint8)
    try:
        if 8 <= width < _LARGEST and data[start : start + 2] == b"\2\2":
            for row in rows:
                start = _read_row(data, start, row)
        else:
            rows[:] = (
                _read_old(data, start, height * width).reshape(height, width, 4).swapaxes(1, 2)
            )
    except (IndexError, ValueError) as error:
        raise FormatError(
            f"Cannot read the panorama {path}: the pixels of {width}×{height} end early or are "
            f"damaged. Fetch the file again."
        ) from error
    exponent = rows[:, 3].astype(np.int32)
    scale = np.where(exponent > 0, np.ldexp(np.float32(1), exponent - 136), 0).astype(np.float32)
    return np.moveaxis(rows[:, :3], 1, -1) * (scale / np.float32(exposure))[..., None]


def _read_header(path: str | Path, data: bytes) -> tuple[tuple[int, int], float, int]:
    """Height and width, exposure already applied to the pixels, offset of the first pixel."""
    if not data.startswith((b"#?RADIANCE", b"#?RGBE")):
        raise FormatError(
            f"Cannot read the panorama {path}: it starts with {data[:10]!r}, not with #?RADIANCE. "
            f"Give a Radiance .hdr file; convert .exr files first."
        )
    head, gap, rest = data.partition(b"\n\n")
    line, end, _ = rest.partition(b"\n")
    exposure = 1.0
    for entry in head.split(b"\n")[1:]:
        name, _, value = entry.partition(b"=")
        if name == b"FORMAT" and value.strip() != b"32-bit_rle_rgbe":
            raise FormatError(
                f"Cannot read the panorama {path}: its pixels are {value.decode('latin-1')}; only "
                f"32-bit_rle_rgbe is read. Convert it first."
            )
        if name == b"EXPOSURE":
            exposure *= float(value)
    words = line.split()
    sizes = [int(w) for w in words[1::2] if w.isdigit()]
    if not gap or not end or words[::2] != [b"-Y", b"+X"] or len(sizes) != 2 or 0 in sizes:
        raise FormatError(
            f"Cannot read the panorama {path}: the size line is {line[:40]!r}; only '-Y h +X w' is "
            f"read. Convert it first."
        )
    return (sizes[0], sizes[1]), exposure, len(head) + 2 + len(line) + 1


def _read_row(data: bytes, at: int, row: NDArray[np.uint8]) -> int:
    """Fill one run-length coded scanline ``(4, w)``; the offset of the next one."""
    width = row.shape[1]
    if data[at : at + 4] != bytes((2, 2, width >> 8, width & 255)):
        raise ValueError("a scanline does not start with its width")
    at += 4
    for component in row:
        line = bytearray()
        while len(line) < width:
            count = data[at]
            if count > 128:
                line += data[at + 1 : at + 2] * (count - 128)
                at += 2
            else:
                line += data[at + 1 : at + 1 + count]
                at += 1 + count
            if count == 0:
                raise ValueError("an empty run")
        component[:] = np.frombuffer(line, np.uint8)
    return at


def _read_old(data: bytes, at: int, count: int) -> NDArray[np.uint8]:
    """``(count, 4)`` plain pixels; one with mantissas 1, 1, 1 repeats the pixel before it."""
    plain = np.frombuffer(data, np.uint8, offset=at)
    plain = plain[: len(plain) // 4 * 4].reshape(-1, 4)
    marks = (plain[:, :3] == 1).all(1)
    repeats = np.where(marks, plain[:, 3].astype(np.int64), 1)
    second = marks.copy()
    second[1:] &= marks[:-1]
    second[:1] = False
    repeats[second] <<= 8
    source = np.maximum.accumulate(np.where(marks, 0, np.arange(len(plain))))
    return np.repeat(plain[source], repeats, axis=0)[:count].reshape(count, 4)


def tone_map(linear: NDArray[np.floating]) -> NDArray[np.float32]:
    """Exposed light of any strength -> [0, 1], still linear in light up to a half.

    Above a half it bends towards one without a corner, as a camera's highlights do:
    ``1 - exp(1 - 2 x) / 2``.
    """
    light = np.maximum(np.asarray(linear, np.float32), 0)
    return np.where(light < _KNEE, light, 1 - (1 - _KNEE) * np.exp(1 - light / _KNEE))


def to_srgb(linear: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Linear light in [0, 1] -> sRGB bytes (IEC 61966-2-1), same shape; outside is clipped."""
    light = np.clip(linear, 0, 1)
    curve = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return (curve * 255 + 0.5).astype(np.uint8)


def from_srgb(colour: NDArray[np.floating]) -> NDArray[np.float32]:
    """SRGB in [0, 1] -> linear light in [0, 1], same shape; the inverse of :func:`to_srgb`."""
    value = np.asarray(colour, np.float32)
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4).astype(
        np.float32
    )


def environment_from_panorama(key: str, radiance: NDArray[np.float32]) -> Environment:
    """Light, sun and exposure of a panorama.

    Args:
        key: Name of the result.
        radiance: ``(h, w, 3)`` linear, laid out as :class:`Environment` says.

    Returns:
        The environment. The exposure brings the mean of two log-luminances to 18 % grey: that of
        what a level camera sees, and that of a white surface in this light. It is lowered until a
        surface of middle brightness that faces the sun stays below white. The first alone would
        burn people who stand in a bright spot of a dark place.

    Raises:
        ShapeError: The panorama is not ``(h, w, 3)`` or at most one pixel high.
    """
    if radiance.ndim != 3 or radiance.shape[-1] != 3 or radiance.shape[0] < 2:
        raise ShapeError(f"A panorama must be (h, w, 3) with h above 1; got {radiance.shape}.")
    height = radiance.shape[0]
    without, direction, sun = split_sun(radiance)
    harmonics = irradiance_harmonics(without)
    rise = np.arcsin(panorama_directions(height, 1)[..., 2])
    weight = solid_angles(height, 1) * ((rise > _BAND[0]) & (rise < _BAND[1]))
    luminance = np.log(np.maximum(radiance @ LUMINANCE, 1e-6))
    seen = (luminance.mean(1, keepdims=True) * weight).sum() / weight.sum()
    around = float(harmonics[0] @ LUMINANCE) * 0.282095
    direct = float(sun @ LUMINANCE)
    white = max(around + direct / 4, 1e-6)
    exposure = MIDDLE_GREY / float(np.exp((seen + np.log(0.36 * white)) / 2))
    exposure = min(exposure, _BRIGHTEST / (around + direct + 1e-6))
    return Environment(
        key, np.ascontiguousarray(radiance, np.float32), harmonics, direction, sun, exposure
    )


def environment_from_hdri(path: str | Path, yaw_rad: float = 0.0) -> Environment:
    """Background and light of a photographed panorama.

    Args:
        path: A Radiance .hdr file, equirectangular, as such libraries give them.
        yaw_rad: Turn of the place around the vertical, counter-clockwise seen from above, in
            steps of one column.

    Returns:
        The environment; its key is the file's name and the turn in degrees.

    Raises:
        FormatError: As :func:`read_hdr`, or the picture is not twice as wide as high.
    """
    radiance = read_hdr(path)
    height, width = radiance.shape[:2]
    if width != 2 * height:
        raise FormatError(
            f"Cannot use {path} as a panorama: it is {width}×{height}, not twice as wide as high. "
            f"Give an equirectangular picture."
        )
    turn = round(yaw_rad / (2 * np.pi) * width)
    key = f"{Path(path).stem}@{turn * 360 / width % 360:.0f}"
    return environment_from_panorama(key, np.roll(radiance, -turn, axis=1))

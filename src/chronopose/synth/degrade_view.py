"""What moves the picture: shake, pan and zoom of the camera, cuts, dropped frames.

Pixels and everything that is known of them go through the same matrices. Where a movement would
show what lies beyond the picture, the whole clip is magnified just enough that it does not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chronopose.synth._kernels import to_bytes, to_light
from chronopose.synth.shot import Shot, check_strength

Path = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Times ``(T,)`` in seconds -> ``(T, 4)``: shift right and down in pixels, clockwise turn in
radians, natural logarithm of the magnification."""

_MOST_PARTS = 16
_SINES = 6


@dataclass(frozen=True, kw_only=True)
class Shake:
    """A hand-held camera: sways and turns of many rates, the slow ones larger.

    Args:
        strength: 0 to 1.
        sway: Spread of the movement at full strength, share of the picture's width.
        turn_deg: Spread of the turn at full strength.
        shutter: Share of the time between frames that the shutter is open; what moves then is
            blurred. 0 for none.
    """

    strength: float = 0.5
    sway: float = 0.02
    turn_deg: float = 1.5
    shutter: float = 0.4

    def __call__(self, shot: Shot, rng: np.random.Generator) -> Shot:
        """The shaken shot."""
        check_strength(self)
        rate_hz = np.exp(rng.uniform(np.log(0.4), np.log(6), (3, _SINES)))
        phase = rng.uniform(0, 2 * np.pi, (3, _SINES))
        size = rng.normal(size=(3, _SINES)) / rate_hz**0.7
        size /= np.sqrt((size**2).sum(1, keepdims=True) / 2)
        spread = self.strength * np.array(
            [self.sway * shot.size[0]] * 2 + [np.deg2rad(self.turn_deg)]
        )

        def path(times: NDArray[np.float64]) -> NDArray[np.float64]:
            waves = np.sin(2 * np.pi * rate_hz * times[:, None, None] + phase)
            return np.pad((waves * size).sum(2) * spread, ((0, 0), (0, 1)))

        return moved(shot, path, self.shutter)


@dataclass(frozen=True, kw_only=True)
class Pan:
    """A camera that turns to follow something: the picture slides, mostly sideways.

    Args:
        strength: 0 to 1.
        travel: Way at full strength, share of the picture's width.
        shutter: As for :class:`Shake`.
    """

    strength: float = 0.5
    travel: float = 0.3
    shutter: float = 0.4

    def __call__(self, shot: Shot, rng: np.random.Generator) -> Shot:
        """The shot from a turning camera."""
        check_strength(self)
        angle = rng.normal(0, 0.15) + np.pi * int(rng.integers(2))
        way = self.strength * self.travel * shot.size[0] * rng.uniform(0.6, 1)
        step = way * np.array([np.cos(angle), np.sin(angle), 0, 0])
        return moved(
            shot, lambda times: step * (_progress(shot, times) - 0.5)[:, None], self.shutter
        )


@dataclass(frozen=True, kw_only=True)
class Zoom:
    """A lens that zooms in or out.

    Args:
        strength: 0 to 1.
        factor: Magnification from one end to the other at full strength.
        shutter: As for :class:`Shake`.
    """

    strength: float = 0.5
    factor: float = 2.0
    shutter: float = 0.4

    def __call__(self, shot: Shot, rng: np.random.Generator) -> Shot:
        """The shot through a zooming lens."""
        check_strength(self)
        rate = np.log(1 + self.strength * (self.factor - 1) * rng.uniform(0.6, 1))
        inwards = rng.random() < 0.5

        def path(times: NDArray[np.float64]) -> NDArray[np.float64]:
            done = _progress(shot, times)
            return np.stack(
                [0 * done, 0 * done, 0 * done, rate * (done if inwards else 1 - done)], 1
            )

        return moved(shot, path, self.shutter)


@dataclass(frozen=True, kw_only=True)
class Cut:
    """The film was cut: from one frame to the next another part of the scene is shown, closer.

    Args:
        strength: 0 to 1; one to three cuts.
        closer: Largest magnification at full strength.
        skip: Up to this share of the frames is left out at a cut; the film runs on without a gap
            in time.
    """

    strength: float = 0.5
    closer: float = 1.8
    skip: float = 0.1

    def __call__(self, shot: Shot, rng: np.random.Generator) -> Shot:
        """The cut film; shorter if frames were left out."""
        check_strength(self)
        count = min(1 + round(2 * self.strength * rng.random()), len(shot) - 1)
        if self.strength == 0 or count < 1:
            return shot
        starts = np.sort(rng.choice(np.arange(1, len(shot)), count, replace=False))
        closer = 1 + self.strength * (self.closer - 1) * rng.uniform(0.4, 1, count)
        aim = rng.uniform(-1, 1, (count, 2))
        gaps = rng.integers(0, round(self.skip * len(shot)) + 1, count)
        piece = np.searchsorted(starts, np.arange(len(shot)), side="right")
        keep = np.ones(len(shot), bool)
        for start, gap in zip(starts, gaps, strict=True):
            keep[start : start + gap] = False
        keep[shot.key] = True
        windows = [np.eye(2, 3)]
        for magnified, where in zip(closer, aim, strict=True):
            slack = (magnified - 1) / 2 * np.array(shot.size)
            way = np.array([[*(slack * where), 0, np.log(magnified)]])
            windows.append(_similar(way, shot.size)[0])
        spliced = _warped(shot, np.stack(windows)[piece]).select(keep)
        return replace(spliced, time_s=_closed(shot.time_s, keep))


@dataclass(frozen=True, kw_only=True)
class DropFrames:
    """Frames that never arrived, one by one or in bursts; their times are missing too.

    The first frame and the key frame always arrive.

    Args:
        strength: 0 to 1.
        share: Share of frames lost at full strength.
        burst: Mean length of a burst, frames.
    """

    strength: float = 0.5
    share: float = 0.5
    burst: float = 1.6

    def __call__(self, shot: Shot, rng: np.random.Generator) -> Shot:
        """The frames that arrived, with the numbers and times that they had."""
        check_strength(self)
        lost = self.strength * self.share
        stay = 1 - 1 / self.burst
        begin = min(lost * (1 - stay) / max(1 - lost, 1e-9), 1.0)
        keep, gone = np.ones(len(shot), bool), False
        for place, draw in enumerate(rng.random(len(shot))):
            gone = draw < (stay if gone else begin)
            keep[place] = not gone
        keep[[0, shot.key]] = True
        return shot.select(keep)


def moved(shot: Shot, path: Path, shutter: float = 0.0) -> Shot:
    """A shot from a camera on a path, magnified as far as needed to stay inside the picture.

    Args:
        shot: The frames.
        path: Where the picture goes; about its middle.
        shutter: Share of the time between frames that the shutter is open, centred on the frame.

    Returns:
        The moved shot; layers and matrices go along.
    """
    gap = float(np.median(np.diff(shot.time_s))) if len(shot) > 1 else 0.0
    offsets = shutter * gap * (np.arange(_MOST_PARTS) + 0.5 - _MOST_PARTS / 2) / _MOST_PARTS
    every = _similar(path((shot.time_s[:, None] + offsets).ravel()), shot.size)
    middle = _similar(path(shot.time_s), shot.size)
    room = _magnifier(_room(np.concatenate([every, middle]), shot.size), shot.size)
    every, middle = _after(room, every), _after(room, middle)
    blurs = every.reshape(len(shot), _MOST_PARTS, 2, 3) if shutter > 0 and gap > 0 else None
    return _warped(shot, middle, blurs)


def _progress(shot: Shot, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """0 at the start of the shot, 1 at its end, gentle at both; also beyond."""
    first, last = shot.time_s[0], shot.time_s[-1]
    done = np.clip((times - first) / max(last - first, 1e-9), 0, 1)
    return done * done * (3 - 2 * done)


def _similar(path: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """``(T, 4)`` steps of a :data:`Path` as ``(T, 2, 3)`` matrices about the picture's middle."""
    middle = (np.array(size) - 1) / 2
    scale = np.exp(path[:, 3])
    cos, sin = scale * np.cos(path[:, 2]), scale * np.sin(path[:, 2])
    linear = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)
    shift = middle + path[:, :2] - linear @ middle
    return np.concatenate([linear, shift[..., None]], -1)


def _after(second: NDArray[np.float64], first: NDArray[np.float64]) -> NDArray[np.float64]:
    """``second`` after ``first``, both ``(..., 2, 3)``."""
    linear = second[..., :2] @ first[..., :2]
    return np.concatenate([linear, second[..., :2] @ first[..., 2:] + second[..., 2:]], -1)


def _magnifier(factor: float, size: tuple[int, int]) -> NDArray[np.float64]:
    return _similar(np.array([[0, 0, 0, np.log(factor)]]), size)[0]


def _room(matrices: NDArray[np.float64], size: tuple[int, int]) -> float:
    """The least magnification about the middle, 1 or more, after which all that is seen exists."""
    last = np.array(size) - 1.0
    middle = last / 2
    inverse = np.linalg.inv(matrices[:, :, :2])
    aim = ((middle - matrices[:, :, 2])[:, None] @ inverse.swapaxes(1, 2))[:, 0]
    corners = np.array([[x, y] for x in (-1, 1) for y in (-1, 1)]) * middle
    reach = corners @ inverse.swapaxes(1, 2)
    edge = np.where(reach > 0, last - aim[:, None], aim[:, None])
    need = np.abs(reach) / np.maximum(edge, 1e-3)
    return float(max(need.max(initial=1.0), 1.0))


def _warped(
    shot: Shot, matrices: NDArray[np.float64], blurs: NDArray[np.float64] | None = None
) -> Shot:
    """The shot through ``(T, 2, 3)``; with ``(T, S, 2, 3)`` each frame is the mean of S of them."""
    frames = np.empty_like(shot.frames)
    layers = {n: np.empty_like(v) for n in ("hidden", "depth", "person")
              if (v := getattr(shot, n)) is not None}  # fmt: skip
    for place, frame in enumerate(shot.frames):
        picture = Image.fromarray(frame)
        parts = None if blurs is None else _thinned(blurs[place], shot.size)
        if parts is None or len(parts) == 1:
            frames[place] = _through(picture, matrices[place], Image.Resampling.BICUBIC)
        else:
            total = np.zeros(frame.shape, np.float32)
            for matrix in parts:
                total += to_light(_through(picture, matrix, Image.Resampling.BICUBIC))
            frames[place] = to_bytes(total / len(parts))
        for name, layer in layers.items():
            plain = getattr(shot, name)[place]
            plain = plain.astype(np.uint8) if plain.dtype == bool else plain
            layer[place] = _through(
                Image.fromarray(plain), matrices[place], Image.Resampling.NEAREST
            )
    return replace(shot, frames=frames, matrices=_after(matrices, shot.matrices), **layers)


def _thinned(matrices: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """As many of the matrices as it takes that nothing moves over two pixels between them."""
    corners = np.array([[x, y, 1.0] for x in (0, size[0] - 1) for y in (0, size[1] - 1)])
    ends = matrices[[0, -1]] @ corners.T
    way = np.hypot(*(ends[1] - ends[0])).max()
    count = int(np.clip(np.ceil(way), 1, len(matrices)))
    if count == 1:
        return matrices[:1]
    return matrices[np.linspace(0, len(matrices) - 1, count).round().astype(int)]


def _through(
    picture: Image.Image, matrix: NDArray[np.float64], how: Image.Resampling
) -> NDArray[np.uint8]:
    """A picture through a ``(2, 3)`` matrix, pixel centres at whole numbers."""
    linear = np.linalg.inv(matrix[:, :2])
    shift = -linear @ matrix[:, 2]
    # Pillow counts pixel centres from a half.
    shift = shift + 0.5 - linear @ (0.5, 0.5)
    data = (*linear[0], shift[0], *linear[1], shift[1])
    return np.asarray(picture.transform(picture.size, Image.Transform.AFFINE, data, how))


def _closed(time_s: NDArray[np.float64], keep: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Times of the kept frames, moved up so that no time is lost where frames are."""
    gaps = np.diff(time_s, append=time_s[-1:])
    ends = np.concatenate([[0.0], np.cumsum(np.where(keep, gaps, 0))])[:-1]
    return (time_s[0] + ends)[keep]

"""What exposure time and lens do: motion blur and defocus, in linear light."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from chronopose.errors import ShapeError
from chronopose.synth._discs import Planes, shrink, spread
from chronopose.synth._kernels import LEAST_PX, Image, convolve, to_bytes, to_light, trail
from chronopose.synth.shot import Shot, check_strength

_LAYER_PX = 2.5
"""Planes of one defocus layer differ by at most this much in radius."""
_NEAREST = -1.5
_MOST_LAYERS = 9
_GUESS_PX = 3
"""What is behind things is guessed in squares of so many pixels."""
_PATH_POINTS = 96


def motion_blur_average(subframes_linear: NDArray[np.floating]) -> Image:
    """What a shutter that was open during all subframes has seen.

    Args:
        subframes_linear: ``(S, H, W, 3)`` linear light, evenly spread over the exposure.

    Returns:
        ``(H, W, 3)`` float32 linear light, their mean.

    Raises:
        ShapeError: another shape, or no subframe.
    """
    stack = np.asarray(subframes_linear)
    if stack.ndim != 4 or stack.shape[-1] != 3 or not len(stack):
        raise ShapeError(f"Subframes must be (S, H, W, 3) with S above 0; got {stack.shape}.")
    return stack.mean(0, dtype=np.float64).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class MotionBlur:
    """Blur along the path of a camera that moves while the shutter is open.

    The path is a bent line through the middle of its own length, so joints stay where they are.
    Its direction turns slowly and its length comes and goes, as in a hand. For blur that follows
    from a visible movement use ``shutter`` of :class:`~chronopose.synth.degrade_view.Shake`.

    Args:
        strength: 0 to 1.
        reach: Longest path at full strength, share of the picture's width.
    """

    strength: float = 0.5
    reach: float = 0.05

    def __call__(self, shot: Shot, rng: np.random.Generator) -> Shot:
        """The blurred shot."""
        check_strength(self)
        length = self.strength * self.reach * shot.size[0] * rng.uniform(0.7, 1)
        angle, turn = rng.uniform(0, 2 * np.pi), rng.normal(0, 1.5)
        bend, rate_hz, phase = rng.normal(0, 0.4), rng.uniform(0.4, 1.5), rng.uniform(0, 2 * np.pi)
        times = shot.time_s - shot.time_s[0]
        pulse = 0.55 + 0.45 * np.sin(2 * np.pi * rate_hz * times + phase)
        along = np.linspace(-0.5, 0.5, _PATH_POINTS)
        frames = np.empty_like(shot.frames)
        for place, (frame, time, share) in enumerate(zip(shot.frames, times, pulse, strict=True)):
            if length * share < LEAST_PX:
                frames[place] = frame
                continue
            way = np.array([np.cos(angle + turn * time), np.sin(angle + turn * time)])
            across = np.array([-way[1], way[0]])
            path = length * share * (along[:, None] * way + bend * along[:, None] ** 2 * across)
            frames[place] = to_bytes(convolve(to_light(frame), trail(path)))
        return replace(shot, frames=frames)


@dataclass(frozen=True, kw_only=True)
class Defocus:
    """A lens that is out of focus: every point becomes a disc.

    With depth, the disc of a point at z has ``|1 - focus / z|`` of the background's radius (thin
    lens) and near things cover far ones; without, all points have the same. The focus hunts
    slowly.

    Args:
        strength: 0 to 1.
        radius: Largest radius at full strength, share of the picture's width.
        focus_m: Distance in focus where depth is known; None draws one that misses the people.
    """

    strength: float = 0.5
    radius: float = 0.014
    focus_m: float | None = None

    def __call__(self, shot: Shot, rng: np.random.Generator) -> Shot:
        """The blurred shot."""
        check_strength(self)
        radius = self.strength * self.radius * shot.size[0] * rng.uniform(0.7, 1)
        rate_hz, phase = rng.uniform(0.1, 0.5), rng.uniform(0, 2 * np.pi)
        away = rng.uniform(0.3, 0.6) if rng.random() < 0.5 else rng.uniform(1.6, 3)
        times = shot.time_s - shot.time_s[0]
        hunt = 0.8 + 0.2 * np.sin(2 * np.pi * rate_hz * times + phase)
        focus = self._focus(shot, away)
        frames = np.empty_like(shot.frames)
        for place, (frame, share) in enumerate(zip(shot.frames, hunt, strict=True)):
            light = to_light(frame)
            if shot.depth is None or focus is None:
                blurred = _picture(spread(_planes(light), radius * share))
            else:
                blurred = depth_of_field(light, shot.depth[place], focus, radius * share)
            frames[place] = to_bytes(blurred)
        return replace(shot, frames=frames)

    def _focus(self, shot: Shot, away: float) -> float | None:
        if self.focus_m is not None or shot.depth is None:
            return self.focus_m
        near = shot.depth[np.isfinite(shot.depth)]
        return None if not len(near) else float(np.median(near)) * away


def depth_of_field(
    light: Image, depth: NDArray[np.float32], focus_m: float, radius_px: float
) -> Image:
    """A picture through a lens with a focus.

    Args:
        light: ``(H, W, 3)`` linear light, sharp everywhere.
        depth: ``(H, W)`` metres, inf for the background.
        focus_m: Distance that stays sharp, metres.
        radius_px: Radius of the disc of the background; that of a point at z is
            ``|1 - focus / z|`` of it, at most 1.5 times.

    Returns:
        ``(H, W, 3)`` float32 linear light. Layers are blurred with what they cover and laid over
        each other from far to near, so that a blurred thing has a soft edge.
    """
    side = np.clip(1 - focus_m / np.maximum(depth, 1e-6), _NEAREST, 1)
    count = min(max(int(np.ceil((1 - _NEAREST) * radius_px / _LAYER_PX)), 1), _MOST_LAYERS)
    # Middles of the layers lie on whole steps from the focus, so the focus itself stays sharp.
    layer = np.rint(side / ((1 - _NEAREST) / count)).astype(np.int64)
    first = int(layer.min())
    number_of = np.bincount((layer - first).ravel())
    summed = np.bincount((layer - first).ravel(), np.abs(side).ravel())
    numbers = (np.flatnonzero(number_of)[::-1] + first).tolist()
    radii = [
        radius_px * float(summed[n - first] / number_of[n - first]) if n else 0.0 for n in numbers
    ]
    planes = _planes(light)
    if len(numbers) == 1:
        return _picture(spread(planes, radii[0]))
    seen = np.zeros((4, *light.shape[:2]), np.float32)
    for place, (number, radius) in enumerate(zip(numbers, radii, strict=True)):
        reach = int(np.ceil(max([0.0, *radii[place + 1 :]]))) + 2
        window = _around(layer == number, int(np.ceil(radius)) + reach)
        own = spread(_extended(planes[:, *window], layer[window], number, reach), radius)
        under = seen[:, *window]
        under *= 1 - np.clip(own[3], 0, 1)
        under += own
    return _picture(seen[:3] / np.maximum(seen[3], 1e-6))


def _planes(light: Image) -> Planes:
    return np.ascontiguousarray(np.moveaxis(light, -1, 0))


def _picture(planes: Planes) -> Image:
    return np.ascontiguousarray(np.moveaxis(planes, 0, -1))


def _around(inside: NDArray[np.bool_], reach: int) -> tuple[slice, slice]:
    """Rows and columns that blurring the lit pixels of ``(H, W)`` can change."""
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    return (
        slice(max(rows[0] - reach, 0), rows[-1] + reach + 1),
        slice(max(columns[0] - reach, 0), columns[-1] + reach + 1),
    )


def _extended(light: Planes, layer: NDArray[np.int64], number: int, reach: int) -> Planes:
    """Light and coverage ``(4, H, W)`` of a layer, also behind nearer ones as far as ``reach``.

    What lies behind a thing is guessed from what lies beside it; only its blurred edge shows it.
    """
    inside, known = layer == number, layer >= number
    own = np.empty((5, *layer.shape), np.float32)
    np.multiply(light, inside, out=own[:3])
    own[3], own[4] = inside, known
    rows, columns = np.nonzero(~known)
    if len(rows):
        coarse = spread(shrink(own, _GUESS_PX), max(reach / _GUESS_PX, 1.0))
        around = coarse[:, rows // _GUESS_PX, columns // _GUESS_PX]
        own[:4, rows, columns] = np.clip(around[:4] / np.maximum(around[4], 1e-3), 0, 1)
    return own[:4]

"""Augmentation: geometric transforms edit a view, pixel effects edit the cut frames.

A geometric transform changes the box, the turn or the mirror of a :class:`~chronopose.data.clips.
View`, for all frames of the clip alike. :func:`warp_view` then cuts the frames with one matrix a
frame, and the view moves the joints with that same matrix. Pixel effects see ``(T, 3, H, W)``
frames in crop pixels, values 0..255, and never move anything.

All randomness comes from the generator that is passed in: the same generator gives the same crop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from chronopose.data.clips import View

Rng = np.random.Generator

UPPER_P_OF_NORMAL_DRAW = 0.6914625
"""Share of normal draws below 0.5: how often published code picks the upper half."""

LOWER_BODY = ("hip", "knee", "ankle", "heel", "toe", "foot", "pelvis")
"""Words in the names of joints that belong to the lower half."""


class Geometric(Protocol):
    """Changes how a sample is looked at."""

    def __call__(self, view: View, rng: Rng) -> View: ...


class PixelEffect(Protocol):
    """Changes the look of cut frames ``(T, 3, H, W)``, values 0..255; may work in place."""

    def __call__(self, frames: Tensor, rng: Rng) -> Tensor: ...


@dataclass(frozen=True, kw_only=True)
class HalfBody:
    """Look only at the upper or the lower half of a person.

    Args:
        p: Probability that it is tried.
        upper_p: Probability of the upper half. Published code asks whether a normal number is
            below 0.5 where an even one is evidently meant; :data:`UPPER_P_OF_NORMAL_DRAW`
            reproduces it.
        min_joints: Tried only when more joints than this are visible.
        least: Given up when fewer joints than this are left.
        grow: Factor on the box of the kept joints, before the view's own padding.
        margin_px: Added to that box on all sides, image pixels.

    Source:
        The DCPose family's half-body augmentation; there ``p=0.3, grow=1.5`` in place of the
        view's padding of 1.25.
    """

    p: float = 0.3
    upper_p: float = 0.5
    min_joints: int = 8
    least: int = 3
    grow: float = 1.2
    margin_px: float = 0.0

    def __call__(self, view: View, rng: Rng) -> View:
        """The view with the half's box; unchanged when not tried or too few joints are left."""
        if rng.random() >= self.p:
            return view
        upper = rng.random() < self.upper_p
        sample = view.sample
        row = 0 if len(sample.images) == 1 else sample.key
        visible = sample.visible[row]
        if visible.sum() <= self.min_joints:
            return view
        lower = np.array([any(w in name for w in LOWER_BODY) for name in sample.skeleton.joints])
        keep = visible & (lower != upper)
        if keep.sum() < self.least:
            return view
        xy = sample.joints[row][keep].astype(np.float64)
        low, high = xy.min(0) - self.margin_px, xy.max(0) + self.margin_px
        centre, half = (low + high) / 2, (high - low) / 2 * self.grow
        return replace(view, box=np.concatenate([centre - half, centre + half]))


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Zoom: the window's size is multiplied by ``clip(N(mean, spread), low, high)``."""

    spread: float = 0.35
    mean: float = 1.0
    low: float = 0.65
    high: float = 1.35

    def __call__(self, view: View, rng: Rng) -> View:
        """The view with another padding factor."""
        factor = float(np.clip(rng.normal() * self.spread + self.mean, self.low, self.high))
        return replace(view, pad=view.pad * factor)


@dataclass(frozen=True, kw_only=True)
class Rotate:
    """Turn the crop by ``clip(N(0, spread_deg), +-limit_deg)``.

    Args:
        p: Probability of that turn.
        spread_deg: Spread of the turn, degrees.
        limit_deg: Largest turn, degrees.
        any_p: Probability of a turn drawn evenly from the full circle instead, for crops that did
            not get the first one; people in sports do stand on their hands.
    """

    p: float = 0.6
    spread_deg: float = 45.0
    limit_deg: float = 90.0
    any_p: float = 0.0

    def __call__(self, view: View, rng: Rng) -> View:
        """The view turned about the centre of its box."""
        turn = 0.0
        if rng.random() < self.p:
            turn = float(np.clip(rng.normal() * self.spread_deg, -self.limit_deg, self.limit_deg))
        elif rng.random() < self.any_p:
            turn = float(rng.uniform(-180, 180))
        return replace(view, rotation_deg=view.rotation_deg + turn)


@dataclass(frozen=True, kw_only=True)
class EvenZoom:
    """Zoom: the person is shown ``U(low, high)`` times as large as the plain view shows it."""

    low: float = 0.8
    high: float = 1.25

    def __call__(self, view: View, rng: Rng) -> View:
        """The view with another padding factor."""
        return replace(view, pad=view.pad / float(rng.uniform(self.low, self.high)))


@dataclass(frozen=True, kw_only=True)
class EvenTurn:
    """Turn the crop by ``U(-limit_deg, limit_deg)``."""

    limit_deg: float = 40.0

    def __call__(self, view: View, rng: Rng) -> View:
        """The view turned about the centre of its box."""
        turn = float(rng.uniform(-self.limit_deg, self.limit_deg))
        return replace(view, rotation_deg=view.rotation_deg + turn)


@dataclass(frozen=True, kw_only=True)
class Shift:
    """Move the crop by ``N(0, spread)`` times the window's width and height."""

    spread: float = 0.05

    def __call__(self, view: View, rng: Rng) -> View:
        """The view with its box moved."""
        move = rng.normal(size=2) * self.spread * np.array(view.window_size)
        return replace(view, box=view.box + np.concatenate([move, move]))


@dataclass(frozen=True, kw_only=True)
class Truncate:
    """Let one side of the person leave the crop, as people leave a picture at its edge.

    The window moves until its edge cuts the box; it keeps its size. What lies beyond is not in the
    crop, and codecs give joints that lie there no weight. The share is exact for crops that are not
    scaled or turned afterwards, so this comes after :class:`Scale`.

    Args:
        p: Probability of a cut.
        share: Range of the share of the box that is cut off, drawn evenly, like the side.

    Source:
        Ours; the half-body augmentation of the families cuts at the hips only.
    """

    p: float = 0.3
    share: tuple[float, float] = (0.1, 0.4)

    def __call__(self, view: View, rng: Rng) -> View:
        """The view with its box moved across the crop's edge."""
        if rng.random() >= self.p:
            return view
        side, share = int(rng.integers(4)), float(rng.uniform(*self.share))
        axis, sign = side % 2, 1 if side < 2 else -1
        size = view.box[2 + axis] - view.box[axis]
        reach = (view.window_size[axis] * view.pad - size) / 2 + share * size
        move = np.zeros(4)
        move[axis::2] = sign * reach
        return replace(view, box=view.box + move)


@dataclass(frozen=True, kw_only=True)
class Flip:
    """Mirror left and right with probability ``p``; sides change their names with it."""

    p: float = 0.5

    def __call__(self, view: View, rng: Rng) -> View:
        """The view, mirrored or not."""
        return replace(view, flip=view.flip != bool(rng.random() < self.p))


def warp_view(view: View, count: int | None = None) -> Tensor:
    """Cut the frames of a view out of its pictures.

    Args:
        view: What to cut.
        count: Frames wanted, at least as many as the sample has; a still picture repeats.

    Returns:
        ``(T, 3, H, W)`` float32, values 0..255, bilinear; beyond the picture its edge repeats.
    """
    matrices = view.matrices()
    inverse = np.linalg.inv(
        np.concatenate([matrices, np.tile([[[0.0, 0.0, 1.0]]], (len(matrices), 1, 1))], axis=1)
    )[:, :2]
    width, height = view.size
    images = torch.from_numpy(view.sample.images).permute(0, 3, 1, 2).to(torch.float32)
    cut = warp(images.expand(len(matrices), -1, -1, -1), torch.from_numpy(inverse), (width, height))
    if count is not None and len(cut) == 1 < count:
        cut = cut.repeat(count, 1, 1, 1)
    return cut


def warp(images: Tensor, inverse: Tensor, size: tuple[int, int]) -> Tensor:
    """Sample pictures under affine maps, pixel centres at integers in both spaces.

    Args:
        images: ``(N, C, H, W)`` float.
        inverse: ``(N, 2, 3)`` crop pixels -> picture pixels.
        size: Crop width and height, pixels.

    Returns:
        ``(N, C, h, w)``, bilinear, edges repeated outside the picture.
    """
    width, height = size
    source_h, source_w = images.shape[-2:]
    # Pixel centre i sits at (2 i + 1) / size - 1 when corners are not aligned.
    scale = torch.tensor([2.0 / source_w, 2.0 / source_h], dtype=torch.float64).view(1, 2, 1)
    matrix = inverse.double() * scale
    shift = matrix[:, :, 2:] + scale / 2 - 1
    across = matrix[:, :, :1] * torch.arange(width, dtype=torch.float64) + shift
    down = matrix[:, :, 1:2] * torch.arange(height, dtype=torch.float64)
    grid = across.float()[:, :, None, :] + down.float()[:, :, :, None]
    return F.grid_sample(
        images, grid.permute(0, 2, 3, 1).to(images.device), mode="bilinear",
        padding_mode="border", align_corners=False,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Colour:
    """Contrast about the clip's mean, brightness, a gain a channel, sometimes grey.

    Each range is drawn evenly, once a clip.
    """

    brightness: tuple[float, float] = (0.6, 1.4)
    contrast: tuple[float, float] = (0.7, 1.3)
    channel: tuple[float, float] = (0.85, 1.15)
    grey_p: float = 0.1

    def __call__(self, frames: Tensor, rng: Rng) -> Tensor:
        """The clip in other colours, clamped to 0..255."""
        contrast = float(rng.uniform(*self.contrast))
        gain = rng.uniform(*self.brightness) * rng.uniform(*self.channel, 3)
        gain_c = torch.from_numpy(gain.astype(np.float32)).view(1, 3, 1, 1)
        mean = frames.mean() * (1 - contrast)
        frames = frames.mul_(contrast).add_(mean).mul_(gain_c).clamp_(0, 255)
        if rng.random() < self.grey_p:
            frames = frames.mean(1, keepdim=True).repeat(1, 3, 1, 1)
        return frames


@dataclass(frozen=True, kw_only=True)
class Occlude:
    """Hide part of the crop behind a plain rectangle that drifts from frame to frame.

    Args:
        p: Probability of a rectangle.
        width: Range of its width as a share of the crop's width.
        height: Range of its height as a share of the crop's height.
        drift: Largest move a frame as a share of the crop's size; 0 keeps it still.
    """

    p: float = 0.3
    width: tuple[float, float] = (0.1, 0.35)
    height: tuple[float, float] = (0.08, 0.3)
    drift: float = 0.06

    def __call__(self, frames: Tensor, rng: Rng) -> Tensor:
        """The clip with the rectangle painted in."""
        if rng.random() >= self.p:
            return frames
        count, _, height, width = frames.shape
        w, h = int(width * rng.uniform(*self.width)), int(height * rng.uniform(*self.height))
        left, top = rng.uniform(0, width - w), rng.uniform(0, height - h)
        speed = rng.uniform(-self.drift, self.drift, 2) * (width, height)
        colour = torch.from_numpy(rng.uniform(0, 255, (3, 1, 1)).astype(np.float32))
        for t in range(count):
            step = t - count // 2
            x, y = int(left + speed[0] * step), int(top + speed[1] * step)
            frames[t, :, max(y, 0) : max(y + h, 0), max(x, 0) : max(x + w, 0)] = colour
        return frames


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Gaussian sensor noise, fresh in every frame; spread drawn evenly, in grey levels."""

    p: float = 0.1
    spread: tuple[float, float] = (3.0, 15.0)

    def __call__(self, frames: Tensor, rng: Rng) -> Tensor:
        """The clip with noise added."""
        if rng.random() >= self.p:
            return frames
        grain = rng.standard_normal(tuple(frames.shape), dtype=np.float32)
        return frames.add_(torch.from_numpy(grain), alpha=float(rng.uniform(*self.spread)))


@dataclass(frozen=True, kw_only=True)
class Blur:
    """Motion blur or defocus that comes and goes over the clip.

    One frame is hit hardest and its neighbours less, so that a network which sees the whole clip
    can find in a sharp frame what the blurred one has lost.

    Args:
        motion_p: Probability of a blur along a line.
        defocus_p: Probability of a Gaussian blur (when there is no blur along a line).
        length: Range of the line's length as a share of the crop's width.
        radius: Range of the Gaussian's spread as a share of the crop's width.
        fade: Strength in the next frame relative to the worst one.
    """

    motion_p: float = 0.25
    defocus_p: float = 0.15
    length: tuple[float, float] = (0.02, 0.12)
    radius: tuple[float, float] = (0.005, 0.025)
    fade: float = 0.5

    def __call__(self, frames: Tensor, rng: Rng) -> Tensor:
        """The clip, blurred where it was hit."""
        draw = rng.random()
        if draw >= self.motion_p + self.defocus_p:
            return frames
        along = draw < self.motion_p
        count, width = len(frames), frames.shape[-1]
        worst = int(rng.integers(count))
        reach = width * float(rng.uniform(*(self.length if along else self.radius)))
        angle = float(rng.uniform(0, np.pi))
        for t in range(count):
            strength = reach * self.fade ** abs(t - worst)
            steps = line_steps(strength, angle) if along else gauss_steps(strength)
            for taps in steps:
                frames[t] = blend_shifted(frames[t], taps)
        return frames


Taps = list[tuple[int, int, float]]
"""Moves in pixels, right and down, with their weights, which sum to 1."""


def line_steps(length_px: float, angle: float) -> list[Taps]:
    """Motion blur as one pass of moves along a line through the pixel.

    Args:
        length_px: Length of the line; below two pixels nothing is blurred.
        angle: Direction, radians.
    """
    half = (length_px - 1) / 2
    if half < 0.5:
        return []
    count = 2 * round(half) + 1
    places = np.linspace(-half, half, count)
    moves = np.rint(np.stack([places * np.cos(angle), places * np.sin(angle)], -1)).astype(int)
    return [[(int(x), int(y), 1 / count) for x, y in moves]]


def gauss_steps(spread_px: float) -> list[Taps]:
    """Gaussian blur as two passes of moves, cut at two spreads; below 0.3 pixels nothing."""
    if spread_px < 0.3:
        return []
    reach = int(np.ceil(2 * spread_px))
    places = np.arange(-reach, reach + 1)
    weights = np.exp(-(places**2) / (2 * spread_px**2))
    weights /= weights.sum()
    pairs = list(zip(places.tolist(), weights.tolist(), strict=True))
    return [[(p, 0, w) for p, w in pairs], [(0, p, w) for p, w in pairs]]


def blend_shifted(frame: Tensor, taps: Taps) -> Tensor:
    """Weighted mean of moved copies of a ``(3, H, W)`` frame, edges repeated."""
    reach_x, reach_y = max(abs(x) for x, _, _ in taps), max(abs(y) for _, y, _ in taps)
    padded = F.pad(frame[None], (reach_x, reach_x, reach_y, reach_y), mode="replicate")[0]
    height, width = frame.shape[1:]
    total = torch.zeros_like(frame)
    for x, y, weight in taps:
        top, left = reach_y - y, reach_x - x
        total.add_(padded[:, top : top + height, left : left + width], alpha=weight)
    return total


@dataclass(frozen=True)
class Augmentation:
    """A list of geometric transforms followed by a list of pixel effects.

    Args:
        geometric: Applied to the view in order.
        effects: Applied to the cut frames in order.
    """

    geometric: Sequence[Geometric] = ()
    effects: Sequence[PixelEffect] = ()

    def look(self, view: View, rng: Rng) -> View:
        """Run the geometric part."""
        for transform in self.geometric:
            view = transform(view, rng)
        return view

    def paint(self, frames: Tensor, rng: Rng) -> Tensor:
        """Run the pixel part on ``(T, 3, H, W)`` frames; may change them in place."""
        for effect in self.effects:
            frames = effect(frames, rng)
        return frames


NOTHING = Augmentation()
"""No augmentation: what evaluation uses."""


def family(*, published_halves: bool = False) -> Augmentation:
    """The augmentation of the DCPose family, with an even choice of body halves.

    Args:
        published_halves: Choose the upper half as often as the published code does, 0.69, which
            looks like a slip.

    Source:
        Scale 0.65..1.35, rotation +-90 degrees with probability 0.6, half body 0.3 if more than
        eight joints are visible, flip 0.5; no photometric part. The half's box is enlarged by 1.5,
        which is 1.2 here and 1.25 by the view. Halves of fewer than two joints, at which the
        published code fails, are given up.
    """
    upper_p = UPPER_P_OF_NORMAL_DRAW if published_halves else 0.5
    return Augmentation((HalfBody(upper_p=upper_p, least=2), Scale(), Rotate(), Flip()))


def strong() -> Augmentation:
    """The augmentation of the shipped single-frame weights: made for training from scratch."""
    return Augmentation(
        geometric=(
            HalfBody(p=0.15, grow=1.0, margin_px=5.0),
            Scale(spread=0.25, mean=1.03, low=0.7, high=1.4),
            Rotate(p=0.7, spread_deg=40.0, limit_deg=100.0, any_p=0.1),
            Shift(spread=0.05),
            Flip(p=0.5),
        ),
        effects=(Colour(), Occlude(), Noise()),
    )


def strong_video() -> Augmentation:
    """:func:`strong` for clips: with blur that comes and goes, and occluders that move."""
    base = strong()
    return Augmentation(base.geometric, (Blur(), Colour(), Occlude(p=0.4), Noise(p=0.2)))

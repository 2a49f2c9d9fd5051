"""Augmentation of whole frames, and batches of them.

All frames of a window are looked at through one matrix, and the same matrix moves the joints, so
pixels and joints cannot come apart; colours change alike in all frames. Batches are padded on the
right and below. Which scenes make up batch n, and all that is random in it, follow from the seed
and n alone.

Source: the training of PAVE-Net: photometric distortion, turns, mirror, several scales or a crop.
Its notes do not tell how often each happens, nor how scales and crops are drawn: choices of ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from chronopose.codecs.scene import SceneCodec
from chronopose.core.crop import CropWindow
from chronopose.data.sampling import place_at, rng_at
from chronopose.data.scenes import Scene, SceneSource
from chronopose.data.transforms import Rng, warp
from chronopose.errors import UsageError
from chronopose.tensors.colours import normalise
from chronopose.tensors.scene import SceneTarget

LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in grey."""


@dataclass(frozen=True, kw_only=True)
class Photometric:
    """Brightness, contrast, saturation and hue of a window, each changed with a probability.

    Args:
        p: Of each change.
        brightness: Largest sum added to all values, grey levels.
        contrast: Range of the factor on all values.
        saturation: Range of the factor on what differs from grey.
        hue_deg: Largest turn of the colours about grey, degrees.
    """

    p: float = 0.5
    brightness: float = 32.0
    contrast: tuple[float, float] = (0.5, 1.5)
    saturation: tuple[float, float] = (0.5, 1.5)
    hue_deg: float = 18.0

    def __call__(self, frames: Tensor, rng: Rng) -> Tensor:
        """``(F, 3, H, W)`` frames, values 0..255, in other colours, clamped to 0..255."""
        tried = rng.random(4) < self.p
        added = rng.uniform(-self.brightness, self.brightness) if tried[0] else 0.0
        factor = rng.uniform(*self.contrast) if tried[1] else 1.0
        matrix = np.eye(3) * factor
        if tried[2]:
            share = rng.uniform(*self.saturation)
            matrix = (share * np.eye(3) + (1 - share) * np.array(LUMA)) @ matrix
        if tried[3]:
            matrix = hue_turn(float(rng.uniform(-self.hue_deg, self.hue_deg))) @ matrix
        if not tried.any():
            return frames
        linear = torch.from_numpy(matrix).to(frames)
        return torch.einsum("dc,fchw->fdhw", linear, frames + added).clamp_(0, 255)


def hue_turn(degrees: float) -> NDArray[np.float64]:
    """``(3, 3)`` matrix that turns colours about the grey axis; grey stays as it is."""
    angle = np.deg2rad(degrees)
    axis = np.full(3, 3**-0.5)
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turned = np.cos(angle) * np.eye(3) + np.sin(angle) * cross
    return np.asarray(turned + (1 - np.cos(angle)) * np.outer(axis, axis))


@dataclass(frozen=True, kw_only=True)
class SceneAugmentation:
    """How a scene is looked at while training; the defaults are PAVE-Net's.

    Args:
        turn_deg: Frames are turned about their centre by up to this, evenly drawn.
        flip_p: Probability of the mirror; the sides' names change places.
        shorter: Range that the shorter side of the result is drawn from, pixels.
        longest: Longest side of the result, pixels.
        crop_p: Probability of a crop before that.
        crop_from: Shorter sides to which a frame is scaled before a crop, one is drawn.
        crop: Range that width and height of a crop are drawn from, pixels of that scale.
        colours: Change of colours; None leaves them.

    Raises:
        UsageError: a range is empty or below one pixel.
    """

    turn_deg: float = 30.0
    flip_p: float = 0.5
    shorter: tuple[int, int] = (400, 1400)
    longest: int = 1400
    crop_p: float = 0.5
    crop_from: tuple[int, ...] = (400, 500, 600)
    crop: tuple[int, int] = (384, 600)
    colours: Photometric | None = Photometric()

    def __post_init__(self) -> None:
        for name in ("shorter", "crop"):
            low, high = getattr(self, name)
            if not 1 <= low <= high:
                raise UsageError(f"{name} must be a rising range of pixels; got {(low, high)}.")
        if not self.crop_from or min(*self.crop_from, self.longest) < 1:
            raise UsageError(
                f"crop_from and longest must be at least one pixel; got {self.crop_from} and "
                f"{self.longest}."
            )

    def window(self, size: tuple[int, int], rng: Rng) -> CropWindow:
        """Draw how frames of ``size`` (width, height) are looked at."""
        turn = float(rng.uniform(-self.turn_deg, self.turn_deg))
        matrix = _turn(size, turn)
        if rng.random() < self.flip_p:
            matrix = np.array([[-1.0, 0, size[0] - 1], [0, 1, 0], [0, 0, 1]]) @ matrix
        if rng.random() < self.crop_p:
            before = int(rng.choice(self.crop_from))
            scaled, size = _scale(size, before / min(size))
            sides = rng.integers(self.crop[0], self.crop[1] + 1, 2)
            cut = (min(int(sides[0]), size[0]), min(int(sides[1]), size[1]))
            left = int(rng.integers(0, size[0] - cut[0] + 1))
            top = int(rng.integers(0, size[1] - cut[1] + 1))
            matrix = np.array([[1.0, 0, -left], [0, 1, -top], [0, 0, 1]]) @ scaled @ matrix
            size = cut
        wanted = int(rng.integers(self.shorter[0], self.shorter[1] + 1))
        scaled, size = _scale(size, min(wanted / min(size), self.longest / max(size)))
        return CropWindow((scaled @ matrix)[:2], size)

    def paint(self, frames: Tensor, rng: Rng) -> Tensor:
        """``(F, 3, H, W)`` frames, values 0..255, in other colours."""
        return frames if self.colours is None else self.colours(frames, rng)


def _turn(size: tuple[int, int], degrees: float) -> NDArray[np.float64]:
    a = np.deg2rad(degrees)
    linear = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    centre = (np.array(size) - 1) / 2
    return np.block([[linear, (centre - linear @ centre)[:, None]], [np.zeros((1, 2)), 1.0]])


def _scale(size: tuple[int, int], factor: float) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """Matrix of a change of size, and the new size in whole pixels."""
    width, height = (max(1, int(side * factor + 0.5)) for side in size)
    x, y = width / size[0], height / size[1]
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]]), (width, height)


class Look(NamedTuple):
    """A scene through a window.

    Axes: F picture (1 for a still), G person, K joint.
    """

    frames: Tensor
    """float F 3 h w, RGB 0..255."""
    joints: Tensor
    """float G K 2, pixels of these frames."""
    visible: Tensor
    """bool G K, may be trained on and lies in the frame."""
    area: Tensor
    """float G, square pixels of these frames."""


def look_at(scene: Scene, window: CropWindow) -> Look:
    """Pixels and joints through one window; people of whom nothing is left in it are dropped.

    Args:
        scene: Labelled people.
        window: Picture pixels -> pixels of the frame that the network sees. A matrix that mirrors
            also exchanges the names of the sides.
    """
    joints, visible = window.apply(scene.joints), scene.visible
    growth = float(np.linalg.det(window.matrix[:, :2]))
    if growth < 0:
        order = scene.skeleton.flip_index
        joints, visible = joints[:, order], visible[:, order]
    edge = np.array(window.out_size) - 0.5
    with np.errstate(invalid="ignore"):
        inside = ((joints > -0.5) & (joints < edge)).all(-1)
    visible = visible & inside
    kept = visible.any(-1)
    images = torch.from_numpy(scene.images).permute(0, 3, 1, 2).to(torch.float32)
    return Look(
        through(images, window),
        torch.from_numpy(joints[kept]).float(),
        torch.from_numpy(visible[kept]),
        torch.from_numpy(scene.area[kept] * abs(growth)).float(),
    )


def through(images: Tensor, window: CropWindow) -> Tensor:
    """``(F, 3, H, W)`` float pictures through a window, as a video is looked at.

    Sampling is bilinear, edges repeat; a window that shrinks by more than two averages whole
    pixels first.
    """
    shrink = int(1 / window.scale) if window.scale < 0.5 else 1
    inverse = window.inverse / shrink
    if shrink > 1:
        images = F.avg_pool2d(images, shrink, ceil_mode=True)
        inverse[:, 2] -= (shrink - 1) / 2 / shrink
    each = torch.from_numpy(inverse).expand(len(images), 2, 3)
    return warp(images, each, window.out_size)


class SceneBatch(NamedTuple):
    """Windows of one size with their people.

    Axes: B clip, T frame.
    """

    frames: Tensor
    """float B T 3 H W, normalised RGB; zeros on the right and below."""
    valid: Tensor
    """float B T 2, width and height of each frame without the zeros, pixels."""
    target: SceneTarget
    """The people of the key frames."""

    def to(self, device: torch.device | str) -> SceneBatch:
        """A copy on another device."""
        return SceneBatch(self.frames.to(device), self.valid.to(device), self.target.to(device))


def pack_scenes(
    looks: Sequence[Look], codec: SceneCodec, frames: int, divisor: int = 32
) -> SceneBatch:
    """Pad scenes to one size and one number of people; stills are repeated.

    Args:
        looks: Scenes of ``frames`` pictures or of one.
        codec: Of the network.
        frames: Length of a window.
        divisor: Width and height become multiples of this.
    """
    sizes = [(look.frames.shape[-1], look.frames.shape[-2]) for look in looks]
    width, height = (-(-max(side) // divisor) * divisor for side in zip(*sizes, strict=True))
    pixels = torch.zeros(len(looks), frames, 3, height, width)
    for row, look, (w, h) in zip(pixels, looks, sizes, strict=True):
        row[:, :, :h, :w] = normalise(look.frames)
    valid = torch.tensor(sizes, dtype=torch.float32)[:, None].expand(-1, frames, -1)
    target = codec.encode(
        [look.joints for look in looks], [look.visible for look in looks],
        [look.area for look in looks],
    )  # fmt: skip
    return SceneBatch(pixels, valid.contiguous(), target)


class SceneBatches(Dataset[SceneBatch]):
    """Batch ``n`` of an endless training, a pure function of the seed and n.

    Args:
        source: Scenes.
        codec: Of the network.
        augmentation: How they are looked at; None shows them as in prediction.
        batches: How many batches there are.
        frames: Length of a window.
        batch_size: Scenes of a batch.
        seed: Decides order and augmentation.
        first: Use only so many scenes, the first of the source; None uses all.
        divisor: As for :func:`pack_scenes`.
    """

    def __init__(
        self,
        source: SceneSource,
        codec: SceneCodec,
        augmentation: SceneAugmentation | None,
        batches: int,
        *,
        frames: int,
        batch_size: int,
        seed: int = 0,
        first: int | None = None,
        divisor: int = 32,
    ) -> None:
        self._source, self._codec, self._augmentation = source, codec, augmentation
        self._frames, self._size, self._batches = frames, batch_size, batches
        self._seed, self._divisor = seed, divisor
        self._count = len(source) if first is None else max(1, min(first, len(source)))

    def __len__(self) -> int:
        return self._batches

    def __getitem__(self, number: int) -> SceneBatch:
        looks = [self._look(number * self._size + i) for i in range(self._size)]
        return pack_scenes(looks, self._codec, self._frames, self._divisor)

    def _look(self, position: int) -> Look:
        place = place_at(self._seed, position, self._count)
        scene = self._source.scene(place.index)
        if self._augmentation is None:
            return look_at(scene, self._codec.window(scene.size))
        rng = rng_at(self._seed, place)
        look = look_at(scene, self._augmentation.window(scene.size, rng))
        return look._replace(frames=self._augmentation.paint(look.frames, rng))

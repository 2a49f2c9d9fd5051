"""A world whose poses are known: people made of three coloured dots, and a network that sees them.

The network is a real PoseModel: fixed convolutions that answer to red, green and blue, and a
temporal difference that is small but not zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chronopose.codecs.heatmap import HeatmapCodec
from chronopose.core.boxes import Boxes
from chronopose.core.skeleton import Skeleton
from chronopose.core.video import VideoInfo
from chronopose.io.video import Frame
from chronopose.models._base import Criterion, Features, Needs, PoseModel
from chronopose.tensors import HeatmapOutput

DOTS = Skeleton("dots", ("head", "neck", "pelvis"))
SIZE = (320, 180)
PERSON = np.array([40.0, 90.0])
"""Width and height of a person's box, pixels."""
SHARES = np.array([[0.5, 0.15], [0.3, 0.45], [0.7, 0.85]])
"""Where the dots lie in the box."""
CROP = (48, 64)

Walk = Callable[[float], tuple[float, float] | None]


class DotNet(PoseModel):
    """Heatmaps of the red, green and blue dot of the key frame."""

    PRESETS: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, offsets: tuple[int, ...] = (-2, -1, 0, 1, 2), difference: float = 0.05):
        super().__init__()
        self.needs = Needs(offsets=offsets, crop_size=CROP)
        self.codec = HeatmapCodec(DOTS, CROP, stride=2, decoder="expectation", sigma=1.5)
        self.colour = nn.Conv2d(3, 3, 1)
        spread = torch.tensor((0.229, 0.224, 0.225))
        mean = torch.tensor((0.485, 0.456, 0.406))
        pick = torch.eye(3) * 1.5 - 0.5  # one colour minus the half of the others
        with torch.no_grad():
            self.colour.weight.copy_((pick * spread)[:, :, None, None])
            self.colour.bias.copy_(pick @ mean)  # type: ignore[union-attr]
        self.difference = difference
        self.encoded = 0
        self.seen: list[tuple[int, ...]] = []

    def encode(self, frames: Tensor) -> Features:
        self.encoded += len(frames)
        self.seen.append(tuple(frames.shape))
        strong = F.relu(self.colour(frames))
        return (F.avg_pool2d(strong, 2), F.avg_pool2d(strong, 4))

    def fuse(self, features: Features) -> HeatmapOutput:
        fine = features[0]
        maps = fine[:, self.needs.key]
        if fine.shape[1] > 1:
            motion = (fine[:, 1:] - fine[:, :-1]).abs().mean(1)
            coarse = F.interpolate(features[1].mean(1), scale_factor=2.0)
            maps = maps + self.difference * (motion + 0.1 * coarse)
        return HeatmapOutput(maps)

    def criterion(self) -> Criterion:
        raise NotImplementedError


@dataclass
class DotVideo:
    """A reader of a video that is drawn while it is read."""

    walks: Sequence[Walk]
    times: Sequence[float]
    known_length: bool = True
    read: int = 0

    @property
    def info(self) -> VideoInfo:
        return VideoInfo("dots", SIZE, num_frames=len(self.times) if self.known_length else 0)

    def __iter__(self) -> Iterator[Frame]:
        for index, t in enumerate(self.times):
            self.read += 1
            yield Frame(index, t, draw([w(t) for w in self.walks]))


def box_of(centre: tuple[float, float]) -> np.ndarray:
    middle = np.array(centre)
    return np.concatenate([middle - PERSON / 2, middle + PERSON / 2])


def joints_of(centre: tuple[float, float]) -> np.ndarray:
    box = box_of(centre)
    joints: np.ndarray = box[:2] + SHARES * PERSON
    return joints


def draw(centres: Sequence[tuple[float, float] | None]) -> np.ndarray:
    image = np.full((SIZE[1], SIZE[0], 3), 60.0, np.float32)
    for centre in centres:
        if centre is None:
            continue
        for channel, (jx, jy) in enumerate(joints_of(centre)):
            left, top = max(int(jx) - 8, 0), max(int(jy) - 8, 0)
            patch = image[top : top + 17, left : left + 17]
            y, x = np.mgrid[: patch.shape[0], : patch.shape[1]]
            blob = np.exp(-((x + left - jx) ** 2 + (y + top - jy) ** 2) / (2 * 2.5**2))
            patch *= 1 - blob[..., None]
            patch[..., channel] += 255 * blob
    return image.astype(np.uint8)


def true_boxes(video: DotVideo) -> Callable[[Sequence[Frame]], list[Boxes]]:
    """A detector that knows the truth."""

    def detect(frames: Sequence[Frame]) -> list[Boxes]:
        found = []
        for frame in frames:
            centres = [c for w in video.walks if (c := w(frame.time_s)) is not None]
            xyxy = np.array([box_of(c) for c in centres], np.float32).reshape(-1, 4)
            found.append(Boxes(xyxy, np.ones(len(xyxy), np.float32)))
        return found

    return detect


def clock(count: int, rate_hz: float = 25.0) -> list[float]:
    return [i / rate_hz for i in range(count)]

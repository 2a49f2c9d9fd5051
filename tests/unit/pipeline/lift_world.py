"""A tiny lifter, and a person whose pose in space is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from chronopose.codecs.root_relative import RootRelative
from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses
from chronopose.core.skeletons import H36M17
from chronopose.core.tracks import PersonTrack, VideoPoses
from chronopose.core.video import VideoInfo
from chronopose.models._lift import LiftCriterion, LiftModel, LiftNeeds
from chronopose.tensors.space import LiftOutput

SIZE = (1000, 1000)
STANDING = {
    "pelvis": (0, 0, 0), "right_hip": (-130, 0, 0), "left_hip": (130, 0, 0),
    "right_knee": (-140, 440, -60), "left_knee": (140, 440, -100),
    "right_ankle": (-140, 880, 0), "left_ankle": (150, 850, 60), "spine": (0, -240, 10),
    "thorax": (0, -500, 0), "neck_nose": (0, -600, -30), "head": (0, -700, -20),
    "left_shoulder": (170, -480, 0), "right_shoulder": (-170, -480, 0),
    "left_elbow": (300, -250, 0), "right_elbow": (-300, -600, -50),
    "left_wrist": (350, 0, -80), "right_wrist": (-350, -850, -150),
}  # fmt: skip
BODY_MM = np.array([STANDING[j] for j in H36M17.joints], np.float64)


@dataclass(frozen=True, kw_only=True)
class TinyConfig:
    """Frames of the window, and the number of metres that one screen unit is taken for."""

    frames: int = 5
    before: int = 2
    metres: float = 2.0
    channels: int = 2


class TinyLifter(LiftModel):
    """A flat lifter: x and y are those on the screen, from the pelvis, and z is a mean over time.

    z = 0.1 * mean over the window of the joint's x, with weights that tell the frames apart.
    """

    PRESETS: ClassVar[dict[str, TinyConfig]] = {"lite": TinyConfig()}

    def __init__(self, config: TinyConfig) -> None:
        super().__init__()
        self.config = config
        self.needs = LiftNeeds(frames=config.frames, channels=config.channels, before=config.before)
        self.codec = RootRelative(H36M17)
        weights = torch.arange(1, config.frames + 1, dtype=torch.float32)
        self.weights = nn.Parameter(weights / weights.sum())
        self.longest = 0
        self.last: Tensor | None = None

    def forward(self, poses: Tensor) -> LiftOutput:
        return self.dense(poses)

    def dense(self, poses: Tensor) -> LiftOutput:
        self.longest, self.last = max(self.longest, poses.shape[1]), poses
        windows = poses.unfold(1, self.config.frames, 1)
        flat = windows[..., :2, self.config.before]
        flat = (flat - flat[:, :, :1]) * self.config.metres
        depth = 0.1 * (windows[..., 0, :] * self.weights).sum(-1, keepdim=True)
        return LiftOutput(torch.cat([flat, depth - depth[:, :, :1]], dim=-1))

    def criterion(self) -> LiftCriterion:
        return lambda output, target: {"none": output.xyz.sum() * 0}


def person(
    times: np.ndarray, xy: np.ndarray, *, track_id: int = 0, score: float = 0.9
) -> PersonTrack:
    """A track of ``h36m17`` poses ``(N, 17, 2)``."""
    count = len(times)
    joints = Poses(xy.astype(np.float32), np.full((count, 17), score, np.float32), H36M17)
    boxes = Boxes(np.tile([0, 0, 99, 99.0], (count, 1)), np.ones(count))
    return PersonTrack(track_id, np.arange(count), times, boxes, joints)


def video(*tracks: PersonTrack, size: tuple[int, int] = SIZE, rate_hz: float = 50.0) -> VideoPoses:
    """The poses of a video."""
    longest = max(tracks, key=len)
    return VideoPoses(
        VideoInfo("walk.mp4", size, rate_hz=rate_hz), tracks[0].poses.skeleton, tracks,
        frame_index=longest.frame_index, time_s=longest.time_s,
    )  # fmt: skip


def moving(times: np.ndarray) -> np.ndarray:
    """``(N, 17, 2)`` a person who sways, in pixels of a picture of 1000 x 1000."""
    sway = 40 * np.sin(2 * np.pi * times / 3)[:, None] * (BODY_MM[:, 1] / 1000)
    xy = np.repeat(500 + BODY_MM[None, :, :2] * 0.3, len(times), axis=0)
    xy[..., 0] += sway
    return xy

"""Motion of one person as joint positions: what motion files and procedures give."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chronopose.errors import ShapeError

MOTION_JOINTS = (
    "pelvis", "chest", "neck", "head", "head_top",
    "left_shoulder", "left_elbow", "left_wrist", "left_hand",
    "right_shoulder", "right_elbow", "right_wrist", "right_hand",
    "left_hip", "left_knee", "left_ankle", "left_toe",
    "right_hip", "right_knee", "right_ankle", "right_toe",
    "nose",
)  # fmt: skip
"""Joints of a motion. ``pelvis`` moves with the pelvis alone and lies above the middle of the hips,
``chest`` is the top of the lumbar spine, ``neck`` the base of the neck, ``head`` the base of the
skull, ``hand`` the knuckles, ``toe`` the ball of the foot or its tip, ``nose`` any point before the
face, straight ahead of the skull: without it a head could not be seen to turn."""

PROCEDURAL = "procedural"
"""Subject of motions that are upright by construction: their trunk is never calibrated."""


@dataclass(frozen=True)
class Motion:
    """A performance.

    Args:
        key: ``cmu/02_01`` or ``procedural/walk-3``: the same name, the same motion.
        subject: Who moved; frames of one subject are calibrated together.
        xyz: ``(T, N, 3)`` float32 joints of :data:`MOTION_JOINTS`, metres, z up.
        time_s: ``(T,)`` seconds, rising.
    """

    key: str
    subject: str
    xyz: NDArray[np.float32]
    time_s: NDArray[np.float64]

    def __post_init__(self) -> None:
        want = (len(self.time_s), len(MOTION_JOINTS), 3)
        if np.shape(self.xyz) != want:
            raise ShapeError(f"Motion {self.key}: xyz must be {want}; got {np.shape(self.xyz)}.")
        if len(self.time_s) > 1 and not (np.diff(self.time_s) > 0).all():
            raise ShapeError(f"Motion {self.key}: time_s must rise.")

    def __len__(self) -> int:
        return len(self.time_s)

    def at(self, time_s: NDArray[np.floating]) -> Motion:
        """The motion at other times, positions joined by straight lines; ends are held."""
        flat = self.xyz.reshape(len(self), -1)
        moved = np.stack([np.interp(time_s, self.time_s, c) for c in flat.T], -1)
        xyz = moved.reshape(-1, *self.xyz.shape[1:]).astype(np.float32)
        return Motion(self.key, self.subject, xyz, np.asarray(time_s, np.float64))

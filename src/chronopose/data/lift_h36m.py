"""Human3.6M for lifters, from the files of its licensees; see :mod:`chronopose.io.h36m`.

Protocol: subjects 1, 5, 6, 7, 8 for training, 9 and 11 for test, all four cameras, all frames.

Source: facts of the protocol as published with D. Pavllo et al., "3D human pose estimation in video
with temporal convolutions and semi-supervised training".
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from chronopose.data.lift import LiftClip
from chronopose.errors import FormatError
from chronopose.io.h36m import SIZES, read_h36m_2d, read_h36m_3d
from chronopose.io.motion import pair_motions, read_cameras

TRAIN, TEST = ("S1", "S5", "S6", "S7", "S8"), ("S9", "S11")
"""Subjects."""
FILES = ("data_3d_h36m.npz", "data_2d_h36m_{}.npz", "cameras.pkl")
"""What the folder holds; the second is named after where its 2D are from, e.g. ``gt``."""
NEAR_M, FAR_M = 1.0, 15.0
"""Everybody is between these distances from every camera."""


def read_h36m_clips(
    root: str | Path, subjects: Sequence[str], source: str = "gt"
) -> tuple[LiftClip, ...]:
    """Performances of some subjects, as each camera saw them.

    Args:
        root: Folder with :data:`FILES`.
        subjects: Of :data:`TRAIN` or :data:`TEST`.
        source: Whose 2D: ``gt`` for the ground truth.

    Returns:
        One clip a performance and camera, with the 2D of the file.

    Raises:
        FormatError: a file is missing, damaged or of another kind; a camera is missing; 2D have
            other joints than ``h36m17``; or a person is not before a camera, so that the files do
            not belong together.
    """
    threes, twos, cameras = (Path(root) / name.format(source) for name in FILES)
    lenses = read_cameras(cameras)
    motions = [m for m in read_h36m_3d(threes) if m.subject in subjects]
    clips = []
    for three, two in pair_motions(motions, read_h36m_2d(twos)):
        lens = lenses.get(f"{two.subject} {two.camera}")
        if lens is None:
            raise FormatError(
                f"{cameras} has no camera {two.subject} {two.camera}; it has "
                f"{', '.join(lenses)[:200]}. Give the cameras of Human3.6M."
            )
        if two.skeleton.joints != three.skeleton.joints:
            raise FormatError(
                f"{twos} has joints of {two.skeleton.name}; the lifters here read "
                f"{three.skeleton.name}. Take 2D with the joints of Human3.6M."
            )
        xyz = lens.to_camera(three.xyz.astype(np.float64)).astype(np.float32)
        _refuse_far(xyz, f"{cameras}, {two.subject} {two.camera}")
        clips.append(
            LiftClip(
                two.subject, two.action, two.camera, xyz, two.xy, two.size or SIZES[two.camera]
            )
        )
    return tuple(clips)


def _refuse_far(xyz: np.ndarray, where: str) -> None:
    depth = xyz[..., 2]
    if depth.min() < NEAR_M or depth.max() > FAR_M:
        raise FormatError(
            f"{where}: people stand {depth.min():.1f} to {depth.max():.1f} m before it, where "
            f"{NEAR_M:g} to {FAR_M:g} m are possible. Positions must be metres, and cameras and "
            f"poses of the same room."
        )

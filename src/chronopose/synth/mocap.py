"""Motion files of the CMU database as :class:`Motion`: cleaned, and standing on the ground.

Files and rigs are in :mod:`chronopose.io.mocap`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from chronopose.io.mocap import (
    DAZ,
    ICLONE,
    Layout,
    MotionFile,
    find_motions,
    read_rig_motion,
    subject_of,
    without_glitches,
)
from chronopose.synth.calibrate import floor_under
from chronopose.synth.motion import MOTION_JOINTS, Motion

__all__ = [
    "DAZ",
    "ICLONE",
    "Layout",
    "MotionFile",
    "find_motions",
    "parts_on_ground",
    "read_motion",
]

ON_GROUND_M = 0.12
"""A foot lower than this stands on the ground and on nothing else."""

GROUND_QUANTILE = 0.005
"""Part of the frames in which a joint may lie below the ground."""


def read_motion(path: str | Path, *, key: str = "", subject: str = "") -> Motion:
    """Read a motion file of one of the three layouts.

    Single glitches (:data:`~chronopose.io.mocap.JUMP_M`) are bridged by straight lines. The joint
    that goes lowest touches z = 0, up to :data:`GROUND_QUANTILE` of the frames.

    Args:
        path: A ``.bvh`` file, or an ``.amc`` file with the subject's ``.asf`` file beside it.
        key: Name of the motion; the file's name without suffix if empty.
        subject: Who moved; the part of the name before its last ``_`` if empty.

    Raises:
        FormatError: the file is malformed, of another rig, or its ``.asf`` file is missing.
    """
    path = Path(path)
    rig = read_rig_motion(path)
    xyz = without_glitches(rig.of(MOTION_JOINTS))
    xyz[..., 2] -= np.quantile(xyz[..., 2].min(1), GROUND_QUANTILE)
    time_s = np.arange(len(xyz)) / rig.fps
    name = path.stem
    return Motion(key or name, subject or subject_of(path), xyz.astype(np.float32), time_s)


def parts_on_ground(motion: Motion, least_s: float = 2.0) -> list[Motion]:
    """Stretches in which the feet come down to the ground again and again.

    Some clips show people on climbing frames and stools that nobody draws: they would float.

    Args:
        motion: A whole clip.
        least_s: Shorter stretches are left out.

    Returns:
        The motion itself if all of it is on the ground; else its stretches, named
        ``KEY@SECOND`` after where they begin, with times from 0.
    """
    low = floor_under(motion) < ON_GROUND_M
    if low.all():
        return [motion]
    edges = np.flatnonzero(np.diff(np.concatenate([[0], low.astype(np.int8), [0]])))
    found = []
    for first, stop in edges.reshape(-1, 2):
        time_s = motion.time_s[first:stop]
        if time_s[-1] - time_s[0] >= least_s:
            key = f"{motion.key}@{time_s[0]:.1f}"
            xyz = motion.xyz[first:stop]
            found.append(Motion(key, motion.subject, xyz, time_s - time_s[0]))
    return found

"""Human3.6M as VideoPose3D keeps it: ``data_3d_h36m.npz`` and ``data_2d_h36m_*.npz``.

3D are metres in the room, 32 joints of which the 17 of the lifting literature are kept; 2D are
pixels of four cameras. Frames come 50 times a second. The performance "Directions" of S11 is
damaged and left out, as everywhere. The data are for holders of their licence.

Source:
    Joint choice, camera order and names as published with VideoPose3D; formats and traps in the
    project's notes on 3D files.
"""

from __future__ import annotations

import re
from pathlib import Path

from chronopose.core.skeletons import H36M17
from chronopose.io.motion import Motion2D, Motion3D
from chronopose.io.videopose import tree_2d, tree_3d

FPS = 50.0
CAMERAS = ("54138969", "55011271", "58860488", "60457274")
"""Names of the cameras in the order of the 2D files."""
SIZES = {
    "54138969": (1000, 1002), "55011271": (1000, 1000), "58860488": (1000, 1000),
    "60457274": (1000, 1002),
}  # fmt: skip
"""Width and height of each camera's pictures, pixels."""
KEPT = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)
"""Which of the 32 joints become the 17 of ``h36m17``."""
RENAMED = {"TakingPhoto": "Photo", "WalkingDog": "WalkDog"}
DAMAGED = ("S11", "Directions")


def action_name(name: str) -> str:
    """The name of an action as the field writes it: ``"TakingPhoto 1"`` is ``"Photo 1"``."""
    return re.sub(r"^[A-Za-z]+", lambda m: RENAMED.get(m.group(), m.group()), name)


def read_h36m_3d(path: str | Path) -> tuple[Motion3D, ...]:
    """Read ``data_3d_h36m.npz``.

    Returns:
        Every performance but the damaged one: world space, metres, joints of ``h36m17``.

    Raises:
        FormatError: the file is missing, damaged, wants to run a program, or is another tree.
    """
    found = []
    for subject, action, xyz in tree_3d(path, (32, 17)):
        name = action_name(action)
        if (subject, name) != DAMAGED:
            kept = xyz[:, KEPT] if xyz.shape[1] == 32 else xyz
            found.append(Motion3D(subject, name, kept, H36M17, "m", "world", FPS))
    return tuple(found)


def read_h36m_2d(path: str | Path) -> tuple[Motion2D, ...]:
    """Read ``data_2d_h36m_*.npz``: ground truth, or what a detector found.

    Joints are those of ``h36m17``, ``coco17`` or ``mpii16``, as the file's sides tell. Detections
    have a few frames more than the 3D file: :func:`~chronopose.io.motion.pair_motions` cuts them.

    Raises:
        FormatError: the file is missing, damaged, wants to run a program, is another tree, or has
            joints that are not known.
    """
    motions = tree_2d(path, CAMERAS, FPS, lambda _, camera: SIZES[camera], action_name)
    return tuple(m for m in motions if (m.subject, m.action) != DAMAGED)

"""HumanEva-I as VideoPose3D keeps it: ``data_3d_humaneva15.npz`` and ``data_2d_humaneva15_*.npz``.

3D are metres in the room, 15 joints; 2D are pixels of three cameras, 640×480. Frames come 60
times a second. A subject is ``"Train/S1"`` or ``"Validate/S1"``, an action ``"Walking 1
chunk0"``: the parts of a performance for which the motion capture is valid.
"""

from __future__ import annotations

from pathlib import Path

from chronopose.core.skeletons import HUMANEVA15
from chronopose.io.motion import Motion2D, Motion3D
from chronopose.io.videopose import tree_2d, tree_3d

FPS = 60.0
CAMERAS = ("C1", "C2", "C3")
SIZE = (640, 480)


def read_humaneva_3d(path: str | Path) -> tuple[Motion3D, ...]:
    """Read ``data_3d_humaneva15.npz``: world space, metres, joints of ``humaneva15``.

    Raises:
        FormatError: the file is missing, damaged, wants to run a program, or is another tree; the
            variant with 20 joints is not read.
    """
    return tuple(
        Motion3D(subject, action, xyz, HUMANEVA15, "m", "world", FPS)
        for subject, action, xyz in tree_3d(path, (len(HUMANEVA15),))
    )


def read_humaneva_2d(path: str | Path) -> tuple[Motion2D, ...]:
    """Read ``data_2d_humaneva15_*.npz``; joints of ``humaneva15`` or ``coco17``.

    Raises:
        FormatError: the file is missing, damaged, wants to run a program, is another tree, or has
            joints that are not known.
    """
    return tree_2d(path, CAMERAS, FPS, lambda *_: SIZE)

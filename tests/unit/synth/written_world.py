"""Two plates that walk past each other, four frames, one lit pixel under the nose of the first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from plates import SIZE, at, drawn, front_camera, plate

from chronopose.synth.labels import LABEL_JOINTS, FrameLabels, label_frame
from chronopose.synth.write import ClipFacts, write_clip

FRAMES = 4
TIMES = np.arange(FRAMES) / 25


def body() -> Any:
    """A plate with its 31 joints on a grid, head on top."""
    grid = {
        name: (-0.15 + 0.05 * (k % 7), 0.0, -0.15 + 0.07 * (k // 7))
        for k, name in enumerate(LABEL_JOINTS)
    }
    head = ("head_top", "nose", "left_ear")
    return plate(joints=grid | {"head_top": (0.0, 0.0, 0.19)}, head=head)


def labelled(shift_m: float = 0.0) -> list[FrameLabels]:
    """Person 8 walks right in front; person 5, further away, is hidden in the last frame."""
    found = []
    for t in range(FRAMES):
        x, other = -0.6 + 0.2 * t + shift_m, 0.0
        people = [at(body(), (x, 2, 0)), at(body(), (other, 4, 0))]
        left, right = round(49.5 + 50 * x) - 10, round(49.5 + 50 * x) + 10
        layers = drawn(
            (2, slice(35, 45), slice(45, 55), 4.0), (1, slice(30, 50), slice(left, right), 2.0)
        )
        found.append(label_frame(people, front_camera(), layers, ids=[8, 5]))
    return found


def pictures(labels: list[FrameLabels]) -> list[np.ndarray]:
    """Dark frames, the nose of person 8 lit."""
    frames = []
    for frame in labels:
        image = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
        x, y = np.rint(frame.xy[0, LABEL_JOINTS.index("nose")]).astype(int)
        image[y, x] = 255
        frames.append(image)
    return frames


def write(folder: Path, name: str = "walk", shift_m: float = 0.0, **options: Any) -> ClipFacts:
    """Write the world as a clip of the split ``val``."""
    labels = labelled(shift_m)
    given = {"seed": 3, "settings": {"people": 2}, "frames": pictures(labels), "pictures": "png"}
    given |= options
    return write_clip(
        folder, "val", name, given.pop("frames"), labels, [front_camera()] * FRAMES, TIMES, **given
    )

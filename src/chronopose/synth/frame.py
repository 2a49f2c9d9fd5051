"""What both renderers do around the drawing itself: checks before, labels of the rest after."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from chronopose.errors import ShapeError
from chronopose.synth.camera import Camera
from chronopose.synth.light import background_flow
from chronopose.synth.scene import Layers, View

MOST_ACTORS = 200
NEAR_M = 0.05
"""What is nearer to the camera is not drawn, metres."""


def check_camera(camera: Camera, size: tuple[int, int]) -> None:
    """Refuse a camera whose size is not the renderer's.

    Raises:
        ShapeError: It is not.
    """
    if tuple(camera.size) != tuple(size):
        raise ShapeError(
            f"The renderer draws {size[0]}×{size[1]}; the camera has {camera.size[0]}×"
            f"{camera.size[1]}. Open a renderer of that size."
        )


def check_view(view: View, size: tuple[int, int], supersample: int) -> None:
    """Refuse what cannot be drawn.

    Raises:
        ShapeError: A camera or the backdrop has another size, there are more than 200 actors, or
            ``supersample`` is below one.
    """
    check_camera(view.camera, size)
    if view.following is not None:
        check_camera(view.following, size)
    if view.backdrop is not None and view.backdrop.shape != (size[1], size[0], 3):
        raise ShapeError(
            f"The backdrop must be {(size[1], size[0], 3)}; got {view.backdrop.shape}."
        )
    if len(view.actors) > MOST_ACTORS:
        raise ShapeError(f"At most {MOST_ACTORS} actors can be drawn; got {len(view.actors)}.")
    if supersample < 1:
        raise ShapeError(f"supersample must be at least 1; got {supersample}.")


def finish(
    view: View, linear: NDArray[np.float32], labels: NDArray[np.float32], flow: bool
) -> Layers:
    """The layers of a frame.

    Args:
        view: What was drawn.
        linear: ``(H, W, 3)`` colours, kept as they are.
        labels: ``(H, W, 4)`` id, depth in metres, flow in pixels; id 0 where nothing was drawn.
        flow: Whether flow was asked for; the background's follows from the cameras.
    """
    person = labels[..., 0].astype(np.uint8)
    empty = person == 0
    depth = labels[..., 1].copy()
    depth[empty] = np.inf
    moved = np.zeros((*person.shape, 2), np.float32)
    if flow:
        moved[:] = labels[..., 2:]
        moved[empty] = 0
        if view.following is not None:
            moved[empty] = background_flow(view.camera, view.following)[empty]
    return Layers(linear, person, depth, moved)

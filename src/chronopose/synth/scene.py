"""What a renderer is given and what it gives back.

Two renderers exist and are interchangeable: OpenGL (``render_gl``) and plain numpy
(``render_soft``). Both draw a :class:`View` and return :class:`Layers`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from chronopose.synth.body import Body
from chronopose.synth.camera import Camera

THING = 255
"""Mark of occluders in ``Layers.person``."""


@dataclass(frozen=True)
class Environment:
    """Light and background that agree.

    Args:
        key: Name.
        radiance: ``(h, w, 3)`` float32 linear, equirectangular: row 0 looks up, the middle column
            along +y, columns to the right of it towards +x.
        harmonics: ``(9, 3)`` float32, irradiance / pi of the light without the sun as spherical
            harmonics of the world direction (Ramamoorthi and Hanrahan).
        sun_direction: ``(3,)`` float32, of length one, towards the sun.
        sun_colour: ``(3,)`` float32 linear irradiance / pi of the sun at normal incidence; zeros
            without one.
        exposure: Multiplies everything linear before the tone curve.
    """

    key: str
    radiance: NDArray[np.float32]
    harmonics: NDArray[np.float32]
    sun_direction: NDArray[np.float32]
    sun_colour: NDArray[np.float32]
    exposure: float


@dataclass(frozen=True)
class Actor:
    """A body in one frame and in the frame that follows.

    Args:
        body: The mesh.
        matrices: ``(J, 3, 4)`` of this frame, from :meth:`Body.skin_matrices`.
        following: ``(J, 3, 4)`` of the next frame, for optical flow; None: it stands still.
        thing: An occluder, not a person.
    """

    body: Body
    matrices: NDArray[np.float32]
    following: NDArray[np.float32] | None = None
    thing: bool = False


@dataclass(frozen=True)
class View:
    """One frame to draw.

    Args:
        camera: Where from.
        environment: Light and background. The background is infinitely far; its lower half is
            the floor that shadows fall on (the plane z = 0).
        actors: At most 200 people and things.
        following: Camera of the next frame, for optical flow; None: it stands still.
        backdrop: ``(H, W, 3)`` float32 linear, drawn instead of the environment's picture; None
            for the environment. Pass the same array again for a camera that stands still: what
            :meth:`Renderer.backdrop` returned is not drawn twice.
    """

    camera: Camera
    environment: Environment
    actors: Sequence[Actor]
    following: Camera | None = None
    backdrop: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Layers:
    """One drawn frame.

    Args:
        linear: ``(H, W, 3)`` float32, tone-mapped to [0, 1] but linear in light: average it for
            motion blur, then :func:`chronopose.synth.hdri.to_srgb`.
        person: ``(H, W)`` uint8, 0 for background, ``i + 1`` for ``actors[i]``, :data:`THING`.
        depth: ``(H, W)`` float32, metres along the camera's axis, inf for background.
        flow: ``(H, W, 2)`` float32, pixels from this frame to the next, x before y; zeros unless
            asked for.
    """

    linear: NDArray[np.float32]
    person: NDArray[np.uint8]
    depth: NDArray[np.float32]
    flow: NDArray[np.float32]


class Renderer(Protocol):
    """Draws views; keep one for many frames, close it at the end."""

    def backdrop(self, camera: Camera, environment: Environment) -> NDArray[np.float32]:
        """``(H, W, 3)`` float32: the environment alone, tone-mapped, linear in light."""

    def draw(self, view: View, *, flow: bool = False, supersample: int = 1) -> Layers:
        """The frame; edges are smoothed by ``supersample`` × ``supersample`` samples a pixel."""

    def close(self) -> None:
        """Give memory back."""

"""Flat bodies, cameras and light whose pictures can be worked out by hand."""

from __future__ import annotations

import numpy as np

from chronopose.synth.body import BONES, Body, BonePoses, Surface
from chronopose.synth.camera import Camera
from chronopose.synth.scene import Actor, Environment

SIZE = (32, 24)


def camera(
    size: tuple[int, int] = SIZE, height: float = 0.0, turn: float = 0.0, focal: float = 10.0
) -> Camera:
    """At (0, 0, height), looking along +y: x, y, z is seen at 10 x / y, 10 (height - z) / y.

    ``turn`` turns it around the vertical towards +x.
    """
    cos, sin = np.cos(turn), np.sin(turn)
    rotation = np.array([[cos, -sin, 0], [0, 0, -1], [sin, cos, 0]])
    place = np.array([0, 0, height])
    lens = np.array([[focal, 0, 0], [0, focal, 0], [0, 0, 1.0]])
    return Camera(lens, rotation, -rotation @ place, size)


def panel(
    corners: list[tuple[float, float, float]],
    key: str = "panel",
    texture: np.ndarray | None = None,
    thin: bool = True,
    colour: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> Body:
    """Three or four corners in order, moved by the pelvis alone; uv from 0, 0 to 1, 1."""
    count = len(corners)
    faces = np.array([[0, 1, 2], [0, 2, 3]][: count - 2], np.int32)
    bones, weights = np.zeros((count, 4), np.uint8), np.zeros((count, 4), np.float32)
    weights[:, 0] = 1
    uv = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)[:count]
    return Body(
        key, np.array(corners, np.float32), faces, uv,
        np.tile(np.float32(colour), (count, 1)), bones, weights,
        np.zeros((len(BONES), 3), np.float32),
        (Surface("cloth", 0, len(faces), texture, (1.0, 1.0, 1.0), thin),), {},
    )  # fmt: skip


def on_picture(
    left: float, top: float, right: float, bottom: float, depth: float
) -> list[tuple[float, float, float]]:
    """Corners of an upright rectangle seen by ``camera()`` between these pixels, at a depth."""
    x = [left * depth / 10, right * depth / 10]
    z = [-top * depth / 10, -bottom * depth / 10]
    return [(x[0], depth, z[1]), (x[1], depth, z[1]), (x[1], depth, z[0]), (x[0], depth, z[0])]


def placed(
    body: Body,
    shift: tuple[float, float, float] = (0, 0, 0),
    following: tuple[float, float, float] | None = None,
    thing: bool = False,
) -> Actor:
    """The body moved by ``shift``, in the next frame by ``following``."""
    roots = np.array([shift, shift if following is None else following], np.float32)
    turns = np.tile(np.eye(3, dtype=np.float32), (2, len(BONES), 1, 1))
    matrices = body.skin_matrices(BonePoses(turns, roots, np.array([0.0, 1.0])))
    return Actor(body, matrices[0], None if following is None else matrices[1], thing)


def even_light(
    level: float = 0.25,
    sun: float = 0.0,
    towards: tuple[float, float, float] = (0, 0, 1),
    radiance: np.ndarray | None = None,
) -> Environment:
    """The same light from everywhere, and a white sun; nothing else, exposure one."""
    harmonics = np.zeros((9, 3), np.float32)
    harmonics[0] = level / 0.282095
    if radiance is None:
        radiance = np.full((16, 32, 3), level, np.float32)
    direction = np.array(towards, np.float32)
    direction /= np.linalg.norm(direction)
    return Environment(
        f"even/{level}/{sun}", radiance, harmonics, direction, np.full(3, sun, np.float32), 1.0
    )

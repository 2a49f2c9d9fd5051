"""A body whose every number is known: a square plate that has one vertex for each joint."""

from __future__ import annotations

import numpy as np

from chronopose.synth.body import BONES, Body, BonePoses, Landmark, Surface
from chronopose.synth.camera import Camera
from chronopose.synth.labels import LABEL_JOINTS
from chronopose.synth.scene import Actor, Layers

SIZE = (100, 80)
FOCAL = 100.0


def front_camera() -> Camera:
    """At the origin, looking along +y: (x, y, z) is seen at 100 x / y + 49.5, 39.5 - 100 z / y."""
    lens = np.array([[FOCAL, 0, 49.5], [0, FOCAL, 39.5], [0, 0, 1.0]])
    return Camera(lens, np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]), np.zeros(3), SIZE)


def plate(
    side: float = 0.4,
    joints: dict[str, tuple[float, float, float]] | None = None,
    head: tuple[str, ...] = ("head_top",),
) -> Body:
    """A plate across x and z around the origin; joints lie there unless told otherwise.

    The joints of ``head`` belong to the bone of that name, everything else to ``pelvis``.
    """
    half = side / 2
    corners = [(-half, 0, -half), (half, 0, -half), (half, 0, half), (-half, 0, half)]
    places = [(joints or {}).get(name, (0.0, 0.0, 0.0)) for name in LABEL_JOINTS]
    vertices = np.array([*corners, *places], np.float32)
    bones = np.zeros((len(vertices), 4), np.uint8)
    bones[[4 + LABEL_JOINTS.index(name) for name in head], 0] = BONES.index("head")
    weights = np.zeros((len(vertices), 4), np.float32)
    weights[:, 0] = 1
    own = np.ones(1, np.float32)
    marks = {n: Landmark(np.array([4 + k]), own) for k, n in enumerate(LABEL_JOINTS)}
    return Body(
        "plate", vertices, np.array([[0, 1, 2], [0, 2, 3]], np.int32),
        np.zeros((len(vertices), 2), np.float32), np.ones((len(vertices), 3), np.float32),
        bones, weights, np.zeros((len(BONES), 3), np.float32), (Surface("skin", 0, 2),),
        marks,
    )  # fmt: skip


def at(body: Body, place: tuple[float, float, float], thing: bool = False) -> Actor:
    """The body at rest with its origin at a place, metres."""
    turns = np.tile(np.eye(3, dtype=np.float32), (1, len(BONES), 1, 1))
    poses = BonePoses(turns, np.array([place], np.float32), np.zeros(1))
    return Actor(body, body.skin_matrices(poses)[0], thing=thing)


def drawn(*boxes: tuple[int, slice, slice, float], size: tuple[int, int] = SIZE) -> Layers:
    """Layers by hand: mark, rows, columns and depth of rectangles, later ones in front."""
    width, height = size
    person = np.zeros((height, width), np.uint8)
    depth = np.full((height, width), np.inf, np.float32)
    for mark, rows, columns, metres in boxes:
        person[rows, columns], depth[rows, columns] = mark, metres
    flow = np.zeros((height, width, 2), np.float32)
    return Layers(np.zeros((height, width, 3), np.float32), person, depth, flow)

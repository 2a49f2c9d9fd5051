"""Bodies in the memory of the graphics card: uploaded once, drawn many times."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chronopose.synth.body import Body
from chronopose.synth.contact import Hull, hull_of
from chronopose.synth.frame import MOST_ACTORS
from chronopose.synth.hdri import from_srgb
from chronopose.synth.kept import Kept
from chronopose.synth.normals import vertex_normals

_SRGB8_ALPHA8 = 0x8C43
_PICTURES = 160
_SHAPE = "3f 4f 4u1 2f"
_LOOK = "3f 3f"

Program = Any
"""A moderngl program; moderngl is optional and has no types of its own to name here."""


class Mesh:
    """One body's buffers and what is known of its extent.

    Args:
        context: The moderngl context.
        body: What to upload.
    """

    def __init__(self, context: Any, body: Body) -> None:
        self.hull: Hull = hull_of(body)
        shape = np.zeros(
            len(body.vertices), [("p", "3f4"), ("w", "4f4"), ("b", "4u1"), ("t", "2f4")]
        )
        shape["p"], shape["w"], shape["b"] = body.vertices, body.weights, body.bones
        shape["t"] = body.uv * (1, -1) + (0, 1)
        look = [vertex_normals(body.vertices, body.faces), from_srgb(body.colours)]
        self._context = context
        self._shape = context.buffer(shape.tobytes())
        self._look = context.buffer(np.concatenate(look, 1).astype(np.float32).tobytes())
        self._faces = context.buffer(np.ascontiguousarray(body.faces, np.int32).tobytes())
        self._arrays: dict[int, Any] = {}

    def array(self, program: Program, look: bool) -> Any:
        """The vertex array for a program; ``look``: it wants normals and colours too."""
        if id(program) not in self._arrays:
            names = "in_place", "in_weights", "in_bones", "in_uv"
            parts: list[tuple[Any, ...]] = [(self._shape, _SHAPE, *names)]
            if look:
                parts.append((self._look, _LOOK, "in_normal", "in_colour"))
            self._arrays[id(program)] = self._context.vertex_array(program, parts, self._faces)
        return self._arrays[id(program)]

    def release(self) -> None:
        """Give the memory back."""
        for part in (*self._arrays.values(), self._shape, self._look, self._faces):
            part.release()
        self._arrays.clear()


class MeshStore:
    """Meshes and textures that were uploaded; those not drawn for long are given back."""

    def __init__(self, context: Any) -> None:
        self._context = context
        self._meshes: Kept[Mesh] = Kept(MOST_ACTORS, Mesh.release)
        self._pictures: Kept[Any] = Kept(_PICTURES, lambda picture: picture.release())
        self._white = self._upload(np.full((1, 1, 4), 255, np.uint8))

    def mesh(self, body: Body) -> Mesh:
        """The uploaded body; a body of the same key but with other arrays replaces it."""
        source = body.vertices, body.faces, body.colours, body.uv
        return self._meshes.get(body.key, source, lambda: Mesh(self._context, body))

    def draw(self, body: Body, program: Program, look: bool) -> None:
        """Draw all surfaces of a body whose bones are set; thin ones from both sides."""
        array = self.mesh(body).array(program, look)
        for surface, count in _joined(body, look):
            texture = surface.texture
            picture = self._white if texture is None else self._picture(texture)
            picture.use(0)
            program["textured"] = float(texture is not None)
            program["thin"] = float(surface.thin)
            if surface.thin:
                self._context.disable(self._context.CULL_FACE)
            else:
                self._context.enable(self._context.CULL_FACE)
            if look:
                program["tint"] = tuple(from_srgb(np.array(surface.tint)).tolist())
            array.render(vertices=3 * count, first=3 * surface.first)

    def _picture(self, texture: NDArray[np.uint8]) -> Any:
        return self._pictures.get(id(texture), (texture,), lambda: self._upload(texture))

    def _upload(self, texture: NDArray[np.uint8]) -> Any:
        height, width = texture.shape[:2]
        picture = self._context.texture(
            (width, height), 4, np.ascontiguousarray(texture).tobytes(), alignment=1,
            internal_format=_SRGB8_ALPHA8,
        )  # fmt: skip
        picture.build_mipmaps()
        picture.filter = (self._context.LINEAR_MIPMAP_LINEAR, self._context.LINEAR)
        return picture

    def release(self) -> None:
        """Give the memory back."""
        self._meshes.clear()
        self._pictures.clear()
        self._white.release()


def _joined(body: Body, look: bool) -> list[tuple[Any, int]]:
    """Surfaces with their face counts; casters need no picture, so solid ones are drawn at once."""
    runs = [(s, s.last - s.first) for s in body.surfaces if s.last > s.first]
    if look:
        return runs
    joined: list[tuple[Any, int]] = []
    for surface, count in runs:
        if joined and not surface.thin and not joined[-1][0].thin:
            joined[-1] = joined[-1][0], joined[-1][1] + count
        else:
            joined.append((surface, count))
    return joined

"""Drawing in plain numpy: for machines without OpenGL, and the check of the one with it.

The same light, shadows, labels and flow as :mod:`chronopose.synth.render_gl`; only the shadow map
is coarser and knows no holes. Made for pictures of 64 to 320 pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chronopose.synth.body import Body
from chronopose.synth.camera import Camera
from chronopose.synth.contact import (
    Hull,
    casts_shadow,
    contact_quad,
    ground_light,
    hull_of,
    nearest_ground,
    shadow_quad,
    sky_left,
)
from chronopose.synth.frame import MOST_ACTORS, NEAR_M, check_camera, check_view, finish
from chronopose.synth.hdri import from_srgb, tone_map
from chronopose.synth.kept import Kept
from chronopose.synth.light import lit, look_up
from chronopose.synth.normals import vertex_normals
from chronopose.synth.raster import Fragments, rasterise
from chronopose.synth.scene import THING, Environment, Layers, View
from chronopose.synth.soft_shadow import SunMap
from chronopose.synth.textures import pyramid, read_picture

_MAP = 192, 512


@dataclass(frozen=True)
class _Rest:
    """What is worked out once for a body: normals, linear colours, hull, surface of each face."""

    normals: NDArray[np.float32]
    colours: NDArray[np.float32]
    hull: Hull
    surface: NDArray[np.int64]


@dataclass(frozen=True)
class _Crowd:
    """All actors of a frame in one mesh; ``surface`` counts through all surfaces of all actors."""

    world: NDArray[np.float32]
    following: NDArray[np.float32]
    normals: NDArray[np.float32]
    colours: NDArray[np.float32]
    uv: NDArray[np.float32]
    faces: NDArray[np.int64]
    surface: NDArray[np.int64]
    actor: NDArray[np.int64]


class SoftRenderer:
    """Draws views in numpy.

    Args:
        size: Width and height of every picture, pixels; cameras must have the same.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        self._rests: Kept[_Rest] = Kept(MOST_ACTORS)
        self._pyramids: Kept[list[NDArray[np.float32]]] = Kept(160)
        self._drawn: Kept[NDArray[np.float32]] = Kept(4)

    def backdrop(self, camera: Camera, environment: Environment) -> NDArray[np.float32]:
        """``(H, W, 3)`` float32: the environment alone, tone-mapped, linear in light.

        The same array again for the same camera and environment, while it is among the last few.

        Raises:
            ShapeError: The camera's size is not the renderer's.
        """
        check_camera(camera, self.size)
        key = camera.intrinsics.tobytes(), camera.rotation.tobytes(), environment.exposure

        def make() -> NDArray[np.float32]:
            return tone_map(environment.exposure * look_up(environment.radiance, camera.rays()))

        return self._drawn.get(key, (environment.radiance,), make)

    def draw(self, view: View, *, flow: bool = False, supersample: int = 1) -> Layers:
        """The frame.

        Args:
            view: What to draw.
            flow: Fill ``Layers.flow``.
            supersample: Colours are the mean of this many samples a pixel, squared. Ids, depth
                and flow are always those at the pixel's centre.

        Raises:
            ShapeError: A camera or the backdrop has another size than the renderer, there are more
                than 200 actors, or ``supersample`` is below one.
        """
        check_view(view, self.size, supersample)
        backdrop = view.backdrop
        if backdrop is None:
            backdrop = self.backdrop(view.camera, view.environment)
        width, height = self.size
        labels = np.zeros((height, width, 4), np.float32)
        if not view.actors:
            return finish(view, backdrop.copy(), labels, flow)
        crowd = self._crowd(view, flow)
        sun = self._sun(view, crowd)
        ground = backdrop * self._ground(view, sun)
        seen = self._fragments(view, crowd, 1)
        self._label(view, crowd, seen, labels)
        if supersample > 1:
            seen = self._fragments(view, crowd, supersample)
        light = np.zeros((height * supersample * width * supersample, 4), np.float32)
        light[seen.pixel, :3] = self._light(view, crowd, seen, supersample, sun)
        light[seen.pixel, 3] = 1
        tiles = light.reshape(height, supersample, width, supersample, 4).mean((1, 3))
        linear = tiles[..., :3] + (1 - tiles[..., 3:]) * ground
        return finish(view, linear.astype(np.float32), labels, flow)

    def close(self) -> None:
        """Give memory back."""
        for kept in (self._rests, self._pyramids, self._drawn):
            kept.clear()

    def _rest(self, body: Body) -> _Rest:
        def make() -> _Rest:
            surface = np.zeros(len(body.faces), np.int64)
            for number, entry in enumerate(body.surfaces):
                surface[entry.first : entry.last] = number
            normals = vertex_normals(body.vertices, body.faces)
            return _Rest(normals, from_srgb(body.colours), hull_of(body), surface)

        source = body.vertices, body.faces, body.colours, body.surfaces
        return self._rests.get(body.key, source, make)

    def _crowd(self, view: View, flow: bool) -> _Crowd:
        parts, vertices, surfaces = [], 0, 0
        for number, actor in enumerate(view.actors):
            body, rest = actor.body, self._rest(actor.body)
            turn = _blend(body, actor.matrices)
            world = np.einsum("vab,vb->va", turn[..., :3], body.vertices) + turn[..., 3]
            normals = np.einsum("vab,vb->va", turn[..., :3], rest.normals)
            after = body.skin(actor.following) if flow and actor.following is not None else world
            parts.append(
                (world, after, normals, rest.colours, body.uv,
                 body.faces + vertices, rest.surface + surfaces,
                 np.full(len(body.faces), number))
            )  # fmt: skip
            vertices += len(body.vertices)
            surfaces += len(body.surfaces)
        joined = [np.concatenate(column) for column in zip(*parts, strict=True)]
        return _Crowd(*joined)

    def _fragments(self, view: View, crowd: _Crowd, samples: int) -> Fragments:
        seen = _pixels(view.camera, crowd.world, samples)
        holes = np.array(
            [s.thin and s.texture is not None for a in view.actors for s in a.body.surfaces]
        )[crowd.surface]

        def solid(fresh: Fragments) -> NDArray[np.bool_]:
            keep = np.ones(len(fresh.face), bool)
            asked = np.nonzero(holes[fresh.face])[0]
            if len(asked):
                paint = self._paint(view, crowd, fresh.pick(asked), samples)
                keep[asked] = paint[:, 3] >= 0.5
            return keep

        size = self.size[0] * samples, self.size[1] * samples
        thin = _thin(view, crowd)
        return rasterise(seen[crowd.faces], size, NEAR_M, thin, solid if holes.any() else None)

    def _sun(self, view: View, crowd: _Crowd) -> SunMap | None:
        """Where the sun reaches; None without one."""
        if not casts_shadow(view.environment):
            return None
        texels = int(np.clip(2 * max(self.size), _MAP[0], _MAP[1]))
        sun, thin = view.environment.sun_direction, _thin(view, crowd)
        return SunMap(crowd.world, crowd.faces, thin, sun, texels)

    def _paint(
        self, view: View, crowd: _Crowd, seen: Fragments, samples: int
    ) -> NDArray[np.float32]:
        """Linear albedo and coverage ``(n, 4)``."""
        paint = np.ones((len(seen.face), 4), np.float32)
        paint[:, :3] = seen.of(crowd.colours, crowd.faces)
        uv = seen.of(crowd.uv, crowd.faces)
        detail = _detail(view.camera, crowd, seen.face, samples)
        surface = crowd.surface[seen.face]
        entries = [s for actor in view.actors for s in actor.body.surfaces]
        for number in np.unique(surface):
            entry, mine = entries[number], surface == number
            texture = entry.texture
            if texture is not None:
                levels = self._levels(texture)
                texels = detail[mine] * np.sqrt(texture.shape[0] * texture.shape[1])
                paint[mine] = read_picture(levels, uv[mine], texels)
            paint[mine, :3] *= from_srgb(np.array(entry.tint))
        return paint

    def _levels(self, texture: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        return self._pyramids.get(id(texture), (texture,), lambda: pyramid(texture))

    def _light(
        self, view: View, crowd: _Crowd, seen: Fragments, samples: int, sun: SunMap | None
    ) -> NDArray[np.float32]:
        """Tone-mapped colours ``(n, 3)``."""
        environment = view.environment
        normals = seen.of(crowd.normals, crowd.faces)
        normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)
        corners = crowd.world[crowd.faces[seen.face]]
        flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        away = (flat * (corners[:, 0] - view.camera.place)).sum(-1) > 0
        normals[away] *= -1
        fall = lit(environment.harmonics, normals)
        if sun is not None:
            facing = np.maximum(normals @ environment.sun_direction, 0)
            lifted = seen.of(crowd.world, crowd.faces) + normals * (2 * sun.texel_m + 0.004)
            facing *= sun.seen(lifted)
            fall += (facing[:, None] * environment.sun_colour).astype(np.float32)
        paint = self._paint(view, crowd, seen, samples)
        return tone_map(environment.exposure * paint[:, :3] * fall)

    def _label(
        self, view: View, crowd: _Crowd, seen: Fragments, labels: NDArray[np.float32]
    ) -> None:
        """Write id, depth and flow of the fragments into ``(H, W, 4)`` labels."""
        flat = labels.reshape(-1, 4)
        ids = np.array([THING if a.thing else i + 1 for i, a in enumerate(view.actors)])
        flat[seen.pixel, 0] = ids[crowd.actor[seen.face]]
        flat[seen.pixel, 1] = seen.depth
        camera = view.following or view.camera
        after = seen.of(_pixels(camera, crowd.following, 1), crowd.faces)
        here = np.stack([seen.pixel % self.size[0], seen.pixel // self.size[0]], -1)
        flat[seen.pixel, 2:] = after[:, :2] / np.maximum(after[:, 2:], 1e-4) - here

    def _ground(self, view: View, sun: SunMap | None) -> NDArray[np.float32]:
        """``(H, W, 3)`` what the actors leave of the light on the ground; one elsewhere."""
        left = np.ones((self.size[1] * self.size[0], 3), np.float32)
        place, rays = view.camera.place, view.camera.rays().reshape(-1, 3)
        down = np.nonzero(rays[:, 2] * place[2] < -1e-6)[0]
        points = place[:2] - rays[down, :2] * (place[2] / rays[down, 2:])
        sky, light = np.ones(len(points), np.float32), np.ones(len(points), np.float32)
        dim = np.zeros(len(points), bool)
        for actor in view.actors:
            hull = self._rest(actor.body).hull
            spheres, box = hull.posed_spheres(actor.matrices), hull.posed_corners(actor.matrices)
            near = _within(points, contact_quad(box))
            sky[near] *= sky_left(points[near], nearest_ground(spheres))
            if sun is not None:
                dim[_within(points, shadow_quad(box, view.environment))] = True
        if sun is not None:
            flat = points[dim]
            light[dim] = sun.seen(np.concatenate([flat, np.zeros((len(flat), 1))], 1))
        sky_share, sun_share = ground_light(view.environment)
        left[down] = sky[:, None] * sky_share + light[:, None] * sun_share
        return left.reshape(self.size[1], self.size[0], 3)


def _within(points: NDArray[np.floating], quad: NDArray[np.float32]) -> NDArray[np.int64]:
    """Which points ``(n, 2)`` lie in a rectangle of corners ``(4, 2)``, row by row."""
    sides = np.stack([quad[1] - quad[0], quad[2] - quad[0]])
    along = (points - quad[0]) @ sides.T
    return np.nonzero(((along >= 0) & (along <= (sides * sides).sum(1))).all(1))[0]


def _thin(view: View, crowd: _Crowd) -> NDArray[np.bool_]:
    """``(F,)`` faces that are seen from both sides."""
    return np.array([s.thin for a in view.actors for s in a.body.surfaces])[crowd.surface]


def _blend(body: Body, matrices: NDArray[np.float32]) -> NDArray[np.float32]:
    """``(V, 3, 4)`` matrix of each vertex."""
    return np.einsum("vk,vkab->vab", body.weights, matrices[body.bones])


def _pixels(camera: Camera, world: NDArray[np.floating], samples: int) -> NDArray[np.float64]:
    """``(V, 3)`` places in the picture at ``samples`` times its size, as x·w, y·w, w."""
    seen = camera.to_camera(world)
    focal, centre = camera.intrinsics[[0, 1], [0, 1]], camera.intrinsics[:2, 2]
    flat = seen[:, :2] * focal + seen[:, 2:] * (centre + 0.5)
    return np.concatenate([flat * samples - 0.5 * seen[:, 2:], seen[:, 2:]], -1)


def _detail(
    camera: Camera, crowd: _Crowd, face: NDArray[np.int64], samples: int
) -> NDArray[np.float64]:
    """``(n,)`` length in uv that one pixel of the picture covers on these faces."""
    used, back = np.unique(face, return_inverse=True)
    corners = crowd.faces[used]
    seen = _pixels(camera, crowd.world[corners.ravel()], samples).reshape(-1, 3, 3)
    flat = seen[..., :2] / np.maximum(seen[..., 2:], NEAR_M)
    area, drawn = _area(crowd.uv[corners]), _area(flat)
    return np.sqrt(area / np.maximum(drawn, 1e-9))[back]


def _area(corners: NDArray[np.floating]) -> NDArray[np.floating]:
    one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return np.abs(one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]) / 2

"""Drawing with OpenGL, without a window: on a graphics card or on Mesa's llvmpipe.

Source: one forward pass with light from nine spherical harmonics (Ramamoorthi and Hanrahan) and
one sun with a shadow map (Williams, "Casting Curved Shadows on Curved Surfaces"; 3×3 percentage-
closer filtering, Reeves et al.).
"""

from __future__ import annotations

import contextlib
import platform
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chronopose.errors import ChronoposeError, MissingExtra
from chronopose.synth import shaders
from chronopose.synth.camera import Camera
from chronopose.synth.contact import (
    NEAREST,
    casts_shadow,
    contact_quad,
    ground_light,
    nearest_ground,
    shadow_quad,
)
from chronopose.synth.frame import NEAR_M, check_camera, check_view, finish
from chronopose.synth.gl_mesh import Mesh, MeshStore
from chronopose.synth.kept import Kept
from chronopose.synth.scene import THING, Actor, Environment, Layers, View
from chronopose.synth.soft_shadow import sun_axes

FAR_M = 500.0
SHADOW_SIZE = 1024

_SHADE_UNIT, _SHADOW_UNIT, _BACKDROP_UNIT = 2, 1, 3


class OpenGLMissing(MissingExtra):
    """No OpenGL context can be opened: the package or a driver is missing.

    Args:
        reason: What the system said.
    """

    def __init__(self, reason: str) -> None:
        ChronoposeError.__init__(
            self,
            f"Cannot draw with OpenGL: {reason}. Install the package with pip install "
            f"'chronopose[synth]' and a driver (Debian: apt-get install libegl1 libgl1 "
            f"libgl1-mesa-dri libgles2), or draw without it: open_renderer(size, kind='soft').",
        )


def open_context() -> Any:
    """A moderngl context without a window.

    Raises:
        OpenGLMissing: The package moderngl or a driver for OpenGL 3.3 is missing.
    """
    try:
        import moderngl
    except ImportError as error:
        raise OpenGLMissing("the package 'moderngl' is not installed") from error
    # Mesa and Triton, which torch loads when it feels like it, both bring an LLVM; the process
    # dies if Mesa's comes first.
    with contextlib.suppress(ImportError):
        import_module("triton._C.libtriton")
    ways: list[dict[str, Any]] = [{}]
    if platform.system() == "Linux":
        named = {"backend": "egl", "libgl": "libGL.so.1", "libegl": "libEGL.so.1"}
        ways = [{"backend": "egl"}, named, {}]
    said = []
    for way in ways:
        try:
            return moderngl.create_context(require=330, standalone=True, **way)
        except Exception as error:  # moderngl raises plain Exception
            said.append(str(error))
    raise OpenGLMissing(f"no context opens ({said[0]})")


class GLRenderer:
    """Draws views with OpenGL.

    Args:
        size: Width and height of every picture, pixels; cameras must have the same.

    Attributes:
        device: What draws, as the driver calls it.

    Raises:
        OpenGLMissing: The package moderngl or a driver is missing.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        self._context = open_context()
        self.device: str = self._context.info["GL_RENDERER"]
        with self._context:
            self._start()

    def _start(self) -> None:
        gl, size = self._context, self.size
        body = shaders.BODY_VERTEX, shaders.BODY_FRAGMENT
        self._bodies = [gl.program(*body), gl.program(*(shaders.define(s, "FLOW") for s in body))]
        self._caster = gl.program(shaders.CASTER_VERTEX, shaders.CASTER_FRAGMENT)
        self._ground = gl.program(shaders.GROUND_VERTEX, shaders.GROUND_FRAGMENT)
        self._sky = gl.program(shaders.SCREEN_VERTEX, shaders.PANORAMA_FRAGMENT)
        self._resolves: dict[int, tuple[Any, Any]] = {}
        self._fill_sky = gl.vertex_array(self._sky, [])
        self._corners = gl.vertex_array(self._ground, [])
        self._meshes = MeshStore(gl)
        self._shadow = gl.depth_texture((SHADOW_SIZE, SHADOW_SIZE))
        self._shadow.compare_func = "<="
        self._shadow.repeat_x = self._shadow.repeat_y = False
        self._shadow_target = gl.framebuffer(depth_attachment=self._shadow)
        self._shade = gl.texture(size, 4, dtype="f2")
        self._shade_target = gl.framebuffer([self._shade])
        self._seen = gl.framebuffer([gl.texture(size, 4, dtype="f4")])
        self._targets: dict[int, Any] = {}
        self._panoramas: Kept[Any] = Kept(4, lambda texture: texture.release())
        self._backdrops: Kept[Any] = Kept(4, lambda texture: texture.release())
        self._drawn: Kept[NDArray[np.float32]] = Kept(4)

    def backdrop(self, camera: Camera, environment: Environment) -> NDArray[np.float32]:
        """``(H, W, 3)`` float32: the environment alone, tone-mapped, linear in light.

        The same array again for the same camera and environment, while it is among the last few.

        Raises:
            ShapeError: The camera's size is not the renderer's.
        """
        check_camera(camera, self.size)
        key = camera.intrinsics.tobytes(), camera.rotation.tobytes(), environment.exposure
        source = (environment.radiance,)
        return self._drawn.get(key, source, lambda: self._draw_sky(camera, environment))

    def _draw_sky(self, camera: Camera, environment: Environment) -> NDArray[np.float32]:
        with self._context:
            panorama = self._panoramas.get(
                id(environment.radiance), (environment.radiance,),
                lambda: self._upload(np.minimum(environment.radiance, 6e4), "f2", True),
            )  # fmt: skip
            rays = np.eye(3)
            rays[[0, 1], [0, 1]] = 1 / camera.intrinsics[[0, 1], [0, 1]]
            rays[:2, 2] = -camera.intrinsics[:2, 2] * rays[[0, 1], [0, 1]]
            self._sky["ray_rows"].write((camera.rotation.T @ rays).astype("f4").tobytes())
            self._sky["exposure"] = environment.exposure
            panorama.use(0)
            self._seen.use()
            self._context.disable(self._context.DEPTH_TEST | self._context.BLEND)
            self._fill_sky.render(self._context.TRIANGLES, 3)
            return self._read(self._seen, 0)[..., :3].copy()

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
        with self._context:
            meshes = [self._meshes.mesh(actor.body) for actor in view.actors]
            self._cast(view, meshes)
            target = self._draw_bodies(view, 1, flow)
            labels = self._read(target, 1)
            if supersample > 1:
                target = self._draw_bodies(view, supersample, False)
            self._shade_ground(view, meshes)
            self._compose(view, target.color_attachments[0], backdrop, supersample)
            linear = self._read(self._seen, 0)[..., :3].copy()
        return finish(view, linear, labels, flow)

    def _cast(self, view: View, meshes: list[Mesh]) -> None:
        """Fill the shadow map and tell the programs where it lies."""
        gl, environment = self._context, view.environment
        self._shadow_target.use()
        if not meshes or not casts_shadow(environment):
            return
        corners = [
            m.hull.posed_corners(a.matrices) for m, a in zip(meshes, view.actors, strict=True)
        ]
        rows, texel = _sun_frame(environment.sun_direction, np.concatenate(corners))
        self._shadow_target.clear()
        gl.enable_only(gl.DEPTH_TEST)
        gl.front_face = "ccw"
        for program in (self._caster, self._ground, *self._bodies):
            program["shadow_rows"].write(rows.tobytes())
        for program in (self._ground, *self._bodies):
            program["shadow_texel"] = 1 / SHADOW_SIZE
        for body in self._bodies:
            body["shadow_bias"] = 2.0 * texel + 0.004
        for actor in view.actors:
            self._caster["bones"].write(_bones(actor.matrices))
            self._meshes.draw(actor.body, self._caster, look=False)

    def _draw_bodies(self, view: View, samples: int, flow: bool) -> Any:
        """Colours and labels of all actors at ``samples`` times the size."""
        gl, program, environment = self._context, self._bodies[flow], view.environment
        target = self._target(samples)
        target.use()
        target.clear()
        gl.enable_only(gl.DEPTH_TEST)
        gl.front_face = "cw"
        camera = _clip_rows(view.camera)
        program["camera"].write(camera.tobytes())
        program["harmonics"].write(np.ascontiguousarray(environment.harmonics, "f4").tobytes())
        sun = environment.sun_colour if casts_shadow(environment) else np.zeros(3)
        program["sun_direction"] = tuple(environment.sun_direction.tolist())
        program["sun_colour"] = tuple(sun.tolist())
        program["exposure"] = environment.exposure
        program["shadow_map"] = _SHADOW_UNIT
        self._shadow.use(_SHADOW_UNIT)
        if flow:
            program["size"] = (float(self.size[0] * samples), float(self.size[1] * samples))
            following = view.following or view.camera
            program["next_camera"].write(_clip_rows(following).tobytes())
        for index, actor in enumerate(view.actors):
            if not _in_sight(self._meshes.mesh(actor.body), actor, camera):
                continue
            program["id"] = float(THING if actor.thing else index + 1)
            program["bones"].write(_bones(actor.matrices))
            if flow:
                after = actor.matrices if actor.following is None else actor.following
                program["next_bones"].write(_bones(after))
            self._meshes.draw(actor.body, program, look=True)
        return target

    def _shade_ground(self, view: View, meshes: list[Mesh]) -> None:
        """What each actor leaves of sky and sun on the ground around it."""
        gl, program = self._context, self._ground
        self._shade_target.use()
        self._shade_target.clear(1, 1, 1, 1)
        gl.enable_only(gl.BLEND)
        gl.blend_func = gl.DST_COLOR, gl.ZERO, gl.ONE, gl.ONE
        gl.blend_equation = gl.FUNC_ADD, gl.MIN
        program["camera"].write(_clip_rows(view.camera).tobytes())
        program["shadow_map"] = _SHADOW_UNIT
        self._shadow.use(_SHADOW_UNIT)
        sunny = casts_shadow(view.environment)
        for mesh, actor in zip(meshes, view.actors, strict=True):
            hull = mesh.hull.posed_corners(actor.matrices)
            near = nearest_ground(mesh.hull.posed_spheres(actor.matrices))
            held = np.zeros((NEAREST, 4), np.float32)
            held[: len(near)] = near
            program["spheres"].write(held.tobytes())
            program["sunny"], program["count"] = 0.0, len(near)
            program["corners"].write(contact_quad(hull).tobytes())
            self._corners.render(gl.TRIANGLE_STRIP, 4)
            if sunny:
                program["sunny"], program["count"] = 1.0, 0
                program["corners"].write(shadow_quad(hull, view.environment).tobytes())
                self._corners.render(gl.TRIANGLE_STRIP, 4)
        gl.blend_equation = gl.FUNC_ADD

    def _compose(self, view: View, light: Any, backdrop: NDArray[np.float32], samples: int) -> None:
        """Bodies before the shaded backdrop, brought to the final size."""
        gl = self._context
        if samples not in self._resolves:
            source = shaders.define(shaders.RESOLVE_FRAGMENT, f"SAMPLES {samples}")
            made = gl.program(shaders.SCREEN_VERTEX, source)
            self._resolves[samples] = made, gl.vertex_array(made, [])
        program, fill = self._resolves[samples]
        picture = self._backdrops.get(
            id(backdrop), (backdrop,), lambda: self._upload(backdrop, "f4", False)
        )
        light.use(0)
        self._shade.use(_SHADE_UNIT)
        picture.use(_BACKDROP_UNIT)
        program["shade"], program["backdrop"] = _SHADE_UNIT, _BACKDROP_UNIT
        sky, sun = ground_light(view.environment)
        program["sky_share"], program["sun_share"] = tuple(sky.tolist()), tuple(sun.tolist())
        gl.disable(gl.DEPTH_TEST | gl.BLEND)
        self._seen.use()
        fill.render(gl.TRIANGLES, 3)

    def _target(self, samples: int) -> Any:
        if samples not in self._targets:
            gl, size = self._context, (self.size[0] * samples, self.size[1] * samples)
            pictures = [gl.texture(size, 4, dtype="f2"), gl.texture(size, 4, dtype="f4")]
            self._targets[samples] = gl.framebuffer(pictures, gl.depth_renderbuffer(size))
        return self._targets[samples]

    def _upload(self, picture: NDArray[np.float32], dtype: str, around: bool) -> Any:
        height, width = picture.shape[:2]
        data = np.ones((height, width, 4), dtype)
        data[..., :3] = picture
        texture = self._context.texture((width, height), 4, data.tobytes(), dtype=dtype)
        texture.filter = (self._context.LINEAR, self._context.LINEAR)
        texture.repeat_x, texture.repeat_y = around, False
        return texture

    def _read(self, target: Any, attachment: int) -> NDArray[np.float32]:
        width, height = self.size
        data = np.empty((height, width, 4), np.float32)
        target.read_into(data, components=4, attachment=attachment, alignment=1, dtype="f4")
        return data

    def close(self) -> None:
        """Give memory and context back; the renderer cannot draw afterwards."""
        if self._context is None:
            return
        with contextlib.suppress(Exception), self._context:
            self._meshes.release()
        self._context.release()
        self._context = None


def _bones(matrices: NDArray[np.float32]) -> bytes:
    return np.ascontiguousarray(matrices, np.float32).tobytes()


def _clip_rows(camera: Camera) -> NDArray[np.float32]:
    """``(4, 4)`` rows that carry world points to clip space, first picture row at y = -1."""
    width, height = camera.size
    focal, centre = camera.intrinsics[[0, 1], [0, 1]], camera.intrinsics[:2, 2]
    project = np.zeros((4, 3))
    project[0] = 2 * focal[0] / width, 0, 2 * (centre[0] + 0.5) / width - 1
    project[1] = 0, 2 * focal[1] / height, 2 * (centre[1] + 0.5) / height - 1
    project[2, 2] = (FAR_M + NEAR_M) / (FAR_M - NEAR_M)
    project[3, 2] = 1
    rows = np.concatenate([project @ camera.rotation, (project @ camera.translation)[:, None]], 1)
    rows[2, 3] -= 2 * FAR_M * NEAR_M / (FAR_M - NEAR_M)
    return rows.astype(np.float32)


def _in_sight(mesh: Mesh, actor: Actor, clip: NDArray[np.float32]) -> bool:
    """Whether any part of the actor can be in the picture."""
    corners = mesh.hull.posed_corners(actor.matrices)
    x, y, _, w = clip[:, :3] @ corners.T + clip[:, 3:]
    outside = [(x > w).all(), (x < -w).all(), (y > w).all(), (y < -w).all(), (w < NEAR_M).all()]
    return not any(outside)


def _sun_frame(
    sun: NDArray[np.float32], points: NDArray[np.float32]
) -> tuple[NDArray[np.float32], float]:
    """Rows that carry the box around ``points`` to [0, 1]³, and a texel's size, metres."""
    axes = sun_axes(sun) * [[1], [-1], [1]]
    seen = points @ axes.T
    low, high = seen.min(0) - 0.02, seen.max(0) + 0.02
    scale = 1 / (high - low)
    rows = np.concatenate([axes * scale[:, None], (-low * scale)[:, None]], 1)
    return rows.astype(np.float32), float((high - low)[:2].max() / SHADOW_SIZE)

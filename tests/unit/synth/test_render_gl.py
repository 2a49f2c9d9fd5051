from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from drawing_laws import LAWS
from panels import even_light, panel

from chronopose.errors import MissingExtra
from chronopose.synth.body import BONES, BonePoses
from chronopose.synth.camera import look_at
from chronopose.synth.plain_body import plain_body, solid
from chronopose.synth.render_gl import GLRenderer, OpenGLMissing, open_context
from chronopose.synth.render_soft import SoftRenderer
from chronopose.synth.renderer import open_renderer
from chronopose.synth.scene import Actor, Layers, View
from chronopose.synth.sky import procedural_environment

BIG = (160, 120)


@pytest.fixture(scope="module")
def opened() -> Iterator[dict[tuple[int, int], GLRenderer]]:
    renderers: dict[tuple[int, int], GLRenderer] = {}
    yield renderers
    for renderer in renderers.values():
        renderer.close()


@pytest.fixture
def opener(opened: dict[tuple[int, int], GLRenderer]):
    try:
        open_context().release()
    except OpenGLMissing as error:
        pytest.skip(str(error))

    def open_size(size: tuple[int, int]) -> GLRenderer:
        if size not in opened:
            opened[size] = GLRenderer(size)
        return opened[size]

    return open_size


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_law_of_drawing(law, opener) -> None:
    law(opener)


def people() -> View:
    """Two walkers, one behind the other, and a box before them; all move, the camera too."""
    actors = []
    for number, (x, y) in enumerate([(-0.3, 4.0), (0.4, 4.6), (0.9, 3.4)]):
        body = plain_body(number) if number < 2 else solid("box", (0.4, 0.3, 0.8), 1)
        turns = np.tile(np.eye(3, dtype=np.float32), (2, len(BONES), 1, 1))
        for frame in (0, 1):
            swing = 0.5 * (-1) ** number + 0.1 * frame
            for bone, way in (("left_thigh", 1), ("right_thigh", -1), ("left_upper_arm", -1)):
                cos, sin = np.cos(way * swing), np.sin(way * swing)
                turns[frame, BONES.index(bone)] = [[1, 0, 0], [0, cos, -sin], [0, sin, cos]]
        root = np.array([[x, y, body.joints[0, 2]], [x + 0.06, y - 0.1, body.joints[0, 2]]])
        poses = BonePoses(turns, root.astype(np.float32), np.array([0, 0.04]))
        now, after = body.skin_matrices(poses)
        actors.append(Actor(body, now, after, thing=number == 2))
    cameras = [
        look_at(np.array([x, 0, 1.5]), np.array([x + 0.1, 4.2, 0.85]), BIG, 150.0)
        for x in (0.0, 0.05)
    ]
    place = procedural_environment(1, place="outdoor", height=128)
    return View(cameras[0], place, actors, following=cameras[1])


@pytest.fixture(scope="module")
def both(opened: dict[tuple[int, int], GLRenderer]) -> tuple[Layers, Layers]:
    """The same view drawn by OpenGL and by numpy."""
    try:
        renderer = opened.setdefault(BIG, GLRenderer(BIG))
    except OpenGLMissing as error:
        pytest.skip(str(error))
    view = people()
    return renderer.draw(view, flow=True), SoftRenderer(BIG).draw(view, flow=True)


def test_ids_agree_but_for_a_few_pixels_on_edges(both: tuple[Layers, Layers]) -> None:
    gl, soft = both
    differ = gl.person != soft.person
    assert {0, 1, 2, 255} == set(np.unique(gl.person).tolist())
    assert differ.sum() <= 0.002 * (gl.person > 0).sum()
    ids = np.pad(soft.person, 1, mode="edge")
    around = [ids[y : y + 120, x : x + 160] for y in range(3) for x in range(3)]
    edge = np.max(around, 0) != np.min(around, 0)
    assert edge[differ].all()


def test_depths_agree_to_a_millimetre(both: tuple[Layers, Layers]) -> None:
    gl, soft = both
    same = (gl.person == soft.person) & (gl.person > 0)
    off = np.abs(gl.depth[same] - soft.depth[same])
    # A fold of the skin seen edge-on may show either side.
    assert np.percentile(off, 99.5) < 1e-3 and off.max() < 0.2


def test_flow_agrees_to_a_twentieth_of_a_pixel(both: tuple[Layers, Layers]) -> None:
    gl, soft = both
    same = gl.person == soft.person
    off = np.abs(gl.flow - soft.flow)[same]
    assert np.percentile(off, 99.8) < 0.05
    assert np.abs(gl.flow[gl.person > 0]).mean() > 0.5
    assert np.abs(off[(gl.person == 0)[same]]).max() < 1e-4


def test_light_and_shadows_agree(both: tuple[Layers, Layers]) -> None:
    gl, soft = both
    same = gl.person == soft.person
    off = np.abs(gl.linear - soft.linear).max(-1)
    assert off[same & (gl.person > 0)].mean() < 0.01
    assert off[same & (gl.person == 0)].mean() < 0.01
    assert people().environment.sun_colour.any()


def test_two_renderers_live_side_by_side(opener) -> None:
    view = people()
    small = replace(view, camera=look_at(np.array([0, 0, 1.5]), np.array([0, 4, 1]), (32, 24), 30))
    small = replace(small, following=None)
    first = opener(BIG).draw(view).linear
    opener((32, 24)).draw(small)
    assert (opener(BIG).draw(view).linear == first).all()


def test_two_hundred_actors_are_told_apart(opener) -> None:
    from panels import camera, on_picture, placed

    actors = []
    for number in range(200):
        x, y = number % 32, number // 32
        square = panel(on_picture(x - 0.5, y - 0.5, x + 0.5, y + 0.5, 2), f"dot{number}")
        actors.append(placed(square))
    person = opener((32, 24)).draw(View(camera(), even_light(), actors)).person
    assert person.ravel()[:200].tolist() == list(range(1, 201))


def test_a_missing_package_names_what_to_install_and_what_works_without(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "moderngl", None)
    with pytest.raises(MissingExtra, match="moderngl") as caught:
        GLRenderer((8, 8))
    for said in ("chronopose[synth]", "libegl1", "libgl1-mesa-dri", "kind='soft'"):
        assert said in str(caught.value)


def test_a_driver_that_opens_no_context_is_named(monkeypatch) -> None:
    moderngl = pytest.importorskip("moderngl")

    def fail(**_: object) -> None:
        raise Exception("libEGL.so.1: cannot open")

    monkeypatch.setattr(moderngl, "create_context", fail)
    with pytest.raises(OpenGLMissing, match="cannot open"):
        open_context()


def test_opengl_is_taken_where_it_opens(opener) -> None:
    assert isinstance(opener((32, 24)), GLRenderer)
    renderer = open_renderer((16, 16))
    assert isinstance(renderer, GLRenderer) and renderer.device
    renderer.close()
    renderer.close()


def test_torch_and_its_compiler_can_be_loaded_after_a_context_was_opened(opener) -> None:
    # Mesa's LLVM loaded before Triton's used to kill the process.
    code = (
        "from contextlib import suppress\n"
        "from chronopose.synth.render_gl import open_context\n"
        "open_context()\n"
        "with suppress(ImportError):\n"
        "    import triton\n"
        "print('alive')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "alive", done.stderr

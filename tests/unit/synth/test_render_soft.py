from __future__ import annotations

import logging

import numpy as np
import pytest
from drawing_laws import LAWS, Open

from chronopose.errors import UsageError
from chronopose.synth import renderer as choice
from chronopose.synth.body import BONES, BonePoses
from chronopose.synth.contact import MAX_SPHERES, hull_of, sky_left
from chronopose.synth.kept import Kept
from chronopose.synth.normals import vertex_normals
from chronopose.synth.plain_body import plain_body
from chronopose.synth.raster import rasterise
from chronopose.synth.render_gl import OpenGLMissing
from chronopose.synth.render_soft import SoftRenderer
from chronopose.synth.textures import pyramid, read_picture


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_law_of_drawing(law) -> None:
    opened: dict[tuple[int, int], SoftRenderer] = {}

    def opener(size: tuple[int, int]) -> SoftRenderer:
        return opened.setdefault(size, SoftRenderer(size))

    law_open: Open = opener
    law(law_open)
    for renderer in opened.values():
        renderer.close()


def test_two_triangles_that_share_an_edge_leave_no_gap_and_no_pixel_twice() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        square = rng.uniform(-4, 36, (4, 2))
        order = np.argsort(np.arctan2(*(square - square.mean(0)).T))
        square = np.concatenate([square[order] * 2.0, np.full((4, 1), 2.0)], 1)
        both = np.ones(2, bool)
        whole = rasterise(square[[[0, 1, 2], [0, 2, 3]]], (32, 32), 0.1, both)
        other = rasterise(square[[[1, 2, 3], [1, 3, 0]]], (32, 32), 0.1, both)
        assert len(np.unique(whole.pixel)) == len(whole.pixel)
        if _convex(square[:, :2]):
            assert set(whole.pixel.tolist()) == set(other.pixel.tolist())


def _convex(square: np.ndarray) -> bool:
    edges = np.roll(square, -1, 0) - square
    after = np.roll(edges, -1, 0)
    turns = edges[:, 0] * after[:, 1] - edges[:, 1] * after[:, 0]
    return bool((turns > 0).all() or (turns < 0).all())


def test_many_small_faces_are_drawn_as_one_large_one_whatever_the_chunk(monkeypatch) -> None:
    line = np.linspace(-0.5, 15.5, 9)
    x, y = np.meshgrid(line, line)
    points = np.stack([x.ravel(), y.ravel(), np.ones(81)], -1)
    cell = np.arange(81).reshape(9, 9)[:-1, :-1].ravel()
    faces = np.concatenate([cell[:, None] + [0, 9, 1], cell[:, None] + [1, 9, 10]])
    both = np.ones(len(faces), bool)
    found = rasterise(points[faces], (16, 16), 0.1, both)
    assert sorted(found.pixel.tolist()) == list(range(256))
    monkeypatch.setattr("chronopose.synth.raster._CHUNK", 7)
    again = rasterise(points[faces], (16, 16), 0.1, both)
    assert (again.pixel == found.pixel).all() and (again.face == found.face).all()


def test_normals_are_smooth_over_a_seam_and_sharp_at_an_edge() -> None:
    # A flat strip of two squares that meet in doubled vertices, then a wall that goes down.
    points = np.array(
        [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (1, 0, 0), (2, 0, 0.2), (2, 1, 0.2),
         (1, 1, 0), (0, 0, 0), (0, 1, 0), (0, 1, -1), (0, 0, -1)]
    )  # fmt: skip
    quads = np.arange(12).reshape(3, 4)
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    normals = vertex_normals(points, faces)
    np.testing.assert_allclose(normals[1], normals[4], atol=1e-6)
    # One triangle of the level square, two of the tilted one: (0, 0, 1) + 2 (-0.2, 0, 1).
    np.testing.assert_allclose(normals[1], np.array([-0.4, 0, 3]) / np.sqrt(9.16), atol=1e-6)
    np.testing.assert_allclose(normals[0], [0, 0, 1], atol=1e-6)
    np.testing.assert_allclose(normals[8], [-1, 0, 0], atol=1e-6)


def test_pictures_are_halved_in_linear_light_and_read_at_the_fitting_size() -> None:
    picture = np.zeros((2, 2, 4), np.uint8)
    picture[0, :, :3] = 255
    picture[..., 3] = 255
    levels = pyramid(picture)
    np.testing.assert_allclose(levels[1], [[[0.5, 0.5, 0.5, 1]]])
    uv = np.array([[0.25, 0.75], [0.25, 0.25], [0.25, 0.75]])
    read = read_picture(levels, uv, np.array([1.0, 0.1, 2.0]))
    np.testing.assert_allclose(read[:, 0], [1, 0, 0.5])


def test_soft_is_taken_and_said_where_no_context_opens(monkeypatch, caplog) -> None:
    def missing(size: tuple[int, int]) -> None:
        raise OpenGLMissing("no driver")

    monkeypatch.setattr(choice, "GLRenderer", missing)
    with caplog.at_level(logging.WARNING, "chronopose"):
        renderer = choice.open_renderer((8, 8))
    assert isinstance(renderer, SoftRenderer)
    assert "plain numpy" in caplog.text and "libegl1" in caplog.text
    with pytest.raises(OpenGLMissing, match=r"chronopose\[synth\].*kind='soft'"):
        choice.open_renderer((8, 8), "gl")


def test_soft_can_be_asked_for_and_other_kinds_are_refused() -> None:
    assert isinstance(choice.open_renderer((8, 8), "soft"), SoftRenderer)
    with pytest.raises(UsageError, match="auto, gl, soft"):
        choice.open_renderer((8, 8), "vulkan")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="above zero"):
        choice.open_renderer((0, 8))


def test_a_sphere_above_a_point_hides_its_form_factor_of_the_sky() -> None:
    ball = np.array([[0, 0, 1.0, 0.5]], np.float32)
    # Below its middle (r / d)² = 1 / 4; one metre aside cos 45° * 0.25 / 2.
    left = sky_left(np.array([[0.0, 0.0], [1.0, 0.0]]), ball)
    np.testing.assert_allclose(left, [0.75, 1 - 0.7071 / 8], atol=1e-4)


def test_the_hull_of_a_bent_person_holds_every_vertex_and_its_spheres_lie_inside() -> None:
    body = plain_body(2)
    rng = np.random.default_rng(0)
    turns = np.linalg.qr(rng.normal(size=(1, len(BONES), 3, 3)))[0]
    turns *= np.sign(np.linalg.det(turns))[..., None, None]
    poses = BonePoses(turns.astype(np.float32), np.zeros((1, 3), np.float32), np.zeros(1))
    matrices = body.skin_matrices(poses)[0]
    hull, moved = hull_of(body), body.skin(matrices)
    corners = hull.posed_corners(matrices)
    assert (moved >= corners.min(0) - 0.01).all() and (moved <= corners.max(0) + 0.01).all()
    spheres = hull.posed_spheres(matrices)
    assert 20 < len(spheres) <= MAX_SPHERES
    gap = np.linalg.norm(spheres[:, None, :3] - moved, axis=-1).min(1)
    assert (gap < 0.2).all() and (spheres[:, 3] > 0.005).all() and (spheres[:, 3] < 0.3).all()


def test_the_least_used_value_leaves_and_other_sources_make_it_anew() -> None:
    left: list[str] = []
    kept: Kept[str] = Kept(2, left.append)
    one, other = object(), object()
    assert kept.get("a", (one,), lambda: "a1") == "a1"
    assert kept.get("b", (one,), lambda: "b1") == "b1"
    assert kept.get("a", (one,), lambda: "never") == "a1"
    kept.get("c", (one,), lambda: "c1")
    assert left == ["b1"]
    assert kept.get("a", (other,), lambda: "a2") == "a2"
    kept.clear()
    assert left[:2] == ["b1", "a1"] and set(left[2:]) == {"c1", "a2"}

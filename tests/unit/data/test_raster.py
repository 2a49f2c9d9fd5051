"""The capsule rasteriser."""

from __future__ import annotations

import numpy as np

from chronopose.data.raster import Canvas, Capsule, motion_blur


def canvas(size: int = 40) -> Canvas:
    background = np.zeros((3, size, size), np.float32)
    return Canvas(background, np.zeros(2), 100.0, np.array([0.0, 0.0, -1.0]))


def ball(
    x: float, y: float, depth: float, radius: float, owner: int, move: tuple[float, float] = (0, 0)
) -> Capsule:
    now = np.array([[x, y, depth, radius], [x, y, depth, radius]])
    later = now + np.array([*move, 0, 0])
    return Capsule(now, later, np.array([200.0, 100.0, 50.0]), owner)


def test_a_ball_covers_the_area_of_its_circle():
    picture = canvas()
    picture.draw([ball(20, 20, 2.0, 10, 1)])
    assert abs((picture.owner == 1).sum() - np.pi * 10**2) < 12


def test_the_nearer_ball_hides_the_farther_one_whatever_the_order():
    near, far = ball(20, 20, 2.0, 6, 1), ball(24, 20, 3.0, 6, 2)
    for order in ([near, far], [far, near]):
        picture = canvas()
        picture.draw(order)
        assert picture.owner[20, 22] == 1
        assert picture.owner[20, 28] == 2


def test_depth_of_the_middle_is_nearer_by_the_radius():
    picture = canvas()
    picture.draw([ball(20, 20, 2.0, 5, 1)])
    # 5 px at 2 m and 100 px focal length are 0.1 m.
    np.testing.assert_allclose(picture.depth[20, 20], 1.9, atol=1e-5)


def test_a_surface_facing_the_light_is_brighter():
    picture = canvas()
    picture.draw([ball(20, 20, 2.0, 10, 1)])
    # Ambient 0.45, full light 1.05; at 9 of 10 px the surface faces the light by sqrt(1 - 0.81).
    np.testing.assert_allclose(picture.image[0, 20, 20], 200 * 1.05, rtol=1e-4)
    np.testing.assert_allclose(picture.image[0, 20, 11], 200 * (0.45 + 0.6 * 0.19**0.5), rtol=1e-4)


def test_flow_of_a_moving_ball_is_its_move():
    picture = canvas()
    picture.draw([ball(20, 20, 2.0, 6, 1, move=(3.0, -2.0))])
    inside = picture.owner == 1
    np.testing.assert_allclose(picture.flow[0][inside], 3.0, atol=1e-4)
    np.testing.assert_allclose(picture.flow[1][inside], -2.0, atol=1e-4)
    assert (picture.flow[:, ~inside] == 0).all()


def test_flow_of_a_turning_stick_grows_along_it():
    now = np.array([[10.0, 20, 2, 3], [30.0, 20, 2, 3]])
    later = np.array([[10.0, 20, 2, 3], [10.0, 40, 2, 3]])
    picture = canvas(48)
    picture.draw([Capsule(now, later, np.full(3, 200.0), 1)])
    # A quarter turn about (10, 20): the point (20, 20) goes to (10, 30).
    np.testing.assert_allclose(picture.flow[:, 20, 20], [-10, 10], atol=1e-4)
    np.testing.assert_allclose(picture.flow[:, 20, 10], [0, 0], atol=1e-4)


def test_things_behind_the_camera_are_not_drawn():
    picture = canvas()
    picture.draw([ball(20, 20, -1.0, 6, 1)])
    assert (picture.owner == -2).all()


def test_motion_blur_leaves_what_stands_still_alone():
    image = np.random.default_rng(0).uniform(0, 255, (3, 9, 9)).astype(np.float32)
    blurred = motion_blur(image, np.zeros((2, 9, 9), np.float32), 0.5)
    np.testing.assert_array_equal(blurred, image)


def test_motion_blur_spreads_a_dot_along_its_flow_around_its_place():
    image = np.zeros((3, 9, 9), np.float32)
    image[:, 4, 4] = 100
    flow = np.zeros((2, 9, 9), np.float32)
    flow[0] = 4.0
    blurred = motion_blur(image, flow, 1.0)
    np.testing.assert_allclose(blurred[0, 4], [0, 0, 20, 20, 20, 20, 20, 0, 0], atol=1e-4)

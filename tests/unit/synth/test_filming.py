"""The one behind the camera stands still, trembles, pans or zooms, and does not lose people."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from chronopose.synth.camera import Camera
from chronopose.synth.filming import (
    LOOK_AT_M,
    PAN_SHARE,
    STYLES,
    Shooting,
    draw_shooting,
    follow_cameras,
    share_in_picture,
)

SIZE = (640, 360)
TIMES = np.arange(101) / 25
STILL = Shooting("static", 1.6, 500.0, 0.64, 0.0, 0.0, 1.0)


def film(shooting: Shooting, times: np.ndarray = TIMES) -> tuple[Camera, ...]:
    return follow_cameras(shooting, 4.0, times, SIZE, np.random.default_rng(0))


def drawn(count: int, seconds: float = 2.0, lively: bool = False) -> list[Shooting]:
    rng = np.random.default_rng(0)
    return [draw_shooting(SIZE, seconds, lively, rng) for _ in range(count)]


def yaw_deg(camera: Camera) -> float:
    x, y, _ = camera.rotation[2]
    return float(np.rad2deg(np.arctan2(x, y)))


def test_a_still_camera_is_one_object_for_the_whole_clip():
    cameras = film(STILL)
    assert len(cameras) == 101
    assert all(camera is cameras[0] for camera in cameras)


def test_who_stands_where_the_camera_looks_is_in_the_middle_of_its_picture():
    camera = film(STILL)[0]
    xy, depth = camera.project(np.array([0, 4, LOOK_AT_M]))
    np.testing.assert_allclose(xy, (319.5, 179.5), atol=1e-9)
    np.testing.assert_allclose(depth, np.hypot(4, 1.6 - LOOK_AT_M))
    np.testing.assert_allclose(camera.place, (0, 0, 1.6), atol=1e-12)


def test_a_pan_turns_at_its_speed_and_looks_ahead_halfway():
    cameras = film(replace(STILL, style="pan", pan_deg_s=5.0))
    assert yaw_deg(cameras[50]) == pytest.approx(0, abs=1e-9)
    # 4 seconds at 5 degrees a second.
    assert yaw_deg(cameras[100]) - yaw_deg(cameras[0]) == pytest.approx(20)


def test_a_zoom_ends_at_its_share_of_the_first_focal_length():
    cameras = film(replace(STILL, style="zoom", zoom=1.44))
    focals = [cameras[n].intrinsics[0, 0] for n in (0, 50, 100)]
    np.testing.assert_allclose(focals, (500, 600, 720))


def test_a_hand_trembles_by_as_much_as_it_says():
    cameras = film(replace(STILL, style="handheld", shake_deg=0.5), np.arange(3000) / 10)
    assert np.std([yaw_deg(c) for c in cameras]) == pytest.approx(0.5, rel=0.1)
    steps = np.abs(np.diff([yaw_deg(c) for c in film(replace(STILL, shake_deg=0.5))]))
    assert steps.max() < 0.5


def test_all_styles_are_drawn_but_a_lively_camera_never_stands_still():
    assert {s.style for s in drawn(60)} == set(STYLES)
    assert {s.style for s in drawn(60, lively=True)} == set(STYLES) - {"static"}
    calm, lively = drawn(200), drawn(200, lively=True)
    assert max(s.shake_deg for s in calm) <= 0.7 < max(s.shake_deg for s in lively) <= 1.4


def test_the_longer_side_sees_45_to_70_degrees_upright_too():
    rng = np.random.default_rng(0)
    for size in (SIZE, (360, 640)):
        for shooting in (draw_shooting(size, 2.0, False, rng) for _ in range(20)):
            seen = np.rad2deg(2 * np.arctan(320 / shooting.focal_px))
            assert 45 <= seen <= 70
            assert shooting.half_width == pytest.approx(size[0] / 2 / shooting.focal_px)


def test_a_long_pan_is_so_slow_that_the_middle_stays_in_the_picture():
    pans = [s for s in drawn(200, seconds=20.0, lively=True) if s.style == "pan"]
    for shooting in pans:
        half_deg = np.rad2deg(np.arctan(shooting.half_width))
        assert abs(shooting.pan_deg_s) * 10 <= PAN_SHARE * half_deg + 1e-9
    assert pans


def test_a_camera_is_held_by_a_person_over_the_ground():
    heights = [s.height_m for s in drawn(200)]
    assert 1.15 <= min(heights) < 1.3 and 1.85 < max(heights) <= 2.0


def test_the_share_in_the_picture_counts_points_before_the_camera_and_between_its_edges():
    camera = film(STILL)[0]
    # At 5 m the picture reaches 5 * 320 / 500 = 3.2 m to either side.
    points = np.array([[0, 5, 1.0], [3.1, 5, 1.0], [3.3, 5, 1.0], [0, -5, 1.0]])
    np.testing.assert_allclose(share_in_picture([camera, camera], np.stack([points] * 2)), 0.5)
    assert share_in_picture([camera], points[None, :2]).tolist() == [1.0]

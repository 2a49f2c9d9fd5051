"""Where a lifted person stands."""

from __future__ import annotations

import numpy as np
import pytest

from chronopose.errors import UsageError
from chronopose.pipeline.place import Pinhole, fit_root, place_root

CAMERA = Pinhole(1000.0, (320.0, 240.0))
RNG = np.random.default_rng(0)
BODY = RNG.normal(0, 300, (40, 17, 3))
ONE = np.ones((40, 17))


def test_usual_camera_is_that_of_human36m() -> None:
    assert Pinhole.assumed((1000, 1000)) == Pinhole(1145.0, (499.5, 499.5))
    assert Pinhole.assumed((1080, 1920)).focal_px == pytest.approx(1.145 * 1920)


def test_a_right_angle_sees_half_its_side_at_that_distance() -> None:
    assert Pinhole.assumed((640, 480), fov_deg=90).focal_px == pytest.approx(320)
    assert Pinhole.assumed((640, 480), focal_px=77).focal_px == 77


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"focal_px": 1.0, "fov_deg": 50.0}, "not both"),
        ({"focal_px": 0.0}, "above 0 px; got 0"),
        ({"fov_deg": 180.0}, "got 180"),
    ],
)
def test_impossible_lenses_are_refused(given: dict[str, float], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Pinhole.assumed((640, 480), **given)


def test_projection_by_hand() -> None:
    # 0.1 m at 2 m is a twentieth: 50 px.
    np.testing.assert_allclose(CAMERA.project(np.array([100.0, -200, 2000])), [370, 140])
    assert np.isnan(CAMERA.project(np.array([0.0, 0, -1]))).all()


def test_exact_pictures_give_the_exact_place() -> None:
    place = np.stack(
        [np.linspace(-900, 900, 40), np.full(40, 100.0), np.linspace(2500, 9000, 40)], -1
    )
    seen = CAMERA.project(BODY + place[:, None])
    np.testing.assert_allclose(fit_root(BODY, seen, ONE, CAMERA), place, atol=0.01)


def test_a_lens_twice_as_long_puts_a_flat_person_twice_as_far() -> None:
    flat = BODY * (1, 1, 0)
    seen = CAMERA.project(flat + np.array([0, 0, 4000]))
    longer = Pinhole(2000.0, CAMERA.centre_px)
    np.testing.assert_allclose(fit_root(flat, seen, ONE, longer)[:, 2], 8000, rtol=1e-6)


def test_joints_of_low_score_count_less() -> None:
    place = np.array([200.0, -100.0, 4000.0])
    seen = CAMERA.project(BODY + place)
    seen[:, 3] += 80
    doubtful = ONE.copy()
    doubtful[:, 3] = 0.0
    off = np.abs(fit_root(BODY, seen, ONE, CAMERA) - place).mean()
    assert np.abs(fit_root(BODY, seen, doubtful, CAMERA) - place).mean() < 0.2 * off


def test_distance_becomes_steady_and_the_picture_stays() -> None:
    times = np.arange(200) / 25
    body = np.repeat(BODY[:1], 200, axis=0)
    place = np.stack([0 * times, 0 * times, 4000 + 500 * times], -1)
    exact = CAMERA.project(body + place[:, None])
    seen = exact + np.random.default_rng(1).normal(0, 6, exact.shape)
    score = np.ones(seen.shape[:2])
    rough = place_root(body, seen, score, times, CAMERA, depth_noise=0)
    calm = place_root(body, seen, score, times, CAMERA)
    np.testing.assert_array_equal(rough, fit_root(body, seen, score, CAMERA))
    # A walk of half a metre a second stays one, the tremble goes.
    assert np.abs(np.diff(calm[:, 2], 2)).mean() < 0.05 * np.abs(np.diff(rough[:, 2], 2)).mean()
    assert np.abs(calm - place)[..., 2].mean() < np.abs(rough - place)[..., 2].mean()
    assert calm[150, 2] - calm[50, 2] == pytest.approx(2000, rel=0.05)
    off = np.linalg.norm(CAMERA.project(body + calm[:, None]) - exact, axis=-1)
    assert off.mean() < 3


def test_a_person_in_one_point_is_put_somewhere_finite() -> None:
    found = fit_root(np.zeros((1, 17, 3)), np.full((1, 17, 2), 320.0), np.ones((1, 17)), CAMERA)
    assert np.isfinite(found).all()

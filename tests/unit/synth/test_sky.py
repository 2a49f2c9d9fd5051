from __future__ import annotations

import numpy as np
import pytest

from chronopose.errors import UsageError
from chronopose.synth.light import LUMINANCE, panorama_directions, solid_angles
from chronopose.synth.scene import Environment
from chronopose.synth.sky import procedural_environment
from chronopose.synth.sky_canvas import Ball, Block, Canvas, Noise, in_shade

SEEDS = range(5)


@pytest.fixture(scope="module")
def places() -> dict[tuple[str, int], Environment]:
    return {
        (place, seed): procedural_environment(seed, place=place, height=96)
        for place in ("outdoor", "indoor")
        for seed in SEEDS
    }


def test_every_place_is_finite_lit_and_exposed(places: dict[tuple[str, int], Environment]) -> None:
    for environment in places.values():
        assert environment.radiance.shape == (96, 192, 3)
        assert environment.radiance.dtype == np.float32
        assert np.isfinite(environment.radiance).all() and environment.radiance.min() >= 0
        light = environment.exposure * (environment.radiance @ LUMINANCE)
        assert 0.05 < np.median(light) < 0.8


def test_the_sky_is_bluer_than_the_ground_and_some_places_have_a_sun(
    places: dict[tuple[str, int], Environment],
) -> None:
    suns = 0
    for seed in SEEDS:
        outside = places["outdoor", seed]
        sky, ground = (np.median(p, (0, 1)) for p in (outside.radiance[:30], outside.radiance[70:]))
        assert sky[2] / sky[0] > ground[2] / ground[0]
        suns += bool(outside.sun_colour.any())
    assert 0 < suns < len(SEEDS)


def test_a_sun_stands_where_the_picture_is_brightest(
    places: dict[tuple[str, int], Environment],
) -> None:
    for environment in (places["outdoor", seed] for seed in SEEDS):
        if environment.sun_colour.any():
            light = environment.radiance @ LUMINANCE
            row, column = np.unravel_index(light.argmax(), light.shape)
            brightest = panorama_directions(96, 192)[row, column]
            assert environment.sun_direction @ brightest > np.cos(np.radians(3))


def test_the_same_seed_gives_the_same_bytes_and_other_seeds_and_splits_other_places() -> None:
    one, again = (procedural_environment(3, height=64) for _ in range(2))
    assert one.radiance.tobytes() == again.radiance.tobytes()
    assert one.exposure == again.exposure and one.key == again.key
    others = procedural_environment(4, height=64), procedural_environment(3, "test", height=64)
    for other in others:
        assert other.key != one.key
        assert np.abs(other.radiance - one.radiance).mean() > 0.02


def test_both_kinds_of_places_come_up() -> None:
    keys = {procedural_environment(seed, height=16).key.split("/")[0] for seed in range(12)}
    assert keys == {"indoor", "outdoor"}


@pytest.mark.parametrize(
    "wrong",
    [{"seed": -1}, {"seed": 0, "split": "dev"}, {"seed": 0, "place": "sea"},
     {"seed": 0, "height": 2}],
)  # fmt: skip
def test_what_does_not_exist_is_refused(wrong: dict) -> None:
    with pytest.raises(UsageError):
        procedural_environment(**wrong)


def test_a_block_ahead_covers_its_angle_and_is_as_far_as_its_front() -> None:
    canvas = Canvas(90)
    # 2 degrees a pixel. Front at y = 9, half a width of 3: atan(3 / 9) = 18.4 degrees each side.
    hit = canvas.block(Block((0.0, 10.0), (3.0, 1.0), 0.0, 3.0))
    row, column = np.divmod(hit.index, 180)
    level = column[row == 44]
    assert (level.min(), level.max()) == (81, 98)
    middle = hit.distance[(row == 44) & (column == 90)]
    np.testing.assert_allclose(middle, 9, rtol=2e-3)
    assert np.abs(hit.normal @ [0, -1, 0] - 1).max() < 1e-6


def test_a_nearer_block_hides_a_farther_one() -> None:
    canvas = Canvas(64)
    near = canvas.block(Block((0.0, 5.0), (2.0, 1.0), 0.0, 4.0))
    canvas.put(near, np.ones(3))
    behind = canvas.block(Block((0.0, 12.0), (2.0, 1.0), 0.0, 4.0))
    assert len(near.index) > 0 and len(behind.index) == 0


def test_a_ball_is_as_large_as_its_angle_and_nearest_in_its_middle() -> None:
    canvas = Canvas(180)
    hit = canvas.ball(Ball((10.0, 0.0, 1.5), 6.0), Noise(np.random.default_rng(0)))
    # Its half angle has the sine 0.6 and the cosine 0.8: a cap of 2 pi (1 - 0.8) steradians.
    covered = solid_angles(180, 360)[hit.index // 360].sum()
    np.testing.assert_allclose(covered, 0.4 * np.pi, rtol=0.01)
    np.testing.assert_allclose(hit.distance.min(), 4, rtol=1e-3)


def test_shade_lies_behind_a_block_as_long_as_the_sun_is_low() -> None:
    # 2 m tall, sun at 45 degrees from +x: the shade reaches 2 m towards -x.
    sun = np.array([1, 0, 1]) / np.sqrt(2)
    points = np.array([[-1.5, 0, 0], [-1.9, 0, 0], [-2.1, 0, 0], [0.6, 0, 0], [-1.0, 3, 0]])
    block = Block((0.25, 0.0), (0.25, 1.0), 0.0, 2.0)
    assert in_shade(points, sun, [block], []).tolist() == [True, True, False, False, False]


def test_noise_fades_where_a_pixel_sees_more_than_its_bumps() -> None:
    noise = Noise(np.random.default_rng(0))
    x, y = np.random.default_rng(1).uniform(0, 50, (2, 4000))
    sharp, blurred = noise.fractal(x, y, 4), noise.fractal(x, y, 4, blur=0.3)
    assert 0 < blurred.std() < sharp.std() and not noise.fractal(x, y, 4, blur=2.0).any()

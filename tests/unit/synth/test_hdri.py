from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from panels import camera

from chronopose.errors import FormatError, ShapeError
from chronopose.synth.hdri import (
    environment_from_hdri,
    environment_from_panorama,
    from_srgb,
    read_hdr,
    to_srgb,
    tone_map,
)
from chronopose.synth.light import (
    LUMINANCE,
    background_flow,
    irradiance_harmonics,
    lit,
    look_up,
    panorama_directions,
    solid_angles,
)

HEAD = b"#?RADIANCE\n# made by hand\nFORMAT=32-bit_rle_rgbe\n\n"
ONE, TWO = bytes((128, 64, 0, 129)), bytes((255, 0, 1, 136))
AXES = np.concatenate([np.eye(3), -np.eye(3)])


def write(folder: Path, data: bytes) -> Path:
    path = folder / "light.hdr"
    path.write_bytes(data)
    return path


def test_plain_pixels_are_mantissa_times_two_to_the_exponent_less_136(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + b"-Y 1 +X 3\n" + ONE + TWO + bytes(4))
    # 128 * 2^-7 = 1, 64 * 2^-7 = 0.5; 255 * 2^0 = 255, 1 * 2^0 = 1; exponent 0 is black.
    assert read_hdr(path).tolist() == [[[1, 0.5, 0], [255, 0, 1], [0, 0, 0]]]


def test_run_length_coded_rows_hold_runs_and_literals_a_component(tmp_path: Path) -> None:
    red = bytes((128 + 8, 128))
    green = bytes((2, 64, 32, 128 + 6, 16))
    blue = bytes((8, *range(8)))
    row = bytes((2, 2, 0, 8)) + red + green + blue + bytes((128 + 8, 129))
    read = read_hdr(write(tmp_path, HEAD + b"-Y 2 +X 8\n" + row + row))
    assert read.shape == (2, 8, 3)
    assert read[1, :, 0].tolist() == [1] * 8
    assert read[1, :, 1].tolist() == [0.5, 0.25] + [0.125] * 6
    assert read[1, :, 2].tolist() == [n / 128 for n in range(8)]


def test_old_repeats_copy_the_pixel_before_and_grow_by_256(tmp_path: Path) -> None:
    pixels = ONE + bytes((1, 1, 1, 2)) + bytes((1, 1, 1, 1)) + TWO
    read = read_hdr(write(tmp_path, HEAD + b"-Y 1 +X 260\n" + pixels))
    # One, twice more, 1 * 256 times more, then the other.
    assert (read[0, :259, 0] == 1).all()
    assert read[0, 259].tolist() == [255, 0, 1]


def test_exposure_that_was_applied_is_taken_back(tmp_path: Path) -> None:
    head = HEAD.replace(b"FORMAT", b"EXPOSURE=4\nFORMAT")
    assert read_hdr(write(tmp_path, head + b"-Y 1 +X 1\n" + ONE)).tolist() == [[[0.25, 0.125, 0]]]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"PNG", "#?RADIANCE"),
        (HEAD + b"+X 3 -Y 1\n" + ONE, "size line"),
        (HEAD.replace(b"rgbe", b"xyze") + b"-Y 1 +X 1\n" + ONE, "32-bit_rle_rgbe"),
        (HEAD + b"-Y 2 +X 1\n" + ONE, "end early"),
        (HEAD + b"-Y 1 +X 8\n" + bytes((2, 2, 0, 8, 136)), "end early"),
        (HEAD + b"-Y 1 +X 8\n" + bytes((2, 2, 0, 8, 137, 1)) * 4, "damaged"),
    ],
)
def test_other_and_damaged_files_are_refused_with_the_reason(
    tmp_path: Path, data: bytes, said: str
) -> None:
    with pytest.raises(FormatError, match=said.replace("?", r"\?")):
        read_hdr(write(tmp_path, data))


def test_a_missing_file_and_a_picture_that_is_no_panorama_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="Check the name"):
        read_hdr(tmp_path / "none.hdr")
    with pytest.raises(FormatError, match="twice as wide"):
        environment_from_hdri(write(tmp_path, HEAD + b"-Y 1 +X 3\n" + ONE * 3))
    with pytest.raises(ShapeError, match=r"\(h, w, 3\)"):
        environment_from_panorama("flat", np.zeros((8, 16), np.float32))


def test_a_constant_panorama_lights_every_side_with_that_constant() -> None:
    panorama = np.full((64, 128, 3), (0.2, 0.5, 0.9), np.float32)
    np.testing.assert_allclose(
        lit(irradiance_harmonics(panorama), AXES), np.tile((0.2, 0.5, 0.9), (6, 1)), atol=2e-4
    )


def test_a_white_sky_over_black_ground_lights_the_top_fully_and_walls_by_half() -> None:
    panorama = np.zeros((64, 128, 3), np.float32)
    panorama[:32] = 1
    light = lit(irradiance_harmonics(panorama), AXES)[:, 0]
    # Bands 0 and 1 alone: (1 + cos) / 2, which is exact for this sky.
    np.testing.assert_allclose(light, [0.5, 0.5, 1, 0.5, 0.5, 0], atol=2e-3)


def test_directions_follow_the_layout_of_environments() -> None:
    directions = panorama_directions(4, 8)
    assert directions[0, 0, 2] > 0.9 and directions[3, 0, 2] < -0.9
    # The middle lies between columns 3 and 4: +y, with +x to the right of it.
    assert directions[1, 4, 1] > 0.8 and directions[1, 4, 0] > 0 > directions[1, 3, 0]
    np.testing.assert_allclose(solid_angles(4, 8).sum() * 8, 4 * np.pi, rtol=1e-6)


def test_looking_up_the_centre_of_a_pixel_gives_that_pixel_and_columns_wrap() -> None:
    panorama = np.random.default_rng(0).random((8, 16, 3)).astype(np.float32)
    seen = look_up(panorama, panorama_directions(8, 16))
    np.testing.assert_allclose(seen, panorama, atol=1e-5)
    behind = look_up(panorama, np.array([[0.0, -1.0, 0.0]]))
    np.testing.assert_allclose(behind[0], panorama[3:5][:, [0, 15]].mean((0, 1)), atol=1e-5)


def test_a_sun_is_found_with_its_place_and_strength_and_leaves_the_sky() -> None:
    panorama = np.full((128, 256, 3), 0.5, np.float32)
    panorama[32, 192] = 20_000, 10_000, 5_000
    found = environment_from_panorama("sunny", panorama)
    angle = float(solid_angles(128, 256)[32, 0])
    expected = (np.array([20_000, 10_000, 5_000]) - 0.5) * angle / np.pi
    np.testing.assert_allclose(found.sun_colour, expected, rtol=1e-4)
    np.testing.assert_allclose(
        found.sun_direction, panorama_directions(128, 256)[32, 192], atol=1e-6
    )
    np.testing.assert_allclose(lit(found.harmonics, AXES), 0.5, atol=1e-3)


def test_a_sky_without_a_bright_spot_has_no_sun() -> None:
    found = environment_from_panorama("grey", np.full((64, 128, 3), 0.5, np.float32))
    assert found.sun_colour.tolist() == [0, 0, 0]


def test_exposure_makes_twice_the_light_look_the_same() -> None:
    panorama = np.random.default_rng(1).random((32, 64, 3)).astype(np.float32) + 0.1
    one, two = (environment_from_panorama("x", panorama * k) for k in (1, 2))
    np.testing.assert_allclose(one.exposure, 2 * two.exposure, rtol=1e-5)


def test_even_grey_is_exposed_to_one_half_of_light() -> None:
    # Background weighs log(L), a white surface log(0.36 L): 0.18 / (0.6 L) = 0.3 / L.
    found = environment_from_panorama("grey", np.full((64, 128, 3), 0.7, np.float32))
    np.testing.assert_allclose(found.exposure * 0.7, 0.3, rtol=1e-3)


def test_a_quarter_turn_to_the_left_brings_what_was_on_the_right_before_us(tmp_path: Path) -> None:
    # Columns of a 2 x 4 panorama look at -y-x, -x+y, +y+x, +x-y: turned by 90 degrees
    # counter-clockwise, what was at +x-y stands at +y+x.
    row = b"".join(bytes((value, value, value, 136)) for value in (10, 20, 30, 40))
    path = write(tmp_path, HEAD + b"-Y 2 +X 4\n" + row + row)
    turned = environment_from_hdri(path, yaw_rad=np.pi / 2)
    assert turned.radiance[0, :, 0].tolist() == [20, 30, 40, 10]
    assert turned.key == "light@90"


def test_tone_curve_is_straight_to_a_half_then_bends_without_a_corner() -> None:
    np.testing.assert_allclose(tone_map(np.array([-1, 0, 0.25, 0.5])), [0, 0, 0.25, 0.5])
    # 1 - exp(1 - 2) / 2 at one.
    np.testing.assert_allclose(tone_map(np.array([1.0])), 1 - np.exp(-1) / 2, rtol=1e-6)
    left, middle, right = tone_map(np.array([0.499, 0.5, 0.501]))
    np.testing.assert_allclose(middle - left, right - middle, rtol=2e-3)
    assert tone_map(np.array([1e6])) == 1


def test_srgb_bytes_of_known_light() -> None:
    # The standard's linear part: 0.001 * 12.92 * 255 = 3.29; middle grey is 118.
    assert to_srgb(np.array([0, 0.001, 0.18, 0.5, 1, 7])).tolist() == [0, 3, 118, 188, 255, 255]
    steps = np.arange(256)
    assert (to_srgb(from_srgb(steps / 255)) == steps).all()


def test_background_flow_of_a_turning_camera_is_that_of_far_points() -> None:
    one, two = camera((64, 48)), camera((64, 48), turn=0.1)
    flow = background_flow(one, two)
    far = one.rays() * 1e9
    there, _ = two.project(far)
    here = np.stack(np.meshgrid(np.arange(64), np.arange(48)), -1)
    seen = np.isfinite(there).all(-1)
    np.testing.assert_allclose(flow[seen], (there - here)[seen], atol=1e-3)
    # Straight ahead: 10 tan(-0.1).
    np.testing.assert_allclose(flow[0, 0], [-10 * np.tan(0.1), 0], atol=1e-5)


@pytest.mark.data
def test_photographed_panoramas_give_light_that_agrees_with_the_picture(shared_data: Path) -> None:
    names = "rooitou_park_1k", "potsdamer_platz_1k", "studio_small_03_1k"
    found = {name: environment_from_hdri(shared_data / "hdri" / f"{name}.hdr") for name in names}
    for place in found.values():
        assert place.radiance.shape == (512, 1024, 3)
        assert np.isfinite(place.radiance).all() and place.radiance.min() >= 0
        assert 0.05 < place.exposure < 20
        # A grey of 0.4 that is turned to all sides.
        light = lit(place.harmonics, AXES).mean(0) + place.sun_colour / 4
        assert 0.05 < 0.4 * place.exposure * (light @ LUMINANCE) < 0.5
    assert found["rooitou_park_1k"].sun_colour.min() > 1
    # A sun just above the horizon, in the picture's column of greatest light.
    park = found["rooitou_park_1k"]
    row, column = np.unravel_index((park.radiance @ LUMINANCE).argmax(), (512, 1024))
    assert park.sun_direction @ panorama_directions(512, 1024)[row, column] > 0.999
    assert not found["potsdamer_platz_1k"].sun_colour.any()

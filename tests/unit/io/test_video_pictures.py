"""Pictures as the frames of a video."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from video_files import cut, number_of, numbered, read_all

from chronopose.errors import VideoError
from chronopose.io.video import open_video


def write_pictures(folder: Path, *names: str, size: tuple[int, int] = (96, 64)) -> Path:
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(names):
        Image.fromarray(numbered(number, size)).save(folder / name)
    return folder


def test_pictures_come_in_natural_order_25_a_second(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "f", "img1.png", "img2.png", "img10.png")
    frames, damage = read_all(folder)
    assert [number_of(f.image) for f in frames] == [0, 1, 2]
    assert [(f.index, f.time_s) for f in frames] == [(0, 0.0), (1, 0.04), (2, 0.08)]
    assert damage is None


def test_another_rate_range_and_stride(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "f", *(f"{n}.png" for n in range(10)))
    frames, _ = read_all(folder, picture_rate_hz=10, start_s=0.3, end_s=0.8, stride=2)
    assert [f.index for f in frames] == [3, 5, 7]
    assert [number_of(f.image) for f in frames] == [3, 5, 7]
    assert [f.time_s for f in frames] == [0.3, 0.5, 0.7]


def test_one_picture_is_a_video_of_one_frame(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "f", "a.png", "b.png")
    frames, _ = read_all(folder / "b.png")
    assert [number_of(f.image) for f in frames] == [1]


def test_the_facts_of_a_folder(tmp_path: Path) -> None:
    with open_video(write_pictures(tmp_path / "f", "a.png", "b.png")) as reader:
        info = reader.info
    assert (info.size, info.num_frames, info.rate_hz) == ((96, 64), 2, 25.0)
    assert (info.codec, info.duration_s) == ("images", 0.08)


def test_the_turn_noted_by_the_camera_is_applied(tmp_path: Path) -> None:
    image = Image.fromarray(numbered(1))
    exif = image.getexif()
    exif[0x0112] = 6  # to be shown turned clockwise by a quarter
    image.save(tmp_path / "a.png", exif=exif)
    with open_video(tmp_path / "a.png") as reader:
        frame = next(iter(reader))
        assert reader.info.size == (64, 96)
    np.testing.assert_array_equal(frame.image, np.rot90(numbered(1), -1))


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1", "CMYK"])
def test_every_kind_of_picture_becomes_rgb(tmp_path: Path, mode: str) -> None:
    Image.new("RGB", (8, 6), "white").convert(mode).save(tmp_path / "a.tiff")
    frames, _ = read_all(tmp_path / "a.tiff")
    np.testing.assert_array_equal(frames[0].image, np.full((6, 8, 3), 255))


def test_sixteen_bits_are_scaled_to_eight(tmp_path: Path) -> None:
    Image.fromarray(np.full((6, 8), 0x4321, np.uint16)).save(tmp_path / "a.png")
    frames, _ = read_all(tmp_path / "a.png")
    np.testing.assert_array_equal(frames[0].image, np.full((6, 8, 3), 0x43))


def test_a_text_among_the_pictures_is_found_before_any_work(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "f", "0.png", "1.png")
    (folder / "1.png").write_text("no picture")
    with pytest.raises(VideoError, match=r"1\.png is no picture"):
        open_video(folder)


def test_pictures_of_two_sizes_are_refused(tmp_path: Path) -> None:
    write_pictures(tmp_path / "f", "0.png")
    Image.new("RGB", (32, 32)).save(tmp_path / "f" / "1.png")
    with pytest.raises(VideoError, match=r"1\.png has 32x32 pixels, but 0\.png has 96x64"):
        open_video(tmp_path / "f")


def test_a_picture_that_breaks_off_is_left_out_and_told(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "f", "0.png", "1.png", "2.png")
    noise = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "1.png")
    cut(folder / "1.png", 0.5)
    frames, damage = read_all(folder)
    assert [f.index for f in frames] == [0, 2]
    assert damage == "1 of 3 pictures is broken and was left out: 1.png."


def test_a_folder_of_broken_pictures_is_an_error(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "0.png")
    cut(tmp_path / "0.png", 0.5)
    with pytest.raises(VideoError, match=r"left out: 0\.png"):
        read_all(tmp_path)


def test_a_gigantic_picture_is_refused_with_its_size(tmp_path: Path) -> None:
    Image.new("1", (16384, 16384)).save(tmp_path / "0.png")
    with pytest.raises(VideoError, match="16384x16384 pixels = 268 megapixels"):
        open_video(tmp_path)


def test_a_single_pixel_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (1, 1)).save(tmp_path / "0.png")
    with pytest.raises(VideoError, match="1x1 pixels"):
        open_video(tmp_path)

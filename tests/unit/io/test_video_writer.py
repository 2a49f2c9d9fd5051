"""The overlay video keeps the source's timing and never appears half-written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from video_files import SIZE, number_of, numbered, read_all

from chronopose.errors import ShapeError, UsageError, VideoError
from chronopose.io.video import VideoWriter

TIMES_S = [10.0, 10.0333, 10.1, 10.35, 10.3512, 11.0, 14.0]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", ["out.mp4", "out.mov", "out.mkv"])
@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_a_variable_rate_survives_to_the_millisecond(tmp_path: Path, name: str, codec: str) -> None:
    with VideoWriter(tmp_path / name, SIZE, codec=codec) as writer:
        for number, time_s in enumerate(TIMES_S):
            writer.write(numbered(number), time_s)
    frames, damage = read_all(tmp_path / name)
    assert [number_of(f.image) for f in frames] == list(range(7))
    np.testing.assert_allclose([f.time_s for f in frames], np.subtract(TIMES_S, 10.0), atol=1.01e-3)
    assert damage is None
    assert names_in(tmp_path) == [name]


def test_the_common_rates_are_kept_to_the_clock_tick(tmp_path: Path) -> None:
    times_s = [n * 1001 / 30000 for n in range(40)]
    with VideoWriter(tmp_path / "out.mp4", SIZE) as writer:
        for time_s in times_s:
            writer.write(numbered(0), time_s)
    frames, _ = read_all(tmp_path / "out.mp4")
    np.testing.assert_allclose([f.time_s for f in frames], times_s, atol=1e-9)


def test_odd_sides_grow_by_one_repeated_row_and_column(tmp_path: Path) -> None:
    image = np.full((17, 33, 3), 60, np.uint8)
    image[-1] = image[:, -1] = 200
    with VideoWriter(tmp_path / "out.mp4", (33, 17)) as writer:
        writer.write(image, 0.0)
    frame = read_all(tmp_path / "out.mp4")[0][0].image
    assert frame.shape == (18, 34, 3)
    assert (frame[-2:].mean(), frame[:, -2:].mean()) == pytest.approx((200, 200), abs=6)


def test_a_single_pixel_can_be_written(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "out.mp4", (1, 1)) as writer:
        writer.write(np.full((1, 1, 3), 90, np.uint8), 0.0)
    assert read_all(tmp_path / "out.mp4")[0][0].image.shape == (2, 2, 3)


def test_colours_are_kept(tmp_path: Path) -> None:
    colours = np.zeros((64, 96, 3), np.uint8)
    colours[:, :48], colours[:, 48:] = (200, 40, 60), (20, 120, 220)
    with VideoWriter(tmp_path / "out.mp4", SIZE) as writer:
        writer.write(colours, 0.0)
    frame = read_all(tmp_path / "out.mp4")[0][0].image
    np.testing.assert_allclose(frame[32, 20], (200, 40, 60), atol=5)
    np.testing.assert_allclose(frame[32, 80], (20, 120, 220), atol=5)


def test_the_index_of_an_mp4_stands_in_front(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "out.mp4", SIZE) as writer:
        writer.write(numbered(0), 0.0)
    data = (tmp_path / "out.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_an_encoder_that_is_not_built_in_is_replaced(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "out.mp4", SIZE, codec="no_such_codec") as writer:
        writer.write(numbered(5), 0.0)
        assert writer.codec == "mpeg4"
    assert number_of(read_all(tmp_path / "out.mp4")[0][0].image) == 5


def test_abort_leaves_nothing(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "out.mp4", SIZE)
    writer.write(numbered(0), 0.0)
    writer.abort()
    writer.abort()
    assert names_in(tmp_path) == []


def test_an_error_inside_the_block_leaves_the_old_file_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "out.mp4").write_text("precious")
    with pytest.raises(ZeroDivisionError), VideoWriter(tmp_path / "out.mp4", SIZE) as writer:
        writer.write(numbered(0), 0.0)
        raise ZeroDivisionError
    assert (tmp_path / "out.mp4").read_text() == "precious"
    assert names_in(tmp_path) == ["out.mp4"]


def test_the_old_file_is_replaced_only_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "out.mp4").write_text("precious")
    writer = VideoWriter(tmp_path / "out.mp4", SIZE)
    for number in range(5):
        writer.write(numbered(number), number / 25)
    assert (tmp_path / "out.mp4").read_text() == "precious"
    writer.close()
    writer.close()
    assert len(read_all(tmp_path / "out.mp4")[0]) == 5


def test_a_video_without_frames_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="No frame was written"):
        VideoWriter(tmp_path / "out.mp4", SIZE).close()
    assert names_in(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "out.mp4", SIZE)
    [unfinished] = tmp_path.iterdir()
    unfinished.unlink()
    unfinished.symlink_to("/dev/full")
    rng = np.random.default_rng(0)
    with pytest.raises(VideoError, match=r"out\.mp4: the disk or its quota is full"):
        for number in range(200):
            noise = rng.integers(0, 255, (64, 96, 3), dtype=np.uint8)
            writer.write(noise, number / 25)
        writer.close()
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "size", "words"),
    [
        ("out.avi", SIZE, r"out\.avi: its name must end in \.mp4"),
        ("gone/out.mp4", SIZE, "does not exist"),
        (".", SIZE, "must end in"),
        ("out.mp4", (0, 64), "0x64 pixels"),
        ("out.mp4", (20000, 64), "20000x64 pixels"),
    ],
)
def test_a_video_that_cannot_be_written_is_a_clear_error(
    tmp_path: Path, name: str, size: tuple[int, int], words: str
) -> None:
    with pytest.raises(VideoError, match=words):
        VideoWriter(tmp_path / name, size)
    assert names_in(tmp_path) == []


def test_a_frame_of_another_size_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(ShapeError, match=r"\(64, 96, 3\) uint8; got \(96, 64, 3\)"),
        VideoWriter(tmp_path / "out.mp4", SIZE) as writer,
    ):
        writer.write(np.zeros((96, 64, 3), np.uint8), 0.0)
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("second_s", [1.0, 0.5, float("nan")])
def test_times_that_do_not_rise_are_refused(tmp_path: Path, second_s: float) -> None:
    writer = VideoWriter(tmp_path / "out.mp4", SIZE)
    writer.write(numbered(0), 1.0)
    with pytest.raises(UsageError, match="order of their times"):
        writer.write(numbered(1), second_s)
    writer.abort()


def test_nothing_can_be_added_to_a_closed_video(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "out.mp4", SIZE)
    writer.write(numbered(0), 0.0)
    writer.close()
    with pytest.raises(UsageError, match="closed"):
        writer.write(numbered(1), 1.0)

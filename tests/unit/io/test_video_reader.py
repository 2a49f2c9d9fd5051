"""Frames come with the right number, time, turn and size."""

from __future__ import annotations

import gc
import http.server
import math
import os
import socket
import socketserver
import threading
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
from video_files import FASTSTART, RATE_HZ, SIZE, cut, number_of, read_all, write_clip

from chronopose.errors import UsageError, VideoError
from chronopose.io.video import open_video
from chronopose.io.video_open import OpenVideo, open_container, pick_stream
from chronopose.io.video_stream import find_entry

KINDS: dict[str, tuple[str, dict[str, str]]] = {
    "clip.mp4": ("libx264", {"g": "12"}),
    "open_gop.mp4": ("libx264", {"g": "12", "x264-params": "open-gop=1:bframes=3"}),
    "clip.mov": ("mpeg4", {"g": "12"}),
    "clip.mkv": ("libx264", {"g": "12"}),
    "clip.webm": ("libvpx-vp9", {"g": "12", "deadline": "realtime", "cpu-used": "8"}),
    "hidden.webm": ("libvpx-vp9", {"g": "12", "auto-alt-ref": "1", "lag-in-frames": "10"}),
    "vp8.webm": ("libvpx", {"g": "12", "auto-alt-ref": "1", "lag-in-frames": "10"}),
    "clip.avi": ("mpeg4", {"g": "12"}),
    "b_frames.avi": ("libx264", {"g": "12"}),
    "clip.ts": ("libx264", {"g": "12"}),
}


def write_kind(folder: Path, name: str) -> Path:
    codec, encoder = KINDS[name]
    return write_clip(folder / name, codec=codec, encoder=encoder)


@pytest.mark.parametrize("name", KINDS)
def test_frames_are_numbered_from_zero_and_a_step_apart(tmp_path: Path, name: str) -> None:
    frames, damage = read_all(write_kind(tmp_path, name))
    assert [f.index for f in frames] == list(range(50))
    assert [number_of(f.image) for f in frames] == list(range(50))
    np.testing.assert_allclose(np.diff([f.time_s for f in frames]), 1 / RATE_HZ, atol=1.1e-3)
    assert damage is None


@pytest.mark.parametrize("name", KINDS)
def test_a_range_gives_the_same_frames_as_reading_everything(tmp_path: Path, name: str) -> None:
    path = write_kind(tmp_path, name)
    everything, _ = read_all(path)
    start_s, end_s = everything[27].time_s, everything[41].time_s
    some, damage = read_all(path, start_s=start_s, end_s=end_s)
    assert [(f.index, f.time_s) for f in some] == [(f.index, f.time_s) for f in everything[27:41]]
    assert all(
        np.array_equal(a.image, b.image) for a, b in zip(some, everything[27:41], strict=True)
    )
    assert damage is None


def test_a_range_in_an_mp4_begins_at_the_key_frame_before_it(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", encoder={"g": "12", "sc_threshold": "0"})
    container = open_container(str(path), None)
    with container:
        entry = find_entry(OpenVideo(container, pick_stream(container, "")), 27 / RATE_HZ)
    assert entry is not None
    assert entry.before == 24  # key frames are 0, 12, 24, 36


def test_times_of_a_constant_rate_are_exact(tmp_path: Path) -> None:
    frames, _ = read_all(write_clip(tmp_path / "clip.mp4", count=5))
    assert [f.time_s for f in frames] == [0.0, 0.04, 0.08, 0.12, 0.16]


def test_a_variable_rate_is_kept(tmp_path: Path) -> None:
    times_s = [0.0, 0.040, 0.100, 0.350, 0.361, 1.000]
    frames, _ = read_all(write_clip(tmp_path / "clip.mp4", times_s=times_s))
    np.testing.assert_allclose([f.time_s for f in frames], times_s, atol=1e-6)
    assert [number_of(f.image) for f in frames] == [0, 1, 2, 3, 4, 5]


def test_a_late_start_is_not_shifted_to_zero(tmp_path: Path) -> None:
    frames, _ = read_all(write_clip(tmp_path / "clip.mkv", times_s=[1.4, 1.44, 1.48]))
    assert [f.time_s for f in frames] == [1.4, 1.44, 1.48]


def test_a_stream_without_times_gets_those_of_its_rate(tmp_path: Path) -> None:
    frames, _ = read_all(write_clip(tmp_path / "clip.h264", count=4))
    np.testing.assert_allclose([f.time_s for f in frames], [0, 0.04, 0.08, 0.12], atol=1e-9)


def test_a_clock_that_starts_anew_goes_on_instead(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.ts")
    path.write_bytes(path.read_bytes() * 2)
    frames, _ = read_all(path)
    assert [f.index for f in frames] == list(range(100))
    np.testing.assert_allclose(np.diff([f.time_s for f in frames]), 0.04, atol=1e-9)


def test_stride_counts_from_the_first_frame_of_the_range(tmp_path: Path) -> None:
    frames, _ = read_all(write_clip(tmp_path / "clip.mp4"), start_s=0.2, end_s=0.6, stride=4)
    assert [f.index for f in frames] == [5, 9, 13]
    assert [f.time_s for f in frames] == [0.2, 0.36, 0.52]
    assert [number_of(f.image) for f in frames] == [5, 9, 13]


def test_neighbouring_ranges_share_no_frame_and_miss_none(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", times_s=[n / 30 for n in range(30)])
    before, _ = read_all(path, end_s=0.333)  # frame 10 lies at 0.333 s
    after, _ = read_all(path, start_s=0.333)
    assert [f.index for f in before] == list(range(10))
    assert [f.index for f in after] == list(range(10, 30))


QUARTERS = np.zeros((64, 96, 3), np.uint8)
QUARTERS[:32, :48] = 255  # a white quarter, top left

TURNS: dict[str, tuple[tuple[float, bool, bool], int, Callable[[np.ndarray], np.ndarray]]] = {
    "not at all": ((0, False, False), 0, lambda image: image),
    "clockwise": ((-90, False, False), 90, lambda image: np.rot90(image, -1)),
    "half": ((180, False, False), 180, lambda image: np.rot90(image, 2)),
    "counterclockwise": ((90, False, False), 270, lambda image: np.rot90(image)),
}


@pytest.mark.parametrize("name", TURNS)
def test_the_turn_in_the_metadata_is_applied(tmp_path: Path, name: str) -> None:
    rotation, clockwise_deg, shown = TURNS[name]
    path = write_clip(tmp_path / "clip.mp4", rotation=rotation, images=[QUARTERS] * 3)
    with open_video(path) as reader:
        frame = next(iter(reader))
        info = reader.info
    expected = shown(QUARTERS)
    assert info.rotation_deg == clockwise_deg
    assert info.size == expected.shape[1::-1]
    assert frame.image.shape == expected.shape
    assert np.abs(frame.image.astype(int) - expected).mean() < 5


@pytest.mark.parametrize(("flip", "axis"), [((True, False), 1), ((False, True), 0)])
def test_mirroring_in_the_metadata_is_applied(
    tmp_path: Path, flip: tuple[bool, bool], axis: int
) -> None:
    path = write_clip(tmp_path / "clip.mp4", rotation=(0, *flip), images=[QUARTERS] * 3)
    frames, _ = read_all(path)
    assert np.abs(frames[0].image.astype(int) - np.flip(QUARTERS, axis)).mean() < 5


def test_a_turn_by_thirty_degrees_is_refused(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", rotation=(30, False, False))
    with pytest.raises(VideoError, match="30 degrees"):
        open_video(path)


def test_frames_are_contiguous_rgb(tmp_path: Path) -> None:
    red = np.zeros((38, 50, 3), np.uint8)
    red[..., 0] = 200
    frames, _ = read_all(write_clip(tmp_path / "clip.mp4", size=(50, 38), images=[red] * 2))
    assert frames[0].image.flags.c_contiguous
    np.testing.assert_allclose(frames[0].image.mean(axis=(0, 1)), [200, 0, 0], atol=6)


def test_odd_sizes_are_read_as_they_are(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mkv", size=(33, 17), codec="ffv1", count=3)
    frames, _ = read_all(path)
    assert frames[2].image.shape == (17, 33, 3)


def test_a_single_pixel_is_refused(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mkv", size=(1, 1), codec="ffv1", count=3)
    with pytest.raises(VideoError, match="1x1 pixels"):
        open_video(path)


def test_frames_above_the_limit_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mkv", codec="ffv1", count=3)
    with pytest.raises(VideoError, match="96x64 pixels"):
        open_video(path, max_pixels=96 * 64 - 1)
    assert len(read_all(path, max_pixels=96 * 64)[0]) == 3


def test_scaled_copies_of_a_size_become_the_first_size(tmp_path: Path) -> None:
    small = write_clip(tmp_path / "small.ts")
    large = write_clip(tmp_path / "large.ts", size=(192, 128))
    small.write_bytes(small.read_bytes() + large.read_bytes())
    frames, damage = read_all(small)
    assert len(frames) == 100
    assert {f.image.shape for f in frames} == {(64, 96, 3)}
    assert number_of(frames[77].image) == 27
    assert damage is None


def test_reading_breaks_off_where_the_shape_changes(tmp_path: Path) -> None:
    wide = write_clip(tmp_path / "wide.ts")
    tall = write_clip(tmp_path / "tall.ts", size=(64, 96))
    wide.write_bytes(wide.read_bytes() + tall.read_bytes())
    frames, damage = read_all(wide)
    assert len(frames) == 50
    assert damage is not None
    assert "96x64 to 64x96" in damage


def test_the_reader_keeps_no_frame_that_it_has_given_out(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4")
    given, most = [], 0
    with open_video(path) as reader:
        for frame in reader:
            given.append(weakref.ref(frame))
            most = max(most, sum(ref() is not None for ref in given))
    del frame
    gc.collect()
    assert most <= 2
    assert all(ref() is None for ref in given)


def test_frames_can_be_read_once(tmp_path: Path) -> None:
    with open_video(write_clip(tmp_path / "clip.mp4", count=3)) as reader:
        assert len(list(reader)) == 3
        with pytest.raises(UsageError, match="Open the video again"):
            iter(reader)


def test_the_facts_of_a_video(tmp_path: Path) -> None:
    with open_video(write_clip(tmp_path / "clip.mp4")) as reader:
        info = reader.info
    assert (info.size, info.rate_hz, info.num_frames, info.codec) == (SIZE, 25.0, 50, "h264")
    assert math.isclose(info.duration_s, 2.0)


def test_a_colon_in_a_name_is_no_address(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", count=3).rename(tmp_path / "at 12:30.mp4")
    assert len(read_all(path)[0]) == 3


def write_sound(path: Path) -> Path:
    with av.open(str(path), "w") as box:
        stream = box.add_stream("aac", rate=8000)
        for _ in range(5):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            frame.sample_rate = 8000
            box.mux(stream.encode(frame))
        box.mux(stream.encode(None))
    return path


def text(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


def folder_of_videos(path: Path) -> Path:
    path.mkdir()
    write_clip(path / "a.mp4", count=2)
    return path


HOSTILE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "a missing file": (lambda t: t / "gone.mp4", "no file or folder"),
    "zero bytes": (lambda t: text(t / "a.mp4", ""), "empty"),
    "text": (lambda t: text(t / "a.mp4", "hello " * 500), "no video"),
    "a list": (lambda t: text(t / "a.txt", "b.mp4"), "expand_sources"),
    "audio only": (lambda t: write_sound(t / "a.m4a"), "no video stream, only audio"),
    "an index cut off": (lambda t: cut(write_clip(t / "a.mp4"), 0.5), "cut off"),
    "a path through a file": (lambda t: text(t / "a.mp4", "x") / "b.mp4", "no file or folder"),
    "an empty folder": (lambda t: t, "no pictures"),
    "a folder of videos": (lambda t: folder_of_videos(t / "videos"), "one by one"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_cannot_be_read_is_a_clear_error(tmp_path: Path, name: str) -> None:
    make, words = HOSTILE[name]
    path = make(tmp_path)
    with pytest.raises(VideoError, match=words) as told:
        open_video(path)
    assert str(path) in str(told.value)


def test_a_misspelt_name_is_answered_with_the_near_one(tmp_path: Path) -> None:
    write_clip(tmp_path / "gymnast.mp4", count=2)
    with pytest.raises(VideoError, match=r"Did you mean .*gymnast\.mp4"):
        open_video(tmp_path / "gymnasts.mp4")


def test_a_file_without_permission_is_a_clear_error(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", count=2)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("the administrator may read everything")
    with pytest.raises(VideoError, match="permission denied"):
        open_video(path)


def test_a_start_beyond_the_end_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"from 99 s on; the last one read lies at 1\.960 s"):
        read_all(write_clip(tmp_path / "clip.mp4"), start_s=99)


@pytest.mark.parametrize(
    "how", [{"start_s": 2, "end_s": 1}, {"end_s": 0}, {"stride": 0}, {"start_s": math.nan}]
)
def test_a_range_that_cannot_be_is_refused(tmp_path: Path, how: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        open_video(tmp_path / "never_looked_at.mp4", **how)  # type: ignore[arg-type]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Say nothing."""


def test_a_stored_video_is_read_from_an_address(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", count=5, container=FASTSTART)
    handler = partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with open_video(f"http://127.0.0.1:{server.server_port}/clip.mp4", start_s=0.08) as reader:
            frames = list(reader)
        server.shutdown()
    assert [f.index for f in frames] == [2, 3, 4]


def test_a_live_stream_is_counted_from_its_first_frame(tmp_path: Path) -> None:
    sent = write_clip(tmp_path / "clip.ts").read_bytes()

    class Send(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(sent)

    with socketserver.TCPServer(("127.0.0.1", 0), Send) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        with open_video(f"tcp://127.0.0.1:{server.server_address[1]}") as reader:
            times_s = [frame.time_s for frame in reader]
    np.testing.assert_allclose(times_s, np.arange(50) / RATE_HZ, atol=1e-9)


def test_an_address_that_stays_silent_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(VideoError, match=r"no answer within 0\.3 s"):
            open_video(address, timeout_s=0.3)


def test_a_camera_that_is_not_there_is_a_clear_error() -> None:
    with pytest.raises(VideoError, match="Camera 97 cannot be opened"):
        open_video("97")

"""Damaged videos: what can be read is read, and what is missing is told."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from video_files import FASTSTART, RATE_HZ, blot, cut, number_of, read_all, write_clip

from chronopose.errors import VideoError
from chronopose.io.video import open_video

CUTTABLE: dict[str, tuple[str, dict[str, str]]] = {
    "clip.mp4": ("libx264", FASTSTART),
    "part2.mp4": ("mpeg4", FASTSTART),
    "fragments.mp4": ("libx264", {"movflags": "frag_keyframe+empty_moov"}),
    "clip.mkv": ("libx264", {}),
    "clip.avi": ("mpeg4", {}),
    "clip.flv": ("libx264", {}),
}


@pytest.mark.parametrize("name", CUTTABLE)
def test_half_a_video_gives_its_readable_frames_and_says_that_it_breaks_off(
    tmp_path: Path, name: str
) -> None:
    codec, container = CUTTABLE[name]
    whole = write_clip(tmp_path / name, count=100, codec=codec, container=container)
    frames, damage = read_all(cut(whole, 0.5))
    count = len(frames)
    assert 20 < count < 70
    assert [f.index for f in frames] == list(range(count))
    assert [number_of(f.image) for f in frames] == list(range(count))
    assert damage is not None
    assert f"breaks off at {frames[-1].time_s:.2f} s, after {count} frames" in damage


@pytest.mark.parametrize("name", ["clip.mp4", "part2.mp4"])
def test_a_few_missing_bytes_at_the_end_are_noticed(tmp_path: Path, name: str) -> None:
    codec, container = CUTTABLE[name]
    whole = write_clip(tmp_path / name, codec=codec, container=container)
    frames, damage = read_all(cut(whole, 0.999))
    assert 45 <= len(frames) < 50
    assert damage is not None


@pytest.mark.parametrize("lost_packets", [1, 6])
def test_a_short_matroska_file_cut_between_two_packets_is_noticed(
    tmp_path: Path, lost_packets: int
) -> None:
    path = write_clip(tmp_path / "clip.mkv", codec="ffv1", count=15, encoder={})
    with av.open(path) as container:
        places = [p.pos for p in container.demux(video=0) if p.size]
    path.write_bytes(path.read_bytes()[: places[-lost_packets]])
    frames, damage = read_all(path)
    assert len(frames) == 15 - lost_packets
    assert damage is not None
    assert "announces" in damage


def test_a_live_matroska_stream_announces_no_size_and_is_whole(tmp_path: Path) -> None:
    path = write_clip(
        tmp_path / "clip.mkv", codec="ffv1", count=5, encoder={}, container={"live": "1"}
    )
    frames, damage = read_all(path)
    assert (len(frames), damage) == (5, None)


def test_blotted_frames_are_left_out_and_the_others_keep_number_and_time(tmp_path: Path) -> None:
    path = blot(write_clip(tmp_path / "clip.mp4", count=60, container=FASTSTART), 0.45, 0.6)
    frames, damage = read_all(path)
    assert 30 < len(frames) < 60
    np.testing.assert_allclose([f.time_s for f in frames], [f.index / RATE_HZ for f in frames])
    assert frames[-1].index == 59
    assert damage is not None
    assert "left out" in damage


@pytest.mark.parametrize("name", ["clip.mkv", "fragments.mp4", "clip.avi"])
def test_a_hole_in_the_middle_never_goes_unnoticed(tmp_path: Path, name: str) -> None:
    codec, container = CUTTABLE[name]
    path = blot(write_clip(tmp_path / name, codec=codec, container=container), 0.45, 0.6)
    frames, damage = read_all(path)
    assert 15 < len(frames) < 50
    assert damage is not None


def test_damage_outside_the_range_does_not_matter(tmp_path: Path) -> None:
    path = blot(write_clip(tmp_path / "clip.mp4", count=60, container=FASTSTART), 0.5, 0.6)
    early, damage_before = read_all(path, end_s=0.4)
    late, damage_after = read_all(path, start_s=2.0)
    assert [f.index for f in early] == list(range(10))
    assert [f.index for f in late] == list(range(50, 60))
    assert (damage_before, damage_after) == (None, None)


def test_a_cut_inside_the_range_is_told_after_a_jump_to_its_start(tmp_path: Path) -> None:
    path = cut(write_clip(tmp_path / "clip.mp4", count=100, container=FASTSTART), 0.7)
    frames, damage = read_all(path, start_s=1.6)
    assert [f.index for f in frames] == list(range(40, 40 + len(frames)))
    assert damage is not None
    assert f"after {frames[-1].index + 1} frames" in damage


def test_a_range_beyond_the_cut_says_that_the_video_breaks_off(tmp_path: Path) -> None:
    path = cut(write_clip(tmp_path / "clip.mp4", count=100, container=FASTSTART), 0.5)
    with pytest.raises(VideoError, match=r"no readable frame .* breaks off"):
        read_all(path, start_s=3.5)


def test_a_video_without_one_whole_frame_is_an_error(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mkv", codec="ffv1", count=5, encoder={})
    data = path.read_bytes()
    first_frame = data.index(b"\xa3")  # the first SimpleBlock
    path.write_bytes(data[:first_frame])
    with pytest.raises(VideoError, match=r"Not one frame|cannot be opened"):
        open_video(path)


def test_no_damage_is_told_before_the_end_of_an_unfinished_reading(tmp_path: Path) -> None:
    path = cut(write_clip(tmp_path / "clip.mp4", count=100, container=FASTSTART), 0.9)
    with open_video(path) as reader:
        next(iter(reader))
        assert reader.damage is None

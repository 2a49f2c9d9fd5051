"""What a user names becomes the sources that were meant, or a clear error."""

from __future__ import annotations

from pathlib import Path

import pytest

from chronopose.errors import UsageError, VideoError
from chronopose.io.sources import expand_sources, is_live, natural_key


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_numbers_in_names_sort_by_value_and_case_does_not_matter() -> None:
    names = ["img10.png", "Img2.png", "img1.png", "b.png", "img2b.png"]
    assert sorted(names, key=natural_key) == [
        "b.png", "img1.png", "Img2.png", "img2b.png", "img10.png"
    ]  # fmt: skip


def test_a_file_a_camera_and_an_address_stand_for_themselves(tmp_path: Path) -> None:
    touch(tmp_path / "a.mp4")
    given = [tmp_path / "a.mp4", "0", "rtsp://camera/1"]
    assert expand_sources(given) == [str(tmp_path / "a.mp4"), "0", "rtsp://camera/1"]


def test_a_glob_gives_its_matches_in_natural_order(tmp_path: Path) -> None:
    touch(tmp_path / "c10.mp4", tmp_path / "c9.mp4", tmp_path / "notes.md")
    assert expand_sources(str(tmp_path / "*.mp4")) == [
        str(tmp_path / "c9.mp4"),
        str(tmp_path / "c10.mp4"),
    ]


def test_brackets_in_an_existing_name_are_no_glob(tmp_path: Path) -> None:
    touch(tmp_path / "take[1].mp4")
    assert expand_sources(str(tmp_path / "take[1].mp4")) == [str(tmp_path / "take[1].mp4")]


def test_a_folder_of_pictures_is_one_source(tmp_path: Path) -> None:
    touch(tmp_path / "1.png", tmp_path / "2.png")
    assert expand_sources(tmp_path) == [str(tmp_path)]


def test_a_folder_of_videos_is_one_source_each(tmp_path: Path) -> None:
    touch(tmp_path / "b2.mp4", tmp_path / "b10.MP4", tmp_path / ".hidden.mp4")
    assert expand_sources(tmp_path) == [str(tmp_path / "b2.mp4"), str(tmp_path / "b10.MP4")]


def test_a_list_is_read_relative_to_its_own_folder(tmp_path: Path) -> None:
    touch(tmp_path / "sub" / "a.mp4", tmp_path / "b.mp4")
    listing = tmp_path / "videos.txt"
    listing.write_text(f"# two and a camera\nsub/a.mp4\n\n  {tmp_path / 'b.mp4'}  \n1\n")
    assert expand_sources(listing) == [
        str(tmp_path / "sub" / "a.mp4"),
        str(tmp_path / "b.mp4"),
        "1",
    ]


@pytest.mark.parametrize(
    ("files", "content", "words"),
    [
        ([], "gone.mp4", "In the list .*gone.mp4"),
        ([], "# nothing", "names no source"),
        (["other.txt"], "other.txt", "list named inside a list"),
    ],
)
def test_a_list_that_cannot_be_used_is_a_clear_error(
    tmp_path: Path, files: list[str], content: str, words: str
) -> None:
    touch(*(tmp_path / name for name in files))
    (tmp_path / "list.txt").write_text(content)
    with pytest.raises(VideoError, match=words):
        expand_sources(tmp_path / "list.txt")


@pytest.mark.parametrize(
    ("files", "named", "words"),
    [
        ([], "*.mp4", r"Nothing matches '.*\*\.mp4'"),
        ([], "", "holds no pictures and no videos"),
        (["a.md"], "", "holds no pictures and no videos"),
        (["a.mp4", "cover.png"], "", "1 pictures and 1 videos"),
        (["run.mp4"], "rum.mp4", r"Did you mean .*run\.mp4"),
        (["run.mp4"], "run.mp4/x.mp4", "no file or folder"),
        ([], "n" * 300 + ".mp4", "no file or folder"),
    ],
)
def test_a_name_that_leads_nowhere_is_a_clear_error(
    tmp_path: Path, files: list[str], named: str, words: str
) -> None:
    touch(*(tmp_path / name for name in files))
    with pytest.raises(VideoError, match=words):
        expand_sources(str(tmp_path / named))


@pytest.mark.parametrize("nothing", ["", "  ", []])
def test_naming_nothing_is_refused(nothing: str | list[str]) -> None:
    with pytest.raises(UsageError):
        expand_sources(nothing)


def test_cameras_and_streams_are_live_and_stored_videos_are_not() -> None:
    live = [s for s in ("0", "rtsp://a/b", "udp://:1", "http://a/b.mp4", "a.mp4") if is_live(s)]
    assert live == ["0", "rtsp://a/b", "udp://:1"]

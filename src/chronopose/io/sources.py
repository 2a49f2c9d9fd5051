"""What a user may name as a source, and which videos that means."""

from __future__ import annotations

import difflib
import glob
import os
import re
from collections.abc import Iterable
from pathlib import Path

from chronopose.errors import UsageError, VideoError

PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm"})
VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg"}
    | {".wmv", ".flv", ".3gp", ".ogv", ".mxf", ".gif", ".h264", ".hevc", ".y4m"}
)
LIST_SUFFIX = ".txt"
STORED_SCHEMES = frozenset({"http", "https", "file", "ftp", "sftp", "data"})
_ADDRESS = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]+)://")


def is_camera(source: str) -> bool:
    """Whether a source is the number of a camera; a file of that name is reached by ``./0``."""
    return source.isascii() and source.isdigit()


def is_address(source: str) -> bool:
    """Whether a source is an address such as ``rtsp://camera/1``."""
    return _ADDRESS.match(source) is not None


def is_live(source: str) -> bool:
    """Whether frames arrive as they happen: a camera, or an address that is no stored file."""
    found = _ADDRESS.match(source)
    return is_camera(source) or (found is not None and found[1].lower() not in STORED_SCHEMES)


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key that puts ``img2`` before ``img10`` and ignores upper and lower case."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name.casefold())
    return tuple((0, int(p), "") if p.isascii() and p.isdigit() else (1, 0, p) for p in parts)


def pictures_in(folder: Path) -> list[Path]:
    """Pictures directly inside a folder in natural order; hidden files are left out."""
    return _files_in(folder, PICTURE_SUFFIXES)


def videos_in(folder: Path) -> list[Path]:
    """Videos directly inside a folder in natural order; hidden files are left out."""
    return _files_in(folder, VIDEO_SUFFIXES)


def expand_sources(spec: str | Path | Iterable[str | Path]) -> list[str]:
    """Turn what a user named into single sources for :func:`~chronopose.io.video.open_video`.

    Args:
        spec: One of, or several of:

            - a video file or a picture;
            - a glob such as ``'clips/*.mp4'``: every match is a source of its own, in natural
              order, just as if the shell had expanded it;
            - a folder of pictures: one source, the frames of one video; a folder of videos: one
              source for each of them;
            - a ``.txt`` file with one source a line, relative to the folder of the list; empty
              lines and lines that begin with ``#`` are skipped;
            - a camera number such as ``0``;
            - an address such as ``rtsp://…``, ``udp://…`` or ``https://…``.

    Returns:
        Sources in the order given; files and folders among them exist and may be read.

    Raises:
        VideoError: a file is missing or may not be read, a glob matches nothing, a folder holds
            neither pictures nor videos, or both.
        UsageError: nothing was named at all.
    """
    if not isinstance(spec, str | Path):
        found = [source for one in spec for source in expand_sources(one)]
        if not found:
            raise UsageError("No source was named. Name a video, a folder, a camera or an address.")
        return found
    return _expand(str(spec), within_list=False)


def _expand(text: str, within_list: bool) -> list[str]:
    if not text.strip():
        raise UsageError("An empty name is no source. Name a video, a folder or an address.")
    if is_camera(text) or is_address(text):
        return [text]
    path = Path(text).expanduser()
    if not _exists(path) and glob.has_magic(text):
        return _expand_glob(path)
    check_readable(path)
    if path.is_dir():
        return _expand_folder(path)
    if path.suffix.lower() == LIST_SUFFIX:
        if within_list:
            raise VideoError(
                f"{path} is a list named inside a list. Put its lines into the first list instead."
            )
        return _expand_list(path)
    return [str(path)]


def _expand_glob(pattern: Path) -> list[str]:
    names = sorted(glob.glob(str(pattern), recursive=True), key=natural_key)
    if not names:
        raise VideoError(
            f"Nothing matches {str(pattern)!r}. Look at the spelling and the working folder "
            f"({Path.cwd()}); put the pattern between quotes."
        )
    return [source for name in names for source in _expand(name, within_list=False)]


def _expand_folder(folder: Path) -> list[str]:
    pictures, videos = pictures_in(folder), videos_in(folder)
    if pictures and videos:
        raise VideoError(
            f"{folder} holds {len(pictures)} pictures and {len(videos)} videos, so it is unclear "
            f"what is meant. Name the videos by a glob ('{folder / ('*' + videos[0].suffix)}'), "
            f"or move the pictures into a folder of their own."
        )
    if pictures:
        return [str(folder)]
    if videos:
        return [str(video) for video in videos]
    raise no_pictures(folder)


def no_pictures(folder: Path) -> VideoError:
    """The error for a folder with nothing to read in it."""
    return VideoError(
        f"The folder {folder} holds no pictures and no videos. Pictures are files that end in "
        f"{' '.join(sorted(PICTURE_SUFFIXES))}, directly inside the folder."
    )


def _expand_list(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise VideoError(
            f"{path} cannot be read as a list of sources: {error}. A list is a UTF-8 text file "
            f"with one source a line."
        ) from error
    named = [line.strip() for line in lines]
    named = [line for line in named if line and not line.startswith("#")]
    if not named:
        raise VideoError(f"The list {path} names no source. Write one source a line.")
    found: list[str] = []
    for line in named:
        plain = is_camera(line) or is_address(line)
        place = line if plain else str(path.parent / Path(line).expanduser())
        try:
            found += _expand(place, within_list=True)
        except VideoError as error:
            raise VideoError(f"In the list {path}: {error}") from error
    return found


def check_readable(path: Path) -> None:
    """Refuse a path that does not exist or may not be read.

    Raises:
        VideoError: with the nearest name that does exist, if there is one.
    """
    if not _exists(path):
        raise VideoError(f"There is no file or folder {str(path)!r}.{_near(path)}")
    if not os.access(path, os.R_OK | (os.X_OK if path.is_dir() else 0)):
        raise VideoError(
            f"{path} may not be read by this user (permission denied). Change that with: "
            f"chmod u+r {path}"
        )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _near(path: Path) -> str:
    try:
        names = [other.name for other in path.parent.iterdir()]
    except OSError:
        return " Look at the folder's name, too: it cannot be opened."
    close = difflib.get_close_matches(path.name, names, n=1)
    return f" Did you mean {str(path.parent / close[0])!r}?" if close else " Check the spelling."


def _files_in(folder: Path, suffixes: frozenset[str]) -> list[Path]:
    try:
        found = [p for p in folder.iterdir() if p.suffix.lower() in suffixes]
    except OSError as error:
        raise VideoError(f"The folder {folder} cannot be listed: {error.strerror}.") from error
    shown = [p for p in found if not p.name.startswith(".") and p.is_file()]
    return sorted(shown, key=lambda p: (natural_key(p.name), p.name))

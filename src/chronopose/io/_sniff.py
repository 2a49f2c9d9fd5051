"""Which format a file of poses has, by what is in it."""

from __future__ import annotations

import re
from pathlib import Path

HEAD_BYTES = 65_536
KEY = re.compile(rb'"((?:[^"\\]|\\.){1,40})"\s*:')


def sniff(path: str | Path, candidates: list[str]) -> str | None:
    """The one of ``candidates`` that the content speaks for; None when it does not tell.

    Args:
        path: A file or folder that may be anything; it is looked at and not checked.
        candidates: Names of formats that share the suffix.
    """
    try:
        if Path(path).is_dir():
            found = _folder(Path(path))
        else:
            with open(path, "rb") as file:
                found = _content(path, file.read(HEAD_BYTES))
    except OSError:
        return None
    return found if found in candidates else None


def _folder(path: Path) -> str | None:
    first = min((p for p in path.iterdir() if p.suffix.lower() == ".json"), default=None)
    if first is None:
        return None
    with open(first, "rb") as file:
        people = re.search(rb'"people"\s*:', file.read(HEAD_BYTES))
    return "openpose" if people or first.name.endswith("_keypoints.json") else None


def _content(path: str | Path, head: bytes) -> str | None:
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return _hdf(path)
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith((b"{", b"[")):
        return _json(text)
    if text.startswith(b"scorer,"):
        return "deeplabcut"
    if text.startswith((b"# chronopose", b"video,", b'"video"')):
        return "csv"
    return None


def _hdf(path: str | Path) -> str | None:
    try:
        import h5py
    except ImportError:
        return None
    try:
        with h5py.File(path, "r") as file:
            names = set(file.keys())
    except (OSError, RuntimeError):
        return None
    if "df_with_missing" in names:
        return "deeplabcut"
    if {"tracks", "node_names"} <= names:
        return "sleap"
    return "movement" if "position" in names else None


def _json(text: bytes) -> str | None:
    keys = {m.group(1).decode("utf-8", "replace") for m in KEY.finditer(text)}
    if keys & {"instance_info", "instances"}:
        return "mmpose"
    if text.startswith(b"{") and keys & {"annotations", "images", "categories"}:
        return "coco"
    if keys & {"bodies", "people"}:
        return "alphapose"
    return "alphapose" if re.search(rb'"image_id"\s*:\s*"', text) else None

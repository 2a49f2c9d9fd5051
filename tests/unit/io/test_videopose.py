"""VideoPose3D's files of one's own videos."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from motion_trees import BYTES, SIDES, numbered, save_npz
from pose_damage import assert_refused, poses

from chronopose.core.skeletons import COCO17
from chronopose.core.tracks import VideoPoses
from chronopose.core.video import VideoInfo
from chronopose.errors import FormatError
from chronopose.io.videopose import read_custom_video, write_custom_video

FACTS = {
    "layout_name": "coco", "num_joints": 17, "keypoints_symmetry": SIDES["coco"],
    "video_metadata": {"walk.mp4": {"w": 1920, "h": 1080}},
}  # fmt: skip


def tree(array: Any = None) -> dict[str, Any]:
    return {"walk.mp4": {"custom": [numbered(4, 17, 2) if array is None else array]}}


def test_the_file_of_the_tool_is_read(tmp_path: Path) -> None:
    path = save_npz(tmp_path / "data_2d_custom_me.npz", positions_2d=tree(), metadata=FACTS)
    (found,) = read_custom_video(path)
    assert (found.subject, found.action, found.size) == ("walk.mp4", "custom", (1920, 1080))
    assert found.skeleton is COCO17
    assert np.isnan(found.fps)
    np.testing.assert_array_equal(found.xy, numbered(4, 17, 2))


def whole_poses(ids: tuple[int, ...] = (3,)) -> VideoPoses:
    """Poses of which every joint is known."""
    video = poses(ids, skeleton=COCO17)
    tracks = []
    for track in video.tracks:
        xy = track.poses.xy.copy()
        xy[:, -1] = [500.0, 50.0]
        tracks.append(replace(track, poses=replace(track.poses, xy=xy, visible=None)))
    return replace(video, tracks=tuple(tracks))


def test_what_is_written_is_what_numpy_and_we_read(tmp_path: Path) -> None:
    path = tmp_path / "data_2d_custom_me.npz"
    write_custom_video(whole_poses(), path)
    (found,) = read_custom_video(path)
    assert (found.subject, found.fps, found.size) == ("clip", 25.0, (640, 360))
    np.testing.assert_array_equal(found.xy, whole_poses().person(3).poses.xy)
    with np.load(path, allow_pickle=True) as file:  # as the tool itself does
        assert file["metadata"].item()["keypoints_symmetry"] == SIDES["coco"]
        assert file["positions_2d"].item()["clip"]["custom"][0].shape == (3, 17, 2)


REFUSED: dict[str, tuple[Callable[[], VideoPoses], str]] = {
    "two people": (lambda: whole_poses((3, 8)), r"one person and there are 2.*one of \[3, 8\]"),
    "an unknown joint": (lambda: poses((3,), skeleton=COCO17), "a joint or a frame is missing"),
    "a missing frame": (
        lambda: replace(
            whole_poses(), tracks=(whole_poses().person(3).select(np.array([0, 2])),)
        ),
        "a joint or a frame is missing",
    ),
    "an unknown size": (
        lambda: replace(whole_poses(), info=VideoInfo("clip.mp4", (0, 0))), "the size of the video",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_file_cannot_say_is_refused(tmp_path: Path, name: str) -> None:
    make, message = REFUSED[name]
    with pytest.raises(FormatError, match=message):
        write_custom_video(make(), tmp_path / "d.npz")
    assert list(tmp_path.iterdir()) == []


CONTENT: dict[str, Callable[[], dict[str, Any]]] = {
    "no metadata": lambda: {"positions_2d": tree()},
    "no positions": lambda: {"metadata": FACTS},
    "no sizes": lambda: {
        "positions_2d": tree(),
        "metadata": {k: v for k, v in FACTS.items() if k != "video_metadata"},
    },
    "the size of another video": lambda: {
        "positions_2d": tree(),
        "metadata": FACTS | {"video_metadata": {"run.mp4": {"w": 1, "h": 1}}},
    },
    "a size as text": lambda: {
        "positions_2d": tree(),
        "metadata": FACTS | {"video_metadata": {"walk.mp4": {"w": "wide", "h": 1}}},
    },
    "two views": lambda: {
        "positions_2d": {"walk.mp4": {"custom": [numbered(4, 17, 2)] * 2}}, "metadata": FACTS,
    },
    "another action": lambda: {
        "positions_2d": {"walk.mp4": {"walk": [numbered(4, 17, 2)]}}, "metadata": FACTS,
    },
    "18 joints": lambda: {"positions_2d": tree(numbered(4, 18, 2)), "metadata": FACTS},
    "one coordinate": lambda: {"positions_2d": tree(np.ones((4, 17, 1))), "metadata": FACTS},
    "a NaN": lambda: {"positions_2d": tree(numbered(4, 17, 2) * np.nan), "metadata": FACTS},
    "sides exchanged": lambda: {
        "positions_2d": tree(), "metadata": FACTS | {"keypoints_symmetry": SIDES["coco"][::-1]},
    },
}  # fmt: skip


@pytest.mark.parametrize("content", CONTENT.values(), ids=CONTENT)
def test_other_contents_are_refused(tmp_path: Path, content: Callable[[], Any]) -> None:
    path = save_npz(tmp_path / "d.npz", **content())
    assert_refused(lambda: read_custom_video(path), path)


@pytest.mark.parametrize("damage", BYTES.values(), ids=BYTES)
def test_damaged_files_are_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = save_npz(tmp_path / "d.npz", positions_2d=tree(), metadata=FACTS)
    path.write_bytes(damage(path.read_bytes()))
    assert_refused(lambda: read_custom_video(path), path)

"""Recordings for the Rerun viewer."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses
from chronopose.core.skeletons import H36M17
from chronopose.core.tracks import PersonTrack, VideoPoses
from chronopose.core.video import VideoInfo
from chronopose.errors import FormatError, MissingExtra
from chronopose.io.rerun import write_rerun

THERE = importlib.util.find_spec("rerun") is not None


def somebody(space: str) -> VideoPoses:
    dims = 2 if space.endswith("px") else 3
    joints = Poses(np.ones((3, 17, dims)), np.ones((3, 17)), H36M17, space)  # type: ignore[arg-type]
    boxes = Boxes(np.zeros((3, 4)), np.ones(3))
    track = PersonTrack(4, np.arange(3), np.arange(3) / 25, boxes, joints)
    return VideoPoses(VideoInfo("a.mp4", (64, 48)), H36M17, (track,))


@pytest.mark.slow  # the first import of rerun alone takes seconds
@pytest.mark.skipif(not THERE, reason="rerun-sdk is not installed")
def test_recording_holds_metres_pixels_names_and_both_timelines(tmp_path: Path) -> None:
    chunk = pytest.importorskip("rerun.chunk")
    path = tmp_path / "walk.rrd"
    write_rerun(path, somebody("image_px"), somebody("camera_mm"))
    assert [f.name for f in tmp_path.iterdir()] == ["walk.rrd"]
    columns: dict[str, list[object]] = {}
    for part in chunk.RrdReader(str(path)).stream():
        for name, values in part.to_record_batch().to_pydict().items():
            columns.setdefault(f"{part.entity_path} {name}", []).extend(values)
    points = columns["/space/people Points3D:positions"]
    assert len(points) == 3
    # 1 mm is 0.001 m; 17 joints a frame.
    np.testing.assert_allclose(points[2], np.full((17, 3), 0.001))
    np.testing.assert_allclose(columns["/picture/people Points2D:positions"][0], np.ones((17, 2)))
    assert columns["/space/people Points3D:class_ids"][0] == [4] * 17
    assert columns["/space/people frame"] == [0, 1, 2]
    assert "/space/people time" in columns
    assert "/space/people AnnotationContext:context" in columns


@pytest.mark.slow
@pytest.mark.skipif(not THERE, reason="rerun-sdk is not installed")
def test_poses_of_crops_are_refused_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="crop_px"):
        write_rerun(tmp_path / "walk.rrd", somebody("crop_px"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(THERE, reason="rerun-sdk is installed")
def test_without_rerun_the_extra_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingExtra, match="viewers"):
        write_rerun(tmp_path / "walk.rrd", somebody("camera_mm"))

"""Rerun: a recording (``.rrd``) of people in space, and in the picture, for the Rerun viewer.

Entities ``space/people`` (metres, x right, y down, z away from the camera) and ``picture/people``
(pixels); class ids are person ids, keypoint ids are joints, so that the viewer draws and names
limbs. Two timelines: ``time``, the presentation time, and ``frame``. Needs the extra ``viewers``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from chronopose.core.tracks import FramePoses, VideoPoses
from chronopose.errors import FormatError, import_extra
from chronopose.io.atomic import replacing

SUFFIX = ".rrd"
RADIUS_M, RADIUS_PX = 0.015, 3.0
M_PER_MM = 1e-3
ENTITY = {"image_px": "picture/people", "camera_mm": "space/people", "root_mm": "space/people"}


def write_rerun(path: str | Path, *videos: VideoPoses) -> None:
    """Write a recording; the file appears whole or not at all.

    Args:
        path: The file to be, ``.rrd``.
        *videos: Poses of one video, e.g. the 2D ones and the lifted ones.

    Raises:
        MissingExtra: Rerun is not installed.
        FormatError: poses of crops, or the system refused to write.
    """
    rr = import_extra("rerun", "rerun-sdk", "viewers", "Writing .rrd files")
    with replacing(path) as temporary:
        stream = rr.RecordingStream("chronopose")
        stream.save(temporary)
        stream.log("space", rr.ViewCoordinates.RDF, static=True)
        for poses in videos:
            _write(rr, stream, poses, path)
        stream.flush()
        stream.disconnect()


def _write(rr: Any, stream: Any, poses: VideoPoses, path: str | Path) -> None:
    known: set[str] = set()
    for frame in poses.frames():
        space = frame.poses.space
        if space not in ENTITY:
            raise FormatError(f"Cannot write {path}: poses in {space} have no place in a video.")
        entity = ENTITY[space]
        if entity not in known:
            known.add(entity)
            stream.log(entity, _names(rr, poses), static=True)
        stream.set_time("time", duration=frame.time_s)
        stream.set_time("frame", sequence=frame.frame_index)
        stream.log(entity, _points(rr, frame))


def _names(rr: Any, poses: VideoPoses) -> Any:
    joints = [rr.AnnotationInfo(id=i, label=n) for i, n in enumerate(poses.skeleton.joints)]
    limbs = [(int(a), int(b)) for a, b in poses.skeleton.limb_index]
    return rr.AnnotationContext(
        [
            rr.ClassDescription(
                info=rr.AnnotationInfo(id=int(person), label=f"person {person}"),
                keypoint_annotations=joints,
                keypoint_connections=limbs,
            )
            for person in poses.ids
        ]
    )


def _points(rr: Any, frame: FramePoses) -> Any:
    """Everybody's known joints; an empty list where nobody is, so that the last ones go."""
    known = np.isfinite(frame.poses.xy).all(-1)
    person, joint = np.nonzero(known)
    place = frame.poses.xy[known]
    ids = {"class_ids": frame.ids[person].astype(np.uint16), "keypoint_ids": joint}
    if frame.poses.space == "image_px":
        return rr.Points2D(place, radii=RADIUS_PX, **ids)
    return rr.Points3D(place * np.float32(M_PER_MM), radii=RADIUS_M, **ids)

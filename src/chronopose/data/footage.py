"""Footage for learning without labels: people cut out of videos, and poses over time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chronopose.core.crop import CropWindow
from chronopose.core.skeleton import Skeleton
from chronopose.core.tracks import PersonTrack, VideoPoses
from chronopose.data.moments import Footage
from chronopose.errors import FormatError
from chronopose.io.motion import Motion2D
from chronopose.io.poses import read_poses
from chronopose.io.sources import VIDEO_SUFFIXES
from chronopose.io.video import open_video

TRACKS = (".parquet", ".csv", ".json")
"""Suffixes of the tracks that lie beside a video."""
GROW = 1.25
"""Side of a crop over the longer side of the person's box."""


def cut_person(
    image: NDArray[np.uint8], box: NDArray[np.floating], size: tuple[int, int], grow: float = GROW
) -> NDArray[np.uint8]:
    """One person out of a frame, each pixel the mean of what it covers.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        box: ``(4,)`` left, top, right, bottom, pixels.
        size: Width and height of the crop, pixels.
        grow: Factor on the sides of the box, once it has the crop's aspect.

    Returns:
        ``(size[1], size[0], 3)`` uint8; beyond the picture its edge repeats.
    """
    window = CropWindow.of_box(box, size, pad=grow)
    first, last = window.invert(np.array([[-0.5, -0.5], [size[0] - 0.5, size[1] - 0.5]]))
    low, high = np.floor(first).astype(int) - 1, np.ceil(last).astype(int) + 1
    height, width = image.shape[:2]
    rows = np.clip(np.arange(low[1], high[1] + 1), 0, height - 1)
    columns = np.clip(np.arange(low[0], high[0] + 1), 0, width - 1)
    part = Image.fromarray(image[rows[:, None], columns])
    # resize takes edges, not centres: pixel 0 of the part begins at 0 there, at low - 0.5 here.
    edges = (*(first - low + 0.5).tolist(), *(last - low + 0.5).tolist())
    return np.asarray(part.resize(size, Image.Resampling.BILINEAR, box=edges))


def tracked_footage(
    video: str | Path, poses: VideoPoses, size: tuple[int, int], *, least_s: float = 1.0,
    least_px: float = 32.0, grow: float = GROW, every_s: float = 0.0,
) -> list[Footage]:  # fmt: skip
    """The people of a video file, cut out by the boxes of their tracks.

    Args:
        video: The file; it is read once, frame by frame.
        poses: Tracks of the people, e.g. what ``chronopose predict`` wrote.
        size: Width and height of the crops, pixels.
        least_s: Shorter tracks are left out, seconds.
        least_px: Boxes lower than this are left out.
        grow: See :func:`cut_person`.
        every_s: Least time between two frames of a track, seconds: fast video is thinned.

    Returns:
        One for each track that is left, with its 2D poses, in pixels of the video.

    Raises:
        FormatError: a track has poses in space.
        VideoError: the file cannot be read.
    """
    if any(t.poses.space != "image_px" for t in poses.tracks):
        raise FormatError(f"The poses of {video} are not in pixels of its pictures. Give 2D poses.")
    wanted = {t.track_id: _rows(t, least_px, every_s) for t in poses.tracks}
    asked: dict[int, list[tuple[int, NDArray[np.floating]]]] = {}
    for track in poses.tracks:
        for row in wanted[track.track_id]:
            asked.setdefault(int(track.frame_index[row]), []).append(
                (track.track_id, track.boxes.xyxy[row])
            )
    crops: dict[int, list[NDArray[np.uint8]]] = {t.track_id: [] for t in poses.tracks}
    seen: dict[int, list[int]] = {t.track_id: [] for t in poses.tracks}
    with open_video(str(video)) as frames:
        for frame in frames:
            for person, box in asked.get(frame.index, ()):
                crops[person].append(cut_person(frame.image, box, size, grow))
                seen[person].append(frame.index)
    found = []
    for track in poses.tracks:
        rows = np.flatnonzero(np.isin(track.frame_index, seen[track.track_id]))
        time_s = track.time_s[rows]
        if len(rows) and time_s[-1] - time_s[0] >= least_s:
            name = f"{Path(video).name} person {track.track_id}"
            pictures = np.stack(crops[track.track_id])
            found.append(Footage(name, time_s, pictures, track.poses.xy[rows]))
    return found


def videos_beside_tracks(
    folder: str | Path, size: tuple[int, int], skeleton: Skeleton
) -> list[Footage]:
    """People of all videos of a folder that have a file of tracks of the same name beside them.

    Args:
        folder: With ``X.mp4`` and, by ``chronopose predict X.mp4 -o X.parquet``, ``X.parquet``.
        size: Width and height of the crops, pixels.
        skeleton: Joints of the 2D poses that come with them.

    Raises:
        FormatError: no video has tracks, or the tracks are damaged.
    """
    videos = [f for f in sorted(Path(folder).iterdir()) if f.suffix.lower() in VIDEO_SUFFIXES]
    found: list[Footage] = []
    for video in videos:
        tracks = next((t for s in TRACKS if (t := video.with_suffix(s)).is_file()), None)
        if tracks is not None:
            poses = read_poses(tracks).to_skeleton(skeleton)
            found += tracked_footage(video, poses, size, every_s=0.039)
    if not found:
        raise FormatError(
            f"None of {len(videos)} videos in {folder} has people tracked for a second beside it. "
            f"Track them first: chronopose predict X.mp4 -o X.parquet."
        )
    return found


def pose_footage(motions: Iterable[Motion2D]) -> Iterator[Footage]:
    """2D pose sequences as footage; frames with an unknown joint are left out.

    Raises:
        FormatError: nobody says how many frames a second a sequence has.
    """
    for motion in motions:
        if not (np.isfinite(motion.fps) and motion.fps > 0):
            raise FormatError(
                f"{motion.subject} {motion.action} does not say how many frames a second it has, "
                f"and moments are told by seconds. Give it a rate."
            )
        known = np.flatnonzero(np.isfinite(motion.xy).all((1, 2)))
        name = " ".join(n for n in (motion.subject, motion.action, motion.camera) if n)
        xy = motion.xy[known]
        yield Footage(name, known / motion.fps, xy, xy)


def _rows(track: PersonTrack, least_px: float, every_s: float) -> list[int]:
    """Rows of a track whose box is large enough, thinned in time."""
    box = track.boxes.xyxy
    good = np.isfinite(box).all(1) & (box[:, 3] - box[:, 1] >= least_px)
    kept: list[int] = []
    for row in np.flatnonzero(good).tolist():
        if not kept or track.time_s[row] - track.time_s[kept[-1]] >= every_s - 1e-6:
            kept.append(row)
    return kept

"""What refinement repairs: generated people whose true poses were made worse, refined step by step.

python examples/refine_poses.py
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from chronopose.core.skeletons import get_skeleton
from chronopose.core.tracks import VideoPoses
from chronopose.core.video import VideoInfo
from chronopose.data.datasets.procedural import render_video
from chronopose.io.video import Frame
from chronopose.metrics.temporal import TemporalQuality
from chronopose.refine import EditLog, crowd_flow, smooth

SIZE, JOINTS = (320, 240), "lsp14"


def row(name: str, poses: VideoPoses, truth: VideoPoses) -> str:
    """Distance from the truth, jitter and missing frames."""
    away = []
    for found, true in zip(poses.tracks, truth.tracks, strict=True):
        rows = np.searchsorted(true.frame_index, found.frame_index)
        away.append(np.linalg.norm(found.poses.xy - true.poses.xy[rows], axis=-1).ravel())
    quality = TemporalQuality()
    quality.update(poses)
    result, mean = quality.compute(), np.nanmean(np.concatenate(away))
    return f"{name:<12}{mean:>10.2f} px{result.jitter:>10.1f}{result.missing_frames:>10}"


def main(frames: int = 50) -> None:
    """Print a table and what was edited."""
    rng = np.random.default_rng(0)
    shown = render_video(frames=frames, size=SIZE, people=2, rate_hz=25.0, seed=2, skeleton=JOINTS)
    images, people = zip(*shown, strict=True)
    video = [Frame(n, n / 25.0, image) for n, image in enumerate(images)]
    info = VideoInfo("generated", SIZE, rate_hz=25.0, num_frames=frames)
    truth = VideoPoses.from_frames(info, get_skeleton(JOINTS), people)
    bad = []
    for lost, track in zip((8, 15), truth.tracks, strict=True):
        xy = track.poses.xy + rng.normal(0, 2, track.poses.xy.shape).astype(np.float32)
        poses = replace(track.poses, xy=xy, score=np.full(xy.shape[:2], 0.5, np.float32))
        bad.append(replace(track, poses=poses).select(track.frame_index != lost))
    before, log = replace(truth, tracks=tuple(bad)), EditLog()
    print(f"{'':<12}{'from truth':>13}{'jitter':>10}{'missing':>10}")
    print(row("before", before, truth))
    flowed = crowd_flow(before, video, log=log)
    print(row("crowd_flow", flowed, truth))
    print(row("smooth", smooth(flowed, log=log), truth))
    print(*(f"{step} {action}: {n}" for (step, action), n in log.counts().items()), sep="\n")


if __name__ == "__main__":
    main()

"""How many exchanged ids ``untangle`` gives back, on the labels of a generated set.

At each meeting of two people their ids are exchanged in its middle, one meeting at a time.

    python -m chronopose.bench.exchanged_ids SYNTHTRACK val
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np

from chronopose.core.boxes import Boxes
from chronopose.core.labels import LabelledSequence
from chronopose.core.poses import Poses
from chronopose.core.tracks import FramePoses, PersonTrack, VideoPoses
from chronopose.core.video import VideoInfo
from chronopose.data.datasets.synthtrack import SynthTrack
from chronopose.io.video import open_video
from chronopose.refine import UntangleSettings, untangle
from chronopose.refine._tracks import join_tracks
from chronopose.refine.untangle import Meeting, meetings


def exchange(poses: VideoPoses, met: Meeting) -> VideoPoses:
    """The two who met under each other's ids, from the middle of the meeting on."""
    cut, tracks = (met.before + met.after) // 2 + 1, {t.track_id: t for t in poses.tracks}
    halves = {i: (tracks[i].frame_index < cut) for i in (met.a, met.b)}
    heads = {i: tracks[i].select(early) for i, early in halves.items()}
    tails = {i: tracks[i].select(~early) for i, early in halves.items()}
    for one, other in ((met.a, met.b), (met.b, met.a)):
        tracks[one] = join_tracks([heads[one], replace(tails[other], track_id=one)])
    return replace(poses, tracks=tuple(tracks.values()))


def labels_of(sequence: LabelledSequence) -> VideoPoses:
    """The labels as poses, 25 frames a second."""
    rows = []
    for f in (frame.select(frame.boxes[:, 2:].min(1) > 0) for frame in sequence.frames):
        poses = Poses(f.xy.astype(np.float32), f.known.astype(np.float32), f.skeleton)
        boxes = Boxes(f.boxes.astype(np.float32), np.ones(len(f.ids), np.float32))
        rows.append(FramePoses(f.frame_index, f.frame_index / 25, f.ids, boxes, poses))
    return VideoPoses.from_frames(VideoInfo("labels", (0, 0)), rows[0].poses.skeleton, rows)


def after(poses: VideoPoses, met: Meeting) -> list[PersonTrack]:
    """What is under both ids after the meeting."""
    both = (poses.person(i) for i in (met.a, met.b))
    return [t.select(t.frame_index >= met.after) for t in both]


def alike(found: Sequence[PersonTrack], wanted: Sequence[PersonTrack]) -> bool:
    """Whether the same boxes stand under the same ids."""
    both = ([(t.track_id, t.boxes.xyxy.tobytes()) for t in ts] for ts in (found, wanted))
    return sorted(next(both)) == sorted(next(both))


def main(root: str, split: str) -> None:
    """Print the numbers of meetings, of exchanges given back, and of wrong exchanges.

    Args:
        root: Root of a generated set, frames as pictures, 25 a second.
        split: ``train``, ``val`` or ``test``.

    Raises:
        FormatError: the folder holds no such set.
    """
    settings, count, back, wrong = UntangleSettings(), 0, 0, 0
    data = SynthTrack(root=Path(root), split=split)
    for sequence in data.sequences():
        truth = labels_of(sequence)
        with open_video(Path(root) / "images" / split / Path(sequence.name).stem) as video:
            frames = list(video)
        wrong += not alike(untangle(truth, frames, settings).tracks, truth.tracks)
        for a, b in combinations(truth.tracks, 2):
            for met in meetings(a, b, settings):
                found = untangle(exchange(truth, met), frames, settings)
                count, back = count + 1, back + alike(after(found, met), after(truth, met))
    print(f"{count} meetings, {back} exchanges given back, {wrong} clips exchanged wrongly")


if __name__ == "__main__":
    main(*sys.argv[1:])

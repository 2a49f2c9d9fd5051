"""SynthTrack: a frozen benchmark of multi-person pose in video, generated where it is needed.

Seeds and settings are fixed here, everything is made by code, and the labels of the 80 clips of val
and test must have the hashes of :mod:`chronopose.io.synthtrack`. So a score on it can be compared
with another one although nobody has passed on a single picture.

Clips      val 40, test 40, 640 x 360 pixels, 40 frames at 25 frames a second: eight of each of
           clean, blur, defocus, occlusion (1 to 4 people) and crowd (5 to 8). Train: any number.
Splits     no seed of a clip, body, motion or place of one split is in another one; styles of
           motion in val and test come from parts of their ranges that train never sees.
Frozen     where everybody is, in the world and in the picture: the same on any machine. Pictures,
           and with them what can be seen of a joint, follow from the renderer and its driver:
           two machines may differ in some pixels of an outline.
Streams    numbers come from ``numpy.random.default_rng``, whose distributions numpy may change in
           a later version. The check would say so.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from chronopose.core.labels import LabelledSequence
from chronopose.core.skeletons import POSETRACK15
from chronopose.errors import FormatError, UsageError
from chronopose.io._labelled import VISIBLE
from chronopose.io.posetrack import read_posetrack
from chronopose.io.synthtrack import FROZEN_SPLITS, FrozenClip, frozen_clips
from chronopose.synth.assets import Assets
from chronopose.synth.camera import Camera
from chronopose.synth.clip_arrays import ClipArrays, read_arrays
from chronopose.synth.film import actors_at
from chronopose.synth.labels import FrameLabels, label_frame
from chronopose.synth.scenario import (
    DIFFICULTIES,
    SPLITS,
    ClipPlan,
    Scenario,
    Split,
    make_scenario,
    plans,
)
from chronopose.synth.scene import Layers
from chronopose.synth.write import VERSION, ClipPlaces, is_written, read_facts

CLIPS = 40
"""Clips of val, and of test."""
FIRST_SEED: dict[Split, int] = {"train": 0, "val": 500_000, "test": 600_000}
"""Seed of a split's first clip; the others follow."""
MOST_TRAIN = FIRST_SEED["val"]
"""Clips of train at most: from there on seeds belong to val."""

PEOPLE, FRAMES, FPS, SIZE = (1, 4), 40, 25.0, (640, 360)
"""The settings that are not those of the stratum."""

APART_PX = 0.01
"""By so much the same joint may differ between the two files of a clip."""


def synthtrack_plans(split: Split, count: int | None = None) -> list[ClipPlan]:
    """The clips of a split, the strata in turn.

    Args:
        split: ``train``, ``val`` or ``test``.
        count: How many of train, a multiple of 5 for equal strata; None: as many as val has. Val
            and test are always whole.

    Raises:
        UsageError: no such split, a count for a frozen one, or more clips than train has seeds.
    """
    if split not in SPLITS:
        raise UsageError(f"SynthTrack has {', '.join(SPLITS)}; got {split!r}.")
    if split in FROZEN_SPLITS and count not in (None, CLIPS):
        raise UsageError(
            f"{split} of SynthTrack always has {CLIPS} clips; got {count}. Only train is of any "
            f"size."
        )
    wanted = CLIPS if count is None else count
    if not 1 <= wanted <= MOST_TRAIN:
        raise UsageError(f"Train of SynthTrack has 1 to {MOST_TRAIN} clips; got {wanted}.")
    return plans(
        wanted, FIRST_SEED[split], DIFFICULTIES, people=PEOPLE, frames=FRAMES, fps=FPS, size=SIZE,
        split=split,
    )  # fmt: skip


def labels_alone(scenario: Scenario) -> tuple[list[FrameLabels], list[Camera]]:
    """Labels and cameras of all frames of a scenario that nobody has drawn.

    Returns:
        Labels in which nobody hides anybody: all that lies in the picture is visible, nobody has a
        seen box. The rest is as in the drawn clip.
    """
    plan = scenario.plan
    width, height = plan.size
    nothing = Layers(
        np.zeros((height, width, 3), np.float32), np.zeros((height, width), np.uint8),
        np.full((height, width), np.inf, np.float32), np.zeros((height, width, 2), np.float32),
    )  # fmt: skip
    moments = [scenario.moment(number) for number in range(plan.frames)]
    cameras = [scenario.cameras[m] for m in moments]
    ids = [p.track for p in scenario.people]
    labels = [
        label_frame(actors_at(scenario, m, m), camera, nothing, ids)
        for m, camera in zip(moments, cameras, strict=True)
    ]
    return labels, cameras


def freeze(plan: ClipPlan) -> FrozenClip:
    """A row of the frozen table: a clip made by code, labelled without drawing it."""
    scenario = make_scenario(plan, Assets(), painted=False)
    arrays = ClipArrays.of(*labels_alone(scenario), np.arange(plan.frames) / plan.fps)
    return FrozenClip(plan.name, len(arrays.ids), scenario.fingerprint(), arrays.digest())


def expected_digest(plan: ClipPlan) -> str:
    """Hash that the labels of a clip made by code must have (``ClipFacts.labels_sha256``)."""
    return freeze(plan).labels_sha256


def freeze_table() -> dict[str, Any]:
    """The whole table anew, for whoever changes the generator and raises its version.

    It is read from ``io/synthtrack.json``; a minute of work.
    """
    splits = {s: [asdict(freeze(p)) for p in synthtrack_plans(s)] for s in ("val", "test")}
    return {
        "format": "chronopose SynthTrack", "version": VERSION, "people": list(PEOPLE),
        "frames": FRAMES, "fps": FPS, "size": list(SIZE), "splits": splits,
    }  # fmt: skip


def check_synthtrack(folder: str | Path, split: Split) -> list[str]:
    """Compare generated clips with the frozen table.

    Labels are read and hashed anew, and what PoseTrack's readers take is compared with them. That
    a clip shows the right place is known from what it says about itself only.

    Args:
        folder: Where the split was generated.
        split: ``val`` or ``test``; nothing of train is frozen.

    Returns:
        What is wrong, a line for each clip; nothing if this is SynthTrack.

    Raises:
        UsageError: the split is not a frozen one.
    """
    root = Path(folder)
    frozen = frozen_clips(split)
    problems = [found for clip in frozen.values() if (found := _problem(root, split, clip))]
    there = ClipPlaces(root, split, "any").annotations.parent.glob("*.json")
    return problems + [
        f"{file.stem}: is no clip of SynthTrack; take {file} away"
        for file in sorted(there)
        if file.stem not in frozen
    ]


def _problem(folder: Path, split: str, clip: FrozenClip) -> str | None:
    places = ClipPlaces(folder, split, clip.name)
    if not is_written(folder, split, clip.name):
        return f"{clip.name}: is not there as a whole; generate the split again"
    try:
        facts, arrays = read_facts(folder, split, clip.name), read_arrays(places.arrays)
        sequences = read_posetrack(places.annotations)
    except FormatError as error:
        return f"{clip.name}: cannot be read: {error}"
    if facts.settings.get("fingerprint") != clip.decisions_sha256:
        return (
            f"{clip.name}: other people, motions or another place than frozen. It was made with "
            f"other settings or assets, or this numpy draws other random numbers"
        )
    if arrays.digest() != clip.labels_sha256:
        return (
            f"{clip.name}: the right people, but labels that are not the frozen ones "
            f"({arrays.digest()[:12]} instead of {clip.labels_sha256[:12]}). Another version of "
            f"the generator made it (this clip: {facts.version}, here: {VERSION}), or the files "
            f"were changed"
        )
    if len(sequences) != 1 or not _agree(arrays, sequences[0]):
        return f"{clip.name}: {places.annotations} does not say what its arrays say"
    return None


def _agree(arrays: ClipArrays, written: LabelledSequence) -> bool:
    """Whether the labels in PoseTrack's form are those of the arrays."""
    if len(written.frames) != len(arrays):
        return False
    joints = arrays.places(POSETRACK15.joints)
    shown = (arrays.visibility[..., joints] == VISIBLE).any(-1)
    for place, frame in enumerate(written.to_skeleton(POSETRACK15)):
        rows = np.flatnonzero(shown[place])
        order = np.argsort(frame.ids)
        if frame.ids[order].tolist() != arrays.ids[rows].tolist():
            return False
        code = arrays.visibility[place, rows][:, joints]
        apart = np.abs(frame.xy[order] - arrays.xy[place, rows][:, joints])
        same = frame.visibility[order] == code
        if not same.all() or (apart[code > 0] > APART_PX).any():
            return False
    return True

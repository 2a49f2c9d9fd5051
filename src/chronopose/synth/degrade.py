"""Degradations: what makes real video hard, for generated clips and for a user's own.

A degradation is a frozen dataclass that is called with a :class:`~chronopose.synth.shot.Shot` and
a generator. :func:`degrade` runs a list of them over a clip and its labels; generators that keep
more than that (depth, masks) run :func:`degrade_shot`. Given the same seed, a step draws the same
whatever comes after it.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np

from chronopose.core.labels import LabelledFrame, LabelledSequence, Visibility
from chronopose.core.tracks import VideoPoses
from chronopose.core.video import Clip
from chronopose.errors import UsageError
from chronopose.synth.degrade_cover import Occluders
from chronopose.synth.degrade_optics import Defocus, MotionBlur, depth_of_field, motion_blur_average
from chronopose.synth.degrade_sensor import Codec, Rescale, SensorNoise, through_codec
from chronopose.synth.degrade_view import Cut, DropFrames, Pan, Shake, Zoom
from chronopose.synth.shot import Degradation, Shot, check_strength, move_boxes, move_points

__all__ = [
    "STEPS", "Codec", "Cut", "Defocus", "Degradation", "DropFrames", "MotionBlur", "Occluders",
    "Pan", "Rescale", "SensorNoise", "Shake", "Shot", "Zoom", "degrade", "degrade_shot",
    "depth_of_field", "motion_blur_average", "move_frame", "parse_steps", "through_codec",
]  # fmt: skip

Labels = TypeVar("Labels", LabelledSequence, VideoPoses, None)

STEPS: Mapping[str, Callable[..., Degradation]] = MappingProxyType(
    {
        "shake": Shake, "pan": Pan, "zoom": Zoom, "cut": Cut, "occlude": Occluders,
        "blur": MotionBlur, "defocus": Defocus, "rescale": Rescale, "noise": SensorNoise,
        "codec": Codec, "drop": DropFrames,
    }
)  # fmt: skip
"""Name -> degradation, in the order in which a camera does them."""


def parse_steps(text: str) -> tuple[Degradation, ...]:
    """Steps from ``"shake:0.5,noise,codec:1"``: names of :data:`STEPS` and strengths (else 0.5).

    Raises:
        UsageError: a name or a strength makes no sense.
    """
    steps = []
    for part in text.split(","):
        name, _, amount = part.strip().partition(":")
        if name not in STEPS:
            near = difflib.get_close_matches(name, STEPS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise UsageError(f"There is no degradation {name!r}.{hint} Known: {', '.join(STEPS)}.")
        try:
            step = STEPS[name](strength=float(amount)) if amount else STEPS[name]()
        except ValueError as error:
            raise UsageError(
                f"The strength of {name!r} must be a number from 0 to 1; got {amount!r}."
            ) from error
        check_strength(step)
        steps.append(step)
    return tuple(steps)


def degrade_shot(shot: Shot, steps: Sequence[Degradation], seed: int) -> Shot:
    """Run steps one after the other, each with a generator of its own.

    Raises:
        UsageError: a strength is outside 0 to 1.
    """
    for number, step in enumerate(steps):
        check_strength(step)
        if step.strength > 0 and len(shot):
            shot = step(shot, np.random.default_rng([seed, number]))
    return shot


def degrade(
    clip: Clip, labels: Labels, steps: Sequence[Degradation], seed: int
) -> tuple[Clip, Labels]:
    """Degrade a clip, and take its labels along.

    Args:
        clip: Frames; the numbers in ``frame_index`` say which labels are theirs.
        labels: Labels or poses of the video, which may have more frames than the clip; None.
        steps: What to do, in this order.
        seed: Decides everything random.

    Returns:
        The degraded clip and the labels of its frames: joints and boxes moved with the pixels, a
        joint that came under an occluder is occluded, one that left the picture is absent, and who
        left it altogether is gone. Poses get a line of history.

    Raises:
        UsageError: no frame of the clip has labels, or a strength is outside 0 to 1.
    """
    sequence = LabelledSequence.from_video(labels) if isinstance(labels, VideoPoses) else labels
    found: dict[int, LabelledFrame] = {}
    if sequence is not None:
        found = {f.frame_index: f for f in sequence}
    ours = [found.get(int(number)) for number in clip.frame_index]
    if sequence is not None and all(f is None for f in ours):
        raise UsageError(
            f"None of the frames {clip.frame_index[:3].tolist()}... of the clip is among the "
            f"labelled ones {list(found)[:3]}... Number frames as the labels do, or give no labels."
        )
    boxes = tuple(np.zeros((0, 4)) if f is None else f.boxes for f in ours)
    shot = degrade_shot(Shot.of(clip, boxes=boxes), steps, seed)
    if sequence is None:
        return shot.clip, labels
    frames = tuple(
        move_frame(frame, shot, place)
        for place, source in enumerate(shot.source)
        if (frame := ours[source]) is not None
    )
    # Frames that a clip repeats at its ends have one set of labels.
    once = {f.frame_index: f for f in reversed(frames)}
    sequence = dataclasses.replace(sequence, frames=tuple(once[n] for n in sorted(once)))
    if not isinstance(labels, VideoPoses):
        return shot.clip, sequence
    settings = {"steps": [describe(s) for s in steps], "seed": seed}
    poses = sequence.to_video(labels.info, labels.history, labels.complete)
    return shot.clip, poses.with_step("degrade", settings)


def describe(step: Degradation) -> dict[str, Any]:
    """Name and settings of a step, plain values for records."""
    settings: dict[str, Any] = {"strength": step.strength}
    if dataclasses.is_dataclass(step):
        settings = {f.name: getattr(step, f.name) for f in dataclasses.fields(step)}
    return {"step": type(step).__name__, **settings}


def move_frame(frame: LabelledFrame, shot: Shot, place: int) -> LabelledFrame:
    """Labels of a frame of the clip as it was -> labels of frame ``place`` of the shot.

    Boxes may leave the picture, as they may in the labels' files.
    """
    matrix, last = shot.matrices[place], np.array(shot.size) - 0.5
    xy = move_points(matrix, frame.xy)

    def inside(points: Any) -> Any:
        return ((points >= -0.5) & (points < last)).all(-1)

    visibility = np.where(inside(frame.xy) & ~inside(xy), Visibility.ABSENT, frame.visibility)
    pixel = np.clip(np.rint(np.nan_to_num(xy)), 0, last - 0.5).astype(int)
    covered = shot.hidden[place][pixel[..., 1], pixel[..., 0]] & inside(xy)
    visibility = np.where(covered & (visibility > 0), Visibility.OCCLUDED, visibility)
    xy = np.where((visibility > 0)[..., None], xy, np.nan)
    moved = dataclasses.replace(
        frame, xy=xy, visibility=visibility.astype(np.int8),
        score=np.where(visibility > 0, frame.score, np.nan),
        boxes=move_boxes(matrix, frame.boxes), head_boxes=move_boxes(matrix, frame.head_boxes),
        area=frame.area * abs(np.linalg.det(matrix[:, :2])),
        ignore=tuple(move_points(matrix, p) for p in frame.ignore),
        time_s=float(shot.time_s[place]),
    )  # fmt: skip
    box = moved.boxes
    with np.errstate(invalid="ignore"):
        touches = (box[:, 2:] > -0.5).all(1) & (box[:, :2] < last).all(1)
    return moved.select(moved.known.any(1) | touches)

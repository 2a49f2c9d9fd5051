"""Made-up labels and predictions of many people, with every kind of mistake in them.

Only numbers, no pictures: they feed the metrics when these are timed and compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chronopose.core.labels import LabelledFrame, LabelledSequence, Visibility
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import COCO17, POSETRACK17SLOT

Floats = NDArray[np.float64]
SIZE = (640, 360)
_REGION = np.array([[0.0, 0.0], [60.0, 10.0], [40.0, 200.0], [25.0, 110.0], [5.0, 220.0]])


@dataclass(frozen=True, kw_only=True)
class SceneSettings:
    """How many people walk about and what goes wrong; shares are in [0, 1]."""

    frames: int = 140
    people: int = 8
    room: tuple[int, int] = SIZE
    """Where people start and false people appear, pixels; the smaller the more crowded."""
    body: float = 1.5
    """Spread of the joints of a person, head sizes."""
    present: float = 0.85
    """How much of the frames a person is in."""
    noise: float = 0.15
    """Spread of predicted joints, head sizes; one joint in eight is six times as far off."""
    unlabelled_joints: float = 0.1
    occluded_joints: float = 0.1
    missed_joints: float = 0.05
    missed_people: float = 0.08
    false_people: float = 0.06
    swaps: float = 0.02
    """Share of frames after which two predicted tracks change places."""
    unlabelled_frames: float = 0.03
    empty_frames: float = 0.03
    """Share of frames without any prediction, and as many labelled ones without people."""
    regions: float = 0.3
    """Probability of a region to ignore."""
    never: tuple[str, ...] = ()
    """Joints that no label has."""


def make_pair(
    number: int, settings: SceneSettings | None = None, *, skeleton: Skeleton = POSETRACK17SLOT
) -> tuple[LabelledSequence, LabelledSequence]:
    """Labels and predictions of a video.

    Args:
        number: Decides everything that is random.
        settings: What happens in it.
        skeleton: Joints of both sides; ears are never labelled.
    """
    scene = settings or SceneSettings()
    dice = np.random.default_rng(number)
    joints, frames = len(skeleton), scene.frames
    head = dice.uniform(20, 50, scene.people)
    xy = _walk(dice, scene, head, joints)
    here = _presence(dice, scene)
    boxes = np.stack([xy[:, :, 0] - 0.5 * head[:, None], xy[:, :, 0] + 0.5 * head[:, None]], 2)
    known = dice.random(xy.shape[:3]) >= scene.unlabelled_joints
    known[:, :, [j.endswith("_ear") or j in scene.never for j in skeleton.joints]] = False
    seen = dice.random(known.shape) >= scene.occluded_joints
    visibility = np.where(known, np.where(seen, Visibility.VISIBLE, Visibility.OCCLUDED), 0)
    labelled = dice.random(frames) >= scene.unlabelled_frames
    here &= labelled[:, None] & (dice.random((frames, 1)) >= scene.empty_frames)
    ignore = (_REGION,) if dice.random() < scene.regions else ()
    labels = [
        LabelledFrame(
            f"{f:06d}.jpg", f, skeleton, np.where(known[f, rows, :, None], xy[f, rows], np.nan),
            visibility=visibility[f, rows], ids=rows, head_boxes=boxes[f, rows].reshape(-1, 4),
            boxes=_extent(xy[f, rows]), ignore=ignore, labelled=bool(labelled[f]),
            image_id=number * 10_000 + f, size=SIZE,
        )
        for f, rows in enumerate(np.flatnonzero(h) for h in here)
    ]  # fmt: skip
    found = _predict(dice, scene, xy, head, here, labels)
    name = f"generated_{number:04d}"
    return (
        LabelledSequence(name, skeleton, tuple(labels), fps=25.0),
        LabelledSequence(name, skeleton, tuple(found), fps=25.0),
    )


def _walk(dice: np.random.Generator, scene: SceneSettings, head: Floats, joints: int) -> Floats:
    """``(F, N, K, 2)`` joints of people who walk straight and wave."""
    people, frames = len(head), scene.frames
    start = 30 + dice.uniform(0, scene.room, (people, 2))
    step = dice.normal(0, 3, (people, 2))
    body = dice.normal(0, scene.body, (people, joints, 2)) * head[:, None, None]
    centre = start + np.arange(frames)[:, None, None] * step
    wave = dice.normal(0, 0.1, (frames, people, joints, 2)) * head[:, None, None]
    return centre[:, :, None] + body + wave


def _presence(dice: np.random.Generator, scene: SceneSettings) -> NDArray[np.bool_]:
    """``(F, N)``: everybody is away for one stretch."""
    away = max(0, round(scene.frames * (1 - scene.present)))
    first = dice.integers(0, max(1, scene.frames - away), scene.people)
    frame = np.arange(scene.frames)[:, None]
    return (frame < first) | (frame >= first + away)


def _extent(xy: Floats) -> Floats:
    return np.concatenate([xy.min(1, initial=1e9), xy.max(1, initial=-1e9)], axis=1)


def _predict(
    dice: np.random.Generator, scene: SceneSettings, xy: Floats, head: Floats,
    here: NDArray[np.bool_], labels: list[LabelledFrame],
) -> list[LabelledFrame]:  # fmt: skip
    """The predictions of every frame, with mistakes."""
    frames, people, joints, _ = xy.shape
    spread = scene.noise * np.where(dice.random((frames, people, joints)) < 0.125, 6.0, 1.0)
    off = dice.normal(0, 1, xy.shape) * (spread * head[:, None])[..., None]
    ghosts = dice.uniform(0, scene.room, (*xy.shape[:2], 1, 2)) + dice.normal(0, 60, xy.shape)
    points = np.concatenate([xy + off, ghosts], axis=1)
    caught = here & (dice.random(here.shape) >= scene.missed_people)
    ghost = dice.random(here.shape) < scene.false_people
    shown = np.concatenate([caught, ghost], axis=1)
    shown &= dice.random((frames, 1)) >= scene.empty_frames
    points[dice.random(points.shape[:3]) < scene.missed_joints] = np.nan
    # Two digits make many scores equal.
    scores = dice.random(points.shape[:3]).round(2)
    scores[dice.random(scores.shape) < 0.02] = np.nan
    names = np.arange(2 * people)
    found = []
    for f, label in enumerate(labels):
        if people > 1 and dice.random() < scene.swaps:
            a, b = dice.choice(people, 2, replace=False)
            names[[a, b]] = names[[b, a]]
        rows = dice.permutation(np.flatnonzero(shown[f]))
        found.append(
            LabelledFrame(
                label.name, label.frame_index, label.skeleton, points[f, rows],
                score=scores[f, rows], ids=names[rows], boxes=_extent(xy[f, rows % people]),
                image_id=label.image_id, size=SIZE,
            )
        )  # fmt: skip
    return found


def make_pictures(
    number: int, pictures: int, people: int = 5
) -> tuple[LabelledSequence, LabelledSequence]:
    """Labels and predictions of unrelated pictures with areas, boxes and person scores.

    Args:
        number: Decides everything that is random.
        pictures: How many.
        people: In each of them; about one more is predicted.
    """
    dice = np.random.default_rng(number)
    skeleton = COCO17
    labels, found = [], []
    for picture in range(pictures):
        size = dice.uniform(40, 300, people)
        corner = dice.uniform(0, SIZE, (people, 1, 2))
        xy = (corner + dice.uniform(0, 1, (people, len(skeleton), 2)) * size[:, None, None]).round(
            2
        )
        known = dice.random(xy.shape[:2]) < 0.8
        boxes = np.concatenate([corner[:, 0], corner[:, 0] + size[:, None]], axis=1).round(2)
        label = LabelledFrame(
            f"{picture:012d}.jpg", picture, skeleton, np.where(known[..., None], xy, np.nan),
            boxes=boxes, area=(0.6 * size**2).round(2), crowd=dice.random(people) < 0.01,
            image_id=picture + 1, size=SIZE,
        )  # fmt: skip
        rows = dice.integers(0, people, people + 1)
        noise = dice.normal(0, 0.06, (len(rows), len(skeleton), 2)) * size[rows, None, None]
        guess = (xy[rows] + noise).round(2)
        score = dice.random((len(rows), len(skeleton))).round(3)
        labels.append(label)
        found.append(
            LabelledFrame(
                label.name, picture, skeleton, guess, score=score,
                person_score=dice.random(len(rows)).round(3), image_id=picture + 1, size=SIZE,
            )
        )  # fmt: skip
    return (
        LabelledSequence("pictures", skeleton, tuple(labels), is_video=False),
        LabelledSequence("pictures", skeleton, tuple(found), is_video=False),
    )

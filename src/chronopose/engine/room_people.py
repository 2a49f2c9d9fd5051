"""Generated people filmed in a few rooms by cameras that stand still, to learn from without labels.

As in the recordings that such methods are published on, the same rooms see everybody, the empty
rooms are known, and the people that are judged never occur in training. Nothing is read from disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from chronopose.core.skeletons import H36M17
from chronopose.data.footage import cut_person
from chronopose.data.moments import Footage
from chronopose.engine.known_people import KnownPeople
from chronopose.errors import UsageError
from chronopose.synth.assets import open_assets
from chronopose.synth.camera import look_at
from chronopose.synth.film import draw_frames
from chronopose.synth.hdri import to_srgb
from chronopose.synth.labels import LABEL_JOINTS
from chronopose.synth.renderer import open_renderer
from chronopose.synth.scenario import ClipPlan, Room, Scenario, Split, make_scenario
from chronopose.synth.scene import Renderer

Floats = NDArray[np.float64]
FRAME_PX, FOCAL_PX = (192, 128), 128.0
"""Width and height of the drawn frames, and focal length."""
HEIGHT_M, LOOK_AT_M, REACH_M = 1.6, 0.9, 4.2
"""Of the cameras; of what is in the middle of their pictures; how far away people may be."""
GROW = 1.1
"""Side of a crop over the longer side of the person's box."""
LEAST_SHARE = 0.95
"""Of a person's outline that is in the picture, in every frame that is used."""
JOINTS = tuple(LABEL_JOINTS.index(name) for name in H36M17.joints)


def rooms_made_by_code(count: int, seed: int = 0) -> list[Room]:
    """Places, each with its own light and a camera.

    Args:
        count: How many.
        seed: Decides which.
    """
    assets = open_assets()
    camera = look_at(
        np.array([0.0, 0.0, HEIGHT_M]), np.array([0.0, 3.4, LOOK_AT_M]), FRAME_PX,
        FOCAL_PX,
    )  # fmt: skip
    return [
        Room(assets.environment("train", np.random.default_rng([seed, 7, n])), camera, REACH_M)
        for n in range(count)
    ]


def room_people(
    rooms: Sequence[Room], *, people: int, videos: int, size: tuple[int, int] = (64, 64),
    seconds: float = 2.0, fps: float = 12.5, split: Split = "train", seed: int = 0,
) -> KnownPeople:  # fmt: skip
    """One person at a time in a room, cut out by the box, beside the same cut of the empty room.

    Everybody is filmed in several videos: in one room after the other, doing something else, seen
    from another side.

    Args:
        rooms: Where.
        people: How many.
        videos: Of each.
        size: Width and height of the crops, pixels.
        seconds: Length of a video.
        fps: Frames a second.
        split: Bodies and motions of ``val`` and ``test`` are others than of ``train``.
        seed: Decides bodies, motions and places.

    Returns:
        With ``background`` of each frame, and as traits the logarithms of bone lengths.

    Raises:
        UsageError: there is no room or nobody to film, or nobody stays in the picture.
    """
    if not rooms or people < 1 or videos < 1:
        raise UsageError(
            f"People in rooms need at least one room, person and video each; got {len(rooms)}, "
            f"{people} and {videos}."
        )
    assets, renderer = open_assets(), open_renderer(FRAME_PX)
    footage, truth, who, traits = [], [], [], []
    try:
        empty = [to_srgb(renderer.backdrop(r.camera, r.environment)) for r in rooms]
        for person in range(people):
            body = assets.body(split, np.random.default_rng([seed, person]))
            for video in range(videos):
                room = (person + video) % len(rooms)
                plan = ClipPlan(
                    seed=seed + person * videos + video, people=(1, 1), split=split, fps=fps,
                    frames=round(seconds * fps), size=FRAME_PX,
                )  # fmt: skip
                scenario = make_scenario(plan, assets, room=rooms[room], body=body)
                film, world = _film(scenario, renderer, empty[room], size)
                if len(film) < plan.frames / 2:
                    continue
                footage.append(replace(film, name=f"person {person} video {video}"))
                centred = world - world[:, :1]
                truth.append(centred @ rooms[room].camera.rotation.T * 1000)
                who.append(person)
                traits.append(_lengths(world))
    finally:
        renderer.close()
    if not footage:
        raise UsageError(
            f"None of {people * videos} videos keeps its person in the picture for half of its "
            f"time. Film more people, or choose another seed."
        )
    return KnownPeople(footage, truth, np.array(who), np.stack(traits), apart=True)


def _film(
    scenario: Scenario, renderer: Renderer, empty: NDArray[np.uint8], size: tuple[int, int]
) -> tuple[Footage, Floats]:
    """The frames in which the person is seen as a whole, and ``(T, 17, 3)`` joints, metres."""
    rows, crops, behind, xyz = [], [], [], []
    for number, drawn in enumerate(draw_frames(scenario, renderer)):
        box, share = drawn.labels.cut_boxes[0], drawn.labels.share[0]
        if share >= LEAST_SHARE and np.isfinite(box).all():
            rows.append(number)
            crops.append(cut_person(drawn.image, box, size, GROW))
            behind.append(cut_person(empty, box, size, GROW))
            xyz.append(drawn.labels.xyz[0][list(JOINTS)])
    shape = (0, size[1], size[0], 3)
    film = Footage(
        "", np.array(rows, np.float64) / scenario.plan.fps,
        np.stack(crops) if crops else np.empty(shape, np.uint8),
        background=np.stack(behind) if behind else None,
    )  # fmt: skip
    return film, np.stack(xyz) if xyz else np.empty((0, len(JOINTS), 3))


def _lengths(xyz: Floats) -> Floats:
    """Logarithms of bone lengths of ``(T, 17, 3)``, less their mean."""
    ends = np.array([(H36M17.index(a), H36M17.index(b)) for a, b in H36M17.limbs])
    lengths = np.linalg.norm(xyz[:, ends[:, 0]] - xyz[:, ends[:, 1]], axis=-1).mean(0)
    logs = np.log(lengths)
    found: Floats = logs - logs.mean()
    return found

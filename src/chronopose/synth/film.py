"""film: draw a scenario, frame by frame, with its labels and what the camera does to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chronopose.core.video import Clip
from chronopose.synth.camera import Camera
from chronopose.synth.degrade import degrade_shot
from chronopose.synth.degrade_optics import Defocus, motion_blur_average
from chronopose.synth.degrade_sensor import Codec, Rescale, SensorNoise
from chronopose.synth.hdri import to_srgb
from chronopose.synth.labels import FrameLabels, label_frame
from chronopose.synth.scenario import ClipPlan, Scenario
from chronopose.synth.scene import Actor, Layers, Renderer, View
from chronopose.synth.shot import Degradation, Shot


@dataclass(frozen=True)
class Drawn:
    """One drawn frame.

    Args:
        image: ``(H, W, 3)`` uint8 RGB, sharp or motion-blurred, before the sensor.
        labels: What is true of it.
        layers: Of the moment in the middle of its exposure.
        camera: Of that moment.
    """

    image: NDArray[np.uint8]
    labels: FrameLabels
    layers: Layers
    camera: Camera


@dataclass(frozen=True)
class Footage:
    """A whole clip.

    Args:
        frames: ``(T, H, W, 3)`` uint8 RGB, as the file shows them.
        labels: One a frame.
        cameras: One a frame.
        time_s: ``(T,)`` seconds.
        masks: ``(T, H, W)`` uint8, as :class:`~chronopose.synth.scene.Layers` marks people.
        depth: ``(T, H, W)`` float32 metres.
        flow: ``(T, H, W, 2)`` float32 pixels to the next frame.
    """

    frames: NDArray[np.uint8]
    labels: tuple[FrameLabels, ...]
    cameras: tuple[Camera, ...]
    time_s: NDArray[np.float64]
    masks: NDArray[np.uint8]
    depth: NDArray[np.float32]
    flow: NDArray[np.float32]


def draw_frames(
    scenario: Scenario,
    renderer: Renderer,
    *,
    frames: range | None = None,
    flow: bool = False,
    supersample: int = 1,
) -> Iterator[Drawn]:
    """Draw frames of a scenario one after the other.

    Args:
        scenario: What happens.
        renderer: Of the plan's size.
        frames: Which; None: all.
        flow: Also draw the optical flow to the next frame.
        supersample: Samples a pixel and side; 2 smooths edges and takes about three times as long.
    """
    kept: tuple[Camera, NDArray[np.float32]] | None = None
    chosen = range(scenario.plan.frames) if frames is None else frames
    ids = [p.track for p in scenario.people]
    for number in chosen:
        here, after = scenario.moment(number), scenario.moment(number + 1)
        camera, following = scenario.cameras[here], scenario.cameras[after]
        actors = actors_at(scenario, here, after)
        if kept is None or kept[0] is not camera:
            kept = camera, renderer.backdrop(camera, scenario.environment)
        view = View(camera, scenario.environment, actors, following, kept[1])
        layers = renderer.draw(view, flow=flow, supersample=supersample)
        labels = label_frame(actors, camera, layers, ids)
        light = layers.linear
        if scenario.shutter:
            moments = [m for m in _open(scenario, here) if m != here]
            others = [_light(scenario, renderer, m, supersample) for m in moments]
            light = motion_blur_average(np.stack([light, *others]))
        yield Drawn(to_srgb(light), labels, layers, camera)


def actors_at(scenario: Scenario, moment: int, following: int) -> list[Actor]:
    """The players at a moment and at the one that their flow leads to."""
    return [
        Actor(p.body, p.matrices[moment], p.matrices[following], thing=not p.track)
        for p in scenario.players
    ]


def _open(scenario: Scenario, moment: int) -> range:
    return range(moment - scenario.shutter, moment + scenario.shutter + 1)


def _light(
    scenario: Scenario, renderer: Renderer, moment: int, supersample: int
) -> NDArray[np.float32]:
    camera = scenario.cameras[moment]
    backdrop = renderer.backdrop(camera, scenario.environment)
    view = View(camera, scenario.environment, actors_at(scenario, moment, moment), None, backdrop)
    return renderer.draw(view, supersample=supersample).linear


def shoot(scenario: Scenario, renderer: Renderer, *, supersample: int = 1) -> Footage:
    """Draw a scenario and send it through lens, sensor and codec, as its difficulty asks."""
    drawn = list(draw_frames(scenario, renderer, flow=True, supersample=supersample))
    images = np.stack([d.image for d in drawn])
    plan = scenario.plan
    times = np.arange(plan.frames) / plan.fps
    clip = Clip(images, np.arange(plan.frames), times, 0)
    depth = np.stack([d.layers.depth for d in drawn])
    masks = np.stack([d.layers.person for d in drawn])
    shot = Shot.of(clip, depth=depth, person=masks)
    shot = degrade_shot(shot, camera_steps(plan), plan.seed)
    return Footage(
        shot.frames, tuple(d.labels for d in drawn), tuple(d.camera for d in drawn), times, masks,
        depth, np.stack([d.layers.flow for d in drawn]),
    )  # fmt: skip


def camera_steps(plan: ClipPlan) -> tuple[Degradation, ...]:
    """What lens, sensor and codec do to a clip: always a little, and the lens a lot in defocus."""
    rng = np.random.default_rng([plan.seed, 77])
    steps: list[Degradation] = []
    if plan.difficulty == "defocus":
        steps.append(Defocus(strength=float(rng.uniform(0.45, 0.9))))
    if plan.difficulty == "blur" and rng.random() < 0.3:
        steps.append(Rescale(strength=float(rng.uniform(0.1, 0.4))))
    steps.append(SensorNoise(strength=float(rng.uniform(0.05, 0.35))))
    steps.append(Codec(strength=float(rng.uniform(0.05, 0.45))))
    return tuple(steps)

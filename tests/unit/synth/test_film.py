"""Drawn clips: labels in the middle of the blur, flow that leads to the next frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_assets import make_assets
from panels import camera, even_light
from plates import plate
from scipy.ndimage import map_coordinates

from chronopose.synth.assets import open_assets
from chronopose.synth.body import BONES, Body, BonePoses
from chronopose.synth.degrade_optics import Defocus
from chronopose.synth.degrade_sensor import Codec, Rescale, SensorNoise
from chronopose.synth.film import camera_steps, draw_frames, shoot
from chronopose.synth.hdri import from_srgb
from chronopose.synth.labels import LABEL_JOINTS
from chronopose.synth.render_soft import SoftRenderer
from chronopose.synth.scenario import DIFFICULTIES, ClipPlan, Player, Scenario, make_scenario
from chronopose.synth.scene import THING, Layers, View

SIZE = (64, 48)
PLAN = ClipPlan(seed=2, people=(2, 2), frames=3, size=SIZE)


class Watched(SoftRenderer):
    """The plain renderer, which also keeps what it was asked to draw."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__(size)
        self.views: list[View] = []

    def draw(self, view: View, *, flow: bool = False, supersample: int = 1) -> Layers:
        self.views.append(view)
        return super().draw(view, flow=flow, supersample=supersample)


@pytest.fixture(scope="module")
def scenarios(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scenario]:
    """One of every difficulty, in a small grey place that is quickly read."""
    assets = open_assets(make_assets(tmp_path_factory.mktemp("assets"), 3, 0))
    return {d: make_scenario(replace(PLAN, difficulty=d), assets) for d in DIFFICULTIES}


def carried(body: Body, way: np.ndarray, times: np.ndarray, track: int) -> Player:
    """A body at rest that follows ``(M, 3)``."""
    turns = np.tile(np.eye(3, dtype=np.float32), (len(times), len(BONES), 1, 1))
    poses = BonePoses(turns, way.astype(np.float32), times)
    return Player(body, body.skin_matrices(poses), track)


def crossing(step_px: float, shutter: int) -> Scenario:
    """A white plate, 9 x 9 px, crosses before black, so many pixels from frame to frame."""
    plan = ClipPlan(seed=0, difficulty="blur", frames=3, size=SIZE)
    times = (np.arange(5 * 8 + 1) - 8) / (25 * 8)
    view = camera(SIZE, focal=32.0)
    # 32 px a metre at a distance of 1 m; frame 1 has the plate around pixel 31, 24.
    x = 31 / 32 + (times * 25 - 1) * step_px / 32
    way = np.stack([x, np.ones_like(x), np.full_like(x, -24 / 32)], -1)
    body = plate(side=9 / 32)
    dark = replace(even_light(0.25), radiance=np.zeros((16, 32, 3), np.float32))
    return Scenario(
        plan, dark, (view,) * len(times), (carried(body, way, times, 1),), times, shutter
    )


# ---- one frame ------------------------------------------------------------------------------


def test_a_still_camera_is_given_the_identical_backdrop(scenarios: dict[str, Scenario]):
    scenario = scenarios["clean"]
    still = replace(scenario, cameras=(scenario.cameras[0],) * len(scenario.cameras))
    turning = tuple(camera(SIZE, 1.5, turn) for turn in np.arange(len(scenario.cameras)) / 50)
    moving = replace(scenario, cameras=turning)
    for shot, backdrops in ((still, 1), (moving, 3)):
        renderer = Watched(SIZE)
        assert len(list(draw_frames(shot, renderer))) == 3
        assert len({id(view.backdrop) for view in renderer.views}) == backdrops


@pytest.mark.parametrize(("shutter", "share"), [(2, 1.0), (4, 5 / 9)])
def test_the_blur_of_a_fast_plate_is_symmetric_about_its_label(shutter: int, share: float):
    # Two pixels a moment. With four moments to either side 5 of 9 have the plate over its middle.
    blurred, sharp = (
        next(draw_frames(crossing(16.0, s), SoftRenderer(SIZE), frames=range(1, 2)))
        for s in (shutter, 0)
    )
    nose = blurred.labels.xy[0, LABEL_JOINTS.index("nose")]
    np.testing.assert_allclose(nose, (31, 24), atol=1e-4)
    light, full = (from_srgb(d.image[24, :, 0] / 255) for d in (blurred, sharp))
    np.testing.assert_array_equal(light[:63], light[:63][::-1])
    lit = np.flatnonzero(light > 0.002)
    assert (lit[0], lit[-1]) == (31 - 4 - 2 * shutter, 31 + 4 + 2 * shutter)
    assert light[31] == pytest.approx(share * full[31], rel=0.02)


def test_the_layers_and_boxes_of_a_blurred_frame_are_those_of_its_own_moment():
    scenario = crossing(step_px=16.0, shutter=4)
    blurred, sharp = (
        next(draw_frames(s, SoftRenderer(SIZE), frames=range(1, 2)))
        for s in (scenario, replace(scenario, shutter=0))
    )
    np.testing.assert_array_equal(blurred.layers.person, sharp.layers.person)
    np.testing.assert_array_equal(blurred.labels.boxes, sharp.labels.boxes)
    assert (blurred.image != sharp.image).any()


def test_ids_are_tracks_and_things_are_marked_as_things(scenarios: dict[str, Scenario]):
    scenario = scenarios["occlusion"]
    drawn = list(draw_frames(scenario, SoftRenderer(SIZE)))
    for frame in drawn:
        assert frame.labels.ids.tolist() == [p.track for p in scenario.people]
    assert len(scenario.players) > len(scenario.people)
    assert any((frame.layers.person == THING).any() for frame in drawn)


def test_drawn_joints_are_where_the_body_has_them(scenarios: dict[str, Scenario]):
    scenario = scenarios["crowd"]
    [drawn] = draw_frames(scenario, SoftRenderer(SIZE), frames=range(2, 3))
    moment = scenario.moment(2)
    camera_then = scenario.cameras[moment]
    for place, player in enumerate(scenario.people):
        nose = player.body.locate(player.matrices[moment][None], ("nose",))[0, 0]
        xy, _ = camera_then.project(nose)
        found = drawn.labels.xy[place, LABEL_JOINTS.index("nose")]
        np.testing.assert_allclose(found, xy, atol=0.01)


# ---- flow -----------------------------------------------------------------------------------


def test_flow_of_a_plate_is_the_way_it_goes():
    scenario = crossing(step_px=5.0, shutter=0)
    [drawn] = draw_frames(scenario, SoftRenderer(SIZE), frames=range(1, 2), flow=True)
    on = drawn.layers.person == 1
    assert on.sum() == 81
    np.testing.assert_allclose(drawn.layers.flow[on], np.tile((5.0, 0.0), (81, 1)), atol=1e-3)
    assert not drawn.layers.flow[~on].any()


def test_flow_warps_the_next_frame_onto_this_one(scenarios: dict[str, Scenario]):
    scenario = scenarios["crowd"]
    here, after = draw_frames(scenario, SoftRenderer(SIZE), frames=range(2), flow=True)
    back = _warped(after.image, here.layers.flow)
    error = np.abs(back - here.image).mean(-1)
    people = (here.layers.person > 0) & (here.layers.person < THING)
    unmoved = np.abs(after.image.astype(float) - here.image).mean(-1)
    moved = people & (np.linalg.norm(here.layers.flow, axis=-1) > 0.5)
    assert moved.sum() > 50
    # What is uncovered or hidden in between cannot be warped: the median does not mind.
    assert np.median(error[people]) < 3
    assert error[moved].mean() < 0.7 * unmoved[moved].mean()


def _warped(image: np.ndarray, flow: np.ndarray) -> np.ndarray:
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    at_xy = [rows + flow[..., 1], columns + flow[..., 0]]
    return np.stack(
        [map_coordinates(image[..., c].astype(float), at_xy, order=1, mode="nearest")
         for c in range(3)], -1,
    )  # fmt: skip


# ---- the camera -----------------------------------------------------------------------------


def test_only_defocus_clips_are_out_of_focus_and_all_have_noise_and_a_codec():
    for difficulty in DIFFICULTIES:
        kinds = {
            type(step)
            for seed in range(20)
            for step in camera_steps(replace(PLAN, seed=seed, difficulty=difficulty))
        }
        extra = {"defocus": {Defocus}, "blur": {Rescale}}.get(difficulty, set())
        assert kinds == {SensorNoise, Codec} | extra


def test_footage_has_all_layers_of_every_frame(scenarios: dict[str, Scenario]):
    footage = shoot(scenarios["defocus"], SoftRenderer(SIZE))
    assert footage.frames.shape == (3, 48, 64, 3)
    assert footage.masks.shape == footage.depth.shape == (3, 48, 64)
    assert footage.flow.shape == (3, 48, 64, 2)
    assert len(footage.labels) == len(footage.cameras) == 3
    np.testing.assert_allclose(footage.time_s, (0, 0.04, 0.08))
    assert (np.isfinite(footage.depth) == (footage.masks > 0)).all()


def test_the_same_clip_has_the_same_pixels(scenarios: dict[str, Scenario]):
    one, other = (shoot(scenarios["clean"], SoftRenderer(SIZE)) for _ in range(2))
    np.testing.assert_array_equal(one.frames, other.frames)

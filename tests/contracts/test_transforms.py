"""Every transform × one lit pixel that must stay under its joint."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from chronopose.core.skeletons import get_skeleton
from chronopose.data.clips import Sample, View
from chronopose.data.datasets.lspet import CameraMotion, camera_path
from chronopose.data.transforms import (
    UPPER_P_OF_NORMAL_DRAW,
    Augmentation,
    Blur,
    Colour,
    Flip,
    HalfBody,
    Noise,
    Occlude,
    Rotate,
    Scale,
    Shift,
    Truncate,
    family,
    strong,
    strong_video,
    warp_view,
)

LSP = get_skeleton("lsp14")
SIZE = (96, 128)
GEOMETRIC = {
    "nothing": (),
    "half body": (HalfBody(p=1.0),),
    "half body, upper": (HalfBody(p=1.0, upper_p=1.0),),
    "scale": (Scale(),),
    "rotate": (Rotate(p=1.0),),
    "rotate by any angle": (Rotate(p=0.0, any_p=1.0),),
    "half body, as often upper as published": family(published_halves=True).geometric[:1],
    "shift": (Shift(),),
    "truncate": (Truncate(p=1.0),),
    "truncate, scaled before and turned after": (Scale(), Truncate(p=1.0), Rotate(p=1.0)),
    "flip": (Flip(p=1.0),),
    "family": family().geometric,
    "strong": strong().geometric,
}
EFFECTS = {
    "colour": Colour(),
    "grey": Colour(grey_p=1.0),
    "occlude": Occlude(p=1.0),
    "noise": Noise(p=1.0),
    "motion blur": Blur(motion_p=1.0, defocus_p=0.0),
    "defocus": Blur(motion_p=0.0, defocus_p=1.0),
}


def lit_sample(joint: int, rng: np.random.Generator, frames: int = 1) -> Sample:
    """A small person in the dark with one lit pixel exactly on one joint."""
    joints = np.tile(rng.uniform(20, 44, (1, 14, 2)).astype(np.float32), (frames, 1, 1))
    images = np.zeros((frames, 64, 64, 3), np.uint8)
    for t in range(frames):
        joints[t, joint] = np.array([28 + t, 33])
        images[t, 33, 28 + t] = 255
    low, high = joints.min((0, 1)), joints.max((0, 1))
    visible = np.ones((frames, 14), bool)
    return Sample(images, joints, visible, np.concatenate([low, high]), LSP, frames // 2)


def light(frame: torch.Tensor) -> np.ndarray:
    """Centre of the light in a ``(3, H, W)`` frame, pixels."""
    weight = frame.sum(0).double()
    weight = weight - weight.min()
    y, x = torch.meshgrid(
        torch.arange(weight.shape[0]), torch.arange(weight.shape[1]), indexing="ij"
    )
    return np.array(
        [float((weight * x).sum() / weight.sum()), float((weight * y).sum() / weight.sum())]
    )


def inside(xy: np.ndarray) -> bool:
    return bool((xy > 6).all() and xy[0] < SIZE[0] - 7 and xy[1] < SIZE[1] - 7)


@pytest.mark.parametrize("name", GEOMETRIC)
def test_a_lit_pixel_stays_under_its_joint(name: str):
    augmentation, checked = Augmentation(GEOMETRIC[name]), 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        joint = int(rng.integers(14))
        sample = lit_sample(joint, rng)
        view = augmentation.look(View.of(sample, SIZE), rng)
        place = int(LSP.flip_index[joint]) if view.flip else joint
        joints, _ = view.joints()
        if inside(joints[0, place]):
            checked += 1
            np.testing.assert_allclose(light(warp_view(view)[0]), joints[0, place], atol=0.15)
    assert checked >= 3


@pytest.mark.parametrize("name", GEOMETRIC)
def test_all_frames_of_a_clip_are_moved_alike(name: str):
    rng = np.random.default_rng(5)
    view = Augmentation(GEOMETRIC[name]).look(View.of(lit_sample(4, rng, frames=3), SIZE), rng)
    matrices = view.matrices()
    assert len(matrices) == 3
    assert (matrices == matrices[0]).all()
    np.testing.assert_array_equal(matrices[0], view.window.matrix)


def test_a_lit_pixel_stays_under_its_joint_while_the_camera_moves():
    rng = np.random.default_rng(0)
    sample = lit_sample(4, rng)
    motion = camera_path(5, 2, np.array([32.0, 32.0]), 24.0, CameraMotion(still_p=0), rng)
    view = View.of(replace(sample, motion=motion, key=2), SIZE)
    joints, _ = view.joints()
    frames = warp_view(view)
    assert np.ptp(joints[:, 4], axis=0).max() > 2
    for t in range(5):
        np.testing.assert_allclose(light(frames[t]), joints[t, 4], atol=0.15)


@pytest.mark.parametrize("name", GEOMETRIC)
def test_a_lit_pixel_stays_under_its_joint_in_every_frame_of_a_clip(name: str):
    checked = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        joint = int(rng.integers(14))
        view = View.of(lit_sample(joint, rng, frames=3), SIZE)
        view = Augmentation(GEOMETRIC[name]).look(view, rng)
        place = int(LSP.flip_index[joint]) if view.flip else joint
        joints, _ = view.joints()
        for frame, found in zip(warp_view(view), joints[:, place], strict=True):
            if inside(found):
                checked += 1
                np.testing.assert_allclose(light(frame), found, atol=0.15)
    assert checked >= 9


@pytest.mark.parametrize("name", EFFECTS)
def test_pixel_effects_move_nothing(name: str):
    rng = np.random.default_rng(2)
    view = View.of(lit_sample(4, rng), SIZE)
    joints, _ = view.joints()
    frames = warp_view(view, 3)
    before = frames.clone()
    after = EFFECTS[name](frames, np.random.default_rng(3))
    assert after.shape == before.shape
    changed = (after - before).abs().sum()
    assert changed > 0
    if name in ("colour", "grey", "motion blur", "defocus"):
        np.testing.assert_allclose(light(after[1]), joints[0, 4], atol=0.6)


@pytest.mark.parametrize("make", [family, strong, strong_video])
def test_the_same_generator_gives_the_same_crop(make):
    augmentation = make()
    crops = []
    for _ in range(2):
        rng = np.random.default_rng(9)
        view = augmentation.look(View.of(lit_sample(4, np.random.default_rng(1)), SIZE), rng)
        crops.append(augmentation.paint(warp_view(view, 3), rng))
    assert torch.equal(crops[0], crops[1])


def test_upper_half_keeps_wrists_and_head_but_no_legs():
    joints = np.zeros((1, 14, 2), np.float32)
    for i, name in enumerate(LSP.joints):
        low = any(word in name for word in ("hip", "knee", "ankle"))
        joints[0, i] = [30 + i, 50 if low else 10]
    image = np.zeros((1, 64, 64, 3), np.uint8)
    box = np.array([30, 10, 43, 50], np.float32)
    sample = Sample(image, joints, np.ones((1, 14), bool), box, LSP)
    half = HalfBody(p=1.0, upper_p=1.0, grow=1.0)(View.of(sample, SIZE), np.random.default_rng(0))
    np.testing.assert_allclose(half.box, [36, 10, 43, 10])


def test_half_body_leaves_people_with_few_joints_alone():
    rng = np.random.default_rng(0)
    sample = lit_sample(4, rng)
    few = np.zeros((1, 14), bool)
    few[0, :8] = True
    view = View.of(replace(sample, visible=few), SIZE)
    assert HalfBody(p=1.0)(view, rng) is view


def test_the_upper_half_is_chosen_evenly_or_as_often_as_published():
    joints = np.zeros((1, 14, 2), np.float32)
    for i, name in enumerate(LSP.joints):
        joints[0, i] = [30 + i, 50 if any(w in name for w in ("hip", "knee", "ankle")) else 10]
    image = np.zeros((1, 64, 64, 3), np.uint8)
    box = np.array([30, 10, 43, 50], np.float32)
    view = View.of(Sample(image, joints, np.ones((1, 14), bool), box, LSP), SIZE)
    rng = np.random.default_rng(0)
    for upper_p in (0.5, UPPER_P_OF_NORMAL_DRAW):
        half = HalfBody(p=1.0, upper_p=upper_p)
        share = np.mean([half(view, rng).box[1] < 30 for _ in range(1500)])
        assert abs(share - upper_p) < 0.05
    published = family(published_halves=True).geometric[0]
    assert isinstance(published, HalfBody)
    assert published.upper_p == UPPER_P_OF_NORMAL_DRAW


def test_halves_of_one_joint_are_given_up_and_of_two_are_not():
    joints = np.zeros((1, 14, 2), np.float32)
    joints[0] = np.arange(28).reshape(14, 2)
    lower = np.array([any(w in j for w in ("hip", "knee", "ankle")) for j in LSP.joints])
    image = np.zeros((1, 64, 64, 3), np.uint8)
    for count, given_up in ((1, True), (2, False)):
        visible = ~lower
        visible[np.flatnonzero(lower)[:count]] = True
        sample = Sample(image, joints, visible[None], np.array([0, 0, 30, 30], np.float32), LSP)
        view = View.of(sample, SIZE)
        half = HalfBody(p=1.0, upper_p=0.0, least=2)(view, np.random.default_rng(0))
        assert (half is view) is given_up


def test_truncation_leaves_the_asked_share_of_the_person_outside():
    rng = np.random.default_rng(0)
    view = View.of(lit_sample(4, rng), SIZE)
    sides = set()
    for seed in range(40):
        cut = Truncate(p=1.0, share=(0.25, 0.25))(view, np.random.default_rng(seed))
        corners = cut.window.apply(view.box.reshape(2, 2))
        # A crop reaches from -0.5 to its size - 0.5.
        out = np.concatenate([-0.5 - corners[0], corners[1] - (np.array(SIZE) - 0.5)])
        span = np.tile(corners[1] - corners[0], 2)
        side = int(out.argmax())
        sides.add(side)
        assert out[side] / span[side] == pytest.approx(0.25, abs=1e-9)
        assert (np.delete(out, side) < 0).all()
        np.testing.assert_allclose(cut.window_size, view.window_size)
    assert sides == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("transform", "low", "high"),
    [(Scale(spread=9.0), 0.65, 1.35), (Scale(spread=9.0, low=0.7, high=1.4), 0.7, 1.4)],
)
def test_scale_keeps_to_its_limits(transform: Scale, low: float, high: float):
    rng = np.random.default_rng(0)
    view = View.of(lit_sample(4, rng), SIZE)
    factors = [transform(view, rng).pad / 1.25 for _ in range(60)]
    assert min(factors) == pytest.approx(low)
    assert max(factors) == pytest.approx(high)


def test_rotation_happens_as_often_as_asked():
    rng = np.random.default_rng(0)
    view = View.of(lit_sample(4, rng), SIZE)
    turned = sum(Rotate(p=0.6)(view, rng).rotation_deg != 0 for _ in range(500))
    assert 260 < turned < 340

"""Degradations: pixels and joints stay together, nothing else changes, the seed decides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from chronopose.core.labels import LabelledFrame, LabelledSequence, Visibility
from chronopose.core.skeletons import COCO17
from chronopose.core.video import Clip, VideoInfo
from chronopose.errors import ShapeError, UsageError
from chronopose.synth._kernels import convolve, disc, to_bytes, to_light, trail
from chronopose.synth.degrade import (
    STEPS,
    Codec,
    Cut,
    Defocus,
    DropFrames,
    MotionBlur,
    Occluders,
    Pan,
    Rescale,
    SensorNoise,
    Shake,
    Shot,
    Zoom,
    degrade,
    degrade_shot,
    depth_of_field,
    motion_blur_average,
    move_frame,
    parse_steps,
    through_codec,
)

W, H, T = 97, 64, 12
LIT = np.array([40.0, 30.0])
GEOMETRIC = [Shake, Pan, Zoom, Cut]


def dark_clip(lit: np.ndarray = LIT, count: int = T, value: int = 0) -> Clip:
    """Frames at 25 Hz of one grey, one pixel lit."""
    frames = np.full((count, H, W, 3), value, np.uint8)
    frames[:, int(lit[1]), int(lit[0])] = 255
    return Clip(frames, np.arange(count) + 5, np.arange(count) / 25 + 2.0, key=count // 2)


def labels(lit: np.ndarray = LIT, count: int = T) -> LabelledSequence:
    """One person whose nose is the lit pixel and whose other joints are around it."""
    xy = np.tile(lit, (1, 17, 1)) + np.stack([np.arange(17) - 8, np.zeros(17)], -1)
    xy[:, 0] = lit
    frames = tuple(
        LabelledFrame(
            f"{n:06d}.jpg", n, COCO17, xy, ids=np.array([7]), boxes=np.array([[30, 20, 50, 44.0]])
        )
        for n in range(5, 5 + count)
    )
    return LabelledSequence("dark", COCO17, frames)


def centre_of_light(frame: np.ndarray) -> np.ndarray:
    light = to_light(frame).sum(-1).astype(np.float64)
    y, x = np.mgrid[:H, :W]
    return np.array([(light * x).sum(), (light * y).sum()]) / light.sum()


# ---- geometry -------------------------------------------------------------------------------


@pytest.mark.parametrize("shutter", [0.0, 0.5])
@pytest.mark.parametrize("kind", [Shake, Pan, Zoom])
@pytest.mark.parametrize("seed", range(4))
def test_the_lit_pixel_stays_under_its_joint(kind: type, seed: int, shutter: float):
    clip, found = degrade(dark_clip(), labels(), [kind(strength=1.0, shutter=shutter)], seed)
    noses = np.stack([f.xy[0, 0] for f in found if len(f)])
    seen = [f.frame_index - 5 for f in found if len(f) and f.visibility[0, 0] > 0]
    assert len(seen) == T
    for place in seen:
        assert np.abs(centre_of_light(clip.frames[place]) - noses[place]).max() < 0.4
    assert np.ptp(noses, axis=0).max() > 1


@pytest.mark.parametrize("seed", range(8))
def test_after_a_cut_the_lit_pixel_is_under_its_joint_or_both_are_gone(seed: int):
    clip, found = degrade(dark_clip(), labels(), [Cut(strength=1.0)], seed)
    assert clip.frame_index.tolist() == [f.frame_index for f in found]
    for frame, pixels in zip(found, clip.frames, strict=True):
        if len(frame) and frame.visibility[0, 0] > 0:
            assert np.abs(centre_of_light(pixels) - frame.xy[0, 0]).max() < 0.3
        else:
            assert to_light(pixels).sum() < 1


@pytest.mark.parametrize("step", [MotionBlur(strength=1.0, reach=0.15), Defocus(strength=1.0)])
@pytest.mark.parametrize("seed", range(3))
def test_blur_spreads_the_lit_pixel_around_its_joint(step, seed: int):
    clip, found = degrade(dark_clip(), labels(), [step], seed)
    for pixels, frame in zip(clip.frames, found, strict=True):
        assert np.abs(centre_of_light(pixels) - frame.xy[0, 0]).max() < 0.3
        np.testing.assert_array_equal(frame.xy[0, 0], LIT)
    assert clip.frames.max(axis=(1, 2, 3)).min() < 250


def test_rescaling_spreads_the_lit_pixel_around_its_joint():
    clip, _ = degrade(dark_clip(), None, [Rescale(strength=1.0)], 0)
    assert clip.frames.max() < 128
    # Factors of up to four: the middle of a coarse pixel is at most two pixels away.
    assert np.abs(centre_of_light(clip.frames[0]) - LIT).max() < 2


@pytest.mark.parametrize("kind", GEOMETRIC)
@pytest.mark.parametrize("seed", range(4))
def test_nothing_beyond_the_picture_is_shown(kind: type, seed: int):
    white = Clip(np.full((T, H, W, 3), 200, np.uint8), np.arange(T), np.arange(T) / 25.0)
    clip, _ = degrade(white, None, [kind(strength=1.0)], seed)
    assert clip.frames.min() >= 199


@pytest.mark.parametrize("kind", GEOMETRIC)
def test_depth_and_person_layers_move_with_the_pixels(kind: type):
    clip = dark_clip(value=10)
    person = np.zeros((T, H, W), np.uint8)
    person[:, 20:40, 30:50] = 1
    frames = clip.frames.copy()
    frames[person == 1] = 255
    shot = Shot.of(
        replace(clip, frames=frames),
        person=person, depth=np.where(person == 1, 3.0, np.inf).astype(np.float32),
    )  # fmt: skip
    step = kind(strength=1.0) if kind is Cut else kind(strength=1.0, shutter=0.0)
    moved = degrade_shot(shot, [step], 1)
    bright = moved.frames[..., 0] > 132
    assert (bright != (moved.person == 1)).mean() < 0.01
    assert ((moved.depth == 3) == (moved.person == 1)).all()
    assert bright.any() and (moved.matrices != np.eye(2, 3)).any()


def test_who_leaves_the_picture_is_gone_and_joints_outside_are_absent():
    shot = Shot.of(dark_clip(count=1))
    frame = labels(count=1).frames[0]
    # 35 px to the left: the nose at x = 5 stays, the joints that were below x = 34.5 do not.
    left = replace(shot, matrices=np.array([[[1.0, 0, -35], [0, 1, 0]]]))
    moved = move_frame(frame, left, 0)
    assert moved.xy[0, 0].tolist() == [5, 30]
    outside = frame.xy[0, :, 0] - 35 < -0.5
    assert outside.sum() == 2
    np.testing.assert_array_equal(moved.visibility[0] == Visibility.ABSENT, outside)
    assert moved.boxes.tolist() == [[-5, 20, 15, 44]]
    gone = replace(shot, matrices=np.array([[[1.0, 0, -99], [0, 1, 0]]]))
    assert len(move_frame(frame, gone, 0)) == 0


# ---- occluders ------------------------------------------------------------------------------


def test_a_joint_under_an_occluder_is_occluded_and_others_are_not():
    shot = Shot.of(dark_clip(count=1))
    shot.hidden[0, 28:33, 39:42] = True
    moved = move_frame(labels(count=1).frames[0], shot, 0)
    under = (np.abs(moved.xy[0, :, 0] - 40) < 1.5) & (np.abs(moved.xy[0, :, 1] - 30) < 2.5)
    assert under.sum() == 4  # The nose, and those one pixel left of, at and right of it.
    expected = np.where(under, Visibility.OCCLUDED, Visibility.VISIBLE)
    np.testing.assert_array_equal(moved.visibility[0], expected)


def test_only_what_is_marked_hidden_changes_much():
    shot = degrade_shot(Shot.of(dark_clip(value=128)), [Occluders(strength=1.0)], 3)
    change = np.abs(shot.frames.astype(int) - dark_clip(value=128).frames).max(-1)
    assert 0.02 < shot.hidden.mean() < 0.95
    # Along the edge of a thing its colour is mixed in by less than a half.
    assert change[~shot.hidden].max() <= 128 / 2 + 1
    assert (change[shot.hidden] > 10).mean() > 0.5


def test_occluders_aim_at_people():
    boxes = tuple(np.array([[60.0, 10, 80, 54]]) for _ in range(T))
    hits = 0
    for seed in range(12):
        shot = Shot.of(dark_clip(), boxes=boxes)
        hidden = degrade_shot(shot, [Occluders(strength=0.1)], seed).hidden
        hits += hidden[:, 10:54, 60:80].any()
    assert hits == 12


def test_occluders_are_things_in_front_in_the_layers():
    shot = Shot.of(
        dark_clip(), person=np.ones((T, H, W), np.uint8), depth=np.full((T, H, W), 4, np.float32)
    )
    shot = degrade_shot(shot, [Occluders(strength=1.0)], 0)
    np.testing.assert_array_equal(shot.person == 255, shot.hidden)
    np.testing.assert_array_equal(shot.depth < 1, shot.hidden)


# ---- time -----------------------------------------------------------------------------------


def test_dropped_frames_keep_their_numbers_and_times():
    clip, found = degrade(dark_clip(count=100), labels(count=100), [DropFrames(strength=0.6)], 2)
    assert 50 < len(clip) < 85
    np.testing.assert_allclose(clip.time_s, (clip.frame_index - 5) / 25 + 2)
    assert [f.frame_index for f in found] == clip.frame_index.tolist()
    assert clip.frame_index[clip.key] == 55 and clip.frame_index[0] == 5


def test_a_cut_leaves_frames_out_but_no_gap_in_time():
    clip, _ = degrade(dark_clip(count=60), None, [Cut(strength=1.0, skip=0.3)], 1)
    assert len(clip) < 60 and (np.diff(clip.frame_index) > 1).any()
    np.testing.assert_allclose(np.diff(clip.time_s), 1 / 25)
    assert clip.frame_index[clip.key] == 35


def test_shake_depends_on_time_and_not_on_the_number_of_frames():
    whole = degrade_shot(Shot.of(dark_clip(count=24)), [Shake(strength=1, shutter=0)], 4)
    every_other = dark_clip(count=24)
    half = Shot.of(
        Clip(every_other.frames[::2], every_other.frame_index[::2], every_other.time_s[::2])
    )
    half = degrade_shot(half, [Shake(strength=1, shutter=0)], 4)
    turn = np.arctan2(half.matrices[:, 1, 0], half.matrices[:, 0, 0])
    both = np.arctan2(whole.matrices[::2, 1, 0], whole.matrices[::2, 0, 0])
    np.testing.assert_allclose(turn, both, atol=1e-9)


# ---- light ----------------------------------------------------------------------------------


def test_bytes_and_light_are_inverse():
    values = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(to_bytes(to_light(values)), values)


def test_half_the_exposure_in_white_is_half_the_light():
    frames = np.zeros((2, 4, 4, 3), np.float32)
    frames[1] = 1
    mean = motion_blur_average(frames)
    assert mean.dtype == np.float32 and (mean == 0.5).all()
    assert (to_bytes(mean) == 188).all()  # 255 (1.055 * 0.5^(1 / 2.4) - 0.055) = 187.5
    with pytest.raises(ShapeError, match="S above 0"):
        motion_blur_average(np.zeros((0, 4, 4, 3)))


def test_a_lit_pixel_becomes_the_kernel():
    light = np.zeros((41, 41, 1), np.float32)
    light[20, 20] = 1
    kernel = np.random.default_rng(0).random((7, 7), np.float32)
    kernel /= kernel.sum()
    np.testing.assert_allclose(convolve(light, kernel)[17:24, 17:24, 0], kernel, atol=1e-6)
    few = np.zeros((5, 5), np.float32)
    few[0, 4], few[3, 1] = 0.25, 0.75
    np.testing.assert_array_equal(convolve(light, few)[18:23, 18:23, 0], few)


def test_a_disc_covers_its_area_and_a_trail_has_its_middle_in_the_middle():
    kernel = disc(4.0)
    assert kernel.shape == (9, 9)
    assert 1 / kernel[4, 4] == pytest.approx(np.pi * 16, rel=0.01)
    assert disc(0.2).tolist() == [[1.0]]
    path = trail(np.array([[10.0, 3], [12, 3], [14.5, 3]]))
    y, x = np.mgrid[: len(path), : len(path)] - len(path) // 2
    assert ((path * x).sum(), (path * y).sum()) == pytest.approx((0, 0), abs=1e-6)


def test_an_even_picture_stays_as_it_is_under_blur():
    clip, _ = degrade(
        Clip(np.full((3, H, W, 3), 93, np.uint8), np.arange(3), np.arange(3) / 25),
        None, [MotionBlur(strength=1, reach=0.2), Defocus(strength=1)], 0,
    )  # fmt: skip
    assert (clip.frames == 93).all()


def test_what_is_in_focus_stays_sharp_and_the_background_does_not():
    rng = np.random.default_rng(0)
    light = rng.random((40, 80, 3), dtype=np.float32)
    depth = np.full((40, 80), np.inf, np.float32)
    depth[:, :40] = 5.0
    seen = depth_of_field(light, depth, 5.0, 3.0)
    # Six pixels from the border no light of the background arrives.
    np.testing.assert_allclose(seen[:, :33], light[:, :33], atol=1e-6)
    assert seen[:, 50:].std() < 0.3 * light[:, 50:].std()


def test_a_near_thing_out_of_focus_is_blurred_over_what_is_behind_it():
    light = np.zeros((41, 41, 3), np.float32)
    depth = np.full((41, 41), 5.0, np.float32)
    light[18:23, 18:23], depth[18:23, 18:23] = 1.0, 2.5
    # |1 - 5 / 2.5| = 1: a disc of four pixels; the five pixels wide square reaches six each way.
    seen = depth_of_field(light, depth, 5.0, 4.0)[..., 0]
    assert seen[20, 20] == pytest.approx(25 / (np.pi * 16), rel=0.1)
    assert seen[20, 25] > 0.02 and seen[20, 28] == pytest.approx(0, abs=1e-6)


def test_noise_has_the_spread_of_its_electrons():
    # 2400 electrons are white at gain 1. Byte 124 is 0.2016 in light: sqrt(483.8 + 4) / 2400.
    still = Clip(np.full((4, H, W, 3), 124, np.uint8), np.arange(4), np.arange(4) / 25)
    clip, _ = degrade(still, None, [SensorNoise(strength=1.0, gain=1.0)], 0)
    light = to_light(clip.frames).astype(np.float64)
    assert light.mean() == pytest.approx(0.2016, rel=0.005)
    assert light.std() == pytest.approx(np.sqrt(487.8) / 2400, rel=0.04)
    # Fresh in every frame.
    apart = np.corrcoef(light[0].ravel(), light[1].ravel())[0, 1]
    assert abs(apart) < 0.05


# ---- files ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(64, 48), (51, 37)])
@pytest.mark.parametrize("count", [1, 30])
def test_the_codec_keeps_count_and_size(size: tuple[int, int], count: int):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (count, size[1], size[0], 3), dtype=np.uint8)
    found = through_codec(frames, 38)
    assert found.shape == frames.shape and found.dtype == np.uint8


def test_fewer_bits_are_further_from_the_picture_and_colours_stay():
    y, x = np.mgrid[:48, :64]
    ramp = np.stack([2 * x + 40, 3 * y + 60, 120 + 0 * x], -1).astype(np.uint8)
    frames = np.stack([np.roll(ramp, n, axis=1) for n in range(10)])
    errors = [
        np.abs(through_codec(frames, crf).astype(int) - frames).mean() for crf in (20, 30, 45)
    ]
    assert errors[0] < errors[1] < errors[2]
    assert errors[0] < 3
    plain = np.full((2, 48, 64, 3), (200, 60, 30), np.uint8)
    assert np.abs(through_codec(plain, 20).astype(int) - plain).max() <= 4


# ---- all of them ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", STEPS)
def test_no_strength_changes_nothing(name: str):
    clip, found = degrade(dark_clip(), labels(), [STEPS[name](strength=0.0)], 0)
    np.testing.assert_array_equal(clip.frames, dark_clip().frames)
    np.testing.assert_array_equal(clip.time_s, dark_clip().time_s)
    np.testing.assert_array_equal(found.frames[3].xy, labels().frames[3].xy)


@pytest.mark.parametrize("name", STEPS)
def test_the_seed_decides(name: str):
    rng = np.random.default_rng(5)
    busy = replace(dark_clip(), frames=rng.integers(0, 255, (T, H, W, 3), dtype=np.uint8))
    step = STEPS[name](strength=0.8)
    one, two = (degrade(busy, None, [step], 3)[0] for _ in range(2))
    np.testing.assert_array_equal(one.frames, two.frames)
    others = [degrade(busy, None, [step], seed)[0] for seed in (4, 5, 6)]
    assert any(len(o) != len(one) or (o.frames != one.frames).any() for o in others)


def test_a_step_draws_the_same_whatever_comes_after_it():
    shot = Shot.of(dark_clip())
    alone = degrade_shot(shot, [Shake(strength=1)], 9)
    followed = degrade_shot(shot, [Shake(strength=1), SensorNoise(strength=1), Codec()], 9)
    np.testing.assert_array_equal(alone.matrices, followed.matrices)


def test_tracked_poses_keep_their_ids_and_remember_what_was_done():
    info = VideoInfo("dark.mp4", (W, H), rate_hz=25.0)
    poses = labels().to_video(info)
    poses = replace(poses, time_s=poses.frame_index / 25)
    clip, found = degrade(dark_clip(), poses, [Pan(strength=1.0, shutter=0.0)], 0)
    assert found.ids.tolist() == [7] and len(found.person(7)) == T
    assert found.history[-1].step == "degrade"
    assert found.history[-1].settings["steps"][0]["step"] == "Pan"
    for pixels, xy in zip(clip.frames, found.person(7).poses.xy, strict=True):
        assert np.abs(centre_of_light(pixels) - xy[0]).max() < 0.4


def test_labels_of_other_frames_are_left_out_and_none_at_all_is_an_error():
    _, found = degrade(dark_clip(count=4), labels(count=10), [Zoom(strength=0.5)], 0)
    assert [f.frame_index for f in found] == [5, 6, 7, 8]
    far = replace(dark_clip(), frame_index=np.arange(T) + 900)
    with pytest.raises(UsageError, match="Number frames as the labels do"):
        degrade(far, labels(), [Zoom()], 0)


def test_a_frame_where_nobody_is_counts_as_labelled():
    nobody = LabelledFrame("000005.jpg", 5, COCO17, np.zeros((0, 17, 2)))
    sequence = LabelledSequence("empty", COCO17, (nobody,))
    _, found = degrade(dark_clip(count=1), sequence, [Zoom()], 0)
    assert len(found) == 1 and len(found.frames[0]) == 0


def test_steps_are_read_from_text():
    assert parse_steps("shake:0.25, codec") == (Shake(strength=0.25), Codec())
    with pytest.raises(UsageError, match="Did you mean 'defocus'"):
        parse_steps("defocuss")
    with pytest.raises(UsageError, match=r"from 0 to 1; got 1\.5"):
        parse_steps("noise:1.5")
    with pytest.raises(UsageError, match="must be a number"):
        parse_steps("noise:much")

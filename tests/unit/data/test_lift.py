"""Windows of lifters: what is in a batch, and that it follows from seed and step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from lift_worlds import clips
from numpy.testing import assert_allclose, assert_array_equal

from chronopose.codecs.root_relative import RootRelative
from chronopose.core.skeletons import H36M17, HUMANEVA15
from chronopose.data.lift import (
    LiftAugmentation,
    LiftBatches,
    LiftClip,
    disturbed_clip,
    fingerprint,
)
from chronopose.errors import ShapeError, UsageError

CODEC = RootRelative(H36M17)
PLAIN = LiftAugmentation(flip=False)
ALL = LiftAugmentation(
    bones=0.15, noise_px=(1.0, 4.0), noise_share=(0.0, 0.01), steady=0.5, dropout=0.05, derived=0.5
)


def batches(found: tuple[LiftClip, ...], **changes: object) -> LiftBatches:
    values = {"frames": 3, "before": 1, "batch_size": 8, "augmentation": PLAIN, **changes}
    return LiftBatches(found, CODEC, **values)  # type: ignore[arg-type]


def test_an_epoch_shows_every_window_once() -> None:
    walking = clips(frames=10, walk_m=9.0)[:1]
    source = batches(walking, frames=1, before=0, batch_size=4)
    assert (source.windows, len(source)) == (10, 3)
    # Every frame has its own horizontal place of the left wrist on the screen.
    seen = np.concatenate([source[step][0][:, 0, 13, 0] for step in range(3)])
    own = CODEC.to_screen(walking[0].xy, (1000, 1000))[:, 13, 0]
    assert_array_equal(np.sort(seen), np.sort(own))


def test_windows_at_the_ends_repeat_the_first_and_last_frame() -> None:
    walking = clips(frames=4, walk_m=3.0)[:1]
    source = batches(walking, frames=5, before=2, batch_size=4)
    poses = source[0][0]
    screen = CODEC.to_screen(walking[0].xy, (1000, 1000))
    middles = [int(np.argmin(np.abs(screen - p[2]).sum((1, 2)))) for p in poses]
    assert sorted(middles) == [0, 1, 2, 3]
    first = poses[middles.index(0)]
    assert_array_equal(first, screen[[0, 0, 0, 1, 2]])


def test_windows_do_not_reach_into_the_next_clip() -> None:
    source = batches(clips(frames=2, walk_m=1.0), frames=9, before=4, batch_size=8)
    poses, _ = source[0]
    own = [CODEC.to_screen(c.xy, (1000, 1000)) for c in clips(frames=2, walk_m=1.0)]
    for window in poses:
        distance = [np.abs(window[:, None] - frames).max((2, 3)).min(1).max() for frames in own]
        assert min(distance) < 1e-6


def test_a_stride_takes_every_so_manyth_frame_as_a_middle() -> None:
    assert batches(clips(frames=30), stride=10).windows == 4 * 3


def test_labels_are_metres_from_the_pelvis() -> None:
    _, xyz = batches(clips(frames=3))[0]
    assert_array_equal(xyz[:, :, 0], 0)
    # The thigh is 0.45 m long in every camera.
    thigh = np.linalg.norm(xyz[:, :, 4] - xyz[:, :, 5], axis=-1)
    assert_allclose(thigh, 0.45, atol=1e-5)


def test_mirrored_copies_double_the_windows_and_exchange_sides() -> None:
    source = batches(clips(frames=1)[:1], frames=1, before=0, augmentation=LiftAugmentation())
    assert source.windows == 2
    poses, xyz = source[0]
    assert_allclose(poses[0, 0, 4], poses[1, 0, 1] * (-1, 1), atol=1e-6)
    assert_allclose(xyz[0, 0, 13], xyz[1, 0, 16] * (-1, 1, 1), atol=1e-6)


def test_a_batch_is_a_pure_function_of_seed_and_step() -> None:
    made = [batches(clips(), augmentation=ALL, seed=s) for s in (7, 7, 8)]
    _ = made[0][3], made[0][0]
    one, again, other = (m[2] for m in made)
    assert_array_equal(one[0], again[0])
    assert_array_equal(one[1], again[1])
    assert np.abs(one[0] - other[0]).max() > 0.01


def test_two_epochs_are_disturbed_differently() -> None:
    source = batches(clips(frames=1)[:1], frames=1, before=0, augmentation=ALL)
    assert len(source) == 1
    assert np.abs(source[0][0] - source[1][0]).max() > 1e-4


def test_other_bones_keep_left_as_right_and_within_their_share_and_are_projected() -> None:
    how = LiftAugmentation(flip=False, bones=0.15)
    poses, xyz = batches(clips(frames=8), augmentation=how, batch_size=32)[0]
    left, right = (
        np.linalg.norm(xyz[:, 0, a] - xyz[:, 0, b], axis=-1) for a, b in ((4, 5), (1, 2))
    )
    assert_allclose(left, right, atol=1e-5)
    assert 0.45 * 0.85 <= left.min() < 0.42
    assert 0.48 < left.max() <= 0.45 * 1.15
    # Whoever is taller in space is taller on the screen.
    tall = np.ptp(poses[:, 0, :, 1], axis=-1)
    height = np.linalg.norm(xyz[:, 0, 10] - (xyz[:, 0, 3] + xyz[:, 0, 6]) / 2, axis=-1)
    assert np.corrcoef(tall, height)[0, 1] > 0.95


def test_derived_trunks_lie_between_hips_and_shoulders() -> None:
    how = LiftAugmentation(flip=False, derived=1.0)
    poses, _ = batches(clips(frames=4), augmentation=how)[0]
    assert_allclose(poses[:, :, 0], (poses[:, :, 1] + poses[:, :, 4]) / 2, atol=1e-5)
    assert_allclose(poses[:, :, 8], (poses[:, :, 11] + poses[:, :, 14]) / 2, atol=1e-5)
    assert_allclose(poses[:, :, 7], (poses[:, :, 0] + poses[:, :, 8]) / 2, atol=1e-5)


def test_a_third_number_says_which_joints_were_missed() -> None:
    how = LiftAugmentation(flip=False, dropout=0.3)
    poses, _ = batches(clips(), augmentation=how, channels=3, batch_size=64)[0]
    assert poses.shape == (64, 3, 17, 3)
    assert set(np.unique(poses[..., 2])) == {0.0, 1.0}
    assert_allclose(poses[..., 2].mean(), 0.7, atol=0.03)


def test_a_disturbed_clip_is_the_same_every_time_and_another_for_another_camera() -> None:
    one, other = clips()[:2]
    first, again = disturbed_clip(one, 5.0, 0.02), disturbed_clip(one, 5.0, 0.02)
    assert_array_equal(first.xy, again.xy)
    moved = [disturbed_clip(c, 5.0, 0.0).xy - c.xy for c in (one, other)]
    assert_allclose([m.std() for m in moved], 5.0, rtol=0.1)
    assert np.abs(moved[0] - moved[1]).max() > 1


def test_the_fingerprint_sees_a_moved_joint_and_not_the_last_bit() -> None:
    one = clips()[0]
    moved = one.xyz.copy()
    moved[3, 5, 1] += 0.01
    nearly = (one.xyz * np.float32(1 + 1e-7)).astype(np.float32)
    assert fingerprint([one]) == fingerprint([replace(one, xyz=nearly)])
    assert fingerprint([one]) != fingerprint([replace(one, xyz=moved)])


def test_measured_2d_cannot_be_projected_anew() -> None:
    measured = [replace(c, lens=None) for c in clips()]
    with pytest.raises(UsageError, match="no lens"):
        batches(tuple(measured), augmentation=LiftAugmentation(bones=0.1))
    assert batches(tuple(measured), augmentation=LiftAugmentation(noise_px=(0, 5)))[0]


def test_clips_of_another_skeleton_are_refused() -> None:
    few = LiftClip(
        "S", "A", "c", np.ones((2, 15, 3), np.float32), np.ones((2, 15, 2), np.float32), (9, 9),
        skeleton=HUMANEVA15,
    )  # fmt: skip
    with pytest.raises(ShapeError, match="reads h36m17"):
        batches((few,))


def test_arrays_that_do_not_fit_are_refused() -> None:
    one = clips()[0]
    with pytest.raises(ShapeError, match=r"xy must be \(30, 17, 2\)"):
        replace(one, xy=one.xy[:-1])


@pytest.mark.parametrize(
    "wrong", [{"noise_px": (5.0, 1.0)}, {"dropout": 1.0}, {"derived": 1.5}, {"bones": 1.0}]
)
def test_augmentation_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        LiftAugmentation(**wrong)  # type: ignore[arg-type]

"""Whole frames and their people are moved by one matrix; batches are padded and repeatable."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from chronopose.codecs.scene import SceneCodec
from chronopose.core.crop import CropWindow
from chronopose.core.skeletons import get_skeleton
from chronopose.data.scene_augment import (
    LUMA,
    Photometric,
    SceneAugmentation,
    SceneBatches,
    hue_turn,
    look_at,
    pack_scenes,
    through,
)
from chronopose.data.scenes import Scene
from chronopose.errors import UsageError
from chronopose.pipeline.crops import cut
from chronopose.tensors.colours import unnormalise

SKELETON = get_skeleton("posetrack15")
LEFT, RIGHT = SKELETON.joints.index("left_wrist"), SKELETON.joints.index("right_wrist")
SMALL = SceneAugmentation(
    shorter=(60, 90), longest=120, crop_from=(80, 100), crop=(60, 90), colours=None
)


def scene(frames: int = 1, size: tuple[int, int] = (120, 80), at: int = LEFT) -> Scene:
    """Two people; one lit pixel, the same in all frames, under a joint of the first."""
    rng = np.random.default_rng(5)
    joints = rng.uniform((30, 20), (90, 60), (2, 15, 2)).astype(np.float32).round()
    images = np.zeros((frames, size[1], size[0], 3), np.uint8)
    x, y = joints[0, at].astype(int)
    images[:, y, x] = 255
    seen = np.ones((2, 15), bool)
    return Scene(images, joints, seen, np.array([900.0, 400.0]), SKELETON, frames // 2)


def light(frame: torch.Tensor) -> tuple[float, float]:
    """Centre of light of ``(3, H, W)``."""
    mass = frame[0].double()
    y = (mass.sum(1) * torch.arange(mass.shape[0])).sum() / mass.sum()
    x = (mass.sum(0) * torch.arange(mass.shape[1])).sum() / mass.sum()
    return float(x), float(y)


def test_pixels_and_joints_move_together_in_every_frame():
    shown, whole, mirrored = 0, scene(3), 0
    for seed in range(40):
        window = SMALL.window(whole.size, np.random.default_rng(seed))
        flipped = np.linalg.det(window.matrix[:, :2]) < 0
        look = look_at(whole, window)
        width, height = window.out_size
        want = window.apply(whole.joints[0, LEFT])
        # Mirrored, what was the left wrist is called the right one.
        place = RIGHT if flipped else LEFT
        inside = (want > 3).all() and (want < np.array([width, height]) - 4).all()
        if not inside:
            continue
        shown, mirrored = shown + 1, mirrored + flipped
        assert_allclose(look.joints[0, place], want, atol=1e-3)
        for frame in look.frames:
            assert_allclose(light(frame), want, atol=0.35)
        assert torch.equal(look.frames[0], look.frames[2])
    assert shown >= 15 and 0 < mirrored < shown


def test_turns_scales_and_crops_stay_in_their_ranges():
    turns, shorter, aspects = [], [], set()
    for seed in range(200):
        window = SMALL.window((120, 80), np.random.default_rng(seed))
        linear = window.matrix[:, :2]
        linear = linear if np.linalg.det(linear) > 0 else np.diag([-1.0, 1.0]) @ linear
        turns.append(np.degrees(np.arctan2(linear[1, 0], linear[1, 1])))
        shorter.append(min(window.out_size))
        aspects.add(round(window.out_size[0] / window.out_size[1], 1))
        assert max(window.out_size) <= 120
    assert -30.6 < min(turns) < -25 and 25 < max(turns) < 30.6
    assert 40 <= min(shorter) < 65 and 78 < max(shorter) <= 90
    assert 1.5 in aspects and len(aspects) > 5


def test_people_who_left_the_frame_are_dropped_and_areas_grow_with_the_picture():
    whole = scene()
    whole.joints[1] += 500
    look = look_at(whole, CropWindow(np.array([[2.0, 0, 0.5], [0, 2, 0.5]]), (240, 160)))
    assert look.joints.shape == (1, 15, 2)
    assert look.area.tolist() == [3600.0]
    right = float(whole.joints[0, :, 0].max())
    half = look_at(whole, CropWindow(np.array([[1.0, 0, 0], [0, 1, 0]]), (int(right), 80)))
    # The joint furthest to the right lies half a pixel beyond the last column.
    assert not half.visible[0, int(whole.joints[0, :, 0].argmax())] and half.visible.any()


def test_joints_that_nobody_knows_stay_unknown():
    whole = scene()
    whole.joints[0, 3] = np.nan
    whole.visible[0, 3] = False
    batch = pack_scenes(
        [look_at(whole, SMALL.window(whole.size, np.random.default_rng(0)))],
        SceneCodec(SKELETON, (320, 192)), 1,
    )  # fmt: skip
    assert torch.isfinite(batch.target.joints).all() and not batch.target.visible[0, 0].all()


@pytest.mark.parametrize("size", [(120, 80), (320, 200), (1000, 640)])
def test_frames_are_looked_at_as_in_a_video(size: tuple[int, int]):
    rng = np.random.default_rng(1)
    image = torch.from_numpy(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    window = SceneCodec(SKELETON, (160, 96)).window(size)
    mine = through(image.permute(2, 0, 1)[None].float(), window)[0]
    torch.testing.assert_close(mine, cut(image, window), rtol=0, atol=2e-2)


def test_colours_keep_grey_where_only_hue_or_saturation_changes():
    grey = torch.full((2, 3, 4, 4), 90.0)
    for each in (
        Photometric(p=1, brightness=0, contrast=(1, 1), saturation=(1, 1)),
        Photometric(p=1, brightness=0, contrast=(1, 1), hue_deg=0),
    ):
        assert_allclose(each(grey.clone(), np.random.default_rng(3)), 90, atol=1e-3)
    # A third of a full turn brings red to green.
    assert_allclose(hue_turn(120.0) @ [1, 0, 0], [0, 1, 0], atol=1e-12)
    plain = Photometric(p=1, brightness=0, contrast=(1, 1), saturation=(0, 0), hue_deg=0)
    red = torch.tensor([200.0, 0, 0]).view(1, 3, 1, 1)
    assert_allclose(plain(red, np.random.default_rng(0)).flatten(), 200 * LUMA[0], rtol=1e-5)


def test_brightness_and_contrast_are_drawn_from_their_ranges():
    frames, colours = torch.full((1, 3, 2, 2), 100.0), Photometric(saturation=(1, 1), hue_deg=0)
    rng = np.random.default_rng(0)
    seen = [colours(frames.clone(), rng).mean().item() for _ in range(1000)]
    # Between (100 - 32) / 2 and (100 + 32) * 1.5.
    assert 34 <= min(seen) < 45 and 180 < max(seen) <= 198
    # One window in four keeps both; the spread of that share is 0.014.
    assert 0.21 < np.mean(np.isclose(seen, 100)) < 0.29


def test_smaller_scenes_are_padded_on_the_right_and_below_and_stills_repeat():
    codec = SceneCodec(SKELETON, (320, 192))
    looks = [look_at(scene(), CropWindow(np.eye(3)[:2], size)) for size in ((70, 50), (120, 80))]
    batch = pack_scenes(looks, codec, 3)
    assert batch.frames.shape == (2, 3, 3, 96, 128)
    assert batch.valid.tolist() == [[[70, 50]] * 3, [[120, 80]] * 3]
    assert batch.frames[0, :, :, 50:].abs().max() == batch.frames[0, ..., 70:].abs().max() == 0
    assert torch.equal(batch.frames[1, 0], batch.frames[1, 2])
    assert_allclose(unnormalise(batch.frames[1, 0, :, :80, :120]), looks[1].frames[0], atol=1e-3)
    assert batch.target.people.tolist() == [len(look.joints) for look in looks]


class Handful:
    """Four scenes that differ by their numbers of pixels."""

    skeleton = SKELETON

    def __len__(self) -> int:
        return 4

    def scene(self, index: int) -> Scene:
        return scene(size=(120 + 8 * index, 80))

    def fingerprint(self) -> str:
        return "handful"


def batches(seed: int = 0, first: int | None = None, augmented: bool = True) -> SceneBatches:
    return SceneBatches(
        Handful(), SceneCodec(SKELETON, (160, 96)), SMALL if augmented else None, 6, frames=1,
        batch_size=2, seed=seed, first=first,
    )  # fmt: skip


def test_a_batch_follows_from_the_seed_and_its_number():
    one, again, other = batches()[3], batches()[3], batches(seed=1)[3]
    assert torch.equal(one.frames, again.frames) and torch.equal(one.target.joints, again[2].joints)
    same = one.frames.shape == other.frames.shape and torch.equal(one.frames, other.frames)
    assert not same


def test_every_scene_is_shown_once_an_epoch_unless_only_the_first_are_asked_for():
    plain = batches(augmented=False)
    widths = [plain[n].valid[i, 0, 0].item() for n in (0, 1) for i in (0, 1)]
    codec = SceneCodec(SKELETON, (160, 96))
    assert sorted(widths) == sorted(codec.window((120 + 8 * i, 80)).out_size[0] for i in range(4))
    only = batches(first=1, augmented=False)[4].valid
    assert only[:, 0, 0].tolist() == [codec.window((120, 80)).out_size[0]] * 2


def test_ranges_that_make_no_sense_are_refused():
    with pytest.raises(UsageError, match="shorter"):
        SceneAugmentation(shorter=(90, 60))
    with pytest.raises(UsageError, match="crop_from"):
        SceneAugmentation(crop_from=())

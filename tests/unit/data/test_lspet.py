"""The LSPET reader, on a folder made up here; the real one where it is at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from chronopose.data.clips import View
from chronopose.data.datasets.lspet import LSPET, CameraMotion, camera_path
from chronopose.errors import FormatError


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("lspet")
    joints = np.zeros((14, 3, 9000))
    joints[:, 0, :] = np.arange(14)[:, None] * 3 + 10
    joints[:, 1, :] = np.arange(14)[:, None] * 5 + 20
    joints[:, 2, :] = 1
    joints[0, :, 8500] = [500, 500, 0]
    joints[1:, 2, 8501] = 0
    savemat(root / "joints.mat", {"joints": joints})
    (root / "images").mkdir()
    for number in (1, 8501, 8502):
        pixels = np.full((120, 80, 3), number % 251, np.uint8)
        Image.fromarray(pixels).save(root / "images" / f"im{number:05d}.jpg")
    return root


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_splits_take_their_own_pictures(made_up: Path):
    train, val = (LSPET(made_up, split, cache=None) for split in ("train", "val"))
    assert (len(train), len(val)) == (8500, 500)
    assert train.sample(0, rng()).name.endswith("im00001")
    assert val.sample(0, rng()).name.endswith("im08501")
    assert abs(int(val.sample(0, rng()).images[0, 5, 5, 0]) - 8501 % 251) <= 1


def test_unlabelled_joints_are_unknown_and_do_not_widen_the_box(made_up: Path):
    sample = LSPET(made_up, "val", cache=None).sample(0, rng())
    assert np.isnan(sample.joints[0, 0]).all()
    assert not sample.visible[0, 0]
    np.testing.assert_allclose(sample.box, [13, 25, 49, 85])


def test_a_person_with_one_joint_gets_a_box_of_twenty_pixels(made_up: Path):
    sample = LSPET(made_up, "val", cache=None).sample(1, rng())
    np.testing.assert_allclose(sample.box, [10, 10, 10, 30])


def test_a_pseudo_clip_stands_still_in_its_key_frame(made_up: Path):
    data = LSPET(made_up, "val", frames=5, motion=CameraMotion(still_p=0), cache=None)
    sample = data.sample(0, rng())
    assert len(sample) == 5
    assert sample.key == 2
    assert sample.motion is not None
    np.testing.assert_allclose(sample.motion[2], [[1, 0, 0], [0, 1, 0]], atol=1e-12)
    assert np.abs(sample.motion[0] - sample.motion[2]).max() > 0.01
    joints, _ = View.of(sample, (96, 128)).joints()
    assert joints.shape == (5, 14, 2)


def test_the_same_generator_gives_the_same_motion(made_up: Path):
    data = LSPET(made_up, "val", frames=5, motion=CameraMotion(), cache=None)
    first, second = data.sample(0, rng()).motion, data.sample(0, rng()).motion
    np.testing.assert_array_equal(first, second)


def test_the_camera_path_turns_about_the_person():
    path = camera_path(5, 2, np.array([50.0, 60.0]), 100.0, CameraMotion(shift=0, still_p=0), rng())
    centres = np.einsum("tij,j->ti", path[:, :, :2], np.array([50.0, 60.0])) + path[:, :, 2]
    np.testing.assert_allclose(centres, [[50, 60]] * 5, atol=1e-9)


def test_a_folder_without_labels_is_a_clear_error(tmp_path: Path):
    with pytest.raises(FormatError, match=r"joints\.mat"):
        LSPET(tmp_path, "val", cache=None)


def test_labels_of_another_shape_are_a_clear_error(tmp_path: Path):
    savemat(tmp_path / "joints.mat", {"joints": np.zeros((14, 3, 20))})
    with pytest.raises(FormatError, match="9000"):
        LSPET(tmp_path, "val", cache=None)


def test_a_missing_picture_is_a_clear_error(made_up: Path):
    with pytest.raises(FormatError, match=r"im08503\.jpg"):
        LSPET(made_up, "val", cache=None).sample(2, rng())


@pytest.mark.data
def test_the_real_labels_lie_inside_their_pictures(shared_data: Path):
    data = LSPET(shared_data / "lspet", "val", cache=None)
    for index in range(0, 500, 60):
        sample = data.sample(index, rng())
        height, width = sample.images.shape[1:3]
        xy = sample.joints[0][sample.visible[0]]
        assert sample.visible[0].sum() >= 3
        assert ((xy > -40) & (xy < [width + 40, height + 40])).all()

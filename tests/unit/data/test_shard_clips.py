"""Samples from shards: decoded in workers, joints by name, the lit pixel under its joint."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from chronopose.core.skeletons import COCO17, LSP14, PENN13
from chronopose.data.clips import ClipSource, View
from chronopose.data.loader import ClipShape, Stage, TrainBatches
from chronopose.data.shards import ShardClips
from chronopose.errors import FormatError, UsageError
from chronopose.io.shards import ShardRow, ShardWriter, encode_crop

JOINTS = (*COCO17.joints, "neck", "head_top")
NOSE = np.array([[20.0, 24.0], [22.0, 24.0], [24.0, 24.0]])


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def write(path: Path, rows: int, joints: tuple[str, ...] = JOINTS, frames: int = 3) -> None:
    """Dark crops, the nose lit and moving; joint k hidden if odd, outside if k is 16."""
    with ShardWriter(path, joints, {"made": "by hand"}) as writer:
        for number in range(rows):
            images = np.zeros((frames, 64, 48, 3), np.uint8)
            xy = np.tile(np.array([30.0, 40.0], np.float32), (frames, len(joints), 1))
            xy[:, 0] = NOSE[:frames]
            xy[:, 5], xy[:, 6] = (10, 50), (20, 54)
            for image, nose in zip(images, NOSE, strict=False):
                image[int(nose[1]), int(nose[0])] = 255
            visibility = np.where(np.arange(len(joints)) % 2 == 1, 1, 2).astype(np.uint8)
            visibility[16] = 0
            writer.add(
                ShardRow(
                    f"{path.stem} {number}", tuple(encode_crop(i, 95) for i in images), xy,
                    np.tile(visibility, (frames, 1)), np.array([8, 10, 40, 56], np.float32),
                    frames // 2,
                )
            )  # fmt: skip


def brightest(image: np.ndarray) -> list[int]:
    y, x = np.unravel_index(np.asarray(image, int).sum(-1).argmax(), image.shape[:2])
    return [int(x), int(y)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "train-00000.arrow", 5)
    write(tmp_path / "train-00001.arrow", 3)
    return tmp_path


def test_all_files_of_a_folder_are_one_source(folder: Path):
    clips = ShardClips(folder)
    assert isinstance(clips, ClipSource)
    assert len(clips) == 8 and clips.skeleton is COCO17
    names = [clips.sample(i, rng()).name for i in range(8)]
    assert names == [f"train-00000 {n}" for n in range(5)] + [f"train-00001 {n}" for n in range(3)]


def test_the_lit_pixel_is_under_its_joint_in_every_frame(folder: Path):
    sample = ShardClips(folder).sample(6, rng())
    assert (len(sample), sample.key) == (3, 1)
    for image, joints in zip(sample.images, sample.joints, strict=True):
        assert brightest(image) == joints[0].astype(int).tolist()
    crop = View.of(sample, (48, 64)).window.apply(sample.joints[1, 0])
    # The box is 32 x 46, the window 1.25 times 34.5 x 46, in 48 x 64 pixels.
    np.testing.assert_allclose(crop, (23.5, 31.5) + (np.array([22, 24]) - (24, 33)) * 48 / 43.125)


def test_a_single_frame_is_the_key_frame(folder: Path):
    sample = ShardClips(folder, frames=1).sample(0, rng())
    assert (len(sample), sample.key) == (1, 0)
    assert brightest(sample.images[0]) == [22, 24]
    with pytest.raises(UsageError, match="holds clips of 3 frames around frame 1; 5 are not"):
        ShardClips(folder, frames=5).sample(0, rng())
    with pytest.raises(UsageError, match="odd number of frames; got 2"):
        ShardClips(folder, frames=2)


def test_hidden_joints_count_if_asked_and_those_outside_never(folder: Path):
    with_hidden = ShardClips(folder).sample(0, rng()).visible[0]
    assert with_hidden[:16].all() and not with_hidden[16]
    without = ShardClips(folder, occluded=False).sample(0, rng()).visible[0]
    np.testing.assert_array_equal(without[:16], np.arange(16) % 2 == 0)


def test_joints_go_by_name_and_mid_points_need_both_sides(folder: Path):
    sample = ShardClips(folder, skeleton="lsp14").sample(0, rng())
    assert sample.joints[0, LSP14.index("left_shoulder")].tolist() == [10, 50]
    assert not sample.visible[0, LSP14.index("right_ankle")]
    head = PENN13.index("head")
    made = ShardClips(folder, skeleton=PENN13, occluded=False).sample(0, rng())
    # The middle of the ears, 3 hidden and 4 visible: known, and hidden.
    assert made.joints[0, head].tolist() == [30, 40] and not made.visible[0, head]


def test_batches_are_the_same_from_workers_as_from_here(folder: Path):
    source = ShardClips(folder, frames=3)
    batches = TrainBatches(source, [Stage(steps=3, crop_size=(24, 32), batch_size=2)],
                           shape=ClipShape(count=3, key=1), seed=1)  # fmt: skip
    here = list(batches.loader())
    there = list(batches.loader(workers=2))
    assert len(here) == len(there) == 3
    for one, two in zip(here, there, strict=True):
        assert (one.frames == two.frames).all() and (one.visible == two.visible).all()


def test_a_source_can_be_sent_to_another_process(folder: Path):
    source = ShardClips(folder)
    again = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(again.sample(7, rng()).images, source.sample(7, rng()).images)
    assert again.fingerprint() == source.fingerprint()


def test_the_fingerprint_changes_with_data_and_settings(folder: Path):
    prints = {
        ShardClips(folder).fingerprint(), ShardClips(folder, frames=1).fingerprint(),
        ShardClips(folder, skeleton="lsp14").fingerprint(),
        ShardClips(folder, occluded=False).fingerprint(),
        ShardClips([folder / "train-00000.arrow"]).fingerprint(),
    }  # fmt: skip
    assert len(prints) == 5


def test_no_shards_or_shards_of_different_joints_are_refused(folder: Path, tmp_path: Path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(FormatError, match="no shard"):
        ShardClips(empty)
    with pytest.raises(FormatError, match="or there is none"):
        ShardClips([])
    write(folder / "z.arrow", 1, joints=COCO17.joints)
    with pytest.raises(FormatError, match="other joints than the first"):
        ShardClips(folder)

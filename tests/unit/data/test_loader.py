"""Views become batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from chronopose.data.clips import Sample, View
from chronopose.data.datasets.procedural import ProceduralClips
from chronopose.data.loader import (
    ClipShape,
    Stage,
    TrainBatches,
    collate,
    eval_batches,
)
from chronopose.data.transforms import strong_video
from chronopose.errors import ShapeError, UsageError

STAGES = (
    Stage(steps=2, crop_size=(32, 32), batch_size=3),
    Stage(steps=2, crop_size=(48, 64), batch_size=2),
)


def batches(**settings: object) -> TrainBatches:
    clips = ProceduralClips(5, frames=3, size=(48, 48))
    shape = ClipShape(count=3, key=1)
    return TrainBatches(clips, STAGES, shape=shape, augmentation=strong_video(), **settings)  # type: ignore[arg-type]


def test_a_batch_is_a_pure_function_of_its_step():
    fresh, used = batches(seed=4), batches(seed=4)
    for step in (3, 0, 1):
        used[step]
    torch.testing.assert_close(fresh[2].frames, used[2].frames, rtol=0, atol=0)
    torch.testing.assert_close(fresh[2].joints, used[2].joints, rtol=0, atol=0, equal_nan=True)


def test_another_seed_gives_another_batch():
    assert not torch.equal(batches(seed=4)[0].frames, batches(seed=5)[0].frames)


def test_workers_do_not_change_the_batches():
    here = list(batches(seed=1).loader(1, 3))
    there = list(batches(seed=1).loader(1, 3, workers=2))
    assert len(here) == len(there) == 2
    for a, b in zip(here, there, strict=True):
        assert torch.equal(a.frames, b.frames)


def test_stages_change_the_size_and_share_one_sequence():
    data = batches()
    assert [list(data.positions(s)[1]) for s in range(4)] == [[0, 1, 2], [3, 4, 5], [6, 7], [8, 9]]
    assert data[0].frames.shape == (3, 3, 3, 32, 32)
    assert data[2].frames.shape == (2, 3, 3, 64, 48)
    with pytest.raises(IndexError):
        data.positions(4)


def test_processes_share_a_step_without_overlap():
    both = [batches(rank=r, world=2) for r in (0, 1)]
    seen = [p for step in range(4) for data in both for p in data.positions(step)[1]]
    assert seen == list(range(20))


def test_frames_lie_channels_last():
    frames = batches()[0].frames
    assert frames.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)


def still() -> Sample:
    image = np.random.default_rng(0).integers(0, 255, (1, 20, 20, 3), dtype=np.uint8)
    clips = ProceduralClips(1, frames=1, size=(32, 32))
    joints = np.full((1, 14, 2), 9.0, np.float32)
    joints[0, 3] = np.nan
    box = np.array([4, 4, 15, 15], np.float32)
    return Sample(image, joints, np.isfinite(joints).all(-1), box, clips.skeleton)


def test_a_still_picture_is_repeated_for_a_model_of_clips():
    batch = collate([View.of(still(), (16, 16))], ClipShape(count=5, key=2))
    assert batch.frames.shape == (1, 5, 3, 16, 16)
    assert batch.key == 2
    for t in range(5):
        assert torch.equal(batch.frames[0, t], batch.frames[0, 0])
        assert not batch.visible[0, t, 3]


def test_a_clip_of_another_length_is_refused():
    clips = ProceduralClips(1, frames=3, size=(48, 48))
    view = View.of(clips.sample(0), (32, 32))
    with pytest.raises(ShapeError, match="frames=5"):
        collate([view], ClipShape(count=5, key=2))


def test_evaluation_sees_every_sample_once_in_order():
    clips = ProceduralClips(5, frames=1, size=(48, 48))
    names = []
    for batch, samples, views in eval_batches(
        clips, shape=ClipShape(), crop_size=(32, 32), batch_size=2
    ):
        assert len(batch.frames) == len(samples) == len(views)
        names += [int(s.name.split()[-1]) for s in samples]
    assert names == [0, 1, 2, 3, 4]


def test_empty_training_data_are_refused():
    with pytest.raises(UsageError, match="empty"):
        TrainBatches(ProceduralClips(0), STAGES, shape=ClipShape())

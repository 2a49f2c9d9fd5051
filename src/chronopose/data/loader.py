"""Views become batches, and batches come in an order that can be resumed anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from chronopose.data.clips import ClipSource, Sample, View
from chronopose.data.sampling import place_at, rng_at
from chronopose.data.transforms import NOTHING, Augmentation, warp_view
from chronopose.errors import ShapeError, UsageError
from chronopose.tensors import ClipBatch
from chronopose.tensors.colours import normalise


@dataclass(frozen=True, kw_only=True)
class ClipShape:
    """What a model reads.

    Args:
        count: Frames of a clip.
        key: Position of the key frame.
    """

    count: int = 1
    key: int = 0

    @property
    def centred(self) -> int:
        """Frames of the shortest clip with the key frame in its middle that holds these."""
        return 2 * max(self.key, self.count - 1 - self.key) + 1


def view_to_tensors(
    view: View, shape: ClipShape, augmentation: Augmentation, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Cut one view.

    Args:
        view: The view, already transformed.
        shape: Frames of a clip; a still picture is repeated, and of a longer clip the frames that
            the model reads are taken.
        augmentation: Its pixel effects are painted in.
        rng: Where they take their randomness from.

    Returns:
        Frames ``(T, 3, H, W)`` float32 0..255, joints ``(T, K, 2)`` crop pixels, visible
        ``(T, K)`` bool.

    Raises:
        ShapeError: the sample is neither a still nor a clip that holds what the model reads.
    """
    view, count = _part(view, shape), shape.count
    frames = augmentation.paint(warp_view(view, count), rng)
    joints, visible = view.joints()
    joints_t, visible_t = torch.from_numpy(joints), torch.from_numpy(visible)
    if len(joints_t) == 1 < count:
        joints_t, visible_t = joints_t.repeat(count, 1, 1), visible_t.repeat(count, 1)
    return frames, joints_t, visible_t


def _part(view: View, shape: ClipShape) -> View:
    """The view of the frames around the key frame that a model reads."""
    sample = view.sample
    first = sample.key - shape.key
    if len(sample) == 1 or (len(sample), first) == (shape.count, 0):
        return view
    if first < 0 or first + shape.count > len(sample):
        raise ShapeError(
            f"{sample.name} has {len(sample)} frames with key {sample.key}, the model reads "
            f"{shape.count} with key {shape.key}. Build the data set with frames={shape.centred}."
        )
    span = slice(first, first + shape.count)
    if sample.motion is not None:
        return replace(view, sample=replace(sample, motion=sample.motion[span], key=shape.key))
    parts = (sample.images[span], sample.joints[span], sample.visible[span])
    images, joints, visible = parts
    return replace(
        view,
        sample=replace(sample, images=images, joints=joints, visible=visible, key=shape.key),
    )


def collate(
    views: Sequence[View],
    shape: ClipShape,
    augmentation: Augmentation = NOTHING,
    rngs: Sequence[np.random.Generator] = (),
) -> ClipBatch:
    """Cut views and stack them into a batch.

    Args:
        views: Views of one crop size.
        shape: Frames of a clip, as the model reads them.
        augmentation: Its pixel effects are painted in.
        rngs: One generator a view; without them no effect may need any.

    Returns:
        Frames lie channels-last in memory, which is the fast layout of CPU convolutions.
    """
    generators = list(rngs) or [np.random.default_rng(0) for _ in views]
    parts = [
        view_to_tensors(view, shape, augmentation, rng)
        for view, rng in zip(views, generators, strict=True)
    ]
    width, height = views[0].size
    frames = torch.empty(len(views), shape.count, height, width, 3)
    for row, (pixels, _, _) in enumerate(parts):
        frames[row] = normalise(pixels).permute(0, 2, 3, 1)
    frames = frames.permute(0, 1, 4, 2, 3)
    matrix = torch.from_numpy(np.stack([v.window.matrix for v in views])).float()
    joints, visible = torch.stack([p[1] for p in parts]), torch.stack([p[2] for p in parts])
    return ClipBatch(frames, joints, visible, shape.key, matrix)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A run of training steps with one crop size and one batch size.

    Args:
        steps: Number of steps.
        crop_size: Width and height, pixels.
        batch_size: Clips a step on each device.
    """

    steps: int
    crop_size: tuple[int, int]
    batch_size: int


class TrainBatches(Dataset[ClipBatch]):
    """Training batches by number: item ``step`` is a pure function of (seed, step).

    Args:
        source: Labelled people.
        stages: What the steps look like, in order.
        shape: Frames of a clip, as the model reads them.
        augmentation: Applied to every sample.
        seed: Decides the order and every augmentation.
        rank: Number of this process among ``world`` that share every step.
        world: Processes that train together.

    Raises:
        UsageError: the source is empty.
    """

    def __init__(
        self,
        source: ClipSource,
        stages: Sequence[Stage],
        *,
        shape: ClipShape,
        augmentation: Augmentation = NOTHING,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if len(source) == 0:
            raise UsageError("The training data are empty; check the data folder and the split.")
        self.source, self.stages, self.shape = source, tuple(stages), shape
        self.augmentation, self.seed, self.rank, self.world = augmentation, seed, rank, world

    def __len__(self) -> int:
        return sum(s.steps for s in self.stages)

    def positions(self, step: int) -> tuple[Stage, range]:
        """The stage of a step, and the positions of the training sequence that it uses."""
        start = 0
        for stage in self.stages:
            if step < stage.steps:
                first = start + (step * self.world + self.rank) * stage.batch_size
                return stage, range(first, first + stage.batch_size)
            step -= stage.steps
            start += stage.steps * stage.batch_size * self.world
        raise IndexError(f"There are {len(self)} steps.")

    def __getitem__(self, step: int) -> ClipBatch:
        stage, positions = self.positions(step)
        views, rngs = [], []
        for position in positions:
            place = place_at(self.seed, position, len(self.source))
            rng = rng_at(self.seed, place)
            sample = self.source.sample(place.index, rng)
            views.append(self.augmentation.look(View.of(sample, stage.crop_size), rng))
            rngs.append(rng)
        return collate(views, self.shape, self.augmentation, rngs)

    def loader(
        self, start: int = 0, stop: int | None = None, workers: int = 0
    ) -> DataLoader[ClipBatch]:
        """Batches from step ``start`` to ``stop``, in order.

        Args:
            start: First step; the way to resume.
            stop: End, exclusive; None for all steps.
            workers: Processes that prepare batches; 0 prepares them in this one. The batches are
                the same either way.
        """
        steps = range(start, len(self) if stop is None else stop)
        return DataLoader(
            self, batch_size=None, sampler=steps, num_workers=workers,
            pin_memory=torch.cuda.is_available(), persistent_workers=False,
        )  # fmt: skip


def eval_batches(
    source: ClipSource,
    *,
    shape: ClipShape,
    crop_size: tuple[int, int],
    batch_size: int,
    pad: float = 1.25,
    limit: int | None = None,
) -> Iterator[tuple[ClipBatch, list[Sample], list[View]]]:
    """Every sample once, in order, without augmentation.

    Args:
        source: Labelled people.
        shape: Frames of a clip, as the model reads them.
        crop_size: Width and height, pixels.
        batch_size: Clips a batch; the last one may be smaller.
        pad: Factor on the sides of the aspect-fixed box.
        limit: Stop after this many batches.

    Yields:
        The batch, its samples, and the views with the windows they were cut with.
    """
    for number, start in enumerate(range(0, len(source), batch_size)):
        if limit is not None and number >= limit:
            return
        indices = range(start, min(start + batch_size, len(source)))
        samples = [source.sample(i, np.random.default_rng([7, i])) for i in indices]
        views = [View.of(s, crop_size, pad) for s in samples]
        yield collate(views, shape), samples, views

"""PosePipeline: frames in, tracked poses out, with memory that does not grow.

For a run of key frames: detect, track, choose each track's window, encode the crops that are not
known yet in batches over people and frames, fuse, decode, map back, name. A key frame is answered
once the frames after it that the network wants have been read; at the ends of a video frames
repeat. The clip of a track is always cut with one window, also from frames where the person has no
box, so the last raw frames are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses
from chronopose.core.tracks import FramePoses
from chronopose.core.video import VideoInfo
from chronopose.errors import UsageError
from chronopose.models._base import PoseModel
from chronopose.pipeline.associate import TrackedBox, Tracker
from chronopose.pipeline.crops import cut
from chronopose.pipeline.detect import Detector, FunctionDetector
from chronopose.pipeline.encode import Counts, Encoder, FrameFeatures, empty_poses
from chronopose.pipeline.recurrent import RecurrentRunner, Restart, Visit
from chronopose.pipeline.window import (
    FrameRing,
    HeldWindow,
    LockSettings,
    WindowLock,
    WindowPolicy,
)

if TYPE_CHECKING:
    from chronopose.io.video import Frame

LARGEST_RUN_BYTES = 64 * 2**20
"""Raw frames of one run of key frames: a large picture makes the runs shorter."""


class FrameSource(Protocol):
    """An open video: what :func:`chronopose.io.video.open_video` returns."""

    @property
    def info(self) -> VideoInfo:
        """What is known before frames are read."""
        ...

    def __iter__(self) -> Iterator[Frame]: ...


class PosePipeline:
    """Finds, tracks and names the people of videos.

    Args:
        model: A multi-frame or single-frame model; it is put into eval mode on ``device``.
        detector: Where people are: a :class:`~chronopose.pipeline.detect.Detector`, or a function
            from frames to boxes.
        tracker: Turns boxes into people; by default one that starts a person at the detector's
            least score.
        device: Where the model runs.
        batch_size: Crops in one pass of the network.
        flip_test: Average with the mirrored crop: slower, a little more accurate.
        window_policy: ``reencode``, ``warp`` or ``key``; see
            :class:`~chronopose.pipeline.window.LockSettings`.
        half: bfloat16 on the CPU, float16 on a GPU.
        lock: All settings of the windows; replaces ``window_policy``. Windows of a single-frame
            model are never held.
        recurrent: Run a model that carries a state (dkd) frame by frame instead of fusing a window
            of frames for every pose, and start tracks anew by these rules. Without a flip test.

    Raises:
        UsageError: the batch size is below 1, the policy unknown, or the model not recurrent.
    """

    def __init__(
        self,
        model: PoseModel,
        *,
        detector: Detector | Callable[[Sequence[Frame]], list[Boxes]],
        tracker: Tracker | None = None,
        device: str | torch.device = "cpu",
        batch_size: int = 16,
        flip_test: bool = False,
        window_policy: WindowPolicy = "reencode",
        half: bool = False,
        lock: LockSettings | None = None,
        recurrent: Restart | None = None,
    ) -> None:
        if batch_size < 1:
            raise UsageError(f"batch must be at least 1; got {batch_size}.")
        if recurrent is not None and flip_test:
            raise UsageError("A recurrent run has no flip test; leave out one of the two.")
        self.lock = lock or LockSettings(policy=window_policy)
        self.detector = detector if isinstance(detector, Detector) else FunctionDetector(detector)
        self.tracker = tracker or Tracker(self.detector.tracking())
        self.encoder = Encoder(
            model, device=device, batch_size=batch_size, flip_test=flip_test, half=half
        )
        self.batch_size = batch_size
        self._recurrent, self._half = recurrent, half

    def recurrent_runner(self) -> RecurrentRunner | None:
        """A fresh runner for one video, if the pipeline is recurrent."""
        if self._recurrent is None:
            return None
        return RecurrentRunner(
            self.encoder.model, device=self.encoder.device, restart=self._recurrent, half=self._half
        )

    @property
    def counts(self) -> Counts:
        """Work done so far, over all videos."""
        return self.encoder.counts

    def stream(self, reader: FrameSource) -> Iterator[FramePoses]:
        """Yield the people of every frame in order, ``needs.lookahead`` frames behind the video.

        Frames are taken in short runs, so that batches fill up; a source that does not know its
        length (a camera) is answered frame by frame.

        Args:
            reader: An open video; nothing of an earlier video is remembered.
        """
        self.detector.start(reader.info)
        self.tracker.start(reader.info.size)
        run = _Run(self, reader.info)
        for frame in reader:
            run.ring.push(frame)
            yield from run.answer(at_end=False)
        yield from run.answer(at_end=True)


@dataclass(frozen=True)
class _Job:
    """One pose to find."""

    key: int
    track: TrackedBox
    held: HeldWindow
    clip: tuple[int, ...]
    """Positions of the frames of its window of time."""


_Cell = tuple[int, int, int]
"""Track, position of a frame, serial number of a window."""


@dataclass
class _Kept:
    """Features of one frame of one track."""

    held: HeldWindow
    features: FrameFeatures


class _Run:
    """State of one video: all of it is bounded by the window of time and the people in it."""

    def __init__(self, pipeline: PosePipeline, info: VideoInfo) -> None:
        self.ring = FrameRing(pipeline.encoder.device)
        self._encoder, self._tracker = pipeline.encoder, pipeline.tracker
        self._detector = pipeline.detector
        self._batch = pipeline.batch_size
        self._needs = pipeline.encoder.model.needs
        self._runner = pipeline.recurrent_runner()
        # A single-frame model has nothing to reuse: a held window would only cost accuracy.
        alone = len(self._needs.offsets) == 1
        lock = replace(pipeline.lock, policy="key") if alone else pipeline.lock
        self._lock = WindowLock(self._needs.crop_size, lock)
        self._kept: dict[tuple[int, int], _Kept] = {}
        self._next = 0
        frame_bytes = 3 * info.size[0] * info.size[1]
        one_by_one = self._detector.sequential or info.num_frames <= 0
        self._longest = 1 if one_by_one else max(1, LARGEST_RUN_BYTES // max(frame_bytes, 1))
        self._people = 1

    def answer(self, *, at_end: bool) -> Iterator[FramePoses]:
        """Poses of the key frames whose following frames are there."""
        while True:
            wanted = min(self._longest, max(1, self._batch // max(self._people, 1)))
            ready = self.ring.last - (0 if at_end else self._needs.lookahead) - self._next + 1
            if ready <= 0 or (ready < wanted and not at_end):
                return
            keys = range(self._next, self._next + min(ready, wanted))
            yield from self._process(keys)
            self._next = keys.stop
            self._forget()

    @torch.inference_mode()
    def _process(self, keys: range) -> list[FramePoses]:
        frames = [self.ring.frame(k) for k in keys]
        tracked = self._track(frames)
        jobs = [
            _Job(k, t, self._lock.choose(t.uid, t.xyxy, t.velocity), self._clip(k))
            for k, tracks in zip(keys, tracked, strict=True)
            for t in tracks
        ]
        poses = self._poses(jobs)
        answers, row = [], 0
        for frame, tracks in zip(frames, tracked, strict=True):
            here = poses.select(slice(row, row + len(tracks)))
            row += len(tracks)
            answers.append(self._name(frame, tracks, here))
        self._people = max(len(tracks) for tracks in tracked)
        self._encoder.counts.frames += len(frames)
        return answers

    def _clip(self, key: int) -> tuple[int, ...]:
        return tuple(self.ring.clamp(key + offset) for offset in self._needs.offsets)

    def _track(self, frames: list[Frame]) -> list[list[TrackedBox]]:
        if self._detector.sequential:
            for frame in frames:
                self._search(frame)
        found = self._detector(frames)
        return [
            self._tracker.update(f.time_s, boxes, self._detector.identities(f))
            for f, boxes in zip(frames, found, strict=True)
        ]

    def _search(self, frame: Frame) -> None:
        """Show the detector the poses it wants to see before it answers."""
        pixels = torch.from_numpy(np.array(frame.image)).to(self._encoder.device)
        while (boxes := self._detector.candidates(frame)) is not None:
            windows = [
                HeldWindow(0, self._lock.window_of(xyxy)) for xyxy in boxes.xyxy.astype(np.float64)
            ]
            still = self._encoder.encode([cut(pixels, w.window) for w in windows])
            poses = self._encoder.fuse([[f] * len(self._needs.offsets) for f in still])
            self._detector.consider(frame, boxes, _to_image(poses, windows))

    def _poses(self, jobs: list[_Job]) -> Poses:
        """Poses ``(N, K, 2)`` in image pixels, one a job."""
        if not jobs:
            return empty_poses(self._encoder.model)
        if self._runner is not None:
            return self._stepped(jobs, self._runner)
        known: dict[_Cell, FrameFeatures] = {}
        fresh: dict[_Cell, HeldWindow] = {}
        bent: dict[_Cell, tuple[_Cell, HeldWindow, HeldWindow]] = {}
        source = {name: kept.held for name, kept in self._kept.items()}
        for job in jobs:
            for position in job.clip:
                cell = (job.track.uid, position, job.held.serial)
                if cell in known or cell in fresh or cell in bent:
                    continue
                there = source.get(cell[:2])
                if there is not None and there.serial == job.held.serial:
                    known[cell] = self._kept[cell[:2]].features
                elif there is not None and self._lock.may_bend(there.window, job.held.window):
                    bent[cell] = ((*cell[:2], there.serial), there, job.held)
                else:
                    fresh[cell] = source[cell[:2]] = job.held
        crops = [cut(self.ring.pixels(cell[1]), held.window) for cell, held in fresh.items()]
        known.update(zip(fresh, self._encoder.encode(crops), strict=True))
        for cell, (origin, old, new) in bent.items():
            features = known[origin] if origin in known else self._kept[origin[:2]].features
            known[cell] = self._encoder.bend(features, old.window, new.window)
        for cell, held in fresh.items():
            self._kept[cell[:2]] = _Kept(held, known[cell])
        poses = self._encoder.fuse(
            [[known[job.track.uid, p, job.held.serial] for p in job.clip] for job in jobs]
        )
        return _to_image(poses, [job.held for job in jobs])

    def _stepped(self, jobs: list[_Job], runner: RecurrentRunner) -> Poses:
        """The same by a model that carries states, key frame by key frame."""
        found = []
        for _, group in groupby(jobs, key=lambda job: job.key):
            frame = list(group)
            crops = [cut(self.ring.pixels(job.key), job.held.window) for job in frame]
            visits = [Visit(job.track.uid, job.held.serial) for job in frame]
            found.append(_to_image(runner.answer(visits, crops), [job.held for job in frame]))
        return Poses(
            np.concatenate([p.xy for p in found]), np.concatenate([p.score for p in found]),
            found[0].skeleton,
        )  # fmt: skip

    def _name(self, frame: Frame, tracks: list[TrackedBox], poses: Poses) -> FramePoses:
        """Give ids, drop who is not shown, tell the detector."""
        ids = self._tracker.identify(frame.time_s, tracks, poses)
        rows = np.flatnonzero(ids)
        rows = rows[np.argsort(ids[rows], kind="stable")]
        self._detector.feedback(frame, poses.select(rows))
        decay = np.array([t.decay for t in tracks], np.float32)[rows]
        shown = poses.select(rows)
        shown = Poses(
            shown.xy, shown.score * decay[:, None], shown.skeleton, shown.space, shown.visible
        )
        boxes = Boxes(
            np.array([tracks[r].xyxy for r in rows], np.float32).reshape(-1, 4),
            np.array([tracks[r].score for r in rows], np.float32),
        )
        return FramePoses(frame.index, frame.time_s, ids[rows], boxes, shown)

    def _forget(self) -> None:
        """Drop frames, features and windows that no later key frame can ask for."""
        oldest = max(self._next + min(self._needs.offsets), 0)
        self.ring.drop_before(min(oldest, self.ring.last))
        alive = self._tracker.alive
        self._lock.keep_only(alive)
        if self._runner is not None:
            self._runner.keep_only(alive)
        self._kept = {
            name: kept
            for name, kept in self._kept.items()
            if name[0] in alive and name[1] >= oldest
        }


def _to_image(poses: Poses, windows: list[HeldWindow]) -> Poses:
    """Crop pixels -> image pixels, each pose through its own window."""
    xy = [held.window.invert(pose) for held, pose in zip(windows, poses.xy, strict=True)]
    return Poses(
        np.stack(xy).astype(np.float32), poses.score, poses.skeleton, "image_px", poses.visible
    )

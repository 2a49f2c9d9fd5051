"""Labels of a few frames, carried to the frames around them by PoseWarper in reverse.

Paper     Bertasius, Feichtenhofer, Tran, Shi, Torresani, "Learning Temporal Pose Estimation from
          Sparsely-Labeled Videos", NeurIPS 2019: label propagation.
Idea      The network was trained to warp what it sees in a neighbour to a labelled frame. Here the
          drawn joints of a labelled frame take the place of the neighbour's maps, and a frame
          without labels is warped to.
Differs   A frame between two labels takes the mean of both, weighted by score and nearness. One
          crop window, that of the labelled box, serves a label and the frames around it.
Written   from the paper's idea; no code was read.
Checked   tests/unit/pipeline/test_propagate_warp.py.

Axes: N person, K joint.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chronopose.core.boxes import Boxes
from chronopose.core.crop import CropWindow
from chronopose.core.poses import Poses
from chronopose.core.skeleton import Skeleton
from chronopose.core.tracks import FramePoses, VideoPoses
from chronopose.core.video import VideoInfo
from chronopose.errors import UsageError
from chronopose.models._base import PoseModel
from chronopose.models.posewarper import PoseWarper
from chronopose.pipeline.crops import cut
from chronopose.refine.propagate import STEP, TimedFrame, labelled_frames, never_came
from chronopose.tensors.colours import normalise

PAD = 1.25
Array = NDArray[np.float64]


@dataclass(frozen=True)
class _Label:
    """A labelled frame, ready to be warped."""

    people: FramePoses
    windows: Sequence[CropWindow]
    drawn: Tensor
    """N K h w, target maps."""
    seen: Tensor
    """N K h w, the twin's maps."""


@dataclass(frozen=True)
class _Carried:
    """What one label says about the people of another frame."""

    ids: NDArray[np.int64]
    xy: Array
    """N K 2, image pixels; NaN where the label knows nothing."""
    score: Array
    """N K"""
    visible: NDArray[np.bool_]
    boxes: Boxes
    weight: float


def propagate_by_warping(
    labels: VideoPoses,
    frames: Iterable[TimedFrame],
    model: PoseModel,
    *,
    reach: int | None = None,
    device: str = "cpu",
) -> VideoPoses:
    """Spread sparse labels over the frames around them.

    Args:
        labels: People of some frames of the video, image pixels; who is who is told by their ids.
            A labelled frame is taken to be complete, as in
            :func:`chronopose.refine.propagate.propagate`.
        frames: Frames of the video in order, read once.
        model: A PoseWarper with trained weights; the labels are converted to its joints by name.
        reach: Frames that a label is carried, at most; None: as far as the model looks. Farther
            than it was trained for, a pose is soon lost.
        device: Where the model runs.

    Returns:
        The labels, at the times of the video, and everybody in the frames that their labels reach.

    Raises:
        UsageError: the model is no PoseWarper, reach is below 1, or nothing is labelled.
        SkeletonMismatch: the labels do not have the model's joints.
        VideoError: labels of another video.
        ShapeError: labels that are not 2D image pixels.
    """
    from chronopose import __version__

    if not isinstance(model, PoseWarper):
        raise UsageError(
            f"Labels are warped by a PoseWarper; got a {type(model).__name__}. Use the method "
            f"'flow', which needs no model."
        )
    far = model.needs.lookahead if reach is None else reach
    if far < 1:
        raise UsageError(f"reach must be at least one frame; got {far}.")
    skeleton = model.codec.skeleton
    if labels.skeleton.joints != skeleton.joints:
        labels = labels.to_skeleton(skeleton)
    info = getattr(frames, "info", None)
    about = info if isinstance(info, VideoInfo) else labels.info
    waiting = labelled_frames(labels, about)
    spreader = _Spreader(model.eval().to(device), far, device)
    for frame in frames:
        spreader.push(frame, waiting.pop(frame.index, None))
    never_came(waiting)
    done = VideoPoses.from_frames(about, skeleton, spreader.frames(), labels.history)
    return done.with_step(STEP, {"method": "posewarper", "reach": far}, __version__)


class _Spreader:
    """Takes the frames in order and notes what every label says about the frames around it."""

    def __init__(self, model: PoseWarper, reach: int, device: str) -> None:
        self._model, self._reach, self._device = model, reach, device
        self._before: deque[TimedFrame] = deque(maxlen=reach)
        self._label: _Label | None = None
        self._passed = 0
        self._labelled: dict[int, FramePoses] = {}
        self._times: dict[int, float] = {}
        self._said: dict[int, list[_Carried]] = {}

    def push(self, frame: TimedFrame, people: FramePoses | None) -> None:
        """The next frame, and its labels if it has any."""
        self._times[frame.index] = frame.time_s
        if people is None:
            self._before.append(frame)
            self._passed += 1
            if self._label is not None and self._passed <= self._reach:
                self._spread(self._label, frame, self._passed)
            return
        self._label = self._prepared(frame, replace(people, time_s=frame.time_s))
        self._labelled[frame.index] = self._label.people
        for distance, earlier in enumerate(reversed(self._before), start=1):
            self._spread(self._label, earlier, distance)
        self._before.clear()
        self._passed = 0

    def frames(self) -> Iterator[FramePoses]:
        """Every frame: as labelled, or as the labels around it say."""
        for index, time_s in self._times.items():
            if index in self._labelled:
                yield self._labelled[index]
            else:
                yield _merged(index, time_s, self._said.get(index, []), self._model.codec.skeleton)

    def _prepared(self, frame: TimedFrame, people: FramePoses) -> _Label:
        codec = self._model.codec
        windows = [CropWindow.of_box(box, codec.crop_size, PAD) for box in people.boxes.xyxy]
        joints = [w.apply(xy) for w, xy in zip(windows, people.poses.xy, strict=True)]
        known = np.isfinite(joints).all(-1)
        drawn = codec.encode(
            torch.from_numpy(np.nan_to_num(joints)).float(), torch.from_numpy(known).float()
        ).heatmaps
        assert drawn is not None
        return _Label(people, windows, drawn.to(self._device), self._seen(frame, windows))

    def _seen(self, frame: TimedFrame, windows: Sequence[CropWindow]) -> Tensor:
        """The twin's maps ``(N, K, h, w)`` in some windows of a frame."""
        image = torch.from_numpy(np.array(frame.image)).to(self._device)
        with torch.inference_mode():
            crops = torch.stack([cut(image, window) for window in windows])
            return self._model.encode(normalise(crops)).heatmaps

    def _spread(self, label: _Label, frame: TimedFrame, distance: int) -> None:
        """Note what a label says about a frame."""
        with torch.inference_mode():
            maps = self._model.spread(label.drawn, label.seen, self._seen(frame, label.windows))
        crops = self._model.codec.decode(maps)
        truth, boxes = label.people.poses, label.people.boxes
        known = np.asarray(np.isfinite(truth.xy).all(-1))
        placed = [crops.select(n).to_image(w).xy for n, w in enumerate(label.windows)]
        xy = np.where(known[..., None], np.stack(placed), np.nan)
        shift = np.stack([_median(rows) for rows in xy - truth.xy])
        score = np.where(known, crops.score * np.nan_to_num(truth.score), 0.0)
        moved = Boxes(boxes.xyxy + np.tile(shift, (1, 2)).astype(np.float32), boxes.score)
        self._said.setdefault(frame.index, []).append(
            _Carried(
                label.people.ids, xy, score, np.asarray(truth.visible) & known, moved, 1 / distance
            )
        )


def _median(shift: Array) -> Array:
    known = np.asarray(np.isfinite(shift).all(-1))
    return np.asarray(np.median(shift[known], axis=0)) if known.any() else np.zeros(2)


def _merged(index: int, time_s: float, said: Sequence[_Carried], skeleton: Skeleton) -> FramePoses:
    """People of a frame: the mean of what the labels say, weighted by score and nearness."""
    ids = sorted({int(i) for c in said for i in c.ids})
    count, joints = len(ids), len(skeleton)
    xy, score = np.full((count, joints, 2), np.nan), np.zeros((count, joints))
    visible = np.zeros((count, joints), bool)
    box, box_score = np.zeros((count, 4)), np.zeros(count)
    for n, person in enumerate(ids):
        parts = [(c, int(np.flatnonzero(c.ids == person)[0])) for c in said if person in c.ids]
        near = np.array([c.weight for c, _ in parts])
        near = near / near.sum()
        scores = np.stack([c.score[row] for c, row in parts])
        places = np.stack([c.xy[row] for c, row in parts])
        trust = np.where(np.isfinite(places).all(-1), near[:, None] * (scores + 1e-6), 0.0)
        total = trust.sum(0)
        known = total > 0
        share = trust / np.where(known, total, 1.0)
        mean = (share[..., None] * np.nan_to_num(places)).sum(0)
        xy[n] = np.where(known[:, None], mean, np.nan)
        score[n] = (share * scores).sum(0)
        visible[n] = np.stack([c.visible[row] for c, row in parts])[near.argmax()] & known
        box[n] = sum(w * c.boxes.xyxy[row] for w, (c, row) in zip(near, parts, strict=True))
        box_score[n] = sum(w * c.boxes.score[row] for w, (c, row) in zip(near, parts, strict=True))
    poses = Poses(xy.astype(np.float32), score.astype(np.float32), skeleton, visible=visible)
    boxes = Boxes(box.astype(np.float32), box_score.astype(np.float32))
    return FramePoses(index, time_s, np.array(ids, np.int64), boxes, poses)

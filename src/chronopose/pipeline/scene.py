"""ScenePipeline: frames in, tracked poses out, with a network that reads whole frames.

No detector and no crops: every frame is scaled, encoded once and kept while a window of time needs
it; the people of a key frame come out of the network together, and the tracker joins and names
them. A key frame is answered once the frames after it that the network wants have been read; at
the ends of a video frames repeat.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses
from chronopose.core.tracks import FramePoses
from chronopose.errors import UsageError
from chronopose.io.video import Frame
from chronopose.models._base import Features, stack_windows
from chronopose.models._scene import SceneModel
from chronopose.pipeline.associate import Tracker, TrackSettings
from chronopose.pipeline.crops import cut
from chronopose.pipeline.encode import Counts
from chronopose.pipeline.link import rows_of
from chronopose.pipeline.stream import FrameSource
from chronopose.tensors.colours import normalise

UNSURE = 0.5
"""People scored at least this share of the least score continue a track; they start none."""


@dataclass(frozen=True)
class _Kept:
    """One frame as the network sees it."""

    index: int
    time_s: float
    features: Features


class ScenePipeline:
    """Finds, tracks and names the people of videos, without a detector.

    Args:
        model: A model of whole frames; it is put into eval mode on ``device``.
        tracker: Turns people of frames into people; by default one that starts a person at
            ``min_score``.
        min_score: Least score of a person.
        device: Where the model runs.
        half: bfloat16 on the CPU, float16 on a GPU.

    Raises:
        UsageError: the least score is not between 0 and 1.
    """

    def __init__(
        self,
        model: SceneModel,
        *,
        tracker: Tracker | None = None,
        min_score: float = 0.3,
        device: str | torch.device = "cpu",
        half: bool = False,
    ) -> None:
        if not 0 <= min_score <= 1:
            raise UsageError(f"min_score must be between 0 and 1; got {min_score}.")
        self.device = torch.device(device)
        self.model = model.eval().to(self.device)
        self.tracker = tracker or Tracker(TrackSettings(start_score=min_score))
        self.min_score = min_score
        self.counts = Counts()
        self._half = half

    def stream(self, reader: FrameSource) -> Iterator[FramePoses]:
        """Yield the people of every frame in order, ``needs.lookahead`` frames behind the video.

        Args:
            reader: An open video; nothing of an earlier video is remembered.
        """
        needs, kept, first, key = self.model.needs, list[_Kept](), 0, 0
        self.tracker.start(reader.info.size)
        size = reader.info.size
        for frame in reader:
            kept.append(_Kept(frame.index, frame.time_s, self._encode(frame)))
            if first + len(kept) - 1 - needs.lookahead >= key:
                yield self._answer(kept, key - first, size)
                key += 1
                done = max(0, key + min(needs.offsets) - first)
                kept, first = kept[done:], first + done
        while key - first < len(kept):
            yield self._answer(kept, key - first, size)
            key += 1

    @torch.inference_mode()
    def _encode(self, frame: Frame) -> Features:
        """Features of one frame, without the frame axis."""
        image = np.array(frame.image)
        window = self.model.codec.window((image.shape[1], image.shape[0]))
        pixels = normalise(cut(torch.from_numpy(image).to(self.device), window))
        width, height = window.out_size
        step = self.model.needs.divisor
        padded = F.pad(pixels, (0, -width % step, 0, -height % step))[None]
        valid = torch.tensor([[width, height]], device=self.device)
        with self._arithmetic():
            features = self.model.encode(padded, valid)
        self.counts.encodes += 1
        make: Any = getattr(features, "_make", tuple)
        return make([f[0] for f in features])

    @torch.inference_mode()
    def _answer(self, kept: list[_Kept], key: int, size: tuple[int, int]) -> FramePoses:
        places = (min(max(key + o, 0), len(kept) - 1) for o in self.model.needs.offsets)
        with self._arithmetic():
            output = self.model.fuse(stack_windows([[kept[p].features for p in places]]))
        codec = self.model.codec
        boxes, poses = codec.decode(output, [codec.window(size)], UNSURE * self.min_score)[0]
        self.counts.frames += 1
        self.counts.fuses += 1
        return self._name(kept[key], boxes, poses, size)

    def _name(self, at: _Kept, boxes: Boxes, poses: Poses, size: tuple[int, int]) -> FramePoses:
        """Join with the tracks and give ids; a track without a pose in this frame is not shown."""
        tracked = [t for t in self.tracker.update(at.time_s, boxes) if t.decay >= 1]
        rows = rows_of(boxes, size, tracked)
        ids = self.tracker.identify(at.time_s, tracked, poses.select(rows))
        order = np.argsort(ids, kind="stable")
        order = order[ids[order] > 0]
        rows = rows[order]
        return FramePoses(at.index, at.time_s, ids[order], boxes.select(rows), poses.select(rows))

    def _arithmetic(self) -> torch.autocast:
        kind = torch.float16 if self.device.type == "cuda" else torch.bfloat16
        return torch.autocast(self.device.type, kind, enabled=self._half)

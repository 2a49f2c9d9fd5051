"""The detector that comes with the package: it needs no download and no second library."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torchvision.ops import box_iou, nms

from chronopose.core.boxes import Boxes
from chronopose.errors import WeightsError
from chronopose.models.person_detector import DetectorConfig, PersonDetector
from chronopose.pipeline.associate import TrackSettings
from chronopose.pipeline.detect import UNSURE, Detector
from chronopose.pipeline.identity import IdentitySettings
from chronopose.tensors.colours import normalise

if TYPE_CHECKING:
    from chronopose.io.video import Frame

STEP = 32
"""Sides of the network's input are multiples of this, pixels."""
SAME_PERSON = 0.5
"""Of two boxes that overlap by more than this, the less sure one is dropped."""
LEAST_HITS, BRIDGE_S = 3, 0.5
"""Boxes that make a person, and seconds that a track lives on without one."""
POSE_SHARE = 0.5
"""How much the last pose says about where a person's box is now."""
SAME_POSE, LEAST_POSE = 0.55, 0.57
"""How alike two poses of one person are, and how sure a person's joints are, at least."""
LEAST_SIDE_PX = 2.0
"""Boxes of which less lies in the frame are left out, pixels of the frame."""
AT_MOST = 100
"""People in a frame."""


def find_people(
    model: PersonDetector, frames: Tensor, side: int, min_score: float
) -> list[tuple[Tensor, Tensor]]:
    """Boxes and scores of the people in pictures of one size.

    Args:
        model: The network, in eval mode.
        frames: ``(N, 3, H, W)`` RGB, values 0..255, on the network's device.
        side: The longer side is brought to this, pixels; a small picture is enlarged.
        min_score: Least score.

    Returns:
        For each picture ``(n, 4)`` boxes in its own pixels and ``(n,)`` scores, best first.
    """
    height, width = frames.shape[-2:]
    scale = side / max(height, width)
    size = [max(1, round(n * scale)) for n in (height, width)]
    small = F.interpolate(frames.float(), size, mode="bilinear", antialias=True)
    rest = [-n % STEP for n in size]
    padded = F.pad(normalise(small), (0, rest[1], 0, rest[0]))
    output = model(padded.contiguous(memory_format=torch.channels_last))
    ratio = torch.tensor([size[1] / width, size[0] / height] * 2, device=frames.device)
    edge = torch.tensor([width, height] * 2, device=frames.device) - 0.5
    found = []
    for logits, boxes in zip(output.logits, output.boxes, strict=True):
        scores = logits.sigmoid()
        boxes = torch.minimum(((boxes + 0.5) / ratio - 0.5).clamp(min=-0.5), edge)
        inside = (boxes[:, 2:] - boxes[:, :2] >= LEAST_SIDE_PX).all(-1)
        likely = (scores >= min_score) & inside
        scores, boxes = scores[likely], boxes[likely]
        keep = nms(boxes, scores, SAME_PERSON)[:AT_MOST]
        found.append((_voted(boxes[keep], boxes, scores), scores[keep]))
    return found


def _voted(kept: Tensor, boxes: Tensor, scores: Tensor) -> Tensor:
    """Each kept box as the mean of all that overlap it, weighted by score: it trembles less."""
    if not len(kept):
        return kept
    weight = scores.square() * (box_iou(kept, boxes) > SAME_PERSON)
    return weight @ boxes / weight.sum(1, keepdim=True)


class BuiltIn(Detector):
    """The shipped network.

    Args:
        weights: Its file.
        side: Longer side at which a frame is looked at, pixels; None: as trained. More finds
            smaller people and takes longer, in proportion to the square.
        min_score: Least score of a box that makes a person.
        device: Where it runs.
        batch_size: Frames in one pass.

    Raises:
        WeightsError: the file cannot be read or holds another network.
    """

    def __init__(
        self,
        weights: Path,
        *,
        side: int | None = None,
        min_score: float = 0.3,
        device: str = "cpu",
        batch_size: int = 4,
    ) -> None:
        self._model = load_person_detector(weights).to(device)
        self._side = side if side is not None else self._model.config.side
        self.min_score, self._batch = min_score, batch_size
        self._device = torch.device(device)

    def tracking(self) -> TrackSettings:
        """A person is seen three times, and looks like one to the pose network too.

        The network is small: it also sees people in trees and chairs, and two of them as one.
        """
        return TrackSettings(
            start_score=self.min_score, min_hits=LEAST_HITS, bridge_s=BRIDGE_S,
            pose_share=POSE_SHARE,
            identity=IdentitySettings(same_pose=SAME_POSE, least_pose=LEAST_POSE),
        )  # fmt: skip

    def __call__(self, frames: Sequence[Frame]) -> list[Boxes]:
        """The boxes of every frame; those below ``min_score`` may only continue a track."""
        found: list[Boxes] = []
        with torch.inference_mode():
            for first in range(0, len(frames), self._batch):
                pictures = [f.image for f in frames[first : first + self._batch]]
                pixels = torch.from_numpy(np.stack(pictures)).to(self._device)
                answers = find_people(
                    self._model, pixels.permute(0, 3, 1, 2), self._side, self.min_score * UNSURE
                )
                found += [Boxes(b.cpu().numpy(), s.cpu().numpy()) for b, s in answers]
        return found


def load_person_detector(weights: Path) -> PersonDetector:
    """The network of a weights file, in eval mode.

    Args:
        weights: safetensors file whose metadata hold the ``config``.

    Raises:
        WeightsError: the file cannot be read or holds another network.
    """
    again = "Install the package again, or name the file that belongs to this network."
    try:
        with safe_open(weights, "pt") as file:
            facts = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        config: dict[str, Any] = json.loads(facts["config"])
        widths = tuple(config.pop("widths"))
        model = PersonDetector(DetectorConfig(widths=widths, **config))
        model.load_state_dict(
            {k: v.float() if v.is_floating_point() else v for k, v in state.items()}
        )
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{weights} cannot be read as weights ({error}). {again}") from error
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        raise WeightsError(
            f"{weights} does not hold the weights of a person detector ({type(error).__name__}). "
            f"{again}"
        ) from error
    return model.eval().to(memory_format=torch.channels_last)

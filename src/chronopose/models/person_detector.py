"""PersonDetector: where people are in a frame, small enough for one CPU core.

Paper     None of its own. Dense prediction without anchors after Tian, Shen, Chen, He, "FCOS:
          Fully Convolutional One-Stage Object Detection", ICCV 2019.
Reads     frames   float  N 3 H W   whole pictures, H and W divisible by 32
Returns   DetectorOutput: one score and one box for every cell of strides 8, 16 and 32
Idea      1. The first three residual stages of the lite pose backbone; they can start from the
             weights of simple_baseline:lite, which have seen many people.
          2. A thin stage at stride 32 with a wide view, then a top-down pyramid.
          3. At every cell: is it inside a person, and how far are the person's four sides.
Differs   No centre-ness branch: the score is trained towards the overlap of the box it stands
          for (losses/detection.py), so it ranks boxes by itself.
Written   from the papers named here and in losses/detection.py.
Checked   tests/unit/models/test_person_detector.py.

This is no pose model: it is not listed by ``chronopose models`` and knows no joints.

Axes: N picture, C channel, H W pixels, A cells of all strides, row by row, finest stride first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chronopose.nn.residual import conv_bn_relu

STRIDES = (8, 16, 32)
LEAST_ODDS = -4.6
"""Bias of the score at the start: a cell belongs to a person once in a hundred times."""
WIDEST = 6.0
"""Limit of the logarithm of a side's distance in strides."""


class DetectorOutput(NamedTuple):
    """What the network says at every cell."""

    logits: Tensor
    """float N A, odds that the cell belongs to a person."""
    boxes: Tensor
    """float N A 4, x1 y1 x2 y2 in pixels of the network's input, pixel centres at integers."""


@dataclass(frozen=True, kw_only=True)
class DetectorConfig:
    """What a detector is built from."""

    widths: tuple[int, int, int] = (64, 128, 256)
    """Channels of the residual stages at strides 4, 8 and 16."""
    deep: int = 192
    """Channels at stride 32."""
    channels: int = 64
    """Width of the pyramid and of the heads."""
    side: int = 416
    """Longer side of a frame when it is looked at, pixels; a multiple of 32."""


PRESETS = {"lite": DetectorConfig()}


class PersonDetector(nn.Module):
    """Pictures -> scores and boxes of all cells."""

    def __init__(self, config: DetectorConfig = PRESETS["lite"]) -> None:
        super().__init__()
        self.config = config
        self.body = timm.create_model(
            "resnet18", features_only=True, out_indices=(2, 3), replace_stem_pool=True,
            channels=(*config.widths, 2 * config.widths[2]),
        )  # fmt: skip
        deep, width = config.deep, config.channels
        self.deep = nn.Sequential(
            _separable(config.widths[2], deep, stride=2), _separable(deep, deep),
            _separable(deep, deep),
        )  # fmt: skip
        inner = (config.widths[1], config.widths[2], deep)
        self.lateral = nn.ModuleList([nn.Conv2d(c, width, 1) for c in inner])
        self.smooth = nn.ModuleList([conv_bn_relu(width, width) for _ in inner])
        self.tower = nn.ModuleList([conv_bn_relu(width, width) for _ in inner])
        self.score = nn.ModuleList([nn.Conv2d(width, 1, 1) for _ in inner])
        self.sides = nn.ModuleList([nn.Conv2d(width, 4, 1) for _ in inner])
        for score, sides in zip(self.score, self.sides, strict=True):
            nn.init.normal_(score.weight, std=0.01)  # type: ignore[arg-type]
            nn.init.constant_(score.bias, LEAST_ODDS)  # type: ignore[arg-type]
            nn.init.normal_(sides.weight, std=0.01)  # type: ignore[arg-type]
            nn.init.constant_(sides.bias, 1.0)  # type: ignore[arg-type]

    def forward(self, frames: Tensor) -> DetectorOutput:
        """``(N, 3, H, W)`` normalised RGB -> scores and boxes of every cell."""
        middle, coarse = self.body(frames)
        levels = [middle, coarse, self.deep(coarse)]
        x: Tensor | None = None
        pyramid: list[Tensor] = []
        for lateral, level in zip(reversed(self.lateral), reversed(levels), strict=True):
            side = lateral(level)
            x = side if x is None else side + F.interpolate(x, scale_factor=2.0, mode="nearest")
            pyramid.insert(0, x)
        logits, boxes = [], []
        for i, stride in enumerate(STRIDES):
            feature = self.tower[i](self.smooth[i](pyramid[i]))
            logits.append(self.score[i](feature).flatten(1))
            reach = self.sides[i](feature).float().clamp(max=WIDEST).exp() * stride
            centre = cell_centres(*feature.shape[-2:], stride, feature.device)
            left_top, right_bottom = reach.flatten(2).transpose(1, 2).chunk(2, -1)
            boxes.append(torch.cat([centre - left_top, centre + right_bottom], -1))
        return DetectorOutput(torch.cat(logits, 1).float(), torch.cat(boxes, 1))

    def first_stage(self) -> list[nn.Module]:
        """Stem and first residual stage: edges and colours, which need not be learnt again."""
        names = ("conv1", "bn1", "act1", "maxpool", "layer1")
        return [part for name, part in self.body.named_children() if name in names]

    def start_from_pose(self, state: Mapping[str, Tensor]) -> list[str]:
        """Take over what fits from the state dict of ``simple_baseline:lite``.

        Returns:
            Names of our tensors that were not found there.
        """
        own: dict[str, Any] = self.state_dict()
        theirs = {k.removeprefix("backbone."): v for k, v in state.items()}
        for level in (0, 1):  # the pose pyramid begins one stride finer
            for part in ("lateral", "smooth"):
                for key in [k for k in own if k.startswith(f"{part}.{level}.")]:
                    theirs[f"ours.{key}"] = theirs[key.replace(f".{level}.", f".{level + 1}.", 1)]
        missing = []
        for key, value in own.items():
            found = theirs.get(f"ours.{key}", theirs.get(key) if key.startswith("body.") else None)
            if found is None or found.shape != value.shape:
                missing.append(key)
            else:
                own[key] = found
        self.load_state_dict(own)
        return missing


@cache
def cell_centres(height: int, width: int, stride: int, device: torch.device) -> Tensor:
    """``(height * width, 2)`` x and y of the cells' centres in input pixels, row by row."""
    y, x = torch.meshgrid(
        torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij"
    )
    return (torch.stack([x, y], -1).flatten(0, 1).float() + 0.5) * stride - 0.5


def _separable(cin: int, cout: int, stride: int = 1) -> nn.Sequential:
    """A 5×5 convolution in each channel, then a 1×1 one across channels."""
    return nn.Sequential(
        nn.Conv2d(cin, cin, 5, stride=stride, padding=2, groups=cin, bias=False),
        nn.BatchNorm2d(cin),
        nn.Conv2d(cin, cout, 1, bias=False),
        nn.BatchNorm2d(cout),
        nn.ReLU(inplace=True),
    )

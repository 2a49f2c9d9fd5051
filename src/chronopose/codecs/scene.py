"""SceneCodec: people of whole frames -> what a loss compares, and outputs -> people.

Axes: B clip, G labelled person, P person found, K joint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from chronopose.core.boxes import Boxes
from chronopose.core.crop import CropWindow
from chronopose.core.poses import Poses
from chronopose.core.skeleton import Skeleton
from chronopose.errors import ShapeError
from chronopose.tensors.scene import SceneOutput, SceneTarget

LEAST_AREA_PX2 = 16.0
"""Area of a person whose visible joints lie on one line."""


@dataclass(frozen=True)
class SceneCodec:
    """People of one skeleton in whole frames.

    Args:
        skeleton: Names of the K joints.
        frame_size: Longest longer and shorter side of a frame when it is looked at, pixels.
        align: ``centre``: shares of the frame count from its edge, half a pixel before pixel 0.
            ``corner``: from pixel 0, as in published weights.
    """

    skeleton: Skeleton
    frame_size: tuple[int, int]
    align: Literal["centre", "corner"] = "centre"

    @property
    def edge(self) -> float:
        """Where share 0 lies, pixels."""
        return 0.0 if self.align == "corner" else -0.5

    def window(self, size: tuple[int, int]) -> CropWindow:
        """How a frame of ``size`` (width, height) is scaled; its proportions stay."""
        longer, shorter = self.frame_size
        scale = min(longer / max(size), shorter / min(size))
        width, height = (max(1, int(side * scale + 0.5)) for side in size)
        x, y = width / size[0], height / size[1]
        return CropWindow(np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2]]), (width, height))

    def encode(
        self,
        joints: Sequence[Tensor],
        visible: Sequence[Tensor],
        areas: Sequence[Tensor] | None = None,
    ) -> SceneTarget:
        """Pad the people of B clips to the same number.

        Args:
            joints: ``(G, K, 2)`` for each clip, pixels of the scaled frame, any G.
            visible: ``(G, K)`` bool; joints that are not finite are never visible.
            areas: ``(G,)`` square pixels; None: of the box around the visible joints.

        Raises:
            ShapeError: a clip has joints of another skeleton.
        """
        count, most = len(self.skeleton), max([len(j) for j in joints] + [1])
        people = torch.tensor([len(j) for j in joints])
        xy = torch.zeros(len(joints), most, count, 2)
        seen = torch.zeros(len(joints), most, count, dtype=torch.bool)
        area = torch.full((len(joints), most), LEAST_AREA_PX2)
        for i, (pose, there) in enumerate(zip(joints, visible, strict=True)):
            if pose.shape[1:] != (count, 2) or there.shape != pose.shape[:2]:
                raise ShapeError(
                    f"{self.skeleton.name} people are (people, {count}, 2) joints and "
                    f"(people, {count}) visibilities; got {tuple(pose.shape)} and "
                    f"{tuple(there.shape)}."
                )
            known = there & torch.isfinite(pose).all(-1)
            pose = torch.where(known[..., None], pose, torch.zeros_like(pose))
            xy[i, : len(pose)], seen[i, : len(pose)] = pose, known
            found = _areas(pose, known) if areas is None else areas[i]
            area[i, : len(pose)] = found.clamp(min=LEAST_AREA_PX2)
        return SceneTarget(xy, seen, area, people)

    def decode(
        self, output: SceneOutput, windows: Sequence[CropWindow], min_score: float = 0.0
    ) -> list[tuple[Boxes, Poses]]:
        """People of B frames in image pixels, best first.

        Args:
            output: What the network gave for B key frames.
            windows: How each was scaled, see :meth:`window`.
            min_score: People scored lower are left out.

        Returns:
            For each frame the boxes around the joints, with the people's scores, and the poses.
        """
        found = []
        joints, scores, joint_scores = (part.detach().float().cpu().numpy() for part in output[:3])
        for xy, score, each, window in zip(joints, scores, joint_scores, windows, strict=True):
            keep = score >= min_score
            image = window.invert(xy[keep] - self.edge - 0.5)
            if self.align == "corner":
                image = xy[keep] / np.diag(window.matrix[:, :2])
            poses = Poses(image.astype(np.float32), each[keep], self.skeleton)
            found.append((Boxes(poses.extent(), score[keep]), poses))
        return found


def _areas(joints: Tensor, visible: Tensor) -> Tensor:
    """``(G,)`` area of the boxes around the visible joints; 0 without any."""
    far = torch.where(visible, 0.0, torch.inf)[..., None]
    side = (joints - far).amax(1) - (joints + far).amin(1)
    return side.clamp(min=0).prod(-1)

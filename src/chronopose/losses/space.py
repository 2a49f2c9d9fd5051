"""What lifters are trained with: how far joints in space, and their steps, are from the labels.

Axes: B clip, T frame, J joint.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from chronopose.errors import ShapeError
from chronopose.tensors.space import LiftOutput, LiftTarget


class SpaceCriterion(nn.Module):
    """Terms ``mpjpe`` (metres) and, where asked for, ``velocity`` (metres a frame).

    ``mpjpe``     mean over known joints of ``|predicted - labelled|``. The root counts as a joint,
                  with the label zero, as in the literature.
    ``velocity``  mean over joints known in two neighbouring frames of the length of
                  ``(predicted step) - (labelled step)``.

    A mean over no joint at all is 0.

    Args:
        velocity: Give the second term too; it needs answers for at least two frames in a row.

    Source:
        MPJPE as the loss and the velocity error: D. Pavllo et al., "3D human pose estimation in
        video with temporal convolutions and semi-supervised training", CVPR 2019.
    """

    def __init__(self, *, velocity: bool = False) -> None:
        super().__init__()
        self.velocity = velocity

    def forward(self, output: LiftOutput, target: LiftTarget) -> dict[str, Tensor]:
        """Named, unweighted terms.

        Raises:
            ShapeError: output and target disagree, or a velocity is asked of single frames.
        """
        pred, truth, weight = output.xyz, target.xyz, target.weight
        if pred.shape != truth.shape or weight.shape != truth.shape[:-1]:
            raise ShapeError(
                f"Answers {tuple(pred.shape)}, labels {tuple(truth.shape)} and weights "
                f"{tuple(weight.shape)} do not belong together: (B, T, J, 3) twice and (B, T, J) "
                f"are needed. A network that answers for one frame takes the labels of that frame."
            )
        weight = weight.to(pred.dtype)
        # Labels of unknown joints may be NaN, and 0 * NaN is NaN: they are taken out beforehand.
        error = torch.where(weight[..., None] > 0, pred - truth.to(pred.dtype), 0.0)
        terms = {"mpjpe": _mean_length(error, weight)}
        if self.velocity:
            if pred.shape[1] < 2:
                raise ShapeError(
                    f"A velocity needs two frames in a row; got {pred.shape[1]}. Build the model "
                    f"with seq2seq=True, or the criterion with velocity=False."
                )
            known = weight[:, 1:] * weight[:, :-1]
            terms["velocity"] = _mean_length(error[:, 1:] - error[:, :-1], known)
        return terms


def _mean_length(vectors: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of the lengths of ``(..., 3)`` vectors; 0 where nothing has weight."""
    lengths: Tensor = torch.linalg.vector_norm(vectors, dim=-1)
    tiny = torch.finfo(weight.dtype).tiny
    return (lengths * weight).sum() / weight.sum().clamp_min(tiny)

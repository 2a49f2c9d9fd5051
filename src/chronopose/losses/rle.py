"""Residual log-likelihood estimation: the likelihood of a regressed joint, its shape learnt.

The network gives a coordinate and a spread. What is left of the error after dividing by the spread
follows a density that is a simple one, here Laplace's, times a factor that a flow learns.

Axes: B clip, K joint, 2 x and y.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from chronopose.core.skeleton import Skeleton
from chronopose.errors import ShapeError
from chronopose.losses.heatmap import joint_weights
from chronopose.nn.coupling import RealNVP
from chronopose.tensors import RegressionOutput, Target

LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)


class ResidualLogLikelihood(nn.Module):
    """Terms ``flow`` and ``base`` of a batch, nats; their sum is the published loss.

    With the spread s, the error e = predicted - labelled and the weight w of a joint, each term is
    the sum over joints and both axes, divided by B:

    ``flow``  ``w (log s - log p(e / s))``; the density p has no axes, so it counts for both.
    ``base``  ``w (log(s sqrt(2 pi)) + |e| / (sqrt(2) s + 1e-9))``.

    Args:
        skeleton: Names of the K joints.
        flow: The density p. Its weights are learnt and belong to the network.
        use_joint_weights: Multiply the target's weight by
            :func:`~chronopose.losses.heatmap.joint_weights`.

    Source:
        Li et al., "Human Pose Regression with Residual Log-likelihood Estimation", ICCV 2021, in
        the form that DSTA was published with.
    """

    weights: Tensor

    def __init__(
        self, skeleton: Skeleton, flow: RealNVP, *, use_joint_weights: bool = True
    ) -> None:
        super().__init__()
        self.flow = flow
        each = joint_weights(skeleton) if use_joint_weights else torch.ones(len(skeleton))
        self.register_buffer("weights", each, persistent=False)

    def forward(self, output: RegressionOutput, target: Target) -> dict[str, Tensor]:
        """Named, unweighted terms; both are 0 if no joint counts.

        Raises:
            ShapeError: the target has no coordinates, or not as many as the output.
        """
        pred, sigma, truth = output.joints, output.sigma, target.shares
        if truth is None or truth.shape != pred.shape:
            got = "none" if truth is None else tuple(truth.shape)
            raise ShapeError(
                f"This loss needs target coordinates like the predicted ones, "
                f"{tuple(pred.shape)}; got {got}. Make the target with the model's own codec: "
                f"model.codec.encode(joints, visible)."
            )
        error = pred - truth.to(pred.dtype)
        weight = (target.weight * self.weights.to(target.weight.device)).to(pred.dtype)[..., None]
        log_sigma = sigma.log()
        flow = log_sigma - self.flow.log_prob(error / sigma)[..., None]
        base = log_sigma + LOG_SQRT_2PI + error.abs() / (math.sqrt(2) * sigma + 1e-9)
        return {
            "flow": (weight * flow).sum() / len(pred),
            "base": (weight * base).sum() / len(pred),
        }

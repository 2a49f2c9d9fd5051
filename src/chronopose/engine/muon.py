"""Muon: momentum whose matrices are orthogonalised; AdamW for everything that is no matrix.

From scratch on few images a network of convolutions learns from the same crops more with it than
with AdamW alone (``docs/log.md`` has the comparison).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

QUINTIC = (3.4445, -4.7750, 2.0315)
"""Coefficients of the Newton-Schulz step."""


def orthogonalise(matrix: Tensor, steps: int = 5) -> Tensor:
    """The matrix with its singular values brought near 1 (about 0.7 to 1.2).

    Args:
        matrix: ``(M, N)`` float.
        steps: Newton-Schulz steps, in bfloat16.

    Source:
        Jordan et al., "Muon: an optimizer for hidden layers in neural networks".
    """
    a, b, c = QUINTIC
    x = matrix.bfloat16()
    tall = x.shape[0] > x.shape[1]
    if tall:
        x = x.T
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.T if tall else x).to(matrix.dtype)


EDGES = ("head.", "final_layer.", "probe.", "body.conv1.", "backbone.conv1.")
"""First and last layers: AdamW keeps them."""


def is_matrix(name: str, parameter: nn.Parameter) -> bool:
    """Whether Muon takes this parameter: kernels inside the network, no first or last layer."""
    return parameter.ndim >= 2 and not any(edge in name for edge in EDGES)


class Muon(torch.optim.Optimizer):
    """Muon for matrices and AdamW for the rest, in one optimiser.

    A kernel ``(C_out, C_in, k, k)`` counts as a matrix ``(C_out, C_in k k)``. Updates are scaled by
    ``0.2 sqrt(max(M, N))``, so that one learning rate serves both kinds.

    Args:
        named: Names and parameters.
        lr: Learning rate.
        momentum: Of the matrices.
        betas: Of AdamW.
        weight_decay: On matrices and kernels only.

    Source:
        Scale of the update: Liu et al., "Muon is scalable for LLM training", Eq. 4.
    """

    def __init__(
        self,
        named: Iterable[tuple[str, nn.Parameter]],
        lr: float = 2e-3,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.999),
        weight_decay: float = 0.05,
    ) -> None:
        trained = [(n, p) for n, p in named if p.requires_grad]
        matrices = [p for n, p in trained if is_matrix(n, p)]
        taken = {id(p) for p in matrices}
        rest = [p for _, p in trained if id(p) not in taken]
        shared: dict[str, Any] = {"momentum": momentum, "betas": betas, "eps": 1e-8}
        groups = [
            {"params": matrices, "kind": "muon", "weight_decay": weight_decay},
            {"params": [p for p in rest if p.ndim > 1], "kind": "adamw",
             "weight_decay": weight_decay},
            {"params": [p for p in rest if p.ndim <= 1], "kind": "adamw", "weight_decay": 0.0},
        ]  # fmt: skip
        super().__init__([g for g in groups if g["params"]], {"lr": lr, **shared})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step; parameters without a gradient are left alone."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            update = self._muon if group["kind"] == "muon" else self._adamw
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    update(parameter, parameter.grad, group)
        return loss

    def _muon(self, parameter: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        state["momentum"].lerp_(grad, 1 - group["momentum"])
        look_ahead = grad.lerp(state["momentum"], group["momentum"])
        flat = look_ahead.reshape(len(parameter), -1)
        scale = 0.2 * max(flat.shape) ** 0.5
        parameter.add_(orthogonalise(flat).view_as(parameter), alpha=-group["lr"] * scale)

    def _adamw(self, parameter: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = 0
            state["mean"], state["square"] = torch.zeros_like(grad), torch.zeros_like(grad)
        state["step"] += 1
        first, second = group["betas"]
        state["mean"].lerp_(grad, 1 - first)
        state["square"].mul_(second).addcmul_(grad, grad, value=1 - second)
        mean = state["mean"] / (1 - first ** state["step"])
        spread = (state["square"] / (1 - second ** state["step"])).sqrt_().add_(group["eps"])
        parameter.addcdiv_(mean, spread, value=-group["lr"])

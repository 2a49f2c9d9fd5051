"""What a network costs: parameters and multiply-adds, counted without running it.

Shapes travel through the network on torch's meta device: no arithmetic and no memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map_only
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True)
class Cost:
    """Size and work of one call."""

    params: int
    """Learned numbers; buffers such as batch-norm statistics do not count."""
    macs: int
    """Multiply-adds of convolutions and matrix products; norms, sums and sampling do not count."""

    def __str__(self) -> str:
        return f"{self.params / 1e6:.3f} M parameters, {self.macs / 1e9:.2f} GMAC"


def count_macs(module: nn.Module, *inputs: Any, method: str = "forward") -> Cost:
    """Count the multiply-adds of one call and the parameters of the whole module.

    Args:
        module: Any network; it is not changed and not run.
        *inputs: Arguments of the call, see :func:`trace_shapes`.
        method: Name of the method to call, e.g. ``encode`` or ``fuse``.
    """
    with FlopCounterMode(display=False) as counter:
        trace_shapes(module, *inputs, method=method)
    params = sum(p.numel() for p in module.parameters())
    return Cost(params, counter.get_total_flops() // 2)


def trace_shapes(module: nn.Module, *inputs: Any, method: str = "forward") -> Any:
    """What a call returns, as tensors of torch's meta device: shapes without numbers.

    Args:
        module: Any network; it is not changed and not run.
        *inputs: Arguments of the call, on any device (``meta`` needs no memory); tensors inside
            tuples, lists and dicts are found.
        method: Name of the method to call.
    """
    state = {
        f"module.{name}": tensor.to("meta")
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]
    }
    args = tree_map_only(Tensor, lambda t: t.to("meta"), inputs)
    with torch.no_grad(), _ShapesOnly():
        return functional_call(_Call(module, method), state, args)


class _ShapesOnly(TorchFunctionMode):
    """Answers operations that count nothing but are slow to trace with the shape they give."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is F.batch_norm:
            return args[0]
        if func is F.grid_sample:
            return args[0].new_empty((*args[0].shape[:2], *args[1].shape[1:-1]))
        return func(*args, **(kwargs or {}))


class _Call(nn.Module):
    """A module whose ``forward`` is another module's method."""

    def __init__(self, module: nn.Module, method: str) -> None:
        super().__init__()
        self.module = module
        self.method = method

    def forward(self, *args: Any) -> Any:
        return getattr(self.module, self.method)(*args)

"""What a recurrent model costs a frame, against its initialiser."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from chronopose.models._base import PoseModel
from chronopose.nn.cost import count_macs


@dataclass(frozen=True, kw_only=True)
class RecurrentCost:
    """Multiply-adds and seconds of three ways to answer one frame of one person."""

    start_macs: int
    """The first frame: initialiser and encoder."""
    step_macs: int
    """Every frame after it."""
    initialiser_macs: int
    """The initialiser alone, as if it answered every frame."""
    start_s: float
    """Fastest repetition, seconds; likewise below."""
    step_s: float
    initialiser_s: float

    def __str__(self) -> str:
        rows = [
            f"{'one frame of one person':26}{'start':>10}{'step':>10}{'initialiser':>13}"
            f"{'step / initialiser':>20}",
            f"{'multiply-adds, G':26}{self.start_macs / 1e9:10.2f}{self.step_macs / 1e9:10.2f}"
            f"{self.initialiser_macs / 1e9:13.2f}{self.step_macs / self.initialiser_macs:20.3f}",
            f"{'fastest, ms':26}{self.start_s * 1e3:10.1f}{self.step_s * 1e3:10.1f}"
            f"{self.initialiser_s * 1e3:13.1f}{self.step_s / self.initialiser_s:20.3f}",
        ]
        return "\n".join(rows)


def recurrent_cost(
    model: PoseModel, device: str = "cpu", *, repeats: int = 5, half: bool = False
) -> RecurrentCost:
    """Count and time ``start``, ``step`` and ``initial_maps``.

    Args:
        model: With these three; it is put in eval mode.
        device: Where it is and runs.
        repeats: Repetitions of each, by turns; one more of each comes first and is not counted.
        half: 16-bit arithmetic.
    """
    ours: Any = model.eval()
    width, height = model.needs.crop_size
    frame = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0)).to(device)
    frame = frame.contiguous(memory_format=torch.channels_last)
    kind = torch.float16 if torch.device(device).type == "cuda" else torch.bfloat16
    with torch.inference_mode():
        state = ours.start(frame)
    works: dict[str, tuple[Any, ...]] = {
        "start": (frame,), "step": (frame, state), "initial_maps": (frame,)
    }  # fmt: skip
    times: dict[str, list[float]] = {name: [] for name in works}
    with torch.inference_mode(), torch.autocast(torch.device(device).type, kind, enabled=half):
        for _ in range(repeats + 1):
            for name, args in works.items():
                times[name].append(_seconds(getattr(ours, name), args, device))
    macs = {
        name: count_macs(model, *_copies(args), method=name).macs for name, args in works.items()
    }
    fastest = {name: min(taken[1:]) for name, taken in times.items()}
    return RecurrentCost(
        start_macs=macs["start"], step_macs=macs["step"], initialiser_macs=macs["initial_maps"],
        start_s=fastest["start"], step_s=fastest["step"], initialiser_s=fastest["initial_maps"],
    )  # fmt: skip


def _seconds(work: Any, args: tuple[Any, ...], device: str) -> float:
    gpu = torch.device(device).type == "cuda"
    if gpu:
        torch.cuda.synchronize()
    started = time.perf_counter()
    work(*args)
    if gpu:
        torch.cuda.synchronize()
    return time.perf_counter() - started


def _copies(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The same shapes outside inference mode."""
    return tuple(
        torch.empty(a.shape, device="meta") if isinstance(a, Tensor)
        else type(a)(*(torch.empty(part.shape, device="meta") for part in a))
        for a in args
    )  # fmt: skip

"""Streaming against recomputing: what it saves that features of a frame are kept.

For a model that carries a state from frame to frame, also what that costs.

Both ways go through the pipeline's own encoder, in one run and by turns, so that a busy machine
slows both alike. Weights are random: speed does not depend on what a network has learnt.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from chronopose import zoo
from chronopose.bench._recurrent_cost import RecurrentCost, recurrent_cost
from chronopose.errors import UsageError
from chronopose.models._base import PoseModel, unfold_features
from chronopose.nn.cost import count_macs
from chronopose.pipeline.encode import Encoder


@dataclass(frozen=True, kw_only=True)
class SpeedReport:
    """Streamed and recomputed cost of one pose, and their ratios."""

    model: str
    device: str
    frames: int
    """Frames of the model's window of time."""
    streamed_macs: int
    """One ``encode`` and one ``fuse``."""
    recomputed_macs: int
    """All frames of the window through ``forward``."""
    streamed_s: tuple[float, ...]
    """Time of every repetition, seconds."""
    recomputed_s: tuple[float, ...]
    recurrent: RecurrentCost | None = None
    """Of a model that carries a state: what a frame costs that way."""

    @property
    def macs_ratio(self) -> float:
        """Streamed over recomputed multiply-adds."""
        return self.streamed_macs / self.recomputed_macs

    @property
    def time_ratio(self) -> float:
        """Fastest streamed over fastest recomputed repetition."""
        return min(self.streamed_s) / min(self.recomputed_s)

    @property
    def median_ratio(self) -> float:
        """Median of the ratios of neighbouring repetitions."""
        pairs = zip(self.streamed_s, self.recomputed_s, strict=True)
        return statistics.median(s / r for s, r in pairs)

    def __str__(self) -> str:
        rows = [
            f"{self.model} on {self.device}, one pose of a window of {self.frames} frames, "
            f"{len(self.streamed_s)} repetitions by turns",
            f"{'':22}{'streamed':>12}{'recomputed':>12}{'ratio':>8}",
            f"{'multiply-adds, G':22}{self.streamed_macs / 1e9:12.2f}"
            f"{self.recomputed_macs / 1e9:12.2f}{self.macs_ratio:8.3f}",
            f"{'fastest, ms':22}{min(self.streamed_s) * 1e3:12.1f}"
            f"{min(self.recomputed_s) * 1e3:12.1f}{self.time_ratio:8.3f}",
            f"{'median, ms':22}{statistics.median(self.streamed_s) * 1e3:12.1f}"
            f"{statistics.median(self.recomputed_s) * 1e3:12.1f}{self.median_ratio:8.3f}",
        ]
        if self.recurrent is not None:
            rows.append(f"carrying a state instead of a window:\n{self.recurrent}")
        return "\n".join(rows)


def bench_speed(
    model_name: str = "tdmi:hrnet_w48",
    device: str = "cpu",
    *,
    repeats: int = 5,
    half: bool = False,
    quiet: bool = False,
) -> SpeedReport:
    """Measure one pose streamed (encode one frame, fuse) and recomputed (encode all, fuse).

    Args:
        model_name: A multi-frame model, e.g. ``tdmi:hrnet_w48``.
        device: Where it runs.
        repeats: Repetitions of each, by turns; one more of each comes first and is not counted.
        half: 16-bit arithmetic.
        quiet: Do not print the report.

    Raises:
        UsageError: the model looks at one frame only, so there is nothing to save.
    """
    if repeats < 1:
        raise UsageError(f"repeats must be at least 1; got {repeats}.")
    model = zoo.load(model_name, weights="random", device=device)
    frames = len(model.needs.offsets)
    if frames < 2:
        raise UsageError(
            f"{model_name} looks at one frame at a time, so streaming saves nothing. Choose a "
            f"model of several frames, e.g. tdmi:lite."
        )
    streamed_macs, recomputed_macs = count_both(model)
    streamed_s, recomputed_s = _time_both(model, device, repeats, half)
    carried = None
    if hasattr(model, "start"):
        carried = recurrent_cost(model, device, repeats=repeats, half=half)
    report = SpeedReport(
        model=model_name, device=device, frames=frames, streamed_macs=streamed_macs,
        recomputed_macs=recomputed_macs, streamed_s=streamed_s, recomputed_s=recomputed_s,
        recurrent=carried,
    )  # fmt: skip
    if not quiet:
        print(report)
    return report


def bench_poses(
    models: Mapping[str, PoseModel], device: str = "cpu", *, repeats: int = 5
) -> dict[str, tuple[int, float]]:
    """What one streamed pose costs: one ``encode``, one ``fuse``.

    Args:
        models: Name -> model; they are put in eval mode.
        device: Where they run.
        repeats: Rounds in which every model is timed once, so that a busy machine slows all alike;
            one more comes first and is not counted.

    Returns:
        Name -> multiply-adds and seconds of the fastest round.
    """
    works = {name: _works(model, device, False)[0] for name, model in models.items()}
    times: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(repeats + 1):
        for name, work in works.items():
            times[name].append(_seconds(work, device))
    return {n: (count_both(model)[0], min(times[n][1:])) for n, model in models.items()}


def count_both(model: PoseModel) -> tuple[int, int]:
    """Multiply-adds of one pose: streamed, and with all frames recomputed. Nothing is run."""
    width, height = model.needs.crop_size
    frames = len(model.needs.offsets)
    clip = torch.empty(1, frames, 3, height, width, device="meta")
    twin = _on_meta(model)
    with torch.no_grad():
        window = unfold_features(twin.encode(clip[0]), 1, frames)
    encode = count_macs(twin, clip[0, :1], method="encode").macs
    fuse = count_macs(twin, window, method="fuse").macs
    return encode + fuse, count_macs(twin, clip).macs


def _on_meta(model: PoseModel) -> PoseModel:
    """A copy without memory, in eval mode."""
    if next(model.parameters()).is_meta:
        return model.eval()
    from chronopose.models._find import override

    with torch.device("meta"):
        twin: Any = type(model)(override(model.config, {}))  # type: ignore[call-arg]
    return twin.eval()  # type: ignore[no-any-return]


def _time_both(
    model: PoseModel, device: str, repeats: int, half: bool
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    times: dict[Callable[[], None], list[float]] = {w: [] for w in _works(model, device, half)}
    for _ in range(repeats + 1):
        for work, taken in times.items():
            taken.append(_seconds(work, device))
    streamed, recomputed = times.values()
    return tuple(streamed[1:]), tuple(recomputed[1:])


def _works(
    model: PoseModel, device: str, half: bool
) -> tuple[Callable[[], None], Callable[[], None]]:
    """One pose streamed, and one recomputed."""
    width, height = model.needs.crop_size
    frames = len(model.needs.offsets)
    encoder = Encoder(model, device=device, batch_size=frames, half=half)
    numbers = torch.Generator().manual_seed(0)
    crops = [
        (torch.rand(3, height, width, generator=numbers) * 255).to(device) for _ in range(frames)
    ]
    kept = encoder.encode(crops)

    def streamed() -> None:
        encoder.fuse([[*kept[1:], *encoder.encode(crops[-1:])]])

    def recomputed() -> None:
        encoder.fuse([encoder.encode(crops)])

    return streamed, recomputed


def _seconds(work: Callable[[], None], device: str) -> float:
    gpu = torch.device(device).type == "cuda"
    if gpu:
        torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    if gpu:
        torch.cuda.synchronize()
    return time.perf_counter() - started

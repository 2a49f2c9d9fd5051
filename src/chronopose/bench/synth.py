"""Speed of the generator of synthetic people: drawn with OpenGL and in plain numpy, in one run.

Two things are timed. ``draw``: frames of ready scenarios drawn and labelled in this process, both
renderers by turns, so that a busy machine slows both alike. ``whole``: clips from their seeds to
files (scenario, drawing, labels, lens, sensor and codec, writing), in several processes as
``chronopose synth`` works, their start included.
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chronopose.errors import UsageError
from chronopose.synth.assets import Assets
from chronopose.synth.clip_arrays import read_arrays
from chronopose.synth.film import draw_frames
from chronopose.synth.generate import GenerateSettings, generate
from chronopose.synth.labels import FrameLabels
from chronopose.synth.render_gl import OpenGLMissing
from chronopose.synth.renderer import Kind, open_renderer
from chronopose.synth.scenario import DIFFICULTIES, ClipPlan, make_scenario, plans
from chronopose.synth.scene import Renderer
from chronopose.synth.write import ClipPlaces

FIRST_SEED = 700_000
"""Far from the seeds that recipes and SynthTrack take."""
RENDERERS: tuple[Kind, ...] = ("gl", "soft")
TOLD = {"gl": "OpenGL", "soft": "numpy"}
DRAWN = 5
"""Frames of a clip that ``draw`` times."""
MODES: dict[str, tuple[tuple[int, int], tuple[int, int]]] = {
    "video": ((640, 360), (1, 4)),
    "crops": ((512, 384), (1, 5)),
}
"""Name -> size of the frames, and fewest and most people (more in crowds)."""


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How fast one renderer was at one thing."""

    mode: str
    """A name of :data:`MODES`."""
    size: tuple[int, int]
    what: str
    """``draw`` or ``whole``."""
    renderer: Kind
    workers: int
    frames: int
    crops: int
    """Labelled people: those of whom some joint is visible, in all frames."""
    seconds: float
    """By the clock."""
    processor_s: float
    """In processor time, all processes together: others who share the machine do not count."""

    @property
    def frames_a_second(self) -> float:
        """By the clock."""
        return self.frames / self.seconds

    @property
    def crops_a_second(self) -> float:
        """By the clock."""
        return self.crops / self.seconds

    @property
    def free_crops_a_second(self) -> float:
        """What the processor time would give with a whole core for every worker."""
        return self.crops / self.processor_s * self.workers


@dataclass(frozen=True, kw_only=True)
class SynthReport:
    """Both renderers on the same clips; numpy is the reference."""

    clips: int
    """Clips from seed to file, and scenarios to draw from, in each mode."""
    rates: tuple[Rate, ...]

    def find(self, mode: str, what: str, renderer: str) -> Rate | None:
        """The rate of one renderer; None if it was not measured."""
        key = mode, what, renderer
        return next((r for r in self.rates if (r.mode, r.what, r.renderer) == key), None)

    def ratio(self, mode: str, what: str) -> float:
        """How many times as many frames a second OpenGL makes; NaN where it is missing."""
        gl, soft = (self.find(mode, what, renderer) for renderer in RENDERERS)
        if gl is None or soft is None:
            return float("nan")
        return gl.frames_a_second / soft.frames_a_second

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        rows = [
            {**asdict(r), "frames_a_second": r.frames_a_second, "crops_a_second": r.crops_a_second,
             "free_crops_a_second": r.free_crops_a_second}
            for r in self.rates
        ]  # fmt: skip
        return {"clips": self.clips, "rates": rows}

    def __str__(self) -> str:
        lines = [
            f"synthetic people, {self.clips} clips of {', '.join(DIFFICULTIES)} in turn",
            f"{'':30}{'frames':>8}{'crops':>7}{'frames/s':>10}{'crops/s':>9}{'on free cores':>15}"
            f"{'ratio':>7}",
        ]
        for r in self.rates:
            name = f"{r.mode} {r.size[0]}x{r.size[1]} {r.what} {TOLD[r.renderer]}"
            name += f" x{r.workers}" if r.workers > 1 else ""
            ratio = self.ratio(r.mode, r.what) if r.renderer == "gl" else 1.0
            told = "-" if np.isnan(ratio) else f"{ratio:.2f}"
            lines.append(
                f"{name:<30}{r.frames:8d}{r.crops:7d}{r.frames_a_second:10.2f}"
                f"{r.crops_a_second:9.1f}{r.free_crops_a_second:15.1f}{told:>7}"
            )
        if self.find(next(iter(MODES)), "draw", "gl") is None:
            lines.append("OpenGL is missing here; only numpy was measured")
        return "\n".join(lines)


def bench_synth(
    clips: int = 5,
    *,
    frames: int = 20,
    workers: int = 2,
    modes: dict[str, tuple[tuple[int, int], tuple[int, int]]] | None = None,
    quiet: bool = False,
) -> SynthReport:
    """Measure the generator.

    Args:
        clips: Clips in each mode, the difficulties in turn; 5 or a multiple of it are fair.
        frames: Length of a clip.
        workers: Processes of ``whole``.
        modes: Instead of :data:`MODES`.
        quiet: Do not print the report.

    Raises:
        UsageError: a number is below one.
    """
    if min(clips, workers) < 1 or frames < 2:
        raise UsageError(
            f"The benchmark needs clips of two frames, and processes; got {clips} clips of "
            f"{frames} frames, {workers} workers."
        )
    rates: list[Rate] = []
    for mode, (size, people) in (modes or MODES).items():
        wanted = plans(
            clips, FIRST_SEED, DIFFICULTIES, people=people, frames=frames, size=size
        )  # fmt: skip
        drawn = _draw(mode, size, wanted)
        rates += drawn
        rates += [_whole(mode, size, wanted, r.renderer, workers) for r in drawn]
    report = SynthReport(clips=clips, rates=tuple(rates))
    if not quiet:
        print(report)
    return report


def _clocks() -> np.ndarray:
    """Time by the clock and of the processor, children included, seconds."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return np.array(
        [time.perf_counter(), time.process_time() + children.ru_utime + children.ru_stime]
    )


def _draw(mode: str, size: tuple[int, int], wanted: Sequence[ClipPlan]) -> list[Rate]:
    """Every clip with one renderer after the other; first a frame that does not count."""
    spent = {}
    counts = {}
    few = range(min(DRAWN, wanted[0].frames))
    with ExitStack() as opened:
        renderers: dict[Kind, Renderer] = {}
        for kind in RENDERERS:
            try:
                renderers[kind] = open_renderer(size, kind)
            except OpenGLMissing:
                continue
            opened.callback(renderers[kind].close)
            spent[kind], counts[kind] = np.zeros(2), np.zeros(2, int)
        for plan in wanted:
            scenario = make_scenario(plan, Assets())
            for kind, renderer in renderers.items():
                list(draw_frames(scenario, renderer, frames=range(1)))
                started = _clocks()
                labels = [d.labels for d in draw_frames(scenario, renderer, frames=few, flow=True)]
                spent[kind] += _clocks() - started
                counts[kind] += len(labels), sum(map(_people, labels))
    return [
        Rate(
            mode=mode, size=size, what="draw", renderer=kind, workers=1,
            frames=int(counts[kind][0]), crops=int(counts[kind][1]), seconds=float(spent[kind][0]),
            processor_s=float(spent[kind][1]),
        )
        for kind in renderers
    ]  # fmt: skip


def _people(labels: FrameLabels) -> int:
    return int((labels.visibility == 2).any(-1).sum())


def _whole(
    mode: str, size: tuple[int, int], wanted: Sequence[ClipPlan], renderer: Kind, workers: int
) -> Rate:
    frames = crops = 0
    with tempfile.TemporaryDirectory() as folder:
        started = _clocks()
        made = list(
            generate(wanted, folder, GenerateSettings(renderer=renderer), workers=workers)
        )  # fmt: skip
        seconds, processor_s = _clocks() - started
        for plan, facts, _ in made:
            frames += facts.frames
            arrays = read_arrays(ClipPlaces(Path(folder), plan.split, plan.name).arrays)
            crops += int((arrays.visibility == 2).any(-1).sum())
    return Rate(
        mode=mode, size=size, what="whole", renderer=renderer, workers=min(workers, len(wanted)),
        frames=frames, crops=crops, seconds=float(seconds), processor_s=float(processor_s),
    )  # fmt: skip

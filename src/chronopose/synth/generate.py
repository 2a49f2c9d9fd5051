"""generate: many clips to disk, in several processes; what is there already is left alone."""

from __future__ import annotations

import multiprocessing as mp
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chronopose.errors import UsageError
from chronopose.synth.assets import Assets, open_assets
from chronopose.synth.film import shoot
from chronopose.synth.renderer import Kind, open_renderer
from chronopose.synth.scenario import ClipPlan, make_scenario
from chronopose.synth.scene import Renderer
from chronopose.synth.write import ClipFacts, Pictures, is_written, read_facts, write_clip

LAYERS = ("masks", "depth", "flow")


@dataclass(frozen=True, kw_only=True)
class GenerateSettings:
    """What does not change what happens in a clip.

    Args:
        assets: Folder of environment maps and motion files; None: everything by code.
        bank: File of baked bodies; None: bodies made by code.
        renderer: ``auto``, ``gl`` or ``soft``.
        supersample: Samples a pixel and side.
        pictures: ``jpg``, ``png`` or ``mp4``.
        layers: Which of :data:`LAYERS` are written too.
    """

    assets: Path | None = None
    bank: Path | None = None
    renderer: Kind = "auto"
    supersample: int = 1
    pictures: Pictures = "jpg"
    layers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        unknown = [name for name in self.layers if name not in LAYERS]
        if unknown:
            raise UsageError(f"There is no layer {unknown[0]!r}. Known: {', '.join(LAYERS)}.")
        if not 1 <= self.supersample <= 4:
            raise UsageError(f"supersample is 1 to 4; got {self.supersample}.")


def generate(
    plans: Sequence[ClipPlan],
    out: Path | str,
    settings: GenerateSettings | None = None,
    *,
    workers: int = 1,
) -> Iterator[tuple[ClipPlan, ClipFacts, bool]]:
    """Draw and write clips.

    Args:
        plans: What to make.
        out: Root of the set, see :func:`~chronopose.synth.write.write_clip`.
        settings: How to draw and write.
        workers: Processes; 1 works in this one.

    Yields:
        As clips get ready: the plan, what was written, and whether it was made now. A clip that is
        there as a whole and was made from the same plan and assets is not made again.

    Raises:
        UsageError: a clip of that name was made from something else.
        FormatError: assets are damaged, or the system refused to write.
    """
    settings = settings or GenerateSettings()
    folder = Path(out)
    assets = open_assets(settings.assets, settings.bank)
    waiting = []
    for plan in plans:
        found = _there(folder, plan, assets)
        if found is None:
            waiting.append(plan)
        else:
            yield plan, found, False
    if workers <= 1 or len(waiting) <= 1:
        stage = _Stage(folder, settings, assets)
        try:
            for plan in waiting:
                yield plan, stage.make(plan), True
        finally:
            stage.close()
        return
    context = mp.get_context("spawn")
    with ProcessPoolExecutor(
        min(workers, len(waiting)), context, _start, (folder, settings)
    ) as pool:
        jobs = {pool.submit(_make, plan): plan for plan in waiting}
        try:
            for job in as_completed(jobs):
                yield jobs[job], job.result(), True
        finally:
            for job in jobs:
                job.cancel()


def origin(plan: ClipPlan, assets: Assets) -> dict[str, Any]:
    """What a clip's labels follow from, plain values."""
    values = asdict(plan)
    return {**{k: list(v) if isinstance(v, tuple) else v for k, v in values.items()},
            "assets": assets.fingerprint()}  # fmt: skip


def _there(folder: Path, plan: ClipPlan, assets: Assets) -> ClipFacts | None:
    if not is_written(folder, plan.split, plan.name):
        return None
    facts = read_facts(folder, plan.split, plan.name)
    old = {k: facts.settings.get(k) for k in origin(plan, assets)}
    changed = [k for k, v in origin(plan, assets).items() if old[k] != v]
    if changed:
        raise UsageError(
            f"{folder} already holds the clip {plan.name} of {plan.split}, made with another "
            f"{', '.join(changed)}. Choose another folder or other seeds."
        )
    return facts


class _Stage:
    """Renderers of one process, kept from clip to clip."""

    def __init__(self, folder: Path, settings: GenerateSettings, assets: Assets) -> None:
        self._folder, self._settings, self._assets = folder, settings, assets
        self._renderers: dict[tuple[int, int], Renderer] = {}

    def make(self, plan: ClipPlan) -> ClipFacts:
        """Draw a clip and write it."""
        settings = self._settings
        if plan.size not in self._renderers:
            self._renderers[plan.size] = open_renderer(plan.size, settings.renderer)
        scenario = make_scenario(plan, self._assets)
        footage = shoot(scenario, self._renderers[plan.size], supersample=settings.supersample)
        layers = {name: getattr(footage, name) for name in settings.layers}
        players = [[p.body.key, p.motion] for p in scenario.people]
        return write_clip(
            self._folder, plan.split, plan.name, footage.frames, footage.labels, footage.cameras,
            footage.time_s, seed=plan.seed, layers=layers, pictures=settings.pictures,
            settings={**origin(plan, self._assets), "people_and_motions": players,
                      "environment": scenario.environment.key,
                      "fingerprint": scenario.fingerprint()},
        )  # fmt: skip

    def close(self) -> None:
        """Give the renderers' memory back."""
        for renderer in self._renderers.values():
            renderer.close()


_STAGE: _Stage | None = None


def _start(folder: Path, settings: GenerateSettings) -> None:
    """Make a worker's stage. Each process draws with one thread: there are many of them."""
    global _STAGE
    os.environ["LP_NUM_THREADS"] = "1"
    _STAGE = _Stage(folder, settings, open_assets(settings.assets, settings.bank))


def _make(plan: ClipPlan) -> ClipFacts:
    assert _STAGE is not None
    return _STAGE.make(plan)

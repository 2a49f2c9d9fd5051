"""generate: many clips to disk, in several processes; what is there already is left alone."""

from __future__ import annotations

import multiprocessing as mp
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from chronopose.errors import FormatError, UsageError
from chronopose.synth.assets import Assets, open_assets
from chronopose.synth.film import shoot
from chronopose.synth.renderer import Kind, open_renderer
from chronopose.synth.scenario import ClipPlan, make_scenario
from chronopose.synth.scene import Renderer
from chronopose.synth.write import (
    VERSION,
    ClipFacts,
    Pictures,
    is_written,
    read_facts,
    write_clip,
)

LAYERS = ("masks", "depth", "flow")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LP_NUM_THREADS")
"""Told to processes that share a machine: each works with one thread."""


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

    Raises:
        UsageError: a name is unknown, or supersample is not 1 to 4.
    """

    assets: Path | None = None
    bank: Path | None = None
    renderer: Kind = "auto"
    supersample: int = 1
    pictures: Pictures = "jpg"
    layers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for what, names, known in (
            ("layer", self.layers, LAYERS),
            ("renderer", (self.renderer,), get_args(Kind)),
            ("kind of pictures", (self.pictures,), get_args(Pictures)),
        ):
            unknown = [name for name in names if name not in known]
            if unknown:
                raise UsageError(f"There is no {what} {unknown[0]!r}. Known: {', '.join(known)}.")
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
        workers: Processes; 1 works in this one. More need ``if __name__ == "__main__":`` in a
            script, as everything that starts processes does.

    Yields:
        As clips get ready: the plan, what was written, and whether it was made now. A clip that is
        there as a whole and was made from the same plan and assets is not made again.

    Raises:
        UsageError: two plans have one name, a clip of that name was made from something else or
            written in another way, or there is less than one worker.
        FormatError: assets are damaged, the system refused to write, or it ended a worker.
    """
    settings = settings or GenerateSettings()
    folder = Path(out)
    if workers < 1:
        raise UsageError(f"There must be at least one worker; got {workers}.")
    names = [(plan.split, plan.name) for plan in plans]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"Two clips of {twice[0]} are called {twice[1]}. Give each its own seed.")
    assets = open_assets(settings.assets, settings.bank)
    found = [_there(folder, plan, assets, settings) for plan in plans]
    for plan, facts in zip(plans, found, strict=True):
        if facts is not None:
            yield plan, facts, False
    waiting = [plan for plan, facts in zip(plans, found, strict=True) if facts is None]
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
        with _one_thread_each():
            jobs = {pool.submit(_make, plan): plan for plan in waiting}
        try:
            for job in as_completed(jobs):
                yield jobs[job], job.result(), True
        except BrokenProcessPool as error:
            raise FormatError(
                "The system ended a worker, most often because memory ran out. Give fewer "
                "--workers; clips that are whole are not made again."
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes that start meanwhile inherit it: numpy reads it once, when it is imported."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def origin(plan: ClipPlan, assets: Assets) -> dict[str, Any]:
    """What a clip's labels follow from, plain values."""
    values = asdict(plan)
    return {**{k: list(v) if isinstance(v, tuple) else v for k, v in values.items()},
            "assets": assets.fingerprint()}  # fmt: skip


def _there(
    folder: Path, plan: ClipPlan, assets: Assets, settings: GenerateSettings
) -> ClipFacts | None:
    if not is_written(folder, plan.split, plan.name):
        return None
    facts = read_facts(folder, plan.split, plan.name)
    wanted = {**origin(plan, assets), "version": VERSION, "pictures": settings.pictures}
    old = {**facts.settings, "version": facts.version, "pictures": facts.pictures}
    changed = [name for name, value in wanted.items() if old.get(name) != value]
    changed += [name for name in settings.layers if name not in facts.settings.get("layers", ())]
    if changed:
        raise UsageError(
            f"{folder} already holds the clip {plan.name} of {plan.split}, made with another or no "
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
                      "fingerprint": scenario.fingerprint(), "layers": list(settings.layers),
                      "renderer": type(self._renderers[plan.size]).__name__,
                      "supersample": settings.supersample},
        )  # fmt: skip

    def close(self) -> None:
        """Give the renderers' memory back."""
        for renderer in self._renderers.values():
            renderer.close()


_STAGE: _Stage | None = None


def _start(folder: Path, settings: GenerateSettings) -> None:
    """Make a worker's stage."""
    global _STAGE
    _STAGE = _Stage(folder, settings, open_assets(settings.assets, settings.bank))


def _make(plan: ClipPlan) -> ClipFacts:
    assert _STAGE is not None
    return _STAGE.make(plan)

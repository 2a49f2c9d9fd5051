"""The arena of whole frames: does a window of frames find people better than the key frame alone?

All rows stand on one PAVE-Net of one frame. What it does before it looks at a window is frozen, so
that its features are computed once (:mod:`chronopose.engine.scene_memory`); its queries and its two
decoders go on learning, with one frame, with three, and with the key frame shown three times: the
parameters of three frames without time. All rows and seeds see the same frames in the same order.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from chronopose import zoo
from chronopose.bench._arena_report import collect, markdown, paired
from chronopose.bench._judges import ALL
from chronopose.bench._kept_rows import known_row, row_file, slug
from chronopose.data.datasets.synthtrack import SynthTrack
from chronopose.data.scenes import LabelledScenes
from chronopose.engine.fit_scene import SceneSettings, fit_scene
from chronopose.engine.predict_scenes import predict_scenes
from chronopose.engine.record import hardware
from chronopose.engine.scene_memory import MemoryBatches, OnMemory, SceneMemory
from chronopose.engine.score import score
from chronopose.engine.strata import score_strata
from chronopose.errors import UsageError
from chronopose.io.atomic import write_json, write_text
from chronopose.models._find import build_scene_model
from chronopose.models._scene import SceneModel
from chronopose.zoo.states import sha256_of

MODEL, REACH = "pavenet:lite", 3
BOXES = "whole frames"
"""What stands in a record where other arenas name the boxes: there are none."""


@dataclass(frozen=True, kw_only=True)
class SceneRow:
    """A row of the table.

    Args:
        told: What it is, a few words.
        frames: Length of its window.
        still: Shown the key frame in the place of all frames.
        trained: Whether it learns anything here.
    """

    told: str
    frames: int = 1
    still: bool = False
    trained: bool = True


START, ONE, HELD, WINDOW = "as it starts", "one frame", "three, still", "three frames"
ROWS = {
    START: SceneRow(told="the network that all stand on", trained=False),
    ONE: SceneRow(told="decoders trained on"),
    HELD: SceneRow(told="three frames that are all the key frame", frames=REACH, still=True),
    WINDOW: SceneRow(told="the frames before and after as well", frames=REACH),
}
CLAIMS = (
    (WINDOW, ONE, "three frames against one"),
    (WINDOW, HELD, "of that, what time brings"),
)
"""Pairs of rows whose difference is asked for; the first is the paper's."""
TRAINING = SceneSettings(
    steps=250, batch_size=8, lr=2e-4, warmup_steps=25, drops=(200,), clip_norm=1.0, ema_decay=0.98,
    save_every=100,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SceneArenaPlan:
    """What is compared on what.

    Args:
        root: Root of a generated set with the splits ``train`` and ``split``.
        start: Weights of a PAVE-Net of one frame.
        split: That is judged.
        every: Every so manyth frame of the judged split is judged.
        training: Budget of every row.
        seeds: Of the training; spreads are over them.
        rows: Names of :data:`ROWS`.
    """

    root: Path
    start: Path
    split: str = "val"
    every: int = 2
    training: SceneSettings = field(default_factory=lambda: TRAINING)
    seeds: tuple[int, ...] = (0, 1, 2)
    rows: tuple[str, ...] = tuple(ROWS)

    def __post_init__(self) -> None:
        strange = [r for r in self.rows if r not in ROWS]
        if strange or not self.seeds:
            raise UsageError(
                f"There is no row {', '.join(strange) or 'without a seed'}. Known: "
                f"{'; '.join(ROWS)}."
            )


def run_scene_arena(
    plan: SceneArenaPlan, out: Path | str, *, say: Callable[[str], object] = print
) -> list[dict[str, Any]]:
    """Train and judge every row with every seed; keep what is known.

    Args:
        plan: What is compared on what.
        out: Folder of the run: memories, one JSON file a row and seed, ``manifest.json``.
        say: Takes lines of progress.

    Returns:
        One record a row and seed: ``name``, ``seed``, ``ap`` (:data:`BOXES` -> stratum -> group of
        joints -> AP), ``train_s``.

    Raises:
        FormatError: labels or pictures are missing or damaged.
        UsageError: the weights are no network of one frame, or the folder holds other records.
    """
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    start = zoo.load_scene(MODEL, weights=plan.start)
    if start.needs.offsets != (0,):
        raise UsageError(
            f"{plan.start} reads {len(start.needs.offsets)} frames. All rows stand on a network of "
            f"one: 'chronopose train pavenet_lite_still'."
        )
    train = SynthTrack(root=plan.root, split="train")
    judged = SynthTrack(root=plan.root, split=plan.split, every=plan.every)
    seen = {
        "start": sha256_of(plan.start), "train": train.fingerprint(), "judged": judged.fingerprint()
    }  # fmt: skip
    write_json(
        folder / "manifest.json",
        {"seen": seen, "training": asdict(plan.training), "seeds": list(plan.seeds),
         "rows": {r: asdict(ROWS[r]) for r in plan.rows}, "hardware": hardware()},
    )  # fmt: skip
    memories = {}
    for name, data, empty in (("train", train, False), ("judged", judged, True)):
        scenes = LabelledScenes(data, frames=REACH, skeleton=start.codec.skeleton, empty=empty)
        facts = {"start": seen["start"], "data": scenes.fingerprint()}
        memories[name] = SceneMemory.build(folder / f"memory_{name}", start, scenes, facts)
        say(f"{name}: {len(scenes)} labelled frames, {len(memories[name].rows)} kept")
    bench = _Bench(plan, start, train, judged, memories, folder)
    records = []
    for name in plan.rows:
        for seed in plan.seeds if ROWS[name].trained else plan.seeds[:1]:
            key = json.loads(json.dumps({
                "seen": seen, "row": asdict(ROWS[name]), "seed": seed,
                "training": asdict(plan.training),
            }))  # fmt: skip
            file = row_file(folder, name, seed)
            record = known_row(file, key)
            if record is None:
                record = {**bench.row(name, seed), "key": key}
                file.parent.mkdir(exist_ok=True)
                write_json(file, record)
            strata = record["ap"][BOXES]
            told = " ".join(f"{s} {g['Total']:.1f}" for s, g in strata.items())
            say(f"{name:<14} seed {seed}  {told}")
            records.append(record)
    return records


@dataclass(frozen=True)
class _Bench:
    """All that rows share."""

    plan: SceneArenaPlan
    start: SceneModel
    train: SynthTrack
    judged: SynthTrack
    memories: Mapping[str, SceneMemory]
    folder: Path

    def row(self, name: str, seed: int) -> dict[str, Any]:
        """Train and judge one row."""
        row = ROWS[name]
        torch.manual_seed(seed)
        config = {k: getattr(self.start.config, k) for k in ("skeleton", "frame_size")}
        whole = build_scene_model(MODEL, None, **config, num_frames=row.frames)
        whole.load_single_frame(self.start.state_dict())
        model: SceneModel = OnMemory(whole, self.memories["train"], still=row.still)
        started = time.perf_counter()
        if row.trained:
            model = self._fit(model, row, name, seed)
        seconds = time.perf_counter() - started
        found = predict_scenes(model, self.judged, kept=self.memories["judged"])
        truth, metric = self.judged.sequences(), self.judged.METRIC
        options = dict(self.judged.METRIC_OPTIONS)
        scores = {ALL: score(found, truth, metric, **options)}
        scores |= score_strata(found, truth, self.judged.stratum, metric, **options)
        ap = {stratum: dict(s.values["groups"]) for stratum, s in scores.items()}
        return {"name": name, "seed": seed, "ap": {BOXES: ap}, "train_s": round(seconds, 1)}

    def _fit(self, model: SceneModel, row: SceneRow, name: str, seed: int) -> SceneModel:
        scenes = LabelledScenes(self.train, frames=row.frames, skeleton=model.codec.skeleton)
        settings = replace(self.plan.training, seed=seed)
        batches = partial(
            MemoryBatches, self.memories["train"], scenes, model.codec, frames=row.frames,
            batch_size=settings.batch_size, seed=seed,
        )  # fmt: skip
        run_dir = self.folder / "runs" / f"{slug(name)}-{seed}"
        return fit_scene(
            model, scenes, settings, run_dir, "auto", make_batches=batches, device="cpu",
            name=name, quiet=True,
        ).model  # fmt: skip


def write_scene_report(records: Sequence[Mapping[str, Any]], out: Path | str) -> str:
    """Write ``scenes.md`` into ``out``; returns its text."""
    parts = [
        "AP (PoseTrack) by stratum, from whole frames.",
        markdown(collect(records, BOXES), "row"),
    ]
    parts += ["AP of groups of joints, all strata.",
              markdown(collect(records, BOXES, stratum=ALL), "row")]  # fmt: skip
    there, table = {r["name"] for r in records}, {}
    for one, other, told in CLAIMS:
        if {one, other} <= there:
            for name, row in paired(records, BOXES, one, other).items():
                table[f"{name}: {told}"] = row
    if table:
        parts += ["Differences of AP, seed by seed.", markdown(table, "difference")]
    text = "\n\n".join(parts) + "\n"
    write_text(Path(out) / "scenes.md", text)
    return text

"""The arena: models trained under one budget on one feature bank, judged by one protocol.

What all rows share: the frozen single-frame network, the training clips with their augmentation,
their number, order, batch, steps and optimiser for a seed, the crops and the evaluation. What
differs is the temporal part. Everything that was computed is kept in the run's folder: a run that
died goes on, and a row that is there is not trained again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from chronopose import zoo
from chronopose.bench._contestants import REGRESSION, TWIN, Contestant
from chronopose.bench._judges import (
    BATCH,
    CLIP,
    FRAMES,
    PHOTOGRAPHS,
    ClipJudge,
    Judge,
    PhotographJudge,
    open_judged,
)
from chronopose.bench._kept_rows import known_row, row_file, slug
from chronopose.bench.speed import bench_poses
from chronopose.data.datasets._base import LabelledSet
from chronopose.data.datasets.lspet import LSPET
from chronopose.data.loader import Stage, TrainBatches
from chronopose.data.shards import ShardClips
from chronopose.data.transforms import Augmentation, Flip, Rotate, Scale, Shift
from chronopose.engine.checkpoint import read_checkpoint, write_checkpoint
from chronopose.engine.feature_bank import FeatureBank
from chronopose.engine.fit_kept import KeptSettings, fit_kept
from chronopose.engine.kept import stages_of, use_kept
from chronopose.engine.record import hardware
from chronopose.errors import UsageError
from chronopose.io.atomic import write_json
from chronopose.models._base import PoseModel
from chronopose.nn.backbones import Backbone
from chronopose.nn.flow import CropFlows
from chronopose.tensors import ClipBatch
from chronopose.zoo.states import sha256_of

AUGMENTATION = Augmentation(
    (
        Scale(spread=0.1, mean=1.0, low=0.8, high=1.25),
        Rotate(p=0.5, spread_deg=15.0, limit_deg=40.0, any_p=0.0),
        Shift(spread=0.03),
        Flip(p=0.5),
    )
)
"""Mild, and without painted blur or occluders: the clips bring their own. With the strong one of
the twin's training the temporal parts learnt first of all to answer for other pictures than those
that they are judged on."""


@dataclass(frozen=True, kw_only=True)
class Tier:
    """How large the arena is.

    Args:
        crop_size: Width and height of the crops, pixels.
        sigma: Spread of the target, cells: that of the twin's training. With another one the
            temporal part would first of all learn to sharpen or to blur.
        windows: Training clips in the bank.
        every: Every so manyth frame of the evaluation clips is judged.
        training: Budget of every row.
    """

    crop_size: tuple[int, int]
    sigma: float
    windows: int
    every: int
    training: KeptSettings


TIERS = {
    "nano": Tier(
        crop_size=(96, 128), sigma=1.5, windows=4096, every=2, training=KeptSettings(steps=300)
    ),
    "lite": Tier(
        crop_size=(160, 192), sigma=2.0, windows=8192, every=1, training=KeptSettings(steps=4000)
    ),
}


@dataclass(frozen=True, kw_only=True)
class ArenaPlan:
    """What is to be compared on what.

    Args:
        shards: Folder of training shards with clips of five frames (``chronopose shards``).
        root: Root of SynthTrack; of LSPET for photographs.
        split: ``val``, ``test`` or ``photographs``: the people of LSPET 8501-9000 before a camera
            that is made to move, judged by PCK@0.2 instead of AP.
        twin: Weights of the single-frame network.
        tier: How large.
        seeds: Of the training; spreads are over them.
        boxes: File of detected boxes for a second judgement of clips; None leaves it out.
        regression: Weights of the regression of one frame that rows of dsta stand on.
    """

    shards: Path
    root: Path
    twin: Path
    split: str = "val"
    tier: Tier = field(default_factory=lambda: TIERS["nano"])
    seeds: tuple[int, ...] = (0, 1, 2)
    boxes: Path | None = None
    regression: Path | None = None

    def seen(self) -> dict[str, Any]:
        """Plain values that decide what the banks hold, but for the data themselves."""
        return {
            "twin_sha256": sha256_of(self.twin), "split": self.split,
            "crop_size": list(self.tier.crop_size), "windows": self.tier.windows,
            "every": self.tier.every, "augmentation": repr(AUGMENTATION),
        }  # fmt: skip

    def learnt(self) -> dict[str, Any]:
        """Plain values that decide what becomes of a row, beside what is seen."""
        return {"sigma": self.tier.sigma, "training": asdict(self.tier.training)}


def judged_in(plan: ArenaPlan, out: Path | str) -> Path:
    """Where the judgement of a split is kept: val in the folder of the run, others in their own."""
    return Path(out) if plan.split == "val" else Path(out) / plan.split


def run_arena(
    plan: ArenaPlan,
    rows: Sequence[Contestant],
    out: Path | str,
    *,
    say: Callable[[str], object] = print,
) -> list[dict[str, Any]]:
    """Train and judge every row with every seed; keep what is known.

    Args:
        plan: What is compared on what.
        rows: Who takes part.
        out: Folder of the run: banks, what rows have learnt, and in :func:`judged_in` one JSON file
            a row and seed, and ``manifest.json``. Another split in the same folder is judged
            without training again.
        say: Takes lines of progress.

    Returns:
        One record a row and seed: ``name``, ``seed``, ``ap`` (boxes -> stratum -> group of joints
        -> AP), ``curve``, ``train_s``.

    Raises:
        FormatError: shards, labels or pictures are missing or damaged.
        UsageError: the folder holds records of another plan, or boxes of photographs were given.
    """
    if plan.boxes is not None and plan.split == PHOTOGRAPHS:
        raise UsageError("People of photographs have the boxes of their labels: leave out --boxes.")
    folder = judged_in(plan, out)
    folder.mkdir(parents=True, exist_ok=True)
    twin = zoo.load(TWIN, weights=plan.twin)
    data = open_judged(plan.root, plan.split, plan.tier.every)
    source = ShardClips(plan.shards, skeleton=twin.codec.skeleton, frames=FRAMES)
    seen = {
        **plan.seen(), "train": source.fingerprint(), "val": data.fingerprint(),
        "boxes": None if plan.boxes is None else sha256_of(plan.boxes),
    }  # fmt: skip
    grounds = {TWIN: _Ground(plan, source, data, twin, seen, Path(out))}
    if any(r.stands_on == REGRESSION for r in rows):
        grounds[REGRESSION] = _regression(grounds[TWIN])
    jobs = [(r, s) for r in rows for s in (plan.seeds if r.trained else plan.seeds[:1])]
    keys = {(r.name, s): _key(r, s, plan, grounds[r.stands_on].seen) for r, s in jobs}
    known = {(n, s): known_row(row_file(folder, n, s), key) for (n, s), key in keys.items()}
    write_json(
        folder / "manifest.json",
        {"seen": seen, "learnt": plan.learnt(), "seeds": list(plan.seeds),
         "rows": [asdict(r) for r in rows], "clips_train": len(source), "hardware": hardware()},
    )  # fmt: skip
    say(f"{len(source)} training clips of {plan.shards}")
    records = []
    for row, seed in jobs:
        record = known[row.name, seed]
        if record is None:
            record = _run_row(row, seed, plan, grounds[row.stands_on])
            record["key"] = keys[row.name, seed]
            file = row_file(folder, row.name, seed)
            file.parent.mkdir(exist_ok=True)
            write_json(file, record)
        say(f"{row.name:<22} seed {seed}  " + _line(record["ap"]))
        records.append(record)
    return records


class _Ground:
    """A frozen network that rows stand on: its banks, built when they are first asked for."""

    def __init__(
        self, plan: ArenaPlan, source: ShardClips, data: LabelledSet | LSPET, twin: PoseModel,
        seen: Mapping[str, Any], folder: Path, prefix: str = "bank",
    ) -> None:  # fmt: skip
        self.plan, self.source, self.data = plan, source, data
        self.twin, self.seen, self.folder, self.prefix = twin, seen, folder, prefix
        self._flows = CropFlows("dis") if isinstance(twin.backbone, Backbone) else None

    def bank(
        self, place: Path, batches: Iterator[ClipBatch], count: int, made_of: Mapping[str, Any]
    ) -> FeatureBank:
        """What the network makes of clips, computed once."""
        return FeatureBank.build(place, batches, count, stages_of(self.twin), self._flows, made_of)

    def learnt_from(self) -> dict[str, Any]:
        """Plain values that decide what rows learn from; what they are judged on is none of it."""
        names = ("twin_sha256", "crop_size", "windows", "augmentation", "train")
        return {name: self.seen[name] for name in names}

    def train(self, *, whole_clip: bool) -> FeatureBank:
        """The training clips; with the labels of all frames where they are asked for."""
        count = -(-self.plan.tier.windows // BATCH) * BATCH
        found = self.bank(
            self.folder / f"{self.prefix}_train", _train_batches(self.plan, self.source), count,
            {**self.learnt_from(), "kind": "train"},
        )  # fmt: skip
        if whole_clip:
            found.complete(_train_batches(self.plan, self.source))
        return found

    @cached_property
    def judges(self) -> dict[str, Judge]:
        """Boxes -> who scores models on them."""
        plan, size = self.plan, self.plan.tier.crop_size
        if isinstance(self.data, LSPET):
            return {"labels": PhotographJudge(self.data, size, self._judged)}
        asked = {"labels": None, "detected": plan.boxes}
        return {
            name: ClipJudge(self.data, self.twin, name, boxes, size, self._judged)
            for name, boxes in asked.items()
            if name == "labels" or boxes is not None
        }

    def _judged(
        self, name: str, batches: Iterator[ClipBatch], count: int, facts: Mapping[str, Any]
    ) -> FeatureBank:
        place = judged_in(self.plan, self.folder) / f"{self.prefix}_{name}"
        return self.bank(place, batches, count, {**self.seen, **facts})


def _regression(twins: _Ground) -> _Ground:
    """The same data before the frozen regression."""
    plan = twins.plan
    if plan.regression is None:
        raise UsageError(
            "Rows of dsta stand on a regression of one frame: train it with 'chronopose train "
            "dsta_lite_nano', and name its weights by --regression."
        )
    model = zoo.load(REGRESSION, weights=plan.regression)
    if model.needs.offsets != (0,) or tuple(model.codec.crop_size) != plan.tier.crop_size:
        raise UsageError(
            f"{plan.regression} reads {len(model.needs.offsets)} frames of {model.codec.crop_size} "
            f"pixels; rows of dsta stand on one frame of {plan.tier.crop_size}."
        )
    seen = {**twins.seen, "twin_sha256": sha256_of(plan.regression)}
    return _Ground(plan, twins.source, twins.data, model, seen, twins.folder, "bank_regression")


def _key(row: Contestant, seed: int, plan: ArenaPlan, seen: Mapping[str, Any]) -> dict[str, Any]:
    """What a record must have been made of, as it comes back from JSON."""
    who = {k: v for k, v in asdict(row).items() if k != "stands_on"}  # told by the twin's hash
    if row.lr is None:
        del who["lr"]
    key = {"seen": dict(seen), "learnt": plan.learnt(), "row": who, "seed": seed}
    plain: dict[str, Any] = json.loads(json.dumps(key))
    return plain


def _run_row(row: Contestant, seed: int, plan: ArenaPlan, ground: _Ground) -> dict[str, Any]:
    torch.manual_seed(seed)
    model: Any = row.build(plan.tier.crop_size, plan.tier.sigma)
    curve: list[dict[str, float]] = []
    seconds = 0.0
    if row.trained:
        model.load_single_frame(ground.twin.state_dict())
        model, curve, seconds = _learn(use_kept(model), row, seed, plan, ground)
    else:
        model.load_state_dict(ground.twin.state_dict())
        model = use_kept(model)
    ap = {name: judge(model, row.still) for name, judge in ground.judges.items()}
    return {"name": row.name, "seed": seed, "ap": ap, "curve": curve, "train_s": seconds}


def _learn(
    model: PoseModel, row: Contestant, seed: int, plan: ArenaPlan, ground: _Ground
) -> tuple[PoseModel, list[dict[str, float]], float]:
    """Train a row, or read what it has learnt before; kept without the frozen backbone."""
    run_dir = ground.folder / "runs" / f"{slug(row.name)}-{seed}"
    file, made_of = run_dir / "learnt.ckpt", _key(row, seed, plan, ground.learnt_from())
    if file.exists():
        state = read_checkpoint(file)
        if state["made_of"] == made_of:
            model.load_state_dict(state["model"])
            return model, state["curve"], state["seconds"]
    bank = ground.train(whole_clip=model.whole_clip)
    started = time.perf_counter()
    settings = replace(plan.tier.training, seed=seed, lr=row.lr or plan.tier.training.lr)
    model, curve = fit_kept(model, bank, settings, run_dir, still=row.still)
    seconds = round(time.perf_counter() - started, 1)
    run_dir.mkdir(parents=True, exist_ok=True)
    state = {"made_of": made_of, "model": model.state_dict(), "curve": curve, "seconds": seconds}
    write_checkpoint(file, state)
    return model, curve, seconds


def _train_batches(plan: ArenaPlan, source: ShardClips) -> Iterator[ClipBatch]:
    """The training clips of the bank, the same every time."""
    steps = -(-plan.tier.windows // BATCH)
    stage = Stage(steps=steps, crop_size=plan.tier.crop_size, batch_size=BATCH)
    batches = TrainBatches(source, [stage], shape=CLIP, augmentation=AUGMENTATION, seed=0)
    return (batches[i] for i in range(steps))


def measure_costs(
    rows: Sequence[Contestant], tier: Tier, out: Path | str, *, repeats: int = 5
) -> dict[str, dict[str, float]]:
    """What one streamed pose of every row costs on this machine; kept in ``costs.json``.

    Returns:
        Row -> ``macs``, ``ms`` (fastest of ``repeats`` rounds, random weights), ``params`` in all
        and ``temporal_params`` beside the frozen network.
    """
    models = {row.name: row.build(tier.crop_size, tier.sigma) for row in rows}
    found = bench_poses(models, repeats=repeats)
    costs = {}
    for name, model in models.items():
        params = sum(p.numel() for p in model.parameters())
        twin: Any = model
        frozen = sum(p.numel() for p in twin.backbone.parameters())
        head = getattr(twin, "visual_head", None) or getattr(twin, "head", None)
        frozen += sum(p.numel() for p in head.parameters()) if head is not None else 0
        macs, seconds = found[name]
        costs[name] = {
            "macs": macs, "ms": 1e3 * seconds, "params": params,
            "temporal_params": params - frozen,
        }  # fmt: skip
    write_json(Path(out) / "costs.json", {"costs": costs, "hardware": hardware()})
    return costs


def _line(ap: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    return "  ".join(
        f"{boxes}: " + " ".join(f"{s} {row['Total']:.1f}" for s, row in strata.items())
        for boxes, strata in ap.items()
    )

"""Multi-threshold metric learning, measured: the speed of its loss, and what the thresholds do.

step: mining and loss of one batch against plain loops in the same run. study: one threshold, many
thresholds and no metric at all, on folds of persons of a set of faces, all at equal size and
budget. The study is kept in a file after every training and goes on where it stopped.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from chronopose.bench._slow_triplets import slow_triplet_losses
from chronopose.data.drawn_faces import DrawnFaces
from chronopose.data.face_batches import hold_size
from chronopose.data.faces import FaceSet, FacesInMemory, FacesOf, held, person_folds, without
from chronopose.engine.checkpoint import read_checkpoint, write_checkpoint
from chronopose.engine.evaluate_faces import evaluate_faces
from chronopose.engine.fit_faces import FaceLoop, FaceSettings
from chronopose.engine.record import plain
from chronopose.errors import ChronoposeError, UsageError
from chronopose.io._fields import load_json
from chronopose.io.atomic import write_json
from chronopose.losses.triplet import batch_hard, cut_slices, spread_thresholds, triplet_loss
from chronopose.models._face import FaceModel
from chronopose.models._find import build_face_model

MODEL = "fer_multithreshold:lite"
RANGE = (0.1, 0.8)
BUDGET = FaceSettings(steps=200, lr=2e-3)
"""How the networks of the study are trained."""
AGREEMENT = 1e-5
"""Largest difference between the fast loss and plain loops, relative."""


@dataclass(frozen=True, kw_only=True)
class StepReport:
    """Time of mining, loss and its gradient for one batch."""

    batch: int
    slices: int
    fast_s: tuple[float, ...]
    """Processor time of every repetition, seconds."""
    slow_s: tuple[float, ...]
    """The same by plain loops."""
    difference: float
    """Largest relative difference of the losses and of their gradients."""
    library_s: tuple[float, ...] = ()
    """The plain triplet loss by pytorch-metric-learning, slice by slice; empty where it is not
    installed."""

    @property
    def ratio(self) -> float:
        """How many times faster than plain loops; median over repetitions."""
        pairs = zip(self.slow_s, self.fast_s, strict=True)
        return statistics.median(slow / fast for slow, fast in pairs)

    def __str__(self) -> str:
        return "\n".join(
            [
                f"Batch Hard and dual loss with gradient, batch {self.batch}, {self.slices} slices,"
                f" {len(self.fast_s)} repetitions by turns, processor time",
                f"{'':12}{'chronopose':>12}{'plain loops':>12}{'ratio':>8}",
                f"{'median, ms':12}{1e3 * statistics.median(self.fast_s):12.2f}"
                f"{1e3 * statistics.median(self.slow_s):12.1f}{self.ratio:8.1f}",
                f"largest difference {self.difference:.1e}",
                "pytorch-metric-learning, plain loss, slice by slice: "
                + (
                    f"{1e3 * statistics.median(self.library_s):.1f} ms"
                    if self.library_s
                    else "not installed"
                ),
            ]
        )


def bench_face_step(
    batch: int = 256, *, slices: int = 8, embedding: int = 256, classes: int = 7, repeats: int = 5
) -> StepReport:
    """Time mining and loss of random embeddings.

    Args:
        batch: Pictures.
        slices: Slices of the embedding.
        embedding: Its numbers.
        classes: Classes that the pictures belong to.
        repeats: Repetitions by turns.

    Raises:
        UsageError: a number is below one.
        ChronoposeError: the two sides disagree.
    """
    if min(batch, slices, embedding, classes, repeats) < 1:
        raise UsageError("The benchmark needs at least one of everything.")
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(batch, embedding, generator=generator)
    labels = torch.arange(batch) % classes
    thresholds = spread_thresholds(*RANGE, slices)

    def fast() -> tuple[torch.Tensor, torch.Tensor]:
        leaf = rows.clone().requires_grad_(True)
        cut = cut_slices(leaf, slices)
        losses = triplet_loss(cut, batch_hard(cut, labels), torch.tensor(thresholds))
        losses.mean().backward()
        return losses.detach(), _gradient(leaf)

    def slow() -> tuple[torch.Tensor, torch.Tensor]:
        leaf = rows.clone().requires_grad_(True)
        losses = slow_triplet_losses(cut_slices(leaf, slices), labels, thresholds)
        losses.mean().backward()
        return losses.detach(), _gradient(leaf)

    worst = 0.0
    for own, other in zip(fast(), slow(), strict=True):
        worst = max(worst, float((own - other).abs().max() / other.abs().max()))
    if not worst <= AGREEMENT:
        raise ChronoposeError(
            f"The fast triplet loss and plain loops differ by {worst:.1e} of the value: one of "
            f"them is wrong."
        )
    works: dict[str, Callable[[], object]] = {"fast": fast, "slow": slow}
    library = _library_step(rows, labels, thresholds)
    if library is not None:
        library()
        works["library"] = library
    times: dict[str, list[float]] = {name: [] for name in ("fast", "slow", "library")}
    for _ in range(repeats):
        for name, work in works.items():
            started = time.process_time()
            work()
            times[name].append(time.process_time() - started)
    return StepReport(
        batch=batch, slices=slices, fast_s=tuple(times["fast"]), slow_s=tuple(times["slow"]),
        difference=worst, library_s=tuple(times["library"]),
    )  # fmt: skip


def _library_step(
    rows: torch.Tensor, labels: torch.Tensor, thresholds: tuple[float, ...]
) -> Callable[[], object] | None:
    """Batch Hard and the plain loss of pytorch-metric-learning, slice by slice, with gradient."""
    try:
        from pytorch_metric_learning.distances import LpDistance
        from pytorch_metric_learning.losses import TripletMarginLoss
        from pytorch_metric_learning.miners import BatchHardMiner
        from pytorch_metric_learning.reducers import MeanReducer
    except ImportError:
        return None
    apart = LpDistance(normalize_embeddings=False, p=2, power=1)
    miner = BatchHardMiner(distance=apart)
    losses = [
        TripletMarginLoss(margin=t, distance=apart, reducer=MeanReducer()) for t in thresholds
    ]

    def step() -> object:
        leaf = rows.clone().requires_grad_(True)
        cut = cut_slices(leaf, len(thresholds))
        told = [f(cut[:, n], labels, miner(cut[:, n], labels)) for n, f in enumerate(losses)]
        torch.stack(told).mean().backward()
        return told

    return step


def _gradient(leaf: torch.Tensor) -> torch.Tensor:
    assert leaf.grad is not None
    return leaf.grad


@dataclass(frozen=True, kw_only=True)
class FaceStudy:
    """What is compared, and on how much.

    Args:
        thresholds: Single thresholds to try.
        slices: Slices of the network with many thresholds.
        folds: Folds of persons; each is judged once by a network trained on the others.
        seeds: Each training is repeated with these.
        crop_px: Side of the faces, pixels.
        widths: Channels of the network.
        settings: How to train; ``seed`` is replaced.
        only: Names of the rows that take part; empty: all of them.
        drawn: Made-up people, with every expression once, that the backbone sees first; 0: none.
        drawn_steps: Steps of that first training, by cross-entropy alone.
    """

    thresholds: tuple[float, ...] = (0.1, 0.2, 0.4, 0.6, 0.8)
    slices: int = 8
    folds: int = 5
    seeds: tuple[int, ...] = (0, 1, 2)
    crop_px: int = 40
    widths: tuple[int, int, int] = (16, 32, 64)
    settings: FaceSettings = BUDGET
    only: tuple[str, ...] = ()
    drawn: int = 300
    drawn_steps: int = 300

    def rows(self) -> dict[str, dict[str, Any]]:
        """Name -> settings of the network that differ."""
        middle = round(sum(RANGE) / 2, 3)
        singles = {f"threshold {t:g}": {"slices": 1, "thresholds": (t, t)} for t in self.thresholds}
        every: dict[str, dict[str, Any]] = {
            "cross-entropy": {"slices": 1, "thresholds": (0.4, 0.4), "metric_weight": 0.0},
            **singles,
            f"{self.slices} slices, all {middle:g}": {
                "slices": self.slices, "thresholds": (middle, middle),
            },
            f"{self.slices} slices, {RANGE[0]:g} to {RANGE[1]:g}": {
                "slices": self.slices, "thresholds": RANGE,
            },
        }  # fmt: skip
        unknown = [name for name in self.only if name not in every]
        if unknown:
            raise UsageError(
                f"The study has no row {', '.join(unknown)}. Its rows: {'; '.join(every)}."
            )
        return {k: v for k, v in every.items() if not self.only or k in self.only}

    def identity(self) -> dict[str, Any]:
        """What one training depends on: everything but which rows and seeds there are."""
        values = json.loads(json.dumps(plain(self)))
        return {k: v for k, v in values.items() if k not in ("thresholds", "seeds", "only")}


QUICK = FaceStudy(
    thresholds=(0.4,), folds=2, seeds=(0,), drawn=4, drawn_steps=2,
    settings=FaceSettings(steps=3, per_class=2, log_every=3),
)  # fmt: skip
"""A study of seconds, for tests."""


def bench_face_study(
    faces: FaceSet, folder: Path | str, study: FaceStudy | None = None, *, quiet: bool = False
) -> dict[str, Any]:
    """Train and judge every row of the study on every fold with every seed.

    Writes ``study.json`` after each training and goes on from it; rows and seeds can be added.

    Args:
        faces: With persons.
        folder: Where the file is kept; made if needed.
        study: What to compare.
        quiet: Print nothing.

    Returns:
        ``settings``, ``data`` and ``results``: ``ROW | seed S | fold F`` -> name -> number.

    Raises:
        UsageError: persons are unknown, a row is, or the folder holds a study with other settings.
    """
    study = study or FaceStudy()
    rows = study.rows()
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "study.json"
    head = {
        "settings": study.identity(),
        "data": faces.fingerprint(),
        "classes": list(faces.classes),
    }
    results: dict[str, dict[str, float]] = {}
    if path.exists():
        before = load_json(path)
        if {k: before[k] for k in head} != head:
            raise UsageError(
                f"{path} holds a study with other settings or data. Choose another folder, or "
                f"remove it."
            )
        results = before["results"]
    size = (study.crop_px, study.crop_px)
    pictures = held(faces, hold_size(size))
    start = _first_weights(study, faces.classes, folder)
    folds = person_folds(faces.persons, study.folds)
    for seed in study.seeds:
        for number, fold in enumerate(folds, 1):
            for row, changes in rows.items():
                key = f"{row} | seed {seed} | fold {number}"
                if key in results:
                    continue
                results[key] = _one(study, changes, pictures, fold, seed, start)
                write_json(path, {**head, "results": results})
                if not quiet:
                    print(f"{key}: {results[key]['accuracy']:.1f}", flush=True)
    return {**head, "results": results}


def _build(study: FaceStudy, classes: tuple[str, ...], **changes: Any) -> FaceModel:
    return build_face_model(
        MODEL, classes=classes, crop_size=(study.crop_px, study.crop_px), widths=study.widths,
        **changes,
    )  # fmt: skip


def _first_weights(
    study: FaceStudy, classes: tuple[str, ...], folder: Path
) -> Mapping[str, torch.Tensor]:
    """Backbone after drawn faces, kept in the folder; nothing where the study draws none."""
    if not study.drawn:
        return {}
    path = folder / "drawn.ckpt"
    if not path.exists():
        torch.manual_seed(0)
        size = hold_size((study.crop_px, study.crop_px))
        drawn = held(DrawnFaces(study.drawn, size=size[0], classes=classes), size)
        model = _build(study, classes, slices=1, thresholds=(0.4, 0.4), metric_weight=0.0)
        settings = replace(study.settings, steps=study.drawn_steps, seed=0)
        loop = FaceLoop(model, settings)
        loop.run(drawn, settings.steps)
        backbone = {k: v for k, v in loop.average.state_dict().items() if k.startswith("backbone.")}
        write_checkpoint(path, {"model": backbone})
    state: Mapping[str, torch.Tensor] = read_checkpoint(path)["model"]
    return state


def _one(
    study: FaceStudy,
    changes: Mapping[str, Any],
    pictures: FacesInMemory,
    fold: np.ndarray,
    seed: int,
    start: Mapping[str, torch.Tensor],
) -> dict[str, float]:
    torch.manual_seed(seed)
    model = _build(study, pictures.classes, **changes)
    model.load_state_dict(dict(start), strict=False)
    kept = without(len(pictures), fold)
    train = FacesInMemory(
        "train", pictures.classes, pictures.pictures[kept], pictures.labels[kept],
        pictures.persons[kept],
    )  # fmt: skip
    settings = replace(study.settings, seed=seed)
    started = time.process_time()
    loop = FaceLoop(model, settings)
    loop.run(train, settings.steps)
    took = time.process_time() - started
    report = evaluate_faces(loop.finished(train), FacesOf(pictures, fold), reference=train)
    told = {k: v for k, v in report.numbers().items() if not k.startswith("slice_")}
    slices = {f"slice_{i + 1}": v for i, v in enumerate(report.slices) if len(report.slices) > 1}
    terms = {f"train_{k}": v for k, v in loop.terms.items()}
    return {**told, **slices, **terms, "pictures": float(len(fold)), "processor_s": took}


def summarise(outcome: Mapping[str, Any], number: str = "accuracy") -> dict[str, tuple[float, ...]]:
    """Row -> mean and standard deviation over seeds of the mean over folds, and seeds counted.

    Only seeds that have every fold of the row count; ``nan`` where none has.

    Args:
        outcome: What :func:`bench_face_study` returned.
        number: Name of a result.
    """
    folds = outcome["settings"]["folds"]
    table: dict[str, dict[str, list[float]]] = {}
    for key, values in outcome["results"].items():
        row, seed, _ = key.split(" | ")
        table.setdefault(row, {}).setdefault(seed, []).append(values[number])
    out: dict[str, tuple[float, ...]] = {}
    for row, seeds in table.items():
        means = [float(np.mean(v)) for v in seeds.values() if len(v) == folds]
        spread = float(np.std(means, ddof=1)) if len(means) > 1 else float("nan")
        out[row] = (float(np.mean(means)) if means else float("nan"), spread, float(len(means)))
    return out


def study_table(outcome: Mapping[str, Any]) -> str:
    """The study as a table in Markdown."""
    columns = {
        "accuracy": "accuracy", "mean_class_accuracy": "mean class accuracy",
        "centroid": "nearest mean", "recall@1": "recall@1", "train_spread": "spread in training",
    }  # fmt: skip
    found = {c: summarise(outcome, c) for c in columns}
    lines = [
        "| row | seeds | " + " | ".join(columns.values()) + " |",
        "|---" * (len(columns) + 2) + "|",
    ]
    for row, (_, _, seeds) in found["accuracy"].items():
        cells = [f"{found[c][row][0]:.2f} ± {found[c][row][1]:.2f}" for c in columns]
        lines.append(f"| {row} | {int(seeds)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)

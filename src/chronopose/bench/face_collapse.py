"""When a triplet loss collapses: a toy of classes and identities, in minutes of one core.

Made-up people with classes are mapped by a small network; Batch Hard and one optimiser, nothing of
faces. A loss that ends near its threshold with all points in one place has collapsed. The toy says
whether a setting converges; it cannot say that several thresholds beat one.

Source: fer_multithreshold spec, section 3, whose findings this repeats with code of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from chronopose.engine.record import plain
from chronopose.errors import UsageError
from chronopose.io._fields import load_json
from chronopose.io.atomic import write_json
from chronopose.losses.triplet import (
    Distance,
    LossKind,
    batch_hard,
    batch_spread,
    cut_slices,
    triplet_loss,
)
from chronopose.metrics.embedding import class_centroids, nearest_centroid


@dataclass(frozen=True, kw_only=True)
class ToySettings:
    """One training of the toy.

    Args:
        loss: ``plain`` or ``dual``.
        distance: ``squared`` or ``euclidean``.
        thresholds: One a slice.
        normalise: Bring slices to length 1.
        embedding: Numbers of the embedding.
        steps: Adam steps.
        lr: Adam's rate.
        per_class: Pictures of each class in a batch.
    """

    loss: LossKind = "dual"
    distance: Distance = "squared"
    thresholds: tuple[float, ...] = (1.0,)
    normalise: bool = False
    embedding: int = 64
    steps: int = 800
    lr: float = 1e-3
    per_class: int = 8


@dataclass(frozen=True, kw_only=True)
class ToyWorld:
    """Classes seen on people, mixed so that no number of a sample is of the class alone.

    A sample is ``tanh(M (kind * c * (1 + tanh(p)) + person * p + noise * e))`` with normal c of the
    class, p of the person, e of the sample and a random matrix M.

    Args:
        classes: Number of classes.
        people: Number of people; the last quarter is kept for judging.
        width: Numbers of a sample.
        kind: Size of what the class adds.
        person: Size of what the person adds.
        noise: Size of what nothing explains.
    """

    classes: int = 7
    people: int = 160
    width: int = 64
    kind: float = 0.4
    person: float = 1.0
    noise: float = 0.4

    def samples(self, seed: int) -> tuple[Tensor, Tensor, Tensor]:
        """``(N, width)`` samples, ``(N,)`` classes and ``(N,)`` people, each with every class."""
        rng = np.random.default_rng([seed, 11])
        kinds = rng.normal(size=(self.classes, self.width))
        people = rng.normal(size=(self.people, self.width))
        labels = np.tile(np.arange(self.classes), self.people)
        who = np.repeat(np.arange(self.people), self.classes)
        x = self.kind * kinds[labels] * (1 + np.tanh(people[who])) + self.person * people[who]
        x += self.noise * rng.normal(size=x.shape)
        mixed = np.tanh(x @ rng.normal(size=(self.width, self.width)) / np.sqrt(self.width))
        return torch.from_numpy(mixed).float(), torch.from_numpy(labels), torch.from_numpy(who)


def train_toy(settings: ToySettings, seed: int, world: ToyWorld | None = None) -> dict[str, float]:
    """Train the toy once.

    Args:
        settings: What to train.
        seed: Decides world, weights and batches.
        world: What the samples are like.

    Returns:
        ``loss`` (mean of the last 20 steps), ``spread`` (mean distance of two samples, of the
        slices' mean), and ``accuracy`` of the nearest class mean on unseen people, percent.
    """
    world = world or ToyWorld()
    x, labels, who = world.samples(seed)
    seen = who < world.people * 3 // 4
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Linear(world.width, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(),
        nn.Linear(128, settings.embedding),
    )  # fmt: skip
    optimiser = torch.optim.Adam(net.parameters(), settings.lr)
    slices, thresholds = len(settings.thresholds), torch.tensor(settings.thresholds)
    members = [torch.nonzero(seen & (labels == c))[:, 0] for c in range(world.classes)]
    losses = []
    for _ in range(settings.steps):
        rows = torch.cat(
            [m[torch.randperm(len(m), generator=generator)[: settings.per_class]] for m in members]
        )
        cut = cut_slices(net(x[rows]), slices, normalise=settings.normalise)
        mined = batch_hard(cut, labels[rows])
        each = triplet_loss(cut, mined, thresholds, kind=settings.loss, distance=settings.distance)
        optimiser.zero_grad()
        each.mean().backward()
        optimiser.step()
        losses.append(float(each.detach().mean()))
    with torch.no_grad():
        cut = cut_slices(net(x), slices, normalise=settings.normalise)
    flat, names = cut.flatten(1).numpy(), labels.numpy()
    known = seen.numpy()
    means = class_centroids(flat[known], names[known], world.classes)
    right = nearest_centroid(means, flat[~known]) == names[~known]
    return {
        "loss": float(np.mean(losses[-20:])),
        "spread": float(batch_spread(cut[~seen]).mean()),
        "accuracy": 100 * float(right.mean()),
    }


def collapse_rows() -> dict[str, ToySettings]:
    """Name -> settings, of everything that is compared."""
    rows: dict[str, ToySettings] = {}
    distances: tuple[Distance, ...] = ("squared", "euclidean")
    losses: tuple[LossKind, ...] = ("plain", "dual")
    for normalise in (False, True):
        for distance in distances:
            for threshold in (1.0, 0.6, 0.2) if not normalise else (0.6, 0.2):
                for loss in losses:
                    name = f"{distance}{', length 1' if normalise else ''}, {threshold:g}, {loss}"
                    rows[name] = ToySettings(
                        loss=loss, distance=distance, thresholds=(threshold,), normalise=normalise
                    )
    for width in (8, 16, 32):
        for distance in distances:
            rows[f"8 slices of {width}, {distance}, dual"] = ToySettings(
                distance=distance, thresholds=(0.45,) * 8, normalise=True, embedding=8 * width
            )
    for name, thresholds in {
        "one slice": (0.45,),
        "8 equal thresholds": (0.45,) * 8,
        "8 thresholds": tuple(np.linspace(0.1, 0.8, 8).round(3).tolist()),
    }.items():
        rows[f"{name}, euclidean, 256 numbers"] = ToySettings(
            distance="euclidean", thresholds=thresholds, normalise=True, embedding=256
        )
    return rows


def bench_collapse(
    folder: Path | str,
    *,
    seeds: tuple[int, ...] = (0, 1, 2),
    rows: Mapping[str, ToySettings] | None = None,
    quiet: bool = False,
) -> dict[str, Any]:
    """Train every row with every seed; ``collapse.json`` is written after each, and gone on from.

    Args:
        folder: Where the file is kept; made if needed.
        seeds: Repetitions.
        rows: What to compare; None: :func:`collapse_rows`.
        quiet: Print nothing.

    Returns:
        ``rows`` (settings) and ``results``: ``ROW | seed S`` -> name -> number.

    Raises:
        UsageError: the folder holds a study with other settings.
    """
    rows = collapse_rows() if rows is None else rows
    path = Path(folder) / "collapse.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    head = {"rows": json.loads(json.dumps(plain(dict(rows)))), "world": plain(ToyWorld())}
    results: dict[str, dict[str, float]] = {}
    if path.exists():
        before = load_json(path)
        if {k: before[k] for k in head} != head:
            raise UsageError(
                f"{path} holds a study with other settings. Choose another folder, or remove it."
            )
        results = before["results"]
    for seed in seeds:
        for name, settings in rows.items():
            key = f"{name} | seed {seed}"
            if key in results:
                continue
            results[key] = train_toy(settings, seed)
            write_json(path, {**head, "results": results})
            if not quiet:
                told = results[key]
                print(f"{key}: loss {told['loss']:.3f}, test {told['accuracy']:.0f} %", flush=True)
    return {**head, "results": results}


def collapse_table(outcome: Mapping[str, Any]) -> str:
    """The study as a table in Markdown: loss and test accuracy of each seed."""
    seeds = sorted({key.split(" | seed ")[1] for key in outcome["results"]}, key=int)
    lines = [
        "| setting | loss at the end | spread | test accuracy |",
        "|---|---|---|---|",
    ]
    for row in outcome["rows"]:
        found = [
            outcome["results"][k] for s in seeds if (k := f"{row} | seed {s}") in outcome["results"]
        ]
        cells = [
            " / ".join(form.format(f[name]) for f in found)
            for name, form in (("loss", "{:.3f}"), ("spread", "{:.2f}"), ("accuracy", "{:.0f}"))
        ]
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)

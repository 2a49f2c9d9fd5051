"""What the arena found, as a table, a CSV file and two pictures."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chronopose.bench._contestants import SINGLE, STILL, Contestant
from chronopose.bench._judges import ALL, TOTAL
from chronopose.io.atomic import replacing, write_text, writing
from chronopose.viz.charts import Bar, Point, bar_chart, point_chart

CLAIMS = (
    ("tdmi", SINGLE, "several frames against one"),
    ("tdmi", STILL, "of that, what time brings: the same network with the key frame alone"),
    (STILL, SINGLE, "the rest: more parameters, trained on these clips"),
    ("tdmi, no RDM", "opflow", "temporal differences against optical flow"),
    ("tdmi", "tdmi, no RDM", "the split into useful motion and noise"),
    ("tdmi", "tdmi, no MI", "the information terms"),
    ("tdmi-st", "tdmi", "the feature of the whole sequence"),
    ("flowing", "flowing, no flow", "neighbours' heatmaps brought along the flow"),
    ("flowing", "flowing, sum", "learnt weights of frames against a plain sum"),
    ("dkd", "dkd, per frame", "kernels distilled from the frame before"),
    ("dkd", "dkd, no adversary", "the critic of changes"),
    ("dsta", "dsta, one frame", "coordinates from three frames against one"),
    ("dsta", "dsta, still", "of that, what time brings"),
)
"""Pairs of rows that the paper's claims are about."""


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation (of a sample) over seeds; the latter 0 for one seed."""

    mean: float
    sd: float
    seeds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of some values, at least one."""
        sd = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
        return cls(float(np.mean(values)), sd, len(values))

    def __str__(self) -> str:
        return f"{self.mean:.1f} ± {self.sd:.1f}" if self.seeds > 1 else f"{self.mean:.1f}"


Table = dict[str, dict[str, Spread]]
"""Row -> column -> spread."""


def collect(
    records: Sequence[Mapping[str, Any]], boxes: str, *, stratum: str | None = None
) -> Table:
    """Means over seeds.

    Args:
        records: As :func:`~chronopose.bench.accuracy.run_arena` returns them.
        boxes: ``labels`` or ``detected``.
        stratum: One of them gives its groups of joints as columns; None gives the strata, each
            by its mean over all joints.
    """
    table: Table = {}
    for name in dict.fromkeys(r["name"] for r in records):
        own = [r["ap"][boxes] for r in records if r["name"] == name]
        if stratum is None:
            table[name] = {s: Spread.of([a[s][TOTAL] for a in own]) for s in own[0]}
        else:
            table[name] = {g: Spread.of([a[stratum][g] for a in own]) for g in own[0][stratum]}
    return table


def paired(records: Sequence[Mapping[str, Any]], boxes: str, one: str, other: str) -> Table:
    """Differences ``one - other`` by stratum, seed by seed.

    A row that nothing was trained in goes with all seeds of the other. Empty if the rows have no
    seed in common.
    """
    first, second = (
        {r["seed"]: r["ap"][boxes] for r in records if r["name"] == name} for name in (one, other)
    )
    taught = {r["name"] for r in records if r.get("curve")}
    if len(first) == 1 and one not in taught:
        first = dict.fromkeys(second, *first.values())
    elif len(second) == 1 and other not in taught:
        second = dict.fromkeys(first, *second.values())
    seeds = sorted(first.keys() & second.keys())
    if not seeds:
        return {}
    return {
        f"{one} - {other}": {
            stratum: Spread.of(
                [first[s][stratum][TOTAL] - second[s][stratum][TOTAL] for s in seeds]
            )
            for stratum in first[seeds[0]]
        }
    }


def markdown(table: Mapping[str, Mapping[str, Spread]], head: str) -> str:
    """A table in Markdown."""
    columns = list(next(iter(table.values())))
    lines = [f"| {head} | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    lines += [f"| {name} | " + " | ".join(str(v) for v in row.values()) + " |"
              for name, row in table.items()]  # fmt: skip
    return "\n".join(lines)


def write_report(
    records: Sequence[Mapping[str, Any]],
    costs: Mapping[str, Mapping[str, float]],
    rows: Sequence[Contestant],
    out: Path | str,
    unit: str = "AP (PoseTrack)",
) -> str:
    """Write ``arena.md``, ``arena.csv``, ``strata_BOXES.png`` and ``cost_BOXES.png``.

    Args:
        records: Of all rows and seeds.
        costs: Of the rows.
        rows: Who took part.
        out: Folder.
        unit: What the scores are.

    Returns:
        The text of ``arena.md``.

    Raises:
        FormatError: the disk refused.
    """
    folder = Path(out)
    parts = []
    for boxes in records[0]["ap"]:
        strata = collect(records, boxes)
        parts += [f"## Boxes: {boxes}", f"{unit} by stratum.", markdown(strata, "row")]
        parts += [f"{unit} of groups of joints, all strata.",
                  markdown(collect(records, boxes, stratum=ALL), "row")]  # fmt: skip
        claims = _claims(records, boxes)
        if claims:
            parts += [f"Differences of {unit}, seed by seed.", claims]
        _draw(strata, costs, boxes, folder, unit.partition(" ")[0])
    parts += ["## Cost", _cost_table(costs, rows)]
    text = "\n\n".join(parts) + "\n"
    write_text(folder / "arena.md", text)
    _write_csv(records, costs, folder / "arena.csv")
    return text


def _claims(records: Sequence[Mapping[str, Any]], boxes: str) -> str:
    there = {r["name"] for r in records}
    table: Table = {}
    for one, other, told in CLAIMS:
        if {one, other} <= there:
            for name, row in paired(records, boxes, one, other).items():
                table[f"{name}: {told}"] = row
    return markdown(table, "difference") if table else ""


def _cost_table(costs: Mapping[str, Mapping[str, float]], rows: Sequence[Contestant]) -> str:
    lines = ["| row | what it is | G multiply-adds a pose | ms a pose | parameters, M | of these "
             "temporal, M |", "|---" * 6 + "|"]  # fmt: skip
    for row in rows:
        c = costs[row.name]
        lines.append(
            f"| {row.name} | {row.told} | {c['macs'] / 1e9:.3f} | {c['ms']:.1f} | "
            f"{c['params'] / 1e6:.3f} | {c['temporal_params'] / 1e6:.3f} |"
        )
    return "\n".join(lines)


def _draw(
    strata: Table, costs: Mapping[str, Mapping[str, float]], boxes: str, folder: Path, unit: str
) -> None:
    from PIL import Image

    bars = {
        name: {s: Bar(value=v.mean, spread=v.sd) for s, v in row.items()}
        for name, row in strata.items()
    }
    points = [
        Point(name=name, x=costs[name]["macs"] / 1e9, y=row[ALL].mean, spread=row[ALL].sd)
        for name, row in strata.items()
        if math.isfinite(row[ALL].mean)
    ]
    pictures = {
        f"strata_{boxes}.png": bar_chart(
            bars, title=f"{unit} by stratum, boxes: {boxes}", unit=unit
        ),
        f"cost_{boxes}.png": point_chart(
            points, title=f"Accuracy against cost, boxes: {boxes}",
            x_unit="G multiply-adds for a streamed pose", y_unit=unit,
        ),
    }  # fmt: skip
    for name, picture in pictures.items():
        with replacing(folder / name) as temporary:
            Image.fromarray(picture).save(temporary, format="png")


def _write_csv(
    records: Sequence[Mapping[str, Any]], costs: Mapping[str, Mapping[str, float]], path: Path
) -> None:
    with writing(path) as file:
        sheet = csv.writer(file)
        sheet.writerow(["row", "seed", "boxes", "stratum", "joints", "ap", "macs", "ms", "params"])
        for record in records:
            cost = costs[record["name"]]
            for boxes, strata in record["ap"].items():
                for stratum, groups in strata.items():
                    for group, value in groups.items():
                        sheet.writerow(
                            [record["name"], record["seed"], boxes, stratum, group, value,
                             cost["macs"], cost["ms"], cost["params"]]
                        )  # fmt: skip

"""Lifters side by side: trained under one budget on one set of motion, judged on other people.

Every row sees the same clips, windows, order, disturbances and steps for a seed; what differs is
the network. A network is trained once, on 2D disturbed by noise between nothing and the benchmark's
spread, and judged twice: on exact and on disturbed 2D. Everything that was computed is kept in the
run's folder: a run that died goes on, and a row that is there is not trained again.
"""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import torch

from chronopose.bench._arena_report import Spread, markdown
from chronopose.bench._kept_rows import known_row, row_file, slug
from chronopose.data.cmu_lift import DROPOUT, NOISE_PX, read_cmu_lift, read_own_motion
from chronopose.data.lift import LiftAugmentation, LiftClip, disturbed_clip, fingerprint
from chronopose.engine.evaluate_lift import evaluate_lift
from chronopose.engine.fit_lift import LiftSettings, fit_lift
from chronopose.engine.record import hardware, plain
from chronopose.errors import UsageError
from chronopose.io.atomic import write_json, write_text, writing
from chronopose.metrics.mpjpe import COLUMNS, MPJPEResult
from chronopose.models._find import build_lifter
from chronopose.models._lift import LiftModel
from chronopose.nn.cost import Cost, count_macs

INPUTS = ("exact", "disturbed")
"""2D that networks are judged on: the projection itself, and as a detector finds it."""
BUDGET = LiftSettings(
    epochs=3, batch_size=64, stride=16, lr=2e-3, lr_decay=0.4, flip_test=False, val_every=3,
    save_every=250,
    augmentation=LiftAugmentation(bones=0.15, noise_px=(0.0, NOISE_PX), dropout=DROPOUT),
)  # fmt: skip
"""Of every row: 45,600 windows, one to two minutes of one core for the dearest; judged without a
flip test."""


@dataclass(frozen=True, kw_only=True)
class LiftRow:
    """Who takes part.

    Args:
        name: Of the row.
        model: ``MODEL:PRESET``.
        overrides: Fields of the network's Config that differ from the preset.
        told: What it is.
    """

    name: str
    model: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    told: str = ""

    def build(self) -> LiftModel:
        """The network with random weights."""
        return build_lifter(self.model, None, **self.overrides)


def _cnn(name: str, told: str, **overrides: Any) -> LiftRow:
    return LiftRow(name=name, model="temporal_cnn:lite", overrides=overrides, told=told)


def _graph(
    name: str, told: str, frames: int = 9, space: str = "topk", time: str = "topk"
) -> LiftRow:
    changes = {"frames": frames, "channels": 32}
    affinity = {"spatial.affinity": space, "temporal.affinity": time}
    return LiftRow(name=name, model="dgnet:lite", overrides={**changes, **affinity}, told=told)


ROWS = (
    _cnn("temporal_cnn, T=1", "single frames, 48 channels", widths=(1, 1), channels=48),
    _cnn("temporal_cnn, T=9", "48 channels", widths=(3, 3), channels=48),
    _cnn("temporal_cnn, T=27", "48 channels", widths=(3, 3, 3), channels=48),
    _cnn("temporal_cnn, T=9, wide", "256 channels: preset lite"),
    _graph("dgnet, T=1", "single frames, 32 channels; no DTG", frames=1),
    _graph("dgnet, T=9", "32 channels; DSG and DTG"),
    _graph("dgnet, T=27", "32 channels; DSG and DTG", frames=27),
    _graph("dgnet, T=9, dense", "both graphs found anew, all joints heard, none cut off", 9,
           "dense", "dense"),
    _graph("dgnet, T=9, skeleton", "both graphs are the skeleton's", 9, "skeleton", "skeleton"),
    _graph("dgnet, T=9, DSG", "graph of space found anew, that of time the skeleton's", 9, "topk",
           "skeleton"),
    _graph("dgnet, T=9, DTG", "graph of time found anew, that of space the skeleton's", 9,
           "skeleton", "topk"),
)  # fmt: skip
"""The yardstick and DG-Net by window length, at T = 9 and 27 with about as many parameters; and
DG-Net by where its graphs come from, at the same number of parameters to 2 %."""


def choose_rows(names: Sequence[str] | None) -> tuple[LiftRow, ...]:
    """The rows of some names, all by default.

    Raises:
        UsageError: there is no such row.
    """
    if names is None:
        return ROWS
    known = {r.name: r for r in ROWS}
    for name in names:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise UsageError(f"There is no row {name!r}.{hint} Known: {'; '.join(known)}.")
    return tuple(known[n] for n in names)


@dataclass(frozen=True, kw_only=True)
class LiftPlan:
    """What is to be compared on what.

    Args:
        motion: Folder with the motion of CMU-Lift; None where both other folders are given.
        train_motion: Motion to train on instead.
        test_motion: Motion to judge on instead: other people than those of training.
        settings: Budget of every row; the seed is replaced.
        seeds: Of the training; spreads are over them.

    Raises:
        UsageError: a folder is missing.
    """

    motion: Path | None = None
    train_motion: Path | None = None
    test_motion: Path | None = None
    settings: LiftSettings = BUDGET
    seeds: tuple[int, ...] = (0, 1, 2)

    def __post_init__(self) -> None:
        if self.motion is None and (self.train_motion is None or self.test_motion is None):
            raise UsageError(
                "bench lift needs --motion DIR, the folder with the free CMU motion of CMU-Lift; "
                "or motion of your own: --train-motion DIR and --test-motion DIR."
            )

    @property
    def told(self) -> str:
        """What the numbers are of."""
        parts = [
            f"{split}: " + ("CMU-Lift" if own is None else "motion of one's own")
            for split, own in (("training", self.train_motion), ("test", self.test_motion))
        ]
        return f"{', '.join(parts)}. This is not Human3.6M."

    def read(self) -> tuple[tuple[LiftClip, ...], tuple[LiftClip, ...]]:
        """Clips of training and of test, exact 2D."""
        found = []
        for split, own in (("train", self.train_motion), ("test", self.test_motion)):
            if own is not None:
                found.append(read_own_motion(own))
            else:
                assert self.motion is not None
                found.append(read_cmu_lift(self.motion, split))
        return found[0], found[1]


def run_lift_bench(
    plan: LiftPlan,
    rows: Sequence[LiftRow],
    out: Path | str,
    *,
    device: str = "cpu",
    say: Callable[[str], object] = print,
) -> list[dict[str, Any]]:
    """Train and judge every row with every seed; keep what is known.

    Args:
        plan: What is compared on what.
        rows: Who takes part.
        out: Folder of the run: one JSON file a row and seed, ``manifest.json``.
        device: Where networks are trained.
        say: Takes lines of progress.

    Returns:
        One record a row and seed: ``name``, ``seed``, ``errors`` (input -> ``mean`` and
        ``actions``), ``params``, ``macs`` of one window, ``train_s``.

    Raises:
        FormatError: motion is missing, damaged or not the benchmark's.
        UsageError: the folder holds records of another plan.
    """
    folder = Path(out)
    (folder / "rows").mkdir(parents=True, exist_ok=True)
    train, exact = plan.read()
    noisy = tuple(disturbed_clip(c, NOISE_PX, DROPOUT) for c in exact)
    tests = dict(zip(INPUTS, (exact, noisy), strict=True))
    seen = {"train": fingerprint(train), **{n: fingerprint(c) for n, c in tests.items()}}
    manifest = {
        "told": plan.told, "seen": seen, "settings": plain(plan.settings),
        "seeds": list(plan.seeds), "rows": [plain(r) for r in rows],
        "frames": {"train": sum(map(len, train)), "test": sum(map(len, exact))},
        "hardware": hardware(),
    }  # fmt: skip
    jobs = [(row, seed) for seed in plan.seeds for row in rows]
    keys = [_key(row, seed, plan, seen) for row, seed in jobs]
    known = [
        known_row(row_file(folder, row.name, seed), key)
        for (row, seed), key in zip(jobs, keys, strict=True)
    ]
    write_json(folder / "manifest.json", manifest)
    records = []
    for (row, seed), key, record in zip(jobs, keys, known, strict=True):
        if record is None:
            record = _run_row(row, replace(plan.settings, seed=seed), train, tests, folder, device)
            record["key"] = key
            write_json(row_file(folder, row.name, seed), record)
        say(f"{row.name:<24} seed {seed}  " + _line(record["errors"]))
        records.append(record)
    return records


def _run_row(
    row: LiftRow, settings: LiftSettings, train: Sequence[LiftClip],
    tests: Mapping[str, Sequence[LiftClip]], folder: Path, device: str,
) -> dict[str, Any]:  # fmt: skip
    torch.manual_seed(settings.seed)
    model = row.build()
    cost = cost_of(model)
    started = time.perf_counter()
    run_dir = folder / "runs" / f"{slug(row.name)}-{settings.seed}"
    fitted = fit_lift(
        model, train, (), settings, run_dir, "auto", device=device, name=row.name, quiet=True
    )
    seconds = time.perf_counter() - started
    errors = {
        name: _plain(evaluate_lift(fitted.model, clips, flip_test=settings.flip_test))
        for name, clips in tests.items()
    }
    return {
        "name": row.name, "seed": settings.seed, "errors": errors, "params": cost.params,
        "macs": cost.macs, "steps": fitted.steps, "train_s": round(seconds, 1),
    }  # fmt: skip


def cost_of(model: LiftModel) -> Cost:
    """Parameters, and multiply-adds of one window."""
    needs = model.needs
    training = model.training
    window = torch.zeros(1, needs.frames, len(model.codec.skeleton), needs.channels)
    cost = count_macs(model.eval(), window)
    model.train(training)
    return cost


def _plain(result: MPJPEResult) -> dict[str, Any]:
    actions = {name: dict(row) for name, row in result.actions.items()}
    return {"mean": dict(result.mean), "actions": actions}


def _key(row: LiftRow, seed: int, plan: LiftPlan, seen: Mapping[str, Any]) -> dict[str, Any]:
    """What a record must have been made of, as it comes back from JSON."""
    settings = {k: v for k, v in plain(plan.settings).items() if k not in ("seed", "save_every")}
    key = {"seen": dict(seen), "settings": settings, "row": asdict(row), "seed": seed}
    found: dict[str, Any] = json.loads(json.dumps(key))
    return found


def _line(errors: Mapping[str, Mapping[str, Any]]) -> str:
    return "  ".join(
        f"{name}: MPJPE {found['mean']['MPJPE']:.1f}, MPJVE {found['mean']['MPJVE']:.1f}"
        for name, found in errors.items()
    )


def table(
    records: Sequence[Mapping[str, Any]], *, action: str | None = None
) -> dict[str, dict[str, Spread]]:
    """Row -> column such as ``exact MPJPE`` -> mean and spread over seeds, mm.

    Args:
        records: As :func:`run_lift_bench` returns them.
        action: One of the actions; None for the mean over them.
    """
    out: dict[str, dict[str, Spread]] = {}
    for name in dict.fromkeys(r["name"] for r in records):
        own = [r["errors"] for r in records if r["name"] == name]
        out[name] = {
            f"{kind} {column}": Spread.of(
                [
                    (e[kind]["mean"] if action is None else e[kind]["actions"][action])[column]
                    for e in own
                ]
            )
            for kind in INPUTS
            for column in COLUMNS
        }
    return out


def write_lift_report(
    records: Sequence[Mapping[str, Any]], rows: Sequence[LiftRow], told: str, out: Path | str
) -> str:
    """Write ``lift.md`` and ``lift.csv``.

    Args:
        records: Of all rows and seeds.
        rows: Who took part.
        told: What the numbers are of.
        out: Folder.

    Returns:
        The text of ``lift.md``.

    Raises:
        FormatError: the disk refused.
    """
    costs = {r["name"]: r for r in records}
    lines = ["| row | what it is | parameters | M multiply-adds a window | s of training |",
             "|---" * 5 + "|"]  # fmt: skip
    for row in rows:
        c = costs[row.name]
        seconds = np.mean([r["train_s"] for r in records if r["name"] == row.name])
        lines.append(
            f"| {row.name} | {row.told} | {c['params']:,} | {c['macs'] / 1e6:.2f} | {seconds:.0f} |"
        )
    parts = [told, "Millimetres (MPJVE: a frame), mean over the actions, mean ± standard deviation "
             "over seeds.", markdown(table(records), "row")]  # fmt: skip
    for action in records[0]["errors"][INPUTS[0]]["actions"]:
        parts += [f"## {action}", markdown(table(records, action=action), "row")]
    parts += ["## Cost", "\n".join(lines)]
    text = "\n\n".join(parts) + "\n"
    write_text(Path(out) / "lift.md", text)
    with writing(Path(out) / "lift.csv") as file:
        sheet = csv.writer(file)
        sheet.writerow(["row", "seed", "input", "action", *COLUMNS, "params", "macs", "train_s"])
        for record in records:
            for kind, found in record["errors"].items():
                for action, values in {"mean": found["mean"], **found["actions"]}.items():
                    sheet.writerow(
                        [record["name"], record["seed"], kind, action]
                        + [values[c] for c in COLUMNS]
                        + [record["params"], record["macs"], record["train_s"]]
                    )
    return text

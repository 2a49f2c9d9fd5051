"""What a latent in two parts holds, and what each idea of CSS brings: the table of probes.

Every row is trained without labels on the same footage, then frozen. Probes are fitted on people
that were trained on and judged on people that were not, but for the person's name, which is asked
of other moments of the same videos.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from chronopose.bench._kept_rows import known_row
from chronopose.engine.fit_css import FREE, CssSettings, fit_css
from chronopose.engine.known_people import KnownPeople
from chronopose.engine.probes import (
    Latents,
    Ridge,
    explained,
    identity_accuracy,
    labelled,
    latents_of,
    nearest,
)
from chronopose.engine.record import plain
from chronopose.engine.scratch import Supervised
from chronopose.errors import UsageError
from chronopose.io.atomic import write_failure, write_json, write_text
from chronopose.metrics.mpjpe import joint_errors, procrustes, rescaled
from chronopose.models._find import build_representation
from chronopose.models.css import CSS

Floats = NDArray[np.float64]
ROWS: dict[str, dict[str, Any]] = {
    "full": {},
    "no split": {"objective.split": False},
    "no transition": {"objective.transition": "off"},
    "no swap": {"objective.swap": 0.0},
    "reconstruction only": {
        "objective.contrast": 0.0, "objective.transition": "off", "objective.swap": 0.0,
    },
    "plain contrastive": {
        "objective.split": False, "objective.reconstruct": 0.0, "objective.transition": "off",
        "objective.swap": 0.0, "objective.other_videos": True,
    },
    "untrained": {},
    "from scratch": {},
}  # fmt: skip
"""Row -> fields of the Config. ``untrained`` is a random network; ``from scratch`` trains the same
encoder on the labels alone."""
PARTS = ("z_tv", "z_ti", "both")
SHARES = (0.01, 0.05, 0.1, 0.5, 1.0)


@dataclass(frozen=True, kw_only=True)
class CssPlan:
    """What is compared.

    Args:
        model: ``css:lite`` or ``css:poses``.
        training: Footage to learn from, with its truth for the probes.
        judged: Other people.
        settings: How each row is trained.
        seeds: One training of every row each.
        rows: Names of :data:`ROWS`.
        shares: Of the frames of ``training`` that have labels.
        scratch_steps: Steps of the supervised network.
    """

    model: str
    training: KnownPeople
    judged: KnownPeople
    settings: CssSettings
    seeds: tuple[int, ...] = (0, 1, 2)
    rows: tuple[str, ...] = tuple(ROWS)
    shares: tuple[float, ...] = SHARES
    scratch_steps: int = 400
    overrides: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        strange = [r for r in self.rows if r not in ROWS]
        if strange or not self.seeds:
            raise UsageError(
                f"There is no row {', '.join(strange) or 'without a seed'}. Known: "
                f"{', '.join(ROWS)}."
            )

    def key(self, row: str, seed: int) -> dict[str, Any]:
        """What a record must have been made of, as it comes back from JSON."""
        kept = plain(self.settings)
        settings = {k: v for k, v in kept.items() if k not in ("seed", *FREE)}
        own = {"steps": self.scratch_steps} if row == "from scratch" else settings
        made_of = {
            "row": row, "seed": seed, "model": self.model, "overrides": plain(self.overrides),
            "shares": self.shares, "settings": {} if row == "untrained" else own,
            "people": [p.fingerprint() for p in (self.training, self.judged)],
        }  # fmt: skip
        found: dict[str, Any] = json.loads(json.dumps(made_of))
        return found


def run_css_bench(plan: CssPlan, out: str | Path, *, quiet: bool = True) -> list[dict[str, Any]]:
    """Train and probe every row with every seed; what is done already is read.

    Writes ``ROW-SEED/`` with the run, and ``ROW-SEED.json`` with the numbers, into ``out``.

    Returns:
        One record a row and seed: ``row``, ``seed`` and the numbers of :func:`probe`.

    Raises:
        FormatError: the folder cannot be made or written to.
        UsageError: the folder holds records of another plan.
    """
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_failure(folder, error) from error
    records = []
    for seed in plan.seeds:
        for row in plan.rows:
            name = f"{row.replace(' ', '_')}-{seed}"
            page, key = folder / f"{name}.json", plan.key(row, seed)
            record = known_row(page, key)
            if record is None:
                numbers = _one(plan, row, seed, folder / name, quiet)
                record = {"row": row, "seed": seed, **numbers}
                write_json(page, {"key": key, **record})
            records.append({name: value for name, value in record.items() if name != "key"})
    return records


def probe(
    training: KnownPeople, judged: KnownPeople, known: Latents, asked: Latents,
    shares: Sequence[float] = SHARES, seed: int = 0,
) -> dict[str, float]:  # fmt: skip
    """All numbers about one network.

    Args:
        training: People that the probes are fitted on.
        judged: People that they are judged on.
        known: Latents of ``training``.
        asked: Latents of ``judged``.
        shares: Of the frames of ``training`` that have labels.
        seed: Decides which.

    Returns:
        ``mpjpe/PART/SHARE``, ``n_mpjpe/...``, ``p_mpjpe/...`` (mm, 17 joints); ``who/PART``, the
        share of frames whose person is named; ``nearest/PART``, mm between a pose and that of the
        nearest latent; ``traits/PART``, explained share of bone lengths, where they are known.
    """
    found: dict[str, float] = {}
    poses, truth = training.poses(), np.concatenate(judged.xyz_mm)
    groups = training.videos()
    for part in PARTS:
        x, y = known.part(part), asked.part(part)
        for share in shares:
            rows = labelled(len(x), share, seed)
            pose = _whole(Ridge(x[rows], poses[rows], groups[rows]).predict(y))
            found |= {f"{k}/{part}/{share:g}": v for k, v in pose_errors(pose, truth).items()}
        who, told, held = judged.named()
        found[f"who/{part}"] = identity_accuracy(y[told], who[told], y[held], who[held])
        every = slice(None, None, 3)
        hit = nearest(y[every], x)
        found[f"nearest/{part}"] = float(
            joint_errors(_whole(poses[hit]), truth[every]).mean()
        )  # fmt: skip
        if training.traits is not None and judged.traits is not None:
            means = [_means(z, p) for z, p in ((x, training), (y, judged))]
            traits = Ridge(means[0], training.traits, training.who).predict(means[1])
            found[f"traits/{part}"] = explained(traits, judged.traits)
    return found


def pose_errors(pose_mm: Floats, truth_mm: Floats) -> dict[str, float]:
    """Mean MPJPE, N-MPJPE and P-MPJPE of ``(R, 17, 3)`` poses relative to the pelvis, mm."""
    return {
        "mpjpe": float(joint_errors(pose_mm, truth_mm).mean()),
        "n_mpjpe": float(joint_errors(rescaled(pose_mm, truth_mm), truth_mm).mean()),
        "p_mpjpe": float(joint_errors(procrustes(pose_mm, truth_mm), truth_mm).mean()),
    }


def chance(training: KnownPeople, judged: KnownPeople, seed: int = 0) -> dict[str, float]:
    """What a probe gets that knows nothing: the mean pose, any pose, any name."""
    poses, truth = training.poses(), np.concatenate(judged.xyz_mm)
    mean = _whole(np.broadcast_to(poses.mean(0), (len(truth), poses.shape[1])))
    drawn = np.random.default_rng(seed).integers(len(poses), size=len(truth))
    return {
        **pose_errors(mean, truth),
        "nearest": float(joint_errors(_whole(poses[drawn]), truth).mean()),
        "who": 1 / len(np.unique(judged.named()[0])),
    }


def summary(records: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, tuple[float, float, int]]]:
    """Row -> number -> mean, standard deviation (n - 1; 0 of one) and count over the seeds."""
    found: dict[str, dict[str, tuple[float, float, int]]] = {}
    for row in dict.fromkeys(r["row"] for r in records):
        mine = [r for r in records if r["row"] == row]
        keys = [k for k in mine[0] if k not in ("row", "seed")]
        table = {k: np.array([r[k] for r in mine if k in r], float) for k in keys}
        found[row] = {
            k: (float(v.mean()), float(v.std(ddof=1)) if len(v) > 1 else 0.0, len(v))
            for k, v in table.items()
        }
    return found


def write_css_report(plan: CssPlan, records: Sequence[Mapping[str, Any]], out: str | Path) -> str:
    """Write ``report.md`` and ``report.json`` into ``out``; returns the tables."""
    found, nothing = summary(records), chance(plan.training, plan.judged)
    shares = [f"{s:g}" for s in plan.shares]
    tables = [
        _table("MPJPE, mm, by share of labels, from both parts", found,
               {f"{float(s):.0%}": f"mpjpe/both/{s}" for s in shares}),
        _table("All labels: pose (MPJPE, mm) from each part", found,
               {p: f"mpjpe/{p}/{shares[-1]}" for p in PARTS}),
        _table("Names of people, %, from each part", found, {p: f"who/{p}" for p in PARTS}, 100),
        _table("Pose of the nearest latent, mm", found, {p: f"nearest/{p}" for p in PARTS}),
    ]  # fmt: skip
    if any("traits/z_ti" in numbers for numbers in found.values()):
        columns = {p: f"traits/{p}" for p in PARTS}
        tables.append(_table("Bone lengths, % of variance, by video", found, columns, 100))
    told = (
        f"Knowing nothing: the mean pose {nothing['mpjpe']:.0f} mm, any pose "
        f"{nothing['nearest']:.0f} mm, any name {100 * nothing['who']:.1f} %."
    )
    text = "\n\n".join([*tables, told]) + "\n"
    write_text(Path(out) / "report.md", text)
    write_json(
        Path(out) / "report.json",
        {
            "model": plan.model, "steps": plan.settings.steps, "seeds": list(plan.seeds),
            "videos": [len(plan.training.footage), len(plan.judged.footage)], "chance": nothing,
            "rows": {r: {k: list(v) for k, v in n.items()} for r, n in found.items()},
        },
    )  # fmt: skip
    return text


def _one(plan: CssPlan, row: str, seed: int, folder: Path, quiet: bool) -> dict[str, float]:
    torch.manual_seed(seed)
    changes = {**plan.overrides, **ROWS[row]}
    model: CSS = build_representation(plan.model, None, **changes)  # type: ignore[assignment]
    if row == "from scratch":
        return _scratch(plan, model, seed)
    if row == "untrained":
        model.eval()
    else:
        settings = replace(plan.settings, seed=seed)
        model = fit_css(
            model, plan.training.footage, settings, folder, "auto", name=row, quiet=quiet,
            device="cpu",
        ).model  # fmt: skip
    known = latents_of(model, plan.training.footage)
    asked = latents_of(model, plan.judged.footage)
    return probe(plan.training, plan.judged, known, asked, plan.shares, seed)


def _scratch(plan: CssPlan, model: CSS, seed: int) -> dict[str, float]:
    """The same encoder trained on the labels alone, once for every share of them."""
    poses, truth = plan.training.poses(), np.concatenate(plan.judged.xyz_mm)
    found: dict[str, float] = {}
    for share in plan.shares:
        rows = labelled(len(poses), share, seed)
        net = Supervised(
            model, plan.training.footage, rows, poses[rows], steps=plan.scratch_steps, seed=seed
        )
        numbers = pose_errors(_whole(net.predict(plan.judged.footage)), truth)
        found |= {f"{k}/both/{share:g}": v for k, v in numbers.items()}
    return found


def _whole(poses: Floats) -> Floats:
    """``(R, 48)`` -> ``(R, 17, 3)``: the pelvis is 0."""
    joints = poses.reshape(len(poses), -1, 3)
    return np.concatenate([np.zeros_like(joints[:, :1]), joints], 1)


def _means(x: Floats, people: KnownPeople) -> Floats:
    """``(N, D)`` mean latent of each video."""
    ends = np.cumsum([len(f) for f in people.footage])[:-1]
    return np.stack([part.mean(0) for part in np.split(x, ends)])


def _table(
    title: str, found: Mapping[str, Mapping[str, tuple[float, float, int]]],
    columns: Mapping[str, str], times: float = 1.0,
) -> str:  # fmt: skip
    lines = [f"{title}", "", "| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for row, numbers in found.items():
        cells = [
            f"{times * numbers[k][0]:.1f} ± {times * numbers[k][1]:.1f}" if k in numbers else "–"
            for k in columns.values()
        ]
        if any(c != "–" for c in cells):
            lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)

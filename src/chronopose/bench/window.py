"""What it costs in accuracy that crop windows are held still, and what it saves.

The same generated people are found with each window policy, from their true boxes and ids, so that
nothing but the windows differs.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np

from chronopose import zoo
from chronopose.core.tracks import FramePoses
from chronopose.data.datasets.procedural import render_video
from chronopose.errors import UsageError
from chronopose.io.atomic import write_text
from chronopose.io.video import VideoWriter, open_video
from chronopose.metrics.pck import LIMB_JOINTS, PCK
from chronopose.models._base import PoseModel
from chronopose.pipeline.detect import build_detector
from chronopose.pipeline.stream import PosePipeline
from chronopose.pipeline.window import WindowPolicy

FIRST_SEED = 7_000_000
"""Far from the seeds that recipes train on."""


@dataclass(frozen=True, kw_only=True)
class PolicyResult:
    """One window policy."""

    policy: WindowPolicy
    pck: float
    """Percent of the true limb joints found within 0.2 torso lengths, all people pooled."""
    encodes: float
    """Crops encoded for each person and frame; 1 is the least, the window's length the most."""


@dataclass(frozen=True, kw_only=True)
class WindowReport:
    """All policies on the same clips; ``key`` (windows never held) is the reference."""

    model: str
    people: int
    """People and frames that were scored."""
    results: tuple[PolicyResult, ...]

    def __str__(self) -> str:
        reference = next(r for r in self.results if r.policy == "key")
        rows = [
            f"{self.model}, {self.people} people on generated frames, true boxes",
            f"{'policy':<12}{'PCK@0.2':>9}{'against key':>13}{'encodes a pose':>16}",
        ]
        rows += [
            f"{r.policy:<12}{r.pck:>9.2f}{r.pck - reference.pck:>+13.2f}{r.encodes:>16.2f}"
            for r in self.results
        ]
        return "\n".join(rows)


def bench_window(
    model_name: str,
    device: str = "cpu",
    *,
    weights: str | None = None,
    clips: int = 8,
    frames: int = 75,
    people: int = 2,
    size: tuple[int, int] = (480, 360),
    rate_hz: float = 25.0,
    quiet: bool = False,
) -> WindowReport:
    """Find the people of generated clips with every window policy.

    Args:
        model_name: A model of several frames, with weights.
        device: Where it runs.
        weights: A file instead of the shipped weights, or ``"random"``.
        clips: How many videos.
        frames: Frames of each.
        people: People in each.
        size: Width and height of the videos, pixels.
        rate_hz: Frames a second.
        quiet: Do not print the report.

    Raises:
        UsageError: the model looks at one frame only, so it never holds a window.
        WeightsError: the model has no weights.
    """
    model = zoo.load(model_name, weights=weights, device=device)
    if len(model.needs.offsets) == 1:
        raise UsageError(f"{model_name} looks at one frame: it never holds a window. Name another.")
    policies: tuple[WindowPolicy, ...] = get_args(WindowPolicy)
    scores = {p: PCK(model.codec.skeleton, joints=LIMB_JOINTS) for p in policies}
    encodes = dict.fromkeys(policies, 0)
    total = 0
    with tempfile.TemporaryDirectory() as folder:
        for clip in range(clips):
            video, boxes = Path(folder) / f"{clip}.mp4", Path(folder) / f"{clip}.txt"
            truth = _render(
                video, boxes, FIRST_SEED + clip, frames, people, size, rate_hz,
                model.codec.skeleton.name,
            )  # fmt: skip
            total += sum(len(t) for t in truth)
            for policy in policies:
                encodes[policy] += _score(model, device, policy, video, boxes, truth, scores)
    results = tuple(
        PolicyResult(policy=p, pck=scores[p].compute().pooled, encodes=encodes[p] / max(total, 1))
        for p in policies
    )
    report = WindowReport(model=model_name, people=total, results=results)
    if not quiet:
        print(report)
    return report


def _render(
    video: Path, boxes: Path, seed: int, frames: int, people: int, size: tuple[int, int],
    rate_hz: float, skeleton: str,
) -> list[FramePoses]:  # fmt: skip
    truth, rows = [], []
    with VideoWriter(video, size) as writer:
        for image, there in render_video(
            frames=frames, size=size, people=people, rate_hz=rate_hz, seed=seed, skeleton=skeleton
        ):
            writer.write(image, there.time_s)
            truth.append(there)
            for person, (x1, y1, x2, y2) in zip(there.ids, there.boxes.xyxy.tolist(), strict=True):
                place = f"{x1:.2f},{y1:.2f},{x2 - x1:.2f},{y2 - y1:.2f}"
                rows.append(f"{there.frame_index + 1},{person},{place},1,-1,-1,-1")
    write_text(boxes, "\n".join(rows) + "\n")
    return truth


def _score(
    model: PoseModel, device: str, policy: WindowPolicy, video: Path, boxes: Path,
    truth: list[FramePoses], scores: dict[WindowPolicy, PCK],
) -> int:  # fmt: skip
    detector = build_detector(f"boxes:{boxes}", device=device)
    pipeline = PosePipeline(model, detector=detector, device=device, window_policy=policy)
    before = pipeline.encoder.counts.encodes
    with open_video(video) as reader:
        found = {f.frame_index: f for f in pipeline.stream(reader)}
    for there in truth:
        xy = np.full_like(there.poses.xy, np.nan)
        seen = found.get(there.frame_index)
        for row, person in enumerate(there.ids):
            match = np.flatnonzero(seen.ids == person) if seen is not None else np.zeros(0, int)
            if len(match) and seen is not None:
                xy[row] = seen.poses.xy[match[0]]
        known = np.asarray(np.isfinite(there.poses.xy).all(-1))
        if len(there):
            scores[policy].update(xy, there.poses.xy, known)
    return pipeline.encoder.counts.encodes - before

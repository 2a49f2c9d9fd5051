"""What CSS learns from one's own videos: whose poses do the nearest latents show?

Real videos have no labels but the 2D poses of the tracks that lie beside them. So a latent is
judged by what it brings together: for every frame, the nearest latent of *another* video is looked
for, and the 2D poses of both frames are compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from chronopose.bench.css import PARTS
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import get_skeleton
from chronopose.data.footage import videos_beside_tracks
from chronopose.data.moments import Footage
from chronopose.engine.fit_css import CssSettings, fit_css
from chronopose.engine.probes import latents_of, nearest
from chronopose.errors import FormatError, UsageError
from chronopose.io.atomic import write_json, write_text
from chronopose.models._find import build_representation
from chronopose.models.css import CSS

Floats = NDArray[np.float64]
ROWS = ("untrained", "full")


@dataclass(frozen=True, kw_only=True)
class VideoPlan:
    """What is compared.

    Args:
        folder: Videos with their tracks beside them, see
            :func:`~chronopose.data.footage.videos_beside_tracks`.
        settings: How the network is trained; the seed is set by ``seeds``.
        seeds: One training each.
    """

    folder: Path
    settings: CssSettings
    seeds: tuple[int, ...] = (0, 1, 2)


def run_videos(plan: VideoPlan, out: str | Path, *, quiet: bool = True) -> dict[str, Any]:
    """Train with every seed, look for nearest latents, write ``videos.md`` and ``videos.json``.

    Returns:
        ``people`` and ``frames`` that were learnt from; ``chance``, the distance to any frame of
        another video; ``rows``: row -> part of the latent -> a distance for each seed.

    Raises:
        FormatError: the folder holds no videos with tracks, or of one video only.
        UsageError: there is no seed.
    """
    if not plan.seeds:
        raise UsageError("At least one training is needed: give seeds.")
    blank = _built(0)
    skeleton = get_skeleton(blank.config.skeleton)
    footage = videos_beside_tracks(plan.folder, blank.config.crop_size, skeleton)
    poses = compact(np.concatenate([_joints(f) for f in footage]), skeleton)
    names = [f.name.rpartition(" person ")[0] for f in footage]
    videos = np.repeat(np.unique(names, return_inverse=True)[1], [len(f) for f in footage])
    if len(set(names)) < 2:
        raise FormatError(
            f"{plan.folder} holds tracks of one video. Nearest latents are looked for in other "
            f"videos: give at least two."
        )
    rows: dict[str, dict[str, list[float]]] = {row: {p: [] for p in PARTS} for row in ROWS}
    for seed in plan.seeds:
        for row in ROWS:
            model = _built(seed).eval()
            if row == "full":
                settings = replace(plan.settings, seed=seed)
                model = fit_css(
                    model, footage, settings, Path(out) / f"{row}-{seed}", "auto", name=row,
                    device="cpu", quiet=quiet,
                ).model  # fmt: skip
            latents = latents_of(model, footage)
            for part in PARTS:
                hit = nearest_elsewhere(latents.part(part), videos)
                rows[row][part].append(distance(poses, poses[hit]))
    drawn = _any_elsewhere(videos, np.random.default_rng(0))
    found = {
        "people": len(footage), "frames": len(videos), "videos": len(set(names)),
        "steps": plan.settings.steps, "chance": distance(poses, poses[drawn]), "rows": rows,
    }  # fmt: skip
    write_json(Path(out) / "videos.json", found)
    write_text(Path(out) / "videos.md", table(found))
    return found


def compact(xy: Floats, skeleton: Skeleton) -> Floats:
    """Poses without place and size: centred on the hips, root mean square of known joints 1.

    Args:
        xy: ``(R, K, 2)`` pixels, NaN where unknown.
        skeleton: Names of the K joints.
    """
    hips = [skeleton.index(f"{side}_hip") for side in ("left", "right")]
    centred = xy - xy[:, hips].mean(1, keepdims=True)
    spread = np.sqrt(np.nanmean((centred**2).sum(-1), 1))
    shaped: Floats = centred / np.maximum(spread, 1e-9)[:, None, None]
    return shaped


def distance(one: Floats, other: Floats) -> float:
    """Mean distance of the joints that both ``(R, K, 2)`` know, in spreads of a pose."""
    return float(np.nanmean(np.linalg.norm(one - other, axis=-1)))


def nearest_elsewhere(z: Floats, videos: NDArray[np.integer]) -> NDArray[np.int64]:
    """``(R,)`` the row of another video whose latent has the largest cosine with each row.

    Args:
        z: ``(R, D)`` latents; they are compared less their mean, in units of their spread.
        videos: ``(R,)`` the video of each row, at least two.
    """
    scaled = (z - z.mean(0)) / (z.std(0) + 1e-9)
    return nearest(scaled, scaled, (videos, videos))


def table(found: Mapping[str, Any]) -> str:
    """The result in Markdown."""
    lines = [
        f"{found['people']} people of {found['videos']} videos, {found['frames']} frames, "
        f"{found['steps']} steps. Distance of 2D poses to the nearest latent of another video, in "
        f"spreads of a pose; any frame of another video: {found['chance']:.3f}.",
        "",
        "| | " + " | ".join(PARTS) + " |",
        "|---" * (len(PARTS) + 1) + "|",
    ]
    for row, parts in found["rows"].items():
        lines.append(f"| {row} | " + " | ".join(_cell(parts[p]) for p in PARTS) + " |")
    return "\n".join(lines) + "\n"


def _cell(values: Sequence[float]) -> str:
    spread = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{spread}"


def _built(seed: int) -> CSS:
    torch.manual_seed(seed)
    model: CSS = build_representation("css:lite", None, skeleton="coco17")  # type: ignore[assignment]
    return model


def _joints(footage: Footage) -> Floats:
    assert footage.xy is not None
    return np.asarray(footage.xy, np.float64)


def _any_elsewhere(videos: NDArray[np.integer], rng: np.random.Generator) -> NDArray[np.int64]:
    """``(R,)`` some row of another video for each row."""
    return np.array([rng.choice(np.flatnonzero(videos != v)) for v in videos], np.int64)

"""Pictures of a run: the batch that the network is fed, and the curves of what it learnt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses
from chronopose.core.skeleton import Skeleton
from chronopose.core.tracks import FramePoses
from chronopose.engine.record import read_log
from chronopose.io.atomic import replacing
from chronopose.tensors import ClipBatch
from chronopose.tensors.colours import unnormalise
from chronopose.viz.curves import Curve, draw_curves
from chronopose.viz.draw import contact_sheet, draw_poses

NOT_LEARNT = ("step", "phase", "clips_per_s", "waiting")
"""Columns of the log that say nothing about what is learnt."""


def draw_batch(batch: ClipBatch, skeleton: Skeleton, path: Path, most: int = 24) -> None:
    """Write a picture of the first frames of a batch, a clip a row, with the joints drawn in.

    Args:
        batch: What the network is fed.
        skeleton: Names of its joints.
        path: PNG file.
        most: Frames drawn at most.

    Raises:
        FormatError: the file cannot be written.
    """
    count = batch.frames.shape[1]
    clips = max(1, min(len(batch.frames), most // count))
    pixels = unnormalise(batch.frames[:clips]).permute(0, 1, 3, 4, 2).round().byte().numpy()
    height, width = pixels.shape[2:4]
    box = Boxes(
        np.array([[-0.5, -0.5, width - 0.5, height - 0.5]], np.float32), np.ones(1, np.float32)
    )
    tiles = []
    for clip in range(clips):
        for t in range(count):
            visible = batch.visible[clip, t].numpy()
            xy = np.where(visible[:, None], batch.joints[clip, t].numpy(), np.nan)
            poses = Poses(xy[None], visible[None].astype(np.float32), skeleton)
            frame = FramePoses(t, 0.0, np.array([-1]), box, poses)
            tiles.append(draw_poses(np.ascontiguousarray(pixels[clip, t]), frame))
    sheet = contact_sheet(tiles, count if count > 1 else 8)
    with replacing(path) as temporary:
        Image.fromarray(sheet).save(temporary, format="PNG")


def draw_run(folder: Path, name: str = "curves.png") -> Path | None:
    """Write a picture of every term of a run over its steps.

    Args:
        folder: Of the run, with ``train.csv`` and, if it was validated, ``val.csv``.
        name: Of the PNG file in it.

    Returns:
        The file; None if there are not two rows to join by a line.

    Raises:
        FormatError: a log cannot be read, or the file cannot be written.
    """
    curves: dict[str, Curve] = {}
    phases: list[float] = []
    for kind in ("train", "val"):
        if not (folder / f"{kind}.csv").exists():
            continue
        columns = read_log(folder / f"{kind}.csv")
        steps = columns.get("step", [])
        if kind == "train":
            numbers = columns.get("phase", [])
            phases = [s for s, a, b in zip(steps, numbers, numbers[1:], strict=False) if a != b]
        wanted = ["pck"] if kind == "val" else sorted(columns.keys() - set(NOT_LEARNT), key=_order)
        found = {n: (steps, columns[n]) for n in wanted if n in columns}
        curves |= {f"{n} (validation)" if kind == "val" else n: c for n, c in found.items()}
    if not any(len(steps) > 1 for steps, _ in curves.values()):
        return None
    path = folder / name
    with replacing(path) as temporary:
        Image.fromarray(draw_curves(curves, marks=phases)).save(temporary, format="PNG")
    return path


def _order(name: str) -> tuple[int, str]:
    """The loss first, then what it is made of, what the split does, and the optimiser last."""
    ranks = {"loss": 0, "heatmap": 1, "lr": 9, "grad_norm": 8}
    split = name.startswith(("gate", "channels_", "shared_"))
    return ranks.get(name, 3 if split else 2), name

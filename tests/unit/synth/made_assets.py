"""A folder of assets made here: small panoramas, and people in a T pose who are carried along."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from test_mocap import ENDS, PLACES, rig

from chronopose.io.bvh import write_bvh

PIXEL = bytes((128, 128, 140, 128))
RATE_HZ, DROPPED = 120, 6


def write_panorama(path: Path) -> None:
    """The same grey light from everywhere, 32 x 16 pixels, uncoded."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 16 +X 32\n"
    path.write_bytes(head + PIXEL * (16 * 32))


def write_motion(path: Path, seconds: float, speed_m_s: float = 1.0) -> None:
    """Somebody who stands with arms stretched out and is carried along +x."""
    path.parent.mkdir(parents=True, exist_ok=True)
    still = rig(PLACES, ENDS)
    count = round(seconds * RATE_HZ) + 1 + DROPPED
    values = np.zeros((count, still.values.shape[1]))
    values[:, :3] = still.offsets[0]
    values[:, 0] += 100 * speed_m_s * np.arange(count) / RATE_HZ
    write_bvh(path, replace(still, values=values))


def make_assets(folder: Path, panoramas: int = 7, motions: int = 7) -> Path:
    """So many of each, ``place_00_1k.hdr`` and ``actor_00.bvh``, of 4 seconds."""
    for number in range(panoramas):
        write_panorama(folder / "hdri" / f"place_{number:02d}_1k.hdr")
    for number in range(motions):
        write_motion(folder / "mocap" / f"actor_{number:02d}.bvh", 4.0)
    return folder

"""Tiny copies of every set of expressions: flat pictures whose grey value tells which one it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def paint(path: Path, grey: int, size: tuple[int, int] = (8, 8)) -> Path:
    """Write a flat picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((size[1], size[0]), grey, np.uint8)).save(path)
    return path


def write(path: Path, text: str) -> Path:
    """Write a text file with exactly these line ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


def ckplus(root: Path) -> Path:
    """Two persons; S010 is surprised (frames 1-4) and has an unlabelled sequence, S011 happy."""
    for person, sequence, count in (("S010", "001", 4), ("S010", "002", 2), ("S011", "003", 2)):
        for n in range(1, count + 1):
            name = f"{person}_{sequence}_{n:08d}"
            grey = 10 * n + (100 if person == "S011" else 0)
            paint(root / "cohn-kanade-images" / person / sequence / f"{name}.png", grey, (40, 30))
    write(root / "Emotion/S010/001/S010_001_00000004_emotion.txt", "   7.0000000e+00\n")
    (root / "Emotion/S010/002").mkdir(parents=True)
    write(root / "Emotion/S011/003/S011_003_00000002_emotion.txt", "   5.0000000e+00\r\n")
    return root


def rafdb(root: Path) -> Path:
    """The release: train surprise, neutral; test happiness, anger."""
    lines = {"train_00001": 1, "train_00002": 7, "test_0001": 4, "test_0002": 6}
    text = "\n".join(f"{stem}.jpg {number}" for stem, number in lines.items())
    write(root / "EmoLabel/list_patition_label.txt", text + "\n")
    for grey, stem in enumerate(lines):
        paint(root / "Image/aligned" / f"{stem}_aligned.jpg", 20 * grey)
    return root


def fer2013(
    root: Path, usages: tuple[str, ...] = ("Training", "PublicTest", "PrivateTest")
) -> Path:
    """A row a usage; row n is class n and grey n."""
    rows = [
        f"{n},{' '.join([str(n)] * 2304)},{usages[n % len(usages)]}" for n in range(len(usages))
    ]
    return write(root / "fer2013.csv", "\n".join(["emotion,pixels,Usage", *rows]) + "\n").parent

"""Files of the 3D data sets made up in the published layouts, for their tests."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIDES = {
    "h36m": [[4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]],
    "coco": [[1, 3, 5, 7, 9, 11, 13, 15], [2, 4, 6, 8, 10, 12, 14, 16]],
    "mpii": [[3, 4, 5, 13, 14, 15], [0, 1, 2, 10, 11, 12]],
    "humaneva15": [[2, 3, 4, 8, 9, 10], [5, 6, 7, 11, 12, 13]],
}
"""Left and right joints as the published files list them."""


def numbered(frames: int, joints: int, axes: int, dtype: Any = np.float32) -> NDArray[Any]:
    """Joint k of frame f is at (100 k + f, 1000 + k, 4000)."""
    array = np.zeros((frames, joints, axes), dtype)
    array[..., 0] = 100 * np.arange(joints) + np.arange(frames)[:, None]
    array[..., 1] = 1000 + np.arange(joints)
    array[..., 2:] = 4000
    return array


def save_npz(path: Path, **objects: Any) -> Path:
    """Each object becomes an array of one object, as in the published files."""
    np.savez_compressed(path, **{n: np.array(v, dtype=object) for n, v in objects.items()})
    return path


def save_pickle(path: Path, content: Any, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(content, protocol))
    return path


def flipped(data: bytes, at: float) -> bytes:
    """One byte of the file changed."""
    place = int(len(data) * at)
    return data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]


BYTES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda d: b"",
    "one byte": lambda d: d[:1],
    "text": lambda d: b"hello\n" * 50,
    "zeros": lambda d: bytes(len(d)),
    "the first tenth": lambda d: d[: len(d) // 10],
    "the first half": lambda d: d[: len(d) // 2],
    "all but the last bytes": lambda d: d[:-40],
    "the second half": lambda d: d[len(d) // 2 :],
    "a byte in the head": lambda d: flipped(d, 0.002),
    "a byte in the middle": lambda d: flipped(d, 0.5),
}
"""Changes that no file with a check sum survives."""

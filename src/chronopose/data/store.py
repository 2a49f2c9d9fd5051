"""PixelStore: decoded pictures in one file on disk, read without being loaded.

Decoding JPEGs costs as much as a small network's forward pass; a memory-mapped file of raw pixels
costs nothing and leaves the memory to the operating system's page cache.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chronopose.errors import FormatError


class PixelStore:
    """``count`` uint8 arrays ``(..., H, W, 3)`` of any sizes, in ``FOLDER/NAME.pixels``.

    Args:
        folder: Where the store lives; made if needed, never beside the original data.
        name: File name without its suffix.
        key: Says what was stored; a store with another key is made again.
        count: Number of arrays.
        make: Gives array ``i``; called once each, in order, when the store has to be made.

    Raises:
        FormatError: the store cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        key: str,
        count: int,
        make: Callable[[int], NDArray[np.uint8]],
    ) -> None:
        self._pixels_path = Path(folder) / f"{name}.pixels"
        self._index_path = Path(folder) / f"{name}.json"
        index = self._read_index(key, count)
        if index is None:
            index = self._write(key, count, make)
        self._shapes: list[list[int]] = index["shapes"]
        sizes = np.array([np.prod(s) for s in self._shapes], np.int64)
        self._starts = np.concatenate([[0], np.cumsum(sizes)])
        self._pixels = np.memmap(self._pixels_path, np.uint8, mode="r")

    def __len__(self) -> int:
        return len(self._shapes)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """Array ``index``, copied out of the file."""
        block = self._pixels[self._starts[index] : self._starts[index + 1]]
        return np.array(block).reshape(self._shapes[index])

    def _read_index(self, key: str, count: int) -> dict[str, list[list[int]]] | None:
        try:
            index = json.loads(self._index_path.read_text())
            size = self._pixels_path.stat().st_size
        except (OSError, ValueError):
            return None
        if index.get("key") != key or len(index.get("shapes", [])) != count:
            return None
        whole = sum(int(np.prod(s)) for s in index["shapes"])
        return index if size == whole else None

    def _write(
        self, key: str, count: int, make: Callable[[int], NDArray[np.uint8]]
    ) -> dict[str, list[list[int]]]:
        mark = f".{os.getpid()}.tmp"
        pixels = self._pixels_path.with_name(self._pixels_path.name + mark)
        listing = self._index_path.with_name(self._index_path.name + mark)
        shapes = []
        try:
            self._pixels_path.parent.mkdir(parents=True, exist_ok=True)
            with pixels.open("wb") as file:
                for i in range(count):
                    array = np.ascontiguousarray(make(i), np.uint8)
                    shapes.append(list(array.shape))
                    file.write(array.data)
            listing.write_text(json.dumps({"key": key, "shapes": shapes}))
            os.replace(pixels, self._pixels_path)
            os.replace(listing, self._index_path)
        except OSError as error:
            raise FormatError(
                f"Cannot keep decoded pictures in {self._pixels_path.parent}: {error.strerror}. "
                f"Choose another cache folder with more room."
            ) from error
        finally:
            for leftover in (pixels, listing):
                with suppress(OSError):
                    leftover.unlink()
        return {"shapes": shapes}

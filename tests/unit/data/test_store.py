"""Decoded pictures on disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from chronopose.data.store import PixelStore
from chronopose.errors import FormatError


def picture(index: int) -> np.ndarray:
    return np.full((index + 1, 2, 3), index, np.uint8)


def forbidden(index: int) -> np.ndarray:
    raise AssertionError("was made again")


def test_arrays_of_different_sizes_come_back(tmp_path):
    store = PixelStore(tmp_path, "a", "key", 3, picture)
    for i in range(3):
        np.testing.assert_array_equal(store[i], picture(i))


def test_a_second_opening_makes_nothing(tmp_path):
    PixelStore(tmp_path, "a", "key", 3, picture)
    np.testing.assert_array_equal(PixelStore(tmp_path, "a", "key", 3, forbidden)[2], picture(2))


@pytest.mark.parametrize(("key", "count"), [("other", 3), ("key", 2)])
def test_other_contents_are_made_again(tmp_path, key: str, count: int):
    PixelStore(tmp_path, "a", "key", 3, picture)
    made = []
    PixelStore(tmp_path, "a", key, count, lambda i: made.append(i) or picture(i))
    assert made == list(range(count))


def test_a_truncated_store_is_made_again(tmp_path):
    PixelStore(tmp_path, "a", "key", 3, picture)
    with (tmp_path / "a.pixels").open("r+b") as file:
        file.truncate(5)
    np.testing.assert_array_equal(PixelStore(tmp_path, "a", "key", 3, picture)[1], picture(1))


def test_a_damaged_index_is_made_again(tmp_path):
    PixelStore(tmp_path, "a", "key", 1, picture)
    (tmp_path / "a.json").write_text("{")
    PixelStore(tmp_path, "a", "key", 1, picture)
    assert json.loads((tmp_path / "a.json").read_text())["key"] == "key"


def test_a_failure_half_way_leaves_nothing(tmp_path):
    def breaks(index: int) -> np.ndarray:
        if index:
            raise FormatError("cannot decode")
        return picture(index)

    with pytest.raises(FormatError):
        PixelStore(tmp_path, "a", "key", 3, breaks)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(FormatError, match="another cache folder"):
        PixelStore(Path(blocked) / "sub", "a", "key", 1, picture)

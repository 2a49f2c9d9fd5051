"""Shards: what was added is what is read, in any order, and damage says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from chronopose.errors import FormatError, ShapeError, UsageError
from chronopose.io.shards import Shard, ShardRow, ShardWriter, decode_crop, encode_crop

JOINTS = ("nose", "left_ear", "right_ear")


def row(number: int, frames: int = 3) -> ShardRow:
    rng = np.random.default_rng(number)
    xy = rng.uniform(0, 50, (frames, 3, 2)).astype(np.float32)
    xy[0, 1] = np.nan
    return ShardRow(
        f"row {number}", tuple(bytes([number % 256, frame]) * 5 for frame in range(frames)), xy,
        rng.integers(0, 3, (frames, 3)).astype(np.uint8),
        np.array([1, 2, 30, 40.5], np.float32), frames // 2,
    )  # fmt: skip


def write(path: Path, count: int = 300) -> Path:
    with ShardWriter(path, JOINTS, {"split": "train"}) as writer:
        for number in range(count):
            writer.add(row(number, 1 + 2 * (number % 3)))
        assert len(writer) == count
    return path


def test_rows_come_back_bit_for_bit_in_any_order(tmp_path: Path):
    shard = Shard(write(tmp_path / "a.arrow"))
    assert (len(shard), shard.joints, shard.facts) == (300, JOINTS, {"split": "train"})
    for number in (299, 0, 256, 255, 17):
        found, truth = shard[number], row(number, 1 + 2 * (number % 3))
        assert (found.name, found.key, found.jpeg) == (truth.name, truth.key, truth.jpeg)
        np.testing.assert_array_equal(found.xy, truth.xy)
        np.testing.assert_array_equal(found.visibility, truth.visibility)
        np.testing.assert_array_equal(found.box, truth.box)
    with pytest.raises(IndexError, match="no row 300"):
        shard[300]


def test_a_shard_without_rows_is_one(tmp_path: Path):
    assert len(Shard(write(tmp_path / "a.arrow", 0))) == 0


def test_any_arrow_reader_sees_a_table(tmp_path: Path):
    with pa.memory_map(str(write(tmp_path / "a.arrow", 2))) as file:
        table = pa.ipc.open_file(file).read_all()
        assert table.column_names == ["name", "key", "jpeg", "xy", "visibility", "box"]
        assert table["name"].to_pylist() == ["row 0", "row 1"]


def test_crops_survive_jpeg_closely():
    y, x = np.mgrid[:40, :30]
    pixels = np.stack([4 * x + 60, 4 * y + 40, 100 + x + y], -1).astype(np.uint8)
    found = decode_crop(encode_crop(pixels, 95))
    assert found.shape == (40, 30, 3)
    assert np.abs(found.astype(int) - pixels).max() <= 6
    with pytest.raises(FormatError, match="row 7 is no JPEG"):
        decode_crop(b"\xff\xd8 nothing", "row 7")


def test_an_error_leaves_nothing_behind(tmp_path: Path):
    with pytest.raises(RuntimeError), ShardWriter(tmp_path / "a.arrow", JOINTS) as writer:
        writer.add(row(0))
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_damage_is_named(tmp_path: Path):
    path = write(tmp_path / "a.arrow", 20)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FormatError, match="it is not a shard, or it is damaged"):
        Shard(path)
    with pytest.raises(FormatError, match="no such file"):
        Shard(tmp_path / "none.arrow")
    other = pa.schema([("name", pa.string())])
    with pa.OSFile(str(path), "wb") as file:
        pa.ipc.new_file(file, other).close()
    with pytest.raises(FormatError, match="but no shard"):
        Shard(path)
    path.write_bytes(whole.replace(b'"version": 1', b'"version": 9'))
    with pytest.raises(FormatError, match="version 9; this is version 1"):
        Shard(path)


def test_what_does_not_fit_is_refused(tmp_path: Path):
    with pytest.raises(UsageError, match=r"called NAME\.arrow"):
        ShardWriter(tmp_path / "a.npz", JOINTS)
    with pytest.raises(UsageError, match="plain values"):
        ShardWriter(tmp_path / "a.arrow", JOINTS, {"path": tmp_path})
    with (
        pytest.raises(ShapeError, match="3 joints in a shard of 1"),
        ShardWriter(tmp_path / "a.arrow", ("nose",)) as writer,
    ):
        writer.add(row(0))
    good = row(0)
    with pytest.raises(ShapeError, match="2 crops need joints"):
        ShardRow("short", good.jpeg[:2], good.xy, good.visibility, good.box)
    with pytest.raises(ShapeError, match="key frame 3 lies outside 3 frames"):
        ShardRow("late", good.jpeg, good.xy, good.visibility, good.box, 3)
    assert list(tmp_path.iterdir()) == []

"""Optical flow in files: what other programs wrote comes back as they meant it."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from chronopose.errors import FormatError
from chronopose.io.flow_files import FlowFiles, read_flow, write_flow


def test_a_flo_file_is_read_as_its_authors_describe_it(tmp_path: Path) -> None:
    # Two pixels across, one down: (1, -2), then unknown.
    file = tmp_path / "a.flo"
    file.write_bytes(struct.pack("<fii4f", 202021.25, 2, 1, 1.0, -2.0, 1.7e9, 1.7e9))
    flow = read_flow(file)
    assert flow.shape == (1, 2, 2) and flow.dtype == np.float32
    assert flow[0, 0].tolist() == [1.0, -2.0]
    assert np.isnan(flow[0, 1]).all()


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    flow = np.random.default_rng(0).normal(size=(5, 7, 2)).astype(np.float32)
    flow[2, 3] = np.nan
    write_flow(flow, tmp_path / "a.flo")
    np.save(tmp_path / "b.npy", flow.astype(np.float64))
    np.testing.assert_array_equal(read_flow(tmp_path / "a.flo"), flow)
    np.testing.assert_array_equal(read_flow(tmp_path / "b.npy"), flow)
    cv2 = pytest.importorskip("cv2")
    known = np.nan_to_num(flow)
    cv2.writeOpticalFlow(str(tmp_path / "c.flo"), known)
    np.testing.assert_array_equal(read_flow(tmp_path / "c.flo"), known)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.flo", b"", "does not begin"),
        ("a.flo", struct.pack("<fii", 1.0, 2, 1) + b"0" * 16, "does not begin"),
        ("a.flo", struct.pack("<fii", 202021.25, 2, 1) + b"0" * 15, "2x1 pixels"),
        ("a.flo", struct.pack("<fii", 202021.25, -2, -1) + b"0" * 16, "-2x-1"),
        ("a.npy", b"none", "no optical flow"),
        ("a.png", b"", "read from .flo and .npy"),
    ],
)
def test_damaged_files_are_told(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FormatError, match=told):
        read_flow(tmp_path / name)
    with pytest.raises(FormatError):
        read_flow(tmp_path / f"missing_{name}")


def test_other_arrays_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((3, 4, 3), np.float32))
    with pytest.raises(FormatError, match="3, 4, 3"):
        read_flow(tmp_path / "a.npy")
    with pytest.raises(FormatError, match="H, W, 2"):
        write_flow(np.zeros((3, 4)), tmp_path / "b.flo")
    assert not (tmp_path / "b.flo").exists()


def test_files_are_found_by_the_numbers_of_their_frames(tmp_path: Path) -> None:
    write_flow(np.full((4, 6, 2), 1.0), tmp_path / "000007_000009.flo")
    np.save(tmp_path / "9_7.npy", np.full((4, 6, 2), -1.0))
    (tmp_path / "notes_about.txt").write_text("no flow")
    files = FlowFiles(tmp_path)
    assert files.between(7, 9, (6, 4))[0, 0].tolist() == [1.0, 1.0]
    assert files.between(9, 7, (6, 4))[0, 0].tolist() == [-1.0, -1.0]
    with pytest.raises(FormatError, match="000008_000009"):
        files.between(8, 9, (6, 4))
    with pytest.raises(FormatError, match="6x4 pixels; the video has 4x6"):
        files.between(7, 9, (4, 6))
    with pytest.raises(FormatError, match="Name files"):
        FlowFiles(tmp_path / "nowhere")

"""Optical flow: direction and unit, crops, grids of heatmaps, and life without weights."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from chronopose.errors import MissingExtra, ShapeError, UsageError, WeightsError
from chronopose.nn.flow import CropFlows, FlowEstimator, estimate_flow, flow_at
from chronopose.nn.warp import pool_flow, warp_by_flow
from chronopose.tensors.colours import normalise

INNER = (slice(16, -16), slice(16, -16))


@pytest.fixture(scope="module")
def picture() -> NDArray[np.uint8]:
    """Smooth colours everywhere, 160 x 160."""
    waves = gaussian_filter(np.random.default_rng(0).random((160, 160, 3)), (3, 3, 0))
    return (255 * (waves - waves.min()) / np.ptp(waves)).astype(np.uint8)


def looking_at(picture: NDArray[np.uint8], x: int, y: int) -> NDArray[np.uint8]:
    """The 96 x 128 pixels (width x height) of a camera that points at (x, y)."""
    return picture[y : y + 128, x : x + 96]


def crops(*frames: NDArray[np.uint8]) -> torch.Tensor:
    return normalise(torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).float())


def test_content_is_found_where_the_flow_points(picture: NDArray[np.uint8]) -> None:
    # The camera moves left by 5 and up by 2: everything moves right by 5 and down by 2.
    flow = estimate_flow(looking_at(picture, 20, 20), looking_at(picture, 15, 18))
    assert (flow.shape, flow.dtype) == ((128, 96, 2), np.float32)
    np.testing.assert_allclose(
        flow[INNER], np.broadcast_to([5.0, 2.0], flow[INNER].shape), atol=0.3
    )


def test_flow_of_a_shrunken_frame_is_in_pixels_of_the_frame(picture: NDArray[np.uint8]) -> None:
    flow = estimate_flow(looking_at(picture, 20, 20), looking_at(picture, 14, 18), max_side_px=64)
    np.testing.assert_allclose(flow[INNER].mean((0, 1)), [6.0, 2.0], atol=0.3)


def test_warping_the_second_frame_gives_the_first(picture: NDArray[np.uint8]) -> None:
    first, second = looking_at(picture, 20, 20), looking_at(picture, 16, 17)
    flow = torch.from_numpy(estimate_flow(first, second)).permute(2, 0, 1)[None]
    back = warp_by_flow(torch.from_numpy(second).permute(2, 0, 1)[None].float(), flow)
    error = np.abs(back[0].permute(1, 2, 0).numpy()[INNER] - first[INNER]).mean()
    assert error < 0.1 * np.abs(second[INNER].astype(float) - first[INNER]).mean()


def test_flow_between_pixels_is_bilinear_and_unknown_places_stay_unknown() -> None:
    flow = np.zeros((2, 3, 2), np.float32)
    flow[0, 1] = [4, 8]
    places = np.array([[0.5, 0.0], [1.0, 0.25], [1.0, -3.0], [9.0, 9.0], [np.nan, 0.0]])
    want = np.array([[2, 4], [3, 6], [4, 8], [0, 0], [np.nan, np.nan]], np.float32)
    np.testing.assert_allclose(flow_at(flow, places), want)


def test_crops_give_the_flow_of_their_frames(picture: NDArray[np.uint8]) -> None:
    first, second = looking_at(picture, 20, 20), looking_at(picture, 23, 21)
    flow = FlowEstimator("dis")(crops(first), crops(second))
    want = torch.from_numpy(estimate_flow(first, second)).permute(2, 0, 1)[None]
    torch.testing.assert_close(flow, want)


def test_flows_of_a_window_start_at_the_key_frame_and_are_in_cells(
    picture: NDArray[np.uint8],
) -> None:
    # The camera moves left by 4 pixels a frame: content moves right by one cell of 4 pixels.
    window = crops(*(looking_at(picture, x, 20) for x in (24, 20, 16)))[None]
    flow = CropFlows("dis")(window, key=1)
    assert flow.shape == (1, 2, 2, 32, 24)
    inner = flow[0, :, :, 4:-4, 4:-4].mean((-2, -1))
    torch.testing.assert_close(inner, torch.tensor([[-1.0, 0.0], [1.0, 0.0]]), atol=0.05, rtol=0)


def test_pooled_flow_is_the_mean_over_a_cell_in_cells() -> None:
    flow = torch.zeros(1, 2, 4, 8)
    flow[0, 0, :, :4] = torch.tensor([2.0, 4.0, 6.0, 8.0])
    flow[0, 1, :, 4:] = 4.0
    # Mean 5 px over stride 4 is 1.25 cells.
    want = torch.tensor([[[[1.25, 0.0]], [[0.0, 1.0]]]])
    torch.testing.assert_close(pool_flow(flow, (1, 2)), want)


def test_a_flow_of_one_cell_moves_content_by_one_cell() -> None:
    maps = torch.arange(6.0).view(1, 1, 2, 3)
    flow = torch.zeros(1, 2, 2, 3)
    flow[:, 0] = 1.0
    zeros = torch.tensor([[[[1.0, 2.0, 0.0], [4.0, 5.0, 0.0]]]])
    border = torch.tensor([[[[1.0, 2.0, 2.0], [4.0, 5.0, 5.0]]]])
    torch.testing.assert_close(warp_by_flow(maps, flow), zeros)
    torch.testing.assert_close(warp_by_flow(maps, flow, padding="border"), border)


def test_a_flow_of_half_a_cell_downwards_gives_the_mean_of_two_rows() -> None:
    maps = torch.tensor([[[[0.0, 2.0], [4.0, 6.0]]]])
    flow = torch.zeros(1, 2, 2, 2)
    flow[:, 1] = 0.5
    want = torch.tensor([[[[2.0, 4.0], [2.0, 3.0]]]])  # the second row is half outside
    torch.testing.assert_close(warp_by_flow(maps, flow), want)


def test_half_precision_maps_are_read_at_exact_places() -> None:
    maps = torch.arange(200.0).half().view(1, 1, 1, 200)
    flow = torch.zeros(1, 2, 1, 200)
    flow[:, 0] = 0.5
    moved = warp_by_flow(maps, flow)
    assert moved.dtype == torch.float16
    torch.testing.assert_close(moved[0, 0, 0, 150], torch.tensor(150.5, dtype=torch.float16))


def test_raft_reads_crops_of_any_size_and_never_trains() -> None:
    torch.manual_seed(0)
    raft = FlowEstimator("raft_small", iterations=1).train()
    first, second = torch.randn(2, 1, 3, 100, 60)
    flow = raft(first.requires_grad_(), second)
    assert flow.shape == (1, 2, 100, 60)
    assert torch.isfinite(flow).all()
    assert not flow.requires_grad
    assert not any(m.training for m in raft.modules())
    assert not any(p.requires_grad for p in raft.parameters())


def test_raft_takes_weights_from_a_file_and_computes_in_single_precision(tmp_path: Path) -> None:
    torch.manual_seed(0)
    raft = FlowEstimator("raft_small", iterations=1)
    torch.save(raft.raft.state_dict(), tmp_path / "raft.pth")
    again = FlowEstimator("raft_small", weights=tmp_path / "raft.pth", iterations=1).double()
    pair = torch.randn(2, 1, 3, 128, 128)
    flow = again(*pair.double())
    assert flow.dtype == torch.float64
    torch.testing.assert_close(flow.float(), raft(*pair), rtol=1e-3, atol=1e-3)
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="does not hold the weights of torchvision's raft_small"):
        FlowEstimator("raft_small", weights=tmp_path / "other.pth")


def test_raft_is_never_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, picture: NDArray[np.uint8]
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(WeightsError, match="downloads nothing by itself"):
        estimate_flow(picture, picture, "raft_large")
    assert list(tmp_path.iterdir()) == []


def test_dis_has_no_weights() -> None:
    with pytest.raises(UsageError, match="'dis' has no weights"):
        FlowEstimator("dis").load("raft.pth")


def test_dis_without_opencv_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, picture: NDArray[np.uint8]
) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingExtra, match=r"chronopose\[flow\]"):
        estimate_flow(picture, picture)


def test_frames_of_two_sizes_are_refused(picture: NDArray[np.uint8]) -> None:
    with pytest.raises(ShapeError, match="one size"):
        estimate_flow(picture, picture[:-1])
    with pytest.raises(ShapeError, match="uint8"):
        estimate_flow(picture / 255.0, picture / 255.0)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="pool_flow"):
        warp_by_flow(torch.zeros(1, 1, 4, 4), torch.zeros(1, 2, 16, 16))
    with pytest.raises(UsageError, match="dis, raft_small, raft_large"):
        FlowEstimator("farneback")  # type: ignore[arg-type]

"""Op-Flow: its size, the flow it asks for, what replaces it, the lite start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from chronopose.errors import ShapeError, UsageError, WeightsError
from chronopose.models._find import build_model
from chronopose.models.opflow import OpFlow, VisualAndImage

TINY = (64, 96)


def build(**overrides: Any) -> OpFlow:
    model = build_model("opflow", "lite", **{"crop_size": TINY, **overrides})
    assert isinstance(model, OpFlow)
    return model


def trainable(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def test_paper_network_trains_the_motion_blocks_the_fusion_and_the_head() -> None:
    with torch.device("meta"):
        model = build_model("opflow", "hrnet_w48")
    flow: Any = model.flow
    block = 2 * 48 * 48 * 9 + 4 * 48
    first = 9 * 48 * 48 + 6 * 48  # its second convolution; the norms, with the shortcut's
    motion = (12 * 48 * 9 + 12 * 48 + first) + 2 * block
    fusion = (96 * 48 * 9 + 96 * 48 + first) + 2 * block
    assert trainable(model) == motion + fusion + (48 * 17 * 9 + 17)
    assert sum(p.numel() for p in flow.parameters()) == 5_257_536  # RAFT, large


def test_lite_trains_a_tenth_of_a_million_numbers() -> None:
    assert 0.05e6 < trainable(build()) < 0.2e6


def test_untrained_lite_equals_its_single_frame_twin() -> None:
    twin = build_model("simple_baseline", "lite", crop_size=TINY).eval()
    nn.init.normal_(twin.head.weight)  # type: ignore[union-attr,arg-type]
    model = build().eval()
    model.load_single_frame(twin.state_dict())
    frames = torch.randn(2, 5, 3, 96, 64)
    with torch.no_grad():
        want = twin(frames[:, 2:3]).heatmaps
        torch.testing.assert_close(model(frames).heatmaps, want, rtol=1e-5, atol=1e-5)


class Recorded(nn.Module):
    """In place of the flow: hands out what it was given, as the arena does."""

    def __init__(self, flow: Tensor) -> None:
        super().__init__()
        self.flow = flow
        self.asked: list[tuple[tuple[int, ...], int]] = []

    def forward(self, images: Tensor, key: int) -> Tensor:
        self.asked.append((tuple(images.shape), key))
        return self.flow


def test_flow_can_be_handed_out_by_another_module_and_images_be_anything() -> None:
    model = build().eval()
    nn.init.normal_(model.head.weight)
    visual, kept = torch.randn(2, 5, 64, 24, 16), torch.randn(2, 5, 7, 24, 16)
    answers = []
    for flow in (torch.zeros(2, 4, 2, 24, 16), torch.ones(2, 4, 2, 24, 16)):
        model.flow = Recorded(flow)
        with torch.no_grad():
            answers.append(model.fuse(VisualAndImage(visual, kept)).heatmaps)
        assert model.flow.asked == [((2, 5, 7, 24, 16), 2)]
    assert not torch.allclose(answers[0], answers[1])


def test_motion_channels_are_the_components_then_the_lengths() -> None:
    flow = torch.tensor([[3.0, 4.0], [0.0, -2.0]]).view(1, 2, 2, 1, 1)
    channels = build()._motion_channels(flow).flatten()
    assert channels.tolist() == [3.0, 4.0, 0.0, -2.0, 5.0, 2.0]
    without = build(**{"flow.magnitudes": False})
    assert without._motion_channels(flow).flatten().tolist() == [3.0, 4.0, 0.0, -2.0]


def test_frames_travel_with_their_features() -> None:
    model = build().eval()
    frames = torch.randn(3, 3, 96, 64)
    with torch.no_grad():
        visual, image = model.encode(frames)
    assert visual.shape == (3, 64, 24, 16)
    assert image is frames


def test_no_gradient_reaches_the_twin_or_the_flow() -> None:
    model = build(**{"flow.method": "raft_small", "flow.iterations": 1}).train()
    frames = torch.randn(1, 5, 3, 96, 64)
    model(frames).heatmaps.square().sum().backward()
    touched = {n.split(".")[0] for n, p in model.named_parameters() if p.grad is not None}
    assert touched == {"motion", "fusion", "head"}
    flow: Any = model.flow
    assert not any(m.training for m in flow.modules() if isinstance(m, nn.BatchNorm2d))


def test_weights_of_raft_come_from_a_file(tmp_path: Path) -> None:
    model = build(**{"flow.method": "raft_small"})
    flow: Any = model.flow
    raft = flow.estimator.raft
    state = {k: v + 1 if v.is_floating_point() else v for k, v in raft.state_dict().items()}
    torch.save(state, tmp_path / "raft.pth")
    model.load_flow(tmp_path / "raft.pth")
    for key, value in raft.state_dict().items():
        assert torch.equal(value, state[key])


def test_published_weights_that_are_not_there_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(WeightsError, match="downloads nothing"):
        build(**{"flow.method": "raft_small", "flow.pretrained": True})
    with pytest.raises(UsageError, match="'dis' has no weights"):
        build().load_flow(tmp_path / "raft.pth")


def test_windows_of_another_length_are_refused() -> None:
    with pytest.raises(ShapeError, match="windows of 5 frames; got 3"):
        build()(torch.zeros(1, 3, 3, 96, 64))
    with pytest.raises(UsageError, match="odd"):
        build(num_frames=4)

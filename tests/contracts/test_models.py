"""What every model promises. A new file in ``models/`` is under contract without being named here.

Lite presets run on small crops; a model without one runs its first preset. The other presets are
checked for shapes alone, on torch's meta device.
"""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor

from chronopose.codecs.composite import CompositeCodec
from chronopose.codecs.heatmap import HeatmapCodec
from chronopose.errors import UsageError
from chronopose.models._base import PoseModel, stack_windows
from chronopose.models._find import build_model, list_models
from chronopose.nn.cost import trace_shapes
from chronopose.tensors import Output, Target, join_outputs

TINY = (64, 96)
EVERY = [f"{name}:{preset}" for name, presets in list_models().items() for preset in presets]
LIGHT = [
    f"{name}:{preset}"
    for name, presets in list_models().items()
    for preset in ([p for p in presets if "lite" in p] or presets[:1])
]


@cache
def built(name: str) -> PoseModel:
    """A model on tiny crops whose heads are past their starting value."""
    torch.manual_seed(1)
    model = build_model(name, crop_size=TINY)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if "head" in key or "final_layer" in key:
                parameter.normal_(std=0.05)
        # One batch of statistics: without them an untrained HRNet's maps reach 1e5.
        norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
        for norm in norms:
            norm.momentum = 1.0
        model.train()(torch.randn(4, len(model.needs.offsets), 3, TINY[1], TINY[0]))
        for norm in norms:
            norm.momentum = 0.1
    return model


def clips(model: PoseModel, count: int) -> tuple[Tensor, Target]:
    frames = torch.randn(count, len(model.needs.offsets), 3, TINY[1], TINY[0])
    joints = 8 + torch.rand(count, len(model.codec.skeleton), 2) * (torch.tensor(TINY) - 16)
    return frames, model.codec.encode(joints, torch.ones(joints.shape[:2]))


def tensors_of(output: Output) -> list[Tensor]:
    """The tensors of an output in eval mode, at least one."""
    found = [field for field in output if isinstance(field, Tensor)]
    assert found
    return found


def assert_equal_to_rounding(a: Output, b: Output) -> None:
    """Equal to 1e-5 of the largest value, or of 1: untrained networks may give large maps."""
    for x, y in zip(tensors_of(a), tensors_of(b), strict=True):
        torch.testing.assert_close(x, y, rtol=0, atol=1e-5 * max(1.0, y.abs().max().item()))


def loss_of(model: PoseModel, frames: Tensor, target: Target) -> Tensor:
    terms = model.criterion()(model(frames), target)
    weights = model.weights_of_terms()
    return sum((weights.get(k, 1.0) * v for k, v in terms.items()), torch.zeros(()))


@pytest.mark.parametrize("name", EVERY)
def test_every_joint_has_a_map_or_coordinates(name: str) -> None:
    with torch.device("meta"):
        model = build_model(name).eval()
    width, height = model.needs.crop_size
    out = trace_shapes(model, torch.empty(2, len(model.needs.offsets), 3, height, width))
    joints = len(model.codec.skeleton)
    if isinstance(model.codec, HeatmapCodec):
        assert out.heatmaps.shape == (2, joints, height // 4, width // 4)
    elif isinstance(model.codec, CompositeCodec):
        rows, columns = height // model.codec.stride, width // model.codec.stride
        assert out.heatmaps.shape == (2, joints, rows, columns)
        assert out.offsets.shape == (2, joints, 2, rows, columns)
    else:
        assert out.joints.shape == out.sigma.shape == (2, joints, 2)
    assert model.needs.offsets[model.needs.key] == 0
    assert model.codec.crop_size == model.needs.crop_size


@pytest.mark.parametrize("name", LIGHT)
def test_backward_is_finite(name: str) -> None:
    model = built(name).train()
    model.zero_grad()
    loss = loss_of(model, *clips(model, 2))
    loss.backward()
    assert torch.isfinite(loss)
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    assert grads
    assert all(torch.isfinite(g).all() for g in grads)


@pytest.mark.parametrize("name", LIGHT)
def test_loss_falls_on_four_clips(name: str) -> None:
    model = build_model(name, crop_size=TINY)
    frames, target = clips(model, 4)
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=5e-4)
    losses = []
    for _ in range(6):
        loss = loss_of(model, frames, target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", LIGHT)
def test_one_clip_gives_the_same_alone_and_in_a_batch(name: str) -> None:
    model = copy.deepcopy(built(name)).eval().double()
    frames = clips(model, 4)[0].double()
    with torch.no_grad():
        together = model(frames)
        alone = join_outputs([model(clip[None]) for clip in frames])
    assert_equal_to_rounding(alone, together)


@pytest.mark.parametrize("name", LIGHT)
def test_streaming_cached_features_equals_recomputing_every_window(name: str) -> None:
    model = built(name).eval()
    size = len(model.needs.offsets)
    video = torch.randn(size + 3, 3, TINY[1], TINY[0])
    with torch.no_grad():
        cached = []
        for frame in video:
            features = model.encode(frame[None])
            make: Any = getattr(features, "_make", tuple)
            cached.append(make([f[0] for f in features]))
        starts = range(len(video) - size + 1)
        windows = [cached[s : s + size] for s in starts]
        streamed = model.fuse(stack_windows(windows))
        whole = join_outputs([model(video[None, s : s + size]) for s in starts])
    assert_equal_to_rounding(streamed, whole)


@pytest.mark.parametrize("name", LIGHT)
def test_saved_weights_give_the_same_output(name: str) -> None:
    model = built(name).eval()
    frames, _ = clips(model, 1)
    again = build_model(name, crop_size=TINY).eval()
    again.load_state_dict(load(save(model.state_dict())))
    with torch.no_grad():
        pairs = zip(tensors_of(model(frames)), tensors_of(again(frames)), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


# The published quarter shift treats the two borders differently, so only other decoders mirror.
@pytest.mark.parametrize("name", [n for n in LIGHT if "lite" in n])
def test_mirrored_outputs_decode_to_mirrored_poses(name: str) -> None:
    model = built(name).eval()
    frames, _ = clips(model, 2)
    with torch.no_grad():
        output = model(frames)
    straight = model.codec.decode(output).flip(TINY[0])
    mirrored = model.codec.decode(model.codec.unflip(output))
    # The published quarter shift treats the second cell from the left and from the right unlike.
    inside = ((straight.xy > 10) & (straight.xy < np.array(TINY) - 11)).all(-1)
    if not isinstance(model.codec, HeatmapCodec):
        inside[:] = True
    assert inside.any()
    np.testing.assert_allclose(mirrored.xy[inside], straight.xy[inside], atol=2e-2)
    np.testing.assert_allclose(mirrored.score, straight.score, atol=1e-4)


@pytest.mark.parametrize("name", list_models())
def test_unknown_preset_lists_the_known_ones(name: str) -> None:
    with pytest.raises(UsageError, match="no preset of") as caught:
        build_model(name, "no_such_preset")
    assert all(preset in str(caught.value) for preset in list_models()[name])

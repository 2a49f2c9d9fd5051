"""What every lifter promises. A new one is under contract without being named here."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from chronopose import zoo
from chronopose.errors import ShapeError, UsageError
from chronopose.models._find import LIFTERS, build_lifter, list_models
from chronopose.models._lift import LiftModel
from chronopose.nn.cost import trace_shapes
from chronopose.tensors.space import LiftTarget

MODELS = list_models(LIFTERS)
EVERY = [f"{name}:{preset}" for name, presets in MODELS.items() for preset in presets]
LIGHT = [
    f"{name}:{preset}"
    for name, presets in MODELS.items()
    for preset in ([p for p in presets if "lite" in p] or presets[:1])
]


@cache
def built(name: str) -> LiftModel:
    """A lifter past its first batch: norms have statistics."""
    torch.manual_seed(1)
    model = build_lifter(name)
    model.train()(clips(model, 16)[0])
    return model


def clips(model: LiftModel, count: int, frames: int | None = None) -> tuple[Tensor, LiftTarget]:
    """Poses on the screen and labels, metres from the root."""
    joints, length = len(model.codec.skeleton), frames or model.needs.frames
    poses = 0.3 * torch.randn(count, length, joints, model.needs.channels)
    rows = length if getattr(model.config, "seq2seq", False) else 1
    xyz = 0.4 * torch.randn(count, rows, joints, 3)
    xyz -= xyz[:, :, :1].clone()
    return poses, LiftTarget(xyz, torch.ones(xyz.shape[:-1]))


def loss_of(model: LiftModel, poses: Tensor, target: LiftTarget) -> Tensor:
    terms = model.criterion()(model(poses), target)
    weights = model.weights_of_terms()
    return sum((weights.get(k, 1.0) * v for k, v in terms.items()), torch.zeros(()))


@pytest.mark.parametrize("name", EVERY)
def test_every_joint_has_a_place_in_space(name: str) -> None:
    with torch.device("meta"):
        model = build_lifter(name).eval()
    needs, joints = model.needs, len(model.codec.skeleton)
    window = torch.empty(2, needs.frames, joints, needs.channels)
    assert trace_shapes(model, window).xyz.shape == (2, 1, joints, 3)
    longer = torch.empty(2, needs.frames + 3, joints, needs.channels)
    assert trace_shapes(model, longer, method="dense").xyz.shape == (2, 4, joints, 3)
    assert needs.before + 1 + needs.lookahead == needs.frames
    assert needs.lookahead >= 0


@pytest.mark.parametrize("name", LIGHT)
def test_backward_is_finite_and_reaches_every_weight(name: str) -> None:
    model = copy.deepcopy(built(name)).train()
    model.zero_grad()
    loss = loss_of(model, *clips(model, 4))
    loss.backward()
    assert torch.isfinite(loss)
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key


@pytest.mark.parametrize("name", LIGHT)
def test_loss_falls_on_four_clips(name: str) -> None:
    torch.manual_seed(0)
    model = build_lifter(name, dropout=0.0)
    poses, target = clips(model, 4)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(20):
        loss = loss_of(model, poses, target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("name", LIGHT)
def test_one_clip_gives_the_same_alone_and_in_a_batch(name: str) -> None:
    model = copy.deepcopy(built(name)).eval().double()
    poses = clips(model, 4)[0].double()
    with torch.no_grad():
        together = model(poses).xyz
        alone = torch.cat([model(clip[None]).xyz for clip in poses])
    torch.testing.assert_close(alone, together, rtol=0, atol=1e-11)


@pytest.mark.parametrize("name", LIGHT)
def test_a_long_clip_gives_the_numbers_of_its_windows(name: str) -> None:
    model = copy.deepcopy(built(name)).eval().double()
    size = model.needs.frames
    poses = clips(model, 2, size + 5)[0].double()
    with torch.no_grad():
        dense = model.dense(poses).xyz
        each = torch.cat([model(poses[:, i : i + size]).xyz for i in range(6)], 1)
    torch.testing.assert_close(dense, each, rtol=0, atol=1e-11)


@pytest.mark.parametrize("name", LIGHT)
def test_every_frame_is_answered_once_the_ends_are_repeated(name: str) -> None:
    model = built(name).eval()
    poses = clips(model, 1, 2)[0]
    with torch.no_grad():
        assert model.dense(model.pad_ends(poses)).xyz.shape[1] == 2


@pytest.mark.parametrize("name", LIGHT)
def test_saved_weights_give_the_same_output(name: str, tmp_path: Path) -> None:
    model = copy.deepcopy(built(name)).eval()
    path = tmp_path / "lifter.safetensors"
    card = {"name": name, "training_data": "none", "terms": "none", "command": "none"}
    zoo.save(model, path, card)
    again = zoo.load_lifter(name, weights=path)
    poses, _ = clips(model, 2)
    with torch.no_grad():
        assert torch.equal(model(poses).xyz, again(poses).xyz)


@pytest.mark.parametrize("name", LIGHT)
def test_half_the_screen_mirrors_the_other(name: str) -> None:
    codec = built(name).codec
    width, height = 640, 480
    rng = np.random.default_rng(0)
    xy = rng.uniform(0, 470, (2, 5, len(codec.skeleton), 2))
    mirrored = xy[..., codec.skeleton.flip_index, :] * (-1, 1) + (width - 1, 0)
    on_screen = codec.to_screen(mirrored, (width, height))
    straight = codec.to_screen(xy, (width, height))
    np.testing.assert_allclose(on_screen, codec.mirror_screen(straight), atol=1e-6)
    back = codec.from_screen(straight, (width, height))
    np.testing.assert_allclose(back, xy, atol=1e-3)


@pytest.mark.parametrize("name", LIGHT)
def test_mirroring_joints_in_space_mirrors_their_picture(name: str) -> None:
    codec = built(name).codec
    rng = np.random.default_rng(0)
    xyz = rng.uniform(-1, 1, (2, 5, len(codec.skeleton), 3)).astype(np.float32)
    turned = codec.mirror_screen(xyz)

    def picture(joints: NDArray[np.floating]) -> NDArray[np.floating]:
        return joints[..., :2] / (joints[..., 2:] + 4)

    np.testing.assert_allclose(picture(turned), codec.mirror_screen(picture(xyz)), atol=1e-6)
    np.testing.assert_array_equal(codec.mirror_screen(turned), xyz)


@pytest.mark.parametrize("name", LIGHT)
def test_answers_decode_to_millimetres_from_the_root(name: str) -> None:
    model = built(name).eval()
    poses, _ = clips(model, 2)
    with torch.no_grad():
        output = model(poses)
    decoded = model.codec.decode(output)
    root = model.codec.skeleton.index(model.codec.root)
    metres = output.xyz - output.xyz[:, :, root : root + 1]
    assert decoded.space == "root_mm"
    np.testing.assert_allclose(decoded.xy, 1000 * metres.numpy(), atol=1e-2)
    assert not decoded.xy[..., root, :].any()


@pytest.mark.parametrize("name", MODELS)
def test_other_shapes_and_presets_are_refused(name: str) -> None:
    model = build_lifter(name, MODELS[name][-1])
    frames, joints = model.needs.frames, len(model.codec.skeleton)
    with pytest.raises(ShapeError):
        model(torch.zeros(1, frames, joints + 1, model.needs.channels))
    with pytest.raises(ShapeError):
        model(torch.zeros(1, frames + 1, joints, model.needs.channels))
    with pytest.raises(ShapeError):
        model.dense(torch.zeros(1, frames - 1, joints, model.needs.channels))
    with pytest.raises(UsageError, match="no preset of"):
        build_lifter(name, "no_such_preset")

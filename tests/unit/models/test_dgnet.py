"""DG-Net: sizes, equivariance, what windows share, and its switches."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from chronopose.errors import UsageError
from chronopose.models._find import build_lifter
from chronopose.models._lift import LiftModel
from chronopose.nn.cost import count_macs

# Preset, parameters in M and multiply-adds of a window in M as the design computed them, without
# the layer that makes C/4 features of movement.
PLANNED = [
    ("t9_c256", 1.06, 73), ("t27_c128", 0.40, 61), ("t27_c256", 1.59, 238),
    ("t81_c256", 2.11, 732), ("t27_c384", 3.56, 530),
]  # fmt: skip


def built(**settings: Any) -> LiftModel:
    """A small network past its first batch, in eval mode and float64."""
    torch.manual_seed(2)
    model = build_lifter("dgnet:lite", **{"channels": 16, **settings}).double()
    model.train()(poses(model, 8))
    return model.eval()


def poses(model: LiftModel, count: int, frames: int | None = None) -> Tensor:
    shape = (count, frames or model.needs.frames, len(model.codec.skeleton), model.needs.channels)
    return torch.randn(shape, dtype=torch.float64)


@pytest.mark.parametrize(("preset", "params", "macs"), PLANNED)
def test_sizes_are_the_planned_ones(preset: str, params: float, macs: float) -> None:
    with torch.device("meta"):
        plain = build_lifter("dgnet", preset, **{"temporal.movement": "coord"}).eval()
        model = build_lifter("dgnet", preset).eval()
    cost = count_macs(plain, torch.empty(1, plain.needs.frames, 17, 2))
    assert cost.params / 1e6 == pytest.approx(params, rel=0.01)
    assert cost.macs / 1e6 == pytest.approx(macs, rel=0.01)
    # Features of movement: C -> C/4 in the DTG of every stage but the first.
    extra = (model.config.stages - 1) * model.config.channels**2 // 4
    assert sum(p.numel() for p in model.parameters()) == cost.params + extra


def test_a_small_network_has_the_parameters_of_its_layers() -> None:
    # C = 16, T = 9: two stages of DSG 2C² + 3C + 1, DTG the same, convolutions 3C² + C² + 4C;
    # C²/4 for movement in the second; embed 2C, joints 17C, norm 2C, head 3C + 3.
    c = 16
    stage = 2 * (2 * c * c + 3 * c + 1) + 4 * c * c + 4 * c
    total = 2 * stage + c * c // 4 + 2 * c + 17 * c + 2 * c + 3 * c + 3
    assert sum(p.numel() for p in built().parameters()) == total


@pytest.mark.parametrize(
    "settings",
    [
        {}, {"frames": 27}, {"blocks": 2}, {"seq2seq": True}, {"frames": 1},
        {"spatial.affinity": "dense", "temporal.affinity": "dense"},
        {"spatial.aggregator": "max", "temporal.aggregator": "max"},
        {"spatial.distance": "coord", "temporal.similarity": "l2", "temporal.kernel": 3},
        {"temporal.scope": "window"},
    ],
    ids=str,
)  # fmt: skip
def test_renaming_joints_renames_the_answer_where_joints_have_no_names(settings: Any) -> None:
    model = built(joint_embedding=False, **settings)
    order = torch.randperm(17, generator=torch.Generator().manual_seed(4))
    clips = poses(model, 2)
    with torch.no_grad():
        straight, renamed = model(clips).xyz, model(clips[:, :, order]).xyz
    torch.testing.assert_close(renamed, straight[:, :, order], rtol=0, atol=1e-9)
    assert straight.std(2).min() > 1e-4


def test_the_embedding_tells_joints_apart() -> None:
    model = built()
    clips = poses(model, 1)
    order = torch.arange(17).flip(0)
    assert not torch.allclose(model(clips[:, :, order]).xyz, model(clips).xyz[:, :, order])


@pytest.mark.parametrize(
    "settings",
    [
        {}, {"blocks": 2}, {"seq2seq": True}, {"frames": 1}, {"frames": 3},
        {"temporal.kernel": 3, "temporal.scope": "window"},
        {"spatial.affinity": "off"}, {"temporal.affinity": "off"},
        {"spatial.affinity": "skeleton", "temporal.affinity": "skeleton+topk"},
    ],
    ids=str,
)  # fmt: skip
def test_a_long_clip_gives_the_numbers_of_its_windows(settings: Any) -> None:
    model = built(**settings)
    size, middle = model.needs.frames, model.needs.before
    clips = poses(model, 2, size + 6)
    with torch.no_grad():
        dense = model.dense(clips).xyz
        each = [model(clips[:, i : i + size]).xyz for i in range(7)]
    answers = [e[:, middle] if settings.get("seq2seq") else e[:, 0] for e in each]
    torch.testing.assert_close(dense, torch.stack(answers, 1), rtol=0, atol=1e-11)


def test_clips_longer_than_one_pass_give_the_same_numbers() -> None:
    # 1024 frames a pass, 113 windows of 9 a step: this clip crosses both borders.
    model = built(channels=4)
    clip = poses(model, 1, 1060)
    with torch.no_grad():
        dense = model.dense(clip).xyz
        for start in (0, 112, 113, 1015, 1023, 1024, 1051):
            window = model(clip[:, start : start + 9]).xyz[:, 0]
            torch.testing.assert_close(dense[:, start], window, rtol=0, atol=1e-11)
    assert dense.shape[1] == 1052


def test_a_long_clip_costs_less_than_its_windows() -> None:
    model = build_lifter("dgnet:lite").eval()
    window = count_macs(model, torch.empty(1, 9, 17, 2)).macs
    clip = count_macs(model, torch.empty(1, 108, 17, 2), method="dense").macs
    assert clip < 0.6 * 100 * window


def test_one_answer_or_one_a_frame() -> None:
    single, every = built(), built(seq2seq=True)
    assert single(poses(single, 2)).xyz.shape == (2, 1, 17, 3)
    assert every(poses(every, 2)).xyz.shape == (2, 9, 17, 3)
    shapes = [{k: v.shape for k, v in m.state_dict().items()} for m in (single, every)]
    assert shapes[0] == shapes[1]
    assert (single.weights_of_terms(), every.weights_of_terms()) == ({}, {"velocity": 0.1})


def test_every_joint_and_frame_of_the_window_can_count() -> None:
    model = built(frames=9, joint_embedding=True)
    clips = poses(model, 1).requires_grad_()
    model(clips).xyz[0, 0, 3].sum().backward()
    assert clips.grad is not None
    assert clips.grad.abs().sum((0, 2, 3)).all()


def test_a_single_frame_has_neither_temporal_graph_nor_merge() -> None:
    names = {name.split(".")[-2] for name, _ in built(frames=1).named_parameters() if "." in name}
    assert not {"wide", "point", "reduce"} & names
    assert not any("dtg" in name for name, _ in built(frames=1).named_parameters())


def test_a_graph_switched_off_takes_its_weights_with_it() -> None:
    whole, without = built(), built(**{"spatial.affinity": "off"})
    gone = whole.state_dict().keys() - without.state_dict().keys()
    assert gone
    assert all("dsg" in key for key in gone)


def test_other_skeletons_and_the_score() -> None:
    model = built(skeleton="humaneva15", score=True)
    assert model(poses(model, 2)).xyz.shape == (2, 1, 15, 3)


def test_dropout_follows_the_width_unless_told() -> None:
    drops = [build_lifter("dgnet", p).config.drop for p in ("t27_c128", "t9_c256")]
    assert drops == [0.1, 0.25]
    assert build_lifter("dgnet:lite", dropout=0.0).config.drop == 0


def test_lengths_that_do_not_shrink_to_one_are_refused() -> None:
    with pytest.raises(UsageError, match="1, 3, 9, 27, 81"):
        build_lifter("dgnet:lite", frames=5)
    with pytest.raises(UsageError, match="at least 1 block"):
        build_lifter("dgnet:lite", blocks=0)

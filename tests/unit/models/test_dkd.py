"""DKD: the published table of layers, kernels made for each clip, frames one after the other."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from chronopose.core.skeletons import PENN13
from chronopose.errors import UsageError, WeightsError
from chronopose.models._find import build_model
from chronopose.models.dkd import AdversaryConfig, DKDConfig
from chronopose.nn.cost import count_macs, trace_shapes
from chronopose.nn.distil import ChangeCritic, Distillator, match_kernels, shrink_to

CROP = (64, 96)
K, C, S = 13, 256, 7


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@cache
def paper() -> Any:
    """dkd:paper, shapes without weights."""
    with torch.device("meta"):
        return build_model("dkd:paper").eval()


@cache
def lite(distil: bool = True) -> Any:
    """dkd:lite on tiny crops whose heads and norms are past their start."""
    torch.manual_seed(0)
    model: Any = build_model("dkd:lite", crop_size=CROP, distil=distil)
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    with torch.no_grad():
        model.head_norm.weight.normal_()
        model.visual_head.weight.normal_(std=0.05)
        # One batch of statistics, as training would leave them.
        model.config = replace(model.config, bn_eval=False)
        for norm in norms:
            norm.momentum = 1.0
        model.train()(video(3, clips=4))
        model.config = replace(model.config, bn_eval=True)
    return model.eval()


def video(count: int, clips: int = 1) -> Tensor:
    torch.manual_seed(7)
    return torch.randn(clips, count, 3, CROP[1], CROP[0])


# ---- the distillator ----------------------------------------------------------------------------


def test_maps_shrink_as_in_the_published_table():
    sizes = []
    net = Distillator(4)
    x = torch.randn(1, 4, 64, 64)
    sizes.append(x.shape[-1])
    for number, stage in enumerate(net.stages, 1):
        x = stage(x)
        sizes.append(x.shape[-1])
        x = shrink_to(x, 7, last=number == 3)
        sizes.append(x.shape[-1])
    sizes.append(net.last(x).shape[-1])
    assert sizes == [64, 62, 31, 31, 15, 15, 7, 7]


def test_on_the_published_path_pooling_takes_the_largest_of_two_by_two():
    x = torch.randn(1, 2, 31, 31)
    assert torch.equal(shrink_to(x, 7), F.max_pool2d(x, 2))
    assert torch.equal(shrink_to(x[..., :15, :15], 7, last=True), F.max_pool2d(x[..., :15, :15], 2))


@pytest.mark.parametrize("size", [3, 5, 7, 9])
@pytest.mark.parametrize("cells", [(64, 64), (32, 24), (64, 48), (24, 16), (8, 8)])
def test_kernels_have_their_size_on_maps_of_any_size(size: int, cells: tuple[int, int]):
    net = Distillator(4, size).eval()
    assert net(torch.randn(2, 4, *cells)).shape == (2, 4, size, size)


def test_an_even_kernel_has_no_middle():
    with pytest.raises(UsageError, match="odd"):
        Distillator(4, 6)


def test_parameters_of_the_published_layers():
    model = paper()
    ours = sum(
        p.numel()
        for name, p in model.named_parameters()
        if not name.startswith(("backbone", "initialiser"))
    )
    reduce = (C + K) * C + 2 * C
    distillator = 4 * (9 * C * C + 2 * C)
    project, head = C * C + 2 * C, C * K + 2 * K
    assert ours == reduce + distillator + project + head == 2_500_122


def test_multiply_adds_of_a_step_are_those_of_the_published_layers_and_of_the_encoder():
    model = paper()
    frame = torch.empty(1, 3, 256, 256, device="meta")
    state = trace_shapes(model, frame, method="start")
    cells = 64 * 64
    reduce = cells * (C + K) * C
    distillator = (62**2 + 31**2 + 15**2 + 7**2) * 9 * C * C
    project, match, head = cells * C * C, cells * C * S * S, cells * C * K
    encoder = count_macs(model.backbone, frame).macs
    step = count_macs(model, frame, state, method="step").macs
    assert step - encoder == reduce + distillator + project + match + head
    start = count_macs(model, frame, method="start").macs
    assert start == encoder + project + count_macs(model.initialiser, frame).macs


# ---- matching -----------------------------------------------------------------------------------


def test_clips_folded_into_groups_equal_clips_one_by_one():
    feature, kernels = torch.randn(3, 4, 9, 11).double(), torch.randn(3, 4, 5, 5).double()
    together = match_kernels(feature, kernels)
    for b in range(3):
        for c in range(4):
            alone = F.conv2d(feature[b, c][None, None], kernels[b, c][None, None], padding=2)
            torch.testing.assert_close(together[b, c], alone[0, 0])


def test_a_kernel_with_one_lit_cell_moves_the_map():
    feature, kernel = torch.zeros(1, 1, 7, 7), torch.zeros(1, 1, 3, 3)
    feature[0, 0, 3, 3] = 2.0
    kernel[0, 0, 1, 2] = 5.0  # looks one cell to the right, so what is found lies to the left
    found = match_kernels(feature, kernel)
    assert found[0, 0, 3, 2] == 10.0
    assert found.sum() == 10.0


# ---- frames one after the other -----------------------------------------------------------------


def test_starting_and_stepping_equals_fusing_the_window():
    model, frames = lite(), video(6, clips=2)
    with torch.no_grad():
        state = model.start(frames[:, 0])
        for t in range(1, 6):
            output, state = model.step(frames[:, t], state)
        torch.testing.assert_close(output.heatmaps, model(frames).heatmaps, rtol=0, atol=1e-5)


def test_the_frame_before_changes_the_answer_and_fixed_kernels_do_not():
    frames = video(2)
    other = torch.cat([torch.randn_like(frames[:, :1]), frames[:, 1:]], 1)
    with torch.no_grad():
        moved, fixed = (
            (model(frames).heatmaps - model(other).heatmaps).abs().max()
            for model in (lite(), lite(distil=False))
        )
    assert moved > 1e-2
    assert fixed < 1e-6


def test_fixed_kernels_stream_as_they_fuse():
    model, frames = lite(distil=False), video(2)
    with torch.no_grad():
        output, _ = model.step(frames[:, 1], model.start(frames[:, 0]))
        torch.testing.assert_close(output.heatmaps, model(frames).heatmaps, rtol=0, atol=1e-5)
        windows = copy.deepcopy(model).train()(video(3, clips=2)).clip
    assert windows.shape == (2, 3, 14, 24, 16)


def test_an_untrained_lite_model_equals_its_twin():
    model, frames = copy.deepcopy(lite()), video(2)
    torch.nn.init.zeros_(model.head_norm.weight)
    torch.nn.init.zeros_(model.head_norm.running_mean)
    with torch.no_grad():
        wanted = model.initial_maps(frames[:, -1])
        torch.testing.assert_close(model(frames).heatmaps, wanted, rtol=0, atol=1e-5)


def test_trained_numbers_of_the_lite_preset():
    model = build_on_meta("dkd:lite")
    # Reduce, four convolutions, V with norms of 64 channels; U with its norm for 14 joints.
    trained = (64 + 14) * 64 + 4 * 9 * 64 * 64 + 64 * 64 + 6 * 2 * 64 + 64 * 14 + 2 * 14
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == trained == 158_236


def test_while_training_the_maps_of_all_frames_come_out():
    model, frames = copy.deepcopy(lite()).train(), video(3, clips=2)
    output = model(frames)
    assert output.clip.shape == (2, 3, 14, 24, 16)
    assert torch.equal(output.clip[:, -1], output.heatmaps)
    torch.testing.assert_close(output.clip[:, 0], model.initial_maps(frames[:, 0]))


def test_logits_are_shown_to_the_distillator_as_peaks_of_about_one():
    model = lite()
    exact = model.codec.encode(torch.full((1, 14, 2), 41.5), torch.ones(1, 14)).heatmaps
    seen = model._as_gaussians((exact + 1e-9).log())
    # The target is cut off at three spreads, so a little mass is missing.
    torch.testing.assert_close(seen, exact, rtol=0.02, atol=1e-4)


# ---- a small network with two backbones, and the habits of the port -----------------------------


@cache
def small() -> Any:
    """Two light backbones in the places of the paper's."""
    torch.manual_seed(3)
    return build_model(
        "dkd:paper", crop_size=CROP, width=64, backbone="lite", initialiser="lite"
    ).eval()


def with_settings(model: Any, **changes: object) -> Any:
    """The same weights under other settings."""
    other = copy.copy(model)
    other.config = replace(model.config, **changes)
    return other


def test_a_window_runs_the_initialiser_on_its_first_frame_alone():
    model, frames, seen = small(), video(3), []
    hook = model.initialiser.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    with torch.no_grad():
        wanted = model.fuse(tuple(f[None] for f in model.encode(frames[0])))
        torch.testing.assert_close(model(frames).heatmaps, wanted.heatmaps, rtol=0, atol=1e-5)
    hook.remove()
    assert seen == [3, 1]


def test_kernels_are_divided_by_their_cells():
    model, frame = small(), video(1)[:, 0]
    with torch.no_grad():
        state = model.start(frame)
        plain = with_settings(model, kernel_scale=False).distilled(state)
        torch.testing.assert_close(plain, 49 * model.distilled(state))


def test_the_first_frames_raw_feature_is_carried_only_if_wanted():
    model, frame = small(), video(1)[:, 0]
    with torch.no_grad():
        feature = model.backbone(frame)
        raw = with_settings(model, carry_raw_first=True).start(frame).feature
        torch.testing.assert_close(raw, feature)
        projected = model.norm_project(model.project(feature))
        torch.testing.assert_close(model.start(frame).feature, projected)
    with pytest.raises(UsageError, match="width=64"):
        build_on_meta("dkd:lite", carry_raw_first=True, width=32)


def test_the_initialisers_maps_are_normalised_only_if_wanted():
    model, frame = copy.deepcopy(small()), video(1)[:, 0]
    model.head_norm.running_mean.fill_(1.0)
    normed = with_settings(model, bn_on_initial=True)
    with torch.no_grad():
        maps = model.initial_maps(frame)
        torch.testing.assert_close(model.start(frame).maps, maps)
        torch.testing.assert_close(normed.start(frame).maps, (maps - 1) / (1 + 1e-5) ** 0.5)


def test_one_batch_norm_can_serve_two_tensors():
    own, shared = build_on_meta("dkd:lite"), build_on_meta("dkd:lite", shared_bn=True)
    gone = set(own.state_dict()) - set(shared.state_dict())
    assert {name.partition(".")[0] for name in gone} == {"norm_reduce"}
    model, frame = copy.deepcopy(small()), video(1)[:, 0]
    model.norm_reduce.bias.data.fill_(torch.nan)
    with torch.no_grad():
        state = model.start(frame)
        assert torch.isnan(model.distilled(state)).all()
        assert torch.isfinite(with_settings(model, shared_bn=True).distilled(state)).all()


def build_on_meta(name: str, **changes: object) -> Any:
    with torch.device("meta"):
        return build_model(name, crop_size=CROP, **changes)


def test_weights_go_to_the_part_with_their_backbone():
    torch.manual_seed(5)
    model: Any = build_model("dkd:r18", crop_size=CROP, width=16, initialiser="lite")
    encoder, own = model.backbone, model.initialiser
    before = {k: v.clone() for k, v in model.state_dict().items()}

    def moved() -> set[str]:
        now = model.state_dict().items()
        return {k for k, v in now if v.is_floating_point() and not torch.equal(v, before[k])}

    def donor(part: Any, joints: int) -> dict[str, Tensor]:
        state = {f"backbone.{k}": v + 1 for k, v in part.state_dict().items()}
        head = {"head.weight": torch.ones(joints, 64, 1, 1), "head.bias": torch.ones(joints)}
        return {**state, **head}

    model.load_single_frame(donor(encoder, K))
    assert {name.partition(".")[0] for name in moved()} == {"backbone"}
    # Another number of joints: the 1×1 layer stays as it was.
    model.load_single_frame(donor(own.backbone, 17))
    assert "initialiser.head.weight" not in moved()
    model.load_single_frame(donor(own.backbone, K))
    assert own.head.bias.tolist() == [1.0] * K
    assert {n for n in before if "project" in n or "distil" in n}.isdisjoint(moved())
    with pytest.raises(WeightsError, match="neither"):
        model.load_single_frame(build_on_meta("simple_baseline:r50").state_dict())


def test_settings_that_contradict_each_other_are_refused():
    with pytest.raises(UsageError, match="at least two frames"):
        DKDConfig(frames=1)
    with pytest.raises(UsageError, match="twin"):
        DKDConfig(residual_head=True)


def test_the_papers_preset_is_its_table():
    model = paper()
    config = model.config
    assert (config.backbone, config.initialiser, config.frames) == ("resnet50", "resnet101", 5)
    assert model.codec.skeleton == PENN13
    assert (model.codec.map_size, model.codec.sigma) == ((64, 64), 2.0)
    assert model.needs.offsets == (-4, -3, -2, -1, 0)
    assert model.needs.lookahead == 0


# ---- the critic ---------------------------------------------------------------------------------


def test_the_critic_gives_the_change_back_in_its_own_size():
    critic = ChangeCritic(5, (8, 16, 32))
    out = critic(torch.randn(2, 3, 32, 24), torch.randn(2, 3, 32, 24), torch.randn(2, 5, 32, 24))
    assert out.shape == (2, 5, 32, 24)


def test_parameters_of_the_papers_critic():
    with torch.device("meta"):
        adversary = paper().phases()
    down = 9 * (19 * 64 + 64 * 128 + 128 * 256)
    up = 16 * (256 * 128 + 128 * 64 + 64 * 64)
    norms = 2 * (64 + 128 + 256 + 128 + 64 + 64)
    assert sum(p.numel() for p in adversary.parameters()) == down + up + norms + 64 * K + K
    assert adversary.lr == 1e-4
    assert with_settings(paper(), adversary=AdversaryConfig(enabled=False)).phases() is None

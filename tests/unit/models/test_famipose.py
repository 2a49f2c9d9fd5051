"""FAMI-Pose: cost of the paper's network, both objectives by hand, the lite start."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chronopose.errors import ShapeError, UsageError
from chronopose.models._base import PoseModel
from chronopose.models._find import build_model
from chronopose.models.famipose import PAPER_WEIGHTS, RELEASED_WEIGHTS, FAMIPose
from chronopose.nn.align import GlobalTranslation
from chronopose.nn.cost import count_macs
from chronopose.tensors import FAMIOutput, Target
from chronopose.zoo.convert import famipose as published

TINY = (64, 96)
LN2 = math.log(2)


def lite(**overrides: Any) -> FAMIPose:
    model = build_model("famipose", "lite", crop_size=TINY, **overrides)
    assert isinstance(model, FAMIPose)
    return model


def clips(model: PoseModel, count: int = 2) -> tuple[Tensor, Target]:
    width, height = model.needs.crop_size
    frames = torch.randn(count, len(model.needs.offsets), 3, height, width)
    joints = torch.rand(count, len(model.codec.skeleton), 2) * torch.tensor([width, height])
    return frames, model.codec.encode(joints, torch.ones(joints.shape[:2]))


def test_paper_network_has_the_size_and_the_work_of_the_specification() -> None:
    with torch.device("meta"):
        model = build_model("famipose", "hrnet_w48").eval()
    cost = count_macs(model, torch.empty(1, 5, 3, 384, 288, device="meta"))
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert cost.params / 1e6 == pytest.approx(64.66, rel=0.001)
    assert trained / 1e6 == pytest.approx(1.059, rel=0.001)
    assert cost.macs / 1e9 == pytest.approx(183.9, rel=0.005)


def test_lite_trains_two_hundred_thousand_numbers() -> None:
    with torch.device("meta"):
        model = build_model("famipose", "lite")
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert trained == pytest.approx(0.198e6, rel=0.01)


def test_untrained_lite_equals_its_single_frame_twin() -> None:
    twin = build_model("simple_baseline", "lite", crop_size=TINY).eval()
    nn.init.normal_(twin.head.weight)  # type: ignore[union-attr,arg-type]
    model = lite().eval()
    model.load_single_frame(twin.state_dict())
    frames, _ = clips(model)
    with torch.no_grad():
        want = twin(frames[:, 2:3]).heatmaps
        torch.testing.assert_close(model(frames).heatmaps, want, rtol=1e-5, atol=1e-5)


def test_kept_features_may_stand_in_for_the_backbone() -> None:
    model = lite(residual_head=False).eval()
    frames, _ = clips(model, 1)
    with torch.no_grad():
        want = model(frames).heatmaps
        features = model.backbone(frames.flatten(0, 1)).unflatten(0, (1, 5))
        model.backbone.forward_stages = lambda kept, stages: (kept,)  # type: ignore[method-assign,assignment,misc]
        torch.testing.assert_close(model(features).heatmaps, want)


def test_translation_by_whole_cells_is_exact_in_double_precision() -> None:
    warp = GlobalTranslation(4, (6, 8), bias=True).double().eval()
    warp.layers[-1].bias.data = torch.tensor([2.0, -1.0]).double()  # type: ignore[union-attr]
    feature = torch.randn(1, 4, 8, 6).double()
    want = torch.zeros_like(feature)
    want[:, :, :-1, 2:] = feature[:, :, 1:, :-2]  # two to the right, one up
    torch.testing.assert_close(warp(feature, feature), want, rtol=0, atol=1e-12)


FIELDS = FAMIOutput._fields
CELLS = (6, 5)
N = CELLS[0] * CELLS[1]


def output(scale: float = 0.1) -> FAMIOutput:
    """Random float64 leaves: two clips, four neighbours, 3 joints, 7 channels."""

    def leaf(name: str) -> Tensor:
        channels = 3 if "heatmaps" in name else 7
        lead = (2, 4) if "neighbour" in name else (2,)
        return (scale * torch.randn(*lead, channels, *CELLS).double()).requires_grad_()

    return FAMIOutput(*(leaf(name) for name in FIELDS))


def information(out: FAMIOutput, mode: str, **overrides: Any) -> dict[str, Tensor]:
    """Mutual-information terms of a model with a squared error: T = 0.05 for all maps."""
    model = lite(
        activation="gaussian", decoder="quarter", mi_mode=mode, mi_reduction="mean", **overrides
    )
    return model.criterion().information(out)


def weighed(terms: dict[str, Tensor], weights: dict[str, float]) -> Tensor:
    return sum((weights[k] * v for k, v in terms.items()), torch.zeros(()).double())


def reached(term: Tensor, out: FAMIOutput) -> set[str]:
    """Names of the fields that get a gradient other than exactly zero."""
    grads = torch.autograd.grad(term, list(out), allow_unused=True, retain_graph=True)  # type: ignore[arg-type]
    return {f for f, g in zip(FIELDS, grads, strict=True) if g is not None and bool((g != 0).any())}


def test_released_terms_are_a_divergence_fed_with_probabilities() -> None:
    out = output(scale=0.3)

    def p(x: Tensor) -> Tensor:
        return (x.flatten(-2) / 0.05).softmax(-1)

    def published_kl(detached: Tensor, live: Tensor) -> float:
        return F.kl_div(p(detached), p(live), reduction="sum").item() / live.numel()

    def repeated(x: Tensor) -> Tensor:
        return x[:, None].expand(-1, 4, -1, -1, -1)

    maps, fused, key, near, fused_maps, key_maps, near_maps = (
        t.detach() for t in out if t is not None
    )
    want = [
        published_kl(fused_maps, maps), published_kl(key, fused),
        published_kl(near_maps, repeated(maps)), published_kl(near, repeated(fused)),
        published_kl(key_maps, maps), published_kl(key, fused),
    ]  # fmt: skip
    got = information(out, "released")
    assert [v.item() for v in got.values()] == pytest.approx(want, rel=1e-12)
    a, b, c, d, e, f = want
    together = 0.5 * (-0.1 * a + 0.1 * b + c - d + e - f)
    assert weighed(got, RELEASED_WEIGHTS).item() == pytest.approx(together, rel=1e-12)


def test_released_terms_of_flat_maps_of_the_papers_size_are_one_number() -> None:
    # -(ln 6912 + 1 / 6912) / 6912, whatever is compared with what.
    flat = FAMIOutput(*(torch.zeros(1, *((4,) if "neigh" in f else ()), 2, 96, 72) for f in FIELDS))
    got = information(flat, "released")
    assert [v.item() for v in got.values()] == pytest.approx([-1.2791e-3] * 6, rel=1e-4)


def test_released_terms_of_sharp_maps_feel_whether_they_agree() -> None:
    # Entropy 0; <t, s> is 1 for the same cell and 0 for another one.
    def lit(cell: int, *lead: int) -> Tensor:
        maps = torch.zeros(*lead, N)
        maps[..., cell] = 10.0
        return maps.unflatten(-1, CELLS)

    out = FAMIOutput(
        lit(3, 1, 2), lit(3, 1, 2), lit(3, 1, 2), lit(4, 1, 4, 2), lit(3, 1, 2), lit(4, 1, 2),
        lit(3, 1, 4, 2),
    )  # fmt: skip
    got = [v.item() * N for v in information(out, "released").values()]
    assert got == pytest.approx([-1, -1, -1, 0, 0, -1], abs=1e-5)


def test_released_terms_flatten_the_heatmaps() -> None:
    # The gradient is that of -0.95 H / N: going down it raises the entropy H.
    out = output()
    p = (out.heatmaps.flatten(2) / 0.05).log_softmax(-1)
    entropy = -(p.exp() * p).sum(-1).mean() / N
    want = torch.autograd.grad(-0.95 * entropy, out.heatmaps)[0].flatten()
    total = weighed(information(out, "released"), RELEASED_WEIGHTS)
    got = torch.autograd.grad(total, out.heatmaps)[0].flatten()
    assert F.cosine_similarity(got, want, dim=0).item() > 0.99
    assert (got.norm() / want.norm()).item() == pytest.approx(1.0, abs=0.1)


def test_paper_terms_are_ln_2_where_all_agree_and_nothing_is_lost() -> None:
    maps, feature = torch.randn(2, 3, *CELLS).double(), torch.randn(2, 7, *CELLS).double()
    near = feature[:, None].expand(-1, 4, -1, -1, -1)
    near_maps = maps[:, None].expand(-1, 4, -1, -1, -1)
    out = FAMIOutput(maps, feature, feature, near, maps, maps, near_maps)
    got = {k: v.item() * N for k, v in information(out, "paper").items()}
    assert list(got) == list(PAPER_WEIGHTS)
    assert list(got.values()) == pytest.approx([LN2, LN2, 0, 0], abs=1e-12)


def test_lost_information_is_the_divergence_from_the_single_frames() -> None:
    # A heatmap (1/4, 3/4) against a single frame's (1/2, 1/2): KL = ln 2 / 2 + ln(2/3) / 2.
    answer = torch.tensor([1.0, 3.0]).log().view(1, 1, 1, 2) * 0.05
    level = torch.zeros(1, 1, 1, 2)
    near = torch.zeros(1, 2, 1, 1, 2)
    out = FAMIOutput(answer, level, level, near, level, level, near)
    got = information(out, "paper")
    want = 0.5 * (math.log(2) + math.log(2 / 3)) / 2
    assert got["mi_key_lost"].item() == pytest.approx(want, rel=1e-5)
    assert got["mi_neighbours_lost"].item() == pytest.approx(want, rel=1e-5)


@pytest.mark.parametrize(
    ("mode", "live"),
    [
        ("released", {"mi_label_fused": "heatmaps", "mi_label_key": "heatmaps",
                      "mi_label_neighbours": "heatmaps", "mi_key_fused": "fused",
                      "mi_key_fused_again": "fused", "mi_neighbours_fused": "fused"}),
        ("paper", {"mi_label_fused": "fused_heatmaps", "mi_key_fused": "fused",
                   "mi_neighbours_lost": "heatmaps", "mi_key_lost": "heatmaps"}),
    ],
)  # fmt: skip
def test_each_term_teaches_one_side(mode: str, live: dict[str, str]) -> None:
    out = output()
    terms = information(out, mode)
    assert {name: reached(term, out) for name, term in terms.items()} == {
        name: {field} for name, field in live.items()
    }


def test_softmax_maps_are_read_at_temperature_one() -> None:
    assert lite().config.label_temperature == 1.0
    assert lite(activation="gaussian", decoder="quarter").config.label_temperature == 0.05
    assert lite(mi_label_temperature=0.5).config.label_temperature == 0.5


def test_weights_are_the_published_ones_times_alpha() -> None:
    model = lite(mi_mode="released", mi_alpha=0.5)
    half = {name: 0.5 * weight for name, weight in RELEASED_WEIGHTS.items()}
    assert model.weights_of_terms() == pytest.approx(half)
    assert lite(mi_mode="none").weights_of_terms() == {}


@pytest.mark.parametrize("mode", ["paper", "released", "none"])
def test_every_temporal_part_learns(mode: str) -> None:
    model = lite(mi_mode=mode, residual_head=False)
    nn.init.normal_(model.single_frame_head.weight)  # type: ignore[arg-type]
    frames, target = clips(model)
    terms = model.criterion()(model(frames), target)
    assert set(terms) == {"heatmap", *model.weights_of_terms()}
    sum(terms.values(), torch.zeros(())).backward()
    taught = {k.split(".")[0] for k, p in model.named_parameters() if p.grad is not None}
    assert taught == {"temporal", "head"}
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_outputs_carry_features_while_training_only() -> None:
    model = lite()
    frames, target = clips(model)
    full = model(frames)
    assert full.neighbours.shape == (2, 4, 64, 24, 16)
    assert full.neighbour_heatmaps.shape == (2, 4, 14, 24, 16)
    quiet = model.eval()(frames)
    assert [name for name, field in quiet._asdict().items() if field is not None] == ["heatmaps"]
    assert set(model.criterion()(quiet, target)) == {"heatmap"}


def test_neighbours_are_the_frames_around_the_key_frame() -> None:
    model = lite(num_frames=3)
    assert model.needs.offsets == (-1, 0, 1)
    features = torch.randn(2, 3, 64, 24, 16)
    out = model.fuse((features,))
    assert out.key is not None and out.neighbours is not None
    assert torch.equal(out.key, features[:, 1])
    assert torch.equal(out.neighbours, features[:, ::2])


def test_frozen_backbone_stays_as_it_is_through_a_training_step() -> None:
    model = lite()
    before = {k: v.clone() for k, v in model.backbone.state_dict().items()}
    frames, target = clips(model)
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    sum(model.criterion()(model(frames), target).values(), torch.zeros(())).backward()
    optimiser.step()
    assert all(torch.equal(before[k], v) for k, v in model.backbone.state_dict().items())


def test_window_of_another_length_is_refused() -> None:
    with pytest.raises(ShapeError, match="5 frames; got 3"):
        lite().fuse((torch.randn(1, 3, 64, 24, 16),))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"num_frames": 4}, "odd and at least 3"),
        ({"mi_mode": "vsd"}, "paper, released or none"),
        ({"mi_reduction": "sum"}, "mean or batch"),
        ({"mi_temperature": 0.0}, "must be positive"),
    ],
)
def test_settings_that_cannot_work_say_why(overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        lite(**overrides)


NAMES = {
    "hrnet.transition1.0.0.weight": "backbone.transition1.0.0.weight",
    "hrnet.layer1.0.downsample.0.weight": "backbone.layer1.0.downsample.0.weight",
    "feat_global_offset_layers.0.layers.0.downsample.0.weight":
        "temporal.warp.layers.0.shortcut.0.weight",
    "feat_global_offset_layers.5.conv.bias": "temporal.warp.layers.5.0.bias",
    "feat_global_offset_layers.1.bn.running_mean": "temporal.warp.layers.1.1.running_mean",
    "feat_global_offset_layers.9.weight": "temporal.warp.layers.9.weight",
    "sup_agg_block.layers.1.bn2.weight": "temporal.neighbours.1.bn2.weight",
    "combined_feat_layers.layers.0.conv1.weight": "temporal.combine.0.conv1.weight",
    "init_feature_agg_block.layers.2.conv2.weight": "temporal.join.2.conv2.weight",
    "dcn_offset_1.conv.weight": "temporal.offset.0.weight",
    "dcn_mask_4.conv.bias": "temporal.mask.3.bias",
    "dcn_3.bias": "temporal.dcn.2.bias",
    "agg_final_layer.weight": "head.weight",
}  # fmt: skip


def test_published_names_become_ours() -> None:
    with torch.device("meta"):
        own = build_model("famipose", "hrnet_w48").state_dict()
    got = FAMIPose.from_official_keys({f"module.{k}": own[v] for k, v in NAMES.items()})
    assert list(got) == list(NAMES.values())


def test_published_state_is_recognised_by_its_keys() -> None:
    marks = {
        "hrnet.final_layer.weight": torch.empty(17, 48, 1, 1),
        "agg_final_layer.weight": torch.empty(17, 48, 3, 3),
        "feat_global_offset_layers.9.weight": torch.empty(2, 64),
        "dcn_4.weight": torch.empty(48, 48, 3, 3),
        "sup_agg_block.layers.0.conv1.weight": torch.empty(48, 192, 3, 3),
    }
    assert published.recognises(marks)
    assert published.preset_of(marks) in FAMIPose.PRESETS
    assert published.joints_of(marks) == 17
    for missing in marks:
        assert not published.recognises({k: v for k, v in marks.items() if k != missing})

"""TDMI: cost of the paper's network, every switch of its ablations, freezing, the lite start."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from chronopose.errors import ShapeError, UsageError, WeightsError
from chronopose.losses.mutual_information import TERMS
from chronopose.models._base import PoseModel
from chronopose.models._find import build_model
from chronopose.models.tdmi import TDMI
from chronopose.nn.cost import count_macs, trace_shapes
from chronopose.tensors import Target

TINY = (64, 96)


def lite(preset: str = "lite", **overrides: Any) -> TDMI:
    model = build_model("tdmi", preset, crop_size=TINY, **overrides)
    assert isinstance(model, TDMI)
    return model


def clips(model: PoseModel, count: int = 2) -> tuple[Tensor, Target]:
    width, height = model.needs.crop_size
    frames = torch.randn(count, len(model.needs.offsets), 3, height, width)
    joints = torch.rand(count, len(model.codec.skeleton), 2) * torch.tensor([width, height])
    return frames, model.codec.encode(joints, torch.ones(joints.shape[:2]))


def on_meta(preset: str) -> TDMI:
    with torch.device("meta"):
        model = build_model("tdmi", preset).eval()
    assert isinstance(model, TDMI)
    return model


def params_m(module: torch.nn.Module) -> float:
    return sum(p.numel() for p in module.parameters()) / 1e6


def test_paper_network_has_the_parameters_of_the_specification() -> None:
    model = on_meta("hrnet_w48")
    tde = model.tde
    got = {
        "backbone": params_m(model.backbone),
        "tde": params_m(tde),
        "intra": params_m(tde.intra),
        "offset": params_m(tde.offset),
        "mask": params_m(tde.mask),
        "dcn": params_m(tde.dcn),
        "accumulation": params_m(tde.acc),
        "rdm, fusion and head": params_m(model.rdm) + params_m(model.head),
        "all": params_m(model),
    }
    assert got == pytest.approx(
        {
            "backbone": 63.596,
            "tde": 2.266,
            "intra": 1.102,
            "offset": 0.550,
            "mask": 0.363,
            "dcn": 0.083,
            "accumulation": 0.167,
            "rdm, fusion and head": 0.160,
            "all": 66.02,
        },
        rel=0.01,
    )


def test_paper_network_has_the_multiply_adds_of_the_specification() -> None:
    model = on_meta("hrnet_w48")
    frames = torch.empty(1, 5, 3, 384, 288, device="meta")
    one = count_macs(model, frames[:, 0], method="encode").macs / 1e9
    whole = count_macs(model, frames).macs / 1e9
    assert one == pytest.approx(35.30, rel=0.02)
    assert whole == pytest.approx(193, rel=0.02)
    assert whole - 5 * one == pytest.approx(16.7, rel=0.02)


def test_lite_spends_little_on_time() -> None:
    model = on_meta("lite")
    features = trace_shapes(model, torch.empty(5, 3, 256, 192, device="meta"), method="encode")
    window = type(features)(*(f[None] for f in features))
    assert count_macs(model, window, method="fuse").macs < 0.45e9
    assert params_m(model) - params_m(model.backbone) < 1.0


def test_state_dict_carries_the_documented_names() -> None:
    with torch.device("meta"):
        keys = build_model("tdmi", "hrnet_w48").state_dict().keys()
    for part in ("tde.intra.1", "tde.offset.2", "tde.mask.3", "tde.dcn.4", "tde.acc.1"):
        assert any(k.startswith(part + ".") for k in keys), part
    for part in ("backbone.final_layer", "rdm.mlp_u", "rdm.mlp_n", "rdm.fuse", "head"):
        assert any(k.startswith(part + ".") for k in keys), part


@pytest.mark.parametrize("preset", ["lite", "lite_st"])
def test_untrained_lite_equals_its_single_frame_twin(preset: str) -> None:
    twin = build_model("simple_baseline", "lite", crop_size=TINY).eval()
    torch.nn.init.normal_(twin.head.weight)  # type: ignore[union-attr,arg-type]
    model = lite(preset).eval()
    model.load_single_frame(twin.state_dict())
    frames, _ = clips(model)
    with torch.no_grad():
        want = twin(frames[:, 2:3]).heatmaps
        torch.testing.assert_close(model(frames).heatmaps, want, rtol=1e-5, atol=1e-5)


def test_weights_of_another_network_are_refused() -> None:
    other = build_model("simple_baseline", "lite", crop_size=TINY, skeleton="coco17")
    with pytest.raises(WeightsError, match="single-frame twin of lite"):
        lite().load_single_frame(other.state_dict())


def test_hrnet_twin_shares_the_keys_of_the_backbone() -> None:
    with torch.device("meta"):
        twin = build_model("hrnet", "w32", skeleton="posetrack17slot").state_dict()
        model = build_model("tdmi", "hrnet_w32").state_dict()
    assert twin.keys() == {k for k in model if k.startswith("backbone.")}


def test_clip_of_repeated_frames_is_harmless() -> None:
    model = lite().eval()
    torch.nn.init.normal_(model.head.weight)
    frame = torch.randn(1, 1, 3, 96, 64).expand(-1, 5, -1, -1, -1)
    with torch.no_grad():
        assert torch.isfinite(model(frame).heatmaps).all()


@pytest.mark.parametrize(
    ("overrides", "fields"),
    [
        ({}, ("stage1", "stage2", "stage3", "stage4", "visual")),
        ({"tde.reduce": None}, ("stage1", "stage2", "stage3", "stage4")),
        ({"tde.reduce": None, "tde.stages": (4,)}, ("stage4",)),
        ({"tde.reduce": None, "tde.stages": (1, 2)}, ("stage1", "stage2", "stage4")),
    ],
)
def test_encode_keeps_what_fuse_needs_and_nothing_more(
    overrides: dict[str, Any], fields: tuple[str, ...]
) -> None:
    features = lite(**overrides).eval().encode(torch.randn(3, 3, 96, 64))
    assert features._fields == fields  # type: ignore[attr-defined]
    assert {f.shape[0] for f in features} == {3}


SWITCHES: dict[str, dict[str, Any]] = {
    "last stage only": {"tde.stages": (4,)},
    "concatenation": {"tde.fuse": "concat"},
    "no modulation": {"tde.modulation": "none"},
    "differences to the key frame": {"tde.differences": "to_key"},
    "dilated raw masks": {"tde.dcn.dilation": 3, "tde.dcn.mask_act": "raw", "tde.dcn.groups": 4},
    "no projection": {"tde.reduce": None, "tde.width": None},
    "no disentanglement": {"rdm.enabled": False},
    "channel split": {"rdm.factor": "split"},
    "other reduction": {"rdm.r": 8, "rdm.blocks": 3},
    "no mutual information": {"mi.mode": "none"},
    "standardised": {"mi.standardise": True, "mi.reduction": "mean"},
    "literal": {"mi.mode": "literal", "tde.width": 64, "rdm.width": 64},
    "spatiotemporal, stacked": {"st.mode": "concat"},
    "spatiotemporal, warped": {"st.mode": "fami_align", "st.width": 16, "st.global_warp": True},
    "three frames": {"num_frames": 3},
    "plain head": {"residual_head": False},
    "squared error": {"activation": "gaussian", "decoder": "quarter"},
}


@pytest.mark.parametrize("name", SWITCHES)
def test_every_switch_trains_the_temporal_part(name: str) -> None:
    model = lite(**SWITCHES[name])
    torch.nn.init.normal_(model.head.weight, std=0.01)  # past the start at zero
    frames, target = clips(model)
    terms = model.criterion()(model(frames), target)
    sum(terms.values(), torch.zeros(())).backward()
    silent = {"probe"} if model.config.mi.mode == "none" or not model.config.rdm.enabled else set()
    if name == "no mutual information":
        silent |= {"rdm"}  # nothing reads the noise branch
    if name == "literal":
        silent |= {"probe"}  # labels come from the single-frame layer
    for key, p in model.named_parameters():
        if p.requires_grad and key.split(".")[0] not in silent:
            assert p.grad is not None, key
            assert torch.isfinite(p.grad).all(), key


@pytest.mark.parametrize(
    ("overrides", "names"),
    [
        ({}, {"heatmap", "probe", *TERMS}),
        ({"mi.mode": "none"}, {"heatmap"}),
        ({"rdm.enabled": False}, {"heatmap"}),
    ],
)
def test_criterion_names_its_terms(overrides: dict[str, Any], names: set[str]) -> None:
    model = lite(**overrides)
    frames, target = clips(model)
    assert set(model.criterion()(model(frames), target)) == names


def test_alpha_weighs_the_information_terms_alone() -> None:
    assert lite(**{"mi.alpha": 0.25}).weights_of_terms() == dict.fromkeys(TERMS, 0.25)


def test_outputs_carry_features_while_training_only() -> None:
    model = lite()
    frames, target = clips(model)
    assert all(field is not None for field in model(frames))
    quiet = model.eval()(frames)
    assert [name for name, field in quiet._asdict().items() if field is not None] == ["heatmaps"]
    assert set(model.criterion()(quiet, target)) == {"heatmap"}


def test_frozen_backbone_stays_as_it_is_through_a_training_step() -> None:
    model = lite()
    before = {k: v.clone() for k, v in model.backbone.state_dict().items()}
    frames, target = clips(model)
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    sum(model.criterion()(model(frames), target).values(), torch.zeros(())).backward()
    optimiser.step()
    assert all(torch.equal(before[k], v) for k, v in model.backbone.state_dict().items())


def test_batch_norm_of_a_frozen_backbone_drifts_if_asked_to() -> None:
    model = lite(bn_eval=False)
    before = model.backbone.body.bn1.running_mean.clone()  # type: ignore[union-attr,operator]
    model(clips(model)[0])
    assert not torch.equal(before, model.backbone.body.bn1.running_mean)  # type: ignore[union-attr,arg-type]


def test_thawed_backbone_learns_but_the_single_frame_layer_does_not() -> None:
    model = lite(freeze_backbone=False)
    frames, target = clips(model)
    sum(model.criterion()(model(frames), target).values(), torch.zeros(())).backward()
    assert model.backbone.body.conv1.weight.grad is not None  # type: ignore[union-attr]
    assert model.visual_head.weight.grad is None


def test_the_probe_trains_nothing_but_itself() -> None:
    model = lite(freeze_backbone=False)
    frames, target = clips(model)
    model.criterion()(model(frames), target)["probe"].backward()
    assert {k for k, p in model.named_parameters() if p.grad is not None} == {
        "probe.weight", "probe.bias"
    }  # fmt: skip


def test_squared_error_of_a_gaussian_model_is_that_of_the_family() -> None:
    model = lite(activation="gaussian", decoder="quarter", **{"mi.mode": "none"})
    frames, target = clips(model)
    out = model(frames)
    want = ((out.heatmaps - target.heatmaps) * target.weight[..., None, None]).square().mean()
    torch.testing.assert_close(model.criterion()(out, target)["heatmap"], want)


def test_window_of_another_length_is_refused() -> None:
    with pytest.raises(ShapeError, match="5 frames; got 3"):
        lite().eval()(torch.randn(1, 3, 3, 96, 64))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"num_frames": 4}, "odd and at least 3"),
        ({"num_frames": 1}, "odd and at least 3"),
        ({"tde.stages": (2, 1)}, "rising numbers"),
        ({"tde.stages": ()}, "rising numbers"),
        ({"mi.mode": "literal"}, "16, 32 and 64"),
        ({"tde.dcn.group": 3}, "Did you mean 'groups'"),
    ],
)
def test_settings_that_cannot_work_say_why(overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        lite(**overrides)


def test_paper_configuration_trains_only_its_temporal_part() -> None:
    model = TDMI(replace(TDMI.PRESETS["hrnet_w32"], crop_size=(64, 64)))
    frames, target = clips(model)
    sum(model.criterion()(model(frames), target).values(), torch.zeros(())).backward()
    taught = {k.split(".")[0] for k, p in model.named_parameters() if p.grad is not None}
    assert taught == {"tde", "rdm", "head", "probe"}
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)

"""PAVE-Net: shapes, cost, training, streaming, and frames without people or full of them."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor

from chronopose.core.skeletons import get_skeleton
from chronopose.errors import ShapeError, UsageError
from chronopose.models._base import stack_windows
from chronopose.models._find import SCENES, build_scene_model, list_models
from chronopose.models._scene import SceneModel
from chronopose.models.pavenet import PAVENet
from chronopose.nn.cost import count_macs, trace_shapes
from chronopose.tensors.scene import SceneOutput, SceneTarget

HEIGHT, WIDTH = 96, 128
JOINTS = 14


@cache
def built(frames: int = 3) -> SceneModel:
    """A lite model in which nothing is at a starting value of zero."""
    torch.manual_seed(1)
    model = build_scene_model("pavenet:lite", num_frames=frames)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.abs().max() == 0:
                parameter.normal_(std=0.1)
    return model


def windows(count: int, frames: int = 3) -> Tensor:
    return torch.randn(count, frames, 3, HEIGHT, WIDTH)


def people(*counts: int, seed: int = 0) -> SceneTarget:
    """Upright people anywhere in the frame, one number a clip."""
    draw = torch.Generator().manual_seed(seed)
    most = max(*counts, 1)
    centre = torch.rand(len(counts), most, 1, 2, generator=draw) * torch.tensor([100.0, 60.0]) + 14
    spread = torch.randn(len(counts), most, JOINTS, 2, generator=draw) * torch.tensor([5.0, 9.0])
    seen = torch.rand(len(counts), most, JOINTS, generator=draw) > 0.2
    area = torch.full((len(counts), most), 30.0 * 50.0)
    return SceneTarget(centre + spread, seen, area, torch.tensor(counts))


def loss_of(model: SceneModel, frames: Tensor, target: SceneTarget) -> Tensor:
    terms = model.criterion()(model(frames), target)
    weights = model.weights_of_terms()
    return sum((weights.get(k, 1.0) * v for k, v in terms.items()), torch.zeros(()))


def assert_same(a: SceneOutput, b: SceneOutput, tolerance: float = 1e-4) -> None:
    for name in ("joints", "scores", "joint_scores"):
        torch.testing.assert_close(getattr(a, name), getattr(b, name), rtol=0, atol=tolerance)


def assert_sound(out: SceneOutput) -> None:
    assert all(torch.isfinite(x).all() for x in (out.joints, out.scores, out.joint_scores))
    assert (out.scores.diff(dim=1) <= 0).all() and out.joint_scores.max() <= 1


def test_it_is_offered_apart_from_the_models_of_crops() -> None:
    assert "pavenet" not in list_models()
    assert list_models(SCENES) == {"pavenet": ("r50", "hrnet_w48", "swin_large", "lite")}


@pytest.mark.parametrize("preset", ["r50", "hrnet_w48", "swin_large", "lite"])
def test_every_preset_gives_poses_of_its_skeleton(preset: str) -> None:
    with torch.device("meta"):
        model: Any = build_scene_model("pavenet", preset).eval()
    out = trace_shapes(model, torch.empty(1, 3, 3, 224, 320))
    joints = len(get_skeleton(model.config.skeleton))
    assert out.joints.shape == (1, model.config.people, joints, 2)
    assert out.joint_scores.shape == out.joints.shape[:3]
    assert model.needs.offsets == (-1, 0, 1) and model.needs.whole_frame


@pytest.mark.parametrize(("height", "width", "published"), [(256, 320, 66.8), (448, 800, 269.8)])
def test_cost_of_the_paper_model_is_the_published_one_less_what_is_not_repeated(
    height: int, width: int, published: float
) -> None:
    with torch.device("meta"):
        model = build_scene_model("pavenet:r50").eval()
    cost = count_macs(model, torch.empty(1, 3, 3, height, width))
    dead = 15 * 257 + 2 * (2 * 256 * 257 + 2 * 257)
    assert cost.params + dead == 50_951_151
    tokens = sum(-(-height // s) * -(-width // s) for s in (8, 16, 32, 64))
    place, joint_place = 256 * 512 + 2 * 512 * 512 + 512 * 30, 2 * 256 * 256 + 256 * 2
    spread = 2 * 256 * 256 + 256 * 30
    more = 19 * 2 * 3 * tokens * 256 * 256  # values projected for each of 20 people, two layers
    more += (tokens - 300) * (place + spread)  # tokens that no query grows from get a pose
    more += 3 * 3 * 300 * place  # poses of all layers and frames computed twice
    more += 2 * 300 * joint_place  # neighbours' joints corrected after the last layer
    assert (cost.macs + more) / 1e9 == pytest.approx(published, rel=0.002)


@pytest.mark.parametrize(
    ("preset", "height", "width"), [("r50", 448, 800), ("lite", 256, 320), ("lite", 384, 640)]
)
def test_a_streamed_frame_costs_at_most_two_fifths(preset: str, height: int, width: int) -> None:
    with torch.device("meta"):
        model = build_scene_model("pavenet", preset).eval()
    one = count_macs(model, torch.empty(1, 3, height, width), method="encode").macs
    window = count_macs(model, torch.empty(1, 3, 3, height, width)).macs
    assert (window - 2 * one) / window <= 0.4


@pytest.mark.parametrize("frames", [1, 3, 5])
def test_streaming_encodes_each_frame_once_and_gives_the_same(frames: int) -> None:
    model = built(frames).eval()
    video = torch.randn(frames + 2, 3, HEIGHT, WIDTH)
    with torch.no_grad():
        kept = []
        for frame in video:
            features = model.encode(frame[None])
            kept.append(features._make([f[0] for f in features]))  # type: ignore[attr-defined]
        streamed = model.fuse(stack_windows([kept[s : s + frames] for s in range(3)]))
        whole = model(torch.stack([video[s : s + frames] for s in range(3)]))
    assert_same(streamed, whole)


def test_neighbouring_frames_count_and_their_order_too() -> None:
    model, clip = built().eval(), windows(1)
    with torch.no_grad():
        there, back = model(clip), model(clip.flip(1))
    assert (there.joints - back.joints).abs().max() > 0.1


def test_one_clip_gives_the_same_alone_and_in_a_batch() -> None:
    model, clips = built().eval(), windows(2)
    with torch.no_grad():
        together, alone = model(clips), [model(clip[None]) for clip in clips]
    for i, one in enumerate(alone):
        assert_same(one, SceneOutput(*(x[i : i + 1] for x in together[:3])))


def test_nothing_depends_on_what_the_maps_hold_in_the_padding() -> None:
    model: Any = built().eval()
    clip, valid = windows(1), torch.tensor([[[100, 70]] * 3])

    def spoil(_: object, __: object, maps: tuple[Tensor, ...]) -> list[Tensor]:
        spoilt = [m.clone() for m in maps]
        for m, stride in zip(spoilt, (8, 16, 32, 64), strict=True):
            m[..., -(-70 // stride) :, :] = 50.0
            m[..., -(-100 // stride) :] = -50.0
        return spoilt

    with torch.no_grad():
        clean = model(clip, valid)
        hook = model.neck.register_forward_hook(spoil)
        dirty = model(clip, valid)
        hook.remove()
    assert_same(clean, dirty, 0.0)
    assert (clean.joints[..., 0] <= 100).all() and (clean.joints[..., 1] <= 70).all()


def test_loss_falls_on_four_clips() -> None:
    torch.manual_seed(0)
    model = build_scene_model("pavenet:lite")
    target = people(1, 2, 3, 0)
    frames = 0.1 * windows(4)
    for clip, joints, count in zip(frames, target.joints, target.people.tolist(), strict=True):
        for x, y in joints[:count].flatten(0, 1).round().long().clamp(min=2).tolist():
            clip[:, :, y - 2 : y + 2, x - 2 : x + 2] = 2.0
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-4)
    losses = []
    for _ in range(6):
        loss = loss_of(model, frames, target)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.3


@pytest.mark.parametrize("counts", [(0, 0), (0, 3), (30, 1), (70, 0)])
def test_backward_is_finite_whoever_is_there(counts: tuple[int, int]) -> None:
    model = built().train()
    model.zero_grad()
    loss = loss_of(model, windows(2), people(*counts))
    loss.backward()
    assert torch.isfinite(loss)
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    assert grads and all(torch.isfinite(g).all() for g in grads)


def test_every_part_learns_when_there_are_people() -> None:
    model = built().train()
    model.zero_grad()
    loss_of(model, windows(2), people(2, 3)).backward()
    still = [n for n, p in model.named_parameters() if p.grad is None or p.grad.abs().max() == 0]
    # Where the last layer of the pose decoder puts the neighbours' joints is taken as it is.
    assert still and all(name.startswith(("pose.1.0.", "pose.1.2.")) for name in still)


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_an_empty_frame_is_answered(value: float) -> None:
    with torch.no_grad():
        assert_sound(built().eval()(torch.full((1, 3, 3, HEIGHT, WIDTH), value)))


def test_a_person_entering_at_the_last_frame_is_answered() -> None:
    clip = torch.zeros(1, 3, 3, HEIGHT, WIDTH)
    clip[:, 2, :, 20:90, :20] = 2.0
    with torch.no_grad():
        assert_sound(built().eval()(clip))


def test_frames_smaller_than_the_queries_ask_for_are_answered() -> None:
    with torch.no_grad():
        out = built().eval()(torch.randn(1, 3, 3, 32, 64), torch.tensor([[[40, 20]] * 3]))
    assert_sound(out)
    assert out.joints.shape[1] == 40


def test_saved_weights_give_the_same_output() -> None:
    model, clip = built().eval(), windows(1)
    again = build_scene_model("pavenet:lite").eval()
    again.load_state_dict(load(save(model.state_dict())))
    with torch.no_grad():
        assert_same(model(clip), again(clip), 0.0)


def test_a_window_of_another_length_is_refused() -> None:
    with pytest.raises(ShapeError, match="windows of 3 frames; got 2"):
        built().eval()(windows(1, 2))


def test_an_even_window_is_refused() -> None:
    with pytest.raises(UsageError, match="must be odd"):
        build_scene_model("pavenet:lite", num_frames=2)


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(UsageError, match="pavenet"):
        build_scene_model("pavement:lite")
    with pytest.raises(UsageError, match="swin_large"):
        build_scene_model("pavenet:r51")


def published_names() -> list[str]:
    """The names of the published state dict, from our notes of its layout."""
    heads, trunk = "bbox_head.", "bbox_head.transformer."
    body = build_scene_model("pavenet:r50").state_dict()
    names = [k.replace("backbone.body.", "backbone.") for k in body if k.startswith("backbone.")]
    layers: list[str] = [f"neck.{c}" for c in ("convs.0", "convs.1", "convs.2", "extra_convs.0")]
    names += [f"{layer}.conv.weight" for layer in layers]
    names += [f"{trunk}level_embeds", f"{heads}query_embedding.weight"]
    names += [f"{trunk}refine_query_embedding.weight"]
    pairs = [f"{layer}.gn" for layer in layers] + [f"{heads}fc_hm"]
    pairs += [f"{trunk}enc_output", f"{trunk}enc_output_norm"]
    frames = ("pre_", "", "next_")
    for i in range(6):
        layer = f"{trunk}encoder.layers.{i}."
        own = ("sampling_offsets", "attention_weights", "value_proj", "output_proj")
        pairs += [f"{layer}attentions.0.{part}" for part in own]
        pairs += [
            f"{layer}{p}" for p in ("ffns.0.layers.0.0", "ffns.0.layers.1", "norms.0", "norms.1")
        ]
    for decoder, count in (("decoder", 3), ("refine_decoder", 2)):
        for i in range(count):
            layer = f"{trunk}{decoder}.layers.{i}."
            names += [f"{layer}attentions.0.attn.in_proj_{x}" for x in ("weight", "bias")]
            pairs += [f"{layer}attentions.0.attn.out_proj"]
            parts = [f"{f}{p}" for f in frames for p in ("sampling_offsets", "attention_weights")]
            pairs += [f"{layer}attentions.1.{p}" for p in (*parts, "value_proj", "output_proj")]
            pairs += [f"{layer}ffns.0.layers.{p}" for p in ("0.0", "1")]
            pairs += [f"{layer}norms.{j}" for j in range(3)]
    pairs += [f"{heads}cls_branches.{i}" for i in range(4)]
    for name, count, steps in (
        ("kpt_branches", 4, (0, 2, 4, 6)), ("pre_kpt_branches", 3, (0, 2, 4, 6)),
        ("next_kpt_branches", 3, (0, 2, 4, 6)), ("refine_kpt_branches", 2, (0, 2, 4)),
        ("pre_refine_kpt_branches", 2, (0, 2, 4)), ("next_refine_kpt_branches", 2, (0, 2, 4)),
        ("dec_fc_sigma_branches", 4, ("0", "1", "2.linear")),
        ("refine_fc_sigma_branches", 2, ("0", "1", "2.linear")),
    ):  # fmt: skip
        pairs += [f"{heads}{name}.{i}.{step}" for i in range(count) for step in steps]
    for flow in ("enc_flow", "dec_flow", "flow"):
        names.append(f"{heads}{flow}.mask")
        pairs += [f"{heads}{flow}.{n}.{i}.{j}" for n in "ts" for i in range(6) for j in (0, 2, 4)]
    return names + [f"{pair}.{kind}" for pair in pairs for kind in ("weight", "bias")]


def test_every_published_name_has_a_place_here_and_every_place_a_name() -> None:
    with torch.device("meta"):
        names, model = published_names(), build_scene_model("pavenet:r50")
        renamed: Any = type(model).from_official_keys(  # type: ignore[attr-defined]
            {name: torch.zeros(()) for name in names}
        )
    assert len(names) == len(set(names)) == 964
    assert renamed.keys() == model.state_dict().keys()


def test_the_next_frames_offset_bias_of_the_joint_decoder_counts_for_all_frames() -> None:
    start = "bbox_head.transformer.refine_decoder.layers.1.attentions.1."
    state = {
        f"{start}{f}sampling_offsets.bias": torch.tensor(i)
        for i, f in enumerate(("pre_", "", "next_"))
    }
    renamed = PAVENet.from_official_keys(state)
    assert {k: v.item() for k, v in renamed.items()} == {
        f"joint_decoder.1.attention.offsets.{frame}.bias": 2 for frame in range(3)
    }

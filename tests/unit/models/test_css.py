"""CSS: what goes where in the latent, the window, the mask, and which terms train what."""

from __future__ import annotations

import math

import pytest
import torch

from chronopose.errors import ShapeError, UsageError
from chronopose.models._find import build_representation
from chronopose.models.css import CSS, CSSCriterion, Objective
from chronopose.nn.subject_window import (
    SubjectFinder,
    look_at_place,
    paste,
    place_prior,
    soft_window,
)
from chronopose.tensors.representation import Moments, MomentsOutput, Split

TINY = {
    "crop_size": (32, 32), "widths": (8, 8, 16, 16), "map_channels": 8, "decoder_widths": (8, 8, 8),
    "variant": 6, "invariant": 4,
}  # fmt: skip


def tiny(**changes: object) -> CSS:
    torch.manual_seed(0)
    model = build_representation("css", "lite", **{**TINY, **changes})
    assert isinstance(model, CSS)
    return model


def moments(frames: torch.Tensor, partner: list[int] | None = None, **more: object) -> Moments:
    batch, count = frames.shape[:2]
    delta = torch.tensor([0.0, 1.2, 0.5, 0.1])[:count].expand(batch, -1)
    chosen = torch.tensor(partner or list(range(count))).expand(batch, -1)
    return Moments(frames, delta, chosen, torch.arange(batch), **more)  # type: ignore[arg-type]


def test_the_window_is_one_in_the_middle_and_zero_at_the_border():
    window = soft_window(65, 65)
    assert window[32, 32] == pytest.approx(1, abs=1e-5)
    assert window[0].max() < 0.02
    assert window[0, 0] == 0
    x = 2 * 51.5 / 65 - 1  # centre of column 51; the middle row has y = 0
    assert window[32, 51] == pytest.approx(math.exp(1 - 1 / (1 - x**2)), rel=1e-4)


def test_what_was_cut_out_comes_back_to_its_place():
    y, x = torch.meshgrid(torch.linspace(-1, 1, 64), torch.linspace(-1, 1, 64), indexing="ij")
    frames = torch.stack([x, y, x * y])[None]
    place = torch.tensor([[0.5, 0.4, 0.2, -0.3]])
    crop = look_at_place(frames, place, (64, 64))
    back = paste(crop, place, (64, 64))
    inside = (x > -0.25) & (x < 0.65) & (y > -0.65) & (y < 0.05)
    torch.testing.assert_close(back[0][:, inside], frames[0][:, inside], atol=0.01, rtol=0)
    outside = (x < -0.4) | (x > 0.8) | (y < -0.8) | (y > 0.2)
    assert back[0][:, outside].abs().max() == 0


def test_the_finder_begins_in_the_middle_with_a_large_window():
    torch.manual_seed(0)
    place = SubjectFinder(look_px=32).eval()(torch.randn(2, 3, 40, 60))
    side = 0.2 + 0.8 / (1 + math.exp(-0.5))
    torch.testing.assert_close(place, torch.tensor([[side, side, 0.0, 0.0]]).expand(2, 4))


def test_places_in_the_middle_of_the_wanted_size_cost_nothing():
    good = torch.tensor([[0.4 / 1.5, 0.4, 0.3, 0.0], [0.4 / 1.5, 0.4, -0.3, 0.0]])
    assert place_prior(good).item() == pytest.approx(0, abs=1e-7)
    # Centre 0.1 off on average, height 0.1 too much: 0.01 + 0.01.
    assert place_prior(good + torch.tensor([0.0, 0.1, 0.1, 0.0])).item() == pytest.approx(0.02)


def test_frames_do_not_see_each_other():
    model = tiny().eval()
    frames = torch.randn(3, 3, 32, 32)
    together, alone = model.encode(frames), model.encode(frames[1:2])
    for a, b in zip(together, alone, strict=True):
        torch.testing.assert_close(a[1:2], b, atol=1e-5, rtol=1e-5)


def test_a_moment_is_rebuilt_with_the_staying_part_of_its_partner():
    model = tiny().eval()
    frames = torch.randn(1, 4, 3, 32, 32)
    latent = model.encode(frames[0])
    found = model(moments(frames, partner=[3, 1, 2, 3])).decoded
    mixed = Split(latent.variant[:2], latent.invariant[[3, 1]])
    torch.testing.assert_close(found[0], model.decode(mixed), atol=1e-5, rtol=1e-5)


def test_colours_that_z_ti_says_are_the_same_everywhere_before_the_first_convolution():
    # Decoded from z_ti alone, the middle of the picture does not know where it is.
    model = tiny().eval()
    with torch.no_grad():
        model.decoder.spread[0].weight.zero_()
        model.decoder.spread[0].bias.zero_()
    drawn = model.decode(Split(torch.zeros(1, 6), torch.randn(1, 4)))[0, :, 15:17, 15:17]
    torch.testing.assert_close(drawn, drawn[:, :1, :1].expand_as(drawn), atol=1e-5, rtol=0)


def detecting() -> CSS:
    return tiny(detector=True)


def test_with_the_detector_a_frame_is_its_background_where_nobody_is():
    model = detecting().eval()
    frames = torch.randn(2, 3, 48, 64)
    place = torch.tensor([[0.3, 0.3, -0.5, 0.0]]).expand(2, 4)
    drawn = model.render(model.encode(frames), place, frames)
    assert drawn.shape == frames.shape
    assert torch.equal(drawn[..., 40:], frames[..., 40:])
    assert not torch.equal(drawn[..., 16], frames[..., 16])


def test_the_place_is_learnt_from_the_picture_alone():
    model = detecting()
    frames = torch.randn(2, 2, 3, 48, 64)
    background = torch.zeros(2, 3, 48, 64)
    with torch.no_grad():
        model.finder.place.weight.normal_(std=0.01)
    asked = moments(frames, background=background)
    terms = model.criterion()(model(asked), asked)
    terms["reconstruct"].backward()
    assert model.finder.body.conv1.weight.grad.abs().sum() > 0
    assert set(terms) == {"reconstruct", "contrast", "transition", "prior"}


def test_without_a_background_the_detector_cannot_rebuild_frames():
    with pytest.raises(UsageError, match="background"):
        detecting()(moments(torch.randn(2, 2, 3, 48, 64)))


def test_with_a_mask_a_crop_is_the_empty_room_where_nobody_is():
    model = tiny(masked=True).eval()
    with torch.no_grad():
        model.decoder.out.bias[3] = -30.0  # nobody anywhere
    frames, empty = torch.randn(2, 4, 3, 32, 32), torch.randn(2, 4, 3, 32, 32)
    rebuilt = model(moments(frames, background=empty)).decoded
    torch.testing.assert_close(rebuilt, empty[:, :2])
    with torch.no_grad():
        model.decoder.out.bias[3] = 30.0  # everywhere
    found = model(moments(frames, background=empty))
    part = Split(found.latent.variant[:, 0], found.latent.invariant[:, 0])
    torch.testing.assert_close(found.decoded[:, 0], model.decode(part))
    torch.testing.assert_close(model.render(part, None, empty[:, 0]), model.decode(part))


def test_without_a_background_masks_cannot_rebuild_crops():
    with pytest.raises(UsageError, match="give its footage one"):
        tiny(masked=True)(moments(torch.randn(2, 4, 3, 32, 32)))
    with pytest.raises(UsageError, match="Poses show no scene"):
        build_representation("css", "poses", masked=True)


def test_crops_and_poses_have_nobody_to_look_for():
    with pytest.raises(UsageError, match="detector=True"):
        tiny().locate(torch.randn(1, 3, 32, 32))
    with pytest.raises(UsageError, match="detector=False"):
        build_representation("css", "poses", detector=True)


def test_frames_of_another_size_are_refused():
    with pytest.raises(ShapeError, match="3, 32, 32"):
        tiny().encode(torch.randn(1, 3, 32, 40))


def terms_of(objective: Objective, latent: Split, **more: object) -> dict[str, torch.Tensor]:
    frames = torch.zeros(1, 4, 17, 2)
    output = MomentsOutput(latent, frames[:, :2] + 0.5)
    asked = moments(frames, **more)
    return CSSCriterion(objective)(output, asked)


def test_the_contrast_sees_z_tv_alone_unless_the_split_is_off():
    variant = torch.tensor([[[1.0, 0.0]] * 4])
    one, other = (Split(variant, torch.randn(1, 4, 3)) for _ in range(2))
    on, off = Objective(), Objective(split=False)
    assert terms_of(on, one)["contrast"] == terms_of(on, other)["contrast"]
    assert terms_of(off, one)["contrast"] != terms_of(off, other)["contrast"]
    # All moments alike: the near one is as likely as the one away, log 2.
    assert terms_of(on, one)["contrast"].item() == pytest.approx(math.log(2), rel=1e-5)


def test_a_pose_seen_again_is_no_negative():
    latent = Split(torch.tensor([[[1.0, 0.0]] * 4]), torch.zeros(1, 4, 3))
    xy = torch.randn(1, 1, 17, 2).expand(1, 4, 17, 2)
    assert terms_of(Objective(), latent, xy=xy)["contrast"].item() == pytest.approx(0, abs=1e-6)
    kept = terms_of(Objective(cyclic=0.0), latent, xy=xy)["contrast"]
    assert kept.item() == pytest.approx(math.log(2), rel=1e-5)


def test_poses_of_another_skeleton_are_refused():
    latent = Split(torch.randn(1, 4, 2), torch.zeros(1, 4, 3))
    with pytest.raises(ShapeError, match="15 joints"):
        terms_of(Objective(), latent, xy=torch.randn(1, 4, 15, 2))


def test_terms_that_are_switched_off_are_not_there():
    latent = Split(torch.randn(1, 4, 2), torch.zeros(1, 4, 3))
    plain = Objective(reconstruct=0.0, transition="off")
    assert set(terms_of(plain, latent)) == {"contrast"}
    ranked = Objective(contrast=0.0, transition="rank")
    assert set(terms_of(ranked, latent)) == {"transition", "reconstruct"}
    assert terms_of(ranked, latent)["reconstruct"].item() == pytest.approx(0.25)


def test_an_objective_that_makes_no_sense_is_refused():
    with pytest.raises(UsageError, match="near_s < away_s"):
        Objective(near_s=1.0, away_s=0.5)
    with pytest.raises(UsageError, match="swap is a share"):
        Objective(swap=1.5)

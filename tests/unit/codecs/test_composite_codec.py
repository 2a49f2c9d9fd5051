"""CompositeCodec: marks, offsets, what comes back, mirrors, votes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from chronopose.codecs.composite import ROUND_TRIP_PX, CompositeCodec
from chronopose.core.skeleton import Skeleton
from chronopose.errors import ShapeError, UsageError
from chronopose.tensors import CompositeOutput

SKELETON = Skeleton("three", ("nose", "left_eye", "right_eye"))
SIZE = (96, 80)


def codec(**changes: Any) -> CompositeCodec:
    return CompositeCodec(SKELETON, **{"crop_size": SIZE, "stride": 16, **changes})


def ideal(here: CompositeCodec, joints: Tensor) -> CompositeOutput:
    """What a perfect network returns."""
    target = here.encode(joints, torch.ones(joints.shape[:2]))
    assert target.heatmaps is not None
    return CompositeOutput(20 * target.heatmaps - 10, here.offsets(joints))


def everywhere() -> Tensor:
    """``(60, 3, 2)`` places over the whole crop, at all phases of a cell."""
    torch.manual_seed(0)
    return torch.rand(60, 3, 2) * (torch.tensor(SIZE) - 1)


def test_a_joint_on_a_cells_centre_marks_three_by_three_cells() -> None:
    # Cell (2, 1) has its centre at (2.5 * 16 - 0.5, 1.5 * 16 - 0.5).
    joints = torch.full((1, 3, 2), torch.nan)
    joints[0, 0] = torch.tensor([39.5, 23.5])
    target = codec().encode(joints, torch.ones(1, 3))
    assert target.heatmaps is not None
    want = torch.zeros(5, 6)
    want[0:3, 1:4] = 1
    torch.testing.assert_close(target.heatmaps[0, 0], want)
    assert not target.heatmaps[0, 1:].any()
    assert target.weight.tolist() == [[1, 0, 0]]


@pytest.mark.parametrize(("radius", "count"), [(1.0, 5), (1.5, 9), (2.0, 13)])
def test_the_radius_decides_how_many_cells_are_marked(radius: float, count: int) -> None:
    joints = torch.tensor([39.5, 39.5]).expand(1, 3, 2)
    target = codec(radius=radius).encode(joints, torch.ones(1, 3))
    assert target.heatmaps is not None
    assert target.heatmaps.sum((-2, -1)).tolist() == [[count] * 3]


def test_offsets_are_shares_of_the_reach_and_short_where_marked() -> None:
    here = codec()
    joints = torch.tensor([45.5, 17.5]).expand(1, 3, 2)
    offsets = here.offsets(joints)
    # Six pixels right and six up of cell (2, 1); the reach is 1.5 * 16 = 24 pixels.
    torch.testing.assert_close(offsets[0, 0, :, 1, 2], torch.tensor([0.25, -0.25]))
    places = everywhere()
    marked = here.encode(places, torch.ones(60, 3)).heatmaps
    assert marked is not None
    assert (here.offsets(places).abs().amax(2)[marked > 0] <= 1).all()


@pytest.mark.parametrize("align", ["centre", "corner"])
@pytest.mark.parametrize("decoder", sorted(ROUND_TRIP_PX))
@pytest.mark.parametrize(("stride", "radius"), [(16, 1.5), (8, 1.0), (4, 2.0)])
def test_decode_undoes_encode(decoder: str, align: str, stride: int, radius: float) -> None:
    here = codec(decoder=decoder, align=align, stride=stride, radius=radius)
    places = everywhere()
    if align == "corner":
        places = places * 0.8  # the last cells' centres lie a cell before the edge
    found = here.decode(ideal(here, places))
    assert np.abs(found.xy - places.numpy()).max() <= ROUND_TRIP_PX[decoder]
    assert (found.score > 0.99).all()


def test_without_offsets_half_a_cell_and_more_is_lost() -> None:
    here = codec(decoder="quarter")
    places = everywhere()
    inner = ((places > 16) & (places < torch.tensor(SIZE) - 17)).all(-1).numpy()
    error = np.abs(here.decode(ideal(here, places)).xy - places.numpy())[inner]
    assert 8 < error.max() < 32


def test_the_vote_weighs_cells_by_their_probability() -> None:
    here = codec(decoder="vote", vote_cells=2)
    heat = torch.full((1, 3, 5, 6), -30.0)
    heat[:, :, 1, 2] = torch.logit(torch.tensor(0.9))
    heat[:, :, 1, 3] = torch.logit(torch.tensor(0.3))
    offsets = torch.zeros(1, 3, 2, 5, 6)
    offsets[:, :, 0, 1, 3] = 0.5  # 12 pixels right of cell 3, whose centre is at 55.5
    found = here.decode(CompositeOutput(heat, offsets))
    want = (0.9 * 39.5 + 0.3 * 67.5) / 1.2
    np.testing.assert_allclose(found.xy[0, 0], [want, 23.5], rtol=1e-5)
    assert found.score[0, 0] == pytest.approx(0.9, abs=1e-5)


@pytest.mark.parametrize("align", ["centre", "corner"])
def test_mirrored_output_decodes_to_the_mirrored_pose(align: str) -> None:
    here = codec(align=align)
    places = everywhere() * 0.6 + 20
    mirrored = places.clone()
    mirrored[..., 0] = SIZE[0] - 1 - places[..., 0]
    output = ideal(here, mirrored[:, [0, 2, 1]])
    if align == "corner":
        # Cells of the mirrored crop fall between those of the crop, so the marks differ.
        found = here.decode(here.unflip(output))
        np.testing.assert_allclose(found.xy, places.numpy(), atol=1e-3)
        return
    back, want = here.unflip(output), ideal(here, places)
    torch.testing.assert_close(back.heatmaps, want.heatmaps)
    torch.testing.assert_close(back.offsets, want.offsets, atol=1e-5, rtol=0)
    np.testing.assert_allclose(here.decode(back).xy, places.numpy(), atol=1e-3)


def test_mirroring_turns_the_sign_of_the_x_offset_alone_and_twice_is_nothing() -> None:
    here = codec()
    output = CompositeOutput(torch.randn(2, 3, 5, 6), torch.randn(2, 3, 2, 5, 6))
    back = here.unflip(output)
    torch.testing.assert_close(back.offsets[0, 0, 0, 1, 2], -output.offsets[0, 0, 0, 1, 3])
    torch.testing.assert_close(back.offsets[0, 1, 1, 1, 2], output.offsets[0, 2, 1, 1, 3])
    for once, again in zip(output[:2], here.unflip(back)[:2], strict=True):
        torch.testing.assert_close(again, once)


def test_the_flip_test_averages_probabilities_and_offsets() -> None:
    here = codec()
    direct = CompositeOutput(torch.randn(1, 3, 5, 6), torch.randn(1, 3, 2, 5, 6))
    other = CompositeOutput(torch.randn(1, 3, 5, 6), torch.randn(1, 3, 2, 5, 6))
    mean, back = here.average_flip(direct, other), here.unflip(other)
    want = (direct.heatmaps.sigmoid() + back.heatmaps.sigmoid()) / 2
    torch.testing.assert_close(mean.heatmaps.sigmoid(), want)
    torch.testing.assert_close(mean.offsets, (direct.offsets + back.offsets) / 2)


def test_a_joint_that_has_no_cell_does_not_count() -> None:
    joints = torch.tensor([[[-20.0, 23.5], [39.5, 23.5], [39.5, 23.5]]])
    target = codec().encode(joints, torch.tensor([[1, 1, 0]]))
    assert target.weight.tolist() == [[0, 1, 0]]


def test_maps_that_are_not_finite_give_nan_and_no_score() -> None:
    output = ideal(codec(), everywhere()[:1])
    output.offsets[0, 1, 0, 0, 0] = torch.nan
    found = codec().decode(output)
    assert np.isnan(found.xy[0, 1]).all()
    assert found.score[0].tolist()[1] == 0
    assert np.isfinite(found.xy[0, [0, 2]]).all()


def test_another_crop_size_keeps_the_rest() -> None:
    other = codec(radius=2.0, decoder="vote").at((160, 192), 3.0)
    assert (other.crop_size, other.radius, other.decoder) == ((160, 192), 2.0, "vote")
    assert other.map_size == (10, 12)


def test_maps_of_another_grid_are_refused() -> None:
    output = CompositeOutput(torch.zeros(1, 3, 5, 6), torch.zeros(1, 3, 2, 5, 5))
    with pytest.raises(ShapeError, match="at stride 16"):
        codec().decode(output)
    with pytest.raises(ShapeError, match=r"joints \(B, 3, 2\)"):
        codec().encode(torch.zeros(1, 2, 2), torch.ones(1, 2))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"decoder": "dark"}, "decoder.*'dark'"),
        ({"align": "edge"}, "align.*'edge'"),
        ({"crop_size": (100, 80)}, "cells of 16"),
        ({"radius": 0.5}, "0.75 cells.*got 0.5"),
        ({"vote_cells": 0}, "voting cell"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        codec(**changes)

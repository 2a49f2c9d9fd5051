"""RealNVP: one layer by hand, its inverse, its determinant, and that it is a density."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from chronopose.nn.coupling import RealNVP


def trained(**settings: float) -> RealNVP:
    """A flow past its start, in double precision."""
    torch.manual_seed(3)
    flow = RealNVP(hidden=16, **settings).double()  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.normal_(0, 0.4)
    return flow


def points(count: int = 50) -> Tensor:
    return torch.randn(count, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("mean", [0.0, 0.5])
def test_an_untrained_flow_is_its_normal_distribution(mean: float) -> None:
    where = torch.tensor([[0.5, -1.0]])
    squared = (0.5 - mean) ** 2 + (-1.0 - mean) ** 2
    want = -math.log(2 * math.pi) - squared / 2
    assert RealNVP(prior_mean=mean).log_prob(where).item() == pytest.approx(want, abs=1e-6)


def test_layers_change_x_and_y_by_turns() -> None:
    assert RealNVP(layers=4).mask.tolist() == [[0, 1], [1, 0], [0, 1], [1, 0]]


def test_one_layer_scales_and_shifts_what_it_does_not_keep() -> None:
    flow = RealNVP(layers=1)
    with torch.no_grad():
        flow.scale[0][4].bias.fill_(math.atanh(0.25))
        flow.shift[0][4].bias.fill_(3.0)
    latent, log_det = flow.to_latent(torch.tensor([[5.0, 7.0]]))
    # x: (5 - 3) exp(-0.25); y is kept, and only x counts in the determinant.
    torch.testing.assert_close(latent, torch.tensor([[2 * math.exp(-0.25), 7.0]]))
    assert log_det.item() == pytest.approx(-0.25)


def test_the_scale_of_a_layer_depends_on_the_kept_coordinate_only() -> None:
    flow = trained(layers=1)
    there, _ = flow.to_latent(torch.tensor([[0.0, 0.4], [1.0, 0.4]], dtype=torch.float64))
    elsewhere, _ = flow.to_latent(torch.tensor([[0.0, 0.9], [1.0, 0.9]], dtype=torch.float64))
    assert torch.diff(there[:, 0]).item() != pytest.approx(torch.diff(elsewhere[:, 0]).item())


def test_from_latent_undoes_to_latent() -> None:
    flow = trained()
    latent, _ = flow.to_latent(points())
    assert not torch.allclose(latent, points(), atol=0.1)
    torch.testing.assert_close(flow.from_latent(latent), points(), rtol=0, atol=1e-10)


def test_the_log_determinant_is_that_of_the_jacobian() -> None:
    flow = trained()
    for point in points(5):
        jacobian = torch.autograd.functional.jacobian(lambda p: flow.to_latent(p)[0], point)
        _, log_det = flow.to_latent(point)
        torch.testing.assert_close(log_det, jacobian.det().abs().log())  # type: ignore[union-attr]


def test_the_density_of_a_trained_flow_sums_to_one() -> None:
    flow = trained(prior_mean=0.5, layers=2)
    step = 0.1
    axis = torch.arange(-12, 12, step, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        total = flow.log_prob(grid).exp().sum() * step**2
    assert total.item() == pytest.approx(1.0, abs=1e-3)


def test_any_leading_axes_are_kept() -> None:
    assert RealNVP().log_prob(torch.zeros(2, 3, 2)).shape == (2, 3)

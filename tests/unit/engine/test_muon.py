from __future__ import annotations

import torch
from torch import nn

from chronopose.engine.muon import Muon, orthogonalise


def test_singular_values_are_brought_near_one() -> None:
    wide = torch.randn(8, 40, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalise(wide).float())
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_a_tall_matrix_keeps_its_shape() -> None:
    assert orthogonalise(torch.randn(40, 8)).shape == (40, 8)


def test_first_adamw_step_moves_a_bias_by_the_rate_against_the_sign() -> None:
    layer = nn.Linear(2, 2)
    before = layer.bias.detach().clone()
    layer.bias.grad = torch.tensor([3.0, -0.5])
    layer.weight.grad = torch.zeros(2, 2)
    Muon(layer.named_parameters(), lr=0.1).step()
    # mean / sqrt(square) of the first step is the sign; no decay on a bias.
    torch.testing.assert_close(layer.bias.detach(), before + torch.tensor([-0.1, 0.1]))


def test_a_kernel_moves_by_the_scaled_orthogonal_step() -> None:
    conv = nn.Conv2d(1, 1, 2, bias=False)
    before = conv.weight.detach().clone()
    conv.weight.grad = torch.tensor([[[[2.0, 0.0], [0.0, 0.0]]]])
    Muon(conv.named_parameters(), lr=0.1, weight_decay=0.0).step()
    # One row: the orthogonal step has length s near 1, scaled by 0.2 * sqrt(4) = 0.4.
    step = (conv.weight.detach() - before).flatten()
    assert -0.1 * 0.4 * 1.3 < step[0] < -0.1 * 0.4 * 0.6
    assert torch.equal(step[1:], torch.zeros(3))


def test_the_head_is_left_to_adamw() -> None:
    model = nn.ModuleDict({"head": nn.Conv2d(2, 2, 1), "body": nn.Conv2d(2, 2, 1)})
    kinds = {
        id(p): g["kind"] for g in Muon(model.named_parameters()).param_groups for p in g["params"]
    }
    assert kinds[id(model["head"].weight)] == "adamw"
    assert kinds[id(model["body"].weight)] == "muon"


def test_a_small_regression_is_learnt() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
    x = torch.randn(64, 4)
    y = x.sum(1, keepdim=True)
    optimiser = Muon(net.named_parameters(), lr=0.02)
    losses = []
    for _ in range(200):
        optimiser.zero_grad()
        loss = (net(x) - y).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]

"""Alignment of neighbouring frames: translation and aggregation."""

from __future__ import annotations

import torch

from chronopose.nn.align import AlignedAggregation, GlobalTranslation, translate


def test_translation_moves_content_right_and_down() -> None:
    x = torch.zeros(1, 1, 4, 5)
    x[0, 0, 1, 1] = 1.0
    moved = translate(x, torch.tensor([[2.0, 1.0]]))
    want = torch.zeros(1, 1, 4, 5)
    want[0, 0, 2, 3] = 1.0
    torch.testing.assert_close(moved, want, rtol=0, atol=1e-5)


def test_half_a_cell_is_shared_between_neighbours() -> None:
    x = torch.zeros(1, 1, 3, 4)
    x[0, 0, 1, 1] = 1.0
    row = translate(x, torch.tensor([[0.5, 0.0]]))[0, 0, 1]
    torch.testing.assert_close(row, torch.tensor([0.0, 0.5, 0.5, 0.0]), rtol=0, atol=1e-5)


def test_global_translation_starts_without_movement() -> None:
    warp, key, other = GlobalTranslation(4, (18, 24)), *torch.randn(2, 2, 4, 24, 18)
    torch.testing.assert_close(warp(other, key), other, rtol=1e-4, atol=1e-4)


def test_global_translation_of_the_papers_map_ends_in_144_numbers() -> None:
    linear = GlobalTranslation(48, (72, 96)).layers[7]
    assert linear.in_features == 144


def test_first_deformable_step_reads_neighbours_only_through_the_aggregate() -> None:
    # The key frame's own feature enters steps 2 and 5, never step 1.
    net = AlignedAggregation(4, 3, width=4, groups=2).eval()
    seen = []
    net.neighbours.register_forward_hook(lambda _, args, __: seen.append(args[0]))
    sequence = torch.randn(1, 3, 4, 8, 6)
    net(sequence, 1)
    assert torch.equal(seen[0], torch.cat([sequence[:, 0], sequence[:, 2]], dim=1))


def test_aggregation_keeps_shape_and_uses_every_frame() -> None:
    net = AlignedAggregation(4, 5, width=4, groups=2, warp=GlobalTranslation(4, (6, 8))).eval()
    sequence = torch.randn(2, 5, 4, 8, 6, requires_grad=True)
    out = net(sequence, 2)
    assert out.shape == (2, 4, 8, 6)
    out.square().sum().backward()
    assert sequence.grad is not None
    assert (sequence.grad.abs().amax((0, 2, 3, 4)) > 0).all()

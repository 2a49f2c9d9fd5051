"""What is read off a split motion, on features whose gates are known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from chronopose.losses.split import gates_of, split_state
from chronopose.tensors import HeatmapOutput, TDMIOutput

MOTION = torch.rand(3, 4, 6, 5, generator=torch.Generator().manual_seed(0)) * 4


def split(useful: list[float], noise: list[float], motion: Tensor = MOTION) -> TDMIOutput:
    """An output whose channels are gated by the factors given."""
    parts = [torch.tensor(g).view(1, -1, 1, 1) * motion for g in (useful, noise)]
    return TDMIOutput(torch.zeros(3, 2, 6, 5), motion, *parts)


def test_gates_are_read_off_the_features():
    wanted = torch.tensor([[0.1, 0.9, 0.5, 0.0], [1.0, 0.2, 0.3, 0.4], [0.0, 0.0, 1.0, 0.7]])
    torch.testing.assert_close(gates_of(MOTION, wanted[..., None, None] * MOTION), wanted)


def test_a_channel_without_motion_has_no_gate():
    motion = MOTION.clone()
    motion[:, 2] = 0
    gates = gates_of(motion, 0.5 * motion)
    assert gates[:, 2].isnan().all() and gates[:, 3].tolist() == pytest.approx([0.5] * 3)


def test_what_no_factors_make_is_not_made_by_gates():
    assert gates_of(MOTION, MOTION.flip(1)).isnan().all()


def test_half_and_half_is_one_feature_twice():
    state = split_state(split([0.5] * 4, [0.5] * 4))
    assert state.useful == pytest.approx((0.5, 0.5, 0.5)) and state.saturated == 0
    assert state.apart == pytest.approx(0, abs=1e-9)
    assert state.shared == pytest.approx(math.log(2), abs=1e-6)


def test_two_of_four_channels_each_is_a_hard_split():
    state = split_state(split([1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]))
    assert state.useful == pytest.approx((0, 0.5, 1)) and state.noise == pytest.approx((0, 0.5, 1))
    # No channel is in both: the squared distance is the sum of the squares.
    assert state.saturated == 1 and state.apart == pytest.approx(1)
    assert state.shared < math.log(2) - 0.1


def test_an_even_feature_says_so():
    even = torch.full_like(MOTION, 2.0)
    assert split_state(split([0.3] * 4, [0.7] * 4, even)).uneven == pytest.approx(0, abs=1e-6)
    # One cell of 30 is 1, the others 0: spread sqrt(29) / 30, size sqrt(1 / 30).
    lone = torch.zeros_like(MOTION)
    lone[..., 0, 0] = 1
    state = split_state(split([0.3] * 4, [0.7] * 4, lone))
    assert state.uneven == pytest.approx(math.sqrt(29 / 30), rel=1e-5)


def test_dead_channels_are_counted():
    motion = MOTION.clone()
    motion[:, 1] = 0
    assert split_state(split([0.5] * 4, [0.4] * 4, motion)).dead == 0.25


def test_no_motion_at_all_is_no_error():
    state = split_state(split([0.5] * 4, [0.4] * 4, torch.zeros_like(MOTION)))
    assert state.dead == 1 and state.uneven == 0 and math.isnan(state.useful[1])


def test_an_output_without_a_split_has_no_state():
    assert split_state(TDMIOutput(torch.zeros(1, 2, 6, 5))) is None
    assert not hasattr(HeatmapOutput(torch.zeros(1, 2, 6, 5)), "motion")

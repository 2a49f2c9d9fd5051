"""Outputs of several batches become one, whatever their kind."""

from __future__ import annotations

import torch

from chronopose.tensors import HeatmapOutput, RegressionOutput, TDMIOutput, join_outputs


def test_every_field_is_joined_in_the_order_of_the_batches() -> None:
    parts = [RegressionOutput(torch.full((n, 1, 2), n), torch.zeros(n, 1, 2)) for n in (1, 2)]
    whole = join_outputs(parts)
    assert isinstance(whole, RegressionOutput)
    assert whole.joints[:, 0, 0].tolist() == [1, 2, 2]
    assert whole.sigma.shape == (3, 1, 2)


def test_side_outputs_are_joined_each_with_its_own() -> None:
    maps = [torch.zeros(1, 1, size, size) for size in (8, 4, 2)]
    whole = join_outputs([HeatmapOutput(maps[0], (maps[1], maps[2]))] * 3)
    assert [m.shape for m in (whole.heatmaps, *whole.side)] == [
        (3, 1, 8, 8), (3, 1, 4, 4), (3, 1, 2, 2),
    ]  # fmt: skip


def test_fields_that_are_not_there_stay_away() -> None:
    whole = join_outputs([TDMIOutput(torch.zeros(1, 1, 2, 2))] * 2)
    assert whole.heatmaps.shape[0] == 2
    assert whole[1:] == (None,) * (len(whole) - 1)

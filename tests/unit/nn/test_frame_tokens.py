"""Tokens of whole frames: what is padding, where cells lie, and back to maps."""

from __future__ import annotations

import pytest
import torch

from chronopose.errors import UsageError
from chronopose.nn.detection_neck import ChannelMapper, FrameBackbone
from chronopose.nn.frame_tokens import FrameTokens, inverse_sigmoid, take, valid_cells


def test_a_cell_counts_if_its_first_pixel_is_no_padding() -> None:
    # 284 of 320 pixels: cells of 8 px begin at 280 < 284, of 64 px at 256 < 284; 222 of 256 high.
    cells = valid_cells(torch.tensor([[284.0, 222.0]]), (256, 320), [(32, 40), (4, 5)])
    assert cells.tolist() == [[[36.0, 28.0], [5.0, 4.0]]]


def test_grid_counts_in_shares_of_the_valid_part() -> None:
    row = FrameTokens(torch.zeros(1, 6, 1), torch.tensor([[[2.0, 1.0]]]), ((2, 3),))
    assert row.padded.tolist() == [[False, False, True, True, True, True]]
    assert row.grid[0, :2].tolist() == [[0.25, 0.5], [0.75, 0.5]]
    torch.testing.assert_close(row.ratios, torch.tensor([[[2 / 3, 0.5]]]))


def test_maps_come_back_from_tokens() -> None:
    maps = [torch.randn(2, 5, 3, 4), torch.randn(2, 5, 2, 2)]
    row = FrameTokens.of_maps(maps, torch.ones(2, 2, 2))
    assert row.tokens.shape == (2, 16, 5)
    assert all(torch.equal(a, b) for a, b in zip(row.maps(row.tokens), maps, strict=True))


def test_inverse_sigmoid_stays_finite_at_the_ends() -> None:
    got = inverse_sigmoid(torch.tensor([0.0, 0.5, 1.0]).double())
    torch.testing.assert_close(got.sigmoid(), torch.tensor([1e-5, 0.5, 1 - 1e-5]).double())


def test_rows_are_taken_clip_by_clip() -> None:
    rows = torch.arange(8.0).view(2, 4, 1)
    assert take(rows, torch.tensor([[3, 0], [1, 1]])).flatten().tolist() == [3, 0, 5, 5]


def test_neck_gives_strides_8_to_64_of_one_width() -> None:
    backbone = FrameBackbone("lite").eval()
    with torch.no_grad():
        maps = ChannelMapper(backbone.channels, 32)(backbone(torch.randn(1, 3, 128, 192)))
    assert [tuple(m.shape) for m in maps] == [
        (1, 32, 16, 24), (1, 32, 8, 12), (1, 32, 4, 6), (1, 32, 2, 3),
    ]  # fmt: skip


def test_batch_norms_of_the_resnet_never_train() -> None:
    with torch.device("meta"):
        backbone = FrameBackbone("resnet50").train()
    norms = [m for m in backbone.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert norms and not any(m.training or m.weight.requires_grad for m in norms)
    frozen = [n for n, p in backbone.named_parameters() if "conv" in n and not p.requires_grad]
    assert frozen and all(n.startswith(("body.conv1.", "body.layer1.")) for n in frozen)


@pytest.mark.parametrize(("name", "pretrained"), [("vgg", False), ("lite", True)])
def test_what_is_not_there_is_refused(name: str, pretrained: bool) -> None:
    with pytest.raises(UsageError, match=r"no backbone 'vgg'|no ImageNet weights"):
        FrameBackbone(name, pretrained)

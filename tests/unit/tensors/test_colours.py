"""Colours that networks read."""

from __future__ import annotations

import numpy as np
import torch

from chronopose.tensors.colours import normalise, unnormalise


def test_colours_are_those_of_imagenet() -> None:
    # (0.485 * 255 - mean) / spread is 0 in red; white is (1 - 0.406) / 0.225 in blue.
    crops = normalise(torch.tensor([0.485 * 255, 0, 255.0])[None, :, None, None])
    assert crops.shape == (1, 3, 1, 1)
    np.testing.assert_allclose(crops[0, :, 0, 0], [0.0, -0.456 / 0.224, 0.594 / 0.225], atol=1e-5)


def test_normalising_can_be_undone() -> None:
    frames = torch.rand(2, 3, 4, 4) * 255
    torch.testing.assert_close(unnormalise(normalise(frames)), frames, atol=1e-3, rtol=0)

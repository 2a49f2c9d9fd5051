"""A recipe that reads two data sets, each from a folder of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from picture_worlds import lsp, lspet

from chronopose.errors import ChronoposeError
from chronopose.recipes import Places, find
from chronopose.recipes._recipe import MixtureSpec, Recipe


def test_clnet_on_sports_reads_both_sets_and_keeps_our_test_pictures_out(tmp_path: Path) -> None:
    for name, make in (("lsp", lsp), ("lspet", lspet)):
        (tmp_path / name).mkdir()
        make(tmp_path / name)
    recipe = find("clnet_r50_lsp")
    assert isinstance(recipe, Recipe) and isinstance(recipe.train, MixtureSpec)
    places = Places(data=tmp_path)
    assert [len(part.build(places)) for part in recipe.train.parts] == [1000, 8500]
    assert recipe.val is not None
    held_out = recipe.val.build(places)
    assert len(held_out) == 1000
    sample = held_out.sample(0, np.random.default_rng(0))
    assert sample.joints.shape[-2:] == (14, 2)
    with pytest.raises(ChronoposeError, match="lsp"):
        recipe.val.build(Places(data=tmp_path / "lspet"))

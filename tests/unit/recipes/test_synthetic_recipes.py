"""Recipes on synthetic people: what they are made of, and what has to be given."""

from __future__ import annotations

import pytest

from chronopose.errors import UsageError
from chronopose.recipes import Places, find
from chronopose.recipes._recipe import LSPETSpec, MixtureSpec, Recipe, ShardSpec


def recipe(name: str) -> Recipe:
    found = find(name)
    assert isinstance(found, Recipe)
    return found


def test_the_clean_recipe_sees_nothing_but_synthetic_people():
    clean = recipe("simple_baseline_lite_clean")
    assert isinstance(clean.train, ShardSpec) and clean.val is None
    assert clean.single_frame is None and not clean.needs_data
    assert "Free of any data set's terms" in clean.terms


@pytest.mark.parametrize("name", ["simple_baseline_lite_real", "simple_baseline_lite_nano"])
def test_photographs_and_synthetic_people_are_half_and_half(name: str):
    train = recipe(name).train
    assert isinstance(train, MixtureSpec)
    assert [type(p) for p in train.parts] == [LSPETSpec, ShardSpec]
    assert train.shares == (1, 1)


def test_shards_have_to_be_given():
    with pytest.raises(UsageError, match=r"chronopose shards.*--synthetic"):
        ShardSpec().build(Places())

"""The order of training data."""

from __future__ import annotations

import numpy as np
import pytest

from chronopose.data.datasets.procedural import ProceduralClips
from chronopose.data.sampling import FirstFew, Mixture, place_at, rng_at
from chronopose.errors import SkeletonMismatch, UsageError


def clips(count: int, seed: int = 0, skeleton: str = "lsp14") -> ProceduralClips:
    return ProceduralClips(count, seed, frames=1, size=(32, 32), skeleton=skeleton)


def test_every_sample_comes_once_an_epoch():
    places = [place_at(0, p, 7) for p in range(14)]
    assert sorted(p.index for p in places[:7]) == list(range(7))
    assert [p.epoch for p in places] == [0] * 7 + [1] * 7


def test_epochs_and_seeds_are_shuffled_differently():
    orders = {
        tuple(place_at(seed, epoch * 50 + p, 50).index for p in range(50))
        for seed in (0, 1)
        for epoch in (0, 1)
    }
    assert len(orders) == 4


def test_random_numbers_follow_from_the_place_alone():
    place = place_at(3, 11, 5)
    assert rng_at(3, place).random() == rng_at(3, place).random()
    assert rng_at(3, place).random() != rng_at(3, place_at(3, 12, 5)).random()


def test_a_mixture_keeps_its_shares():
    mixture = Mixture([clips(6, 0), clips(2, 1000)], (3, 1))
    names = [mixture.sample(i, np.random.default_rng(0)).name for i in range(8)]
    numbers = [int(n.split()[-1]) for n in names]
    assert numbers == [0, 1, 2, 1000, 3, 4, 5, 1001]


def test_a_mixture_is_long_enough_for_its_longest_source():
    assert len(Mixture([clips(7), clips(2)], (3, 1))) == 12


def test_sources_of_different_skeletons_do_not_mix():
    with pytest.raises(SkeletonMismatch, match="coco17"):
        Mixture([clips(2), clips(2, skeleton="coco17")], (1, 1))


@pytest.mark.parametrize("shares", [(1,), (1, 0), (1, 2, 3)])
def test_shares_must_fit_the_sources(shares: tuple[int, ...]):
    with pytest.raises(UsageError):
        Mixture([clips(2), clips(2)], shares)


def test_the_first_few_are_the_first_few():
    few = FirstFew(clips(5), 2)
    assert len(few) == 2
    assert few.sample(1, np.random.default_rng(0)).name.endswith(" 1")
    assert few.fingerprint() != clips(5).fingerprint()

"""Single-frame networks on synthetic people, alone and beside photographs."""

from __future__ import annotations

from dataclasses import replace

from chronopose.data.transforms import strong
from chronopose.engine.settings import Phase, TrainSettings
from chronopose.recipes._recipe import LSPETSpec, MixtureSpec, Recipe, ShardSpec
from chronopose.recipes.lspet import CROP, LSPET_TERMS

SYNTHETIC_TERMS = (
    "Free of any data set's terms: trained on rendered people only. Bodies, clothes and places are "
    "CC0 or made by code; motion is made by code or from the CMU graphics lab's motion capture, "
    "which is free for all uses."
)
NANO_CROP = (96, 128)
"""Width and height of the arena's crops."""


def simple_baseline_lite_clean() -> Recipe:
    """simple_baseline:lite from random weights on synthetic people only: no licence trouble.

    Command         chronopose train simple_baseline_lite_clean --synthetic SHARDS --out runs/clean
    Hardware        one CPU core, fp32, about 3 GB of memory
    Hours           about 1.5
    Published       none
    Ours            15.2 on LSPET 8501-9000 after 1,750 steps (docs/log.md); no weights yet

    SHARDS come from ``chronopose synth`` and ``chronopose shards --frames 5``.
    """
    return Recipe(
        name="simple_baseline_lite_clean",
        model="simple_baseline:lite",
        train=ShardSpec(),
        val=None,
        augmentation=strong(),
        overrides={"crop_size": CROP},
        settings=TrainSettings(
            phases=(
                Phase(steps=1_500, crop_size=(64, 96), batch_size=48, lr=(2e-3, 2e-3), sigma=1.2),
                Phase(steps=1_000, crop_size=NANO_CROP, batch_size=48, lr=(2e-3, 8e-4), sigma=1.5),
                Phase(steps=320, crop_size=CROP, batch_size=32, lr=(8e-4, 0.0)),
            ),
            optimiser="muon",
            precision="fp32",
            save_every=250,
        ),
        trained_on="synthetic people of 'chronopose synth' only",
        terms=SYNTHETIC_TERMS,
    )


def simple_baseline_lite_real() -> Recipe:
    """simple_baseline:lite on photographs of sports and on synthetic people, half and half.

    Command         chronopose train simple_baseline_lite_real --data LSPET --synthetic SHARDS
                    --out runs/real
    Hardware        one CPU core, fp32, about 3 GB of memory
    Hours           about 1
    Published       none
    Ours            see the weights card

    Starts from the weights of :func:`~chronopose.recipes.lspet.simple_baseline_lite_muon`, the
    shipped ones unless others are given with --init.
    """
    return Recipe(
        name="simple_baseline_lite_real",
        model="simple_baseline:lite",
        single_frame="simple_baseline:lite",
        train=_HALF,
        val=LSPETSpec(split="val"),
        augmentation=strong(),
        overrides={"crop_size": CROP},
        settings=TrainSettings(
            phases=(Phase(steps=2_500, crop_size=CROP, batch_size=32, lr=(8e-4, 0.0)),),
            optimiser="muon",
            precision="fp32",
            val_every=500,
            save_every=250,
            flip_test=True,
        ),
        needs_data=True,
        trained_on="LSPET images 1-8500; synthetic people of 'chronopose synth'",
        terms=LSPET_TERMS,
    )


def simple_baseline_lite_nano() -> Recipe:
    """The twin of the arena: simple_baseline:lite for small crops, half of it synthetic people.

    Command         chronopose train simple_baseline_lite_nano --data LSPET --synthetic SHARDS
                    --out runs/nano
    Hardware        one CPU core, fp32, about 3 GB of memory
    Hours           about 0.5
    Published       none
    Ours            see docs/arena.md

    All multi-frame models of the arena stand on it, frozen; see :mod:`chronopose.bench.accuracy`.
    """
    return Recipe(
        name="simple_baseline_lite_nano",
        model="simple_baseline:lite",
        single_frame="simple_baseline:lite",
        train=_HALF,
        val=LSPETSpec(split="val"),
        augmentation=strong(),
        overrides={"crop_size": NANO_CROP},
        settings=TrainSettings(
            phases=(
                Phase(steps=650, crop_size=NANO_CROP, batch_size=48, lr=(8e-4, 0.0), sigma=1.5),
            ),
            optimiser="muon",
            precision="fp32",
            warmup_steps=50,
            ema_decay=0.99,
            val_every=650,
            save_every=100,
        ),
        needs_data=True,
        trained_on="LSPET images 1-8500; synthetic people of 'chronopose synth'",
        terms=LSPET_TERMS,
    )


def hrnet_lite_scratch_nano() -> Recipe:
    """hrnet:lite for small crops from random weights: one half of a comparison of backbones.

    Command         chronopose train hrnet_lite_scratch_nano --data LSPET --synthetic SHARDS
                    --out RUN
    Hardware        one CPU core, fp32, about 3 GB of memory
    Hours           0.2
    Published       none
    Ours            see docs/arena.md

    The other half is :func:`simple_baseline_lite_scratch_nano`. ``--set seed=1`` for further seeds.
    """
    return replace(
        simple_baseline_lite_scratch_nano(), name="hrnet_lite_scratch_nano", model="hrnet:lite"
    )


def simple_baseline_lite_scratch_nano() -> Recipe:
    """simple_baseline:lite for small crops from random weights: the other half of it.

    Command         chronopose train simple_baseline_lite_scratch_nano --data LSPET
                    --synthetic SHARDS --out RUN
    Hardware        as for :func:`hrnet_lite_scratch_nano`
    Hours           0.15
    Published       none
    Ours            see docs/arena.md
    """
    recipe = simple_baseline_lite_nano()
    phases = (
        Phase(steps=300, crop_size=(64, 96), batch_size=48, lr=(2e-3, 2e-3), sigma=1.2),
        Phase(steps=150, crop_size=NANO_CROP, batch_size=48, lr=(2e-3, 0.0), sigma=1.5),
    )
    return replace(
        recipe, name="simple_baseline_lite_scratch_nano", single_frame=None,
        settings=replace(recipe.settings, phases=phases, val_every=450, flip_test=True),
    )  # fmt: skip


_HALF = MixtureSpec(parts=(LSPETSpec(split="train"), ShardSpec()), shares=(1, 1))

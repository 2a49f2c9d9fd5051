"""CLNet: the schedules of the networks that its abstract compares with, and the light one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from chronopose.data.transforms import Augmentation, Flip, Rotate, Scale, strong
from chronopose.engine.settings import Phase, TrainSettings
from chronopose.recipes._recipe import (
    DataSpec,
    LabelledSpec,
    LSPETSpec,
    MixtureSpec,
    ProceduralSpec,
    Recipe,
    ShardSpec,
)
from chronopose.recipes.lspet import CROP, LSPET_TERMS
from chronopose.recipes.synthetic import NANO_CROP

COCO_TERMS = (
    "Trained on COCO: labels CC BY 4.0, pictures under the terms of their owners; check them "
    "before commercial use."
)
MPII_TERMS = "Trained on MPII Human Pose, whose labels and pictures are for research only."
EPOCH = {"coco": 1_170, "mpii": 174, "lsp": 74}
"""Steps of 128 people that stand for one pass over the people of a set, rounded."""
RESNET = ((90, 1e-3), (30, 1e-4), (20, 1e-5))
"""Epochs and rates of SimpleBaseline."""
HOURGLASS = ((60, 2.5e-4), (30, 2.5e-5), (10, 2.5e-6))
"""Those of hourglasses."""
_SIMPLE_BASELINE = Augmentation(
    geometric=(
        Scale(spread=0.3, low=0.7, high=1.3),
        Rotate(p=0.6, spread_deg=40.0, limit_deg=80.0),
        Flip(p=0.5),
    )
)


def clnet_r50() -> Recipe:
    """clnet:r50 on COCO with the schedule of SimpleBaseline.

    Command         chronopose train clnet_r50 --data COCO --out runs/clnet
    Hardware        four GPUs
    Hours           not measured
    Published       1.14 points over SimpleBaseline at about half the cost; the abstract names
                    neither measure nor set
    Ours            not run

    Adam at 1e-3, a tenth of it from epoch 90 and a hundredth from 120, 140 epochs of 4 times 32.
    From random weights; ``--set model.pretrained=true`` lets timm fetch ImageNet's, from which
    SimpleBaseline starts.
    """
    return _stills("clnet_r50", "clnet:r50", "coco", (192, 256), RESNET)


def clnet_hourglass8() -> Recipe:
    """clnet:hourglass8 on COCO from random weights.

    Command         chronopose train clnet_hourglass8 --data COCO --out runs/clnet
    Hardware        four GPUs
    Hours           not measured
    Published       4.45 points over the original stacked hourglass on COCO
    Ours            not run

    Adam, where hourglasses are usually trained with RMSprop, at 2.5e-4, a tenth of it from epoch
    60 and a hundredth from 90, 100 epochs of 4 times 32.
    """
    return _stills("clnet_hourglass8", "clnet:hourglass8", "coco", (256, 256), HOURGLASS)


def clnet_r50_mpii() -> Recipe:
    """clnet:r50 on MPII with the schedule of SimpleBaseline, crops of 256 x 256.

    Command         chronopose train clnet_r50_mpii --data MPII --out runs/clnet
    Hardware        four GPUs
    Hours           not measured
    Published       none that we can show
    Ours            not run
    """
    return _stills("clnet_r50_mpii", "clnet:r50", "mpii", (256, 256), RESNET)


def clnet_hourglass8_mpii() -> Recipe:
    """clnet:hourglass8 on MPII from random weights.

    Command         chronopose train clnet_hourglass8_mpii --data MPII --out runs/clnet
    Hardware        four GPUs
    Hours           not measured
    Published       none that we can show
    Ours            not run
    """
    return _stills("clnet_hourglass8_mpii", "clnet:hourglass8", "mpii", (256, 256), HOURGLASS)


def clnet_r50_lsp() -> Recipe:
    """clnet:r50 on Leeds Sports Pose and its extension, tested on the last 1,000 of the former.

    Command         chronopose train clnet_r50_lsp --data DIR --out runs/clnet
    Hardware        four GPUs
    Hours           not measured
    Published       none that we can show
    Ours            not run

    DIR holds the folders ``lsp`` and ``lspet``. Of the extension 8,500 pictures are trained on: the
    others are kept for the scores of this project. Pictures are drawn evenly.
    """
    return _stills("clnet_r50_lsp", "clnet:r50", "lsp", (256, 256), RESNET)


def clnet_hourglass8_lsp() -> Recipe:
    """clnet:hourglass8 on Leeds Sports Pose and its extension, as :func:`clnet_r50_lsp`.

    Command         chronopose train clnet_hourglass8_lsp --data DIR --out runs/clnet
    Hardware        four GPUs
    Hours           not measured
    Published       none that we can show
    Ours            not run
    """
    return _stills("clnet_hourglass8_lsp", "clnet:hourglass8", "lsp", (256, 256), HOURGLASS)


def clnet_lite() -> Recipe:
    """clnet:lite from random weights on photographs of sports and procedural pictures.

    Command         chronopose train clnet_lite --data LSPET --out runs/clnet
    Hardware        two CPU cores, bfloat16, about 3 GB of memory
    Hours           not measured
    Published       none
    Ours            not run

    Data, augmentation and schedule of
    :func:`~chronopose.recipes.lspet.simple_baseline_lite_muon`, so that heatmap and composite
    targets can be compared.
    """
    return Recipe(
        name="clnet_lite",
        model="clnet:lite",
        train=MixtureSpec(
            parts=(LSPETSpec(split="train"), ProceduralSpec(count=1500, size=(192, 192))),
            shares=(17, 3),
        ),
        val=LSPETSpec(split="val"),
        augmentation=strong(),
        overrides={"crop_size": CROP},
        settings=TrainSettings(
            phases=(
                Phase(steps=6_000, crop_size=(96, 128), batch_size=64, lr=(2e-3, 2e-3)),
                Phase(steps=8_000, crop_size=(128, 160), batch_size=48, lr=(1.6e-3, 0.0)),
                Phase(steps=1_000, crop_size=CROP, batch_size=40, lr=(5e-4, 0.0)),
            ),
            optimiser="muon",
            val_every=750,
            save_every=250,
            flip_test=True,
        ),
        needs_data=True,
        trained_on="LSPET images 1-8500; 1,500 procedural pictures",
        terms=LSPET_TERMS,
    )


def clnet_lite_nano() -> Recipe:
    """clnet:lite for small crops, from the body of simple_baseline:lite; the rest is random.

    Command         chronopose train clnet_lite_nano --data LSPET --synthetic SHARDS --out RUN
    Hardware        one CPU core, fp32, about 3 GB of memory
    Hours           0.1
    Published       none
    Ours            see docs/models/clnet.md

    One half of the comparison with heatmaps at equal backbone; the other is
    :func:`simple_baseline_lite_body_nano`. ``--set seed=1`` for further seeds.
    """
    return Recipe(
        name="clnet_lite_nano",
        model="clnet:lite",
        single_frame="simple_baseline:lite",
        backbone_only=True,
        train=MixtureSpec(parts=(LSPETSpec(split="train"), ShardSpec()), shares=(1, 1)),
        val=LSPETSpec(split="val"),
        augmentation=strong(),
        overrides={"crop_size": NANO_CROP},
        settings=TrainSettings(
            phases=(Phase(steps=160, crop_size=NANO_CROP, batch_size=40, lr=(8e-4, 0.0)),),
            optimiser="muon",
            precision="fp32",
            warmup_steps=20,
            ema_decay=0.97,
            val_every=160,
            save_every=80,
            flip_test=True,
        ),
        needs_data=True,
        trained_on="LSPET images 1-8500; synthetic people of 'chronopose synth'",
        terms=LSPET_TERMS,
    )


def simple_baseline_lite_body_nano() -> Recipe:
    """simple_baseline:lite as in :func:`clnet_lite_nano`: its own pyramid and head start random.

    Command         chronopose train simple_baseline_lite_body_nano --data LSPET
                    --synthetic SHARDS --out RUN
    Hardware        as for :func:`clnet_lite_nano`
    Hours           0.15
    Published       none
    Ours            see docs/models/clnet.md
    """
    recipe, name = clnet_lite_nano(), "simple_baseline_lite_body_nano"
    phases = tuple(replace(p, sigma=1.5) for p in recipe.settings.phases)
    settings = replace(recipe.settings, phases=phases)
    return replace(recipe, name=name, model="simple_baseline:lite", settings=settings)


def _stills(
    name: str, model: str, dataset: str, crop: tuple[int, int], parts: Sequence[tuple[int, float]]
) -> Recipe:
    """One of both networks on one of the sets; MPII and LSP in their own joints."""
    skeleton = {"coco": "coco17", "mpii": "mpii16", "lsp": "lsp14"}[dataset]
    train: DataSpec = LabelledSpec(dataset=dataset, split="train", frames=1)
    val = LabelledSpec(dataset=dataset, split="val", frames=1)
    if dataset == "lsp":
        both = (
            LabelledSpec(dataset="lsp", split="train", frames=1, folder="lsp"),
            LabelledSpec(dataset="lspet", split="train", frames=1, folder="lspet"),
        )
        train = MixtureSpec(parts=both, shares=(2, 17))
        val = LabelledSpec(dataset="lsp", split="test", frames=1, folder="lsp")
    trained_on, terms = {
        "coco": ("COCO 2017 train", COCO_TERMS),
        "mpii": ("MPII train", MPII_TERMS),
        "lsp": ("LSP train and LSPET images 1-8500", LSPET_TERMS),
    }[dataset]
    epoch = EPOCH[dataset]
    return Recipe(
        name=name,
        model=model,
        train=train,
        val=val,
        augmentation=_SIMPLE_BASELINE,
        overrides={"skeleton": skeleton, "crop_size": crop},
        settings=TrainSettings(
            phases=tuple(
                Phase(steps=count * epoch, crop_size=crop, batch_size=32, lr=(rate, rate))
                for count, rate in parts
            ),
            optimiser="adam",
            weight_decay=0.0,
            warmup_steps=0,
            clip_norm=0.0,
            ema_decay=0.0,
            devices=4,
            flip_test=True,
            val_every=epoch,
        ),
        needs_data=True,
        trained_on=trained_on,
        terms=terms,
    )

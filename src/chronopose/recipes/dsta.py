"""DSTA: the paper's training on PoseTrack, and the light one on generated people."""

from __future__ import annotations

from chronopose.data.transforms import family, strong, strong_video
from chronopose.engine.settings import Phase, TrainSettings
from chronopose.recipes._posetrack import PEOPLE, POSETRACK_TERMS
from chronopose.recipes._recipe import (
    LabelledSpec,
    LSPETSpec,
    MixtureSpec,
    ProceduralSpec,
    Recipe,
    ShardSpec,
)
from chronopose.recipes.lspet import CROP, LSPET_TERMS
from chronopose.recipes.synthetic import NANO_CROP

EPOCH = PEOPLE // 32
"""Steps of 32 people that stand for one pass over the labelled people of PoseTrack, rounded."""
_CROP = (192, 256)


def dsta_posetrack17() -> Recipe:
    """dsta:r50 on PoseTrack 2017, all weights trained, with the paper's settings.

    Command         chronopose train dsta_posetrack17 --data POSETRACK17 --init BACKBONE --out RUN
    Hardware        one GPU
    Hours           not measured
    Published       78.7 mAP on the validation set, three frames, with the paper's boxes
    Ours            not run

    BACKBONE are weights of a ResNet-50 that knows poses: a published SimpleBaseline or a run of
    ours. The paper takes a residual log-likelihood network trained on COCO; its file is read by
    ``model.load_single_frame(torch.load(FILE))`` in Python.
    """
    return _paper("dsta_posetrack17", "posetrack17")


def dsta_posetrack18() -> Recipe:
    """dsta:r50 on PoseTrack 2018, all weights trained, with the paper's settings.

    Command         chronopose train dsta_posetrack18 --data POSETRACK18 --init BACKBONE --out RUN
    Hardware        one GPU
    Hours           not measured
    Published       none that we can show
    Ours            not run

    BACKBONE as for :func:`dsta_posetrack17`.
    """
    return _paper("dsta_posetrack18", "posetrack18")


def dsta_posetrack21() -> Recipe:
    """dsta:r50 on PoseTrack21, all weights trained, with the settings of the other two sets.

    Command         chronopose train dsta_posetrack21 --data POSETRACK21 --init BACKBONE --out RUN
    Hardware        one GPU
    Hours           not measured
    Published       none that we can show; the authors have not said how they trained on this set
    Ours            not run

    BACKBONE as for :func:`dsta_posetrack17`.
    """
    return _paper("dsta_posetrack21", "posetrack21")


def dsta_lite() -> Recipe:
    """dsta:lite on procedural clips, all weights trained, from the light single-frame backbone.

    Command         chronopose train dsta_lite --out runs/dsta
    Hardware        two CPU cores, bfloat16, about 3 GB of memory
    Hours           not measured
    Published       none
    Ours            not run

    Three frames. The backbone starts from the shipped weights of simple_baseline:lite, or from
    those given with --init.
    """
    return Recipe(
        name="dsta_lite",
        model="dsta:lite",
        single_frame="simple_baseline:lite",
        train=ProceduralSpec(count=2000, frames=3),
        val=ProceduralSpec(count=200, frames=3, seed=1),
        augmentation=strong_video(),
        overrides={"crop_size": CROP},
        settings=TrainSettings(
            phases=(
                Phase(steps=3_000, crop_size=CROP, batch_size=32, lr=(5e-4, 5e-4)),
                Phase(steps=2_000, crop_size=CROP, batch_size=32, lr=(5e-4, 0.0)),
            ),
            weight_decay=0.01,
            ema_decay=0.998,
            val_every=500,
            save_every=250,
        ),
        trained_on="2,000 procedural clips; its backbone started from weights trained on LSPET",
        terms=LSPET_TERMS,
    )


def dsta_lite_nano() -> Recipe:
    """dsta:lite of one frame for small crops: what the regression rows of the arena stand on.

    Command         chronopose train dsta_lite_nano --data LSPET --synthetic SHARDS --init TWIN
                    --out RUN
    Hardware        one CPU core, fp32, about 3 GB of memory
    Hours           0.7
    Published       none
    Ours            PCK 34.4 on LSPET 8501-9000; see docs/models/dsta.md

    All weights are trained, on the data of :func:`~.synthetic.simple_baseline_lite_nano`. TWIN is a
    run of that, or left out: then the backbone starts from the shipped weights.
    """
    return Recipe(
        name="dsta_lite_nano",
        model="dsta:lite",
        single_frame="simple_baseline:lite",
        train=MixtureSpec(parts=(LSPETSpec(split="train"), ShardSpec()), shares=(1, 1)),
        val=LSPETSpec(split="val"),
        augmentation=strong(),
        overrides={"crop_size": NANO_CROP, "num_frames": 1},
        settings=TrainSettings(
            phases=(Phase(steps=900, crop_size=NANO_CROP, batch_size=48, lr=(1e-3, 0.0)),),
            optimiser="muon",
            precision="fp32",
            warmup_steps=50,
            ema_decay=0.99,
            val_every=300,
            save_every=100,
        ),
        needs_data=True,
        trained_on="LSPET images 1-8500; synthetic people of 'chronopose synth'",
        terms=LSPET_TERMS,
    )


def _paper(name: str, dataset: str) -> Recipe:
    """AdamW at 5e-5, a tenth of it from epoch 10 and a hundredth from 15, 20 epochs of 32s."""
    skeleton = "posetrack17slot"
    return Recipe(
        name=name,
        model="dsta:r50",
        single_frame="simple_baseline:r50",
        train=LabelledSpec(
            dataset=dataset, split="train", frames=3, neighbours="dsta", skeleton=skeleton
        ),
        val=LabelledSpec(
            dataset=dataset, split="val", frames=3, neighbours="dsta", skeleton=skeleton
        ),
        augmentation=family(),
        settings=TrainSettings(
            phases=tuple(
                Phase(steps=count * EPOCH, crop_size=_CROP, batch_size=32, lr=(rate, rate))
                for count, rate in ((10, 5e-5), (5, 5e-6), (5, 5e-7))
            ),
            weight_decay=0.01,
            warmup_steps=0,
            clip_norm=0.0,
            ema_decay=0.0,
            precision="fp32",
            seed=8888,
            val_every=EPOCH,
            val_batch_size=64,
        ),
        needs_data=True,
        trained_on=f"{dataset} train; its backbone started from weights trained on COCO",
        terms=POSETRACK_TERMS,
    )

"""PAVE-Net: on COCO as video that stands still, on PoseTrack, and a small one on synthetic video.

Rates, epochs, passes to a step, and the parts that learn slowly are the paper's. What its notes do
not tell is a choice: the schedule on COCO, and all of ``pavenet_lite``. Any odd window works, also
the key frame alone: ``--set model.num_frames=1``, the same in the run that ``--init`` names.
"""

from __future__ import annotations

from chronopose.data.scene_augment import SceneAugmentation
from chronopose.engine.fit_scene import SceneSettings
from chronopose.recipes._posetrack import COCO_TERMS, POSETRACK_TERMS
from chronopose.recipes._scene import SceneRecipe
from chronopose.recipes.lspet import LSPET_TERMS


def pavenet_r50_coco() -> SceneRecipe:
    """PAVE-Net with a ResNet-50 on COCO train2017, every picture shown as three equal frames.

    Command         chronopose train pavenet_r50_coco --data COCO --set model.pretrained=true
                    --out RUN
    Hardware        one GPU
    Hours           not measured
    Published       none: it is a step on the way
    Ours            not run

    The 15 joints of PoseTrack; head and neck are made of COCO's joints where these tell them. The
    paper starts from a backbone of PETR, or pretrains like this; its schedule is not told.
    """
    return SceneRecipe(
        name="pavenet_r50_coco",
        model="pavenet:r50",
        dataset="coco",
        settings=SceneSettings(
            epochs=50, drops=(40,), lr=1e-4, accumulate=16, save_every=1000, workers=4
        ),
        val_split=None,
        trained_on="COCO train2017, stills as video",
        terms=COCO_TERMS,
    )


def pavenet_r50_posetrack17() -> SceneRecipe:
    """PAVE-Net with a ResNet-50 on the labelled frames of PoseTrack 2017.

    Command         chronopose train pavenet_r50_posetrack17 --data POSETRACK17 --init COCO_RUN
                    --out RUN
    Hardware        one GPU
    Hours           not measured
    Published       77.7 mAP on the validation set, three frames
    Ours            not run

    COCO_RUN: a run of :func:`pavenet_r50_coco`.
    """
    return _posetrack("pavenet_r50_posetrack17", "posetrack17")


def pavenet_r50_posetrack18() -> SceneRecipe:
    """PAVE-Net with a ResNet-50 on the labelled frames of PoseTrack 2018.

    Command         chronopose train pavenet_r50_posetrack18 --data POSETRACK18 --init COCO_RUN
                    --out RUN
    Hardware        one GPU
    Hours           not measured
    Published       none that we can show
    Ours            not run

    COCO_RUN: a run of :func:`pavenet_r50_coco`.
    """
    return _posetrack("pavenet_r50_posetrack18", "posetrack18")


def pavenet_r50_posetrack21() -> SceneRecipe:
    """PAVE-Net with a ResNet-50 on the labelled frames of PoseTrack21.

    Command         chronopose train pavenet_r50_posetrack21 --data POSETRACK21 --init COCO_RUN
                    --out RUN
    Hardware        one GPU
    Hours           not measured
    Published       none that we can show
    Ours            not run

    COCO_RUN: a run of :func:`pavenet_r50_coco`.
    """
    return _posetrack("pavenet_r50_posetrack21", "posetrack21")


def pavenet_lite() -> SceneRecipe:
    """pavenet:lite on synthetic video, small frames; everything but the backbone is random first.

    Command         chronopose train pavenet_lite --data SYNTHTRACK --out RUN
    Hardware        one GPU
    Hours           not measured
    Published       none for this network
    Ours            not run

    SYNTHTRACK holds the splits train and val of ``chronopose synth --benchmark synthtrack``; a
    training set of any other ``chronopose synth`` serves as well, without validation if it has no
    val: ``--set val_every=0``. The backbone is that of ``simple_baseline:lite`` and does not learn
    for the first tenth.
    """
    return SceneRecipe(
        name="pavenet_lite",
        model="pavenet:lite",
        dataset="synthtrack",
        settings=SceneSettings(
            steps=20_000, batch_size=8, lr=3e-4, warmup_steps=200, drops=(16_000,), frozen=2_000,
            clip_norm=1.0, ema_decay=0.999, val_every=2_000, workers=2,
        ),
        augmentation=SceneAugmentation(
            shorter=(144, 240), longest=384, crop_from=(216, 252, 288), crop=(176, 288)
        ),
        val_options={"every": 8},
        backbone_from="simple_baseline:lite",
        overrides={"skeleton": "posetrack15", "frame_size": (320, 192)},
        trained_on=(
            "synthetic video of 'chronopose synth'; its backbone started from "
            "simple_baseline:lite, whose training has seen LSPET"
        ),
        terms=LSPET_TERMS,
    )  # fmt: skip


def pavenet_lite_still() -> SceneRecipe:
    """pavenet:lite on single frames of synthetic video: the start of both of its comparisons.

    Command         chronopose train pavenet_lite_still --data SYNTHTRACK --out RUN
    Hardware        one CPU core
    Hours           0.9
    Published       none for this network
    Ours            AP 6.5 on every eighth frame of SynthTrack val

    SYNTHTRACK as for :func:`pavenet_lite`. The backbone is that of ``simple_baseline:lite`` and
    does not learn; turns and scales are mild, since there is no time to learn more than two passes.
    """
    return SceneRecipe(
        name="pavenet_lite_still",
        model="pavenet:lite",
        dataset="synthtrack",
        settings=SceneSettings(
            steps=1600, batch_size=8, lr=4e-4, warmup_steps=100, drops=(1300,), frozen=1600,
            clip_norm=1.0, ema_decay=0.99, val_every=400, save_every=50, log_every=25,
        ),
        augmentation=SceneAugmentation(
            turn_deg=10.0, shorter=(160, 216), longest=384, crop_p=0.25,
            crop_from=(216, 252), crop=(176, 288),
        ),
        val_options={"every": 8},
        backbone_from="simple_baseline:lite",
        overrides={"skeleton": "posetrack15", "frame_size": (320, 192), "num_frames": 1},
        trained_on=(
            "synthetic video of 'chronopose synth', frame by frame; its backbone is that of "
            "simple_baseline:lite, whose training has seen LSPET"
        ),
        terms=LSPET_TERMS,
    )  # fmt: skip


def _posetrack(name: str, dataset: str) -> SceneRecipe:
    return SceneRecipe(
        name=name,
        model="pavenet:r50",
        dataset=dataset,
        settings=SceneSettings(
            epochs=50, drops=(40,), lr=2e-5, accumulate=8, val_every=5, save_every=1000, workers=4
        ),
        needs_init=True,
        trained_on=f"COCO, then {dataset} train",
        terms=POSETRACK_TERMS,
    )

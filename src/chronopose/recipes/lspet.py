"""Single-frame networks from scratch on LSPET."""

from __future__ import annotations

from chronopose.data.transforms import strong
from chronopose.engine.settings import Phase, TrainSettings
from chronopose.recipes._recipe import LSPETSpec, Recipe

LSPET_TERMS = (
    "Trained on Leeds Sports Pose Extended, which is for research use; check its terms before any "
    "other use of these weights."
)


def simple_baseline_lite() -> Recipe:
    """simple_baseline:lite from random weights on 8,500 photographs of sports.

    Command         chronopose train simple_baseline_lite --data LSPET --out runs/single
    Hardware        two CPU cores, bfloat16, about 2 GB of memory
    Hours           about 3.5
    Published       none for this network; a well-known single-frame peer reaches 57.5 on a
                    comparable thousand images (PCK@0.2, torso, 12 limb joints)
    Ours            see the weights card

    Cross-entropy over cells at stride 4, and with weights 0.3 and 0.2 at strides 8 and 16. The
    crop grows while the rate falls: most of what is learnt is learnt at a quarter of the cost.
    """
    return Recipe(
        name="simple_baseline_lite",
        model="simple_baseline:lite",
        train=LSPETSpec(split="train"),
        val=LSPETSpec(split="val"),
        augmentation=strong(),
        settings=TrainSettings(
            phases=(
                Phase(steps=24_000, crop_size=(96, 128), lr=(2e-3, 2e-3), sigma=1.5),
                Phase(steps=8_000, crop_size=(128, 160), lr=(2e-3, 8e-4), sigma=2.0),
                Phase(steps=6_000, crop_size=(192, 256), lr=(8e-4, 0.0), sigma=2.0),
            ),
            flip_test=True,
        ),
        needs_data=True,
        trained_on="LSPET images 1-8500",
        terms=LSPET_TERMS,
    )


def simple_baseline_lite_muon() -> Recipe:
    """simple_baseline:lite on LSPET with Muon in place of AdamW and larger batches.

    Command         chronopose train simple_baseline_lite_muon --data LSPET --out runs/single
    Hardware        two CPU cores, bfloat16, about 3 GB of memory
    Hours           about 3
    Published       none
    Ours            see the weights card

    Data, augmentation and loss as :func:`simple_baseline_lite`.
    """
    return Recipe(
        name="simple_baseline_lite_muon",
        model="simple_baseline:lite",
        train=LSPETSpec(split="train"),
        val=LSPETSpec(split="val"),
        augmentation=strong(),
        settings=TrainSettings(
            phases=(
                Phase(
                    steps=9_000, crop_size=(96, 128), batch_size=64, lr=(2.5e-3, 1.2e-3), sigma=1.5
                ),
                Phase(steps=2_400, crop_size=(128, 160), batch_size=48, lr=(1.2e-3, 4e-4)),
                Phase(steps=1_800, crop_size=(192, 256), batch_size=32, lr=(4e-4, 0.0)),
            ),
            optimiser="muon",
            val_every=750,
            save_every=250,
            flip_test=True,
        ),
        needs_data=True,
        trained_on="LSPET images 1-8500",
        terms=LSPET_TERMS,
    )

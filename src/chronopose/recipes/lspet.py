"""Single-frame networks from scratch on LSPET."""

from __future__ import annotations

from chronopose.data.transforms import strong
from chronopose.engine.settings import Phase, TrainSettings
from chronopose.recipes._recipe import LSPETSpec, MixtureSpec, ProceduralSpec, Recipe

LSPET_TERMS = (
    "Trained on Leeds Sports Pose Extended, which is for research use; check its terms before any "
    "other use of these weights."
)
CROP = (160, 192)
"""Width and height of the crops of the light networks; the pictures hardly have more pixels."""
_TRAIN = MixtureSpec(
    parts=(LSPETSpec(split="train"), ProceduralSpec(count=1500, size=(192, 192))), shares=(17, 3)
)
_TRAINED_ON = "LSPET images 1-8500; 1,500 procedural pictures"


def simple_baseline_lite() -> Recipe:
    """simple_baseline:lite from random weights on 8,500 photographs of sports.

    Command         chronopose train simple_baseline_lite --data LSPET --out runs/single
    Hardware        two CPU cores, bfloat16, about 2 GB of memory
    Hours           about 4
    Published       none for this network; a well-known single-frame peer reaches 57.5 on a
                    comparable thousand images (PCK@0.2, torso, 12 limb joints)
    Ours            not run; see :func:`simple_baseline_lite_muon`

    Cross-entropy over cells at stride 4, and with weights 0.3 and 0.2 at strides 8 and 16. The
    crop grows while the rate falls: most of what is learnt is learnt at a quarter of the cost.
    """
    return Recipe(
        name="simple_baseline_lite",
        model="simple_baseline:lite",
        train=_TRAIN,
        val=LSPETSpec(split="val"),
        augmentation=strong(),
        overrides={"crop_size": CROP},
        settings=TrainSettings(
            phases=(
                Phase(steps=24_000, crop_size=(96, 128), lr=(2e-3, 2e-3), sigma=1.5),
                Phase(steps=10_000, crop_size=(128, 160), lr=(2e-3, 5e-4), sigma=2.0),
                Phase(steps=2_000, crop_size=CROP, lr=(5e-4, 0.0), sigma=2.0),
            ),
            flip_test=True,
        ),
        needs_data=True,
        trained_on=_TRAINED_ON,
        terms=LSPET_TERMS,
    )


def simple_baseline_lite_muon() -> Recipe:
    """simple_baseline:lite on LSPET with Muon in place of AdamW and larger batches.

    Command         chronopose train simple_baseline_lite_muon --data LSPET --out runs/single
    Hardware        two CPU cores, bfloat16, about 3 GB of memory
    Hours           about 3
    Published       none
    Ours            see the weights card, whose run was like this one, but not to the bit

    Data, augmentation and loss as :func:`simple_baseline_lite`.
    """
    return Recipe(
        name="simple_baseline_lite_muon",
        model="simple_baseline:lite",
        train=_TRAIN,
        val=LSPETSpec(split="val"),
        augmentation=strong(),
        overrides={"crop_size": CROP},
        settings=TrainSettings(
            phases=(
                Phase(steps=6_000, crop_size=(96, 128), batch_size=64, lr=(2e-3, 2e-3), sigma=1.5),
                Phase(steps=8_000, crop_size=(128, 160), batch_size=48, lr=(1.6e-3, 0.0)),
                Phase(steps=1_000, crop_size=CROP, batch_size=40, lr=(5e-4, 0.0)),
            ),
            optimiser="muon",
            val_every=750,
            save_every=250,
            flip_test=True,
        ),
        needs_data=True,
        trained_on=_TRAINED_ON,
        terms=LSPET_TERMS,
    )

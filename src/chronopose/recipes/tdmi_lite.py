"""tdmi:lite: the temporal part on top of a frozen single-frame network."""

from __future__ import annotations

from chronopose.data.datasets.lspet import CameraMotion
from chronopose.data.transforms import strong_video
from chronopose.engine.settings import Phase, TrainSettings
from chronopose.recipes._recipe import LSPETSpec, MixtureSpec, ProceduralSpec, Recipe
from chronopose.recipes.lspet import CROP, LSPET_TERMS


def tdmi_lite() -> Recipe:
    """tdmi:lite on moving crops of LSPET and procedural clips, backbone frozen.

    Command         chronopose train tdmi_lite --data LSPET --out runs/tdmi
    Hardware        two CPU cores, bfloat16, about 3 GB of memory
    Hours           about 2
    Published       none for this network; with HRNet-W48 on PoseTrack2017 the paper gains 8.4 AP
                    over its single-frame twin
    Ours            see the weights card

    Starts as its single-frame twin, whose weights (shipped, or given with --init) stay frozen.
    Five frames, three clips of LSPET to one procedural clip. Blur that comes and goes and
    occluders that move give the neighbours something to say that the key frame has lost.
    """
    return Recipe(
        name="tdmi_lite",
        model="tdmi:lite",
        single_frame="simple_baseline:lite",
        train=MixtureSpec(
            parts=(
                LSPETSpec(split="train", frames=5, motion=CameraMotion()),
                ProceduralSpec(count=2000, frames=5),
            ),
            shares=(3, 1),
        ),
        val=LSPETSpec(split="val", frames=5),
        augmentation=strong_video(),
        overrides={"crop_size": CROP},
        settings=TrainSettings(
            phases=(
                Phase(steps=2_000, crop_size=CROP, batch_size=16, lr=(1e-3, 1e-3)),
                Phase(steps=2_000, crop_size=CROP, batch_size=16, lr=(1e-3, 0.0)),
            ),
            warmup_steps=100,
            ema_decay=0.998,
            val_every=500,
            save_every=250,
        ),
        needs_data=True,
        trained_on="LSPET images 1-8500 as moving crops; 2,000 procedural clips",
        terms=LSPET_TERMS,
    )

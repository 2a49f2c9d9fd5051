"""Flowing ConvNets: both stages of the paper on upper-body video, and the light one."""

from __future__ import annotations

from dataclasses import replace

from chronopose.data.transforms import Augmentation, Flip, Rotate, Scale, Shift
from chronopose.engine.settings import Phase, TrainSettings
from chronopose.recipes._recipe import LabelledSpec, Recipe
from chronopose.recipes.tdmi_lite import tdmi_lite

UPPER_BODY_TERMS = (
    "Trained on upper-body video of research sets; check their terms before any other use of these "
    "weights."
)
_CROP = (256, 256)
_PAPER_LIKE = Augmentation(
    geometric=(
        Scale(spread=0.0, mean=248 / 256),
        Rotate(p=1.0, spread_deg=23.0, limit_deg=40.0),
        Shift(spread=0.009),
        Flip(p=0.5),
    )
)
"""Mirror, crops of 248 out of 256 pixels at random places, turns up to 40 degrees; places and turns
are drawn from normal distributions of the even ones' spread."""


def flowing_convnets_fusion() -> Recipe:
    """flowing_convnets:fusion, SpatialNet with spatial fusion, on single upper-body frames.

    Command         chronopose train flowing_convnets_fusion --data UPPER --out runs/fusion
    Hardware        one GPU
    Hours           not measured
    Published       86.1 wrists of BBC Pose within 6 pixels without flow (trained on Extended BBC)
    Ours            not run

    The first stage. Batches of 14, 120,000 steps. AdamW with means as losses stands for the
    release's plain descent at 1e-8 on sums.
    """
    return _paper("flowing_convnets_fusion", "flowing_convnets:fusion", 1, 120_000, None)


def flowing_convnets_flowing() -> Recipe:
    """flowing_convnets:flowing, the pooling alone, on windows of 31 upper-body frames.

    Command         chronopose train flowing_convnets_flowing --data UPPER --init FUSION --out RUN
    Hardware        one GPU; a CPU for the flow
    Hours           not measured
    Published       88.7 wrists of BBC Pose within 6 pixels
    Ours            not run

    The second stage. FUSION is the finished run of :func:`flowing_convnets_fusion`; its network is
    frozen, and the 7 times 31 weights of the pooling are learned.
    """
    return _paper(
        "flowing_convnets_flowing", "flowing_convnets:flowing", 31, 5_000,
        "flowing_convnets:fusion",
    )  # fmt: skip


def flowing_convnets_lite() -> Recipe:
    """flowing_convnets:lite on moving crops of LSPET and procedural clips, backbone frozen.

    Command         chronopose train flowing_convnets_lite --data LSPET --out runs/flowing
    Hardware        two CPU cores, bfloat16, about 3 GB of memory
    Hours           not measured
    Published       none for this network
    Ours            not run

    Data, augmentation and schedule of :func:`~chronopose.recipes.tdmi_lite.tdmi_lite`, so that
    the two can be compared. Starts as its single-frame twin.
    """
    return replace(tdmi_lite(), name="flowing_convnets_lite", model="flowing_convnets:lite")


def _paper(name: str, model: str, frames: int, steps: int, twin: str | None) -> Recipe:
    """Batches of 14 (windows: 2); the rate falls to a tenth after two thirds and five sixths."""
    batch = 14 if frames == 1 else 2
    parts = ((4 * steps // 6, 1e-4), (steps // 6, 1e-5), (steps - 5 * steps // 6, 1e-6))
    return Recipe(
        name=name,
        model=model,
        single_frame=twin,
        train=LabelledSpec(dataset="upper_body", split="train", frames=frames),
        val=LabelledSpec(dataset="upper_body", split="val", frames=frames),
        augmentation=_PAPER_LIKE,
        settings=TrainSettings(
            phases=tuple(
                Phase(steps=count, crop_size=_CROP, batch_size=batch, lr=(rate, rate))
                for count, rate in parts
            ),
            weight_decay=5e-4,
            clip_norm=0.0,
            ema_decay=0.0,
            precision="fp32",
            val_batch_size=batch,
        ),
        needs_data=True,
        trained_on="the training split of an upper-body set",
        terms=UPPER_BODY_TERMS,
    )

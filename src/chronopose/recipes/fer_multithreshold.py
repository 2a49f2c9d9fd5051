"""Facial expressions by many triplet thresholds: a small network, and the sets of the paper.

The small one first learns on drawn faces, which need no data, then on a table of portraits. The
others are the paper's sets with a ResNet-18; whoever has a set's agreement can run them. All folds
are folds of persons; a recipe trains on all but the first and judges the first.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from chronopose.engine.fit_faces import FaceSettings
from chronopose.recipes._faces import DrawnSpec, ExpressionSpec, FaceRecipe

SIX = ("neutral", "anger", "disgust", "happiness", "sadness", "surprise")
"""Expressions of the portraits: their fear and contempt are too few to learn from."""
POSED = ("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise")
"""Expressions of CK+."""
CAN = (
    "Names the look of a face that is seen from the front, at about 48 pixels. A look is not a "
    "feeling: do not use it to judge what anybody feels, wants or is like."
)
LITE = FaceSettings(steps=1200, lr=2e-3, save_every=200)
RESNET = FaceSettings(
    steps=6000, optimiser="sgd", lr=0.01, warmup_steps=200, ema_decay=0.998, workers=4,
    precision="bf16",
)  # fmt: skip
"""Batches of 7 x 8; the specification asks for 60 epochs of small sets at rate 0.01."""


def fer_multithreshold_drawn() -> FaceRecipe:
    """fer_multithreshold:lite on faces drawn by code: no data needed.

    Command         chronopose train fer_multithreshold_drawn --out runs/fer_drawn
    Hardware        one CPU core, less than 1 GB of memory
    Hours           about 0.05
    Published       none for this network
    Ours            docs/models/fer_multithreshold.md
    """
    return FaceRecipe(
        name="fer_multithreshold_drawn",
        model="fer_multithreshold:lite",
        train=DrawnSpec(people=400),
        val=DrawnSpec(people=60, seed=1),
        settings=replace(LITE, steps=800),
        overrides={"classes": SIX},
        trained_on="2,400 faces of 400 made-up people, drawn by code",
        terms="Trained on drawn faces only; free to use under the licence of the package.",
        notes=f"{CAN} Trained on drawings alone, it knows real faces badly.",
    )


def fer_multithreshold_lite() -> FaceRecipe:
    """fer_multithreshold:lite, after drawn faces, on four fifths of a table of portraits.

    Command         chronopose train fer_multithreshold_lite --data DIR --init runs/fer_drawn
    Hardware        one CPU core, less than 1 GB of memory
    Hours           about 0.05
    Published       none for this network
    Ours            docs/models/fer_multithreshold.md

    DIR holds ``labels.csv`` (image, expression, person) and ``images``. Nobody of the first fifth
    of the persons is trained on; it is judged at the end.
    """
    return FaceRecipe(
        name="fer_multithreshold_lite",
        model="fer_multithreshold:lite",
        train=ExpressionSpec(dataset="fer_portraits", split="train:1"),
        val=ExpressionSpec(dataset="fer_portraits", split="test:1"),
        settings=LITE,
        overrides={"classes": SIX},
        trained_on=(
            "2,400 drawn faces, then 1,676 gray portraits with expression labels of "
            "muxspace/facial_expressions, persons of the judged fifth left out"
        ),
        terms=(
            "Labels of the portraits: Apache-2.0. The rights of the pictures themselves are "
            "unclear, so it is unclear what the weights may be used for beyond research."
        ),
        notes=CAN,
        flags=" --data DIR --init runs/fer_drawn",
    )


def fer_multithreshold_ckplus() -> FaceRecipe:
    """ResNet-18 on CK+: the last three frames of each sequence, ten folds of persons.

    Command         chronopose train fer_multithreshold_ckplus --data DIR
    Hardware        one GPU
    Hours           not measured
    Published       the paper reports CK+; its folds are not known to us
    Ours            none
    """
    return _published("ckplus", "train:1", "test:1", POSED)


def fer_multithreshold_rafdb() -> FaceRecipe:
    """ResNet-18 on RAF-DB, basic; the metric weighs half.

    Command         chronopose train fer_multithreshold_rafdb --data DIR
    Hardware        one GPU
    Hours           not measured
    Published       the paper reports RAF-DB; we could not check its number
    Ours            none
    """
    return _published("rafdb", "train", "test", None, metric_weight=0.5)


def fer_multithreshold_sfew() -> FaceRecipe:
    """ResNet-18 on SFEW 2.0, judged on its validation part.

    Command         chronopose train fer_multithreshold_sfew --data DIR
    Hardware        one GPU
    Hours           not measured
    Published       the paper reports SFEW; we could not check its number
    Ours            none
    """
    return _published("sfew", "train", "val", None)


def fer_multithreshold_mmi() -> FaceRecipe:
    """ResNet-18 on MMI: three frames about the peak, ten folds of persons.

    Command         chronopose train fer_multithreshold_mmi --data DIR
    Hardware        one GPU
    Hours           not measured
    Published       the paper reports MMI; we could not check its number
    Ours            none
    """
    six = tuple(c for c in POSED if c != "contempt")
    return _published("mmi", "train:1", "test:1", six)


def _published(
    dataset: str,
    train: str,
    val: str,
    classes: tuple[str, ...] | None,
    metric_weight: float = 1.0,
) -> FaceRecipe:
    own: dict[str, Any] = {} if classes is None else {"classes": classes}
    return FaceRecipe(
        name=f"fer_multithreshold_{dataset}",
        model="fer_multithreshold:resnet18",
        train=ExpressionSpec(dataset=dataset, split=train),
        val=ExpressionSpec(dataset=dataset, split=val),
        settings=RESNET,
        overrides={"metric_weight": metric_weight, **own},
        pretrained=True,
        trained_on=f"{dataset}, {train}, after ImageNet",
        terms=f"Those of the agreement of {dataset}: research only.",
        notes=CAN,
        flags=" --data DIR",
    )

"""DKD on Penn Action and Sub-J-HMDB with the settings of its base's scripts, and the light one.

An epoch shows every training clip once, a run of five frames of it; the sources do not say what
theirs is. The ranges of scale are told for pictures that are cut without a look at the person's
size; here, where crops follow the box, they are taken relative to their middle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from chronopose.data.datasets.jhmdb import JHMDB
from chronopose.data.transforms import Augmentation, EvenTurn, EvenZoom, Flip
from chronopose.engine.predict_set import predict_set
from chronopose.engine.score import find_metric
from chronopose.engine.settings import Phase, TrainSettings
from chronopose.errors import UsageError
from chronopose.metrics.penn_jhmdb import mean_of_splits
from chronopose.models._base import PoseModel
from chronopose.recipes._recipe import LabelledSpec, Recipe
from chronopose.recipes.tdmi_lite import tdmi_lite

_CROP, _BATCH = (256, 256), 8
PENN_EPOCH = 1258 // _BATCH
"""Steps of 8 clips; the training split has 1,258."""
JHMDB_EPOCH = 26
"""The same for a fold of Sub-J-HMDB: two thirds of 316 clips, rounded."""
PENN_TERMS = "Trained on Penn Action, which states no licence: research use, cite the data set."
JHMDB_TERMS = "Trained on Sub-J-HMDB: research only, cite the data set."


def dkd_penn() -> Recipe:
    """dkd:paper on Penn Action, RMSprop.

    Command         chronopose train dkd_penn --data PENN --init BOTH --out runs/dkd_penn
    Hardware        one GPU
    Hours           not measured
    Published       none that we can show
    Ours            not run

    BOTH: weights of dkd:paper whose two backbones were trained on single pictures; the page of the
    model says how to put them together. Without --init all weights are random.
    """
    return _penn("dkd_penn", _rmsprop(PENN_EPOCH))


def dkd_penn_adam() -> Recipe:
    """dkd:paper on Penn Action, Adam with the drops of the published training script.

    Command         chronopose train dkd_penn_adam --data PENN --init BOTH --out RUN
    Hardware        one GPU
    Hours           not measured
    Published       none that we can show
    Ours            not run

    BOTH as for :func:`dkd_penn`.
    """
    return _penn("dkd_penn_adam", _adam(PENN_EPOCH, (8, 15, 25, 40, 80)))


def dkd_jhmdb1() -> Recipe:
    """dkd:paper_jhmdb on the first fold of Sub-J-HMDB, RMSprop.

    Command         chronopose train dkd_jhmdb1 --data JHMDB --init BOTH --out runs/dkd_jhmdb1
    Hardware        one GPU
    Hours           not measured
    Published       none that we can show
    Ours            not run

    BOTH: weights of dkd:paper_jhmdb, as for :func:`dkd_penn`. Papers average three folds:
    :func:`score_folds`.
    """
    return _jhmdb("dkd_jhmdb1", 1, _rmsprop(JHMDB_EPOCH))


def dkd_jhmdb2() -> Recipe:
    """dkd:paper_jhmdb on the second fold of Sub-J-HMDB, RMSprop.

    Command         chronopose train dkd_jhmdb2 --data JHMDB --init BOTH --out runs/dkd_jhmdb2
    Hardware        one GPU
    Hours           not measured
    Published       none that we can show
    Ours            not run
    """
    return _jhmdb("dkd_jhmdb2", 2, _rmsprop(JHMDB_EPOCH))


def dkd_jhmdb3() -> Recipe:
    """dkd:paper_jhmdb on the third fold of Sub-J-HMDB, RMSprop.

    Command         chronopose train dkd_jhmdb3 --data JHMDB --init BOTH --out runs/dkd_jhmdb3
    Hardware        one GPU
    Hours           not measured
    Published       none that we can show
    Ours            not run
    """
    return _jhmdb("dkd_jhmdb3", 3, _rmsprop(JHMDB_EPOCH))


def dkd_jhmdb1_adam() -> Recipe:
    """dkd:paper_jhmdb on the first fold of Sub-J-HMDB, Adam with the drops of the script.

    Command         chronopose train dkd_jhmdb1_adam --data JHMDB --init BOTH --out RUN
    Hardware        one GPU
    Hours           not measured
    Published       none that we can show
    Ours            not run
    """
    return _jhmdb("dkd_jhmdb1_adam", 1, _adam(JHMDB_EPOCH, (4, 8, 15, 25, 40, 80)))


def dkd_lite() -> Recipe:
    """dkd:lite on moving crops of LSPET and procedural clips, twin frozen.

    Command         chronopose train dkd_lite --data LSPET --out runs/dkd
    Hardware        two CPU cores, bfloat16, about 3 GB of memory
    Hours           not measured
    Published       none for this network
    Ours            not run

    Data, augmentation and schedule of :func:`~chronopose.recipes.tdmi_lite.tdmi_lite`, so that the
    two can be compared; of its clips of five frames the first three. Starts as its single-frame
    twin.
    """
    return replace(tdmi_lite(), name="dkd_lite", model="dkd:lite")


def score_folds(models: Sequence[PoseModel], root: Path | str) -> dict[str, float]:
    """Test a model on each of the three folds of Sub-J-HMDB and average, as papers do.

    Args:
        models: Trained on the folds 1, 2 and 3.
        root: Folder of the set.

    Returns:
        PCK@0.2 by the longer side of the box: the seven groups, ``mean7``, ``mean13`` and
        ``pooled13``, percent.

    Raises:
        UsageError: there are not three models.
        FormatError: labels or pictures are missing.
    """
    if len(models) != 3:
        raise UsageError(f"Sub-J-HMDB has three folds, each with its model; got {len(models)}.")
    results = []
    for fold, model in enumerate(models, 1):
        data = JHMDB(root=Path(root), split="test", fold=fold)
        metric = find_metric(data.METRIC).make(data.SKELETON)
        for truth, found in zip(data.sequences(), predict_set(model, data), strict=True):
            metric.update(truth, found)
        results.append(metric.compute())
    return mean_of_splits(results)


def _penn(name: str, settings: TrainSettings) -> Recipe:
    return Recipe(
        name=name,
        model="dkd:paper",
        train=_runs("penn_action", "train"),
        val=_runs("penn_action", "test"),
        settings=settings,
        augmentation=_augmentation(0.8, 1.4),
        needs_data=True,
        trained_on="Penn Action train, and what the weights that it started from were trained on",
        terms=PENN_TERMS,
    )


def _jhmdb(name: str, fold: int, settings: TrainSettings) -> Recipe:
    return Recipe(
        name=name,
        model="dkd:paper_jhmdb",
        train=_runs("jhmdb", "train", fold),
        val=_runs("jhmdb", "test", fold),
        settings=settings,
        augmentation=_augmentation(1.2, 1.8),
        needs_data=True,
        trained_on=f"Sub-J-HMDB train, fold {fold}, and what the weights that it started from were "
        f"trained on",
        terms=JHMDB_TERMS,
    )


def _runs(dataset: str, split: str, fold: int | None = None) -> LabelledSpec:
    """Runs of five frames; in training a run begins anywhere."""
    return LabelledSpec(
        dataset=dataset, split=split, neighbours="dkd", training=split == "train", windows="run",
        options={} if fold is None else {"fold": fold},
    )  # fmt: skip


def _augmentation(low: float, high: float) -> Augmentation:
    """The same for the whole clip."""
    middle = (low + high) / 2
    zoom = EvenZoom(low=low / middle, high=high / middle)
    return Augmentation((zoom, EvenTurn(limit_deg=40.0), Flip(p=0.5)))


def _rmsprop(epoch: int) -> TrainSettings:
    return _schedule(epoch, "rmsprop", (15, 25), 0.1, 140)


def _adam(epoch: int, drops: Sequence[int]) -> TrainSettings:
    return _schedule(epoch, "adam", drops, 0.333, 100)


def _schedule(
    epoch: int, kind: Literal["adam", "rmsprop"], drops: Sequence[int], factor: float, last: int
) -> TrainSettings:
    """5e-4, times ``factor`` at every drop; epochs."""
    rates = [5e-4 * factor**number for number in range(len(drops) + 1)]
    spans = zip((0, *drops), (*drops, last), rates, strict=True)
    return TrainSettings(
        phases=tuple(
            Phase(steps=(end - start) * epoch, crop_size=_CROP, batch_size=_BATCH, lr=(rate, rate))
            for start, end, rate in spans
        ),
        optimiser=kind,
        weight_decay=0.0,
        warmup_steps=0,
        clip_norm=0.0,
        ema_decay=0.0,
        precision="fp32",
        val_every=5 * epoch,
        val_batch_size=_BATCH,
    )

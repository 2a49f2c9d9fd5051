"""TDMI and TDMI-ST on PoseTrack 2017, 2018, 2021 and HiEve, and the single-frame networks below.

Three stages: recipes/coco.py, then a single-frame recipe of this file, then TDMI with the result
frozen. Rates and epochs of TDMI are the paper's; batch 48 is a choice.
"""

from __future__ import annotations

from chronopose.recipes._posetrack import (
    CROP,
    TDMI,
    on_clips,
    on_frames,
    simple_augmentation,
)
from chronopose.recipes._recipe import Recipe


def hrnet_posetrack17() -> Recipe:
    """HRNet-W48 tuned on the labelled frames of PoseTrack 2017.

    Command         chronopose train hrnet_posetrack17 --data POSETRACK17 --init COCO_WEIGHTS
                    --out RUN
    Hardware        one GPU
    Hours           not measured
    Published       77.3 mAP on the validation set, with the paper's boxes
    Ours            not run

    COCO_WEIGHTS: a run of hrnet_coco, or the file that HRNet's authors publish. The schedule is
    that of PoseWarper's first stage.
    """
    return on_frames("hrnet_posetrack17", "posetrack17")


def hrnet_posetrack18() -> Recipe:
    """HRNet-W48 tuned on the labelled frames of PoseTrack 2018.

    Command         chronopose train hrnet_posetrack18 --data POSETRACK18 --init COCO_WEIGHTS
                    --out RUN
    Hardware        one GPU
    Hours           not measured
    Published       none that we can show
    Ours            not run

    COCO_WEIGHTS and schedule as for :func:`hrnet_posetrack17`.
    """
    return on_frames("hrnet_posetrack18", "posetrack18")


def hrnet_posetrack21() -> Recipe:
    """HRNet-W48 tuned on the labelled frames of PoseTrack21.

    Command         chronopose train hrnet_posetrack21 --data POSETRACK21 --init COCO_WEIGHTS
                    --out RUN
    Hardware        one GPU
    Hours           not measured
    Published       none that we can show
    Ours            not run

    COCO_WEIGHTS and schedule as for :func:`hrnet_posetrack17`.
    """
    return on_frames("hrnet_posetrack21", "posetrack21")


def hrnet_hieve() -> Recipe:
    """HRNet-W48 tuned on the labelled frames of HiEve, 14 joints.

    Command         chronopose train hrnet_hieve --data HIEVE --init COCO_WEIGHTS --out RUN
    Hardware        one GPU
    Hours           not measured
    Published       none that we can show
    Ours            not run

    COCO_WEIGHTS: a run of hrnet_coco_hieve14. There are no public labels to validate on.
    """
    return on_frames("hrnet_hieve", "hieve")


def simple_baseline_posetrack17() -> Recipe:
    """SimpleBaseline with a ResNet-50 tuned on the labelled frames of PoseTrack 2017.

    Command         chronopose train simple_baseline_posetrack17 --data POSETRACK17
                    --init COCO_WEIGHTS --out RUN
    Hardware        one GPU
    Hours           not measured
    Published       72.4 mAP on the validation set, with the paper's boxes
    Ours            not run

    COCO_WEIGHTS: a run of simple_baseline_coco. Our sources do not tell the schedule nor the crop;
    here they are those of :func:`hrnet_posetrack17` and of COCO.
    """
    return _simple("simple_baseline_posetrack17", "simple_baseline:r50", (192, 256))


def simple_baseline_r152_posetrack17() -> Recipe:
    """SimpleBaseline with a ResNet-152 tuned on the labelled frames of PoseTrack 2017.

    Command         chronopose train simple_baseline_r152_posetrack17 --data POSETRACK17
                    --init COCO_WEIGHTS --out RUN
    Hardware        one GPU
    Hours           not measured
    Published       76.7 mAP on the validation set, with the paper's boxes
    Ours            not run

    COCO_WEIGHTS: a run of simple_baseline_r152_coco. Schedule and crop are choices, as in
    :func:`simple_baseline_posetrack17`.
    """
    return _simple("simple_baseline_r152_posetrack17", "simple_baseline:r152_384", CROP)


def tdmi_posetrack17() -> Recipe:
    """TDMI on PoseTrack 2017, on top of a frozen HRNet-W48.

    Command         chronopose train tdmi_posetrack17 --data POSETRACK17 --init SINGLE --out RUN
    Hardware        one GPU
    Hours           not measured
    Published       85.7 mAP on the validation set, five frames, with the paper's boxes
    Ours            not run

    SINGLE: a run of :func:`hrnet_posetrack17`.
    """
    return _tdmi("tdmi_posetrack17", "posetrack17", "hrnet_w48")


def tdmi_posetrack18() -> Recipe:
    """TDMI on PoseTrack 2018, on top of a frozen HRNet-W48.

    Command         chronopose train tdmi_posetrack18 --data POSETRACK18 --init SINGLE --out RUN
    Hardware        one GPU
    Hours           not measured
    Published       83.5 mAP on the validation set, five frames, with the paper's boxes
    Ours            not run

    SINGLE: a run of :func:`hrnet_posetrack18`.
    """
    return _tdmi("tdmi_posetrack18", "posetrack18", "hrnet_w48")


def tdmi_posetrack21() -> Recipe:
    """TDMI on PoseTrack21, on top of a frozen HRNet-W48.

    Command         chronopose train tdmi_posetrack21 --data POSETRACK21 --init SINGLE --out RUN
    Hardware        one GPU
    Hours           not measured
    Published       83.5 mAP on the validation set, five frames, with the paper's boxes
    Ours            not run

    SINGLE: a run of :func:`hrnet_posetrack21`.
    """
    return _tdmi("tdmi_posetrack21", "posetrack21", "hrnet_w48")


def tdmi_st_posetrack17() -> Recipe:
    """TDMI-ST on PoseTrack 2017, on top of a frozen HRNet-W48.

    Command         chronopose train tdmi_st_posetrack17 --data POSETRACK17 --init SINGLE --out RUN
    Hardware        one GPU
    Hours           not measured
    Published       85.9 mAP on the validation set, five frames, with the paper's boxes
    Ours            not run

    SINGLE: a run of :func:`hrnet_posetrack17`.
    """
    return _tdmi("tdmi_st_posetrack17", "posetrack17", "hrnet_w48_st")


def tdmi_st_posetrack18() -> Recipe:
    """TDMI-ST on PoseTrack 2018, on top of a frozen HRNet-W48.

    Command         chronopose train tdmi_st_posetrack18 --data POSETRACK18 --init SINGLE --out RUN
    Hardware        one GPU
    Hours           not measured
    Published       83.6 mAP on the validation set, five frames, with the paper's boxes
    Ours            not run

    SINGLE: a run of :func:`hrnet_posetrack18`.
    """
    return _tdmi("tdmi_st_posetrack18", "posetrack18", "hrnet_w48_st")


def tdmi_st_posetrack21() -> Recipe:
    """TDMI-ST on PoseTrack21, on top of a frozen HRNet-W48.

    Command         chronopose train tdmi_st_posetrack21 --data POSETRACK21 --init SINGLE --out RUN
    Hardware        one GPU
    Hours           not measured
    Published       83.8 mAP on the validation set, five frames, with the paper's boxes
    Ours            not run

    SINGLE: a run of :func:`hrnet_posetrack21`.
    """
    return _tdmi("tdmi_st_posetrack21", "posetrack21", "hrnet_w48_st")


def tdmi_st_hieve() -> Recipe:
    """TDMI-ST on HiEve, 14 joints, on top of a frozen HRNet-W48.

    Command         chronopose train tdmi_st_hieve --data HIEVE --init SINGLE --out RUN
    Hardware        one GPU
    Hours           not measured
    Published       62.1 AP and 58.5 weighted AP on the test server
    Ours            not run

    SINGLE: a run of :func:`hrnet_hieve`. There are no public labels to validate on; an epoch is as
    long as on PoseTrack.
    """
    return _tdmi("tdmi_st_hieve", "hieve", "hrnet_w48_st")


def _simple(name: str, model: str, crop: tuple[int, int]) -> Recipe:
    return on_frames(name, "posetrack17", model, crop_size=crop, augmentation=simple_augmentation())


def _tdmi(name: str, dataset: str, preset: str) -> Recipe:
    return on_clips(name, dataset, f"tdmi:{preset}", TDMI, neighbours="tdmi")

"""Single-frame networks on COCO: the first stage of the recipes on PoseTrack and HiEve.

Schedules are the published ones; HRNet's batch is not in our sources and is SimpleBaseline's here.
"""

from __future__ import annotations

from chronopose.data.transforms import family
from chronopose.recipes._posetrack import CROP, HIEVE, Schedule, on_coco, simple_augmentation
from chronopose.recipes._recipe import Recipe

_SIMPLE = Schedule(rate=1e-3, drops=(90, 120), epochs=140, batch=32, passes=4)
_HRNET = Schedule(rate=1e-3, drops=(170, 200), epochs=210, batch=32, passes=4)


def simple_baseline_coco() -> Recipe:
    """SimpleBaseline with a ResNet-50 on COCO train2017, from ImageNet weights.

    Command         chronopose train simple_baseline_coco --data COCO --set model.pretrained=true
                    --out RUN
    Hardware        one GPU
    Hours           not measured
    Published       70.4 AP on val2017, detected people (AP 56.4), flip test
    Ours            not run

    Without ``--set`` the network starts from random weights; nothing is downloaded unasked.
    """
    return _simple("simple_baseline_coco", "simple_baseline:r50", (192, 256))


def simple_baseline_r152_coco() -> Recipe:
    """SimpleBaseline with a ResNet-152 and large crops on COCO train2017, from ImageNet weights.

    Command         chronopose train simple_baseline_r152_coco --data COCO
                    --set model.pretrained=true --out RUN
    Hardware        one GPU
    Hours           not measured
    Published       74.3 AP on val2017, detected people (AP 56.4), flip test
    Ours            not run
    """
    return _simple("simple_baseline_r152_coco", "simple_baseline:r152_384", (288, 384))


def hrnet_w32_coco() -> Recipe:
    """HRNet-W32 on COCO train2017, from ImageNet weights.

    Command         chronopose train hrnet_w32_coco --data COCO --set model.pretrained=true
                    --out RUN
    Hardware        one GPU
    Hours           not measured
    Published       74.4 AP on val2017, detected people (AP 56.4), flip test
    Ours            not run
    """
    return _hrnet("hrnet_w32_coco", "hrnet:w32", (192, 256))


def hrnet_coco() -> Recipe:
    """HRNet-W48 with large crops on COCO train2017, from ImageNet weights.

    Command         chronopose train hrnet_coco --data COCO --set model.pretrained=true --out RUN
    Hardware        one GPU
    Hours           not measured
    Published       76.3 AP on val2017, detected people (AP 56.4), flip test
    Ours            not run

    The first stage of every recipe on PoseTrack whose backbone is HRNet-W48; the weights that the
    authors of HRNet publish stand in for it.
    """
    return _hrnet("hrnet_coco", "hrnet:w48", CROP)


def hrnet_coco_hieve14() -> Recipe:
    """HRNet-W48 with the joints of HiEve on COCO train2017, from ImageNet weights.

    Command         chronopose train hrnet_coco_hieve14 --data COCO --set model.pretrained=true
                    --out RUN
    Hardware        one GPU
    Hours           not measured
    Published       none that we can show
    Ours            not run

    The first stage of :func:`~chronopose.recipes.posetrack.hrnet_hieve`, which weights for the 17
    joints of COCO do not fit. COCO's chest is the middle of its shoulders.
    """
    return _hrnet("hrnet_coco_hieve14", "hrnet:w48", CROP, skeleton=HIEVE)


def _simple(name: str, model: str, crop: tuple[int, int]) -> Recipe:
    return on_coco(name, model, _SIMPLE, crop_size=crop, augmentation=simple_augmentation())


def _hrnet(name: str, model: str, crop: tuple[int, int], *, skeleton: str = "coco17") -> Recipe:
    return on_coco(name, model, _HRNET, crop_size=crop, augmentation=family(), skeleton=skeleton)

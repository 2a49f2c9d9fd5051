"""DCPose, FAMI-Pose, PoseWarper and Op-Flow on PoseTrack: what TDMI is compared with.

The single-frame networks that they stand on are trained by recipes/posetrack.py. Schedules are the
published ones; those of PoseWarper are told for PoseTrack 2017 and taken for 2018 too.
"""

from __future__ import annotations

from chronopose.recipes._posetrack import TDMI, Schedule, on_clips
from chronopose.recipes._recipe import Recipe

_DCPOSE = Schedule(rate=1e-3, drops=(4, 8, 12, 16), epochs=20, batch=32, passes=2)
_FAMIPOSE = Schedule(rate=1e-3, drops=(10, 15), epochs=21, batch=48)
_POSEWARPER = Schedule(rate=1e-4, drops=(10, 15), epochs=19, batch=8, passes=8)


def dcpose_posetrack17() -> Recipe:
    """DCPose on PoseTrack 2017, on top of a frozen HRNet-W48.

    Command         chronopose train dcpose_posetrack17 --data POSETRACK17 --init SINGLE --out RUN
    Hardware        one GPU
    Hours           not measured
    Published       82.8 mAP on the validation set, three frames, with the paper's boxes
    Ours            not run

    SINGLE: a run of hrnet_posetrack17. Two passes a step stand for the paper's two GPUs. Users who
    trained it again report 81.6 and 80.9.
    """
    return _dcpose("dcpose_posetrack17", "posetrack17")


def dcpose_posetrack18() -> Recipe:
    """DCPose on PoseTrack 2018, on top of a frozen HRNet-W48.

    Command         chronopose train dcpose_posetrack18 --data POSETRACK18 --init SINGLE --out RUN
    Hardware        one GPU
    Hours           not measured
    Published       80.9 mAP on the validation set, three frames, with the paper's boxes
    Ours            not run

    SINGLE: a run of hrnet_posetrack18.
    """
    return _dcpose("dcpose_posetrack18", "posetrack18")


def dcpose_posetrack21() -> Recipe:
    """DCPose on PoseTrack21, on top of a frozen HRNet-W48.

    Command         chronopose train dcpose_posetrack21 --data POSETRACK21 --init SINGLE --out RUN
    Hardware        one GPU
    Hours           not measured
    Published       80.5 mAP on the validation set, three frames, with the paper's boxes
    Ours            not run

    SINGLE: a run of hrnet_posetrack21.
    """
    return _dcpose("dcpose_posetrack21", "posetrack21")


def famipose_posetrack17() -> Recipe:
    """FAMI-Pose on PoseTrack 2017, on top of a frozen HRNet-W48.

    Command         chronopose train famipose_posetrack17 --data POSETRACK17 --init SINGLE --out RUN
    Hardware        one GPU
    Hours           not measured
    Published       84.8 mAP on the validation set, five frames, with the paper's boxes
    Ours            not run

    SINGLE: a run of hrnet_posetrack17. ``--set model.mi_mode=released`` takes the
    mutual-information terms as the published code computes them. Users who trained it again report
    82.2.
    """
    return _famipose("famipose_posetrack17", "posetrack17")


def famipose_posetrack18() -> Recipe:
    """FAMI-Pose on PoseTrack 2018, on top of a frozen HRNet-W48.

    Command         chronopose train famipose_posetrack18 --data POSETRACK18 --init SINGLE --out RUN
    Hardware        one GPU
    Hours           not measured
    Published       82.2 mAP on the validation set, five frames, with the paper's boxes
    Ours            not run

    SINGLE: a run of hrnet_posetrack18.
    """
    return _famipose("famipose_posetrack18", "posetrack18")


def famipose_posetrack21() -> Recipe:
    """FAMI-Pose on PoseTrack21, on top of a frozen HRNet-W48.

    Command         chronopose train famipose_posetrack21 --data POSETRACK21 --init SINGLE --out RUN
    Hardware        one GPU
    Hours           not measured
    Published       81.2 mAP on the validation set, five frames, with the paper's boxes
    Ours            not run

    SINGLE: a run of hrnet_posetrack21.
    """
    return _famipose("famipose_posetrack21", "posetrack21")


def posewarper_posetrack17() -> Recipe:
    """PoseWarper, second stage, on PoseTrack 2017, on top of a frozen HRNet-W48.

    Command         chronopose train posewarper_posetrack17 --data POSETRACK17 --init SINGLE
                    --out RUN
    Hardware        one GPU
    Hours           not measured
    Published       81.2 mAP on the validation set, five frames, with the paper's boxes
    Ours            not run

    SINGLE: a run of hrnet_posetrack17. That run is the first stage. Eight passes a step stand for
    the paper's eight GPUs.
    """
    return _posewarper("posewarper_posetrack17", "posetrack17")


def posewarper_posetrack18() -> Recipe:
    """PoseWarper, second stage, on PoseTrack 2018, on top of a frozen HRNet-W48.

    Command         chronopose train posewarper_posetrack18 --data POSETRACK18 --init SINGLE
                    --out RUN
    Hardware        one GPU
    Hours           not measured
    Published       79.7 mAP on the validation set, five frames, with the paper's boxes
    Ours            not run

    SINGLE: a run of hrnet_posetrack18.
    """
    return _posewarper("posewarper_posetrack18", "posetrack18")


def opflow_posetrack17() -> Recipe:
    """Op-Flow, RAFT's flow in place of TDMI's differences, on a frozen HRNet-W48.

    Command         chronopose train opflow_posetrack17 --data POSETRACK17 --init SINGLE --out RUN
    Hardware        one GPU
    Hours           not measured
    Published       84.0 mAP on the validation set, five frames, with the paper's boxes
    Ours            not run

    SINGLE: a run of hrnet_posetrack17. RAFT (large) starts from the weights that torchvision
    publishes, which have to lie in torch's cache; chronopose downloads nothing. The layout is ours,
    the schedule TDMI's.
    """
    return _opflow("opflow_posetrack17", "posetrack17")


def _dcpose(name: str, dataset: str) -> Recipe:
    return on_clips(name, dataset, "dcpose:hrnet_w48", _DCPOSE, neighbours="dcpose")


def _famipose(name: str, dataset: str) -> Recipe:
    return on_clips(name, dataset, "famipose:hrnet_w48", _FAMIPOSE, neighbours="famipose")


def _posewarper(name: str, dataset: str) -> Recipe:
    # The model draws one of the five frames in each window, which makes the distance of the pair
    # uniform in -2..2 as published; windows with drawn neighbours would favour distance zero.
    return on_clips(name, dataset, "posewarper:hrnet_w48", _POSEWARPER, neighbours="posewarper")


def _opflow(name: str, dataset: str) -> Recipe:
    return on_clips(
        name, dataset, "opflow:hrnet_w48", TDMI, neighbours="tdmi",
        overrides={"flow.pretrained": True},
    )  # fmt: skip

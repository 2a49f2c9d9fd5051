"""The rows of TDMI's ablation tables, on PoseTrack 2017.

Each is tdmi_posetrack17 but for one switch; SINGLE is a run of hrnet_posetrack17. The other rows of
the tables are recipes of their own: hrnet_posetrack17, opflow_posetrack17 and, for all of TDMI,
tdmi_posetrack17. The rows on the temporal difference encoder keep the split and its objective: the
paper does not say so, but their last row is all of TDMI.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chronopose.recipes._posetrack import TDMI, on_clips
from chronopose.recipes._recipe import Recipe


def tdmi_no_rdm_posetrack17() -> Recipe:
    """TDMI without the split of the motion: all of it is fused (TDE only).

    Command         chronopose train tdmi_no_rdm_posetrack17 --data POSETRACK17 --init SINGLE
                    --out RUN
    Hardware        one GPU
    Hours           not measured
    Published       84.5 mAP (85.7 for all of TDMI) on the validation set, five frames, with the
                    paper's boxes
    Ours            not run
    """
    return _row("tdmi_no_rdm_posetrack17", {"rdm.enabled": False})


def tdmi_last_stage_posetrack17() -> Recipe:
    """TDMI with differences of the last stage only.

    Command         chronopose train tdmi_last_stage_posetrack17 --data POSETRACK17 --init SINGLE
                    --out RUN
    Hardware        one GPU
    Hours           not measured
    Published       84.4 mAP (85.7 for all of TDMI) on the validation set, five frames, with the
                    paper's boxes
    Ours            not run
    """
    return _row("tdmi_last_stage_posetrack17", {"tde.stages": (4,)})


def tdmi_concat_posetrack17() -> Recipe:
    """TDMI with the four stages concatenated in place of accumulated.

    Command         chronopose train tdmi_concat_posetrack17 --data POSETRACK17 --init SINGLE
                    --out RUN
    Hardware        one GPU
    Hours           not measured
    Published       84.6 mAP (85.7 for all of TDMI) on the validation set, five frames, with the
                    paper's boxes
    Ours            not run
    """
    return _row("tdmi_concat_posetrack17", {"tde.fuse": "concat"})


def tdmi_no_modulation_posetrack17() -> Recipe:
    """TDMI without the deformable convolutions.

    Command         chronopose train tdmi_no_modulation_posetrack17 --data POSETRACK17 --init SINGLE
                    --out RUN
    Hardware        one GPU
    Hours           not measured
    Published       84.9 mAP (85.7 for all of TDMI) on the validation set, five frames, with the
                    paper's boxes
    Ours            not run
    """
    return _row("tdmi_no_modulation_posetrack17", {"tde.modulation": "none"})


def tdmi_no_mi_posetrack17() -> Recipe:
    """TDMI with the split but without the mutual-information terms.

    Command         chronopose train tdmi_no_mi_posetrack17 --data POSETRACK17 --init SINGLE
                    --out RUN
    Hardware        one GPU
    Hours           not measured
    Published       84.7 mAP (85.7 for all of TDMI) on the validation set, five frames, with the
                    paper's boxes
    Ours            not run
    """
    return _row("tdmi_no_mi_posetrack17", {"mi.mode": "none"})


def tdmi_split_posetrack17() -> Recipe:
    """TDMI with its channels cut into two halves in place of two masks.

    Command         chronopose train tdmi_split_posetrack17 --data POSETRACK17 --init SINGLE
                    --out RUN
    Hardware        one GPU
    Hours           not measured
    Published       83.8 mAP (85.7 for all of TDMI) on the validation set, five frames, with the
                    paper's boxes
    Ours            not run
    """
    return _row("tdmi_split_posetrack17", {"rdm.factor": "split"})


def _row(name: str, switch: Mapping[str, Any]) -> Recipe:
    return on_clips(
        name, "posetrack17", "tdmi:hrnet_w48", TDMI, neighbours="tdmi", overrides=switch
    )

"""Lifters: the small ones that learn from free motion, and the Human3.6M trainings."""

from __future__ import annotations

from typing import Any

from chronopose.data.lift import LiftAugmentation
from chronopose.engine.fit_lift import LiftSettings
from chronopose.recipes._lift import CMULiftSpec, H36MSpec, LiftRecipe

CMU_TERMS = (
    "Free for all uses. The motion is from the CMU Graphics Lab Motion Capture Database "
    "(mocap.cs.cmu.edu), created with funding from NSF EIA-0196217: acknowledge it."
)
H36M_TERMS = "Human3.6M is for holders of its licence, academic use only; so are these weights."
_CMU = (
    "Motion capture only, no pictures: CMU motion of the CMU-Lift training split (subjects 01 and "
    "02, dance, martial arts), filmed by four fixed and twelve drawn virtual cameras, with other "
    "bones, mirrored, disturbed as by a 2D detector, half of it with a derived trunk"
)
USED = LiftAugmentation(bones=0.15, noise_share=(0.0, 0.02), steady=0.5, dropout=0.03, derived=0.5)
"""What 2D poses of detectors are like: noise up to 2 % of the person's height, half of it lasting,
gaps, and every second window with pelvis, spine, thorax, neck and head made of other joints."""


def _cmu(name: str, model: str, epochs: int, batch_size: int) -> LiftRecipe:
    """A small lifter for 2D poses as people have them."""
    return LiftRecipe(
        name=name,
        model=model,
        data=CMULiftSpec(drawn=12),
        settings=LiftSettings(
            epochs=epochs, batch_size=batch_size, stride=20, lr=2e-3, lr_decay=0.7,
            augmentation=USED, ema_decay=0.998, val_every=4, save_every=200,
        ),
        trained_on=_CMU,
        terms=CMU_TERMS,
    )  # fmt: skip


def dgnet_lite() -> LiftRecipe:
    """dgnet:lite on free motion.

    Command         chronopose train dgnet_lite --data MOCAP --out runs/dgnet_lite
    Hardware        one CPU core, about 2 GB of memory
    Hours           about 0.2
    Published       none for this network
    Ours            CMU-Lift test, disturbed 2D, flip test: MPJPE 96.3, P-MPJPE 78.7 mm, MPJVE 38.8
                    mm a frame. This is not Human3.6M

    MOCAP holds cmu_asfamc, cmu_bvh and cmu_iclone_bvh. Nothing of the test split is in training.
    """
    return _cmu("dgnet_lite", "dgnet:lite", epochs=8, batch_size=128)


def temporal_cnn_lite() -> LiftRecipe:
    """temporal_cnn:lite on free motion: the better of the two small lifters.

    Command         chronopose train temporal_cnn_lite --data MOCAP --out runs/temporal_cnn_lite
    Hardware        one CPU core, about 2 GB of memory
    Hours           about 0.1
    Published       none for this network
    Ours            CMU-Lift test, disturbed 2D, flip test: MPJPE 64.2, P-MPJPE 53.3 mm, MPJVE 11.4
                    mm a frame. This is not Human3.6M
    """
    return _cmu("temporal_cnn_lite", "temporal_cnn:lite", epochs=8, batch_size=128)


def _h36m(name: str, model: str, **settings: Any) -> LiftRecipe:
    return LiftRecipe(
        name=name,
        model=model,
        data=H36MSpec(),
        settings=LiftSettings(**settings),
        trained_on="Human3.6M subjects 1, 5, 6, 7, 8, ground-truth 2D",
        terms=H36M_TERMS,
    )


def temporal_cnn_h36m_t27() -> LiftRecipe:
    """VideoPose3D's recipe, 27 frames, ground-truth 2D.

    Command         chronopose train temporal_cnn_h36m_t27 --data H36M --out runs/vp27
    Hardware        one GPU
    Hours           not measured
    Published       none for ground-truth 2D and 27 frames
    Ours            not measured: the data are for their licensees

    H36M holds data_3d_h36m.npz, data_2d_h36m_gt.npz and cameras.pkl.
    """
    return _h36m("temporal_cnn_h36m_t27", "temporal_cnn:t27")


def temporal_cnn_h36m_t81() -> LiftRecipe:
    """VideoPose3D's recipe, 81 frames, ground-truth 2D.

    Command         chronopose train temporal_cnn_h36m_t81 --data H36M --out runs/vp81
    Hardware        one GPU
    Hours           not measured
    Published       none for ground-truth 2D and 81 frames
    Ours            not measured: the data are for their licensees
    """
    return _h36m("temporal_cnn_h36m_t81", "temporal_cnn:t81")


def temporal_cnn_h36m_t243() -> LiftRecipe:
    """VideoPose3D's recipe, 243 frames, ground-truth 2D.

    Command         chronopose train temporal_cnn_h36m_t243 --data H36M --out runs/vp243
    Hardware        one GPU
    Hours           not measured
    Published       MPJPE 37.2 mm, P-MPJPE 27.2 mm (VideoPose3D, ground-truth 2D)
    Ours            not measured: the data are for their licensees
    """
    return _h36m("temporal_cnn_h36m_t243", "temporal_cnn:t243")


def dgnet_h36m_t9() -> LiftRecipe:
    """DG-Net with 9 frames and 256 channels, ground-truth 2D.

    Command         chronopose train dgnet_h36m_t9 --data H36M --out runs/dg9
    Hardware        one GPU
    Hours           not measured
    Published       none that can be compared: only the paper's abstract could be read
    Ours            not measured: the data are for their licensees
    """
    return _h36m("dgnet_h36m_t9", "dgnet:t9_c256", epochs=70)


def dgnet_h36m_t27() -> LiftRecipe:
    """DG-Net with 27 frames and 256 channels, ground-truth 2D.

    Command         chronopose train dgnet_h36m_t27 --data H36M --out runs/dg27
    Hardware        one GPU
    Hours           not measured
    Published       none that can be compared: only the paper's abstract could be read
    Ours            not measured: the data are for their licensees
    """
    return _h36m("dgnet_h36m_t27", "dgnet:t27_c256", epochs=70)

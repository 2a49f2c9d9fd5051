"""The person detector that comes with the package."""

from __future__ import annotations

from chronopose.engine.fit_detector import DetectorSettings
from chronopose.recipes._detector import DetectorRecipe
from chronopose.recipes.lspet import LSPET_TERMS


def person_detector_lite() -> DetectorRecipe:
    """person_detector:lite, first part: mosaics of 8,500 photographs of sports and empty places.

    Command         chronopose train person_detector_lite --data LSPET --backdrops DIR --out runs/d
    Hardware        one CPU core, about 3 GB of memory
    Hours           about 0.7
    Published       none for this network
    Ours            not measured by itself; see :func:`person_detector_lite_2`

    The first residual stages start from ``simple_baseline:lite``, whose training has seen the same
    people. DIR holds pictures without people: environment maps (.hdr) or photographs.
    """
    return DetectorRecipe(
        name="person_detector_lite",
        settings=DetectorSettings(steps=1800, lr=(1.2e-3, 6e-4)),
        trained_on="LSPET images 1-8500, stood into 600 views of 12 CC0 environment maps",
        terms=LSPET_TERMS,
    )


def person_detector_lite_2() -> DetectorRecipe:
    """person_detector:lite, second part: also synthetic people, and sports places without people.

    Command         chronopose train person_detector_lite_2 --data LSPET --backdrops DIR
                    --synthetic SET --init runs/d/weights.safetensors --out runs/d2
    Hardware        one CPU core, about 3 GB of memory
    Hours           about 0.7
    Published       none for this network
    Ours            see the weights card, whose run was like this one, but not to the bit

    SET was made by ``chronopose synth --clips 340 --frames 5 --fps 1.2 --size 480x270 --people 1..6
    --difficulty clean,crowd,occlusion,crowd --seed 1000`` with CC0 bodies and environment maps and
    CMU motion.
    """
    return DetectorRecipe(
        name="person_detector_lite_2",
        settings=DetectorSettings(steps=2200, lr=(8e-4, 3e-5), seed=1),
        needs_init=True,
        emptied=True,
        synthetic=0.38,
        trained_on=(
            "LSPET images 1-8500, cut up and stood into 600 views of 12 CC0 environment maps and "
            "into LSPET pictures whose own person was painted over; 1,700 frames of synthetic "
            "people (CC0 bodies and places, CMU motion, NSF EIA-0196217)"
        ),
        terms=LSPET_TERMS,
    )

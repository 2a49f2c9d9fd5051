"""Latents in two parts, learnt without labels: from clips, from videos, from poses."""

from __future__ import annotations

from dataclasses import replace

from chronopose.engine.fit_css import CssSettings
from chronopose.recipes._css import CssRecipe

CMU = (
    "CMU motion capture (mocap.cs.cmu.edu, created with funding from NSF EIA-0196217) is free for "
    "all uses; the motion itself may not be resold."
)
FREE = "Trained on generated people only; free to use under the licence of the package."
PICTURES = CssSettings(steps=800, batch_size=16, lr=1.5e-3, save_every=200)
IN_ROOMS = CssSettings(steps=1500, batch_size=16, lr=1.5e-3)
POSES = CssSettings(steps=1500, batch_size=64, lr=2e-3)


def css_lite() -> CssRecipe:
    """css:lite on people cut out of generated clips, without any of their labels but the boxes.

    Command         chronopose train css_lite --synthetic SET --out runs/css_lite
    Hardware        one CPU core, about 2 GB of memory
    Hours           about 0.1
    Published       none for this network
    Ours            see docs/models/css.md

    SET was made by ``chronopose synth`` with clips of more than a second, as pictures.
    """
    return CssRecipe(
        name="css_lite",
        model="css:lite",
        settings=PICTURES,
        source="clips",
        trained_on="people of generated clips of 'chronopose synth', cut out by their boxes",
        terms=FREE,
    )


def css_lite_rooms() -> CssRecipe:
    """css:lite_masked on people made by code in four rooms whose cameras stand still: no data.

    Command         chronopose train css_lite_rooms --out runs/css_rooms
    Hardware        one CPU core, about 2 GB of memory
    Hours           0.2, half of it to draw the people
    Published       none for this network
    Ours            see docs/models/css.md
    """
    return CssRecipe(
        name="css_lite_rooms",
        model="css:lite_masked",
        settings=IN_ROOMS,
        source="rooms",
        videos=12,
        trained_on="people of code in four rooms of code, cut out by their boxes",
        terms=FREE,
    )


def css_lite_real() -> CssRecipe:
    """css:lite on people of one's own videos; their 2D poses only tell false negatives.

    Command         chronopose train css_lite_real --data DIR --out runs/css_real
    Hardware        one CPU core, memory for the crops (12 kB a frame and person)
    Hours           about 0.1
    Published       none for this network
    Ours            none

    DIR holds videos, and beside each ``X.mp4`` the tracks ``X.parquet`` that
    ``chronopose predict X.mp4 -o X.parquet`` writes.
    """
    return CssRecipe(
        name="css_lite_real",
        model="css:lite",
        settings=replace(PICTURES, steps=1500),
        source="videos",
        overrides={"skeleton": "coco17"},
        trained_on="people of the videos that were given, cut out by tracked boxes",
        terms="Those of the videos that were given.",
    )


def css_poses() -> CssRecipe:
    """css:poses on recorded motion of 60 made-up bodies before virtual cameras.

    Command         chronopose train css_poses --data MOTION --out runs/css_poses
    Hardware        one CPU core, under 2 GB of memory
    Hours           0.02
    Published       none for this network
    Ours            see docs/models/css.md

    MOTION holds files of the CMU motion capture: .bvh, or .amc beside its .asf.
    """
    return CssRecipe(
        name="css_poses",
        model="css:poses",
        settings=POSES,
        source="motion",
        trained_on="CMU motion performed by 60 made-up bodies, six cameras each",
        terms=CMU,
    )


def css_poses_procedural() -> CssRecipe:
    """css:poses on motion made by code: needs no data.

    Command         chronopose train css_poses_procedural --out runs/css_procedural
    Hardware        one CPU core, under 2 GB of memory
    Hours           0.02
    Published       none for this network
    Ours            none
    """
    return replace(
        css_poses(), name="css_poses_procedural", source="procedural",
        trained_on="procedural motion performed by 60 made-up bodies, six cameras each", terms=FREE,
    )  # fmt: skip


def css_lite_no_split() -> CssRecipe:
    """css:lite with the contrastive loss on all of the latent.

    Command         chronopose train css_lite_no_split --synthetic SET
    Hardware        as for css_lite
    Hours           as for css_lite
    Published       none
    Ours            see docs/models/css.md
    """
    return _ablation("css_lite_no_split", {"objective.split": False})


def css_lite_no_transition() -> CssRecipe:
    """css:lite without the gradual transition of likeness.

    Command         chronopose train css_lite_no_transition --synthetic SET
    Hardware        as for css_lite
    Hours           as for css_lite
    Published       none
    Ours            see docs/models/css.md
    """
    return _ablation("css_lite_no_transition", {"objective.transition": "off"})


def css_lite_no_swap() -> CssRecipe:
    """css:lite that rebuilds every moment from its own latent.

    Command         chronopose train css_lite_no_swap --synthetic SET
    Hardware        as for css_lite
    Hours           as for css_lite
    Published       none
    Ours            see docs/models/css.md
    """
    return _ablation("css_lite_no_swap", {"objective.swap": 0.0})


def _ablation(name: str, overrides: dict[str, object]) -> CssRecipe:
    return replace(css_lite(), name=name, overrides=overrides)

"""Who takes part in the arena, under which name, with which settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from chronopose.errors import UsageError
from chronopose.models._base import PoseModel
from chronopose.models._find import build_model, model_files

TWIN, REGRESSION = "simple_baseline:lite", "dsta:lite"
"""What rows stand on: heatmaps of one frame, or coordinates of one frame."""
GENTLE = 1e-3
"""All that follows a regression's backbone has learnt already; the rate of parts that start at zero
makes it forget."""


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """A row of the table.

    Args:
        name: As the table prints it.
        model: ``MODEL:PRESET``.
        told: What it is, a few words.
        changes: Fields of its Config that differ from the preset.
        still: Trained and tested with the key frame in the place of all frames.
        trained: Whether anything in it is trained in the arena.
        stands_on: The model whose backbone it stands on, ``MODEL:PRESET``.
        lr: Rate at its first step instead of the tier's, for rows that go on with trained weights.
    """

    name: str
    model: str
    told: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    still: bool = False
    trained: bool = True
    stands_on: str = TWIN
    lr: float | None = None

    def build(self, crop_size: tuple[int, int], sigma: float) -> PoseModel:
        """With random weights.

        Args:
            crop_size: Width and height, pixels.
            sigma: Spread of the target, cells; coordinates have none.
        """
        changes = {"crop_size": crop_size, "sigma": sigma, **self.changes}
        if self.stands_on == REGRESSION:
            del changes["sigma"]
        return build_model(self.model, None, **changes)


SINGLE = "single frame"
STILL = "tdmi, still"
REGRESSED = "single regression"

_EVERY = (
    Contestant(
        name=SINGLE, model="simple_baseline:lite", trained=False,
        told="the frozen network that all others stand on",
    ),
    Contestant(
        name=STILL, model="tdmi:lite", still=True,
        told="tdmi that is shown the key frame five times: its parameters without time",
    ),
    Contestant(name="opflow", model="opflow:lite", told="optical flow as motion feature"),
    Contestant(name="posewarper", model="posewarper:lite", told="heatmaps warped and averaged"),
    Contestant(name="dcpose", model="dcpose:lite", told="three frames, fused heatmaps"),
    Contestant(name="famipose", model="famipose:lite", told="features aligned to the key frame"),
    Contestant(
        name="tdmi, no RDM", model="tdmi:lite", changes={"rdm.enabled": False},
        told="temporal differences alone",
    ),
    Contestant(
        name="tdmi, no MI", model="tdmi:lite", changes={"mi.mode": "none"},
        told="useful and noisy motion split without the information terms",
    ),
    Contestant(name="tdmi", model="tdmi:lite", told="the whole method"),
    Contestant(name="tdmi-st", model="tdmi:lite_st", told="with the feature of the whole sequence"),
    Contestant(
        name="tdmi, MI at 1", model="tdmi:lite", changes={"mi.alpha": 1.0},
        told="the information terms with the weight of the paper",
    ),
    Contestant(
        name="tdmi, last stage", model="tdmi:lite", changes={"tde.stages": (4,)},
        told="differences of the last stage alone",
    ),
    Contestant(
        name="tdmi, concatenated", model="tdmi:lite", changes={"tde.fuse": "concat"},
        told="stages concatenated instead of accumulated",
    ),
    Contestant(
        name="tdmi, no modulation", model="tdmi:lite", changes={"tde.modulation": "none"},
        told="no deformable re-weighting",
    ),
    Contestant(
        name="tdmi, split", model="tdmi:lite", changes={"rdm.factor": "split"},
        told="channels split in halves instead of masks",
    ),
    Contestant(
        name="flowing, no flow", model="flowing_convnets:lite_noflow",
        told="neighbours' heatmaps pooled where they are",
    ),
    Contestant(
        name="flowing, sum", model="flowing_convnets:lite", changes={"pooling": "sum"},
        told="warped along the flow, then added",
    ),
    Contestant(
        name="flowing, max", model="flowing_convnets:lite", changes={"pooling": "max"},
        told="warped, the largest taken",
    ),
    Contestant(
        name="flowing", model="flowing_convnets:lite", told="warped, pooled with learnt weights"
    ),
    Contestant(
        name="dkd, per frame", model="dkd:lite", changes={"distil": False},
        told="learnt, fixed kernels: no frame sees another",
    ),
    Contestant(
        name="dkd, no adversary", model="dkd:lite", changes={"adversary.enabled": False},
        told="kernels distilled from the frame before, two frames back",
    ),
    Contestant(name="dkd", model="dkd:lite", told="the same against a critic of changes"),
    Contestant(
        name=REGRESSED, model=REGRESSION, changes={"num_frames": 1}, trained=False,
        stands_on=REGRESSION, told="the frozen regression of one frame that dsta stands on",
    ),
    Contestant(
        name="dsta, one frame", model=REGRESSION, changes={"num_frames": 1}, stands_on=REGRESSION,
        lr=GENTLE, told="the same, trained on these clips",
    ),
    Contestant(
        name="dsta, still", model=REGRESSION, still=True, stands_on=REGRESSION, lr=GENTLE,
        told="dsta that is shown the key frame three times",
    ),
    Contestant(
        name="dsta", model=REGRESSION, stands_on=REGRESSION, lr=GENTLE,
        told="coordinates from three frames",
    ),
)  # fmt: skip

ABLATIONS = (
    "tdmi, MI at 1",
    "tdmi, last stage",
    "tdmi, concatenated",
    "tdmi, no modulation",
    "tdmi, split",
)
"""Rows after the paper's Table 7, switched on by ``--ablations``."""


def contestants(names: Sequence[str] | None = None, *, ablations: bool = False) -> list[Contestant]:
    """Rows by name, or all whose model there is.

    Args:
        names: As :class:`Contestant` names them; None takes all.
        ablations: Also take :data:`ABLATIONS`, if no names are given.

    Raises:
        UsageError: there is no such row.
    """
    known = {c.name: c for c in _EVERY if c.model.partition(":")[0] in model_files()}
    if names is None:
        return [c for c in known.values() if ablations or c.name not in ABLATIONS]
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise UsageError(f"The arena knows no {name!r}.{hint} Known: {'; '.join(known)}.")
    return [known[name] for name in names]

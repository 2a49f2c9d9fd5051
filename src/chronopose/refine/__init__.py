"""Steps that turn video poses into better video poses without any training.

Each is a function ``VideoPoses -> VideoPoses`` with a settings dataclass: :func:`stitch`,
:func:`untangle` and :func:`crowd_flow` (both need the video), :func:`fill_gaps`, :func:`smooth`.
Each writes a line of history, and what it changed into an :class:`EditLog` if it is given one.
:func:`propagate` makes poses of all frames out of labels of a few (needs the video, takes no log).

The functions have the names of their modules, and here the function is meant. Torch starts when
optical flow is first estimated.
"""

from chronopose.refine._log import Edit, EditLog, undo
from chronopose.refine.crowd_flow import CrowdFlowSettings, FlowPoseSmoother, crowd_flow
from chronopose.refine.fill_gaps import FillGapsSettings, fill_gaps
from chronopose.refine.propagate import PropagateSettings, propagate
from chronopose.refine.smooth import (
    ButterworthSettings,
    KalmanSettings,
    OneEuroSettings,
    SavitzkyGolaySettings,
    smooth,
)
from chronopose.refine.stitch import StitchSettings, stitch
from chronopose.refine.untangle import UntangleSettings, untangle

__all__ = [
    "ButterworthSettings",
    "CrowdFlowSettings",
    "Edit",
    "EditLog",
    "FillGapsSettings",
    "FlowPoseSmoother",
    "KalmanSettings",
    "OneEuroSettings",
    "PropagateSettings",
    "SavitzkyGolaySettings",
    "StitchSettings",
    "UntangleSettings",
    "crowd_flow",
    "fill_gaps",
    "propagate",
    "smooth",
    "stitch",
    "undo",
    "untangle",
]

"""Tensors that pass between stages: the torch twins of the nouns. Torch starts here."""

from chronopose.tensors.batch import ClipBatch, ClipTarget, Target
from chronopose.tensors.outputs import (
    ClipOutput,
    CompositeOutput,
    FAMIOutput,
    HeatmapOutput,
    Output,
    RegressionOutput,
    TDMIOutput,
    join_outputs,
)

__all__ = [
    "ClipBatch",
    "ClipOutput",
    "ClipTarget",
    "CompositeOutput",
    "FAMIOutput",
    "HeatmapOutput",
    "Output",
    "RegressionOutput",
    "TDMIOutput",
    "Target",
    "join_outputs",
]

"""Tensors that pass between stages: the torch twins of the nouns. Torch starts here."""

from chronopose.tensors.batch import ClipBatch, Target
from chronopose.tensors.outputs import (
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
    "CompositeOutput",
    "FAMIOutput",
    "HeatmapOutput",
    "Output",
    "RegressionOutput",
    "TDMIOutput",
    "Target",
    "join_outputs",
]

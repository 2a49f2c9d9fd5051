"""Tensors that pass between stages: the torch twins of the nouns. Torch starts here."""

from chronopose.tensors.batch import ClipBatch, Target
from chronopose.tensors.outputs import HeatmapOutput, Output, TDMIOutput

__all__ = ["ClipBatch", "HeatmapOutput", "Output", "TDMIOutput", "Target"]

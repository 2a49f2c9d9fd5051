"""Pictures of poses. Numpy and Pillow only."""

from chronopose.viz.draw import contact_sheet, draw_heatmaps, draw_poses

__all__ = ["contact_sheet", "draw_heatmaps", "draw_poses"]

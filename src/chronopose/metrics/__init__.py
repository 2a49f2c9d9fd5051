"""Scores of poses against labels, as update and compute pairs. Never imports torch."""

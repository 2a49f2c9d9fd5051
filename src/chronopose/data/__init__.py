"""Clips, transforms and loaders that turn data sets into training batches."""

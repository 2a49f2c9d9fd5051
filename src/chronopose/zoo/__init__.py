"""Weights: cards, loading, saving and conversion of published checkpoints."""

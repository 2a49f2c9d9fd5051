"""Experiments: one function each, returning a typed recipe."""

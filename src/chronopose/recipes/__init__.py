"""Experiments: one function each, returning a typed recipe."""

from chronopose.recipes._recipe import Places, Recipe, find, list_recipes

__all__ = ["Places", "Recipe", "find", "list_recipes"]

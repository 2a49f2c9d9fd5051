"""Training and evaluation of every model through one Lightning module."""

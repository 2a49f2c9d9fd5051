"""Training losses: an output and a target in, one scalar out."""

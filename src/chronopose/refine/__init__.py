"""Steps that turn video poses into better video poses without any training."""

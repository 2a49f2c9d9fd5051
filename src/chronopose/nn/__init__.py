"""Network blocks without opinions, each used by more than one model."""

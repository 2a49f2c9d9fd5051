"""A video in, tracked poses out, with memory that does not grow."""

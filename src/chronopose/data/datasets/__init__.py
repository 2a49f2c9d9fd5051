"""Data sets, one file a set; the folder is the registry."""

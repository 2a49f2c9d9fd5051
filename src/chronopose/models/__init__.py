"""The networks, one paper a file; the folder is the registry."""

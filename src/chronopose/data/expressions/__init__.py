"""Sets of facial expressions, one file a set; the folder is the registry (see ``_find.py``)."""

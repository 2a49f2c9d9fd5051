"""Rows of a table that takes hours: one JSON file each, so that a run that died goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chronopose.errors import UsageError


def row_file(folder: Path, name: str, seed: int) -> Path:
    """Where the record of a row and seed is kept."""
    return folder / "rows" / f"{slug(name)}-{seed}.json"


def slug(name: str) -> str:
    """A row's name as part of a file's."""
    return "".join(c if c.isalnum() else "_" for c in name)


def known_row(file: Path, key: Mapping[str, Any]) -> dict[str, Any] | None:
    """The record of a row that was judged before; None where there is no whole one.

    Args:
        file: See :func:`row_file`.
        key: What the record must have been made of, as it comes back from JSON.

    Raises:
        UsageError: it was made of something else.
    """
    try:
        record = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    if not isinstance(record, dict) or record.get("key") != key:
        raise UsageError(
            f"{file} was made under another plan: other data, another network, budget or row. "
            f"Choose another folder with --out, or delete it."
        )
    return record

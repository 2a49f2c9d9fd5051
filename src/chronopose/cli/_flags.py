"""Flags that several verbs share."""

from __future__ import annotations

from typing import Any


def add_model_flags(parser: Any) -> None:
    """``--model --weights --device``, the same in every verb that runs a network."""
    from chronopose._api import DEFAULT_MODEL

    add = parser.add_argument
    add("--model", default=DEFAULT_MODEL, metavar="NAME", help="'chronopose models' lists them")
    add(
        "--weights",
        default=None,
        type=str | None,
        metavar="FILE",
        help="use this file instead of the shipped weights",
    )
    add("--device", default="auto", metavar="NAME", help="auto, cpu, cuda, cuda:N")

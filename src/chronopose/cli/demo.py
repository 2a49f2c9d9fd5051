"""Render a short procedural clip, find its people with the shipped weights, say where to look.

Needs no download and no data. The clip is made by the package, so its joints are known exactly and
the error of the found poses is printed beside the result.
"""

from __future__ import annotations

from typing import Any

HELP = "run the main job on a clip made here and now"


def add_arguments(parser: Any) -> None:
    """Flags of the verb."""
    add = parser.add_argument
    add("--out", "-o", default="runs/demo", metavar="DIR", help="where the results go")
    add("--seconds", default=4.0, type=float, metavar="S", help="length of the clip")
    add("--seed", default=7, type=int, metavar="N", help="another number is another clip")
    add("--device", default="auto", metavar="NAME", help="auto, cpu, cuda, cuda:N")

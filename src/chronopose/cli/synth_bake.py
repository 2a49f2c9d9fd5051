"""Bake a bank of dressed bodies for 'chronopose synth --bank' from CC0 parts.

Needs the package anny (pip install chronopose[bake]) and a folder of MakeHuman clothes, shoes and
hair in their original .mhclo and .obj files. The bank and a list of every source with its licence
and sha256 are written; anny is not needed afterwards.
"""

from __future__ import annotations

from typing import Any

HELP = "bake bodies for synthetic people"


def add_arguments(parser: Any) -> None:
    """Flags of the verb."""
    add = parser.add_argument
    add("assets", help="folder with MakeHuman clothes, shoes, hair and brows")
    add("--out", "-o", default="bank.npz", metavar="FILE", help="where to write, .npz")
    add("--seed", default=0, type=int, metavar="N", help="another seed, other people")


def run(options: Any) -> int:
    """Bake."""
    from pathlib import Path

    from chronopose.synth.bake import bake

    bank = bake(Path(options.assets), Path(options.out), seed=options.seed)
    print(f"{options.out}: {len(bank.people)} adults, {len(bank.pieces)} pieces to wear")
    print(f"  sources  {Path(options.out).with_suffix('.provenance.csv')}")
    return 0

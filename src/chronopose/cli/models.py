"""List models, presets and the weights that are there, or print one weights card.

Without a name: every model file with its presets, then the weights cards found in the package and
in the folders of CHRONOPOSE_WEIGHTS. With a name: that card in full.
"""

from __future__ import annotations

import json
from typing import Any

HELP = "list models, presets and weights"


def add_arguments(parser: Any) -> None:
    """Flags of the verb."""
    parser.add_argument("name", nargs="?", default=None, type=str | None, help="card to print")
    parser.add_argument("--json", default=False, action="store_true", help="machine-readable")


def run(options: Any) -> int:
    """Print the list or one card."""
    from chronopose import zoo
    from chronopose.errors import WeightsError
    from chronopose.models._find import CROPS, OTHERS, list_models

    cards = zoo.list_cards()
    if options.name is not None:
        found = [c for c in cards if options.name in (c.name, c.name.split("@")[0])]
        if not found:
            known = ", ".join(c.name for c in cards) or "none"
            raise WeightsError(f"No weights card {options.name!r}. Cards that are here: {known}.")
        for card in found:
            print(json.dumps(card.to_dict(), indent=2) if options.json else card.markdown())
        return 0
    models = {n: p for kind in (CROPS, *OTHERS) for n, p in list_models(kind).items()}
    if options.json:
        print(json.dumps({"models": models, "weights": [c.to_dict() for c in cards]}, indent=2))
        return 0
    print("models (name:preset)")
    for name, presets in models.items():
        print(f"  {name:<18} {'  '.join(presets)}")
    print("\nweights")
    for card in cards:
        scores = "; ".join(f"{s['metric']} {s['value']} on {s['data']}" for s in card.scores)
        print(f"  {card.name:<28} {scores}")
        print(f"  {'':<28} terms: {card.terms}")
    if not cards:
        print("  none; train some with 'chronopose train'")
    return 0

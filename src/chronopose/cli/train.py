"""Train what a recipe describes, with every setting open to --set.

A recipe is a function in chronopose/recipes; --list names them. The run folder receives the
resolved settings, logs, checkpoints, a picture of an augmented batch and, at the end, the weights
with their card. A stopped run goes on where it was when the same command is typed again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chronopose.recipes._recipe import AnyRecipe

HELP = "train a model by a recipe"


def add_arguments(parser: Any) -> None:
    """Flags of the verb."""
    add = parser.add_argument
    add("recipe", nargs="?", default=None, type=str | None, help="name of a recipe")
    add("--list", default=False, action="store_true", help="list the recipes and stop")
    add("--data", default=None, type=str | None, metavar="DIR", help="folder of the data set")
    add(
        "--backdrops",
        default=None,
        type=str | None,
        metavar="DIR",
        help="folder of pictures without people, for the detector",
    )
    add(
        "--synthetic",
        default=None,
        type=str | None,
        metavar="DIR",
        help="set of 'chronopose synth' (detector), or folder of 'chronopose shards' (poses)",
    )
    add("--out", "-o", default=None, type=str | None, metavar="DIR", help="folder of the run")
    add("--cache", default="runs/cache", metavar="DIR", help="folder for decoded pictures")
    add(
        "--init",
        default=None,
        type=str | None,
        metavar="FILE|DIR",
        help="weights, or the folder of a run, to start from",
    )
    add("--resume", default="auto", metavar="HOW", help="auto, yes or no")
    add("--device", default="auto", metavar="NAME", help="auto, cpu or cuda")
    add("--seed", default=None, type=int | None, metavar="N", help="instead of the recipe's")
    add(
        "--limit-batches",
        default=None,
        type=int | None,
        metavar="N",
        help="stop after this many steps",
    )
    add(
        "--overfit",
        default=None,
        type=int | None,
        metavar="N",
        help="train on and validate with this many samples",
    )
    add(
        "--set",
        default=[],
        nargs="+",
        type=str,
        metavar="NAME=VALUE",
        help="change settings, e.g. optimiser=adamw phases.0.steps=500 model.mi.mode=none",
    )
    add("--quiet", default=False, action="store_true", help="no progress bar")
    add(
        "--print-recipe",
        default=False,
        action="store_true",
        help="print the resolved recipe and stop",
    )


def run(options: Any) -> int:
    """Train, or list what can be trained."""
    from chronopose.errors import UsageError
    from chronopose.recipes import Places, find, list_recipes
    from chronopose.recipes._run import run as train
    from chronopose.recipes._run import with_settings

    if options.list or options.recipe is None:
        for name, make in list_recipes().items():
            print(f"  {name:<28} {(make.__doc__ or '').strip().splitlines()[0]}")
        if options.recipe is None and not options.list:
            raise UsageError("Which recipe? Name one of the above: chronopose train RECIPE.")
        return 0
    if options.resume not in ("auto", "yes", "no"):
        raise UsageError(f"--resume must be auto, yes or no; got {options.resume!r}.")
    recipe = with_settings(
        apply_changes(find(options.recipe), options.set),
        {
            "seed": options.seed,
            "limit_batches": options.limit_batches,
            "overfit": options.overfit,
        },
    )
    if options.print_recipe:
        print_recipe(recipe)
        return 0
    result = train(
        recipe,
        options.out or f"runs/{recipe.name}",
        places=Places(
            data=_path(options.data),
            cache=_path(options.cache) or Places().cache,
            backdrops=_path(options.backdrops),
            synthetic=_path(options.synthetic),
        ),
        init=options.init,
        resume="auto" if options.resume == "auto" else options.resume == "yes",
        device=options.device,
        quiet=options.quiet,
    )
    print(
        f"{result.steps} steps; " + "  ".join(f"{k} {v:.2f}" for k, v in result.validation.items())
    )
    print(f"weights, card, logs and checkpoints: {result.run_dir}")
    return 0


def apply_changes(recipe: AnyRecipe, changes: list[str]) -> AnyRecipe:
    """A copy of a recipe with ``NAME=VALUE`` changes applied.

    ``model.X`` leads into the model's Config, ``phases.N.X`` into the N-th phase, any other name
    into the training settings. Values are JSON, else YAML, for which 7e-4 would be a word.

    Raises:
        UsageError: a change has no ``=``, or there is no such setting.
    """
    from dataclasses import replace

    from chronopose.models._find import override

    settings: Any = recipe.settings
    overrides = dict(recipe.overrides)
    for change in changes:
        name, value = _split(change)
        head, _, rest = name.partition(".")
        if head == "model":
            overrides[rest] = value
        elif head == "phases" and rest and hasattr(settings, "phases"):
            phases = list(settings.phases)
            number, _, field = rest.partition(".")
            place = _phase(number, len(phases))
            phases[place] = override(phases[place], {field: value})
            settings = replace(settings, phases=tuple(phases))
        else:
            settings = override(settings, {name: value})
    return replace(recipe, settings=settings, overrides=overrides)


def _split(change: str) -> tuple[str, Any]:
    import json
    from contextlib import suppress

    import yaml

    from chronopose.errors import UsageError

    name, equals, text = change.partition("=")
    if not equals or not name:
        raise UsageError(f"--set takes NAME=VALUE; got {change!r}, e.g. --set seed=3.")
    with suppress(ValueError):
        return name.strip(), json.loads(text)
    try:
        return name.strip(), yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"--set cannot read the value of {change!r} as YAML.") from error


def _phase(number: str, count: int) -> int:
    from chronopose.errors import UsageError

    if not number.isdigit() or int(number) >= count:
        raise UsageError(f"There is no phase {number!r}: this recipe has phases 0 to {count - 1}.")
    return int(number)


def print_recipe(recipe: AnyRecipe) -> None:
    """The resolved recipe as YAML."""
    from dataclasses import asdict

    import yaml

    from chronopose.engine.record import plain

    print(yaml.safe_dump(plain(asdict(recipe)), sort_keys=False), end="")


def _path(text: str | None) -> Any:
    from pathlib import Path

    return None if text is None else Path(text)

"""Turn a checkpoint published by others into weights of ours, with a card.

The file is read without running code in it, told by its keys (or by --source), renamed entry by
entry, and written as .safetensors with its card beside it: joints, crop size, and the coordinate
law that it was trained under. Entries that are missing, unexpected or of another shape are named.
What it may be used for is up to its authors: say it with --terms.

  chronopose convert-weights pose_hrnet_w32_256x192.pth --source hrnet --out hrnet_w32.safetensors
  chronopose predict walk.mp4 --model hrnet:w32 --weights hrnet_w32.safetensors
"""

from __future__ import annotations

from typing import Any

HELP = "turn published weights into ours"


def add_arguments(parser: Any) -> None:
    """Flags of the verb."""
    add = parser.add_argument
    add("file", help="published checkpoint: .pth, .pt, .tar, .bin or .safetensors")
    add(
        "--source",
        default=None,
        type=str | None,
        metavar="NAME",
        help="who published it, e.g. hrnet; else told by its keys",
    )
    add("--out", "-o", required=True, type=str, metavar="FILE", help=".safetensors file to be")
    add(
        "--crop-size",
        default=None,
        type=str | None,
        metavar="WxH",
        help="crop width and height, pixels; else from the file's name, or the preset's",
    )
    add(
        "--skeleton",
        default=None,
        type=str | None,
        metavar="NAME",
        help="joints, where their number does not tell",
    )
    add("--tag", default="", metavar="NAME", help="tells these weights from others of the model")
    add("--trained-on", default="", metavar="TEXT", help="training data, for the card")
    add("--terms", default="", metavar="TEXT", help="terms of use, for the card")
    add("--half", default=False, action="store_true", help="store 16-bit numbers")
    add("--overwrite", default=False, action="store_true", help="replace what exists")


def run(options: Any) -> int:
    """Convert, and say what the weights are."""
    from pathlib import Path

    from chronopose import zoo
    from chronopose.cli._flags import make_folder, parse_size
    from chronopose.errors import UsageError, WeightsError
    from chronopose.zoo.convert import recognise, sources
    from chronopose.zoo.states import read_state

    out = Path(options.out)
    if out.exists() and not options.overwrite:
        raise UsageError(f"{out} exists already. Use --overwrite, or another name.")
    source = options.source
    if source is None:
        found = recognise(read_state(Path(options.file)).tensors)
        if found is None:
            raise WeightsError(
                f"{options.file} has the keys of no published network that this version knows. "
                f"Known: {', '.join(sources())}; --source says which one is meant."
            )
        source = found.source
    settings: dict[str, Any] = {}
    if options.crop_size is not None:
        settings["crop_size"] = parse_size(options.crop_size, "--crop-size")
    if options.skeleton is not None:
        settings["skeleton"] = options.skeleton
    model = zoo.load_foreign(source, options.file, **settings)
    told = model.card
    make_folder(out.parent)
    card = zoo.save(
        model, out,
        {
            "name": f"{told.model}:{told.preset}" + (f"@{options.tag}" if options.tag else ""),
            "training_data": options.trained_on or told.training_data,
            "terms": options.terms or told.terms,
            "command": f"chronopose convert-weights {Path(options.file).name} --source {source}",
        },
        half=options.half,
    )  # fmt: skip
    print(
        f"{out}: {card.name}, {card.parameters / 1e6:.1f} million parameters, {card.skeleton} "
        f"joints, published by {source}"
    )
    if not options.terms:
        print("  terms of use unknown: ask its authors, and say them with --terms")
    return 0

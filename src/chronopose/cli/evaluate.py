"""Measure a model on labelled people and print the score of every joint.

Data: lspet:DIR (validation images 8501-9000 of Leeds Sports Pose Extended) or procedural (500
generated clips, nothing to download). People come with the boxes of their labels, so the number
says how good the pose network is, not how good a detector is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chronopose.data.clips import ClipSource

HELP = "measure a model on labelled people"
PROCEDURAL_SEED = 9_000_000
"""Far from the seeds that recipes train on."""


def add_arguments(parser: Any) -> None:
    """Flags of the verb."""
    from chronopose.cli._flags import add_model_flags

    add = parser.add_argument
    add_model_flags(parser)
    add("--data", default="procedural", metavar="NAME[:DIR]", help="lspet:DIR or procedural")
    add("--cache", default="runs/cache", metavar="DIR", help="folder for decoded pictures")
    add("--batch", default=50, type=int, metavar="N", help="clips in one pass")
    add("--flip-test", default=False, action="store_true", help="average with the mirrored crop")
    add("--limit-batches", default=None, type=int | None, metavar="N", help="stop early")
    add("--json", default=None, type=str | None, metavar="FILE", help="also write the result")


def run(options: Any) -> int:
    """Evaluate and print."""
    from dataclasses import asdict

    from chronopose import __version__, zoo
    from chronopose._api import pick_device
    from chronopose.engine.evaluate import evaluate

    device = pick_device(options.device)
    model = zoo.load(options.model, weights=options.weights, device=device)
    data = open_data(options.data, len(model.needs.offsets), model.codec.skeleton.name,
                     options.cache)  # fmt: skip
    result = evaluate(
        model, data, flip_test=options.flip_test, batch_size=options.batch,
        limit_batches=options.limit_batches,
    )  # fmt: skip
    print(f"{options.model} on {options.data}")
    print(result)
    if options.json is not None:
        from chronopose.io.atomic import write_json

        write_json(
            options.json,
            {"model": options.model, "data": options.data, "flip_test": options.flip_test,
             "fingerprint": data.fingerprint(), "version": __version__,
             "limbs": asdict(result.limbs), "all": asdict(result.every)},
        )  # fmt: skip
    return 0


def open_data(name: str, frames: int, skeleton: str, cache: str) -> ClipSource:
    """Labelled clips by the name on the command line.

    Raises:
        UsageError: nobody knows the name, or its folder is missing.
        FormatError: the folder does not hold the data set.
    """
    from pathlib import Path

    from chronopose.data.datasets.lspet import LSPET
    from chronopose.data.datasets.procedural import ProceduralClips
    from chronopose.errors import UsageError

    kind, _, folder = name.partition(":")
    if kind == "lspet" and folder:
        return LSPET(folder, "val", frames=frames, cache=Path(cache))
    if name == "procedural":
        return ProceduralClips(
            500, PROCEDURAL_SEED, frames=frames, skeleton=skeleton, cache=Path(cache)
        )
    raise UsageError(f"No data {name!r}: use lspet:DIR (its folder) or procedural.")

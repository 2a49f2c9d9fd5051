"""Write a model as ONNX for other runtimes, and check the file against the network.

The file is run by ONNX Runtime on random input; unless it gives the network's numbers it is not
kept. Joints, normalisation, codec, frame offsets and terms are in its metadata, as JSON under
"chronopose". With --split a model of several frames becomes two files: X.encode.onnx for one frame
and X.fuse.onnx for a window of encoded frames, so that a stream costs one encode a frame.

  chronopose export simple_baseline:lite --out pose.onnx
  chronopose export tdmi:lite --split --out tdmi.onnx
  chronopose export pavenet:lite@random --frame-size 640x384 --out scene.onnx
"""

from __future__ import annotations

from typing import Any

HELP = "write a model as ONNX"


def add_arguments(parser: Any) -> None:
    """Flags of the verb."""
    add = parser.add_argument
    add("model", help="MODEL:PRESET or MODEL:PRESET@WEIGHTS")
    add("--weights", default=None, type=str | None, metavar="FILE", help="instead of the shipped")
    add("--out", "-o", required=True, type=str, metavar="FILE", help=".onnx file to be")
    add("--split", default=False, action="store_true", help="encode and fuse in a file each")
    add(
        "--frame-size",
        default=None,
        type=str | None,
        metavar="WxH",
        help="size of whole frames, for models that read them",
    )
    add("--overwrite", default=False, action="store_true", help="replace what exists")


def run(options: Any) -> int:
    """Export, and say how close the file is to the network."""
    from pathlib import Path

    from chronopose import zoo
    from chronopose.cli._flags import make_folder, parse_size
    from chronopose.errors import UsageError
    from chronopose.export.onnx import export_onnx
    from chronopose.models._find import SCENES, kind_of, parse_name

    target = Path(options.out)
    parts = [target.with_suffix(f".{p}.onnx") for p in ("encode", "fuse")]
    there = [f for f in (parts if options.split else [target]) if f.exists()]
    if there and not options.overwrite:
        raise UsageError(f"{there[0]} exists. Choose another --out, or say --overwrite.")
    read = zoo.load_scene if kind_of(parse_name(options.model).model) is SCENES else zoo.load
    model = read(options.model, weights=options.weights)
    size = None if options.frame_size is None else parse_size(options.frame_size, "--frame-size")
    make_folder(target.parent)
    card = {} if model.card is None else model.card.to_dict()
    done = export_onnx(model, target, split=options.split, frame_size=size, facts=card)
    for file in done.files:
        print(f"{file}: {file.stat().st_size / 1e6:.1f} MB")
    print(f"largest difference from the network: {done.difference:.1e} of the largest value")
    if model.card is not None and model.card.terms:
        print(f"terms: {model.card.terms}")
    return 0

"""Turn a file of poses or labels into the format of another tool.

Reads and writes the formats of chronopose, COCO, OpenPose, AlphaPose, MMPose, DeepLabCut, SLEAP,
movement, TRC, C3D and MOT boxes, and the label formats of the data sets (PoseTrack, HiEve, MPII,
...; --to labels:coco for COCO labels, as coco alone means COCO poses). Formats are told by content
and ending unless --from and --to name them. What a format cannot hold is said, line by line.

  chronopose convert walk.parquet walk.trc
  chronopose convert dlc.h5 walk.parquet --fps 29.97
  chronopose convert walk.parquet out --to openpose --skeleton body25
"""

from __future__ import annotations

from typing import Any

HELP = "turn poses or labels into another format"


def add_arguments(parser: Any) -> None:
    """Flags of the verb."""
    add = parser.add_argument
    add("source", help="file, or folder where the format is one")
    add("out", help="file or folder to be; its ending picks the format")
    add("--to", default=None, type=str | None, metavar="FORMAT", help="format to write")
    add("--from", default=None, type=str | None, metavar="FORMAT", help="format of the source")
    add(
        "--skeleton",
        default=None,
        type=str | None,
        metavar="NAME",
        help="convert to these joints, by name",
    )
    add(
        "--joints",
        default=None,
        type=str | None,
        metavar="NAME",
        help="joints of a source that does not name them, in file order",
    )
    add(
        "--fps",
        default=None,
        type=float | None,
        metavar="N",
        help="frames a second of a source without times",
    )
    add(
        "--units",
        default=None,
        type=str | None,
        metavar="NAME",
        help="px, mm, cm or m, where a marker file is wrong about it",
    )
    add("--person", default=None, type=int | None, metavar="ID", help="only this person")
    add("--overwrite", default=False, action="store_true", help="replace what exists")


def run(options: Any) -> int:
    """Convert, and say what was written and what could not be kept."""
    from chronopose.cli._convert import Request, convert
    from chronopose.cli._flags import tell_losses

    request = Request(
        options.source, options.out, target=options.to, origin=options["from"],
        skeleton=options.skeleton, joints=options.joints, fps=options.fps, units=options.units,
        person=options.person, overwrite=options.overwrite,
    )  # fmt: skip
    return tell_losses(lambda: convert(request))

r"""Lift 2D poses of a video into space: joints in millimetres, per person and at their own times.

INPUT is a file of poses of any tool, or a video: then people are found first, with --pose-model.
Joints are matched by name; pelvis, thorax, spine and head are made from others where they are not
there. The ending of each --out picks its format:

  .parquet .csv .nc    all people, with ids, times and scores
  .trc .c3d            markers for OpenSim and others, metres
  .npz                 plain arrays for numpy
  .bvh                 a moving skeleton for animation; one file a person
  .rrd                 a recording for the Rerun viewer (pip install 'chronopose[viewers]')

Without a calibration nobody knows how far away a person is: distances rest on an assumed focal
length (--focal or --fov) and on the body size that the network believes in.

  chronopose lift walk.mp4 --out walk.parquet walk.trc walk.bvh --overlay walk_3d.mp4
  chronopose lift openpose_json/ --fps 29.97 --size 1920x1080 --out walk.trc
  chronopose lift walk.parquet --space root --out walk.npz
"""

from __future__ import annotations

from typing import Any

HELP = "lift 2D poses of a video into space"


def add_arguments(parser: Any) -> None:
    """Flags of the verb."""
    from chronopose._api import DEFAULT_LIFTER, DEFAULT_MODEL
    from chronopose.cli._flags import add_model_flags

    add = parser.add_argument
    add("input", metavar="INPUT", help="file or folder of poses, or a video")
    add("--out", "-o", default=[], nargs="+", type=str, metavar="FILE",
        help="where to write; each ending picks its format")  # fmt: skip
    add("--overlay", default=None, type=str | None, metavar="FILE",
        help="video of the 2D poses beside the people in space")  # fmt: skip
    add_model_flags(parser, DEFAULT_LIFTER)
    add("--pose-model", default=DEFAULT_MODEL, metavar="NAME",
        help="finds the people, if INPUT is a video")  # fmt: skip
    add("--space", default="camera", metavar="NAME",
        help="camera: where people are seen from the camera; root: from their pelvis")  # fmt: skip
    add("--focal", default=None, type=float | None, metavar="PX",
        help="focal length of the camera (default: 1.145 of the longer side)")  # fmt: skip
    add("--fov", default=None, type=float | None, metavar="DEG",
        help="angle of view along the longer side, instead of --focal")  # fmt: skip
    add("--size", default=None, type=str | None, metavar="WxH",
        help="size of the picture, for poses that do not say")  # fmt: skip
    _add_lift(add)
    _add_input(add)


def _add_lift(add: Any) -> None:
    add("--rate", default=50.0, type=float, metavar="HZ",
        help="frame rate that the lifter learnt at; poses are resampled")  # fmt: skip
    add("--gap", default=0.5, type=float, metavar="S",
        help="longest time for which a joint may be unknown; longer gaps stay empty")  # fmt: skip
    add("--min-score", default=0.0, type=float, metavar="0..1",
        help="joints scored below this are unknown")  # fmt: skip
    add("--depth-noise", default=0.05, type=float, metavar="0..1",
        help="spread of one frame's distance, as a share; 0: do not smooth")  # fmt: skip
    add("--no-flip", default=False, action="store_true",
        help="do not average with the mirrored pose: twice as fast")  # fmt: skip
    add("--chunk", default=1024, type=int, metavar="N", help="frames in one pass of the network")


def _add_input(add: Any) -> None:
    add("--video", default=None, type=str | None, metavar="VIDEO",
        help="the video in which the poses were found; for --overlay")  # fmt: skip
    add("--walk", default="turn", metavar="HOW",
        help="overlay: turn around the people, or look from the side or front")  # fmt: skip
    add("--kpt-thr", default=0.3, type=float, metavar="0..1",
        help="overlay: draw 2D joints scored above this")  # fmt: skip
    add("--from", default=None, type=str | None, metavar="FORMAT", help="format of the poses")
    add("--fps", default=None, type=float | None, metavar="N",
        help="frames a second of poses without times")  # fmt: skip
    add("--joints", default=None, type=str | None, metavar="NAME",
        help="joints of poses that do not name them, in file order")  # fmt: skip
    add("--overwrite", default=False, action="store_true", help="replace what exists")
    add("--quiet", default=False, action="store_true", help="no progress bar")


def run(options: Any) -> int:
    """Lift, write, and say what was written and what was assumed."""
    from chronopose.cli._flags import tell_losses
    from chronopose.cli._lift import Request, lift

    request = Request.of_flags(options)
    return tell_losses(lambda: lift(request))

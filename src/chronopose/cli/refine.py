r"""Repair and smooth poses that exist already, of chronopose or of any other tool.

Steps run in the order in which --steps names them, without any training:

  stitch      parts of a broken track get one id again
  untangle    people who exchanged their ids where they met get them back, by the colours of what
              they wear; needs the video: --video
  crowd-flow  joints are corrected, and missed people inserted, by poses of the neighbouring frames
              that optical flow carries here; needs the video: --video
  fill-gaps   joints and people that are missing for a moment are put between what is around them
  smooth      joints are filtered in time

Reads and writes the formats of poses that 'chronopose convert' does. --log lists every change.

  chronopose refine walk.parquet --out better.parquet --log edits.csv
  chronopose refine walk.parquet --video walk.mp4 --steps stitch,crowd-flow,fill-gaps,smooth \
      --out better.parquet
  chronopose refine openpose_json/ --fps 29.97 --steps fill-gaps,smooth --smooth kalman \
      --out better.trc
"""

from __future__ import annotations

from typing import Any

HELP = "repair and smooth poses of any tool"
DEFAULT_STEPS = "stitch,fill-gaps,smooth"


def add_arguments(parser: Any) -> None:
    """Flags of the verb."""
    add = parser.add_argument
    add("poses", help="file of poses, or folder where the format is one")
    add("--out", "-o", required=True, metavar="FILE", help="where to write; its ending picks the "
        "format")  # fmt: skip
    add("--video", default=None, type=str | None, metavar="VIDEO",
        help="the video in which the poses were found; for untangle and crowd-flow")  # fmt: skip
    add("--steps", default=DEFAULT_STEPS, metavar="A,B", help="steps in their order")
    add("--log", default=None, type=str | None, metavar="FILE",
        help="also write every change, .csv or .json")  # fmt: skip
    add("--from", default=None, type=str | None, metavar="FORMAT", help="format of the poses")
    add("--to", default=None, type=str | None, metavar="FORMAT", help="format to write")
    add("--fps", default=None, type=float | None, metavar="N",
        help="frames a second of poses without times")  # fmt: skip
    add("--joints", default=None, type=str | None, metavar="NAME",
        help="joints of poses that do not name them, in file order")  # fmt: skip
    add("--overwrite", default=False, action="store_true", help="replace what exists")
    add("--quiet", default=False, action="store_true", help="no progress bar")
    _add_stitch_and_fill(add)
    _add_crowd_flow(add)
    _add_smooth(add)


def _add_stitch_and_fill(add: Any) -> None:
    add("--stitch-gap", default=1.0, type=float, metavar="S", help="stitch: longest gap, seconds")
    add("--fill-gap", default=0.25, type=float, metavar="S", help="fill-gaps: longest gap, seconds")
    add("--fill", default="linear", metavar="HOW", help="fill-gaps: linear, cubic or kalman")
    add("--filled-score", default=0.2, type=float, metavar="0..1",
        help="fill-gaps: score that marks filled joints")  # fmt: skip
    add("--min-score", default=0.0, type=float, metavar="0..1",
        help="fill-gaps: joints scored below are unknown, too")  # fmt: skip


def _add_crowd_flow(add: Any) -> None:
    add("--window", default=2, type=int, metavar="N", help="crowd-flow: frames on either side")
    add("--direction", default="both", metavar="HOW",
        help="crowd-flow: both, forward, backward or none")  # fmt: skip
    add("--identity", default="ids", metavar="HOW",
        help="crowd-flow: who is who by ids, oks (nearest pose) or link (new ids)")  # fmt: skip
    add("--flow", default="dis", metavar="NAME|DIR",
        help="crowd-flow: dis, raft_small, raft_large, or a folder of flow files")  # fmt: skip
    add("--no-insert", default=False, action="store_true",
        help="crowd-flow: do not insert missed people")  # fmt: skip


def _add_smooth(add: Any) -> None:
    add("--smooth", default="butterworth", metavar="NAME",
        help="smooth: butterworth, savitzky-golay, kalman or one-euro")  # fmt: skip
    for flag, metavar, told in (
        (
            "--cutoff",
            "HZ",
            "butterworth (default: 6, or a quarter of a low frame rate), one-euro (default: 1)",
        ),
        ("--order", "N", "butterworth, savitzky-golay (default: 2)"),
        ("--smooth-window", "S", "savitzky-golay: width, seconds (default: 0.28)"),
        ("--beta", "X", "one-euro: Hz more for each px/s (default: 0.01)"),
        ("--noise", "PX", "kalman: spread of a joint, pixels (default: 3)"),
        ("--speed-drift", "PX/S", "kalman: change of speed within a second (default: 300)"),
    ):
        kind = int | None if flag == "--order" else float | None
        add(flag, default=None, type=kind, metavar=metavar, help=f"smooth: {told}")
    add("--smooth-gap", default=0.25, type=float, metavar="S",
        help="smooth: start anew behind a longer gap, seconds")  # fmt: skip
    add("--jump", default=0.08, type=float, metavar="X",
        help="smooth: start anew where a joint jumps by this share of a body; 0: never",
    )  # fmt: skip
    add("--irregular", default="resample", metavar="HOW",
        help="smooth: unequal time steps: resample, or error")  # fmt: skip


def run(options: Any) -> int:
    """Refine, write, and say what changed."""
    from chronopose.cli._flags import tell_losses
    from chronopose.cli._refine import Request, refine

    request = Request.of_flags(options)
    return tell_losses(lambda: refine(request))

"""Measure on this machine, always as a ratio against a named reference in the same run.

speed: streamed inference (each frame encoded once, windows fused) against recomputing every frame
of every window. memory: peak memory of ``predict`` on a long video against a short one. window:
accuracy and encoded crops with windows held still (reencode, warp) against windows cut anew for
every pose (key). metrics: PoseTrack AP and MOTA against plain loops, OKS AP against
faster-coco-eval.
"""

from __future__ import annotations

from typing import Any

HELP = "measure speed and memory against a reference in the same run"
SPEED_MODEL = "tdmi:hrnet_w48"
LIGHT_MODEL = "tdmi:lite"


def add_arguments(parser: Any) -> None:
    """Flags of the verb."""
    add = parser.add_argument
    add("what", choices=["speed", "memory", "window", "metrics"], help="what to measure")
    add(
        "--model",
        default="",
        metavar="NAME",
        help="model to measure (default: tdmi:hrnet_w48 for speed, tdmi:lite for the rest)",
    )
    add("--device", default="auto", metavar="NAME", help="auto, cpu, cuda, cuda:N")
    add("--sequences", default=170, type=int, metavar="N", help="made-up videos for metrics")
    add("--repeats", default=5, type=int, metavar="N", help="interleaved repetitions of a timing")
    add("--clips", default=8, type=int, metavar="N", help="generated clips for window")
    add(
        "--minutes",
        default=[1.0, 20.0],
        nargs=2,
        type=float,
        metavar="MIN",
        help="lengths of the short and the long video, minutes",
    )


def run(options: Any) -> int:
    """Measure and print."""
    if options.what == "metrics":
        from chronopose.bench.metrics import bench_metrics

        bench_metrics(options.sequences, repeats=options.repeats)
        return 0
    from chronopose._api import pick_device

    device = pick_device(options.device)
    if options.what == "speed":
        from chronopose.bench.speed import bench_speed

        bench_speed(options.model or SPEED_MODEL, device, repeats=options.repeats)
    elif options.what == "window":
        from chronopose.bench.window import bench_window

        bench_window(options.model or LIGHT_MODEL, device, clips=options.clips)
    else:
        from chronopose.bench.memory import bench_memory

        short, long = options.minutes
        bench_memory(short, long, model_name=options.model or LIGHT_MODEL, device=device)
    return 0

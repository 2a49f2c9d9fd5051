"""Measure on this machine, always as a ratio against a named reference in the same run.

speed: streamed inference (each frame encoded once, windows fused) against recomputing every frame
of every window. memory: peak memory of ``predict`` on a long video against a short one. window:
accuracy and encoded crops with windows held still (reencode, warp) against windows cut anew for
every pose (key). metrics: PoseTrack AP and MOTA against plain loops, OKS AP against faster-coco-
eval. synth: frames and labelled people a second of the generator, drawn with OpenGL against plain
numpy. accuracy: the arena, multi-frame models trained under one budget on one frozen single-frame
network, judged on SynthTrack by stratum. scenes: the same for PAVE-Net, whole frames without
boxes, three frames against one (--data, --twin, --out). lift: lifters trained under one budget on
free motion, judged on other people (CMU-Lift). faces: the multi-threshold triplet loss against
plain loops, and what its thresholds do.
"""

from __future__ import annotations

from typing import Any

HELP = "measure speed and memory against a reference in the same run"
SPEED_MODEL = "tdmi:hrnet_w48"
LIGHT_MODEL = "tdmi:lite"
WINDOW_CLIPS, SYNTH_CLIPS = 8, 5


def add_arguments(parser: Any) -> None:
    """Flags of the verb."""
    from chronopose.cli._arena import add_arena_flags
    from chronopose.cli._css_bench import add_css_flags
    from chronopose.cli._faces_bench import add_face_flags
    from chronopose.cli._lift_bench import add_lift_flags

    add = parser.add_argument
    add(
        "what",
        choices=[
            "speed", "memory", "window", "metrics", "synth", "accuracy", "scenes", "lift", "css",
            "faces",
        ],
        help="what to measure",
    )  # fmt: skip
    add(
        "--model",
        default="",
        metavar="NAME",
        help="model to measure (default: tdmi:hrnet_w48 for speed, tdmi:lite for the rest)",
    )
    add("--device", default="auto", metavar="NAME", help="auto, cpu, cuda, cuda:N")
    add("--sequences", default=170, type=int, metavar="N", help="made-up videos for metrics")
    add("--repeats", default=5, type=int, metavar="N", help="interleaved repetitions of a timing")
    add(
        "--clips",
        default=None,
        type=int | None,
        metavar="N",
        help="generated clips for window (default: 8) or synth (default: 5)",
    )
    add("--workers", default=2, type=int, metavar="N", help="processes for synth")
    add("--json", default=None, type=str | None, metavar="FILE", help="also write it, for synth")
    add(
        "--minutes",
        default=[1.0, 20.0],
        nargs=2,
        type=float,
        metavar="MIN",
        help="lengths of the short and the long video, minutes",
    )
    add_arena_flags(parser)
    add_lift_flags(parser)
    add_css_flags(parser)
    add_face_flags(parser)


def run(options: Any) -> int:
    """Measure and print."""
    if options.what == "metrics":
        from chronopose.bench.metrics import bench_metrics

        bench_metrics(options.sequences, repeats=options.repeats)
        return 0
    if options.what == "synth":
        return _synth(options)
    if options.what == "accuracy":
        from chronopose.cli._arena import run_accuracy

        return run_accuracy(options)
    if options.what == "scenes":
        from chronopose.cli._arena import run_scenes

        return run_scenes(options)
    if options.what == "lift":
        from chronopose.cli._lift_bench import run_lift

        return run_lift(options)
    if options.what == "css":
        from chronopose.cli._css_bench import run_css

        return run_css(options)
    if options.what == "faces":
        from chronopose.cli._faces_bench import run_faces

        return run_faces(options)
    from chronopose._api import pick_device

    device = pick_device(options.device)
    if options.what == "speed":
        from chronopose.bench.speed import bench_speed

        bench_speed(options.model or SPEED_MODEL, device, repeats=options.repeats)
    elif options.what == "window":
        from chronopose.bench.window import bench_window

        bench_window(
            options.model or LIGHT_MODEL,
            device,
            clips=WINDOW_CLIPS if options.clips is None else options.clips,
        )
    else:
        from chronopose.bench.memory import bench_memory

        short, long = options.minutes
        bench_memory(short, long, model_name=options.model or LIGHT_MODEL, device=device)
    return 0


def _synth(options: Any) -> int:
    from chronopose.bench.synth import bench_synth
    from chronopose.io.atomic import write_json

    clips = SYNTH_CLIPS if options.clips is None else options.clips
    report = bench_synth(clips, workers=options.workers)
    if options.json is not None:
        write_json(options.json, report.as_json())
    return 0

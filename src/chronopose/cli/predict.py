"""Find the people of videos, frame by frame, with ids and times.

Sources: video files, globs, folders of frames, list files, camera numbers, stream addresses.
Writes one Parquet file a video (long table, one row a joint), or what --format asks for, and with
--save-video the overlay. Exit code 0: all frames of all sources; 6: a damaged source, readable part
written.

--faces also reads the faces of the people found and writes STEM_expressions.parquet: for each
person and frame which expression the face shows, how probable it is, and where the face was; or why
it was not judged (smaller than 24 pixels, head joints unsure, seen from behind, outside the
picture). An expression is what a face looks like to those who labelled the training pictures. It is
not an emotion: nobody can read from it what a person feels, thinks or means.
"""

from __future__ import annotations

from typing import Any

HELP = "find people and their joints in videos"


def add_arguments(parser: Any) -> None:
    """Flags of the verb."""
    from chronopose.cli._faces import add_face_flags
    from chronopose.cli._flags import add_model_flags
    from chronopose.io.poses import FORMATS

    add = parser.add_argument
    add("source", nargs="+", help="video, glob, folder of frames, list file, camera or address")
    add(
        "--out",
        "-o",
        default="runs/predict",
        metavar="DIR|FILE",
        help="folder, or one file whose suffix picks the format (.parquet .json .trc .mp4 ...)",
    )
    add_model_flags(parser)
    add(
        "--detector",
        default="auto",
        metavar="NAME",
        help="auto, builtin, whole-frame, torchvision:NAME or boxes:FILE",
    )
    add(
        "--detector-weights",
        default=None,
        type=str | None,
        metavar="FILE",
        help="weights of a torchvision detector",
    )
    add("--conf", default=0.3, type=float, metavar="0..1", help="least score of a detected box")
    add("--start", default=0.0, type=float, metavar="S", help="first time used, seconds")
    add(
        "--end", default=None, type=float | None, metavar="S", help="stop before this time, seconds"
    )
    add("--stride", default=1, type=int, metavar="N", help="use every n-th frame")
    add("--batch", default=16, type=int, metavar="N", help="crops in one pass of the network")
    add("--half", default=False, action="store_true", help="16-bit arithmetic")
    add("--flip-test", default=False, action="store_true", help="average with the mirrored crop")
    add("--window", default="reencode", metavar="HOW",
        help="when a crop window moves: reencode, warp; key: one for each key frame")  # fmt: skip
    add("--recurrent", default=None, type=int | None, metavar="N",
        help="dkd: carry a state from frame to frame; anew after N frames, 0: never")  # fmt: skip
    add(
        "--format",
        default=["parquet"],
        nargs="+",
        metavar="NAME",
        type=str,
        help=f"{', '.join(FORMATS)}; several are fine",
    )
    add("--save-video", default=False, action="store_true", help="also write the overlay video")
    add("--kpt-thr", default=0.3, type=float, metavar="0..1", help="draw joints scored above this")
    add_face_flags(parser)
    add("--overwrite", default=False, action="store_true", help="replace outputs that exist")
    add("--quiet", default=False, action="store_true", help="no progress bar")


def run(options: Any) -> int:
    """Predict every source; the first failure decides the exit code, the others still run."""
    from chronopose.cli._faces import FaceRequest
    from chronopose.cli._predict import plan_outputs, predict_one, warn
    from chronopose.errors import ChronoposeError, UsageError
    from chronopose.io.sources import expand_sources

    if options.stride < 1:
        raise UsageError(f"--stride must be at least 1; got {options.stride}.")
    if options.end is not None and options.end <= options.start:
        raise UsageError(f"--end {options.end} lies before --start {options.start}.")
    sources = [found for given in options.source for found in expand_sources(given)]
    faces = FaceRequest.of_flags(options)
    plans = plan_outputs(
        sources, options.out, options.format, options.save_video, options.overwrite, options.faces
    )
    from chronopose._api import PredictSettings, load

    settings = PredictSettings(
        detector=options.detector, detector_weights=options.detector_weights, conf=options.conf,
        batch=options.batch, flip_test=options.flip_test, half=options.half, window=options.window,
        recurrent=options.recurrent,
    )  # fmt: skip
    predictor = load(options.model, weights=options.weights, device=options.device)
    code = 0
    for source, outputs in zip(sources, plans, strict=True):
        try:
            done = predict_one(
                source, outputs, predictor, settings, start_s=options.start, end_s=options.end,
                stride=options.stride, kpt_thr=options.kpt_thr, quiet=options.quiet,
                faces=faces,
            )  # fmt: skip
        except ChronoposeError as error:
            warn(str(error))
            code = code or error.exit_code
            continue
        speed = done["frames"] / max(done["seconds"], 1e-9)
        print(f"{source}: {done['frames']} frames, {done['people']} people, {speed:.1f} frames/s")
        for path in outputs.files:
            print(f"  {path}")
    return code

"""Spread labels of a few frames of a video over all of its frames.

Reads labels or poses of any format, with ids that say who is who; a frame in which anybody is
labelled counts as labelled completely. --method flow carries every joint along the optical flow,
forward from the label before and backward from the one after, and needs no network; posewarper
warps the drawn labels with a trained PoseWarper, a few frames far. Scores fall with the doubt.
Labelled frames stay as they are.

  chronopose propagate walk.mp4 --labels walk.csv --out walk_all.csv
  chronopose propagate walk.mp4 --labels labels.json --out all.parquet --reach 15
  chronopose propagate walk.mp4 --labels labels.json --out all.parquet --method posewarper \
--weights warper.safetensors
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chronopose.core.tracks import VideoPoses
    from chronopose.core.video import VideoInfo
    from chronopose.io.video import VideoReader

HELP = "spread labels of a few frames over a video"


def add_arguments(parser: Any) -> None:
    """Flags of the verb."""
    from chronopose.cli._flags import add_model_flags

    add = parser.add_argument
    add("video", help="video file or folder of frames")
    add("--labels", required=True, type=str, metavar="FILE", help="poses or labels of some frames")
    add("--out", "-o", required=True, type=str, metavar="FILE", help="file to be")
    add("--method", default="flow", choices=["flow", "posewarper"], help="how labels are carried")
    add(
        "--reach",
        default=None,
        type=int | None,
        metavar="N",
        help="frames that a label is carried at most (flow: 60, posewarper: as far as it looks)",
    )
    add("--from", default=None, type=str | None, metavar="FORMAT", help="format of the labels")
    add(
        "--to",
        default=None,
        type=str | None,
        metavar="FORMAT",
        help="format to write; else the ending of --out picks it",
    )
    add(
        "--fps",
        default=None,
        type=float | None,
        metavar="N",
        help="frames a second of labels without times",
    )
    add(
        "--joints",
        default=None,
        type=str | None,
        metavar="NAME",
        help="joints of labels that do not name them, in file order",
    )
    add_model_flags(parser, "posewarper:lite")
    add("--overwrite", default=False, action="store_true", help="replace what exists")


def run(options: Any) -> int:
    """Carry the labels, and say how many frames they reached."""
    from dataclasses import replace
    from pathlib import Path

    from chronopose.errors import UsageError
    from chronopose.io.poses import find_format, write_poses
    from chronopose.io.video import open_video

    if Path(options.out).exists() and not options.overwrite:
        raise UsageError(f"{options.out} exists already. Use --overwrite, or another name.")
    find_format(options.out, options.to)
    with open_video(options.video) as reader:
        labels = _labels(options, reader.info)
        done = replace(_carry(options, labels, reader), complete=reader.damage is None)
    write_poses(done, options.out, options.to)
    labelled = {int(i) for t in labels.tracks for i in t.frame_index}
    with_people = {int(i) for t in done.tracks for i in t.frame_index}
    print(
        f"{options.out}: {len(done)} people in {len(with_people)} of {len(done.frame_index)} "
        f"frames, {len(labelled)} labelled"
    )
    return 0


def _labels(options: Any, info: VideoInfo) -> VideoPoses:
    """The labels of this video, as poses."""
    from dataclasses import replace
    from pathlib import Path

    from chronopose.cli._convert import Request, as_video, read_source
    from chronopose.core.tracks import VideoPoses
    from chronopose.errors import UsageError

    found = read_source(
        Request(
            options.labels, options.out, origin=options["from"], joints=options.joints,
            fps=options.fps,
        )
    )  # fmt: skip
    if isinstance(found, VideoPoses):
        return found
    stem = Path(options.video).stem
    chosen = found if len(found) == 1 else [s for s in found if Path(s.name).stem == stem]
    if len(chosen) != 1:
        raise UsageError(
            f"{options.labels} holds labels of {len(found)} videos, and {len(chosen)} of them are "
            f"called {stem!r}: {', '.join(s.name for s in found)[:300]}. Name the video like its "
            f"labels, or split the file."
        )
    rate = options.fps or chosen[0].fps or info.rate_hz
    return as_video(replace(chosen[0], fps=rate))


def _carry(options: Any, labels: VideoPoses, reader: VideoReader) -> VideoPoses:
    if options.method == "flow":
        from chronopose.refine.propagate import PropagateSettings, propagate

        far = {} if options.reach is None else {"reach": options.reach}
        return propagate(labels, reader, PropagateSettings(**far))
    from chronopose import zoo
    from chronopose._api import pick_device
    from chronopose.pipeline.propagate_warp import propagate_by_warping

    device = pick_device(options.device)
    model = zoo.load(options.model, weights=options.weights, device=device)
    return propagate_by_warping(labels, reader, model, reach=options.reach, device=device)

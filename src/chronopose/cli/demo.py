"""Render short procedural clips, find their people with the shipped weights, say where to look.

Needs no download and no data. The clips are made by the package, so the joints are known exactly,
and how many of them were found is printed beside the result. The first clip shows one person, who
is found without a detector; in the second, two people are tracked from boxes without ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chronopose._api import Predictor

HELP = "run the main job on clips made here and now"
SIZE = (480, 360)


def add_arguments(parser: Any) -> None:
    """Flags of the verb."""
    add = parser.add_argument
    add("--out", "-o", default="runs/demo", metavar="DIR", help="where the results go")
    add("--seconds", default=4.0, type=float, metavar="S", help="length of each clip")
    add("--seed", default=12, type=int, metavar="N", help="another number makes other clips")
    add("--device", default="auto", metavar="NAME", help="auto, cpu, cuda, cuda:N")


@dataclass(frozen=True)
class _Act:
    """One clip of the demo."""

    name: str
    people: int
    told: str


ACTS = (
    _Act("one", 1, "one person, found in the whole frame without a detector"),
    _Act("two", 2, "two people, tracked from boxes without ids"),
)


def run(options: Any) -> int:
    """Make the clips, predict, compare, print."""
    from chronopose._api import DEFAULT_MODEL, load
    from chronopose.errors import UsageError

    if options.seconds <= 0:
        raise UsageError(f"--seconds must be above 0; got {options.seconds}.")
    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    predictor = load(DEFAULT_MODEL, device=options.device)
    print(f"chronopose demo: {DEFAULT_MODEL} on {predictor.device}\n")
    for act in ACTS:
        _play(act, folder, predictor, options.seconds, options.seed)
    print(f"Look at {folder}/one_overlay.mp4 and {folder}/two_overlay.mp4: drawn on the video.")
    print(f"Read    {folder}/one.parquet: one row a joint, with frame, time_s, person_id, x, y.")
    print("Then    chronopose predict YOUR_VIDEO --out runs/mine --save-video")
    return 0


def _play(act: _Act, folder: Path, predictor: Predictor, seconds: float, seed: int) -> None:
    from chronopose._api import PredictSettings
    from chronopose.cli._demo import compare, write_procedural_video
    from chronopose.cli._predict import Outputs, predict_one
    from chronopose.io.poses import read_poses

    video = folder / f"{act.name}.mp4"
    truth = write_procedural_video(video, seconds=seconds, size=SIZE, people=act.people, seed=seed)
    detector = "whole-frame"
    if act.people > 1:
        boxes = folder / f"{act.name}_boxes.txt"
        _write_mot(truth, boxes)
        detector = f"boxes:{boxes}"
    outputs = Outputs(
        poses={"parquet": folder / f"{act.name}.parquet"}, video=folder / f"{act.name}_overlay.mp4"
    )
    done = predict_one(
        str(video), outputs, predictor, PredictSettings(detector=detector), start_s=0.0,
        end_s=None, stride=1, kpt_thr=0.3, quiet=False,
    )  # fmt: skip
    got = compare(read_poses(outputs.poses["parquet"]), truth)
    print(f"{act.told}:")
    print(
        f"  {done['frames']} frames at {done['frames'] / done['seconds']:.1f} a second; "
        f"{got.pck:.0f} % of the limb joints within 0.2 torso lengths; "
        f"{got.found} ids for {act.people} people, {got.switches} switches\n"
    )


def _write_mot(truth: Any, path: Path) -> None:
    """The true boxes, ids left out (-1), in MOT's text format."""
    from chronopose.io.atomic import write_text

    rows = []
    for frame in truth.frames():
        for x1, y1, x2, y2 in frame.boxes.xyxy.tolist():
            size = f"{x1:.2f},{y1:.2f},{x2 - x1:.2f},{y2 - y1:.2f}"
            rows.append(f"{frame.frame_index + 1},-1,{size},1,-1,-1,-1")
    write_text(path, "\n".join(rows) + "\n")

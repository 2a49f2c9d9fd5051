"""Look inside a model at work: what it made of one person of a video, as a picture.

For TDMI the two channel masks are drawn as bars and, frame by frame, the crop, the strength of the
useful motion M_u and of the noise M_n in one scale, and the heatmaps. For other models the crop and
the heatmaps. Without --person it is whoever has most joints seen.

  chronopose inspect walk.mp4 --model tdmi:lite --start 2 --out inside.png
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

    from chronopose.core.tracks import FramePoses
    from chronopose.io.video import Frame
    from chronopose.losses.split import SplitState
    from chronopose.pipeline.dissect import Inside

HELP = "draw what a model makes of one person"
MODEL = "tdmi:lite"
SECONDS = 4.0


def add_arguments(parser: Any) -> None:
    """Flags of the verb."""
    from chronopose.cli._flags import add_model_flags

    add = parser.add_argument
    add("source", help="video or folder of frames")
    add_model_flags(parser, MODEL)
    add("--out", "-o", default="runs/inspect.png", metavar="FILE", help="picture to write, .png")
    add("--person", default=None, type=int | None, metavar="ID", help="as 'predict' numbers them")
    add("--start", default=0.0, type=float, metavar="S", help="first time looked at, seconds")
    add(
        "--end",
        default=None,
        type=float | None,
        metavar="S",
        help=f"stop before this time, seconds (default: {SECONDS:g} after --start)",
    )
    add("--frames", default=6, type=int, metavar="N", help="rows of the picture")
    add(
        "--detector",
        default="auto",
        metavar="NAME",
        help="auto, builtin, whole-frame, torchvision:NAME or boxes:FILE",
    )


def run(options: Any) -> int:
    """Find the person, look, draw."""
    from pathlib import Path

    import numpy as np
    from PIL import Image

    from chronopose._api import load
    from chronopose.errors import UsageError
    from chronopose.io.atomic import replacing
    from chronopose.io.video import open_video
    from chronopose.models._base import PoseModel
    from chronopose.pipeline.dissect import look_inside, most_visible, pick_keys

    out = Path(options.out)
    end_s = options.start + SECONDS if options.end is None else options.end
    if out.suffix != ".png":
        raise UsageError(f"The picture is written as .png; got {options.out}.")
    if end_s <= options.start:
        raise UsageError(f"--end {end_s:g} does not lie after --start {options.start:g}.")
    predictor = load(options.model, weights=options.weights, device=options.device)
    model = predictor.model
    if not isinstance(model, PoseModel):
        raise UsageError(f"{options.model} reads whole frames: it has no gates to look at.")
    with open_video(options.source, start_s=options.start, end_s=end_s) as reader:
        found = list(predictor.stream(reader, detector=options.detector))
    person = options.person if options.person is not None else most_visible(found)
    keys = pick_keys(found, person, options.frames, model.needs.offsets)
    with open_video(options.source, start_s=options.start, end_s=end_s) as reader:
        windows = _windows(reader, keys, model.needs.offsets, len(found))
    boxes = np.stack([_box(found[key], person) for key in keys])
    inside = look_inside(model, windows, boxes)
    picture = _draw(
        inside, [found[key].time_s for key in keys], f"{options.model}: gates of the channels"
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG")
    print(f"{out}: person {person} in {len(keys)} of {len(found)} frames")
    if inside.state is not None:
        _tell(inside.state, inside.gates)
    return 0


def _box(frame: FramePoses, person: int) -> NDArray[np.float32]:
    box: NDArray[np.float32] = frame.boxes.xyxy[frame.ids.tolist().index(person)]
    return box


def _windows(
    frames: Iterable[Frame], keys: list[int], offsets: tuple[int, ...], count: int
) -> list[list[NDArray[np.uint8]]]:
    """The pictures around each key frame; only those that are needed are kept."""
    wanted = [[min(max(key + o, 0), count - 1) for o in offsets] for key in keys]
    needed = {place for window in wanted for place in window}
    kept = {n: frame.image for n, frame in enumerate(frames) if n in needed}
    return [[kept[place] for place in window] for window in wanted]


def _draw(inside: Inside, times_s: list[float], title: str) -> NDArray[np.uint8]:
    from chronopose.viz.masks import ClipRow, draw_inside

    rows = [
        ClipRow(
            time_s=time_s,
            crop=inside.crops[n],
            features={name: part[n] for name, part in inside.features.items()},
            heatmaps=None if inside.heatmaps is None else inside.heatmaps[n],
        )
        for n, time_s in enumerate(times_s)
    ]
    return draw_inside(rows, inside.gates, title=title)


def _tell(state: SplitState, gates: dict[str, NDArray[np.float32]]) -> None:
    """What the picture shows, in numbers."""
    import math

    from chronopose.losses.split import EDGE

    for name, values in gates.items():
        mean = _means(values)
        if not mean:
            print(f"  {name}  not made by gates")
            continue
        opened, shut = sum(m > 1 - EDGE for m in mean), sum(m < EDGE for m in mean)
        print(f"  {name}  {opened} channels open, {shut} shut, {len(mean) - opened - shut} between")
    print(f"  M    {state.dead:.0%} of the channels are zero in all these frames")
    print(f"  I(M_u; M_n) = {state.shared:.3f}, between 0 and ln 2 = {math.log(2):.3f}")


def _means(gates: NDArray[np.float32]) -> list[float]:
    """Mean gate of every channel that is not zero throughout."""
    import numpy as np

    known = [column[np.isfinite(column)] for column in gates.T]
    return [float(column.mean()) for column in known if len(column)]

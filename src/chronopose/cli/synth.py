"""Make video of synthetic people with exact labels: joints in 2D and 3D, who is hidden, who is who.

Without --assets everything is made by code: dressed bodies, motion, places and light. A folder with
.hdr environment maps and .bvh or .amc motion files, and a bank of bodies (chronopose synth-bake),
make it look real. The same seed and assets give the same labels on every machine.

Written as PoseTrack18 folders (images, posetrack_data/annotations) that 'chronopose evaluate --data
posetrack18:DIR' reads, with everything exact in arrays/SPLIT/NAME.npz. A stopped run goes on where
it was when the same command is typed again.
"""

from __future__ import annotations

from typing import Any

HELP = "make labelled video of synthetic people"


def add_arguments(parser: Any) -> None:
    """Flags of the verb."""
    add = parser.add_argument
    add("--out", "-o", default="runs/synth", metavar="DIR", help="root of the set")
    add("--clips", default=5, type=int, metavar="N", help="number of clips")
    add("--people", default="1..4", metavar="A..B", help="fewest and most people; crowds: 5..8")
    add("--seed", default=0, type=int, metavar="N", help="of the first clip, the next has N + 1")
    add(
        "--difficulty",
        default="all",
        metavar="NAME",
        help="clean, blur, defocus, occlusion, crowd, several with commas, or all in turn",
    )
    add("--size", default="640x360", metavar="WxH", help="of the frames, pixels")
    add("--frames", default=40, type=int, metavar="N", help="length of a clip")
    add("--fps", default=25.0, type=float, metavar="HZ", help="frames a second")
    add("--split", default="train", metavar="NAME", help="train, val or test")
    add("--assets", default=None, type=str | None, metavar="DIR", help="environment maps, motion")
    add("--bank", default=None, type=str | None, metavar="FILE", help="baked bodies")
    add("--renderer", default="auto", metavar="NAME", help="auto, gl or soft (plain numpy)")
    add("--supersample", default=1, type=int, metavar="N", help="samples a pixel and side, 1 to 4")
    add("--pictures", default="jpg", metavar="KIND", help="jpg, png or mp4")
    add("--layers", default=[], nargs="+", type=str, metavar="NAME", help="masks, depth, flow")
    add("--workers", default=1, type=int, metavar="N", help="processes")
    add("--quiet", default=False, action="store_true", help="no progress bar")


def run(options: Any) -> int:
    """Make the clips that are not there yet."""
    from pathlib import Path

    from tqdm import tqdm

    from chronopose.errors import UsageError
    from chronopose.synth.generate import GenerateSettings, generate
    from chronopose.synth.scenario import DIFFICULTIES, plans

    if options.clips < 1:
        raise UsageError(f"--clips must be at least 1; got {options.clips}.")
    names = DIFFICULTIES if options.difficulty == "all" else tuple(options.difficulty.split(","))
    wanted = plans(
        options.clips, options.seed, names, people=_two(options.people, "..", "--people 1..4"),
        frames=options.frames, fps=options.fps, size=_two(options.size, "x", "--size 640x360"),
        split=options.split,
    )  # fmt: skip
    settings = GenerateSettings(
        assets=None if options.assets is None else Path(options.assets),
        bank=None if options.bank is None else Path(options.bank),
        renderer=options.renderer, supersample=options.supersample, pictures=options.pictures,
        layers=tuple(options.layers),
    )  # fmt: skip
    made = people = 0
    with tqdm(total=len(wanted), disable=options.quiet, unit="clip") as bar:
        for _, facts, new in generate(wanted, options.out, settings, workers=options.workers):
            made += new
            people += facts.people
            bar.update()
    print(
        f"{options.out}: {len(wanted)} clips of {options.split}, {people} people, {made} made now"
    )
    print(f"  labels   {options.out}/posetrack_data/annotations/{options.split}")
    print(f"  arrays   {options.out}/arrays/{options.split}")
    return 0


def _two(text: str, between: str, example: str) -> tuple[int, int]:
    from chronopose.errors import UsageError

    low, found, high = text.partition(between)
    if not low.isdigit() or (found and not high.isdigit()):
        raise UsageError(f"{text!r} is not understood; write {example}.")
    return int(low), int(high) if found else int(low)

"""Make video of synthetic people with exact labels: joints in 2D and 3D, who is hidden, who is who.

Without --assets everything is made by code: dressed bodies, motion, places and light. A folder with
.hdr environment maps and .bvh or .amc motion files, and a bank of bodies (chronopose synth-bake),
make it look real. The same seed and assets give the same labels on every machine.

Written as PoseTrack18 folders (images, posetrack_data/annotations) that 'chronopose evaluate --data
posetrack18:DIR' reads, with everything exact in arrays/SPLIT/NAME.npz. A stopped run goes on where
it was when the same command is typed again. val and test have other bodies, motion and places than
train; a crowd has 5 to 8 people whatever --people says.

  chronopose synth --out data/mine --clips 100 --difficulty blur,crowd --workers 2
  chronopose evaluate --data posetrack18:data/mine --split train

--benchmark synthtrack makes a split of the frozen benchmark SynthTrack instead: val or test, 40
clips each, or --clips N of train, all by code. Then the labels of val and test are compared with
the frozen ones; the command ends with 4 if they are others.

  chronopose synth --benchmark synthtrack --split val --out data/synthtrack --workers 2
  chronopose evaluate --data synthtrack:data/synthtrack --split val --metric official
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chronopose.synth.scenario import ClipPlan

HELP = "make labelled video of synthetic people"
CLIPS = 5
DIFFERENT = 4
FIXED = {
    "people": "1..4", "seed": 0, "difficulty": "all", "size": "640x360", "frames": 40, "fps": 25.0,
    "assets": None, "bank": None,
}  # fmt: skip
"""Flags that a benchmark leaves no choice in, with their defaults."""


def add_arguments(parser: Any) -> None:
    """Flags of the verb."""
    add = parser.add_argument
    add("--out", "-o", default="runs/synth", metavar="DIR", help="root of the set")
    add("--clips", default=CLIPS, type=int, metavar="N", help="number of clips")
    add("--people", default=FIXED["people"], metavar="A..B", help="fewest and most in a clip")
    add("--seed", default=FIXED["seed"], type=int, metavar="N", help="of the first clip; next: + 1")
    add(
        "--difficulty",
        default=FIXED["difficulty"],
        metavar="NAME",
        help="clean, blur, defocus, occlusion, crowd, several with commas, or all in turn",
    )
    add("--size", default=FIXED["size"], metavar="WxH", help="width and height, even")
    add("--frames", default=FIXED["frames"], type=int, metavar="N", help="frames in a clip")
    add("--fps", default=FIXED["fps"], type=float, metavar="HZ", help="frames a second")
    add("--split", default="train", metavar="NAME", help="train, val or test")
    add("--assets", default=None, type=str | None, metavar="DIR", help=".hdr, .bvh and .amc files")
    add("--bank", default=None, type=str | None, metavar="FILE", help="bodies of synth-bake")
    add("--renderer", default="auto", metavar="NAME", help="auto, gl, or soft (numpy alone)")
    add("--supersample", default=1, type=int, metavar="N", help="smoother edges, slower: 1 to 4")
    add("--pictures", default="jpg", metavar="KIND", help="jpg, png or mp4")
    add("--layers", default=[], nargs="+", type=str, metavar="NAME", help="also masks, depth, flow")
    add("--benchmark", default="", metavar="NAME", help="synthtrack: all fixed and checked")
    add("--workers", default=1, type=int, metavar="N", help="processes, a thread each")
    add("--quiet", default=False, action="store_true", help="no progress bar")


def run(options: Any) -> int:
    """Make the clips that are not there yet."""
    from pathlib import Path

    from tqdm import tqdm

    from chronopose.errors import UsageError
    from chronopose.synth.generate import GenerateSettings, generate

    if options.clips < 1:
        raise UsageError(f"--clips must be at least 1; got {options.clips}.")
    wanted = _benchmark(options) if options.benchmark else _chosen(options)
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
    return check_benchmark(options) if options.benchmark and options.split != "train" else 0


def _chosen(options: Any) -> list[ClipPlan]:
    from chronopose.synth.scenario import DIFFICULTIES, plans

    names = (
        DIFFICULTIES
        if options.difficulty == "all"
        else tuple(options.difficulty.replace(" ", "").split(","))
    )
    return plans(
        options.clips, options.seed, names, people=_two(options.people, "..", "--people 1..4"),
        frames=options.frames, fps=options.fps, size=_two(options.size, "x", "--size 640x360"),
        split=options.split,
    )  # fmt: skip


def _benchmark(options: Any) -> list[ClipPlan]:
    """The clips of a benchmark; flags that would make others are refused."""
    from chronopose.errors import UsageError
    from chronopose.synth.synthtrack import synthtrack_plans

    if options.benchmark != "synthtrack":
        raise UsageError(f"There is no benchmark {options.benchmark!r}. Known: synthtrack.")
    changed = [f"--{name}" for name, usual in FIXED.items() if getattr(options, name) != usual]
    if changed:
        raise UsageError(
            f"{', '.join(changed)} cannot go with --benchmark: seeds and settings of SynthTrack "
            f"are fixed. Leave it out, or leave --benchmark out for clips of your own."
        )
    if options.pictures == "mp4":
        raise UsageError("SynthTrack is read from pictures; use --pictures jpg or png.")
    if options.split == "train":
        return synthtrack_plans("train", options.clips)
    return synthtrack_plans(options.split, None if options.clips == CLIPS else options.clips)


def check_benchmark(options: Any) -> int:
    """Compare what lies in ``out`` with the frozen labels of ``split``; the exit code."""
    from chronopose.synth.synthtrack import check_synthtrack

    problems = check_synthtrack(options.out, options.split)
    for problem in problems:
        print(f"  {problem}")
    if problems:
        print(
            f"This is NOT SynthTrack {options.split}: {len(problems)} problems. Do not report it."
        )
        return DIFFERENT
    print(f"SynthTrack {options.split}: all labels are the frozen ones")
    return 0


def _two(text: str, between: str, example: str) -> tuple[int, int]:
    from chronopose.errors import UsageError

    low, found, high = text.partition(between)
    if not low.isdigit() or (found and not high.isdigit()):
        raise UsageError(f"{text!r} is not understood; write {example}.")
    return int(low), int(high) if found else int(low)

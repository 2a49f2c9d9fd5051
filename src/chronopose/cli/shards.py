"""Cut the people out of clips of 'chronopose synth' into shards for training.

A shard is one Arrow file of a few thousand crops with their joints: any of them is read without
the others, so training does not wait for video to be decoded. Each row is one person in a clip of
--frames frames, cut wider than the person so that augmentation finds pixels to turn in. The same
clips give the same shards. Shards of the split that are there already are replaced when all new
ones are whole, and stay as they are if anything goes wrong.

  chronopose synth --out data/mine --clips 100 --workers 2
  chronopose shards data/mine --out data/crops --frames 5 --every 4

--clips 60..299 takes only clips whose names begin with such a number, so that two networks can be
trained on different ones.
"""

from __future__ import annotations

from typing import Any

HELP = "cut synthetic people out for training"


def add_arguments(parser: Any) -> None:
    """Flags of the verb."""
    add = parser.add_argument
    add("folder", help="root of a set that 'chronopose synth' wrote")
    add("--split", default="train", metavar="NAME", help="train, val or test")
    add("--out", "-o", default="runs/shards", metavar="DIR", help="folder of the shards")
    add("--clips", default="", metavar="A..B", help="numbers of the clips taken (default: all)")
    add(
        "--frames",
        default=1,
        type=int,
        metavar="N",
        help="frames of a clip, odd; key in the middle",
    )
    add("--every", default=4, type=int, metavar="N", help="a person is taken every n-th frame")
    add("--side", default=384, type=int, metavar="PX", help="largest side of the square crops")
    add("--grow", default=1.8, type=float, metavar="X", help="crop over the person's longer side")
    add(
        "--least-share",
        default=0.25,
        type=float,
        metavar="0..1",
        help="leave out who is seen less than this",
    )
    add(
        "--least-height",
        default=24.0,
        type=float,
        metavar="PX",
        help="leave out who is smaller in the frame",
    )
    add(
        "--least-visible",
        default=4,
        type=int,
        metavar="N",
        help="leave out who has fewer visible joints, of 17",
    )
    add("--quality", default=90, type=int, metavar="1..95", help="of the JPEGs")
    add("--quiet", default=False, action="store_true", help="no progress bar")


def run(options: Any) -> int:
    """Write the shards."""
    from pathlib import Path

    from tqdm import tqdm

    from chronopose.synth.shards import CropRule, write_shards

    first, last = _ends(options.clips)

    rule = CropRule(
        side_px=options.side, grow=options.grow, frames=options.frames, every=options.every,
        least_share=options.least_share, least_height_px=options.least_height,
        least_visible=options.least_visible, quality=options.quality,
    )  # fmt: skip
    rows = write_shards(
        options.folder, options.split, options.out, rule,
        watch=lambda names: tqdm(
            [n for n in names if first <= int(n.partition("_")[0]) <= last],
            unit="clip", disable=options.quiet,
        ),
    )  # fmt: skip
    files = sorted(Path(options.out).glob(f"{options.split}-[0-9]*.arrow"))
    size_mb = sum(f.stat().st_size for f in files) / 1e6
    print(
        f"{options.out}: {rows} clips of one person, {options.frames} frames each, in "
        f"{len(files)} shards of {options.split} ({size_mb:.1f} MB)"
    )
    return 0


def _ends(text: str) -> tuple[int, int]:
    from chronopose.errors import UsageError

    if not text:
        return 0, 10**9
    low, dots, high = text.partition("..")
    if not (dots and low.isdigit() and high.isdigit()) or int(low) > int(high):
        raise UsageError(f"--clips takes numbers such as 60..299; got {text!r}.")
    return int(low), int(high)

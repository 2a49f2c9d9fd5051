"""Check a data set on disk, or list the data sets that are known.

check NAME --root DIR looks for the labels and for every labelled picture of a set and says what is
missing, where it was looked for and how to get it; it ends with 4 if anything is. Without --split
every split is checked. list prints name, splits, joints and terms of every set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chronopose.data.datasets._base import LabelledSet

HELP = "check a data set on disk, or list the known ones"
MISSING = 4


def add_arguments(parser: Any) -> None:
    """Flags of the verb."""
    add = parser.add_argument
    add("what", choices=["check", "list"], help="what to do")
    add("name", nargs="?", default=None, type=str | None, help="data set to check")
    add("--root", default=None, type=str | None, metavar="DIR", help="folder of the data set")
    add("--split", default=None, type=str | None, metavar="NAME", help="only this split")
    add(
        "--labels",
        default=None,
        type=str | None,
        metavar="PATH",
        help="file or folder of the labels, if it is at no usual place",
    )
    add(
        "--pictures",
        default=None,
        type=str | None,
        metavar="DIR",
        help="folder that the pictures' names start from, if it is no usual one",
    )
    add("--json", default=False, action="store_true", help="machine-readable")


def run(options: Any) -> int:
    """Check or list."""
    from chronopose.errors import UsageError

    if options.what == "list":
        if options.name is not None or options.root is not None:
            raise UsageError("'chronopose data list' takes no data set; use 'data check NAME'.")
        return _list(options.json)
    if options.name is None or options.root is None:
        raise UsageError(
            "Say which data set and where it is: chronopose data check NAME --root DIR. "
            "'chronopose data list' prints the names."
        )
    return _check(options)


def _list(as_json: bool) -> int:
    import json

    from chronopose.data.datasets._find import list_datasets

    sets = list_datasets()
    if as_json:
        facts = [
            {"name": n, "title": s.TITLE, "splits": s.SPLITS, "joints": s.SKELETON.name,
             "video": s.VIDEO, "terms": s.TERMS, "source": s.SOURCE}
            for n, s in sets.items()
        ]  # fmt: skip
        print(json.dumps(facts, indent=2))
        return 0
    for name, found in sets.items():
        kind = "video" if found.VIDEO else "stills"
        print(f"{name:<13} {found.TITLE}: {kind}, {found.SKELETON.name}")
        print(f"{'':<13} splits: {', '.join(found.SPLITS)}")
        print(f"{'':<13} terms: {found.TERMS}")
    print("\nprocedural    generated clips; nothing to download")
    return 0


def _check(options: Any) -> int:
    import json
    from dataclasses import asdict
    from pathlib import Path

    from chronopose.data.datasets._find import dataset_class

    found = dataset_class(options.name)
    more = {n: Path(v) for n in ("labels", "pictures") if (v := getattr(options, n)) is not None}
    splits = found.SPLITS if options.split is None else (options.split,)
    lacking, report = False, []
    for split in splits:
        data = found(root=Path(options.root), split=split, **more)
        problems = data.check()
        lacking = lacking or bool(problems)
        if options.json:
            report.append({"split": split, "problems": [asdict(p) for p in problems],
                           **({} if problems else _counts(data))})  # fmt: skip
            continue
        if not problems:
            told = ", ".join(f"{n} {what}" for what, n in _counts(data).items())
            print(f"{found.NAME} {split}: complete ({told})")
        for problem in problems:
            print(f"{found.NAME} {split}: {problem}")
    if options.json:
        print(json.dumps({"name": found.NAME, "root": options.root, "splits": report}, indent=2))
    return MISSING if lacking else 0


def _counts(data: LabelledSet) -> dict[str, int]:
    sequences = data.sequences()
    frames = [f for s in sequences for f in s if f.labelled]
    return {
        "videos" if data.VIDEO else "sets": len(sequences),
        "labelled pictures": len(frames),
        "people": sum(len(f) for f in frames),
    }

"""Check a data set on disk, list the data sets that are known, or find the people of one.

check NAME --root DIR looks for the labels and for every labelled picture of a set and says what is
missing, where it was looked for and how to get it; it ends with 4 if anything is. Without --split
every split is checked. list prints name, splits, joints and terms of every set. boxes NAME --root
DIR --out FILE writes the boxes that our detector finds in the labelled pictures of one split, in
the form of PoseTrack's val_boxes.json, which 'evaluate --boxes' and 'bench accuracy --boxes' read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chronopose.data.datasets._base import LabelledSet

HELP = "check a data set on disk, list the known ones, find the people of one"
MISSING = 4


def add_arguments(parser: Any) -> None:
    """Flags of the verb."""
    add = parser.add_argument
    add("what", choices=["check", "list", "boxes"], help="what to do")
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
    add("--out", "-o", default=None, type=str | None, metavar="FILE", help="file of the boxes")
    add("--weights", default=None, type=str | None, metavar="FILE", help="of the detector")
    add("--min-score", default=0.0, type=float, metavar="0..1", help="least score of a box told")
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
    if options.what == "boxes":
        return _boxes(options)
    return _check(options)


def _boxes(options: Any) -> int:
    from chronopose.data.datasets._find import find_dataset
    from chronopose.errors import UsageError
    from chronopose.io.detections import write_detections
    from chronopose.pipeline.detect import build_detector
    from chronopose.pipeline.judge import detect_set

    if options.out is None:
        raise UsageError("Say where the boxes shall be written: --out FILE.")
    data = find_dataset(options.name, options.root, options.split or "")
    detector = build_detector("builtin", weights=options.weights)
    found = [d for d in detect_set(detector, data) if d.score >= options.min_score]
    write_detections(options.out, found)
    print(f"{options.out}: {len(found)} boxes in the labelled pictures of {data.NAME} {data.split}")
    return 0


def _list(as_json: bool) -> int:
    import json

    from chronopose.data.datasets._find import list_datasets
    from chronopose.data.expressions._find import list_faces

    sets, faces = list_datasets(), list_faces()
    if as_json:
        facts = [
            {"name": n, "title": s.TITLE, "splits": s.SPLITS, "joints": s.SKELETON.name,
             "video": s.VIDEO, "terms": s.TERMS, "source": s.SOURCE}
            for n, s in sets.items()
        ]  # fmt: skip
        facts += [
            {"name": n, "title": f.TITLE, "splits": f.PARTS, "expressions": f.CLASSES,
             "protocol": f.PROTOCOL, "terms": f.OWNER}
            for n, f in faces.items()
        ]  # fmt: skip
        print(json.dumps(facts, indent=2))
        return 0
    for name, found in sets.items():
        kind = "video" if found.VIDEO else "stills"
        print(f"{name:<13} {found.TITLE}: {kind}, {found.SKELETON.name}")
        print(f"{'':<13} splits: {', '.join(found.SPLITS)}")
        print(f"{'':<13} terms: {found.TERMS}")
    print("\nfacial expressions, for 'chronopose evaluate fer_multithreshold:lite --data NAME:DIR'")
    for name, pictured in faces.items():
        print(f"{name:<13} {pictured.TITLE}: {', '.join(pictured.CLASSES) or 'as in its folders'}")
        print(f"{'':<13} papers report: {pictured.PROTOCOL}")
        print(f"{'':<13} terms: {pictured.OWNER}")
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

"""Flags of ``chronopose bench faces``, and what they start."""

from __future__ import annotations

from typing import Any

RUN = "runs/faces"
"""Folder of the studies where --out names none."""
DRAWN = 200
"""Made-up people of the study on drawn faces; the two halves judge each other."""


def add_face_flags(parser: Any) -> None:
    """Flags that only ``faces`` reads.

    It also reads --data, --out, --rows, --seeds, --steps and --repeats.
    """
    parser.add_argument(
        "--part", default="step", choices=["step", "study", "collapse"],
        help="faces: speed of the loss, thresholds on --data SET:DIR, or the toy of the collapse",
    )  # fmt: skip


def run_faces(options: Any) -> int:
    """Measure and print."""
    if options.part == "step":
        from chronopose.bench.faces import bench_face_step

        print(bench_face_step(repeats=options.repeats))
        return 0
    if options.part == "collapse":
        from chronopose.bench.face_collapse import bench_collapse, collapse_table

        print(collapse_table(bench_collapse(options.out or RUN, seeds=tuple(range(options.seeds)))))
        return 0
    return _study(options)


def _study(options: Any) -> int:
    from dataclasses import replace

    from chronopose.bench.faces import FaceStudy, bench_face_study, study_table
    from chronopose.data.drawn_faces import DrawnFaces
    from chronopose.data.expressions._find import open_faces
    from chronopose.data.faces import FaceSet
    from chronopose.errors import UsageError

    if options.data is None:
        raise UsageError(
            "The study needs faces with persons: --data SET:DIR, e.g. --data fer_portraits:DIR, or "
            "--data drawn for made-up people."
        )
    study = FaceStudy(seeds=tuple(range(options.seeds)), only=tuple(options.rows or ()))
    if options.steps is not None:
        study = replace(study, settings=replace(study.settings, steps=options.steps))
    faces: FaceSet
    if options.data == "drawn":
        study, faces = replace(study, folds=2), DrawnFaces(DRAWN, seed=5)
    else:
        faces = open_faces(str(options.data), "all")
    print(study_table(bench_face_study(faces, options.out or RUN, study)))
    return 0

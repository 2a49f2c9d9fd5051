"""Score predictions against labels with the metrics of the field.

Predictions and labels are files or folders in any format that chronopose reads, in the same or in
another skeleton: joints are found by name. --metric temporal needs no labels: it looks for jitter,
gaps and exchanged sides in the predictions themselves. The 3D metrics (mpjpe, p-mpjpe, n-mpjpe,
mpjve, pck3d, auc3d) take joints in space: our .npz, .parquet or other poses in 3D, and the files of
Human3.6M, HumanEva and MPI-INF-3DHP; names, units, joints and frames must fit.

  chronopose score results/ --against posetrack/val --metric posetrack-ap
  chronopose score poses.parquet --against labels.json --metric oks --json oks.json
  chronopose score poses.parquet --metric temporal
  chronopose score mine.npz --against data_3d_h36m.npz --metric mpjpe \
      --option subjects=S9,S11 cameras=cameras.pkl
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chronopose.core.labels import LabelledSequence
    from chronopose.engine.score import Score

HELP = "score predictions against labels"
WITHOUT_LABELS = "temporal"


def add_arguments(parser: Any) -> None:
    """Flags of the verb."""
    add = parser.add_argument
    add("predictions", nargs="?", default=None, type=str | None, help="file or folder of poses")
    add("--against", default=None, type=str | None, metavar="PATH", help="file or folder of labels")
    add("--metric", default="posetrack-ap", metavar="NAME", help="--list names them")
    add("--list", default=False, action="store_true", help="list the metrics and stop")
    add(
        "--compat",
        default=None,
        type=str | None,
        metavar="MODE",
        help="count as this evaluator does, e.g. poseval, fixed, crowdpose",
    )
    add(
        "--option",
        default=[],
        nargs="+",
        type=str,
        metavar="NAME=VALUE",
        help="further options of the metric, e.g. threshold=0.1 normalise=bbox alpha_mode=tight; "
        "of 3D metrics also subjects=S9,S11 and cameras=FILE",
    )
    add("--format", default=None, type=str | None, metavar="NAME", help="format of predictions")
    add("--label-format", default=None, type=str | None, metavar="NAME", help="format of labels")
    add(
        "--json",
        default=None,
        type=str | None,
        metavar="FILE",
        help="also write all values with full precision, and a row for every sequence",
    )


def run(options: Any) -> int:
    """Score and print."""
    from chronopose.engine.score import METRICS, find_metric, score
    from chronopose.engine.score_3d import METRICS_3D
    from chronopose.errors import UsageError

    every = METRICS | METRICS_3D
    if options.list:
        width = max(map(len, every)) + 2
        for name, metric in every.items():
            extra = f" ({', '.join(metric.options)})" if metric.options else ""
            print(f"  {name:<{width}}{metric.told}{extra}")
        print(f"  {WITHOUT_LABELS:<{width}}jitter, gaps and exchanged sides; needs no labels")
        return 0
    if options.predictions is None:
        raise UsageError("Which predictions? chronopose score PREDICTIONS --against LABELS.")
    if options.metric == WITHOUT_LABELS:
        return _temporal(options)
    find_metric(options.metric, every)
    if options.against is None:
        raise UsageError(
            f"{options.metric} needs labels: give their file or folder with --against. Without "
            f"labels there is --metric {WITHOUT_LABELS}."
        )
    settings = _settings(options)
    if options.metric in METRICS_3D:
        return _tell(options, _in_space(options, dict(settings)), settings)
    as_poseval = options.metric.startswith("posetrack-") and options.compat in (None, "poseval")
    found = score(
        read_sequences(options.predictions, options.format, keep_dummies=as_poseval),
        read_sequences(options.against, options.label_format),
        options.metric,
        **settings,
    )
    return _tell(options, found, settings)


def _in_space(options: Any, settings: dict[str, Any]) -> Score:
    from chronopose.engine.score_3d import score_3d
    from chronopose.io.motion import read_cameras
    from chronopose.io.performances import read_motions

    cameras = settings.pop("cameras", None)
    subjects = str(settings.pop("subjects", ""))
    return score_3d(
        read_motions(options.predictions, options.format),
        read_motions(options.against, options.label_format),
        options.metric,
        cameras=None if cameras is None else read_cameras(str(cameras)),
        subjects=[s for s in subjects.split(",") if s],
        **settings,
    )


def _tell(options: Any, found: Score, settings: dict[str, Any]) -> int:
    print(f"{options.predictions} against {options.against}")
    print(found.table)
    if options.json is not None:
        from chronopose.io.atomic import write_json

        inputs = {"predictions": options.predictions, "labels": options.against}
        write_json(options.json, {**inputs, "options": settings, **found.as_json()})
    return 0


def read_sequences(
    path: str, format: str | None, *, keep_dummies: bool = False
) -> Sequence[LabelledSequence]:
    """Labels or poses, whichever reader knows the file.

    Args:
        path: File or folder.
        format: Its format; None finds out.
        keep_dummies: Leave in the person who stands in PoseTrack submissions for a frame without
            people: poseval counts it.

    Raises:
        FormatError: nobody can read it.
    """
    from chronopose.core.labels import LabelledSequence
    from chronopose.errors import FormatError
    from chronopose.io.labels import LABEL_FORMATS, read_labels, sniff_labels
    from chronopose.io.poses import FORMATS, read_poses

    if format in FORMATS and format not in LABEL_FORMATS:
        return [LabelledSequence.from_video(read_poses(path, format))]
    try:
        known = format or sniff_labels(path)
        dummies = keep_dummies and known.startswith("posetrack")
        return read_labels(path, known, **({"keep_dummies": True} if dummies else {}))
    except FormatError as no_labels:
        if format is not None:
            raise
        try:
            return [LabelledSequence.from_video(read_poses(path))]
        except FormatError:
            raise no_labels from None


def _temporal(options: Any) -> int:
    from chronopose.engine.score import plain_values
    from chronopose.io.poses import read_poses
    from chronopose.metrics.temporal import TemporalQuality

    metric = TemporalQuality()
    metric.update(read_poses(options.predictions, options.format))
    result = metric.compute()
    print(options.predictions)
    print(result)
    if options.json is not None:
        from chronopose.io.atomic import write_json

        values = {"predictions": options.predictions, "metric": WITHOUT_LABELS}
        write_json(options.json, {**values, "result": plain_values(result)})
    return 0


def _settings(options: Any) -> dict[str, Any]:
    """Options of the metric; numbers become numbers.

    Raises:
        UsageError: an option is not NAME=VALUE.
    """
    from chronopose.errors import UsageError

    settings: dict[str, Any] = {} if options.compat is None else {"compat": options.compat}
    for text in options.option:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise UsageError(f"--option takes NAME=VALUE; got {text!r}.")
        try:
            settings[name] = int(value)
        except ValueError:
            try:
                settings[name] = float(value)
            except ValueError:
                settings[name] = value
    return settings

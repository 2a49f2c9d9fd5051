"""Measure a model on labelled people and print the score of every joint.

Data: procedural (500 generated clips, nothing to download), lspet:DIR (validation images 8501-9000
of Leeds Sports Pose Extended), or NAME:DIR of any set that 'chronopose data list' prints, in the
split that papers report; its joints are converted to the model's by name. People come with the
boxes of their labels, so the number says how good the pose network is, not how good a detector is;
--boxes takes a detector's instead, and the people in them get their ids from our tracker, so that
MOTA, HOTA and IDF1 can be scored.

--model person_detector:lite judges the detector's boxes instead: AP, recall and precision.

--model fer_multithreshold:lite judges a network of facial expressions, on --data rafdb:DIR or
another set of expressions: accuracy, mean class accuracy, each class, each slice of its embedding,
retrieval and verification.

--model pavenet:lite, or another model of whole frames, needs no boxes: everybody in every labelled
frame is found, and --metric is official where nothing else is said. People have no ids.

Without further flags the score is PCK of arms and legs, which every set has. --metric official
predicts every frame of the set in its own joints and scores that as its papers do; --submission
writes these predictions in the form in which the set's evaluator takes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chronopose.data.clips import ClipSource

HELP = "measure a model on labelled people"
PROCEDURAL_SEED = 9_000_000
"""Far from the seeds that recipes train on."""


def add_arguments(parser: Any) -> None:
    """Flags of the verb."""
    from chronopose.cli._flags import add_model_flags

    add = parser.add_argument
    add("name", nargs="?", default=None, type=str | None, help="model, in place of --model")
    add_model_flags(parser)
    add("--data", default="procedural", metavar="NAME[:DIR]",
        help="procedural, or a data set with its folder, e.g. posetrack18:DIR")  # fmt: skip
    add("--cache", default="runs/cache", metavar="DIR", help="folder for decoded pictures")
    add("--batch", default=50, type=int, metavar="N", help="clips in one pass")
    add("--flip-test", default=False, action="store_true", help="average with the mirrored crop")
    add("--limit-batches", default=None, type=int | None, metavar="N", help="stop early")
    add("--split", default="", metavar="NAME", help="split of a data set (default: as papers do)")
    add("--boxes", default=None, type=str | None, metavar="FILE", help="detected boxes to use")
    add("--no-link", default=False, action="store_true", help="no ids for people of --boxes")
    add(
        "--metric",
        default=None,
        type=str | None,
        metavar="NAME",
        help="official, or a metric of 'chronopose score --list'",
    )
    add("--compat", default=None, type=str | None, metavar="MODE", help="mode of the metric")
    add("--submission", default=None, type=str | None, metavar="PATH", help="write predictions")
    add("--json", default=None, type=str | None, metavar="FILE", help="also write the result")
    add("--fuse", default=[], nargs="+", type=str, metavar="NAME[=WEIGHT]",
        help="further models; the heatmaps of all are averaged")  # fmt: skip
    add("--picture", default=None, type=str | None, metavar="FILE",
        help="for faces: draw confusion, embedding and verification (.png)")  # fmt: skip


def run(options: Any) -> int:
    """Evaluate and print."""
    from dataclasses import asdict

    from chronopose import __version__
    from chronopose._api import pick_device
    from chronopose.cli._faces import is_face_model, judge_faces
    from chronopose.data.loader import ClipShape
    from chronopose.engine.evaluate import evaluate

    options.model = options.name or options.model
    if options.model.partition(":")[0] == "person_detector":
        return _detector(options)
    if is_face_model(options.model):
        return judge_faces(options)
    whole = _reads_whole_frames(options.model)
    if whole or options.metric or options.submission or options.boxes or options.compat:
        return _official(options)
    device = pick_device(options.device)
    model = _load(options, device)
    shape = ClipShape(count=len(model.needs.offsets), key=model.needs.key)
    data = open_data(
        options.data, shape.centred, model.codec.skeleton.name, options.cache,
        options.split,
    )  # fmt: skip
    result = evaluate(
        model, data, flip_test=options.flip_test, batch_size=options.batch,
        limit_batches=options.limit_batches,
    )  # fmt: skip
    print(f"{' + '.join((options.model, *options.fuse))} on {options.data}")
    print(result)
    if options.json is not None:
        from chronopose.io.atomic import write_json

        write_json(
            options.json,
            {"model": options.model, "fused": options.fuse, "data": options.data,
             "flip_test": options.flip_test, "fingerprint": data.fingerprint(),
             "version": __version__, "limbs": asdict(result.limbs), "all": asdict(result.every)},
        )  # fmt: skip
    return 0


def _load(options: Any, device: Any) -> Any:
    """The model, or several of them with their heatmaps averaged."""
    from chronopose import zoo
    from chronopose.errors import UsageError
    from chronopose.models._fused import FusedModel

    model = zoo.load(options.model, weights=options.weights, device=device)
    if not options.fuse:
        return model
    models, weights = [model], [1.0]
    for text in options.fuse:
        name, equals, weight = text.partition("=")
        try:
            weights.append(float(weight) if equals else 1.0)
        except ValueError as error:
            raise UsageError(
                f"--fuse is NAME or NAME=WEIGHT, as in tdmi:lite=0.5; got {text!r}."
            ) from error
        models.append(zoo.load(name, device=device))
    return FusedModel(models, weights)


def _detector(options: Any) -> int:
    """Judge the boxes of the shipped detector, or of another file of its kind, on stills."""
    from dataclasses import asdict

    from chronopose import __version__
    from chronopose._api import pick_device
    from chronopose.data.datasets._find import find_dataset
    from chronopose.errors import UsageError
    from chronopose.io.atomic import write_json
    from chronopose.pipeline.detect import build_detector
    from chronopose.pipeline.judge import judge_detector, labelled_pictures

    kind, _, folder = options.data.partition(":")
    if not folder:
        raise UsageError("A detector is judged on a data set: --data NAME:DIR, e.g. coco:DIR.")
    data = find_dataset(kind, folder, options.split)
    detector = build_detector(
        "builtin", weights=options.weights, device=str(pick_device(options.device))
    )
    result = judge_detector(detector, labelled_pictures(data))
    print(f"{options.model} on {kind} {data.split}")
    print(result)
    if options.json is not None:
        facts = {"model": options.model, "data": options.data, "split": data.split}
        write_json(
            options.json,
            {**facts, "fingerprint": data.fingerprint(), "version": __version__, **asdict(result)},
        )
    return 0


def _official(options: Any) -> int:
    """Predict a whole set in its own joints, write and score that."""
    from chronopose.data.datasets._find import find_dataset
    from chronopose.engine.score import find_metric, score
    from chronopose.engine.strata import score_strata, strata_table
    from chronopose.errors import UsageError
    from chronopose.io.atomic import write_json

    kind, _, folder = options.data.partition(":")
    if not folder:
        raise UsageError(
            f"--metric, --compat, --submission, --boxes and models of whole frames need a data set "
            f"with its folder, as in --data posetrack18:DIR; got {options.data!r}."
        )
    data = find_dataset(kind, folder, options.split)
    metric, settings = options.metric or "official", {}
    if metric == "official":
        metric, settings = data.METRIC, dict(data.METRIC_OPTIONS)
    if options.compat is not None:
        settings["compat"] = options.compat
    find_metric(metric)
    if options.submission is not None and not data.SUBMISSION:
        raise UsageError(f"Nobody has defined a form of submissions for {kind}; score it here.")
    linked = options.boxes is not None and not options.no_link
    found, how = _predicted(options, data, linked)
    print(f"{' + '.join((options.model, *options.fuse))} on {kind} {data.split}, {how}")
    as_poseval = metric.startswith("posetrack-") and settings.get("compat") != "fixed"
    found = _as_handed_in(found, data, options.submission, as_poseval)
    result = score(found, data.sequences(), metric, **settings)
    print(result.table)
    strata = score_strata(found, data.sequences(), data.stratum, metric, **settings)
    if strata:
        print(strata_table(strata))
    if options.json is not None:
        facts = {"model": options.model, "fused": options.fuse, "data": options.data,
                 "split": data.split, "boxes": options.boxes, "linked": linked,
                 "flip_test": options.flip_test,
                 "fingerprint": data.fingerprint(), "options": settings}  # fmt: skip
        rows = {"strata": {n: s.values for n, s in strata.items()}} if strata else {}
        write_json(options.json, {**facts, **result.as_json(), **rows})
    return 0


def _reads_whole_frames(name: str) -> bool:
    from chronopose.models._find import SCENES, kind_of, parse_name

    return kind_of(parse_name(name).model) is SCENES


def _predicted(options: Any, data: Any, linked: bool) -> tuple[Any, str]:
    """Predictions of a whole set, and in words how they were made."""
    from chronopose import zoo
    from chronopose._api import pick_device
    from chronopose.engine.predict_scenes import predict_scenes
    from chronopose.engine.predict_set import predict_set
    from chronopose.errors import UsageError
    from chronopose.pipeline.link import link_people

    device = pick_device(options.device)
    if _reads_whole_frames(options.model):
        if options.boxes or options.flip_test or options.fuse:
            raise UsageError(
                f"{options.model} reads whole frames: it takes no boxes, knows no flip test and is "
                f"not averaged. Leave out --boxes, --flip-test and --fuse."
            )
        scene = zoo.load_scene(options.model, weights=options.weights, device=str(device))
        return predict_scenes(scene, data), "whole frames, no boxes"
    found = predict_set(
        _load(options, device), data, boxes=options.boxes, link=link_people if linked else None,
        flip_test=options.flip_test, batch_size=options.batch,
    )  # fmt: skip
    boxes = f"boxes of {options.boxes}" if options.boxes else "boxes of the labels"
    boxes += " linked by our tracker" if linked else ""
    return found, f"{boxes}, {'with' if options.flip_test else 'without'} flip test"


def _as_handed_in(found: Any, data: Any, submission: str | None, as_poseval: bool) -> Any:
    """Write predictions as the set's evaluator takes them; what it sees is scored."""
    import tempfile

    from chronopose.cli.score import read_sequences
    from chronopose.io.labels import write_labels

    with tempfile.TemporaryDirectory() as scratch:
        if data.SUBMISSION.startswith("posetrack"):
            # What an evaluator sees is the files: coordinates as written, empty frames as dummies.
            target = submission or scratch
            write_labels(found, target, data.SUBMISSION, truth=data.sequences())
            found = list(read_sequences(target, data.SUBMISSION, keep_dummies=as_poseval))
        elif submission is not None:
            write_labels(found, submission, data.SUBMISSION)
    if submission is not None:
        print(f"predictions: {submission} ({data.SUBMISSION})")
    return found


def open_data(name: str, frames: int, skeleton: str, cache: str, split: str = "") -> ClipSource:
    """Labelled clips by the name on the command line.

    Raises:
        UsageError: nobody knows the name, or its folder is missing.
        FormatError: the folder does not hold the data set.
    """
    from pathlib import Path

    from chronopose.data.datasets._find import find_dataset, list_datasets
    from chronopose.data.datasets.lspet import LSPET
    from chronopose.data.datasets.procedural import ProceduralClips
    from chronopose.errors import UsageError

    kind, _, folder = name.partition(":")
    if kind == "lspet" and folder:
        return LSPET(folder, "val", frames=frames, cache=Path(cache))
    if name == "procedural":
        return ProceduralClips(
            500, PROCEDURAL_SEED, frames=frames, skeleton=skeleton, cache=Path(cache)
        )
    if folder:
        return find_dataset(kind, folder, split).clips(frames=frames, skeleton=skeleton)
    known = ", ".join(list_datasets())
    raise UsageError(
        f"No data {name!r}: use procedural, or NAME:DIR with the folder of a set: {known}."
    )

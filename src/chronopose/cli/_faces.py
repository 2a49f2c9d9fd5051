"""Expressions on the command line: judging a network, and reading the faces of a video."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chronopose.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from chronopose.core.faces import FrameFaces
    from chronopose.core.skeleton import Skeleton
    from chronopose.core.tracks import FramePoses, HistoryStep
    from chronopose.core.video import VideoInfo
    from chronopose.data.faces import FaceSet
    from chronopose.engine.evaluate_faces import FaceReport
    from chronopose.io.video import Frame
    from chronopose.models._face import FaceModel

DEFAULT_FACE_MODEL = "fer_multithreshold:lite"
ENDING = "_expressions.parquet"


# ---- chronopose evaluate -------------------------------------------------------------------------


def is_face_model(name: str) -> bool:
    """Whether a model's name is that of an expression network.

    Raises:
        UsageError: there is no such model.
    """
    from chronopose.models._find import FACES, kind_of, parse_name

    return kind_of(parse_name(name).model) is FACES


def judge_faces(options: Any) -> int:
    """Evaluate an expression network on a set of expressions and print what it gets right.

    Raises:
        UsageError: flags that are for poses, or no set of expressions is named.
    """
    from chronopose import __version__, zoo
    from chronopose._api import pick_device
    from chronopose.data.faces import FacesJoined
    from chronopose.engine.evaluate_faces import evaluate_faces
    from chronopose.io._facts import plain
    from chronopose.io.atomic import write_json

    _refuse_flags_of_poses(options)
    device = pick_device(options.device)
    faces = _open(options.data, options.split)
    model = zoo.load_face_model(options.model, weights=options.weights, device=device)
    judged = FacesJoined([faces], model.codec.classes)
    report = evaluate_faces(model, judged, flip_test=options.flip_test, device=device)
    print(f"{options.model} on {faces.name}, {len(judged)} pictures")
    print(f"  papers report: {faces.PROTOCOL}")
    left_out = sorted(set(faces.classes) - set(model.codec.classes))
    if len(judged) < len(faces):
        print(f"  {len(faces) - len(judged)} more are {', '.join(left_out)}, which it cannot name")
    print(report)
    if options.picture is not None:
        _draw(options.picture, model, judged, report, options.flip_test, device)
        print(f"picture: {options.picture}")
    if options.json is not None:
        facts = {
            "model": options.model, "data": options.data, "split": faces.split,
            "protocol": faces.PROTOCOL, "flip_test": options.flip_test,
            "pictures": len(judged), "left_out": len(faces) - len(judged),
            "fingerprint": faces.fingerprint(), "version": __version__,
            **report.numbers(),
            "per_class": report.classification.per_class,
            "classes": model.codec.classes,
            "confusion": report.classification.confusion,
        }  # fmt: skip
        write_json(options.json, plain(facts))
    return 0


def _refuse_flags_of_poses(options: Any) -> None:
    given = {
        "--metric": options.metric, "--compat": options.compat, "--boxes": options.boxes,
        "--submission": options.submission, "--limit-batches": options.limit_batches,
        "--fuse": options.fuse,
    }  # fmt: skip
    wrong = [flag for flag, value in given.items() if value]
    if wrong:
        raise UsageError(f"{wrong[0]} is for poses; {options.model} reads faces. Leave it out.")


def _open(data: str, split: str) -> Any:
    from chronopose.data.expressions._find import list_faces, open_faces

    if data == "procedural":
        raise UsageError(
            f"A network of expressions is judged on a set of faces: --data NAME:DIR. Known: "
            f"{', '.join(list_faces())}."
        )
    return open_faces(data, split)


def _draw(
    target: str, model: FaceModel, faces: FaceSet, report: FaceReport, flip: bool, device: str
) -> None:
    """Confusion, embedding and verification on one sheet."""
    import numpy as np
    from PIL import Image

    from chronopose.engine.evaluate_faces import embed_faces
    from chronopose.io.atomic import replacing
    from chronopose.viz.confusion import draw_confusion
    from chronopose.viz.draw import contact_sheet
    from chronopose.viz.embedding import draw_embedding, draw_verification

    path = Path(target)
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise UsageError(f"--picture is a .png or .jpg; got {target}.")
    found = report.classification
    _, embedding = embed_faces(model, faces, flip_test=flip, device=device)
    curve = report.verification
    title = f"{faces.name}: {found.accuracy:.1f} % of {len(faces)} pictures"
    panels = [
        draw_confusion(found.confusion, model.codec.classes, title=title),
        draw_embedding(embedding, faces.labels, model.codec.classes),
        draw_verification(curve.false_accepts, curve.true_accepts, curve.area),
    ]
    size = [max(p.shape[axis] for p in panels) for axis in (0, 1)]
    white = [
        np.pad(
            p, ((0, size[0] - p.shape[0]), (0, size[1] - p.shape[1]), (0, 0)), constant_values=255
        )
        for p in panels
    ]
    sheet = contact_sheet(white, 3)
    with replacing(path) as temporary:
        Image.fromarray(sheet).save(temporary)


# ---- chronopose predict --faces ------------------------------------------------------------------


def add_face_flags(parser: Any) -> None:
    """``--faces`` and what it can be told."""
    add = parser.add_argument
    add("--faces", default=False, action="store_true", help="also read facial expressions")
    add(
        "--face-model",
        default=DEFAULT_FACE_MODEL,
        metavar="NAME",
        help="for --faces: network of expressions",
    )
    add(
        "--face-weights",
        default=None,
        type=str | None,
        metavar="FILE",
        help="for --faces: use this file instead of the shipped weights",
    )
    add(
        "--face-smooth",
        default=0.5,
        type=float,
        metavar="S",
        help="for --faces: time constant of the mean over time, seconds; 0 for none",
    )


@dataclass(frozen=True, kw_only=True)
class FaceRequest:
    """What ``predict --faces`` asks for.

    Args:
        model: Name of the expression network.
        weights: File with its weights; None: those that are shipped.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        smooth_s: Time constant of the mean over time, seconds.
    """

    model: str = DEFAULT_FACE_MODEL
    weights: str | None = None
    device: str = "auto"
    smooth_s: float = 0.5

    @classmethod
    def of_flags(cls, options: Any) -> FaceRequest:
        """What the flags ask for.

        Raises:
            UsageError: the time constant is below 0, or the model is none of expressions.
        """
        if not options.face_smooth >= 0:
            raise UsageError(f"--face-smooth is at least 0 seconds; got {options.face_smooth}.")
        if options.faces and not is_face_model(options.face_model):
            from chronopose.models._find import FACES, files_of

            raise UsageError(
                f"{options.face_model} reads no faces. Choose one of "
                f"{', '.join(files_of(FACES))} for --face-model."
            )
        return cls(
            model=options.face_model, weights=options.face_weights, device=options.device,
            smooth_s=options.face_smooth,
        )  # fmt: skip


class FaceOutput:
    """Reads the faces of the frames of one video and writes their table in the same pass.

    Args:
        path: The table to be.
        info: The video.
        skeleton: Joints of its poses.
        request: Which network, and how.
        history: Steps that made the poses.

    Raises:
        SkeletonMismatch: no face can be placed by these joints.
        WeightsError: the network has no weights.
        FormatError: the table cannot be written, here or in any method.
    """

    def __init__(
        self,
        path: Path,
        info: VideoInfo,
        skeleton: Skeleton,
        request: FaceRequest,
        history: tuple[HistoryStep, ...],
    ) -> None:
        from chronopose import __version__, zoo
        from chronopose._api import pick_device
        from chronopose.core.tracks import HistoryStep
        from chronopose.io.faces import FacesSink
        from chronopose.pipeline.faces import FaceReader, FaceReaderSettings

        device = pick_device(request.device)
        model = zoo.load_face_model(request.model, weights=request.weights, device=device)
        settings = FaceReaderSettings(smooth_s=request.smooth_s)
        self._reader = FaceReader(model, skeleton, settings, device=device)
        facts = {"model": request.model, **asdict(settings)}
        if model.card is not None:
            facts["weights_sha256"] = model.card.sha256
        step = HistoryStep("faces", facts, __version__)
        self._sink = FacesSink(path, info, self._reader.classes, (*history, step))

    def write(self, poses: FramePoses, frame: Frame) -> FrameFaces:
        """Read and write the faces of the next frame."""
        faces = self._reader.read(frame.image, poses)
        self._sink.write(faces)
        return faces

    def close(self, complete: bool) -> None:
        """Finish the table."""
        self._sink.close(complete=complete)

    def abort(self) -> None:
        """Throw the unfinished table away."""
        self._sink.abort()


def draw_on(picture: NDArray[np.uint8], faces: FrameFaces | None) -> NDArray[np.uint8]:
    """The picture with the faces' expressions, or itself where there are none."""
    from chronopose.viz.faces import draw_faces

    return picture if faces is None else draw_faces(picture, faces)

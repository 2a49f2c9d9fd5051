"""The front door: weights, detector, tracker and video joined into three calls.

``load`` gives a :class:`Predictor`; its ``stream`` yields the people of one frame at a time with
bounded memory, its ``predict`` collects a whole video. ``predict`` alone is both in one line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from chronopose.errors import UsageError

if TYPE_CHECKING:
    from chronopose.core.tracks import FramePoses, HistoryStep, VideoPoses
    from chronopose.io.video import VideoReader
    from chronopose.models._any import SceneModel, VideoModel
    from chronopose.pipeline.lift import Lifter
    from chronopose.pipeline.scene import ScenePipeline
    from chronopose.pipeline.stream import PosePipeline

DEFAULT_MODEL = "simple_baseline:lite"
"""The model of every command that is not given one."""
DEFAULT_LIFTER = "temporal_cnn:lite"
"""The model that lifts poses into space unless another one is named."""


@dataclass(frozen=True, kw_only=True)
class PredictSettings:
    """How poses are found; every field is also a flag of ``chronopose predict``.

    Args:
        detector: ``auto``, ``builtin``, ``whole-frame``, ``torchvision:NAME`` or ``boxes:FILE``.
        detector_weights: File with the detector's weights, for ``torchvision:NAME``.
        conf: Least score of a detected box, in [0, 1].
        batch: Crops in one pass of the network.
        flip_test: Average with the mirrored crop: slower, a little more accurate.
        half: bfloat16 on the CPU, float16 on a GPU.
        window: ``reencode``, ``warp`` or ``key``: what happens when a crop window has to move.
        recurrent: Run a model that carries a state (dkd) one step a frame, and start anew after so
            many steps; 0 never does. None fuses a window of frames for every pose.
    """

    detector: str = "auto"
    detector_weights: str | None = None
    conf: float = 0.3
    batch: int = 16
    flip_test: bool = False
    half: bool = False
    window: Literal["reencode", "warp", "key"] = "reencode"
    recurrent: int | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.conf <= 1.0:
            raise UsageError(f"conf must be between 0 and 1; got {self.conf}.")
        if self.batch < 1:
            raise UsageError(f"batch must be at least 1; got {self.batch}.")
        if self.window not in ("reencode", "warp", "key"):
            raise UsageError(f"window must be reencode, warp or key; got {self.window!r}.")


def pick_device(name: str) -> str:
    """Resolve ``auto`` to the best device here; check any other name.

    Raises:
        UsageError: the device does not exist here.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"{name!r} is no device: use auto, cpu, cuda or cuda:N.") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"Device {name!r} was asked for, but torch sees no GPU. Use cpu or auto.")
    return name


class Predictor:
    """A pose model ready for videos.

    Args:
        model: A model in eval mode, as :func:`chronopose.zoo.load` or
            :func:`chronopose.zoo.load_scene` returns it.
        name: Name it was loaded by, for the history of results.
        device: Where it runs.
    """

    def __init__(self, model: VideoModel, name: str, device: str) -> None:
        self.model = model
        self.name = name
        self.device = device

    def pipeline(self, settings: PredictSettings) -> PosePipeline | ScenePipeline:
        """A fresh pipeline: no state of an earlier video is left in it.

        Raises:
            UsageError: a detector or the flip test is asked of a model that reads whole frames.
        """
        from chronopose.models._scene import SceneModel
        from chronopose.pipeline.detect import build_detector
        from chronopose.pipeline.recurrent import Restart
        from chronopose.pipeline.stream import PosePipeline

        if isinstance(self.model, SceneModel):
            return self._scenes(self.model, settings)
        return PosePipeline(
            self.model,
            detector=build_detector(
                settings.detector, weights=settings.detector_weights, min_score=settings.conf,
                device=self.device,
            ),
            device=self.device,
            batch_size=settings.batch,
            flip_test=settings.flip_test,
            half=settings.half,
            window_policy=settings.window,
            recurrent=None if settings.recurrent is None else Restart(every=settings.recurrent),
        )  # fmt: skip

    def _scenes(self, model: SceneModel, settings: PredictSettings) -> ScenePipeline:
        from chronopose.pipeline.scene import ScenePipeline

        if settings.detector != "auto" or settings.flip_test or settings.recurrent is not None:
            raise UsageError(
                f"{self.name} finds people in whole frames by itself: it takes no detector, has no "
                f"flip test and carries no state. Leave detector={settings.detector!r}, flip_test "
                f"and recurrent away."
            )
        return ScenePipeline(
            model, min_score=settings.conf, device=self.device, half=settings.half
        )  # fmt: skip

    def history(self, settings: PredictSettings) -> tuple[HistoryStep, ...]:
        """What results of these settings carry as their first step."""
        from chronopose import __version__
        from chronopose.core.tracks import HistoryStep

        card = getattr(self.model, "card", None)
        facts: dict[str, Any] = {"model": self.name, **asdict(settings)}
        if card is not None:
            facts["weights_sha256"] = card.sha256
        return (HistoryStep("predict", facts, __version__),)

    def stream(
        self,
        source: str | Path | VideoReader,
        *,
        start_s: float = 0.0,
        end_s: float | None = None,
        stride: int = 1,
        **settings: Any,
    ) -> Iterator[FramePoses]:
        """Yield the people of each frame in time order, a few frames behind the video.

        Args:
            source: Video file, folder of frames, camera number, address, or an open reader.
            start_s: First presentation time, seconds.
            end_s: Stop before this time, seconds.
            stride: Use every n-th frame.
            **settings: Fields of :class:`PredictSettings`.

        Raises:
            VideoError: the source cannot be read.
        """
        from chronopose.io.video import VideoReader, open_video

        pipeline = self.pipeline(PredictSettings(**settings))
        if isinstance(source, VideoReader):
            yield from pipeline.stream(source)
            return
        with open_video(source, start_s=start_s, end_s=end_s, stride=stride) as reader:
            yield from pipeline.stream(reader)

    def predict(
        self,
        source: str | Path,
        *,
        start_s: float = 0.0,
        end_s: float | None = None,
        stride: int = 1,
        **settings: Any,
    ) -> VideoPoses:
        """All people of a video; arguments as for :meth:`stream`.

        The result's ``complete`` is False when the video broke off part-way.
        """
        from dataclasses import replace

        from chronopose.core.tracks import VideoPoses
        from chronopose.io.video import open_video

        wanted = PredictSettings(**settings)
        with open_video(source, start_s=start_s, end_s=end_s, stride=stride) as reader:
            frames = self.pipeline(wanted).stream(reader)
            poses = VideoPoses.from_frames(
                reader.info, self.model.codec.skeleton, frames, self.history(wanted)
            )
            return replace(poses, complete=reader.damage is None)


def load(
    name: str = DEFAULT_MODEL, *, weights: str | Path | None = None, device: str = "auto"
) -> Predictor:
    """Load a model with its weights.

    Args:
        name: ``MODEL:PRESET``, optionally ``@TAG`` for one set of weights; ``chronopose models``
            lists them.
        weights: A file to use instead of the shipped weights; ``"random"`` for none.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        WeightsError: there are no weights by that name, or they are damaged.
        UsageError: there is no such model or device.
    """
    from chronopose import zoo
    from chronopose.models._find import SCENES, kind_of, parse_name

    place = pick_device(device)
    read = zoo.load_scene if kind_of(parse_name(name).model) is SCENES else zoo.load
    return Predictor(read(name, weights=weights, device=place), name, place)


def predict(
    source: str | Path,
    *,
    model: str = DEFAULT_MODEL,
    weights: str | Path | None = None,
    device: str = "auto",
    **settings: Any,
) -> VideoPoses:
    """Find the people of a video in one call; see :meth:`Predictor.predict` for the settings."""
    return load(model, weights=weights, device=device).predict(source, **settings)


def load_lifter(
    name: str = DEFAULT_LIFTER,
    *,
    weights: str | Path | None = None,
    device: str = "auto",
    **settings: Any,
) -> Lifter:
    """Load a model that lifts poses into space.

    Args:
        name: ``MODEL:PRESET``, optionally ``@TAG``; ``chronopose models`` lists them.
        weights: A file to use instead of the shipped weights; ``"random"`` for none.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        **settings: Fields of :class:`~chronopose.pipeline.lift.LiftSettings`.

    Raises:
        WeightsError: there are no weights by that name, or they are damaged.
        UsageError: there is no such model, device or setting.
    """
    from chronopose import zoo
    from chronopose.pipeline.lift import Lifter, LiftSettings

    place = pick_device(device)
    wanted = LiftSettings(**settings)
    return Lifter(
        zoo.load_lifter(name, weights=weights, device=place), wanted, name=name, device=place
    )


def lift(
    poses: VideoPoses | str | Path,
    *,
    model: str = DEFAULT_LIFTER,
    weights: str | Path | None = None,
    device: str = "auto",
    **settings: Any,
) -> VideoPoses:
    """Lift 2D poses into space in one call.

    Args:
        poses: 2D poses, or a file of them.
        model: As for :func:`load_lifter`, like ``weights``, ``device`` and ``settings``.

    Returns:
        The people in millimetres, seen from the camera; from their pelvis with
        ``space="root_mm"``.

    Raises:
        SkeletonMismatch: joints that the lifter reads cannot be had from these poses.
        ChronoposeError: the poses cannot be read or lifted.
    """
    from chronopose.core.tracks import VideoPoses
    from chronopose.io.poses import read_poses

    flat = poses if isinstance(poses, VideoPoses) else read_poses(poses)
    lifter = load_lifter(model, weights=weights, device=device, **settings)
    return lifter.lift(flat).poses

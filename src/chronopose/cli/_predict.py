"""The work behind ``predict``: one pass over a video that feeds every output at once."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chronopose.cli._flags import make_folder
from chronopose.errors import UsageError, VideoDamaged

if TYPE_CHECKING:
    from chronopose._api import Predictor, PredictSettings
    from chronopose.cli._faces import FaceOutput, FaceRequest
    from chronopose.core.tracks import FramePoses
    from chronopose.core.video import VideoInfo
    from chronopose.io.video import Frame, VideoReader


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Which files one source becomes."""

    poses: dict[str, Path] = field(default_factory=dict)
    """Format name -> file."""
    video: Path | None = None
    faces: Path | None = None
    """Table of expressions."""

    @property
    def files(self) -> list[Path]:
        """All of them."""
        return [*self.poses.values(), *(f for f in (self.video, self.faces) if f)]


def plan_outputs(
    sources: list[str],
    out: str,
    formats: list[str],
    save_video: bool,
    overwrite: bool,
    faces: bool = False,
) -> list[Outputs]:
    """Decide every output name before anything is read.

    A name with a known suffix is that one file (.mp4: the overlay alone), in the one format asked
    for if that may have the suffix; any other name is a folder that receives ``STEM.parquet``,
    ``STEM_overlay.mp4`` and so on. Expressions stand beside them in ``STEM_expressions.parquet``.

    Raises:
        UsageError: a file exists already, two sources would write the same file, or the format is
            unknown.
    """
    from chronopose.io.poses import FORMATS

    unknown = [f for f in formats if f not in FORMATS]
    if unknown:
        raise UsageError(f"No format {unknown[0]!r}: choose from {', '.join(FORMATS)}.")
    target = Path(out)
    single = _single_format(target, formats)
    plans: list[Outputs] = []
    for source in sources:
        if single is not None:
            video = target.with_name(target.stem + "_overlay.mp4") if save_video else None
            plans.append(Outputs(poses={single: target}, video=video))
        elif target.suffix == ".mp4":
            plans.append(Outputs(video=target))
        else:
            stem = _stem(source)
            plans.append(
                Outputs(
                    poses={f: target / (stem + FORMATS[f].suffix) for f in formats},
                    video=target / f"{stem}_overlay.mp4" if save_video else None,
                )
            )
    if faces:
        plans = [_with_faces(plan) for plan in plans]
    files = [f for plan in plans for f in plan.files]
    twice = sorted({str(f) for f in files if files.count(f) > 1})
    if twice:
        raise UsageError(
            f"Two sources would both write {twice[0]}. Give --out a folder and sources of "
            f"different names, or run them one by one."
        )
    there = [str(f) for f in files if f.exists()]
    if there and not overwrite:
        raise UsageError(f"{there[0]} exists already. Use --overwrite, or another --out.")
    return plans


def _with_faces(plan: Outputs) -> Outputs:
    from chronopose.cli._faces import ENDING
    from chronopose.io.poses import FORMATS

    first = plan.files[0]
    suffixes = [FORMATS[f].suffix for f in plan.poses if first.name.endswith(FORMATS[f].suffix)]
    stem = first.name.removesuffix(suffixes[0]) if suffixes else first.stem
    return replace(plan, faces=first.with_name(stem + ENDING))


def _single_format(target: Path, formats: list[str]) -> str | None:
    """The format of the one file that ``target`` names, None if it names a folder."""
    from chronopose.errors import FormatError
    from chronopose.io.poses import FORMATS, find_format

    if target.is_dir() or not target.suffix:
        return None
    if len(formats) == 1 and FORMATS[formats[0]].accepts(target) and formats != ["parquet"]:
        return formats[0]
    files = {n: f for n, f in FORMATS.items() if not f.folder and f.accepts(target)}
    if not files:
        return None
    try:
        found = find_format(target)
    except FormatError as error:
        raise UsageError(f"{error} Use --format.") from error
    return next(n for n, f in files.items() if f is found)


def _stem(source: str) -> str:
    name = Path(source.rstrip("/")).stem if "://" not in source else source.split("://", 1)[1]
    clean = "".join(c if c.isalnum() or c in "-_." else "_" for c in name).strip("._")
    return f"camera{clean}" if source.isdigit() else clean or "video"


class Tee:
    """Passes a reader's frames on and keeps each until its poses have come back.

    The pipeline runs a few frames behind the video, so this holds no more than that.
    """

    def __init__(self, reader: VideoReader) -> None:
        self._reader = reader
        self._waiting: deque[Frame] = deque()

    @property
    def info(self) -> VideoInfo:
        """The video, as the reader tells it."""
        return self._reader.info

    def __iter__(self) -> Iterator[Frame]:
        for frame in self._reader:
            self._waiting.append(frame)
            yield frame

    def take(self, frame_index: int) -> Frame:
        """The frame with this number; earlier ones are let go."""
        while self._waiting[0].index != frame_index:
            self._waiting.popleft()
        return self._waiting.popleft()


def expected_frames(
    info: VideoInfo, start_s: float, end_s: float | None, stride: int
) -> int | None:
    """About how many frames will be used, for the progress bar; None if nobody knows."""
    if info.num_frames <= 0 or not info.rate_hz > 0:
        return None
    last_s = info.num_frames / info.rate_hz
    span_s = min(end_s if end_s is not None else last_s, last_s) - start_s
    return max(1, int(span_s * info.rate_hz / stride))


def predict_one(
    source: str,
    outputs: Outputs,
    predictor: Predictor,
    settings: PredictSettings,
    *,
    start_s: float,
    end_s: float | None,
    stride: int,
    kpt_thr: float,
    quiet: bool,
    faces: FaceRequest | None = None,
) -> dict[str, Any]:
    """Find poses in one video and write every output in the same pass.

    Returns:
        ``frames``, ``people`` (ids seen) and ``seconds`` of the run.

    Raises:
        VideoDamaged: the video broke off; what could be read has been written.
        ChronoposeError: anything else that cannot work; nothing is left behind then.
    """
    import time

    from tqdm import tqdm

    from chronopose.io.video import open_video

    started = time.perf_counter()
    with open_video(source, start_s=start_s, end_s=end_s, stride=stride) as reader:
        tee = Tee(reader)
        pipeline = predictor.pipeline(settings)
        total = expected_frames(reader.info, start_s, end_s, stride)
        bar = tqdm(total=total, unit="frame", disable=quiet, desc=Path(source).name, leave=True)
        sinks = _Sinks(outputs, reader.info, predictor, settings, kpt_thr, faces)
        count, people = 0, set()
        try:
            for poses in pipeline.stream(tee):
                sinks.write(poses, tee.take(poses.frame_index))
                people.update(poses.ids.tolist())
                count += 1
                bar.update()
        except KeyboardInterrupt:
            if count:
                sinks.close(complete=False)
            else:
                sinks.abort()
            raise
        except BaseException:
            sinks.abort()
            raise
        finally:
            bar.close()
        sinks.close(complete=reader.damage is None)
    if reader.damage is not None:
        raise VideoDamaged(
            f"{source}: {reader.damage} The poses of the {count} readable frames were written "
            f"and are marked incomplete."
        )
    return {"frames": count, "people": len(people), "seconds": time.perf_counter() - started}


class _Sinks:
    """Every output of one video, opened, closed and thrown away together."""

    def __init__(
        self,
        outputs: Outputs,
        info: VideoInfo,
        predictor: Predictor,
        settings: PredictSettings,
        kpt_thr: float,
        faces: FaceRequest | None = None,
    ) -> None:
        self._outputs, self._info, self._kpt_thr = outputs, info, kpt_thr
        self._sinks: list[Any] = []
        self._writer: Any = None
        self._request = faces
        self._faces: FaceOutput | None = None
        try:
            self._open(predictor, settings)
        except BaseException:
            self.abort()
            raise

    def _open(self, predictor: Predictor, settings: PredictSettings) -> None:
        from chronopose.cli._faces import FaceOutput
        from chronopose.io.poses import open_sink
        from chronopose.io.video import VideoWriter

        skeleton = predictor.model.codec.skeleton
        for path in self._outputs.files:
            make_folder(path.parent)
        for name, path in self._outputs.poses.items():
            self._sinks.append(
                open_sink(path, name, self._info, skeleton, predictor.history(settings))
            )
        if self._outputs.faces is not None and self._request is not None:
            self._faces = FaceOutput(
                self._outputs.faces, self._info, skeleton, self._request,
                predictor.history(settings),
            )  # fmt: skip
        if self._outputs.video is not None:
            self._writer = VideoWriter(self._outputs.video, self._info.size)

    def write(self, poses: FramePoses, frame: Frame) -> None:
        from chronopose.cli._faces import draw_on
        from chronopose.viz.draw import draw_poses

        for sink in self._sinks:
            sink.write(poses)
        faces = self._faces.write(poses, frame) if self._faces is not None else None
        if self._writer is not None:
            picture = draw_poses(frame.image, poses, kpt_thr=self._kpt_thr)
            self._writer.write(draw_on(picture, faces), frame.time_s)

    def close(self, complete: bool) -> None:
        import warnings

        from chronopose.io.poses import FormatLoss

        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", FormatLoss)
            try:
                if self._writer is not None:
                    self._writer.close()
                for sink in self._sinks:
                    sink.close(complete=complete)
                if self._faces is not None:
                    self._faces.close(complete=complete)
            except BaseException:
                self.abort()
                raise
        for lost in told:
            warn(str(lost.message))

    def abort(self) -> None:
        for sink in [*self._sinks, *(s for s in (self._writer, self._faces) if s is not None)]:
            sink.abort()


def warn(text: str) -> None:
    """One line to stderr."""
    print(f"chronopose: {text}", file=sys.stderr)

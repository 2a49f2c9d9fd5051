"""Lifter: tracked 2D poses in, tracked poses in space out, at the input's own times.

Per person: joints by name (:mod:`chronopose.core.lifting`), short gaps filled
and long ones cut, resampled to the frame rate and shown by the camera that the network learnt
from, lifted window by window in chunks of bounded memory, and brought back to the times of the
poses. The root's place is fitted
afterwards (:mod:`chronopose.pipeline.place`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from chronopose.core.lifting import plan_joints
from chronopose.core.poses import Poses, Space
from chronopose.core.tracks import PersonTrack, VideoPoses
from chronopose.errors import ShapeError, UsageError
from chronopose.models._lift import LiftModel
from chronopose.pipeline.lift_runs import Run, at_times, runs_of, steady_times
from chronopose.pipeline.place import Pinhole, place_root
from chronopose.tensors.space import LiftOutput

Array = NDArray[np.float64]
LiftSpace = Literal["camera_mm", "root_mm"]
Progress = Callable[[int], None]

TRAINED_HZ = 50.0
"""Frames a second of Human3.6M, which all recipes of lifters here train at."""
TRAINED_SIZE = (1000, 1000)
TRAINED_CAMERA = Pinhole.assumed(TRAINED_SIZE)
"""The camera that lifters learn from. A network takes the size of a person in the picture for a
distance, so every pose is shown to it as this camera would have seen it from the same place: a
landscape picture of unknown focal length as it is, a portrait one on a square as large as its
height, one of known focal length scaled to this one's."""


@dataclass(frozen=True, kw_only=True)
class LiftSettings:
    """How poses are lifted; every field is also a flag of ``chronopose lift``.

    Args:
        space: ``camera_mm``: the root's place is fitted, too; ``root_mm``: joints from the root.
        rate_hz: Frames a second that the network learnt at; poses are resampled to it and back.
        max_gap_s: Longest time for which a joint may be unknown, seconds; longer gaps stay empty.
        min_score: Joints scored below are unknown, in [0, 1].
        filled_score: Score of joints that were unknown in 2D for a moment, in [0, 1].
        flip_test: Average with the mirrored pose: twice the work, a little more accurate.
        chunk: Frames that are lifted in one pass of the network; the result does not depend on it.
        size: Width and height of the picture, pixels; where the poses do not say.
        focal_px: Focal length of the camera, pixels.
        fov_deg: Or its angle of view along the longer side, degrees.
        depth_noise: Spread of the fitted distance of one frame as a share of it; 0: as fitted.
    """

    space: LiftSpace = "camera_mm"
    rate_hz: float = TRAINED_HZ
    max_gap_s: float = 0.5
    min_score: float = 0.0
    filled_score: float = 0.2
    flip_test: bool = True
    chunk: int = 1024
    size: tuple[int, int] | None = None
    focal_px: float | None = None
    fov_deg: float | None = None
    depth_noise: float = 0.05

    def __post_init__(self) -> None:
        if self.space not in get_args(LiftSpace):
            raise UsageError(f"space must be camera_mm or root_mm; got {self.space!r}.")
        for name in ("rate_hz", "max_gap_s"):
            if not 0 < getattr(self, name) < float("inf"):
                raise UsageError(f"{name} must be a number above 0; got {getattr(self, name)}.")
        for name in ("min_score", "filled_score", "depth_noise"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} must be within [0, 1]; got {getattr(self, name)}.")
        if self.chunk < 1:
            raise UsageError(f"chunk must be at least 1; got {self.chunk}.")
        if self.size is not None and (len(self.size) != 2 or min(self.size) < 1):
            raise UsageError(f"size must be width and height, pixels; got {self.size}.")
        Pinhole.assumed((1, 1), focal_px=self.focal_px, fov_deg=self.fov_deg)


@dataclass(frozen=True)
class Lifted:
    """What came of lifting.

    Args:
        poses: The people in space; frames in which somebody could not be lifted lack them.
        notes: What a user should know: joints that were made from others, people or frames that
            were left out.
    """

    poses: VideoPoses
    notes: tuple[str, ...] = ()


class Lifter:
    """A lifting network ready for the poses of videos.

    Args:
        model: As :func:`chronopose.zoo.load_lifter` returns it.
        settings: How.
        name: What the model was loaded by, for the history of results.
        device: Where it runs.
    """

    def __init__(
        self,
        model: LiftModel,
        settings: LiftSettings | None = None,
        *,
        name: str = "",
        device: str = "cpu",
    ) -> None:
        self.model = model.to(device).eval()
        self.settings = settings or LiftSettings()
        self.name, self.device = name, device

    def lift(self, poses: VideoPoses, progress: Progress | None = None) -> Lifted:
        """Lift everybody.

        Args:
            poses: 2D poses in image pixels, of any skeleton that has the lifter's joints.
            progress: Told after every chunk how many frames of a person are done more.

        Raises:
            SkeletonMismatch: joints of the lifter cannot be had; the message names them.
            ShapeError: the poses are in space already.
            UsageError: nobody says how large the picture is.
        """
        from chronopose import __version__

        wanted = self.model.codec.skeleton
        space = next((t.poses.space for t in poses.tracks if t.poses.space != "image_px"), None)
        if space is not None:
            raise ShapeError(
                f"Lifting starts from 2D poses in image_px; these are in {space} already."
            )
        plan = plan_joints(poses.skeleton, wanted)
        notes = []
        if plan.approximated:
            notes.append(f"{', '.join(plan.approximated)} made from other joints.")
        same = poses.skeleton.joints == wanted.joints
        size = self._size(poses)
        tracks = []
        for track in poses.tracks:
            mapped = track if same else replace(track, poses=track.poses.mapped(plan))
            lifted, note = self._track(mapped, size, progress or (lambda count: None))
            tracks += [lifted] if lifted is not None else []
            notes += [note] if note else []
        settings = {"model": self.name, **asdict(self.settings), "size": size}
        if self.settings.space == "camera_mm":
            settings["focal_px"] = self._camera(size).focal_px
        card = self.model.card
        if card is not None and card.sha256:
            settings["weights_sha256"] = card.sha256
        found = replace(poses, skeleton=wanted, tracks=tuple(tracks)).with_step(
            "lift", settings, __version__
        )
        return Lifted(found, tuple(notes))

    def _size(self, poses: VideoPoses) -> tuple[int, int]:
        size = self.settings.size or poses.info.size
        if min(size) < 1:
            raise UsageError(
                "The poses do not say how large the picture is, and a lifter has to know. Give "
                "size=(width, height), or --size WIDTHxHEIGHT."
            )
        return size

    def _camera(self, size: tuple[int, int]) -> Pinhole:
        chosen = self.settings
        return Pinhole.assumed(size, focal_px=chosen.focal_px, fov_deg=chosen.fov_deg)

    def _track(
        self, track: PersonTrack, size: tuple[int, int], progress: Progress
    ) -> tuple[PersonTrack | None, str]:
        chosen = self.settings
        runs = runs_of(
            track, max_gap_s=chosen.max_gap_s, min_score=chosen.min_score,
            filled_score=chosen.filled_score,
        )  # fmt: skip
        if not runs:
            return None, f"Person {track.track_id} is left out: {_why_not(track, chosen)}."
        xyz = np.concatenate([self.lift_run(run, size, progress) for run in runs])
        xy, score = (np.concatenate([getattr(r, n) for r in runs]) for n in ("xy", "score"))
        rows, filled = (np.concatenate([getattr(r, n) for r in runs]) for n in ("rows", "filled"))
        kept = track.select(rows)
        space: Space = chosen.space
        if space == "camera_mm":
            place = place_root(
                xyz, xy, score, kept.time_s, self._camera(size), depth_noise=chosen.depth_noise
            )
            xyz = xyz + place[:, None]
        visible = np.asarray(kept.poses.visible) & ~filled
        joints = Poses(
            xyz.astype(np.float32), score.astype(np.float32), track.poses.skeleton, space, visible
        )
        lost = len(track) - len(rows)
        note = (
            f"Person {track.track_id}: {lost} of {len(track)} frames stay empty, a joint was not "
            f"known for more than {chosen.max_gap_s:g} s."
        )
        return replace(kept, poses=joints), note if lost else ""

    def lift_run(self, run: Run, size: tuple[int, int], progress: Progress | None = None) -> Array:
        """One stretch of a person's poses.

        Args:
            run: 2D joints in the lifter's order.
            size: Width and height of the picture, pixels.
            progress: As for :meth:`lift`.

        Returns:
            ``(N, J, 3)`` millimetres from the root, at the run's own times.
        """
        codec, rate = self.model.codec, self.settings.rate_hz
        grid = steady_times(run.time_s, rate)
        seen = TRAINED_CAMERA.pixels(self._camera(size).rays(at_times(run.xy, run.time_s, grid)))
        screen = codec.to_screen(seen, TRAINED_SIZE)
        if self.model.needs.channels > 2:
            score = at_times(run.score, run.time_s, grid).astype(np.float32)
            screen = np.concatenate([screen, score[..., None]], axis=-1)
        found = dense_in_chunks(
            self.model, screen, chunk=self.settings.chunk, flip=self.settings.flip_test,
            device=self.device, progress=progress,
        )  # fmt: skip
        xyz = at_times(found.astype(np.float64), grid, run.time_s)
        poses = codec.decode(LiftOutput(torch.from_numpy(xyz)[None]), run.score[None])
        return poses.xy[0].astype(np.float64)


def dense_in_chunks(
    model: LiftModel,
    screen: NDArray[np.float32],
    *,
    chunk: int,
    flip: bool,
    device: str = "cpu",
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """Lift every frame of a clip, a few at a time.

    The ends are continued by their first and last pose, as the papers do. Chunks overlap by a
    window, so the numbers are those of one pass over the whole clip.

    Args:
        model: A lifter in eval mode.
        screen: ``(M, J, C)`` screen coordinates at the network's frame rate.
        chunk: Frames answered for in one pass.
        flip: Average with the mirrored poses.
        device: Where the network is.
        progress: Told after every chunk how many frames were answered for.

    Returns:
        ``(M, J, 3)`` metres.
    """
    needs, codec = model.needs, model.codec
    ends = ((needs.before, needs.lookahead), (0, 0), (0, 0))
    padded = np.pad(screen, ends, mode="edge")
    out = np.empty((len(screen), screen.shape[1], 3), np.float32)
    for start in range(0, len(screen), chunk):
        stop = min(start + chunk, len(screen))
        part = padded[start : stop + needs.frames - 1]
        views = [part, codec.mirror_screen(part)] if flip else [part]
        answers = [_ask(model, view, device) for view in views]
        if flip:
            answers[1] = answers[1][:, codec.skeleton.flip_index] * np.array([-1, 1, 1], np.float32)
        out[start:stop] = np.mean(answers, axis=0)
        if progress is not None:
            progress(stop - start)
    return out


@torch.inference_mode()
def _ask(model: LiftModel, view: NDArray[np.floating], device: str) -> NDArray[np.float32]:
    poses = torch.from_numpy(np.ascontiguousarray(view, np.float32))[None].to(device)
    found: NDArray[np.float32] = model.dense(poses).xyz[0].float().cpu().numpy()
    return found


def _why_not(track: PersonTrack, settings: LiftSettings) -> str:
    poses = track.poses
    known = np.isfinite(poses.xy).all(-1) & (poses.score >= settings.min_score)
    ever = np.asarray(known.any(0)).tolist()
    never = [j for j, there in zip(poses.skeleton.joints, ever, strict=True) if not there]
    if never:
        return f"{', '.join(never)} {_is_or_are(never)} never known"
    return f"no frame in which all joints are known within {settings.max_gap_s:g} s"


def _is_or_are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"

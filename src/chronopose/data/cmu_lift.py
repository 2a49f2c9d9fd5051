"""CMU-Lift: a frozen benchmark of lifting on free motion. It is NOT Human3.6M.

Human3.6M may be used by its licensees only. CMU-Lift asks the same question of motion that anybody
may use: given exact or disturbed 2D joints of four virtual cameras, where are the joints in space?
Numbers of the two data sets cannot be compared.

What is frozen
    Files     :data:`TABLE` names them with their sha256; other content is refused.
    Split     By person. Training: subjects 01 and 02 (ASF/AMC, their own bones, and copies of
              01 and 02 on the iClone rig), and dance and martial arts on the Daz rig. Test:
              subjects 003, 005, 006 and 007 on the iClone rig, of whom nothing is in training.
              Rigs of BVH files have one skeleton each, so test bones are not new; only 01 and 02
              have bones of their own.
    Time      50 frames/s by straight lines from 120 or 60 (salsa: 60, whatever its header says).
    Joints    ``h36m17``; see :func:`read_performance`.
    Cameras   :data:`FOUR_VIEWS`, 1000 × 1000 pixels, focal length 1145 pixels, no distortion.
    2D        Exact; and disturbed by N(0, 5 px) with 2 % missed joints, gaps filled.

Terms: CMU motion is free for all uses but may not be resold, even converted; nothing of it is in
this repository. Acknowledge mocap.cs.cmu.edu, created with funding from NSF EIA-0196217.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from chronopose.core.skeletons import H36M17
from chronopose.data.lift import LiftClip
from chronopose.data.lift_noise import seen_by
from chronopose.errors import FormatError, UsageError
from chronopose.io._fields import load_json
from chronopose.io.mocap import find_motions, read_rig_motion, subject_of, without_glitches
from chronopose.io.motion import Camera, Motion3D

TABLE = Path(__file__).with_name("cmu_lift.json")
"""Files of the benchmark: path below the motion folder, person, action, split, sha256."""
SPLITS = ("train", "test")
FPS = 50.0
NOISE_PX, DROPOUT = 5.0, 0.02
"""The disturbed 2D: spread of the noise, and share of missed joints."""
SIZE = (1000, 1000)
FOLLOW_S = 2.0
"""A camera follows where the person has been, on average, within about so many seconds."""
HEAD = 1.6
"""The head lies so many times the neck's length above neck_nose, where a rig has no end of it."""


@dataclass(frozen=True)
class View:
    """Where a virtual camera stands.

    Args:
        name: Of the camera.
        azimuth_deg: Direction from the person to it, about the vertical axis.
        distance_m: On the ground.
        height_m: Above the ground.
        aim_m: Height that it looks at.
        focal_px: Focal length, pixels.
        pan_deg: How far its axis points past the person, about the vertical.
    """

    name: str
    azimuth_deg: float
    distance_m: float = 5.0
    height_m: float = 1.55
    aim_m: float = 0.95
    focal_px: float = 1145.0
    pan_deg: float = 0.0


FOUR_VIEWS = tuple(View(f"cam{i}", a) for i, a in enumerate((50.0, 130.0, 230.0, 310.0)))
"""Four corners about the person, as in the room of Human3.6M."""


def draw_views(count: int, rng: np.random.Generator) -> tuple[View, ...]:
    """Other cameras, as people's own videos have them.

    Lenses from wide (67° across) to narrow (40°), people from a sixth to three quarters of the
    picture's width tall, anywhere but at the very sides, seen from knee to above head height.
    """
    views = []
    for number in range(count):
        focal = rng.uniform(0.75, 1.4) * SIZE[0]
        tall = np.exp(rng.uniform(np.log(0.16), np.log(0.75)))
        distance = max(2.2, 1.7 * focal / (tall * SIZE[0]))
        aside = rng.uniform(-0.5, 0.5) * SIZE[0] / 2 if tall < 0.5 else 0.0
        view = View(
            f"drawn{number}", rng.uniform(0, 360), distance, rng.uniform(0.5, 2.4),
            rng.uniform(0.75, 1.1), focal, float(np.rad2deg(np.arctan(aside / focal))),
        )  # fmt: skip
        views.append(view)
    return tuple(views)


class Performance(NamedTuple):
    """A motion with the joints of the benchmark.

    Args:
        motion: World space, z up, metres, 50 frames/s, on the ground.
        head_top: ``(F, 3)`` float32 the top of the head.
    """

    motion: Motion3D
    head_top: NDArray[np.float32]


@dataclass(frozen=True)
class FrozenMotion:
    """A file of the benchmark.

    Args:
        path: Below the motion folder.
        subject: The person.
        action: What they do; the row of a table.
        split: ``train`` or ``test``.
        sha256: Of the file.
    """

    path: str
    subject: str
    action: str
    split: str
    sha256: str


@cache
def frozen_motions(split: str) -> tuple[FrozenMotion, ...]:
    """The files of a split.

    Raises:
        UsageError: there is no such split.
    """
    if split not in SPLITS:
        raise UsageError(f"CMU-Lift has the splits {' and '.join(SPLITS)}; got {split!r}.")
    rows = load_json(TABLE)["files"]
    return tuple(m for m in (FrozenMotion(**row) for row in rows) if m.split == split)


def read_performance(path: str | Path, subject: str = "", action: str = "") -> Performance:
    """Read a motion file as a performance of the benchmark.

    ``pelvis`` is the middle of the hip joints, ``spine`` the top of the lumbar spine, ``thorax``
    the spine at the height of the shoulders, ``neck_nose`` the base of the skull. ``head`` is the
    end of the ASF bone of that name; rigs without one have it :data:`HEAD` necks above the skull's
    base. Glitches are bridged by straight lines.

    Args:
        path: A motion file that :func:`~chronopose.io.mocap.read_rig_motion` reads.
        subject: The person; by default the part of the file's name before the last ``_``.
        action: By default the file's name.

    Raises:
        FormatError: the file is malformed, of another rig, or too short.
    """
    path = Path(path)
    rig = read_rig_motion(path)
    clean = dict(zip(rig.joints, np.moveaxis(without_glitches(rig.xyz), 1, 0), strict=True))
    asf = "lower_neck" in clean
    clean["pelvis"] = (clean["left_hip"] + clean["right_hip"]) / 2
    clean["spine"] = clean["chest"]
    clean["thorax"] = clean["lower_neck" if asf else "neck"]
    clean["neck_nose"] = clean["head"]
    above = clean["neck_nose"] + HEAD * (clean["neck_nose"] - clean["thorax"])
    clean["head"] = clean["skull"] if asf else above
    xyz = np.stack([clean[j] for j in (*H36M17.joints, "head_top")], 1)
    xyz[..., 2] -= np.quantile(xyz[..., 2].min(1), 0.005)
    even = _at_rate(xyz, rig.fps).astype(np.float32)
    who, what = subject or subject_of(path), action or path.stem
    motion = Motion3D(who, what, even[:, :-1], H36M17, "m", "world", FPS)
    return Performance(motion, even[:, -1])


def _at_rate(xyz: NDArray[np.float64], fps: float) -> NDArray[np.float64]:
    """Positions :data:`FPS` times a second, on straight lines between the frames."""
    last = (len(xyz) - 1) / fps
    time_s = np.arange(int(last * FPS + 1e-9) + 1) / FPS
    own = np.arange(len(xyz)) / fps
    columns = [np.interp(time_s, own, c) for c in xyz.reshape(len(xyz), -1).T]
    return np.stack(columns, -1).reshape(-1, *xyz.shape[1:])


def film(performance: Performance, views: Sequence[View]) -> tuple[LiftClip, ...]:
    """A performance seen by virtual cameras.

    A camera keeps its direction and moves with the smoothed place of the pelvis on the ground
    (:data:`FOLLOW_S`), so that who walks away stays in the picture.

    Returns:
        One clip a view, with exact 2D.
    """
    motion, top = performance
    whole = np.concatenate([motion.xyz, top[:, None]], 1).astype(np.float64)
    ground = whole[:, H36M17.index("pelvis")] * (1.0, 1.0, 0.0)
    path = gaussian_filter1d(ground, FOLLOW_S / 2 * FPS, axis=0, mode="nearest")
    clips = []
    for view in views:
        lens = _lens(view)
        assert lens.rotation is not None and lens.position is not None
        seen = (whole - path[:, None] - lens.position) @ lens.rotation
        xy = seen_by(seen, lens).astype(np.float32)
        body = seen.astype(np.float32)
        clip = LiftClip(
            motion.subject, motion.action, view.name, body[:, :-1], xy[:, :-1], SIZE,
            lens=lens, head_top=body[:, -1],
        )  # fmt: skip
        clips.append(clip)
    return tuple(clips)


def _lens(view: View) -> Camera:
    """The camera of a view, for a person at the origin."""
    angle = np.deg2rad(view.azimuth_deg)
    place = np.array(
        [view.distance_m * np.cos(angle), view.distance_m * np.sin(angle), view.height_m]
    )
    ahead = np.array([0.0, 0.0, view.aim_m]) - place
    ahead /= np.linalg.norm(ahead)
    cos, sin = np.cos(np.deg2rad(view.pan_deg)), np.sin(np.deg2rad(view.pan_deg))
    ahead = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]) @ ahead
    right = np.cross(ahead, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    centre = (np.array(SIZE) - 1) / 2
    return Camera(
        view.name, np.full(2, view.focal_px), centre, SIZE, np.zeros(3), np.zeros(2),
        np.stack([right, np.cross(ahead, right), ahead], -1), place,
    )  # fmt: skip


def read_cmu_lift(
    root: str | Path, split: str, views: Sequence[View] = FOUR_VIEWS, *, drawn: int = 0,
    seed: int = 0,
) -> tuple[LiftClip, ...]:  # fmt: skip
    """The clips of a split, exact 2D.

    Args:
        root: Motion folder: the paths of :data:`TABLE` are below it.
        split: ``train`` or ``test``.
        views: Cameras of every performance.
        drawn: How many further cameras are drawn for each performance (:func:`draw_views`).
        seed: Of the drawing.

    Raises:
        UsageError: there is no such split.
        FormatError: a file is missing or is another one than the benchmark's.
    """
    clips: list[LiftClip] = []
    skeletons: dict[str, str] = load_json(TABLE)["skeletons"]
    for number, frozen in enumerate(frozen_motions(split)):
        path = Path(root) / frozen.path
        _refuse_other(path, frozen.sha256)
        if path.suffix == ".amc":
            skeleton = path.with_name(f"{frozen.subject}.asf")
            _refuse_other(skeleton, skeletons[skeleton.relative_to(root).as_posix()])
        further = draw_views(drawn, np.random.default_rng([seed, number]))
        clips += film(read_performance(path, frozen.subject, frozen.action), (*views, *further))
    return tuple(clips)


def _refuse_other(path: Path, sha256: str) -> None:
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise FormatError(
            f"CMU-Lift needs {path}, which cannot be read ({error.strerror}). Give the folder that "
            f"holds cmu_asfamc, cmu_bvh and cmu_iclone_bvh."
        ) from error
    if found != sha256:
        raise FormatError(
            f"{path} is not the file of CMU-Lift: its sha256 is {found[:12]}…, the benchmark's is "
            f"{sha256[:12]}…. Get it again from its source, or use it as motion of your own."
        )


def read_own_motion(folder: str | Path, views: Sequence[View] = FOUR_VIEWS) -> tuple[LiftClip, ...]:
    """Every motion file below a folder as clips of the same kind: other people, same rules.

    Raises:
        UsageError: there is no such folder, or no motion file in it.
        FormatError: a file is malformed or of another rig.
    """
    return tuple(clip for one in _own(folder) for clip in film(one, views))


def _own(folder: str | Path) -> Iterator[Performance]:
    for found in find_motions(folder):
        action = found.path.stem.rstrip("0123456789_-") or found.path.stem
        yield read_performance(found.path, found.subject, action)

"""People about whom everything is known, to learn from without labels and to judge by them.

Footage comes with joints in space and with who it is: poses of bodies of our own making that do
recorded or procedural motion before virtual cameras, and people cut out of generated clips.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chronopose.core.skeletons import H36M17
from chronopose.data.footage import cut_person
from chronopose.data.moments import Footage
from chronopose.errors import FormatError, UsageError
from chronopose.synth.camera import look_at
from chronopose.synth.clip_arrays import read_arrays
from chronopose.synth.gait import KINDS, Split, procedural_motion
from chronopose.synth.mocap import find_motions, read_motion
from chronopose.synth.motion import MOTION_JOINTS, Motion
from chronopose.synth.write import ClipPlaces, list_clips, read_facts

Floats = NDArray[np.float64]
FROM_MOTION = {"spine": "chest", "thorax": "neck", "neck_nose": "head", "head": "head_top"}
"""Joints of h36m17 that motions call otherwise; the pelvis is the middle of the hips."""
LENGTHS_M = {
    "hips": 0.12, "thigh": 0.44, "shin": 0.42, "spine": 0.24, "chest": 0.27, "neck": 0.13,
    "head": 0.12, "shoulders": 0.16, "upper_arm": 0.29, "forearm": 0.25,
}  # fmt: skip
"""Bones of a usual body, metres; those of two sides are equal."""
BONE_OF = {
    "hip": "hips", "knee": "thigh", "ankle": "shin", "spine": "spine", "thorax": "chest",
    "neck_nose": "neck", "head": "head", "shoulder": "shoulders", "elbow": "upper_arm",
    "wrist": "forearm",
}  # fmt: skip
"""Joint, without its side -> the bone that ends in it."""
VARY = 0.15
"""Bones of bodies differ from the usual ones by up to this share."""
CAMERA_PX, FOCAL_PX = 1000, 1145.0
"""Side of the virtual pictures and focal length."""
EARLY, LATE = 0.4, 0.6
"""Names of people are learnt from the first part of a video and asked of the last."""


@dataclass(frozen=True, eq=False)
class KnownPeople:
    """Footage with what is true about it; one entry a video.

    Args:
        footage: N videos.
        xyz_mm: N arrays ``(T, 17, 3)`` of ``h36m17``, camera axes, relative to the pelvis.
        who: ``(N,)`` numbers of persons.
        traits: ``(N, L)`` logarithms of bone lengths less their mean, or None.
        apart: A person's videos have nothing in common but the person: names can be learnt from all
            but the last of them and asked of that one. Else they are asked of a video's last part.
    """

    footage: list[Footage]
    xyz_mm: list[Floats]
    who: NDArray[np.int64]
    traits: Floats | None = None
    apart: bool = False

    def poses(self) -> Floats:
        """``(R, 48)`` joints but the pelvis of all frames of all videos, millimetres."""
        return np.concatenate([x[:, 1:].reshape(len(x), -1) for x in self.xyz_mm])

    def videos(self) -> NDArray[np.int64]:
        """``(R,)`` the video of each frame."""
        return np.repeat(np.arange(len(self.footage)), [len(f) for f in self.footage])

    def people(self) -> NDArray[np.int64]:
        """``(R,)`` the person of each frame."""
        return self.who[self.videos()]

    def fingerprint(self) -> str:
        """Hash of who is where when."""
        found = hashlib.sha256()
        for film, xyz in zip(self.footage, self.xyz_mm, strict=True):
            found.update(film.name.encode())
            found.update(np.ascontiguousarray(film.time_s).tobytes())
            found.update(np.round(xyz, 3).tobytes())
        return found.hexdigest()[:16]

    def named(self) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
        """``(R,)`` the name of each frame, whether a probe learns from it, whether it is asked."""
        if self.apart:
            last = np.array([n for n, w in enumerate(self.who) if w not in self.who[n + 1 :]])
            asked = np.isin(self.videos(), last)
            return self.people(), ~asked, asked
        names = self.people() if self.traits is None else self.videos()
        return names, self.through() <= EARLY, self.through() >= LATE

    def through(self) -> Floats:
        """``(R,)`` how far through its video each frame lies, in [0, 1]."""
        return np.concatenate(
            [(f.time_s - f.time_s[0]) / max(f.time_s[-1] - f.time_s[0], 1e-9) for f in self.footage]
        )


def recorded_motions(folder: str | Path) -> list[Motion]:
    """All motion files of a folder.

    Raises:
        UsageError: there is none.
        FormatError: one is damaged, or of a rig that is not known.
    """
    files = find_motions(folder)
    return [read_motion(f.path, key=f.key, subject=f.subject) for f in files]


def procedural_motions(
    count: int, seconds: float = 6.0, *, seed: int = 0, split: Split = "train"
) -> list[Motion]:
    """Motions of all kinds in turn, without any file."""
    return [
        procedural_motion(KINDS[n % len(KINDS)], seed + n, seconds, 50.0, split=split)
        for n in range(count)
    ]


def pose_people(
    motions: Sequence[Motion], *, people: int, videos: int, seconds: float = 4.0, fps: float = 25.0,
    seed: int = 0,
) -> KnownPeople:  # fmt: skip
    """2D poses of bodies of our own measure before virtual cameras.

    Every video shows another cut of some motion from another side: camera 4 to 6 m away, 5 degrees
    below to 25 above the body's middle, following it.

    Args:
        motions: What is performed; longer ones more often.
        people: How many bodies.
        videos: Videos of each.
        seconds: Length of a video.
        fps: Frames a second.
        seed: Decides bodies, cuts and cameras.

    Raises:
        UsageError: no motion is long enough.
    """
    long = [m for m in motions if m.time_s[-1] - m.time_s[0] >= seconds]
    if not long:
        raise UsageError(f"None of {len(motions)} motions lasts {seconds:g} s. Ask for less.")
    room = np.array([m.time_s[-1] - m.time_s[0] for m in long])
    footage, truth, who, traits = [], [], [], []
    for person in range(people):
        lengths = {
            bone: usual * np.random.default_rng([seed, person, n]).uniform(1 - VARY, 1 + VARY)
            for n, (bone, usual) in enumerate(LENGTHS_M.items())
        }
        logs = np.log(list(lengths.values()))
        for video in range(videos):
            rng = np.random.default_rng([seed, person, 1000 + video])
            motion = long[int(rng.choice(len(long), p=room / room.sum()))]
            start = rng.uniform(motion.time_s[0], motion.time_s[-1] - seconds)
            time_s = np.arange(round(seconds * fps)) / fps
            world = with_bones(h36m_joints(motion.at(start + time_s)), lengths)
            xy, xyz = _filmed(world, rng)
            footage.append(Footage(f"body {person} video {video}", time_s, xy, xy))
            truth.append(xyz * 1000)
            who.append(person)
            traits.append(logs - logs.mean())
    return KnownPeople(footage, truth, np.array(who), np.stack(traits))


def h36m_joints(motion: Motion) -> Floats:
    """``(T, 17, 3)`` joints of ``h36m17`` of a motion, metres."""
    hips = [MOTION_JOINTS.index(f"{side}_hip") for side in ("left", "right")]
    found = [
        motion.xyz[:, hips].mean(1)
        if name == "pelvis"
        else motion.xyz[:, MOTION_JOINTS.index(FROM_MOTION.get(name, name))]
        for name in H36M17.joints
    ]
    return np.stack(found, 1).astype(np.float64)


def with_bones(xyz: Floats, lengths_m: dict[str, float]) -> Floats:
    """The same directions of all bones with other lengths; the pelvis stays.

    Args:
        xyz: ``(T, 17, 3)`` joints of ``h36m17``, metres.
        lengths_m: Length of each bone of :data:`LENGTHS_M`.
    """
    made = np.zeros_like(xyz)
    made[:, 0] = xyz[:, 0]
    waiting = [(H36M17.index(a), H36M17.index(b)) for a, b in H36M17.limbs]
    done = {0}
    while waiting:
        parent, child = next(limb for limb in waiting if limb[0] in done)
        waiting.remove((parent, child))
        done.add(child)
        way = xyz[:, child] - xyz[:, parent]
        way = way / np.maximum(np.linalg.norm(way, axis=-1, keepdims=True), 1e-9)
        joint = H36M17.joints[child].removeprefix("left_").removeprefix("right_")
        made[:, child] = made[:, parent] + way * lengths_m[BONE_OF[joint]]
    return made


def _filmed(world: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Pixels ``(T, 17, 2)`` and camera axes relative to the pelvis ``(T, 17, 3)``, metres."""
    turn, rise = rng.uniform(0, 2 * np.pi), np.deg2rad(rng.uniform(-5, 25))
    away = rng.uniform(4, 6) * np.array(
        [np.cos(turn) * np.cos(rise), np.sin(turn) * np.cos(rise), np.sin(rise)]
    )
    centred = world - world[:, :1]
    camera = look_at(away, np.zeros(3), (CAMERA_PX, CAMERA_PX), FOCAL_PX)
    return camera.project(centred)[0], centred @ camera.rotation.T


def clip_people(
    root: str | Path, split: str, size: tuple[int, int] = (64, 64), *, least_share: float = 0.5,
    least_px: float = 48.0,
) -> KnownPeople:  # fmt: skip
    """People cut out of the clips that ``chronopose synth`` wrote.

    Args:
        root: Root of the set.
        split: One of its splits.
        size: Width and height of the crops, pixels.
        least_share: Of a person's outline that is seen, in every frame that is used.
        least_px: Height of the box within the picture.

    Raises:
        FormatError: there is no clip with pictures, or one is damaged.
    """
    footage, truth = [], []
    for name in list_clips(Path(root), split):
        places = ClipPlaces(Path(root), split, name)
        arrays, facts = read_arrays(places.arrays), read_facts(root, split, name)
        if facts.pictures == "mp4":
            raise FormatError(f"{name} of {root} is a video. Generate the clips as pictures.")
        box = arrays.cut_boxes
        good = (arrays.share >= least_share) & np.isfinite(box).all(-1)
        good &= box[..., 3] - box[..., 1] >= least_px
        joints = arrays.places(H36M17.joints)
        crops: dict[int, list[NDArray[np.uint8]]] = {}
        for number in np.flatnonzero(good.any(1)).tolist():
            picture = _picture(Path(root) / places.picture(number, facts.pictures))
            for person in np.flatnonzero(good[number]).tolist():
                crop = cut_person(picture, box[number, person], size, 1.1)
                crops.setdefault(person, []).append(crop)
        for person, cut in crops.items():
            rows = np.flatnonzero(good[:, person])
            world = arrays.xyz[rows, person][:, joints].astype(np.float64)
            seen = np.einsum("tij,tkj->tki", arrays.rotation[rows], world - world[:, :1])
            who = f"{name} person {arrays.ids[person]}"
            footage.append(Footage(who, arrays.time_s[rows], np.stack(cut)))
            truth.append(seen * 1000)
    if not footage:
        raise FormatError(
            f"{root} holds no clips of {split} with pictures of people. Make some first: "
            f"chronopose synth --out {root}."
        )
    return KnownPeople(footage, truth, np.arange(len(footage)))


def _picture(path: Path) -> NDArray[np.uint8]:
    try:
        with Image.open(path) as image:
            return np.array(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise FormatError(f"Cannot read {path}: {error}. Generate the clip again.") from error

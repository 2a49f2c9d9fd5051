"""Tiny copies of every data set: a dark video in which one lit pixel is the last joint of a person.

In frame t of a world the joints of person p stand on a small grid that moves one pixel to the right
a frame; the last one is the lit pixel of the first person.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.io import savemat

from chronopose.core.labels import LabelledFrame, LabelledSequence
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import get_skeleton
from chronopose.io.coco_labels import write_coco_labels
from chronopose.io.flic import write_flic
from chronopose.io.hieve import write_hieve
from chronopose.io.jhmdb import write_jhmdb
from chronopose.io.lsp import write_lsp
from chronopose.io.mpii import write_mpii_hrnet
from chronopose.io.penn_action import write_penn_action
from chronopose.io.posetrack import write_posetrack
from chronopose.io.posetrack17 import write_posetrack17
from chronopose.io.upper_body import write_upper_body

SIZE = (80, 60)


def joints_of(count: int, t: int = 0, person: int = 0) -> np.ndarray:
    """``(count, 2)`` whole pixels."""
    k = np.arange(count)
    return np.stack([12.0 + 4 * (k % 5) + t + 26 * person, 10.0 + 6 * (k // 5)], -1)


def paint(path: Path, xy: Sequence[float] | None, size: tuple[int, int] = SIZE) -> Path:
    """Write a dark picture with one lit pixel."""
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    if xy is not None:
        pixels[int(xy[1]), int(xy[0])] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **({} if path.suffix == ".png" else {"quality": 98}))
    return path


def brightest(image: np.ndarray) -> list[int]:
    """x and y of the brightest pixel."""
    y, x = np.unravel_index(np.asarray(image, int).sum(-1).argmax(), image.shape[:2])
    return [int(x), int(y)]


def frame(
    skeleton: Skeleton, name: str, index: int, t: int = 0, people: int = 1, **fields: Any
) -> LabelledFrame:
    """People in frame t; the box of each reaches two pixels beyond the joints."""
    xy = np.stack([joints_of(len(skeleton), t, p) for p in range(people)])
    boxes = np.concatenate([xy.min(1) - 2, xy.max(1) + 2], -1)
    return LabelledFrame(name, index, skeleton, xy, **({"boxes": boxes} | fields))


def video(
    skeleton: Skeleton, name: str, pattern: str, first: int = 0, frames: int = 4, people: int = 1,
    **fields: Any,
) -> LabelledSequence:  # fmt: skip
    """A video whose pictures are called by ``pattern``, counted from ``first``."""
    ids = np.arange(people) + 3
    listed = [
        frame(skeleton, pattern.format(first + t), first + t, t, people, ids=ids, **fields)
        for t in range(frames)
    ]
    return LabelledSequence(name, skeleton, tuple(listed))


def paint_video(sequence: LabelledSequence, folder: Path, key: Callable[[LabelledFrame], str]):
    """The pictures of a video."""
    for found in sequence:
        paint(folder / key(found), found.xy[0, -1])


def posetrack18(root: Path) -> None:
    """Two videos; only frames 1 and 2 of the first are labelled."""
    slots = get_skeleton("posetrack17slot")
    videos = [
        video(slots, f"00000{n}_mpii_test", f"images/val/00000{n}_mpii_test/{{:06d}}.jpg", people=2)
        for n in (1, 2)
    ]
    frames = [
        f if 0 < t < 3 else replace(f.select([]), labelled=False) for t, f in enumerate(videos[0])
    ]
    for v in videos:
        paint_video(v, root, lambda f: f.name)
    write_posetrack(
        [replace(videos[0], frames=tuple(frames)), videos[1]], root / "annotations" / "val"
    )


def posetrack21(root: Path) -> None:
    """Labels of 2021 beside the pictures of 2018."""
    posetrack18(root)
    (root / "posetrack_data").mkdir()
    os.replace(root / "annotations" / "val", root / "posetrack_data" / "val")


def posetrack17(root: Path) -> None:
    """The kit's form, pictures of eight digits counted from 1, no boxes of people."""
    names = "images/bonn_5sec/000001_bonn/{:08d}.jpg"
    none = np.full((1, 4), np.nan)
    found = video(get_skeleton("posetrack15_poseval"), "000001_bonn", names, first=1, boxes=none)
    paint_video(found, root, lambda f: f.name)
    write_posetrack17([found], root / "annotations" / "val")


def posetrack17_family(root: Path) -> None:
    """One file in COCO's form for all videos."""
    slots = get_skeleton("posetrack17slot")
    found = video(slots, "000001_bonn", "bonn/000001_bonn/{:08d}.jpg", first=1)
    paint_video(found, root / "images", lambda f: f.name)
    write_posetrack([found], root / "posetrack_val.json")


def hieve(root: Path) -> None:
    """Video 7, labels in track2&3."""
    found = video(get_skeleton("hieve14"), "7", "{:06d}.jpg")
    paint_video(found, root / "images" / "7", lambda f: f.name)
    write_hieve([found], root / "track2&3")


def stills(skeleton: Skeleton, names: Sequence[str], **fields: Any) -> LabelledSequence:
    """Unrelated pictures of one person each."""
    listed = [frame(skeleton, n, at, at, size=SIZE, **fields) for at, n in enumerate(names)]
    return LabelledSequence("stills", skeleton, tuple(listed), is_video=False)


def coco(root: Path) -> None:
    """The official layout."""
    found = stills(get_skeleton("coco17"), ["000000000009.jpg", "000000000025.jpg"])
    paint_video(found, root / "val2017", lambda f: f.name)
    (root / "annotations").mkdir()
    write_coco_labels([found], root / "annotations" / "person_keypoints_val2017.json")


def coco_hrnet(root: Path) -> None:
    """HRNet's layout."""
    coco(root)
    (root / "images").mkdir()
    os.replace(root / "val2017", root / "images" / "val2017")


def crowdpose(root: Path) -> None:
    """Files in the root."""
    found = stills(get_skeleton("crowdpose14"), ["100001.jpg"])
    paint_video(found, root / "images", lambda f: f.name)
    write_coco_labels([found], root / "crowdpose_test.json")


def mpii(root: Path) -> None:
    """HRNet's layout."""
    found = stills(get_skeleton("mpii16"), ["015601864.jpg", "015601865.jpg"])
    paint_video(found, root / "images", lambda f: f.name)
    (root / "annot").mkdir()
    write_mpii_hrnet([found], root / "annot" / "valid.json")


def _lsp(root: Path, layout: str, count: int, first: int, pictures: int) -> None:
    skeleton = get_skeleton("lsp14")
    frames = [frame(skeleton, "", n + 1) for n in range(count)]
    sequence = LabelledSequence(layout, skeleton, tuple(frames), is_video=False)
    base = 1.0 if layout == "lsp" else 0.0
    write_lsp([sequence], root / "joints.mat", layout, base=base)  # type: ignore[arg-type]
    digits = 4 if layout == "lsp" else 5
    lit = paint(root / "images" / "lit.jpg", frames[0].xy[0, -1])
    for n in range(first, first + pictures):
        os.link(lit, root / "images" / f"im{n:0{digits}d}.jpg")


def lsp(root: Path) -> None:
    """All 2,000 labels, the pictures of the test half."""
    _lsp(root, "lsp", 2000, 1001, 1000)


def lspet(root: Path) -> None:
    """9,000 labels, the pictures of our validation split."""
    _lsp(root, "lspet", 9000, 8501, 500)


def flic(root: Path) -> None:
    """One picture for training, one for testing."""
    skeleton = get_skeleton("flic11")
    frames = [
        frame(skeleton, f"film-{n}.jpg", n, size=SIZE, extra={"split": split})
        for n, split in enumerate(("train", "test"))
    ]
    found = LabelledSequence("flic", skeleton, tuple(frames), is_video=False)
    paint_video(found, root / "images", lambda f: f.name)
    write_flic([found], root / "examples.mat")


def penn_action(root: Path) -> None:
    """A clip for training and one for testing; frames from 1."""
    for name, split in (("0001", "train"), ("0002", "test")):
        found = video(get_skeleton("penn13"), name, "{:06d}.jpg", first=1, frames=7, size=SIZE)
        paint_video(found, root / "frames" / name, lambda f: f.name)
        write_penn_action([replace(found, extra={"split": split, "action": "bowl"})],
                          root / "labels" / f"{name}.mat")  # fmt: skip


def jhmdb(root: Path) -> None:
    """Two clips of one action with masks and the first fold's split."""
    (root / "sub_splits").mkdir(parents=True)
    (root / "sub_splits" / "catch_test_split_1.txt").write_text("one.avi 1\ntwo.avi 2\n")
    for name in ("one", "two"):
        found = video(get_skeleton("jhmdb15"), name, "{:05d}.png", first=1, frames=6)
        paint_video(found, root / "Rename_Images" / "catch" / name, lambda f: f.name)
        folder = root / "joint_positions" / "catch" / name
        folder.mkdir(parents=True)
        write_jhmdb([found], folder / "joint_positions.mat")
        mask = np.zeros((SIZE[1], SIZE[0], 6), np.uint8)
        mask[8:40, 10:50] = 1
        place = root / "puppet_mask" / "catch" / name
        place.mkdir(parents=True)
        savemat(place / "puppet_mask.mat", {"part_mask": mask})


def upper_body(root: Path) -> None:
    """One table; its pictures go by their numbers."""
    found = video(get_skeleton("upper7"), "scene1", "{}", first=11)
    paint_video(found, root / "frames" / "scene1", lambda f: f"frame_{f.frame_index:04d}.jpg")
    (root / "labels" / "test").mkdir(parents=True)
    write_upper_body([found], root / "labels" / "test" / "scene1.csv")


WORLDS: dict[str, Callable[[Path], None]] = {
    "posetrack17": posetrack17, "posetrack17 family": posetrack17_family,
    "posetrack18": posetrack18, "posetrack21": posetrack21, "hieve": hieve, "coco": coco,
    "coco hrnet": coco_hrnet, "crowdpose": crowdpose, "mpii": mpii, "lsp": lsp, "lspet": lspet,
    "flic": flic, "penn_action": penn_action, "jhmdb": jhmdb, "upper_body": upper_body,
}  # fmt: skip


def write_boxes(path: Path, records: list[dict[str, Any]]) -> Path:
    """A file of detections."""
    path.write_text(json.dumps(records))
    return path

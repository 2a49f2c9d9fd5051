"""Every reader of labels fed with damaged files: a clear error each time, never a wrong number."""

from __future__ import annotations

import copy
import json
import pickle
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scipy.io import loadmat, savemat

from chronopose.core.labels import LabelledFrame, LabelledSequence
from chronopose.core.skeletons import get_skeleton
from chronopose.errors import ChronoposeError
from chronopose.io._mat import struct_array
from chronopose.io.detections import read_detections
from chronopose.io.jhmdb import read_jhmdb_split
from chronopose.io.labels import LABEL_FORMATS, read_labels, write_labels

GONE = object()
"""Takes the field away instead of changing it."""
AT_LEAST = 20
HUGE, NAN = 1e300, float("nan")


def people(skeleton: str, name: str, count: int = 2, video: str = "20", **fields: Any) -> Any:
    """Two frames of people; every joint is known and scored."""
    joints = get_skeleton(skeleton)
    random = np.random.default_rng(3)
    frames = []
    for index in (1, 2):
        xy = random.uniform(20, 300, (count, len(joints), 2)).round(3)
        low = random.uniform(0, 50, (count, 2)).round(2)
        boxes = np.concatenate([low, low + random.uniform(50, 90, (count, 2)).round(2)], -1)
        frames.append(
            LabelledFrame(
                name.format(index),
                index,
                joints,
                xy,
                score=np.full(xy.shape[:2], 0.5),
                person_score=np.full(count, 0.75),
                boxes=boxes,
                head_boxes=boxes / 2,
                ids=np.arange(count) + 4,
                image_id=index,
                size=(640, 480),
                area=boxes[:, 2] * 7,
                ignore=(np.array([[0.0, 0], [9, 0], [9, 8]]),),
                **fields,
            )
        )
    return [LabelledSequence(video, joints, tuple(frames))]


Change = tuple[tuple[Any, ...], Any]


@dataclass(frozen=True)
class Case:
    """One reader: how a sound file of it is made, and what is broken in it."""

    file: str
    make: Callable[[Path], None]
    read: Callable[[Path], Any]
    json: list[Change] = field(default_factory=list)
    mat: dict[str, list[Any]] = field(default_factory=dict)
    text: list[tuple[str, str]] = field(default_factory=list)


def door(format: str, file: str, sequences: Callable[[], Any], **broken: Any) -> tuple[str, Case]:
    case = Case(
        file,
        lambda path: write_labels(sequences(), path, format),
        lambda path: read_labels(path, format),
        **broken,
    )
    return format, case


def annolist(point: str) -> list[Change]:
    """Changes that both formats in the shape of a MATLAB struct must notice."""
    frame: tuple[Any, ...] = ("annolist", 0)
    rect = (*frame, "annorect", 0)
    joint = (*rect, "annopoints", 0, "point", 0)
    return [
        (("annolist",), GONE), (("annolist",), {}), (("annolist",), []), (frame, 5),
        ((*frame, "image"), GONE), ((*frame, "image"), []), ((*frame, "image", 0, "name"), 5),
        ((*frame, "image", 0, "name"), "none.jpg" if point == "hieve" else ""),
        ((*frame, "annorect"), "two"), (rect, None), ((*rect, "x1"), GONE),
        ((*rect, "x2"), [-5]), ((*rect, "x1"), ["left"]), ((*rect, "y1"), [NAN]),
        ((*rect, "y2"), [HUGE]), ((*rect, "track_id"), [1.5]), ((*rect, "track_id"), [-3]),
        ((*rect, "track_id"), [5]), ((*rect, "score"), ["good"]), ((*rect, "annopoints"), 7),
        ((*rect, "annopoints", 0, "point"), GONE), ((*joint, "x"), GONE), ((*joint, "x"), [NAN]),
        ((*joint, "x"), [1, 2]), ((*joint, "y"), [10**400]), ((*joint, "y"), ["1"]),
        ((*joint, "id"), [77]), ((*joint, "id"), [1]), ((*joint, "id"), [-1]),
        ((*joint, "score"), [None]), ((*frame, "ignore_regions"), [{"point": [{"x": [1]}]}]),
    ]  # fmt: skip


def coco_like(joints: int) -> list[Change]:
    """Changes that every file in COCO's form must notice."""
    image, person = ("images", 0), ("annotations", 0)
    return [
        (("images",), GONE), (("annotations",), GONE), (("images",), {"0": 1}), (image, 3),
        (person, []), ((*image, "id"), GONE), ((*image, "id"), "1"), ((*image, "id"), 2),
        ((*image, "file_name"), 4), ((*image, "width"), -640), ((*image, "height"), "tall"),
        ((*person, "image_id"), 99), ((*person, "image_id"), GONE),
        ((*person, "keypoints"), GONE), ((*person, "keypoints"), [1, 2, 2]),
        ((*person, "keypoints", 0), NAN), ((*person, "keypoints", 1), "9"),
        ((*person, "keypoints", 0), HUGE), ((*person, "keypoints", 0), 10**400),
        ((*person, "keypoints", 2), 7), ((*person, "keypoints"), [True] * 3 * joints),
        ((*person, "bbox"), [1, 2, -3, 4]), ((*person, "bbox"), [1, 2, 3]),
        ((*person, "bbox"), "all"), ((*person, "area"), -1), ((*person, "iscrowd"), "no"),
        ((*person, "track_id"), 5), ((*person, "track_id"), 0.5),
        (("categories", 0, "keypoints"), 17), (("categories", 0, "keypoints", 0), 5),
        (("categories", 0, "keypoints", 0), "left_tail"), (("categories",), {}),
    ]  # fmt: skip


POSETRACK_ONLY: list[Change] = [
    (("images", 0, "file_name"), "nobody.jpg"), (("images", 0, "is_labeled"), "yes"),
    (("images", 0, "ignore_regions_x"), [[1, 2]]), (("images", 0, "ignore_regions_x"), [1]),
    (("annotations", 0, "bbox_head"), [5, 5, -1, 4]), (("annotations", 0, "scores"), [0.5]),
    (("annotations", 0, "scores"), 0.5), (("annotations", 0, "occluded"), [7] * 17),
]  # fmt: skip
RESULTS: list[Change] = [
    ((0,), 5), ((0, "image_id"), GONE), ((0, "image_id"), 1.5), ((0, "image_id"), ""),
    ((0, "keypoints"), GONE), ((0, "keypoints"), [1, 2, 3]), ((0, "keypoints"), "x"),
    ((0, "keypoints", 4), NAN), ((0, "keypoints", 4), None), ((0, "keypoints", 4), HUGE),
    ((0, "score"), GONE), ((0, "score"), "high"), ((0, "score"), NAN), ((0, "bbox"), [1, 2]),
    ((0, "bbox"), [1, 2, -5, 5]), ((0, "track_id"), "a"), ((1, "track_id"), 4),
]  # fmt: skip
HRNET: list[Change] = [
    ((0,), []), ((0, "image"), GONE), ((0, "image"), None), ((0, "joints"), GONE),
    ((0, "joints"), [[1, 2]]), ((0, "joints", 3), [1]), ((0, "joints", 3, 0), NAN),
    ((0, "joints", 3, 0), "1"), ((0, "joints", 3, 1), HUGE), ((0, "joints_vis"), GONE),
    ((0, "joints_vis"), [1] * 15), ((0, "joints_vis", 2), 0.5), ((0, "joints_vis", 2), -1),
    ((0, "center"), GONE), ((0, "center"), [1]), ((0, "center", 0), NAN), ((0, "scale"), GONE),
    ((0, "scale"), "1"), ((0, "scale"), -1), ((0, "scale"), NAN),
]  # fmt: skip
BOXES: list[Change] = [
    ((0,), "box"), ((0, "bbox"), GONE), ((0, "bbox"), [1, 2, 3]), ((0, "bbox"), [1, 2, -3, 4]),
    ((0, "bbox", 1), NAN), ((0, "bbox", 1), "2"), ((0, "bbox", 3), 1e39), ((0, "bbox", 1), None),
    ((0, "score"), GONE), ((0, "score"), 1.01), ((0, "score"), -0.1), ((0, "score"), "0.5"),
    ((0, "score"), NAN), ((0, "image_name"), GONE), ((0, "image_name"), 12),
    ((0, "image_name"), [1]), ((0, "bbox"), 10**400), ((0, "score"), True),
]  # fmt: skip
ALL_IN_ONE: list[Change] = [
    (("object",), GONE), (("object",), {"0": 1}), (("object", 0), 4),
    (("object", 0, "bndbox"), GONE), (("object", 0, "bndbox"), "none"),
    (("object", 0, "bndbox", "xmin"), GONE), (("object", 0, "bndbox", "xmin"), "left"),
    (("object", 0, "bndbox", "xmax"), "-4"), (("object", 0, "bndbox", "ymin"), "nan"),
    (("object", 0, "bndbox", "ymax"), "1e300"), (("object", 0, "Nose"), "1,2"),
    (("object", 0, "Nose"), "1,2,3"), (("object", 0, "Nose"), "1,2,"),
    (("object", 0, "Nose"), "nan,2,0"), (("object", 0, "Nose"), "1e300,2,0"),
    (("object", 0, "Nose"), 5), (("object", 0, "Nose"), [1, 2, 0]),
    (("object", 0, "Snout"), "1,2,0"),
    (("object", 0, "id"), "first"), (("object", 0, "id"), "1.5"), (("object", 1, "id"), "4"),
]  # fmt: skip


def numbers(*more: Any) -> list[Any]:
    """What must not stand where an array of numbers belongs."""
    return [GONE, "text", np.zeros((0, 0)), np.zeros((5, 7, 3)), *more]


def poke(value: float) -> Callable[[Any], Any]:
    """Puts a bad number into an array."""

    def poked(array: Any) -> Any:
        changed = np.array(array, np.float64)
        changed.flat[0] = value
        return changed

    return poked


BAD = [poke(NAN), poke(np.inf), poke(HUGE)]


def save_variables(path: Path, **content: Any) -> None:
    savemat(path, content)


def h5_copies(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["part"] = np.full((3, 16, 2), 21.0)
        file["visible"], file["scale"] = np.ones((3, 16)), np.ones(3)
        file["center"], file["normalize"] = np.full((3, 2), 50.0), np.full(3, 20.0)
        file["imgname"] = np.full((3, 5), 65.0)


def one_each(skeleton: str, name: str = "{:06d}.jpg") -> Callable[[], Any]:
    return lambda: people(skeleton, name, count=1)


def all_in_one(path: Path) -> None:
    box = {"xmin": "1", "ymin": "2", "xmax": "30", "ymax": "40"}
    objects = [{"id": str(n), "bndbox": box, "Nose": "5,6,0"} for n in (4, 5)]
    path.write_text(json.dumps({"object": objects}))


def xml(path: Path) -> None:
    box = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>"
    path.write_text(f"<annotation><object><id>4</id>{box}<Nose>5,6,0</Nose></object></annotation>")


def image_boxes(path: Path) -> None:
    record = {"image_name": "a/000000.jpg", "bbox": [1, 2, 3, 4], "score": 0.5, "category_id": 1}
    path.write_text(json.dumps([record, record]))


def splits(path: Path) -> None:
    path.write_text("one.avi 1\ntwo.avi 2\n")


def bbc(path: Path) -> None:
    videos = [{"name": "a", "locs": np.ones((2, 7, 3)), "frame": np.array([[1.0, 2, 3]])}]
    savemat(path, {"bbcpose": struct_array(videos)}, do_compression=True)


PT_NAME = "images/val/000017_mpii_test/{:06d}.jpg"
CASES: dict[str, Case] = dict(
    [
        door(
            "posetrack17", "a.json", lambda: people("posetrack15_poseval", PT_NAME),
            json=[*annolist("posetrack17"), (("annolist", 0, "imgnum"), [2]),
                  (("annolist", 0, "is_labeled"), ["yes"])],
        ),
        door("posetrack18", "a.json", lambda: people("posetrack17slot", PT_NAME),
             json=[*coco_like(17), *POSETRACK_ONLY]),
        door("posetrack_submission", "a.json", lambda: people("posetrack17slot", PT_NAME),
             json=[c for c in coco_like(17) if c[0][-1] not in (2, "width", "height", "area")]),
        door("hieve", "20.json", lambda: people("hieve14", "{:06d}.jpg"), json=annolist("hieve")),
        door("coco", "a.json", lambda: people("coco17", "{:012d}.jpg"),
             json=[*coco_like(17), (("annotations", 0, "num_keypoints"), 18),
                   (("annotations", 0, "keypoints", 2), 0.5)]),
        door("coco_results", "a.json", lambda: people("coco17", "{:012d}.jpg"), json=RESULTS),
        door("mpii_hrnet", "a.json", lambda: people("mpii16", "{}.jpg"), json=HRNET),
        (
            "image boxes",
            Case("a.json", image_boxes, read_detections, json=BOXES),
        ),
        (
            "hieve_frames json",
            Case("000000.json", all_in_one, lambda p: read_labels(p, "hieve_frames"),
                 json=ALL_IN_ONE),
        ),
        (
            "hieve_frames xml",
            Case("000000.xml", xml, lambda p: read_labels(p, "hieve_frames"), text=[
                ("<xmin>1<", "<xmin><"), ("<xmin>1<", "<xmin>a<"), ("<xmin>1<", "<xmin>99<"),
                ("<xmin>1</xmin>", ""), ("xmax>30", "xmax>nan"), ("xmax>30", "xmax>1e300"),
                ("5,6,0", "5,6"), ("5,6,0", "5,6,2"), ("5,6,0", "five,6,0"), ("5,6,0", "inf,6,0"),
                ("Nose>5", "Snout>5"), ("<Nose>", "<Mouth>"), ("<id>4", "<id>four"),
                ("<annotation>", '<!DOCTYPE x [<!ENTITY y "z">]><annotation>'),
            ]),
        ),
        door("lsp", "a.mat", one_each("lsp14"), mat={
            "joints": numbers(*BAD, lambda a: a[:, :13], lambda a: a[:2], lambda a: a * 1j,
                              lambda a: a[:, :, :0], lambda a: a.transpose(1, 0, 2),
                              lambda a: np.where(np.arange(3)[:, None, None] == 2, 2, a),
                              lambda a: np.where(np.arange(3)[:, None, None] == 2, 1, a)),
        }),
        door("lspet", "a.mat", one_each("lsp14"), mat={
            "joints": numbers(*BAD, lambda a: a[:13], lambda a: a[:, :2], lambda a: a * 1j,
                              lambda a: a[:, :, :0], lambda a: a.transpose(1, 0, 2),
                              lambda a: np.where(np.arange(3)[:, None] == 2, -1, a),
                              lambda a: np.where(np.arange(3)[:, None] == 2, 0, a)),
        }),
        door("penn_action", "a.mat", one_each("penn13"), mat={
            "x": numbers(*BAD, lambda a: a[:, :12]), "y": numbers(*BAD, lambda a: a[:1]),
            "visibility": numbers(poke(2), poke(0.5)), "bbox": numbers(*BAD, lambda a: a[:0]),
            "nframes": [GONE, "two", 3], "dimensions": [GONE, [[0, 640, 2]], [[480, 640]]],
            "train": ["yes", 5], "action": [np.ones((2, 2))],
        }),
        door("jhmdb", "joint_positions.mat", one_each("jhmdb15"), mat={
            "pos_img": numbers(*BAD, lambda a: a[:1], lambda a: a[:, :14], lambda a: a[:, :, :0],
                               lambda a: a * 1j, lambda a: {"x": a}, lambda a: [["a", "b"]],
                               lambda a: np.array([[a]], dtype=object)),
        }),
        door("flic", "a.mat", one_each("flic11", "{}.jpg"), mat={
            "examples": numbers(5.0, *(struct_array([{"coords": c, "filepath": "a.jpg"}]) for c in (
                np.zeros((2, 28)), np.zeros((3, 29)), "here", np.full((2, 29), np.inf),
                np.full((2, 29), HUGE), np.array([[np.nan] * 29, [1.0] * 29]),
            )), struct_array([{"coords": np.zeros((2, 29))}]),
                struct_array([{"coords": np.zeros((2, 29)), "filepath": 7.0}])),
        }),
        door("mpii_eval", "a.mat", one_each("mpii16", "{}.jpg"), mat={
            "pos_gt_src": numbers(*BAD, lambda a: a[:15], lambda a: a[:, :, :1]),
            "jnt_missing": numbers(poke(2), lambda a: a[:, :1]),
            "headboxes_src": numbers(*BAD, lambda a: -a),
            "dataset_joints": [GONE, "rank", np.array([["a", "b"]], dtype=object)],
        }),
        door("mpii", "a.mat", lambda: people("mpii16", "{}.jpg"), mat={
            "RELEASE": numbers(5.0, *({"annolist": a, "img_train": [[1.0]]} for a in (
                5.0, "none", struct_array([{"picture": 1.0}]),
                struct_array([{"image": {"name": 5.0}}]), struct_array([{"image": 5.0}]),
                *(struct_array([{"image": {"name": "a.jpg"}, "annorect": r}]) for r in (
                    7.0, {"x1": 5.0}, {"x1": 9.0, "y1": 1.0, "x2": 3.0, "y2": 4.0},
                    {"scale": "big", "objpos": {"x": 1.0, "y": 2.0}},
                    {"annopoints": 5.0}, {"annopoints": {"point": {"x": 1.0, "y": 2.0}}},
                    {"annopoints": {"point": {"x": np.nan, "y": 2.0, "id": 3.0}}},
                    {"annopoints": {"point": {"x": 1.0, "y": 2.0, "id": 3.0, "is_visible": 3.0}}},
                )),
            )), {"annolist": struct_array([{"image": {"name": "a"}}]), "img_train": [[1.0, 0]]}),
        }),
        (
            "bbcpose",
            Case("bbcpose.mat", bbc, lambda p: read_labels(p, "upper_body"), mat={
                "bbcpose": numbers(5.0, *(struct_array([v]) for v in (
                    {"locs": np.ones((2, 7, 3))}, {"frame": [[1.0]]},
                    {"locs": "a", "frame": [[1.0]]}, {"locs": np.ones((2, 6, 1)), "frame": [[1.0]]},
                    {"locs": np.ones((2, 7, 2)), "frame": [[1.0]]},
                    {"locs": np.ones((2, 7, 2)), "frame": [[1.0, 1.0]]},
                    {"locs": np.ones((2, 7, 2)), "frame": [[1.0, 1.5]]},
                    {"locs": np.full((2, 7, 1), np.inf), "frame": [[1.0]]},
                    {"locs": np.full((2, 7, 1), HUGE), "frame": [[1.0]]},
                ))),
            }),
        ),
        (
            "mpii_h5",
            Case("a.h5", h5_copies, lambda p: read_labels(p, "mpii_h5"), mat={
                "part": numbers(*BAD), "visible": numbers(poke(2)), "center": numbers(poke(NAN)),
                "scale": [GONE, "one", np.ones(2), np.array([-1.0, 1, 1])],
                "imgname": [GONE, np.full((3, 5), 300.0), np.zeros((2, 5))],
            }),
        ),
        door("hieve_boxes", "a.txt", lambda: people("hieve14", "{:06d}.jpg"), text=[
            ("1,4,", "1,"), ("1,4,", "a,4,"), ("1,4,", "1,b,"), ("1,4,", "1.5,4,"),
            ("1,4,", "-1,4,"), ("1,4,", "1,4,nan,"), ("1,4,", "1,4,1,"), ("1,4,", "1,5,"),
            (",0.75", ",good"), (",0.75", ","), (",0.75", ",inf"), (",-1,-1,-1\n1,5", ",\n1,5"),
        ]),
        door("upper_body", "a.csv", one_each("upper7"), text=[
            ("frame", "number"), ("head_x", "heat_x"), ("head_x,", ""), ("head_x", "head_y"),
            ("\n1,", "\n"), ("\n1,", "\na,"), ("\n1,", "\n2,"), ("\n1,", "\n1.5,"),
            ("\n1,", "\n-1,"), ("\n1,", "\n1,1,"), ("\n2,", "\n2,inf,"), ("\n2,", "\n2;"),
        ]),
        door("caffe_lines", "a.txt", lambda: [people("upper7", "a/{}.jpg", 1)[0]], text=[
            ("a/1.jpg ", ""), ("a/1.jpg", "a/1 .jpg"), ("a/1.jpg ", "a/1.jpg 5,"),
            ("a/1.jpg ", "a/1.jpg x,"), (" 0 0\n", " 0\n"), (" 0 0\n", " 0 0 0\n"),
            (" 0 0\n", " a 0\n"), (" 0 0\n", " 0 a\n"), (" 0 0\n", " 0 0.5\n"),
            (" 0 0\n", " inf 0\n"), ("a/2.jpg ", "a/2.jpg nan,"), ("a/2.jpg ", "a/2.jpg,"),
        ]),
        (
            "jhmdb split",
            Case("run_test_split_1.txt", splits, lambda p: read_jhmdb_split(p.parent), text=[
                ("one.avi 1", "one.avi"), ("one.avi 1", "1"), ("one.avi 1", "one.avi 3"),
                ("one.avi 1", "one.avi 0"), ("one.avi 1", "one.avi -1"),
                ("one.avi 1", "one.avi 1.0"), ("one.avi 1", "one.avi one"),
                ("one.avi 1", "two.avi 1"), ("one.avi 1", ".avi 1"), ("one.avi 1", "one.avi,1"),
                ("one.avi 1", "one.avi 12"), ("one.avi 1", "one.avi ²"),
            ]),
        ),
    ]
)  # fmt: skip


class Bomb:
    """A pickle that makes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def bytes_of(sound: bytes, marker: Path) -> Iterator[tuple[str, bytes]]:
    """Files that are none of their kind at all."""
    yield "nothing", b""
    yield "zero bytes", bytes(len(sound))
    yield "random bytes", np.random.default_rng(0).bytes(4096)
    yield "a picture", b"\x89PNG\r\n\x1a\n" + sound
    yield "a pickle", pickle.dumps(Bomb(marker))
    start = 150 if sound.startswith(b"MATLAB") else 20
    yield "binary between", sound[:start] + b"\x00\xff\xfe" + sound[start + 3 :]
    yield "the first bytes", sound[:3]


def json_files(case: Case, sound: bytes) -> Iterator[tuple[str, bytes, str]]:
    content = json.loads(sound)
    roots = [5, None, "text", True, [[]], [5]]
    for root in roots:
        yield f"root {root!r}", json.dumps(root).encode(), ""
    yield "brackets", b"[" * 100_000, ""
    yield "cut in half", sound[: len(sound) // 2], ""
    for path, value in case.json:
        changed = copy.deepcopy(content)
        place = changed
        for key in path[:-1]:
            place = place[key]
        if value is GONE:
            del place[path[-1]]
        elif isinstance(path[-1], int) and path[-1] >= len(place):
            place.append(value)
        else:
            place[path[-1]] = value
        text = json.dumps(changed)
        if value == 10**400:
            text = text.replace(repr(value), str(value))
        named = [key for key in path if isinstance(key, str)]
        yield f"{path} = {str(value)[:20]}", text.encode(), named[-1] if named else ""


LARGER = {"xmin": "bndbox", "xmax": "bndbox", "ymin": "bndbox", "ymax": "bndbox",
          "imgnum": "both frame 2"}  # fmt: skip


def tells(message: str, mention: str) -> bool:
    """Whether a message names a field, or what it is a part of."""
    plain = message.replace("track id", "track_id")
    return mention in plain or LARGER.get(mention, mention) in plain


def mat_files(case: Case, path: Path) -> Iterator[tuple[str, bytes, str]]:
    sound = path.read_bytes()
    yield "cut in half", sound[: len(sound) // 2], ""
    yield "only a head", sound[:128], ""
    is_h5 = path.suffix == ".h5"
    if is_h5:
        with h5py.File(path, "r") as file:
            content = {name: np.asarray(file[name]) for name in file}
    else:
        yield "version 7.3", b"MATLAB 7.3 MAT-file" + sound[19:], "7.3"
        content = {k: v for k, v in loadmat(path).items() if not k.startswith("__")}
    for name, values in case.mat.items():
        for at, value in enumerate(values):
            new = value(content[name]) if callable(value) and value is not GONE else value
            changed = {k: v for k, v in content.items() if k != name}
            if new is not GONE:
                changed[name] = new
            broken = path.with_name(f"broken{path.suffix}")
            if is_h5:
                with h5py.File(broken, "w") as file:
                    for key, array in changed.items():
                        file[key] = array
            else:
                savemat(broken, changed or {"nothing": 1.0})
            named = "" if name in ("examples", "RELEASE", "bbcpose") else name
            yield f"{name} number {at}", broken.read_bytes(), named


def text_files(case: Case, sound: bytes) -> Iterator[tuple[str, bytes, str]]:
    text = sound.decode()
    for old, new in case.text:
        assert old in text, (old, text)
        yield f"{old!r} -> {new!r}", text.replace(old, new, 1).encode(), ""
    yield "one word", b"hello", ""


def broken_files(case: Case, path: Path) -> list[tuple[str, bytes, str]]:
    """Names, contents, and what the complaint must mention besides the file."""
    sound = path.read_bytes()
    found = [(n, b, "") for n, b in bytes_of(sound, path.with_name("made by a pickle"))]
    if case.json:
        found += json_files(case, sound)
    if case.mat:
        found += mat_files(case, path)
    if case.text:
        found += text_files(case, sound)
    return found


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def sound_file(case: Case, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / case.file
    case.make(path)
    return path


def test_a_sound_file_is_read(case: Case, tmp_path: Path) -> None:
    assert case.read(sound_file(case, tmp_path))


def test_every_broken_file_is_a_clear_error(case: Case, tmp_path: Path) -> None:
    files = broken_files(case, sound_file(case, tmp_path / "sound"))
    path = tmp_path / "broken" / case.file
    path.parent.mkdir()
    quiet, strange = [], []
    for name, content, mention in files:
        path.write_bytes(content)
        try:
            case.read(path)
            quiet.append(name)
        except ChronoposeError as error:
            if case.file not in str(error) or not tells(str(error), mention):
                strange.append((name, mention, str(error)[:200]))
    assert len(files) >= AT_LEAST
    assert quiet == []
    assert strange == []
    assert not (tmp_path / "sound" / "made by a pickle").exists()


def test_what_is_no_file_is_a_clear_error(case: Case, tmp_path: Path) -> None:
    with pytest.raises(ChronoposeError):
        case.read(tmp_path / "gone" / case.file)
    (tmp_path / case.file).mkdir()
    with pytest.raises(ChronoposeError):
        case.read(tmp_path / case.file)


def mutated(sound: bytes, random: np.random.Generator) -> bytes:
    """A few bytes changed, taken out or doubled."""
    content = bytearray(sound)
    for _ in range(random.integers(1, 4)):
        at, length = int(random.integers(len(content))), int(random.integers(1, 9))
        kind = random.integers(4)
        if kind == 0:
            content[at] ^= 1 << random.integers(8)
        elif kind == 1:
            del content[at : at + length]
        elif kind == 2:
            content[at:at] = content[at : at + length]
        else:
            content[at : at + length] = random.bytes(length)
        if not content:
            break
    return bytes(content)


def test_random_damage_is_an_error_or_sound_numbers(case: Case, tmp_path: Path) -> None:
    if case.file.endswith(".h5"):
        pytest.skip("what the HDF5 library does with random bytes is not ours to promise")
    sound = sound_file(case, tmp_path).read_bytes()
    random = np.random.default_rng(1)
    path = tmp_path / case.file
    for _ in range(80):
        path.write_bytes(mutated(sound, random))
        try:
            found = case.read(path)
        except ChronoposeError:
            continue
        for frame in (f for s in found if isinstance(s, LabelledSequence) for f in s):
            assert not (np.abs(frame.xy) > 1.01e6).any()
            assert (np.isfinite(frame.xy).all(-1) == frame.known).all()


def test_every_format_is_tried() -> None:
    readers = {(f.module, f.reader) for f in LABEL_FORMATS.values() if f.module != "labels"}
    names = {n.split()[0] for n in CASES} & set(LABEL_FORMATS)
    tried = {(LABEL_FORMATS[n].module, LABEL_FORMATS[n].reader) for n in names}
    assert tried == readers


def test_an_archive_with_a_bad_member_names_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("20.json", '{"annolist": [5]}')
    with pytest.raises(ChronoposeError, match=r"mine\.zip: 20\.json: annolist\[0\]"):
        read_labels(path, "hieve_submission")

"""A model is measured with a detector's boxes, and the tracking metrics have ids to count."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from chronopose.cli.main import main
from chronopose.core.labels import LabelledFrame, LabelledSequence
from chronopose.core.skeletons import POSETRACK17SLOT
from chronopose.data.datasets.procedural import ProceduralVideo
from chronopose.io.labels import write_labels

VIDEO = "000342_mpii_test"
SHOWN = range(6, 31, 4)
"""Two people walk towards each other and are in one place in frame 18."""
UNTRAINED = "simple_baseline:lite@random"
HEAD = ["head_top", "nose", "head_bottom"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set in the layout of PoseTrack18, every fourth frame labelled, and boxes of a detector.

    The detector is 2 px off, lists the two people in turns, and misses one of them once.
    """
    root = tmp_path_factory.mktemp("posetrack18")
    video = ProceduralVideo(
        15, (320, 200), 60, 2, 10.0, skeleton="posetrack17slot", motions=("walk",),
        fill=(0.7, 0.8), obstacles=0, spread=0.7,
    )  # fmt: skip
    frames, boxes = [], []
    rng = np.random.default_rng(0)
    head = [POSETRACK17SLOT.index(j) for j in HEAD]
    for number in range(SHOWN.start, SHOWN.stop):
        seen = video.render(number)
        name = f"images/val/{VIDEO}/{number:06d}.jpg"
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(seen.image).save(path, quality=95)
        xy = seen.xy.astype(float)
        xy[:, [POSETRACK17SLOT.index(f"{s}_ear") for s in ("left", "right")]] = np.nan
        heads = np.concatenate([xy[:, head].min(1) - 3, xy[:, head].max(1) + 3], -1)
        labelled = number in SHOWN
        frame = LabelledFrame(
            name, number, POSETRACK17SLOT, xy, ids=seen.ids, boxes=seen.boxes, head_boxes=heads,
            labelled=labelled, image_id=10003420000 + number,
        )  # fmt: skip
        frames.append(frame if labelled else frame.select([]))
        for person in (1, 0) if number % 8 == 6 else (0, 1):
            if (number, person) == (22, 0):
                continue
            left, top, right, bottom = (seen.boxes[person] + rng.uniform(-2, 2, 4)).tolist()
            boxes.append({"image_name": name, "bbox": [left, top, right - left, bottom - top],
                          "score": 0.9 - 0.1 * person, "category_id": 1})  # fmt: skip
    sequence = LabelledSequence(VIDEO, POSETRACK17SLOT, tuple(frames))
    write_labels([sequence], root / "annotations" / "val", "posetrack18")
    (root / "val_boxes.json").write_text(json.dumps(boxes))
    return root


def evaluate(world: Path, *more: str, model: str = "tdmi:lite") -> int:
    return main(["evaluate", "--model", model, "--data", f"posetrack18:{world}",
                 "--boxes", str(world / "val_boxes.json"), *more])  # fmt: skip


def test_two_people_who_cross_keep_their_ids_and_mota_is_printed(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, mine = tmp_path / "result.json", tmp_path / "mine"
    code = evaluate(world, "--metric", "posetrack-mota", "--compat", "fixed", "--submission",
                    str(mine), "--json", str(out))  # fmt: skip
    said = capsys.readouterr()
    assert code == 0, said.err
    assert "linked by our tracker" in said.out
    assert "MOTA" in said.out
    frames = video_of(mine / f"{VIDEO}.json")
    labels = video_of(world / "annotations" / "val" / f"{VIDEO}.json")
    pairs = []
    for picture, truth in labels.items():
        for person, centre in frames[picture].items():
            nearest = min(truth, key=lambda i, c=centre, t=truth: float(np.hypot(*(t[i] - c))))
            pairs.append((picture % 10_000, nearest, person))
    assert len(pairs) == 2 * len(SHOWN) - 1  # one box was missed
    apart = {p[1:] for p in pairs if p[0] != 18}  # in frame 18 nobody is nearer than the other
    assert apart == {(2, 1), (1, 2)}  # whose box comes first is person 1, for good
    assert json.loads(out.read_text())["result"]["groups"]["Total"] > 30


def test_linking_can_be_switched_off_and_changes_nothing_but_ids(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--metric", "posetrack-ap", "--compat", "fixed", "--json")
    torch.manual_seed(0)
    assert evaluate(world, *options, str(tmp_path / "a"), model=UNTRAINED) == 0
    capsys.readouterr()
    torch.manual_seed(0)
    assert evaluate(world, *options, str(tmp_path / "b"), "--no-link", model=UNTRAINED) == 0
    assert "linked" not in capsys.readouterr().out
    linked, loose = (json.loads((tmp_path / n).read_text()) for n in "ab")
    assert (linked["linked"], loose["linked"]) == (True, False)
    assert linked["result"] == loose["result"]


def video_of(path: Path) -> dict[int, dict[int, np.ndarray]]:
    """Picture -> person -> middle of the box of a person."""
    found: dict[int, dict[int, np.ndarray]] = {}
    for person in json.loads(path.read_text())["annotations"]:
        left, top, width, height = person["bbox"]
        middle = np.array([left + width / 2, top + height / 2])
        found.setdefault(person["image_id"], {})[person["track_id"]] = middle
    return found

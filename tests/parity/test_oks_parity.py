"""OKS AP against pycocotools and faster-coco-eval: made-up crowds, and the real pictures."""

from __future__ import annotations

import json
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from chronopose.core.labels import LabelledFrame, LabelledSequence
from chronopose.core.skeleton import Skeleton
from chronopose.core.skeletons import COCO17, CROWDPOSE14
from chronopose.io.coco_labels import read_coco_labels
from chronopose.metrics.oks_ap import OKSAP

COCO_NAMES = ["AP", "AP50", "AP75", "AP_M", "AP_L", "AR", "AR50", "AR75", "AR_M", "AR_L"]
CROWD_NAMES = ["AP", "AP50", "AP75", "AR", "AR50", "AR75"]
GROUPS = ["AP_easy", "AP_medium", "AP_hard"]


def person(rng: np.random.Generator, joints: int, **wanted: Any) -> dict[str, Any]:
    """A labelled person somewhere in a 640 x 480 picture, from tiny to larger than the picture."""
    size = np.exp(rng.uniform(np.log(15), np.log(500), 2))
    at = rng.uniform(0, [600, 440])
    flag = rng.choice([0, 1, 2], joints, p=[0.25, 0.15, 0.6])
    if wanted.get("empty"):
        flag[:] = 0
    xy = np.round(at + rng.random((joints, 2)) * size)
    flat = np.where(flag[:, None] > 0, np.c_[xy, flag], 0).reshape(-1).tolist()
    return {
        "bbox": [*at.tolist(), *size.tolist()],
        "area": float(size.prod() * rng.uniform(0.3, 0.8)),
        "keypoints": flat,
        "num_keypoints": int((flag > 0).sum()),
        "iscrowd": int(wanted.get("crowd", False)),
        "category_id": 1,
    }


def found_from(
    rng: np.random.Generator, label: dict[str, Any], joints: int, px: float, levels: int
) -> dict[str, Any]:
    """A prediction of a labelled person, each joint off by about ``px``; coarse scores tie."""
    flat = np.array(label["keypoints"], float).reshape(joints, 3)
    left, top, width, height = label["bbox"]
    hidden = rng.random((joints, 2)) * [width, height] + [left, top]
    xy = np.where(flat[:, 2:] > 0, flat[:, :2], hidden) + rng.normal(0, px, (joints, 2))
    score = np.round(rng.random() * levels) / levels
    return {
        "category_id": 1, "score": float(score),
        "keypoints": np.c_[xy, np.ones(joints)].reshape(-1).tolist(),
    }  # fmt: skip


def world(
    seed: int, pictures: int = 40, joints: int = 17, people: int = 5, levels: int = 1000
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Labels and predictions: crowds, people without joints, doubles, misses, empty pictures."""
    rng = np.random.default_rng(seed)
    images, labels, found = [], [], []
    for image in rng.permutation(pictures) * 7 + 3:
        images.append({"id": int(image), "file_name": f"{image}.jpg", "crowdIndex": rng.random()})
        here = []
        for _ in range(rng.integers(0, people + 1)):
            kind = rng.random()
            here.append(person(rng, joints, crowd=kind < 0.1, empty=0.05 < kind < 0.2))
        for label in here:
            labels.append({**label, "id": len(labels) + 1, "image_id": int(image)})
            for _ in range(rng.choice([0, 1, 2], p=[0.15, 0.6, 0.25])):
                px = np.sqrt(label["area"]) * rng.choice([0.0, 0.02, 0.05, 0.1, 0.3])
                one = found_from(rng, label, joints, px, levels)
                found.append({**one, "image_id": int(image)})
        for _ in range(rng.integers(0, 3)):
            ghost = found_from(rng, person(rng, joints), joints, 0.0, levels)
            found.append({**ghost, "image_id": int(image)})
    category = [{"id": 1, "name": "person"}]
    return {"images": images, "annotations": labels, "categories": category}, found


def sequence_of(
    images: list[dict[str, Any]], people: list[dict[str, Any]], skeleton: Skeleton
) -> LabelledSequence:
    """The same annotations or results as a sequence, record for record."""
    frames = []
    for number, image in enumerate(images):
        own = [p for p in people if p["image_id"] == image["id"]]
        flat = np.array([p["keypoints"] for p in own], float).reshape(len(own), len(skeleton), 3)
        known = flat[..., 2:] > 0
        boxes = np.array([p.get("bbox", [np.nan] * 4) for p in own], float).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        crowd_index = {k: v for k, v in image.items() if k == "crowdIndex"}
        counts = [{"num_keypoints": p["num_keypoints"]} for p in own if "num_keypoints" in p]
        extra = crowd_index | ({"people": counts} if counts else {})
        frame = LabelledFrame(
            image["file_name"], number, skeleton, np.where(known, flat[..., :2], np.nan),
            person_score=np.array([p.get("score", np.nan) for p in own], float),
            boxes=boxes, area=np.array([p.get("area", np.nan) for p in own], float),
            crowd=np.array([p.get("iscrowd", 0) for p in own], bool),
            image_id=image["id"], extra=extra,
        )  # fmt: skip
        frames.append(frame)
    return LabelledSequence("made up", skeleton, tuple(frames), is_video=False)


def ours(
    labels: dict[str, Any], found: list[dict[str, Any]], skeleton: Skeleton, **settings: Any
) -> dict[str, float]:
    metric = OKSAP(skeleton, **settings)
    metric.update(
        sequence_of(labels["images"], labels["annotations"], skeleton),
        sequence_of(labels["images"], found, skeleton),
    )
    return dict(metric.compute().scores)


def published(
    labels: dict[str, Any], found: list[dict[str, Any]], sigmas: np.ndarray, most: int = 20
) -> list[float]:
    """The ten numbers of pycocotools, percent; NaN where it says -1."""
    coco, evaluation = pytest.importorskip("pycocotools.coco"), None
    from pycocotools.cocoeval import COCOeval

    with redirect_stdout(StringIO()):
        truth = coco.COCO()
        truth.dataset = json.loads(json.dumps(labels))
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(json.loads(json.dumps(found))), "keypoints")
        evaluation.params.kpt_oks_sigmas = sigmas
        evaluation.params.maxDets = [most]
        evaluation.evaluate()
        evaluation.accumulate()
    precision, recall = evaluation.eval["precision"], evaluation.eval["recall"]
    numbers = []
    for values, pick in ((precision, np.s_[:, :, 0]), (recall, np.s_[:, 0])):
        for size, row in ((0, slice(None)), (0, 0), (0, 5), (1, slice(None)), (2, slice(None))):
            cut = values[(*pick, size, 0)][row]
            numbers.append(100 * float(cut.mean()) if (cut > -1).all() else float("nan"))
    return numbers


def faster(
    labels: dict[str, Any], found: list[dict[str, Any]], sigmas: np.ndarray, file: Path
) -> list[float]:
    """The nine CrowdPose numbers of faster-coco-eval, percent; NaN where it says -1."""
    kit = pytest.importorskip("faster_coco_eval")
    file.write_text(json.dumps(labels))
    truth = kit.COCO(str(file))
    evaluation = kit.COCOeval_faster(
        truth, truth.loadRes(json.loads(json.dumps(found))), "keypoints_crowd",
        kpt_oks_sigmas=sigmas.tolist(), use_area=False, print_function=lambda *_: None,
    )  # fmt: skip
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return [100 * float(v) if v > -1 else float("nan") for v in evaluation.all_stats[:9]]


def agree(mine: dict[str, float], names: list[str], theirs: list[float], atol: float) -> None:
    np.testing.assert_allclose([mine[n] for n in names], theirs, rtol=0, atol=atol)


@pytest.mark.parametrize("seed", range(6))
def test_made_up_pictures_score_as_with_pycocotools(seed: int) -> None:
    labels, found = world(seed)
    mine = ours(labels, found, COCO17)
    assert 5 < mine["AP"] < 95
    agree(mine, COCO_NAMES, published(labels, found, COCO17.sigmas), 1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_scores_that_tie_within_and_between_pictures(seed: int) -> None:
    labels, found = world(10 + seed, levels=2)
    agree(ours(labels, found, COCO17), COCO_NAMES, published(labels, found, COCO17.sigmas), 1e-10)


def test_more_people_than_are_looked_at() -> None:
    labels, found = world(20, pictures=6, people=60, levels=5)
    assert max(sum(f["image_id"] == i["id"] for f in found) for i in labels["images"]) > 40
    theirs = published(labels, found, COCO17.sigmas)
    agree(ours(labels, found, COCO17), COCO_NAMES, theirs, 1e-10)
    agree(
        ours(labels, found, COCO17, max_people=7), COCO_NAMES,
        published(labels, found, COCO17.sigmas, most=7), 1e-10,
    )  # fmt: skip


def test_labels_that_stand_on_each_other_are_taken_in_the_same_order() -> None:
    labels, found = world(30, people=4)
    doubles = [
        {**a, "id": 1000 * factor + a["id"], "area": a["area"] * factor}
        for a in labels["annotations"] for factor in (1, 3)
    ]  # fmt: skip
    labels["annotations"] += doubles
    agree(ours(labels, found, COCO17), COCO_NAMES, published(labels, found, COCO17.sigmas), 1e-10)


def test_predictions_with_boxes_are_as_large_as_their_boxes() -> None:
    # COCO's loader takes the box's area where the results have boxes, else the joints' extent.
    labels, found = world(40, pictures=60)
    rng = np.random.default_rng(0)
    boxed = [{**f, "bbox": [0.0, 0.0, *rng.uniform(5, 300, 2).tolist()]} for f in found]
    mine = ours(labels, boxed, COCO17)
    agree(mine, COCO_NAMES, published(labels, boxed, COCO17.sigmas), 1e-10)
    plain = ours(labels, boxed, COCO17, prediction_area="joints")
    agree(plain, COCO_NAMES, published(labels, found, COCO17.sigmas), 1e-10)
    assert plain["AP_M"] != mine["AP_M"]


@pytest.mark.parametrize("kept", [0, 1])
def test_few_people_leave_sizes_without_a_score(kept: int) -> None:
    labels, found = world(50, pictures=10)
    labels["annotations"] = [
        {**a, "area": 1500.0} for a in labels["annotations"] if not a["iscrowd"]
    ][:kept]
    theirs = published(labels, found, COCO17.sigmas)
    assert np.isnan(theirs).sum() == (2 if kept else 10)
    agree(ours(labels, found, COCO17), COCO_NAMES, theirs, 1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_crowdpose_scores_as_with_faster_coco_eval(seed: int, tmp_path: Path) -> None:
    labels, found = world(60 + seed, pictures=50, joints=14, people=8, levels=20)
    for label in labels["annotations"]:
        flags = label["keypoints"][2::3]
        label["num_keypoints"] = sum(v > 0 for v in flags[:12])
    mine = ours(labels, found, CROWDPOSE14, compat="crowdpose")
    theirs = faster(labels, found, CROWDPOSE14.sigmas, tmp_path / "labels.json")
    agree(mine, CROWD_NAMES, theirs[:6], 1e-10)
    # The evaluation rounds the three groups to four digits of a share of one.
    agree(mine, GROUPS, theirs[6:], 0.00501)


def moved(labels: dict[str, Any], joints: int, seed: int = 0) -> list[dict[str, Any]]:
    """Two predictions of every labelled person of a real file, one good and one bad."""
    rng = np.random.default_rng(seed)
    found = []
    for label in labels["annotations"]:
        for share in (0.03, 0.12):
            side = np.sqrt(label["bbox"][2] * label["bbox"][3])
            one = found_from(rng, label, joints, share * side, 50)
            found.append({**one, "image_id": label["image_id"]})
    return found


@pytest.mark.data
@pytest.mark.parametrize("file", ["coco_mini/person_keypoints.json", "samples/coco/test_coco.json"])
def test_real_pictures_of_coco(file: str, shared_data: Path) -> None:
    labels = json.loads((shared_data / file).read_text())
    found = moved(labels, 17)
    mine = ours(labels, found, COCO17)
    assert 10 < mine["AP"] < 90
    agree(mine, COCO_NAMES, published(labels, found, COCO17.sigmas), 1e-10)


@pytest.mark.data
def test_real_pictures_of_crowdpose(shared_data: Path, tmp_path: Path) -> None:
    labels = json.loads((shared_data / "samples" / "crowdpose" / "test_crowdpose.json").read_text())
    found = moved(labels, 14)
    mine = ours(labels, found, CROWDPOSE14, compat="crowdpose")
    theirs = faster(labels, found, CROWDPOSE14.sigmas, tmp_path / "labels.json")
    agree(mine, CROWD_NAMES, theirs[:6], 1e-10)
    agree(mine, GROUPS, theirs[6:], 0.00501)


@pytest.mark.data
@pytest.mark.parametrize(
    ("file", "compat"),
    [
        ("coco_mini/person_keypoints.json", "coco"),
        ("samples/coco/test_coco.json", "coco"),
        ("samples/crowdpose/test_crowdpose.json", "crowdpose"),
    ],
)
def test_labels_read_from_files_score_a_hundred_against_themselves(
    file: str, compat: Literal["coco", "crowdpose"], shared_data: Path
) -> None:
    (truth,) = read_coco_labels(shared_data / file)
    metric = OKSAP(truth.skeleton, compat=compat)
    metric.update(truth, truth)
    result = metric.compute()
    assert result.scores["AP"] == pytest.approx(100)
    raw = json.loads((shared_data / file).read_text())["annotations"]
    assert result.people == sum(a["num_keypoints"] > 0 and not a["iscrowd"] for a in raw)

"""Average precision of boxes, by hand and against faster-coco-eval."""

import contextlib
import io

import numpy as np
import pytest

from chronopose.core.boxes import Boxes
from chronopose.errors import ShapeError
from chronopose.metrics.detection import BoxAP

NONE = np.zeros((0, 4))
PERSON = np.array([[0.0, 0, 10, 20]])


def found(*rows):
    rows = np.array(rows, np.float32).reshape(-1, 5)
    return Boxes(rows[:, :4], rows[:, 4])


def test_labels_as_predictions_score_a_hundred():
    metric = BoxAP()
    metric.update(found([0, 0, 10, 20, 0.9]), PERSON, NONE)
    result = metric.compute()
    assert (result.ap, result.recall, result.precision) == pytest.approx((100, 100, 100))


def test_a_second_box_on_the_same_person_is_wrong():
    metric = BoxAP()
    metric.update(found([0, 0, 10, 20, 0.9], [0, 0, 10, 19, 0.8]), PERSON, NONE)
    assert metric.compute().precision == pytest.approx(50)
    assert metric.compute().ap == pytest.approx(100)  # it comes after full recall


def test_a_wrong_box_before_the_right_one_halves_the_precision():
    metric = BoxAP()
    metric.update(found([50, 50, 60, 70, 0.9], [0, 0, 10, 20, 0.8]), PERSON, NONE)
    assert metric.compute().ap == pytest.approx(50)


def test_boxes_in_an_ignored_area_are_neither_right_nor_wrong():
    metric = BoxAP()
    crowd = np.array([[40.0, 40, 80, 80]])
    metric.update(found([50, 50, 60, 70, 0.9], [0, 0, 10, 20, 0.8]), PERSON, crowd)
    assert metric.compute().ap == pytest.approx(100)


def test_boxes_below_the_threshold_do_not_count_for_recall():
    metric = BoxAP(min_score=0.5)
    metric.update(found([0, 0, 10, 20, 0.4]), PERSON, NONE)
    result = metric.compute()
    assert result.recall == 0 and np.isnan(result.precision) and result.ap == pytest.approx(100)


def test_pictures_without_people_are_counted_but_cannot_be_scored():
    metric = BoxAP()
    metric.update(found(), NONE, NONE)
    assert np.isnan(metric.compute().ap) and metric.compute().pictures == 1


def test_boxes_of_another_shape_are_refused():
    with pytest.raises(ShapeError, match="labelled boxes must be"):
        BoxAP().update(found(), np.zeros((2, 3)), NONE)


@pytest.mark.parametrize("seed", range(4))
def test_it_agrees_with_faster_coco_eval(seed):
    coco_eval = pytest.importorskip("faster_coco_eval")
    rng = np.random.default_rng(seed)
    metric, images, labels, guesses = BoxAP(), [], [], []
    for picture in range(30):
        people = int(rng.integers(0, 7))
        corner, size = rng.uniform(0, 300, (people, 2)), rng.uniform(20, 120, (people, 2))
        truth = np.concatenate([corner, corner + size], 1)
        noisy = truth + rng.normal(0, 12, truth.shape)
        extra = rng.uniform(0, 300, (int(rng.integers(0, 5)), 2))
        boxes = np.concatenate([noisy[rng.random(people) < 0.8], np.hstack([extra, extra + 60])])
        boxes = np.concatenate([boxes[:, :2], np.maximum(boxes[:, 2:], boxes[:, :2] + 1)], 1)
        scores = rng.permutation(1000)[: len(boxes)] / 1000 + picture * 1e-6
        metric.update(Boxes(boxes.astype(np.float32), scores.astype(np.float32)), truth, NONE)
        images.append({"id": picture + 1, "width": 500, "height": 500})
        for box in truth:
            wide = [float(v) for v in (*box[:2], *(box[2:] - box[:2]))]
            labels.append(
                {"id": len(labels) + 1, "image_id": picture + 1, "category_id": 1, "bbox": wide,
                 "area": wide[2] * wide[3], "iscrowd": 0}
            )  # fmt: skip
        for box, score in zip(boxes.astype(np.float32), scores.astype(np.float32), strict=True):
            wide = [float(v) for v in (*box[:2], *(box[2:] - box[:2]))]
            guesses.append(
                {"image_id": picture + 1, "category_id": 1, "bbox": wide, "score": float(score)}
            )
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco_eval.COCO(
            {"images": images, "annotations": labels, "categories": [{"id": 1, "name": "person"}]}
        )
        judge = coco_eval.COCOeval_faster(truth, truth.loadRes(guesses), "bbox")
        judge.params.iouThrs = np.array([0.5])
        judge.evaluate()
        judge.accumulate()
    precision = judge.eval["precision"][0, :, 0, 0, -1]
    assert metric.compute().ap == pytest.approx(100 * precision.mean(), abs=1e-9)

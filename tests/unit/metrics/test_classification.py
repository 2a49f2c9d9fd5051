"""Accuracy, mean-class accuracy and confusion of made-up answers."""

from __future__ import annotations

import numpy as np
import pytest

from chronopose.errors import ShapeError
from chronopose.metrics.classification import Classification, mean_of_folds

FACES = ("happy", "sad", "angry")


def score(predicted: list[int], labels: list[int]) -> Classification:
    metric = Classification(FACES)
    metric.update(predicted, labels)
    return metric


def test_labels_as_predictions_score_a_hundred() -> None:
    result = score([0, 1, 2, 1], [0, 1, 2, 1]).compute()
    assert (result.accuracy, result.mean_class_accuracy) == (100, 100)


def test_rare_class_weighs_as_much_as_a_common_one_in_the_class_mean() -> None:
    # Three of three happy and none of one sad.
    result = score([0, 0, 0, 0], [0, 0, 0, 1]).compute()
    assert result.accuracy == 75
    assert result.mean_class_accuracy == 50
    assert np.isnan(result.per_class["angry"])


def test_confusion_has_labels_in_rows() -> None:
    result = score([2, 2, 0], [0, 1, 0]).compute()
    assert result.confusion.tolist() == [[1, 0, 1], [0, 0, 1], [0, 0, 0]]


def test_batches_add_up() -> None:
    metric = score([0], [0])
    metric.update([1, 1], [1, 2])
    assert metric.compute().accuracy == pytest.approx(200 / 3)


def test_folds_weigh_alike() -> None:
    folds = [score([0], [0]).compute(), score([0, 0, 0], [1, 1, 0]).compute()]
    assert mean_of_folds(folds) == (pytest.approx(200 / 3), pytest.approx(75))
    with pytest.raises(ShapeError, match="at least one fold"):
        mean_of_folds([])


def test_nothing_added_is_nan() -> None:
    result = Classification(FACES).compute()
    assert np.isnan([result.accuracy, result.mean_class_accuracy]).all()


def test_printed_result_ends_with_the_accuracy() -> None:
    lines = str(score([0, 0], [0, 1]).compute()).splitlines()
    assert lines[0] == "Accuracy of 2 pictures"
    assert lines[-1].split() == ["accuracy", "50.0"]


@pytest.mark.parametrize("bad", [[3], [-1], [0.5], [True]])
def test_answers_that_are_no_class_are_refused(bad: list[float]) -> None:
    with pytest.raises(ShapeError, match="The predictions must be whole numbers from 0 to 2"):
        score(bad, [0])  # type: ignore[arg-type]


def test_counts_must_agree() -> None:
    with pytest.raises(ShapeError, match=r"\(2,\) predictions and \(1,\) labels"):
        score([0, 1], [0])


def test_class_names_must_differ() -> None:
    with pytest.raises(ShapeError, match="different names"):
        Classification(["happy", "happy"])

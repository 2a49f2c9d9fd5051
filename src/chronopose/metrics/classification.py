"""Shares of right answers where each picture has one label, as for facial expressions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chronopose.errors import ShapeError
from chronopose.metrics._groups import known_mean


@dataclass(frozen=True)
class ClassificationResult:
    """What :meth:`Classification.compute` found. Shares are percent; NaN where nothing counts."""

    accuracy: float
    """Percent of all pictures that are right."""
    mean_class_accuracy: float
    """Plain mean of ``per_class`` over the classes that have pictures."""
    per_class: Mapping[str, float]
    """Class -> percent of its pictures that are right."""
    confusion: NDArray[np.int64]
    """``(C, C)`` counts: rows are labels, columns predictions."""

    def __str__(self) -> str:
        rows = [f"  {c:<16}{v:6.1f}" for c, v in self.per_class.items()]
        return "\n".join(
            [
                f"Accuracy of {int(self.confusion.sum())} pictures",
                *rows,
                f"  {'mean of classes':<16}{self.mean_class_accuracy:6.1f}",
                f"  {'accuracy':<16}{self.accuracy:6.1f}",
            ]
        )


class Classification:
    """Accuracy, mean-class accuracy and the confusion matrix.

    Args:
        classes: Names, in the order of the class numbers.

    Raises:
        ShapeError: there is no class, or one is named twice.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        if not self.classes or len(set(self.classes)) != len(self.classes):
            raise ShapeError(f"Classes must have different names; got {list(self.classes)}.")
        self._confusion = np.zeros((len(self.classes), len(self.classes)), np.int64)

    def update(self, predicted: ArrayLike, labels: ArrayLike) -> None:
        """Add pictures.

        Args:
            predicted: ``(N,)`` class numbers from 0.
            labels: ``(N,)`` class numbers from 0.

        Raises:
            ShapeError: shapes disagree, or a number is no class.
        """
        found, true = np.asarray(predicted), np.asarray(labels)
        if found.shape != true.shape or found.ndim != 1:
            raise ShapeError(
                f"{found.shape} predictions and {true.shape} labels: give one number a picture."
            )
        count = len(self.classes)
        for name, values in (("predictions", found), ("labels", true)):
            whole = values.dtype.kind in "iu" or not values.size
            if not whole or (values.size and not 0 <= values.min() <= values.max() < count):
                raise ShapeError(
                    f"The {name} must be whole numbers from 0 to {count - 1}, the classes "
                    f"{', '.join(self.classes)}; got {np.unique(values)[:10].tolist()}."
                )
        np.add.at(self._confusion, (true.astype(np.intp), found.astype(np.intp)), 1)

    def compute(self) -> ClassificationResult:
        """Score everything added so far."""
        right, total = np.diag(self._confusion), self._confusion.sum(1)
        share = np.where(total > 0, 100.0 * right / np.maximum(total, 1), np.nan).tolist()
        every = int(total.sum())
        return ClassificationResult(
            accuracy=100.0 * float(right.sum()) / every if every else float("nan"),
            mean_class_accuracy=known_mean(share),
            per_class=dict(zip(self.classes, share, strict=True)),
            confusion=self._confusion.copy(),
        )


def mean_of_folds(results: Sequence[ClassificationResult]) -> tuple[float, float]:
    """Plain means of accuracy and mean-class accuracy over folds, however large they are.

    Folds must share no person: where a person is on both sides, the number says little.

    Raises:
        ShapeError: there is no fold.
    """
    if not results:
        raise ShapeError("A cross-validation has at least one fold; got none.")
    return (
        float(np.mean([r.accuracy for r in results])),
        float(np.mean([r.mean_class_accuracy for r in results])),
    )

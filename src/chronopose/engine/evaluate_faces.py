"""evaluate_faces: what an expression network gets right, and what lies near what in its embedding.

Two questions that are often mixed up: which class the network names (accuracy), and whether faces
of one expression lie together, also in each slice (centroids, neighbours, retrieval, verification).
Wherever persons are known, nobody is compared with a picture of the same person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from chronopose.data.faces import FaceSet, person_folds, resized, without
from chronopose.errors import UsageError
from chronopose.metrics.classification import Classification, ClassificationResult
from chronopose.metrics.embedding import (
    Verification,
    class_centroids,
    nearest_centroid,
    nearest_neighbours_vote,
    recall_at_k,
    verification,
)
from chronopose.models._face import FaceModel
from chronopose.tensors.colours import normalise

KS = (1, 5, 10)
"""Neighbours that retrieval looks at."""
VOTERS = 5


@dataclass(frozen=True)
class FaceReport:
    """What :func:`evaluate_faces` found. Shares are percent.

    Args:
        classification: Accuracy, mean class accuracy and confusion of the named class.
        centroid: Accuracy of the nearest class mean of the whole embedding.
        neighbours: Accuracy of the vote of the five nearest.
        slices: Accuracy of the nearest class mean in each slice, in the order of the thresholds.
        recall: k -> queries with their class among the k nearest.
        verification: How well a distance tells whether a pair shows one expression.
    """

    classification: ClassificationResult
    centroid: float
    neighbours: float
    slices: tuple[float, ...]
    recall: dict[int, float]
    verification: Verification

    def numbers(self) -> dict[str, float]:
        """Everything that is one number, by name."""
        return {
            "accuracy": self.classification.accuracy,
            "mean_class_accuracy": self.classification.mean_class_accuracy,
            "centroid": self.centroid,
            "neighbours": self.neighbours,
            **{f"slice_{i + 1}": v for i, v in enumerate(self.slices)},
            **{f"recall@{k}": v for k, v in self.recall.items()},
            **self.verification.numbers(),
        }

    def __str__(self) -> str:
        slices = " ".join(f"{v:.1f}" for v in self.slices)
        recall = "  ".join(f"recall@{k} {v:.1f}" for k, v in self.recall.items())
        told = self.verification
        return "\n".join(
            [
                str(self.classification),
                f"nearest mean {self.centroid:.1f}  vote of {VOTERS} {self.neighbours:.1f}",
                f"nearest mean in each slice: {slices}",
                recall,
                f"verification: area {told.area:.3f}, equal error {told.equal_error:.3f}",
            ]
        )


def embed_faces(
    model: FaceModel,
    faces: FaceSet,
    *,
    batch_size: int = 128,
    flip_test: bool = False,
    device: str | torch.device = "cpu",
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logits and embeddings of a whole set.

    Args:
        model: Put into eval mode while it runs, and onto ``device``.
        faces: Pictures; each is brought to the network's size.
        batch_size: Pictures at once.
        flip_test: Average the logits, and the embeddings, of a picture and its mirror image.
        device: Where.

    Returns:
        ``(N, C)`` logits and ``(N, E)`` embeddings.
    """
    training = model.training
    model.to(device).eval()
    size = model.codec.crop_size
    logits, embeddings = [], []
    with torch.inference_mode():
        for start in range(0, len(faces), batch_size):
            rows = range(start, min(start + batch_size, len(faces)))
            pixels = np.stack([resized(faces.picture(i), size) for i in rows])
            batch = normalise(torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).float())
            batch = batch.contiguous(memory_format=torch.channels_last)
            out: Any = model(batch)
            if flip_test:
                mirrored = model(batch.flip(-1))
                out = type(out)(*((a + b) / 2 for a, b in zip(out, mirrored, strict=True)))
            logits.append(out.logits.float().cpu().numpy())
            embeddings.append(out.embedding.float().cpu().numpy())
    model.train(training)
    width = model.codec.classes
    if not logits:
        return np.empty((0, len(width)), np.float32), np.empty((0, 0), np.float32)
    return np.concatenate(logits), np.concatenate(embeddings)


def evaluate_faces(
    model: FaceModel,
    faces: FaceSet,
    *,
    reference: FaceSet | None = None,
    flip_test: bool = False,
    ks: Sequence[int] = KS,
    device: str | torch.device = "cpu",
) -> FaceReport:
    """Judge an expression network.

    Args:
        model: With weights.
        faces: Pictures to judge, with the model's classes in the model's order.
        reference: Labelled pictures that class means and neighbours are taken from, usually the
            training set. None: two halves of ``faces`` that share no person, each judged by the
            other; pictures of unknown persons count as different people.
        flip_test: See :func:`embed_faces`.
        ks: Neighbours that retrieval looks at.
        device: Where.

    Raises:
        UsageError: the classes differ, or there is no picture.
    """
    for part in (faces, reference):
        if part is not None and tuple(part.classes) != model.codec.classes:
            raise UsageError(
                f"The network tells {', '.join(model.codec.classes)}, and {part.name} has "
                f"{', '.join(part.classes)}. Use FacesJoined([...], classes=...) to bring it into "
                f"the network's order."
            )
    if not len(faces):
        raise UsageError(f"{faces.name} has no picture to judge.")
    logits, embedding = embed_faces(model, faces, flip_test=flip_test, device=device)
    metric = Classification(model.codec.classes)
    metric.update(logits.argmax(1), faces.labels)
    if reference is None:
        pairs = _halves(faces, embedding)
    else:
        known = embed_faces(model, reference, flip_test=flip_test, device=device)[1]
        pairs = [(known, reference.labels, np.arange(len(faces)))]
    count = int(getattr(model.config, "slices", 1))
    width = embedding.shape[1] // count
    cuts = [slice(i * width, (i + 1) * width) for i in range(count)]
    labels, classes = faces.labels, len(model.codec.classes)
    persons = faces.persons if (faces.persons != "").any() else None
    return FaceReport(
        classification=metric.compute(),
        centroid=_by_centroid(pairs, embedding, labels, classes, slice(None)),
        neighbours=_by_vote(pairs, embedding, labels),
        slices=tuple(_by_centroid(pairs, embedding, labels, classes, cut) for cut in cuts),
        recall=recall_at_k(embedding, labels, ks, persons),
        verification=verification(embedding, labels, persons),
    )


Pairs = list[tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]]
"""Embeddings and labels to learn from, and the rows that they judge."""


def _halves(faces: FaceSet, embedding: NDArray[np.float32]) -> Pairs:
    """Each half judged by the other; nobody is in both."""
    if len(faces) < 2:
        return [(embedding, faces.labels, np.arange(len(faces)))]
    try:
        folds = person_folds(faces.persons, 2, rule="even", alone=True)
    except UsageError:
        raise UsageError(
            f"All {len(faces)} pictures of {faces.name} show one person, so none can be judged by "
            f"others. Give a reference set."
        ) from None
    rest = [without(len(faces), fold) for fold in folds]
    return [(embedding[r], faces.labels[r], f) for r, f in zip(rest, folds, strict=True)]


def _by_centroid(
    pairs: Pairs,
    embedding: NDArray[np.float32],
    labels: NDArray[np.int64],
    classes: int,
    cut: slice,
) -> float:
    right = 0
    for known, names, rows in pairs:
        means = class_centroids(known[:, cut], names, classes)
        right += int((nearest_centroid(means, embedding[rows][:, cut]) == labels[rows]).sum())
    return 100 * right / len(labels)


def _by_vote(pairs: Pairs, embedding: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    right = 0
    for known, names, rows in pairs:
        right += int(
            (nearest_neighbours_vote(known, names, embedding[rows], VOTERS) == labels[rows]).sum()
        )
    return 100 * right / len(labels)

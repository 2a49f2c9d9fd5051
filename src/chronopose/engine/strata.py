"""Strata: one metric on each kind of sequence, where a data set tells kinds apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chronopose.core.labels import LabelledSequence
from chronopose.engine.score import Score, score
from chronopose.metrics._groups import table


def score_strata(
    predictions: Sequence[LabelledSequence],
    truth: Sequence[LabelledSequence],
    stratum: Callable[[str], str],
    metric: str,
    **options: Any,
) -> dict[str, Score]:
    """Score every stratum on its own: all its sequences together, as if there were no others.

    Args:
        predictions: As for :func:`~chronopose.engine.score.score`, of all strata.
        truth: Labelled sequences.
        stratum: Name of a sequence -> its stratum, empty for none.
        metric: Name of the metric.
        **options: Of the metric.

    Returns:
        Stratum -> its score, in the order in which they occur; nothing where no sequence has one.

    Raises:
        UsageError: there is no such metric or option.
        FormatError: a sequence has no prediction.
    """
    groups: dict[str, list[LabelledSequence]] = {}
    for sequence in truth:
        if name := stratum(sequence.name):
            groups.setdefault(name, []).append(sequence)
    return {name: score(predictions, group, metric, **options) for name, group in groups.items()}


def strata_table(scores: Mapping[str, Score]) -> str:
    """A row for each stratum if the metric has the papers' groups of joints, else its tables.

    Args:
        scores: As :func:`score_strata` returns them, at least one.
    """
    rows = {name: found.values.get("groups") for name, found in scores.items()}
    if all(isinstance(row, Mapping) for row in rows.values()):
        known = {
            name: {group: float("nan") if v is None else v for group, v in row.items()}
            for name, row in rows.items()
            if row is not None
        }
        return table(known)
    return "\n".join(f"{name}: {found.table}" for name, found in scores.items())

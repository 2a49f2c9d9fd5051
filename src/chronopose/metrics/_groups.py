"""The table of the video-pose papers: seven groups of joints, and all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

GROUPS: dict[str, tuple[str, ...]] = {
    "Head": ("head_top", "head_bottom", "nose"),
    "Shoulder": ("left_shoulder", "right_shoulder"),
    "Elbow": ("left_elbow", "right_elbow"),
    "Wrist": ("left_wrist", "right_wrist"),
    "Hip": ("left_hip", "right_hip"),
    "Knee": ("left_knee", "right_knee"),
    "Ankle": ("left_ankle", "right_ankle"),
}
"""Column of the papers' tables -> joints it is the plain mean of."""


def known_mean(values: Iterable[float]) -> float:
    """Mean of the values that are not NaN; NaN if there are none."""
    known = [v for v in values if not np.isnan(v)]
    return float(np.mean(known)) if known else float("nan")


def group_means(values: Mapping[str, float], *, skip_nan: bool) -> dict[str, float]:
    """Means of the papers' groups and ``"Total"``, the mean over the joints that are not NaN.

    Total is no mean of the groups: of 15 joints the head has three, so it weighs 3/15.

    Args:
        values: Joint -> value; groups without any of their joints become NaN.
        skip_nan: Leave NaN joints out of their group; otherwise one of them makes it NaN.
    """
    means = {}
    for group, joints in GROUPS.items():
        own = [values[j] for j in joints if j in values]
        means[group] = known_mean(own) if skip_nan or not own else float(np.mean(own))
    return means | {"Total": known_mean(values.values())}


def table(rows: Mapping[str, Mapping[str, float]]) -> str:
    """Rows of values under the names of their columns; NaN prints as a dash.

    Args:
        rows: Name of the row -> column -> value in percent; all rows have the same columns.
    """
    width = max([len(name) for name in rows] + [5])
    columns = list(next(iter(rows.values())))
    lines = [" " * (width + 2) + "".join(f"{c:>10}" for c in columns)]
    for name, row in rows.items():
        cells = ["-" if np.isnan(v) else f"{v:.1f}" for v in row.values()]
        lines.append(f"  {name:<{width}}" + "".join(f"{c:>10}" for c in cells))
    return "\n".join(lines)

"""Known people on disk, so that a run that died need not film them again."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from chronopose.data.moments import Footage
from chronopose.engine.known_people import KnownPeople
from chronopose.io.atomic import replacing


def kept_people(
    path: str | Path, made_of: Mapping[str, Any], make: Callable[[], KnownPeople]
) -> KnownPeople:
    """People of a file; made and written where there is none, or one of something else.

    Args:
        path: An ``.npz`` of ours; ``np.load`` alone can read it.
        made_of: Plain values that decide who they are.
        make: Makes them.

    Raises:
        FormatError: the disk refused.
    """
    wanted = json.dumps(dict(made_of), sort_keys=True)
    try:
        with np.load(path, allow_pickle=False) as stored:
            found = {name: stored[name] for name in stored.files}
        if str(found["made_of"]) == wanted:
            return _from_arrays(found)
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        pass
    people = make()
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, made_of=np.array(wanted), **_arrays(people))
    return people


def _arrays(people: KnownPeople) -> dict[str, Any]:
    films = people.footage
    found: dict[str, Any] = {
        "names": np.array([f.name for f in films]), "counts": np.array([len(f) for f in films]),
        "time_s": np.concatenate([f.time_s for f in films]),
        "frames": np.concatenate([f.frames for f in films]),
        "xyz_mm": np.concatenate(people.xyz_mm), "who": people.who,
        "apart": np.array(people.apart),
    }  # fmt: skip
    behind = [f.background for f in films if f.background is not None and f.background.ndim == 4]
    if behind:
        found["background"] = np.concatenate(behind)
    if people.traits is not None:
        found["traits"] = people.traits
    return found


def _from_arrays(found: Mapping[str, np.ndarray[Any, Any]]) -> KnownPeople:
    ends = np.cumsum(found["counts"])[:-1]
    parts = {
        name: np.split(found[name], ends)
        for name in ("time_s", "frames", "xyz_mm", "background")
        if name in found
    }
    behind = parts.get("background", [None] * len(found["counts"]))
    films = [
        Footage(str(name), time_s, frames, background=scene)
        for name, time_s, frames, scene in zip(
            found["names"], parts["time_s"], parts["frames"], behind, strict=True
        )
    ]
    return KnownPeople(
        films, parts["xyz_mm"], found["who"], found.get("traits"), bool(found["apart"])
    )

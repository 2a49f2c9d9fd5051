"""Card: what a weights file is, what it was trained on, how well it does and under which terms.

A card ``X.json`` lies beside its weights ``X.safetensors``. Reading cards needs no torch.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from chronopose.errors import UsageError, WeightsError

KIND = "chronopose weights card"
FORMAT = f"{KIND} 1"
"""Marks a JSON file as a card; other JSON files in a folder of weights are left alone."""
SHIPPED = Path(__file__).parent / "weights"
"""Folder of the weights that come with the package."""
VARIABLE = "CHRONOPOSE_WEIGHTS"
"""Environment variable with further folders, separated like those of PATH."""
RANDOM = "random"
"""Tag that asks for a network without trained weights."""

SCORE_FIELDS = ("data", "metric", "value", "command")


@dataclass(frozen=True, kw_only=True)
class Card:
    """What is known about a set of weights.

    Args:
        name: ``MODEL:PRESET`` or ``MODEL:PRESET@TAG``, the name to load it by.
        model: Model file, e.g. ``tdmi``.
        preset: Preset it started from.
        config: Every field of the model's Config, nested ones as dicts.
        skeleton: Registry name of the joints; empty for a network without joints.
        joints: Joint names in the order of the maps.
        normalisation: ``mean`` and ``std`` per channel of RGB in [0, 1], and the channel
            ``order``.
        codec: Settings of the codec: crop_size (px) and align; of heatmaps also stride (px),
            sigma (cells), activation, decoder, rounded.
        training_data: What it was trained on.
        terms: Under which terms the weights can be used.
        command: What to type to train them again.
        hardware: Machine and hours of the training.
        seeds: Random seeds of the training.
        scores: Measured results: ``data``, ``metric``, ``value`` and ``command`` each.
        notes: Anything else a user should know.
        storage: Type that tensors of two and more axes are stored in.
        parameters: Number of trainable and frozen parameters.
        sha256: Of the weights file; empty for weights that were never in a file.
        version: Version of chronopose that wrote the file.
        path: The weights file; not written to the card.

    Raises:
        UsageError: ``terms`` or ``training_data`` is empty, or a score lacks a field or a number.
    """

    name: str
    model: str
    preset: str
    config: Mapping[str, Any]
    skeleton: str
    joints: tuple[str, ...]
    normalisation: Mapping[str, Any]
    codec: Mapping[str, Any]
    training_data: str
    terms: str
    command: str
    hardware: str = ""
    seeds: tuple[int, ...] = ()
    scores: tuple[Mapping[str, Any], ...] = ()
    notes: str = ""
    storage: str = "float32"
    parameters: int = 0
    sha256: str = ""
    version: str = ""
    path: Path | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        for name in ("joints", "seeds", "scores"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("training_data", "terms"):
            if not str(getattr(self, name)).strip():
                raise UsageError(
                    f"The card of {self.name!r} has no {name}. Everybody who uses the weights "
                    f"has to know what they were trained on and under which terms: say it."
                )
        for score in self.scores:
            missing = [f for f in SCORE_FIELDS if f not in score]
            if missing:
                raise UsageError(
                    f"A score on the card of {self.name!r} has no {', '.join(missing)}. A number "
                    f"needs all of {', '.join(SCORE_FIELDS)}; got {dict(score)}."
                )
            if not isinstance(score["value"], (int, float)) or not math.isfinite(score["value"]):
                raise UsageError(
                    f"The {score['metric']} on the card of {self.name!r} must be a finite number; "
                    f"got {score['value']!r}."
                )

    def to_dict(self) -> dict[str, Any]:
        """The card as JSON values, without the path of the file."""
        out = asdict(replace(self, path=None))
        del out["path"]
        return {"format": FORMAT, **json.loads(json.dumps(out))}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], path: Path | None = None) -> Card:
        """Inverse of :meth:`to_dict`.

        Raises:
            WeightsError: fields are missing, or unknown to this version.
        """
        known = {f.name for f in fields(cls)} - {"path"}
        given = {k: v for k, v in values.items() if k != "format"}
        where = path if path is not None else "This card"
        if set(given) - known:
            raise WeightsError(
                f"{where} has fields that this version does not know: "
                f"{', '.join(sorted(set(given) - known))}. Update chronopose to use it."
            )
        for name in ("config", "normalisation", "codec"):
            if not isinstance(given.get(name, {}), Mapping):
                raise WeightsError(f"{where} is damaged: {name} must be a table of settings.")
        try:
            return cls(**given, path=path)
        except (TypeError, UsageError) as error:
            raise WeightsError(f"{where} is not a whole weights card: {error}") from error

    def markdown(self) -> str:
        """The card as a page section: facts, scores and how to load it."""
        codec = ", ".join(f"{k} {_short(v)}" for k, v in self.codec.items())
        facts = {
            "model": f"`{self.model}:{self.preset}`, {_count(self.parameters)} parameters",
            "joints": f"{self.skeleton}: {', '.join(self.joints)}" if self.joints else "",
            "codec": codec,
            "trained on": self.training_data,
            "terms": self.terms,
            "command": f"`{self.command}`" if self.command else "",
            "hardware": self.hardware,
            "seeds": ", ".join(map(str, self.seeds)),
            "stored as": self.storage,
            "sha256": f"`{self.sha256}`" if self.sha256 else "",
            "written by": f"chronopose {self.version}" if self.version else "",
            "notes": self.notes,
        }
        lines = [f"## {self.name}", "", "| | |", "|---|---|"]
        lines += [f"| {key} | {_cell(value)} |" for key, value in facts.items() if value]
        if self.scores:
            lines += ["", "| data | metric | value | command |", "|---|---|---|---|"]
            lines += [
                f"| {_cell(s['data'])} | {_cell(s['metric'])} | {_cell(s['value'])} "
                f"| `{_cell(s['command'])}` |"
                for s in self.scores
            ]
        loader = _loader(self.model)
        if loader == "zoo.load":
            lines += ["", "```python", "import chronopose", ""]
            lines += [f'chronopose.load("{self.name}")', "```"]
        elif loader:
            lines += ["", "```python", "from chronopose import zoo", ""]
            lines += [f'{loader}("{self.name}")', "```"]
        else:
            lines += ["", "Used by `chronopose predict --detector builtin`, which is the default."]
        return "\n".join(lines) + "\n"


def card_path(weights: Path) -> Path:
    """``X.json`` for ``X.safetensors``."""
    return weights.with_suffix(".json")


def read_card(path: Path) -> Card | None:
    """Read the card at ``path``; None if the file is JSON of another kind.

    Raises:
        WeightsError: the file cannot be read, or is a damaged card.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"Cannot read the weights card {path}: {error}. Copy it again from where the weights "
            f"came from, or remove it together with its weights."
        ) from error
    if not isinstance(values, dict) or not str(values.get("format", "")).startswith(KIND):
        return None
    if values["format"] != FORMAT:
        raise WeightsError(
            f"{path} is a card of the form {values['format']!r}; this version reads {FORMAT!r}. "
            f"Update chronopose to use it."
        )
    return Card.from_dict(values, path.with_suffix(".safetensors"))


def weight_folders() -> list[Path]:
    """Where weights are looked for: the package's own, then those of the environment variable."""
    further = os.environ.get(VARIABLE, "").split(os.pathsep)
    return [SHIPPED, *(Path(f).expanduser() for f in further if f.strip())]


def list_cards(folders: Sequence[Path] | None = None) -> list[Card]:
    """Every card whose weights lie beside it, in the order of the folders, then by file name.

    Args:
        folders: Where to look; None: the package and the folders of ``CHRONOPOSE_WEIGHTS``.

    Raises:
        WeightsError: a card is damaged.
    """
    places = weight_folders() if folders is None else folders
    return [card for folder in places for card in _cards_in(folder)]


def find_card(model: str, preset: str, tag: str | None = None) -> Card:
    """The card that a name means: in the first folder that has one for it.

    Without a tag a card without a tag is preferred; if there is none, the only one.

    Raises:
        WeightsError: there is none, or the name fits several.
    """
    wanted = f"{model}:{preset}" + (f"@{tag}" if tag else "")
    for folder in weight_folders():
        cards = [c for c in _cards_in(folder) if (c.model, c.preset) == (model, preset)]
        exact = [c for c in cards if c.name == wanted]
        if len(exact) == 1:
            return exact[0]
        if len(exact) > 1 or (cards and tag is None):
            found = exact or cards
            if len(found) == 1:
                return found[0]
            which = ", ".join(f"{c.name} ({c.path.name if c.path else '?'})" for c in found)
            raise WeightsError(
                f"{wanted!r} means several weights in {folder}: {which}. Give the whole name, or "
                f"the file with --weights."
            )
    raise WeightsError(_no_weights(wanted, f"{model}:{preset}"))


def _cards_in(folder: Path) -> Iterator[Card]:
    if not folder.is_dir():
        return
    for weights in sorted(folder.glob("*.safetensors")):
        path = card_path(weights)
        card = read_card(path) if path.is_file() else None
        if card is not None:
            yield card


def _no_weights(wanted: str, model: str) -> str:
    cards = list_cards()
    names = [c.name for c in cards]
    close = get_close_matches(wanted, names, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    places = [f"{f}" + ("" if f.is_dir() else " (not a folder)") for f in weight_folders()]
    return (
        f"There are no weights for {wanted!r}.{hint} Weights that are here: "
        f"{', '.join(names) or 'none'} (looked in {', '.join(places)}; {VARIABLE} adds folders). "
        f"Train some (see 'chronopose train --help') and give the file with --weights, or use "
        f"'{model}@{RANDOM}' for a network that has learnt nothing."
    )


def _loader(model: str) -> str:
    """Name of the function that loads a model file's weights; empty for the detector's."""
    from chronopose.models._find import NO_POSE, kind_of

    if model in NO_POSE:
        return ""
    return kind_of(model).load


def _short(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "×".join(map(str, value))
    return str(value)


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def _count(number: int) -> str:
    if number < 1000:
        return str(number)
    unit = min(int(math.log10(number)) // 3, 2)
    return f"{number / 1000**unit:.3g} {('', 'thousand', 'million')[unit]}"

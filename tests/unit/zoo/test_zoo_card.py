"""Cards: what they must say, how they are found, and that listing them needs no torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chronopose.errors import UsageError, WeightsError
from chronopose.zoo.card import SHIPPED, VARIABLE, Card, find_card, list_cards, weight_folders

SCORE = {"data": "LSPET 8501-9000", "metric": "PCK@0.2", "value": 61.5, "command": "evaluate it"}


def card(name: str = "tdmi:lite", **changes: Any) -> Card:
    model, _, preset = name.partition("@")[0].partition(":")
    values: dict[str, Any] = {
        "name": name,
        "model": model,
        "preset": preset,
        "config": {"crop_size": [192, 256], "tde": {"width": 16}},
        "skeleton": "lsp14",
        "joints": ("nose", "left_eye", "right_eye"),
        "normalisation": {"mean": [0.5], "std": [0.25], "order": "RGB"},
        "codec": {"stride": 4, "sigma": 2.0, "crop_size": [192, 256]},
        "training_data": "procedural video",
        "terms": "free to use",
        "command": "chronopose train it",
        "seeds": (0, 1),
        "scores": (SCORE,),
        "parameters": 8_134_538,
        "sha256": "ab" * 32,
        "version": "0.1.0",
    }
    return Card(**{**values, **changes})


def put(folder: Path, file: str, what: Card) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / f"{file}.safetensors").write_bytes(b"")
    (folder / f"{file}.json").write_text(json.dumps(what.to_dict()))
    return folder


@pytest.fixture
def look_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Search these folders and no shipped ones."""
    monkeypatch.setattr("chronopose.zoo.card.SHIPPED", tmp_path / "shipped")

    def set_folders(*folders: Path) -> None:
        monkeypatch.setenv(VARIABLE, os.pathsep.join(map(str, folders)))

    set_folders()
    return set_folders


def test_card_survives_its_json_form() -> None:
    there = json.loads(json.dumps(card().to_dict()))
    assert Card.from_dict(there) == card()


def test_card_without_terms_is_refused() -> None:
    with pytest.raises(UsageError, match="has no terms"):
        card(terms=" ")


def test_score_without_its_command_is_refused() -> None:
    bare = {k: v for k, v in SCORE.items() if k != "command"}
    with pytest.raises(UsageError, match="has no command"):
        card(scores=[bare])


@pytest.mark.parametrize("value", [float("nan"), "61.5"])
def test_score_that_is_no_finite_number_is_refused(value: Any) -> None:
    with pytest.raises(UsageError, match="finite number"):
        card(scores=[{**SCORE, "value": value}])


def test_markdown_names_terms_scores_and_how_to_load_it() -> None:
    page = card("tdmi:lite@real").markdown()
    assert "| terms | free to use |" in page
    assert "| LSPET 8501-9000 | PCK@0.2 | 61.5 | `evaluate it` |" in page
    assert 'chronopose.load("tdmi:lite@real")' in page
    assert "8.13 million parameters" in page


def test_markdown_cannot_be_broken_out_of_its_table() -> None:
    assert "| notes | a \\| b c |" in card(notes="a | b\nc").markdown()


def test_shipped_weights_come_first_and_the_variable_adds_folders(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(VARIABLE, os.pathsep.join(["one", "", "two"]))
    assert weight_folders() == [SHIPPED, Path("one"), Path("two")]


def test_cards_are_listed_by_folder_and_file_name(look_in: Any, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    put(one, "b", card("tdmi:lite@b"))
    put(one, "a", card("tdmi:lite@a"))
    put(two, "0", card("hrnet:w32"))
    look_in(one, two)
    assert [c.name for c in list_cards()] == ["tdmi:lite@a", "tdmi:lite@b", "hrnet:w32"]


def test_card_without_its_weights_is_not_listed(look_in: Any, tmp_path: Path) -> None:
    (put(tmp_path / "w", "a", card()) / "a.safetensors").unlink()
    look_in(tmp_path / "w")
    assert list_cards() == []


def test_other_json_beside_other_weights_is_left_alone(look_in: Any, tmp_path: Path) -> None:
    folder = put(tmp_path / "w", "a", card())
    (folder / "detector.x.safetensors").write_bytes(b"")
    (folder / "detector.x.json").write_text('{"name": "a detector"}')
    look_in(folder)
    assert [c.name for c in list_cards()] == ["tdmi:lite"]


def test_damaged_card_is_named(look_in: Any, tmp_path: Path) -> None:
    folder = put(tmp_path / "w", "a", card())
    page = folder / "a.json"
    page.write_text(page.read_text()[:-40])
    look_in(folder)
    with pytest.raises(WeightsError, match=r"a\.json"):
        list_cards()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"colour": "red"}, "colour"),
        ({"format": "chronopose weights card 9"}, "card 9"),
        ({"config": [1]}, "config"),
        ({"joints": 3}, "not a whole weights card"),
    ],
)
def test_card_of_another_form_is_refused(
    change: dict[str, Any], word: str, look_in: Any, tmp_path: Path
) -> None:
    folder = put(tmp_path / "w", "a", card())
    (folder / "a.json").write_text(json.dumps({**card().to_dict(), **change}))
    look_in(folder)
    with pytest.raises(WeightsError, match=word):
        list_cards()


def test_card_that_lacks_a_field_is_refused(look_in: Any, tmp_path: Path) -> None:
    values = card().to_dict()
    del values["model"]
    with pytest.raises(WeightsError, match="model"):
        Card.from_dict(values)


def test_name_without_a_tag_prefers_the_card_without_one(look_in: Any, tmp_path: Path) -> None:
    folder = put(tmp_path / "w", "a", card("tdmi:lite@real"))
    put(folder, "b", card("tdmi:lite"))
    look_in(folder)
    assert find_card("tdmi", "lite").name == "tdmi:lite"


def test_name_without_a_tag_finds_the_only_card(look_in: Any, tmp_path: Path) -> None:
    look_in(put(tmp_path / "w", "a", card("tdmi:lite@real")))
    assert find_card("tdmi", "lite").name == "tdmi:lite@real"


def test_name_without_a_tag_does_not_guess_between_two(look_in: Any, tmp_path: Path) -> None:
    folder = put(tmp_path / "w", "a", card("tdmi:lite@real"))
    put(folder, "b", card("tdmi:lite@fast"))
    look_in(folder)
    with pytest.raises(WeightsError, match=r"tdmi:lite@real .*, tdmi:lite@fast"):
        find_card("tdmi", "lite")


def test_an_earlier_folder_wins(look_in: Any, tmp_path: Path) -> None:
    one = put(tmp_path / "one", "a", card("tdmi:lite", notes="first"))
    two = put(tmp_path / "two", "a", card("tdmi:lite", notes="second"))
    look_in(one, two)
    assert find_card("tdmi", "lite").notes == "first"


def test_a_tag_is_looked_for_in_every_folder(look_in: Any, tmp_path: Path) -> None:
    one = put(tmp_path / "one", "a", card("tdmi:lite"))
    two = put(tmp_path / "two", "a", card("tdmi:lite@real"))
    look_in(one, two)
    assert find_card("tdmi", "lite", "real").path == two / "a.safetensors"


def test_missing_weights_error_lists_what_there_is_and_what_to_do(
    look_in: Any, tmp_path: Path
) -> None:
    look_in(put(tmp_path / "w", "a", card("tdmi:lite@real")), tmp_path / "gone")
    with pytest.raises(WeightsError) as caught:
        find_card("tdmi", "lite", "reel")
    for words in (
        "Did you mean 'tdmi:lite@real'",
        f"{tmp_path / 'gone'} (not a folder)",
        "chronopose train",
        "tdmi:lite@random",
    ):
        assert words in str(caught.value)


def test_listing_cards_does_not_start_torch() -> None:
    code = "import sys; from chronopose import zoo; zoo.list_cards(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_every_shipped_card_names_the_file_beside_it() -> None:
    files = {p.name for p in SHIPPED.glob("*.safetensors")}
    assert {c.path.name for c in list_cards([SHIPPED]) if c.path is not None} == files

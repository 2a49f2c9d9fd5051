"""Many clips to disk: stopped and taken up again, one process or two, never two kinds in one."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from made_assets import make_assets

from chronopose.errors import FormatError, UsageError
from chronopose.synth.clip_arrays import read_arrays
from chronopose.synth.generate import GenerateSettings, generate, origin
from chronopose.synth.scenario import ClipPlan, plans
from chronopose.synth.write import ClipFacts, ClipPlaces, list_clips

PLANS = plans(3, 7, ("clean", "blur"), people=(1, 1), frames=2, size=(64, 48), split="train")
NAMES = ["000007_clean", "000008_blur", "000009_clean"]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> GenerateSettings:
    """Small places of files, which are quickly read; everything else by code."""
    folder = make_assets(tmp_path_factory.mktemp("assets"), 1, 0)
    return GenerateSettings(assets=folder, renderer="soft")


@pytest.fixture(scope="module")
def whole(settings: GenerateSettings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three clips, made by one process; tests look at it and leave it alone."""
    out = tmp_path_factory.mktemp("whole")
    assert [new for _, _, new in generate(PLANS, out, settings)] == [True] * 3
    return out


def facts_by_name(found: list[tuple[ClipPlan, ClipFacts, bool]]) -> dict[str, ClipFacts]:
    return {plan.name: facts for plan, facts, _ in found}


def state(folder: Path) -> dict[str, tuple[int, int]]:
    files = [p for p in folder.rglob("*") if p.is_file()]
    return {p.as_posix(): (p.stat().st_mtime_ns, p.stat().st_size) for p in files}


def test_clips_are_written_with_all_that_decided_them(whole: Path, settings: GenerateSettings):
    assert list_clips(whole, "train") == NAMES
    arrays = read_arrays(ClipPlaces(whole, "train", NAMES[1]).arrays)
    assert len(arrays) == 2 and arrays.ids.tolist() == [1]
    told = json.loads(ClipPlaces(whole, "train", NAMES[1]).facts.read_text())["settings"]
    assert told["seed"] == 8 and told["difficulty"] == "blur" and told["people"] == [1, 1]
    assert told["environment"].startswith("place_00_1k@")
    assert told["renderer"] == "SoftRenderer" and told["supersample"] == 1
    [[body, motion]] = told["people_and_motions"]
    assert body.startswith("plain/") and motion.startswith("procedural/")


def test_what_is_there_is_left_alone(whole: Path, settings: GenerateSettings):
    before = state(whole)
    found = list(generate(PLANS, whole, settings))
    assert [(plan, new) for plan, _, new in found] == [(plan, False) for plan in PLANS]
    assert state(whole) == before


def test_a_stopped_run_goes_on_and_gives_the_same_labels(
    whole: Path, settings: GenerateSettings, tmp_path: Path
):
    run = generate(PLANS, tmp_path, settings)
    first = next(run)
    run.close()
    assert list_clips(tmp_path, "train") == NAMES[:1]
    before = state(tmp_path)
    found = list(generate(PLANS, tmp_path, settings))
    assert [new for _, _, new in found] == [False, True, True]
    assert {name: s for name, s in state(tmp_path).items() if name in before} == before
    assert facts_by_name([first, *found]) == facts_by_name(list(generate(PLANS, whole, settings)))


def test_half_a_clip_is_made_again(whole: Path, settings: GenerateSettings, tmp_path: Path):
    out = tmp_path / "copy"
    shutil.copytree(whole, out)
    ClipPlaces(out, "train", NAMES[2]).annotations.unlink()
    shutil.rmtree(ClipPlaces(out, "train", NAMES[0]).pictures)
    found = {plan.name: new for plan, _, new in generate(PLANS, out, settings)}
    assert found == {NAMES[0]: True, NAMES[1]: False, NAMES[2]: True}
    assert list_clips(out, "train") == NAMES


def test_two_workers_give_the_labels_and_pictures_of_one(
    whole: Path, settings: GenerateSettings, tmp_path: Path
):
    threads = os.environ.get("OMP_NUM_THREADS")
    found = list(generate(PLANS, tmp_path, settings, workers=2))
    assert all(new for _, _, new in found)
    assert facts_by_name(found) == facts_by_name(list(generate(PLANS, whole, settings)))
    for name in NAMES:
        one, two = (ClipPlaces(folder, "train", name) for folder in (whole, tmp_path))
        assert (one.pictures / "000001.jpg").read_bytes() == (
            two.pictures / "000001.jpg"
        ).read_bytes()
    assert os.environ.get("OMP_NUM_THREADS") == threads


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"frames": 3}, "another or no frames"),
        ({"people": (2, 2)}, "another or no people"),
        ({"size": (64, 64)}, "another or no size"),
    ],
)
def test_another_plan_in_the_same_folder_is_an_error(
    whole: Path, settings: GenerateSettings, other: dict, told: str
):
    before = state(whole)
    wanted = [PLANS[0], replace(PLANS[1], **other)]
    with pytest.raises(UsageError, match=f"already holds the clip 000008_blur.*{told}"):
        list(generate(wanted, whole, settings))
    assert state(whole) == before


def test_other_assets_pictures_or_layers_in_the_same_folder_are_errors(
    whole: Path, settings: GenerateSettings
):
    for other, told in (
        ({"assets": None}, "assets"), ({"pictures": "png"}, "pictures"),
        ({"layers": ("masks", "flow")}, "masks, flow"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=f"made with another or no {told}"):
            list(generate(PLANS, whole, replace(settings, **other)))


def test_a_clip_of_an_older_generator_is_an_error(
    whole: Path, settings: GenerateSettings, tmp_path: Path
):
    out = tmp_path / "copy"
    shutil.copytree(whole, out)
    facts = ClipPlaces(out, "train", NAMES[0]).facts
    facts.write_text(json.dumps(json.loads(facts.read_text()) | {"version": 0}))
    with pytest.raises(UsageError, match="another or no version"):
        list(generate(PLANS, out, settings))


def test_layers_are_written_when_wanted(settings: GenerateSettings, tmp_path: Path):
    wanted = replace(settings, layers=("masks", "depth", "flow"), pictures="png")
    [(_, facts, _)] = generate(PLANS[:1], tmp_path, wanted)
    arrays = read_arrays(ClipPlaces(tmp_path, "train", NAMES[0]).arrays)
    assert arrays.masks is not None and arrays.depth is not None and arrays.flow is not None
    assert (arrays.masks == 1).any() and facts.pictures == "png"
    assert [new for _, _, new in generate(PLANS[:1], tmp_path, wanted)] == [False]


def test_the_origin_of_a_clip_can_be_written_down():
    from chronopose.synth.assets import Assets

    told = origin(PLANS[1], Assets())
    assert json.loads(json.dumps(told)) == told
    assert told["assets"] == "plain" and told["size"] == [64, 48]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"layers": ("foo",)}, "no layer 'foo'. Known: masks, depth, flow"),
        ({"renderer": "cuda"}, "no renderer 'cuda'. Known: auto, gl, soft"),
        ({"pictures": "gif"}, "no kind of pictures 'gif'. Known: jpg, png, mp4"),
        ({"supersample": 0}, "supersample is 1 to 4; got 0"),
    ],
)
def test_unknown_settings_are_refused_with_those_that_there_are(wrong: dict, told: str):
    with pytest.raises(UsageError, match=told):
        GenerateSettings(**wrong)


def test_no_worker_two_clips_of_one_name_and_a_missing_bank_leave_nothing_behind(
    settings: GenerateSettings, tmp_path: Path
):
    out = tmp_path / "out"
    with pytest.raises(UsageError, match="at least one worker; got 0"):
        list(generate(PLANS, out, settings, workers=0))
    with pytest.raises(UsageError, match="Two clips of train are called 000007_clean"):
        list(generate([PLANS[0], replace(PLANS[0], frames=9)], out, settings))
    with pytest.raises(FormatError, match="There is no bank"):
        list(generate(PLANS, out, replace(settings, bank=tmp_path / "none.npz")))
    assert not out.exists()

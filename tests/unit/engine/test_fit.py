"""Training runs: what they leave behind, and going on after a stop."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from chronopose.data.datasets.procedural import ProceduralClips
from chronopose.data.transforms import strong
from chronopose.engine.checkpoint import read_checkpoint
from chronopose.engine.fit import fit, load_best
from chronopose.engine.settings import Phase, TrainSettings
from chronopose.errors import SkeletonMismatch, UsageError, WeightsError

SETTINGS = TrainSettings(
    phases=(
        Phase(steps=5, crop_size=(32, 32), batch_size=4, sigma=1.5),
        Phase(steps=4, crop_size=(48, 48), batch_size=2, lr=(2e-3, 0.0)),
    ),
    warmup_steps=2, val_every=4, save_every=3, log_every=2, val_batch_size=4,
)  # fmt: skip


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> tuple[ProceduralClips, ProceduralClips]:
    cache = tmp_path_factory.mktemp("cache")
    return tuple(
        ProceduralClips(n, seed, frames=1, size=(48, 48), cache=cache)
        for n, seed in ((12, 0), (5, 900))
    )  # type: ignore[return-value]


@pytest.fixture
def train(people, make_small, tmp_path):
    def go(
        folder: str, settings: TrainSettings = SETTINGS, resume: object = False, *, data=None,
        model=None, seed: int = 0, name: str = "",
    ):  # fmt: skip
        return fit(
            model or make_small(seed), data or people[0], people[1], settings, tmp_path / folder,
            resume, augmentation=strong(), device="cpu", quiet=True, name=name,
        )  # fmt: skip

    return go


def losses(folder: Path) -> list[tuple[str, str, str]]:
    with (folder / "train.csv").open(newline="") as file:
        return [(r["step"], r["loss"], r["grad_norm"]) for r in csv.DictReader(file)]


def same(first: Path, second: Path) -> bool:
    a, b = (read_checkpoint(f / "last.ckpt") for f in (first, second))
    return all(
        torch.equal(a[part][name], b[part][name]) for part in ("model", "ema") for name in a[part]
    )


def test_a_run_leaves_its_record_log_picture_and_checkpoints(train, tmp_path):
    result = train("run", name="try")
    folder = tmp_path / "run"
    assert result.steps == 9
    assert {p.name for p in folder.iterdir()} >= {
        "run.json", "train.csv", "val.csv", "batch.png", "last.ckpt", "best.ckpt",
    }  # fmt: skip
    record = json.loads((folder / "run.json").read_text())
    assert (record["name"], record["finished"], record["steps"]) == ("try", True, 9)
    assert record["train_data"]["samples"] == 12
    assert [r[0] for r in losses(folder)] == ["2", "4", "6", "8", "9"]
    assert Image.open(folder / "batch.png").size[0] > 100


def test_two_runs_with_one_seed_are_equal(train, tmp_path):
    train("a")
    train("b")
    assert same(tmp_path / "a", tmp_path / "b")
    assert losses(tmp_path / "a") == losses(tmp_path / "b")


def test_another_seed_gives_another_run(train, tmp_path):
    train("a")
    train("b", replace(SETTINGS, seed=1))
    assert losses(tmp_path / "a") != losses(tmp_path / "b")


class Breaks:
    """Training data that fail for good once a number of samples has been read."""

    def __init__(self, source: ProceduralClips, after: int) -> None:
        self.source, self.left = source, after
        self.skeleton = source.skeleton

    def __len__(self) -> int:
        return len(self.source)

    def sample(self, index: int, rng: np.random.Generator):
        self.left -= 1
        if self.left < 0:
            raise OSError("the disk is gone")
        return self.source.sample(index, rng)

    def fingerprint(self) -> str:
        return self.source.fingerprint()


@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_a_run_that_broke_off_goes_on_as_if_it_had_not(train, people, tmp_path, optimiser: str):
    settings = replace(SETTINGS, optimiser=optimiser)
    train("whole", settings)
    # Four samples for the picture of a batch and four a step: fails in step 5, in the middle of
    # a phase and of a row of the log; the newest checkpoint is that of step 3.
    with pytest.raises(OSError, match="disk is gone"):
        train("parts", settings, data=Breaks(people[0], 4 + 4 * 4 + 2))
    assert read_checkpoint(tmp_path / "parts" / "last.ckpt")["step"] == 3
    # The weights given to a resumed run do not matter: the checkpoint's are used.
    assert train("parts", settings, resume="auto", seed=7).steps == 9
    assert same(tmp_path / "whole", tmp_path / "parts")
    assert losses(tmp_path / "whole") == losses(tmp_path / "parts")


def test_passes_can_be_added_up_and_resumed(train, tmp_path):
    settings = replace(SETTINGS, accumulate=2)
    train("whole", settings)
    train("parts", replace(settings, limit_batches=4))
    train("parts", settings, resume=True)
    assert same(tmp_path / "whole", tmp_path / "parts")


def test_resuming_a_finished_run_does_nothing(train, tmp_path):
    train("run")
    before = (tmp_path / "run" / "last.ckpt").read_bytes()
    assert train("run", resume="auto").steps == 9
    assert (tmp_path / "run" / "last.ckpt").read_bytes() == before


def test_a_folder_with_a_run_is_not_overwritten(train):
    train("run", replace(SETTINGS, limit_batches=1))
    with pytest.raises(UsageError, match="already holds a run"):
        train("run")


def test_there_must_be_something_to_resume(train):
    with pytest.raises(UsageError, match="nothing to resume"):
        train("run", resume=True)


def test_a_run_is_not_resumed_with_other_settings(train):
    train("run", replace(SETTINGS, limit_batches=1))
    with pytest.raises(UsageError, match="weight_decay"):
        train("run", replace(SETTINGS, weight_decay=0.1), resume=True)


def test_a_run_is_not_resumed_with_other_data(train, make_small, tmp_path):
    train("run", replace(SETTINGS, limit_batches=1))
    other = ProceduralClips(12, 50, frames=1, size=(48, 48))
    with pytest.raises(UsageError, match="train_data"):
        fit(make_small(), other, None, SETTINGS, tmp_path / "run", True,
            augmentation=strong(), quiet=True)  # fmt: skip


def test_a_damaged_checkpoint_is_a_clear_error(train, tmp_path):
    train("run", replace(SETTINGS, limit_batches=1))
    (tmp_path / "run" / "last.ckpt").write_bytes(b"half")
    with pytest.raises(WeightsError):
        train("run", resume="auto")


def test_model_and_data_must_name_the_same_joints(make_small, tmp_path):
    coco = ProceduralClips(4, frames=1, size=(48, 48), skeleton="coco17")
    with pytest.raises(SkeletonMismatch, match="coco17"):
        fit(make_small(), coco, None, SETTINGS, tmp_path / "run", quiet=True)


def test_overfitting_uses_only_the_few_and_no_augmentation(train, tmp_path):
    train("run", replace(SETTINGS, overfit=3, limit_batches=2))
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["train_data"]["samples"] == record["val_data"]["samples"] == 3
    assert record["augmentation"] == []


def test_the_best_weights_can_be_loaded(train, make_small, tmp_path):
    train("run")
    state = read_checkpoint(tmp_path / "run" / "best.ckpt")
    model = load_best(make_small(5), tmp_path / "run")
    assert torch.equal(model.head.weight, state["model"]["head.weight"])
    assert not model.training


def test_a_model_of_clips_trains_on_clips(make_small, tmp_path):
    clips = ProceduralClips(4, frames=3, size=(48, 48))
    result = fit(make_small(frames=3), clips, clips, replace(SETTINGS, limit_batches=2),
                 tmp_path / "run", device="cpu", quiet=True)  # fmt: skip
    assert result.steps == 2


def test_frozen_weights_stay_as_they_are(train, make_small):
    model = make_small()
    model.body[0].requires_grad_(False)
    before = model.body[0].weight.clone()
    result = train("run", model=model)
    assert torch.equal(result.model.body[0].weight, before)
    assert not torch.equal(result.model.head.weight, make_small().head.weight)

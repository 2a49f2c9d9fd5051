"""Training by turns: each side moves its own weights, and a run that stopped goes on the same."""

from __future__ import annotations

import copy
import csv
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from chronopose.core.skeletons import get_skeleton
from chronopose.data.datasets.procedural import ProceduralClips
from chronopose.engine.checkpoint import read_checkpoint
from chronopose.engine.feature_bank import FeatureBank
from chronopose.engine.fit import fit
from chronopose.engine.fit_kept import KeptSettings, fit_kept
from chronopose.engine.kept import use_kept
from chronopose.engine.module import PoseModule, make_target
from chronopose.engine.settings import Phase, TrainSettings
from chronopose.engine.turns import Turns
from chronopose.errors import FormatError, ShapeError, UsageError
from chronopose.models._find import build_model
from chronopose.tensors import ClipBatch, ClipOutput

CROP = (32, 32)
JOINTS = len(get_skeleton("lsp14"))
ADVERSARY = {"adversary.widths": (4, 8, 8), "adversary.lr": 1e-2}
SETTINGS = TrainSettings(
    phases=(Phase(steps=6, crop_size=CROP, batch_size=2, lr=(1e-3, 1e-3)),), warmup_steps=0,
    val_every=0, save_every=2, log_every=2, precision="fp32", optimiser="rmsprop",
    weight_decay=0.0,
)  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@cache
def _untrained() -> Any:
    torch.manual_seed(0)
    return build_model("dkd:lite", crop_size=CROP, width=8, kernel=3, **ADVERSARY)


def dkd() -> Any:
    """A small dkd:lite, the same every time."""
    return copy.deepcopy(_untrained())


def a_batch(seed: int, clips: int = 2, frames: int = 3, key: int = 2) -> ClipBatch:
    numbers = torch.Generator().manual_seed(seed)
    joints = torch.rand(clips, frames, JOINTS, 2, generator=numbers) * 28 + 2
    pictures = torch.randn(clips, frames, 3, CROP[1], CROP[0], generator=numbers)
    known = torch.ones(clips, frames, JOINTS, dtype=torch.bool)
    return ClipBatch(pictures, joints, known, key, torch.eye(2, 3).repeat(clips, 1, 1))


# ---- targets of whole clips ---------------------------------------------------------------------


def test_the_target_of_a_clip_holds_that_of_its_key_frame():
    codec, batch = dkd().codec, a_batch(0)
    batch.joints[0, 0, 0] = torch.tensor([-5.0, 3.0])
    alone, whole = make_target(codec, batch), make_target(codec, batch, whole_clip=True)
    assert alone.clip is None and whole.clip is not None
    for a, b in zip(alone[:3], whole[:3], strict=True):
        assert torch.equal(a, b)
    assert torch.equal(whole.clip.heatmaps[:, 2], alone.heatmaps)
    first = codec.encode(batch.joints[:, 1], batch.visible[:, 1])
    assert torch.equal(whole.clip.heatmaps[:, 1], first.heatmaps)
    assert whole.clip.weight[0, 0, 0] == 0
    assert whole.clip.weight.sum() == 2 * 3 * JOINTS - 1
    # A cell of the map is four pixels wide.
    assert whole.clip.pictures.shape == (2, 3, 3, 8, 8)
    mean = batch.frames[1, 2, 0, 4:8, 8:12].mean()
    torch.testing.assert_close(whole.clip.pictures[1, 2, 0, 1, 2], mean)


def test_kept_features_are_no_pictures():
    batch = a_batch(0)
    kept = batch._replace(frames=batch.frames.repeat(1, 1, 2, 1, 1))
    with pytest.raises(ShapeError, match="6"):
        make_target(dkd().codec, kept, whole_clip=True)


# ---- two optimisers -----------------------------------------------------------------------------


def test_each_optimiser_moves_its_own_weights_alone():
    model = dkd().train()
    turns = Turns(model.phases())
    target = make_target(model.codec, a_batch(1), whole_clip=True)
    output = model(a_batch(1).frames)
    before = copy.deepcopy((model.state_dict(), turns.network.state_dict()))
    turns.learn(output, target)
    assert all(p.grad is None for p in model.parameters())
    turns.step()
    assert all(torch.equal(v, before[0][k]) for k, v in model.state_dict().items())
    moved = [
        k for k, v in turns.network.state_dict().items()
        if k.endswith("weight") and not torch.equal(v, before[1][k])
    ]  # fmt: skip
    assert len(moved) == 13  # seven layers, six norms

    middle = copy.deepcopy(turns.network.critic.head.weight)
    terms = turns.network.generator_terms(model(a_batch(1).frames), target)
    terms["adversarial"].backward()
    assert all(p.grad is None for p in turns.network.parameters())
    # The norm before the output starts at zero, so nothing behind it is moved yet.
    assert model.head_norm.weight.grad.abs().sum() > 0
    assert torch.equal(turns.network.critic.head.weight, middle)


def test_the_critic_learns_to_reconstruct_the_labels_changes():
    turns = Turns(dkd().phases())
    target = make_target(dkd().codec, a_batch(3), whole_clip=True)
    still = torch.zeros_like(target.clip.heatmaps)
    errors = []
    for _ in range(30):
        turns.learn(ClipOutput(still[:, -1], still), target)
        errors.append(turns.step()["real"])
    assert errors[-1] < 0.7 * errors[0]


def test_several_devices_are_refused():
    with pytest.raises(UsageError, match="devices=2"):
        PoseModule(dkd(), replace(SETTINGS, devices=2))


# ---- a run --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> ProceduralClips:
    # Five frames around the key frame; the network takes the first three.
    return ProceduralClips(6, frames=5, size=(48, 48), cache=tmp_path_factory.mktemp("cache"))


class Breaks:
    """Data that fail for good once a number of samples has been read."""

    def __init__(self, source: ProceduralClips, after: int) -> None:
        self.source, self.left, self.skeleton = source, after, source.skeleton

    def __len__(self) -> int:
        return len(self.source)

    def sample(self, index: int, rng: np.random.Generator):
        self.left -= 1
        if self.left < 0:
            raise OSError("the disk is gone")
        return self.source.sample(index, rng)

    def fingerprint(self) -> str:
        return self.source.fingerprint()


def test_a_run_by_turns_that_broke_off_goes_on_as_if_it_had_not(people, tmp_path: Path):
    def go(folder: str, data: Any, resume: bool = False) -> None:
        fit(dkd(), data, None, SETTINGS, tmp_path / folder, resume, device="cpu", quiet=True)

    go("whole", people)
    # Two samples for the picture of a batch and two a step: fails in step 4.
    with pytest.raises(OSError, match="disk is gone"):
        go("parts", Breaks(people, 2 + 3 * 2 + 1))
    assert read_checkpoint(tmp_path / "parts" / "last.ckpt")["step"] == 2
    go("parts", people, resume=True)
    a, b = (read_checkpoint(tmp_path / f / "last.ckpt") for f in ("whole", "parts"))
    for name, value in a["model"].items():
        assert torch.equal(value, b["model"][name])
    for name, value in a["adversary"]["network"].items():
        assert torch.equal(value, b["adversary"]["network"][name])
    fresh = dkd().state_dict()
    assert all(torch.equal(v, fresh[k]) for k, v in a["model"].items() if k.startswith("back"))
    assert not torch.equal(a["model"]["head_norm.weight"], fresh["head_norm.weight"])
    with (tmp_path / "whole" / "train.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {"adversarial", "heatmap", "real", "fake", "balance"} <= set(rows[0])
    for row in rows:
        parts = float(row["heatmap"]) + 1e-3 * float(row["adversarial"])
        assert float(row["loss"]) == pytest.approx(parts, rel=1e-4)


# ---- on a feature bank --------------------------------------------------------------------------


def built(folder: Path, complete: bool = True) -> FeatureBank:
    batches = [a_batch(seed, frames=5, key=2) for seed in range(2)]
    backbone = copy.deepcopy(_untrained().backbone)
    bank = FeatureBank.build(folder, batches, 4, backbone, None, {"made": "here"})
    if complete:
        bank.complete(iter(batches))
    return bank


def test_a_completed_bank_gives_the_labels_and_pictures_of_all_frames(tmp_path: Path):
    bank = built(tmp_path / "bank", complete=False)
    before = (bank.folder / "features.npy").read_bytes()
    rows = np.array([3, 0])
    with pytest.raises(UsageError, match="key frames alone"):
        bank.batch(rows, (-2, -1, 0), whole_clip=True)
    batches = [a_batch(seed, frames=5, key=2) for seed in range(2)]
    with pytest.raises(FormatError, match="not those"):
        bank.complete(reversed(batches))
    assert not bank.is_complete
    bank.complete(batches)
    found = bank.batch(rows, (-2, -1, 0), whole_clip=True)
    assert found.key == 2
    assert torch.equal(found.joints[0], batches[1].joints[1, :3])
    assert torch.equal(found.joints[1], batches[0].joints[0, :3])
    wanted = make_target(dkd().codec, batches[1], whole_clip=True).clip.pictures[1, :3]
    torch.testing.assert_close(found.pictures[0], wanted, atol=2e-3, rtol=0)
    alone = bank.batch(rows, (-2, -1, 0))
    assert torch.equal(alone.joints[:, 0], found.joints[:, 2])
    assert (bank.folder / "features.npy").read_bytes() == before


KEPT = KeptSettings(steps=6, batch_size=2, save_every=2, warmup_steps=1, lr=3e-3)


def test_a_model_by_turns_is_not_trained_on_a_bank_of_key_frames(tmp_path: Path):
    with pytest.raises(UsageError, match="complete"):
        fit_kept(use_kept(dkd()), built(tmp_path / "b", complete=False), KEPT, tmp_path / "run")


def test_kept_training_by_turns_that_died_ends_with_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    bank = built(tmp_path / "bank")
    straight, curve = fit_kept(use_kept(dkd()), bank, KEPT, tmp_path / "straight")
    assert {"adversarial", "real", "fake", "balance"} <= set(curve[-1])
    whole, seen = FeatureBank.batch, iter(range(100))

    def batch(self: FeatureBank, *args: Any, **more: Any) -> ClipBatch:
        if next(seen) == 3:
            raise KeyboardInterrupt
        return whole(self, *args, **more)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(FeatureBank, "batch", batch)
        fit_kept(use_kept(dkd()), bank, KEPT, tmp_path / "dead")
    torch.manual_seed(99)
    resumed, again = fit_kept(use_kept(dkd()), bank, KEPT, tmp_path / "dead")
    for name, value in straight.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value)
    assert curve[-1] == again[-1]

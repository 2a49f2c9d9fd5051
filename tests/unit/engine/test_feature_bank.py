"""Kept features: the same model gives the same answer, and training on them can be stopped."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from chronopose.core.skeletons import get_skeleton
from chronopose.data.clips import Sample
from chronopose.data.loader import ClipShape, eval_batches
from chronopose.engine.evaluate import predict_samples
from chronopose.engine.feature_bank import FLOW_CHANNELS, FeatureBank
from chronopose.engine.fit_kept import KeptSettings, fit_kept
from chronopose.engine.kept import hold_still, predict_kept, stages_of, use_kept
from chronopose.errors import FormatError, ShapeError, UsageError
from chronopose.models._base import PoseModel
from chronopose.models._find import build_model
from chronopose.tensors import ClipBatch

CROP = (32, 64)
JOINTS = len(get_skeleton("lsp14"))


@cache
def tdmi() -> Any:
    """tdmi:lite on tiny crops with a head past its start."""
    torch.manual_seed(0)
    model: Any = build_model("tdmi:lite", crop_size=CROP)
    for head in (model.head, model.visual_head):
        torch.nn.init.normal_(head.weight, std=0.05)
    return model.eval()


def a_batch(seed: int, clips: int = 2, frames: int = 5) -> ClipBatch:
    torch.manual_seed(seed)
    matrix = torch.tensor([[2.0, 0.0, 1.0], [0.0, 2.0, -3.0]]).repeat(clips, 1, 1)
    joints = torch.rand(clips, frames, JOINTS, 2) * torch.tensor(CROP)
    pictures = torch.randn(clips, frames, 3, CROP[1], CROP[0])
    return ClipBatch(
        pictures, joints, torch.ones(clips, frames, JOINTS, dtype=torch.bool), 2, matrix
    )


def constant_flow(images: Tensor, key: int) -> Tensor:
    batch, count = images.shape[:2]
    return torch.full((batch, count - 1, 2, CROP[1] // 4, CROP[0] // 4), 1.5)


def built(folder: Path, clips: int = 6) -> FeatureBank:
    batches = [a_batch(seed) for seed in range(clips // 2)]
    return FeatureBank.build(
        folder, batches, clips, tdmi().backbone, constant_flow, {"made": "here"}
    )


def fresh() -> PoseModel:
    """A model that trains on a bank, the same every time."""
    torch.manual_seed(4)
    model: Any = build_model("tdmi:lite", crop_size=CROP)
    model.backbone.load_state_dict(tdmi().backbone.state_dict())
    return use_kept(model)


def test_a_model_on_kept_features_answers_as_on_the_pictures(tmp_path: Path):
    bank = built(tmp_path / "bank")
    with torch.no_grad():
        wanted = tdmi()(a_batch(1).frames).heatmaps

        kept = use_kept(copy.deepcopy(tdmi())).eval()
        got = kept(bank.frames(slice(2, 4), kept.needs.offsets)).heatmaps
    # Half precision keeps eleven bits.
    torch.testing.assert_close(got, wanted, rtol=0, atol=4e-3 * float(wanted.abs().max()))


def test_a_model_of_pooled_pictures_answers_from_kept_vectors(tmp_path: Path):
    torch.manual_seed(3)
    model: Any = build_model("dsta:lite", crop_size=CROP).eval()
    torch.nn.init.normal_(model.to_tokens.weight)
    batches = [a_batch(seed) for seed in range(2)]
    bank = FeatureBank.build(tmp_path / "bank", batches, 4, stages_of(model), None, {})
    # Four stages of maps are one vector here: a cell, and two channels of flow that stay empty.
    assert bank.features.shape == (4, 5, 1, 1, model.backbone.channels + FLOW_CHANNELS)
    kept = use_kept(copy.deepcopy(model)).eval()
    with torch.no_grad():
        wanted = model(batches[1].frames[:, 1:4]).joints
        got = kept(bank.frames(slice(2, 4), kept.needs.offsets)).joints
    torch.testing.assert_close(got, wanted, rtol=0, atol=2e-3)
    assert float((wanted[0] - wanted[1]).abs().max()) > 1e-2


def test_a_shorter_window_takes_the_frames_around_the_key_frame(tmp_path: Path):
    bank = built(tmp_path / "bank")
    whole = bank.frames(slice(0, 6), (-2, -1, 0, 1, 2))
    torch.testing.assert_close(bank.frames(slice(0, 6), (-1, 0, 1)), whole[:, 1:4])
    with pytest.raises(ShapeError, match="offsets"):
        bank.frames(slice(0, 6), (-3, 0, 3))


def test_flow_is_kept_for_all_frames_but_the_key_frame(tmp_path: Path):
    bank = built(tmp_path / "bank")
    flow = bank.frames(slice(0, 1), (-2, -1, 0, 1, 2))[0, :, -FLOW_CHANNELS:]
    assert [float(f.min()) for f in flow] == [1.5, 1.5, 0.0, 1.5, 1.5]


def test_a_bank_that_is_there_is_not_computed_again(tmp_path: Path):
    built(tmp_path / "bank")

    def nobody() -> Iterator[ClipBatch]:
        raise AssertionError("computed again")
        yield a_batch(0)

    again = FeatureBank.build(
        tmp_path / "bank", nobody(), 6, tdmi().backbone, None, {"made": "here"}
    )
    assert len(again) == 6


def test_a_bank_of_something_else_is_refused_and_built_anew(tmp_path: Path):
    built(tmp_path / "bank")
    with pytest.raises(FormatError, match="other data"):
        FeatureBank.open(tmp_path / "bank", {"made": "elsewhere"})
    other = FeatureBank.build(
        tmp_path / "bank", [a_batch(9)], 2, tdmi().backbone, None, {"made": "elsewhere"}
    )
    assert len(other) == 2


def test_a_wrong_number_of_clips_leaves_nothing_behind(tmp_path: Path):
    with pytest.raises(ShapeError, match="2 came"):
        FeatureBank.build(tmp_path / "bank", [a_batch(0)], 5, tdmi().backbone, None, {})
    assert list(tmp_path.iterdir()) == []


def test_a_bank_without_its_facts_is_refused(tmp_path: Path):
    built(tmp_path / "bank")
    (tmp_path / "bank" / "bank.json").write_text("{")
    with pytest.raises(FormatError, match="no whole feature bank"):
        FeatureBank.open(tmp_path / "bank")


def test_held_still_a_model_sees_the_key_frame_everywhere(tmp_path: Path):
    bank = built(tmp_path / "bank")

    kept = use_kept(copy.deepcopy(tdmi())).eval()
    repeated = a_batch(0).frames[:, 2:3].expand(-1, 5, -1, -1, -1)
    with torch.no_grad():
        wanted = tdmi()(repeated).heatmaps
        got = kept(hold_still(bank.frames(slice(0, 2), kept.needs.offsets), 2)).heatmaps
    torch.testing.assert_close(got, wanted, rtol=0, atol=4e-3 * float(wanted.abs().max()))


SETTINGS = KeptSettings(steps=8, batch_size=2, save_every=4, warmup_steps=1, lr=3e-3)


def test_training_on_a_bank_lowers_the_loss_and_leaves_no_checkpoint(tmp_path: Path):
    bank = built(tmp_path / "bank")
    settings = replace(SETTINGS, steps=30)
    _, curve = fit_kept(fresh(), bank, settings, tmp_path / "run")
    assert curve[-1]["heatmap"] < curve[0]["heatmap"]
    assert not (tmp_path / "run" / "kept.ckpt").exists()


def die_at(step: int, monkeypatch: pytest.MonkeyPatch, bank: FeatureBank, run: Path) -> None:
    """Train until a step, then be interrupted."""
    whole, seen = FeatureBank.batch, iter(range(100))

    def batch(self: FeatureBank, *args: Any, **more: Any) -> ClipBatch:
        if next(seen) == step:
            raise KeyboardInterrupt
        return whole(self, *args, **more)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(FeatureBank, "batch", batch)
        fit_kept(fresh(), bank, SETTINGS, run)
    assert (run / "kept.ckpt").exists()


def test_a_run_that_died_ends_with_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    bank = built(tmp_path / "bank")
    straight, curve = fit_kept(fresh(), bank, SETTINGS, tmp_path / "straight")
    die_at(5, monkeypatch, bank, tmp_path / "dead")
    resumed, again = fit_kept(fresh(), bank, SETTINGS, tmp_path / "dead")
    for name, value in straight.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, rtol=0, atol=0)
    assert curve[-1] == again[-1]


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    bank = built(tmp_path / "bank")
    die_at(5, monkeypatch, bank, tmp_path / "run")
    with pytest.raises(UsageError, match="other settings"):
        fit_kept(fresh(), bank, replace(SETTINGS, lr=1e-4), tmp_path / "run")


class OneStill:
    """A ClipSource of one clip of noise."""

    skeleton = get_skeleton("lsp14")

    def __len__(self) -> int:
        return 1

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        """Five frames of 40 x 80 pixels."""
        noise = np.random.default_rng(3)
        images = noise.integers(0, 255, (5, 80, 40, 3), dtype=np.uint8)
        joints = noise.uniform(5, 35, (5, JOINTS, 2)).astype(np.float32)
        box = np.array([3.0, 4.0, 37.0, 75.0])
        return Sample(
            images, joints, np.ones((5, JOINTS), bool), box, self.skeleton, 2, name="noise"
        )

    def fingerprint(self) -> str:
        """Always the same."""
        return "noise"


def test_predictions_from_a_bank_are_those_of_evaluate(tmp_path: Path):
    source, shape = OneStill(), ClipShape(count=5, key=2)
    batches = (b for b, _, _ in eval_batches(source, shape=shape, crop_size=CROP, batch_size=2))
    bank = FeatureBank.build(tmp_path / "bank", batches, 1, tdmi().backbone, None, {})

    [(wanted, truth)] = predict_samples(tdmi(), source)
    [(got, labels)] = predict_kept(use_kept(copy.deepcopy(tdmi())), bank)
    np.testing.assert_allclose(got.xy, wanted.xy, atol=0.3)
    np.testing.assert_allclose(labels.xy, truth.xy, atol=1e-3)

"""Training of lifters: they learn, and a stopped run goes on as if it had not stopped."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor, nn

from chronopose.codecs.root_relative import RootRelative
from chronopose.core.skeletons import H36M17
from chronopose.data.cmu_lift import FOUR_VIEWS, Performance, film
from chronopose.data.lift import LiftAugmentation, LiftClip
from chronopose.engine.evaluate_lift import evaluate_lift, lift_clip
from chronopose.engine.fit_lift import LiftSettings, fit_lift
from chronopose.errors import ChronoposeError, UsageError
from chronopose.io.motion import Motion3D
from chronopose.losses.space import SpaceCriterion
from chronopose.models._lift import LiftModel, LiftNeeds
from chronopose.tensors.space import LiftOutput


@dataclass(frozen=True, kw_only=True)
class SmallConfig:
    """Size of the small lifter."""

    frames: int = 3
    width: int = 32
    seq2seq: bool = False


class Small(LiftModel):
    """A linear layer over the window, batch norm, dropout, and a linear layer."""

    PRESETS = {"small": SmallConfig()}  # noqa: RUF012

    def __init__(self, config: SmallConfig) -> None:
        super().__init__()
        self.config = config
        self.codec = RootRelative(H36M17)
        self.needs = LiftNeeds(frames=config.frames, before=config.frames // 2)
        joints = len(H36M17)
        answers = config.frames if config.seq2seq else 1
        self.first = nn.Linear(config.frames * joints * 2, config.width)
        self.norm, self.drop = nn.BatchNorm1d(config.width), nn.Dropout(0.1)
        self.last = nn.Linear(config.width, answers * joints * 3)

    def forward(self, poses: Tensor) -> LiftOutput:
        """Lift windows."""
        hidden = self.drop(torch.relu(self.norm(self.first(poses.flatten(1)))))
        return LiftOutput(self.last(hidden).unflatten(1, (-1, len(H36M17), 3)))

    def dense(self, poses: Tensor) -> LiftOutput:
        """Every window of longer clips."""
        windows = poses.unfold(1, self.needs.frames, 1).permute(0, 1, 4, 2, 3)
        found = self(windows.flatten(0, 1)).xyz[:, self.needs.before * self.config.seq2seq]
        return LiftOutput(found.unflatten(0, windows.shape[:2]))

    def criterion(self) -> SpaceCriterion:
        """Mean distance."""
        return SpaceCriterion(velocity=self.config.seq2seq)


def small(**changes: Any) -> Small:
    torch.manual_seed(0)
    return Small(SmallConfig(**changes))


def waving(frames: int = 40, seed: int = 0, action: str = "Wave 1") -> tuple[LiftClip, ...]:
    """Somebody whose joints swing about a standing pose, seen by four cameras."""
    rng = np.random.default_rng(seed)
    rest = np.random.default_rng(5).normal((0, 0, 1), 0.3, (1, 17, 3))
    time = np.linspace(0, 6, frames)[:, None, None]
    swing = 0.1 * np.sin(time + rng.uniform(0, 6, (1, 17, 3)))
    xyz = (rest + swing).astype(np.float32)
    motion = Motion3D("S", action, xyz, H36M17, "m", "world", 50.0)
    return film(Performance(motion, xyz[:, 10] + np.float32(0.1)), FOUR_VIEWS)


def settings(**changes: Any) -> LiftSettings:
    values: dict[str, Any] = {
        "epochs": 2, "batch_size": 40, "save_every": 3, "log_every": 2, "lr": 3e-3,
        "augmentation": LiftAugmentation(noise_px=(0.0, 3.0), bones=0.1, dropout=0.02),
    }  # fmt: skip
    return LiftSettings(**{**values, **changes})


def fit(model: LiftModel, chosen: LiftSettings, folder: Path, **more: Any) -> Any:
    clips = more.pop("clips", waving())
    val = more.pop("val", ())
    return fit_lift(model, clips, val, chosen, folder, quiet=True, device="cpu", **more)


def columns(path: Path) -> dict[str, list[float]]:
    with path.open() as file:
        rows = list(csv.DictReader(file))
    return {k: [float(r[k]) for r in rows] for k in rows[0]}


def test_the_loss_falls_and_the_rate_with_every_epoch(tmp_path: Path) -> None:
    # 4 cameras * 40 frames * 2 mirrored = 320 windows: 8 batches of 40 an epoch.
    fitted = fit(small(), settings(epochs=8, log_every=8, lr=6e-3, lr_decay=0.9), tmp_path)
    log = columns(tmp_path / "train.csv")
    assert fitted.steps == 64
    assert log["mpjpe"][-1] < 0.5 * log["mpjpe"][0]
    assert_allclose(log["lr"], 6e-3 * 0.9 ** np.arange(8))


def test_validation_is_in_millimetres_and_by_action(tmp_path: Path) -> None:
    val = (*waving(seed=1), *waving(seed=2, action="Turn"))
    before = evaluate_lift(small(), val).mean["MPJPE"]
    fitted = fit(small(), settings(epochs=4), tmp_path, val=val)
    assert set(fitted.validation) == {"mpjpe", "p-mpjpe", "n-mpjpe", "mpjve"}
    assert set(fitted.errors.actions) == {"Wave", "Turn"}
    assert fitted.validation["p-mpjpe"] <= fitted.validation["mpjpe"] < before
    # Joints are about half a metre from the root, and those of metres would not be millimetres.
    assert 100 < fitted.validation["mpjpe"] < 1000
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["validation"] == fitted.validation
    assert record["finished"] is True
    assert columns(tmp_path / "val.csv")["step"] == [8.0, 16.0, 24.0, 32.0]


@pytest.mark.parametrize("ema", [None, 0.9])
def test_a_resumed_run_ends_with_the_same_weights(tmp_path: Path, ema: float | None) -> None:
    chosen = settings(ema_decay=ema)
    whole = fit(small(), chosen, tmp_path / "a")
    fit(small(), replace(chosen, limit_batches=5), tmp_path / "b")
    rest = fit(small(), chosen, tmp_path / "b", resume=True)
    assert rest.steps == whole.steps == 16
    for key, value in whole.model.state_dict().items():
        assert torch.equal(value, rest.model.state_dict()[key]), key


def test_a_folder_with_a_run_is_not_written_over(tmp_path: Path) -> None:
    few = settings(limit_batches=1)
    fit(small(), few, tmp_path)
    with pytest.raises(UsageError, match="already holds a run"):
        fit(small(), few, tmp_path)
    with pytest.raises(UsageError, match="holds no run"):
        fit(small(), few, tmp_path / "none", resume=True)


@pytest.mark.parametrize(
    ("changes", "told"),
    [({"lr": 1e-4}, "another lr"), ({"augmentation": LiftAugmentation()}, "another augmentation")],
)
def test_a_run_is_not_resumed_with_other_settings(
    tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    fit(small(), settings(limit_batches=1), tmp_path)
    with pytest.raises(UsageError, match=told):
        fit(small(), settings(**changes), tmp_path, resume=True)


def test_a_run_is_not_resumed_on_other_clips(tmp_path: Path) -> None:
    fit(small(), settings(limit_batches=1), tmp_path)
    with pytest.raises(UsageError, match="another clips"):
        fit(small(), settings(), tmp_path, resume=True, clips=waving(seed=3))


def test_batch_norms_forget_more_slowly_as_training_goes_on(tmp_path: Path) -> None:
    chosen = settings(epochs=4)
    # From 0.1 towards 0.001: a factor of 100 over four epochs is one of sqrt(10) each.
    assert_allclose(
        [chosen.bn_momentum_in(e) for e in range(3)], 0.1 / math.sqrt(10) ** np.arange(3)
    )
    model = small()
    fit(model, chosen, tmp_path)
    assert_allclose(model.norm.momentum, 0.1 / 10**1.5)


def test_a_network_that_answers_for_all_frames_learns_from_all_and_from_their_steps(
    tmp_path: Path,
) -> None:
    fitted = fit(small(seq2seq=True), settings(epochs=6, log_every=8), tmp_path)
    log = columns(tmp_path / "train.csv")
    assert log["velocity"][-1] < log["velocity"][0]
    assert lift_clip(fitted.model, waving()[0]).shape == (40, 17, 3)


def test_every_frame_is_lifted_as_its_window_is_and_the_flip_test_is_symmetric() -> None:
    model, clip = small().eval(), waving(frames=6)[0]
    codec = model.codec
    found = lift_clip(model, clip, flip_test=False)
    assert found.shape == (6, 17, 3)
    screen = codec.to_screen(clip.xy, clip.size)
    window = torch.from_numpy(screen[[0, 0, 1]])[None]
    with torch.inference_mode():
        first = codec.relative(model(window).xyz[0, 0].numpy())
    assert_allclose(found[0], first, atol=1e-6)
    both = lift_clip(model, clip)
    xy = codec.from_screen(codec.mirror_screen(screen), clip.size)
    mirrored = lift_clip(model, replace(clip, xy=xy))
    assert_allclose(codec.mirror_screen(mirrored), both, atol=1e-5)


def test_a_perfect_network_has_no_error(tmp_path: Path) -> None:
    clips = waving(frames=5)

    class Knows(Small):
        """Answers with the labels of the clip that it is asked for."""

        def dense(self, poses: Tensor) -> LiftOutput:
            """The labels."""
            screen = poses[0, 1:-1].numpy()
            for clip in clips:
                if np.abs(screen - self.codec.to_screen(clip.xy, clip.size)).max() < 1e-6:
                    return LiftOutput(torch.from_numpy(self.codec.relative(clip.xyz))[None])
            raise AssertionError

    result = evaluate_lift(Knows(SmallConfig()), clips, flip_test=False)
    assert_allclose(list(result.mean.values()), 0, atol=1e-4)


def test_a_loss_that_is_no_number_stops_the_training(tmp_path: Path) -> None:
    model = small()
    with torch.no_grad():
        model.last.bias[0] = math.nan
    with pytest.raises(ChronoposeError, match="no finite number at step 0"):
        fit(model, settings(), tmp_path)


@pytest.mark.parametrize(
    "wrong", [{"epochs": 0}, {"lr": -1.0}, {"lr_decay": 0.0}, {"bn_momentum": (0.1, 0.0)}]
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        settings(**wrong)

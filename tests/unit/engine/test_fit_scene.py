"""Training on whole frames: it learns, it goes on, it leaves alone what is frozen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from chronopose.codecs.scene import SceneCodec
from chronopose.core.skeletons import get_skeleton
from chronopose.data.datasets._find import find_dataset
from chronopose.data.scene_augment import SceneAugmentation
from chronopose.data.scenes import LabelledScenes, Scene
from chronopose.engine.fit_scene import SceneFit, SceneSettings, fit_scene
from chronopose.engine.predict_scenes import headline, predict_scenes, score_scenes
from chronopose.engine.record import read_log
from chronopose.errors import UsageError
from chronopose.models._base import Features
from chronopose.models._find import build_scene_model
from chronopose.models._scene import SceneCriterion, SceneModel, SceneNeeds
from chronopose.nn.detection_neck import ChannelMapper
from chronopose.synth.generate import GenerateSettings, generate
from chronopose.synth.scenario import ClipPlan
from chronopose.tensors.scene import SceneOutput

SKELETON = get_skeleton("posetrack15")
TINY = {
    "skeleton": "posetrack15", "frame_size": (96, 64), "width": 32, "hidden": (32, 16),
    "encoder_layers": 1, "decoder_layers": 1, "queries": 8, "people": 4, "num_frames": 1,
}  # fmt: skip
SMALL = SceneAugmentation(
    shorter=(48, 64), longest=96, crop_from=(64,), crop=(48, 64), turn_deg=10.0
)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of two frames in the split train."""
    folder = tmp_path_factory.mktemp("set")
    plans = [
        ClipPlan(seed=s, difficulty="clean", frames=2, fps=10.0, size=(96, 64)) for s in (3, 4)
    ]
    list(generate(plans, folder, GenerateSettings(renderer="soft")))
    return folder


class TwoScenes:
    """One bright person each, upright, at another place."""

    skeleton = SKELETON

    def __len__(self) -> int:
        return 2

    def scene(self, index: int) -> Scene:
        x, y = np.meshgrid([-4.0, 0, 4], [-12.0, -6, 0, 6, 12])
        joints = np.stack([x.ravel() + 30 + 30 * index, y.ravel() + 30], -1)
        image = np.full((1, 64, 96, 3), 30, np.uint8)
        image[:, 16:45, 24 + 30 * index : 37 + 30 * index] = 220
        return Scene(
            image, joints[None].astype(np.float32), np.ones((1, 15), bool), np.array([240.0]),
            SKELETON,
        )  # fmt: skip

    def fingerprint(self) -> str:
        return "two"


class SmallBackbone(nn.Module):
    """One convolution and a batch norm for each of the strides 8, 16 and 32."""

    channels = (16, 16, 16)

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.ModuleList(
            [nn.Sequential(nn.Conv2d(3, 16, s, s), nn.BatchNorm2d(16)) for s in (8, 16, 32)]
        )

    def forward(self, frames: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(layer(frames) for layer in self.maps)


def tiny(**changes: Any) -> Any:
    """A PAVE-Net without layers to spare."""
    torch.manual_seed(0)
    model: Any = build_scene_model("pavenet:lite", None, **{**TINY, **changes})
    model.backbone = SmallBackbone()
    model.neck = ChannelMapper(SmallBackbone.channels, 32)
    return model


def settings(**changes: Any) -> SceneSettings:
    values = {
        "steps": 4, "batch_size": 2, "lr": 1e-3, "clip_norm": 1.0, "save_every": 2, "log_every": 2,
        "ema_decay": 0.9,
    }  # fmt: skip
    return SceneSettings(**{**values, **changes})


def fitted(folder: Path, resume: Any = False, model: Any = None, **changes: Any) -> SceneFit:
    return fit_scene(
        tiny(dropout=0.1) if model is None else model, TwoScenes(), settings(**changes), folder,
        resume, augmentation=SMALL, device="cpu", quiet=True,
    )  # fmt: skip


def test_the_loss_falls_on_two_scenes(tmp_path: Path) -> None:
    chosen = settings(steps=24, log_every=6, lr=3e-3, ema_decay=0.0, save_every=24)
    result = fit_scene(tiny(), TwoScenes(), chosen, tmp_path, device="cpu", quiet=True)
    losses = read_log(tmp_path / "train.csv")["loss"]
    assert losses[-1] < losses[0] - 6, losses
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["finished"] and record["steps"] == 24 and record["data"] == "two"
    assert not result.validated and set(result.validation) >= {"person", "joints", "loss"}


def test_a_resumed_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole = fitted(tmp_path / "a", accumulate=2)
    fitted(tmp_path / "b", accumulate=2, limit_batches=2)
    rest = fitted(tmp_path / "b", True, accumulate=2)
    assert rest.steps == whole.steps == 4
    for key, value in whole.model.state_dict().items():
        assert torch.equal(value, rest.model.state_dict()[key]), key
    logs = [read_log(tmp_path / n / "train.csv") for n in ("a", "b")]
    assert logs[0]["loss"] == logs[1]["loss"] and logs[0]["step"] == [2, 4]


def test_a_run_is_resumed_only_if_asked_and_only_as_it_was(tmp_path: Path) -> None:
    fitted(tmp_path, steps=2)
    with pytest.raises(UsageError, match="already holds a run"):
        fitted(tmp_path, steps=2)
    with pytest.raises(UsageError, match="another lr"):
        fitted(tmp_path, True, steps=2, lr=1e-4)
    with pytest.raises(UsageError, match="holds no run"):
        fitted(tmp_path / "none", True)


def test_a_frozen_backbone_waits_for_its_time(tmp_path: Path) -> None:
    model = tiny()
    kernel, norm = model.backbone.maps[0]
    kernel = kernel.weight
    start, mean = kernel.detach().clone(), norm.running_mean.clone()
    fitted(tmp_path / "a", model=model, frozen=2, limit_batches=2, ema_decay=0.0)
    assert torch.equal(start, kernel) and torch.equal(mean, norm.running_mean)
    model = tiny()
    result: Any = fitted(tmp_path / "a", "auto", model=model, frozen=2, ema_decay=0.0)
    moved = result.model.backbone.maps[0]
    assert not torch.equal(start, moved[0].weight)
    assert torch.equal(mean, moved[1].running_mean)
    loose: Any = fitted(tmp_path / "b", steps=1, still_norms=False, ema_decay=0.0)
    assert not torch.equal(mean, loose.model.backbone.maps[0][1].running_mean)


def test_slow_parts_learn_at_a_tenth_of_the_rate(tmp_path: Path) -> None:
    model = tiny()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    chosen = {"steps": 1, "lr": 1e-3, "weight_decay": 0.0, "ema_decay": 0.0}
    result = fitted(tmp_path, model=model, **chosen)
    step = {
        k: float((v - before[k]).abs().max())
        for k, v in result.model.state_dict().items()
        if v.is_floating_point()
    }
    # The first step of Adam is the rate itself wherever there is a gradient.
    assert step["backbone.maps.0.0.weight"] == pytest.approx(1e-4, rel=0.1)
    assert step["decoder.0.attention.offsets.0.weight"] == pytest.approx(1e-4, rel=0.1)
    assert step["neck.maps.0.conv.weight"] == pytest.approx(1e-3, rel=0.1)


def test_lengths_are_in_epochs_where_epochs_are_given() -> None:
    paper = SceneSettings(epochs=50, drops=(40,), accumulate=8)
    assert paper.unit(100) == 13 and paper.total(100) == 650
    rates = [paper.lr_at(step, 100) for step in (0, 40 * 13 - 1, 40 * 13, 649)]
    assert rates == pytest.approx([2e-5, 2e-5, 2e-6, 2e-6])
    warm = SceneSettings(steps=100, drops=(50, 80), lr=1.0, warmup_steps=10)
    assert [warm.lr_at(s, 7) for s in (0, 4, 10, 50, 99)] == pytest.approx([0.1, 0.5, 1, 0.1, 0.01])
    with pytest.raises(UsageError, match="either steps or epochs"):
        SceneSettings()


def test_scenes_of_other_joints_and_corner_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="joints of 'lsp14'"):
        fitted(tmp_path, model=tiny(skeleton="lsp14"))
    with pytest.raises(UsageError, match="align='centre'"):
        fitted(tmp_path, model=tiny(align="corner"))


class Told(SceneModel):
    """Knows the answers: they are asked for by the mean of the key frame's pixels."""

    PRESETS: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, scenes: LabelledScenes) -> None:
        super().__init__()
        self.needs = SceneNeeds(offsets=(-1, 0, 1))
        self.codec = SceneCodec(SKELETON, (192, 128))
        self.scenes, self.encoded, self.asked = scenes, 0, 0

    def encode(self, frames: torch.Tensor, valid: torch.Tensor | None = None) -> Features:
        assert frames.shape[-2:] == (128, 192) and valid is not None
        self.encoded += 1
        return (frames.mean((1, 2, 3)),)

    def fuse(self, features: Features) -> SceneOutput:
        scene = self.scenes.scene(self.asked)
        self.asked += 1
        window = self.codec.window(scene.size)
        xy = torch.from_numpy(window.apply(scene.joints)).float()
        xy = torch.where(torch.from_numpy(scene.visible)[..., None], xy, -1.0)
        strange = xy.flip(0)[:1] + 500.0
        people = torch.cat([xy, strange])[None]
        scores = torch.linspace(0.9, 0.1, len(people[0]))[None]
        each = scores[..., None].expand(-1, -1, len(SKELETON))
        return SceneOutput(people, scores, each)

    def criterion(self) -> SceneCriterion:
        raise NotImplementedError


def test_right_answers_score_full_marks_and_frames_are_encoded_once(generated: Path) -> None:
    data = find_dataset("synthtrack", generated, "train")
    model = Told(LabelledScenes(data, skeleton=SKELETON, empty=True))
    found = score_scenes(model, data)
    # Joints outside the picture are labelled as unknown; what is far away is scored last.
    assert headline(found.values)["ap"] == pytest.approx(100.0, abs=1e-6)
    assert model.encoded == 4 and model.asked == 4
    model.asked = 0
    sure = predict_scenes(model, data, min_score=0.2)
    assert [len(f) for s in sure for f in s] == [len(f) for s in data.sequences() for f in s]
    assert sure[0].skeleton == data.skeleton

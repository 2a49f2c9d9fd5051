"""Kept features of whole frames: the same answers, the same targets, and time switched off."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from chronopose.cli.main import main
from chronopose.data.datasets.synthtrack import SynthTrack
from chronopose.data.scene_augment import SceneBatches
from chronopose.data.scenes import LabelledScenes
from chronopose.engine.predict_scenes import predict_scenes
from chronopose.engine.scene_memory import MemoryBatches, OnMemory, SceneMemory
from chronopose.errors import ShapeError, WeightsError
from chronopose.models._find import build_scene_model
from chronopose.models._scene import SceneModel

JOINTS = "posetrack15"


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("clips")
    assert main(["synth", "--out", str(root), "--clips", "1", "--seed", "3", "--size", "96x64",
                 "--frames", "5", "--people", "2..2", "--difficulty", "clean", "--renderer",
                 "soft", "--quiet"]) == 0  # fmt: skip
    return root


def pavenet(frames: int = 3) -> Any:
    """Its features are rounded to half precision, as a memory does it: who is best stays so."""
    torch.manual_seed(0)
    made: Any = build_scene_model(
        "pavenet:lite", None, skeleton=JOINTS, frame_size=(96, 64), num_frames=frames
    )
    encode = made.encode

    def rounded(frames: torch.Tensor, valid: torch.Tensor | None = None) -> Any:
        found = encode(frames, valid)
        return found._make([p.half().float() if p.ndim > 3 else p for p in found])

    made.encode = rounded
    return made.eval()


def scenes_of(clips: Path, frames: int = 3) -> LabelledScenes:
    return LabelledScenes(SynthTrack(root=clips, split="train"), frames=frames, skeleton=JOINTS)


def kept(clips: Path, folder: Path, model: SceneModel) -> SceneMemory:
    return SceneMemory.build(folder / "memory", model, scenes_of(clips), {"made": "here"})


def test_a_set_is_predicted_from_memory_as_from_its_pictures(clips: Path, tmp_path: Path):
    model = pavenet()
    data = SynthTrack(root=clips, split="train")
    wanted = predict_scenes(model, data)[0].frames
    found = predict_scenes(model, data, kept=kept(clips, tmp_path, model))[0].frames
    for one, other in zip(wanted, found, strict=True):
        np.testing.assert_allclose(one.xy, other.xy, atol=1e-3)
    assert len(wanted[0].xy) > 0


def test_a_batch_asks_for_what_the_pictures_would_and_answers_alike(clips: Path, tmp_path: Path):
    model = pavenet()
    memory, scenes = kept(clips, tmp_path, model), scenes_of(clips)
    shared: Any = {"frames": 3, "batch_size": 2, "seed": 7}
    plain = SceneBatches(scenes, model.codec, None, 3, **shared)[1]
    batch = MemoryBatches(memory, scenes, model.codec, 3, **shared)[1]
    assert all(torch.equal(a, b) for a, b in zip(plain.target, batch.target, strict=True))
    assert torch.equal(plain.valid, batch.valid)
    with torch.no_grad():
        wanted = model(plain.frames, plain.valid)
        found = OnMemory(model, memory)(batch.frames, batch.valid)
    torch.testing.assert_close(found.joints, wanted.joints, rtol=0, atol=1e-3)


def test_held_still_a_window_is_the_key_frame_three_times(clips: Path, tmp_path: Path):
    model = pavenet()
    memory, scenes = kept(clips, tmp_path, model), scenes_of(clips)
    batch = MemoryBatches(memory, scenes, model.codec, 1, frames=3, batch_size=3)[0]
    same = batch.frames[:, 1:2].expand(-1, 3, -1)
    with torch.no_grad():
        still = OnMemory(model, memory, still=True)(batch.frames, batch.valid)
        wanted = OnMemory(model, memory)(same, batch.valid)
        moving = OnMemory(model, memory)(batch.frames, batch.valid)
    assert torch.equal(still.joints, wanted.joints)
    assert not torch.equal(still.scores, moving.scores)


def test_a_memory_that_is_there_is_not_computed_again(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    model = pavenet()
    before = kept(clips, tmp_path, model)

    def nothing(*_: object) -> Iterator[None]:
        raise AssertionError("computed again")

    monkeypatch.setattr(model, "encode", nothing)
    assert kept(clips, tmp_path, model).rows == before.rows
    with pytest.raises(AssertionError, match="again"):
        SceneMemory.build(tmp_path / "memory", model, scenes_of(clips), {"made": "elsewhere"})
    # What was there before a failed attempt is still whole.
    assert kept(clips, tmp_path, model).rows == before.rows


def test_pictures_of_several_sizes_are_refused(clips: Path, tmp_path: Path):
    class TwoSizes(LabelledScenes):
        def read(self, path: Path) -> Any:
            image = super().read(path)
            return image[:, : 40 if path.stem.endswith("3") else 96]

    scenes = TwoSizes(SynthTrack(root=clips, split="train"), frames=3, skeleton=JOINTS)
    with pytest.raises(ShapeError, match="one size"):
        SceneMemory.build(tmp_path / "memory", pavenet(), scenes, {})
    assert list(tmp_path.iterdir()) == []


def test_a_network_of_one_frame_starts_one_of_three(clips: Path):
    single, model = pavenet(1), pavenet(3)
    torch.nn.init.normal_(single.pose[0][0][0].weight)
    model.load_single_frame(single.state_dict())
    for frame in range(3):
        assert torch.equal(model.pose[0][frame][0].weight, single.pose[0][0][0].weight)
    # Three times the same frame: a third of the attention for each, so the same answer.
    picture = torch.randn(1, 1, 3, 64, 96)
    with torch.no_grad():
        wanted, found = single(picture), model(picture.expand(-1, 3, -1, -1, -1))
    torch.testing.assert_close(found.joints, wanted.joints, rtol=1e-4, atol=1e-2)
    with pytest.raises(WeightsError, match="of one frame"):
        model.load_single_frame({k: v for k, v in single.state_dict().items() if "pose" not in k})

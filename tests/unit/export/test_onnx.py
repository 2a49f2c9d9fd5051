"""ONNX files give the network's numbers, whole and in two parts, for any number of people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from chronopose.cli.main import main
from chronopose.errors import ChronoposeError, MissingExtra, UsageError
from chronopose.export import onnx as module
from chronopose.export.onnx import export_onnx
from chronopose.models._base import PoseModel
from chronopose.models._find import build_model, build_scene_model

ort = pytest.importorskip("onnxruntime", reason="the extra [deploy] is not installed")
pytest.importorskip("onnxscript", reason="the extra [deploy] is not installed")
TINY = (64, 96)


def session(file: Path) -> Any:
    return ort.InferenceSession(str(file), providers=["CPUExecutionProvider"])


def past_its_start(model: nn.Module) -> nn.Module:
    """Heads that start at zero would make any two files agree."""
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if "head" in key:
                parameter.normal_(std=0.05)
    return model.eval()


@pytest.mark.slow
def test_dsta_is_equal_for_any_number_of_people(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = past_its_start(build_model("dsta:lite", crop_size=TINY))
    done = export_onnx(model, tmp_path / "dsta.onnx", facts={"name": "dsta:lite"})
    assert done.files == (tmp_path / "dsta.onnx",)
    assert done.difference <= 1e-4
    runtime = session(done.files[0])
    assert [o.name for o in runtime.get_outputs()] == ["joints", "sigma"]
    facts = json.loads(runtime.get_modelmeta().custom_metadata_map["chronopose"])
    assert facts == {"part": "whole", "name": "dsta:lite", "offsets": list(model.needs.offsets)}
    for people in (1, 5):
        frames = torch.randn(people, len(model.needs.offsets), 3, 96, 64)
        with torch.no_grad():
            eager = model(frames).joints.numpy()
        got = runtime.run(None, {"frames": frames.numpy()})[0]
        np.testing.assert_allclose(got, eager, atol=1e-4)


@pytest.mark.slow
def test_a_stream_of_tdmi_runs_on_two_files(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = past_its_start(build_model("tdmi:lite", crop_size=TINY))
    done = export_onnx(model, tmp_path / "tdmi.onnx", split=True)
    assert [f.name for f in done.files] == ["tdmi.encode.onnx", "tdmi.fuse.onnx"]
    encode, fuse = map(session, done.files)
    video = torch.randn(7, 3, 96, 64)
    kept = [encode.run(None, {"frames": frame[None].numpy()}) for frame in video]
    names = [i.name for i in fuse.get_inputs()]
    window = {n: np.stack([k[i][0] for k in kept[1:6]])[None] for i, n in enumerate(names)}
    with torch.no_grad():
        eager = model(video[None, 1:6]).heatmaps.numpy()
    np.testing.assert_allclose(fuse.run(None, window)[0], eager, atol=1e-4)


@pytest.mark.slow
def test_pavenet_finds_the_same_people(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = build_scene_model(
        "pavenet:lite", queries=12, people=4, encoder_layers=1, decoder_layers=1, num_frames=3
    )
    done = export_onnx(model, tmp_path / "scene.onnx", frame_size=(96, 64))
    assert done.difference <= 1e-4
    names = [o.name for o in session(done.files[0]).get_outputs()]
    assert names == ["joints", "scores", "joint_scores"]


class Fickle(PoseModel):
    """Gives other numbers whenever it is asked."""

    calls = 0

    def __init__(self) -> None:
        super().__init__()
        like = build_model("simple_baseline:lite", crop_size=TINY)
        self.needs, self.codec = like.needs, like.codec

    def encode(self, frames: Tensor) -> tuple[Tensor, ...]:
        Fickle.calls += 1
        return (frames + Fickle.calls,)

    def fuse(self, features: Any) -> Any:
        return (features[0].mean(1),)

    def criterion(self) -> Any:
        raise NotImplementedError


def test_a_file_that_gives_other_numbers_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(ChronoposeError, match="other numbers"):
        export_onnx(Fickle(), tmp_path / "fickle.onnx")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written_is_refused_first(tmp_path: Path) -> None:
    model = build_model("simple_baseline:lite", crop_size=TINY)
    with pytest.raises(UsageError, match=r"end in \.onnx"):
        export_onnx(model, tmp_path / "pose.bin")
    with pytest.raises(UsageError, match="another crop_size"):
        export_onnx(model, tmp_path / "pose.onnx", frame_size=(64, 64))
    scene = build_scene_model("pavenet:lite")
    with pytest.raises(UsageError, match="multiples of 32"):
        export_onnx(scene, tmp_path / "scene.onnx", frame_size=(100, 64))
    assert not list(tmp_path.iterdir())


def test_a_missing_runtime_names_the_extra(tmp_path: Path, monkeypatch: Any) -> None:
    def absent(name: str, package: str, extra: str, purpose: str) -> Any:
        raise MissingExtra(package, extra, purpose)

    monkeypatch.setattr(module, "import_extra", absent)
    with pytest.raises(MissingExtra, match=r"chronopose\[deploy\]"):
        export_onnx(build_model("simple_baseline:lite", crop_size=TINY), tmp_path / "a.onnx")


def test_the_verb_writes_once_and_says_how_close(tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "pose.onnx"
    words = ["export", "simple_baseline:lite", "--out", str(file)]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert str(file) in told and "largest difference" in told and "terms:" in told
    assert session(file).get_inputs()[0].shape[1:] == [1, 3, 192, 160]
    assert main(words) == 2
    assert "--overwrite" in capsys.readouterr().err

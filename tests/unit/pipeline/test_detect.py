"""Detectors by name, boxes from files, weights from the disk and never from the net."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import get_model

from chronopose.core.boxes import Boxes
from chronopose.core.video import VideoInfo
from chronopose.errors import FormatError, UsageError, WeightsError
from chronopose.io.video import Frame
from chronopose.pipeline.builtin import BuiltIn
from chronopose.pipeline.detect import (
    BoxesFile,
    FunctionDetector,
    Torchvision,
    WholeFrame,
    build_detector,
)

INFO = VideoInfo("video", (96, 64), num_frames=10)
SMALL = "ssdlite320_mobilenet_v3_large"


def frame(index: int = 0) -> Frame:
    return Frame(index, index / 25, np.full((64, 96, 3), 128, np.uint8))


def coco(path: Path, *records: dict) -> Path:
    path.write_text(json.dumps([{"category_id": 1, **r} for r in records]))
    return path


@pytest.fixture(scope="module")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    model = get_model(SMALL, weights=None, weights_backbone=None)
    path = tmp_path_factory.mktemp("weights") / "detector.pth"
    torch.save(model.state_dict(), path)
    return path


def test_a_file_gives_the_boxes_of_each_frame(tmp_path: Path) -> None:
    file = coco(
        tmp_path / "boxes.json",
        {"image_id": 0, "bbox": [5, 5, 40, 50], "score": 0.9},
        {"image_id": 2, "bbox": [6, 5, 40, 50], "score": 0.8},
    )
    detector = BoxesFile(file)
    detector.start(INFO)
    found = detector([frame(0), frame(1), frame(2)])
    assert [b.xyxy.tolist() for b in found] == [[[5, 5, 45, 55]], [], [[6, 5, 46, 55]]]
    assert detector.identities(frame(0)) is None


def test_ids_of_a_file_are_kept_when_all_boxes_have_one(tmp_path: Path) -> None:
    lines = "1,7,5,5,40,50,0.9\n1,3,50,5,40,50,0.8\n3,7,6,5,40,50,0.7\n"
    (tmp_path / "mot.txt").write_text(lines)
    detector = BoxesFile(tmp_path / "mot.txt", min_score=0.75)
    detector.start(INFO)
    ids = [detector.identities(frame(i)) for i in range(3)]
    # MOT counts from 1; the last box scores below 0.75.
    assert [None if i is None else i.tolist() for i in ids] == [[7, 3], [], []]


def test_ids_of_a_file_are_ignored_when_some_boxes_have_none(tmp_path: Path) -> None:
    (tmp_path / "mot.txt").write_text("1,7,5,5,40,50,0.9\n2,-1,6,5,40,50,0.9\n")
    detector = BoxesFile(tmp_path / "mot.txt")
    detector.start(INFO)
    assert detector.identities(frame(0)) is None


def test_boxes_of_a_third_of_the_least_score_are_passed_on(tmp_path: Path) -> None:
    file = coco(
        tmp_path / "boxes.json",
        {"image_id": 0, "bbox": [5, 5, 40, 50], "score": 0.11},
        {"image_id": 0, "bbox": [6, 5, 40, 50], "score": 0.09},
    )
    detector = BoxesFile(file, min_score=0.3)
    detector.start(INFO)
    assert detector([frame(0)])[0].score.tolist() == pytest.approx([0.11])


def test_a_boxes_file_that_is_missing_is_named() -> None:
    with pytest.raises(FormatError, match=r"gone\.json"):
        BoxesFile("gone.json").start(INFO)


def test_any_function_is_a_detector() -> None:
    detector = FunctionDetector(lambda frames: [Boxes.empty() for _ in frames])
    assert len(detector([frame(), frame(1)])) == 2


def test_whole_frame_starts_with_the_whole_frame_and_person_one() -> None:
    detector = WholeFrame()
    detector.start(INFO)
    np.testing.assert_allclose(detector([frame()])[0].xyxy, [[-0.5, -0.5, 95.5, 63.5]])
    assert detector.identities(frame()).tolist() == [1]


def test_torchvision_runs_with_weights_of_a_file(random_weights: Path) -> None:
    detector = Torchvision(SMALL, weights=random_weights, min_score=0.0)
    detector._person = 3  # weights that were never trained call nobody a person
    found = detector([frame(), frame(1)])
    assert len(found) == 2
    assert all(isinstance(b, Boxes) for b in found)


def test_torchvision_returns_the_boxes_of_people_in_our_coordinates(
    random_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = Torchvision(SMALL, weights=random_weights, min_score=0.3)
    answer = {
        "boxes": torch.tensor([[10.0, 5, 20, 30], [1, 2, 3, 4], [0, 0, 9, 9], [0, 0, 8, 8]]),
        "labels": torch.tensor([1, 2, 1, 1]),
        "scores": torch.tensor([0.9, 0.9, 0.05, 0.2]),
    }
    monkeypatch.setattr(detector, "_model", lambda pictures: [answer for _ in pictures])
    (found,) = detector([frame()])
    # torchvision counts from the outer edge of the first pixel, we from its centre.
    assert found.xyxy.tolist() == [[9.5, 4.5, 19.5, 29.5], [-0.5, -0.5, 7.5, 7.5]]


def test_torchvision_finds_the_file_that_torch_would_have_cached(
    random_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.models import get_model_weights

    name = next(iter(get_model_weights(SMALL))).url.rsplit("/", 1)[-1]
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / name).write_bytes(random_weights.read_bytes())
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert len(build_detector(f"torchvision:{SMALL}")([frame()])) == 1


def test_missing_weights_say_which_file_and_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(WeightsError, match=r"ssdlite320.*\.pth.*--detector-weights") as error:
        build_detector(f"torchvision:{SMALL}")
    assert str(tmp_path) in str(error.value)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    save_file({"stem": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="does not hold the weights"):
        Torchvision(SMALL, weights=tmp_path / "other.safetensors")


@pytest.mark.parametrize("name", ["broken.pth", "broken.safetensors"])
def test_weights_that_cannot_be_read_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("no weights")
    with pytest.raises(WeightsError, match="cannot be read"):
        Torchvision(SMALL, weights=tmp_path / name)


def test_weights_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"none\.pth"):
        Torchvision(SMALL, weights=tmp_path / "none.pth")


@pytest.mark.parametrize("spec", ["auto", "builtin"])
def test_the_shipped_detector_is_the_default(spec: str) -> None:
    assert isinstance(build_detector(spec), BuiltIn)


def test_the_side_at_which_frames_are_looked_at_can_be_chosen() -> None:
    assert vars(build_detector("builtin:640"))["_side"] == 640
    for wrong in ("builtin:x", "builtin:10", "builtin:-640"):
        with pytest.raises(UsageError, match="whole number of pixels"):
            build_detector(wrong)


def test_a_damaged_weights_file_of_the_detector_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "d.safetensors"
    file.write_bytes(b"not weights")
    with pytest.raises(WeightsError, match="cannot be read as weights"):
        build_detector("builtin", weights=file)
    with pytest.raises(WeightsError, match="cannot be read as weights"):
        build_detector("builtin", weights=tmp_path / "none.safetensors")


def test_weights_of_another_network_are_no_detector(tmp_path: Path) -> None:
    file = tmp_path / "d.safetensors"
    save_file({"a": torch.zeros(2)}, file, metadata={"config": "{}"})
    with pytest.raises(WeightsError, match="does not hold the weights of a person detector"):
        build_detector("builtin", weights=file)


@pytest.mark.parametrize(
    ("spec", "hint"),
    [("yolo", "whole-frame"), ("whole_frame", "Did you mean whole-frame"), ("boxes:", "boxes:FILE"),
     ("torchvision:fasterrcn", "fasterrcnn"), ("", "auto")],
)  # fmt: skip
def test_an_unknown_detector_is_refused_with_the_known_ones(spec: str, hint: str) -> None:
    with pytest.raises(UsageError, match=hint):
        build_detector(spec)

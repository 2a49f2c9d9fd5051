"""Bad input: a clear message, an exit code that is not zero, and nothing half-written left."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from chronopose.cli.main import main

SIZE = (96, 64)


def write_video(path: Path, frames: int = 12, size: tuple[int, int] = SIZE, **options: str) -> Path:
    width, height = size
    with av.open(str(path), "w", options=options) as box:
        stream = box.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        rng = np.random.default_rng(0)
        for _ in range(frames):
            image = rng.integers(0, 255, (height, width, 3), dtype=np.uint8)
            box.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        box.mux(stream.encode(None))
    return path


def video(tmp: Path) -> str:
    return str(write_video(tmp / "good.mp4"))


def write_text(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def boxes(tmp: Path, text: str) -> list[str]:
    return [video(tmp), "--detector", f"boxes:{write_text(tmp / 'boxes.json', text)}"]


def coco_box(**changes: object) -> str:
    record = {"image_id": 0, "category_id": 1, "bbox": [5, 5, 40, 50], "score": 0.9}
    return json.dumps([record | changes])


def broken_in_half(tmp: Path) -> list[str]:
    whole = write_video(tmp / "whole.mp4").read_bytes()
    (tmp / "half.mp4").write_bytes(whole[: len(whole) // 2])  # the index at the end is lost
    return [str(tmp / "half.mp4")]


def audio_only(tmp: Path) -> list[str]:
    path = tmp / "sound.wav"
    with av.open(str(path), "w") as box:
        stream = box.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        frame.sample_rate = 8000
        box.mux(stream.encode(frame))
        box.mux(stream.encode(None))
    return [str(path)]


def gigantic(tmp: Path) -> list[str]:
    folder = tmp / "frames"
    folder.mkdir()
    Image.new("1", (16384, 16384)).save(folder / "0.png")
    return [str(folder)]


def empty_folder(tmp: Path) -> list[str]:
    (tmp / "nothing").mkdir()
    return [str(tmp / "nothing")]


class Bomb:
    """Unpickling this would run code; loading must refuse before that."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("import pathlib; pathlib.Path('bomb_went_off').write_text('x')",))


def pickled_weights(tmp: Path) -> list[str]:
    (tmp / "weights.pth").write_bytes(pickle.dumps({"state": Bomb()}))
    return [video(tmp), "--weights", str(tmp / "weights.pth")]


def foreign_weights(tmp: Path) -> list[str]:
    import torch
    from safetensors.torch import save_file

    save_file({"stem.weight": torch.zeros(3)}, tmp / "other.safetensors")
    return [video(tmp), "--weights", str(tmp / "other.safetensors")]


def occupied(tmp: Path) -> list[str]:
    write_text(tmp / "poses.parquet", "precious")
    return [video(tmp), "--out", str(tmp / "poses.parquet")]


def list_with_a_gap(tmp: Path) -> list[str]:
    return [write_text(tmp / "videos.txt", f"{video(tmp)}\n{tmp / 'gone.mp4'}\n")]


def same_name_twice(tmp: Path) -> list[str]:
    (tmp / "a").mkdir()
    return [video(tmp), str(write_video(tmp / "a" / "good.mp4"))]


Case = Callable[[Path], list[str]]
CASES: dict[str, tuple[Case, int, str]] = {
    "no such file": (lambda t: [str(t / "gone.mp4")], 5, "gone.mp4"),
    "zero bytes": (lambda t: [write_text(t / "empty.mp4", "")], 5, "empty"),
    "text named mp4": (lambda t: [write_text(t / "text.mp4", "hello " * 500)], 5, "text.mp4"),
    "half an mp4 without its index": (broken_in_half, 5, "half.mp4"),
    "audio only": (audio_only, 5, "no video"),
    "one pixel": (lambda t: [str(write_image(t, (1, 1)))], 5, "1"),
    "gigantic frame": (gigantic, 5, "16384"),
    "a folder without pictures": (empty_folder, 5, "nothing"),
    "a glob that matches nothing": (lambda t: [str(t / "*.mov")], 5, "*.mov"),
    "a path through a file": (
        lambda t: [write_text(t / "file.txt", "x") + "/video.mp4"], 5, "video.mp4"),
    "a picture folder with a text inside": (lambda t: [str(bad_picture(t))], 5, "1.png"),
    "a camera that is not there": (lambda t: ["97"], 5, "97"),
    "an address nobody answers": (lambda t: ["tcp://127.0.0.1:9"], 5, "127.0.0.1"),
    "a list with a missing video": (list_with_a_gap, 5, "gone.mp4"),
    "a start beyond the end": (lambda t: [video(t), "--start", "99"], 5, "99"),
    "an end before the start": (lambda t: [video(t), "--start", "2", "--end", "1"], 2, "--end"),
    "stride zero": (lambda t: [video(t), "--stride", "0"], 2, "--stride"),
    "batch zero": (lambda t: [video(t), "--batch", "0"], 2, "batch"),
    "an unknown flag": (lambda t: [video(t), "--strid", "2"], 2, "--stride"),
    "a word for a number": (lambda t: [video(t), "--stride", "two"], 2, "stride"),
    "an unknown format": (lambda t: [video(t), "--format", "xml"], 2, "xml"),
    "an unknown model": (lambda t: [video(t), "--model", "tdmy:lite"], 2, "tdmi"),
    "an unknown preset": (lambda t: [video(t), "--model", "tdmi:lit"], 2, "lite"),
    "a model without weights": (lambda t: [video(t), "--model", "tdmi:hrnet_w48"], 7, "w48"),
    "an unknown detector": (lambda t: [video(t), "--detector", "yolo"], 2, "whole-frame"),
    "a detector without weights": (
        lambda t: [video(t), "--detector", "torchvision:fasterrcnn_resnet50_fpn"], 7, "fasterrcnn"),
    "an unknown window policy": (lambda t: [video(t), "--window", "slide"], 2, "slide"),
    "a device that is not there": (lambda t: [video(t), "--device", "warp9"], 2, "warp9"),
    "weights with code inside": (pickled_weights, 7, "weights.pth"),
    "weights of another network": (foreign_weights, 7, "other.safetensors"),
    "weights that are cut off": (
        lambda t: [video(t), "--weights", write_text(t / "w.safetensors", "abc")], 7, "w.safe"),
    "weights that are not there": (
        lambda t: [video(t), "--weights", str(t / "w.safetensors")], 7, "w.safetensors"),
    "boxes that are not JSON": (lambda t: boxes(t, "{"), 4, "boxes.json"),
    "no box at all": (lambda t: boxes(t, "[]"), 4, "boxes.json"),
    "a NaN box": (lambda t: boxes(t, coco_box(bbox=[float("nan"), 5, 40, 50])), 4, "bbox"),
    "a box of negative size": (lambda t: boxes(t, coco_box(bbox=[5, 5, -40, 50])), 4, "bbox"),
    "a box without numbers": (lambda t: boxes(t, coco_box(bbox="here")), 4, "bbox"),
    "a boxes file that is not there": (
        lambda t: [video(t), "--detector", f"boxes:{t / 'gone.json'}"], 4, "gone.json"),
    "an output that exists": (occupied, 2, "--overwrite"),
    "two videos of one name": (same_name_twice, 2, "good"),
    "an output folder that is a file": (
        lambda t: [video(t), "--out", write_text(t / "plain", "x")], 2, "plain"),
}  # fmt: skip


def write_image(tmp: Path, size: tuple[int, int]) -> Path:
    folder = tmp / "frames"
    folder.mkdir()
    Image.new("RGB", size).save(folder / "0.png")
    return folder


def bad_picture(tmp: Path) -> Path:
    folder = write_image(tmp, SIZE)
    (folder / "1.png").write_text("no picture")
    return folder


@pytest.mark.parametrize("name", CASES)
def test_hostile_input_ends_with_a_clear_message_and_leaves_nothing(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make, code, fragment = CASES[name]
    monkeypatch.chdir(tmp_path)
    arguments = make(tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    if "--out" not in arguments:
        arguments += ["--out", str(tmp_path / "out")]
    if "--detector" not in arguments:
        arguments += ["--detector", "whole-frame"]
    try:
        got = main(["predict", *arguments, "--quiet"])
    except SystemExit as stop:  # the parser's way to leave
        got = int(stop.code or 0)
    told = capsys.readouterr().err
    assert got == code, told
    assert fragment in told
    assert "Traceback" not in told
    after = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    new = [p for p in after if p not in before and "good" not in p.name]
    assert new == []
    assert all(after[p] == content for p, content in before.items())


def test_there_are_at_least_thirty_hostile_inputs() -> None:
    assert len(CASES) >= 30

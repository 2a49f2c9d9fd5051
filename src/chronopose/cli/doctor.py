"""Check what this machine can do: video codecs, torch, devices, weights, optional parts.

Exit code 0 when the main job can run here, 1 when something it needs is broken.
"""

from __future__ import annotations

import importlib.util
import platform
from collections.abc import Callable, Iterator
from typing import Any

HELP = "check codecs, torch, devices, weights and optional parts"

EXTRAS = {
    "tensorboard": ("tensorboard", "training curves in TensorBoard"),
    "cv2": ("flow", "classical optical flow"),
    "rerun": ("viewers", "interactive viewing"),
    "onnxruntime": ("deploy", "ONNX export"),
    "moderngl": ("synth", "the synthetic video generator"),
}


def add_arguments(parser: Any) -> None:
    """The verb has no flags of its own."""


def run(options: Any) -> int:
    """Run every check and print a line each."""
    broken = 0
    checks: list[tuple[str, Callable[[], str]]] = [
        ("python", lambda: f"{platform.python_version()} on {platform.system()}"),
        ("chronopose", _version),
        ("torch", _torch),
        ("torchvision", _torchvision),
        ("video", _video),
        ("parquet", _parquet),
        ("weights", _weights),
        ("main job", _main_job),
    ]
    for name, check in checks:
        try:
            print(f"  ok      {name:<12} {check()}")
        except Exception as error:  # a doctor reports every failure and goes on
            broken += 1
            print(f"  BROKEN  {name:<12} {type(error).__name__}: {error}")
    for line in _extras():
        print(line)
    print("everything the main job needs works here" if not broken else f"{broken} broken")
    return 1 if broken else 0


def _version() -> str:
    import chronopose

    return chronopose.__version__


def _torch() -> str:
    import torch

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return f"{torch.__version__}, {torch.get_num_threads()} threads, " + (
        f"GPU {', '.join(gpus)}" if gpus else "no GPU (the CPU is used)"
    )


def _torchvision() -> str:
    import torch
    import torchvision

    boxes = torch.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 2.0]])
    kept = torchvision.ops.nms(boxes, torch.tensor([0.9, 0.8]), 0.5)
    if kept.tolist() != [0]:
        raise RuntimeError("its non-maximum suppression gives a wrong answer; reinstall it")
    return str(torchvision.__version__)


def _video() -> str:
    import av

    found = [c for c in ("h264", "hevc", "vp9", "av1", "mpeg4") if c in av.codecs_available]
    writer = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    return f"PyAV {av.__version__}, reads {' '.join(found)}, writes {writer}"


def _parquet() -> str:
    import pyarrow

    return f"pyarrow {pyarrow.__version__}"


def _weights() -> str:
    from chronopose import zoo
    from chronopose.pipeline.builtin import load_person_detector

    cards = zoo.list_cards()
    for card in cards:
        if card.model == "person_detector":
            assert card.path is not None
            load_person_detector(card.path)
        else:
            zoo.load_any(card.name)
    return f"{len(cards)} cards, all load: {', '.join(c.name for c in cards) or 'none shipped'}"


def _main_job() -> str:
    import tempfile
    import time
    from pathlib import Path

    from chronopose._api import DEFAULT_MODEL, load
    from chronopose.cli._demo import write_procedural_video

    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "check.mp4"
        write_procedural_video(video, seconds=0.5, size=(192, 144), people=1, seed=0)
        predictor = load(DEFAULT_MODEL)
        started = time.perf_counter()
        poses = predictor.predict(video)
        rate = len(poses.frame_index) / (time.perf_counter() - started)
    return f"{DEFAULT_MODEL} on a small clip: {len(poses.frame_index)} frames, {rate:.0f} frames/s"


def _extras() -> Iterator[str]:
    for module, (extra, purpose) in EXTRAS.items():
        there = importlib.util.find_spec(module) is not None
        state = "ok      " if there else "absent  "
        how = "" if there else f"; pip install 'chronopose[{extra}]'"
        yield f"  {state}{module:<12} optional: {purpose}{how}"

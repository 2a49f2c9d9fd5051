"""ONNX: a model as a file for other runtimes, compared with the network it came from.

A model of several frames can be written in two files, as it is used here: ``encode`` for one frame
and ``fuse`` for a window of what ``encode`` gave. A stream then costs one encode a frame.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from chronopose.errors import ChronoposeError, UsageError, import_extra
from chronopose.io.atomic import replacing
from chronopose.models._any import VideoModel
from chronopose.models._base import Features
from chronopose.models._scene import SceneModel

CLOSE = 1e-4
"""Largest difference from the network, as a share of the largest value (of 1 if that is less)."""
OPSET = 20
PEOPLE = 2
"""Crops in the batch that is traced; others may be given later."""
SUFFIX = ".onnx"
NOISE = ("torch.onnx", "torch.onnx._internal.exporter", "onnxscript", "onnx_ir", "torch.export")


@dataclass(frozen=True)
class Exported:
    """What was written.

    Args:
        files: The files: one, or that of ``encode`` and that of ``fuse``.
        difference: Largest difference from the network on random input, as a share of the largest
            value.
    """

    files: tuple[Path, ...]
    difference: float


def export_onnx(
    model: VideoModel,
    path: str | Path,
    *,
    split: bool = False,
    frame_size: tuple[int, int] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Exported:
    """Write a model as ONNX, run the file, and keep it only if it gives the network's numbers.

    Inputs are named ``frames`` (B, T, 3, H, W), or ``frames`` (N, 3, H, W) of ``encode`` and
    ``feature_0`` ... (B, T, ...) of ``fuse``; outputs bear the names of the network's output. The
    first axis is free for models of crops; a model of whole frames takes one window of one size.
    What else a user needs (offsets of the frames, and ``facts``) is JSON under ``chronopose`` in
    the metadata of each file.

    Args:
        model: On the CPU; it is put in eval mode.
        path: ``X.onnx``; with ``split`` the files are ``X.encode.onnx`` and ``X.fuse.onnx``.
        split: Write ``encode`` and ``fuse`` apart.
        frame_size: Width and height of the frames of a model of whole frames, pixels, multiples
            of its divisor; crops have the model's size.
        facts: Plain values for the metadata, e.g. the weights card.

    Raises:
        UsageError: another suffix, or a size that does not fit the model.
        MissingExtra: onnx, onnxscript or onnxruntime is missing.
        ChronoposeError: the network cannot be written as ONNX, or the file gives other numbers;
            no file is left.
    """
    target = Path(path)
    if target.suffix != SUFFIX:
        raise UsageError(f"ONNX files end in {SUFFIX}; got {path}. Change the suffix.")
    for package in ("onnx", "onnxscript", "onnxruntime"):
        import_extra(package, package, "deploy", "ONNX export")
    model = model.cpu().eval()
    frames = _example(model, frame_size)
    free = not isinstance(model, SceneModel)
    told = {**(facts or {}), "offsets": list(model.needs.offsets)}
    if not split:
        part = _Whole(model, told)
        return Exported((target,), _write(part, (frames,), ("frames",), target, free))
    encode, fuse = _Encode(model, told), _Fuse(model, told)
    with torch.no_grad():
        features = encode(frames.flatten(0, 1))
    windows = tuple(f.unflatten(0, frames.shape[:2]) for f in features)
    names = tuple(f"feature_{i}" for i in range(len(windows)))
    files = tuple(target.with_suffix(f".{part}{SUFFIX}") for part in ("encode", "fuse"))
    found = [
        _write(encode, (frames.flatten(0, 1),), ("frames",), files[0], free),
        _write(fuse, windows, names, files[1], free),
    ]
    return Exported(files, max(found))


class _Part(nn.Module):
    """A piece of a model that takes tensors and returns a tuple of tensors, ``names`` in order."""

    def __init__(self, model: Any, facts: Mapping[str, Any]) -> None:
        super().__init__()
        self.model = model
        self.facts = {"part": type(self).__name__.strip("_").lower(), **facts}
        self.names: tuple[str, ...] = ()

    def _flat(self, output: Any) -> tuple[Tensor, ...]:
        fields = getattr(output, "_fields", [f"feature_{i}" for i in range(len(output))])
        found = {n: v for n, v in zip(fields, output, strict=True) if isinstance(v, Tensor)}
        self.names = tuple(found)
        return tuple(found.values())


class _Whole(_Part):
    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        return self._flat(self.model(frames))


class _Encode(_Part):
    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        features: Features = self.model.encode(frames)
        return self._flat(tuple(features))


class _Fuse(_Part):
    def forward(self, *features: Tensor) -> tuple[Tensor, ...]:
        return self._flat(self.model.fuse(features))


def _example(model: VideoModel, frame_size: tuple[int, int] | None) -> Tensor:
    count = len(model.needs.offsets)
    if isinstance(model, SceneModel):
        divisor = model.needs.divisor
        width, height = frame_size or (0, 0)
        if min(width, height) < 1 or width % divisor or height % divisor:
            raise UsageError(
                f"A model of whole frames is written for one size: give frame_size as width and "
                f"height in multiples of {divisor}, e.g. (640, 384); got {frame_size}."
            )
        return torch.rand(1, count, 3, height, width)
    if frame_size is not None:
        raise UsageError(
            f"This model reads crops of {model.needs.crop_size}: build it with another crop_size "
            f"instead of giving frame_size."
        )
    width, height = model.needs.crop_size
    return torch.randn(PEOPLE, count, 3, height, width)


def _write(
    part: _Part, inputs: Sequence[Tensor], names: Sequence[str], target: Path, free: bool
) -> float:
    """Trace, write, run and compare one file."""
    with torch.no_grad():
        wanted = part(*inputs)
    shapes = tuple({0: torch.export.Dim.DYNAMIC} for _ in inputs) if free else None
    if isinstance(part, _Fuse) and shapes is not None:
        shapes = (shapes,)  # type: ignore[assignment]
    try:
        with _hushed(), torch.no_grad():
            program = torch.onnx.export(
                part, tuple(inputs), input_names=list(names), output_names=list(part.names),
                opset_version=OPSET, dynamo=True, dynamic_shapes=shapes, verbose=False,
            )  # fmt: skip
    except Exception as error:
        raise ChronoposeError(
            f"{type(part.model).__name__} cannot be written as ONNX: {_first_line(error)}"
        ) from error
    assert program is not None
    program.model.metadata_props["chronopose"] = json.dumps(part.facts)
    with replacing(target, ChronoposeError) as temporary:
        program.save(temporary)
        difference = _compare(temporary, part, inputs, names, wanted, free)
        if not difference <= CLOSE:
            raise ChronoposeError(
                f"The ONNX file of {type(part.model).__name__} gives other numbers: they differ by "
                f"{difference:.1e} of the largest value, more than {CLOSE:.0e}. Nothing was kept."
            )
    return difference


def _compare(
    file: Path, part: _Part, inputs: Sequence[Tensor], names: Sequence[str],
    wanted: Sequence[Tensor], free: bool,
) -> float:  # fmt: skip
    """Largest difference on the traced input and, where the batch is free, on a longer one."""
    runtime = import_extra("onnxruntime", "onnxruntime", "deploy", "ONNX export")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    session = runtime.InferenceSession(
        file.read_bytes(), options, providers=["CPUExecutionProvider"]
    )
    pairs = [(inputs, wanted)]
    if free:
        longer = [torch.cat([x, x.flip(0), x[:1] * 0.5]) for x in inputs]
        with torch.no_grad():
            pairs.append((longer, part(*longer)))
    worst = 0.0
    for given, known in pairs:
        feeds = {n: x.numpy() for n, x in zip(names, given, strict=True)}
        for got, want in zip(session.run(None, feeds), known, strict=True):
            scale = max(1.0, float(want.abs().max()))
            gap = float(np.abs(got - want.numpy()).max()) / scale if got.size else 0.0
            worst = max(worst, gap if got.shape == tuple(want.shape) else np.inf)
    return worst


def _first_line(error: Exception) -> str:
    cause = error.__cause__ or error
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return f"{type(cause).__name__}: {lines[0] if lines else 'no message'}"


@contextmanager
def _hushed() -> Iterator[None]:
    """Keep the exporter's running commentary out of the terminal."""
    loggers = [logging.getLogger(name) for name in NOISE]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)

"""The one door to files of labels and predictions: a name or the content picks the format.

Labels are read without rounding and with everything that scoring looks at, see
:class:`~chronopose.core.labels.LabelledSequence`. Poses for drawing and filtering have a door of
their own, :mod:`chronopose.io.poses`; what it writes can be read here too.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from chronopose.core.labels import LabelledSequence
from chronopose.errors import FormatError
from chronopose.io._fields import load_json, reading
from chronopose.io._mat import mat_names
from chronopose.io.poses import read_poses


@dataclass(frozen=True)
class LabelFormat:
    """One format of labels or predictions.

    Args:
        about: What it is, for lists.
        module: Module of this package.
        reader: Name of its reading function.
        writer: Name of its writing function; empty if the format is only read.
        folders: Whether the reader takes a folder of files by itself.
        preset: Options that the writer is always given.
    """

    about: str
    module: str
    reader: str
    writer: str = ""
    folders: bool = False
    preset: Mapping[str, Any] = field(default_factory=dict)

    def load(self, name: str) -> Callable[..., Any]:
        """The function called ``name`` in the format's module."""
        loaded: Callable[..., Any] = getattr(import_module(f"chronopose.io.{self.module}"), name)
        return loaded


LABEL_FORMATS: dict[str, LabelFormat] = {
    "posetrack17": LabelFormat(
        "PoseTrack 2017 labels", "posetrack17", "read_posetrack17", "write_posetrack17", True
    ),
    "posetrack17_submission": LabelFormat(
        "PoseTrack 2017 predictions", "posetrack17", "read_posetrack17",
        "write_posetrack17_predictions", True,
    ),
    "posetrack18": LabelFormat(
        "PoseTrack 2018 labels", "posetrack", "read_posetrack", "write_posetrack", True
    ),
    "posetrack21": LabelFormat(
        "PoseTrack 2021 labels", "posetrack", "read_posetrack", "write_posetrack", True,
        {"version": "21"},
    ),
    "posetrack_submission": LabelFormat(
        "PoseTrack 2018 and 2021 predictions", "posetrack", "read_posetrack",
        "write_posetrack_predictions", True,
    ),
    "hieve": LabelFormat("HiEve tracks 2 and 3", "hieve", "read_hieve", "write_hieve", True),
    "hieve_submission": LabelFormat(
        "HiEve predictions", "hieve", "read_hieve", "write_hieve_submission", True
    ),
    "hieve_frames": LabelFormat("HiEve all in one", "hieve", "read_hieve_frames", folders=True),
    "hieve_boxes": LabelFormat(
        "HiEve track 1", "hieve", "read_hieve_boxes", "write_hieve_boxes"
    ),
    "coco": LabelFormat(
        "COCO keypoint labels", "coco_labels", "read_coco_labels", "write_coco_labels"
    ),
    "crowdpose": LabelFormat(
        "CrowdPose labels", "coco_labels", "read_coco_labels", "write_coco_labels"
    ),
    "coco_results": LabelFormat(
        "COCO keypoint results", "coco_labels", "read_coco_results", "write_coco_results"
    ),
    "mpii": LabelFormat("MPII release .mat", "mpii", "read_mpii", "write_mpii"),
    "mpii_hrnet": LabelFormat("HRNet's MPII JSON", "mpii", "read_mpii_hrnet", "write_mpii_hrnet"),
    "mpii_eval": LabelFormat("MPII gt_valid.mat", "mpii", "read_mpii_eval", "write_mpii_eval"),
    "mpii_h5": LabelFormat("MPII h5 copies", "mpii", "read_mpii_h5"),
    "lsp": LabelFormat("LSP joints.mat", "lsp", "read_lsp", "write_lsp", preset={"layout": "lsp"}),
    "lspet": LabelFormat(
        "LSPET joints.mat", "lsp", "read_lsp", "write_lsp", preset={"layout": "lspet"}
    ),
    "flic": LabelFormat("FLIC examples.mat", "flic", "read_flic", "write_flic"),
    "penn_action": LabelFormat(
        "Penn Action labels", "penn_action", "read_penn_action", "write_penn_action", True
    ),
    "jhmdb": LabelFormat("J-HMDB joint positions", "jhmdb", "read_jhmdb", "write_jhmdb", True),
    "upper_body": LabelFormat(
        "tables of seven joints, bbcpose.mat", "upper_body", "read_upper_body", "write_upper_body"
    ),
    "caffe_lines": LabelFormat(
        "Caffe label lines", "upper_body", "read_caffe_lines", "write_caffe_lines"
    ),
    "poses": LabelFormat("poses of a video", "labels", "read_own_poses"),
}  # fmt: skip
"""Name -> format, in the order in which they are offered."""


def read_labels(
    path: str | Path, format: str | None = None, **options: Any
) -> list[LabelledSequence]:
    """Read labels or predictions.

    Args:
        path: A file, or a folder of files of one format.
        format: A name of :data:`LABEL_FORMATS`; None finds out by the content.
        **options: Keyword arguments of the format's reader, e.g. ``keep_dummies=True``.

    Raises:
        FormatError: unknown format or option, a content that no format or more than one explains,
            or a file that is missing or damaged; the message names the file, the record and the
            field.
    """
    found = _format(format if format is not None else sniff_labels(path))
    reader = found.load(found.reader)
    _check_options(reader, options, found)
    source = Path(path)
    if source.is_dir() and not found.folders:
        files = _files(source)
        if not files:
            raise FormatError(f"{path} is a folder without files of labels.")
        return [s for f in files for s in reader(f, **options)]
    sequences: list[LabelledSequence] = reader(path, **options)
    return sequences


def write_labels(
    sequences: Sequence[LabelledSequence], path: str | Path, format: str, **options: Any
) -> None:
    """Write labels or predictions; files appear whole or not at all.

    Args:
        sequences: What to write.
        path: A file, or the folder for one file a sequence, as the format has it.
        format: A name of :data:`LABEL_FORMATS`.
        **options: Keyword arguments of the format's writer, e.g. ``truth=labels``.

    Raises:
        FormatError: unknown format or option, a format that is only read, something that it cannot
            hold, or the system refused to write.
        SkeletonMismatch: joints that are not the format's.
    """
    found = _format(format)
    if not found.writer:
        hint = "Use chronopose.io.poses.write_poses." if format == "poses" else "Choose another."
        raise FormatError(f"The format {format!r} is only read, not written. {hint}")
    writer = found.load(found.writer)
    _check_options(writer, options, found)
    if isinstance(sequences, LabelledSequence):
        sequences = [sequences]
    writer(list(sequences), path, **{**found.preset, **options})


def read_own_poses(path: str | Path) -> list[LabelledSequence]:
    """Poses that :mod:`chronopose.io.poses` reads, as something that can be scored.

    Raises:
        FormatError: the file is missing, damaged or something else.
    """
    return [LabelledSequence.from_video(read_poses(path))]


def _format(name: str) -> LabelFormat:
    if name not in LABEL_FORMATS:
        raise FormatError(
            f"There is no format {name!r} for labels. There are: {', '.join(LABEL_FORMATS)}."
        )
    return LABEL_FORMATS[name]


def _check_options(function: Callable[..., Any], given: Mapping[str, Any], of: LabelFormat) -> None:
    known = [n for n in inspect.signature(function).parameters if n not in ("path", "sequences")]
    unknown = [n for n in given if n not in known]
    if unknown:
        raise FormatError(
            f"{of.about} have no option {unknown[0]!r}. They have: {', '.join(known) or 'none'}."
        )


# ---- finding out ----------------------------------------------------------------------------


def sniff_labels(path: str | Path) -> str:
    """The name of the format of a file, or of the first file of a folder, by its content.

    Raises:
        FormatError: no format explains it, or more than one does; the message says what to pass.
    """
    source = Path(path)
    if source.is_dir():
        if next(source.rglob("joint_positions.mat"), None) is not None:
            return "jhmdb"
        files = _files(source)
        if not files:
            raise FormatError(
                f"{path} holds no .json, .mat, .xml, .txt or .h5 file. Give the folder of the "
                f"labels, or a file."
            )
        source = files[0]
    if not source.exists():
        raise FormatError(f"Cannot read {path}: there is no such file. Check the path.")
    suffix = source.suffix.lower()
    by_suffix = {".parquet": "poses", ".xml": "hieve_frames", ".zip": "hieve_submission"}
    if suffix in by_suffix:
        return by_suffix[suffix]
    if suffix == ".json":
        return _sniff_json(load_json(source), source)
    if suffix == ".mat":
        return _sniff_mat(source)
    if suffix in (".h5", ".hdf5"):
        return "mpii_h5"
    if suffix in (".txt", ".csv"):
        return _sniff_text(source)
    raise _unknown(source, f"the suffix {suffix!r} stands for none")


def _files(folder: Path) -> list[Path]:
    kinds = (".json", ".mat", ".xml", ".txt", ".h5")
    return sorted(f for f in folder.iterdir() if f.suffix.lower() in kinds and f.is_file())


def _unknown(path: Path, why: str) -> FormatError:
    return FormatError(
        f"{path} is in no format of labels that is known: {why}. Name it if it is one of these: "
        f"{', '.join(LABEL_FORMATS)}."
    )


def _sniff_json(content: object, path: Path) -> str:
    if isinstance(content, Mapping):
        if "annolist" in content:
            return _sniff_annolist(content["annolist"], path)
        if "chronopose" in content:
            return "poses"
        if "images" in content and "annotations" in content:
            return "posetrack18" if _is_posetrack(content) else "coco"
        if {"object", "objects", "annotation"} & set(content):
            return "hieve_frames"
        raise _unknown(path, f"its keys are {', '.join(map(str, content))[:200] or 'none'}")
    if not isinstance(content, list):
        raise _unknown(path, f"it holds a {type(content).__name__}")
    first = content[0] if content else None
    keys = set(first) if isinstance(first, Mapping) else set()
    if {"joints", "joints_vis"} <= keys:
        return "mpii_hrnet"
    if {"image_id", "keypoints"} <= keys and "idx" not in keys:
        return "coco_results"
    if "bndbox" in keys:
        return "hieve_frames"
    if "bbox" in keys:
        raise _unknown(path, "it is a list of boxes and no labels")
    raise _unknown(path, f"its first record has {', '.join(sorted(map(str, keys))) or 'no fields'}")


def _first(value: object) -> Mapping[str, Any]:
    listed = value if isinstance(value, list) and value else [{}]
    return listed[0] if isinstance(listed[0], Mapping) else {}


def _is_posetrack(content: Mapping[str, Any]) -> bool:
    image, person = _first(content["images"]), _first(content["annotations"])
    signs = {"is_labeled", "vid_id", "frame_id", "ignore_regions_x", "has_labeled_person"}
    return bool(signs & set(image)) or "bbox_head" in person


def _sniff_annolist(listed: object, path: Path) -> str:
    """PoseTrack17 and HiEve look the same, and their boxes mean different things."""
    entries = [e for e in listed if isinstance(e, Mapping)] if isinstance(listed, list) else []
    signs = {"imgnum", "is_labeled"}
    if any(signs & set(e) for e in entries) or not entries:
        hieve = path.stem.isdecimal() and all("imgnum" not in e for e in entries) and entries
        return "hieve" if hieve else "posetrack17"
    names = [str(_first(e.get("image")).get("name")) for e in entries]
    if any("/" in n or "\\" in n for n in names):
        return "posetrack17"
    if path.stem.isdecimal() and all(re.fullmatch(r"\d{6}\.jpg", n) for n in names):
        return "hieve"
    raise _unknown(
        path, "its annolist may be PoseTrack17's (head boxes) or HiEve's (person boxes): say which"
    )


_BY_VARIABLE = {
    "RELEASE": "mpii", "pos_gt_src": "mpii_eval", "examples": "flic", "pos_img": "jhmdb",
    "bbcpose": "upper_body", "visibility": "penn_action",
}  # fmt: skip


def _sniff_mat(path: Path) -> str:
    names = mat_names(path)
    if "joints" in names:
        return "lsp" if names["joints"][:2] == (3, 14) else "lspet"
    for variable, format in _BY_VARIABLE.items():
        if variable in names:
            return format
    raise _unknown(path, f"its variables are {', '.join(names) or 'none'}")


def _sniff_text(path: Path) -> str:
    with reading(path, "a text file"), open(path, encoding="utf-8-sig") as file:
        line = next((x.strip() for x in file if x.strip()), "")
    if re.fullmatch(r"\S+\s+[-+.,\deE]+\s+[-+.,\deE]+\s+-?\d+", line) and line.count(",") > 5:
        return "caffe_lines"
    if re.match(r"frame[\s,].*head_x", line.lower()):
        return "upper_body"
    if path.suffix.lower() == ".csv":
        return "poses"
    raise _unknown(path, "text lines of numbers do not say what they are, so give the format")

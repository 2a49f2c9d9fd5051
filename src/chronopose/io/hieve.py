"""HiEve (Human in Events): labels of all tracks, submissions.

- **Tracks 2 and 3**, ``track2&3/{n}.json``: like PoseTrack17, but trap: **x1 y1 x2 y2 is the
  person's box** and there is no head box. Pictures are ``000123.jpg``, counted from 0. A joint that
  is not listed is absent, and so is one at (0, 0) of score 0, as written by tools that fill up.
  The points carry no visibility, so what is listed is visible.
- **All in one**, ``000000.xml`` or ``.json`` a frame, objects with ``bndbox`` and
  ``"Nose": "x,y,flag"``. Trap: **the flag has the opposite sense to COCO's**: 0 visible, 1
  invisible, -1 not annotated.
- **Track 1**, text lines ``frame,id,left,top,width,height,flag,-1,-1,-1``: boxes of people, no
  joints. Flag 0 is a box to ignore: it becomes an ignore region.

Not confirmed: how the joints other than "Nose" are spelt in the all-in-one files (any spelling of
:func:`chronopose.core.skeletons.joint_name` is understood, anything else that looks like a joint is
an error), where their object list and ids stand, from which number the lines of track 1 count
(they are taken as they are), and the end of those lines.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from chronopose.core.labels import NO_ID, LabelledFrame, LabelledSequence
from chronopose.core.skeletons import HIEVE14, joint_name
from chronopose.errors import FormatError
from chronopose.io._annolist import (
    Entry,
    annolists,
    entries,
    file_sequence,
    load_annolist,
    one,
    write_entry,
    write_rect,
)
from chronopose.io._fields import field, load_json, number, reading, records
from chronopose.io._labelled import (
    ABSENT,
    OCCLUDED,
    VISIBLE,
    Person,
    arranged,
    box_xywh,
    box_xyxy,
    frame_of,
    integer,
    once,
    people_extra,
    picture_number,
    pixels,
    single,
    to_xywh,
    write_jsons,
)
from chronopose.io._submission import submission_ids, submission_scores
from chronopose.io.atomic import write_text, writing

TEST_VIDEOS = tuple(str(n) for n in range(20, 33))
"""Names of the videos that a submission holds."""
LARGEST_ZIP = 2 * 1024**3
"""A submission does not unfold to more bytes than this."""

_FLAGS = {0: VISIBLE, 1: OCCLUDED, -1: ABSENT}
_EDGES = ("xmin", "ymin", "xmax", "ymax")
_TRIPLE = re.compile(r"\s*[^,\s]+\s*,\s*[^,\s]+\s*,\s*[^,\s]+\s*")


def read_hieve(path: str | Path) -> list[LabelledSequence]:
    """Read labels or predictions of tracks 2 and 3.

    Args:
        path: A JSON file, a folder of them, or the zip of a submission.

    Returns:
        A video for each file, named by the file.

    Raises:
        FormatError: a file is missing, damaged or something else; the message names the file, the
            record and the field.
    """
    source = Path(path)
    if source.is_dir():
        files = sorted(source.glob("*.json"), key=_by_number)
        if not files:
            raise FormatError(f"{path} holds no .json file. Give the folder of the annotations.")
        return [s for f in files for s in read_hieve(f)]
    if source.suffix.lower() == ".zip":
        return _read_zip(source)
    return [_video(load_annolist(path), path)]


def _by_number(path: Path) -> tuple[int, str]:
    return (int(path.stem) if path.stem.isdecimal() else 10**9, path.stem)


def _video(listed: list[Any], path: str | Path) -> LabelledSequence:
    frames = [_frame(e) for e in entries(listed, HIEVE14, path)]
    once(frames, f"{path}: annolist")
    return file_sequence(path, Path(path).stem, HIEVE14, frames)


def _frame(entry: Entry) -> LabelledFrame:
    for person in entry.people:
        if person.score is not None:
            gone = (person.xy == 0).all(-1) & (person.score == 0)
            person.xy[gone], person.score[gone], person.visibility[gone] = np.nan, np.nan, ABSENT
    index = picture_number(entry.name, f"{entry.where}.image.name")
    return frame_of(
        entry.where, entry.name, index, HIEVE14, entry.people, entry.extra,
        ignore=entry.ignore, labelled=entry.labelled,
    )  # fmt: skip


def _read_zip(path: Path) -> list[LabelledSequence]:
    found = []
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if sum(m.file_size for m in members) > LARGEST_ZIP:
                raise FormatError(f"{path} unfolds to more than {LARGEST_ZIP >> 30} GiB: refused.")
            for member in sorted(members, key=lambda m: _by_number(Path(m.filename))):
                if not re.fullmatch(r"[0-9]+\.json", member.filename):
                    raise FormatError(
                        f"{path} holds {member.filename[:80]!r}; a submission holds 20.json to "
                        f"32.json and nothing else."
                    )
                content = json.load(io.BytesIO(archive.read(member)))
                where = f"{path}: {member.filename}"
                listed = records(field(content, "annolist", where), f"{where}: annolist")
                sequence = _video(listed, where)
                found.append(replace(sequence, name=Path(member.filename).stem))
    except (OSError, zipfile.BadZipFile, ValueError, RuntimeError, NotImplementedError) as error:
        raise FormatError(f"Cannot read {path}: it is no zip of JSON files ({error}).") from error
    if not found:
        raise FormatError(f"{path} is an empty zip: there is no video in it.")
    return found


def write_hieve(sequences: Sequence[LabelledSequence], path: str | Path) -> None:
    """Write labels of tracks 2 and 3; visibility and head boxes have no place in the format.

    Args:
        sequences: Videos with the joints of ``hieve14``.
        path: A folder for one file each, or a ``.json`` file for a single video.

    Raises:
        FormatError: names collide, or the system refused to write; nothing is left behind.
        SkeletonMismatch: other joints.
    """
    ready = [arranged(s, HIEVE14, path) for s in sequences]
    write_jsons(annolists(ready, path, _label))


def _label(frame: LabelledFrame, video: str) -> dict[str, Any]:
    rects = [
        extra | write_rect(frame, row, frame.boxes[row], None, int(frame.ids[row]))
        for row, extra in enumerate(people_extra(frame))
    ]
    more = {} if frame.labelled else {"is_labeled": [0]}
    return write_entry(frame, rects, True, **more)


def write_hieve_submission(
    sequences: Sequence[LabelledSequence], path: str | Path, *, partial: bool = False
) -> None:
    """Write predictions of tracks 2 and 3 as the server takes them.

    People without any joint are left out; people without an id get the free numbers of their
    frame.

    Args:
        sequences: Predictions with a score for every joint; the videos are called 20 to 32.
        path: The ``.zip`` to send, a folder for its files, or a ``.json`` file for one video.
        partial: Accept other videos, e.g. those of a validation split.

    Raises:
        FormatError: a video is missing or is none of the test set, a joint has no score, or the
            system refused to write; nothing is left behind.
        SkeletonMismatch: other joints.
    """
    ready = [arranged(s, HIEVE14, path) for s in sequences]
    names = [s.name for s in ready]
    if not partial and sorted(names) != sorted(TEST_VIDEOS):
        wrong = sorted(set(TEST_VIDEOS) ^ set(names)) or names
        raise FormatError(
            f"Cannot write {path}: a submission holds the videos 20 to 32 once each, and that is "
            f"not so for {', '.join(wrong)[:200]}. Pass partial=True for anything else."
        )
    zipped = Path(path).suffix.lower() == ".zip"
    contents = annolists(ready, Path("zip") if zipped else path, _prediction)
    if not zipped:
        write_jsons(contents)
        return
    with writing(path, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name.name, json.dumps(content, allow_nan=False))


def _prediction(frame: LabelledFrame, video: str) -> dict[str, Any]:
    frame = frame.select(frame.known.any(-1))
    rects = [
        write_rect(frame, row, frame.boxes[row], submission_scores(frame, row, video), track)
        for row, track in enumerate(submission_ids(frame, video))
    ]
    return write_entry(frame, rects, False)


# ---- all in one -----------------------------------------------------------------------------


def read_hieve_frames(path: str | Path) -> list[LabelledSequence]:
    """Read the all-in-one labels of a video.

    Args:
        path: The folder of its ``000000.xml`` or ``000000.json`` files, or one of the files.

    Returns:
        One video, named by the folder.

    Raises:
        FormatError: a file is missing, damaged or something else; the message names the file, the
            object and the field.
    """
    folder = Path(path)
    files = [folder]
    if folder.is_dir():
        found = [f for f in folder.iterdir() if f.suffix.lower() in (".xml", ".json")]
        files = sorted(found, key=_by_number)
        if not files:
            raise FormatError(f"{path} holds no .xml or .json file: give the folder of one video.")
    frames = []
    for file in files:
        objects = _xml_objects(file) if file.suffix.lower() == ".xml" else _json_objects(file)
        people = [_object(o, f"{file}: object {at}") for at, o in enumerate(objects)]
        index = picture_number(file.name, str(file))
        frames.append(frame_of(str(file), f"{file.stem}.jpg", index, HIEVE14, people))
    once(frames, str(path))
    name = folder.name if folder.is_dir() else folder.parent.name
    return [LabelledSequence(name, HIEVE14, tuple(frames))]


def _xml_objects(path: Path) -> list[dict[str, Any]]:
    with reading(path, "an XML file"):
        raw = path.read_bytes()
    if b"<!" in raw.replace(b"<!--", b"") or b"\0" in raw:
        raise FormatError(f"Cannot read {path}: it defines entities or is not UTF-8. Refused.")
    try:
        root = ElementTree.fromstring(raw)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise FormatError(f"Cannot read {path}: it is no XML, or cut short ({error}).") from error
    if root.tag != "annotation" and root.find("object") is None:
        raise FormatError(f"{path} has a root {root.tag[:40]!r} without an object in it.")
    return [_flat(o) for o in root.iter("object")]


def _flat(element: ElementTree.Element) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for child in element:
        if child.tag == "bndbox":
            found["bndbox"] = {c.tag: (c.text or "").strip() for c in child}
        elif len(child):
            found |= _flat(child)
        else:
            found[child.tag] = (child.text or "").strip()
    return found


def _json_objects(path: Path) -> list[Any]:
    content = load_json(path)
    if isinstance(content, Mapping) and isinstance(content.get("annotation"), Mapping):
        content = content["annotation"]
    if isinstance(content, Mapping):
        key = "objects" if "objects" in content else "object"
        content = field(content, key, str(path))
    return records(content, f"{path}: object")


def _object(record: object, where: str) -> Person:
    box = field(record, "bndbox", where)
    assert isinstance(record, Mapping)
    edges = [_read_number(field(box, n, f"{where}.bndbox"), f"{where}.bndbox.{n}") for n in _EDGES]
    xy = np.full((len(HIEVE14), 2), np.nan)
    visibility = np.full(len(HIEVE14), ABSENT, np.int8)
    extra: dict[str, Any] = {}
    for key, value in _joint_fields(record):
        name = joint_name(key)
        if name not in HIEVE14:
            if isinstance(value, str) and _TRIPLE.fullmatch(value):
                raise FormatError(
                    f"{where}.{key} is no joint of HiEve: {', '.join(HIEVE14.joints)}."
                )
            extra[key] = value
            continue
        x, y, code = _triple(value, f"{where}.{key}")
        visibility[HIEVE14.index(name)] = code
        if code != ABSENT:
            xy[HIEVE14.index(name)] = x, y
    track = next((extra.pop(k) for k in ("track_id", "id") if k in extra), None)
    number_ = NO_ID if track is None else integer(_read_number(track, f"{where}.id"), f"{where}.id")
    return Person(xy, visibility, id=number_, box=box_xyxy(edges, f"{where}.bndbox"), extra=extra)


def _joint_fields(record: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    for key, value in record.items():
        if key == "bndbox":
            continue
        if isinstance(value, Mapping):
            yield from value.items()
        else:
            yield key, value


def _triple(value: object, where: str) -> tuple[float, float, int]:
    parts = value.split(",") if isinstance(value, str) else []
    if len(parts) != 3:
        raise FormatError(f"{where} must be 'x,y,flag'; got {str(value)[:60]!r}.")
    x, y, code = (_read_number(p, where) for p in parts)
    if code not in _FLAGS:
        raise FormatError(
            f"{where} has the flag {code:g}; it is 0 (visible), 1 (invisible) or -1 (not "
            f"annotated)."
        )
    if code != -1:
        pixels([x, y], 2, where)
    return x, y, _FLAGS[int(code)]


def _read_number(value: object, where: str) -> float:
    if not isinstance(value, str):
        return number(one(value, where), where)
    try:
        return number(float(value), where)
    except ValueError as error:
        raise FormatError(f"{where} must be a number; got {value[:40]!r}.") from error


# ---- track 1 --------------------------------------------------------------------------------


def read_hieve_boxes(path: str | Path) -> list[LabelledSequence]:
    """Read the boxes of track 1, labels or results; there are no joints.

    Frames are numbered as in the file; only those that it mentions are there. The seventh number
    is kept as the person's score, and boxes whose seventh number is 0 become ignore regions.

    Raises:
        FormatError: the file is missing or a line is something else; the message names it.
    """
    with reading(path, "a text file of HiEve boxes"):
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    people: dict[int, list[Person]] = {}
    ignored: dict[int, list[list[float]]] = {}
    for at, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{path}: line {at}"
        values = [_read_number(v, where) for v in line.split(",")]
        if not 7 <= len(values) <= 10:
            raise FormatError(
                f"{where} has {len(values)} fields; it needs frame,id,left,top,width,height,flag,"
                f"-1,-1,-1."
            )
        frame = integer(values[0], f"{where}, frame")
        track = integer(values[1], f"{where}, id", least=None)
        box = box_xywh(values[2:6], f"{where}, left to height")
        people.setdefault(frame, [])
        if values[6] == 0:
            ignored.setdefault(frame, []).append([float(track), *box])
        else:
            person = Person(np.full((14, 2), np.nan), np.zeros(14, np.int8), box=box)
            person.person_score, person.id = values[6], max(track, NO_ID)
            people[frame].append(person)
    if not people:
        raise FormatError(f"{path} holds no box at all. Give the text file of one video.")
    frames = [
        _box_frame(f"{path}: frame {n}", n, people[n], ignored.get(n, [])) for n in sorted(people)
    ]
    return [LabelledSequence(Path(path).stem, HIEVE14, tuple(frames))]


def _box_frame(
    where: str, index: int, people: list[Person], ignored: list[list[float]]
) -> LabelledFrame:
    corners = [[[b[1], b[2]], [b[3], b[2]], [b[3], b[4]], [b[1], b[4]]] for b in ignored]
    extra = {"ignored_boxes": ignored} if ignored else {}
    return frame_of(
        where, f"{index:06d}.jpg", index, HIEVE14, people, extra,
        ignore=tuple(np.array(c, float) for c in corners),
    )  # fmt: skip


def write_hieve_boxes(sequences: Sequence[LabelledSequence], path: str | Path) -> None:
    """Write the boxes of track 1, labels (flag 1) or results (the person's score).

    Raises:
        FormatError: several sequences, a person without a box, or the system refused to write.
    """
    lines = []
    for frame in single(sequences, path):
        for row in range(len(frame)):
            if not np.isfinite(frame.boxes[row]).all():
                raise FormatError(
                    f"Cannot write {path}: a person in frame {frame.frame_index} has no box."
                )
            score = frame.person_score[row]
            last = 1.0 if np.isnan(score) else float(score)
            lines.append(_line(frame.frame_index, int(frame.ids[row]), frame.boxes[row], last))
        for track, *box in frame.extra.get("ignored_boxes", ()):
            lines.append(_line(frame.frame_index, int(track), np.array(box), 0.0))
    write_text(path, "".join(lines))


def _line(frame: int, track: int, box: Any, last: float) -> str:
    numbers = [frame, track, *(repr(v) for v in (*to_xywh(box), last)), -1, -1, -1]
    return ",".join(map(str, numbers)) + "\n"

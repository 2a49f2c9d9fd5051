"""The table of expressions: what is written is read, and what is no table says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from chronopose.core.faces import FrameFaces
from chronopose.core.tracks import HistoryStep
from chronopose.core.video import VideoInfo
from chronopose.errors import FormatError
from chronopose.io.faces import KEY, FacesSink, read_faces
from chronopose.io.parquet import read_parquet

CLASSES = ("neutral", "happiness")
INFO = VideoInfo("walk.mp4", (320, 240), rate_hz=25.0)


def faces(frame: int, ids: list[int], happy: list[float]) -> FrameFaces:
    """People who are that happy; NaN: not judged, because the face is small."""
    share = np.array(happy, np.float32)
    boxes = np.tile(np.array([1.5, 2, 33, 44], np.float32), (len(ids), 1))
    return FrameFaces(
        frame, frame / 25, CLASSES, np.array(ids, np.int64), np.stack([1 - share, share], -1),
        boxes, np.full(len(ids), -7.5, np.float32),
        tuple("small" if np.isnan(h) else "yes" for h in happy),
    )  # fmt: skip


FRAMES = [faces(0, [3], [0.75]), faces(1, [], []), faces(2, [3, 8], [np.nan, 0.25])]


def written(path: Path, complete: bool = True) -> Path:
    sink = FacesSink(path, INFO, CLASSES, (HistoryStep("faces", {"smooth_s": 0.5}, "1"),))
    for frame in FRAMES:
        sink.write(frame)
    sink.close(complete=complete)
    return path


def test_written_and_read_back(tmp_path):
    video = read_faces(written(tmp_path / "walk_expressions.parquet", complete=False))
    assert video.info.source == "walk.mp4" and video.info.size == (320, 240)
    assert video.classes == CLASSES and not video.complete
    assert video.history == (HistoryStep("faces", {"smooth_s": 0.5}, "1"),)
    assert [f.frame_index for f in video.frames] == [0, 2]  # frames with people
    for found, given in zip(video.frames, (FRAMES[0], FRAMES[2]), strict=True):
        assert found.judged == given.judged and found.time_s == given.time_s
        np.testing.assert_array_equal(found.ids, given.ids)
        np.testing.assert_array_equal(found.probability, given.probability)
        np.testing.assert_array_equal(found.xyxy, given.xyxy)
        np.testing.assert_array_equal(found.tilt_deg, given.tilt_deg)


def test_any_parquet_reader_sees_a_plain_table(tmp_path):
    rows = pq.read_table(written(tmp_path / "x.parquet")).to_pylist()
    assert [(r["frame"], r["person_id"], r["expression"], r["judged"]) for r in rows] == [
        (0, 3, "happiness", "yes"), (2, 3, None, "small"), (2, 8, "neutral", "yes"),
    ]  # fmt: skip
    assert rows[0]["expression_score"] == 0.75 and rows[0]["p_neutral"] == 0.25
    assert rows[1]["expression_score"] is None and rows[1]["face_x2"] == 33
    assert rows[0]["video"] == "walk.mp4"


def test_nobody_in_the_whole_video_is_a_table_too(tmp_path):
    with_none = FacesSink(tmp_path / "x.parquet", INFO, CLASSES)
    with_none.write(faces(0, [], []))
    with_none.close()
    video = read_faces(tmp_path / "x.parquet")
    assert list(video.frames) == [] and video.classes == CLASSES and video.complete


def test_nothing_appears_before_the_end_or_after_an_abort(tmp_path):
    sink = FacesSink(tmp_path / "x.parquet", INFO, CLASSES)
    sink.write(FRAMES[0])
    assert not (tmp_path / "x.parquet").exists()
    sink.abort()
    sink.abort()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FormatError, match="closed already"):
        sink.write(FRAMES[0])


def test_faces_of_other_classes_are_refused(tmp_path):
    sink = FacesSink(tmp_path / "x.parquet", INFO, ("neutral", "anger"))
    with pytest.raises(FormatError, match="its classes are others"):
        sink.write(FRAMES[0])
    sink.abort()


def test_tables_of_poses_and_of_expressions_are_told_apart(tmp_path):
    path = written(tmp_path / "x.parquet")
    with pytest.raises(FormatError, match="has no column joint"):
        read_parquet(path)
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({}), tmp_path / "bare.parquet")
    with pytest.raises(FormatError, match="no table of expressions"):
        read_faces(tmp_path / "bare.parquet")


def test_damaged_tables_say_so(tmp_path):
    path = written(tmp_path / "x.parquet")
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(path.read_bytes()[:-40])
    for wrong in (cut, tmp_path / "gone.parquet"):
        with pytest.raises(FormatError, match=wrong.name):
            read_faces(wrong)
    table = pq.read_table(path).drop_columns(["face_tilt_deg"])
    told = pq.ParquetFile(path).metadata.metadata[KEY]
    pq.write_table(table.replace_schema_metadata({KEY: told}), tmp_path / "less.parquet")
    with pytest.raises(FormatError, match="no column 'face_tilt_deg'"):
        read_faces(tmp_path / "less.parquet")

"""Words, numbers and tables of expression sets."""

from __future__ import annotations

from pathlib import Path

import pytest

from chronopose.errors import FormatError
from chronopose.io.expressions import (
    AFFECTNET,
    CKPLUS,
    EXPRESSIONS,
    FER2013,
    JAFFE,
    RAFDB,
    RAFDB_FOLDERS,
    Votes,
    around,
    expression_named,
    numbered_expression,
    peak,
    read_jaffe_name,
    read_landmarks,
    read_rows,
)


def file(folder: Path, data: bytes) -> Path:
    path = folder / "table.csv"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("order", [AFFECTNET, CKPLUS, FER2013, RAFDB, RAFDB_FOLDERS, JAFFE])
def test_every_order_speaks_the_one_vocabulary(order):
    assert len(set(order.values())) == len(order) and set(order.values()) <= set(EXPRESSIONS)


def test_orders_of_sets_differ_where_the_specification_says_so():
    three = [order[3] for order in (RAFDB, RAFDB_FOLDERS, AFFECTNET, FER2013, CKPLUS)]
    assert three == ["disgust", "surprise", "surprise", "happiness", "disgust"]


def test_words_in_any_letter_case():
    words = [" Angry", "HAPPINESS", "sad", "Surprised ", "images", ""]
    found = [expression_named(w) for w in words]
    assert found == ["anger", "happiness", "sadness", "surprise", None, None]


@pytest.mark.parametrize("value", ["5", " 5.0 ", "5.0000000e+00", 5, 5.0])
def test_numbers_in_any_form(value):
    assert numbered_expression(value, CKPLUS, "here") == "happiness"


@pytest.mark.parametrize("value", ["5.5", "-1", "nan", "inf", "", "five", "99"])
def test_numbers_that_are_none_say_where(value):
    with pytest.raises(FormatError, match=r"^line 7: the class is .* 7 surprise"):
        numbered_expression(value, CKPLUS, "line 7")


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("mark", [b",", b";"])
def test_tables_with_any_line_end_and_separator(tmp_path, end, mark):
    lines = [b"Image;EMOTION", b'"a b.png";happy', b"", b"c.png;sad"]
    path = file(tmp_path, end.join(line.replace(b";", mark) for line in lines))
    rows = list(read_rows(path, ("emotion", "image")))
    assert [(r["image"], r["emotion"]) for r in rows] == [("a b.png", "happy"), ("c.png", "sad")]
    assert rows[1].where.endswith("line 4")


def test_table_in_latin_1(tmp_path):
    path = file(tmp_path, "image,person\na.png,Zoë\n".encode("latin-1"))
    assert [r["person"] for r in read_rows(path, ("image",))] == ["Zoë"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"image,label\na,b\n", "has no column 'emotion'; it has image, label"),
        (b"", "has no column 'image'; it has none"),
        (b"image,emotion\na.png\n", "line 2 has 1 columns where 2 are needed"),
    ],
)
def test_damaged_tables_say_what_is_wrong(tmp_path, data, message):
    with pytest.raises(FormatError, match=message):
        list(read_rows(file(tmp_path, data), ("image", "emotion")))


def test_votes_need_one_winner_that_beats_the_others():
    def won(counts: dict[str, int], others: tuple[int, int] = (0, 0)) -> str | None:
        return Votes("x.png", counts, others).expression

    assert won({"fear": 4, "anger": 3}) == "fear"
    assert won({"fear": 4, "anger": 4}) is None
    assert won({"fear": 4, "anger": 1}, (4, 0)) is None
    assert won({"fear": 0, "anger": 0}) is None


def test_names_of_jaffe():
    assert read_jaffe_name("ka.an1.39.TIFF") == ("KA", "anger")
    assert read_jaffe_name("KA.XX1.39.tiff") is None and read_jaffe_name("README") is None


def test_peaks_stay_inside_short_sequences():
    frames = [Path(str(n)) for n in range(5)]
    assert peak(frames) == frames[2:] and peak(frames[:2]) == frames[:2]
    assert around(frames, 0) == frames[:3] and around(frames, 4) == frames[2:]
    assert around(frames, 2) == frames[1:4] and around(frames[:2], 1) == frames[:2]


def test_points_of_a_face(tmp_path):
    path = file(tmp_path, b"  1.0e+00  2.5\r\n 3 4\r\n")
    assert read_landmarks(path).tolist() == [[1.0, 2.5], [3.0, 4.0]]
    for data in (b"1 2 3\n", b"1 2\n3\n", b"a b\n", b""):
        with pytest.raises(FormatError, match="one 'x y' a line"):
            read_landmarks(file(tmp_path, data))

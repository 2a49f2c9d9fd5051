"""DeepLabCut tables: csv and both kinds of h5, one animal and several, and damaged files."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pose_damage import assert_refused, poses

from chronopose.errors import FormatError
from chronopose.io.deeplabcut import read_deeplabcut
from chronopose.io.poses import FormatLoss, read_poses, write_poses

h5py = pytest.importorskip("h5py")
pandas = pytest.importorskip("pandas")
pytest.importorskip("tables")
pytestmark = pytest.mark.filterwarnings("ignore::chronopose.io.poses.FormatLoss")

SINGLE = """\
scorer,DLC_resnet50_mouse,DLC_resnet50_mouse,DLC_resnet50_mouse,DLC_resnet50_mouse,\
DLC_resnet50_mouse,DLC_resnet50_mouse
bodyparts,snout,snout,snout,tailbase,tailbase,tailbase
coords,x,y,likelihood,x,y,likelihood
0,100.5,50.25,0.875,140.0,60.0,0.5
1,101.5,50.25,0.75,,,
2,102.5,50.25,0.625,142.0,60.0,0.5
"""
MULTI = """\
scorer,DLC,DLC,DLC,DLC,DLC,DLC
individuals,mickey,mickey,mickey,minnie,minnie,minnie
bodyparts,snout,snout,snout,snout,snout,snout
coords,x,y,likelihood,x,y,likelihood
0,100.5,50.25,0.875,,,
1,101.5,50.25,0.75,300.0,60.0,0.5
"""
LABELLED = """\
scorer,,,ann,ann,ann,ann
bodyparts,,,snout,snout,tail,tail
coords,,,x,y,x,y
labeled-data,walk,img0012.png,100.5,50.25,,
labeled-data,walk,img0040.png,101.5,50.25,140.0,60.0
"""


def save(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def table(individuals: list[str], frames: int = 3) -> Any:
    """A table as the tool makes it: x, y and likelihood count upwards."""
    levels = [["DLC"], individuals, ["snout", "tail"], ["x", "y", "likelihood"]]
    names = ["scorer", "individuals", "bodyparts", "coords"]
    columns = pandas.MultiIndex.from_product(levels, names=names)
    values = 10.0 + np.arange(frames * len(columns)).reshape(frames, -1)
    return pandas.DataFrame(values, columns=columns, index=range(frames))


def test_one_animal_is_read(tmp_path: Path) -> None:
    found = read_deeplabcut(save(tmp_path / "m.csv", SINGLE), fps=50.0)
    assert found.skeleton.joints == ("snout", "tailbase")
    assert found.ids.tolist() == [0]
    track = found.person(0)
    assert track.time_s.tolist() == [0.0, 0.02, 0.04]
    assert track.poses.xy[0].tolist() == [[100.5, 50.25], [140.0, 60.0]]
    assert track.poses.score[0].tolist() == [0.875, 0.5]
    assert np.isnan(track.poses.xy[1, 1]).all()
    assert track.poses.score[1, 1] == 0


def test_names_of_individuals_are_noted_beside_their_numbers(tmp_path: Path) -> None:
    found = read_poses(save(tmp_path / "m.csv", MULTI), fps=50.0)
    assert found.history[0].settings["individuals"] == {"0": "mickey", "1": "minnie"}
    assert found.person(1).frame_index.tolist() == [1]
    assert found.person(1).poses.xy[0].tolist() == [[300.0, 60.0]]


def test_labelled_pictures_are_frames_by_their_number(tmp_path: Path) -> None:
    found = read_deeplabcut(save(tmp_path / "CollectedData_ann.csv", LABELLED), fps=1.0)
    assert found.frame_index.tolist() == [12, 40]
    assert found.person(0).poses.score[:, 0].tolist() == [1.0, 1.0]


@pytest.mark.parametrize("kind", ["table", "fixed"])
def test_an_h5_of_pandas_is_read_without_pandas(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "m.h5"
    table(["individual1", "individual2"]).to_hdf(path, key="df_with_missing", format=kind, mode="w")
    found = read_poses(path, fps=25.0)
    assert found.ids.tolist() == [1, 2]
    assert found.person(2).poses.xy[0].tolist() == [[16.0, 17.0], [19.0, 20.0]]
    assert found.person(2).poses.score[0].tolist() == [18.0, 21.0]


def test_joints_of_one_individual_are_unknown_for_the_others(tmp_path: Path) -> None:
    unique = table(["single"]).drop(columns=[("DLC", "single", "snout", c) for c in "xy"])
    unique = unique.drop(columns=[("DLC", "single", "snout", "likelihood")])
    unique.columns = unique.columns.remove_unused_levels().set_levels(["corner"], level="bodyparts")
    both = table(["individual1"]).join(unique, how="outer")
    both.to_csv(tmp_path / "m.csv")
    found = read_deeplabcut(tmp_path / "m.csv", fps=25.0)
    assert found.skeleton.joints == ("snout", "tail", "corner")
    assert np.isnan(found.person(0).poses.xy[:, 2]).all()
    assert np.isnan(found.person(1).poses.xy[:, :2]).all()


@pytest.mark.parametrize("suffix", [".dlc.csv", ".dlc.h5"])
def test_pandas_reads_what_is_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"p{suffix}"
    write_poses(poses(), path)
    if suffix.endswith("csv"):
        frame = pandas.read_csv(path, header=[0, 1, 2, 3], index_col=0)
    else:
        frame = pandas.read_hdf(path, key="df_with_missing")
    assert list(frame.columns.names) == ["scorer", "individuals", "bodyparts", "coords"]
    assert frame["chronopose"]["individual8"]["left_hand"]["x"].tolist() == [810.0, 811.0, 812.0]
    assert frame.index.tolist() == [0, 1, 2]


@pytest.mark.parametrize("suffix", [".dlc.csv", ".dlc.h5"])
def test_a_round_trip_keeps_joints_scores_and_ids(tmp_path: Path, suffix: str) -> None:
    before = poses()
    write_poses(before, tmp_path / f"p{suffix}")
    after = read_poses(tmp_path / f"p{suffix}", fps=25.0)
    assert after.ids.tolist() == [3, 8]
    for was, now in zip(before.tracks, after.tracks, strict=True):
        np.testing.assert_array_equal(now.poses.xy, was.poses.xy)
        np.testing.assert_array_equal(now.poses.score, was.poses.score)


def test_one_person_is_written_as_one_animal_and_the_id_is_told(tmp_path: Path) -> None:
    with pytest.warns(FormatLoss, match="the person's id 3"):
        write_poses(poses(ids=(3,)), tmp_path / "p.dlc.csv")
    assert (tmp_path / "p.dlc.csv").read_text().splitlines()[1].startswith("bodyparts,")
    write_poses(poses(ids=(3,)), tmp_path / "q.dlc.csv", layout="multi")
    assert read_poses(tmp_path / "q.dlc.csv", fps=25.0).ids.tolist() == [3]


def test_two_people_do_not_fit_into_one_animal(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="holds one person and there are 2"):
        write_poses(poses(), tmp_path / "p.dlc.csv", layout="single")
    assert list(tmp_path.iterdir()) == []


def test_frames_that_were_not_looked_at_become_rows_and_it_is_told(tmp_path: Path) -> None:
    with pytest.warns(FormatLoss, match="some frames were not looked at"):
        write_poses(poses(frames=(1, 3)), tmp_path / "p.dlc.csv")
    assert read_poses(tmp_path / "p.dlc.csv", fps=25.0).frame_index.tolist() == [0, 1, 2, 3]


def replaced(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return change


DAMAGE: dict[str, Callable[[str], str]] = {
    "empty": lambda t: "",
    "no table": lambda t: "hello\n",
    "no scorer": replaced("scorer,", "author,"),
    "no coords": replaced("coords,", "places,"),
    "lines exchanged": lambda t: "\n".join(sorted(t.splitlines())) + "\n",
    "the last line cut": lambda t: t[:-6],
    "the line feed at the end cut": lambda t: t[:-1],
    "a cell too few": replaced(",0.75,,,", ",0.75,,"),
    "a cell too many": replaced(",0.75,,,", ",0.75,,,,"),
    "a text among the numbers": replaced("101.5", "left"),
    "two numbers in a cell": replaced("101.5", "101.5 3"),
    "a comma for the point": replaced("101.5", '"101,5"'),
    "an infinity": replaced("101.5", "inf"),
    "a number far too large": replaced("101.5", "1e300"),
    "an infinite likelihood": replaced("0.75", "inf"),
    "x without y": replaced("101.5,50.25", "101.5,"),
    "a frame twice": replaced("\n2,", "\n1,"),
    "a frame before": replaced("\n2,", "\n0,"),
    "a frame with a fraction": replaced("\n2,", "\n2.5,"),
    "a frame without a number": replaced("\n2,", "\n,"),
    "3D": replaced("x,y,likelihood,x,y,likelihood", "x,y,z,x,y,z"),
    "a column twice": replaced("coords,x,y,likelihood", "coords,x,x,likelihood"),
    "a joint without a name": replaced("tailbase,tailbase,tailbase", ",,"),
    "two scorers": replaced("scorer,DLC_resnet50_mouse", "scorer,other"),
    "a side alone": replaced("tailbase,tailbase,tailbase", "left_ear,left_ear,left_ear"),
    "fractions": lambda t: re.sub(r"[0-9]+[.][0-9]+", "0.5", t),
    "no UTF-8": replaced("snout", "\udcff"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_csv_files_are_refused(tmp_path: Path, damage: Callable[[str], str]) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes(damage(SINGLE).encode("utf-8", "surrogateescape"))
    assert_refused(lambda: read_deeplabcut(path, fps=25.0), path)


class Evil:
    """Leaves a file behind when it is unpickled carelessly."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def test_a_program_in_the_names_of_the_columns_is_not_run(tmp_path: Path) -> None:
    path, mark = tmp_path / "m.h5", tmp_path / "mark"
    table(["individual1"]).to_hdf(path, key="df_with_missing", format="table", mode="w")
    with h5py.File(path, "r+") as file:
        stored = file["df_with_missing/table"].attrs
        stored["values_block_0_kind"] = np.bytes_(pickle.dumps([Evil(mark)], 0))
    with pytest.raises(FormatError, match=r"asks for .* could run a program\. Nothing was run"):
        read_deeplabcut(path, fps=25.0)
    assert not mark.exists()


def drop(name: str) -> Callable[[Any], None]:
    return lambda file: file.__delitem__(name)


def put(name: str, value: Any) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        del file[name]
        file[name] = value

    return change


def kind(value: bytes | None) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        stored = file["df_with_missing/table"].attrs
        del stored["values_block_0_kind"]
        if value is not None:
            stored["values_block_0_kind"] = np.bytes_(value)

    return change


KEY = "df_with_missing"
FIXED: dict[str, Callable[[Any], None]] = {
    "no table": drop(KEY),
    "a number in place of the table": put(KEY, 4.0),
    "no values": drop(f"{KEY}/block0_values"),
    "no row names": drop(f"{KEY}/axis1"),
    "values with one axis": put(f"{KEY}/block0_values", np.ones(6)),
    "values as text": put(f"{KEY}/block0_values", np.full((3, 6), b"x")),
    "values with a column too many": put(f"{KEY}/block0_values", np.ones((3, 7))),
    "values with a row too many": put(f"{KEY}/block0_values", np.ones((4, 6))),
    "infinite values": put(f"{KEY}/block0_values", np.full((3, 6), np.inf)),
    "names without codes": drop(f"{KEY}/block0_items_label2"),
    "codes beyond the names": put(f"{KEY}/block0_items_label2", np.full(6, 9)),
    "negative codes": put(f"{KEY}/block0_items_label2", np.full(6, -1)),
    "rows by fractions": put(f"{KEY}/axis1", np.array([0.0, 0.5, 1.0])),
    "rows by names without numbers": put(f"{KEY}/axis1", np.array([b"a.png", b"b.png", b"c.png"])),
    "rows backwards": put(f"{KEY}/axis1", np.array([2, 1, 0])),
    "two levels of names": drop(f"{KEY}/block0_items_level0"),
}
TABLE: dict[str, Callable[[Any], None]] = {
    "no columns' names": kind(None),
    "names cut short": kind(pickle.dumps([("a", "b", "x")], 0)[:-4]),
    "names no pickle": kind(b"hello"),
    "too few names": kind(pickle.dumps([("DLC", "snout", "x")], 0)),
    "names no list": kind(pickle.dumps({"a": 1}, 0)),
    "names of two parts": kind(pickle.dumps([("snout", "x")] * 6, 0)),
    "names by number": kind(pickle.dumps([(1, 2, 3)] * 6, 0)),
}


HDF = [("fixed", *d) for d in FIXED.items()] + [("table", *d) for d in TABLE.items()]


@pytest.mark.parametrize(("format", "damage"), [h[::2] for h in HDF], ids=[h[1] for h in HDF])
def test_damaged_h5_files_are_refused(
    tmp_path: Path, format: str, damage: Callable[[Any], None]
) -> None:
    path = tmp_path / "m.h5"
    table(["individual1"]).to_hdf(path, key=KEY, format=format, mode="w")
    with h5py.File(path, "r+") as file:
        damage(file)
    assert_refused(lambda: read_deeplabcut(path, fps=25.0), path)

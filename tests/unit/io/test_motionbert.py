"""MotionBERT's pickle of Human3.6M."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from motion_trees import BYTES, numbered, save_pickle
from pose_damage import assert_refused

from chronopose.core.skeletons import H36M17
from chronopose.errors import FormatError
from chronopose.io.motionbert import read_motionbert

N = 5


def part(**fields: Any) -> dict[str, Any]:
    return {
        "joint_2d": numbered(N, 17, 2), "confidence": np.full((N, 17, 1), 0.5, np.float32),
        "joint3d_image": numbered(N, 17, 3),
        "camera_name": np.array(["54138969"] * 3 + ["55011271"] * 2),
        "source": ["s_09_act_02_subact_01_ca_01"] * 3 + ["s_09_act_02_subact_01_ca_02"] * 2,
    } | fields  # fmt: skip


def whole(**fields: Any) -> dict[str, Any]:
    extra = {
        "2.5d_factor": np.full(N, 3.5), "joints_2.5d_image": numbered(N, 17, 3),
        "action": ["Walking"] * N,
    }  # fmt: skip
    return {"train": part(), "test": part(**extra) | fields}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return save_pickle(tmp_path / "h36m_sh_conf_cam_source_final.pkl", whole())


def test_both_parts_are_read(path: Path) -> None:
    found = read_motionbert(path)
    train, test = found["train"], found["test"]
    assert len(train) == N
    assert train.skeleton is H36M17
    assert train.xy[2, 3].tolist() == [302.0, 1003.0]
    assert train.confidence.shape == (N, 17)
    assert train.sizes.tolist() == [[1000, 1002]] * 3 + [[1000, 1000]] * 2
    assert (train.mm_factor, train.action) == (None, None)
    assert test.mm_factor is not None
    assert test.mm_factor.tolist() == [3.5] * N
    assert test.action is not None
    assert test.action.tolist() == ["Walking"] * N
    assert (test.fps, test.units) == (50.0, "px")


def test_rows_of_one_source_are_a_run(path: Path) -> None:
    assert read_motionbert(path)["train"].runs() == [slice(0, 3), slice(3, 5)]


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_every_protocol_is_read(tmp_path: Path, protocol: int) -> None:
    path = save_pickle(tmp_path / "d.pkl", whole(), protocol)
    assert len(read_motionbert(path)["test"]) == N


class Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.mark}",)


def test_a_program_is_refused_and_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    path = save_pickle(tmp_path / "d.pkl", whole(source=Evil(mark)))
    with pytest.raises(FormatError, match="Nothing was run"):
        read_motionbert(path)
    assert not mark.exists()


CONTENT: dict[str, Callable[[], Any]] = {
    "a list": lambda: [1, 2],
    "nothing": dict,
    "neither part": lambda: {"valid": part()},
    "a part as an array": lambda: {"train": np.ones(3)},
    "no 2D": lambda: {"train": {k: v for k, v in part().items() if k != "joint_2d"}},
    "no cameras": lambda: {"train": {k: v for k, v in part().items() if k != "camera_name"}},
    "16 joints": lambda: whole(joint_2d=numbered(N, 16, 2)),
    "2D with two axes": lambda: whole(joint_2d=np.ones((N, 34))),
    "2D that differs in length": lambda: whole(joint_2d=[[1.0], [1.0, 2.0]]),
    "confidence of another length": lambda: whole(confidence=np.ones((N + 1, 17))),
    "confidence as text": lambda: whole(confidence=np.full((N, 17), "x")),
    "a NaN in 3D": lambda: whole(joint3d_image=numbered(N, 17, 3) * np.nan),
    "3D with two coordinates": lambda: whole(joint3d_image=numbered(N, 17, 2)),
    "a camera of another set": lambda: whole(camera_name=["cam0"] * N),
    "a camera too few": lambda: whole(camera_name=["54138969"] * (N - 1)),
    "cameras by number": lambda: whole(camera_name=np.arange(N)),
    "a source too many": lambda: whole(source=["s"] * (N + 1)),
    "sources by number": lambda: whole(source=list(range(N))),
    "a factor too few": lambda: whole(**{"2.5d_factor": np.ones(N - 1)}),
    "2.5D of another shape": lambda: whole(**{"joints_2.5d_image": np.ones((N, 17))}),
}


@pytest.mark.parametrize("content", CONTENT.values(), ids=CONTENT)
def test_other_contents_are_refused(tmp_path: Path, content: Callable[[], Any]) -> None:
    path = save_pickle(tmp_path / "d.pkl", content())
    assert_refused(lambda: read_motionbert(path), path)


# A pickle has no check sum: a changed byte inside an array is another number.
CUTS = {n: c for n, c in BYTES.items() if n != "a byte in the middle"}


@pytest.mark.parametrize("damage", CUTS.values(), ids=CUTS)
def test_damaged_files_are_refused(path: Path, damage: Callable[[bytes], bytes]) -> None:
    path.write_bytes(damage(path.read_bytes()))
    assert_refused(lambda: read_motionbert(path), path)

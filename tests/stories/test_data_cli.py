"""chronopose data, and evaluate on a data set by name, on a tiny copy in the official layout."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chronopose.cli.main import main
from chronopose.data.datasets._find import list_datasets
from chronopose.data.expressions._find import list_faces

VIDEO = "000342_mpii_test"


@pytest.fixture
def posetrack(tmp_path: Path) -> Path:
    """One video of three frames with one person, written by hand."""
    names = [f"images/val/{VIDEO}/{n:06d}.jpg" for n in range(3)]
    keypoints = [v for k in range(17) for v in ((30 + k, 20 + 2 * k, 1) if k not in (3, 4)
                                                else (0, 0, 0))]  # fmt: skip
    joints = ["nose", "head_bottom", "head_top"]
    joints += [f"{side}_{part}" for part in ("ear", "shoulder", "elbow", "wrist", "hip", "knee",
               "ankle") for side in ("left", "right")]  # fmt: skip
    content = {
        "images": [{"id": n, "frame_id": n, "file_name": name, "is_labeled": True}
                   for n, name in enumerate(names)],
        "annotations": [{"id": n, "image_id": n, "track_id": 1, "bbox": [25, 15, 30, 45],
                         "bbox_head": [28, 16, 12, 12], "keypoints": keypoints, "category_id": 1}
                        for n in range(3)],
        "categories": [{"id": 1, "name": "person", "keypoints": joints, "skeleton": []}],
    }  # fmt: skip
    (tmp_path / "annotations" / "val").mkdir(parents=True)
    (tmp_path / "annotations" / "val" / f"{VIDEO}.json").write_text(json.dumps(content))
    (tmp_path / "images" / "val" / VIDEO).mkdir(parents=True)
    for name in names:
        Image.fromarray(np.zeros((80, 90, 3), np.uint8)).save(tmp_path / name)
    return tmp_path


def test_a_complete_split_is_counted(posetrack: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["data", "check", "posetrack18", "--root", str(posetrack), "--split", "val"]) == 0
    told = capsys.readouterr().out
    assert told == "posetrack18 val: complete (1 videos, 3 labelled pictures, 3 people)\n"


def test_without_a_split_all_are_checked(posetrack: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["data", "check", "posetrack18", "--root", str(posetrack)]) == 4
    told = capsys.readouterr().out
    assert "val: complete" in told
    assert "the labels of train are missing" in told
    assert "looked for: annotations/train" in told
    assert "what to do: register at the official PoseTrack site" in told


def test_missing_pictures_are_counted_and_named(
    posetrack: Path, capsys: pytest.CaptureFixture[str]
):
    (posetrack / "images" / "val" / VIDEO / "000001.jpg").unlink()
    assert main(["data", "check", "posetrack18", "--root", str(posetrack), "--split", "val"]) == 4
    told = capsys.readouterr().out
    assert f"1 of 3 labelled pictures of val are missing: images/val/{VIDEO}/000001.jpg" in told


def test_the_check_can_be_read_by_a_machine(posetrack: Path, capsys: pytest.CaptureFixture[str]):
    code = main(["data", "check", "posetrack18", "--root", str(posetrack), "--json"])
    report = json.loads(capsys.readouterr().out)
    assert code == 4
    assert [bool(s["problems"]) for s in report["splits"]] == [True, False]
    assert report["splits"][1]["people"] == 3


def test_labels_at_an_unusual_place_can_be_named(
    posetrack: Path, capsys: pytest.CaptureFixture[str]
):
    moved = posetrack / "mine"
    (posetrack / "annotations").rename(moved)
    code = main(["data", "check", "posetrack18", "--root", str(posetrack), "--split", "val",
                 "--labels", "mine/val", "--pictures", "images"])  # fmt: skip
    assert code == 0, capsys.readouterr().out


def test_the_list_names_every_set_with_its_terms(capsys: pytest.CaptureFixture[str]):
    assert main(["data", "list"]) == 0
    told = capsys.readouterr().out
    for name, found in list_datasets().items():
        assert name in told and found.TERMS in told
    for name, pictured in list_faces().items():
        assert name in told and pictured.OWNER in told


def test_the_list_can_be_read_by_a_machine(capsys: pytest.CaptureFixture[str]):
    assert main(["data", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [s["name"] for s in listed] == [*list_datasets(), *list_faces()]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["data", "check", "posetrak18", "--root", "."], "Did you mean 'posetrack18'"),
        (["data", "check", "coco", "--root", ".", "--split", "dev"], "It has: train, val"),
        (["data", "check", "coco"], "--root DIR"),
        (["data", "list", "coco"], "takes no data set"),
    ],
)
def test_what_cannot_be_understood_ends_with_two(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
):
    assert main(arguments) == 2
    assert told in capsys.readouterr().err


def test_a_model_is_measured_on_a_set_by_name(
    posetrack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "result.json"
    code = main(["evaluate", "--model", "simple_baseline:lite@random", "--data",
                 f"posetrack18:{posetrack}", "--json", str(out)])  # fmt: skip
    assert code == 0, capsys.readouterr().err
    assert "3 people looked at" in capsys.readouterr().out
    assert json.loads(out.read_text())["fingerprint"].startswith("posetrack18-val-")


def test_a_submission_scores_the_same_as_the_run_that_wrote_it(
    posetrack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out, again, mine = tmp_path / "a.json", tmp_path / "b.json", tmp_path / "mine"
    code = main(["evaluate", "--model", "simple_baseline:lite@random", "--data",
                 f"posetrack18:{posetrack}", "--metric", "official", "--submission", str(mine),
                 "--json", str(out)])  # fmt: skip
    said = capsys.readouterr()
    assert code == 0, said.err
    assert "boxes of the labels, without flip test" in said.out
    assert "poseval" in said.out
    assert [p.name for p in mine.iterdir()] == [f"{VIDEO}.json"]
    labels = str(posetrack / "annotations" / "val")
    assert main(["score", str(mine), "--against", labels, "--json", str(again)]) == 0
    first, second = (json.loads(p.read_text())["result"] for p in (out, again))
    assert first == second


def test_detected_boxes_decide_who_is_predicted(
    posetrack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    boxes = [{"image_name": f"images/val/{VIDEO}/000001.jpg", "bbox": [25, 15, 30, 45],
              "score": s, "category_id": 1, "nframes": 3, "frame_id": 1}
             for s in (0.9, 0.1)]  # fmt: skip
    (tmp_path / "val_boxes.json").write_text(json.dumps(boxes))
    mine = tmp_path / "mine"
    code = main(["evaluate", "--model", "simple_baseline:lite@random", "--data",
                 f"posetrack18:{posetrack}", "--boxes", str(tmp_path / "val_boxes.json"),
                 "--submission", str(mine)])  # fmt: skip
    assert code == 0, capsys.readouterr().err
    people = json.loads((mine / f"{VIDEO}.json").read_text())["annotations"]
    real = [p for p in people if max(p["scores"]) > 0]
    assert len(real) == 1
    assert real[0]["image_id"] == 1


def test_a_set_without_a_form_of_submissions_says_so(capsys: pytest.CaptureFixture[str]):
    code = main(["evaluate", "--model", "simple_baseline:lite@random", "--data", "lsp:x",
                 "--submission", "y"])  # fmt: skip
    assert code == 2
    assert "Nobody has defined a form of submissions for lsp" in capsys.readouterr().err


def test_measuring_on_an_unknown_set_suggests_the_known_ones(capsys: pytest.CaptureFixture[str]):
    code = main(["evaluate", "--model", "simple_baseline:lite@random", "--data", "penn_actoin:x"])
    assert code == 2
    assert "Did you mean 'penn_action'" in capsys.readouterr().err

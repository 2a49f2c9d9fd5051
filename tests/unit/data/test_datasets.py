"""Every data set in the layouts that people have on disk, and the registry of them."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from picture_worlds import WORLDS, brightest, frame, joints_of, paint, stills
from scipy.io import savemat

from chronopose.core.skeletons import get_skeleton
from chronopose.data.clips import ClipSource, View
from chronopose.data.datasets._base import LabelledSet
from chronopose.data.datasets._find import find_dataset, list_datasets
from chronopose.data.datasets.lspet import LSPET
from chronopose.errors import FormatError, UsageError
from chronopose.io.mpii import write_mpii, write_mpii_eval, write_mpii_hrnet
from chronopose.recipes._recipe import LabelledSpec, Places

QUICK = [name for name in WORLDS if name != "lspet"]
"""Without the set whose nine thousand labels take a second to read."""


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every world once."""
    made = {}
    for name, build in WORLDS.items():
        made[name] = tmp_path_factory.mktemp(name.replace(" ", "_"))
        build(made[name])
    return made


def opened(worlds: dict[str, Path], name: str, **options) -> LabelledSet:
    return find_dataset(name.split()[0], worlds[name], **options)


# ---- all sets -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WORLDS)
def test_a_complete_set_has_no_problem(worlds: dict[str, Path], name: str):
    assert opened(worlds, name).check() == []


@pytest.mark.parametrize("name", WORLDS)
def test_the_lit_pixel_lies_under_the_last_joint_of_the_first_person(
    worlds: dict[str, Path], name: str
):
    data = opened(worlds, name)
    clips = data.clips(frames=3)
    assert isinstance(clips, ClipSource)
    assert clips.skeleton.joints == data.skeleton.joints
    sample = clips.sample(0, rng())
    # Skeletons of the files: the family's 17 slots end with the right ankle, as this one says it.
    lit = data.skeleton.index("right_ankle") if "family" in name else -1
    assert (len(sample), sample.key) == ((3, 1) if data.VIDEO else (1, 0))
    for image, joints in zip(sample.images, sample.joints, strict=True):
        if np.isfinite(joints[lit]).all():
            assert brightest(image) == np.rint(joints[lit]).astype(int).tolist()
    assert np.isfinite(sample.joints[sample.key][lit]).all()


@pytest.mark.parametrize("name", QUICK)
def test_the_box_holds_the_labelled_joints(worlds: dict[str, Path], name: str):
    sample = opened(worlds, name).clips(frames=1).sample(0, rng())
    known = sample.joints[0][np.isfinite(sample.joints[0]).all(-1)]
    crop = View.of(sample, (96, 128)).window.apply(known)
    assert (crop > 0).all() and (crop < [96, 128]).all()


@pytest.mark.parametrize("name", QUICK)
def test_a_missing_picture_is_a_problem_that_says_what_where_and_how(
    worlds: dict[str, Path], name: str, tmp_path: Path
):
    root = tmp_path / "copy"
    shutil.copytree(worlds[name], root, copy_function=os.link)
    data = find_dataset(name.split()[0], root)
    sequence = data.sequences()[0]
    labelled = next(f for f in sequence if f.labelled and len(f))
    lost = data.finder.require(data.picture_name(sequence, labelled), name)
    lost.unlink()
    [problem] = find_dataset(name.split()[0], root).check()
    assert " labelled pictures of " in problem.what and "1 of " in problem.what
    assert str(lost.parent) in problem.looked_for
    assert problem.remedy == data.SOURCE


@pytest.mark.parametrize("name", sorted(list_datasets()))
def test_an_empty_folder_is_a_problem_for_every_split(name: str, tmp_path: Path):
    for split in list_datasets()[name].SPLITS:
        [problem] = find_dataset(name, tmp_path, split).check()
        assert problem.what == f"the labels of {split} are missing"
        assert problem.looked_for
        with pytest.raises(FormatError, match="no labels"):
            find_dataset(name, tmp_path, split).clips()


@pytest.mark.parametrize("name", sorted(list_datasets()))
def test_every_set_says_what_it_is(name: str):
    found = list_datasets()[name]
    assert found.REPORTED in found.SPLITS
    assert all((found.TITLE, found.TERMS, found.SOURCE, found.LABELS, found.PICTURES))
    assert (found.__doc__ or "").strip()


def test_a_missing_folder_is_a_problem(tmp_path: Path):
    [problem] = find_dataset("coco", tmp_path / "nowhere").check()
    assert "folder" in problem.what


@pytest.mark.parametrize("name", ["posetrack18", "coco", "mpii", "crowdpose", "penn_action"])
def test_damaged_labels_are_a_problem_that_names_the_file(
    worlds: dict[str, Path], name: str, tmp_path: Path
):
    root = tmp_path / "copy"
    shutil.copytree(worlds[name], root)
    found = find_dataset(name, root).find_labels()
    file = found if found.is_file() else sorted(found.iterdir())[0]
    file.write_bytes(file.read_bytes()[:150])
    [problem] = find_dataset(name, root).check()
    assert "cannot be read" in problem.what
    assert file.name in problem.remedy


def test_a_scaled_copy_of_the_pictures_is_a_problem(worlds: dict[str, Path], tmp_path: Path):
    root = tmp_path / "copy"
    shutil.copytree(worlds["coco"], root)
    paint(root / "val2017" / "000000000009.jpg", None, size=(40, 30))
    [problem] = find_dataset("coco", root).check()
    assert "40x30" in problem.what and "80x60" in problem.what


def test_the_fingerprint_changes_with_the_labels(worlds: dict[str, Path], tmp_path: Path):
    root = tmp_path / "copy"
    shutil.copytree(worlds["coco"], root)
    before = find_dataset("coco", root).fingerprint()
    path = find_dataset("coco", root).find_labels()
    content = json.loads(path.read_text())
    content["annotations"][0]["keypoints"][0] += 1
    path.write_text(json.dumps(content))
    assert find_dataset("coco", root).fingerprint() != before


# ---- single sets ----------------------------------------------------------------------------


def test_posetrack17_derives_its_boxes_from_the_joints(worlds: dict[str, Path]):
    sample = opened(worlds, "posetrack17").clips(frames=1).sample(0, rng())
    # Fifteen joints on a grid of 5 columns of 4 px and 3 rows of 6 px: 16 x 12 px about (20, 16).
    np.testing.assert_allclose(sample.box, [20 - 10.4, 6, 20 + 10.4, 26], atol=1e-4)


def test_posetrack18_takes_neighbours_from_unlabelled_frames(worlds: dict[str, Path]):
    clips = opened(worlds, "posetrack18").clips(neighbours="dcpose")
    sample = clips.sample(0, rng())
    assert clips.origin(0).frame_index == 1
    step = [brightest(i)[0] - brightest(sample.images[1])[0] for i in sample.images]
    assert step == [-1, 0, 1]
    assert np.isnan(sample.joints[0]).all()


def test_posetrack17_in_cocos_form_becomes_the_kits_joints(worlds: dict[str, Path]):
    clips = opened(worlds, "posetrack17 family").clips(frames=1)
    assert clips.skeleton.name == "posetrack15_poseval"
    assert np.isfinite(clips.sample(0, rng()).joints).all()


def test_detections_replace_the_labelled_boxes(worlds: dict[str, Path], tmp_path: Path):
    boxes = tmp_path / "val_boxes.json"
    name = "images/val/000002_mpii_test/000003.jpg"
    boxes.write_text(json.dumps([{"image_name": name, "bbox": [4, 5, 20, 30], "score": 0.5}]))
    clips = opened(worlds, "posetrack18").clips(frames=5, boxes=boxes)
    assert len(clips) == 1
    np.testing.assert_allclose(clips.sample(0, rng()).box, [4, 5, 24, 35])


def test_lsp_takes_its_test_half_and_counts_from_one(worlds: dict[str, Path]):
    clips = opened(worlds, "lsp").clips()
    assert len(clips) == 1000
    sample = clips.sample(0, rng())
    assert sample.name.endswith("im1001.jpg person 0")
    np.testing.assert_allclose(sample.joints[0], joints_of(14))


def test_lspet_is_the_same_people_as_in_the_class_that_makes_pseudo_clips(
    worlds: dict[str, Path],
):
    ours = opened(worlds, "lspet").clips().sample(7, rng())
    theirs = LSPET(worlds["lspet"], "val", cache=None).sample(7, rng())
    np.testing.assert_allclose(ours.joints, theirs.joints)
    np.testing.assert_allclose(ours.box, theirs.box)
    np.testing.assert_array_equal(ours.images, theirs.images)


def test_lsp_refuses_the_extension(worlds: dict[str, Path]):
    [problem] = find_dataset("lsp", worlds["lspet"]).check()
    assert "'lspet'" in problem.remedy


def test_penn_action_goes_by_the_split_of_its_files(worlds: dict[str, Path]):
    names = {
        split: [s.name for s in opened(worlds, "penn_action", split=split).sequences()]
        for split in ("train", "test")
    }
    assert names == {"train": ["0001"], "test": ["0002"]}


def test_penn_action_gives_runs(worlds: dict[str, Path]):
    clips = opened(worlds, "penn_action").clips(frames=5, windows="run")
    assert len(clips) == 2
    seen = sum(int(clips.sample(i, rng()).visible.all(-1).sum()) for i in range(2))
    assert seen == 7


def test_jhmdb_takes_the_clips_of_a_fold_and_boxes_of_the_masks(worlds: dict[str, Path]):
    data = opened(worlds, "jhmdb")
    assert [s.name for s in data.sequences()] == ["two"]
    np.testing.assert_allclose(data.clips().sample(0, rng()).box, [10, 8, 49, 39])
    assert [s.name for s in opened(worlds, "jhmdb", split="train").sequences()] == ["one"]


def test_jhmdb_without_the_files_of_a_fold_says_so(worlds: dict[str, Path]):
    [problem] = opened(worlds, "jhmdb", fold=2).check()
    assert "test_split_2" in problem.remedy


def test_jhmdb_has_three_folds(tmp_path: Path):
    with pytest.raises(UsageError, match="folds 1, 2 and 3"):
        find_dataset("jhmdb", tmp_path, fold=4)


def test_the_pictures_of_upper_bodies_are_found_by_their_numbers(worlds: dict[str, Path]):
    clips = opened(worlds, "upper_body").clips(frames=3)
    sample = clips.sample(1, rng())
    assert clips.origin(1).frame_index == 12
    assert [brightest(i)[0] for i in sample.images] == [16, 17, 18]


def mpii_people(count: int):
    return stills(get_skeleton("mpii16"), [f"{n:09d}.jpg" for n in range(count)])


def test_mpii_reads_the_release_as_trainval_only(tmp_path: Path):
    found = mpii_people(3)
    frames = [replace(f, labelled=n < 2) for n, f in enumerate(found)]
    for f in frames:
        paint(tmp_path / "images" / f.name, f.xy[0, -1])
    write_mpii([replace(found, frames=tuple(frames))], tmp_path / "mpii_human_pose_v1_u12_1.mat")
    assert len(find_dataset("mpii", tmp_path, "trainval").clips()) == 2
    [problem] = find_dataset("mpii", tmp_path, "val").check()
    assert problem.what == "the labels of val are missing"


def test_mpii_adds_the_head_boxes_of_the_evaluation_file(tmp_path: Path):
    heads = np.array([[10.0, 11, 20, 23]])
    found = mpii_people(2)
    found = replace(found, frames=tuple(replace(f, head_boxes=heads) for f in found))
    (tmp_path / "annot").mkdir()
    write_mpii_hrnet([found], tmp_path / "annot" / "valid.json")
    write_mpii_eval([found], tmp_path / "annot" / "gt_valid.mat")
    [val] = find_dataset("mpii", tmp_path).sequences()
    np.testing.assert_allclose(val.frames[1].head_boxes, heads)


def test_mpii_refuses_an_evaluation_file_of_other_people(tmp_path: Path):
    found = mpii_people(2)
    heads = np.array([[10.0, 11, 20, 23]])
    found = replace(found, frames=tuple(replace(f, head_boxes=heads) for f in found))
    (tmp_path / "annot").mkdir()
    write_mpii_hrnet([found], tmp_path / "annot" / "valid.json")
    write_mpii_eval([replace(found, frames=found.frames[:1])], tmp_path / "annot" / "gt_valid.mat")
    [problem] = find_dataset("mpii", tmp_path).check()
    assert "1 people" in problem.remedy


def test_mpii_keeps_its_square_beyond_the_picture(tmp_path: Path):
    person = {"image": "a.jpg", "joints": [[11.0, 21.0]] * 16, "joints_vis": [1] * 16,
              "center": [11.0, 6.0], "scale": 0.3}  # fmt: skip
    (tmp_path / "annot").mkdir()
    (tmp_path / "annot" / "valid.json").write_text(json.dumps([person]))
    paint(tmp_path / "images" / "a.jpg", [10, 20])
    sample = find_dataset("mpii", tmp_path).clips().sample(0, rng())
    # Centre (10, 6 + 15 * 0.3 - 1), half side 100 * 0.3.
    np.testing.assert_allclose(sample.box, [-20, -20.5, 40, 39.5], atol=1e-5)


# ---- the registry ---------------------------------------------------------------------------


def test_the_folder_is_the_registry_of_data_sets():
    assert set(list_datasets()) == {
        "coco", "crowdpose", "flic", "hieve", "jhmdb", "lsp", "lspet", "mpii", "penn_action",
        "posetrack17", "posetrack18", "posetrack21", "synthtrack", "upper_body",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["PoseTrack18", "posetrack-18", "Penn_Action", "pennaction"])
def test_spelling_of_a_name_does_not_matter(name: str, tmp_path: Path):
    assert find_dataset(name, tmp_path).NAME in ("posetrack18", "penn_action")


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        (lambda r: find_dataset("posetrak18", r), "Did you mean 'posetrack18'"),
        (lambda r: find_dataset("coco", r, "vall"), "Did you mean 'val'"),
        (lambda r: find_dataset("jhmdb", r, flod=2), "Did you mean 'fold'"),
    ],
)
def test_misspellings_get_a_suggestion(call, hint: str, tmp_path: Path):
    with pytest.raises(UsageError, match=hint):
        call(tmp_path)


def test_a_recipe_opens_a_set_by_name(worlds: dict[str, Path]):
    spec = LabelledSpec(
        dataset="penn_action", split="train", neighbours="famipose", skeleton="lsp14"
    )
    clips = spec.build(Places(data=worlds["penn_action"]))
    sample = clips.sample(0, rng())
    assert (len(clips), len(sample), sample.skeleton.name) == (7, 5, "lsp14")


def test_a_recipe_without_a_folder_says_which_set_it_needs():
    with pytest.raises(UsageError, match="'hieve'"):
        LabelledSpec(dataset="hieve").build(Places())


# ---- real samples ---------------------------------------------------------------------------


@pytest.mark.data
def test_real_posetrack18_frames_are_complete(shared_data: Path):
    data = find_dataset("posetrack18", shared_data / "posetrack18")
    assert data.check() == []
    clips = data.clips(frames=5)
    assert len(clips) == 14
    sample = clips.sample(0, rng())
    assert sample.images.shape == (5, 1080, 1920, 3)


@pytest.mark.data
def test_real_posetrack18_detections_of_enough_score_are_samples(shared_data: Path):
    root = shared_data / "posetrack18"
    boxes = root / "annotations" / "test_posetrack18_human_detections.json"
    clips = find_dataset("posetrack18", root).clips(frames=1, boxes=boxes)
    wanted = sum(r["score"] >= 0.2 for r in json.loads(boxes.read_text()))
    assert len(clips) == wanted > 14


@pytest.mark.data
def test_real_coco_leaves_out_crowds_and_people_without_joints(shared_data: Path):
    data = find_dataset("coco", shared_data / "coco_mini", labels="person_keypoints.json")
    assert data.check() == []
    listed = json.loads((shared_data / "coco_mini" / "person_keypoints.json").read_text())
    people = [a for a in listed["annotations"] if not a["iscrowd"] and a["num_keypoints"]]
    assert len(data.clips()) == len(people)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "labels", "people"),
    [("mpii", "test_mpii.json", 5), ("crowdpose", "test_crowdpose.json", None),
     ("jhmdb", "test_jhmdb_sub1.json", 3)],
)  # fmt: skip
def test_real_samples_open(shared_data: Path, name: str, labels: str, people: int | None):
    data = find_dataset(name, shared_data / "samples" / name, labels=labels)
    assert data.check() == []
    clips = data.clips(frames=1)
    listed = json.loads((shared_data / "samples" / name / labels).read_text())
    if people is None:
        people = sum(any(a["keypoints"][2::3]) for a in listed["annotations"])
    assert len(clips) == people
    for index in range(people):
        sample = clips.sample(index, rng())
        joints = sample.joints[0][sample.visible[0]]
        assert (joints > -1).all() and (joints < sample.images.shape[2:0:-1]).all()


@pytest.mark.data
def test_a_real_penn_action_clip_gives_runs(shared_data: Path, tmp_path: Path):
    import av
    from PIL import Image

    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "0502.mat").symlink_to(shared_data / "penn_action" / "0502.mat")
    (tmp_path / "frames" / "0502").mkdir(parents=True)
    with av.open(str(shared_data / "penn_action" / "0502.mp4")) as box:
        for at, picture in enumerate(box.decode(video=0), 1):
            Image.fromarray(picture.to_ndarray(format="rgb24")).save(
                tmp_path / "frames" / "0502" / f"{at:06d}.jpg"
            )
    found = [find_dataset("penn_action", tmp_path, split) for split in ("train", "test")]
    [data] = [d for d in found if d.sequences()]
    assert data.check() == []
    clips = data.clips(frames=5, windows="run")
    assert len(clips) == 12
    assert clips.sample(11, rng()).images.shape[0] == 5


def test_a_flic_example_belongs_to_its_split_and_sides_are_the_persons(worlds: dict[str, Path]):
    [found] = opened(worlds, "flic").sequences()
    assert [f.name for f in found] == ["film-1.jpg"]
    np.testing.assert_allclose(found.frames[0].xy, frame(get_skeleton("flic11"), "", 0).xy)


def test_a_hand_written_flic_example_has_its_sides_exchanged(tmp_path: Path):
    coords = np.full((2, 29), np.nan)
    coords[:, 0], coords[:, 3] = [11, 21], [31, 22]
    example = {"coords": coords, "filepath": "a.jpg", "istrain": 0.0, "istest": 1.0}
    savemat(tmp_path / "examples.mat", {"examples": example})
    [found] = find_dataset("flic", tmp_path).sequences()
    right = found.skeleton.index("right_shoulder")
    np.testing.assert_allclose(found.frames[0].xy[0, right], [11, 21])

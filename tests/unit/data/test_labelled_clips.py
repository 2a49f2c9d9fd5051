"""LabelledClips: boxes, clips, tracks, runs and detections on worlds of one lit pixel."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from picture_worlds import SIZE, brightest, frame, joints_of, paint, paint_video, video, write_boxes
from PIL import Image

from chronopose.core.labels import LabelledFrame, LabelledSequence, Visibility
from chronopose.core.skeletons import get_skeleton
from chronopose.data.clips import ClipSource
from chronopose.data.labelled import LabelledClips, person_boxes
from chronopose.data.loader import ClipShape, Stage, TrainBatches
from chronopose.data.neighbours import find_rule
from chronopose.data.pictures import PictureFinder, read_picture
from chronopose.errors import FormatError, UsageError
from chronopose.io.detections import read_detections

SLOTS = get_skeleton("posetrack17slot")
PENN = get_skeleton("penn13")
LIT = len(SLOTS) - 1


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Frames 0 to 5 of one video."""
    paint_video(world(), tmp_path, lambda f: f.name)
    return tmp_path


def world(people: int = 2, frames: int = 6) -> LabelledSequence:
    return video(SLOTS, "walk", "images/walk/{:06d}.jpg", people=people, frames=frames)


def clips(root: Path, sequence: LabelledSequence, **options) -> LabelledClips:
    return LabelledClips([sequence], PictureFinder([root], least=1), **options)


# ---- boxes ----------------------------------------------------------------------------------


def test_a_labelled_box_is_taken_and_a_missing_one_is_the_joints_extent_times_one_point_three():
    found = frame(SLOTS, "a.jpg", 0, people=2)
    boxes = found.boxes.copy()
    boxes[1] = np.nan
    # Seventeen joints on a grid of 5 columns of 4 px and 4 rows of 6 px: 16 x 18 px from (38, 10).
    wanted = [46 - 10.4, 19 - 11.7, 46 + 10.4, 19 + 11.7]
    made = person_boxes(replace(found, boxes=boxes))
    np.testing.assert_allclose(made, [found.boxes[0], wanted])


def test_a_box_without_an_area_counts_as_none():
    found = frame(SLOTS, "a.jpg", 0)
    flat = np.array([[5.0, 5.0, 5.0, 30.0]])
    made = person_boxes(replace(found, boxes=flat), grow=1.0)
    np.testing.assert_allclose(made[0, [0, 2]], [12, 28])


def test_a_person_of_one_joint_gets_a_box_of_twenty_pixels():
    xy = np.full((1, 17, 2), np.nan)
    xy[0, 0] = [30, 40]
    np.testing.assert_allclose(
        person_boxes(LabelledFrame("a.jpg", 0, SLOTS, xy)), [[30, 30, 30, 50]]
    )


def test_the_box_is_cut_to_the_picture(root: Path):
    wide = np.array([[-30.0, -20, 60, 70], [1, 2, 30, 40]])
    sequence = world()
    frames = tuple(replace(f, boxes=wide) for f in sequence)
    data = clips(root, replace(sequence, frames=frames))
    np.testing.assert_allclose(data.sample(0, rng()).box, [-0.5, -0.5, 60, 59.5])


def test_a_set_may_keep_its_boxes_beyond_the_picture(root: Path):
    wide = np.tile(np.array([-30.0, -20, 60, 70]), (2, 1))
    sequence = world()
    frames = tuple(replace(f, boxes=wide) for f in sequence)
    data = clips(root, replace(sequence, frames=frames), cut=False)
    np.testing.assert_allclose(data.sample(0, rng()).box, [-30, -20, 60, 70])


# ---- who is a sample ------------------------------------------------------------------------


def test_every_labelled_person_of_every_labelled_frame_is_a_sample(root: Path):
    data = clips(root, world())
    assert isinstance(data, ClipSource)
    assert len(data) == 12
    origin = data.origin(3)
    assert (origin.picture, origin.person, origin.track_id) == ("images/walk/000001.jpg", 1, 4)
    assert origin.score == 1.0


def test_crowds_unlabelled_frames_and_people_without_joints_are_no_samples(root: Path):
    sequence = world(frames=3)
    frames = list(sequence.frames)
    frames[0] = replace(frames[0], labelled=False)
    frames[1] = replace(frames[1], crowd=np.array([True, False]))
    nobody = np.zeros((2, 17), np.int8)
    nobody[1] = Visibility.VISIBLE
    xy = np.where((nobody > 0)[..., None], frames[2].xy, np.nan)
    frames[2] = replace(frames[2], xy=xy, visibility=nobody)
    data = clips(root, replace(sequence, frames=tuple(frames)))
    found = [(data.origin(i).frame_index, data.origin(i).person) for i in range(len(data))]
    assert found == [(1, 1), (2, 1)]


def test_absent_joints_are_unknown_and_occluded_ones_count_only_if_asked(root: Path):
    sequence = world(people=1)
    seen = np.full((1, 17), Visibility.VISIBLE)
    seen[0, 3], seen[0, 4] = Visibility.ABSENT, Visibility.OCCLUDED
    frames = tuple(
        replace(f, visibility=seen, xy=np.where((seen > 0)[..., None], f.xy, np.nan))
        for f in sequence
    )
    sequence = replace(sequence, frames=frames)
    both = clips(root, sequence).sample(0, rng())
    only = clips(root, sequence, occluded=False).sample(0, rng())
    assert np.isnan(both.joints[0, 3]).all()
    assert both.visible[0, 3:5].tolist() == [False, True]
    assert only.visible[0, 3:5].tolist() == [False, False]
    np.testing.assert_allclose(only.joints[0, 4], joints_of(17)[4])


def test_joints_are_converted_by_name(root: Path):
    data = clips(root, world(), skeleton=get_skeleton("posetrack15_poseval"))
    sample = data.sample(0, rng())
    place = data.skeleton.index("right_ankle")
    np.testing.assert_allclose(sample.joints[0, place], joints_of(17)[LIT])


# ---- clips ----------------------------------------------------------------------------------


def test_a_lit_pixel_lies_under_its_joint_in_every_frame_of_the_clip(root: Path):
    sample = clips(root, world(), rule=find_rule("tdmi")).sample(4, rng())
    assert (len(sample), sample.key) == (5, 2)
    for t in range(5):
        assert brightest(sample.images[t]) == sample.joints[t, LIT].astype(int).tolist()


def test_frames_repeat_where_the_video_begins(root: Path):
    sample = clips(root, world(), rule=find_rule("tdmi")).sample(0, rng())
    lit = [brightest(i)[0] - brightest(sample.images[2])[0] for i in sample.images]
    assert lit == [0, 0, 0, 1, 2]
    np.testing.assert_array_equal(sample.joints[0], sample.joints[2])


def test_unlabelled_frames_lend_their_pictures_but_no_joints(root: Path):
    sequence = world(people=1)
    frames = list(sequence.frames)
    frames[3] = replace(frames[3].select([]), labelled=False)
    del frames[1]
    data = clips(root, replace(sequence, frames=tuple(frames)), rule=find_rule("dcpose"))
    sample = data.sample(1, rng())
    assert data.origin(1).frame_index == 2
    step = [brightest(i)[0] - brightest(sample.images[1])[0] for i in sample.images]
    assert step == [-1, 0, 1]
    assert np.isnan(sample.joints[[0, 2]]).all()
    assert not sample.visible[[0, 2]].any()


def test_a_clip_follows_the_track_when_people_change_places(root: Path):
    sequence = world()
    frames = list(sequence.frames)
    frames[1] = frames[1].select([1, 0])
    data = clips(root, replace(sequence, frames=tuple(frames)), rule=find_rule("dcpose"))
    sample = data.sample(0, rng())
    np.testing.assert_allclose(sample.joints[2], joints_of(17, t=1, person=0))


def test_the_length_of_file_names_does_not_matter(tmp_path: Path):
    for first, digits in ((1, 8), (0, 6)):
        pattern = f"v{digits}/{{:0{digits}d}}.jpg"
        sequence = video(SLOTS, f"v{digits}", pattern, first=first)
        paint_video(sequence, tmp_path, lambda f: f.name)
        sample = clips(tmp_path, sequence, rule=find_rule("dsta")).sample(3, rng())
        # The last of 17 joints stands in column 1 of the grid: x = 16 + t, and t is 3 at the end.
        assert [brightest(i)[0] for i in sample.images] == [18, 19, 19]


def test_stills_stay_one_picture_and_are_repeated_by_the_loader(tmp_path: Path):
    found = frame(SLOTS, "a.jpg", 0)
    paint(tmp_path / "a.jpg", found.xy[0, LIT])
    stills = LabelledSequence("stills", SLOTS, (found,), is_video=False)
    data = LabelledClips([stills], PictureFinder([tmp_path]), rule=find_rule("tdmi"))
    assert len(data.sample(0, rng())) == 1
    stage = Stage(steps=1, crop_size=(48, 64), batch_size=2)
    batch = TrainBatches(data, [stage], shape=ClipShape(count=5, key=2))[0]
    assert batch.frames.shape == (2, 5, 3, 64, 48)


def test_drawn_neighbours_follow_the_generator(root: Path):
    data = clips(root, world(people=1), rule=find_rule("posewarper"), training=True)
    first, again = (data.sample(2, np.random.default_rng(4)) for _ in range(2))
    np.testing.assert_array_equal(first.images, again.images)
    others = [data.sample(2, np.random.default_rng(n)).images for n in range(5, 9)]
    assert any((first.images != other).any() for other in others)


def test_a_source_can_be_sent_to_another_process(root: Path):
    data = clips(root, world(), rule=find_rule("tdmi"))
    wanted = data.sample(4, rng())
    sent = pickle.loads(pickle.dumps(data)).sample(4, rng())
    np.testing.assert_array_equal(sent.images, wanted.images)


# ---- runs -----------------------------------------------------------------------------------


def penn_like(root: Path, frames: int) -> LabelledClips:
    sequence = video(PENN, "0001", "0001/{:06d}.jpg", first=1, frames=frames)
    paint_video(sequence, root, lambda f: f.name)
    return clips(root, sequence, rule=find_rule("tdmi"), windows="run")


def test_runs_show_every_frame_of_a_track_once(tmp_path: Path):
    data = penn_like(tmp_path, 8)
    assert len(data) == 2
    first, second = data.sample(0, rng()), data.sample(1, rng())
    assert first.visible.all()
    assert [row.all() for row in second.visible] == [False, False, True, True, True]
    assert brightest(second.images[0])[0] == brightest(first.images[0])[0] + 3
    for t in range(5):
        assert brightest(second.images[t]) == second.joints[t, -1].astype(int).tolist()


def test_a_run_is_cut_by_the_box_around_all_its_frames(tmp_path: Path):
    first = penn_like(tmp_path, 8).sample(0, rng())
    xy = np.concatenate([joints_of(13, t) for t in range(5)])
    np.testing.assert_allclose(first.box, [*(xy.min(0) - 2), *(xy.max(0) + 2)])


def test_a_short_track_repeats_its_last_frame_unseen(tmp_path: Path):
    data = penn_like(tmp_path, 3)
    sample = data.sample(0, rng())
    assert [row.all() for row in sample.visible] == [True, True, True, False, False]
    np.testing.assert_array_equal(sample.images[4], sample.images[2])


def test_a_run_begins_anywhere_in_training(tmp_path: Path):
    sequence = video(PENN, "0001", "0001/{:06d}.jpg", first=1, frames=8)
    paint_video(sequence, tmp_path, lambda f: f.name)
    data = clips(tmp_path, sequence, rule=find_rule("tdmi"), windows="run", training=True)
    starts = {brightest(data.sample(0, np.random.default_rng(n)).images[0])[0] for n in range(40)}
    assert len(starts) == 4


def test_runs_end_where_a_track_is_interrupted(root: Path):
    sequence = world(people=1)
    frames = sequence.frames[:2] + sequence.frames[3:]
    data = clips(root, replace(sequence, frames=frames), rule=find_rule("dcpose"), windows="run")
    assert [data.origin(i).frame_index for i in range(len(data))] == [0, 3]


def test_runs_of_stills_are_refused(tmp_path: Path):
    stills = replace(world(), is_video=False)
    with pytest.raises(UsageError, match="no runs"):
        clips(tmp_path, stills, rule=find_rule("tdmi"), windows="run")


# ---- detections -----------------------------------------------------------------------------


def test_detections_of_enough_score_become_samples_without_joints(root: Path, tmp_path: Path):
    boxes = write_boxes(
        tmp_path / "val_boxes.json",
        [
            {"image_name": "images/walk/000001.jpg", "bbox": [10, 8, 20, 30], "score": 0.2,
             "category_id": 1, "nframes": 6, "frame_id": 1},
            {"image_name": "elsewhere/walk/000002.jpg", "bbox": [1, 2, 3, 4], "score": 0.9},
            {"image_name": "images/walk/000001.jpg", "bbox": [0, 0, 9, 9], "score": 0.19},
            {"image_name": "images/run/000001.jpg", "bbox": [0, 0, 9, 9], "score": 0.9},
        ],
    )  # fmt: skip
    data = clips(root, world(), rule=find_rule("dcpose"), detections=read_detections(boxes))
    found = [(data.origin(i).frame_index, data.origin(i).score) for i in range(len(data))]
    assert found == [(1, 0.2), (2, 0.9)]
    sample = data.sample(0, rng())
    np.testing.assert_allclose(sample.box, [10, 8, 30, 38])
    assert np.isnan(sample.joints).all()
    assert data.origin(0).person is None


def test_detections_go_by_the_id_of_the_picture(root: Path, tmp_path: Path):
    sequence = world()
    frames = tuple(replace(f, image_id=100 + f.frame_index) for f in sequence)
    boxes = write_boxes(tmp_path / "b.json", [{"image_id": 104, "bbox": [1, 2, 3, 4], "score": 1}])
    data = clips(root, replace(sequence, frames=frames), detections=read_detections(boxes))
    assert data.origin(0).frame_index == 4


def test_detections_of_another_set_are_refused(root: Path, tmp_path: Path):
    boxes = write_boxes(
        tmp_path / "b.json", [{"image_name": "x/1.jpg", "bbox": [1, 2, 3, 4], "score": 1}]
    )
    with pytest.raises(FormatError, match="None of 1 detections"):
        clips(root, world(), detections=read_detections(boxes))


@pytest.mark.parametrize(
    ("record", "field"),
    [
        ({"image_id": 1, "score": 1}, "bbox"),
        ({"image_id": 1, "bbox": [1, 2, -3, 4], "score": 1}, "bbox"),
        ({"image_id": 1, "bbox": [1, 2, 3, 4]}, "score"),
        ({"image_id": 1.5, "bbox": [1, 2, 3, 4], "score": 1}, "image_id"),
        ({"bbox": [1, 2, 3, 4], "score": 1}, "image_id"),
        ("box", "bbox"),
    ],
)
def test_a_damaged_detection_is_named(tmp_path: Path, record: object, field: str):
    path = write_boxes(tmp_path / "b.json", [record])  # type: ignore[list-item]
    with pytest.raises(FormatError, match=f"record 0.*{field}"):
        read_detections(path)


# ---- pictures -------------------------------------------------------------------------------


def test_a_missing_picture_is_an_error_that_names_it(root: Path):
    (root / "images" / "walk" / "000003.jpg").unlink()
    data = clips(root, world())
    with pytest.raises(FormatError, match=r"images/walk/000003\.jpg .* is missing"):
        data.sample(6, rng())


def test_a_damaged_picture_is_an_error_that_names_it(root: Path):
    path = root / "images" / "walk" / "000003.jpg"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(FormatError, match=r"000003\.jpg"):
        clips(root, world()).sample(6, rng())


def test_pictures_of_different_sizes_in_one_clip_are_refused(root: Path):
    paint(root / "images" / "walk" / "000003.jpg", None, size=(70, 60))
    data = clips(root, world(), rule=find_rule("dcpose"))
    with pytest.raises(FormatError, match="one size"):
        data.sample(4, rng())


def test_two_pictures_of_one_number_are_refused(root: Path):
    paint(root / "images" / "walk" / "3.jpg", None)
    with pytest.raises(FormatError, match="two pictures of the number 3"):
        clips(root, world(), rule=find_rule("dcpose")).sample(0, rng())


def test_a_picture_is_found_by_as_much_of_its_path_as_is_there(tmp_path: Path):
    paint(tmp_path / "frames" / "walk" / "000001.jpg", None)
    paint(tmp_path / "frames" / "000001.jpg", None)
    finder = PictureFinder([tmp_path / "frames"], least=1)
    assert finder.find("images/val/walk/000001.jpg") == tmp_path / "frames/walk/000001.jpg"
    assert finder.find("images/val/run/000001.jpg") is None
    assert PictureFinder([tmp_path / "frames"]).find("val/000001.jpg") is not None


def test_a_name_cannot_lead_out_of_the_folder(tmp_path: Path):
    paint(tmp_path / "secret" / "1.jpg", None)
    finder = PictureFinder([tmp_path / "set" / "images"], least=1)
    assert finder.find("../../secret/1.jpg") is None
    assert finder.find(str(tmp_path / "secret" / "1.jpg")) is None


def test_the_turn_noted_by_a_camera_is_not_applied(tmp_path: Path):
    image = Image.new("RGB", (6, 4))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.jpg", exif=exif)
    assert read_picture(tmp_path / "turned.jpg").shape == (4, 6, 3)


# ---- the record -----------------------------------------------------------------------------


def test_the_fingerprint_changes_with_settings_labels_and_pictures(root: Path):
    prints = [
        clips(root, world()).fingerprint(),
        clips(root, world(), rule=find_rule("dcpose")).fingerprint(),
        clips(root, world(), digest="other labels").fingerprint(),
    ]
    assert clips(root, world()).fingerprint() == prints[0]
    Image.effect_noise(SIZE, 90).convert("RGB").save(root / "images" / "walk" / "000002.jpg")
    prints.append(clips(root, world()).fingerprint())
    assert len(set(prints)) == 4


def test_no_sequence_is_an_error(tmp_path: Path):
    with pytest.raises(UsageError, match="no sequence"):
        LabelledClips([], PictureFinder([tmp_path]))

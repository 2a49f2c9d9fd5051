"""What a file of labels says, before anybody scores it."""

from __future__ import annotations

import numpy as np
import pytest

from chronopose.core import (
    NO_ID,
    LabelledFrame,
    LabelledSequence,
    VideoInfo,
    Visibility,
    get_skeleton,
)
from chronopose.errors import ShapeError, SkeletonMismatch

COCO, LSP = get_skeleton("coco17"), get_skeleton("lsp14")
NAN = float("nan")


def frame(people: int = 2, **fields: object) -> LabelledFrame:
    xy = np.arange(people * 17 * 2, dtype=float).reshape(people, 17, 2)
    return LabelledFrame("000003.jpg", 3, COCO, xy, **fields)  # type: ignore[arg-type]


def test_a_file_that_says_little_leaves_the_rest_unknown() -> None:
    found = frame()
    assert (found.visibility == Visibility.VISIBLE).all()
    assert np.isnan(found.score).all() and np.isnan(found.boxes).all()
    assert (found.ids == NO_ID).all() and not found.crowd.any() and found.labelled


def test_nobody_is_a_frame_too() -> None:
    empty = LabelledFrame("a", 0, COCO, np.zeros(0))
    assert len(empty) == 0 and empty.xy.shape == (0, 17, 2) and empty.boxes.shape == (0, 4)
    assert len(empty.to_skeleton(LSP)) == 0 and len(empty.to_poses()) == 0
    assert empty.extent().shape == (0, 4)


def test_a_joint_with_coordinates_cannot_be_absent() -> None:
    with pytest.raises(ShapeError, match="exactly if it is not absent"):
        frame(visibility=np.zeros((2, 17)))


def test_an_id_comes_once_a_frame_and_no_id_any_number_of_times() -> None:
    assert frame(ids=[NO_ID, NO_ID]).ids.tolist() == [-1, -1]
    with pytest.raises(ShapeError, match=r"id twice: \[7, 7\]"):
        frame(ids=[7, 7])


@pytest.mark.parametrize(
    "fields", [{"ids": [1]}, {"boxes": np.zeros((2, 3))}, {"score": np.zeros((2, 16))}]
)
def test_fields_of_other_shapes_are_refused_by_name(fields: dict[str, object]) -> None:
    with pytest.raises(ShapeError, match=f"000003.jpg.*{next(iter(fields))} must be"):
        frame(**fields)


def test_a_neck_between_the_shoulders_is_as_visible_as_the_worse_of_them() -> None:
    seen = np.full((2, 17), Visibility.VISIBLE)
    seen[0, 5] = Visibility.OCCLUDED
    score = np.full((2, 17), 0.9)
    score[1, 6] = 0.4
    lsp = frame(visibility=seen, score=score).to_skeleton(LSP)
    neck = LSP.index("neck")
    assert lsp.visibility[:, neck].tolist() == [Visibility.OCCLUDED, Visibility.VISIBLE]
    assert lsp.score[:, neck].tolist() == [0.9, 0.4]
    np.testing.assert_array_equal(lsp.xy[0, neck], [11, 12])  # half-way from (10, 11) to (12, 13)


def test_a_point_made_of_an_absent_one_is_absent() -> None:
    xy = np.ones((1, 17, 2))
    xy[0, 5] = NAN
    lsp = LabelledFrame("a", 0, COCO, xy).to_skeleton(LSP)
    assert lsp.visibility[0, LSP.index("neck")] == Visibility.ABSENT
    assert np.isnan(lsp.xy[0, LSP.index("neck")]).all()


def test_double_precision_survives() -> None:
    xy = np.full((1, 17, 2), 1234.000000001)
    assert LabelledFrame("a", 0, COCO, xy).to_skeleton(COCO).xy[0, 0, 0] == 1234.000000001


def test_select_keeps_all_columns_of_a_person() -> None:
    one = frame(ids=[4, 9], area=[10.0, 20.0], crowd=[False, True]).select([1])
    assert (one.ids.tolist(), one.area.tolist(), one.crowd.tolist()) == ([9], [20.0], [True])


def test_what_a_format_says_of_each_person_is_selected_too() -> None:
    picked = frame(extra={"people": ["a", "b"], "split": "val"}).select(np.array([False, True]))
    assert picked.extra == {"people": ["b"], "split": "val"}


def test_people_without_an_id_get_numbers_that_nobody_has() -> None:
    assert sorted(frame(3, ids=[NO_ID, 0, NO_ID]).to_poses().ids.tolist()) == [0, 1, 2]


def test_a_person_without_a_box_gets_the_extent_of_the_joints() -> None:
    box = frame(1).to_poses().boxes.xyxy[0]
    np.testing.assert_array_equal(box, [0, 1, 32, 33])


def test_a_video_of_labels_comes_back_from_tracks() -> None:
    frames = [LabelledFrame("a", i, COCO, np.full((1, 17, 2), float(i)), ids=[5]) for i in range(3)]
    info = VideoInfo("walk.mp4", (64, 48), rate_hz=10.0)
    video = LabelledSequence("walk", COCO, tuple(frames)).to_video(info)
    assert video.person(5).time_s.tolist() == [0.0, 0.1, 0.2]
    back = LabelledSequence.from_video(video)
    assert [f.ids.tolist() for f in back] == [[5], [5], [5]]
    np.testing.assert_array_equal(back.frames[2].xy, frames[2].xy)


def test_frames_that_nobody_labelled_are_not_frames_without_people() -> None:
    frames = [LabelledFrame("a", i, COCO, np.zeros(0), labelled=i == 1) for i in range(3)]
    video = LabelledSequence("walk", COCO, tuple(frames), fps=5).to_video(VideoInfo("a", (9, 9)))
    assert video.frame_index.tolist() == [1]


def test_times_are_never_guessed() -> None:
    with pytest.raises(ShapeError, match="neither times nor frames per second"):
        LabelledSequence("walk", COCO, (frame(),)).to_video(VideoInfo("a", (9, 9)))


def test_all_frames_of_a_sequence_have_the_same_joints() -> None:
    with pytest.raises(SkeletonMismatch, match="in a sequence of 'lsp14'"):
        LabelledSequence("walk", LSP, (frame(),))

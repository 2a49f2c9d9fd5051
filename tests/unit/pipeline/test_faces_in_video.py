"""Where a face is by hand, which faces are judged, and how answers are held over time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from chronopose.codecs.faces import FaceCodec
from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses
from chronopose.core.skeletons import COCO17, HIEVE14, LSP14, MPII16, POSETRACK15, Skeleton
from chronopose.core.tracks import FramePoses, VideoPoses
from chronopose.core.video import VideoInfo
from chronopose.errors import SkeletonMismatch, UsageError
from chronopose.io.video import Frame
from chronopose.models._face import FaceCriterion, FaceModel
from chronopose.pipeline.faces import (
    FacePlace,
    FaceReader,
    FaceReaderSettings,
    SmoothShares,
    faces_of_video,
    judge_place,
    place_face,
)
from chronopose.tensors.faces import FaceOutput

LSP = {"head_top": (100, 50), "neck": (100, 120), "left_shoulder": (135, 130),
       "right_shoulder": (65, 130)}  # fmt: skip
"""Crown to neck 70 px: a head of 50. Shoulders 70 px: a head of 45.2."""
COCO = {"nose": (100, 82), "left_eye": (107, 75), "right_eye": (93, 75),
        "left_shoulder": (135, 130), "right_shoulder": (65, 130)}  # fmt: skip
"""Eyes 14 px apart: a head of 50."""


def joints(
    skeleton: Skeleton, places: Mapping[str, tuple[float, float]]
) -> tuple[np.ndarray, np.ndarray]:
    """``(K, 2)`` joints and scores of 1 for those that are given; others are unknown."""
    xy, score = np.full((len(skeleton), 2), np.nan, np.float32), np.zeros(len(skeleton))
    for name, at in places.items():
        xy[skeleton.index(name)], score[skeleton.index(name)] = at, 1.0
    return xy, score


def place(skeleton: Skeleton, places: Mapping[str, tuple[float, float]]) -> FacePlace:
    found = place_face(*joints(skeleton, places), skeleton)
    assert found is not None
    return found


def mirrored(places: Mapping[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    """The same joints with left and right exchanged: the person turned around."""
    other = {"left": "right", "right": "left"}
    return {"_".join(other.get(w, w) for w in name.split("_")): at for name, at in places.items()}


def turned(
    places: Mapping[str, tuple[float, float]], degrees: float
) -> dict[str, tuple[float, float]]:
    """The same joints turned clockwise on screen about (100, 80)."""
    a = math.radians(degrees)
    c, s = math.cos(a), math.sin(a)
    return {
        name: (100 + c * (x - 100) - s * (y - 80), 80 + s * (x - 100) + c * (y - 80))
        for name, (x, y) in places.items()
    }


# ---- geometry by hand ----------------------------------------------------------------------------


def test_lsp_head_of_50_px_has_a_face_of_40_px_30_below_the_crown():
    face = place(LSP14, LSP)
    np.testing.assert_allclose(face.centre, [100, 80], atol=1e-5)
    assert face.side_px == pytest.approx(40) and face.tilt_deg == pytest.approx(0)
    np.testing.assert_allclose(face.xyxy, [80, 60, 120, 100], atol=1e-5)
    assert not face.behind


def test_a_nodding_lsp_head_keeps_its_size_by_the_shoulders():
    # Crown to neck 35 px says a head of 25, shoulders of 77.5 px one of 50; the face still lies
    # between crown and neck, 0.6 / 1.4 of 35 px below the crown.
    face = place(LSP14, {**LSP, "neck": (100, 85), "left_shoulder": (138.75, 130),
                         "right_shoulder": (61.25, 130)})  # fmt: skip
    assert face.side_px == pytest.approx(40)
    np.testing.assert_allclose(face.centre, [100, 65], atol=1e-4)


def test_a_head_much_too_short_for_its_shoulders_is_not_placed():
    # 13 px against shoulders of 77.5: a head of 9.3 or of 50.
    short = {**LSP, "neck": (100, 63), "left_shoulder": (138.75, 130),
             "right_shoulder": (61.25, 130)}  # fmt: skip
    assert place_face(*joints(LSP14, short), LSP14) is None


def test_lsp_without_shoulders_goes_by_the_neck_alone():
    face = place(LSP14, {k: LSP[k] for k in ("head_top", "neck")})
    assert face.side_px == pytest.approx(40) and not face.behind


def test_coco_eyes_14_px_apart_make_the_same_face():
    # A head of 14 / 0.28 = 50; the middle of the face is 5 px below the eyes.
    face = place(COCO17, COCO)
    assert face.side_px == pytest.approx(40)
    np.testing.assert_allclose(face.centre, [100, 80], atol=1e-5)


def test_a_turned_coco_head_keeps_its_size_by_an_ear():
    # Eyes 7 px apart say a head of 25; nose to ear 25 px says 25 / 0.56 = 44.6.
    side = {**COCO, "left_eye": (103.5, 75), "right_eye": (96.5, 75), "left_ear": (124, 75)}
    side["nose"] = (100, 82)
    length = math.hypot(24, 7)
    assert place(COCO17, side).side_px == pytest.approx(0.8 * length / 0.56)


def test_coco_ears_35_px_apart_say_a_head_of_50():
    ears = {"nose": (100, 76), "left_eye": (106, 75), "right_eye": (94, 75),
            "left_ear": (117.5, 76), "right_ear": (82.5, 76)}  # fmt: skip
    assert place(COCO17, ears).side_px == pytest.approx(40)


def test_posetrack_and_mpii_heads_go_from_crown_to_skull():
    # 57.5 px are 1.15 heads of 50.
    face = place(POSETRACK15, {"head_top": (100, 50), "head_bottom": (100, 107.5)})
    other = place(MPII16, {"head_top": (100, 50), "upper_neck": (100, 107.5)})
    assert face.side_px == other.side_px == pytest.approx(40)
    np.testing.assert_allclose(face.centre, [100, 80], atol=1e-5)


@pytest.mark.parametrize("degrees", [-120, -35, 0, 20, 90])
@pytest.mark.parametrize(("skeleton", "places"), [(LSP14, LSP), (COCO17, COCO)])
def test_the_face_turns_with_the_head(skeleton, places, degrees):
    face = place(skeleton, turned(places, degrees))
    assert face.tilt_deg == pytest.approx(degrees, abs=1e-3)
    np.testing.assert_allclose(face.centre, [100, 80], atol=1e-4)
    assert face.side_px == pytest.approx(40, abs=1e-3) and not face.behind
    # In the crop the head stands upright: what was above the middle of the face is above it.
    window = face.window((56, 56), margin=0.2)
    up = turned({"crown": (100, 60)}, degrees)["crown"]
    # 56 pixels for 40 x 1.4: the scale is 1, the middle 27.5 and the upper edge 20 above.
    np.testing.assert_allclose(window.apply(np.array(up)), [27.5, 7.5], atol=1e-3)


@pytest.mark.parametrize("degrees", [0, 30])
@pytest.mark.parametrize(("skeleton", "places"), [(LSP14, LSP), (COCO17, COCO)])
def test_exchanged_shoulders_or_eyes_are_the_back_of_a_head(skeleton, places, degrees):
    back = place(skeleton, turned(mirrored(places), degrees))
    assert back.behind
    assert back.tilt_deg == pytest.approx(degrees, abs=1e-3)


def test_a_body_in_profile_is_not_taken_for_a_back():
    # Shoulders exchanged by 14 px, 0.35 of the 40 px of the face: under the limit of 0.4.
    near = {**LSP, "left_shoulder": (93, 130), "right_shoulder": (107, 130)}
    far = {**LSP, "left_shoulder": (91, 130), "right_shoulder": (109, 130)}
    assert not place(LSP14, near).behind and place(LSP14, far).behind


def test_unsure_joints_of_the_head_place_no_face():
    for name in ("head_top", "neck"):
        xy, score = joints(LSP14, LSP)
        score[LSP14.index(name)] = 0.29
        assert place_face(xy, score, LSP14) is None
        assert place_face(xy, score, LSP14, min_score=0.2) is not None


def test_joints_on_one_spot_place_no_face():
    assert place_face(*joints(LSP14, {"head_top": (5, 5), "neck": (5, 5)}), LSP14) is None


def test_a_skeleton_without_a_head_says_so():
    with pytest.raises(SkeletonMismatch, match="No face can be placed by the joints of 'hieve14'"):
        place_face(*joints(HIEVE14, {"nose": (0, 0)}), HIEVE14)


@pytest.mark.parametrize(
    ("centre", "side", "behind", "told"),
    [
        ((100, 80), 24.0, False, "yes"),
        ((100, 80), 23.9, False, "small"),
        ((100, 80), 40.0, True, "behind"),
        # The picture ends at x = 199.5: of a face of 40 px at 189.5 three quarters are inside.
        ((189.4, 80), 40.0, False, "yes"),
        ((189.6, 80), 40.0, False, "outside"),
        ((-50, 80), 40.0, False, "outside"),
    ],
)
def test_which_faces_are_judged(centre, side, behind, told):
    face = FacePlace(np.array(centre, np.float64), side, 0.0, behind)
    assert judge_place(face, (200, 160), 24.0) == told
    assert judge_place(None, (200, 160), 24.0) == "unsure"


# ---- over time -----------------------------------------------------------------------------------


def test_the_mean_over_time_counts_seconds_and_not_frames():
    # After one time constant 1 - 1/e of the way is gone, in one step or in ten.
    one, ten = SmoothShares(0.5, 1.0), SmoothShares(0.5, 1.0)
    start, end = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    one.add(7, 0.0, start), ten.add(7, 0.0, start)
    for k in range(1, 11):
        last = ten.add(7, 0.05 * k, end)
    np.testing.assert_allclose(one.add(7, 0.5, end), [math.exp(-1), 1 - math.exp(-1)])
    np.testing.assert_allclose(last, [math.exp(-1), 1 - math.exp(-1)])


def test_the_mean_starts_anew_after_a_gap_and_for_everybody_alone():
    smooth = SmoothShares(0.5, 1.0)
    smooth.add(1, 0.0, np.array([1.0, 0.0]))
    assert smooth.add(2, 0.1, np.array([0.0, 1.0])).tolist() == [0.0, 1.0]
    assert smooth.add(1, 1.1, np.array([0.0, 1.0])).tolist() == [0.0, 1.0]
    smooth.add(1, 2.1, np.array([1.0, 0.0]))
    smooth.forget(3.2)
    assert smooth.add(1, 3.05, np.array([0.0, 1.0])).tolist() == [0.0, 1.0]


def test_no_time_constant_is_no_mean():
    smooth = SmoothShares(0.0, 1.0)
    smooth.add(1, 0.0, np.array([1.0, 0.0]))
    assert smooth.add(1, 0.1, np.array([0.3, 0.7])).tolist() == [0.3, 0.7]


@pytest.mark.parametrize(
    "wrong", [{"min_px": 0}, {"min_score": 1.1}, {"smooth_s": -1}, {"gap_s": 0}]
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        FaceReaderSettings(**wrong)


# ---- reading frames ------------------------------------------------------------------------------


class BrighterHalf(FaceModel):
    """A network of one layer: is the upper or the lower half of a crop brighter?"""

    def __init__(self) -> None:
        super().__init__()
        self.codec = FaceCodec(("upper", "lower"), (28, 28))
        self.config: Any = None
        self.seen: list[Tensor] = []

    def forward(self, faces: Tensor) -> FaceOutput:
        self.seen.append(faces)
        halves = faces.mean((1, 3)).unflatten(1, (2, 14)).mean(-1)
        return FaceOutput(10 * halves, halves)

    def criterion(self) -> FaceCriterion:
        raise NotImplementedError


def picture(degrees: float, colour: tuple[int, int, int] = (255, 255, 255)) -> np.ndarray:
    """160 x 200, bright above a line through (100, 80) that is turned clockwise, else black."""
    y, x = np.mgrid[:160, :200]
    a = math.radians(degrees)
    above = -(x - 100) * math.sin(a) + (y - 80) * math.cos(a) < 0
    return np.where(above[..., None], np.array(colour, np.uint8), np.uint8(0))


def people(index: int, time_s: float, *places: Mapping[str, tuple[float, float]]) -> FramePoses:
    both = [joints(LSP14, p) for p in places]
    xy = np.stack([b[0] for b in both]) if both else np.zeros((0, 14, 2), np.float32)
    score = np.stack([b[1] for b in both]) if both else np.zeros((0, 14))
    boxes = Boxes(np.tile([0.0, 0, 9, 9], (len(both), 1)), np.ones(len(both)))
    ids = np.arange(5, 5 + len(both))
    return FramePoses(index, time_s, ids, boxes, Poses(xy, score, LSP14))


@pytest.mark.parametrize("degrees", [0, 60, 150, -90])
def test_a_tilted_face_reaches_the_network_upright(degrees):
    reader = FaceReader(BrighterHalf(), LSP14)
    faces = reader.read(picture(degrees), people(0, 0.0, turned(LSP, degrees)))
    assert faces.judged == ("yes",)
    best = faces.best(0)
    assert best is not None and best[0] == "upper" and best[1] > 0.99
    np.testing.assert_allclose(faces.xyxy[0], [80, 60, 120, 100], atol=1e-3)
    assert faces.tilt_deg[0] == pytest.approx(degrees, abs=1e-3)


def test_colours_are_taken_out_unless_they_are_wanted():
    seen = []
    for gray in (True, False):
        model = BrighterHalf()
        FaceReader(model, LSP14, FaceReaderSettings(gray=gray)).read(
            picture(0, (255, 0, 0)), people(0, 0.0, LSP)
        )
        raw = model.seen[0] * torch.tensor([0.229, 0.224, 0.225])[:, None, None]
        raw += torch.tensor([0.485, 0.456, 0.406])[:, None, None]
        seen.append([round(v, 3) for v in raw[0, :, 2, 14].tolist()])
    assert seen == [[0.333, 0.333, 0.333], [1.0, 0.0, 0.0]]


def test_rows_stay_with_their_people_where_some_are_not_judged():
    small = {k: (x / 4, y / 4) for k, (x, y) in LSP.items()}
    back = mirrored(LSP)
    faces = FaceReader(BrighterHalf(), LSP14).read(
        picture(0), people(3, 0.1, small, LSP, back, {"neck": (5, 5)})
    )
    assert faces.judged == ("small", "yes", "behind", "unsure")
    assert faces.ids.tolist() == [5, 6, 7, 8] and faces.frame_index == 3
    assert np.isfinite(faces.probability).all(1).tolist() == [False, True, False, False]
    assert np.isfinite(faces.xyxy).all(1).tolist() == [True, True, True, False]
    assert faces.probability[1].sum() == pytest.approx(1)


def test_a_frame_without_people_has_no_faces():
    faces = FaceReader(BrighterHalf(), LSP14).read(picture(0), people(0, 0.0))
    assert len(faces) == 0 and faces.probability.shape == (0, 2)


def test_answers_follow_a_change_slowly_and_anew_after_a_gap():
    reader = FaceReader(BrighterHalf(), LSP14)
    up, down = picture(0), picture(180)
    first = reader.read(up, people(0, 0.0, LSP)).probability[0, 0]
    after = reader.read(down, people(1, 0.1, LSP)).probability[0, 0]
    assert after == pytest.approx(math.exp(-0.2) * first, abs=1e-3)
    assert reader.read(down, people(2, 1.2, LSP)).probability[0, 0] < 0.01
    reader.read(up, people(3, 1.3, LSP))
    reader.start()
    assert reader.read(down, people(4, 1.4, LSP)).probability[0, 0] < 0.01


def test_poses_that_are_known_already_are_read_in_a_second_pass():
    frames = [people(k, 0.1 * k, LSP) for k in (0, 2)]
    poses = VideoPoses.from_frames(VideoInfo("x", (200, 160)), LSP14, frames)
    shown = [Frame(k, 0.1 * k, picture(0)) for k in range(4)]
    found = list(faces_of_video(FaceReader(BrighterHalf(), LSP14), shown, poses))
    assert [f.frame_index for f in found] == [0, 2]
    assert [f.judged for f in found] == [("yes",)] * 2

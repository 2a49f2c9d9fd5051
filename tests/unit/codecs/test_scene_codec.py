"""People of whole frames: scaling, padding of people, and back to image pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from chronopose.codecs.scene import LEAST_AREA_PX2, SceneCodec
from chronopose.core.skeleton import Skeleton
from chronopose.errors import ShapeError
from chronopose.tensors.scene import SceneOutput

DOTS = Skeleton("dots", ("head", "neck", "pelvis"))


def codec(align: str = "centre") -> SceneCodec:
    return SceneCodec(DOTS, (100, 60), align)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("size", "out"), [((200, 100), (100, 50)), ((100, 200), (50, 100)), ((40, 40), (60, 60))]
)
def test_frames_are_scaled_into_the_longest_sides(
    size: tuple[int, int], out: tuple[int, int]
) -> None:
    assert codec().window(size).out_size == out


def test_edges_of_the_frame_stay_edges() -> None:
    window = codec().window((200, 100))
    edges = np.array([[-0.5, -0.5], [199.5, 99.5]])
    np.testing.assert_allclose(window.apply(edges), [[-0.5, -0.5], [99.5, 49.5]])


def test_people_are_padded_and_unknown_joints_unseen() -> None:
    one = torch.tensor([[[2.0, 3.0], [10.0, 11.0], [float("nan"), 0.0]]])
    target = codec().encode(
        [one, torch.zeros(0, 3, 2)], [torch.ones(1, 3).bool(), torch.zeros(0, 3).bool()]
    )
    assert target.people.tolist() == [1, 0]
    assert target.visible.tolist() == [[[True, True, False]], [[False] * 3]]
    assert torch.isfinite(target.joints).all()
    # 8 by 8 pixels around the two known joints; somebody without joints still has an area.
    assert target.area.flatten().tolist() == [64.0, LEAST_AREA_PX2]


def test_joints_of_another_skeleton_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"\(people, 3, 2\)"):
        codec().encode([torch.zeros(1, 4, 2)], [torch.ones(1, 4).bool()])


def output(joints: torch.Tensor) -> SceneOutput:
    scores = torch.tensor([[0.9, 0.2]])
    return SceneOutput(joints, scores, scores[..., None].expand(1, 2, 3))


@pytest.mark.parametrize("align", ["centre", "corner"])
def test_decoding_undoes_the_scaling(align: str) -> None:
    # A frame of 200 x 100 is halved; share 1/4 of its width is pixel 49.5, or 50 from the corner.
    edge = codec(align).edge
    joints = torch.full((1, 2, 3, 2), 25.0 + edge)
    (found,) = codec(align).decode(output(joints), [codec().window((200, 100))], 0.5)
    boxes, poses = found
    want = 49.5 if align == "centre" else 50.0
    assert len(boxes) == 1 and boxes.score[0] == np.float32(0.9)
    np.testing.assert_allclose(poses.xy, want)
    np.testing.assert_allclose(boxes.xyxy, want)


def test_nobody_sure_enough_is_nobody() -> None:
    (found,) = codec().decode(output(torch.zeros(1, 2, 3, 2)), [codec().window((9, 9))], 0.95)
    assert len(found[0]) == len(found[1]) == 0

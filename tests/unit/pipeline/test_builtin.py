"""The shipped detector's way from a frame to boxes, and how it is judged."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from chronopose.core.boxes import Boxes
from chronopose.core.labels import LabelledFrame
from chronopose.core.skeletons import get_skeleton
from chronopose.io.video import Frame
from chronopose.models.person_detector import DetectorConfig, DetectorOutput, PersonDetector
from chronopose.pipeline.builtin import BuiltIn, find_people
from chronopose.pipeline.detect import SHIPPED, FunctionDetector
from chronopose.pipeline.judge import judge_detector


class Fixed(PersonDetector):
    """Says that one person stands at a given place of its input."""

    def __init__(self, box: list[float], seen: list[torch.Tensor]) -> None:
        super().__init__(DetectorConfig(widths=(8, 8, 8), deep=8, channels=8))
        self._box, self._seen = torch.tensor(box), seen

    def forward(self, frames: torch.Tensor) -> DetectorOutput:
        self._seen.append(frames)
        logits = torch.tensor([[4.0, 3.0, -9.0]]).repeat(len(frames), 1)
        boxes = torch.stack([self._box, self._box + 1, self._box]).repeat(len(frames), 1, 1)
        return DetectorOutput(logits, boxes)


def test_boxes_come_back_in_the_pixels_of_the_frame():
    seen: list[torch.Tensor] = []
    # a 200 x 100 frame at side 64 is 64 x 32: 3.125 frame pixels for one of the input
    model = Fixed([9.5, 3.5, 19.5, 27.5], seen)
    (boxes, scores), _ = find_people(model, torch.zeros(2, 3, 100, 200), 64, 0.3)
    # (9.5 + 0.5) x 3.125 - 0.5 = 30.75; the second box is the same person, one input pixel
    # further: it moves the first by its share of the squared scores, 0.9526 and 0.9820
    moved = 3.125 * 0.9526**2 / (0.9526**2 + 0.9820**2)
    assert boxes.tolist() == [
        pytest.approx([30.75 + moved, 12.0 + moved, 62.0 + moved, 87.0 + moved], abs=1e-3)
    ]
    assert scores.tolist() == [pytest.approx(0.982, abs=1e-3)]
    assert seen[0].shape == (2, 3, 32, 64)


def test_boxes_end_at_the_edge_of_the_frame():
    model = Fixed([-5.0, -5.0, 99.0, 99.0], [])
    boxes, _ = find_people(model, torch.zeros(1, 3, 100, 200), 64, 0.3)[0]
    assert boxes.tolist() == [[-0.5, -0.5, 199.5, 99.5]]


def test_a_box_outside_the_frame_is_nobody():
    boxes, scores = find_people(
        Fixed([70.0, 2.0, 90.0, 30.0], []), torch.zeros(1, 3, 100, 200), 64, 0.3
    )[0]
    assert len(boxes) == len(scores) == 0


def test_sides_are_padded_to_whole_cells():
    seen: list[torch.Tensor] = []
    find_people(Fixed([1.0, 1, 2, 2], seen), torch.full((1, 3, 90, 160), 255.0), 160, 0.3)
    assert seen[0].shape == (1, 3, 96, 160)
    assert (seen[0][:, :, 90:] == 0).all() and (seen[0][:, :, :90] > 0).all()


def test_frames_in_batches_are_the_same_as_one_by_one():
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (5, 90, 160, 3)).astype(np.uint8)
    frames = [Frame(i, i / 25, image) for i, image in enumerate(noise)]
    detector = BuiltIn(SHIPPED, min_score=0.05)
    together, alone = detector(frames), [detector([f])[0] for f in frames]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one.xyxy, other.xyxy, atol=0.05)
        np.testing.assert_allclose(one.score, other.score, atol=1e-3)


def test_a_detector_that_repeats_the_labels_is_perfect_and_crowds_excuse():
    lsp = get_skeleton("lsp14")
    image = np.zeros((50, 50, 3), np.uint8)
    boxes = np.array([[2.0, 2, 20, 40], [30, 30, 34, 36], [40, 0, 49, 49]])
    labels = LabelledFrame(
        "a.jpg", 0, lsp, np.full((3, 14, 2), np.nan), boxes=boxes, crowd=[False, False, True]
    )
    found = Boxes(boxes.astype(np.float32), np.array([0.9, 0.8, 0.7], np.float32))
    detector = FunctionDetector(lambda frames: [found for _ in frames])
    result = judge_detector(detector, [(image, labels)], least_height_px=10)
    assert (result.ap, result.recall, result.precision, result.people) == (
        pytest.approx((100, 100, 100, 1))
    )

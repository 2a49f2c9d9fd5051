"""The detector's network: cells, boxes and the weights it starts from."""

import pytest
import torch

from chronopose.models._find import build_model, list_models
from chronopose.models.person_detector import STRIDES, DetectorConfig, PersonDetector, cell_centres


@pytest.fixture(scope="module")
def detector():
    torch.manual_seed(0)
    return PersonDetector().eval()


def test_there_is_one_cell_for_each_place_of_each_stride(detector):
    with torch.inference_mode():
        output = detector(torch.zeros(2, 3, 64, 96))
    cells = sum((64 // s) * (96 // s) for s in STRIDES)
    assert output.logits.shape == (2, cells) and output.boxes.shape == (2, cells, 4)


def test_every_box_holds_its_own_cell(detector):
    with torch.inference_mode():
        boxes = detector(torch.randn(1, 3, 64, 96)).boxes[0]
    centres = torch.cat([cell_centres(64 // s, 96 // s, s, boxes.device) for s in STRIDES])
    assert (boxes[:, :2] < centres).all() and (boxes[:, 2:] > centres).all()


def test_the_first_cell_of_stride_eight_is_centred_between_pixels_three_and_four():
    assert cell_centres(2, 2, 8, torch.device("cpu")).tolist() == [
        [3.5, 3.5], [11.5, 3.5], [3.5, 11.5], [11.5, 11.5],
    ]  # fmt: skip


def test_the_shipped_size_stays_below_four_million_parameters(detector):
    assert sum(p.numel() for p in detector.parameters()) < 4_000_000


def test_the_first_stages_are_those_of_the_pose_network():
    pose = build_model("simple_baseline:lite").eval()
    detector = PersonDetector(DetectorConfig()).eval()
    missing = detector.start_from_pose(pose.state_dict())
    assert not [name for name in missing if name.startswith("body.")]
    frames = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        ours, theirs = detector.body(frames), pose.backbone.body(frames)
    torch.testing.assert_close(ours[0], theirs[1])
    torch.testing.assert_close(ours[1], theirs[2])
    torch.testing.assert_close(detector.lateral[0].weight, pose.backbone.lateral[1].weight)


def test_it_is_not_offered_as_a_pose_model():
    assert "person_detector" not in list_models()

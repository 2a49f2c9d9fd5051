"""FerMultithreshold: slices, thresholds, what its head sees, and what its settings refuse."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from chronopose.errors import UsageError
from chronopose.losses.triplet import batch_hard, triplet_loss
from chronopose.models._find import build_face_model
from chronopose.models.fer_multithreshold import PRESETS, FerMultithreshold, FerMultithresholdConfig
from chronopose.tensors.faces import FaceOutput

SMALL = {"crop_size": (32, 32), "widths": (8, 8, 8), "embedding": 64}


def small(**changes: object) -> FerMultithreshold:
    torch.manual_seed(0)
    model = build_face_model("fer_multithreshold:lite", **{**SMALL, **changes})
    assert isinstance(model, FerMultithreshold)
    return model


def faces(count: int = 6) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, 3, 32, 32, generator=generator), torch.arange(count) % 3


def test_the_presets_are_those_of_the_specification():
    assert PRESETS["resnet18"].slices == 8
    assert PRESETS["resnet18"].embedding // PRESETS["resnet18"].slices == 32
    assert PRESETS["resnet18_slices_4"].slices == 4
    assert PRESETS["resnet18_slices_16"].embedding // PRESETS["resnet18_slices_16"].slices == 16
    assert PRESETS["lite"].crop_size == (48, 48)
    assert small().thresholds().tolist() == pytest.approx([0.1 * n for n in range(1, 9)])


def test_every_slice_has_length_one():
    out = small().eval()(faces()[0])
    lengths = out.embedding.unflatten(-1, (8, 8)).norm(dim=-1)
    torch.testing.assert_close(lengths, torch.ones(6, 8))


@pytest.mark.parametrize("slices", [1, 4, 8])
def test_the_head_reads_numbers_of_spread_one_for_any_number_of_slices(slices: int):
    model = small(slices=slices).eval()
    read = model.head_scale * model(faces()[0]).embedding
    torch.testing.assert_close(read.square().mean(), torch.tensor(1.0))


def test_the_triplet_term_is_the_mean_over_slices_at_their_thresholds():
    model = small(thresholds=(0.2, 0.6), slices=2, embedding=32)
    images, labels = faces()
    out = model.eval()(images)
    terms = model.criterion()(out, labels)
    slices = out.embedding.unflatten(-1, (2, 16))
    mined = batch_hard(slices, labels)
    alone = [triplet_loss(slices, mined, torch.tensor([t, t]))[n] for n, t in enumerate((0.2, 0.6))]
    torch.testing.assert_close(terms["triplet"], (alone[0] + alone[1]) / 2)
    expected = torch.nn.functional.cross_entropy(out.logits, labels)
    torch.testing.assert_close(terms["cross_entropy"], expected)


def test_a_frozen_head_leaves_the_metric_alone():
    model = small(head="frozen")
    images, labels = faces()
    model.criterion()(model(images), labels)["cross_entropy"].backward()
    assert model.embed_layer.weight.grad is None
    assert model.head.weight.grad is not None
    joint = small(head="joint")
    joint.criterion()(joint(images), labels)["cross_entropy"].backward()
    assert joint.embed_layer.weight.grad is not None


def test_plain_classification_weighs_the_metric_with_nothing():
    assert small(metric_weight=0.0).weights_of_terms() == {"cross_entropy": 1.0, "triplet": 0.0}


def test_persons_change_what_is_mined():
    model = small()
    generator = torch.Generator().manual_seed(2)
    embedding = torch.nn.functional.normalize(torch.randn(6, 8, 8, generator=generator), dim=-1)
    out, labels = FaceOutput(torch.zeros(6, 7), embedding.flatten(1)), torch.arange(6) % 2
    usual = model.criterion()(out, labels)["triplet"]
    aware = model.criterion()(out, labels, torch.tensor([0, 0, 0, 1, 1, 2]))["triplet"]
    assert usual > aware  # identity-aware pairs are a subset, so none is harder


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"embedding": 60, "slices": 8}, "cannot be cut"),
        ({"thresholds": (0.8, 0.1)}, "above zero"),
        ({"thresholds": (0.1, 2.0)}, "cannot be met"),
        ({"crop_size": (8, 48)}, "16×16"),
        ({"metric_weight": -1.0}, "not negative"),
        ({"classes": ("happy",)}, "two or more classes"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, object], message: str):
    with pytest.raises(UsageError, match=message):
        small(**changes)


def test_a_threshold_out_of_reach_is_allowed_where_lengths_are_free():
    FerMultithresholdConfig(thresholds=(0.1, 5.0), normalise=False)
    FerMultithresholdConfig(thresholds=(0.1, 3.0), distance="squared")

"""Scoring a model on labelled people."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from chronopose.core.skeletons import get_skeleton
from chronopose.data.clips import Sample, View
from chronopose.engine.evaluate import evaluate
from chronopose.errors import SkeletonMismatch
from chronopose.models._base import Features
from chronopose.tensors import HeatmapOutput

LSP = get_skeleton("lsp14")
CROP = (128, 128)


class Figures:
    """Five people whose torso is 50 px long, in pictures of 100x100."""

    skeleton = LSP

    def __len__(self) -> int:
        return 5

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        joints = np.random.default_rng(index).uniform(30, 65, (1, 14, 2)).astype(np.float32)
        joints[0, LSP.index("left_shoulder")] = [30, 25]
        joints[0, LSP.index("right_hip")] = [60, 65]
        visible = np.ones((1, 14), bool)
        visible[0, LSP.index("left_wrist")] = index > 1
        box = np.array([10, 10, 90, 90], np.float32)
        return Sample(np.zeros((1, 100, 100, 3), np.uint8), joints, visible, box, LSP)

    def fingerprint(self) -> str:
        return "figures"


@pytest.fixture
def oracle(make_small):
    """A model that knows the answers, moved by a number of crop pixels."""
    model = make_small()
    state = {"next": 0, "move": 0.0, "mirrored": False}

    def encode(frames: Tensor) -> Features:
        return (frames,)

    def fuse(features: Features) -> HeatmapOutput:
        count = len(features[0])
        answers = []
        for i in range(state["next"], state["next"] + count):
            view = View.of(Figures().sample(i, np.random.default_rng(0)), CROP)
            answers.append(torch.from_numpy(view.joints()[0][0]))
        state["next"] = (state["next"] + count) % 5
        xy = torch.stack(answers) + torch.tensor([state["move"], 0.0])
        maps = codec.encode(xy, torch.ones(count, 14)).heatmaps
        return HeatmapOutput((maps + 1e-6).log())

    model.encode, model.fuse = encode, fuse
    codec = model.codec = replace(model.codec, crop_size=CROP)
    return model, state


def test_a_model_that_knows_the_answers_scores_a_hundred(oracle):
    model, _ = oracle
    result = evaluate(model, Figures())
    assert result.pck == 100.0
    assert result.people == 5
    # 12 limb joints of 5 people, less the left wrist of two.
    assert sum(result.limbs.counts.values()) == 58


def test_joints_missed_by_more_than_a_fifth_of_the_torso_do_not_count(oracle):
    model, state = oracle
    # The crop shows 100 px on 128: 14 crop pixels are 10.9 px, more than 0.2 * 50.
    state["move"] = 14.0
    assert evaluate(model, Figures()).pck == 0.0
    # 11 crop pixels are 8.6 px, less than 10.
    state["move"] = 11.0
    assert evaluate(model, Figures()).pck == 100.0


@pytest.mark.parametrize("size", [1, 2, 5])
def test_the_batch_size_does_not_matter(oracle, size: int):
    model, state = oracle
    state["move"] = 12.8
    whole = evaluate(model, Figures())
    assert evaluate(model, Figures(), batch_size=size).every == whole.every


def test_the_mirrored_crop_is_averaged_in(make_small):
    model = make_small().eval()
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.bias.zero_()
    plain, flipped = evaluate(model, Figures()), evaluate(model, Figures(), flip_test=True)
    assert (plain.flip_test, flipped.flip_test) == (False, True)
    assert plain.pck == flipped.pck


def test_a_limit_stops_early(oracle):
    model, _ = oracle
    assert evaluate(model, Figures(), batch_size=2, limit_batches=1).people == 2


def test_other_joints_than_the_models_are_refused(make_small):
    class Coco(Figures):
        skeleton = get_skeleton("coco17")

    with pytest.raises(SkeletonMismatch, match="coco17"):
        evaluate(make_small(), Coco())

"""The game between a pose network and a critic of changes, with numbers worked out by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from chronopose.codecs.heatmap import HeatmapCodec
from chronopose.core.skeletons import get_skeleton
from chronopose.errors import ShapeError
from chronopose.losses.adversarial import TemporalAdversary
from chronopose.losses.clip import ClipCriterion
from chronopose.tensors import ClipOutput, ClipTarget, Target


class Factor(nn.Module):
    """Gives the change times a learnt number, whatever the frames show."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, before: Tensor, after: Tensor, change: Tensor) -> Tensor:
        assert before.shape[1] == after.shape[1] == 3
        return self.factor * change


def maps(*values: float) -> Tensor:
    """One clip of one joint on 2×2 cells; a frame a value, in its first cell."""
    out = torch.zeros(1, len(values), 1, 2, 2)
    out[0, :, 0, 0, 0] = torch.tensor(values)
    return out


def target(clip: Tensor, weight: Tensor | None = None) -> Target:
    batch, count, joints = clip.shape[:3]
    weight = torch.ones(batch, count, joints) if weight is None else weight
    whole = ClipTarget(clip, weight, torch.zeros(batch, count, 3, *clip.shape[-2:]))
    last = (torch.zeros(batch, joints, 2), weight[:, -1], clip[:, -1])
    return Target(*last, clip=whole)


def output(clip: Tensor) -> ClipOutput:
    return ClipOutput(clip[:, -1], clip)


def game(factor: float = 0.5, **settings: float) -> TemporalAdversary:
    return TemporalAdversary(Factor(factor), **settings)


LABELS = maps(0.0, 1.0, 3.0)
FOUND = maps(0.0, 4.0, 4.0)


def test_the_error_is_the_squared_rest_summed_over_cells_and_averaged_over_changes():
    # Changes 1 and 2; half of them is left: (0.25 + 1) / 2.
    whole = target(LABELS).clip
    assert whole is not None
    assert game().error(LABELS, whole).item() == pytest.approx(0.625)


def test_the_network_pays_for_what_the_critic_cannot_reconstruct():
    # Changes 4 and 0; half of 4 is left: 4 / 2.
    assert float(game().generator_terms(output(FOUND), target(LABELS))["adversarial"]) == 2.0


def test_the_critic_pays_for_labels_and_is_paid_for_the_networks_changes():
    own = game()
    own.balance.fill_(0.1)
    assert own.adversary_loss(output(FOUND), target(LABELS)).item() == pytest.approx(0.625 - 0.2)


def test_the_balance_moves_by_the_wanted_ratio_and_stays_between_zero_and_one():
    own = game(gamma=0.5, rate=0.1)
    own.balance.fill_(0.5)
    own.adversary_loss(output(FOUND), target(LABELS))
    said = own.settle()
    # 0.5 + 0.1 (0.5 * 0.625 - 2).
    assert said == {"real": pytest.approx(0.625), "fake": pytest.approx(2.0),
                    "balance": pytest.approx(0.33125)}  # fmt: skip
    own.rate = 10.0
    own.adversary_loss(output(FOUND), target(LABELS))
    assert own.settle()["balance"] == 0.0
    own.adversary_loss(output(LABELS * 0), target(LABELS))
    assert own.settle()["balance"] == 1.0
    assert own.settle() == {}


def test_two_passes_of_a_step_settle_on_their_mean():
    own = game()
    own.adversary_loss(output(FOUND), target(LABELS))
    own.adversary_loss(output(LABELS * 0), target(LABELS))
    assert own.settle()["fake"] == pytest.approx(1.0)


def test_gradients_reach_the_side_whose_turn_it_is():
    own, found = game(), FOUND.clone().requires_grad_(True)
    own.generator_terms(output(found), target(LABELS))["adversarial"].backward()
    assert own.critic.factor.grad is None
    # e = ((f - 1) d)^2 / 2 with d = 4: de/dd = (f - 1)^2 d = 1 for the second frame.
    assert found.grad[0, 1, 0, 0, 0] == pytest.approx(1.0)
    found.grad = None
    own.adversary_loss(output(found), target(LABELS)).backward()
    assert found.grad is None
    # Labels alone, as k = 0: the mean of 2 (f - 1) d^2 is -(1 + 4) / 2.
    assert float(own.critic.factor.grad) == pytest.approx(-2.5)


def test_a_change_from_or_to_an_unlabelled_joint_does_not_count():
    weight = torch.tensor([[[1.0], [1.0], [0.0]]])
    found = game().generator_terms(output(FOUND), target(LABELS, weight))
    # Of the changes 4 and 0 the second one does not count.
    assert float(found["adversarial"]) == pytest.approx(4.0)
    nobody = game().generator_terms(output(FOUND), target(LABELS, weight * 0))
    assert float(nobody["adversarial"]) == 0.0


def test_logits_are_compared_as_distributions_of_the_targets_mass():
    own = TemporalAdversary(Factor(0.0), activation="softmax")
    labels = maps(4.0, 4.0)
    # Flat logits, then all in the second cell: from 1 in every cell to 0, 4, 0, 0.
    logits = torch.zeros(1, 2, 1, 2, 2)
    logits[0, 1, 0, 0, 1] = 1000.0
    found = own.generator_terms(output(logits), target(labels))["adversarial"]
    assert float(found) == pytest.approx(1 + 9 + 1 + 1)


def test_one_frame_is_no_change():
    whole, last = output(FOUND), target(LABELS)
    for wrong in ((ClipOutput(whole.heatmaps), last), (whole, last._replace(clip=None)),
                  (output(FOUND[:, :1]), last)):  # fmt: skip
        with pytest.raises(ShapeError, match="all frames"):
            game().generator_terms(*wrong)


# ---- the heatmap loss over a clip ---------------------------------------------------------------

CODEC = HeatmapCodec(get_skeleton("lsp14"), (32, 32))


def clip_of(places: Tensor, visible: Tensor) -> Target:
    every = CODEC.encode(places.flatten(0, 1), visible.flatten(0, 1))
    shape = places.shape[:2]
    assert every.heatmaps is not None
    heat, weight = every.heatmaps.unflatten(0, shape), every.weight.unflatten(0, shape)
    whole = ClipTarget(heat, weight, torch.zeros(*shape, 3, 8, 8))
    return Target(places[:, -1], weight[:, -1], heat[:, -1], clip=whole)


def test_every_frame_counts_alike_and_unlabelled_joints_do_not():
    places, seen = torch.full((1, 2, 14, 2), 15.5), torch.ones(1, 2, 14)
    seen[0, 0, :7] = 0
    wanted = clip_of(places, seen)
    assert wanted.clip is not None
    found = wanted.clip.heatmaps.clone()
    found[:, 0] += 2.0
    # Off by 2 in one of two frames, in the half of the joints that is labelled there.
    assert float(ClipCriterion(CODEC)(output(found), wanted)["heatmap"]) == pytest.approx(1.0)


def test_where_one_side_knows_the_key_frame_alone_that_is_compared():
    wanted = clip_of(torch.full((1, 2, 14, 2), 15.5), torch.ones(1, 2, 14))
    assert wanted.heatmaps is not None
    criterion = ClipCriterion(CODEC)
    off = wanted.heatmaps + 3.0
    assert float(criterion(ClipOutput(off), wanted)["heatmap"]) == pytest.approx(9.0)
    both = ClipOutput(off, torch.stack([off, off], 1))
    assert float(criterion(both, wanted._replace(clip=None))["heatmap"]) == pytest.approx(9.0)

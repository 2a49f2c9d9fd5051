"""The detector's loss: who stands for whom, and what is asked of a cell."""

import pytest
import torch

from chronopose.losses.detection import (
    BoxTarget,
    assign,
    detection_terms,
    generalised_overlaps,
    overlaps,
)

GRID = torch.tensor([[x, y] for y in (3.5, 11.5, 19.5, 27.5) for x in (3.5, 11.5, 19.5, 27.5)])
"""Centres of 4 x 4 cells of stride 8."""


def target(boxes, ignore=()):
    rows = torch.tensor(boxes, dtype=torch.float32).reshape(1, -1, 4)
    aside = torch.tensor(ignore, dtype=torch.float32).reshape(1, -1, 4)
    return BoxTarget(rows, torch.tensor([rows.shape[1]]), aside)


def around_cells(reach):
    return torch.cat([GRID - reach, GRID + reach], -1)[None]


def test_overlap_of_half_shifted_squares_is_a_third():
    a, b = torch.tensor([0.0, 0, 10, 10]), torch.tensor([5.0, 0, 15, 10])
    assert overlaps(a, b) == pytest.approx(50 / 150)


def test_generalised_overlap_of_distant_squares_counts_the_empty_hull():
    a, b = torch.tensor([0.0, 0, 10, 10]), torch.tensor([20.0, 0, 30, 10])
    # no common area, union 200, hull 300
    assert generalised_overlaps(a, b) == pytest.approx(-100 / 300)


def test_cells_outside_the_person_are_nobody():
    owner, share = assign(
        torch.zeros(1, 16), around_cells(8.0), GRID, target([[0.0, 0.0, 15.0, 15.0]])
    )
    inside = (GRID < 15).all(-1)
    assert (owner[0][~inside] == -1).all() and (share[0][~inside] == 0).all()
    assert (owner[0][inside] == 0).all()


def test_the_best_cell_is_asked_for_its_overlap():
    boxes = around_cells(8.0)
    boxes[0, 5] = torch.tensor([0.0, 0.0, 15.0, 15.0])  # the cell at (11.5, 11.5) is exact
    _, share = assign(torch.zeros(1, 16), boxes, GRID, target([[0.0, 0.0, 15.0, 15.0]]))
    assert share[0, 5] == pytest.approx(1.0, abs=1e-5)
    assert share[0].argmax() == 5


def test_a_cell_between_two_people_goes_to_the_one_it_overlaps_more():
    people = target([[0.0, 0.0, 20.0, 31.0], [8.0, 0.0, 31.0, 31.0]])
    boxes = around_cells(8.0)
    boxes[0] = torch.tensor([8.0, 0.0, 31.0, 31.0])  # everybody predicts the second person
    owner, _ = assign(torch.zeros(1, 16), boxes, GRID, people)
    shared = (GRID[:, 0] > 8) & (GRID[:, 0] < 20)
    assert (owner[0][shared & (owner[0] >= 0)] == 1).all()
    assert (owner[0] == 1).any()


def test_a_person_smaller_than_a_cell_is_still_found_by_somebody():
    owner, _ = assign(torch.zeros(1, 16), around_cells(4.0), GRID, target([[6.0, 6.0, 9.0, 9.0]]))
    found = GRID[owner[0] == 0]
    assert len(found) >= 1 and (found < 12).all()


def test_nothing_is_asked_of_cells_in_an_ignored_area():
    logits = torch.full((1, 16), 3.0, requires_grad=True)
    terms = detection_terms(
        logits, around_cells(4.0), GRID, target([], ignore=[[0.0, 0.0, 15.0, 15.0]])
    )
    terms["score"].backward()
    inside = (GRID < 15).all(-1)
    assert (logits.grad[0][inside] == 0).all() and (logits.grad[0][~inside] > 0).all()


def test_exact_boxes_and_sure_scores_cost_next_to_nothing():
    person = [4.0, 4.0, 28.0, 28.0]
    boxes = torch.tensor(person).expand(1, 16, 4).clone()
    inside = ((GRID > 4) & (GRID < 28)).all(-1)
    logits = torch.where(inside, 12.0, -12.0)[None]
    terms = detection_terms(logits, boxes, GRID, target([person]))
    assert terms["box"] == pytest.approx(0.0, abs=1e-5)
    assert terms["score"] < 0.01


def test_a_picture_without_people_has_no_box_term_and_a_finite_gradient():
    logits = torch.zeros(1, 16, requires_grad=True)
    boxes = around_cells(4.0).requires_grad_()
    terms = detection_terms(logits, boxes, GRID, target([]))
    (terms["score"] + terms["box"]).backward()
    assert terms["box"] == 0 and torch.isfinite(logits.grad).all()

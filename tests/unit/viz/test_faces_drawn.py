"""Squares around faces, the confusion matrix, and an embedding on two axes."""

from __future__ import annotations

import numpy as np
import pytest

from chronopose.core.faces import FrameFaces
from chronopose.errors import ShapeError
from chronopose.viz.confusion import draw_confusion
from chronopose.viz.embedding import draw_embedding, draw_verification, principal_axes
from chronopose.viz.faces import draw_faces, face_corners
from chronopose.viz.palette import PERSON_COLOURS, person_colour


def faces(judged: str = "yes") -> FrameFaces:
    shares = [0.3, 0.7] if judged == "yes" else [np.nan] * 2
    return FrameFaces(
        0, 0.0, ("neutral", "happiness"), np.array([1]), np.array([shares], np.float32),
        np.array([[60, 40, 120, 100]], np.float32), np.zeros(1, np.float32), (judged,),
    )  # fmt: skip


def test_corners_turn_about_the_middle():
    np.testing.assert_allclose(
        face_corners(np.array([0, 0, 10, 10]), 90), [[10, 0], [10, 10], [0, 10], [0, 0]], atol=1e-9
    )


def test_a_judged_face_gets_a_square_and_a_tag_below_it():
    image = np.zeros((200, 300, 3), np.uint8)
    drawn = draw_faces(image, faces())
    changed = np.argwhere((drawn != 0).any(-1))
    assert changed[:, 0].min() in (38, 39, 40) and 38 <= drawn[:, 60].any(-1).argmax() <= 40
    assert (drawn[40, 90] == person_colour(1)).all() and not drawn[70, 90].any()
    # The tag hangs under the lower edge, centred below the middle of the face at x = 90.
    below = changed[changed[:, 0] > 103]
    assert len(below) > 100 and abs(below[:, 1].mean() - 90) < 6
    assert not image.any()


def test_a_face_that_was_not_judged_is_not_drawn():
    assert not draw_faces(np.zeros((200, 300, 3), np.uint8), faces("behind")).any()
    with pytest.raises(ShapeError):
        draw_faces(np.zeros((200, 300), np.uint8), faces())


def test_cells_of_the_matrix_are_coloured_by_their_share_of_the_row():
    counts = np.array([[3, 1, 0], [0, 0, 0], [0, 0, 4]])
    picture = draw_confusion(counts, ("neutral", "fear", "happiness"))
    # Cells are 74 x 40 from (130, 84); a corner of each is free of type.
    at = [[picture[84 + 40 * r + 4, 130 + 74 * c + 4] for c in range(3)] for r in range(3)]
    full, empty = np.array(PERSON_COLOURS[0]), np.full(3, 240)
    np.testing.assert_allclose(at[0][0], empty + 0.75 * (full - empty), atol=1)
    np.testing.assert_allclose(at[2][2], full, atol=1)
    for r, c in ((0, 2), (1, 0), (1, 1)):
        np.testing.assert_allclose(at[r][c], empty, atol=1)
    # A class without labels has no numbers in its row.
    assert len(np.unique(picture[84 + 44 : 84 + 76, 134:200].reshape(-1, 3), axis=0)) == 1
    with pytest.raises(ShapeError, match="a row and a column a class"):
        draw_confusion(counts, ("neutral", "fear"))


def test_principal_axes_find_the_directions_of_spread():
    # Four points of a cross: variance 2 x 9 along (0, 0, 1), 2 x 1 along (1, 0, 0), mean (5, 5, 5).
    cross = np.array([[0, 0, 3], [0, 0, -3], [1, 0, 0], [-1, 0, 0]], float) + 5
    xy, shown = principal_axes(cross)
    np.testing.assert_allclose(xy, [[3, 0], [-3, 0], [0, 1], [0, -1]], atol=1e-9)
    assert shown == pytest.approx(1)
    deep = np.diag([2.0, 2.0, 2.0, 2.0])
    assert principal_axes(deep)[1] == pytest.approx(2 / 3)


@pytest.mark.parametrize("rows", [np.ones((1, 4)), np.ones((5, 4)), np.ones((3, 1))])
def test_axes_of_rows_that_do_not_spread(rows):
    xy, shown = principal_axes(rows)
    assert xy.shape == (len(rows), 2) and not xy.any() and shown == 0
    with pytest.raises(ShapeError, match="with rows"):
        principal_axes(np.zeros((0, 4)))


def test_points_of_the_embedding_have_the_colours_of_their_classes():
    rows = np.array([[-1.0, 0], [1.0, 0], [0, 0.1], [0, -0.1]])
    picture = draw_embedding(rows, np.array([0, 1, 1, 1]), ("neutral", "anger"))
    found = [np.argwhere((picture[60:] == c).all(-1)) for c in PERSON_COLOURS[:2]]
    # The one neutral point is furthest to the left of all.
    assert len(found[0]) and found[0][:, 1].max() < found[1][:, 1].min()
    with pytest.raises(ShapeError, match="as many labels"):
        draw_embedding(rows, np.array([0]), ("neutral",))


def test_the_curve_of_verification_passes_its_points():
    picture = draw_verification(np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0]), 1.0)
    blue = np.argwhere((picture == PERSON_COLOURS[5]).all(-1))
    # Up along the left axis, then along the top: nothing of it in the middle of the picture.
    assert blue[:, 1].min() < 70 and blue[:, 1].max() > picture.shape[1] - 30
    assert not ((blue[:, 0] > 100) & (blue[:, 1] > 100)).any()
    empty = draw_verification(np.zeros(0), np.zeros(0), float("nan"))
    assert empty.shape == picture.shape
    with pytest.raises(ShapeError):
        draw_verification(np.zeros(2), np.zeros(1), 0.5)

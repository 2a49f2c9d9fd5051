"""People cut out along their silhouettes."""

import numpy as np
import pytest

from chronopose.core.skeletons import get_skeleton
from chronopose.data.emptied import paint_over
from chronopose.data.portraits import silhouette

LSP = get_skeleton("lsp14")
JOINTS = {
    "head_top": (60, 10), "neck": (60, 32), "right_shoulder": (48, 36), "left_shoulder": (72, 36),
    "right_elbow": (42, 60), "left_elbow": (78, 60), "right_wrist": (38, 82),
    "left_wrist": (82, 82), "right_hip": (52, 84), "left_hip": (68, 84), "right_knee": (50, 116),
    "left_knee": (70, 116), "right_ankle": (50, 146), "left_ankle": (70, 146),
}  # fmt: skip


def scene():
    """A red person of thick limbs on a speckled green meadow."""
    from PIL import Image, ImageDraw

    rng = np.random.default_rng(0)
    meadow = np.zeros((160, 120, 3), np.uint8)
    meadow[..., 1] = rng.integers(90, 160, (160, 120))
    picture = Image.fromarray(meadow)
    shape = Image.new("L", picture.size)
    for canvas, colour in ((ImageDraw.Draw(picture), (200, 40, 40)), (ImageDraw.Draw(shape), 255)):
        for a, b in (("head_top", "neck"), ("right_shoulder", "right_elbow"),
                     ("right_elbow", "right_wrist"), ("left_shoulder", "left_elbow"),
                     ("left_elbow", "left_wrist"), ("right_hip", "right_knee"),
                     ("right_knee", "right_ankle"), ("left_hip", "left_knee"),
                     ("left_knee", "left_ankle")):  # fmt: skip
            canvas.line([JOINTS[a], JOINTS[b]], colour, 12)
        canvas.polygon([(46, 30), (74, 30), (70, 90), (50, 90)], colour)
    return np.asarray(picture), np.asarray(shape) > 0


def test_the_silhouette_follows_the_colours_not_the_strokes():
    pytest.importorskip("cv2", reason="opencv is the extra [flow]")
    image, truth = scene()
    xy = np.array([JOINTS[j] for j in LSP.joints], float)
    found = silhouette(image, xy, LSP)
    assert found is not None
    found = found > 127
    assert (found & truth).sum() / (found | truth).sum() > 0.9


def test_too_few_joints_give_no_silhouette():
    pytest.importorskip("cv2", reason="opencv is the extra [flow]")
    image, _ = scene()
    xy = np.array([JOINTS[j] for j in LSP.joints], float)
    xy[:4] = np.nan
    assert silhouette(image, xy, LSP) is None


def test_a_painted_over_person_leaves_the_meadow():
    pytest.importorskip("cv2", reason="opencv is the extra [flow]")
    image, truth = scene()
    xy = np.array([JOINTS[j] for j in LSP.joints], float)
    empty = paint_over(image, xy, LSP)
    assert empty is not None and empty.shape == image.shape
    red = (empty[..., 0] > 120) & (empty[..., 1] < 80)
    assert red.sum() < 0.05 * truth.sum()
    far = np.zeros(truth.shape, bool)
    far[:, :10] = far[:, -10:] = True
    assert np.abs(empty[far].astype(int) - image[far]).max() <= 2

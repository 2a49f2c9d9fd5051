"""Training of the detector: it learns, and a stopped run goes on as if it had not stopped."""

import numpy as np
import pytest
import torch

from chronopose.data.mosaic import CrowdPicture
from chronopose.engine.fit_detector import DetectorSettings, fit_detector
from chronopose.errors import UsageError
from chronopose.models.person_detector import DetectorConfig, PersonDetector

TINY = DetectorConfig(widths=(8, 16, 16), deep=16, channels=16, side=64)


def draw(size, rng):
    """One bright rectangle on noise."""
    width, height = size
    image = rng.integers(0, 60, (height, width, 3)).astype(np.uint8)
    w, h = rng.integers(16, 28), rng.integers(28, 44)
    x, y = rng.integers(0, width - w), rng.integers(0, height - h)
    image[y : y + h, x : x + w] = 230
    box = np.array([[x - 0.5, y - 0.5, x + w - 0.5, y + h - 0.5]], np.float32)
    return CrowdPicture(image, box, np.zeros((0, 4), np.float32))


def settings(**changes):
    values = {
        "steps": 8, "batch_size": 4, "sizes": ((64, 64), (96, 64)), "freeze": False, "workers": 0,
        "log_every": 4, "save_every": 4, "warmup_steps": 2, "lr": (2e-3, 2e-3),
    }  # fmt: skip
    return DetectorSettings(**{**values, **changes})


def tiny():
    torch.manual_seed(0)
    return PersonDetector(TINY)


def test_the_loss_falls_on_two_batches_shown_again_and_again(tmp_path):
    chosen = settings(steps=30, overfit=2, log_every=5, lr=(3e-3, 3e-3))
    fit_detector(tiny(), draw, chosen, tmp_path, quiet=True, device="cpu")
    rows = (tmp_path / "train.csv").read_text().splitlines()
    place = rows[0].split(",").index("loss")
    losses = [float(r.split(",")[place]) for r in rows[1:]]
    assert losses[-1] < 0.7 * losses[0]


def test_a_resumed_run_ends_with_the_same_weights(tmp_path):
    whole = fit_detector(tiny(), draw, settings(), tmp_path / "a", quiet=True, device="cpu")
    half = settings(limit_batches=4)
    fit_detector(tiny(), draw, half, tmp_path / "b", quiet=True, device="cpu")
    rest = fit_detector(tiny(), draw, settings(), tmp_path / "b", True, quiet=True, device="cpu")
    assert rest.steps == whole.steps == 8
    for key, value in whole.model.state_dict().items():
        assert torch.equal(value, rest.model.state_dict()[key]), key


def test_a_folder_with_a_run_is_not_written_over(tmp_path):
    few = settings(steps=2, save_every=1)
    fit_detector(tiny(), draw, few, tmp_path, quiet=True, device="cpu")
    with pytest.raises(UsageError, match="already holds a run"):
        fit_detector(tiny(), draw, few, tmp_path, quiet=True, device="cpu")


def test_a_run_is_not_resumed_with_another_rate(tmp_path):
    fit_detector(tiny(), draw, settings(limit_batches=4), tmp_path, quiet=True, device="cpu")
    with pytest.raises(UsageError, match="another lr"):
        other = settings(lr=(1e-3, 1e-3))
        fit_detector(tiny(), draw, other, tmp_path, True, quiet=True, device="cpu")


def test_frozen_stages_do_not_move(tmp_path):
    model = tiny()
    before = model.body.layer1[0].conv1.weight.detach().clone()
    chosen = settings(freeze=True, steps=3)
    result = fit_detector(model, draw, chosen, tmp_path, quiet=True, device="cpu")
    assert torch.equal(before, result.model.body.layer1[0].conv1.weight)


def test_sizes_that_do_not_fit_the_strides_are_refused():
    with pytest.raises(UsageError, match="multiples of 32"):
        settings(sizes=((100, 64),))

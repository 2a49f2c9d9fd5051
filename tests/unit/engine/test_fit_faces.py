"""Training and judging expression networks on drawn faces."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from chronopose.data.drawn_faces import DrawnFaces
from chronopose.data.face_batches import hold_size
from chronopose.data.faces import FacesInMemory, FacesOf, held
from chronopose.engine.evaluate_faces import embed_faces, evaluate_faces
from chronopose.engine.fit_faces import FaceSettings, fit_faces, judge, refit_head
from chronopose.engine.record import read_log
from chronopose.errors import ChronoposeError, UsageError
from chronopose.models._face import FaceModel
from chronopose.models._find import build_face_model

CLASSES = ("neutral", "disgust", "surprise")
SIZE = (32, 32)
QUICK = FaceSettings(steps=6, per_class=4, log_every=2, save_every=3, warmup_steps=1)


@cache
def drawn(people: int = 12, seed: int = 0) -> FacesInMemory:
    size = hold_size(SIZE)
    return held(DrawnFaces(people, size=size[0], seed=seed, classes=CLASSES), size)


def small(seed: int = 0, **changes: object) -> FaceModel:
    torch.manual_seed(seed)
    given = {"classes": CLASSES, "crop_size": SIZE, "widths": (8, 16, 32), "embedding": 64}
    return build_face_model("fer_multithreshold:lite", **{**given, "slices": 4, **changes})


def same(a: FaceModel, b: FaceModel) -> bool:
    return all(torch.equal(x, b.state_dict()[k]) for k, x in a.state_dict().items())


@cache
def trained() -> FaceModel:
    """A network after a short training on a hundred people."""
    from chronopose.engine.fit_faces import FaceLoop

    settings = FaceSettings(steps=100, per_class=8, lr=4e-3, ema_decay=0.9)
    loop = FaceLoop(small(), settings)
    loop.run(drawn(100), settings.steps)
    return loop.finished(drawn(100))


def test_a_run_leaves_its_record_its_log_and_a_checkpoint(tmp_path: Path):
    result = fit_faces(small(), drawn(), QUICK, tmp_path, val=drawn(4, 1), name="try", quiet=True)
    assert result.steps == 6
    assert set(result.validation) == {"accuracy", "mean_class_accuracy"}
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["finished"] and record["name"] == "try" and record["pictures"] == 36
    log = read_log(tmp_path / "train.csv")
    assert log["step"] == [2, 4, 6]
    assert {"cross_entropy", "triplet", "loss", "spread", "lr"} <= set(log)
    assert (tmp_path / "last.ckpt").exists()
    assert not result.model.training


def test_a_stopped_run_ends_as_one_that_never_stopped(tmp_path: Path):
    whole = fit_faces(small(), drawn(), QUICK, tmp_path / "whole", quiet=True)
    halted = replace(QUICK, limit_batches=3)
    fit_faces(small(), drawn(), halted, tmp_path / "halted", quiet=True)
    again = fit_faces(small(9), drawn(), QUICK, tmp_path / "halted", "auto", quiet=True)
    assert same(whole.model, again.model)
    other = fit_faces(small(), drawn(), replace(QUICK, seed=1), tmp_path / "other", quiet=True)
    assert not same(whole.model, other.model)


def test_a_run_is_not_mixed_with_another(tmp_path: Path):
    fit_faces(small(), drawn(), QUICK, tmp_path, quiet=True)
    with pytest.raises(UsageError, match="already holds a run"):
        fit_faces(small(), drawn(), QUICK, tmp_path, quiet=True)
    with pytest.raises(UsageError, match="another lr"):
        fit_faces(small(), drawn(), replace(QUICK, lr=0.5), tmp_path, True, quiet=True)
    with pytest.raises(UsageError, match="another train"):
        fit_faces(small(), drawn(4), QUICK, tmp_path, True, quiet=True)
    with pytest.raises(UsageError, match="holds no run"):
        fit_faces(small(), drawn(), QUICK, tmp_path / "nothing", True, quiet=True)


def test_classes_in_another_order_are_refused(tmp_path: Path):
    model = small(classes=CLASSES[::-1])
    with pytest.raises(UsageError, match="surprise, disgust, neutral"):
        fit_faces(model, drawn(), QUICK, tmp_path, quiet=True)
    with pytest.raises(UsageError, match="network's order"):
        evaluate_faces(model, drawn())


def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path):
    model = small()
    with torch.no_grad():
        model.head.weight.fill_(float("nan"))
    with pytest.raises(ChronoposeError, match="no finite number at step 0"):
        fit_faces(model, drawn(), QUICK, tmp_path, quiet=True)


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(UsageError, match="per_class 1"):
        FaceSettings(steps=1, per_class=1)


def test_the_rate_rises_and_then_falls_to_zero():
    settings = FaceSettings(steps=100, lr=0.2, warmup_steps=10)
    assert settings.lr_at(0) == pytest.approx(0.02)
    assert settings.lr_at(50) == pytest.approx(0.1)
    assert settings.lr_at(100) == pytest.approx(0.0)


def test_a_short_training_tells_drawn_expressions_of_new_people():
    report = evaluate_faces(trained(), drawn(40, 1), reference=drawn(100))
    told = report.numbers()
    assert told["accuracy"] > 60  # a third by chance
    assert told["centroid"] > 55
    assert len(report.slices) == 4
    assert told["verification_area"] > 0.6
    assert "mean of classes" in str(report)
    alone = evaluate_faces(trained(), drawn(40, 1))
    assert alone.classification.accuracy == report.classification.accuracy
    assert alone.centroid > 50


@pytest.mark.parametrize("how", ["linear", "centroid"])
def test_a_head_fitted_anew_reads_the_embedding_as_well(how):
    model = small()
    model.load_state_dict(trained().state_dict())
    torch.nn.init.zeros_(model.head.weight)
    refit_head(model, drawn(100), how)
    assert judge(model, drawn(40, 1))["accuracy"] > 60


def test_the_centroid_head_names_the_nearest_mean():
    model = small()
    model.load_state_dict(trained().state_dict())
    refit_head(model, drawn(100), "centroid")
    report = evaluate_faces(model, drawn(40, 1), reference=drawn(100))
    assert report.classification.accuracy == pytest.approx(report.centroid)


def test_a_head_needs_pictures_of_every_class():
    few = FacesOf(drawn(), np.flatnonzero(drawn().labels != 1))
    with pytest.raises(UsageError, match="no picture of disgust"):
        refit_head(small(), few, "centroid")


def test_a_frozen_head_is_fitted_at_the_end(tmp_path: Path):
    settings = replace(QUICK, refit="linear")
    frozen = fit_faces(small(head="frozen"), drawn(), settings, tmp_path / "a", quiet=True).model
    kept = fit_faces(small(head="frozen"), drawn(), QUICK, tmp_path / "b", quiet=True).model
    a, b = frozen.state_dict(), kept.state_dict()
    assert torch.equal(a["embed_layer.weight"], b["embed_layer.weight"])
    assert not torch.equal(a["head.weight"], b["head.weight"])


def test_a_flip_test_gives_a_picture_and_its_mirror_one_answer():
    whole = drawn(2)
    mirror = FacesInMemory("mirror", CLASSES, whole.pictures[:, :, ::-1].copy(), whole.labels)
    model = small().eval()
    small_one, turned = (
        embed_faces(model, held(s, SIZE), flip_test=True)[0] for s in (whole, mirror)
    )
    np.testing.assert_allclose(small_one, turned, atol=1e-4)


def test_one_person_alone_cannot_be_judged_without_a_reference():
    with pytest.raises(UsageError, match="show one person"):
        evaluate_faces(small(), drawn(1))


def test_identity_aware_training_runs(tmp_path: Path):
    settings = replace(QUICK, identity_aware=True, optimiser="sgd")
    assert fit_faces(small(), drawn(), settings, tmp_path, quiet=True).steps == 6

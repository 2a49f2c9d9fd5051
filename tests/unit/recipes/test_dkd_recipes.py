"""DKD's experiments: published schedules, runs of frames, the mean of three folds."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from chronopose.core.skeletons import get_skeleton
from chronopose.data.clips import View
from chronopose.data.datasets.jhmdb import JHMDB
from chronopose.data.datasets.procedural import ProceduralClips
from chronopose.data.loader import ClipShape, collate
from chronopose.data.neighbours import find_rule
from chronopose.data.transforms import EvenTurn, EvenZoom
from chronopose.engine.predict_set import predict_set
from chronopose.engine.score import score
from chronopose.errors import ShapeError, UsageError
from chronopose.models._find import build_model
from chronopose.recipes import LabelledSpec, Recipe, find
from chronopose.recipes.dkd import JHMDB_EPOCH, PENN_EPOCH, score_folds


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def recipe_of(name: str) -> Recipe:
    recipe = find(name)
    assert isinstance(recipe, Recipe)
    return recipe


def rate(name: str, epoch: float) -> float:
    each = JHMDB_EPOCH if "jhmdb" in name else PENN_EPOCH
    return recipe_of(name).settings.lr_at(round(epoch * each))


def test_rmsprop_falls_to_a_tenth_at_15_and_25():
    for name in ("dkd_penn", "dkd_jhmdb1", "dkd_jhmdb2", "dkd_jhmdb3"):
        assert recipe_of(name).settings.optimiser == "rmsprop"
        rates = [rate(name, e) for e in (0, 14.9, 15.1, 24.9, 25.1, 139.9)]
        assert rates == pytest.approx([5e-4, 5e-4, 5e-5, 5e-5, 5e-6, 5e-6])
    assert recipe_of("dkd_penn").settings.planned_steps == 140 * 157


def test_adam_falls_to_a_third_as_in_the_scripts():
    penn = [rate("dkd_penn_adam", e) for e in (7.9, 8.1, 15.1, 25.1, 40.1, 80.1)]
    assert penn == pytest.approx([5e-4 * 0.333**n for n in range(6)])
    jhmdb = [rate("dkd_jhmdb1_adam", e) for e in (3.9, 4.1, 8.1, 15.1, 25.1, 40.1, 80.1)]
    assert jhmdb == pytest.approx([5e-4 * 0.333**n for n in range(7)])
    assert recipe_of("dkd_jhmdb1_adam").settings.planned_steps == 100 * JHMDB_EPOCH


def test_every_fold_is_trained_and_tested_on_its_own_split():
    for fold in (1, 2, 3):
        recipe = recipe_of(f"dkd_jhmdb{fold}")
        for spec, split in ((recipe.train, "train"), (recipe.val, "test")):
            assert isinstance(spec, LabelledSpec)
            assert (spec.split, spec.options, spec.windows) == (split, {"fold": fold}, "run")


def test_ranges_of_the_zoom_keep_their_ratio():
    for name, ratio in (("dkd_penn", 1.4 / 0.8), ("dkd_jhmdb1", 1.8 / 1.2)):
        zoom, turn, _ = recipe_of(name).augmentation.geometric
        assert isinstance(zoom, EvenZoom) and isinstance(turn, EvenTurn)
        assert zoom.high / zoom.low == pytest.approx(ratio)
        assert turn.limit_deg == 40.0


def a_view(frames: int = 5) -> View:
    return View.of(ProceduralClips(1, frames=frames, size=(48, 48)).sample(0, rng()), (32, 32))


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_an_even_zoom_makes_the_window_smaller_by_what_it_draws():
    view = a_view()
    drawn = [EvenZoom(low=0.5, high=2.0)(view, np.random.default_rng(i)).pad for i in range(50)]
    assert view.pad / 2 <= min(drawn) < view.pad < max(drawn) <= view.pad / 0.5
    turns = [EvenTurn()(view, np.random.default_rng(i)).rotation_deg for i in range(50)]
    assert -40 <= min(turns) < -30 and 30 < max(turns) <= 40


def test_a_rule_with_the_key_frame_last_keeps_it_last_at_any_length():
    rule = find_rule("dkd", 4)
    assert rule.offsets == (-3, -2, -1, 0)
    # The video begins at frame 5: what is before it repeats.
    assert rule.numbers(6, np.arange(5, 9)) == [5, 5, 5, 6]


def test_of_a_longer_clip_the_frames_that_the_model_reads_are_taken():
    view, shape = a_view(), ClipShape(count=3, key=2)
    assert shape.centred == 5
    whole, part = collate([view], ClipShape(count=5, key=2)), collate([view], shape)
    assert part.key == 2
    assert torch.equal(part.frames, whole.frames[:, :3])
    assert torch.equal(part.joints.nan_to_num(), whole.joints[:, :3].nan_to_num())
    assert torch.equal(part.matrix, whole.matrix)
    with pytest.raises(ShapeError, match="frames=7"):
        collate([view], ClipShape(count=4, key=3))


def tiny(skeleton: str) -> Any:
    torch.manual_seed(1)
    return build_model(
        "dkd:lite", crop_size=(32, 32), width=8, kernel=3, skeleton=skeleton, frames=4
    )


def test_the_folds_of_sub_jhmdb_are_averaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "data"))
    import_module("picture_worlds").jhmdb(tmp_path)
    splits = tmp_path / "sub_splits"
    for fold, rows in ((2, "one.avi 2\ntwo.avi 1\n"), (3, "one.avi 2\ntwo.avi 2\n")):
        (splits / f"catch_test_split_{fold}.txt").write_text(rows)
    model = tiny("jhmdb15")
    found = score_folds([model] * 3, tmp_path)
    singles = []
    for fold in (1, 2, 3):
        data = JHMDB(root=tmp_path, split="test", fold=fold)
        values = score(predict_set(model, data), data.sequences(), "jhmdb-pck").values
        singles.append((values["mean13"], values["mean7"]))
    assert (found["mean13"], found["mean7"]) == pytest.approx(tuple(np.mean(singles, 0)))
    with pytest.raises(UsageError, match="three folds"):
        score_folds([model], tmp_path)


def test_the_skeletons_of_the_presets_are_those_of_the_sets():
    for name, joints in (("dkd_penn", "penn13"), ("dkd_jhmdb1", "jhmdb15")):
        with torch.device("meta"):
            model: Any = build_model(recipe_of(name).model)
        assert model.codec.skeleton == get_skeleton(joints)
        assert recipe_of(name).train.neighbours == "dkd"  # type: ignore[attr-defined]
        assert find_rule("dkd").offsets == model.needs.offsets

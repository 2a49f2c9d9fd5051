"""Training without labels: it learns, waits with the contrast, and goes on after a stop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from chronopose.bench.css import CssPlan, chance, run_css_bench, summary, write_css_report
from chronopose.engine.fit_css import CssSettings, fit_css
from chronopose.engine.known_people import LENGTHS_M, pose_people, procedural_motions, with_bones
from chronopose.engine.record import read_log
from chronopose.errors import UsageError
from chronopose.models._find import build_representation

SETTINGS = CssSettings(steps=20, batch_size=8, lr=2e-3, log_every=2, save_every=10)
MOTIONS = procedural_motions(6, 4.0)
PEOPLE = pose_people(MOTIONS, people=4, videos=2, seconds=2.0, fps=25.0)


def small(**changes: object):
    torch.manual_seed(0)
    return build_representation("css", "poses", widths=(32,), **changes)


def test_bodies_have_the_bones_they_were_given_and_keep_them():
    lengths = PEOPLE.xyz_mm[0]
    thigh = np.linalg.norm(lengths[:, 2] - lengths[:, 1], axis=-1)
    assert thigh.std() < 1e-3
    assert abs(thigh.mean() / 440 - 1) <= 0.15
    shin = np.linalg.norm(PEOPLE.xyz_mm[1][:, 3] - PEOPLE.xyz_mm[1][:, 2], axis=-1)
    first = np.linalg.norm(lengths[:, 3] - lengths[:, 2], axis=-1)
    assert shin.mean() == pytest.approx(first.mean())  # videos 0 and 1 show the same body
    usual = with_bones(PEOPLE.xyz_mm[0] / 1000, LENGTHS_M)
    assert np.linalg.norm(usual[:, 13] - usual[:, 12], axis=-1) == pytest.approx(0.25)


def test_people_are_seen_in_the_middle_of_the_picture_relative_to_the_pelvis():
    assert PEOPLE.footage[0].frames.shape == (50, 17, 2)
    np.testing.assert_allclose(PEOPLE.footage[0].frames[:, 0], 499.5, atol=1e-6)
    assert np.abs(PEOPLE.xyz_mm[0][:, 0]).max() < 1e-6
    assert PEOPLE.people().tolist() == [p for p in range(4) for _ in range(100)]
    # The head is above the pelvis: y points down in camera axes and in pixels.
    assert (PEOPLE.footage[0].frames[:, 10, 1] < 499).mean() > 0.9
    assert (PEOPLE.xyz_mm[0][:, 10, 1] < 0).mean() > 0.9


def test_the_loss_falls_and_the_contrast_waits_for_the_warm_up(tmp_path):
    settings = replace(SETTINGS, steps=60, overfit=2, warmup=0.5, log_every=5)
    fit_css(small(), PEOPLE.footage, settings, tmp_path, quiet=True, device="cpu")
    log = read_log(tmp_path / "train.csv")
    assert log["reconstruct"][-1] < 0.5 * log["reconstruct"][0]
    assert log["loss"][0] == pytest.approx(log["reconstruct"][0])
    weighted = 0.1 * log["contrast"][-1] + 0.1 * log["transition"][-1]
    assert log["loss"][-1] == pytest.approx(log["reconstruct"][-1] + weighted, rel=1e-4)
    assert log["contrast"][-1] < log["contrast"][5]


def test_a_resumed_run_ends_with_the_same_weights(tmp_path):
    def go(folder, settings, resume=False):
        return fit_css(small(), PEOPLE.footage, settings, folder, resume, quiet=True, device="cpu")

    whole = go(tmp_path / "a", SETTINGS)
    go(tmp_path / "b", replace(SETTINGS, limit_batches=7))
    rest = go(tmp_path / "b", SETTINGS, True)
    assert rest.steps == whole.steps == 20
    for key, value in whole.model.state_dict().items():
        assert torch.equal(value, rest.model.state_dict()[key]), key


def test_a_folder_with_a_run_is_neither_written_over_nor_resumed_otherwise(tmp_path):
    few = replace(SETTINGS, steps=2)
    fit_css(small(), PEOPLE.footage, few, tmp_path, quiet=True, device="cpu")
    with pytest.raises(UsageError, match="already holds a run"):
        fit_css(small(), PEOPLE.footage, few, tmp_path, quiet=True, device="cpu")
    other = small(**{"objective.swap": 0.0})
    with pytest.raises(UsageError, match="another objective"):
        fit_css(other, PEOPLE.footage, few, tmp_path, True, quiet=True, device="cpu")
    with pytest.raises(UsageError, match="holds no run"):
        fit_css(small(), PEOPLE.footage, few, tmp_path / "c", True, quiet=True, device="cpu")


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(UsageError, match="batch of at least 2"):
        CssSettings(steps=5, batch_size=1)


def test_the_bench_trains_probes_and_reports_every_row(tmp_path):
    judged = pose_people(MOTIONS, people=2, videos=2, seconds=2.0, seed=9)
    plan = CssPlan(
        model="css:poses", training=PEOPLE, judged=judged, settings=SETTINGS, seeds=(0,),
        rows=("untrained", "full", "from scratch"), shares=(0.1, 1.0), scratch_steps=20,
        overrides={"widths": (32,)},
    )  # fmt: skip
    out = tmp_path / "new" / "folder"
    records = run_css_bench(plan, out)
    assert [r["row"] for r in records] == list(plan.rows)
    assert records == run_css_bench(plan, out)  # read, not trained again
    full = records[1]
    assert full["mpjpe/both/1"] < chance(PEOPLE, judged)["mpjpe"]
    assert full["p_mpjpe/both/1"] <= full["mpjpe/both/1"]
    assert 0 <= full["who/z_tv"] <= 1
    text = write_css_report(plan, records, out)
    assert "| from scratch | " in text
    assert (out / "report.md").read_text() == text
    with pytest.raises(UsageError, match="no row"):
        replace(plan, rows=("all",))
    # Numbers of another plan are not taken for those of this one.
    for other in ({"settings": replace(SETTINGS, steps=7)}, {"training": judged}):
        with pytest.raises(UsageError, match="another plan"):
            run_css_bench(replace(plan, **other), out)


def test_the_summary_is_mean_and_spread_over_seeds():
    records = [{"row": "full", "seed": s, "x": v} for s, v in enumerate((1.0, 3.0))]
    assert summary(records) == {"full": {"x": (2.0, pytest.approx(np.sqrt(2)), 2)}}

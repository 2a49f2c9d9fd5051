"""A collapsed split and a loss that came back are noticed; a living run is left alone."""

from __future__ import annotations

import csv
import json
import warnings
from dataclasses import dataclass
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from chronopose.codecs.heatmap import HeatmapCodec
from chronopose.core.skeletons import get_skeleton
from chronopose.data.datasets.procedural import ProceduralClips
from chronopose.engine.collapse import CollapseGuard, CollapseWarning, LossWatch, signs_of
from chronopose.engine.fit import fit
from chronopose.engine.module import PoseModule
from chronopose.engine.picture import draw_run
from chronopose.engine.settings import Phase, TrainSettings
from chronopose.losses.heatmap import heatmap_loss
from chronopose.losses.mutual_information import MutualInformation
from chronopose.losses.split import split_state
from chronopose.models._base import Criterion, Features, Needs, PoseModel
from chronopose.tensors import ClipBatch, Target, TDMIOutput

SETTINGS = TrainSettings(
    phases=(Phase(steps=12, crop_size=(32, 32), batch_size=2, lr=(1e-4, 1e-4)),), warmup_steps=2,
    precision="fp32", val_every=0, log_every=4,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class GatedConfig:
    """What the gates are; None: learnt ones."""

    useful: tuple[float, ...] | None = None
    noise: tuple[float, ...] | None = None


class Gated(PoseModel):
    """The difference of two frames, split by two gates; heatmaps of the useful part."""

    PRESETS = {"learnt": GatedConfig()}  # noqa: RUF012

    def __init__(self, config: GatedConfig) -> None:
        super().__init__()
        self.config = config
        self.codec = HeatmapCodec(
            get_skeleton("lsp14"), (32, 32), activation="softmax", decoder="expectation"
        )
        self.needs = Needs(offsets=(-1, 0, 1), crop_size=(32, 32))
        self.body = nn.Conv2d(3, 4, 8, 4, 2)
        self.head = nn.Conv2d(4, 14, 1)
        self.logits = nn.Parameter(torch.tensor([[2.0, -2, 1, -1], [-2, 2, -1, 1]]))

    def encode(self, frames: Tensor) -> Features:
        """Feature at stride 4."""
        return (self.body(frames),)

    def fuse(self, features: Features) -> TDMIOutput:
        """M is how much the key frame differs from the one before."""
        motion = (features[0][:, 1] - features[0][:, 0]).abs()
        gates = [
            learnt.sigmoid() if fixed is None else torch.tensor(fixed)
            for learnt, fixed in zip(
                self.logits, (self.config.useful, self.config.noise), strict=True
            )
        ]
        useful, noise = (g.view(1, -1, 1, 1) * motion for g in gates)
        maps = self.head(useful)
        return TDMIOutput(maps, motion, useful, noise, useful, motion, maps, maps)

    def criterion(self) -> Criterion:
        """Heatmaps and the four terms of Eq. 13."""
        loss, information = heatmap_loss(self.codec), MutualInformation(reduction="batch")

        def compare(output: TDMIOutput, target: Target) -> dict[str, Tensor]:
            return {"heatmap": loss(output.heatmaps, target), **information(output)}

        return compare


def clips(count: int, scale: float = 1.0) -> list[ClipBatch]:
    """Batches of two clips of noise whose frames differ by ``scale``."""
    torch.manual_seed(0)
    found = []
    for _ in range(count):
        still = torch.randn(2, 1, 3, 32, 32).expand(2, 3, 3, 32, 32)
        frames = still + scale * torch.randn(2, 3, 3, 32, 32)
        joints = torch.rand(2, 3, 14, 2) * 24 + 4
        matrix = torch.eye(2, 3).expand(2, 2, 3)
        found.append(ClipBatch(frames, joints, torch.ones(2, 3, 14, dtype=torch.bool), 1, matrix))
    return found


def watched(model: PoseModel, batches: list[ClipBatch], patience: int = 4) -> CollapseGuard:
    """The guard after a run over the batches."""
    guard = CollapseGuard(every=1, patience=patience)
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=1, callbacks=[guard], logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    loader = torch.utils.data.DataLoader(batches, batch_size=None)
    trainer.fit(PoseModule(model, SETTINGS), loader)
    return guard


@pytest.mark.parametrize(
    ("useful", "noise", "told"),
    [
        ((0.0,) * 4, (0.3, 0.5, 0.7, 0.4), "every gate of the useful motion M_u is shut"),
        ((1.0,) * 4, (0.3, 0.5, 0.7, 0.4), "every gate of the useful motion M_u is open"),
        ((0.3, 0.5, 0.7, 0.4), (0.0,) * 4, "every gate of the noise M_n is shut"),
        ((0.3, 0.5, 0.7, 0.4), (1.0,) * 4, "every gate of the noise M_n is open"),
        ((1.0, 0.0, 1.0, 0.0), (0.0, 1.0, 0.0, 1.0), "saturated at 0 or 1"),
        ((0.5,) * 4, (0.5,) * 4, "M_u and M_n are the same feature (distance 0)"),
    ],
)
def test_a_collapsed_split_is_said_once_with_what_to_do(
    useful: tuple[float, ...], noise: tuple[float, ...], told: str
):
    with pytest.warns(CollapseWarning) as caught:
        guard = watched(Gated(GatedConfig(useful=useful, noise=noise)), clips(12))
    said = [str(w.message) for w in caught if issubclass(w.category, CollapseWarning)]
    assert said == guard.said
    [text] = [s for s in said if told in s]
    # Seen from step 3 on, the first after the warm-up.
    assert text.startswith("Since step 3, ")
    assert "ower" in text or "aise" in text
    assert text.endswith("Training goes on; this is said once.")


def test_a_living_split_is_left_alone():
    with warnings.catch_warnings():
        warnings.simplefilter("error", CollapseWarning)
        guard = watched(Gated(GatedConfig()), clips(12))
    assert guard.said == []


def test_a_sign_that_does_not_last_is_no_collapse():
    model = Gated(GatedConfig(useful=(0.5,) * 4, noise=(0.5,) * 4))
    assert watched(model, clips(6), patience=4).said == []


def test_an_objective_that_is_off_asks_nothing_of_the_noise():
    @dataclass(frozen=True)
    class Off:
        mode: str = "none"
        temperature: float = 0.05
        standardise: bool = False

    @dataclass(frozen=True, kw_only=True)
    class OffConfig(GatedConfig):
        mi: Off = Off()

    assert watched(Gated(OffConfig(useful=(0.5,) * 4, noise=(0.5,) * 4)), clips(12)).said == []


def test_nothing_listens_to_the_model_after_the_run():
    model = Gated(GatedConfig())
    watched(model, clips(3))
    assert not model._forward_hooks


def test_weak_features_stand_at_the_ceiling_though_their_gates_differ():
    motion = torch.rand(2, 4, 8, 8) * 1e-3
    gate = torch.tensor([0.2, 0.4, 0.6, 0.8]).view(1, 4, 1, 1)
    output = TDMIOutput(torch.zeros(2, 14, 8, 8), motion, gate * motion, (1 - gate) * motion)
    assert signs_of(split_state(output)) == {"ceiling"}
    assert signs_of(split_state(output, standardise=True)) == {"ceiling"}
    # The same gates on motion a thousand times as strong, in other places each.
    strong = TDMIOutput(output.heatmaps, motion * 4e3, gate * motion * 4e3, motion.flip(-1) * 4e3)
    assert signs_of(split_state(strong)) == set()


def test_useful_motion_that_is_the_same_everywhere_is_a_sign():
    motion = torch.full((2, 4, 8, 8), 3.0)
    output = TDMIOutput(torch.zeros(2, 14, 8, 8), motion, 0.2 * motion, 0.8 * motion)
    assert signs_of(split_state(output)) == {"even", "ceiling"}


def test_a_loss_that_falls_and_comes_back_is_noticed():
    watch = LossWatch(steps=2)
    assert [watch.is_back(v) for v in (10, 10)] == [False, False]
    # Means of two: 7, 5.5 have been below nine tenths of 10; then 8.75, 10.4, 11.2.
    assert [watch.is_back(v) for v in (4, 4, 12, 12, 12)] == [False, False, False, True, True]
    assert (watch.start, watch.best) == (10, 5.5)


def test_a_loss_that_never_fell_is_not_back_and_infinite_ones_do_not_count():
    watch = LossWatch(steps=2)
    assert not any(watch.is_back(v) for v in (10, 10, 9.8, 11, 12, float("inf"), float("nan")))
    watch.restart()
    assert not watch.is_back(50)


def test_a_run_logs_the_split_draws_its_curves_and_keeps_what_was_said(tmp_path: Path):
    data = ProceduralClips(6, 0, frames=3, size=(32, 32), cache=tmp_path / "cache")
    fit(Gated(GatedConfig()), data, None, SETTINGS, tmp_path / "run", device="cpu", quiet=True)
    with (tmp_path / "run" / "train.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [r["step"] for r in rows] == ["4", "8", "12"]
    # sigmoid of 2, -2, 1, -1 has the mean 1/2; it is looked at before steps 0 and 10.
    assert float(rows[0]["gate_useful"]) == pytest.approx(0.5, abs=0.01)
    assert rows[1]["gate_useful"] == "" and float(rows[2]["gates_saturated"]) == 0
    assert {"heatmap", "mi_useful_noise", "mi_visual_label", "loss"} <= rows[0].keys()
    assert json.loads((tmp_path / "run" / "run.json").read_text())["warnings"] == []
    with Image.open(tmp_path / "run" / "curves.png") as picture:
        # 13 terms: heatmap, four of Eq. 13, loss, five of the split, grad_norm, lr.
        assert picture.size == (3 * 420 + 2 * 4, 5 * 230 + 4 * 4)


def test_a_run_of_one_row_has_no_curve_yet(tmp_path: Path):
    (tmp_path / "train.csv").write_text("step,phase,loss\n4,0,1.5\n")
    assert draw_run(tmp_path) is None and not (tmp_path / "curves.png").exists()
    (tmp_path / "train.csv").write_text("step,phase,loss\n4,0,1.5\n8,1,\n12,1,0.5\n")
    assert draw_run(tmp_path) == tmp_path / "curves.png"

"""The mutual-information terms: values by hand, bounds, and who gets a gradient."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from chronopose.errors import ChronoposeError, ShapeError, UsageError
from chronopose.losses.mutual_information import (
    TERMS,
    MutualInformation,
    bounded_information,
    divergence,
    literal_information,
    spatial_log_distribution,
)
from chronopose.tensors import TDMIOutput

LN2 = math.log(2)
FIELDS = TDMIOutput._fields


def output(channels: int = 4, joints: int = 3, scale: float = 0.1) -> TDMIOutput:
    """Random float64 leaves for every field."""
    return TDMIOutput(
        *(
            (scale * torch.randn(2, joints if "heatmaps" in f else channels, 6, 5).double())
            .requires_grad_()
            for f in FIELDS
        )
    )  # fmt: skip


def reached(term: Tensor, out: TDMIOutput) -> set[str]:
    """Names of the fields that get a gradient other than exactly zero."""
    grads = torch.autograd.grad(term, list(out), allow_unused=True, retain_graph=True)  # type: ignore[arg-type]
    return {f for f, g in zip(FIELDS, grads, strict=True) if g is not None and bool((g != 0).any())}


def log_of(*p: float) -> Tensor:
    return torch.tensor(p, dtype=torch.float64).clamp_min(1e-300).log()


def test_identical_distributions_share_ln_2() -> None:
    p = log_of(0.2, 0.3, 0.5)
    assert bounded_information(p, p).item() == pytest.approx(LN2, abs=1e-12)


def test_disjoint_distributions_share_nothing() -> None:
    assert bounded_information(log_of(1, 0), log_of(0, 1)).item() == pytest.approx(0, abs=1e-12)


def test_half_overlapping_distributions_share_half_of_ln_2() -> None:
    # JS of (1/2, 1/2, 0) and (0, 1/2, 1/2): only the outer halves differ, ln 2 / 2.
    got = bounded_information(log_of(0.5, 0.5, 0), log_of(0, 0.5, 0.5))
    assert got.item() == pytest.approx(LN2 / 2, abs=1e-12)


def test_bounded_information_stays_bounded_for_extreme_features() -> None:
    a, b = (spatial_log_distribution(100 * torch.randn(3, 4, 8, 8), 0.05) for _ in range(2))
    info = bounded_information(a, b)
    assert torch.isfinite(info).all()
    assert info.min() >= -1e-6
    assert info.max() <= LN2 + 1e-6


def test_divergence_of_two_known_distributions() -> None:
    # 1/2 ln(1/2 / 1/4) + 1/2 ln(1/2 / 3/4)
    want = 0.5 * math.log(2) + 0.5 * math.log(2 / 3)
    assert divergence(log_of(0.5, 0.5), log_of(0.25, 0.75)).item() == pytest.approx(want)


def test_literal_estimator_of_constant_features_is_the_published_constant() -> None:
    flat = spatial_log_distribution(torch.full((1, 2, 96, 72), 3.0), 0.05)
    got = literal_information(flat, flat).mean().item() / 6912
    assert got == pytest.approx(-math.log(6912) / 6912, rel=1e-3)


def test_literal_estimator_is_a_divergence_given_probabilities() -> None:
    # What the published code computes: kl_div(softmax(detached), softmax(live)), mean of elements.
    a, b = torch.randn(2, 2, 3, 6, 5)
    detached, live = ((x.flatten(2) / 0.05).softmax(-1) for x in (a, b))
    want = F.kl_div(detached, live, reduction="none").mean()
    got = literal_information(*(spatial_log_distribution(x, 0.05) for x in (a, b))).mean() / 30
    torch.testing.assert_close(got, want)


def test_standardised_features_ignore_offset_and_scale() -> None:
    x = torch.randn(1, 2, 4, 4)
    a, b = (spatial_log_distribution(y, 0.5, standardise=True) for y in (x, 7 * x - 3))
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_bounded_terms_reach_exactly_whom_the_paper_trains() -> None:
    out = output()
    terms = MutualInformation("vsd")(out)
    assert {name: reached(term, out) for name, term in terms.items()} == {
        "mi_useful_noise": {"useful", "noise"},
        "mi_motion_useful": {"motion"},
        "mi_useful_label": {"heatmaps"},
        "mi_visual_label": {"heatmaps"},
    }


def test_literal_terms_reach_only_their_second_argument() -> None:
    out = output(joints=4)
    terms = MutualInformation("literal")(out)
    assert {name: reached(term, out) for name, term in terms.items()} == {
        "mi_useful_noise": {"noise"},
        "mi_motion_useful": {"useful"},
        "mi_useful_label": {"heatmaps", "fused"},
        "mi_visual_label": {"heatmaps", "fused"},
    }


def test_bounded_terms_of_equal_features() -> None:
    x, y = torch.randn(2, 1, 3, 4, 4)
    out = TDMIOutput(y, x, x, x, x, x, visual_heatmaps=y, useful_heatmaps=y)
    terms = MutualInformation("vsd", reduction="batch")(out)
    want = dict(zip(TERMS, (LN2, -LN2, 0.0, 0.0), strict=True))
    assert {k: v.item() for k, v in terms.items()} == pytest.approx(want, abs=1e-6)


def test_mean_reduction_divides_by_the_cells() -> None:
    out = output()
    whole, mean = (MutualInformation("vsd", reduction=r)(out) for r in ("batch", "mean"))
    for name in TERMS:
        torch.testing.assert_close(mean[name] * 30, whole[name])


def test_literal_terms_at_the_start_are_those_measured() -> None:
    # Low-contrast features: label minus feature terms cancel, the others are -/+ ln(N) / N.
    out = output(scale=1e-4)
    terms = MutualInformation("literal")(out)
    flat = -(math.log(30) + 1 / 30) / 30
    want = dict(zip(TERMS, (flat, -flat, 0.0, 0.0), strict=True))
    assert {k: v.item() for k, v in terms.items()} == pytest.approx(want, abs=1e-5)


@pytest.mark.parametrize("mode", ["vsd", "literal"])
def test_half_precision_features_give_full_precision_terms(mode: str) -> None:
    out = TDMIOutput(*(t.detach().bfloat16() for t in output(joints=4)))  # type: ignore[union-attr]
    terms = MutualInformation(mode)(out)  # type: ignore[arg-type]
    assert {t.dtype for t in terms.values()} == {torch.float32}


def test_no_features_no_terms() -> None:
    assert MutualInformation("vsd")(TDMIOutput(torch.zeros(1, 3, 4, 4))) == {}
    assert MutualInformation("none")(output()) == {}


def test_a_term_that_is_not_finite_is_named() -> None:
    bad = output()
    bad = bad._replace(noise=torch.full_like(bad.heatmaps[:, :1].expand(-1, 4, -1, -1), torch.nan))
    with pytest.raises(ChronoposeError, match="mi_useful_noise = nan"):
        MutualInformation("vsd")(bad)


def test_literal_mode_needs_equal_channels() -> None:
    out = output()._replace(fused=torch.zeros(2, 7, 6, 5).double())
    with pytest.raises(ShapeError, match="mode vsd"):
        MutualInformation("literal")(out)


@pytest.mark.parametrize("wrong", [{"mode": "vae"}, {"reduction": "sum"}, {"temperature": 0.0}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        MutualInformation(**wrong)  # type: ignore[arg-type]

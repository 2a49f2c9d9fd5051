"""TDMI's mutual-information objective (Eq. 7-13), with two estimators.

Mutual information between two features cannot be had directly. Every feature map is read as one
distribution over cells per channel (softmax with a low temperature), and distributions of the
same channel are compared.

``vsd``
    Bounded: I(A; B) = ln 2 - JS(p(A), p(B)), in [0, ln 2]; label terms are
    KL(p(y of teacher) || p(y of fused)) with the teacher detached, which is the form that
    Variational Self-Distillation derives for Eq. 10.
``literal``
    The estimator that FAMI-Pose published and that TDMI says it follows: a KL function that
    expects log-probabilities is given probabilities, so it returns
    [-H(live) - <live, detached>] / N. For soft maps that is little more than the entropy of the
    live side. Kept to reproduce, not to recommend.

Axes: B clip, C channel, K joint, h w cells, N = h * w.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chronopose.errors import ChronoposeError, ShapeError, UsageError
from chronopose.tensors import TDMIOutput

Mode = Literal["vsd", "literal", "none"]
Reduction = Literal["mean", "batch"]
LN2 = math.log(2.0)

TERMS = ("mi_useful_noise", "mi_motion_useful", "mi_useful_label", "mi_visual_label")
"""Terms of Eq. 8, 9 and the two of Eq. 10; signs included, so that their sum is Eq. 13."""


def spatial_log_distribution(
    feature: Tensor, temperature: float, standardise: bool = False
) -> Tensor:
    """Logarithm of a feature's distribution over cells: ``(B, C, h, w) -> (B, C, N)``, float32.

    Args:
        feature: Any float type; float64 stays float64.
        temperature: Divides the feature before the softmax.
        standardise: First bring every channel to mean 0 and spread 1.
    """
    rows = feature.flatten(2)
    rows = rows if rows.dtype == torch.float64 else rows.float()
    if standardise:
        spread = rows.std(-1, unbiased=False, keepdim=True).clamp_min(1e-6)
        rows = (rows - rows.mean(-1, keepdim=True)) / spread
    return F.log_softmax(rows / temperature, dim=-1)


def bounded_information(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Shared information ln 2 - JS(p, q) of each row: ln 2 for equal rows, 0 for disjoint ones.

    Args:
        log_p: ``(..., N)`` logarithm of a distribution.
        log_q: the same of another one.
    """
    log_m = torch.logaddexp(log_p, log_q) - LN2
    js = 0.5 * (log_p.exp() * (log_p - log_m) + log_q.exp() * (log_q - log_m)).sum(-1)
    return LN2 - js


def divergence(log_teacher: Tensor, log_student: Tensor) -> Tensor:
    """KL(teacher || student) of each row, nats; no gradient reaches the teacher."""
    log_t = log_teacher.detach()
    return (log_t.exp() * (log_t - log_student)).sum(-1)


def literal_information(log_detached: Tensor, log_live: Tensor) -> Tensor:
    """-H(live) - <live, detached> of each row; no gradient reaches ``log_detached``.

    Source:
        Measured behaviour of FAMI-Pose's published estimator.
    """
    live = log_live.exp()
    return (live * (log_live - log_detached.detach().exp())).sum(-1)


class MutualInformation(nn.Module):
    """The four terms of Eq. 13 from the features of a TDMI output.

    Args:
        mode: ``vsd`` or ``literal``, see above; ``none`` gives no terms.
        temperature: Of the distributions of features.
        label_temperature: Of the distributions of heatmaps; 1 suits maps that are logits already.
        standardise: Standardise every feature channel first.
        reduction: ``mean`` divides each row's value by its N cells, which keeps the published
            balance with a squared heatmap error; ``batch`` does not, which suits a cross-entropy.

    Raises:
        UsageError: a setting is unknown or a temperature is not positive.
    """

    def __init__(
        self,
        mode: Mode = "vsd",
        *,
        temperature: float = 0.05,
        label_temperature: float = 0.05,
        standardise: bool = False,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        if mode not in ("vsd", "literal", "none") or reduction not in ("mean", "batch"):
            raise UsageError(
                f"mode must be vsd, literal or none and reduction mean or batch; "
                f"got {mode!r} and {reduction!r}."
            )
        if temperature <= 0 or label_temperature <= 0:
            raise UsageError(
                f"Temperatures must be positive; got {temperature} and {label_temperature}."
            )
        self.mode = mode
        self.temperature = temperature
        self.label_temperature = label_temperature
        self.standardise = standardise
        self.reduction = reduction

    def forward(self, output: TDMIOutput) -> dict[str, Tensor]:
        """Terms by the names of :data:`TERMS`; none if the output carries no features.

        Raises:
            ShapeError: two features that have to be compared differ in their channels.
            ChronoposeError: a term is not finite.
        """
        if self.mode == "none" or output.noise is None:
            return {}
        with torch.autocast(output.heatmaps.device.type, enabled=False):
            rows = self._literal(output) if self.mode == "literal" else self._bounded(output)
            cells = output.heatmaps.shape[-2] * output.heatmaps.shape[-1]
            scale = 1.0 / cells if self.reduction == "mean" else 1.0
            terms = {name: row.mean() * scale for name, row in zip(TERMS, rows, strict=True)}
        _require_finite(terms)
        return terms

    def _bounded(self, output: TDMIOutput) -> list[Tensor]:
        useful, noise, motion = self._feature(output.useful, output.noise, output.motion)
        fused, of_useful, of_visual = self._label(
            output.heatmaps, output.useful_heatmaps, output.visual_heatmaps
        )
        return [
            bounded_information(useful, noise),
            -bounded_information(motion, useful.detach()),
            divergence(of_useful, fused),
            divergence(of_visual, fused),
        ]

    def _literal(self, output: TDMIOutput) -> list[Tensor]:
        useful, noise, motion, fused, visual = self._feature(
            output.useful, output.noise, output.motion, output.fused, output.visual
        )
        final, of_useful, of_visual = self._label(
            output.heatmaps, output.useful_heatmaps, output.visual_heatmaps
        )
        info = literal_information
        # Rows of labels (B K) and of features (B C) differ in number: means are taken first.
        return [
            info(useful, noise),
            -info(motion, useful),
            info(of_useful, final).mean() - info(useful, fused).mean(),
            info(of_visual, final).mean() - info(visual, fused).mean(),
        ]

    def _feature(self, *features: Tensor | None) -> list[Tensor]:
        return self._rows("features", features, self.temperature, self.standardise)

    def _label(self, *maps: Tensor | None) -> list[Tensor]:
        return self._rows("heatmaps", maps, self.label_temperature, False)

    def _rows(
        self, what: str, maps: tuple[Tensor | None, ...], temperature: float, standardise: bool
    ) -> list[Tensor]:
        shapes = {None if m is None else tuple(m.shape) for m in maps}
        if None in shapes or len(shapes) > 1:
            raise ShapeError(
                f"Mutual information in mode {self.mode!r} compares {what} of equal shape; got "
                f"{sorted(map(str, shapes))}. Mode literal needs the same number of channels in "
                f"motion, fused and visual feature; use mode vsd otherwise."
            )
        return [
            spatial_log_distribution(m, temperature, standardise) for m in maps if m is not None
        ]


def _require_finite(terms: dict[str, Tensor]) -> None:
    if bool(torch.isfinite(torch.stack([t.detach() for t in terms.values()])).all()):
        return
    values = ", ".join(f"{name} = {term.item():.4g}" for name, term in terms.items())
    raise ChronoposeError(
        f"The mutual-information terms are not finite: {values}. The features have left the range "
        f"of numbers; lower the learning rate, clip the gradient at 1.0, or set mi.mode to none."
    )

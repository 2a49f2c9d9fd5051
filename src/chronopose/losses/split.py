"""How TDMI's motion is split: numbers that tell a living split from a collapsed one.

The two gates of Eq. 6 give one factor in (0, 1) to every channel of the motion M. The factors are
read off the features themselves, so that nothing of the network has to be opened.

Axes: B clip, C channel, h w cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from chronopose.losses.mutual_information import bounded_information, spatial_log_distribution
from chronopose.tensors import TDMIOutput

EDGE = 0.01
"""A gate below this is shut; above one minus this it is open."""
_NOT_A_GATE = 1e-3
"""Share of a part's energy that no channel factors explain: more means it was not made by gates."""


@dataclass(frozen=True, kw_only=True)
class SplitState:
    """A batch's split. Numbers that cannot be told, as gates of a channel split, are NaN.

    Args:
        useful: Least, mean and largest gate of M_u over clips and channels, in [0, 1].
        noise: The same of M_n.
        saturated: Share of all gates that are shut or open.
        dead: Share of the channels of M that are zero in every clip of the batch.
        uneven: Spread of M_u over the cells of a channel, as a share of its size; 0 if M_u is
            constant or nothing.
        apart: Squared distance of M_u and M_n over the sum of their squares; 0 if they are equal.
        shared: I(M_u; M_n) of the bounded estimator, nats, mean over channels, in [0, ln 2].
    """

    useful: tuple[float, float, float]
    noise: tuple[float, float, float]
    saturated: float
    dead: float
    uneven: float
    apart: float
    shared: float

    def numbers(self) -> dict[str, float]:
        """What is worth a column in the log of a run."""
        return {
            "gate_useful": self.useful[1],
            "gate_noise": self.noise[1],
            "gates_saturated": self.saturated,
            "channels_dead": self.dead,
            "shared_information": self.shared,
        }


def gates_of(whole: Tensor, part: Tensor) -> Tensor:
    """The factors that make ``part`` out of ``whole``, channel by channel.

    Args:
        whole: ``(B, C, h, w)`` M.
        part: ``(B, C, h, w)`` M_u or M_n.

    Returns:
        ``(B, C)`` float32. NaN where the channel of ``whole`` is zero, and everywhere if no factors
        make ``part``: it is no product of a gate then.
    """
    whole, part = whole.float(), part.float()
    energy = whole.square().sum((2, 3))
    factors = (whole * part).sum((2, 3)) / energy
    rest = part - torch.nan_to_num(factors)[..., None, None] * whole
    if rest.square().sum() > _NOT_A_GATE * part.square().sum():
        return torch.full_like(factors, torch.nan)
    return factors


@torch.no_grad()
def split_state(
    output: TDMIOutput, temperature: float = 0.05, standardise: bool = False
) -> SplitState | None:
    """The state of the split that an output carries.

    Args:
        output: Of a model that gives its features out, as TDMI does while training.
        temperature: Of the distributions whose information is measured.
        standardise: Standardise every channel first; both as the objective does.

    Returns:
        None if the output carries no split.
    """
    motion, useful, noise = output.motion, output.useful, output.noise
    if motion is None or useful is None or noise is None:
        return None
    gates = [gates_of(motion, part) for part in (useful, noise)]
    known = torch.cat([g[~g.isnan()] for g in gates])
    shut_or_open = (known < EDGE) | (known > 1 - EDGE)
    useful, noise = useful.float(), noise.float()
    size = useful.square().mean().sqrt()
    spread = useful.var((2, 3), unbiased=False).mean().sqrt()
    both = useful.square().sum() + noise.square().sum()
    rows = [spatial_log_distribution(p, temperature, standardise) for p in (useful, noise)]
    return SplitState(
        useful=_range(gates[0]),
        noise=_range(gates[1]),
        saturated=float(shut_or_open.float().mean()),
        dead=float((motion == 0).all(-1).all(-1).all(0).float().mean()),
        uneven=float(spread / size) if size > 0 else 0.0,
        apart=float((useful - noise).square().sum() / both) if both > 0 else 0.0,
        shared=float(bounded_information(*rows).mean()),
    )


def _range(gates: Tensor) -> tuple[float, float, float]:
    known = gates[~gates.isnan()]
    if not len(known):
        return float("nan"), float("nan"), float("nan")
    return float(known.min()), float(known.mean()), float(known.max())

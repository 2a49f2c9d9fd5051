"""Turns: the adversary's side of a training by turns.

The pose network is trained as every other one; what its adversary adds to the loss are terms like
all others. Beside it, the adversary learns from the same outputs with an optimiser of its own.
"""

from __future__ import annotations

from typing import Any

import torch

from chronopose.losses.adversarial import Adversary
from chronopose.tensors import Target


class Turns:
    """An adversary with its optimiser.

    Args:
        network: On the CPU or already where it will be trained; moving it later is fine.
    """

    def __init__(self, network: Adversary) -> None:
        self.network = network.train()
        self.optimiser = torch.optim.Adam(network.parameters(), lr=network.lr)

    def learn(self, output: Any, target: Target, share: float = 1.0) -> None:
        """Add up the gradient of one pass; none reaches the pose network.

        Args:
            output: Of the pose network, float32.
            target: What it was compared with.
            share: Weight of this pass among those of a step.
        """
        torch.autograd.backward(self.network.adversary_loss(output, target) * share)

    def step(self) -> dict[str, float]:
        """One step of the optimiser; returns numbers for the log."""
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        return self.network.settle()

    def state(self) -> dict[str, Any]:
        """Everything that a resumed run needs."""
        return {"network": self.network.state_dict(), "optimiser": self.optimiser.state_dict()}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state`."""
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])

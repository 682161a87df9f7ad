"""Adaptive Computation Time (Graves, 1603.08983): how much each loop's state counts in the halted answer.

A gate gives each position a halting probability after each loop. The loops' weights are those probabilities until
they add up to 1 - EPSILON; the loop at which they do, or the last loop if they never do, takes the remainder, so that
the weights sum to one at any loop count.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.config import ModelConfig

EPSILON = 0.01  # Graves' value


class SureGate(nn.Module):
    """A gate that waits for an answer: the halting probability rises with how sure a linear probe of the state is.

    Graves' sigmoid gate leaks. However small, a probability summed over hundreds of loops of waiting becomes a
    deadline, and depth stops there. Two changes remove it. The gate reads the log-odds of the probe's first choice,
    which stay low for as long as nothing is known; and its sigmoid is a hard one, exactly zero below a learnt
    sureness: 1/2 + s (log-odds - m), held to 0 and 1, with s > 0 and m learnt. The probe learns from states whose
    gradient is cut, so that it changes nothing of what it reads.
    """

    def __init__(self, config: ModelConfig, vocabulary: int) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(config.width, elementwise_affine=False)
        self.probe = nn.Linear(config.width, vocabulary)
        self.slope = nn.Parameter(torch.tensor(-1.0))  # through softplus: sureness can only raise the probability
        self.middle = nn.Parameter(torch.tensor(3.0))  # log-odds at which the probability is one half

    def forward(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Halting probability (batch, length) and the probe's logits (batch, length, vocabulary) for h."""
        logits = self.probe(self.norm(h.detach()))
        best = logits.detach().float().log_softmax(-1).amax(-1).clamp(-20.0, -1e-6)
        log_odds = best - torch.log(-torch.expm1(best))
        return (0.5 + F.softplus(self.slope) * (log_odds - self.middle)).clamp(0.0, 1.0), logits


class LinearGate(nn.Module):
    """Graves' gate, sigmoid(w . h + b), here on a normed state. It starts at a bias that waits; his starts at 1."""

    def __init__(self, config: ModelConfig, vocabulary: int) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(config.width, elementwise_affine=False)
        self.gate = nn.Linear(config.width, 1)
        nn.init.constant_(self.gate.bias, -2.0)

    def forward(self, h: Tensor) -> tuple[Tensor, None]:
        """Halting probability (batch, length) for h, and no probe."""
        return self.gate(self.norm(h)).squeeze(-1).sigmoid(), None


GATE = {"act": SureGate, "graves": LinearGate}


class Halting(NamedTuple):
    """ACT's running sums, for each position (batch, length)."""

    total: Tensor  # halting probability so far; one once halted
    mixed: Tensor  # (batch, length, width): states so far, each times its weight
    loops: Tensor  # loops used so far: stops rising once halted
    remainder: Tensor  # Graves' R: the weight of the halting loop, or of the latest one if it were the last

    @staticmethod
    def start(h: Tensor) -> Halting:
        zeros = torch.zeros((3, *h.shape[:-1]), device=h.device, dtype=torch.float32)
        return Halting(zeros[0], torch.zeros_like(h, dtype=torch.float32), zeros[1], zeros[2])

    def step(self, h: Tensor, probability: Tensor) -> Halting:
        """Take in the state after one more loop. What has halted stays what it was."""
        running = self.total < 1.0
        left = 1.0 - self.total
        halts = running & (self.total + probability >= 1.0 - EPSILON)
        weight = torch.where(halts, left, probability) * running
        return Halting(
            torch.where(halts, torch.ones_like(self.total), self.total + weight),
            self.mixed + weight[..., None] * h,
            self.loops + running,
            torch.where(running, left, self.remainder),
        )

    def where(self, n: int, others: Halting) -> Halting:
        """These sums for the first n rows, and `others`' for the rest."""
        if n == len(self.total):
            return self
        return Halting(*(torch.cat([mine[:n], theirs[n:]]) for mine, theirs in zip(self, others, strict=True)))

    def finish(self, h: Tensor) -> Tensor:
        """The halted state (batch, length, width) if h, the latest one taken in, is the last: it takes what is left."""
        return self.mixed + (1.0 - self.total)[..., None] * h

    def ponder(self) -> Tensor:
        """Graves' ponder cost N + R (batch, length)."""
        return self.loops + self.remainder

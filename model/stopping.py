"""The rules that stop a loop at inference, each position (batch, length) by itself.

Every rule is shown the state after each loop in turn. What a position answers is what it had when it stopped, or what
it has now if it is still running; `loops` says how many it used.
"""

from __future__ import annotations

import torch
from torch import Tensor

from model.halting import Halting
from model.rdt import RDT

TOLERANCE = 0.1  # a position moves if it is further than this share of its norm from each of its last states
CYCLE = 8  # how many states
PATIENCE = 3  # loops without a move after which it is at rest: a wave may wait for a loop or two
MOST_KL, MOST_ENTROPY, IN_A_ROW = 1e-3, 0.1, 2  # nats


def moved(h: Tensor, past: Tensor) -> Tensor:
    """Which positions of h (..., width) are at none of the places where they were before, past (CYCLE, ..., width).

    Top-k routing is a step, and a state beside it can swing over it for ever, in a cycle of a few loops whose states
    answer alike. Whoever is back where it was counts as still.
    """
    return (h - past).norm(dim=-1).amin(0) > TOLERANCE * h.norm(dim=-1)


class Act:
    """Adaptive Computation Time: the model's own gate, see model/halting.py."""

    def __init__(self, model: RDT, h: Tensor) -> None:
        assert model.gate is not None
        self.model, self.gate, self.h, self.halting = model, model.gate, h, Halting.start(h)

    @property
    def loops(self) -> Tensor:
        return self.halting.loops

    def see(self, h: Tensor) -> None:
        """Take in the state (batch, length, width) after one more loop."""
        self.h, self.halting = h, self.halting.step(h, self.gate(h)[0])

    def logits(self) -> Tensor:
        """Answers (batch, length, vocabulary) if the latest loop is the last."""
        return self.model.read(self.halting.finish(self.h))


class Converged:
    """Stops where the answer neither changes nor doubts: after Geiping et al. (2502.05171), who ask for a small KL of
    successive answers, and 2604.07822, who ask for a small entropy too: not yet knowing is a fixed point as well."""

    def __init__(self, model: RDT, h: Tensor) -> None:
        self.model = model
        self.answers = model.read(h).float().log_softmax(-1)
        self.loops = torch.zeros(h.shape[:2], device=h.device)
        self.streak = torch.zeros_like(self.loops)

    def see(self, h: Tensor) -> None:
        running = self.streak < IN_A_ROW
        (rows,) = running.any(1).nonzero(as_tuple=True)
        if len(rows) == 0:
            return
        before, now = self.answers[rows], self.model.read(h[rows]).float().log_softmax(-1)
        kl = (now.exp() * (now - before)).sum(-1)
        entropy = -(now.exp() * now).sum(-1)
        at_rest = (kl < MOST_KL) & (entropy < MOST_ENTROPY)
        running = running[rows]
        self.answers[rows] = torch.where(running[..., None], now, before)
        self.loops[rows] += running
        self.streak[rows] = torch.where(running, (self.streak[rows] + 1) * at_rest, self.streak[rows])

    def logits(self) -> Tensor:
        return self.answers


class Settled:
    """Stops a position when neither it nor any before it has moved for PATIENCE loops.

    Far ahead of the wave that carries an answer along a chain, states are as still, and with some tasks as sure, as
    those behind it; no look at a position alone tells the two apart. But the wave itself moves, and it lies before
    whatever it has not reached. The rule reads nothing that a causal model could not have read.
    """

    def __init__(self, model: RDT, h: Tensor) -> None:
        self.model = model
        self.h = h.clone()
        self.past = h.expand(CYCLE, *h.shape).clone()
        self.loops = torch.zeros(h.shape[:2], device=h.device)
        self.quiet = torch.zeros_like(self.loops)
        self.seen = 0

    def see(self, h: Tensor) -> None:
        running = self.quiet < PATIENCE
        if not running.any():
            return
        moving = moved(h, self.past).cummax(dim=1).values
        self.past[self.seen % CYCLE] = h
        self.seen += 1
        self.h = torch.where(running[..., None], h, self.h)
        self.loops += running
        self.quiet = torch.where(running, (self.quiet + 1) * ~moving, self.quiet)

    def logits(self) -> Tensor:
        return self.model.read(self.h)


def rules(model: RDT, h: Tensor) -> dict[str, Act | Converged | Settled]:
    """The rules that a model can be asked under, by the name that stands in records, from its first state h."""
    own = {model.config.halting: Act(model, h)} if model.gate is not None else {}
    return {**own, "converged": Converged(model, h), "settled": Settled(model, h)}

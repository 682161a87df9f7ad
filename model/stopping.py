"""The rules that stop a loop at inference, each position by itself.

Every rule is shown the state (batch, length, width) after each loop in turn. Asked at some places, it says what each of
them answers, (n, vocabulary): what it had when it stopped, or what it has now if it is still running; and `used`, how
many loops that took it, (n,).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from model.attention import Places
from model.halting import Halting
from model.rdt import RDT

TOLERANCE = 0.1  # a position moves if it is further than this share of its norm from each place where it was
CYCLE = 8  # how many places are remembered
PATIENCE = 3  # loops without a move, of it and of those before it, after which it is at rest
MOST_KL, MOST_ENTROPY, IN_A_ROW = 1e-3, 0.1, 2  # nats


class Rule(Protocol):
    """Made of a model, its first state, the places asked, and where training asks, (batch, length) true; shown every
    later state in turn."""

    def see(self, h: Tensor) -> None:
        """Take in the state (batch, length, width) after one more loop."""

    def used(self) -> Tensor:
        """The loops that each place has used (n,)."""

    def logits(self) -> Tensor:
        """Answers (n, vocabulary) if the latest loop is the last."""


class Trail:
    """The last CYCLE places where each position was, and whether it is now at another: then it moved.

    Top-k routing is a step, and a state beside it can swing over it for ever, in a cycle of a few loops whose states
    answer alike. Whoever is back where it was counts as still. Whoever drifts, however slowly, moves in the end: a
    place is only left for a new one that is further away than the tolerance.
    """

    def __init__(self, h: Tensor) -> None:
        self.places = h.expand(CYCLE, *h.shape).clone()
        self.turn = torch.zeros(h.shape[:-1], dtype=torch.int64, device=h.device)

    def moved(self, h: Tensor, row: Tensor | None = None, at: Tensor | None = None) -> Tensor:
        """Which positions moved, for h (batch, length, width), or for h (n, width) at these rows and positions."""
        past = self.places if row is None else self.places[:, row, at]
        moved: Tensor = (h - past).norm(dim=-1).amin(0) > TOLERANCE * h.norm(dim=-1)
        which = moved.nonzero(as_tuple=True) if row is None or at is None else (row[moved], at[moved])
        self.places[self.turn[which] % CYCLE, *which] = h[moved]
        self.turn[which] += 1
        return moved


class Act:
    """Adaptive Computation Time: the model's own gate, see model/halting.py."""

    def __init__(self, model: RDT, h: Tensor, places: Places) -> None:
        assert model.gate is not None
        self.model, self.gate, self.places = model, model.gate, places
        self.h, self.halting = h, Halting.start(h)

    def see(self, h: Tensor) -> None:
        self.h, self.halting = h, self.halting.step(h, self.gate(h)[0])

    def used(self) -> Tensor:
        return self.places.of(self.halting.loops)

    def logits(self) -> Tensor:
        return self.model.read(self.halting.finish(self.h), places=self.places)


class Converged:
    """Stops where the answer neither changes nor doubts: after Geiping et al. (2502.05171), who ask for a small KL of
    successive answers, and 2604.07822, who ask for a small entropy too: not yet knowing is a fixed point as well.
    The KL is of what is answered now from what was answered one loop before, at first by h_0."""

    def __init__(self, model: RDT, h: Tensor, places: Places, answering: Tensor) -> None:
        self.model, self.places = model, places
        self.answers = model.read(h, places=places).float().log_softmax(-1)
        self.loops = torch.zeros(len(places.row), device=h.device)
        self.streak = torch.zeros_like(self.loops)

    def see(self, h: Tensor) -> None:
        running = self.streak < IN_A_ROW
        wanted = torch.zeros(h.shape[:2], dtype=torch.bool, device=h.device)
        wanted[self.places.row, self.places.at] = running
        (rows,) = wanted.any(1).nonzero(as_tuple=True)
        if len(rows) == 0:
            return
        now = self.model.read(h[rows], places=Places.where(wanted[rows])).float().log_softmax(-1)
        kl = (now.exp() * (now - self.answers[running])).sum(-1)
        entropy = -(now.exp() * now).sum(-1)
        at_rest = (kl < MOST_KL) & (entropy < MOST_ENTROPY)
        self.answers[running] = now
        self.loops += running
        self.streak[running] = (self.streak[running] + 1) * at_rest

    def used(self) -> Tensor:
        return self.loops

    def logits(self) -> Tensor:
        return self.answers


class Settled:
    """Stops a position when neither it nor any before it, back to the first that training asks, has moved for PATIENCE
    loops.

    Far ahead of the wave that carries an answer along a chain, states are as still, and with some tasks as sure, as
    those behind it; no look at a position alone tells the two apart. But the wave itself moves, and it lies before
    whatever it has not reached. The rule reads nothing that a causal model could not have read.
    What nothing has ever asked need not come to rest: a fact of a prompt looks for the next one as a question does, and
    where none stands before it does so for ever. Behind the first asked position all are waited for, as a wave may pass
    through some that are not asked.
    """

    def __init__(self, model: RDT, h: Tensor, places: Places, answering: Tensor) -> None:
        self.model, self.places, self.awaited = model, places, answering.cummax(dim=1).values
        self.h = h.clone()
        self.trail = Trail(h)
        self.loops = torch.zeros(h.shape[:2], device=h.device)
        self.quiet = torch.zeros_like(self.loops)

    def see(self, h: Tensor) -> None:
        running = self.quiet < PATIENCE
        if not running.any():
            return
        moved = self.trail.moved(h)
        moving = moved | (moved & self.awaited).cummax(dim=1).values
        self.h = torch.where(running[..., None], h, self.h)
        self.loops += running
        self.quiet = torch.where(running, (self.quiet + 1) * ~moving, self.quiet)

    def used(self) -> Tensor:
        return self.places.of(self.loops)

    def logits(self) -> Tensor:
        return self.model.read(self.h, places=self.places)


RULES: dict[str, Callable[[RDT, Tensor, Places, Tensor], Rule]] = {"converged": Converged, "settled": Settled}
"""The rules that every model can be asked under, by the name that stands in records."""

OURS = tuple(RULES)


def rules(model: RDT, h: Tensor, places: Places, answering: Tensor) -> dict[str, Rule]:
    """The rules that a model can be asked under, from its first state h: its own gate's, and the others."""
    own: dict[str, Rule] = {model.config.halting: Act(model, h, places)} if model.gate is not None else {}
    return {**own, **{name: rule(model, h, places, answering) for name, rule in RULES.items()}}

"""What goes on inside a trained model, loop by loop: which experts are chosen, how large the state is, if it rests."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, islice
from typing import Any

import torch
from torch import Tensor, nn

from evaluate.checked import MOST
from evaluate.records import Diagnostics
from evaluate.run.experiment import Experiment
from evaluate.run.extrapolation import questions
from model import RDT
from model.moe import Router

ROWS, LOOPS = 32, 64  # enough to see experts turn into habits and a state come to rest


@torch.no_grad()
def diagnostics(model: nn.Module, experiment: Experiment, device: torch.device) -> Diagnostics | None:
    """From one trajectory over questions of the deepest training depth; None for a model that has none."""
    if not isinstance(model, RDT):
        return None
    depth = experiment.task.train_depths[-1]
    rows = questions(experiment.task, depth, ROWS, experiment.evaluate.seed)
    tokens = torch.from_numpy(rows.tokens).to(device)
    routers = [module for module in model.recurrent.modules() if isinstance(module, Router)]
    routing: list[list[float]] = []
    norms: list[float | None] = []
    changes: list[float | None] = []
    with torch.compiler.set_stance("force_eager"), expert_shares(routers) as shares:  # compiled Blocks call no hooks
        states = islice(model.trajectory(tokens), LOOPS + 1)
        before = next(states)
        for h in states:
            norm = h.norm(dim=-1)
            norms.append(finite(norm.mean() / math.sqrt(h.shape[-1])))
            changes.append(finite(((h - before).norm(dim=-1) / norm).mean()))
            if routers:
                routing.append([short(share) for share in torch.stack(shares).mean(0).tolist()])
                shares.clear()
            before = h
    whole = bool(routing) and all(map(math.isfinite, chain(*routing)))
    return Diagnostics(experiment.run, depth, routing if whole else None, norms, changes)


@contextmanager
def expert_shares(routers: list[Router]) -> Iterator[list[Tensor]]:
    """A list that each router, when it is called, adds its experts' mean weights to: (experts,), which sum to 1."""
    shares: list[Tensor] = []

    def listen(router: Any, given: object, made: tuple[Tensor, Tensor]) -> None:
        chosen, weights = made
        spread = weights.new_zeros(*weights.shape[:-1], router.score.out_features).scatter(-1, chosen, weights)
        shares.append(spread.flatten(0, -2).cpu().double().mean(0))

    handles = [router.register_forward_hook(listen) for router in routers]
    try:
        yield shares
    finally:
        for handle in handles:
            handle.remove()


def finite(value: Tensor) -> float | None:
    number = float(value)
    return short(number) if number < MOST else None


def short(number: float) -> float:
    """Six significant digits, as many as a float32 holds: half the size of a record."""
    return float(f"{number:.6g}")

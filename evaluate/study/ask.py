"""Trained weights asked anew: other depths, other sizes of the same questions, more loops. Nothing is trained."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from evaluate.run.extrapolation import Answer, answers, judge, questions, rows_at_once, trained_places
from evaluate.statistics import wilson
from model import RDT, ConfigError
from model.attention import Places
from model.settling import settle
from tasks import Task, UserError


def check_words(task: Task, learnt: Task) -> None:
    """Refuse sizes that change the words: the weights know no others."""
    if task.vocabulary != learnt.vocabulary:
        words = f"{len(task.vocabulary)} words, other than the {len(learnt.vocabulary)}"
        raise UserError(f"{task.name} of these sizes has {words} that the weights know: change sizes that keep them")


@torch.no_grad()
def ask(
    model: nn.Module,
    task: Task,
    depth: int,
    loops: int,
    *,
    count: int,
    seed: int,
    batch: int,
    moving: bool = False,
    each_step: bool = False,
    device: torch.device | str = "cpu",
) -> list[dict[str, Any]]:
    """A row for each answer that a model has at one depth: after `loops` loops, and by each rule that stops by itself.

    With `moving`, by the rule `settled` alone, computed over the positions that move (model/settling.py). With
    `each_step`, a row for the shallower questions of the same rows too, whose depth is then their `step`: where along a
    walk or a running value does it go wrong? (In a row of several facts or chains they are other questions.)
    """
    rows = questions(task, depth, count, seed)
    tokens, targets, depths = (torch.from_numpy(array) for array in rows)
    steps = range(1, depth + 1) if each_step else (depth,)
    asked = (depths >= steps[0]) & (depths <= depth) & torch.from_numpy(task.asked_first(rows.tokens))
    answering = trained_places(task, depth, count, seed)
    where = torch.device(device)
    batch = batch if moving else rows_at_once(batch, tokens.shape[1], where)
    says = partial(settled, model, loops=loops) if moving else partial(answers, model, loops=(loops,))
    judged = judge(says, tokens, targets, asked, answering, where, batch)
    made = []
    for (rule, fixed), whole in judged.items():
        for step in steps:
            told = whole.at((depths == step)[asked])
            n, correct = len(told.right), int(told.right.sum())
            if not n:
                continue
            low, high = wilson(correct, n)
            mean = None if rule == "none" else fixed or float(told.used.double().sum()) / n
            made.append(
                {
                    "depth": depth, **({"step": step} if each_step else {}), "length": tokens.shape[1], "rule": rule,
                    "loops": mean, "correct": correct, "count": n, "accuracy": correct / n, "low": low, "high": high,
                }
            )  # fmt: skip
    return made


def settled(model: nn.Module, tokens: Tensor, asked: Tensor, answering: Tensor, loops: int) -> Iterator[Answer]:
    """What an RDT answers at rest where it is asked; `loops` bounds how long it may take."""
    if not isinstance(model, RDT):
        raise UserError("only an rdt comes to rest by itself: leave --moving out")
    try:
        rest = settle(model, tokens, loops)
    except ConfigError as error:
        raise UserError(str(error)) from None
    used = rest.loops[asked].clamp(max=loops).float()  # all of them where it was cut off
    yield Answer("settled", None, model.read(rest.h, places=Places.where(asked)), used)

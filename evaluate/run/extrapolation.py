"""Depth x loops x halting rule: what a trained model answers, at the depths it was trained on and at others.

One pass over the trajectory answers for every loop count at once, so that any number of loop counts costs what the
largest does; and states are let go as it passes (the rules keep about ten), so that memory does not grow with loops.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor, nn

from evaluate.records import Cell, pack
from evaluate.run.experiment import Experiment, RunFailed
from evaluate.run.flops import Flops, on_cpu
from model import RDT
from model.attention import Places
from model.rdt import sent
from model.stopping import Rule, rules
from tasks import NOT_ASKED, SPLITS, Batch, Task, draw


class Answer(NamedTuple):
    """A model's logits (asked, vocabulary) with so many loops, or under a rule that stops by itself."""

    halting: str
    loops: int | None
    logits: Tensor
    used: Tensor | None = None  # loops used (asked,), where the rule decides them


def answers(
    model: nn.Module, tokens: Tensor, asked: Tensor, answering: Tensor, loops: tuple[int, ...]
) -> Iterator[Answer]:
    """Everything a model has to say of some rows where `asked` is true, both (batch, length), one answer at a time.

    `answering` (batch, length) is where training asks: a rule that stops by itself may know that.
    """
    if not getattr(model, "looped", True):
        yield Answer("none", None, model(tokens, None)[0][asked])
    elif isinstance(model, RDT):
        yield from rdt_answers(model, tokens, Places.where(asked), answering, loops)
    else:
        found = model(tokens, loops)
        if len(found) != len(loops):
            each = f"allowed is {len(loops)} times, for each number of loops"
            raise RunFailed(f"forward(tokens, {loops}) gave logits {len(found)} times: {each}")
        for count, logits in zip(loops, found, strict=True):
            yield Answer("fixed", count, logits[asked])


def rdt_answers(
    model: RDT, tokens: Tensor, places: Places, answering: Tensor, loops: tuple[int, ...]
) -> Iterator[Answer]:
    """Fixed loop counts read off the trajectory as it passes, and at its end the rules that stop by themselves."""
    stopping: dict[str, Rule] = {}
    for done, h in enumerate(islice(model.trajectory(tokens), loops[-1] + 1)):
        if done == 0:
            stopping = rules(model, h, places, answering)
        else:
            for rule in stopping.values():
                rule.see(h)
        if done in loops:
            yield Answer("fixed", done, model.read(h, places=places))
    for name, rule in stopping.items():
        yield Answer(name, None, rule.logits(), rule.used())


def asked_together(task: Task) -> list[list[int]]:
    """The depths, in groups that one set of rows asks.

    Where a deeper row begins with the shallower ones, one row of a band's deepest depth asks the whole band: a causal
    model answers a position as if the row ended there. Elsewhere every depth has rows of its own.
    """
    bands = [list(task.train_depths), list(task.selection_depths), list(task.test_depths)]
    if task.prefixes and not task.fixed_length:
        return bands
    return [[depth] for band in bands for depth in band]


def questions(task: Task, depth: int, count: int, seed: int) -> Batch:
    """Rows whose deepest question has this depth, the same for every model; held out by content from training."""
    split = "selection" if task.band(depth) == "selection" else "test"
    return draw(task, seed, SPLITS[split], depth, 0, count)


def trained_places(task: Task, depth: int, count: int, seed: int) -> Tensor:
    """Where (count, length) training asks on the rows of `questions`: where these do, and maybe at more places."""
    return torch.from_numpy(questions(task.stages[-1], depth, count, seed).targets) != NOT_ASKED


class Judged(NamedTuple):
    """What is told of questions under one number of loops or one rule: of each of them (questions,)."""

    right: Tensor
    tied: Tensor  # rounding could turn it right or wrong
    lost: Tensor  # the logits are not all numbers
    used: Tensor  # loops, where the rule decides them; else 0

    @staticmethod
    def of(answer: Answer, targets: Tensor) -> Judged:
        right, lost = answered_right(answer.logits, targets), answer.logits.isnan().any(-1)
        used = torch.zeros_like(targets, dtype=torch.float32) if answer.used is None else answer.used
        return Judged(right, undecided(answer.logits, targets), lost, used)

    @staticmethod
    def together(parts: list[Judged]) -> Judged:
        """Those of all batches, in their order, on the CPU: what is counted of them is waited for here."""
        return Judged(*(torch.cat(part).cpu() for part in zip(*parts, strict=True)))

    def at(self, which: Tensor) -> Judged:
        return Judged(*(part[which] for part in self))


Key = tuple[str, int | None]
"""A rule and its loops."""


@torch.no_grad()
def judge(
    says: Callable[[Tensor, Tensor, Tensor], Iterator[Answer]],
    tokens: Tensor,
    targets: Tensor,
    asked: Tensor,
    answering: Tensor,
    device: torch.device,
    batch: int,
) -> dict[Key, Judged]:
    """What is told of every place where `asked` is true, row by row, by each way of answering.

    says: what a model has to say of some rows on the device, as `answers`. All tensors are (rows, length).
    """
    batches: dict[Key, list[Judged]] = defaultdict(list)
    for start in range(0, len(tokens), batch):
        part = slice(start, start + batch)
        wanted = sent(targets[part][asked[part]], device)
        for answer in says(*(sent(whole[part], device) for whole in (tokens, asked, answering))):
            batches[answer.halting, answer.loops].append(Judged.of(answer, wanted))
    return {key: Judged.together(parts) for key, parts in batches.items()}


@torch.no_grad()
def evaluate(
    model: nn.Module, experiment: Experiment, group: list[int], device: torch.device, batch: int
) -> Iterator[Cell]:
    """The cells of depths that are asked together; `batch` rows at most at a time, which decides no count."""
    task, settings = experiment.task, experiment.evaluate
    rows = questions(task, group[-1], settings.count, settings.seed)
    tokens, targets, depths = (torch.from_numpy(array) for array in rows)
    asked = torch.isin(depths, torch.tensor(group)) & torch.from_numpy(task.asked_first(rows.tokens))
    answering = trained_places(task, group[-1], settings.count, settings.seed)
    says = partial(answers, model, loops=settings.loops)
    judged = judge(says, tokens, targets, asked, answering, device, rows_at_once(batch, tokens.shape[1], device))
    judged |= by_oracle({key[1]: one for key, one in judged.items() if key[0] == "fixed" and key[1] is not None})
    counted_as = model if device.type == "cpu" else on_cpu(model, experiment).eval()
    for depth in group:
        place = depths == depth
        length = tokens.shape[1] if len(group) == 1 else int(place.any(0).nonzero().max()) + 1
        flops = Flops(counted_as, tokens[:1, :length])  # of a row no longer than its question needs
        for key, one in judged.items():
            yield cell(experiment, depth, key, one.at(place[asked]), flops)


def cell(experiment: Experiment, depth: int, key: Key, judged: Judged, flops: Flops) -> Cell:
    """The record of what was told of one depth, but for the audit, which is added where records are written."""
    task, (halting, loops), count = experiment.task, key, len(judged.right)
    mean = None if halting == "none" else loops if loops is not None else float(judged.used.double().sum()) / count
    return Cell(
        run=experiment.run,
        task=task.name,
        model=experiment.model,
        seed=experiment.seed,
        band=task.band(depth),
        depth=depth,
        loops=loops,
        halting=halting,
        count=count,
        correct=int(judged.right.sum()),
        chance=task.chance,
        shortcut=None,
        mean_loops=mean,
        eval_flops=flops.at(mean),
        right=pack(judged.right.numpy()),
        ties=int(judged.tied.sum()),
        not_numbers=int(judged.lost.sum()),
    )


def by_oracle(fixed: dict[int, Judged]) -> dict[Key, Judged]:
    """What would be told if each question stopped when it is right, after the fewest loops, or after all where it never
    is; nothing of a model without loops.

    Nobody who answers knows when that is: it is a bound on what a rule for stopping could reach, luck included.
    """
    if not fixed:
        return {}
    counts = sorted(fixed)
    right, tied = (torch.stack([getattr(fixed[count], name) for count in counts]) for name in ("right", "tied"))
    found = right.any(0)
    tied = tied.any(0) & ~(right & ~tied).any(0)  # what is surely right after some loops no rounding can turn
    first = torch.where(found, torch.tensor(counts)[right.int().argmax(0)], counts[-1])
    return {("oracle", None): Judged(found, tied, torch.zeros_like(found), first)}


AT_ONCE = 4096
"""Tokens of which the RDT's inner values stay in a core's cache. Rows of 601 tokens, six at a time, took 0.76 times as
long as 32 at a time (three turns, one thread, medians); of 81 tokens 32 at a time are as fast as any."""


def rows_at_once(most: int, length: int, device: torch.device) -> int:
    """How many rows of so many tokens to take at a time: on a CPU long ones few, AT_ONCE tokens or one row."""
    return max(1, min(most, AT_ONCE // length)) if device.type == "cpu" else most


TIE = 1e-4
"""Logits so near are tied. Other batches and threads moved logits of up to 7 by 2.4e-6 (khop_facts, 64 loops)."""


def undecided(logits: Tensor, targets: Tensor) -> Tensor:
    """Where (asked,) rounding could make a right answer wrong, or a wrong one right."""
    best = logits.topk(2, dim=-1)
    near = best.values[..., 0] - best.values[..., 1] < TIE
    return near & (best.indices == targets[..., None]).any(-1)


def answered_right(logits: Tensor, targets: Tensor) -> Tensor:
    """Whether the likeliest word (asked,) is the answer; what is not a number has none."""
    return (logits.argmax(-1) == targets) & ~logits.isnan().any(-1)

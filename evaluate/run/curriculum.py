"""Where a run stands in its task's curriculum: advanced by accuracy on the rows that it trains on, and by nothing else.

Every model of a comparison goes through the same stages. What decides is drawn from the run's own streams, so that a
run that is repeated, or cut and gone on with, advances at the same steps.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor, nn

from evaluate.run.experiment import Experiment
from tasks import NOT_ASKED, TRAIN, Task, stream

PASS = 0.85
"""The accuracy at a stage's deepest training depth that leads on to the next."""


class Curriculum(nn.Module):
    """A module for its buffers' sake: they are saved and put back with the rest of the run's state."""

    stage: Tensor
    spent: Tensor
    tally: Tensor

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.stages = task.stages
        self.register_buffer("spent", torch.zeros(len(self.stages), dtype=torch.int64))  # steps, for each stage
        self.register_buffer("tally", torch.zeros(2))  # asked and right at the deepest depth, since the last look
        self.register_buffer("stage", torch.zeros((), dtype=torch.int64))

    @property
    def task(self) -> Task:
        """What is trained on now."""
        return self.stages[int(self.stage)]

    @property
    def share(self) -> float:
        """How deep this stage goes, as a share of the deepest training depth: loops are in proportion to it."""
        return self.task.train_depths[-1] / self.stages[-1].train_depths[-1]

    def count(self, answers: Tensor, tokens: Tensor, targets: Tensor, depths: Tensor, blank: int) -> None:
        """Take in a step's answers (rows, length). Rows stand in the order of their loops, the most first: the first
        half had loops enough. Rows with a blank do not count."""
        self.spent[self.stage] += 1
        if len(self.stages) == 1:
            return
        deepest = (targets != NOT_ASKED) & (depths == self.task.train_depths[-1])
        deepest &= (tokens != blank).all(1, keepdim=True)
        deepest[(len(deepest) + 1) // 2 :] = False
        counted = torch.stack([deepest.sum(), (deepest & (answers == targets)).sum()]).to(self.tally.dtype)
        self.tally = self.tally.to(counted.device) + counted  # stays there: only a look waits for the device

    def look(self) -> None:
        """Go on to the next stage if what was counted since the last look is good enough."""
        asked, right = self.tally.cpu().tolist()
        if asked and right >= PASS * asked and int(self.stage) + 1 < len(self.stages):
            self.stage += 1
        self.tally.zero_()

    def cost(self, of: Callable[[Task], int]) -> int:
        """What all steps cost, where a step costs `of` its stage."""
        return sum(steps * of(stage) for steps, stage in zip(self.spent.tolist(), self.stages, strict=True) if steps)


@lru_cache(maxsize=64)
def rows_a_step(experiment: Experiment, stage: Task) -> int:
    """The rows of a step at one stage: `batch` at the first, and later as many as make no more tokens than then."""

    def length(task: Task) -> int:
        return int(task.sample(stream(0, TRAIN, 0, 0), task.train_depths[-1], 1).tokens.shape[1])

    first = experiment.task.stages[0]
    return experiment.train.batch if stage == first else max(1, experiment.train.batch * length(first) // length(stage))

"""The sum of two numbers: how far does a carry travel?"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from tasks.errors import check_sizes
from tasks.task import NOT_ASKED, Answers, Batch, Task, stages, up_to


@dataclass(frozen=True)
class CarryChain(Task):
    """Two numbers of fixed length, lowest digits first and in turn `a b a b ...`: at each b, that digit of their sum.

    Depth: how many columns below the asked one decide its carry: those with sum 9 hand on the carry (or its absence)
    that reaches them, the first other one decides it. A row of depth d has a run of d - 1 nines somewhere, and none
    longer. Columns decide for and against a carry equally often, at every depth.
    The definition's own shortcuts: the column alone leaves two digits to choose from, and so chance is one half; who
    finds the nearest column below that is no nine at one look, however far it is, needs no steps; and a long run leaves
    few other columns below, of which most decide as the one does that matters: who goes by most of those is right
    in about 60% of depth 10 and 65% of 40 (a learner in 67%).
    Depth is at most `columns` - 1, the whole number.
    After: long addition in the length generalisation literature, e.g. Nogueira et al. 2021 (arXiv 2102.13019).

    Two examples, with `columns=4`: 3041 + 1207 = 4248 and 3942 + 1058 = 5000:

        depth 1    tokens  1 7 4 0 0 2 3 1              depth 3    tokens  2 8 4 5 9 0 3 1
                   answer  . . . 4 . 2 . 4                         answer  . . . 0 . 0 . 5
    """

    train_depths: tuple[int, ...] = (1, 2, 3, 4, 5)
    selection_depths: tuple[int, ...] = (6, 8)
    test_depths: tuple[int, ...] = (10, 12, 16, 20, 40)
    columns: int = 56
    curriculum: tuple[int, ...] = (6, 12, 24)  # numbers of columns trained on before: a long run is rare among many

    name: ClassVar[str] = "carry_chain"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "add two numbers whose carry travels far"
    fixed_length: ClassVar[bool] = True
    prefixes: ClassVar[bool] = True
    known_shortcut: ClassVar[str] = (
        "the nearest column below that is no nine, found at one look, or how most columns below decide"
    )

    def __post_init__(self) -> None:
        check_sizes(self, columns=(2, 10_000))

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        return tuple("0123456789")

    @property
    def chance(self) -> float:
        return 1 / 2

    @property
    def stages(self) -> tuple[Task, ...]:
        return stages(self, columns=up_to(self.curriculum, self.columns))

    @property
    def max_depth(self) -> int:
        return self.columns - 1

    def sample(self, rng: np.random.Generator, depth: int, count: int) -> Batch:
        a, other = rng.integers(10, size=(count, self.columns)), rng.integers(1, 10, size=(count, self.columns))
        free = rng.random((count, self.columns)) < 0.1  # a column of random digits has sum 9 once in ten
        begin = rng.integers(self.columns - depth, size=count)  # where the long run's carry is decided
        carry, run = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)  # run: nines just below
        tokens = np.empty((count, 2 * self.columns), dtype=np.int64)
        targets, depths = np.full_like(tokens, NOT_ASKED), np.zeros_like(tokens)
        for column in range(self.columns):
            along = column - begin
            nine = np.where((along >= 0) & (along <= depth), (along > 0) & (along < depth), free[:, column])
            nine &= (run < depth - 1) & (column > 0)
            b = np.where(nine, 9 - a[:, column], (9 - a[:, column] + other[:, column]) % 10)
            total = a[:, column] + b + carry
            tokens[:, 2 * column], tokens[:, 2 * column + 1] = a[:, column], b
            if column:
                targets[:, 2 * column + 1], depths[:, 2 * column + 1] = total % 10, run + 1
            carry, run = total // 10, np.where(nine, run + 1, 0)
        return Batch(tokens, targets, depths)

    def solve(self, tokens: np.ndarray) -> Answers:
        return self._look_back(tokens, self.columns)

    def partial(self, tokens: np.ndarray, steps: int) -> np.ndarray:
        return self._look_back(tokens, steps).targets

    def _look_back(self, tokens: np.ndarray, most: int) -> Answers:
        """From each column down to the one that decides its carry; if it is further than `most`, say no carry."""
        digits = [int(self.vocabulary[t]) for t in tokens.tolist()]
        sums = [a + b for a, b in zip(digits[::2], digits[1::2], strict=True)]
        targets, depths = [NOT_ASKED] * 2, [0] * 2
        for column in range(1, len(sums)):
            steps = 1
            while sums[column - steps] == 9 and steps < most:
                steps += 1
            targets += [NOT_ASKED, (sums[column] + (sums[column - steps] > 9)) % 10]
            depths += [0, steps]
        return Answers(np.array(targets), np.array(depths))

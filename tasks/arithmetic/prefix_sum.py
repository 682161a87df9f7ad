"""The parity of every prefix of a row of bits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from tasks.task import NOT_ASKED, Answers, Batch, Task


@dataclass(frozen=True)
class PrefixSum(Task):
    """A row of bits; at each, the sum modulo 2 of the bits so far.

    Depth: the bits summed, so that a row of depth d has d bits. A `^` stands before the first, so that every bit has
    something to be added to; without it, a first bit of one was learnt as a case of its own, and badly.
    The definition's own shortcut: sums commute, so that who can count the ones exactly needs no order and no steps.
    The audit's learners, shown the counts of one length, do so at 80 bits (0.98) and begin to fail at 160 (0.78).
    There are only 2^d rows of depth d: with a handful of bits, training, selection and test cannot all have some. Of
    ten bits 128 rows are held out for tests, so that some are drawn again: 128 questions hold 85 of them.
    After: Schwarzschild et al. 2021 (arXiv 2106.04537); Bansal et al. 2022 (arXiv 2202.05826) train on 32 bits and
    test on up to 512.

    Two examples:

        depth 1    tokens  ^ 1           depth 5    tokens  ^ 1 0 1 1 0
                   answer  . 1                      answer  . 1 1 0 1 1
    """

    train_depths: tuple[int, ...] = (8, 10)
    selection_depths: tuple[int, ...] = (16, 36)
    test_depths: tuple[int, ...] = (40, 80, 160)

    name: ClassVar[str] = "prefix_sum"
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "the parity of every prefix of a row of bits"
    fixed_length: ClassVar[bool] = False
    prefixes: ClassVar[bool] = True
    known_shortcut: ClassVar[str] = "the parity of the count of ones"

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        return ("0", "1", "^")

    @property
    def chance(self) -> float:
        return 1 / 2

    def sample(self, rng: np.random.Generator, depth: int, count: int) -> Batch:
        bits = rng.integers(2, size=(count, depth))
        tokens = np.concatenate([np.full((count, 1), 2), bits], axis=1)
        targets = np.concatenate([np.full((count, 1), NOT_ASKED), bits.cumsum(axis=1) % 2], axis=1)
        depths = np.broadcast_to(np.arange(depth + 1), tokens.shape).copy()
        return Batch(tokens, targets, depths)

    def solve(self, tokens: np.ndarray) -> Answers:
        odd, steps = False, 0
        targets, depths = [NOT_ASKED], [0]
        for word in (self.vocabulary[t] for t in tokens[1:].tolist()):
            odd, steps = odd != (word == "1"), steps + 1
            targets.append(int(odd))
            depths.append(steps)
        return Answers(np.array(targets), np.array(depths))

    def recent(self, tokens: np.ndarray, steps: int) -> np.ndarray:
        return np.full(len(tokens), self.solve(np.concatenate([tokens[:1], tokens[1:][-steps:]])).targets[-1])

"""Many numbers, added one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from tasks.errors import check_sizes
from tasks.task import NOT_ASKED, Answers, Batch, Task


@dataclass(frozen=True)
class NAryAddition(Task):
    """Numbers of a few digits, lowest digit first, a `+` between: after each digit, the same digit of the total so far.

    Depth: the numbers added up to the asked position. The total is kept to as many digits as the numbers have
    (modulo 100 for two), where each of its digits is uniform; the leading digits of a whole sum are not. A `^` stands
    before the first number where a `+` stands before the others, so that every digit has something before it.
    The definition's own shortcut: addition commutes, so that who can count the digits of each place exactly needs no
    order and no steps. The audit's learners cannot, a wide attention layer may learn to.
    After: Saunshi et al. 2025 (arXiv 2502.17416), n = 8, 16, 24, 32 numbers of three digits; it asks the last sum only.
    Here they have two: with three and training up to four numbers, digits drift from the ninth number on.

    Two examples, with `digits=3`: 421 alone, and 421 + 803 + 99 = 1323:

        depth 1    tokens  ^ 1 2 4
                   answer  . 1 2 4

        depth 3    tokens  ^ 1 2 4 + 3 0 8 + 9 9 0
                   answer  . 1 2 4 . 4 2 2 . 3 2 3
    """

    train_depths: tuple[int, ...] = (1, 2, 3, 4, 5, 6)
    selection_depths: tuple[int, ...] = (8, 16)
    test_depths: tuple[int, ...] = (20, 24, 32, 48)
    digits: int = 2

    name: ClassVar[str] = "n_ary_addition"
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "add many numbers, one after the other"
    fixed_length: ClassVar[bool] = False
    prefixes: ClassVar[bool] = True
    known_shortcut: ClassVar[str] = "the digits of each place, counted in any order"

    def __post_init__(self) -> None:
        check_sizes(self, digits=(1, 15))

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        return (*"0123456789", "+", "^")

    @property
    def chance(self) -> float:
        return 1 / 10

    def sample(self, rng: np.random.Generator, depth: int, count: int) -> Batch:
        place = 10 ** np.arange(self.digits)
        numbers = rng.integers(10**self.digits, size=(count, depth))
        totals = numbers.cumsum(axis=1)
        shape = (count, depth, self.digits + 1)
        tokens = np.full(shape, self.vocabulary.index("+"))
        tokens[:, 0] = self.vocabulary.index("^")
        targets = np.full(shape, NOT_ASKED)
        depths = np.zeros(shape, dtype=np.int64)
        tokens[:, :, 1:] = numbers[:, :, None] // place % 10
        targets[:, :, 1:] = totals[:, :, None] // place % 10
        depths[:, :, 1:] = np.arange(1, depth + 1)[:, None]
        return Batch(*(array.reshape(count, -1) for array in (tokens, targets, depths)))

    def solve(self, tokens: np.ndarray) -> Answers:
        """Digit by digit with carries, as at school, for one number after the other."""
        targets, depths = [], []
        total, steps = [0] * self.digits, 0
        for number in "".join(self.vocabulary[t] for t in tokens[1:].tolist()).split("+"):
            targets.append(NOT_ASKED)
            depths.append(0)
            carry, steps = 0, steps + 1
            for place, digit in enumerate(number):
                carry, total[place] = divmod(total[place] + int(digit) + carry, 10)
                targets.append(total[place])
                depths.append(steps)
        return Answers(np.array(targets), np.array(depths))

    def partial(self, tokens: np.ndarray, steps: int) -> np.ndarray:
        """The total of the first `steps` numbers, at all positions after them."""
        targets = self.solve(tokens).targets
        width = self.digits + 1
        last = targets[width * (steps - 1) : width * steps]
        return np.concatenate([targets[: width * steps], np.resize(last, len(targets))])[: len(targets)]

    def recent(self, tokens: np.ndarray, steps: int) -> np.ndarray:
        seen = self.solve(tokens[-(self.digits + 1) * steps :]).targets
        return np.concatenate([np.full(max(len(tokens) - len(seen), 0), NOT_ASKED), seen])

"""An expression of nested + - x modulo a prime, from balanced to comb, at one length."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from tasks.errors import check_prime, check_sizes
from tasks.task import NOT_ASKED, Answers, Batch, Task


@dataclass(frozen=True)
class NestedExpression(Task):
    """A tree of + - x over a fixed number of leaves, operators after their operands; each subexpression is asked.

    Depth: the height of the subexpression that ends at the asked operator, so that a row of depth d holds every depth
    up to d. Written in postfix, (1 + 2) x 3 as `1 2 + 3 x`: it needs no brackets, which halves the rows.
    No value on the way is zero, so that no product forgets its operands; answers are the residues 1 to modulus - 1.
    n leaves have depths from log2(n), balanced, to n - 1, a comb. That is why training begins at 6 and not at 1.
    After: modular arithmetic with brackets (Deletang et al. 2023, arXiv 2207.02098).

    Two examples, with `leaves=4`, modulo 7:

        depth 2    tokens  3 5 + 2 4 - x
                   answer  . . 1 . . 5 5

        depth 3    tokens  6 3 5 + 2 x -
                   answer  . . . 1 . 2 4
    """

    train_depths: tuple[int, ...] = (6, 7)
    selection_depths: tuple[int, ...] = (8, 10)
    test_depths: tuple[int, ...] = (12, 16, 24, 32, 48, 60)
    leaves: int = 64
    modulus: int = 7

    name: ClassVar[str] = "nested_expression"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "nested + - x modulo a prime, from balanced to comb at one length"
    fixed_length: ClassVar[bool] = True
    prefixes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_prime(self, "modulus", 5, 97)
        check_sizes(self, leaves=(2, 1_000))

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        return (*(str(v) for v in range(self.modulus)), "+", "-", "x")

    @property
    def chance(self) -> float:
        return 1 / (self.modulus - 1)

    @property
    def min_depth(self) -> int:
        return (self.leaves - 1).bit_length()

    @property
    def max_depth(self) -> int:
        return self.leaves - 1

    def sample(self, rng: np.random.Generator, depth: int, count: int) -> Batch:
        """Grow each tree from its root, writing the row from right to left.

        A stack a row holds the subtrees still to write: their leaves, the height allowed, whether it must be reached,
        and their value. A subtree of height h is split into one of height h - 1 and one of at most that.
        """
        m, length = self.modulus, 2 * self.leaves - 1
        inverse = np.array([0] + [pow(v, -1, m) for v in range(1, m)])
        tokens = np.empty((count, length), dtype=np.int64)
        values = np.empty_like(tokens)
        heights = np.zeros_like(tokens)
        stack = np.zeros((4, count, self.leaves + 1), dtype=np.int64)  # leaves, height allowed, reached?, value
        stack[:, :, 0] = np.stack(
            [np.full(count, self.leaves), np.full(count, depth), np.ones(count), rng.integers(1, m, size=count)]
        )
        top, row = np.zeros(count, dtype=np.int64), np.arange(count)
        for place in range(length - 1, -1, -1):
            n, height, exact, value = stack[:, row, top]
            inner = n > 1
            half = 2 ** np.clip(height - 1, 0, 30) * inner  # the most leaves that a child can have
            low = np.where(exact, np.maximum(height, n - half), np.maximum(1, n - half))
            first = rng.integers(low, np.maximum(np.minimum(half, n - 1), low) + 1)  # leaves of the exact child, if any
            operator, swap = rng.integers(3, size=count), rng.integers(2, size=count)
            left = rng.integers(1, m - (operator < 2), size=count)
            left += (operator < 2) & (left >= value)  # a + b = v and a - b = v: b is zero if a is v
            right = np.choose(operator, [value - left, left - value, value * inverse[left]]) % m
            tokens[:, place] = np.where(inner, m + operator, value)
            values[:, place] = np.where(inner, value, NOT_ASKED)
            swapped = np.where(swap, n - first, first)
            for above, leaves, must, operand in ((0, swapped, 1 - swap, left), (1, n - swapped, swap, right)):
                at = np.minimum(top + above, self.leaves)
                slot = np.stack([leaves, height - 1, exact * must, operand])
                stack[:, row, at] = np.where(inner, slot, stack[:, row, at])
            top += np.where(inner, 1, -1)
        waiting = np.zeros((count, self.leaves + 1), dtype=np.int64)  # heights of the operands written so far
        top = np.zeros(count, dtype=np.int64)
        for place in range(length):
            operator_here = tokens[:, place] >= m
            both = np.maximum(waiting[row, top - 1], waiting[row, top - 2]) + 1
            heights[:, place] = np.where(operator_here, both, 0)
            top += np.where(operator_here, -1, 1)
            waiting[row, top - 1] = heights[:, place]
        return Batch(tokens, values, heights)

    def solve(self, tokens: np.ndarray) -> Answers:
        return self._evaluate(tokens, self.leaves)

    def partial(self, tokens: np.ndarray, steps: int) -> np.ndarray:
        return self._evaluate(tokens, steps).targets

    def _evaluate(self, tokens: np.ndarray, most: int) -> Answers:
        """The usual stack machine; an expression higher than `most` keeps the value of its higher operand."""
        waiting: list[tuple[int, int]] = []  # (value, height)
        targets, depths = [], []
        for word in (self.vocabulary[t] for t in tokens.tolist()):
            if word.isdigit():
                waiting.append((int(word), 0))
                targets.append(NOT_ASKED)
                depths.append(0)
                continue
            (b, b_height), (a, a_height) = waiting.pop(), waiting.pop()
            height = 1 + max(a_height, b_height)
            value = {"+": a + b, "-": a - b, "x": a * b}[word] % self.modulus
            if height > most:
                value = a if a_height > b_height else b
            waiting.append((value, height))
            targets.append(value)
            depths.append(height)
        return Answers(np.array(targets), np.array(depths))

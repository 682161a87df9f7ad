"""An expression of nested + - x modulo a prime, its operators after their operands."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from tasks.errors import check_prime, check_sizes
from tasks.task import NOT_ASKED, Answers, Batch, Task, stages


@dataclass(frozen=True)
class NestedExpression(Task):
    """A tree of + - x whose operators stand after their operands; each subexpression is asked.

    Depth: the height of the subexpression that ends at the asked operator. Written in postfix, (1 + 2) x (3 - 5) as
    `1 2 + 3 5 - x`: it needs no brackets, which halves the rows.
    The tree is a comb with forks for some of its teeth: each operator's left operand is all of the expression before
    it, its right one a number or, for `forks` percent of them, two numbers with an operator of their own. So an
    operator finds its left operand two or four tokens before it, according to what stands just before it. In trees of
    any shape it may be any way off, and to find it takes a stack, of which height is no measure.
    No value on the way is zero, so that no product forgets its operands; answers are the residues 1 to modulus - 1.
    After: modular arithmetic with brackets (Deletang et al. 2023, arXiv 2207.02098).

    Two examples, modulo 7:

        depth 1    tokens  3 5 +              depth 3    tokens  3 5 + 2 4 - x 6 -
                   answer  . . 1                         answer  . . 1 . . 5 5 . 6
    """

    train_depths: tuple[int, ...] = (2, 3, 4, 5)
    selection_depths: tuple[int, ...] = (8, 16)
    test_depths: tuple[int, ...] = (20, 40, 60)
    modulus: int = 7
    forks: int = 50  # percent of the teeth
    curriculum: tuple[int, ...] = (0, 25)  # percent trained on before, at first a plain comb

    name: ClassVar[str] = "nested_expression"
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "nested + - x modulo a prime, operators after operands"
    fixed_length: ClassVar[bool] = False
    prefixes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_prime(self, "modulus", 5, 97)
        check_sizes(self, forks=(0, 100))

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        return (*(str(v) for v in range(self.modulus)), "+", "-", "x")

    @property
    def chance(self) -> float:
        return 1 / (self.modulus - 1)

    @property
    def stages(self) -> tuple[Task, ...]:
        return stages(self, forks=self.curriculum)

    def sample(self, rng: np.random.Generator, depth: int, count: int) -> Batch:
        """One operator of the comb after another. As many have a fork in each row, that all be equally long."""
        m, row = self.modulus, np.arange(count)
        inverse = np.array([0] + [pow(v, -1, m) for v in range(1, m)])
        many = (depth - 1) * self.forks // 100
        forks = rng.random((count, depth - 1)).argsort(axis=1) < many
        forks = np.concatenate([np.zeros((count, 1), dtype=bool), forks], axis=1)  # of the first, both are numbers
        length = 1 + 2 * depth + 2 * many
        tokens = np.empty((count, length), dtype=np.int64)
        targets, depths = np.full_like(tokens, NOT_ASKED), np.zeros_like(tokens)
        value = tokens[:, 0] = rng.integers(1, m, size=count)
        at = np.ones(count, dtype=np.int64)  # where each row goes on

        for height in range(1, depth + 1):
            fork = forks[:, height - 1]
            operator = rng.integers(3, size=count)
            right = rng.integers(1, m - (operator < 2), size=count)
            right += (operator < 2) & (right >= np.where(operator == 0, m - value, value))  # the one that makes zero
            inner = rng.integers(3, size=count)  # right = a + b, a - b or a x b, none of them zero
            a = rng.integers(1, m - (inner < 2), size=count)
            a += (inner < 2) & (a >= right)
            b = np.choose(inner, [right - a, a - right, right * inverse[a]]) % m
            for number, token in enumerate((a, b, m + inner)):
                tokens[row[fork], at[fork] + number] = token[fork]
            last = at + 2 * fork
            targets[row[fork], last[fork]], depths[row[fork], last[fork]] = right[fork], 1
            tokens[row[~fork], at[~fork]] = right[~fork]
            value = np.choose(operator, [value + right, value - right, value * right]) % m
            tokens[row, last + 1], targets[row, last + 1], depths[row, last + 1] = m + operator, value, height
            at = last + 2
        return Batch(tokens, targets, depths)

    def solve(self, tokens: np.ndarray) -> Answers:
        return self._evaluate(tokens, len(tokens))

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

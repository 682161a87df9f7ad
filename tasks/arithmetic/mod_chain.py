"""A running value under + - x modulo a prime, asked after every step."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from tasks.errors import check_prime, check_sizes
from tasks.task import NOT_ASKED, Answers, Batch, Task


@dataclass(frozen=True)
class ModChain(Task):
    """Begin with a value and carry out one step a token, `+a`, `-a` or `xa`, modulo a prime; each prefix is asked.

    Depth: the number of steps up to the asked position. Every step is a bijection of the residues (no `x0`), so that
    the past is never forgotten, and none is the identity (no `+0`, `-0`, `x1`), so that every step is one. The steps do
    not commute, so that counting the tokens does not answer: who knows how many of each there are, but not their order,
    has the commonest result of all orders, right in about a sixth of depth 10 and no more than a guess from 20 on. Who
    has the last five in order as well has about two fifths of depth 10, and hardly more than a guess of 20.
    After: modular arithmetic (Deletang et al. 2022, arXiv 2207.02098), there without brackets too.

    Two examples, modulo 11:

        depth 1    tokens  9 +3              depth 3    tokens  9 +3 x3 -2
                   answer  .  1                         answer  .  1  3  1
    """

    train_depths: tuple[int, ...] = (1, 2, 3, 4, 5)
    selection_depths: tuple[int, ...] = (6, 8)
    test_depths: tuple[int, ...] = (10, 20, 40, 80)
    modulus: int = 11
    largest_operand: int = 3

    name: ClassVar[str] = "mod_chain"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "a running value under + - x modulo a prime"
    fixed_length: ClassVar[bool] = False
    prefixes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_prime(self, "modulus", 3, 997)
        check_sizes(self, largest_operand=(2, self.modulus - 1))

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        operands = range(1, self.largest_operand + 1)
        return (
            *(str(v) for v in range(self.modulus)),
            *(f"+{a}" for a in operands),
            *(f"-{a}" for a in operands),
            *(f"x{a}" for a in operands if a > 1),
        )

    @property
    def chance(self) -> float:
        return 1 / self.modulus

    @cached_property
    def _steps(self) -> tuple[np.ndarray, np.ndarray]:
        """Every step as value -> factor * value + shift; two int64 arrays (steps,), in the vocabulary's order."""
        plus, times = np.arange(1, self.largest_operand + 1), np.arange(2, self.largest_operand + 1)
        factor = np.concatenate([np.ones(2 * len(plus), dtype=np.int64), times])
        shift = np.concatenate([plus, -plus, np.zeros(len(times), dtype=np.int64)])
        return factor, shift

    def sample(self, rng: np.random.Generator, depth: int, count: int) -> Batch:
        factor, shift = self._steps
        steps = rng.integers(len(factor), size=(count, depth))
        value = rng.integers(self.modulus, size=count)
        tokens = np.concatenate([value[:, None], steps + self.modulus], axis=1)
        targets = np.full_like(tokens, NOT_ASKED)
        for i in range(depth):
            value = (factor[steps[:, i]] * value + shift[steps[:, i]]) % self.modulus
            targets[:, i + 1] = value
        depths = np.broadcast_to(np.arange(depth + 1), tokens.shape).copy()
        return Batch(tokens, targets, depths)

    def solve(self, tokens: np.ndarray) -> Answers:
        words = [self.vocabulary[t] for t in tokens.tolist()]
        value, done = int(words[0]), 0
        targets, depths = [NOT_ASKED], [0]
        for word in words[1:]:
            a = int(word[1:])
            value = {"+": value + a, "-": value - a, "x": value * a}[word[0]] % self.modulus
            done += 1
            targets.append(value)
            depths.append(done)
        return Answers(np.array(targets), np.array(depths))

    def recent(self, tokens: np.ndarray, steps: int) -> np.ndarray:
        seen = np.concatenate([tokens[:1], tokens[1:][-steps:]])  # as if it began there, at the row's own start
        return np.full(len(tokens), self.solve(seen).targets[-1])

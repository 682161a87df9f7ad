"""A running value under + - x modulo a prime, asked after every step."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from tasks.chains import beginnings, deepest_chain, first_in_row, since
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
    With `terms` all rows are of so many tokens, and hold several chains, each from a value of its own on: a deeper
    question then stands in no longer row. Such a row has one chain of its depth, at any place, and none that is longer.
    After: modular arithmetic (Deletang et al. 2022, arXiv 2207.02098), there without brackets too.

    Two examples, modulo 11:

        depth 1    tokens  9 +3              depth 3    tokens  9 +3 x3 -2
                   answer  .  1                         answer  .  1  3  1

    and a row of depth 3 with `terms=7`:   tokens  4 -1  9 +3 x3 -2  5
                                           answer  .  3  .  1  3  1  .
    """

    train_depths: tuple[int, ...] = (1, 2, 3, 4, 5)
    selection_depths: tuple[int, ...] = (6, 8)
    test_depths: tuple[int, ...] = (10, 20, 40, 80)
    modulus: int = 11
    largest_operand: int = 3
    terms: int = 0  # tokens of every row; with 0 a row is as long as its one chain

    name: ClassVar[str] = "mod_chain"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "a running value under + - x modulo a prime"
    prefixes: ClassVar[bool] = True
    later: ClassVar[tuple[str, ...]] = ("terms",)

    def __post_init__(self) -> None:
        check_prime(self, "modulus", 3, 997)
        check_sizes(self, largest_operand=(2, self.modulus - 1), terms=(0, 10_000))

    @property
    def fixed_length(self) -> bool:  # type: ignore[override]  # of one size, not of the whole class
        return self.terms > 0

    @property
    def max_depth(self) -> int | None:
        return self.terms - 1 if self.terms else None

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
        steps = rng.integers(len(factor), size=(count, (self.terms or depth + 1) - 1))
        value = rng.integers(self.modulus, size=count)
        begins = beginnings(rng, depth, count, self.terms)
        tokens = np.concatenate([value[:, None], steps + self.modulus], axis=1)
        anew = begins[:, 1:]
        tokens[:, 1:][anew] = rng.integers(self.modulus, size=anew.sum())
        targets = np.full_like(tokens, NOT_ASKED)
        for i in range(1, tokens.shape[1]):
            step = steps[:, i - 1]
            value = np.where(begins[:, i], tokens[:, i], (factor[step] * value + shift[step]) % self.modulus)
            targets[:, i] = np.where(begins[:, i], NOT_ASKED, value)
        return Batch(tokens, targets, since(begins))

    def asked_first(self, tokens: np.ndarray) -> np.ndarray:
        return first_in_row(tokens, tokens < self.modulus) if self.terms else super().asked_first(tokens)

    def solve(self, tokens: np.ndarray) -> Answers:
        words = [self.vocabulary[t] for t in tokens.tolist()]
        value, done = 0, 0
        targets, depths = [], []
        for place, word in enumerate(words):
            if place == 0 or (self.terms and word.isdigit()):
                value, done = int(word), 0
            else:
                a = int(word[1:])
                value = {"+": value + a, "-": value - a, "x": value * a}[word[0]] % self.modulus
                done += 1
            targets.append(value if done else NOT_ASKED)
            depths.append(done)
        return Answers(np.array(targets), np.array(depths))

    def recent(self, tokens: np.ndarray, steps: int) -> np.ndarray:
        chain = deepest_chain(tokens, self.solve(tokens).depths)
        seen = np.concatenate([chain[:1], chain[1:][-steps:]])  # as if it began there, at its own start
        return np.full(len(tokens), self.solve(seen).targets[-1])

"""Variables defined by other variables: the shape of iGSM without its English."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from tasks.errors import check_prime, check_sizes
from tasks.graph.prompt import cut, draw_names
from tasks.task import NOT_ASKED, Answers, Batch, Task, stages, up_to


@dataclass(frozen=True)
class VariableAssignment(Task):
    """A program of definitions `a op b x` (x becomes a op b) modulo a prime; each variable asks, where it stands, for
    its value: at the end of its definition, and wherever another one reads it.

    Depth: the longest chain of definitions that the variable rests on. A variable of level l combines one of level
    l - 1 with a constant (+ - x) or with another lower variable (+ -), on either side; level 1 is two constants. A row
    of depth d has d to `levels` levels, drawn evenly, a variable at least of each, and the rest at random: so variables
    of one level stand anywhere in a row, in training too, and what is asked differs: in a row of depth d, all variables
    of level d or less. A constant beside a variable is neither 0 nor 1, so that each step is one, and at most
    `largest_operand`, so that what is learnt by heart stays small; so is one of two that are multiplied. Two constants
    that are added are any, as two variables are: all sums are learnt at level 1, before anything is looked up.
    Definitions stand in the order of their levels: nothing is used before it is defined, and in rows of many levels
    most rest on one shortly before them and some on another at any distance. The name stands last, where the value is
    known: who looks for a variable finds both in one place.
    Terms cancel, as in any arithmetic: who writes the deepest variable out as a sum of lower ones, level by level,
    finds a level or more with nothing to read in three questions in five of depth 24, and reads about 21.5.
    Depth is at most `levels`; the default is the most that keeps rows near 110 tokens.
    After: iGSM (Ye et al. 2024, arXiv 2407.20311), there modulo 23, shuffled, and asked once; without its English, as
    Saunshi et al. 2025 (arXiv 2502.17416) have it, modulo 7.

    Two examples, with `variables=3`, `levels=2`, modulo 11:

        depth 1    tokens  3 - 6 v2 v2 x 2 v1 v2 - 2 v0
                   answer  . . .  8  8 . .  .  8 . .  .

        depth 2    tokens  9 - 3 v2 5 + 3 v1 v2 - 3 v0
                   answer  . . .  6 . . .  8  6 . .  3
    """

    train_depths: tuple[int, ...] = (1, 2, 3)
    selection_depths: tuple[int, ...] = (4, 5)
    test_depths: tuple[int, ...] = (6, 8, 12, 16, 24)
    variables: int = 28
    levels: int = 24
    names: int = 28
    curriculum: tuple[int, ...] = (1, 2, 3, 6, 12)  # numbers of levels trained on before
    modulus: int = 11
    largest_operand: int = 3

    name: ClassVar[str] = "variable_assignment"
    version: ClassVar[int] = 6
    summary: ClassVar[str] = "variables defined by variables, modulo a prime"
    fixed_length: ClassVar[bool] = True
    prefixes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_prime(self, "modulus", 5, 97)
        check_sizes(self, largest_operand=(2, self.modulus - 1))
        check_sizes(self, variables=(1, 1_000), levels=(1, self.variables))
        check_sizes(self, names=(self.variables, 10_000))

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        return (*(str(v) for v in range(self.modulus)), "+", "-", "x", *(f"v{i}" for i in range(self.names)))

    @property
    def chance(self) -> float:
        return 1 / self.modulus

    @property
    def stages(self) -> tuple[Task, ...]:
        """Few levels first. Reading is learnt among eight variables: of fewer, most stand so near that no name has to
        be found, and that is then all that is learnt."""
        levels = up_to(self.curriculum, self.levels)
        variables = tuple(min(8 * max(1, n - 1), self.variables) for n in levels)
        return stages(self, variables=variables, levels=levels)

    @property
    def max_depth(self) -> int:
        return self.levels

    def asked_first(self, tokens: np.ndarray) -> np.ndarray:
        """A variable asks where it is defined; read again, it asks for what it did."""
        new = np.zeros(tokens.shape, dtype=bool)
        for row, words in zip(new, tokens, strict=True):
            row[np.unique(words, return_index=True)[1]] = True
        return new

    def sample(self, rng: np.random.Generator, depth: int, count: int) -> Batch:
        m, variables = self.modulus, self.variables
        shape, row = (count, variables), np.arange(count)[:, None]
        levels = rng.integers(depth, self.levels + 1, size=(count, 1))
        every = np.arange(1, variables + 1)
        level = np.where(every <= levels, every, rng.integers(1, levels + 1, size=shape))

        gap = level[:, :, None] - level[:, None, :]  # (count, variable, candidate)
        lot = rng.random(gap.shape, dtype=np.float32)
        near = np.where(gap == 1, lot, -1).argmax(axis=2)
        np.put_along_axis(lot, near[:, :, None], -1, axis=2)
        other = np.where(gap > 0, lot, -1)
        far = other.argmax(axis=2)
        constant = (other.max(axis=2) < 0) | (rng.random(shape) < 0.5)  # is the second operand one?

        operator = rng.integers(np.where(constant, 3, 2))
        plain = (level == 1) & (operator < 2)  # two constants, no product
        first = rng.integers(np.where(plain, 0, 2), m)  # the constants, where there is one
        second = rng.integers(np.where(plain, 0, 2), np.where(plain, m, self.largest_operand + 1))
        swap = rng.random(shape) < 0.5
        values = np.empty(shape, dtype=np.int64)
        for step in range(1, self.levels + 1):  # each level reads the levels below it, the first none
            a = values[row, near] if step > 1 else first
            b = np.where(constant, second, values[row, far] if step > 1 else second)
            a, b = np.where(swap, b, a), np.where(swap, a, b)
            values = np.where(level == step, np.choose(operator, [a + b, a - b, a * b]) % m, values)

        names = draw_names(rng, count, variables, self.names) + m + 3
        a = np.where(level == 1, first, names[row, near])
        b = np.where(constant, second, names[row, far])
        facts = np.stack([np.where(swap, b, a), m + operator, np.where(swap, a, b), names], axis=2)
        order = (level + rng.random(shape)).argsort(axis=1)
        tokens = np.take_along_axis(facts, order[:, :, None], axis=1).reshape(count, -1)

        asked = np.zeros((count, len(self.vocabulary)), dtype=np.int64)  # of every token: its depth, if it is asked
        known = np.zeros_like(asked)
        np.put_along_axis(asked, names, np.where(level <= depth, level, 0), axis=1)
        np.put_along_axis(known, names, values, axis=1)
        depths = np.take_along_axis(asked, tokens, axis=1)
        targets = np.where(depths > 0, np.take_along_axis(known, tokens, axis=1), NOT_ASKED)
        return Batch(tokens, targets, depths)

    def solve(self, tokens: np.ndarray) -> Answers:
        """Round by round, work out all that rests on known values only."""
        words = [self.vocabulary[t] for t in tokens.tolist()]
        todo = {x: (a, op, b) for a, op, b, x in cut(words, 4)}
        known: dict[str, tuple[int, int]] = {}  # variable: (value, round)
        while todo:
            ready = {}
            for x, (a, op, b) in todo.items():
                if all(w.isdigit() or w in known for w in (a, b)):
                    u, v = (int(w) if w.isdigit() else known[w][0] for w in (a, b))
                    value = {"+": u + v, "-": u - v, "x": u * v}[op] % self.modulus
                    ready[x] = (value, 1 + max(known[w][1] if w in known else 0 for w in (a, b)))
            if not ready:
                raise ValueError("definitions that rest on each other, or on what has none")
            known |= ready
            todo = {x: definition for x, definition in todo.items() if x not in ready}
        return Answers(*np.array([known.get(word, (NOT_ASKED, 0)) for word in words]).T)

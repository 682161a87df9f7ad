"""An expression of nested + - x modulo a prime, from balanced to comb, at one length."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from tasks.errors import check_prime, check_sizes
from tasks.graph.prompt import draw_names
from tasks.task import NOT_ASKED, Answers, Batch, Task


@dataclass(frozen=True)
class NestedExpression(Task):
    """A tree of + - x over a fixed number of leaves, operators after their operands; each subexpression is asked.

    Depth: the height of the subexpression that ends at the asked operator, so that a row of depth d holds every depth
    up to d. A left operand's last token has a name before it, which stands again before the operator that takes it:
    (1 + 2) x 3 is `n4 1 2 n0 n4 + 3 n0 x`. There, the name asks too, for what it stands for; its depth is that of the
    operand. Without names, `1 2 + 3 x`, who reads has to count brackets first, and a comb stacks more of them than any
    tree as shallow as those trained on: a failure there would not tell reasoning from parsing.
    No value on the way is zero, so that no product forgets its operands; answers are the residues 1 to modulus - 1.
    n leaves have depths from log2(n), balanced, to n - 1, a comb. That is why training begins at 5 and not at 1; its
    curriculum is of fewer leaves. The default keeps rows near 125 tokens.
    After: modular arithmetic with brackets (Deletang et al. 2023, arXiv 2207.02098).

    Two examples, with `leaves=4`, modulo 7:

        depth 2    tokens  n2 3 2 n4 n2 + n0 5 3 n0 + n4 +
                   answer   . . .  .  . 5  . . .  . 1  5 6

        depth 3    tokens  n2 4 4 n0 n2 + 3 n4 n0 - 1 n4 +
                   answer   . . .  .  . 1 .  .  1 5 .  5 6
    """

    train_depths: tuple[int, ...] = (5, 6)
    selection_depths: tuple[int, ...] = (7, 8)
    test_depths: tuple[int, ...] = (12, 16, 24, 31)
    leaves: int = 32
    names: int = 32
    curriculum: tuple[int, ...] = (2, 4, 8, 16)  # numbers of leaves trained on before
    modulus: int = 7

    name: ClassVar[str] = "nested_expression"
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "nested + - x modulo a prime, from balanced to comb at one length"
    fixed_length: ClassVar[bool] = True
    prefixes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_prime(self, "modulus", 5, 97)
        check_sizes(self, leaves=(2, 1_000))
        check_sizes(self, names=(self.leaves - 1, 10_000))

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        return (*(str(v) for v in range(self.modulus)), "+", "-", "x", *(f"n{i}" for i in range(self.names)))

    @property
    def chance(self) -> float:
        return 1 / (self.modulus - 1)

    @property
    def stages(self) -> tuple[Task, ...]:
        """Few leaves first, each as many as these from its own shallowest depth on as the task itself trains on."""
        made = []
        for leaves in self.curriculum:
            stage = replace(self, leaves=leaves, curriculum=())
            depths = tuple(stage.min_depth + d - self.min_depth for d in self.train_depths)
            made.append(replace(stage, train_depths=tuple(d for d in depths if d <= stage.max_depth)))
        return (*made, self)

    @property
    def min_depth(self) -> int:
        return (self.leaves - 1).bit_length()

    @property
    def max_depth(self) -> int:
        return self.leaves - 1

    def sample(self, rng: np.random.Generator, depth: int, count: int) -> Batch:
        """Grow each tree from its root, writing the row from right to left.

        A stack a row holds what is still to write: the leaves of a subtree, the height allowed, whether it must be
        reached, its value, and its name if it is a left operand. A name alone has no leaves. A subtree of height h is
        split into one of height h - 1 and one of at most that.
        """
        m, length = self.modulus, 4 * self.leaves - 3
        inverse = np.array([0] + [pow(v, -1, m) for v in range(1, m)])
        names = draw_names(rng, count, self.leaves - 1, self.names) + m + 3
        tokens = np.empty((count, length), dtype=np.int64)
        targets = np.full_like(tokens, NOT_ASKED)
        stack = np.zeros((5, count, 4 * self.leaves), dtype=np.int64)  # leaves, height allowed, reached?, value, name
        stack[:4, :, 0] = np.stack(
            [np.full(count, self.leaves), np.full(count, depth), np.ones(count), rng.integers(1, m, size=count)]
        )
        top, used, row = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64), np.arange(count)
        none = np.zeros_like(top)
        for place in range(length - 1, -1, -1):
            n, height, exact, value, name = stack[:, row, top]
            inner = n > 1
            half = 2 ** np.clip(height - 1, 0, 30) * inner  # the most leaves that a child can have
            low = np.where(exact, np.maximum(height, n - half), np.maximum(1, n - half))
            first = rng.integers(low, np.maximum(np.minimum(half, n - 1), low) + 1)  # leaves of the exact child, if any
            operator, swap = rng.integers(3, size=count), rng.integers(2, size=count)
            left = rng.integers(1, m - (operator < 2), size=count)
            left += (operator < 2) & (left >= value)  # a + b = v and a - b = v: b is zero if a is v
            right = np.choose(operator, [value - left, left - value, value * inverse[left]]) % m
            of_left = names[row, np.minimum(used, self.leaves - 2)]
            tokens[:, place] = np.where(inner, m + operator, np.where(n == 1, value, name))
            targets[:, place] = np.where(n == 1, NOT_ASKED, value)
            swapped = np.where(swap, n - first, first)
            named = (n > 0) & (name > 0)  # has its name before it
            after = [
                (inner, (swapped, height - 1, exact * (1 - swap), left, of_left)),
                (inner, (n - swapped, height - 1, exact * swap, right, none)),
                (named, (none, none, none, none + NOT_ASKED, name)),
                (inner, (none, none, none, left, of_left)),
            ]  # what stands before it, the nearest last
            top -= 1
            for wanted, item in after:
                top += wanted
                at = np.maximum(top, 0)
                stack[:, row, at] = np.where(wanted, np.stack(item), stack[:, row, at])
            used += inner
        depths = self._heights(tokens)
        return Batch(tokens, np.where(depths > 0, targets, NOT_ASKED), depths)

    def _heights(self, tokens: np.ndarray) -> np.ndarray:
        """The height (count, length) of the subexpression that ends at each operator, or that its name stands for."""
        count, length = tokens.shape
        row, top = np.arange(count), np.zeros(count, dtype=np.int64)
        waiting = np.zeros((count, self.leaves + 2), dtype=np.int64)  # heights of the operands written so far
        heights = np.zeros_like(tokens)
        for place in range(length):
            operator = (tokens[:, place] >= self.modulus) & (tokens[:, place] < self.modulus + 3)
            digit = tokens[:, place] < self.modulus
            both = np.maximum(waiting[row, top - 1], waiting[row, top - 2]) + 1
            heights[:, place] = np.where(operator, both, 0)
            if place:
                heights[:, place - 1] = np.where(operator, waiting[row, top - 2], heights[:, place - 1])
            top += np.where(operator, -1, digit)
            waiting[row, top - 1] = np.where(operator, both, np.where(digit, 0, waiting[row, top - 1]))
        return heights

    def solve(self, tokens: np.ndarray) -> Answers:
        return self._evaluate(tokens, self.leaves)

    def partial(self, tokens: np.ndarray, steps: int) -> np.ndarray:
        return self._evaluate(tokens, steps).targets

    def _evaluate(self, tokens: np.ndarray, most: int) -> Answers:
        """A machine with registers: a new name takes the value behind it, and gives it to the operator behind it later.

        An expression higher than `most` keeps the value of its higher operand.
        """
        last = (0, 0)  # (value, height)
        registers: dict[str, tuple[int, int]] = {}
        named: list[str] = []  # names since the last value
        targets, depths = [], []
        for word in (self.vocabulary[t] for t in tokens.tolist()):
            answer = (NOT_ASKED, 0)
            if word.startswith("n"):
                answer = registers.get(word, answer)
                named.append(word)
            else:
                if word.isdigit():
                    last = (int(word), 0)
                else:
                    (a, a_height), (b, b_height) = registers[named.pop()], last
                    height = 1 + max(a_height, b_height)
                    value = {"+": a + b, "-": a - b, "x": a * b}[word] % self.modulus
                    if height > most:
                        value = a if a_height > b_height else b
                    answer = last = (value, height)
                for name in named:
                    registers[name] = last
                named = []
            targets.append(answer[0] if answer[1] else NOT_ASKED)
            depths.append(answer[1])
        return Answers(np.array(targets), np.array(depths))

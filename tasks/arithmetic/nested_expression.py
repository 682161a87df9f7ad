"""Expressions of nested + - x modulo a prime, from balanced to comb, at one length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, NamedTuple

import numpy as np

from tasks.errors import check_prime, check_sizes
from tasks.task import NOT_ASKED, Answers, Batch, Task, up_to

Word = tuple[int, int, int]  # a token, its target and its depth


class Node(NamedTuple):
    """A digit, or an operator with its operands."""

    word: str
    value: int
    height: int
    left: Node | None = None
    right: Node | None = None


@dataclass(frozen=True)
class NestedExpression(Task):
    """Trees of + - x over a fixed number of leaves, operators after their operands; each subexpression is asked.

    Depth: the height of the subexpression that ends at the asked operator, so that a row of depth d holds every depth
    up to d; its last expression has that height, the others no more. A left operand's last token has a name before it,
    which stands again before the operator that takes it: (1 + 2) x 3 is `n4 1 2 n0 n4 + 3 n0 x`. There, the name asks
    too, for what it stands for; its depth is that of the operand, and 1 for a digit. Between a left operand and its
    right one, other expressions may stand. Without names, `1 2 + 3 x`, who reads has to count brackets first, and a
    comb stacks more of them than any tree as shallow as those trained on; and where nothing stands between, the shape
    of a shallow tree tells where its operand is, so that names are not learnt.
    No value on the way is zero, so that no product forgets its operands; answers are the residues 1 to modulus - 1. So
    the end of an expression rules answers out, which its beginning would have to be zero for: who reads the last three
    steps alone and guesses among the others is right in 18% (of depth 8) to 24% (of 25), where a guesser is in 17%; who
    reads half of 25 in three of five.
    An expression of n leaves has a depth from log2(n), balanced, to n - 1, a comb; each has two leaves or more. That is
    why training begins at 3 and not at 1, and its curriculum is of fewer leaves. The default keeps rows below 120
    tokens.
    After: modular arithmetic with brackets (Deletang et al. 2022, arXiv 2207.02098).

    Two examples, with `leaves=6`, `expressions=2`, modulo 7:

        depth 2    tokens  n4 1 5 n3 n4 - n1 5 n0 2 6 n0 - 3 n1 - n3 x
                   answer   . . .  .  1 3  . .  . . .  2 3 .  5 2  3 6

        depth 3    tokens  n4 4 n1 2 2 n1 x n0 5 3 n0 + n2 n4 + 4 n2 +
                   answer   . .  . . .  2 4  . . .  5 1  .  4 5 .  5 2
    """

    train_depths: tuple[int, ...] = (3, 4)
    selection_depths: tuple[int, ...] = (5, 6)
    test_depths: tuple[int, ...] = (8, 12, 16, 20, 25)
    leaves: int = 32
    expressions: int = 4
    names: int = 32
    curriculum: tuple[int, ...] = (8, 12, 24)  # numbers of leaves trained on before
    modulus: int = 7

    name: ClassVar[str] = "nested_expression"
    version: ClassVar[int] = 4
    summary: ClassVar[str] = "nested + - x modulo a prime, from balanced to comb at one length"
    fixed_length: ClassVar[bool] = True
    prefixes: ClassVar[bool] = True
    known_shortcut: ClassVar[str] = "no value on the way is zero, so that its last steps rule answers out"

    def __post_init__(self) -> None:
        check_prime(self, "modulus", 5, 97)
        check_sizes(self, expressions=(1, 1_000))
        check_sizes(self, leaves=(2 * self.expressions, 1_000))
        check_sizes(self, names=(self.leaves - self.expressions, 10_000))

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
        for leaves in up_to(self.curriculum, self.leaves):
            stage = replace(self, leaves=leaves, curriculum=())
            depths = tuple(stage.min_depth + d - self.min_depth for d in self.train_depths)
            depths = tuple(d for d in depths if d <= stage.max_depth)
            if depths:
                made.append(replace(stage, train_depths=depths))
        return (*made, self)

    @property
    def min_depth(self) -> int:
        return (-(-self.leaves // self.expressions) - 1).bit_length()

    @property
    def max_depth(self) -> int:
        return self.leaves - 2 * self.expressions + 1

    def sample(self, rng: np.random.Generator, depth: int, count: int) -> Batch:
        rows = np.array([self._row(rng, depth) for _ in range(count)], dtype=np.int64)  # (count, length, 3)
        return Batch(*(np.ascontiguousarray(rows[:, :, part]) for part in range(3)))

    def _row(self, rng: np.random.Generator, depth: int) -> list[Word]:
        """The last expression, and each of the others put before it or behind a left operand in what stands there."""
        lot = iter(rng.random(8 * self.leaves).tolist())
        names = iter((rng.permutation(self.names) + self.modulus + 3).tolist())
        fullest = 2 ** min(depth, 30)  # the most leaves of a tree so high
        others, left = self.expressions - 1, self.leaves
        least = max(depth + 1, left - others * fullest)
        size = within(next(lot), least, min(fullest, left - 2 * others))
        row = self._written(lot, names, size, depth, True, 1 + int(next(lot) * (self.modulus - 1)), 0)
        for more in range(others - 1, -1, -1):
            left -= size
            size = within(next(lot), max(2, left - more * fullest), min(fullest, left - 2 * more))
            other = self._written(lot, names, size, depth, False, 1 + int(next(lot) * (self.modulus - 1)), 0)
            ends = self._ends(row)
            at = ends[int(next(lot) * len(ends))]
            row[at:at] = other
        return row

    def _ends(self, row: list[Word]) -> list[int]:
        """Where another expression may stand: first of all, and behind each left operand, which has a new name."""
        ends, seen = [0], set()
        for place, (token, _, _) in enumerate(row):
            if token >= self.modulus + 3 and token not in seen:
                seen.add(token)
                ends.append(place + (2 if row[place + 1][0] < self.modulus else 3))  # a digit, or a name and operator
        return ends

    def _written(
        self, lot: Iterator[float], names: Iterator[int], leaves: int, height: int, exact: bool, value: int, name: int
    ) -> list[Word]:
        """A tree of at most this height, or of exactly this, with its name before its last token if it has one."""
        kept = [(name, NOT_ASKED, 0)] if name else []
        if leaves == 1:
            return [*kept, (value, NOT_ASKED, 0)]
        m, half = self.modulus, 2 ** min(height - 1, 30)  # the most leaves that an operand can have
        first = within(next(lot), max(height if exact else 1, leaves - half), min(half, leaves - 1))
        operator, swap = int(next(lot) * 3), next(lot) < 0.5  # is the right operand the first one?
        left = 1 + int(next(lot) * (m - 1 - (operator < 2)))
        left += operator < 2 and left >= value  # a + b = v and a - b = v: b is zero if a is v
        right = (value - left, left - value, value * pow(left, -1, m))[operator] % m
        mine = next(names)
        sizes = (leaves - first, first) if swap else (first, leaves - first)
        a = self._written(lot, names, sizes[0], height - 1, exact and not swap, left, mine)
        b = self._written(lot, names, sizes[1], height - 1, exact and swap, right, 0)
        deep = [operand[-1][2] for operand in (a, b)]
        called = (mine, left, max(deep[0], 1))
        return [*a, *b, *kept, called, (m + operator, value, 1 + max(deep))]

    def solve(self, tokens: np.ndarray) -> Answers:
        return self._answers(tokens, self.leaves)

    def partial(self, tokens: np.ndarray, steps: int) -> np.ndarray:
        return self._answers(tokens, steps).targets

    def _answers(self, tokens: np.ndarray, most: int) -> Answers:
        """An expression higher than `most` has the value of its higher operand."""
        targets, depths = np.full(len(tokens), NOT_ASKED), np.zeros(len(tokens), dtype=np.int64)
        for place, node in enumerate(self._read(tokens)):
            if node:
                depths[place] = max(node.height, 1)
                while node.left and node.right and node.height > most:
                    node = node.left if node.left.height > node.right.height else node.right
                targets[place] = node.value
        return Answers(targets, depths)

    def recent(self, tokens: np.ndarray, steps: int) -> np.ndarray:
        """At the end of the last expression: a guess among what its `steps` highest levels leave, if no value is zero.

        They are read along the higher operands, as far as the lower one is known from these levels.
        """
        m = self.modulus
        node, unread, left = self._read(tokens)[-1], np.arange(m), {0}  # unread: the answer by the value of node
        for levels in range(steps, 0, -1):
            if not (node and node.left and node.right) or min(node.left.height, node.right.height) >= levels:
                break
            first = node.left.height > node.right.height
            side, value = (node.right if first else node.left).value, np.arange(m)
            a, b = (value, side) if first else (side, value)
            unread = unread[{"+": a + b, "-": a - b, "x": a * b}[node.word] % m]
            left.add(int(unread[0]))
            node = node.left if first else node.right
        guess = np.full(len(tokens), NOT_ASKED)
        guess[-1] = next(v for v in range(m) if v not in left)
        return guess

    def _read(self, tokens: np.ndarray) -> list[Node | None]:
        """What each token asks for: an operator what ends there, a name that stands there again what it names.

        A machine with registers: a new name takes the value behind it, and gives it to the operator behind it later.
        """
        last = Node("0", 0, 0)
        registers: dict[str, Node] = {}
        named: list[str] = []  # names since the last value
        asked: list[Node | None] = []
        for word in (self.vocabulary[t] for t in tokens.tolist()):
            if word.startswith("n"):
                asked.append(registers.get(word))
                named.append(word)
                continue
            if word.isdigit():
                last = Node(word, int(word), 0)
            else:
                a, b = registers[named.pop()], last
                value = {"+": a.value + b.value, "-": a.value - b.value, "x": a.value * b.value}[word] % self.modulus
                last = Node(word, value, 1 + max(a.height, b.height), a, b)
            asked.append(last if last.height else None)
            registers |= dict.fromkeys(named, last)
            named = []
        return asked


def within(share: float, least: int, most: int) -> int:
    """The whole number from least to most that a random share from 0 to 1 falls on."""
    return least + int(share * (most - least + 1))

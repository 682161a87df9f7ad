"""p-hop induction: jump from a character to what followed its previous occurrence, p times."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from tasks.errors import check_sizes
from tasks.graph.prompt import draw_names
from tasks.task import NOT_ASKED, Answers, Batch, Task, stages


@dataclass(frozen=True)
class PHopInduction(Task):
    """From the last character, p times: find the previous occurrence, move to the character after it; each is asked.

    Every character stands behind a name of its place, drawn for the row (an index hint); the answer is the name of the
    place moved to. The papers have no names and ask for the character there, one of four, which tells too little of
    where a walk stands to be learnt from, and which the commonest character of a short text often is.
    Depth: the number p of such moves. Every character asks for its own first one, if there is any; from the last one on
    each `>` asks for one more. There are always `hops` - 1 of these, those beyond the depth unasked, so that rows of
    one distribution serve every depth.
    No character repeats at once (the move would stay where it is). Sequences that run out before `hops` moves are
    drawn again, at every depth alike. Each move takes about `alphabet` - 1 characters, hence the cap on `hops`.
    The papers ask p = 16 and 32 of 256 characters, alphabet 4: that is `length=256`, `names=256`, `hops=32`.
    After: Sanford et al. 2024 (arXiv 2402.09268), Saunshi et al. 2025 (arXiv 2502.17416); the hints: Zhou et al. 2023
    (arXiv 2310.16028).

    Two examples, with `length=8`, `hops=2`:

        depth 1    tokens  n3 b n1 c n2 d n4 a n5  c n6  b n0  d n7  a >
                   answer   . .  . .  . .  . .  . n2  . n1  . n4  . n5 .

        depth 2    tokens  n3 b n1 c n2 d n4 a n5  c n6  b n0  d n7  a  >
                   answer   . .  . .  . .  . .  . n2  . n1  . n4  . n5 n2
    """

    train_depths: tuple[int, ...] = (1, 2, 3)
    selection_depths: tuple[int, ...] = (4, 5)
    test_depths: tuple[int, ...] = (6, 8, 12, 16, 24)
    length: int = 80
    names: int = 80
    alphabet: int = 4
    hops: int = 24
    curriculum: tuple[int, ...] = (10, 16, 28, 48)  # lengths trained on before

    name: ClassVar[str] = "p_hop_induction"
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "p times: previous occurrence, then the character after it"
    fixed_length: ClassVar[bool] = True
    prefixes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_sizes(self, alphabet=(3, 26), length=(8, 100_000))
        most = (self.length + 8) // (self.alphabet - 1)  # above it, too few sequences have so many moves
        check_sizes(self, hops=(1, most))
        check_sizes(self, names=(self.length, 100_000))

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        return (*"abcdefghijklmnopqrstuvwxyz"[: self.alphabet], ">", *(f"n{i}" for i in range(self.names)))

    @property
    def chance(self) -> float:
        return 1 / self.length

    @property
    def stages(self) -> tuple[Task, ...]:
        """Short texts first: of one move, then of two, then of nearly as many for their length as the task's."""
        hops = (min(self.hops, at + 1 if at < 2 else length // 4 + 1) for at, length in enumerate(self.curriculum))
        return stages(self, length=self.curriculum, hops=tuple(hops))

    @property
    def max_depth(self) -> int:
        return self.hops

    def sample(self, rng: np.random.Generator, depth: int, count: int) -> Batch:
        found: list[tuple[np.ndarray, np.ndarray]] = []
        have = 0
        while have < count:
            text, moves = self._draw(rng, 4 * (count - have) + 8)
            found.append((text, moves))
            have += len(text)
        text, moves = (np.concatenate(parts)[:count] for parts in zip(*found, strict=True))
        names = draw_names(rng, count, self.length, self.names) + self.alphabet + 1
        named = np.stack([names, text], axis=2).reshape(count, -1)
        tokens = np.concatenate([named, np.full((count, self.hops - 1), self.alphabet)], axis=1)
        targets, depths = np.full_like(tokens, NOT_ASKED), np.zeros_like(tokens)
        first = slice(1, 2 * self.length, 2)
        targets[:, first] = np.where(moves > 0, np.take_along_axis(names, moves, axis=1), NOT_ASKED)
        depths[:, first] = moves > 0
        row, place = np.arange(count), moves[:, -1]
        for hop in range(2, depth + 1):
            place = moves[row, place]
            targets[:, 2 * self.length - 2 + hop], depths[:, 2 * self.length - 2 + hop] = names[row, place], hop
        return Batch(tokens, targets, depths)

    def _draw(self, rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Texts (some of count, length) that last for all hops, and where each place leads, of the same shape."""
        turns = rng.integers(1, self.alphabet, size=(count, self.length))
        turns[:, 0] = rng.integers(self.alphabet, size=count)
        text = turns.cumsum(axis=1) % self.alphabet  # the next differs from the last by 1 to alphabet - 1
        row = np.arange(count)
        seen = np.full((count, self.alphabet), -1)  # where each character was seen last
        move = np.empty_like(text)  # where each place leads: 0 for nowhere, as no move leads to the first place
        for at in range(self.length):
            here = text[:, at]
            move[:, at] = seen[row, here] + 1
            seen[row, here] = at
        place = np.full(count, self.length - 1)
        for _ in range(self.hops):
            place = move[row, place]
        lasted = place > 0
        return text[lasted], move[lasted]

    def solve(self, tokens: np.ndarray) -> Answers:
        words = [self.vocabulary[t] for t in tokens.tolist()[: 2 * self.length]]
        names, text = tokens.tolist()[: 2 * self.length : 2], "".join(words[1::2])
        targets, depths = [], []
        for place in range(self.length):
            before = text.rfind(text[place], 0, place)
            targets += [NOT_ASKED, names[before + 1] if before >= 0 else NOT_ASKED]
            depths += [0, int(before >= 0)]
        place = self.length - 1
        for hop in range(1, self.hops + 1):
            place = text.rindex(text[place], 0, place) + 1
            if hop > 1:
                targets.append(names[place])
                depths.append(hop)
        return Answers(np.array(targets), np.array(depths))

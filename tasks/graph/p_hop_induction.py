"""p-hop induction: jump from a place to the one after its character's previous occurrence, p times."""

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
    """A text, then walks: from a place, p times to its character's previous occurrence and the place after it.

    Every character has a name of its place behind it, drawn for the row (an index hint). A walk is the name of its
    start, which asks for the first move, and one `>` a further move; the answer is the name of the place moved to. A
    row has `room` for so many moves: for as many walks of depth d as fit. The papers have no names, start at the last
    character alone and ask for the character moved to, one of four: too little of where a walk stands to be learnt
    from, and often the commonest character of a short text.
    Depth: the number p of such moves. Texts of one distribution serve every depth: the last character of each has
    `hops` moves, and a walk starts at any place that has as many as are asked. No character repeats at once (the move
    would stay where it is). With `own=True`, as in the stages of training before the task itself, every place asks for
    its own first move too. Each move takes about `alphabet` - 1 characters, hence the cap on `hops`.
    The papers ask p = 16 and 32 of 256 characters, alphabet 4: that is `length=256`, `names=256`, `hops=32`.
    After: Sanford et al. 2024 (arXiv 2402.09268), Saunshi et al. 2025 (arXiv 2502.17416); the hints: Zhou et al. 2023
    (arXiv 2310.16028).

    Two examples, with `length=8`, `hops=2`, `room=2`:

        depth 1    tokens  b n3 c n1 d n2 a n4 c n5 b n6 d n0 a n7 n6 n7
                   answer  .  . .  . .  . .  . .  . .  . .  . .  . n1 n5

        depth 2    tokens  b n3 c n1 d n2 a n4 c n5 b n6 d n0 a n7 n7  >
                   answer  .  . .  . .  . .  . .  . .  . .  . .  . n5 n2
    """

    train_depths: tuple[int, ...] = (1, 2, 3)
    selection_depths: tuple[int, ...] = (4, 5)
    test_depths: tuple[int, ...] = (6, 8, 12, 16, 24)
    length: int = 80
    names: int = 80
    alphabet: int = 4
    hops: int = 24
    room: int = 24
    own: bool = False
    curriculum: tuple[int, ...] = (10, 16, 28, 48)  # lengths trained on before

    name: ClassVar[str] = "p_hop_induction"
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "p times: previous occurrence, then the place after it"
    fixed_length: ClassVar[bool] = True
    prefixes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_sizes(self, alphabet=(3, 26), length=(8, 100_000))
        most = (self.length + 8) // (self.alphabet - 1)  # above it, too few sequences have so many moves
        check_sizes(self, hops=(1, most))
        check_sizes(self, room=(self.hops, 100_000))
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
        return stages(self, length=self.curriculum, hops=tuple(hops), own=(True,) * len(self.curriculum))

    @property
    def facts_length(self) -> int:
        return 2 * self.length

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
        named = np.stack([text, names], axis=2).reshape(count, -1)
        walks, row = self.room // depth, np.arange(count)[:, None]
        lot = rng.random((count, walks, self.length), dtype=np.float32)
        place = np.where(self._lasting(moves)[:, None] >= depth, lot, -1).argmax(axis=2)  # (count, walks)
        words = np.full((count, self.room), self.alphabet)
        words[:, : walks * depth : depth] = names[row, place]
        answers = np.empty((count, walks, depth), dtype=np.int64)
        for hop in range(depth):
            place = moves[row, place]
            answers[:, :, hop] = names[row, place]
        tokens = np.concatenate([named, words], axis=1)
        targets, depths = np.full_like(tokens, NOT_ASKED), np.zeros_like(tokens)
        asked = slice(self.facts_length, self.facts_length + walks * depth)
        if self.own:
            first = slice(1, self.facts_length, 2)
            targets[:, first] = np.where(moves > 0, np.take_along_axis(names, moves, axis=1), NOT_ASKED)
            depths[:, first] = moves > 0
        targets[:, asked], depths[:, asked] = answers.reshape(count, -1), np.tile(np.arange(1, depth + 1), walks)
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
        lasted = self._lasting(move)[:, -1] >= self.hops
        return text[lasted], move[lasted]

    def _lasting(self, moves: np.ndarray) -> np.ndarray:
        """How many moves (count, length) each place has, of those that each place makes."""
        lasting = np.zeros_like(moves)
        row = np.arange(len(moves))
        for at in range(1, self.length):
            lasting[:, at] = np.where(moves[:, at] > 0, lasting[row, moves[:, at]] + 1, 0)
        return lasting

    def solve(self, tokens: np.ndarray) -> Answers:
        words = [self.vocabulary[t] for t in tokens.tolist()]
        text, names = "".join(words[: self.facts_length : 2]), words[1 : self.facts_length : 2]
        place, steps = 0, 0
        targets, depths = [NOT_ASKED] * self.facts_length, [0] * self.facts_length
        for place in range(self.length if self.own else 0):
            if (before := text.rfind(text[place], 0, place)) >= 0:
                targets[2 * place + 1], depths[2 * place + 1] = self.vocabulary.index(names[before + 1]), 1
        for word in words[self.facts_length :]:
            if word != ">":
                place, steps = names.index(word), 0
            place, steps = text.rfind(text[place], 0, place) + 1, steps + 1
            targets.append(self.vocabulary.index(names[place]))
            depths.append(steps)
        return Answers(np.array(targets), np.array(depths))

"""p-hop induction: jump from a character to what followed its previous occurrence, p times."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from tasks.errors import check_sizes
from tasks.task import NOT_ASKED, Answers, Batch, Task, stages


@dataclass(frozen=True)
class PHopInduction(Task):
    """From the last character, p times: find the previous occurrence, move to the character after it; each is asked.

    Depth: the number p of such moves. The last character asks for the first, each `>` after it for one more; there are
    always `hops` - 1 of these, those beyond the depth unasked, so that rows of one distribution serve every depth.
    No character repeats at once (the move would stay where it is), so that two answers in a row always differ: who
    has stopped one move early and guesses is right once in `alphabet` - 1. Sequences that run out before `hops` moves
    are drawn again, at every depth alike. Each move takes about `alphabet` - 1 characters, hence the cap on `hops`.
    The papers ask p = 16 and 32 of 256 characters, alphabet 4: that is `length=256`, `hops=32`.
    The definition's own shortcut: the commonest character of a random text is the likeliest answer, and the more so
    the shorter the text. The audit's learners score up to 0.31 at 80 characters, and 0.27 at the papers' 256.
    After: Sanford et al. 2024 (arXiv 2402.09268), Saunshi et al. 2025 (arXiv 2502.17416).

    Two examples, with `length=8`, `hops=2`:

        depth 1    tokens  a b d b a c d b >
                   answer  . . . . . . . a .

        depth 2    tokens  a b d b a c d b >
                   answer  . . . . . . . a b
    """

    train_depths: tuple[int, ...] = (1, 2, 3)
    selection_depths: tuple[int, ...] = (4, 5)
    test_depths: tuple[int, ...] = (6, 8, 12, 16, 24)
    length: int = 80
    alphabet: int = 4
    hops: int = 24
    curriculum: tuple[int, ...] = (10, 16, 28, 48)  # lengths trained on before

    name: ClassVar[str] = "p_hop_induction"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "p times: previous occurrence, then the character after it"
    fixed_length: ClassVar[bool] = True
    prefixes: ClassVar[bool] = True
    known_shortcut: ClassVar[str] = "the commonest character of a short text"

    def __post_init__(self) -> None:
        check_sizes(self, alphabet=(3, 26), length=(8, 100_000))
        most = (self.length + 8) // (self.alphabet - 1)  # above it, too few sequences have so many moves
        check_sizes(self, hops=(1, most))

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        return (*"abcdefghijklmnopqrstuvwxyz"[: self.alphabet], ">")

    @property
    def chance(self) -> float:
        return 1 / self.alphabet

    @property
    def stages(self) -> tuple[Task, ...]:
        """Short texts first: of one move, then of two, then of nearly as many for their length as the task's."""
        hops = (min(self.hops, at + 1 if at < 2 else length // 4 + 1) for at, length in enumerate(self.curriculum))
        return stages(self, length=self.curriculum, hops=tuple(hops))

    @property
    def max_depth(self) -> int:
        return self.hops

    @property
    def facts_length(self) -> int:
        return self.length - 1

    def sample(self, rng: np.random.Generator, depth: int, count: int) -> Batch:
        found: list[tuple[np.ndarray, np.ndarray]] = []
        have = 0
        while have < count:
            text, answers = self._draw(rng, 4 * (count - have) + 8)
            found.append((text, answers))
            have += len(text)
        text, answers = (np.concatenate(parts)[:count] for parts in zip(*found, strict=True))
        tokens = np.concatenate([text, np.full((count, self.hops - 1), self.alphabet)], axis=1)
        targets, depths = np.full_like(tokens, NOT_ASKED), np.zeros_like(tokens)
        asked = slice(self.length - 1, self.length - 1 + depth)
        targets[:, asked], depths[:, asked] = answers[:, :depth], np.arange(1, depth + 1)
        return Batch(tokens, targets, depths)

    def _draw(self, rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Texts (some of count, length) that last for all hops, and the character after each hop (some, hops)."""
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
        answers = np.empty((count, self.hops), dtype=np.int64)
        for hop in range(self.hops):
            place = move[row, place]
            answers[:, hop] = text[row, place]
        lasted = place > 0
        return text[lasted], answers[lasted]

    def solve(self, tokens: np.ndarray) -> Answers:
        text = "".join(self.vocabulary[t] for t in tokens.tolist()[: self.length])
        place, targets, depths = self.length - 1, [NOT_ASKED] * (self.length - 1), [0] * (self.length - 1)
        for hop in range(1, self.hops + 1):
            place = text.rindex(text[place], 0, place) + 1
            targets.append(self.vocabulary.index(text[place]))
            depths.append(hop)
        return Answers(np.array(targets), np.array(depths))

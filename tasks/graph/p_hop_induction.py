"""p-hop induction: jump from a place to the one after its character's previous occurrence, p times."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from tasks.errors import check_sizes
from tasks.graph.prompt import draw_names
from tasks.task import NOT_ASKED, Answers, Batch, Task, stages, up_to


@dataclass(frozen=True)
class PHopInduction(Task):
    """A text, then walks `x > ? > ?` over it: which character stands where each of them has got to?

    Every character has a name of its place before it, drawn for the row (an index hint); x names the place where a walk
    starts. Each `>` moves: to its character's previous occurrence, and on to the place after it; the `?` behind it asks
    for the character there. A row has room for one walk of `room` moves, or for as many walks of depth d as fit, so
    that rows of all depths are equally long; what is left over is not asked.
    Depth: the number p of such moves. Texts of one distribution serve every depth: the last character of each has
    `hops` moves, and a walk starts at any place that has as many as are asked. No character repeats at once (the move
    would stay where it is), so that two answers in a row always differ. Each move takes about `alphabet` - 1
    characters, hence the cap on `hops`, and 16 by default: five times the trained depth in rows of 113 tokens.
    One of few characters does not tell where a walk stands. So in training, with `way`, every character in the text
    asks for the place that it leads to, x for the character that it names, and each `>` for its place.
    The papers have no names, and an alphabet of 4: Sanford et al. ask at every character, p of 0 to 16 of 100
    characters, Saunshi et al. at the last alone, p = 16 and 32 of 256.
    The definition's own shortcuts: the commonest character of a random text is the likeliest answer; of three letters
    the one four moves on is often the same, so that of six moves the oracle stopped after two has 52% right; and moves
    lead back along two chains, no place being led to from two. A learner that sees the letters back from where a walk
    begins, and which of them are the same two places on, has about 72% of six moves, 60% of eight and 42% of 16; from
    where three moves lead, 99%, 86% and 46%. So six and eight moves are little further than three; 12 and 16 are.
    After: Sanford et al. 2024 (arXiv 2402.09268), Saunshi et al. 2025 (arXiv 2502.17416); the hints: Zhou et al. 2023
    (arXiv 2310.16028).

    Two examples, with `length=6`, `names=6`, `hops=2`, `room=2`:

        depth 1    tokens  n4 a n0 b n5 c n2 a n3 b n1 a n2 > ? ? >
                   answer   . .  . .  . .  . .  . .  . .  . . b . .

        depth 2    tokens  n1 a n2 b n4 a n3 c n0 a n5 b n5 > ? > ?
                   answer   . .  . .  . .  . .  . .  . .  . . a . b
    """

    train_depths: tuple[int, ...] = (1, 2, 3)
    selection_depths: tuple[int, ...] = (4, 5)
    test_depths: tuple[int, ...] = (6, 8, 12, 16)
    length: int = 40
    names: int = 40
    alphabet: int = 3
    hops: int = 16
    room: int = 16
    way: bool = False
    curriculum: tuple[int, ...] = (8, 12, 18, 28)  # lengths trained on before

    name: ClassVar[str] = "p_hop_induction"
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "p times: previous occurrence, then the character after it"
    fixed_length: ClassVar[bool] = True
    prefixes: ClassVar[bool] = True
    known_shortcut: ClassVar[str] = (
        "a look back from where a walk begins or has got to tells much of the next few moves"
    )

    def __post_init__(self) -> None:
        check_sizes(self, alphabet=(3, 26), length=(4, 100_000))
        most = (self.length + 8) // (self.alphabet - 1)  # above it, too few sequences have so many moves
        check_sizes(self, hops=(1, most))
        check_sizes(self, room=(self.hops, 100_000))
        check_sizes(self, names=(self.length, 100_000))

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        letters = "abcdefghijklmnopqrstuvwxyz"[: self.alphabet]
        return (*letters, *(f"n{i}" for i in range(self.names)), ">", "?")

    @property
    def chance(self) -> float:
        return 1 / self.alphabet

    @property
    def stages(self) -> tuple[Task, ...]:
        """Short texts first, which hold few moves; the way is asked for to the last, on the rows of the task."""
        lengths = up_to(self.curriculum, self.length)
        hops = tuple(max(1, min(self.hops, length // (2 * self.alphabet - 2))) for length in lengths)
        *early, _ = stages(self, length=lengths, hops=hops, way=(True,) * len(hops))
        return (*early, replace(self, way=True))

    @property
    def max_depth(self) -> int:
        return self.hops

    @property
    def facts_length(self) -> int:
        return 2 * self.length

    def sample(self, rng: np.random.Generator, depth: int, count: int) -> Batch:
        text, moves, lasting = self._texts(rng, count)
        names = draw_names(rng, count, self.length, self.names) + self.alphabet
        length = 2 * depth + 1
        walks, row = (2 * self.room + 1) // length, np.arange(count)[:, None]
        lot = rng.random((count, walks, self.length), dtype=np.float32)
        place = np.where(lasting[:, None] >= depth, lot, -1).argmax(axis=2)  # (count, walks)
        at = np.arange(2 * self.room + 1) % length
        words = np.tile(self.alphabet + self.names + (at + 1) % 2, (count, 1))  # > ? by turns
        words[:, : walks * length : length] = names[row, place]
        answers = np.full((count, walks, length), NOT_ASKED)
        if self.way:
            answers[:, :, 0] = text[row, place]
        for hop in range(1, depth + 1):
            place = moves[row, place]
            answers[:, :, 2 * hop] = text[row, place]
            if self.way:
                answers[:, :, 2 * hop - 1] = names[row, place]
        tokens = np.concatenate([np.stack([names, text], axis=2).reshape(count, -1), words], axis=1)
        targets, depths = np.full_like(tokens, NOT_ASKED), np.zeros_like(tokens)
        targets[:, self.facts_length : self.facts_length + walks * length] = answers.reshape(count, -1)
        depths[:, self.facts_length :] = np.maximum((at + 1) // 2, 1)
        if self.way:
            own = slice(1, self.facts_length, 2)
            targets[:, own] = np.where(moves > 0, np.take_along_axis(names, moves, axis=1), NOT_ASKED)
            depths[:, own] = 1
        return Batch(tokens, targets, np.where(targets == NOT_ASKED, 0, depths))

    def _texts(self, rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Texts that last for all hops, where each place leads, and how many moves it has; each (count, length)."""
        found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        have = 0
        while have < count:
            drawn = self._draw(rng, 2 * (count - have) + 8)
            found.append(drawn)
            have += len(drawn[0])
        text, moves, lasting = (np.concatenate(parts)[:count] for parts in zip(*found, strict=True))
        return text, moves, lasting

    def _draw(self, rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The same, of so many texts those that last."""
        turns = rng.integers(1, self.alphabet, size=(count, self.length))
        turns[:, 0] = rng.integers(self.alphabet, size=count)
        text = turns.cumsum(axis=1) % self.alphabet  # the next differs from the last by 1 to alphabet - 1
        row = np.arange(count)
        seen = np.full((count, self.alphabet), -1)  # where each character was seen last
        moves, lasting = np.zeros_like(text), np.zeros_like(text)
        for at in range(self.length):
            here = text[:, at]
            moves[:, at] = seen[row, here] + 1  # 0 for nowhere, as no move leads to the first place
            lasting[:, at] = np.where(moves[:, at] > 0, lasting[row, moves[:, at]] + 1, 0)
            seen[row, here] = at
        lasted = lasting[:, -1] >= self.hops
        return text[lasted], moves[lasted], lasting[lasted]

    def around(self, tokens: np.ndarray, places: np.ndarray, steps: int) -> np.ndarray:
        """The text backwards from where a walk has got to: is it this letter, and is it the letter two places on?"""
        row, place = np.arange(len(tokens)), np.arange(tokens.shape[1])
        names, text = tokens[:, : self.facts_length : 2], tokens[:, 1 : self.facts_length : 2]
        walks = (place <= places[:, None]) & (tokens < self.alphabet + self.names)  # this one and before
        begin = np.where(walks, place, 0).max(axis=1)
        at = (names == tokens[row, begin][:, None]).argmax(axis=1)
        for _ in range(steps):
            before = (text == text[row, at][:, None]) & (np.arange(self.length) < at[:, None])
            at = self.length - before[:, ::-1].argmax(axis=1)
        back = np.stack([np.where(at >= far, text[row, at - far], -1) for far in range(self.length)], axis=1)
        is_it = back[:, None] == np.arange(self.alphabet)[:, None]
        turned = np.where(back[:, 2:] < 0, -1, back[:, 2:] == back[:, :-2])
        alike = np.concatenate([at[:, None], turned], axis=1)[:, None].repeat(self.alphabet, axis=1)
        return np.concatenate([is_it, alike], axis=2)

    def solve(self, tokens: np.ndarray) -> Answers:
        words = [self.vocabulary[t] for t in tokens.tolist()]
        names, text = words[: self.facts_length : 2], "".join(words[1 : self.facts_length : 2])

        def move(place: int) -> int:
            return text.rfind(text[place], 0, place) + 1

        found: list[tuple[str, int]] = []  # an answer, or none, and its depth
        for place in range(self.length):
            found += [("", 0), (names[move(place)] if self.way and move(place) else "", 1)]
        place, depth = 0, 0
        for word in words[self.facts_length :]:
            if word == ">":
                place, depth = move(place), depth + 1
                found.append((names[place] if self.way else "", depth))
            elif word == "?":
                found.append((text[place], depth))
            else:
                place, depth = names.index(word), 0
                found.append((text[place] if self.way else "", 1))
        targets = [self.vocabulary.index(answer) if answer else NOT_ASKED for answer, _ in found]
        return Answers(np.array(targets), np.array([depth if answer else 0 for answer, depth in found]))

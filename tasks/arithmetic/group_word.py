"""The product of every prefix of a word over a group: state tracking."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from tasks.chains import beginnings, deepest_chain, first_in_row, since
from tasks.errors import check_sizes
from tasks.groups import elements, product_table, then
from tasks.task import NOT_ASKED, Answers, Batch, Task, shallower


@dataclass(frozen=True)
class GroupWord(Task):
    """A word over a group of permutations; at each letter, the product of the word so far.

    Depth: the elements multiplied, so that the output at position i (`^`: 0) has depth i. Elements are spelt as
    the images of 0, 1, 2, ... and act from left to right. Nothing is forgotten: the product is uniform whatever the
    last elements are. In A5 and S5 the problem is complete for NC1, and no count of elements answers it.
    The first letter is any element, those after it are drawn from `letters` fixed ones that generate the group, as
    group theory states the word problem: of A5's 60 x 60 products 60 x 5 are to be learnt, and with `letters=59` all
    but the trivial.
    A `^` stands before the first letter. Without it `x x` cannot be told from `x`: what attention averages is the same
    in both, in every loop, and of all first products exactly those, of a letter with itself, were never learnt.
    With `terms` all rows are of so many tokens, and hold several words, each behind a `^` of its own: a deeper question
    then stands in no longer row. Such a row has one word of its depth, at any place, and none that is longer.
    After: Barrington 1989; for transformers Liu et al. 2022 (arXiv 2210.10749), Merrill et al. 2024 (arXiv 2404.08819).

    Two examples, with `group="S3"`:

        depth 1    tokens  ^ 120              depth 3    tokens  ^ 120 102 021
                   answer  . 120                         answer  . 120 021 012
    """

    train_depths: tuple[int, ...] = (5, 8, 10)
    selection_depths: tuple[int, ...] = (16, 32)
    test_depths: tuple[int, ...] = (40, 80, 160)
    group: str = "A5"
    letters: int = 5
    curriculum: tuple[int, ...] = (5,)  # letters trained on before: words of ten alone are learnt many times slower
    terms: int = 0  # tokens of every row; with 0 a row is as long as its one word

    name: ClassVar[str] = "group_word"
    version: ClassVar[int] = 3
    summary: ClassVar[str] = "the product of every prefix of a word over A5 or S5"
    prefixes: ClassVar[bool] = True
    later: ClassVar[tuple[str, ...]] = ("terms",)

    def __post_init__(self) -> None:
        most = len(elements(self.group)) - 1  # elements refuses a group that there is not
        check_sizes(self, letters=(3, most), terms=(0, 10_000))

    @property
    def fixed_length(self) -> bool:  # type: ignore[override]  # of one size, not of the whole class
        return self.terms > 0

    @property
    def max_depth(self) -> int | None:
        return self.terms - 1 if self.terms else None

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        return (*elements(self.group), "^")

    @property
    def chance(self) -> float:
        return 1 / len(elements(self.group))

    @property
    def stages(self) -> tuple[Task, ...]:
        return shallower(self, self.curriculum)

    @cached_property
    def _product(self) -> np.ndarray:
        return product_table(elements(self.group))

    @cached_property
    def _letters(self) -> np.ndarray:
        """The letters (letters,): elements other than the identity, evenly spaced in the order of their spelling."""
        return np.linspace(1, len(elements(self.group)) - 1, self.letters).round().astype(np.int64)

    def sample(self, rng: np.random.Generator, depth: int, count: int) -> Batch:
        n = len(elements(self.group))
        tokens = self._letters[rng.integers(self.letters, size=(count, self.terms or depth + 1))]
        first = rng.integers(n, size=count)
        begins = beginnings(rng, depth, count, self.terms)
        depths = since(begins)
        tokens[:, 1:2] = first[:, None]
        anew = depths[:, 2:] == 1
        tokens[:, 2:][anew] = rng.integers(n, size=anew.sum())
        tokens[begins] = n
        targets = np.full_like(tokens, NOT_ASKED)
        so_far = np.zeros(count, dtype=np.int64)  # the identity is element 0
        for place in range(1, tokens.shape[1]):
            begun = begins[:, place]
            so_far = np.where(begun, 0, self._product[so_far, np.where(begun, 0, tokens[:, place])])
            targets[:, place] = np.where(begun, NOT_ASKED, so_far)
        return Batch(tokens, targets, depths)

    def asked_first(self, tokens: np.ndarray) -> np.ndarray:
        return first_in_row(tokens, tokens == len(self.vocabulary) - 1) if self.terms else super().asked_first(tokens)

    def solve(self, tokens: np.ndarray) -> Answers:
        words = [self.vocabulary[t] for t in tokens.tolist()]
        so_far, steps = self.vocabulary[0], 0
        targets, depths = [], []
        for place, word in enumerate(words):
            begins = place == 0 or (self.terms and word == "^")
            so_far, steps = (self.vocabulary[0], 0) if begins else (then(so_far, word), steps + 1)
            targets.append(self.vocabulary.index(so_far) if steps else NOT_ASKED)
            depths.append(steps)
        return Answers(np.array(targets), np.array(depths))

    def recent(self, tokens: np.ndarray, steps: int) -> np.ndarray:
        word = deepest_chain(tokens, self.solve(tokens).depths)
        return np.full(len(tokens), self.solve(np.concatenate([word[:1], word[1:][-steps:]])).targets[-1])

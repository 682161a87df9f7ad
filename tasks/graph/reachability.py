"""Does the path from s reach t?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import networkx as nx
import numpy as np

from tasks.errors import check_sizes
from tasks.graph.prompt import (
    chain_lengths,
    cut,
    draw_names,
    drawn,
    edges_of,
    lay_chains,
    link,
    query_depths,
    sort_edges,
)
from tasks.task import NOT_ASKED, Answers, Batch, Task, stages


@dataclass(frozen=True)
class Reachability(Task):
    """Two long chains and some short ones as shuffled edges `x : y`, then pairs `s t`: is t reached from s?

    Depth: the number of edges from s to the end of its chain. t is always the end of a chain, of s's own (yes) or of
    another (no), each half of the time; so that both answers need the same walk, and degrees and the place of s in its
    chain are the same for both. The edge of an end leads to itself: one step more changes nothing once it is reached.
    Graphs of one distribution serve every depth: only the asked s differs. What is shallow is asked of any chain, so
    that a row can be asked often; what is deeper than `short` - 1, of the long ones, so that both must be walked.
    With `shuffled=False`, as in the early stages of training, each chain stands in its own order, all mixed. With
    `ends`, as in all training, s is asked too, for the end of its chain: from yes and no alone no look-up is learnt.
    Depth is at most one less than the nodes of a long chain; the default keeps rows near 190 tokens.
    After: graph connectivity, as in Sanford et al. 2024 (arXiv 2405.18512).

    Two examples, with `chains=2`, `short=3`, `length=3`, `queries=1`:

        depth 1    tokens  n1 : n3 n0 : n0 n3 : n3 n5 : n2 n2 : n0 n4 : n1 n1  n3
                   answer   . .  .  . .  .  . .  .  . .  .  . .  .  . .  .  . yes

        depth 2    tokens  n3 : n2 n4 : n1 n1 : n5 n5 : n5 n2 : n0 n0 : n0 n3  n0
                   answer   . .  .  . .  .  . .  .  . .  .  . .  .  . .  .  . yes
    """

    train_depths: tuple[int, ...] = (1, 2, 3, 4)
    selection_depths: tuple[int, ...] = (5, 6)
    test_depths: tuple[int, ...] = (8, 12, 16)
    chains: int = 5
    short: int = 5
    length: int = 17
    names: int = 50
    curriculum: tuple[int, ...] = (4, 10, 25, 16, 12, 10)  # numbers of chains trained on before, all short
    queries: int = 20
    shuffled: bool = True
    ends: bool = False

    name: ClassVar[str] = "reachability"
    version: ClassVar[int] = 4
    summary: ClassVar[str] = "is t reached from s? yes and no alike in all but the path"
    fixed_length: ClassVar[bool] = True
    question_length: ClassVar[int] = 2
    prefixes: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_sizes(self, chains=(2, 100), short=(2, 1_000), queries=(1, 1_000))
        check_sizes(self, length=(self.short, 1_000), names=(self.nodes, 10_000))

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        return (*(f"n{i}" for i in range(self.names)), ":", "no", "yes")

    @property
    def chance(self) -> float:
        return 1 / 2

    @property
    def lengths(self) -> list[int]:
        return [self.length] * 2 + [self.short] * (self.chains - 2)

    @property
    def nodes(self) -> int:
        return sum(self.lengths)

    @property
    def stages(self) -> tuple[Task, ...]:
        """Pairs first, then longer chains, in order. None is long: few of its nodes are near enough its end to ask.

        Ends are asked to the last, on the rows of the task: what nothing asks for is lost again.
        """
        short = chain_lengths(self.curriculum, self.short)
        early = {"shuffled": (False,) * len(short), "ends": (True,) * len(short)}
        *made, _ = stages(self, chains=self.curriculum, short=short, length=short, **early)
        return (*made, replace(self, ends=True))

    @property
    def max_depth(self) -> int:
        return self.length - 1

    @property
    def facts_length(self) -> int:
        return 3 * self.nodes

    def sample(self, rng: np.random.Generator, depth: int, count: int) -> Batch:
        nodes = draw_names(rng, count, self.nodes, self.names)  # one chain after another, the two long ones first
        last = np.cumsum(self.lengths) - 1
        after = np.roll(nodes, -1, axis=1)
        after[:, last] = nodes[:, last]
        asked = query_depths(rng, count, self.queries, depth)
        among = np.where(asked < self.short, self.chains, 2)
        row, chain = np.arange(count)[:, None], rng.integers(among)
        yes = rng.integers(2, size=asked.shape)
        other = (chain + rng.integers(1, among)) % among
        pairs = np.stack([nodes[row, last[chain] - asked], nodes[row, last[np.where(yes, chain, other)]]], axis=2)
        facts = lay_chains(rng, link(nodes, after, self.names), self.lengths, self.shuffled)
        tokens = np.concatenate([facts, pairs.reshape(count, -1)], axis=1)
        targets, depths = np.full_like(tokens, NOT_ASKED), np.zeros_like(tokens)
        targets[:, self.facts_length + 1 :: 2], depths[:, self.facts_length + 1 :: 2] = self.names + 1 + yes, asked
        if self.ends:
            targets[:, self.facts_length :: 2], depths[:, self.facts_length :: 2] = nodes[row, last[chain]], asked
        return Batch(tokens, targets, depths)

    def solve(self, tokens: np.ndarray) -> Answers:
        return self._search(tokens, self.length)

    def partial(self, tokens: np.ndarray, steps: int) -> np.ndarray:
        return self._search(tokens, steps).targets

    def _search(self, tokens: np.ndarray, most: int) -> Answers:
        """From s on to the end of its chain, at most so many steps: is t there?"""
        words = [self.vocabulary[t] for t in tokens.tolist()]
        graph = nx.DiGraph(edges_of(words[: self.facts_length]))
        targets, depths = [NOT_ASKED] * self.facts_length, [0] * self.facts_length
        for s, t in cut(words[self.facts_length :], 2):
            here, steps = s, 0
            while steps < most and (after := next(graph.successors(here))) != here:
                here, steps = after, steps + 1
            targets += [int(here[1:]) if self.ends else NOT_ASKED, self.vocabulary.index("yes" if here == t else "no")]
            depths += [steps if self.ends else 0, steps]
        return Answers(np.array(targets), np.array(depths))

    def canonical(self, tokens: np.ndarray) -> np.ndarray:
        return sort_edges(tokens, self.nodes)

    def graph(self, tokens: np.ndarray) -> nx.DiGraph:
        return drawn(self, tokens)

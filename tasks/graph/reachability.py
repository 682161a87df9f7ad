"""Does the path from s reach t?"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import networkx as nx
import numpy as np

from tasks.errors import check_sizes
from tasks.graph.prompt import cut, draw_names, drawn, edges_of, link, query_depths, shuffle_facts, sort_facts
from tasks.task import NOT_ASKED, Answers, Batch, Task, stages


@dataclass(frozen=True)
class Reachability(Task):
    """Chains of equal length as shuffled edges `x : y`, then pairs `s t`: is t reached from s?

    Depth: the number of edges from the first node of t's chain to t. s is always the first node of a chain, of t's own
    (yes) or of another (no), each half of the time; so that both answers need the same walk, and degrees, component
    sizes and the place of t in its chain are the same for both. Only the asked t differs between depths.
    Depth is at most one less than the nodes of a chain; the default is the longest that keeps rows near 100 tokens.
    After: graph connectivity, as in Sanford et al. 2024 (arXiv 2405.18512).

    Two examples, with `chains=2`, `length=3`, `queries=1`:

        depth 1    tokens  n2 : n1 n0 : n4 n5 : n2 n3 : n0 n5  n2
                   answer   . .  .  . .  .  . .  .  . .  .  . yes

        depth 2    tokens  n3 : n0 n2 : n1 n0 : n4 n5 : n2 n3 n1
                   answer   . .  .  . .  .  . .  .  . .  .  . no
    """

    train_depths: tuple[int, ...] = (1, 2, 3)
    selection_depths: tuple[int, ...] = (4, 5)
    test_depths: tuple[int, ...] = (6, 8, 12, 16, 24)
    chains: int = 2
    length: int = 25
    names: int = 50
    curriculum: tuple[int, ...] = (2, 3, 4, 6, 12)  # lengths trained on before `length`
    queries: int = 4

    name: ClassVar[str] = "reachability"
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "is t reached from s? yes and no alike in all but the path"
    fixed_length: ClassVar[bool] = True
    prefixes: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_sizes(self, chains=(2, 100), length=(2, 1_000), names=(self.nodes, 10_000), queries=(1, 1_000))

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        return (*(f"n{i}" for i in range(self.names)), ":", "no", "yes")

    @property
    def chance(self) -> float:
        return 1 / 2

    @property
    def nodes(self) -> int:
        return self.chains * self.length

    @property
    def stages(self) -> tuple[Task, ...]:
        return stages(self, length=self.curriculum)

    @property
    def max_depth(self) -> int:
        return self.length - 1

    @property
    def edges(self) -> int:
        return self.chains * (self.length - 1)

    @property
    def facts_length(self) -> int:
        return 3 * self.edges

    def sample(self, rng: np.random.Generator, depth: int, count: int) -> Batch:
        chains = draw_names(rng, count, self.nodes, self.names).reshape(count, self.chains, self.length)
        edges = link(chains[:, :, :-1], chains[:, :, 1:], self.names).reshape(count, self.edges, 3)
        asked = query_depths(rng, count, self.queries, depth)
        row, chain = np.arange(count)[:, None], rng.integers(self.chains, size=asked.shape)
        yes = rng.integers(2, size=asked.shape)
        other = (chain + rng.integers(1, self.chains, size=asked.shape)) % self.chains
        pairs = np.stack([chains[row, np.where(yes, chain, other), 0], chains[row, chain, asked]], axis=2)
        tokens = np.concatenate([shuffle_facts(rng, edges), pairs.reshape(count, -1)], axis=1)
        targets, depths = np.full_like(tokens, NOT_ASKED), np.zeros_like(tokens)
        targets[:, self.facts_length + 1 :: 2], depths[:, self.facts_length + 1 :: 2] = self.names + 1 + yes, asked
        return Batch(tokens, targets, depths)

    def solve(self, tokens: np.ndarray) -> Answers:
        return self._search(tokens, self.length)

    def partial(self, tokens: np.ndarray, steps: int) -> np.ndarray:
        return self._search(tokens, steps).targets

    def _search(self, tokens: np.ndarray, most: int) -> Answers:
        """From t backwards to the first node of its chain, at most so many steps: was s seen?"""
        words = [self.vocabulary[t] for t in tokens.tolist()]
        graph = nx.DiGraph(edges_of(words[: self.facts_length]))
        targets, depths = [NOT_ASKED] * self.facts_length, [0] * self.facts_length
        for s, t in cut(words[self.facts_length :], 2):
            here, steps = t, 0
            while steps < most and (before := list(graph.predecessors(here))):
                here, steps = before[0], steps + 1
            targets += [NOT_ASKED, self.vocabulary.index("yes" if here == s else "no")]
            depths += [0, steps]
        return Answers(np.array(targets), np.array(depths))

    def canonical(self, tokens: np.ndarray) -> np.ndarray:
        return sort_facts(tokens, self.edges, 3, key=0)

    def graph(self, tokens: np.ndarray) -> nx.DiGraph:
        return drawn(self, tokens)

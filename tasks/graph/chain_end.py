"""Follow successors to the end of a chain, among other chains."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import networkx as nx
import numpy as np

from tasks.errors import check_sizes
from tasks.graph.prompt import draw_names, drawn, edges_of, link, query_depths, shuffle_facts, sort_facts
from tasks.task import NOT_ASKED, Answers, Batch, Task, stages


@dataclass(frozen=True)
class ChainEnd(Task):
    """Chains of equal length as shuffled edges `x : y`, then some nodes: which node ends the chain of each?

    Depth: the number of edges from the asked node to the end of its chain. Nodes, edges and chains are constant, and
    graphs of one distribution serve every depth: only the asked node differs. All ends look alike (a node without a
    successor), so that a guesser who finds them is right once in `chains`.
    Depth is at most one less than the nodes of a chain; the default is the longest that keeps rows near 100 tokens.
    After: pointer following, as in Sanford et al. 2024 (arXiv 2402.09268).

    Two examples, with `chains=2`, `length=3`, `queries=1`:

        depth 1    tokens  n2 : n1 n0 : n4 n5 : n2 n3 : n0 n2
                   answer   . .  .  . .  .  . .  .  . .  . n1

        depth 2    tokens  n3 : n0 n2 : n1 n0 : n4 n5 : n2 n3
                   answer   . .  .  . .  .  . .  .  . .  . n4
    """

    train_depths: tuple[int, ...] = (1, 2, 3)
    selection_depths: tuple[int, ...] = (4, 5)
    test_depths: tuple[int, ...] = (6, 8, 12, 16, 24)
    chains: int = 2
    length: int = 25
    names: int = 50
    curriculum: tuple[int, ...] = (2, 3, 4, 8, 12)  # numbers of chains trained on before, short ones
    queries: int = 6

    name: ClassVar[str] = "chain_end"
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "follow a chain to its end, among other chains"
    fixed_length: ClassVar[bool] = True
    prefixes: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_sizes(self, chains=(2, 100), length=(2, 1_000), names=(self.nodes, 10_000), queries=(1, 1_000))

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        return (*(f"n{i}" for i in range(self.names)), ":")

    @property
    def chance(self) -> float:
        return 1 / self.chains

    @property
    def nodes(self) -> int:
        return self.chains * self.length

    @property
    def stages(self) -> tuple[Task, ...]:
        """Short chains first, and more and more of them: of a long one few nodes are near enough its end to ask."""
        short = self.train_depths[-1] + 1
        chains = tuple(k for k in self.curriculum if k * min(k, short) <= self.names)
        length = tuple(min(k, short) for k in chains)
        queries = tuple(max(1, self.queries * k // self.chains) for k in chains)
        return stages(self, chains=chains, length=length, queries=queries)

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
        start, end = chains[row, chain, self.length - 1 - asked], chains[row, chain, self.length - 1]
        tokens = np.concatenate([shuffle_facts(rng, edges), start], axis=1)
        targets, depths = np.full_like(tokens, NOT_ASKED), np.zeros_like(tokens)
        targets[:, self.facts_length :], depths[:, self.facts_length :] = end, asked
        return Batch(tokens, targets, depths)

    def solve(self, tokens: np.ndarray) -> Answers:
        return self._follow(tokens, self.length)

    def partial(self, tokens: np.ndarray, steps: int) -> np.ndarray:
        return self._follow(tokens, steps).targets

    def _follow(self, tokens: np.ndarray, most: int) -> Answers:
        words = [self.vocabulary[t] for t in tokens.tolist()]
        graph = nx.DiGraph(edges_of(words[: self.facts_length]))
        targets, depths = [NOT_ASKED] * self.facts_length, [0] * self.facts_length
        for here in words[self.facts_length :]:
            steps = 0
            while steps < most and (after := list(graph.successors(here))):
                here, steps = after[0], steps + 1
            targets.append(int(here[1:]))
            depths.append(steps)
        return Answers(np.array(targets), np.array(depths))

    def canonical(self, tokens: np.ndarray) -> np.ndarray:
        return sort_facts(tokens, self.edges, 3, key=0)

    def graph(self, tokens: np.ndarray) -> nx.DiGraph:
        return drawn(self, tokens)

"""Follow successors to the end of a chain, among other chains."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import networkx as nx
import numpy as np

from tasks.errors import check_sizes
from tasks.graph.prompt import chain_lengths, draw_names, drawn, edges_of, lay_chains, link, query_depths, sort_edges
from tasks.task import NOT_ASKED, Answers, Batch, Task, stages


@dataclass(frozen=True)
class ChainEnd(Task):
    """Two long chains and some short ones as shuffled edges `x : y`, then nodes: which node ends the chain of each?

    Depth: the number of edges from the asked node to the end of its chain. Every node has one edge, the end's leads to
    itself: to follow is the same step everywhere, and one step more changes nothing once the end is reached.
    Graphs of one distribution serve every depth: only the asked node differs. What is shallow is asked of any chain,
    so that a row can be asked often; what is deeper than `short` - 1, of the long ones. All ends look alike; who rules
    out those of the short chains, and guesses between the others, is right half of the time.
    With `shuffled=False`, as in the early stages of training, each chain stands in its own order, all mixed.
    Depth is at most one less than the nodes of a long chain; the default keeps rows near 170 tokens.
    After: pointer chasing, as in Sanford et al. 2024 (arXiv 2402.09268).

    Two examples, with `chains=2`, `short=3`, `length=3`, `queries=1`:

        depth 1    tokens  n3 : n3 n5 : n2 n1 : n3 n2 : n0 n4 : n1 n0 : n0 n1
                   answer   . .  .  . .  .  . .  .  . .  .  . .  .  . .  . n3

        depth 2    tokens  n0 : n0 n4 : n1 n1 : n0 n2 : n5 n5 : n5 n3 : n2 n3
                   answer   . .  .  . .  .  . .  .  . .  .  . .  .  . .  . n5
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

    name: ClassVar[str] = "chain_end"
    version: ClassVar[int] = 3
    summary: ClassVar[str] = "follow a chain to its end, among other chains"
    fixed_length: ClassVar[bool] = True
    question_length: ClassVar[int] = 1
    prefixes: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_sizes(self, chains=(2, 100), short=(2, 1_000), queries=(1, 1_000))
        check_sizes(self, length=(self.short, 1_000), names=(self.nodes, 10_000))

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        return (*(f"n{i}" for i in range(self.names)), ":")

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
        """Pairs first, then longer chains, in order. None is long: few of its nodes are near enough its end to ask."""
        short = chain_lengths(self.curriculum, self.short)
        return stages(self, chains=self.curriculum, short=short, length=short, shuffled=(False,) * len(short))

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
        row, chain = np.arange(count)[:, None], rng.integers(np.where(asked < self.short, self.chains, 2))
        start, end = nodes[row, last[chain] - asked], nodes[row, last[chain]]
        facts = lay_chains(rng, link(nodes, after, self.names), self.lengths, self.shuffled)
        tokens = np.concatenate([facts, start], axis=1)
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
            while steps < most and (after := next(graph.successors(here))) != here:
                here, steps = after, steps + 1
            targets.append(int(here[1:]))
            depths.append(steps)
        return Answers(np.array(targets), np.array(depths))

    def canonical(self, tokens: np.ndarray) -> np.ndarray:
        return sort_edges(tokens, self.nodes)

    def graph(self, tokens: np.ndarray) -> nx.DiGraph:
        return drawn(self, tokens)

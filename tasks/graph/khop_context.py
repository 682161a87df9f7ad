"""k hops round a permutation that stands in the prompt."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import networkx as nx
import numpy as np

from tasks.errors import check_sizes
from tasks.graph.prompt import draw_names, drawn, edges_of, link, shuffle_facts, sort_edges
from tasks.task import NOT_ASKED, Answers, Batch, Task, stages, up_to


@dataclass(frozen=True)
class KhopContext(Task):
    """A permutation graph as shuffled edges `x : y`, then walks: a start, one `>` a further hop; each is asked.

    Depth: the number of hops from the start; the start itself asks for the first one. A row has room for `hops` hops:
    for as many walks of depth d as fit, so that rows of all depths are equally long; what is left over is not asked.
    The permutation is one random cycle through all nodes: a random permutation has short cycles, whose length any
    multiple of it gives away. Depth ends at half the nodes, beyond which walking backwards would be shorter.
    `nodes` of the `names` take part, so that a curriculum can begin with few nodes and keep its vocabulary.
    After: k-hop induction and pointer chasing (Sanford et al. 2024, arXiv 2402.09268), here along one permutation.

    Two examples, with `nodes=4`, `names=4`, `hops=2`:

        depth 1    tokens  n2 : n0 n1 : n3 n0 : n1 n3 : n2 n1 n0
                   answer   . .  .  . .  .  . .  .  . .  . n3 n1

        depth 2    tokens  n2 : n0 n1 : n3 n0 : n1 n3 : n2 n1  >
                   answer   . .  .  . .  .  . .  .  . .  . n3 n2
    """

    train_depths: tuple[int, ...] = (1, 2, 3)
    selection_depths: tuple[int, ...] = (4, 5)
    test_depths: tuple[int, ...] = (6, 8, 12, 16, 24)
    nodes: int = 48
    names: int = 48
    hops: int = 24
    curriculum: tuple[int, ...] = (3, 4, 6, 12, 24)  # numbers of nodes trained on before `nodes`

    name: ClassVar[str] = "khop_context"
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "follow k edges of a permutation that stands in the prompt"
    fixed_length: ClassVar[bool] = True
    prefixes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_sizes(self, names=(3, 10_000), nodes=(3, self.names), hops=(1, 10_000))

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        return (*(f"n{i}" for i in range(self.names)), ":", ">")

    @property
    def chance(self) -> float:
        return 1 / self.nodes

    @property
    def stages(self) -> tuple[Task, ...]:
        return stages(self, nodes=up_to(self.curriculum, self.nodes))

    @property
    def max_depth(self) -> int:
        return min(self.nodes // 2, self.hops)

    @property
    def facts_length(self) -> int:
        return 3 * self.nodes

    def sample(self, rng: np.random.Generator, depth: int, count: int) -> Batch:
        cycle = draw_names(rng, count, self.nodes, self.names)  # (count, nodes), each leads to the next
        edges = link(cycle, np.roll(cycle, -1, axis=1), self.names)
        walks = self.hops // depth
        start = rng.integers(self.nodes, size=(count, walks, 1))
        hop = np.arange(1, depth + 1)
        answers = np.take_along_axis(cycle[:, None], (start + hop) % self.nodes, axis=2)  # (count, walks, depth)
        words = np.full((count, self.hops), self.names + 1)
        words[:, : walks * depth : depth] = np.take_along_axis(cycle, start[:, :, 0], axis=1)
        tokens = np.concatenate([shuffle_facts(rng, edges), words], axis=1)
        targets, depths = np.full_like(tokens, NOT_ASKED), np.zeros_like(tokens)
        asked = slice(self.facts_length, self.facts_length + walks * depth)
        targets[:, asked], depths[:, asked] = answers.reshape(count, -1), np.tile(hop, walks)
        return Batch(tokens, targets, depths)

    def solve(self, tokens: np.ndarray) -> Answers:
        words = [self.vocabulary[t] for t in tokens.tolist()]
        graph = nx.DiGraph(edges_of(words[: self.facts_length]))
        here, steps = "", 0
        targets, depths = [NOT_ASKED] * self.facts_length, [0] * self.facts_length
        for word in words[self.facts_length :]:
            if word != ">":
                here, steps = word, 0
            here, steps = next(graph.successors(here)), steps + 1
            targets.append(int(here[1:]))
            depths.append(steps)
        return Answers(np.array(targets), np.array(depths))

    def canonical(self, tokens: np.ndarray) -> np.ndarray:
        return sort_edges(tokens, self.nodes)

    def graph(self, tokens: np.ndarray) -> nx.DiGraph:
        return drawn(self, tokens)

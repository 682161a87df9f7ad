"""The relation between two ends of a path is the product of the relations on its edges."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import ClassVar

import networkx as nx
import numpy as np

from tasks.errors import check_sizes
from tasks.graph.prompt import cut, draw_names, drawn, query_depths, shuffle_facts, sort_facts
from tasks.groups import elements, product_table, then
from tasks.task import NOT_ASKED, Answers, Batch, Task, stages


@dataclass(frozen=True)
class RelationComposition(Task):
    """One path of typed edges as shuffled facts `x g y`, then pairs `x y`: which relation leads from x to y?

    Depth: the number of edges from x to y. Relations are elements of a finite group other than the identity (every
    step is one), composed in the order of the path; in S3 order matters. Graphs of one distribution serve every depth.
    At least a third of the edges lie outside the asked part, or else the signs of all relations, counted without
    following any path, would tell the sign of the answer: so depth ends at two thirds of the edges.
    After: CLUTRR (Sinha et al. 2019, arXiv 1908.06177), with a group for its kinship, so that no relation leaks.

    Two examples, with `edges=3`, `queries=1`:

        depth 1    tokens  n2 102  n0  n0 120  n3  n3 021  n1  n0  n3
                   answer   .   .   .   .   .   .   .   .   .   . 120

        depth 2    tokens  n3 021  n1  n2 102  n0  n0 120  n3  n2  n3
                   answer   .   .   .   .   .   .   .   .   .   . 210
    """

    train_depths: tuple[int, ...] = (1, 2, 3)
    selection_depths: tuple[int, ...] = (4, 5)
    test_depths: tuple[int, ...] = (6, 8, 12, 16, 24)
    edges: int = 36
    names: int = 37
    curriculum: tuple[int, ...] = (2, 3, 5, 9, 18)  # numbers of edges trained on before `edges`
    queries: int = 6
    group: str = "S3"

    name: ClassVar[str] = "relation_composition"
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "the relation between two ends of a path of typed edges"
    fixed_length: ClassVar[bool] = True
    prefixes: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_sizes(self, edges=(2, 1_000), names=(self.edges + 1, 10_000), queries=(1, 1_000))
        elements(self.group)  # refuses a group that there is not

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        return (*elements(self.group), *(f"n{i}" for i in range(self.names)))

    @property
    def chance(self) -> float:
        return 1 / len(elements(self.group))

    @property
    def stages(self) -> tuple[Task, ...]:
        return stages(self, edges=self.curriculum)

    @property
    def max_depth(self) -> int:
        return 2 * self.edges // 3

    @property
    def facts_length(self) -> int:
        return 3 * self.edges

    @cached_property
    def _product(self) -> np.ndarray:
        return product_table(elements(self.group))

    def sample(self, rng: np.random.Generator, depth: int, count: int) -> Batch:
        order = len(self._product)
        path = draw_names(rng, count, self.edges + 1, self.names) + order
        relations = rng.integers(1, order, size=(count, self.edges))
        facts = np.stack([path[:, :-1], relations, path[:, 1:]], axis=2)
        asked = query_depths(rng, count, self.queries, depth)
        row, begin = np.arange(count)[:, None], rng.integers(self.edges + 1 - asked)
        answer = np.zeros_like(asked)  # the identity is element 0
        for step in range(depth):
            further = self._product[answer, relations[row, np.minimum(begin + step, self.edges - 1)]]
            answer = np.where(step < asked, further, answer)
        pairs = np.stack([path[row, begin], path[row, begin + asked]], axis=2).reshape(count, -1)
        tokens = np.concatenate([shuffle_facts(rng, facts), pairs], axis=1)
        targets, depths = np.full_like(tokens, NOT_ASKED), np.zeros_like(tokens)
        targets[:, self.facts_length + 1 :: 2], depths[:, self.facts_length + 1 :: 2] = answer, asked
        return Batch(tokens, targets, depths)

    def solve(self, tokens: np.ndarray) -> Answers:
        return self._compose(tokens, 0, self.edges)

    def partial(self, tokens: np.ndarray, steps: int) -> np.ndarray:
        return self._compose(tokens, 0, steps).targets

    def recent(self, tokens: np.ndarray, steps: int) -> np.ndarray:
        return self._compose(tokens, -steps, self.edges).targets

    def _compose(self, tokens: np.ndarray, first: int, last: int) -> Answers:
        """Find the path from x to y and compose the relations of its edges [first:last]."""
        words = [self.vocabulary[t] for t in tokens.tolist()]
        graph = nx.DiGraph()
        for x, g, y in cut(words[: self.facts_length], 3):
            graph.add_edge(x, y, relation=g)
        targets, depths = [NOT_ASKED] * self.facts_length, [0] * self.facts_length
        for x, y in cut(words[self.facts_length :], 2):
            path = nx.shortest_path(graph, x, y)
            answer, steps = elements(self.group)[0], 0
            for here, there in list(pairwise(path))[first:last]:
                answer, steps = then(answer, graph.edges[here, there]["relation"]), steps + 1
            targets += [NOT_ASKED, self.vocabulary.index(answer)]
            depths += [0, steps]
        return Answers(np.array(targets), np.array(depths))

    def canonical(self, tokens: np.ndarray) -> np.ndarray:
        return sort_facts(tokens, self.edges, 3, key=0)

    def graph(self, tokens: np.ndarray) -> nx.DiGraph:
        return drawn(self, tokens)

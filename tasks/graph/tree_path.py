"""The first step from the root of a star of paths towards a named node."""

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
class TreePath(Task):
    """A path-star as shuffled edges `x : y`, its root, then named nodes: the first step from the root towards each?

    Depth: the number of edges from the named node back to that first step (a leaf of an arm of n nodes has n - 1).
    Arms are of equal length and graphs of one distribution serve every depth: only the named node differs. The paper
    names leaves only; here any node of an arm but its first, so that depth varies while the graph does not.
    Who sees that the answer must follow the root is right once in `arms`.
    Depth is at most one less than the nodes of an arm; the default is the longest that keeps rows near 110 tokens.
    After: Bachmann and Nagarajan 2024, The Pitfalls of Next-Token Prediction (arXiv 2403.06963).

    Two examples, with `arms=2`, `length=3`, `queries=1`:

        depth 1    tokens  n4 : n1 n0 : n4 n3 : n5 n5 : n2 n6 : n3 n6 : n0 n6 n4
                   answer   . .  .  . .  .  . .  .  . .  .  . .  .  . .  .  . n0

        depth 2    tokens  n6 : n0 n3 : n5 n4 : n1 n0 : n4 n6 : n3 n5 : n2 n6 n2
                   answer   . .  .  . .  .  . .  .  . .  .  . .  .  . .  .  . n3
    """

    train_depths: tuple[int, ...] = (1, 2, 3)
    selection_depths: tuple[int, ...] = (4, 5)
    test_depths: tuple[int, ...] = (6, 8, 12, 16, 24)
    arms: int = 2
    length: int = 25
    names: int = 51
    curriculum: tuple[int, ...] = (2, 3, 4, 6, 12)  # lengths trained on before `length`
    queries: int = 8

    name: ClassVar[str] = "tree_path"
    version: ClassVar[int] = 2
    summary: ClassVar[str] = "the first step from the root of a path-star towards a named node"
    fixed_length: ClassVar[bool] = True
    prefixes: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_sizes(self, arms=(2, 100), length=(2, 1_000), names=(self.nodes, 10_000), queries=(1, 1_000))

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        return (*(f"n{i}" for i in range(self.names)), ":")

    @property
    def chance(self) -> float:
        return 1 / self.arms

    @property
    def nodes(self) -> int:
        return self.arms * self.length + 1

    @property
    def stages(self) -> tuple[Task, ...]:
        return stages(self, length=self.curriculum)

    @property
    def max_depth(self) -> int:
        return self.length - 1

    @property
    def edges(self) -> int:
        return self.arms * self.length

    @property
    def facts_length(self) -> int:
        return 3 * self.edges

    def sample(self, rng: np.random.Generator, depth: int, count: int) -> Batch:
        names = draw_names(rng, count, self.nodes, self.names)
        root, arms = names[:, :1], names[:, 1:].reshape(count, self.arms, self.length)
        before = np.concatenate([np.repeat(root[:, :, None], self.arms, axis=1), arms[:, :, :-1]], axis=2)
        edges = link(before, arms, self.names).reshape(count, self.edges, 3)
        asked = query_depths(rng, count, self.queries, depth)
        row, arm = np.arange(count)[:, None], rng.integers(self.arms, size=asked.shape)
        tokens = np.concatenate([shuffle_facts(rng, edges), root, arms[row, arm, asked]], axis=1)
        targets, depths = np.full_like(tokens, NOT_ASKED), np.zeros_like(tokens)
        targets[:, self.facts_length + 1 :], depths[:, self.facts_length + 1 :] = arms[row, arm, 0], asked
        return Batch(tokens, targets, depths)

    def solve(self, tokens: np.ndarray) -> Answers:
        return self._climb(tokens, self.length)

    def partial(self, tokens: np.ndarray, steps: int) -> np.ndarray:
        return self._climb(tokens, steps).targets

    def _climb(self, tokens: np.ndarray, most: int) -> Answers:
        """From each named node towards the root, at most so many steps: the last node before it."""
        words = [self.vocabulary[t] for t in tokens.tolist()]
        graph = nx.DiGraph(edges_of(words[: self.facts_length]))
        root = words[self.facts_length]
        targets, depths = [NOT_ASKED] * (self.facts_length + 1), [0] * (self.facts_length + 1)
        for here in words[self.facts_length + 1 :]:
            steps = 0
            while steps < most and (before := next(graph.predecessors(here))) != root:
                here, steps = before, steps + 1
            targets.append(int(here[1:]))
            depths.append(steps)
        return Answers(np.array(targets), np.array(depths))

    def canonical(self, tokens: np.ndarray) -> np.ndarray:
        return sort_facts(tokens, self.edges, 3, key=2)

    def graph(self, tokens: np.ndarray) -> nx.DiGraph:
        return drawn(self, tokens)

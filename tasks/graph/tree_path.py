"""The first step from the root of a star of paths towards a named node."""

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
class TreePath(Task):
    """A path-star, two arms long, as shuffled edges `x : y`, then named nodes: the first step from the root to each?

    Each edge leads from a node to the one before it on the way from the root, as a walk from the leaf would take it.
    Depth: the number of edges from the named node back to that first step (a leaf of an arm of n nodes has n - 1).
    Graphs of one distribution serve every depth: only the named node differs. What is shallow is asked of any arm, so
    that a row can be asked often; what is deeper than `short` - 1, of the long ones. The paper has equal arms, names
    leaves only, and the root by any node's name; here any node of an arm but its first is named, so that depth varies
    while the graph does not, and the root is `root`, so that a first step is known for one where it stands.
    Who rules out the first steps of the short arms, and guesses between the others, is right half of the time.
    With `shuffled=False`, as in the early stages of training, each arm stands from its leaf to the root, all mixed.
    With `rooted=False`, as in all of these but the last, the edge of a first step leads to itself and not to the root:
    to follow is the same step everywhere, and pairs of nodes, which ask for one step, do not teach to stop after it.
    Depth is at most one less than the nodes of a long arm; the default keeps rows near 170 tokens.
    After: Bachmann and Nagarajan 2024, The Pitfalls of Next-Token Prediction (arXiv 2403.06963).

    Two examples, with `arms=2`, `short=3`, `length=3`, `queries=1`:

        depth 1    tokens  n1 : root n2 : n0 n4 : root n0 : n4 n3 : n5 n5 : n1 n5
                   answer   . .    .  . .  .  . .    .  . .  .  . .  .  . .  . n1

        depth 2    tokens  n4 : root n1 : n0 n5 : n3 n2 : n5 n0 : n4 n3 : root n2
                   answer   . .    .  . .  .  . .  .  . .  .  . .  .  . .    . n3
    """

    train_depths: tuple[int, ...] = (1, 2, 3, 4)
    selection_depths: tuple[int, ...] = (5, 6)
    test_depths: tuple[int, ...] = (8, 12, 16)
    arms: int = 5
    short: int = 5
    length: int = 17
    names: int = 50
    curriculum: tuple[int, ...] = (4, 10, 25, 16, 12, 10)  # numbers of arms trained on before, all short
    queries: int = 20
    shuffled: bool = True
    rooted: bool = True

    name: ClassVar[str] = "tree_path"
    version: ClassVar[int] = 5
    summary: ClassVar[str] = "the first step from the root of a path-star towards a named node"
    fixed_length: ClassVar[bool] = True
    question_length: ClassVar[int] = 1
    prefixes: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_sizes(self, arms=(2, 100), short=(2, 1_000), queries=(1, 1_000))
        check_sizes(self, length=(self.short, 1_000), names=(self.nodes, 10_000))

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        return (*(f"n{i}" for i in range(self.names)), ":", "root")

    @property
    def chance(self) -> float:
        return 1 / 2

    @property
    def lengths(self) -> list[int]:
        return [self.length] * 2 + [self.short] * (self.arms - 2)

    @property
    def nodes(self) -> int:
        return sum(self.lengths)

    @property
    def stages(self) -> tuple[Task, ...]:
        """Pairs first, then longer arms, in order, at last with the root. None is long: few of its nodes are near
        enough the root to ask."""
        short = chain_lengths(self.curriculum, self.short)
        return stages(
            self, arms=(*self.curriculum, self.curriculum[-1]), short=(*short, short[-1]), length=(*short, short[-1]),
            shuffled=(False,) * (len(short) + 1), rooted=(*(False,) * len(short), True),
        )  # fmt: skip

    @property
    def max_depth(self) -> int:
        return self.length - 1

    @property
    def facts_length(self) -> int:
        return 3 * self.nodes

    def sample(self, rng: np.random.Generator, depth: int, count: int) -> Batch:
        nodes = draw_names(rng, count, self.nodes, self.names)  # one arm after another, the two long ones first
        first = np.cumsum([0, *self.lengths])[: self.arms]
        before = np.roll(nodes, 1, axis=1)
        before[:, first] = self.names + 1 if self.rooted else nodes[:, first]
        asked = query_depths(rng, count, self.queries, depth)
        row, arm = np.arange(count)[:, None], rng.integers(np.where(asked < self.short, self.arms, 2))
        edges = link(nodes, before, self.names)[:, ::-1]  # from the leaf of each arm, as they are walked
        facts = lay_chains(rng, edges, self.lengths[::-1], self.shuffled)
        tokens = np.concatenate([facts, nodes[row, first[arm] + asked]], axis=1)
        targets, depths = np.full_like(tokens, NOT_ASKED), np.zeros_like(tokens)
        targets[:, self.facts_length :], depths[:, self.facts_length :] = nodes[row, first[arm]], asked
        return Batch(tokens, targets, depths)

    def solve(self, tokens: np.ndarray) -> Answers:
        return self._climb(tokens, self.length)

    def partial(self, tokens: np.ndarray, steps: int) -> np.ndarray:
        return self._climb(tokens, steps).targets

    def _climb(self, tokens: np.ndarray, most: int) -> Answers:
        """From each named node towards the root, at most so many steps: the last node before it."""
        words = [self.vocabulary[t] for t in tokens.tolist()]
        graph = nx.DiGraph(edges_of(words[: self.facts_length]))
        targets, depths = [NOT_ASKED] * self.facts_length, [0] * self.facts_length
        for here in words[self.facts_length :]:
            steps = 0
            while steps < most and (before := next(graph.successors(here))) not in (here, "root"):
                here, steps = before, steps + 1
            targets.append(int(here[1:]))
            depths.append(steps)
        return Answers(np.array(targets), np.array(depths))

    def canonical(self, tokens: np.ndarray) -> np.ndarray:
        return sort_edges(tokens, self.nodes)

    def graph(self, tokens: np.ndarray) -> nx.DiGraph:
        return drawn(self, tokens)

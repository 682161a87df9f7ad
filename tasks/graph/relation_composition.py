"""The relation between two nodes is the product of the relations on the way from one to the other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import ClassVar

import networkx as nx
import numpy as np

from tasks.errors import check_sizes, unknown
from tasks.graph.prompt import cut, draw_names, drawn, shuffle_facts, sort_edges
from tasks.groups import elements, product_table, then
from tasks.task import NOT_ASKED, Answers, Batch, Task, stages, up_to

WANTED = ("steps", "all", "product")


@dataclass(frozen=True)
class RelationComposition(Task):
    """A cycle of typed edges as shuffled facts `x g y`, then walks `x ? = > ? = >`: what ties x to where they are?

    Depth: the number of edges walked. Each `>` walks on by one edge; the `=` before it asks for the relation from the
    start to the node that this edge leads to, the product of the relations on the way, in their order.
    Relations are elements of a finite group other than the identity (every step is one). In S3 order matters, though
    not always: who walks, and only counts the relations, knows the sign of their product, and is right in about a third
    of 24 edges. A row has room for one walk of `hops` edges, or for as many walks of depth d as fit, so that rows of
    all depths are equally long; what is left over is not asked.
    Products alone do not teach to walk: one of six answers does not tell who walked, and of a product either factor
    alone tells next to nothing. So in training each `?` is asked for its edge's relation and each `>` for its node, at
    first without the products (`wanted="steps"`), then with them to the end (`wanted="all"`).
    Depth ends at half the nodes, as in `khop_context`; the default has rows of 217 tokens.
    After: CLUTRR (Sinha et al. 2019, arXiv 1908.06177), with a group for its kinship, so that no relation leaks.

    Two examples, with `nodes=4`, `names=4`, `hops=2`:

        depth 1    tokens  n0 120 n3 n2 210 n1 n3 021 n2 n1 210 n0 n2 ?   = > > ? =
                   answer   .   .  .  .   .  .  .   .  .  .   .  .  . . 210 . . . .

        depth 2    tokens  n0 120 n3 n2 210 n1 n3 021 n2 n1 210 n0 n2 ?   = > ?   = >
                   answer   .   .  .  .   .  .  .   .  .  .   .  .  . . 210 . . 012 .
    """

    train_depths: tuple[int, ...] = (1, 2, 3)
    selection_depths: tuple[int, ...] = (4, 5)
    test_depths: tuple[int, ...] = (6, 8, 12, 16, 24)
    nodes: int = 48
    names: int = 48
    hops: int = 24
    curriculum: tuple[int, ...] = (3, 4, 6, 12, 24, 48)  # numbers of nodes, before products are asked
    wanted: str = "product"
    group: str = "S3"

    name: ClassVar[str] = "relation_composition"
    version: ClassVar[int] = 6
    summary: ClassVar[str] = "the product of the relations on a walk along typed edges"
    fixed_length: ClassVar[bool] = True
    prefixes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_sizes(self, names=(3, 10_000), nodes=(3, self.names), hops=(1, 10_000))
        if self.wanted not in WANTED:
            raise unknown("wanted", self.wanted, WANTED)
        elements(self.group)  # refuses a group that there is not

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        return (*elements(self.group), *(f"n{i}" for i in range(self.names)), "?", "=", ">")

    @property
    def chance(self) -> float:
        return 1 / len(elements(self.group))

    @property
    def stages(self) -> tuple[Task, ...]:
        """Steps first, then all, on the rows of the task: a walk that nothing asks for is lost again."""
        nodes = up_to(self.curriculum, self.nodes)
        *early, _ = stages(self, nodes=nodes, wanted=("steps",) * len(nodes))
        return (*early, replace(self, wanted="all"))

    @property
    def max_depth(self) -> int:
        return min(self.nodes // 2, self.hops)

    @property
    def facts_length(self) -> int:
        return 3 * self.nodes

    @cached_property
    def _product(self) -> np.ndarray:
        return product_table(elements(self.group))

    def sample(self, rng: np.random.Generator, depth: int, count: int) -> Batch:
        order = len(self._product)
        cycle = order + draw_names(rng, count, self.nodes, self.names)  # (count, nodes), each leads to the next
        relations = rng.integers(1, order, size=cycle.shape)  # the identity is element 0
        facts = shuffle_facts(rng, np.stack([cycle, relations, np.roll(cycle, -1, axis=1)], axis=-1))
        length = 3 * depth + 1
        walks, row = (3 * self.hops + 1) // length, np.arange(count)[:, None]
        start = rng.integers(self.nodes, size=(count, walks))
        place = np.arange(3 * self.hops + 1) % length
        words = np.tile(order + self.names + (place + 2) % 3, (count, 1))  # ? = > by turns
        words[:, : walks * length : length] = cycle[row, start]
        answers = np.full((count, walks, length), NOT_ASKED)
        product = np.zeros_like(start)
        for hop in range(depth):
            relation = relations[row, (start + hop) % self.nodes]
            product = self._product[product, relation]
            if self.wanted != "steps":
                answers[:, :, 3 * hop + 2] = product
            if self.wanted != "product":
                answers[:, :, 3 * hop + 1] = relation
                answers[:, :, 3 * hop + 3] = cycle[row, (start + hop + 1) % self.nodes]
        tokens = np.concatenate([facts, words], axis=1)
        targets, depths = np.full_like(tokens, NOT_ASKED), np.zeros_like(tokens)
        targets[:, self.facts_length : self.facts_length + walks * length] = answers.reshape(count, -1)
        depths[:, self.facts_length :] = (place + 2) // 3
        return Batch(tokens, targets, np.where(targets == NOT_ASKED, 0, depths))

    def solve(self, tokens: np.ndarray) -> Answers:
        return self._walk(tokens, self.hops)

    def recent(self, tokens: np.ndarray, steps: int) -> np.ndarray:
        return self._walk(tokens, steps).targets

    def _walk(self, tokens: np.ndarray, last: int) -> Answers:
        """Follow each walk, and compose the `last` relations of what was walked."""
        words = [self.vocabulary[t] for t in tokens.tolist()]
        fact = {x: (g, y) for x, g, y in cut(words[: self.facts_length], 3)}
        here = ""
        on_the_way: list[str] = []
        targets, depths = [NOT_ASKED] * self.facts_length, [0] * self.facts_length
        for word in words[self.facts_length :]:
            answer = ""
            if word == "?":
                on_the_way.append(fact[here][0])
                answer = "" if self.wanted == "product" else on_the_way[-1]
            elif word == "=":
                answer = "" if self.wanted == "steps" else reduce(then, on_the_way[-last:], elements(self.group)[0])
            elif word == ">":
                here = fact[here][1]
                answer = "" if self.wanted == "product" else here
            else:
                here, on_the_way = word, []
            targets.append(self.vocabulary.index(answer) if answer else NOT_ASKED)
            depths.append(len(on_the_way) if answer else 0)
        return Answers(np.array(targets), np.array(depths))

    def canonical(self, tokens: np.ndarray) -> np.ndarray:
        return sort_edges(tokens, self.nodes)

    def graph(self, tokens: np.ndarray) -> nx.DiGraph:
        return drawn(self, tokens)

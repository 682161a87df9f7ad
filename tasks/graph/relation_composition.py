"""The relation from a node to the end of its chain is the product of the relations on the way."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import networkx as nx
import numpy as np

from tasks.errors import check_sizes, unknown
from tasks.graph.prompt import chain_lengths, cut, draw_names, drawn, lay_chains, query_depths, sort_facts
from tasks.groups import elements, product_table, then
from tasks.task import NOT_ASKED, Answers, Batch, Task, stages

WANTED = ("end", "both", "product")


@dataclass(frozen=True)
class RelationComposition(Task):
    """Chains of typed edges as shuffled facts `x g y`, one of them long, then nodes and `?`: what ties each to its end?

    Depth: the number of edges from the asked node to the end of its chain. Relations are elements of a finite group
    other than the identity (every step is one), composed in the order of the path; in S3 order matters. An end leads to
    itself, by the identity: to follow is the same step everywhere, and one step more changes nothing.
    Graphs of one distribution serve every depth. What is shallow is asked of any chain, so that a row can be asked
    often; what is deeper than `short` - 1, of the long one. The other chains hold nearly half of the edges, or else the
    signs of all relations, counted without following any, would tell the answer's sign.
    With `shuffled=False`, as in the early stages of training, each chain stands in its own order, all mixed. What is
    learnt from products alone is to look up one relation, and no walk. So `wanted` is at first the end of the chain,
    which the node asks for, and no product; then both; then the product. With `idle`, as in the stage of both, half of
    the relations are the identity too: two steps of which one is idle need no table of products yet.
    Depth is at most one less than the nodes of the long chain; the default keeps rows at 190 tokens.
    After: CLUTRR (Sinha et al. 2019, arXiv 1908.06177), with a group for its kinship, so that no relation leaks.

    Two examples, with `chains=2`, `short=2`, `length=3`, `queries=1`:

        depth 1    tokens  n0 201 n4 n4 012 n4 n2 120 n0 n1 102 n3 n3 012 n3 n0   ?
                   answer   .   .  .  .   .  .  .   .  .  .   .  .  .   .  .  . 201

        depth 2    tokens  n0 012 n0 n1 012 n1 n3 102 n2 n4 102 n1 n2 102 n0 n3   ?
                   answer   .   .  .  .   .  .  .   .  .  .   .  .  .   .  .  . 012
    """

    train_depths: tuple[int, ...] = (1, 2, 3, 4)
    selection_depths: tuple[int, ...] = (5, 6)
    test_depths: tuple[int, ...] = (8, 12, 16, 24)
    chains: int = 6
    short: int = 5
    length: int = 25
    names: int = 50
    curriculum: tuple[int, ...] = (4, 10, 25, 16, 12, 10, 10)  # numbers of chains trained on before, all short
    queries: int = 20
    shuffled: bool = True
    wanted: str = "product"
    idle: bool = False
    group: str = "S3"

    name: ClassVar[str] = "relation_composition"
    version: ClassVar[int] = 4
    summary: ClassVar[str] = "the relation from a node to the end of its chain of typed edges"
    fixed_length: ClassVar[bool] = True
    prefixes: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_sizes(self, chains=(2, 100), short=(2, 1_000), queries=(1, 1_000))
        check_sizes(self, length=(self.short, 1_000), names=(self.nodes, 10_000))
        if self.wanted not in WANTED:
            raise unknown("wanted", self.wanted, WANTED)
        elements(self.group)  # refuses a group that there is not

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        return (*elements(self.group), *(f"n{i}" for i in range(self.names)), "?")

    @property
    def chance(self) -> float:
        return 1 / len(elements(self.group))

    @property
    def lengths(self) -> list[int]:
        return [self.length] + [self.short] * (self.chains - 1)

    @property
    def nodes(self) -> int:
        return sum(self.lengths)

    @property
    def stages(self) -> tuple[Task, ...]:
        """Pairs first, then longer chains, in order. None is long: few of its nodes are near enough its end to ask."""
        short = chain_lengths(self.curriculum, self.short)
        wanted = (("end",) * len(short) + ("both",))[1:]
        idle = tuple(what == "both" for what in wanted)
        in_order = (False,) * len(short)
        return stages(
            self, chains=self.curriculum, short=short, length=short, shuffled=in_order, wanted=wanted, idle=idle
        )

    @property
    def max_depth(self) -> int:
        return self.length - 1

    @property
    def facts_length(self) -> int:
        return 3 * self.nodes

    @cached_property
    def _product(self) -> np.ndarray:
        return product_table(elements(self.group))

    def sample(self, rng: np.random.Generator, depth: int, count: int) -> Batch:
        order = len(self._product)
        nodes = order + draw_names(rng, count, self.nodes, self.names)  # one chain after another, the long one first
        last = np.cumsum(self.lengths) - 1
        after, relations = np.roll(nodes, -1, axis=1), rng.integers(1, order, size=nodes.shape)
        if self.idle:
            relations *= rng.integers(2, size=relations.shape)  # the identity is element 0
        after[:, last], relations[:, last] = nodes[:, last], 0
        asked = query_depths(rng, count, self.queries, depth)
        row, chain = np.arange(count)[:, None], rng.integers(np.where(asked < self.short, self.chains, 1))
        answer = np.zeros_like(asked)
        for back in range(1, depth + 1):  # from the end of the chain to the asked node
            further = self._product[relations[row, last[chain] - np.minimum(back, asked)], answer]
            answer = np.where(back <= asked, further, answer)
        facts = lay_chains(rng, np.stack([nodes, relations, after], axis=-1), self.lengths, self.shuffled)
        tokens = np.full((count, self.facts_length + 2 * self.queries), order + self.names)
        tokens[:, : self.facts_length], tokens[:, self.facts_length :: 2] = facts, nodes[row, last[chain] - asked]
        targets, depths = np.full_like(tokens, NOT_ASKED), np.zeros_like(tokens)
        for first, what, of in ((0, "end", nodes[row, last[chain]]), (1, "product", answer)):
            if self.wanted in (what, "both"):
                place = slice(self.facts_length + first, None, 2)
                targets[:, place], depths[:, place] = of, asked
        return Batch(tokens, targets, depths)

    def solve(self, tokens: np.ndarray) -> Answers:
        return self._compose(tokens, 0, self.length)

    def partial(self, tokens: np.ndarray, steps: int) -> np.ndarray:
        return self._compose(tokens, 0, steps).targets

    def recent(self, tokens: np.ndarray, steps: int) -> np.ndarray:
        return self._compose(tokens, -steps, self.length).targets

    def _compose(self, tokens: np.ndarray, first: int, last: int) -> Answers:
        """Follow the chain from each asked node to its end, and compose the relations of its edges [first:last]."""
        words = [self.vocabulary[t] for t in tokens.tolist()]
        fact = {x: (g, y) for x, g, y in cut(words[: self.facts_length], 3)}
        targets, depths = [NOT_ASKED] * self.facts_length, [0] * self.facts_length
        for here in words[self.facts_length :: 2]:
            on_the_way = []
            while fact[here][1] != here:
                relation, here = fact[here]
                on_the_way.append(relation)
            answer = elements(self.group)[0]
            for relation in on_the_way[first:last]:
                answer = then(answer, relation)
            for what, of in (("end", here), ("product", answer)):
                asked = self.wanted in (what, "both")
                targets.append(self.vocabulary.index(of) if asked else NOT_ASKED)
                depths.append(len(on_the_way[first:last]) if asked else 0)
        return Answers(np.array(targets), np.array(depths))

    def canonical(self, tokens: np.ndarray) -> np.ndarray:
        return sort_facts(tokens, self.nodes, 3, key=0)

    def graph(self, tokens: np.ndarray) -> nx.DiGraph:
        return drawn(self, tokens)

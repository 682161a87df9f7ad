"""k hops over memorised facts: the knowledge is in the weights, the reasoning is in the loops."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import networkx as nx
import numpy as np

from tasks.chains import beginnings, deepest_chain, first_in_row, since
from tasks.errors import check_sizes
from tasks.task import NOT_ASKED, Answers, Batch, Task, shallower


@dataclass(frozen=True)
class KhopFacts(Task):
    """Start at an entity and follow relations, one hop a relation; each prefix of the path is asked.

    Depth: the number of relations followed up to the asked position. Every relation is a random permutation of the
    entities, so that no hop forgets where the path has been (a suffix of the path says nothing about its end).
    Nor do counts: who follows the first five relations in order, and of the rest only knows how many of each there
    are, has the commonest end of all orders, right in about an eighth of depth 10 and hardly more than a guess of 20.
    The facts stand nowhere in the input: they belong to the task (`facts_seed`) and must be learnt.
    With `terms` all rows are of so many tokens, and hold several paths, each from an entity of its own on: a deeper
    question then stands in no longer row. Such a row has one path of its depth, at any place, and none that is longer.
    After: Loop, Think & Generalize (arXiv 2604.07822), there with 200 entities and 10 relations.

    Two examples, where r0 maps e0 -> e2 -> e1 -> e0 and r1 swaps e0 and e1:

        depth 1    tokens  e0 r0             depth 3    tokens  e0 r0 r1 r0
                   answer   . e2                        answer   . e2 e2 e1
    """

    train_depths: tuple[int, ...] = (1, 2, 3, 4, 5)
    selection_depths: tuple[int, ...] = (6, 8)
    test_depths: tuple[int, ...] = (10, 20, 40, 80)
    entities: int = 40
    relations: int = 4
    facts_seed: int = 0
    curriculum: tuple[int, ...] = ()  # hops trained on before
    terms: int = 0  # tokens of every row; with 0 a row is as long as its one path

    name: ClassVar[str] = "khop_facts"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "follow k relations from an entity; the facts are in the weights"
    prefixes: ClassVar[bool] = True
    later: ClassVar[tuple[str, ...]] = ("curriculum", "terms")

    def __post_init__(self) -> None:
        check_sizes(self, entities=(3, 10_000), relations=(1, 1_000), facts_seed=(0, 2**31), terms=(0, 10_000))

    @property
    def fixed_length(self) -> bool:  # type: ignore[override]  # of one size, not of the whole class
        return self.terms > 0

    @property
    def max_depth(self) -> int | None:
        return self.terms - 1 if self.terms else None

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        return tuple(f"e{i}" for i in range(self.entities)) + tuple(f"r{i}" for i in range(self.relations))

    @property
    def chance(self) -> float:
        return 1 / self.entities

    @property
    def stages(self) -> tuple[Task, ...]:
        return shallower(self, self.curriculum)

    @cached_property
    def facts(self) -> np.ndarray:
        """facts[r, x] is the entity that relation r leads to from x; int64 (relations, entities)."""
        rng = np.random.default_rng([self.facts_seed, self.entities, self.relations, 0])
        return np.stack([rng.permutation(self.entities) for _ in range(self.relations)])

    def sample(self, rng: np.random.Generator, depth: int, count: int) -> Batch:
        path = rng.integers(self.relations, size=(count, (self.terms or depth + 1) - 1))
        here = rng.integers(self.entities, size=count)
        begins = beginnings(rng, depth, count, self.terms)
        tokens = np.concatenate([here[:, None], path + self.entities], axis=1)
        anew = begins[:, 1:]
        tokens[:, 1:][anew] = rng.integers(self.entities, size=anew.sum())
        targets = np.full_like(tokens, NOT_ASKED)
        for i in range(1, tokens.shape[1]):
            here = np.where(begins[:, i], tokens[:, i], self.facts[path[:, i - 1], here])
            targets[:, i] = np.where(begins[:, i], NOT_ASKED, here)
        return Batch(tokens, targets, since(begins))

    @cached_property
    def _graph(self) -> nx.MultiDiGraph:
        graph = nx.MultiDiGraph()
        graph.add_edges_from(
            (f"e{x}", f"e{y}", f"r{r}") for r, row in enumerate(self.facts.tolist()) for x, y in enumerate(row)
        )
        return graph

    def graph(self, tokens: np.ndarray) -> nx.MultiDiGraph:
        """The facts that the row's paths use, each numbered by its hops."""
        words = [self.vocabulary[t] for t in tokens.tolist()]
        here, hop, hops = words[0], 0, nx.MultiDiGraph()
        for relation in words:
            if relation.startswith("e"):
                here, hop = relation, 0
                hops.add_node(here, asked=True)
                continue
            hop += 1
            there = next(y for _, y, key in self._graph.out_edges(here, keys=True) if key == relation)
            edge = hops.get_edge_data(here, there, relation)
            hops.add_edge(here, there, relation, label=f"{edge['label']},{hop}" if edge else f"{relation}: {hop}")
            here = there
        return hops

    def asked_first(self, tokens: np.ndarray) -> np.ndarray:
        return first_in_row(tokens, tokens < self.entities) if self.terms else super().asked_first(tokens)

    def solve(self, tokens: np.ndarray) -> Answers:
        words = [self.vocabulary[t] for t in tokens.tolist()]
        here, steps = words[0], 0
        targets, depths = [], []
        for place, word in enumerate(words):
            if place == 0 or (self.terms and word.startswith("e")):
                here, steps = word, 0
            else:
                here = next(y for _, y, key in self._graph.out_edges(here, keys=True) if key == word)
                steps += 1
            targets.append(int(here[1:]) if steps else NOT_ASKED)
            depths.append(steps)
        return Answers(np.array(targets), np.array(depths))

    def recent(self, tokens: np.ndarray, steps: int) -> np.ndarray:
        chain = deepest_chain(tokens, self.solve(tokens).depths)
        seen = np.concatenate([chain[:1], chain[1:][-steps:]])  # as if it began there, at its own start
        return np.full(len(tokens), self.solve(seen).targets[-1])

"""Facts in the prompt: what the tasks that state their graph in the row have in common.

A fact is a few tokens, `x : y` for an edge; a row is its facts in random order, then the question.
Without the `:` between them, who sees only the last few positions cannot tell where an edge begins: in `x y z u`, does
y lead to z? Parity of the position answers, but that is another task than the one that is asked.
"""

from __future__ import annotations

from collections.abc import Iterator

import networkx as nx
import numpy as np

from tasks.task import Task


def draw_names(rng: np.random.Generator, count: int, wanted: int, names: int) -> np.ndarray:
    """`wanted` different names out of `names` for each row, in random order; int64 (count, wanted)."""
    return rng.permuted(np.tile(np.arange(names), (count, 1)), axis=1)[:, :wanted]


def link(x: np.ndarray, y: np.ndarray, colon: int) -> np.ndarray:
    """Edges `x : y` from the nodes x to the nodes y, of one shape (...); int64 (..., 3)."""
    return np.stack([x, np.full_like(x, colon), y], axis=-1)


def shuffle_facts(rng: np.random.Generator, facts: np.ndarray) -> np.ndarray:
    """Facts (count, facts, width) in an order of their own for each row, as tokens (count, facts * width)."""
    order = rng.permuted(np.tile(np.arange(facts.shape[1]), (len(facts), 1)), axis=1)
    return np.take_along_axis(facts, order[:, :, None], axis=1).reshape(len(facts), -1)


def lay_chains(rng: np.random.Generator, facts: np.ndarray, lengths: list[int], shuffled: bool) -> np.ndarray:
    """Facts (count, facts, width) of chains of these lengths, one after another, as tokens (count, facts * width).

    They are shuffled, or each chain stays in the order in which it is walked and the chains are mixed at random. Then
    no fact's place can look up the fact behind it, which comes later, so that only who asks can walk. Shuffled, half of
    the places find the next fact before them, and answer two steps to whoever looks them up: that is learnt before
    walking is, and is right half of the time.
    """
    if shuffled:
        return shuffle_facts(rng, facts)
    chains = np.split(rng.random(facts.shape[:2]), np.cumsum(lengths)[:-1], axis=1)
    order = np.concatenate([np.sort(places, axis=1) for places in chains], axis=1).argsort(axis=1)
    return np.take_along_axis(facts, order[:, :, None], axis=1).reshape(len(facts), -1)


def chain_lengths(curriculum: tuple[int, ...], longest: int) -> tuple[int, ...]:
    """Facts of each chain at the stages of a curriculum of so many chains: pairs up to the most chains, so that one
    fact is found among many before two are; from there on fewer and longer ones, as many facts in all."""
    most = max(curriculum, default=0)
    paired = curriculum.index(most) if curriculum else 0
    return tuple(2 if at <= paired else min(2 * most // n, longest) for at, n in enumerate(curriculum))


def sort_edges(tokens: np.ndarray, edges: int) -> np.ndarray:
    """Rows with their facts `x : y` sorted by x, which must differ between the facts of a row."""
    table = tokens[:, : edges * 3].reshape(len(tokens), edges, 3)
    order = table[:, :, 0].argsort(axis=1)
    ordered = np.take_along_axis(table, order[:, :, None], axis=1).reshape(len(tokens), -1)
    return np.concatenate([ordered, tokens[:, edges * 3 :]], axis=1)


def query_depths(rng: np.random.Generator, count: int, queries: int, depth: int) -> np.ndarray:
    """The depths (count, queries) that a row asks: the last exactly `depth`, those before it anything up to it.

    One prompt asked several times costs a model hardly more than one asked once, and teaches it more.
    """
    depths = rng.integers(1, depth + 1, size=(count, queries))
    depths[:, -1] = depth
    return depths


def cut(words: list[str], width: int) -> Iterator[list[str]]:
    """The words in pieces of `width`: facts when an oracle reads them back."""
    return (words[i : i + width] for i in range(0, len(words), width))


def edges_of(words: list[str]) -> Iterator[tuple[str, str]]:
    """The pairs (x, y) that facts `x : y` name: when an oracle reads them back."""
    return ((x, y) for x, _, y in cut(words, 3))


def drawn(task: Task, tokens: np.ndarray) -> nx.DiGraph:
    """The graph that a row states, for `show --png`: the nodes that it asks about marked, relations as labels."""
    words = [task.vocabulary[t] for t in tokens.tolist()]
    graph = nx.DiGraph()
    for x, relation, y in cut(words[: task.facts_length], 3):
        graph.add_edge(x, y, label="" if relation == ":" else relation)
    for word in words[task.facts_length :]:
        if word in graph:
            graph.nodes[word]["asked"] = True
    return graph

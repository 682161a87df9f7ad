"""Examples of a task: as text with answers and the oracle's steps, as a drawing, as JSON lines for use elsewhere."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tasks import NOT_ASKED, SPLITS, Task, UserError, draw
from tasks.checks import guard
from tasks.files import write_new

if TYPE_CHECKING:
    import networkx as nx

WIDTH = 80  # characters of a line of examples


def as_text(task: Task, tokens: np.ndarray, targets: np.ndarray) -> str:
    """One row in words: tokens, the answer below each asked position, and the steps that the oracle took to it."""
    words, steps = task.vocabulary, task.solve(tokens).depths
    columns = [
        (words[token], "." if target == NOT_ASKED else words[target], "." if target == NOT_ASKED else str(step))
        for token, target, step in zip(tokens.tolist(), targets.tolist(), steps.tolist(), strict=True)
    ]
    lines: list[str] = []
    block: list[list[str]] = [["tokens"], ["answer"], ["steps "]]
    used = len("tokens")
    for column in columns:
        wide = max(map(len, column))
        if used + 1 + wide > WIDTH and len(block[0]) > 1:
            lines += [*_joined(block), ""]
            block, used = [["tokens"], ["answer"], ["steps "]], len("tokens")
        for line, word in zip(block, column, strict=True):
            line.append(word.rjust(wide))
        used += 1 + wide
    return "\n".join([*lines, *_joined(block)])


def _joined(block: list[list[str]]) -> list[str]:
    """The block's lines; where it asks nothing, its tokens alone."""
    asks = any(word != "." for word in block[1][1:])
    return [" ".join(line) for line in (block if asks else block[:1])]


def draw_graph(task: Task, tokens: np.ndarray, path: Path, title: str) -> None:
    """The row's graph as a PNG; an error where the task has none."""
    import networkx as nx

    with guard(f"{task.name}: graph"):
        graph = task.graph(tokens)
    if graph is None:
        raise UserError(f"{task.name} has no graph to draw: leave out --png")
    if not isinstance(graph, nx.Graph):
        raise UserError(f"{task.name}: graph returned {type(graph).__name__}: allowed is a networkx Graph, or None")
    from matplotlib.figure import Figure

    side = min(14.0, 4.0 + 0.12 * len(graph))
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    place = places(graph)
    colours = ["#f4a261" if asked else "#dce6f2" for _, asked in graph.nodes(data="asked")]
    nx.draw_networkx_nodes(graph, place, ax=axes, node_color=colours, edgecolors="#40516b", node_size=520)
    nx.draw_networkx_labels(graph, place, ax=axes, font_size=8)
    bend = [f"arc3,rad={0.15 + 0.15 * i}" for i in range(4)]  # parallel edges stand apart
    edges = list(graph.edges(keys=True)) if graph.is_multigraph() else list(graph.edges())
    asked = [graph.edges[edge].get("asked", False) for edge in edges]
    if graph.is_directed():
        nx.draw_networkx_edges(
            graph, place, edges, ax=axes, node_size=520, connectionstyle=bend if graph.is_multigraph() else bend[0],
            edge_color=["#e76f51" if a else "#40516b" for a in asked],
        )  # fmt: skip
    else:
        nx.draw_networkx_edges(graph, place, edges, ax=axes, edge_color=["#e76f51" if a else "#40516b" for a in asked])
    labels = {edge: graph.edges[edge]["label"] for edge in edges if "label" in graph.edges[edge]}
    if labels:
        curved = {"connectionstyle": bend if graph.is_multigraph() else bend[0]} if graph.is_directed() else {}
        nx.draw_networkx_edge_labels(graph, place, labels, ax=axes, font_size=7, **curved)
    axes.set_title(title, fontsize=9)
    axes.axis("off")
    held = io.BytesIO()
    figure.savefig(held, format="png", dpi=120)
    write_new(path, held.getvalue())


ROW = 8  # nodes of a chain that are drawn side by side


def places(graph: nx.Graph) -> dict[str, tuple[float, float]]:
    """Where the nodes stand: chains in rows, to and fro; anything else by networkx's own layout."""
    import networkx as nx

    plain = nx.Graph(graph)
    if not graph.is_directed() or max(dict(plain.degree).values(), default=0) > 2:
        return dict(nx.kamada_kawai_layout(plain))
    stand: dict[str, tuple[float, float]] = {}
    row = 0
    for part in sorted(nx.connected_components(plain), key=len, reverse=True):
        first = next((node for node in graph if node in part and graph.in_degree(node) == 0), next(iter(part)))
        for i, node in enumerate(nx.dfs_preorder_nodes(graph, first)):
            line, step = divmod(i, ROW)
            stand[node] = (float(step if line % 2 == 0 else ROW - 1 - step), -float(row + line))
        row += -(-len(part) // ROW)
    return stand


def lines(task: Task, depths: Sequence[int], split: str, seed: int, count: int) -> Iterator[str]:
    """One JSON line an example; answers and depths by the position, from 0, at which they are asked. `of`: how many
    there are of its depth and `row` which of them it is, so that lines that get lost are missed."""
    words = task.vocabulary
    for depth in depths:
        batch = draw(task, seed, SPLITS[split], depth, 0, count)
        for row, (tokens, targets, steps) in enumerate(zip(*(array.tolist() for array in batch), strict=True)):
            asked = [place for place, target in enumerate(targets) if target != NOT_ASKED]
            line = {
                "task": task.name,
                "version": task.version,
                "split": split,
                "seed": seed,
                "depth": depth,
                "row": row,
                "of": count,
                "tokens": " ".join(words[token] for token in tokens),
                "answers": {str(place): words[targets[place]] for place in asked},
                "depths": {str(place): steps[place] for place in asked},
            }
            yield json.dumps(line)

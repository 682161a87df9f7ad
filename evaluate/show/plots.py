"""Plots as PNG and SVG: how far each model goes on all tasks; a heatmap of depth x loops for each task and model, and
each task's accuracy by depth."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D

from evaluate.show.colours import look, looks
from evaluate.show.figures import asked_from, how_far
from evaluate.show.grid import Grid, Results
from evaluate.show.measures import furthest_first
from evaluate.show.svg import Reach
from tasks.files import file_name

matplotlib.rcParams["svg.hashsalt"] = "loopbench"  # the same records give the same file


Looks = dict[str, int]
"""The place of each model's look, in the order of legends, as `colours.looks` gives them."""


def reach(results: Results, places: Looks) -> Figure:
    """A row a task and in it a mark a model: the deepest depth answered over the deepest trained on, as in a report."""
    rows = {task: [results.grids[task, m] for m in places if (task, m) in results.grids] for task in results.tasks}
    marks = [[how_far(grid, places[grid.model]) for grid in grids] for grids in rows.values()]
    heights = [max(2.5, len(row)) + 0.6 for row in marks]  # one for each mark, and room for two lines of text
    ends = np.cumsum(heights)
    in_line = len(places) if sum(len(m) + 4 for m in places) < 90 else max(1, 90 // (max(map(len, places)) + 4))
    tall = 1.0 + 0.18 * -(-len(places) // in_line) + 0.115 * ends[-1]
    figure, axes = plt.subplots(figsize=(7.0, tall), layout="constrained")
    for row, height, end in zip(marks, heights, ends, strict=True):
        for place, mark in enumerate(row):
            _mark(axes, mark, end - height + (place + 0.5) * height / len(row))
        axes.axhline(end, color="0.7", linewidth=0.6)
    _in_ratios(axes, max([2.0, *(mark.high for row in marks for mark in row)]))
    axes.set_ylim(ends[-1], 0)
    names = [f"{task}\n{asked_from(grids)}" for task, grids in rows.items()]
    axes.set_yticks(ends - np.array(heights) / 2, names, fontsize=8, parse_math=False)
    axes.tick_params(axis="y", length=0)
    told = "deepest depth answered, in times the deepest trained on; about logarithmic (+: the deepest asked)"
    axes.set_xlabel(f"{told}\nbelow a task: the deepest trained on, to the deepest asked", fontsize=8)
    for model, place in places.items():
        colour, shape, _ = look(place)
        axes.plot([], [], color=colour, marker=shape, markersize=5, linestyle="", label=model)
    legend = figure.legend(loc="outside upper center", ncols=in_line, fontsize=8, frameon=False, handletextpad=0.1)
    for text in legend.get_texts():
        text.set_parse_math(False)
    bars = [
        Line2D([], [], color="0.3", alpha=0.5, linewidth=4, label="bar: all seeds"),
        Line2D([], [], color="0.3", linewidth=1, marker="|", markersize=6,
               label="thin: of one seed, how deep its true accuracies may go (95%)"),
    ]  # fmt: skip
    figure.legend(
        handles=bars, loc="outside lower center", ncols=2, fontsize=8, frameon=False, handlelength=2.5, numpoints=2
    )
    return figure


def _mark(axes: Axes, mark: Reach, y: float) -> None:
    """One model on one task, with its range."""
    colour, shape, _ = look(mark.look)
    if mark.seeds:
        axes.plot([mark.low, mark.high], [y, y], color=colour, alpha=0.5, linewidth=4, solid_capstyle="butt")
    else:
        axes.hlines(y, mark.low, mark.high, color=colour, linewidth=1)
        axes.vlines([mark.low, mark.high], y - 0.3, y + 0.3, color=colour, linewidth=1)
    axes.plot(mark.ratio, y, color=colour, marker=shape, markersize=5, clip_on=False, zorder=3)
    if mark.more:
        axes.annotate("+", (mark.ratio, y), (4, 0), textcoords="offset points", va="center", fontsize=7)


def _in_ratios(axes: Axes, most: float) -> None:
    """What was trained on is shaded up to its end at 1; further on each doubling is about as wide."""
    axes.axvspan(0, 1, color="0.5", alpha=0.15, linewidth=0)
    axes.axvline(1, color="crimson", linewidth=1.2, linestyle="--")
    axes.set_xscale("function", functions=(lambda ratio: np.log1p(3 * ratio), lambda place: np.expm1(place) / 3))
    ticks = [0, 1, *(2**power for power in range(1, 12) if 2**power <= most * 1.01)]
    axes.set_xticks(ticks, [f"{tick}x" if tick else "0" for tick in ticks], fontsize=8)
    axes.minorticks_off()
    axes.set_xlim(0, most * 1.25)
    axes.grid(axis="x", color="0.85", linewidth=0.6)
    axes.set_axisbelow(True)


def heatmap(grids: list[Grid]) -> Figure:
    """Accuracy by depth (up) and loops (right) of one task's models: a row for each that loops, the deepest first, and
    beside these the others.

    A dashed line marks the deepest training depth; a missing cell stays empty.
    """
    rows = in_rows(grids)
    most = max(sum(len(grid.columns) + 1 for grid in row) - 1 for row in rows)  # one left free between two grids
    tall = 0.9 + 0.25 * max(len(grid.depths) for grid in grids)
    wide = max(4.8, 1.6 + 0.6 * most)
    figure = plt.figure(figsize=(wide, 0.4 + tall * len(rows)), layout="constrained")
    cells, panels = figure.add_gridspec(len(rows), most), []
    for row, across in enumerate(rows):
        left = 0
        for grid in across:
            axes = figure.add_subplot(cells[row, left : left + len(grid.columns)])
            image = heat(grid, axes)
            if not left:
                axes.set_ylabel("depth")
            left += len(grid.columns) + 1
            panels.append(axes)
    figure.supxlabel("loops at test", fontsize=9)
    title = f"{grids[0].task}: trained on the depths below the dashed line"
    figure.suptitle(title, fontsize=9, parse_math=False)
    figure.colorbar(image, ax=panels, label="accuracy, %", aspect=30, fraction=0.36 / wide)
    return figure


def in_rows(grids: list[Grid]) -> list[list[Grid]]:
    """Grids of many columns one below the other, the deepest first, and those of few beside them, shared out."""

    def depth(grid: Grid) -> float:
        return float(np.median(grid.depth95s(grid.headline())))

    wide = sorted((grid for grid in grids if len(grid.columns) > 2), key=depth, reverse=True)
    narrow = [grid for grid in grids if len(grid.columns) <= 2]
    if not wide:
        return [narrow]
    return [[grid, *narrow[place :: len(wide)]] for place, grid in enumerate(wide)]


def heat(grid: Grid, axes: Axes) -> AxesImage:
    """One model's panel."""
    correct, count = grid.pooled
    with np.errstate(invalid="ignore"):
        values = np.where(count > 0, 100 * correct / count, np.nan)
    image = axes.imshow(values, origin="lower", aspect="auto", vmin=0, vmax=100, cmap="cividis")
    for (row, col), value in np.ndenumerate(values):
        if not np.isnan(value):
            colour = "white" if value < 60 else "black"
            shown = np.floor(value) if value < 100 else value  # never rounded up to all
            axes.text(col, row, f"{shown:.0f}", ha="center", va="center", fontsize=7, color=colour)
    trained = int((grid.depths <= grid.train_max_depth).sum())
    axes.axhline(trained - 0.5, color="white", linewidth=2.5)
    axes.axhline(trained - 0.5, color="crimson", linewidth=1.2, linestyle="--")
    names = ["none" if column.halting == "none" else column.name for column in grid.columns]
    axes.set_xticks(range(len(names)), names, fontsize=8)
    axes.set_yticks(range(len(grid.depths)), [str(depth) for depth in grid.depths], fontsize=8)
    name = grid.model if len(grid.columns) > 2 else re.sub(r"[_@]", r"\n\g<0>", grid.model)  # a narrow panel
    axes.set_title(name, fontsize=9, parse_math=False)
    return image


def by_depth(task: str, grids: list[Grid], places: Looks) -> Figure:
    """Accuracy by depth of every model at its headline's column, with Wilson intervals; trained depths are shaded.

    Where lines lie on each other, the dashed are drawn over the solid one, and marks are hollow, so that all are seen.
    """
    figure, axes = plt.subplots(figsize=(6.4, 4.3), layout="constrained")
    order = [model for model in places if any(grid.model == model for grid in grids)]
    for grid in sorted(grids, key=lambda grid: order.index(grid.model)):
        column = grid.headline()
        if column is None:
            continue
        (correct, count), (colour, shape, dash) = grid.pooled, look(places[grid.model])
        asked = np.flatnonzero(count[:, column])
        share = correct[asked, column] / count[asked, column]
        low, high = (array[asked, column] for array in grid.intervals)
        axes.fill_between(grid.depths[asked], 100 * low, 100 * high, color=colour, alpha=0.15, linewidth=0)
        dashes = (0, tuple(map(int, dash.split()))) if dash else "solid"
        wide = 1.6 if dash else 2.6
        size = 9.0 - 4 * order.index(grid.model) / len(order)
        axes.plot(
            grid.depths[asked], 100 * share, color=colour, marker=shape, markersize=size, markerfacecolor="none",
            linewidth=wide, linestyle=dashes, zorder=2.2 if dash else 2.1,
            label=f"{grid.model} {grid.columns[column].told}",
        )  # fmt: skip
    top = grids[0].train_max_depth
    axes.axvspan(0, top, color="0.5", alpha=0.15, linewidth=0)
    axes.axhline(95, color="0.4", linewidth=0.8, linestyle=":")
    floor = 100 * max(float(grid.floor.max()) for grid in grids if len(grid.depths))
    axes.axhline(floor, color="0.4", linewidth=0.8, linestyle="-.")
    axes.set_xscale("log")
    ticks = sorted({int(depth) for grid in grids for depth in grid.depths})
    axes.set_xticks(ticks, [str(tick) for tick in ticks], minor=False)
    axes.minorticks_off()
    axes.set_ylim(-3, 103)
    bands = "bands: 95% intervals over questions, seeds pooled"
    axes.set_xlabel(f"depth (shaded: trained on, up to {top}; {bands})", fontsize=9)
    axes.set_ylabel("accuracy, % (dotted: 95; dash and dot: chance, or a shortcut)", fontsize=9)
    axes.set_title(task, fontsize=9, parse_math=False)
    legend = axes.legend(fontsize=7, loc="best", handlelength=5)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def draw_all(results: Results, folder: Path) -> list[Path]:
    """Of all tasks how far each model goes, for each a heatmap of each model, one of all, and a line plot: PNG and SVG;
    returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    places: Looks = looks(furthest_first(results))
    paths: list[Path] = []
    for (task, model), grid in results.grids.items():
        if grid.count.any():
            paths += saved(heatmap([grid]), folder, f"{task}-{model}", paths)
    for task in results.tasks:
        grids = [grid for (of, _), grid in results.grids.items() if of == task and grid.count.any()]
        if len(grids) > 1:
            paths += saved(heatmap(grids), folder, f"{task}-by-loops", paths)
        if grids:
            paths += saved(by_depth(task, grids, places), folder, task, paths)
    return paths + (saved(reach(results, places), folder, "reach", paths) if places else [])


def saved(figure: Figure, folder: Path, name: str, taken: Collection[Path]) -> list[Path]:
    """Writes a PNG and an SVG, numbered where names that differ (by a dot, or far on) would be one file's."""
    plain = file_name(name)
    names = itertools.chain([plain], (f"{plain}-{again}" for again in itertools.count(2)))
    free = next(name for name in names if folder / f"{name}.png" not in taken)
    paths = [folder / f"{free}.png", folder / f"{free}.svg"]
    figure.savefig(paths[0], dpi=150)
    figure.savefig(paths[1], metadata={"Date": None})
    plt.close(figure)
    return paths

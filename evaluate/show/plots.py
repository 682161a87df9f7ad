"""Heatmaps of depth x loops, drawn from records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from evaluate.records import Records
from evaluate.show.tables import columns_of, grids, pooled
from tasks.files import file_name


def heatmap(cells: list[dict[str, Any]], title: str, train_max_depth: int, path: Path) -> None:
    """Accuracy by depth (up) and loops (right); a line marks the deepest training depth; a missing cell stays empty."""
    sums, columns = pooled(cells), columns_of(cells)
    depths = sorted({cell["depth"] for cell in cells})
    grid = np.full((len(depths), len(columns)), np.nan)
    for (depth, name), (correct, count) in sums.items():
        grid[depths.index(depth), columns.index(name)] = 100 * correct / count
    figure, axes = plt.subplots(figsize=(1.6 + 0.55 * len(columns), 1.2 + 0.32 * len(depths)), layout="constrained")
    image = axes.imshow(grid, origin="lower", aspect="auto", vmin=0, vmax=100, cmap="cividis")
    for (row, col), value in np.ndenumerate(grid):
        if not np.isnan(value):
            colour = "white" if value < 60 else "black"
            axes.text(col, row, f"{value:.0f}", ha="center", va="center", fontsize=7, color=colour)
    trained = sum(depth <= train_max_depth for depth in depths)
    axes.axhline(trained - 0.5, color="white", linewidth=2.5)
    axes.axhline(trained - 0.5, color="crimson", linewidth=1.2, linestyle="--")
    axes.set_xticks(range(len(columns)), ["no loops" if name == "none" else name for name in columns])
    axes.set_yticks(range(len(depths)), [str(depth) for depth in depths])
    axes.set_xlabel("loops at test")
    axes.set_ylabel("depth")
    axes.set_title(f"{title}\ntrained on the depths below the dashed line", fontsize=9)
    figure.colorbar(image, label="accuracy, %")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def draw_all(records: Records, folder: Path) -> list[Path]:
    """A PNG for each task and model, in `folder`; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for (task, model), cells in grids(records).items():
        if cells:
            top = next(r for r in records.runs.values() if (r["task"], r["model"]) == (task, model))["train_max_depth"]
            paths.append(folder / f"{file_name(task)}-{file_name(model)}.png")
            heatmap(cells, f"{task}, {model}", top, paths[-1])
    return paths

"""Extrapolation tables from records: one for each task and model, a row a depth and a column a loop count."""

from __future__ import annotations

import json
import textwrap
from collections import defaultdict
from typing import Any

import tabulate as tabulate_module
from tabulate import tabulate

from evaluate.metrics import depth95, wilson
from evaluate.records import Records
from tasks import TASKS

MISSING = "-"
tabulate_module.MIN_PADDING = 0  # a table of ten loop counts must fit a terminal of eighty columns


def grids(records: Records) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """The cells of each (task, model), in the order in which runs were recorded by name."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for cell in records.cells:
        found[cell["task"], cell["model"]].append(cell)
    for run in records.runs.values():
        if run["status"] != "ok":
            found[run["task"], run["model"]] += []
    return dict(sorted(found.items()))


def column(cell: dict[str, Any]) -> str:
    """The column that a cell stands in: its loop count, or the name of the rule that stops by itself."""
    return str(cell["loops"]) if cell["loops"] is not None else cell["halting"]


def pooled(cells: list[dict[str, Any]]) -> dict[tuple[int, str], tuple[int, int]]:
    """(correct, count) over all seeds for each (depth, column)."""
    sums: dict[tuple[int, str], list[int]] = defaultdict(lambda: [0, 0])
    for cell in cells:
        pair = sums[cell["depth"], column(cell)]
        pair[0] += cell["correct"]
        pair[1] += cell["count"]
    return {key: (pair[0], pair[1]) for key, pair in sums.items()}


def columns_of(cells: list[dict[str, Any]]) -> list[str]:
    """Loop counts from few to many, then the rules that stop by themselves."""
    counts = sorted({cell["loops"] for cell in cells if cell["loops"] is not None})
    return [*map(str, counts), *sorted({cell["halting"] for cell in cells if cell["loops"] is None})]


def percent(correct: int, count: int) -> str:
    """Accuracy to a tenth of a percent, never rounded up to 100."""
    tenths = 1000 * correct // count
    return "100" if correct == count else f"{tenths // 10}.{tenths % 10}"


def about(records: Records, task: str, model: str) -> str:
    """What stands above a table: parameters, FLOPs, training depths, chance and seeds."""
    runs = [r for r in records.runs.values() if (r["task"], r["model"]) == (task, model)]
    first = runs[0]
    cells = [c for c in records.cells if (c["task"], c["model"]) == (task, model)]
    failed = [str(r["seed"]) for r in runs if r["status"] != "ok"]
    lines = [
        f"{task}, {model}: {first['parameters']:,} parameters, {first['train_flops']:.2e} training FLOPs, "
        f"{first['steps']} steps",
        f"trained on depths up to {first['train_max_depth']}"
        + (f"; chance {cells[0]['chance']:.1%}; {cells[0]['count']} questions a cell" if cells else "")
        + f"; seeds {', '.join(str(s) for s in sorted(r['seed'] for r in runs))}"
        + (f"; no answers from seeds {', '.join(failed)} (diverged)" if failed else ""),
    ]
    if task in TASKS and TASKS[task].known_shortcut:
        lines.append(f"the task's own definition allows a shortcut: {TASKS[task].known_shortcut}")
    return "\n".join(textwrap.fill(line, 80) for line in lines)


MARKS = {"train": "*", "selection": "+", "test": ""}
LEGEND = "* trained on   + selection: choices are made here   loops across, accuracy in %"


def extrapolation_table(cells: list[dict[str, Any]], style: str = "simple") -> str:
    """Accuracy in percent, a row a depth and a column a loop count; depths outside the test band are marked.

    A rule that stops by itself has a second column, the loops that it used on average.
    """
    sums = pooled(cells)
    columns = columns_of(cells)
    bands = {cell["depth"]: cell["band"] for cell in cells}
    used = mean_loops(cells)
    headers = ["depth"]
    for name in columns:
        headers += ["answer"] if name == "none" else [name] if name.isdigit() else [name, "used"]
    rows = []
    for depth in sorted(bands):
        row = [f"{depth}{MARKS[bands[depth]] or ' '}"]
        for name in columns:
            row.append(percent(*sums[depth, name]) if (depth, name) in sums else MISSING)
            if name != "none" and not name.isdigit():
                row.append(f"{used[depth, name]:.1f}" if (depth, name) in used else MISSING)
        rows.append(row)
    return tabulate(rows, headers, tablefmt=style, disable_numparse=True, stralign="right")


def corrected(cells: list[dict[str, Any]], name: str) -> str:
    """Accuracy in one column with guessing taken out, (a - s) / (1 - s) for the best audited shortcut or chance s."""
    sums = pooled(cells)
    floors = {cell["depth"]: max(cell["chance"], cell["shortcut"] or 0.0) for cell in cells}
    parts = []
    for depth, floor in sorted(floors.items()):
        if (depth, name) in sums and any(c["depth"] == depth and c["band"] == "test" for c in cells):
            correct, count = sums[depth, name]
            parts.append(f"depth\u00a0{depth}\u00a0{100 * (correct / count - floor) / (1 - floor):.1f}")
    worst = max(floors.values())
    text = f"with guessing and the best audited shortcut (at most {worst:.1%}) taken out: " + ", ".join(parts)
    return textwrap.fill(text, 80).replace("\u00a0", " ")


def mean_loops(cells: list[dict[str, Any]]) -> dict[tuple[int, str], float]:
    """Loops used on average over all questions and seeds, for each (depth, rule that stops by itself)."""
    sums: dict[tuple[int, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for cell in cells:
        if cell["loops"] is None and cell["mean_loops"] is not None:
            pair = sums[cell["depth"], column(cell)]
            pair[0] += cell["mean_loops"] * cell["count"]
            pair[1] += cell["count"]
    return {key: total / count for key, (total, count) in sums.items()}


def reach(cells: list[dict[str, Any]]) -> dict[str, int]:
    """depth95 of each column."""
    sums = pooled(cells)
    return {
        name: depth95({depth: right / count for (depth, of), (right, count) in sums.items() if of == name})
        for name in columns_of(cells)
    }


def most_loops(cells: list[dict[str, Any]]) -> str:
    """The column of the most loops asked for, or the only one of a model without loops.

    Headlines stand on it: it is chosen before anything is seen, and shows what surplus loops cost.
    """
    columns = columns_of(cells)
    return next((name for name in reversed(columns) if name.isdigit()), columns[0])


def headline(cells: list[dict[str, Any]], train_max_depth: int) -> str:
    """depth95 under each rule that could be deployed, and how many times the training depth that is."""
    reached, most, sums = reach(cells), most_loops(cells), pooled(cells)
    rules = {"none": "without loops", most: f"at {most} loops"} if most.isdigit() else {"none": "without loops"}
    rules |= {name: f"stopping by {name}" for name in reached if not name.isdigit() and name != "none"}
    parts = [
        f"depth95 {reached[name]} ({reached[name] / train_max_depth:g}x) {rules[name]}"
        for name in sorted(rules, key=lambda name: name != most)
        if name in reached
    ]
    deepest = max(depth for depth, name in sums if name == most)
    low, high = wilson(*sums[deepest, most])
    return "; ".join(parts) + f"\nat depth {deepest} {rules[most]}: {low:.1%} to {high:.1%} (95% interval)"


def summary(records: Records, style: str = "simple") -> str:
    """A row for each task and model: accuracy at the deepest training and test depths, and how deep it goes."""
    rows = []
    for (task, model), cells in grids(records).items():
        run = next(r for r in records.runs.values() if (r["task"], r["model"]) == (task, model))
        row = [task, model, f"{run['parameters'] / 1000:,.0f}k", f"{run['train_flops']:.1e}"]
        if cells:
            most, sums, top = most_loops(cells), pooled(cells), run["train_max_depth"]
            depths = (top, max(cell["depth"] for cell in cells))
            row += [f"{percent(*sums[d, most])} at {d}" if (d, most) in sums else MISSING for d in depths]
            reached = reach(cells)[most]
            row += [f"{reached} ({reached / top:g}x)"]
        rows.append(row + [MISSING] * (7 - len(row)))
    headers = ["task", "model", "size", "FLOPs", "trained", "deepest", "depth95"]
    return str(tabulate(rows, headers, tablefmt=style, disable_numparse=True, stralign="right"))


def show(records: Records, style: str = "simple") -> str:
    """All tables of a folder, as one text; as JSON, its cells."""
    if style == "json":
        return json.dumps(records.cells, indent=1)
    parts = list(records.notes)
    for (task, model), cells in grids(records).items():
        parts.append(about(records, task, model))
        if cells:
            top = next(r for r in records.runs.values() if (r["task"], r["model"]) == (task, model))["train_max_depth"]
            parts += [
                extrapolation_table(cells, style),
                LEGEND,
                headline(cells, top),
                corrected(cells, most_loops(cells)),
            ]
        parts.append("")
    return "\n".join([*parts, summary(records, style)])

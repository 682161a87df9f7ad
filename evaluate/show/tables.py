"""Tables of a folder of records: how accuracy falls with depth, what it costs, and how sure that is."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from evaluate.metrics import corrected
from evaluate.records import Records
from evaluate.show.grid import Column, Grid, Results, check_rule
from evaluate.show.measures import (
    Row,
    band_rows,
    grid_rows,
    measure_rows,
    rate_rows,
    ratio_rows,
    seed_rows,
    suite_rows,
    used_loops,
)
from evaluate.show.rows import as_csv, check_format, lined, together
from evaluate.show.screen import wrapped
from evaluate.show.written import (
    MISSING,
    cost,
    how_deep,
    marked,
    of_seeds,
    percent,
    points,
    questions_a_cell,
    reached,
    size,
    span,
    times,
)
from tasks import TASKS
from tasks.errors import UserError, unknown

SHOWN = ("grid", "bands", "measures", "ratios", "suite", "summary")


def about(grid: Grid) -> str:
    """What stands above a table: parameters, FLOPs, training depths, chance and seeds."""
    first = grid.runs[0]
    failed = [f"{run['seed']} ({run['status']})" for run in grid.runs if run["status"] != "ok"]
    asked = grid.count[grid.count > 0]
    made = f"{first['parameters']:,} parameters, {grid.train_flops:.2e} training FLOPs, {first['steps']} steps"
    lines = [
        f"{grid.task}, {grid.model}: {'answered elsewhere' if grid.elsewhere else made}",
        f"{'the suite trains up to depth' if grid.elsewhere else 'trained on depths up to'} "
        f"{grid.train_max_depth}"
        + (f"; chance {grid.chance[0]:.1%}; {questions_a_cell(asked.tolist())}" if len(asked) else "")
        + f"; seeds {', '.join(str(run['seed']) for run in grid.runs)}",
        *([f"no answers from seeds {', '.join(failed)}"] if failed else []),
    ]
    name = first["task"]
    if name in TASKS and TASKS[name].known_shortcut:
        lines.append(f"the task's own definition allows a shortcut: {TASKS[name].known_shortcut}")
    return "\n".join(textwrap.fill(line, 80) for line in lines)


MARKS = {"train": "*", "selection": "+"}
LEGEND = "* trained on   + selection: choices are made here   loops across, accuracy in %"
BOUND = "oracle: right after any of these loops, and the fewest: a bound, luck included"


def extrapolation_table(grid: Grid, style: str = "simple") -> str:
    """Accuracy in percent, a row a depth and a column a loop count; depths outside the test band are marked.

    A rule that stops by itself has a second column, the loops that it used on average.
    """
    (correct, count), used = grid.pooled, used_loops(grid)
    headers = ["depth"]
    for column in grid.columns:
        headers += ["answer"] if column.halting == "none" else [column.name]
        headers += ["used"] if _tells_use(column) else []
    rows = []
    for d, depth in enumerate(grid.depths):
        row = [f"{depth}{MARKS.get(grid.bands[d], ' ')}"]
        for c, column in enumerate(grid.columns):
            row.append(percent(correct[d, c], count[d, c]) if count[d, c] else MISSING)
            if _tells_use(column):
                row.append(f"{used[d, c]:.1f}" if used[d, c] == used[d, c] else MISSING)
        rows.append(row)
    return lined(headers, rows, style)


def _tells_use(column: Column) -> bool:
    return column.halting != "none" and column.loops is None


def headline(grid: Grid, rule: str | None = None) -> str:
    """depth95 under each rule that could be deployed, and how many times the training depth that is."""
    chosen = grid.headline(rule)
    if chosen is None:
        return "no rule that could be deployed was asked for"
    rules = [chosen, *(i for i, c in enumerate(grid.columns) if i != chosen and c.stops_by_itself)]
    parts = []
    for i in rules:
        parts.append(f"depth95 {how_deep(grid, i)} {grid.columns[i].told}")
    told, (low, high) = _folded("; ", parts), (end[-1, chosen] for end in grid.intervals)
    if np.isnan(low):
        return told
    where = f"at depth {grid.depths[-1]} {grid.columns[chosen].told}"
    return f"{told}\n{where}: {low:.1%} to {high:.1%} (95% interval)"


def _folded(between: str, parts: Sequence[str], first: str = "") -> str:
    """Parts as lines of eighty columns; no line ends inside a part."""
    text = first + between.join(part.replace(" ", "\u00a0") if len(part) < 79 else part for part in parts)
    return textwrap.fill(text, 80, break_long_words=False).replace("\u00a0", " ")


def corrected_line(grid: Grid, rule: str | None = None) -> str:
    """Accuracy in the headline's column with guessing taken out, (a - s) / (1 - s), s of the best audited shortcut."""
    (correct, count), column = grid.pooled, grid.headline(rule)
    if column is None:
        return ""
    parts = [
        f"depth {depth} {points(corrected(correct[d, column] / count[d, column], grid.floor[d]))}"
        + (" (guessing alone: no audit there)" if grid.audited and np.isnan(grid.shortcut[d]) else "")
        for d, depth in enumerate(grid.depths)
        if count[d, column] and grid.bands[d] == "test"
    ]
    if not parts:
        return ""
    if not grid.audited:
        first = f"with guessing ({grid.floor.max():.1%}) taken out (no audit of these questions is on record): "
    else:
        first = f"with guessing and the best audited shortcut (at most {grid.floor.max():.1%}) taken out: "
    return _folded(", ", parts, first)


class Section(NamedTuple):
    """Rows as people read them: a title, what each column is, and what has to be said below."""

    title: str
    columns: dict[str, Callable[[Row], str]]
    legend: str = ""


def _named(*names: str) -> dict[str, Callable[[Row], str]]:
    return {name: lambda row, name=name: str(row[name]) for name in names}  # type: ignore[misc]


BANDS = Section(
    "accuracy by band, in percent: over questions, and apart from it over seeds",
    _named("task", "model", "band", "depths")
    | {
        "accuracy": lambda row: points(row["accuracy"]),
        "95% interval": lambda row: span(row["low"], row["high"]),
        "corrected": lambda row: points(row["corrected"]),
        "seeds": of_seeds,
        "median": lambda row: points(row["median"]),
        "IQM": lambda row: points(row["iqm"]),
        "worst to best": lambda row: span(row["worst"], row["best"]) if row["seeds"] > 1 else MISSING,
    },
    "95% interval: Wilson's, over questions, for these trained models. corrected:\n"
    "chance and the best audited shortcut, if any, taken out. IQM: interquartile\n"
    "mean over seeds.",
)

MEASURES = Section(
    "how deep, and at what cost",
    _named("task", "model")
    | {
        "size": lambda row: size(row["parameters"]),
        "train FLOPs": lambda row: cost(row["train_flops"]),
        "a question": lambda row: cost(row["eval_flops"]),
        "seeds": of_seeds,
        "depth95": reached,
        "range": lambda row: f"{row['depth95_low']} to {row['depth95_high']}",
        "overthinking": lambda row: points(row["overthinking"]),
    },
    "a question: FLOPs of one at the deepest depth. depth95: reached by more than\n"
    "half of the seeds; + is the deepest asked. range: over seeds; of one seed, by\n"
    "what its true accuracies may be. overthinking: points lost at four times the\n"
    "loops that were enough. Then, of each rule that stops by itself, its depth95,\n"
    "and, where that is no less, for how many times (x) the fewest loops that do as\n"
    "well.",
)


def by_rule(row: Row, rule: str) -> str:
    """How deep a rule goes on the task of a row of `measure_rows`, and what it costs to leave the loops to it."""
    held = next((one for one in row["rules"] if one["rule"] == rule), None)
    if held is None:
        return MISSING
    cost = held["halting_cost"] if held["depth95"] >= row["depth95"] else None  # what stops too soon saves nothing
    return marked(held["depth95"], row["deepest"]) + ("" if cost is None else f" for {cost:.1f}x")


def with_rules(rows: Sequence[Row]) -> Section:
    """How deep, at what cost, and a column for each rule that any of these models stops by."""
    rules = sorted({one["rule"] for row in rows for one in row["rules"]})
    return MEASURES._replace(columns=MEASURES.columns | {rule: partial(by_rule, rule=rule) for rule in rules})


def ratio_of(row: Row, model: str) -> str:
    """What a model reaches on the task of a row of `ratio_rows`."""
    if row[model] is None:
        return MISSING
    worst, best = row[f"{model} worst"], row[f"{model} best"]
    one = reached({"depth95": row[model], "deepest": row[f"{model} deepest"], "ratio": row[f"{model} ratio"]})
    return one if worst == best else f"{one}, {worst} to {best}"


SIDE_BY_SIDE = 6
"""Models, at most, that have a column each, or as many as tasks; of more, as in a folder of variants, each has a line,
and a task a column."""

RATIOS = Section(
    "how deep each model goes (depth95), and how many times the deepest trained depth that is",
    {
        "task": lambda row: row["task"],
        "trained to": lambda row: str(row["trained"]),
        "asked to": lambda row: str(row["deepest"] or MISSING),
    },
    "reached by more than half of the seeds, and on the worst and the best seed\n"
    "where they differ; + is the deepest asked.",
)


def ratios(results: Results) -> Section:
    """What each model reaches on each task, side by side."""
    by_model = {model: partial(ratio_of, model=model) for model in results.models}
    return RATIOS._replace(columns=RATIOS.columns | by_model)


def ratio_lines(results: Results, rule: str | None) -> tuple[Section, list[Row]]:
    """What each model reaches on each task, a line a model."""
    by_task = {row["task"]: row for row in ratio_rows(results, rule)}
    lines = [
        {"model": model} | {task: ratio_of(row, model) for task, row in by_task.items()} for model in results.models
    ]
    asked = [
        f"{task} is trained to {row['trained']} and asked " + (f"to {row['deepest']}" if row["deepest"] else "nothing")
        for task, row in by_task.items()
    ]
    legend = f"{RATIOS.legend}\n{_folded('; ', asked)}."
    return RATIOS._replace(columns=_named("model", *by_task), legend=legend), lines


def stage(steps: list[int] | None) -> str:
    """How far a run came in its curriculum, from the steps at each stage; older records do not say."""
    if steps is None or len(steps) < 2:
        return MISSING
    return f"{sum(1 for spent in steps if spent)} of {len(steps)}"


def lacking(tasks: list[str]) -> str:
    """The tasks that a score lacks: by name if they are few."""
    return ", ".join(tasks) or MISSING if len(tasks) < 3 else f"{len(tasks)} tasks"


SUITE = Section(
    "suite score",
    _named("model", "tasks")
    | {
        "beyond training": lambda row: f"{row['beyond']} of {row['tasks']}",
        "seeds": of_seeds,
        "score": lambda row: times(row["score"]),
        "at most": lambda row: times(row["most"]),
        "95% interval": lambda row: f"{times(row['low'])} to {times(row['high'])} over {row['over']}",
        "lacks": lambda row: lacking(row["missing"]),
    },
    "score: geometric mean over tasks of 1 + depth95 / deepest training depth,\n"
    "less 1, so that no single failure makes it 0; at most: if it reached all that\n"
    "was asked. Scores that lack tasks do not compare. over both: seeds where those\n"
    "of a task differ, else questions.",
)

SEEDS = Section(
    "every seed, accuracy in percent",
    _named("task", "model", "seed", "status")
    | {band: (lambda row, band=band: points(row[band])) for band in ("train", "selection", "test")}
    | _named("depth95")
    | {"stage": lambda row: stage(row["stage_steps"])}
    | _named("run"),
    "depth95: + is the deepest asked. stage: how far in the task's curriculum\n"
    "training came; what was trained at smaller sizes alone was asked the task itself\n"
    "all the same.",
)


def seeds(results: Results) -> Section:
    """Every seed, a depth95 with a + where it is the deepest that its task and model were asked."""

    def reach(row: Row) -> str:
        return marked(row["depth95"], results.grids[row["task"], row["model"]].deepest)

    return SEEDS._replace(columns=SEEDS.columns | {"depth95": reach})


RATES = Section(
    "the learning rates that each model was tried by, accuracy in percent",
    _named("task", "model")
    | {
        "Muon's": lambda row: row["matrix_learning_rate"] or MISSING,
        "AdamW's": lambda row: row["learning_rate"] or MISSING,
    }
    | {band: (lambda row, band=band: points(row[band])) for band in ("train", "selection")}
    | {"": lambda row: "best" if row["best"] else ""},
    "best: most right in the selection band, of those with 95% of the trained band,\n"
    "if there are any; near chance it means nothing. Rates stand in the names of\n"
    "variants, as preset rates tries them.",
)

SUMMARY = ("task", "model", "size", "FLOPs", "trained", "deepest", "depth95")


def summary(results: Results, style: str = "simple", rule: str | None = None) -> str:
    """A row for each task and model: accuracy at the deepest training and test depths, and how deep it goes."""
    return lined(SUMMARY, [[row[name] for name in SUMMARY] for row in summary_rows(results, rule)], style)


def summary_rows(results: Results, rule: str | None = None) -> list[dict[str, str]]:
    rows = []
    for grid in results.grids.values():
        first, top, column = grid.runs[0], grid.train_max_depth, grid.headline(rule)
        row = [grid.task, grid.model, size(first["parameters"]), cost(grid.train_flops)]
        correct, count = grid.pooled
        for depth in (top, grid.deepest):
            places = [d for d, of in enumerate(grid.depths) if of == depth and column is not None and count[d, column]]
            row += [f"{percent(correct[d, column], count[d, column])} at {depth}" for d in places] or [MISSING]
        row.append(how_deep(grid, column))
        rows.append(dict(zip(SUMMARY, row, strict=True)))
    return rows


def heading(records: Records) -> str:
    """What a folder holds, from its runs alone: told at once, while a million cells are read."""
    runs = records.runs.values()
    parts = [f"{len({run[name] for run in runs})} {name}s" for name in ("task", "model", "seed")]
    told = ", ".join(part if not part.startswith("1 ") else part[:-1] for part in parts)
    return f"{records.folder}: {len(runs)} run{'s' * (len(runs) != 1)} of {told}\n"


def check_sections(sections: Sequence[str]) -> None:
    for section in sections:
        if section not in SECTIONS:
            raise unknown("section", section, SECTIONS)


def show(results: Results, style: str = "simple", sections: Sequence[str] = (), rule: str | None = None) -> str:
    """The sections of a folder as one text; as JSON one object; as CSV one section."""
    check_format(style)
    check_sections(sections)
    check_rule(results.grids.values(), rule)
    if style in ("csv", "json"):
        return _for_machines(results, style, sections, rule)
    notes = results.notes
    if style == "simple":
        notes = [line for note in notes for line in wrapped(note, 80)]
    chosen = dict.fromkeys(sections or SHOWN)  # each once
    parts = [part for section in chosen for part in _section(results, section, style, rule)]
    return together([*notes, *parts], style).rstrip("\n")


SECTIONS: dict[str, Callable[[Results, str | None], Iterable[Row]]] = {
    "grid": lambda results, rule: grid_rows(results),
    "bands": band_rows,
    "measures": measure_rows,
    "seeds": seed_rows,
    "ratios": ratio_rows,
    "suite": suite_rows,
    "summary": summary_rows,
    "rates": rate_rows,
}
"""The rows of each section, by its name."""


def _rows(results: Results, section: str, rule: str | None) -> list[Row]:
    return list(SECTIONS[section](results, rule))


def _for_machines(results: Results, style: str, sections: Sequence[str], rule: str | None) -> str:
    if style == "csv":
        if len(sections) > 1:
            raise UserError("--format csv holds one section: name one with --section")
        rows = _rows(results, sections[0] if sections else "bands", rule)
        if not rows:
            raise UserError(
                f"no run that is asked for in {str(results.records.folder)!r} has an answer: nothing to write as csv"
            )
        return as_csv(rows)
    found: dict[str, Any] = {"notes": results.notes}
    return json.dumps(found | {name: _rows(results, name, rule) for name in sections or SECTIONS}, indent=1)


def _section(results: Results, name: str, style: str, rule: str | None) -> list[str]:
    if name == "grid":
        return [part for grid in results.grids.values() for part in _grid_parts(grid, style, rule)]
    if name == "summary":
        return [summary(results, style, rule)]
    known = {
        "bands": BANDS, "measures": MEASURES, "seeds": seeds(results), "ratios": ratios(results), "suite": SUITE,
        "rates": RATES,
    }  # fmt: skip
    section, found = known[name], _rows(results, name, rule)
    if name == "rates" and not found:
        return ["no model here has learning rates in its name (`--preset rates` tries some)", ""]
    if name == "measures":
        section = with_rules(found)
    if name == "ratios" and len(results.models) > max(SIDE_BY_SIDE, len(results.tasks)):
        section, found = ratio_lines(results, rule)
    rows = [[cell(row) for cell in section.columns.values()] for row in found]
    title = f"{section.title}: {_asked(results, rule)}" if name != "seeds" else section.title
    return [textwrap.fill(title, 80) + "\n", lined(list(section.columns), rows, style), section.legend, ""]


def _asked(results: Results, rule: str | None) -> str:
    """Under which rule the figures stand."""
    places = [(grid, grid.headline(rule)) for grid in results.grids.values()]
    told = [grid.columns[place].told for grid, place in places if place is not None]
    return " or ".join(dict.fromkeys(told)) or "nothing was asked"


def _grid_parts(grid: Grid, style: str, rule: str | None) -> list[str]:
    parts = [about(grid)]
    if len(grid.depths):
        table = extrapolation_table(grid, style)
        bound = [BOUND] * any(column.halting == "oracle" for column in grid.columns)
        parts += [table, LEGEND, *bound, headline(grid, rule), corrected_line(grid, rule)]
    return [*parts, ""]

"""One HTML file that tells which model extrapolates, how far, and how sure that is. No network, readable anywhere."""

from __future__ import annotations

from html import escape

from evaluate.show import colours, figures, ledger, page
from evaluate.show.figures import Drawn
from evaluate.show.grid import Grid, Results
from evaluate.show.measures import Row, furthest_first, measure_rows, suite_rows
from evaluate.show.svg import tag
from evaluate.show.upshot import Upshot, upshot
from evaluate.show.written import MISSING, cost, of_seeds, over_tasks, points, reached, seed_count, span, times


def report(results: Results, chosen: bool = False) -> str:
    """The report of one folder. One of claims is its ledger, unless tasks or models of it were chosen: models there
    differ by what each claim is about, and a ranking of them says nothing."""
    tested = "" if chosen else ledger.section(results.folder)
    if tested:
        title = tag("h1", escape(f"Claims of the field, tested: {results.folder}"), class_="claim")
        told = [*results.records.notes, *ledger.beside(results.folder, results.records.runs)]
        return page.whole(f"loopbench: {results.folder}", [title, tested, page.notes(told)])
    said = upshot(results)
    looks = colours.looks(furthest_first(results))
    grids = results.grids
    by_task = {t: [(grids[t, m], look) for m, look in looks.items() if (t, m) in grids] for t in results.tasks}
    body = [
        _head(said, [str(results.folder)]),
        page.figure(figures.reach(by_task), wide=True),
        page.notes(results.notes),
        _suite(suite_rows(results)),
        page.contents(results.tasks),
    ]
    rows = {(row["task"], row["model"]): row for row in measure_rows(results)}
    for task, its in by_task.items():
        body.append(_task(task, its, [rows[task, grid.model] for grid, _ in its], results))
    return page.whole(f"loopbench: {results.folder}", body)


def _head(said: Upshot, folders: list[str]) -> str:
    tiles = "".join(
        tag(
            "div",
            tag("span", escape(what), class_="what") + tag("b", escape(big)) + tag("small", escape(small)),
            class_="tile",
        )
        for what, big, small in said.tiles
    )
    title = tag("h1", escape(f"Does a model that loops reason deeper than it was trained to? {', '.join(folders)}"))
    more = tag("p", escape(said.more)) if said.more else ""
    return title + tag("p", escape(said.sentence), class_="claim") + more + tag("div", tiles, class_="tiles")


def _suite(rows: list[Row]) -> str:
    shown = page.table(
        "Suite scores",
        ("model", "suite score", "its 95% interval", "deeper than trained", "seeds", "failed runs"),
        [
            (
                row["model"] + (f" ({_lacks(len(row['missing']))})" if row["missing"] else ""),
                f"{times(row['score'])} {over_tasks(row['tasks'])}",
                _ends(f"{row['low']:.3g}", f"{row['high']:.3g}"),
                f"{row['beyond']} of {row['tasks']} tasks",
                seed_count(row),
                str(row["failed"]),
            )
            for row in rows
        ],
    )
    text = (
        "Suite score: the geometric mean over tasks of 1 + (deepest depth answered / deepest trained on), less 1. "
        "1x is what was trained; a run that failed counts as 0. Intervals: bootstrap over seeds, or, of one seed, over "
        "questions. Scores that lack tasks do not compare."
    )
    return tag("h2", "All tasks together") + shown + tag("figcaption", escape(text))


def _lacks(tasks: int) -> str:
    return f"lacks {tasks} task{'s' * (tasks != 1)}"


def _task(task: str, grids: list[tuple[Grid, int]], rows: list[Row], results: Results) -> str:
    drawn: list[Drawn | None] = [figures.by_depth(grids)]
    absent = []
    for grid, _ in grids:
        if any(column.loops is not None for column in grid.columns):
            drawn += [figures.heatmap(grid), figures.by_loops(grid), figures.loops_used(grid)]
            inside = next((d for run in grid.runs if (d := results.records.diagnostics.get(run["run"]))), None)
            if inside is None:
                absent.append(grid.model)
            else:
                drawn += [figures.routing(grid, inside), *figures.states(grid, inside)]
    shown = tag("div", "".join(page.figure(one) for one in drawn if one), class_="figures")
    if absent:
        missing = (
            f"No figure of expert use, state norm and change for {', '.join(absent)}: these runs left no diagnostics."
        )
        shown += tag("figcaption", escape(missing))
    made = "".join(page.behind(grid) for grid, _ in grids)
    return tag("section", tag("h2", escape(task)) + _measures(grids, rows) + shown + made, id=page.anchor(task))


def _measures(grids: list[tuple[Grid, int]], rows: list[Row]) -> str:
    lines = []
    for (grid, _), row in zip(grids, rows, strict=True):
        column, (correct, count), (low, high) = grid.headline(), grid.pooled, grid.intervals
        deepest, exact = MISSING, MISSING
        if column is not None and count[-1, column]:
            deepest = f"{points(correct[-1, column] / count[-1, column])}% at {grid.depths[-1]}"
            exact = span(float(low[-1, column]), float(high[-1, column]))
        rules = "; ".join(f"{rule['rule']}\u00a0{rule['depth95']}" for rule in row["rules"])
        lines.append(
            (
                grid.model,
                reached(row),
                _ends(str(row["depth95_low"]), str(row["depth95_high"])),
                deepest,
                exact,
                points(row["overthinking"]),
                rules or MISSING,
                of_seeds(row),
                f"{row['parameters']:,}" if row["parameters"] else MISSING,
                cost(row["train_flops"]),
                cost(row["eval_flops"]),
            )
        )
    headers = ("model", "depth95", "range of depth95", "accuracy at the deepest asked", "its 95% interval, %",
               "overthinking, points", "depth95 by rules that stop by themselves", "seeds", "parameters",
               "training FLOPs", "FLOPs a question")  # fmt: skip
    return page.table(f"{grids[0][0].task}: how deep each model goes, and at what cost", headers, lines)


def _ends(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"

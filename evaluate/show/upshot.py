"""What a folder of records says, in a sentence: which model extrapolates, how far, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from evaluate.show.grid import Grid, Results
from evaluate.show.measures import Row, suite_leads, suite_rows
from evaluate.show.written import over_tasks, questions_a_cell, seed_count, times


class Upshot(NamedTuple):
    """The sentence, what has to be said with it, and the same in tiles: what, the answer, and what it rests on."""

    sentence: str
    more: str
    tiles: list[tuple[str, str, str]]


class Lead(NamedTuple):
    """How many times 1 + the suite score of another model that of the first is, on the tasks of both, and how sure."""

    ratio: float
    low: float
    high: float


def upshot(results: Results) -> Upshot:
    """Any two models are held to each other on the tasks that both have. Where one shares none with the first, or is
    ahead of it all the same, or nothing was asked deeper than what was trained on, it says so and ranks nothing."""
    rows = suite_rows(results)
    if not any(map(_asked_beyond, results.grids.values())):
        told = (
            f"None of {len(rows)} models was asked anything"
            if len(rows) > 1
            else f"{rows[0]['model']} was asked nothing"
        )
        return _unranked(f"{told} deeper than it was trained on.", rows)
    tasks = {model: {task for task, name in results.grids if name == model} for model in results.models}
    order = ranked(results, tasks)
    first = order[0]
    if strangers := [model for model in order if not tasks[model] & tasks[first]]:
        told = (
            f"{first} has no task in common with {_with_others(strangers)}, and scores of other tasks do not compare: "
        )
        return _unranked(f"{told}choose some that have by --tasks or --models.", rows)
    leads = {model: Lead(*suite_leads(results, first, model)) for model in order[1:]}
    if better := [model for model, lead in leads.items() if lead.high < 1]:  # each may be ahead of the next in a circle
        told = "No model is ahead of every other, on the tasks that both have: "
        told += f"{_with_others(better)} {'is' if len(better) == 1 else 'are'} ahead of {first}, and it of most others."
        return _unranked(told, rows)
    level = [model for model, lead in leads.items() if lead.low <= 1]
    next_best = level[0] if level else order[1] if leads else first
    both = sorted(tasks[first] & tasks[next_best])
    by_model = {row["model"]: row for row in suite_rows(results, tasks=both)}
    best, second = by_model[first], by_model[next_best] if leads else None
    grids = [results.grids[task, first] for task in both]
    among = "" if len(both) == len(results.tasks) else " that both have" if leads else " that it has"
    which = _name(best, level) if best["score"] > 1 else "none"
    far = _far(results, [first, next_best] if level else [first], by_model, both, among)
    others = _others(sorted(rows, key=lambda row: order.index(row["model"])))
    return Upshot(
        f"{_which(best, level, bool(leads))} {far}{_than(second, level)}",
        _single([row for row in (best, second) if row is not None and row["fewest_seeds"] == 1]),
        [
            ("which model", which, others),
            ("how far", _big(best, grids), _rests(best, grids)),
            ("how sure", *_sure(best, second, leads.get(next_best), grids)),
        ],
    )


def _unranked(told: str, rows: list[Row]) -> Upshot:
    """What is said where no model is ahead of another, whatever the scores."""
    return Upshot(told, "", [("which model", "not compared", _others(rows))])


def _asked_beyond(grid: Grid) -> bool:
    """Was it asked anything deeper than what it was trained on, or did it fail before it could be?"""
    column, beyond = grid.headline(), grid.depths > grid.train_max_depth
    return bool(grid.failed.any() or (column is not None and grid.count[:, beyond, column].any()))


def ranked(results: Results, tasks: dict[str, set[str]]) -> list[str]:
    """Models, the best first: who is ahead of most others, each on the tasks of both; among equals whoever has more
    tasks. A score over some tasks is never held to one over others."""
    logs = {
        key: float(np.log1p(grid.depth95s(grid.headline()) / grid.train_max_depth).mean())
        for key, grid in results.grids.items()
    }

    def ahead(first: str, second: str) -> bool:
        return sum(logs[task, first] - logs[task, second] for task in sorted(tasks[first] & tasks[second])) > 1e-9

    won = {first: sum(ahead(first, second) for second in tasks if second != first) for first in tasks}
    return sorted(tasks, key=lambda model: (-won[model], -len(tasks[model])))


def _with_others(names: Sequence[str]) -> str:
    """The first of some, and how many more."""
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _name(best: Row, level: Sequence[str]) -> str:
    if not level:
        return str(best["model"])
    return f"{best['model']} or {level[0]}" if len(level) == 1 else f"{best['model']} or {len(level)} others"


def _which(best: Row, level: Sequence[str], among: bool) -> str:
    name = best["model"]
    if best["score"] <= 1:
        if level:
            return f"No model extrapolates, and {name} is not told apart from {_with_others(level)}: {name}"
        return f"No model extrapolates: {name}, the best of them," if among else f"{name} does not extrapolate: it"
    if len(level) == 1:
        return f"{name} and {level[0]} are not told apart:"
    if level:
        return f"{name} is not told apart from {_with_others(level)}:"
    return f"{name} extrapolates furthest:" if among else f"{name} extrapolates:"


def _far(results: Results, order: Sequence[str], rows: dict[str, Row], both: Sequence[str], among: str) -> str:
    """How far the first of these goes on these tasks, and with it the next, if there is one."""
    extrapolates = rows[order[0]]["score"] > 1
    right = "95% of questions right" if extrapolates else "answers 95% right"
    shown = order[: 2 if extrapolates else 1]
    grid = results.grids[both[0], order[0]]
    if len(both) == 1:
        grids = [results.grids[both[0], model] for model in shown]
        depths = dict.fromkeys(str(one.reached(one.headline())) for one in grids)
        to = "where the suite trains up to" if grid.elsewhere else "trained on depths up to"
        of = f" of {grid.task}, the one task{among}" if among else ""
        most = ", the deepest asked" if all(map(_capped, grids)) else ""
        where = "at no depth" if [*depths] == ["0"] else f"down to depth {' and '.join(depths)}"
        return f"{right} {where}{most}, {to} {grid.train_max_depth}{of}"
    scores = dict.fromkeys(times(rows[model]["score"]) for model in shown)
    whose = "the suite's" if grid.elsewhere else "their" if len(shown) > 1 else "its"
    over = f"over the {len(both)} tasks{among}" if among else over_tasks(len(both))
    most = (
        ", as deep as was asked,"
        if all(_capped(results.grids[task, model]) for task in both for model in shown)
        else ""
    )
    return f"{right} at {' and '.join(scores)} {whose} training depth{most} {over}"


def _than(second: Row | None, level: Sequence[str]) -> str:
    return "." if second is None or level else f"; the next, {second['model']}, at {times(second['score'])}."


def _sure(best: Row, second: Row | None, lead: Lead | None, grids: Sequence[Grid]) -> tuple[str, str]:
    """In two words, and what that rests on: does the interval of the ratio of the first two leave room for chance?"""
    measured = _measured(best, second, grids)
    if second is None or lead is None:
        ends = dict.fromkeys(times(best[end]) for end in ("low", "high"))
        return " to ".join(ends), f"95% interval of the score, over {best['over']}; {measured}"
    told = f"1 + score of {best['model']} over that of {second['model']}: {lead.ratio:.3g}, "
    told += f"95% interval {lead.low:.3g} to {lead.high:.3g}; {measured}"
    if lead.low <= 1:
        return "not told apart", told
    few = [row["fewest_seeds"] == 1 for row in (best, second)]
    once = "clear, for one seed" if max(best["seeds"], second["seeds"]) == 1 else "clear, for few seeds"
    return once if any(few) else "clear", told


def _single(once: list[Row]) -> str:
    """What is not known of models with one seed, on all tasks or on some."""
    if not once:
        return ""
    some = "" if all(row["seeds"] == 1 for row in once) else " on some tasks"
    have = "have" if len(once) > 1 else "has"
    names = " and ".join(row["model"] for row in once)
    return f"{names} {have} one seed{some}: another training may end elsewhere."


def _others(rows: list[Row]) -> str:
    alike = len({row["tasks"] for row in rows}) == 1
    told = [
        f"{row['model']} {times(row['score'])}" + ("" if alike else f" {over_tasks(row['tasks'])}") for row in rows[:5]
    ]
    more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
    over = f" {over_tasks(rows[0]['tasks'])}" if alike else ""
    return f"suite score{over}: {', '.join(told)}{more}"


def _big(best: Row, grids: list[Grid]) -> str:
    return times(best["score"]) + ("+" if all(_capped(grid) for grid in grids) else "") + " the trained depth"


def _capped(grid: Grid) -> bool:
    """Does it answer the deepest depth that was asked?"""
    return 0 < grid.reached(grid.headline()) == grid.deepest


def _rests(best: Row, grids: Sequence[Grid]) -> str:
    told = [over_tasks(len(grids)) + f", deeper than trained on {best['beyond']} of them" if len(grids) > 1 else ""]
    for grid in sorted(grids, key=lambda g: -g.reached(g.headline()) / g.train_max_depth)[:3]:
        to = "the suite trains to" if grid.elsewhere else "trained to"
        told.append(f"{grid.task} depth {grid.reached(grid.headline())}, {to} {grid.train_max_depth}")
    capped = sum(_capped(grid) for grid in grids)
    told.append(f"{len(grids) - 3} more task{'s' * (len(grids) > 4)}" if len(grids) > 3 else "")
    of = f"on {capped} of {len(grids)} tasks " if len(grids) > 1 else ""
    told.append(f"{of}the deepest asked" if capped else "")
    return "; ".join(filter(None, told))


def _measured(best: Row, second: Row | None, grids: Sequence[Grid]) -> str:
    rows = [row for row in (best, second) if row is not None]
    both = {"seeds": max(r["seeds"] for r in rows), "fewest_seeds": min(r["fewest_seeds"] for r in rows)}
    seeds = "1 seed" if both["seeds"] == 1 else f"{seed_count(both)} seeds"
    seeds += " a task" if both["fewest_seeds"] < both["seeds"] else ""
    lost = sum(row["failed"] for row in rows)
    failed = f", {lost} run{'s' * (lost != 1)} failed" if lost else ""
    counts = [int(count) for grid in grids for count in grid.count[grid.count > 0]]
    return f"{seeds}{failed}" + (f"; {questions_a_cell(counts)}" if counts else "")

"""What a folder of records says, in a sentence: which model extrapolates, how far, and how sure that is."""

from __future__ import annotations

from typing import NamedTuple

from evaluate.show.grid import Grid, Results
from evaluate.show.measures import Row, suite_leads, suite_rows
from evaluate.show.written import questions_a_cell, seed_count, times


class Upshot(NamedTuple):
    """The sentence, and the same in three tiles: what, the answer, and what it rests on."""

    sentence: str
    tiles: list[tuple[str, str, str]]


def upshot(results: Results) -> Upshot:
    """Stands on the tasks that every model has. Where there are none, or nothing was asked that is deeper than what was
    trained on, it says so and ranks nothing."""
    shared = [task for task in results.tasks if all((task, model) in results.grids for model in results.models)]
    rows = suite_rows(results, tasks=shared or results.tasks)
    best = rows[0]
    grids = [
        results.grids[task, best["model"]]
        for task in (shared or results.tasks)
        if (task, best["model"]) in results.grids
    ]
    if not any(map(_asked_beyond, results.grids.values())):
        told = (
            f"None of {len(rows)} models was asked anything" if len(rows) > 1 else f"{best['model']} was asked nothing"
        )
        return _unranked(f"{told} deeper than it was trained on.", rows)
    if not shared:
        told = (
            f"No task was asked of all {len(rows)} models here, and scores of other tasks do not compare: choose some "
        )
        told += "that have tasks in common by --tasks or --models."
        return _unranked(told, rows)
    second = rows[1] if len(rows) > 1 else None
    alike = [row["model"] for row in rows if row["score"] == best["score"]]
    lead = suite_leads(results, best["model"], second["model"], tasks=shared) if second else None
    sure, why = _sure(best, second, lead)
    among = ""  # the tasks on which this stands, where it is not all
    if len(shared) < len(results.tasks):
        among = f", of the {len(results.tasks)} here, which all models have" if len(shared) > 1 else f" of {shared[0]}"
    which = best["model"] if len(alike) == 1 else f"{len(alike)} alike"
    return Upshot(
        f"{_which(best, second, alike)} {_far(best, grids, alike)}{among}{_than(best, second)}{why}",
        [
            ("which model", which if best["score"] > 1 else "none", _others(rows)),
            ("how far", _big(best, grids), _rests(best, grids)),
            ("how sure", sure, _measured(best, grids)),
        ],
    )


def _unranked(told: str, rows: list[Row]) -> Upshot:
    """What is said where no model is ahead of another, whatever the scores."""
    return Upshot(told, [("which model", "not compared", _others(rows))])


def _asked_beyond(grid: Grid) -> bool:
    """Was it asked anything deeper than what it was trained on, or did it fail before it could be?"""
    column, beyond = grid.headline(), grid.depths > grid.train_max_depth
    return bool(grid.failed.any() or (column is not None and grid.count[:, beyond, column].any()))


def _which(best: Row, second: Row | None, alike: list[str]) -> str:
    if best["score"] <= 1:
        return (
            f"No model extrapolates: {best['model']}, the best of them,"
            if second
            else f"{best['model']} does not extrapolate: it"
        )
    if len(alike) > 1:
        others = alike[1] if len(alike) == 2 else f"{len(alike) - 1} more"
        return f"{best['model']} and {others} extrapolate alike:"
    return f"{best['model']} extrapolates furthest:" if second else f"{best['model']} extrapolates:"


def _far(best: Row, grids: list[Grid], alike: list[str]) -> str:
    right = "95% of questions right" if best["score"] > 1 else "answers 95% right"
    if len(grids) == 1:
        grid = grids[0]
        reached = grid.reached(grid.headline())
        to = "where the suite trains up to" if grid.elsewhere else "trained on depths up to"
        return f"{right} down to depth {reached}, {to} {grid.train_max_depth}"
    whose = "their" if len(alike) > 1 and best["score"] > 1 else "its"
    whose, trained = ("the suite's", "the suite trains,") if grids[0].elsewhere else (whose, "trained")
    beyond = f"deeper than {trained} on {best['beyond']} of {best['tasks']} tasks"
    return f"{right} at {times(best['score'])} {whose} training depth, and {beyond}"


def _than(best: Row, second: Row | None) -> str:
    if second is None:
        return "."
    if second["score"] == best["score"]:
        return "."
    return f"; the next, {second['model']}, at {times(second['score'])}."


def _sure(best: Row, second: Row | None, lead: tuple[float, float, float] | None) -> tuple[str, str]:
    """In two words, and in a sentence: does the interval of the lead leave room for chance, and who has one seed?"""
    two = [row for row in (best, second) if row is not None]
    once = [row for row in two if row["fewest_seeds"] == 1]
    single = _single(once)
    interval = f"{best['low']:.3g}x to {best['high']:.3g}x"
    if lead is None:
        return interval, single
    ahead = f" 1 + score is {lead[0]:.3g} times that of the next (95% interval {lead[1]:.3g} to {lead[2]:.3g})"
    if lead[1] > 1:
        few = "clear, for one seed" if all(row["seeds"] == 1 for row in two) else "clear, for few seeds"
        return few if once else "clear", f"{ahead}.{single}"
    return "not settled", f"{ahead}: this does not settle which is ahead.{single}"


def _single(once: list[Row]) -> str:
    """What is not known of models with one seed, on all tasks or on some."""
    if not once:
        return ""
    some = "" if all(row["seeds"] == 1 for row in once) else " on some tasks"
    have = "have" if len(once) > 1 else "has"
    names = " and ".join(row["model"] for row in once)
    return f" {names} {have} one seed{some}: another training may end elsewhere."


def _others(rows: list[Row]) -> str:
    told = [f"{row['model']} {times(row['score'])}" for row in rows[:5]]
    return "suite score: " + ", ".join(told) + (f" and {len(rows) - 5} more" if len(rows) > 5 else "")


def _big(best: Row, grids: list[Grid]) -> str:
    return times(best["score"]) + ("+" if all(_capped(grid) for grid in grids) else "") + " the trained depth"


def _capped(grid: Grid) -> bool:
    """Does it answer the deepest depth that was asked?"""
    reached = grid.reached(grid.headline())
    return bool(len(grid.depths)) and reached == int(grid.depths[-1])


def _rests(best: Row, grids: list[Grid]) -> str:
    told = []
    for grid in sorted(grids, key=lambda g: -g.reached(g.headline()) / g.train_max_depth)[:3]:
        reached = grid.reached(grid.headline())
        to = "the suite trains to" if grid.elsewhere else "trained to"
        told.append(f"{grid.task} depth {reached}, {to} {grid.train_max_depth}")
    capped = sum(_capped(grid) for grid in grids)
    most = f"; on {capped} of {len(grids)} tasks the deepest asked" if capped else ""
    return "; ".join(told) + (f"; {len(grids) - 3} more tasks" if len(grids) > 3 else "") + most


def _measured(best: Row, grids: list[Grid]) -> str:
    counts = [int(count) for grid in grids for count in grid.count[grid.count > 0]]
    seeds = "1 seed" if best["seeds"] == 1 else f"{seed_count(best)} seeds"
    seeds += " a task" if best["fewest_seeds"] < best["seeds"] else ""
    failed = f", {best['failed']} run{'s' * (best['failed'] != 1)} failed" if best["failed"] else ""
    asked = f"; {questions_a_cell(counts)}" if counts else ""
    return f"95% interval {best['low']:.3g}x to {best['high']:.3g}x over {best['over']}; {seeds}{failed}{asked}"

"""Folders, or models, side by side: where do they differ, by how much, and is it more than chance?"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence

import numpy as np

from evaluate.show.differences import LEVEL, Difference, Side, adjusted, difference, mismatches, rows
from evaluate.show.grid import Column, Results, check_rule, flat, short
from evaluate.show.measures import measures
from evaluate.show.rows import as_csv, check_format, lined, together
from evaluate.show.tables import MARKS
from evaluate.show.written import MISSING, how_deep, points, reached
from tasks.errors import UserError, unknown

LEGEND = f"""difference: second minus first, in points. over questions: 95% interval for
these trained models; paired where each question's answers were kept (McNemar),
else as of other questions (Newcombe's interval; the test is Fisher's exact one,
which asks for more). over seeds: 95% interval for training again (Welch). FDR:
false discovery rate among all cells shown, by the larger p of the two.
{{star}} at a difference: below {LEVEL:.0%}. At a depth, * is trained on and +
of the selection band. A column 640/none: the second side by 640, the first without
loops; none/640, the other way round"""


def sides(folders: Sequence[Results], models: Sequence[str]) -> list[Side]:
    """The sides of a comparison: folders, matched by task and model; or, with `models`, those, matched by task."""
    where = [results.folder.resolve() for results in folders]
    for place, results in enumerate(folders):
        if where[place] in where[:place]:
            raise UserError(f"{str(results.folder)!r} is named twice: nothing to compare")
    names = distinct([str(results.folder) for results in folders])
    if not models:
        if len(folders) < 2:
            raise UserError("one folder: name another, or the models to compare with --models rdt,transformer")
        return [Side(name, results.grids) for name, results in zip(names, folders, strict=True)]
    found = []
    for model in dict.fromkeys(models):
        holds = [model in results.models for results in folders]
        if not any(holds):
            raise unknown("model", model, list(dict.fromkeys(m for results in folders for m in results.models)))
        for name, results in zip(names, folders, strict=True):
            grids = {(task, ""): grid for (task, of), grid in results.grids.items() if of == model}
            if grids:
                found.append(Side(model if len(folders) == 1 else f"{name}:{model}", grids))
    if len(found) < 2:
        raise UserError(f"--models {','.join(models)} is one side: name two or more")
    return found


def distinct(paths: list[str]) -> list[str]:
    """Names for folders: as short as tells them apart."""
    parts = [path.rstrip("/").split("/") for path in paths]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return [f"{path} ({place})" for place, path in enumerate(paths, 1)]


def differences(compared: Sequence[Side], force: bool, rule: str | None = None) -> list[Difference]:
    """Every other side against the first; refuses, by name, what cannot be compared."""
    base, *others = compared
    found = []
    for other in others:
        shared = [key for key in base.grids if key in other.grids]
        if not shared:
            tasks = {task for task, _ in base.grids} & {task for task, _ in other.grids}
            how = "--models A,B compares one model with another" if tasks else "nothing to compare"
            raise UserError(f"{base.name} and {other.name} share no task and model: {how}")
        for key in shared:
            names = (base.name, other.name)
            wrong = mismatches(base.grids[key], other.grids[key], names)
            if wrong and not force:
                what = ", ".join(part for part in key if part)
                more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
                raise UserError(f"{what} cannot be compared: {wrong[0]}{more}; --force shows it all the same")
            one = difference(base.grids[key], other.grids[key], names, rule)
            if one is not None:
                found.append(one)
    if not found:
        raise UserError("the sides share no depth and loop count: nothing to compare")
    return found


def left_out(compared: Sequence[Side], found: Sequence[Difference], rule: str | None = None) -> list[str]:
    """Tasks and models that only some sides have, a line a side; and those that two have without a depth and loop count
    in common, as where every run of one has failed."""
    notes = []
    everything = list(dict.fromkeys(key for side in compared for key in side.grids))
    for side in compared:
        lacks = [", ".join(part for part in key if part) for key in everything if key not in side.grids]
        if lacks:
            notes.append(f"{side.name} has no {'; '.join(lacks)}")
    met = {(id(one.first), id(one.second)) for one in found}
    base, *others = compared
    for other, key in ((other, key) for other in others for key in base.grids if key in other.grids):
        first, second = base.grids[key], other.grids[key]
        if (id(first), id(second)) not in met:
            deep = " and ".join(
                f"{reached(row)} in {side.name} ({row['failed']} of {row['seeds']} runs failed)"
                for side, row in ((base, measures(first, rule)), (other, measures(second, rule)))
            )
            notes.append(f"{', '.join(filter(None, key))}: no depth and loops in common; depth95 {deep}")
    return notes


def show(compared: Sequence[Side], style: str = "simple", force: bool = False, rule: str | None = None) -> str:
    """The whole comparison as text; as JSON or CSV a row a cell."""
    check_format(style)
    check_rule([grid for side in compared for grid in side.grids.values()], rule)
    found = differences(compared, force, rule)
    rates = adjusted(found)
    if style == "csv":
        return as_csv(list(rows(found, rates)))
    if style == "json":
        said = [sentence(one, rate) for one, rate in zip(found, rates, strict=True)]
        return json.dumps(
            {"notes": left_out(compared, found, rule), "summary": said, "cells": list(rows(found, rates))}, indent=1
        )
    tables, summaries = [], []
    for one, rate in zip(found, rates, strict=True):
        tables += [_heading(one), headline_table(one, rate, style), "", cell_table(one, rate, style), ""]
        summaries.append(textwrap.fill(sentence(one, rate), 80, subsequent_indent="  "))
    star = "\\*" if style == "github" else "*"
    parts = [*left_out(compared, found, rule), *tables, LEGEND.replace("{star}", star), "", *summaries]
    return together(parts, style)


def _heading(one: Difference) -> str:
    wrong = f"\nNOT COMPARABLE, forced: {'; '.join(one.mismatch)}" if one.mismatch else ""
    return f"{subject(one)}: {one.names[1]} against {one.names[0]}{wrong}{_otherwise(one)}"


TOLD = 6  # of the fields in which two sides differ


def _otherwise(one: Difference) -> str:
    """How the two sides of one model were made otherwise, field by field."""
    if one.first.model != one.second.model:
        return ""
    first, second = (flat(grid.runs[0]["experiment"], "") for grid in (one.first, one.second))
    names = [n for n in sorted({*first, *second}) if first.get(n) != second.get(n) and not n.startswith("task.")]
    told = [f"{name} {short(second.get(name))} against {short(first.get(name))}" for name in names if name != "seed"]
    more = f"; and {len(told) - TOLD} more" if len(told) > TOLD else ""
    line = f"made otherwise: {'; '.join(told[:TOLD])}{more}"
    return f"\n{textwrap.fill(line, 80, subsequent_indent='  ')}" if told else ""


def subject(one: Difference) -> str:
    """The task, and the model where both sides have the same one."""
    return one.task if one.first.model != one.second.model else f"{one.task}, {one.first.model}"


def asked_as(first: Column, second: Column) -> str:
    """How the two sides of a column were asked: once where they were asked alike."""
    return first.name if first == second else f"{second.name}/{first.name}"


def points_signed(value: float) -> str:
    return MISSING if np.isnan(value) else f"{100 * value:+.1f}"


def signed_span(low: float, high: float) -> str:
    return MISSING if np.isnan(low) else f"{100 * low:+.1f} to {100 * high:+.1f}"


def rate_told(rate: float) -> str:
    return MISSING if np.isnan(rate) else "<0.001" if rate < 0.001 else f"{rate:.3f}"


def headline_table(one: Difference, rate: np.ndarray, style: str) -> str:
    """A row a depth, at the loops that headlines stand on."""
    c = one.headline
    column = asked_as(*one.columns[c])
    headers = ["depth", *one.names, "difference", "over questions", "over seeds", "FDR", f"at {column}"]
    lines = []
    for d, depth in enumerate(one.depths):
        if not np.isnan(one.value[d, c]):
            lines.append(
                [
                    f"{depth}{MARKS.get(one.bands[d], ' ')}",
                    *(points(float(share[d, c])) for share in one.shares),
                    points_signed(one.value[d, c]),
                    signed_span(one.low[d, c], one.high[d, c]) + (" paired" if one.paired[d, c] else ""),
                    signed_span(one.seeds_low[d, c], one.seeds_high[d, c]),
                    rate_told(rate[d, c]),
                    "*" if rate[d, c] < LEVEL else "",
                ]
            )
    return lined(headers, lines, style)


def cell_table(one: Difference, rate: np.ndarray, style: str) -> str:
    """Every cell: a row a depth, a column a loop count, the difference in points."""
    headers = ["points", *(asked_as(*pair) for pair in one.columns)]
    lines = [
        [
            f"{depth}{MARKS.get(one.bands[d], ' ')}",
            *(points_signed(value) + ("*" if rate[d, c] < LEVEL else " ") for c, value in enumerate(one.value[d])),
        ]
        for d, depth in enumerate(one.depths)
    ]
    return lined(headers, lines, style)


def sentence(one: Difference, rate: np.ndarray) -> str:
    """What came of one task, in a sentence."""
    first, second = one.names
    better, worse = int(((rate < LEVEL) & (one.value > 0)).sum()), int(((rate < LEVEL) & (one.value < 0)).sum())
    cells = int((~np.isnan(one.p)).sum())
    c = one.headline
    reached = [
        how_deep(grid, grid.columns.index(column))
        for grid, column in zip((one.first, one.second), one.columns[c], strict=True)
    ]
    if better and not worse:
        verdict = f"{second} is better than {first} in {better} of {cells} cells and worse in none"
    elif worse and not better:
        verdict = f"{second} is worse than {first} in {worse} of {cells} cells and better in none"
    elif better:
        verdict = f"{second} is better than {first} in {better} of {cells} cells and worse in {worse}"
    else:
        verdict = f"no cell of {cells} tells {second} from {first}"
    ends = f"depth95 {reached[1]} against {reached[0]}"
    return f"{subject(one)}: {verdict}{_most(one, rate)}; {ends}{_sure(one)}."


def _most(one: Difference, rate: np.ndarray) -> str:
    """The headline's largest difference that is marked; where none is, the deepest."""
    c = one.headline
    asked = np.flatnonzero(~np.isnan(one.value[:, c]))
    if not len(asked):
        return ""
    marked = asked[rate[asked, c] < LEVEL]
    d = marked[np.abs(one.value[marked, c]).argmax()] if len(marked) else asked[-1]
    first, second = (points(float(share[d, c])) for share in one.shares)
    where = f"{'most of all ' if len(marked) else ''}at depth {one.depths[d]}"
    return f"; {where} {second}% against {first}% ({signed_span(one.low[d, c], one.high[d, c])} points)"


def _sure(one: Difference) -> str:
    failed = [f"{grid.failed.sum()} of {len(grid.runs)} runs of {name} failed"
              for name, grid in zip(one.names, (one.first, one.second), strict=True) if grid.failed.any()]  # fmt: skip
    trained = [len(grid.runs) for grid in (one.first, one.second)]
    where = "a side" if max(trained) < 2 else f"of {one.names[trained.index(min(trained))]}"
    seeds = (
        f"one seed {where}: of these trained models only"
        if min(trained) < 2
        else f"{min(trained)} seeds or more a side"
    )
    return "".join(f"; {part}" for part in [*failed, seeds])

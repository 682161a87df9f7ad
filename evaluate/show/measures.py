"""The figures of a folder as plain rows, a dictionary each: what tables, comparisons and reports print.

Accuracies are shares from 0 to 1, and a figure that was not measured is None.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from statistics import median, median_low
from typing import Any

import numpy as np

from evaluate.columns import BANDS
from evaluate.metrics import corrected, halting_cost, interquartile_mean, overthinking
from evaluate.show.grid import Grid, Results
from evaluate.statistics import Reached, between, drawn_depth95, suite_lead, suite_score, wilson_many

Row = dict[str, Any]


def interval(share: float, worth: float) -> tuple[float, float]:
    """Wilson's for a share of so many independent questions."""
    low, high = wilson_many(np.array(share * worth), np.array(worth))
    return float(low), float(high)


def rounded(value: float | None) -> float | None:
    return None if value is None or value != value else round(float(value), 6)


def grid_rows(results: Results) -> Iterator[Row]:
    """A row a cell, seeds pooled."""
    for grid in results.grids.values():
        correct, count = grid.pooled
        used = used_loops(grid)
        low, high = grid.intervals
        for d, depth in enumerate(grid.depths.tolist()):
            for c, column in enumerate(grid.columns):
                if count[d, c]:
                    yield {
                        "task": grid.task,
                        "model": grid.model,
                        "band": grid.bands[d],
                        "depth": depth,
                        "halting": column.halting,
                        "loops": column.loops,
                        "seeds": int((grid.count[:, d, c] > 0).sum()),
                        "correct": int(correct[d, c]),
                        "count": int(count[d, c]),
                        "accuracy": rounded(correct[d, c] / count[d, c]),
                        "low": rounded(low[d, c]),
                        "high": rounded(high[d, c]),
                        "corrected": rounded(corrected(correct[d, c] / count[d, c], grid.floor[d])),
                        "mean_loops": rounded(used[d, c]),
                    }


def used_loops(grid: Grid) -> np.ndarray:
    """Loops used on average over all questions and seeds (depths, columns); nan where none were."""
    known = ~np.isnan(grid.mean_loops)
    with np.errstate(invalid="ignore"):
        used = np.where(known, grid.mean_loops * grid.count, 0).sum(0) / np.where(known, grid.count, 0).sum(0)
    return np.asarray(used)


def band_rows(results: Results, rule: str | None = None) -> list[Row]:
    """A row a task, model and band: accuracy in the headline's column over questions, and apart from it over seeds."""
    rows = []
    for grid in results.grids.values():
        column = grid.headline(rule)
        for band in BANDS:
            inside = grid.in_band(band)
            if column is not None and grid.count[:, inside, column].any():
                rows.append(_band_row(grid, column, band, inside))
    return rows


def _band_row(grid: Grid, column: int, band: str, inside: np.ndarray) -> Row:
    """Over questions of the runs that came to an end; over seeds of all: one that failed has nothing right."""
    correct, count = grid.correct[:, inside, column], grid.count[:, inside, column]
    asked = np.flatnonzero(count.sum(1))
    seeds = (correct.sum(1)[asked] / count.sum(1)[asked]).tolist() + [0.0] * int(grid.failed.sum())
    share = float(correct.sum() / count.sum())
    low, high = interval(share, grid.worth(inside, column))
    floor = float((grid.floor[inside] * count.sum(0)).sum() / count.sum())
    depths = grid.depths[inside]
    return {
        "task": grid.task,
        "model": grid.model,
        "band": band,
        "depths": f"{depths[0]}-{depths[-1]}" if len(depths) > 1 else str(depths[0]),
        "asked": grid.columns[column].told,
        "correct": int(correct.sum()),
        "count": int(count.sum()),
        "accuracy": rounded(share),
        "low": rounded(low),
        "high": rounded(high),
        "floor": rounded(floor),
        "corrected": rounded(corrected(share, floor)),
        "seeds": len(grid.runs),
        "failed": int(grid.failed.sum()),
        "median": rounded(median(seeds)),
        "iqm": rounded(interquartile_mean(seeds)),
        "worst": rounded(min(seeds)),
        "best": rounded(max(seeds)),
    }


def measure_rows(results: Results, rule: str | None = None) -> list[Row]:
    """A row a task and model: size, cost, how deep it goes, what surplus loops and stopping by itself cost."""
    return [measures(grid, rule) for grid in results.grids.values()]


def ratio_rows(results: Results, rule: str | None = None) -> list[Row]:
    """A row a task: how deep each model goes on it, by more than half of the seeds, and on the worst and best seed."""
    rows = []
    for task in results.tasks:
        grids = [results.grids[task, model] for model in results.models if (task, model) in results.grids]
        deepest = max(grid.deepest for grid in grids) or None
        tops = sorted({grid.train_max_depth for grid in grids})  # what answered elsewhere may have one of its own
        row: Row = {"task": task, "trained": tops[0] if len(tops) == 1 else " or ".join(map(str, tops))}
        row["deepest"] = deepest
        for model in results.models:
            grid = results.grids.get((task, model))
            reached = grid.depth95s(grid.headline(rule)).tolist() if grid else []
            row[model] = grid.reached(grid.headline(rule)) if grid else None
            row[f"{model} ratio"] = rounded(row[model] / grid.train_max_depth) if grid else None
            row[f"{model} deepest"] = grid.deepest if grid else None
            row[f"{model} worst"], row[f"{model} best"] = (min(reached), max(reached)) if reached else (None, None)
        rows.append(row)
    return rows


def measures(grid: Grid, rule: str | None = None) -> Row:
    column, run = grid.headline(rule), grid.runs[0]
    reached = grid.depth95s(column).tolist()
    middle, top = grid.reached(column), grid.train_max_depth
    low, high = depth_range(grid, column)
    flops = None
    if column is not None:
        costs = grid.eval_flops[:, -1, column]
        flops = int(costs[costs > 0].mean()) if (costs > 0).any() else None
    return {
        "task": grid.task,
        "model": grid.model,
        "parameters": run["parameters"],
        "train_flops": grid.train_flops,
        "eval_flops": flops,
        "asked": grid.columns[column].told if column is not None else None,
        "seeds": len(reached),
        "failed": int(grid.failed.sum()),
        "trained": top,
        "deepest": grid.deepest or None,
        "depth95": middle,
        "depth95_seeds": reached,
        "depth95_low": low,
        "depth95_high": high,
        "ratio": rounded(middle / top),
        "overthinking": rounded(_overthinking(grid)),
        "rules": _rules(grid),
    }


def depth_range(grid: Grid, column: int | None) -> tuple[int, int]:
    """How far depth95 may go: over the seeds, or, of one seed, by what its true accuracies may be (95%)."""
    reached = grid.depth95s(column)
    draws = question_draws(grid, column) if len(reached) == 1 else None
    if draws is None:
        return int(reached.min()), int(reached.max())
    low, high = between(draws)
    return min(int(low), int(reached[0])), max(int(high), int(reached[0]))


def question_draws(grid: Grid, column: int | None) -> np.ndarray | None:
    """depth95 (seeds, DRAWS) by what accuracies may truly be, given the answers, of a single run or of seeds that all
    reach the same; None of others, which tell it better, and where one has failed."""
    if column is None or grid.failed.any() or len(set(grid.depth95s(column).tolist())) > 1:
        return None
    own = [zlib.crc32(name.encode()) for name in (grid.task, grid.model)]  # what is alike is drawn apart
    drawn = []
    for s in range(len(grid.runs)):
        asked = np.flatnonzero(grid.count[s, :, column])
        correct, count = grid.correct[s, asked, column], grid.count[s, asked, column]
        drawn.append(drawn_depth95(grid.depths[asked], correct, count, np.random.default_rng([*own, s])))
    return np.stack(drawn)


def _overthinking(grid: Grid) -> float | None:
    """The mean over the test depths at which it was measured."""
    lost = [overthinking(fixed) for d in np.flatnonzero(grid.in_band("test")).tolist() if (fixed := grid.fixed(d))]
    known = [value for value in lost if value is not None]
    return sum(known) / len(known) if known else None


def _rules(grid: Grid) -> list[Row]:
    """Each rule that stops by itself: how deep it goes, and its loops over the fewest that do as well (test depths)."""
    rows = []
    used, (correct, count) = used_loops(grid), grid.pooled
    for c, column in enumerate(grid.columns):
        if column.stops_by_itself:
            costs = [
                halting_cost(used[d, c], correct[d, c] / count[d, c], grid.fixed(d))
                for d in np.flatnonzero(grid.in_band("test")).tolist()
                if count[d, c] and used[d, c] == used[d, c]
            ]
            known = [cost for cost in costs if cost is not None]
            rows.append(
                {
                    "rule": column.name,
                    "depth95": grid.reached(c),
                    "halting_cost": rounded(sum(known) / len(known)) if known else None,
                }
            )
    return rows


def seed_rows(results: Results, rule: str | None = None) -> list[Row]:
    """A row a run: every seed, also those that failed."""
    rows = []
    for grid in results.grids.values():
        column = grid.headline(rule)
        reached = grid.depth95s(column)
        for s, run in enumerate(grid.runs):
            row = {"task": grid.task, "model": grid.model, "seed": run["seed"], "status": run["status"]}
            for band in BANDS:
                inside = grid.in_band(band)
                count = int(grid.count[s, inside, column].sum()) if column is not None else 0
                row[band] = rounded(grid.correct[s, inside, column].sum() / count) if count else None
            rest = {name: run.get(name) for name in ("stage_steps", "train_seconds", "run")}
            rows.append({**row, "depth95": int(reached[s]), **rest})
    return rows


RATES = ("matrix_learning_rate", "learning_rate")
"""Muon's and AdamW's, as they stand in the names of variants after `train.`."""


def rate_rows(results: Results, rule: str | None = None) -> list[Row]:
    """A row for each task, model and learning rates that it was tried by, and whether these are its best.

    The best are right most often in the selection band; where some have 95% of the trained band, and others not, the
    others are out. No test depth is looked at.
    """
    held: dict[tuple[str, str], dict[tuple[float | None, ...], Row]] = {}
    for row in band_rows(results, rule):
        base, *changes = row["model"].split("@")
        rates = {of: rate for of in RATES for change in changes if (rate := _rate(change, of)) is not None}
        if rates and row["band"] != "test":
            others = (change for change in changes if all(_rate(change, of) is None for of in RATES))
            tried = tuple(rates.get(of) for of in RATES)
            held.setdefault((row["task"], "@".join([base, *others])), {}).setdefault(tried, {})[row["band"]] = row[
                "accuracy"
            ]
    rows = []
    for (task, model), by_rates in held.items():
        able = [shares for shares in by_rates.values() if (shares.get("train") or 0) >= 0.95] or [*by_rates.values()]
        most = max((shares["selection"] for shares in able if shares.get("selection") is not None), default=None)
        for tried, shares in by_rates.items():
            best = most is not None and shares in able and shares.get("selection") == most
            row = {"task": task, "model": model} | dict(zip(RATES, tried, strict=True))
            rows.append(row | {band: shares.get(band) for band in ("train", "selection")} | {"best": best})
    return rows


def _rate(change: str, of: str) -> float | None:
    """The learning rate that a change of a variant's name sets; None of any other change."""
    name, _, value = change.partition("=")
    try:
        return float(value) if name == f"train.{of}" else None
    except ValueError:
        return None


OVER = {(True, False): "seeds", (False, True): "questions", (True, True): "both", (False, False): "nothing"}
"""What an interval of a suite score is over: by whether the seeds of some task differ, and whether those of some agree,
or are only one (which is taken to vary as others do)."""


def suite_rows(results: Results, rule: str | None = None, tasks: Sequence[str] = ()) -> list[Row]:
    """A row a model, the best first: its suite score with a bootstrap interval, the score if it had reached all that
    was asked, and the tasks that it stands on."""
    rows = []
    tasks = tasks or results.tasks
    for model in results.models:
        grids = [grid for (task, name), grid in results.grids.items() if name == model and task in tasks]
        if not grids:
            continue
        reached = suite_reached(grids, rule)
        most = [g.deepest / g.train_max_depth for g in grids]
        score, low, high = suite_score(reached, most, np.random.default_rng(0))
        seeds_tell = [
            other is None and len(ratio) > 1 for ratio, other in zip(reached.ratios, reached.draws, strict=True)
        ]
        rows.append(
            {
                "model": model,
                "tasks": len(grids),
                "missing": sorted(set(tasks) - {grid.task for grid in grids}),
                "seeds": max(len(grid.runs) for grid in grids),
                "fewest_seeds": min(len(grid.runs) for grid in grids),
                "failed": int(sum(grid.failed.sum() for grid in grids)),
                "score": rounded(score),
                "low": rounded(low),
                "high": rounded(high),
                "most": rounded(float(np.expm1(np.log1p(most).mean()))),
                "beyond": sum(median_low(ratio.tolist()) > 1 for ratio in reached.ratios),
                "over": OVER[any(seeds_tell), any(other is not None for other in reached.draws)],
            }
        )
    return sorted(rows, key=lambda row: -row["score"])


def suite_reached(grids: Sequence[Grid], rule: str | None = None) -> Reached:
    """What a model reached in its tasks, each as a multiple of the deepest trained depth."""
    columns = [grid.headline(rule) for grid in grids]
    draws = [question_draws(g, c) for g, c in zip(grids, columns, strict=True)]
    return Reached(
        [g.depth95s(c) / g.train_max_depth for g, c in zip(grids, columns, strict=True)],
        [None if drawn is None else drawn / g.train_max_depth for drawn, g in zip(draws, grids, strict=True)],
    )


def suite_leads(
    results: Results, first: str, second: str, rule: str | None = None, tasks: Sequence[str] = ()
) -> tuple[float, float, float]:
    """How many times 1 + the second's suite score 1 + the first's is, on the tasks of both, and a 95% interval."""
    both = [
        task for task in tasks or results.tasks if (task, first) in results.grids and (task, second) in results.grids
    ]
    grids = [[results.grids[task, model] for task in both] for model in (first, second)]
    most = [max(g.deepest / g.train_max_depth for g in pair) for pair in zip(*grids, strict=True)]
    ahead, behind = (suite_reached(mine, rule) for mine in grids)
    return suite_lead(ahead, behind, most, np.random.default_rng(0))


def furthest_first(results: Results) -> list[str]:
    """The models, in the order of their suite scores: the order of legends, so that colours are the same everywhere."""
    return [row["model"] for row in suite_rows(results)]

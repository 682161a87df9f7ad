"""Two sides of a comparison, cell by cell: the difference, its intervals, and what remains of it among many cells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from evaluate import statistics
from evaluate.show.grid import Column, Grid, flat

LEVEL = 0.05
"""The false discovery rate at which a cell is marked: of the marked cells, one in twenty is expected to be noise."""


@dataclass(frozen=True)
class Side:
    """One side of a comparison: its name, and its grids by what they are matched by."""

    name: str
    grids: dict[tuple[str, str], Grid]


@dataclass(frozen=True)
class Difference:
    """Second minus first, cell by cell, of shape (depths, columns); nan where one side was not measured."""

    first: Grid
    second: Grid
    names: tuple[str, str]
    mismatch: list[str]
    depths: np.ndarray
    bands: list[str]
    columns: list[tuple[Column, Column]]
    headline: int  # place of the column that the summary stands on
    shares: tuple[np.ndarray, np.ndarray]
    low: np.ndarray  # over questions
    high: np.ndarray
    seeds_low: np.ndarray  # over seeds; nan with fewer than two a side
    seeds_high: np.ndarray
    p_questions: np.ndarray  # nan for the oracle's cells: it knows the answers, and is not tested
    p_seeds: np.ndarray
    paired: np.ndarray  # were the same questions compared one by one?

    @property
    def value(self) -> np.ndarray:
        return np.asarray(self.shares[1] - self.shares[0])

    @property
    def p(self) -> np.ndarray:
        """A difference has to hold over questions and, where there are seeds to tell, over seeds."""
        return np.asarray(np.fmax(self.p_questions, self.p_seeds))

    @property
    def task(self) -> str:
        return self.first.task


def mismatches(first: Grid, second: Grid, names: tuple[str, str]) -> list[str]:
    """Why the two cannot be compared, each by name; what only a model or its training decides is no reason."""
    found = []
    one, two = (flat(g.runs[0]["experiment"].get("task", {}), "task.") for g in (first, second))
    one["task.version"], two["task.version"] = first.runs[0]["task_version"], second.runs[0]["task_version"]
    one["train_max_depth"], two["train_max_depth"] = first.train_max_depth, second.train_max_depth
    for name in sorted({*one, *two}):
        if one.get(name) != two.get(name):
            found.append(f"{name} is {one.get(name, 'unset')} in {names[0]}, {two.get(name, 'unset')} in {names[1]}")
    mine = dict(zip(first.depths.tolist(), first.bands, strict=True))
    for depth, band in zip(second.depths.tolist(), second.bands, strict=True):
        if mine.get(depth, band) != band:
            found.append(f"depth {depth} is of band {mine[depth]} in {names[0]}, {band} in {names[1]}")
    return found


def same_questions(first: Grid, second: Grid) -> bool:
    """Whether both were asked the same questions in the same order: they follow from the task and `evaluate`."""

    def asked(grid: Grid) -> list[Any]:
        plain, versions = grid.runs[0]["experiment"], grid.runs[0]["versions"]
        if grid.elsewhere:
            return [plain.get("task"), versions.get("questions")]
        return [plain.get("task"), *(plain.get("evaluate", {}).get(name) for name in ("count", "seed"))]

    return first.alike and second.alike and asked(first) == asked(second) and None not in asked(first)


def difference(first: Grid, second: Grid, names: tuple[str, str], rule: str | None = None) -> Difference | None:
    """Every cell that both have; None where they share none."""
    depths = np.intersect1d(first.depths, second.depths)
    pairs = _column_pairs(first, second, rule)
    if not len(depths) or not pairs:
        return None
    one, two = _cells(first, depths, [i for i, _ in pairs]), _cells(second, depths, [j for _, j in pairs])
    both = (one.worth > 0) & (two.worth > 0)
    mean1, mean2 = (np.where(both, _mean(side.share, side.count), np.nan) for side in (one, two))
    apart = (mean2 * two.worth, two.worth, mean1 * one.worth, one.worth)
    low, high = statistics.newcombe(*apart)
    p = np.where(both, statistics.two_shares(*apart), np.nan)
    paired = np.zeros(both.shape, bool)
    if same_questions(first, second):
        paired = _pair([one.right, two.right], [one.count, two.count], low, high, p)
    (share1, asked1), (share2, asked2) = _of_all(first, one), _of_all(second, two)
    seeds_low, seeds_high, p_seeds = statistics.over_seeds(share2, share1, (asked2, asked1))
    turned = (_mean(share2, asked2) - _mean(share1, asked1)) * (mean2 - mean1) < 0  # what failed turns it over
    known = np.array([first.columns[i].halting == "oracle" for i, _ in pairs])
    heads = (first.headline(rule), second.headline(rule))
    at = pairs.index(heads) if heads in pairs else 0
    return Difference(
        first=first,
        second=second,
        names=names,
        mismatch=mismatches(first, second, names),
        depths=depths,
        bands=[first.bands[row] for row in np.searchsorted(first.depths, depths)],
        columns=[(first.columns[i], second.columns[j]) for i, j in pairs],
        headline=at,
        shares=(mean1, mean2),
        low=np.where(both, low, np.nan),
        high=np.where(both, high, np.nan),
        seeds_low=np.where(both, seeds_low, np.nan),
        seeds_high=np.where(both, seeds_high, np.nan),
        p_questions=np.where(known, np.nan, p),
        p_seeds=np.where(both & ~known, np.where(turned, 1.0, p_seeds), np.nan),
        paired=paired,
    )


@dataclass(frozen=True)
class _Cells:
    """The cells of one side that are compared, of each run (seeds, depths, columns), and what all seeds are worth."""

    count: np.ndarray
    share: np.ndarray
    right: np.ndarray
    worth: np.ndarray  # (depths, columns)


def _cells(grid: Grid, depths: np.ndarray, columns: list[int]) -> _Cells:
    rows = np.searchsorted(grid.depths, depths)
    pick = np.ix_(np.arange(len(grid.runs)), rows, np.array(columns))
    return _Cells(grid.count[pick], grid.shares[pick], grid.right[pick], grid.worths[np.ix_(rows, np.array(columns))])


def _mean(shares: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Over the seeds that have a cell (depths, columns); nan where none has."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.nansum(shares, 0) / (count > 0).sum(0))


def _of_all(grid: Grid, cells: _Cells) -> tuple[np.ndarray, np.ndarray]:
    """What each training came to, and of how many questions (seeds, depths, columns): a run that failed has none of
    those right that the others were asked. Over questions nothing is said of it, as it gave no answers."""
    most = cells.count.max(0)
    failed = grid.failed[:, None, None] & (most > 0)
    return np.where(failed, 0.0, cells.share), np.where(failed, most, cells.count)


def _column_pairs(first: Grid, second: Grid, rule: str | None) -> list[tuple[int, int]]:
    """Columns of one name; and the two headlines, which a model without loops shares with none."""
    have = {column: place for place, column in enumerate(second.columns)}
    pairs = [(place, have[column]) for place, column in enumerate(first.columns) if column in have]
    heads = first.headline(rule), second.headline(rule)
    if None not in heads and heads not in pairs:
        pairs.append(heads)  # type: ignore[arg-type]
    return pairs


def _pair(
    rights: list[np.ndarray], counts: list[np.ndarray], low: np.ndarray, high: np.ndarray, p: np.ndarray
) -> np.ndarray:
    """Put paired intervals and tests in the place of the others wherever each question's answers are known.

    A side may have more seeds than the other: of a question the shares of them that are right are compared.
    """
    asked, able = [count > 0 for count in counts], np.ones(low.shape, bool)
    questions = counts[0].max(0)
    for right, count, here in zip(rights, counts, asked, strict=True):
        known = np.array([bits is not None for bits in right.flat], bool).reshape(right.shape)
        able &= (known == here).all(0) & here.any(0) & (~here | (count == questions)).all(0)
    at = np.argwhere(able)
    sums = np.array([_sums(rights[0][:, d, c], rights[1][:, d, c]) for d, c in at]).reshape(-1, 2)
    d, c = at.T
    low[d, c], high[d, c] = statistics.paired_interval(sums[:, 0], sums[:, 1], questions[d, c])
    exact = statistics.mcnemar((sums[:, 1] + sums[:, 0]) / 2, (sums[:, 1] - sums[:, 0]) / 2)
    single = (asked[0].sum(0) == 1) & (asked[1].sum(0) == 1)
    p[d, c] = np.where(single[d, c], exact, statistics.by_question(sums[:, 0], sums[:, 1]))
    return np.asarray(able)


def _sums(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Over the questions, the sum of each one's difference, second minus first, and of its square."""
    shares = []
    for side in (second, first):
        held = [bits for bits in side if bits is not None]
        packed = np.frombuffer(b"".join(held), np.uint8).reshape(len(held), -1)
        shares.append(np.unpackbits(packed, axis=1).mean(0))
    each = shares[0] - shares[1]
    return float(each.sum()), float((each * each).sum())


def adjusted(found: list[Difference]) -> list[np.ndarray]:
    """The false discovery rate of each cell among all cells of all comparisons (Benjamini-Hochberg)."""
    if not found:
        return []
    every = statistics.benjamini_hochberg(np.concatenate([difference.p.reshape(-1) for difference in found]))
    ends = np.cumsum([difference.p.size for difference in found])[:-1]
    return [part.reshape(d.p.shape) for part, d in zip(np.split(every, ends), found, strict=True)]


def rows(found: list[Difference], rates: list[np.ndarray]) -> Iterator[dict[str, Any]]:
    """A row a cell that both sides have."""
    for one, rate in zip(found, rates, strict=True):
        for d, c in np.argwhere(~np.isnan(one.value)):
            a, b = one.columns[c]

            def number(array: np.ndarray, place: tuple[int, int] = (d, c)) -> float | None:
                return None if np.isnan(array[place]) else float(f"{array[place]:.6g}")

            yield {
                "task": one.task,
                "first": one.names[0],
                "second": one.names[1],
                "first_model": one.first.model,
                "second_model": one.second.model,
                "band": one.bands[d],
                "depth": int(one.depths[d]),
                "first_asked": a.name,
                "second_asked": b.name,
                "first_accuracy": number(one.shares[0]),
                "second_accuracy": number(one.shares[1]),
                "difference": number(one.value),
                "low": number(one.low),
                "high": number(one.high),
                "seeds_low": number(one.seeds_low),
                "seeds_high": number(one.seeds_high),
                "paired": bool(one.paired[d, c]),
                "p_questions": number(one.p_questions),
                "p_seeds": number(one.p_seeds),
                "false_discovery_rate": number(rate),
                "significant": bool(rate[d, c] < LEVEL),
                "mismatch": one.mismatch,
            }

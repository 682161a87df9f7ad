"""How a figure is written, wherever one is shown: cut to what is certain, never rounded up to all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from evaluate.show.grid import Grid
from evaluate.show.measures import Row

MISSING = "-"


def percent(correct: Any, count: Any) -> str:
    """Accuracy to a tenth of a percent, never rounded up to 100."""
    tenths = 1000 * int(correct) // int(count)
    return "100" if correct == count else f"{tenths // 10}.{tenths % 10}"


def points(share: float | None) -> str:
    """A share in percent, never rounded up to 100."""
    if share is None:
        return MISSING
    return "100" if share == 1 else f"{int(share * 1000 + 1e-6) / 10:.1f}" if share >= 0 else f"{100 * share:.1f}"


def span(low: float | None, high: float | None) -> str:
    """An interval in percent, rounded, but never up to 100."""
    if low is None or high is None:
        return MISSING
    return " to ".join("100" if end == 1 else f"{min(99.9, round(100 * end, 1)):.1f}" for end in (low, high))


def times(value: float | None) -> str:
    if value is None:
        return MISSING
    return f"{value:,.0f}x" if value >= 1000 else f"{value:.{3 if value >= 10 else 2}g}x"


def size(parameters: int) -> str:
    """Parameters, in thousands; those of a model that answered elsewhere may not be known."""
    return f"{parameters / 1000:,.0f}k" if parameters else MISSING


def cost(flops: int | None) -> str:
    return f"{flops:.1e}" if flops else MISSING


def over_tasks(tasks: int) -> str:
    """Behind a suite score: without it, one does not know which others it may be held to."""
    return f"over {tasks} task{'s' * (tasks != 1)}"


def seed_count(row: Row) -> str:
    """How many seeds; of a suite, from the task with fewest to that with most."""
    most, fewest = row["seeds"], row.get("fewest_seeds", row["seeds"])
    return f"{most}" if fewest == most else f"{fewest} to {most}"


def of_seeds(row: Row) -> str:
    return seed_count(row) + (f", {row['failed']} failed" if row["failed"] else "")


def reached(row: Row) -> str:
    """depth95, with a + at the deepest asked, and how many times the training depth that is."""
    return f"{marked(row['depth95'], row['deepest'])} ({row['ratio']:.3g}x)"


def marked(depth: int, deepest: int | None) -> str:
    """A depth95, with a + where it is the deepest asked."""
    return f"{depth}+" if depth and depth == deepest else str(depth)


def how_deep(grid: Grid, column: int | None) -> str:
    """As `reached`, of one column of a grid."""
    depth = grid.reached(column)
    return reached({"depth95": depth, "deepest": grid.deepest, "ratio": depth / grid.train_max_depth})


def questions_a_cell(counts: Sequence[int]) -> str:
    """How many questions stand behind each of some cells, or behind the one with the fewest."""
    more = " or more" if max(counts) > min(counts) else ""
    return f"{min(counts)}{more} questions a cell"

"""Rows of figures as a table for people, or as JSON for machines."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

import tabulate as tabulate_module
from tabulate import tabulate

from tasks.errors import unknown

tabulate_module.MIN_PADDING = 0  # a table of ten loop counts must fit a terminal of eighty columns

FORMATS = ("simple", "github", "plain", "latex", "csv", "json")
STYLES = {"latex": "latex_booktabs"}  # tabulate's names, where they are others


def check_format(name: str) -> None:
    if name not in FORMATS:
        raise unknown("format", name, FORMATS)


class Table(str):
    """Text that is a table, to be told from the words beside it."""


def lined(headers: Sequence[str], cells: Sequence[Sequence[str]], style: str, align: Sequence[str] = ()) -> Table:
    """Text in columns, to the right unless `align` says otherwise of each."""
    style = STYLES.get(style, style)
    align = align if cells else ()
    return Table(
        tabulate(cells, headers, tablefmt=style, disable_numparse=True, stralign="right", colalign=align or None)
    )


def together(parts: Sequence[str], style: str) -> str:
    """Tables and the words beside them, one below the other. Words are a comment in LaTeX; in Markdown an empty line
    parts them from a table, or they would be a row of it; and where machines read they are left out."""
    told: list[str] = []
    for part in parts:
        words = not isinstance(part, Table)
        if words and style in ("csv", "json"):
            continue
        beside = bool(told) and words is isinstance(told[-1], Table)
        if style == "github" and beside and part and told[-1] and not told[-1].endswith("\n"):
            told.append("")
        told.append(commented(part) if words and style == "latex" else part)
    return "\n".join(told)


def commented(text: str) -> str:
    """Each line as a comment of LaTeX."""
    return "\n".join(f"% {line}" if line else "" for line in text.split("\n"))


def formatted(rows: Sequence[dict[str, Any]], columns: Sequence[str], style: str = "simple") -> Table:
    """A table of these columns; as JSON or CSV, all that the rows hold. A missing value is empty, never zero."""
    check_format(style)
    if style == "json":
        return Table(json.dumps(list(rows), indent=1))
    if style == "csv":
        return Table(as_csv(rows))
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    right = ["right" if rows and isinstance(rows[0].get(column), int | float) else "left" for column in columns]
    return lined(list(columns), cells, style, right)


def as_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Every field of the rows, lists as JSON."""
    text = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({k: json.dumps(v) if isinstance(v, list | dict) else v for k, v in row.items()})
    return text.getvalue().rstrip("\n")


def _cell(value: Any) -> str:
    if isinstance(value, float):
        text = f"{value:.3f}"
        return "0.999" if text == "1.000" and value < 1 else text  # a share is never rounded up to all
    return (
        f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else "" if value is None else str(value)
    )


ALLOWED = 0.05  # above chance: what a shortcut may score before a task answers to something else than reasoning


def verdict(rows: Sequence[dict[str, Any]]) -> str:
    """The audit's rows in one line: the shortcut that is furthest above chance, and whether that is too far."""
    if not rows:
        return "no shortcut was audited"
    worst = max(rows, key=lambda row: row["score"] - row["chance"])
    more = 100 * (worst["score"] - worst["chance"])
    found = f"{worst['shortcut']} on {worst['task']} at depth {worst['depth']}, {more:+.1f} points"
    over = sum(row["score"] - row["chance"] > ALLOWED for row in rows)
    few = f"{over} of {len(rows)} rows {'is' if over == 1 else 'are'}" if over else "no shortcut is"
    return f"{few} more than 5 points above chance; the furthest: {found}"

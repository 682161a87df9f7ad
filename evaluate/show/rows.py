"""Rows of figures as a table for people, or as JSON for machines."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from tabulate import tabulate

from tasks.errors import unknown

FORMATS = ("simple", "github", "plain", "latex", "csv", "json")


def check_format(name: str) -> None:
    if name not in FORMATS:
        raise unknown("format", name, FORMATS)


def formatted(rows: Sequence[dict[str, Any]], columns: Sequence[str], style: str = "simple") -> str:
    """A table of these columns; as JSON or CSV, all that the rows hold. A missing value is empty, never zero."""
    check_format(style)
    if style == "json":
        return json.dumps(list(rows), indent=1)
    if style == "csv":
        return as_csv(rows)
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    right = ["right" if rows and isinstance(rows[0].get(column), int | float) else "left" for column in columns]
    return str(tabulate(cells, list(columns), tablefmt=style, disable_numparse=True, colalign=right if rows else None))


def told(text: str, style: str) -> str:
    """What is said beside a table: as a comment in LaTeX, and nothing where machines read."""
    if style in ("csv", "json"):
        return ""
    return "".join(f"% {line}\n" for line in text.splitlines()) if style == "latex" else f"{text}\n"


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
    found = f"{worst['shortcut']} on {worst['task']} at depth {worst['depth']}, {worst['score'] - worst['chance']:+.1%}"
    over = sum(row["score"] - row["chance"] > ALLOWED for row in rows)
    few = f"{over} of {len(rows)} rows are" if over else "no shortcut is"
    return f"{few} more than 5 points above chance; the furthest: {found}"

"""Text for a terminal: a table that is wider than the terminal goes on below, with the names of its rows again."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

NAMES = (
    "task", "model", "band", "depth", "points", "seed", "length", "rule", "trained to", "asked to", "what", "part",
    "cost", "against", "claim",
)  # fmt: skip
"""Columns that say what a row is, where they stand first."""

STAYS = ("used", "95% interval", "low", "high", "count", "range", "IQM", "worst to best", "over seeds", "at ")
"""Beginnings of columns that say something of the one to their left, and stay beside it."""


class Span(NamedTuple):
    """Where a column stands in each line of its table."""

    start: int
    end: int

    def of(self, line: str) -> str:
        return line[self.start : self.end].ljust(self.end - self.start)


COMMAND = "run_benchmarks.py"
"""A line with this in it stays whole, so that it can be copied."""


def tell(*parts: str, style: str = "simple") -> None:
    """Print the parts that are not empty, one below the other. In a terminal, text of the style `simple` is folded to
    its width; the other formats are there to be copied, and stay as they are."""
    text = "\n".join(part.rstrip("\n") for part in parts if part)
    if not text:
        return
    fit = style == "simple" and sys.stdout.isatty()
    print(fitted(text, max(1, shutil.get_terminal_size().columns)) if fit else text)


def fitted(text: str, width: int) -> str:
    """The text, its tables of the style "simple" and its long lines folded to this width."""
    lines, told, at = text.split("\n"), [], 0
    while at < len(lines):
        columns = ruled(lines[at + 1]) if at + 1 < len(lines) else []
        end = at + 2
        while columns and end < len(lines) and is_row(lines[end], columns):
            end += 1
        if columns and columns[-1].end > width:
            told += folded(lines[at:end], columns, width)
            at = end
        else:
            told += wrapped(lines[at], width)
            at += 1
    return "\n".join(told)


def wrapped(line: str, width: int) -> list[str]:
    """A long line as several, indented as it is, or as what stands in its second column."""
    if len(line) <= width or COMMAND in line:
        return [line]
    found = re.match(r"\s+\S+\s\s+|\s*", line)
    indent = found.end() if found and found.end() <= width // 2 else 0
    return textwrap.wrap(line, width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)


def ruled(line: str) -> list[Span]:
    """The columns that a line of dashes stands for; none where it is not one."""
    if not re.fullmatch(r"-+(  -+)+", line):
        return []
    return [Span(*found.span()) for found in re.finditer("-+", line)]


def is_row(line: str, columns: Sequence[Span]) -> bool:
    """Whether it is as long as the table is wide, but for a last cell that is empty, and nothing stands between the
    columns."""
    gaps = zip((column.end for column in columns), (column.start for column in columns[1:]), strict=False)
    long_enough = len(line) == columns[-1].end or columns[-2].start < len(line) <= columns[-2].end
    return long_enough and not any(line[a:b].strip() for a, b in gaps)


def folded(lines: Sequence[str], columns: Sequence[Span], width: int) -> list[str]:
    """The lines of one table as those of several, an empty line between them; as they are, where that is no help."""
    heads = [column.of(lines[0]).strip() for column in columns]
    names = next((i for i, head in enumerate(heads) if head not in NAMES), len(heads) - 1) or 1
    groups = together(columns[names:], heads[names:])
    widest = max(taken([*columns[:names], *group]) for group in groups)
    rows_of_lines = any(not columns[0].of(line).strip() for line in lines)
    if rows_of_lines or widest > max(width, columns[-1].end * 2 // 3):
        return list(lines)
    parts: list[list[Span]] = []
    for group in groups:
        if parts and taken([*columns[:names], *parts[-1], *group]) <= width:
            parts[-1] += group
        else:
            parts.append(group)
    told = []
    for part in parts:
        told += ["  ".join(column.of(line) for column in [*columns[:names], *part]).rstrip() for line in lines]
        told.append("")
    return told[:-1]


def together(columns: Sequence[Span], heads: Sequence[str]) -> list[list[Span]]:
    """The columns, those in one list that must not be parted."""
    groups: list[list[Span]] = []
    for column, head in zip(columns, heads, strict=True):
        if head.startswith(STAYS) and groups:
            groups[-1].append(column)
        else:
            groups.append([column])
    return groups


def taken(columns: Sequence[Span]) -> int:
    """The width of a line of these columns."""
    return sum(column.end - column.start + 2 for column in columns) - 2

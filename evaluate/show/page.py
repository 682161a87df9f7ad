"""The parts of a page: figures, tables, notes, the runs behind them. One file, no network, every name escaped."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path

from evaluate.show.command import command
from evaluate.show.figures import Drawn
from evaluate.show.grid import Grid
from evaluate.show.svg import HATCH, tag

HERE = Path(__file__).parent


def notes(lines: Sequence[str]) -> str:
    if not lines:
        return ""
    what = f"{len(lines)} notes on these records: what is missing, or was left out"
    folded = tag("summary", what if len(lines) > 1 else "A note on these records")
    return tag("details", folded + tag("ul", "".join(tag("li", escape(note)) for note in lines)), class_="warn")


def table(caption: str, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The first cell of a row names it. A table that is too wide can be scrolled by keys too."""
    head = tag("tr", "".join(tag("th", escape(name), scope="col") for name in headers))
    lines = "".join(tag("tr", _cell(row[0], "th", scope="row") + "".join(map(_cell, row[1:]))) for row in rows)
    shown = tag("table", tag("caption", escape(caption)) + tag("thead", head) + tag("tbody", lines))
    return tag("div", shown, class_="scroll", tabindex="0", role="region", aria_label=caption)


def _cell(text: str, kind: str = "td", **attributes: object) -> str:
    """A list and the name of a variant may take several lines, nothing else."""
    shown = escape(text).replace("@", "<wbr>@")
    listed = {"class_": "list"} if "; " in text or "@" in text else {}
    return tag(kind, shown, **attributes, **listed)


def contents(tasks: Sequence[str]) -> str:
    links = [tag("a", escape(task), href=f"#{anchor(task)}") for task in tasks]
    return tag("nav", "".join(links), aria_label="tasks") if len(links) > 1 else ""


def anchor(*names: str) -> str:
    """An id that no other names have: what is no letter, digit or _ stands as its number."""
    return "-".join("".join(c if c.isalnum() or c == "_" else f"~{ord(c):x}~" for c in name) for name in names)


def figure(drawn: Drawn, wide: bool = False) -> str:
    links = dict.fromkeys(tag("a", escape(grid.model), href=f"#{how(grid)}") for grid in drawn.grids)
    source = f" Made by: {', '.join(links)}." if len(links) <= 4 else ""
    caption = tag("figcaption", escape(drawn.caption) + source)
    return tag("figure", tag("h3", escape(drawn.title)) + drawn.body + caption, class_="wide" if wide else "one")


def how(grid: Grid) -> str:
    return anchor("how", grid.task, grid.model)


def behind(grid: Grid) -> str:
    """The exact command and configuration behind a grid, folded away."""
    first = grid.runs[0]
    facts = {name: first.get(name) for name in ("versions", "device", "threads", "git_commit", "git_dirty")}
    runs = [
        f"{run['run']}  seed {run['seed']}  {run['status']}  {run['steps']} steps  {run['train_seconds']} s"
        for run in grid.runs
    ]
    parts = [
        tag(
            "summary",
            escape(f"How {grid.model} was made: command, configuration, {len(runs)} run{'s' * (len(runs) != 1)}"),
        ),
        tag("pre", escape(command(grid.runs))),
        tag("pre", escape("\n".join(runs) + "\n" + json.dumps(facts))),
        tag("pre", escape(json.dumps(first["experiment"], indent=1))),
    ]
    if "architecture" in first["experiment"]:
        told = "A model takes of these fields of architecture what its name leaves open: show-model prints its parts."
        parts.append(tag("figcaption", escape(told)))
    return tag("details", "".join(parts), id=how(grid))


def size(page: str) -> str:
    kilobytes = len(page.encode()) / 1000
    return f"{kilobytes / 1000:.1f} MB" if kilobytes >= 1000 else f"{kilobytes:.0f} kB"


def whole(title: str, body: Sequence[str]) -> str:
    style, script = ((HERE / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">' + tag("title", escape(title)) + tag("style", style)
    )
    told = tag("div", id="told", role="status")
    page = "\n".join([HATCH, *body, told, tag("script", script)])
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>{page}</body></html>\n'

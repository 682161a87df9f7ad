"""The ledger of claims for people: a table, and a section of the report. Reads records, never torch."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path

from evaluate.ledger import NAME, Entry, read
from evaluate.show import page
from evaluate.show.rows import as_csv, check_format, lined, together
from evaluate.show.svg import tag
from evaluate.verdicts import VERDICTS
from tasks.errors import unknown

COLUMNS = ("claim", "verdict", "measured", "seeds")
LEGEND = (
    "measured: each figure with its 95% interval, and the range that the claim puts\n"
    "it in, which was set before. An interval wholly inside supports, one wholly\n"
    "outside refutes. (given): a premise; without it nothing is learnt."
)
WIDE = {"claim": 25, "measured": 32}


def chosen(folder: Path, words: Sequence[str]) -> list[Entry]:
    """The claims of a folder's ledger by number or name; all for none."""
    entries = read(folder)
    by_word = {word: entry for entry in entries for word in (entry.name, str(entry.number))}
    for word in words:
        if word not in by_word:
            raise unknown("claim", word, by_word)
    return [entry for entry in entries if not words or {entry.name, str(entry.number)} & {*words}]


def show(entries: Sequence[Entry], style: str = "simple") -> str:
    """The ledger as one text: a table, then each claim with its source, experiment, rule, reason and command."""
    check_format(style)
    if style == "json":
        return json.dumps([asdict(entry) for entry in entries], indent=1)
    if style == "csv":
        return as_csv([asdict(entry) for entry in entries])
    rows = [cells(entry, style) for entry in entries]
    table = lined(COLUMNS, rows, style, ["left"] * len(COLUMNS))
    told = [tally(entries), LEGEND, *(about(entry) for entry in entries)]
    return together([table, *(part for text in told for part in ("", text))], style)


def cells(entry: Entry, style: str) -> list[str]:
    """A row of the table; lines are folded where the style has room for folded cells."""
    figures = [f"{figure['told']} {ruled(figure)}" for figure in entry.figures] or [entry.reason]
    row = [f"{entry.number} {entry.statement}", entry.verdict, "; ".join(figures), str(len(entry.seeds))]
    if style != "simple":
        return [cell.replace("|", "\\|") if style == "github" else cell for cell in row]
    row[2] = "\n".join(textwrap.fill(figure, WIDE["measured"], subsequent_indent="  ") for figure in figures)
    row[0] = textwrap.fill(row[0], WIDE["claim"])
    return row


def limits(figure: dict[str, object]) -> str:
    """The range alone, for where the figure's name stands beside it."""
    rule = str(figure["rule"] or "decides nothing").removeprefix(f"{figure['what']}: ")
    return ("(given) " if figure["premise"] else "") + rule


def ruled(figure: dict[str, object]) -> str:
    return ("(given) " if figure["premise"] else "") + str(figure["rule"] or figure["what"])


def tally(entries: Sequence[Entry]) -> str:
    counts = Counter(entry.verdict for entry in entries)
    return f"{len(entries)} claims: " + ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS)


def about(entry: Entry) -> str:
    """A claim in full."""
    over = "; ".join(dict.fromkeys(str(figure["over"]) for figure in entry.figures))
    lines = [
        f"{entry.number} {entry.name}: {entry.verdict}, {entry.reason}",
        f"  source: {entry.source}",
        f"  experiment: {entry.experiment}",
        f"  what supports it: {entry.rule}",
        *([f"  intervals over: {over}"] if over else []),
        f"  {len(entry.runs)} runs, {entry.seconds:.0f} s of training; again:",
    ]
    folded = [textwrap.fill(line, 80, subsequent_indent="    ") for line in lines]
    return "\n".join([*folded, f"  {entry.command}"])


def beside(folder: Path, runs: Collection[str]) -> list[str]:
    """What has to be said of runs in the folder on which no claim of its ledger rests."""
    others = len({*runs} - {run for entry in read(folder) for run in entry.runs})
    return [f"{others} runs here belong to no claim: `table`, or `report --tasks`, shows them"] if others else []


def section(folder: Path) -> str:
    """The ledger of a folder as a part of its report; empty where there is none."""
    if not (folder / NAME).exists():
        return ""
    entries = read(folder)
    parts = [tag("p", escape(tally(entries))), tag("ul", "".join(map(_linked, entries)))]
    parts.append(tag("p", escape(LEGEND.replace("\n", " "))))
    for entry in entries:
        said = tag("b", escape(entry.verdict)) + escape(f": {entry.reason}")
        made = tag("code", escape(entry.command))
        figures = [(str(figure["what"]), str(figure["told"]), limits(figure)) for figure in entry.figures]
        parts += [
            tag("h2", escape(f"{entry.number} {entry.statement}"), id=page.anchor("claim", entry.name)),
            tag("p", said),
            page.table(f"claim {entry.number}, measured", ("figure", "measured", "range"), figures) if figures else "",
            tag("figcaption", escape(f"{entry.source}. {entry.experiment}. {len(entry.seeds)} seeds. Again: ") + made),
        ]
    return tag("section", "".join(parts), id="claims")


def _linked(entry: Entry) -> str:
    link = tag("a", escape(f"{entry.number} {entry.statement}"), href=f"#{page.anchor('claim', entry.name)}")
    return tag("li", link + " " + tag("b", escape(entry.verdict)))

"""The ledger of claims on disk: `ledger.jsonl` in a folder of results, a line a claim. Needs no torch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from evaluate.checked import fault, parsed, shown
from evaluate.verdicts import VERDICTS
from tasks.errors import UserError
from tasks.files import write_over

LEDGER_VERSION = 1
NAME = "ledger.jsonl"


@dataclass(frozen=True)
class Entry:
    """One claim, how it was tested, and what came of it."""

    number: int
    name: str
    statement: str
    source: str
    experiment: str
    rule: str  # what would support it, written before it was measured
    figures: list[dict[str, Any]]  # of each part: what a Figure has, and value, low, high, verdict
    verdict: str
    reason: str
    seeds: list[int]
    runs: list[str]  # that it rests on
    seconds: float  # of training, all its runs together
    command: str
    ledger_version: int = LEDGER_VERSION


@dataclass(frozen=True)
class Figure:
    """What is shown of one figure of a claim."""

    what: str
    told: str
    over: str
    rule: str | None
    premise: bool


def write(folder: Path, entries: list[Entry]) -> None:
    """Put these claims into a folder's ledger, in the place of what it said of them before; the others stay."""
    kept = {entry.number: entry for entry in [*held(folder), *entries]}
    text = "".join(json.dumps(asdict(kept[number])) + "\n" for number in sorted(kept))
    write_over(folder / NAME, text.encode())


def held(folder: Path) -> list[Entry]:
    """The claims of a folder that may have none yet."""
    return read(folder) if (folder / NAME).exists() else []


def read(folder: Path) -> list[Entry]:
    """The claims of a folder, by number; an error that names what is missing, cut or of another version."""
    path = folder / NAME
    if not folder.is_dir():
        raise UserError(f"no folder {str(folder)!r}: give a folder that `claims` has written")
    if not path.exists():
        raise UserError(f"{str(folder)!r} holds no {NAME}: give a folder that `claims` has written")
    entries = {}
    for number, text in enumerate(path.read_bytes().splitlines(), 1):
        line = parsed(text)
        if line is None:
            raise UserError(f"{path}: line {number} is not whole: remove the file, and `claims` writes it again")
        if line.get("ledger_version") != LEDGER_VERSION:
            version = shown(line.get("ledger_version"))
            raise UserError(f"{path}: line {number} has ledger version {version}: allowed is {LEDGER_VERSION}")
        wrong = fault(Entry, line) or fault_of_lists(line)
        if not wrong and line["verdict"] not in VERDICTS:
            wrong = f"verdict is {shown(line['verdict'])}: allowed are {', '.join(VERDICTS)}"
        if wrong:
            raise UserError(f"{path}: line {number}: {wrong}")
        if line["number"] in entries:
            raise UserError(f"{path}: line {number} is of claim {line['number']} again: remove one of the two")
        entries[line["number"]] = Entry(**{field.name: line[field.name] for field in fields(Entry)})
    if not entries:
        raise UserError(f"{path} is empty: remove the file, and `claims` writes it again")
    return [entries[number] for number in sorted(entries)]


def fault_of_lists(line: dict[str, Any]) -> str | None:
    """What is wrong with the lists of a line whose other fields are right; or None."""
    for name in ("figures", "seeds", "runs"):
        if not isinstance(line[name], list):
            return f"{name} is {shown(line[name])}: allowed is a list"
    for figure in line["figures"]:
        wrong = fault(Figure, figure) if isinstance(figure, dict) else f"it is {shown(figure)}: allowed is a table"
        if wrong:
            return f"a figure: {wrong}"
    return None

"""Cells in arrays, read from JSON lines: a million in seconds, and every line that can't be taken is named.

Lines are parsed many at a time. Where a part holds a bad line it is halved until that line stands alone.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO, Any

import numpy as np
import orjson

BANDS = ("train", "selection", "test")
PART = 1 << 22  # bytes of lines that are parsed together
TOLD = 5  # faults of a file that are told in full


class Fault(Exception):
    """Why a line cannot be taken."""


@dataclass(frozen=True)
class Columns:
    """One entry a cell: the fields of `records.Cell`, with run, band and halting as places in lists."""

    run: np.ndarray  # place of the run among the runs of the folder
    band: np.ndarray  # place in BANDS
    depth: np.ndarray
    loops: np.ndarray  # -1 for a cell without
    halting: np.ndarray  # place in `rules`
    count: np.ndarray
    correct: np.ndarray
    chance: np.ndarray
    shortcut: np.ndarray  # nan where none was measured
    mean_loops: np.ndarray  # nan for a model without loops
    eval_flops: np.ndarray
    right: np.ndarray  # bytes of numpy.packbits, or None
    rules: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.run)


ARRAYS = [field.name for field in fields(Columns) if field.name != "rules"]


def read_columns(file: IO[bytes], path: Path, runs: Mapping[str, Mapping[str, Any]], notes: list[str]) -> Columns:
    """The cells of `runs` in a file; what was left out is added to `notes`."""
    reader = _Reader(runs)
    faults: list[str] = []
    first = 1
    parts = [reader.empty()]
    while lines := file.readlines(PART):
        for part in reader.taken(lines, first, lambda number, why: faults.append(f"{path}: line {number} {why}")):
            parts.append(part)
        first += len(lines)
    notes += faults[:TOLD]
    if len(faults) > TOLD:
        notes.append(f"{path}: {len(faults) - TOLD} more lines were left out")
    if reader.strays:
        notes.append(f"{path}: {reader.strays} cells of runs that did not end were passed over")
    arrays = {name: np.concatenate([part[name] for part in parts]) for name in ARRAYS}
    return Columns(**arrays, rules=tuple(reader.rules))


class _Reader:
    """Parses lines of cells of known runs."""

    def __init__(self, runs: Mapping[str, Mapping[str, Any]]) -> None:
        self.places = {run: place for place, run in enumerate(runs)}
        self.identity = {(run, line["task"], line["model"], line["seed"]) for run, line in runs.items()}
        self.rules: dict[str, int] = {}
        self.strays = 0

    def empty(self) -> dict[str, np.ndarray]:
        return self._arrays([])

    def taken(
        self, lines: list[bytes], first: int, fault: Callable[[int, str], None]
    ) -> Iterator[dict[str, np.ndarray]]:
        """The arrays of these lines, without those that have a fault."""
        try:
            rows = list(map(orjson.loads, lines))
            known = [row for row in rows if row["run"] in self.places]
            arrays = self._arrays(known)
            self.strays += len(rows) - len(known)
            yield arrays
        except (orjson.JSONDecodeError, TypeError, KeyError, OverflowError, Fault) as error:
            if len(lines) == 1:
                fault(first, f"{_why(error)} and was left out")
                return
            half = len(lines) // 2
            yield from self.taken(lines[:half], first, fault)
            yield from self.taken(lines[half:], first + half, fault)

    def _arrays(self, rows: list[dict[str, Any]]) -> dict[str, np.ndarray]:
        for told in {(row["run"], row["task"], row["model"], row["seed"]) for row in rows} - self.identity:
            raise Fault(f"says {told[1]}, {told[2]}, seed {told[3]}, which run {told[0]} is not,")
        for rule in {row["halting"] for row in rows} - self.rules.keys():
            if not isinstance(rule, str):
                raise Fault(f"has halting {rule!r}, which is no name,")
            self.rules[rule] = len(self.rules)
        for band in {row["band"] for row in rows} - set(BANDS):
            raise Fault(f"has band {band!r}, which is none of {', '.join(BANDS)},")
        arrays = {
            "run": np.array([self.places[row["run"]] for row in rows], np.int32),
            "band": np.array([BANDS.index(row["band"]) for row in rows], np.int8),
            "halting": np.array([self.rules[row["halting"]] for row in rows], np.int16),
            "depth": _whole(rows, "depth", 0),
            "loops": _whole(rows, "loops", 0, none=-1),
            "count": _whole(rows, "count", 1),
            "correct": _whole(rows, "correct", 0),
            "eval_flops": _whole(rows, "eval_flops", 0),
            "chance": _number(rows, "chance"),
            "shortcut": _number(rows, "shortcut"),
            "mean_loops": _number(rows, "mean_loops"),
            "right": _right(rows),
        }
        if (arrays["correct"] > arrays["count"]).any():
            raise Fault("has more right answers than questions")
        for name in ("chance", "shortcut"):
            if (arrays[name] > 1).any():
                raise Fault(f"has a {name} above 1")
        if np.isnan(arrays["chance"]).any():
            raise Fault("has no chance")
        return arrays


def _why(error: Exception) -> str:
    if isinstance(error, Fault):
        return str(error)
    return f"has no field {error}" if isinstance(error, KeyError) else "is not whole"


def _whole(rows: list[dict[str, Any]], name: str, least: int, none: int | None = None) -> np.ndarray:
    """A field of whole numbers, of at least `least`; `none` stands for null, where it is allowed."""
    values = [row[name] for row in rows]
    if none is not None:
        values = [none if value is None else value for value in values]
    array = np.array(values) if values else np.zeros(0, np.int64)
    if array.dtype.kind != "i" or (array < (least if none is None else none)).any():
        raise Fault(f"has {name} {values[0]!r}: allowed are whole numbers of {least} or more")
    return array.astype(np.int64)


def _number(rows: list[dict[str, Any]], name: str) -> np.ndarray:
    """A field of numbers of at least 0, with nan for null."""
    values = [np.nan if (value := row[name]) is None else value for row in rows]
    array = np.array(values) if values else np.zeros(0)
    if array.dtype.kind not in "if" or (array < 0).any():
        raise Fault(f"has {name} {values[0]!r}: allowed are numbers of 0 or more")
    return array.astype(np.float64)


def _right(rows: list[dict[str, Any]]) -> np.ndarray:
    """Which questions were answered right, as bytes; a fault where that is not what the counts say."""
    array = np.empty(len(rows), object)
    for place, row in enumerate(rows):
        text = row.get("right")
        if text is None:
            continue
        try:
            bits = binascii.a2b_base64(text, strict_mode=True)
        except (binascii.Error, ValueError):
            raise Fault("has a field right that is no base64") from None
        number, count = int.from_bytes(bits), row["count"]
        spare = 8 * len(bits) - count
        if not 0 <= spare < 8 or number & ((1 << spare) - 1) or number.bit_count() != row["correct"]:
            raise Fault(f"has a field right that is not {row['correct']} of {count}")
        array[place] = bits
    return array

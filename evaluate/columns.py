"""Cells in arrays, read from JSON lines: a million in seconds, and every line that can't be taken is named.

Lines are parsed many at a time. Where a part holds a bad line it is halved until that line stands alone.
"""

from __future__ import annotations

import binascii
import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from operator import itemgetter
from pathlib import Path
from typing import IO, Any

import numpy as np
import orjson

from evaluate.checked import shown, word

BANDS = ("train", "selection", "test")
BAND = {band: place for place, band in enumerate(BANDS)}
PART = 1 << 19  # bytes of lines that are parsed together
TOLD = 5  # faults of a file that are told in full
MOST_ASKED = 2**40  # questions of a cell: sums of millions of cells are whole numbers of 64 bits still


FIELDS = (
    "run", "task", "model", "seed", "band", "depth", "loops", "halting", "count", "correct", "chance", "shortcut",
    "mean_loops", "eval_flops",
)  # fmt: skip
_fields = itemgetter(*FIELDS)


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
    not_numbers: np.ndarray  # 0 where nothing was kept
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
    with _no_garbage_collection():
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


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Parsed lines hold no cycles, and looking for some in them took a fifth of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


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
        columns = zip(*map(_fields, rows), strict=True) if rows else ((),) * len(FIELDS)
        held: dict[str, tuple[Any, ...]] = dict(zip(FIELDS, columns, strict=True))
        for told in set(zip(held["run"], held["task"], held["model"], held["seed"], strict=True)) - self.identity:
            what = f"{shown(told[1])}, {shown(told[2])}, seed {shown(told[3])}"
            raise Fault(f"says {what}, which run {shown(told[0])} is not,")
        for rule in set(held["halting"]) - self.rules.keys():
            if not word(rule):
                raise Fault(f"has halting {shown(rule)}, which is no name,")
            self.rules[rule] = len(self.rules)
        for band in set(held["band"]) - BAND.keys():
            raise Fault(f"has band {shown(band)}, which is none of {', '.join(BANDS)},")
        arrays: dict[str, np.ndarray] = {
            "run": np.array([self.places[run] for run in held["run"]], np.int32),
            "band": np.array([BAND[band] for band in held["band"]], np.int8),
            "halting": np.array([self.rules[rule] for rule in held["halting"]], np.int16),
            "depth": _whole(held, "depth", 0),
            "loops": _whole(held, "loops", 0, none=-1),
            "count": _whole(held, "count", 1, most=MOST_ASKED),
            "correct": _whole(held, "correct", 0),
            "eval_flops": _whole(held, "eval_flops", 0),
            "chance": _number(held, "chance"),
            "shortcut": _number(held, "shortcut"),
            "mean_loops": _number(held, "mean_loops"),
        }
        if (arrays["correct"] > arrays["count"]).any():
            raise Fault("has more right answers than questions")
        for name in ("chance", "shortcut"):
            if (arrays[name] > 1).any():
                raise Fault(f"has a {name} above 1")
        if np.isnan(arrays["chance"]).any():
            raise Fault("has no chance")
        arrays["right"] = _right(rows)
        for name in ("ties", "not_numbers"):
            found = [value for row in rows if (value := row.get(name)) is not None]
            if not (set(map(type, found)) <= {int} and min(found, default=0) >= 0):
                raise Fault(f"has {name} {shown(found[0])}: allowed are whole numbers of 0 or more")
        arrays["not_numbers"] = np.array([row.get("not_numbers") or 0 for row in rows], np.int64)
        if (arrays["correct"] + arrays["not_numbers"] > arrays["count"]).any():
            raise Fault("has more right answers and answers that are no numbers than questions")
        return arrays


def _why(error: Exception) -> str:
    if isinstance(error, Fault):
        return str(error)
    return f"has no field {error}" if isinstance(error, KeyError) else "is not whole"


def _whole(
    held: Mapping[str, tuple[Any, ...]], name: str, least: int, none: int | None = None, most: int | None = None
) -> np.ndarray:
    """A field of whole numbers, from `least` to `most`; `none` stands for null, where it is allowed."""
    values, kinds = held[name], set(map(type, held[name]))
    if none is not None and none in values:
        raise Fault(f"has {name} {none}: allowed are whole numbers of {least} or more, or null")
    if none is not None and type(None) in kinds:
        values = tuple(none if value is None else value for value in values)
        kinds -= {type(None)}
    array = np.array(values, np.int64) if kinds <= {int} else None
    if array is None or (array < (least if none is None else none)).any():
        raise Fault(f"has {name} {shown(held[name][0])}: allowed are whole numbers of {least} or more")
    if most is not None and (array > most).any():
        raise Fault(f"has {name} {array.max()}: allowed are at most {most}")
    return array


def _number(held: Mapping[str, tuple[Any, ...]], name: str) -> np.ndarray:
    """A field of numbers of at least 0, with nan for null."""
    array = np.array(held[name], np.float64) if set(map(type, held[name])) <= {int, float, type(None)} else None
    if array is None or (array < 0).any():
        raise Fault(f"has {name} {shown(held[name][0])}: allowed are numbers of 0 or more")
    return array


def _right(rows: list[dict[str, Any]]) -> np.ndarray:
    """Which questions were answered right, as bytes; a fault where that is not what the counts say."""
    array = np.empty(len(rows), object)
    texts = [row.get("right") for row in rows]
    for place, (row, text) in enumerate(zip(rows, texts, strict=True) if any(texts) else ()):
        if text is None:
            continue
        try:
            bits = binascii.a2b_base64(text, strict_mode=True)
        except (binascii.Error, ValueError, TypeError):
            raise Fault("has a field right that is no base64") from None
        number, count = int.from_bytes(bits), row["count"]
        spare = 8 * len(bits) - count
        if not 0 <= spare < 8 or number & ((1 << spare) - 1) or number.bit_count() != row["correct"]:
            raise Fault(f"has a field right that is not {row['correct']} of {count}")
        array[place] = bits
    return array

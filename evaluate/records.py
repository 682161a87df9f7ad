"""The records: their schema, and the only code that touches result files.

A folder of results holds files of JSON lines. `runs.jsonl` has a line for each run that ended, `cells.jsonl` a line
for each cell of its grid, and `diagnostics.jsonl` tells, for a run whose model loops, what went on inside it. A run's
line is written last, so that other lines of no run belong to one that was cut off: readers pass over them, and the next
writer removes them.
Needs no torch: comparing tables starts at once.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from functools import cache, cached_property
from pathlib import Path
from typing import IO, Any

import numpy as np

from evaluate.checked import fault, parsed, shown
from evaluate.columns import Columns, read_columns
from tasks.errors import UserError
from tasks.files import keep_name, write_over
from tasks.task import NO_SIZES

SCHEMA_VERSION = 1

NAMES = ("runs.jsonl", "cells.jsonl", "diagnostics.jsonl")

AUDIT = Path(__file__).parent.parent / "results" / "reference" / "audit.jsonl"
"""What `audit --out` wrote for the tasks of the suite."""


@dataclass(frozen=True)
class Run:
    """One Experiment carried out."""

    run: str  # run_id of the experiment
    experiment: dict[str, Any]  # all that decides the result
    task: str
    task_version: int
    model: str
    seed: int
    train_max_depth: int
    parameters: int
    train_flops: int
    train_seconds: float
    steps: int
    status: str  # "ok" or "diverged"
    versions: dict[str, str]
    device: str
    threads: int
    git_commit: str | None
    git_dirty: bool | None
    schema_version: int = SCHEMA_VERSION
    stage_steps: list[int] | None = None  # at each stage of its curriculum, the task itself last; not kept at first


@dataclass(frozen=True)
class Cell:
    """How many questions of one depth were answered right, with so many loops or under such a halting rule."""

    run: str
    task: str
    model: str
    seed: int
    band: str  # "train", "selection" or "test"
    depth: int
    loops: int | None  # None for a model without loops, and for a rule that stops by itself
    halting: str  # "none", "fixed", "act", ...
    count: int
    correct: int
    chance: float
    shortcut: float | None  # the best shortcut at this depth that had been audited by then
    mean_loops: float | None
    eval_flops: int  # of one question
    right: str | None = None  # which questions, as `pack` writes it; None where only the counts were kept
    ties: int | None = None  # answers that rounding could turn right or wrong: other batches may differ by it
    not_numbers: int | None = None  # answers whose logits were not all numbers (NaN), which count as wrong


def pack(right: np.ndarray) -> str:
    """Whether each question of a cell was answered right, in the order asked, as text: base64 of `numpy.packbits`.

    Two cells of the same questions can then be compared question by question.
    """
    return base64.b64encode(np.packbits(right.astype(bool)).tobytes()).decode()


@dataclass(frozen=True)
class Diagnostics:
    """What went on inside one run's model while it answered questions of one depth: an entry a loop, the first first.

    All means are over the positions of those questions, to six significant digits. A part that the model lacks is None,
    and so is a number that is not finite.
    """

    run: str
    depth: int  # of the questions that were looked at
    routing: list[list[float]] | None  # mean weight of each routed expert in a loop; sums to 1
    state_norm: list[float | None] | None  # mean norm of h_t after a loop, divided by the root of the width
    state_change: list[float | None] | None  # mean of |h_t - h_{t-1}| / |h_t|, in a loop


def run_id(experiment: dict[str, Any]) -> str:
    """The hash of a whole experiment."""
    return hashlib.sha256(json.dumps(experiment, sort_keys=True).encode()).hexdigest()[:12]


class Records:
    """The records of one folder: `runs` by id, and the cells of the runs that ended, read when they are asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notes: list[str] = []  # what was left out, a line each
        self.runs: dict[str, dict[str, Any]] = {}
        for line in self._lines("runs.jsonl"):
            if line.get("schema_version") != SCHEMA_VERSION:
                raise UserError(
                    f"{folder}: a run has schema version {line.get('schema_version')}: allowed is {SCHEMA_VERSION}"
                )
            wrong = fault(Run, line)
            if not wrong and line["train_max_depth"] < 1:
                wrong = f"train_max_depth is {line['train_max_depth']}: allowed is 1 or more"
            if wrong:
                self.notes.append(f"{folder / 'runs.jsonl'}: run {shown(line['run'])} was left out: {wrong}")
            elif self.runs.setdefault(line["run"], line) != line:
                self.notes.append(f"{folder / 'runs.jsonl'}: run {line['run']} stands twice; the first line was kept")

    @cached_property
    def columns(self) -> Columns:
        """Every cell, in arrays: a million of them take seconds. What is left out is told in `notes`."""
        with self._open("cells.jsonl") as file:
            return read_columns(file, self.folder / "cells.jsonl", self.runs, self.notes)

    @cached_property
    def shortcuts(self) -> dict[str, float]:
        """The best audited shortcuts, of the suite's audit and of the folder's own `audit.jsonl`, if it has one."""
        best, own = dict(shortcuts()), self.folder / "audit.jsonl"
        try:
            for key, score in best_audited(own).items():
                best[key] = max(best.get(key, 0.0), score)
        except (AttributeError, KeyError, TypeError, ValueError):
            self.notes.append(f"{own} is not what `audit --out` writes, and was left out")
        return best

    @cached_property
    def diagnostics(self) -> dict[str, Diagnostics]:
        """What is known of the inside of a run's model, by the run's id; empty where nothing was kept."""
        found: dict[str, Diagnostics] = {}
        for line in self._lines("diagnostics.jsonl"):
            if wrong := fault(Diagnostics, line):
                told = f"of run {shown(line['run'])} was left out: {wrong}"
                self.notes.append(f"{self.folder / 'diagnostics.jsonl'}: a line {told}")
            elif line["run"] in self.runs:
                found[line["run"]] = Diagnostics(**{field.name: line[field.name] for field in fields(Diagnostics)})
        return found

    @contextmanager
    def _open(self, name: str) -> Iterator[IO[bytes]]:
        """A file of the folder, plain or packed; an empty one where it is missing."""
        plain, packed = self.folder / name, self.folder / f"{name}.gz"
        if plain.exists() or not packed.exists():
            with open(plain if plain.exists() else os.devnull, "rb") as file:
                yield file
            return
        try:
            with gzip.open(packed, "rb") as file:
                yield file  # type: ignore[misc]
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise UserError(f"{packed} is damaged, or cut off: {error}") from None

    def _lines(self, name: str) -> Iterator[dict[str, Any]]:
        with self._open(name) as file:
            for number, text in enumerate(file, 1):
                line = parsed(text)
                if line is not None and isinstance(line.get("run"), str):
                    yield line
                else:
                    self.notes.append(f"{self.folder / name}: line {number} is not whole and was left out")


def read(folder: Path) -> Records:
    """The records of a folder, or of one of its files; an error where there are none."""
    if folder.is_file() and folder.name.removesuffix(".gz") in NAMES:
        folder = folder.parent
    if not folder.is_dir():
        what = f"{str(folder)!r} is no folder" if folder.exists() else f"no folder {str(folder)!r}"
        raise UserError(f"{what}: give a folder that `run` has written")
    records = Records(folder)
    if not records.runs:
        raise UserError(f"{str(folder)!r} holds no finished run: give a folder that `run` has written")
    return records


@cache
def shortcuts() -> dict[str, float]:
    """The best shortcuts of the suite's own audit, as `best_audited` has them."""
    return best_audited(AUDIT)


def best_audited(path: Path) -> dict[str, float]:
    """The best audited shortcut's accuracy, by `audited_as` a task, its sizes and a depth; of no file, none."""
    best: dict[str, float] = {}
    if path.exists():
        for text in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(text)
            key = audited_as(row["task"], row["task_version"], row["sizes"], row["depth"])
            best[key] = max(best.get(key, 0.0), row["score"])
    return best


def audited_as(task: str, version: int, sizes: dict[str, Any], depth: int) -> str:
    """What an audit is of. Other sizes are other questions, and want an audit of their own."""
    return json.dumps([task, version, sizes, depth], sort_keys=True)


def audited(cells: Iterable[Cell], version: int, sizes: dict[str, Any]) -> list[Cell]:
    """Cells of a task's version and sizes, each with the best shortcut of its questions in the committed audit."""
    best = shortcuts()
    return [replace(cell, shortcut=best.get(audited_as(cell.task, version, sizes, cell.depth))) for cell in cells]


def audited_since(run: Mapping[str, Any], depth: int, best: dict[str, float]) -> float | None:
    """The best shortcut of a record's questions in audits as they stand, which may have found a better one since."""
    task, beside = run["experiment"].get("task"), ("name", "version", *NO_SIZES)
    if not isinstance(task, dict):
        return None
    sizes = {name: value for name, value in task.items() if name not in beside}
    return best.get(audited_as(run["task"], run["task_version"], sizes, depth))


class Writer:
    """Appends records to a folder, as they come. One writer a folder: it is `claimed` first (evaluate/run/folder.py).

    What a run cut off has left is dropped: a last line without an end, and lines of other files of a run that has none
    among the runs. Anything else that is no record is damage that a writer must not make worse, and is refused by name.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in NAMES:
            if (folder / f"{name}.gz").exists():
                raise UserError(f"{str(folder)!r} holds packed records: `gunzip` {name}.gz before adding to them")
        lines = {name: self._whole(name) for name in NAMES}
        ended = {run for run, _ in lines["runs.jsonl"]}
        for name, held in lines.items():
            path, content = folder / name, b"".join(text for run, text in held if run in ended)
            if path.exists() and path.stat().st_size != len(content):
                write_over(path, content)

    def _whole(self, name: str) -> list[tuple[str, bytes]]:
        """The lines of a file but for a last one that was cut off, each with its run."""
        path = self.folder / name
        try:
            lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        except OSError as error:
            raise UserError(f"cannot read {str(path)!r}: {error.strerror}") from None
        if lines and not lines[-1].endswith(b"\n"):
            lines.pop()
        held = []
        for number, text in enumerate(lines, 1):
            line = parsed(text)
            if line is None:
                wrong: str | None = "it is not whole"
            elif not isinstance(line.get("run"), str):
                wrong = "it names no run"
            else:
                wrong = fault(Run, line) if name == "runs.jsonl" else None
                held.append((line["run"], text))
            if wrong:
                raise UserError(
                    f"{path}: line {number} is no record ({wrong}): mend it or remove it, or choose another --out"
                )
        return held

    def add(self, run: Run, cells: Iterable[Cell], inside: Diagnostics | None = None) -> None:
        """A run that has ended: all else first and then its own line, each on the disk before the next is begun."""
        self._append("cells.jsonl", [asdict(cell) for cell in cells])
        if inside is not None:
            self._append("diagnostics.jsonl", [asdict(inside)])
        self._append("runs.jsonl", [asdict(run)])

    def _append(self, name: str, lines: list[dict[str, Any]]) -> None:
        """Append lines and have them on the disk; where that cannot be, leave the file as it was."""
        path = self.folder / name
        content = "".join(json.dumps(line) + "\n" for line in lines).encode()
        try:
            with open(path, "ab", buffering=0) as file:
                before = file.tell()
                try:
                    while content:
                        content = content[file.write(content) :]
                    os.fsync(file.fileno())
                except OSError:
                    file.truncate(before)
                    raise
            if not before:
                keep_name(self.folder)
        except OSError as error:
            raise UserError(
                f"cannot write {str(path)!r}: {error.strerror}; nothing is damaged, and the same command goes on "
                "once that is mended"
            ) from None

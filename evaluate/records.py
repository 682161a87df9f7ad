"""The records: their schema, and the only code that touches result files.

A folder of results holds two files of JSON lines. `runs.jsonl` has a line for each run that ended, `cells.jsonl` a
line for each cell of its grid. A run's line is written after its cells, so that cells without one belong to a run
that was cut off: readers pass over them, and the next writer removes them. A third, `diagnostics.jsonl`, may tell what
went on inside a run's model, loop by loop.
Needs no torch: comparing tables starts at once.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import numpy as np

from evaluate.columns import Columns, read_columns
from tasks.errors import UserError

SCHEMA_VERSION = 1

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
    shortcut: float | None  # the best audited shortcut at this depth
    mean_loops: float | None
    eval_flops: int  # of one question
    right: str | None = None  # which questions, as `pack` writes it; None where only the counts were kept


def pack(right: np.ndarray) -> str:
    """Whether each question of a cell was answered right, in the order asked, as text: base64 of `numpy.packbits`.

    Two cells of the same questions can then be compared question by question.
    """
    return base64.b64encode(np.packbits(right.astype(bool)).tobytes()).decode()


@dataclass(frozen=True)
class Diagnostics:
    """What went on inside one run's model while it answered questions of one depth: an entry a loop, the first first.

    All means are over the positions of those questions. A part that the model lacks is None.
    """

    run: str
    depth: int  # of the questions that were looked at
    routing: list[list[float]] | None  # share of the routing that each routed expert took in a loop; sums to 1
    state_norm: list[float] | None  # mean norm of h_t after a loop, divided by the root of the width
    state_change: list[float] | None  # mean of |h_t - h_{t-1}| / |h_t|, in a loop


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
            if self.runs.setdefault(line["run"], line) != line:
                self.notes.append(f"{folder / 'runs.jsonl'}: run {line['run']} stands twice; the first line was kept")

    @cached_property
    def cells(self) -> list[dict[str, Any]]:
        """Every cell as a dictionary: for a folder of ordinary size."""
        return [line for line in self._lines("cells.jsonl") if line.get("run") in self.runs]

    @cached_property
    def columns(self) -> Columns:
        """Every cell, in arrays: a million of them take seconds. What is left out is told in `notes`."""
        with self._open("cells.jsonl") as file:
            return read_columns(file, self.folder / "cells.jsonl", self.runs, self.notes)

    @cached_property
    def diagnostics(self) -> dict[str, Diagnostics]:
        """What is known of the inside of a run's model, by the run's id; empty where nothing was kept."""
        lines = [line for line in self._lines("diagnostics.jsonl") if line["run"] in self.runs]
        return {line["run"]: _diagnostics(line) for line in lines}

    def _open(self, name: str) -> IO[bytes]:
        """A file of the folder, plain or packed; an empty one where it is missing."""
        plain, packed = self.folder / name, self.folder / f"{name}.gz"
        if plain.exists():
            return open(plain, "rb")
        return gzip.open(packed, "rb") if packed.exists() else open(os.devnull, "rb")  # type: ignore[return-value]

    def _lines(self, name: str) -> Iterator[dict[str, Any]]:
        with self._open(name) as file:
            for number, text in enumerate(file, 1):
                try:
                    line = json.loads(text)
                except ValueError:
                    line = None
                if isinstance(line, dict) and isinstance(line.get("run"), str):
                    yield line
                else:
                    self.notes.append(f"{self.folder / name}: line {number} is not whole and was left out")


def _diagnostics(line: dict[str, Any]) -> Diagnostics:
    values: dict[str, Any] = {name: line.get(name) for name in Diagnostics.__dataclass_fields__}
    return Diagnostics(**values)


def read(folder: Path) -> Records:
    """The records of a folder, or of one of its files; an error where there are none."""
    if folder.is_file() and folder.name.removesuffix(".gz") in ("runs.jsonl", "cells.jsonl"):
        folder = folder.parent
    if not folder.is_dir():
        raise UserError(f"no folder {str(folder)!r}: give a folder that `run` has written")
    records = Records(folder)
    if not records.runs:
        raise UserError(f"{str(folder)!r} holds no finished run: give a folder that `run` has written")
    return records


def shortcuts(path: Path = AUDIT) -> dict[str, float]:
    """The best audited shortcut's accuracy, by `audited_as` a task, its sizes and a depth."""
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


class Writer:
    """Appends records to a folder, a line at a time, flushed as they come. One writer a folder."""

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "runs.jsonl").touch()
        except OSError as error:
            raise UserError(f"cannot write to {str(folder)!r}: {error.strerror}") from None
        self.folder = folder
        kept = Records(folder)
        for name, lines in (("runs.jsonl", list(kept.runs.values())), ("cells.jsonl", kept.cells)):
            path = folder / name
            if path.exists():  # drop what a cut-off run left behind
                scratch = path.with_suffix(".tmp")
                scratch.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
                os.replace(scratch, path)
        names = ("runs.jsonl", "cells.jsonl")
        self._files = {name: open(folder / name, "a", encoding="utf-8") for name in names}  # noqa: SIM115 (see close)

    def cell(self, cell: Cell) -> None:
        self._append("cells.jsonl", asdict(cell))

    def run(self, run: Run) -> None:
        self._append("runs.jsonl", asdict(run))

    def _append(self, name: str, line: dict[str, Any]) -> None:
        file = self._files[name]
        file.write(json.dumps(line) + "\n")
        file.flush()

    def close(self) -> None:
        for file in self._files.values():
            file.close()

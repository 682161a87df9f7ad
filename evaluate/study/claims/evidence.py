"""What the records of a folder say of each design and seed, in the shape in which claims ask for it. No torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from evaluate.metrics import depth95
from evaluate.records import Diagnostics, Records
from evaluate.verdicts import Measured, paired, share
from tasks.errors import UserError

Key = tuple[int, str, int | None]
"""Depth, halting rule, loops: `fixed` with a number of loops, a rule that stops by itself, or `none` without loops."""


class Lacking(Exception):
    """Why a claim cannot be judged: a run that failed or is missing, a measure that cannot be taken."""


class Asked(NamedTuple):
    """A cell: right answers of `questions`, loops used on average, FLOPs of a question, and which were right."""

    correct: int
    questions: int
    used: float
    flops: int
    right: np.ndarray  # (questions,) of bool


@dataclass(frozen=True)
class Found:
    """All that is known of one run."""

    status: str = "ok"
    parameters: int = 0
    train_flops: int = 0
    steps: int = 0
    asked: Mapping[Key, Asked] = field(default_factory=dict)
    inside: Diagnostics | None = None
    measures: Mapping[str, Any] = field(default_factory=dict)

    def at(self, depth: int, how: int | str) -> Asked:
        """The answers at a depth with so many loops or under a rule; a model without loops has one answer for all."""
        key: Key = (depth, "fixed", how) if isinstance(how, int) else (depth, how, None)
        key = (depth, "none", None) if (depth, "none", None) in self.asked else key
        if key not in self.asked:
            raise Lacking(f"depth {depth} was not asked {f'at {how} loops' if isinstance(how, int) else f'by {how}'}")
        return self.asked[key]

    def accuracy(self, depth: int, how: int | str) -> float:
        asked = self.at(depth, how)
        return asked.correct / asked.questions

    def by_loops(self, depth: int) -> dict[int, float]:
        """Accuracy by the number of loops."""
        found = {loops: asked.correct / asked.questions for (of, halting, loops), asked in self.asked.items()
                 if of == depth and halting == "fixed" and loops is not None}  # fmt: skip
        if not found:
            raise Lacking(f"depth {depth} was not asked at any number of loops")
        return found

    def depths(self) -> list[int]:
        if not self.asked:
            raise Lacking("no depth was asked")
        return sorted({depth for depth, _, _ in self.asked})

    def reach(self, how: int) -> int:
        """The deepest depth with 95% at every depth asked up to it."""
        return depth95({depth: self.accuracy(depth, how) for depth in self.depths()})


class Evidence:
    """Runs by design and seed; every look at a run that is missing or has failed raises Lacking, with the reason."""

    def __init__(self, seeds: Sequence[int], runs: Mapping[tuple[str, int], Found]) -> None:
        self.seeds, self.runs = tuple(seeds), runs

    def every(self, design: str) -> list[Found]:
        """The runs of all seeds, those that failed too; none may be missing."""
        missing = [str(seed) for seed in self.seeds if (design, seed) not in self.runs]
        if missing:
            raise Lacking(f"no run of {design}, seed {', '.join(missing)}")
        return [self.runs[design, seed] for seed in self.seeds]

    def whole(self, design: str) -> list[Found]:
        """The runs of all seeds, none of which may have failed."""
        found = self.every(design)
        failed = [f"{seed} ({run.status})" for seed, run in zip(self.seeds, found, strict=True) if run.status != "ok"]
        if failed:
            raise Lacking(f"runs of {design} failed: seed {', '.join(failed)}")
        return found

    def measure(self, design: str, name: str) -> list[Any]:
        """An extra measure of all seeds."""
        values = [run.measures.get(name) for run in self.whole(design)]
        missing = [str(seed) for seed, value in zip(self.seeds, values, strict=True) if value is None]
        if missing:
            raise Lacking(f"no measure {name!r} of {design}, seed {', '.join(missing)}: its weights are gone")
        return values

    def counts(self, design: str, depth: int, how: int | str) -> tuple[list[int], int]:
        """Right answers of each seed, and the number of questions."""
        asked = [run.at(depth, how) for run in self.whole(design)]
        return [one.correct for one in asked], asked[0].questions

    def share(self, design: str, depth: int, how: int | str) -> Measured:
        return share(*self.counts(design, depth, how))

    def difference(self, first: tuple[str, int, int | str], second: tuple[str, int, int | str]) -> Measured:
        """Accuracy of (design, depth, loops or rule) less that of another, question by question: both have to be asked
        the same ones, as designs of one task are."""
        a, b = (np.stack([run.at(depth, how).right for run in self.whole(of)]) for of, depth, how in (first, second))
        return paired(a, b)

    def each(self, design: str, value: Callable[[Found], float]) -> Measured:
        """A figure of every run."""
        return Measured(tuple(value(run) for run in self.whole(design)))


def unpacked(right: bytes | None, count: int) -> np.ndarray:
    """Which questions were right, from what `records.pack` wrote."""
    if right is None:
        raise UserError("a cell does not say which questions were right: these records are of no `claims`")
    return np.unpackbits(np.frombuffer(right, np.uint8), count=count).astype(bool)


def evidence(
    records: Records, runs: Mapping[tuple[str, int], str], seeds: Sequence[int], measures: Mapping[str, dict[str, Any]]
) -> Evidence:
    """From a folder's records, the run ids of designs and seeds, and the extra measures by run id."""
    cells: dict[str, dict[Key, Asked]] = {run: {} for run in records.runs}
    columns, ids = records.columns, list(records.runs)
    for i in range(len(columns)):
        loops = int(columns.loops[i])
        key = (int(columns.depth[i]), columns.rules[columns.halting[i]], None if loops < 0 else loops)
        cells[ids[columns.run[i]]][key] = Asked(
            int(columns.correct[i]),
            int(columns.count[i]),
            float(columns.mean_loops[i]),
            int(columns.eval_flops[i]),
            unpacked(columns.right[i], int(columns.count[i])),
        )
    found = {}
    for place, run in runs.items():
        if run in records.runs:
            line = records.runs[run]
            inside = records.diagnostics.get(run)
            found[place] = Found(
                line["status"], line["parameters"], line["train_flops"], line["steps"], cells[run], inside,
                measures.get(run, {}),
            )  # fmt: skip
    return Evidence(seeds, found)

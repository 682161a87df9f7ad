"""What does more cost? Measured exponents of training and evaluation, and what a preset costs by the thousand.

An exponent e of a quantity against a size says that twice the size costs 2^e as much. Fits are least squares of the
logarithms; seconds are of this process's own time, the least of a few tries, so that what else runs hardly counts.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from evaluate.records import Cell, Records, Run, Writer
from evaluate.run.carry import Means, carry_out
from evaluate.run.experiment import Experiment
from evaluate.run.extrapolation import asked_together, evaluate
from evaluate.run.flops import on_threads
from evaluate.run.presets import PRESETS, smoke
from evaluate.run.sweep import Machine, sweep
from evaluate.run.train import loss_of, training_rows
from model import build
from tasks import TASKS

COLUMNS = ("cost", "against", "sizes", "seconds", "exponent")
RECKONED = ("experiments", "core hours", "days here", "records MB", "table reads s", "table holds GB", "begins s")
CPU = torch.device("cpu")
DEPTHS, LOOPS, WIDTHS = (8, 32, 128), (4, 16, 64), (32, 64, 128, 256)


def least(call: Callable[[], object], tries: int = 3) -> float:
    """Seconds of this process's time that a call takes, at least."""
    call()
    spent = []
    for _ in range(tries):
        began = time.process_time()
        call()
        spent.append(time.process_time() - began)
    return min(spent)


def exponent(sizes: Iterable[float], seconds: Iterable[float]) -> float:
    return float(np.polyfit(np.log(list(sizes)), np.log(list(seconds)), 1)[0])


def sized(depth: int = 32, loops: int = 8, width: int = 64) -> Experiment:
    """mod_chain, whose rows grow with depth, at one training depth, one horizon and one width."""
    task = replace(
        TASKS["mod_chain"](),  # type: ignore[call-arg]
        train_depths=(depth,), selection_depths=(depth + 1,), test_depths=(depth + 2,),
    )  # fmt: skip
    start = Experiment(task, "rdt")
    return replace(
        start,
        architecture=replace(start.architecture, width=width, expert_width=width),
        train=replace(start.train, batch=16, shortest_horizon=loops, longest_horizon=loops),
        evaluate=replace(start.evaluate, loops=(loops,), count=16),
    )


def built(experiment: Experiment) -> torch.nn.Module:
    torch.manual_seed(0)
    return build(experiment.base, experiment.architecture, experiment.vocabulary, experiment.train.mean_loops)


def step_seconds(experiment: Experiment, tries: int = 3) -> float:
    """Of one training step's forward and backward pass at the last stage."""
    model, train = built(experiment), experiment.train
    drawn = training_rows(experiment, 0, experiment.task)
    rows = len(drawn.tokens)
    tokens, targets = torch.from_numpy(drawn.tokens), torch.from_numpy(drawn.targets)
    loops = np.linspace(train.longest_horizon, train.shortest_horizon, rows).round().astype(int).tolist()

    def step() -> None:
        loss_of(model, tokens, targets, loops, train)[0].backward()

    return least(step, tries)


def asked_seconds(experiment: Experiment, count: int) -> float:
    """Of asking everything that an experiment asks, but `count` questions a depth."""
    model = built(experiment).eval()
    few = replace(experiment, evaluate=replace(experiment.evaluate, count=count))

    def ask() -> None:
        for group in asked_together(few.task):
            list(evaluate(model, few, group, CPU, count))

    return least(ask, 1)


def all_asked_seconds(experiment: Experiment, few: int = 2, more: int = 8) -> float:
    """Of asking it all, reckoned up along a line from two counts: what is paid once, however many are asked, is paid
    once."""
    low, high = asked_seconds(experiment, few), asked_seconds(experiment, more)
    return low + max(0.0, high - low) / (more - few) * (experiment.evaluate.count - few)


def bench_scaling() -> list[dict[str, Any]]:
    """A row for each cost and each size that it grows with."""
    rows = []
    with on_threads(1):
        for against, sizes in (("depth", DEPTHS), ("loops", LOOPS), ("width", WIDTHS)):
            for cost, seconds_of in (("training step", step_seconds), ("evaluation", lambda e: asked_seconds(e, 16))):
                seconds = [seconds_of(sized(**{against: size})) for size in sizes]
                rows.append(row(cost, against, sizes, seconds))
    rows.append(row("sweep, wall time", "tasks", (1, 2, 4), [swept(n, 1) for n in (1, 2, 4)]))
    cores = [n for n in (1, 2, 4, 8) if n <= (os.cpu_count() or 1)]
    if len(cores) > 1:
        rows.append(row("sweep, wall time", "workers", cores, [swept(4, n, 200) for n in cores]))
    return rows


def row(cost: str, against: str, sizes: Iterable[int], seconds: list[float]) -> dict[str, Any]:
    return {
        "cost": cost,
        "against": against,
        "sizes": " ".join(map(str, sizes)),
        "seconds": " ".join(f"{s:.3g}" for s in seconds),
        "exponent": round(exponent(sizes, seconds), 2),
    }


def swept(runs: int, workers: int, steps: int = 40) -> float:
    """Seconds on the clock of a whole sweep over so many small runs, starting its processes included."""
    base = next(e for e in smoke() if e.model == "rdt")
    todo = [replace(base, seed=seed, train=replace(base.train, steps=steps)) for seed in range(runs)]
    with tempfile.TemporaryDirectory() as place:
        began = time.monotonic()
        sweep(todo, Path(place) / "out", Machine("cpu", workers=workers))
        return time.monotonic() - began


def reckon(preset: str, numbers: Iterable[int] = (10, 1_000, 100_000)) -> list[dict[str, Any]]:
    """What so many experiments like a preset's would cost, from one measured step and a few questions of each kind."""
    kinds = list({(e.task.name, e.model): e for e in PRESETS[preset]()}.values())
    each = [step_seconds(e, 1) * e.train.steps + all_asked_seconds(e) for e in kinds]
    run, cells = carried(kinds[0])
    line = len(json.dumps(asdict(run))) + sum(len(json.dumps(asdict(cell))) for cell in cells)
    with tempfile.TemporaryDirectory() as place:
        runs = 200
        writer = Writer(Path(place))
        for number in range(runs):
            name = f"{number:012x}"
            writer.add(replace(run, run=name), [replace(cell, run=name) for cell in cells])
        read = least(lambda: len(Records(Path(place)).columns), 1) / runs
        memory = held(Path(place)) / runs
    begin = least(lambda: [e.run for e in kinds]) / len(kinds) + read
    return [
        {
            "experiments": number,
            "core hours": round(number * float(np.mean(each)) / 3600, 1),
            "days here": round(number * float(np.mean(each)) / 86400 / (os.cpu_count() or 1), 1),
            "records MB": round(number * line / 1e6, 1),
            "table reads s": round(number * read, 1),
            "table holds GB": round(number * memory / 1e9, 2),
            "begins s": round(number * begin, 1),
        }
        for number in numbers
    ]


def held(folder: Path) -> int:
    """Bytes that the cells of a folder take when they have been read."""
    tracemalloc.start()
    try:
        cells = Records(folder).columns
        return tracemalloc.get_traced_memory()[0] if len(cells) else 0
    finally:
        tracemalloc.stop()


def carried(experiment: Experiment) -> tuple[Run, list[Cell]]:
    """A run's records as its preset would write them, from one step and one question a depth."""
    few = replace(
        experiment,
        train=replace(experiment.train, steps=1, batch=len(experiment.task.train_depths)),
        evaluate=replace(experiment.evaluate, count=1),
    )
    with tempfile.TemporaryDirectory() as place:
        outcome = carry_out(few, Path(place), Means("cpu", 1, 1, 1e9, (None, None)))
    return outcome.run, outcome.cells

"""How fast do tasks make questions? Tokens a second of one core, beside which a training step must look slow."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from itertools import count as counter
from typing import Any

from tasks import SPLITS, TRAIN, Task, draw, stream

COLUMNS = ("task", "band", "depth", "length", "sampled", "drawn")
LEGEND = (
    "tokens/s of one core's time: sampled, of `sample` alone; drawn, of questions as they are used, "
    "of a split of their own\n(training keeps six of eight sampled rows, the test one of eight)"
)


def bench_tasks(tasks: Iterable[Task], seconds: float = 0.3, batch: int = 128) -> list[dict[str, Any]]:
    """A row for the deepest training depth and the deepest test depth of each task, as training and test draw them."""
    rows = []
    for task in tasks:
        for band, depth in (("train", task.train_depths[-1]), ("test", task.test_depths[-1])):
            length = task.sample(stream(0, TRAIN, depth, 0), depth, 1).tokens.shape[1]

            def sampled(block: int, task: Task = task, depth: int = depth) -> None:
                task.sample(stream(0, TRAIN, depth, block), depth, batch)

            def drawn(block: int, task: Task = task, depth: int = depth, band: str = band) -> None:
                draw(task, 0, SPLITS[band], depth, block, batch)

            rows.append(
                {
                    "task": task.name,
                    "band": band,
                    "depth": depth,
                    "length": length,
                    "sampled": round(batch * length * _rate(sampled, seconds)),
                    "drawn": round(batch * length * _rate(drawn, seconds)),
                }
            )
    return rows


def _rate(call: Callable[[int], None], seconds: float) -> float:
    """Calls a second of this process's own time, so that what else the machine does hardly counts."""
    call(0)  # tables that a task makes once
    began = time.process_time()
    for block in counter(1):
        call(block)
        spent = time.process_time() - began
        if spent >= seconds:
            return block / spent
    raise AssertionError

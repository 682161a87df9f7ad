"""How fast do tasks make questions? Tokens a second of one core, beside which a training step must look slow."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from itertools import count as counter
from typing import Any

from tasks import SPLITS, TRAIN, Task, draw, stream

COLUMNS = ("task", "band", "depth", "length", "sampled", "drawn", "share")
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
                    "share": step_share(task, length, seconds) if band == "train" else None,
                }
            )
    return rows


STEP_TOKENS = 4096  # a training step is timed on so many tokens and reckoned up to a whole batch


def step_share(task: Task, length: int, seconds: float) -> float:
    """Seconds that making a training step's rows takes, over seconds of the step itself, on one thread."""
    import torch

    from evaluate.run.experiment import Experiment
    from evaluate.run.flops import on_threads
    from evaluate.run.train import horizons, loss_of, training_rows
    from model import build

    experiment = Experiment(task, "rdt")
    settings = experiment.train
    model = build("rdt", experiment.architecture, experiment.vocabulary, settings.mean_loops)
    tokens, targets, _ = (torch.from_numpy(array) for array in training_rows(experiment, 0, task))
    batch = len(tokens)
    rows = max(1, min(batch, STEP_TOKENS // length))
    loops = horizons(settings, 0, 0, batch)[0][:: -(-batch // rows)]  # evenly out of a batch's own
    rows = len(loops)

    def step(block: int) -> None:
        loss_of(model, tokens[:rows], targets[:rows], loops, settings)[0].backward()

    with on_threads(1):
        step_seconds = batch / rows / _rate(step, seconds)
        make_seconds = 1 / _rate(lambda block: training_rows(experiment, block, task) and None, seconds)
    return make_seconds / step_seconds


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

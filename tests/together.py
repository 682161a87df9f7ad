"""Processes that train together: what each returns of a function, forked where torch is loaded already.

They find each other as those of torchrun do, by what their environment says.
"""

from __future__ import annotations

import contextlib
import io
import os
import socket
import time
import traceback
import weakref
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from random import SystemRandom
from typing import Any

import torch
from torch import Tensor, distributed, nn

import evaluate.run.train as training
import run_benchmarks
from evaluate.run import checkpoint, curriculum
from evaluate.run.experiment import Train
from evaluate.run.presets import smoke
from evaluate.run.ranks import ALONE, Alone, LossOf, Together, by_torchrun
from model import build
from model.draws import rows_of
from tasks import NOT_ASKED
from tasks.arithmetic.carry_chain import CarryChain

LIBRARIES = ["torch", "torch._dynamo", "torch.nn.parallel", "torch.utils.flop_counter", "numpy", "scipy.stats"]
"""Loaded once for all processes: most of such a test's time. (An optimiser loads the second, where nobody has.)"""
SECONDS = 400


def together(function: Callable[..., Any], *words: Any, ranks: int = 1) -> list[tuple[Any, str]]:
    """What `function(*words)` returns in each of so many processes, and what was said there."""
    context = get_context("forkserver")
    context.set_forkserver_preload(LIBRARIES)
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": str(ranks)}
    begun = []
    for rank in range(ranks):
        here, there = context.Pipe(duplex=False)
        means = {**where, "RANK": str(rank), "LOCAL_RANK": str(rank)}
        process = context.Process(target=one, args=(there, means, function, words))
        process.start()
        there.close()
        begun.append((process, here))
    try:
        found = []
        for process, here in begun:
            assert here.poll(SECONDS), "a process says nothing"
            returned, told = here.recv()
            assert returned is not one, told
            found.append((returned, told))
            process.join(SECONDS)
        return found
    finally:
        for process, _ in begun:
            process.kill()


def free_port() -> int:
    """One that the system gives to nobody by itself before the first rank takes it."""
    while True:
        port = SystemRandom().randrange(20_000, 32_000)
        with contextlib.suppress(OSError), socket.socket() as tried:
            tried.bind(("127.0.0.1", port))
            return port


def one(there: Connection, means: dict[str, str], function: Callable[..., Any], words: tuple[Any, ...]) -> None:
    """One of these processes; says its own name in place of a result where there is none."""
    os.environ.update(means)
    torch.set_num_threads(1)
    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
        try:
            found = function(*words)
        except Exception:
            found = one
            traceback.print_exc()
    there.send((found, told.getvalue()))


def meet(late: float) -> tuple[float, float]:
    """When a rank has found the others, and when it goes on from there; the second finds them so many seconds late."""
    begin, found = distributed.init_process_group, []

    def begin_late(*means: Any, **more: Any) -> None:
        begin(*means, **more)
        time.sleep(late * int(os.environ["RANK"]))
        found.append(time.monotonic())

    distributed.init_process_group = begin_late
    with Together("cpu"):
        on = time.monotonic()
    return found[0], on


def frees(fails: bool) -> list[bool]:
    """When the group of processes is freed at the end of training, or of a failure there: is what averages the
    gradients still there then?"""
    destroy, held, model = distributed.destroy_process_group, [], nn.Linear(1, 1)

    def look() -> None:
        held.append(averages() is not None)
        destroy()

    distributed.destroy_process_group = look
    with contextlib.suppress(ZeroDivisionError), Together("cpu") as ranks:
        averages = weakref.ref(ranks.judged(lambda *_: (model.weight.sum(), model.bias), model))
        if fails:
            raise ZeroDivisionError
    return held


def late(words: list[str], seconds: float) -> int:
    """A sweep whose second rank takes up its first checkpoint so many seconds late."""
    load = checkpoint.load

    def later(*means: Any) -> Any:
        checkpoint.load = load
        time.sleep(seconds * int(os.environ["RANK"]))
        return load(*means)

    checkpoint.load = later
    return run_benchmarks.main(words)


class InHalves(Alone):
    def gradients(
        self, loss_of: LossOf, model: nn.Module, tokens: Tensor, targets: Tensor, loops: list[int], train: Train
    ) -> tuple[Tensor, Tensor]:
        begun, total, answers = torch.get_rng_state(), 0.0, torch.empty_like(tokens)
        for half in (slice(0, None, 2), slice(1, None, 2)):
            torch.set_rng_state(begun)
            weight = (targets[half] != NOT_ASKED).sum() / (targets != NOT_ASKED).sum() * 2
            with rows_of(len(tokens), half):
                share = len(tokens[half]) / len(tokens) * 2
                loss, answers[half] = loss_of(model, tokens[half], targets[half], loops[half], train, weight, share)
            (loss / 2).backward()  # adds to the first half's gradients; halving is exact
            total = total + loss.detach() / 2
        return total, answers


class OwnLooped(nn.Module):
    """As a user's own model may be: all rows with one number of loops, and nothing more to say of training."""

    looped = True

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.embedding, self.mix = nn.Embedding(vocabulary, 8), nn.Linear(8, 8)
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.head = nn.Linear(8, vocabulary)

    def forward(self, tokens: Tensor, loops: tuple[int, ...]) -> Tensor:
        h = e = self.embedding(tokens)
        for _ in range(loops[-1]):
            h = torch.tanh(self.mix(h) + self.scale * e)
        return self.head(h)[None]


def losses(task: str, name: str, optimizer: str, halves: bool = False) -> dict[str, Any]:
    """One model, trained: its loss at every step, and what else ranks could get wrong.

    In halves: one process adds up the gradients of the rows that two would have had, in the order in which they would.
    """
    training.CHECK_EVERY = 1
    found = next((e for e in smoke() if e.task.name == task), smoke()[0])
    changes = {"steps": 8, "batch": 16, "optimizer": optimizer, "average": 0.5, "gradient_loops": 2}
    if task == "carry_chain":
        found = replace(found, task=CarryChain(columns=7, curriculum=(4, 5)))
        changes["batch"] = 17
        curriculum.PASS = 0.0  # goes on at every step
    experiment = replace(found, model=name, train=replace(found.train, **changes))
    torch.manual_seed(experiment.seed)
    model: Any = OwnLooped(experiment.vocabulary)
    if name != "own":
        model = build(name, experiment.architecture, experiment.vocabulary, experiment.train.mean_loops)
    else:
        training.step_flops = lambda *_: 0  # of models that have a name
    ranks: Any = Together("cpu") if by_torchrun() else nullcontext(InHalves() if halves else ALONE)
    by_step: list[float] = []
    accuracies: list[float] = []

    def progress(step: int, loss: float, accuracy: float) -> None:
        by_step.append(loss)
        accuracies.append(accuracy)

    with ranks as means:
        training.train(model, experiment, torch.device("cpu"), progress=progress, ranks=means)
    return {
        "rows": [curriculum.rows_a_step(experiment, stage) for stage in experiment.task.stages],
        "losses": by_step,
        "accuracies": accuracies,
        "biases": [router.bias.tolist() for router in getattr(model, "routers", [])],
        "norm": float(torch.stack([p.detach().norm() for p in model.parameters()]).norm()),
    }

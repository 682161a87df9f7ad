"""The engine on this machine: in this process for one worker, in processes of their own for more."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import connection, get_context
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from evaluate.run.carry import Means, Outcome, attempted
from evaluate.run.experiment import Experiment, RunFailed
from evaluate.run.own_models import list_own_models
from tasks import UserError, plugin


def carry_out_here(
    todo: list[Experiment], folder: Path, means: Means, workers: int
) -> Iterator[tuple[Experiment, Outcome | RunFailed]]:
    """Every experiment with what came of it, as they end."""
    if workers == 1:
        for experiment in todo:
            yield experiment, attempted(experiment, folder, means)
        return
    context = get_context("spawn")
    given = (slots(context, workers), context.RLock(), plugin.sources())
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=start_worker, initargs=given)
    try:
        with uninterrupted():
            futures: dict[Future[Outcome | RunFailed], Experiment] = {
                pool.submit(in_worker, e, folder, means): e for e in todo
            }
        for future in as_completed(futures):
            yield futures.pop(future), future.result()  # which holds all that the run has left
    except BrokenProcessPool:
        raise UserError(
            "a worker process was killed (out of memory?): the same command goes on from there, "
            "and --workers 1 needs the least memory"
        ) from None
    finally:
        for process in list((pool._processes or {}).values()):
            process.terminate()
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """A Ctrl-C waits, and who is begun meanwhile never hears one: not before it can tell itself not to."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def slots(context: Any, workers: int) -> Any:
    numbers = context.Queue()
    for number in range(workers):
        numbers.put(number)
    return numbers


_slot = 0


def start_worker(numbers: Any, lock: Any, plugins: list[plugin.Source]) -> None:
    """In each new process: load the plugins, before any task of theirs arrives; take a line for the progress bar."""
    global _slot
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 - None where it was closed, as in run_benchmarks.py
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it, and ends its workers
    threading.Thread(target=end_with_parent, daemon=True).start()
    plugin.restore(plugins)
    list_own_models(check=False)
    _slot = numbers.get()
    tqdm.set_lock(lock)


def end_with_parent() -> None:
    """A parent that was killed can end nobody: without this its workers would go on, and write beside the next one."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def in_worker(experiment: Experiment, folder: Path, means: Means) -> Outcome | RunFailed:
    return attempted(experiment, folder, replace(means, line=_slot, device=own_device(means.device, _slot)))


def own_device(device: str, slot: int) -> str:
    """One GPU for each worker, shared where there are more workers than GPUs."""
    return f"cuda:{slot % torch.cuda.device_count()}" if device == "cuda" else device

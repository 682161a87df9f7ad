"""Carries out a list of Experiments in processes on this machine, and writes records as they come."""

from __future__ import annotations

import os
import platform
import queue
import subprocess
import sys
import threading
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy
import torch
from safetensors.torch import save_file
from tqdm import tqdm

import model as models
from evaluate.records import Cell, Records, Run, Writer
from evaluate.run import board
from evaluate.run.experiment import Experiment
from evaluate.run.extrapolation import asked_together, evaluate
from evaluate.run.train import train
from tasks import UserError, plugin


@dataclass(frozen=True)
class Machine:
    """Where and how experiments run: nothing here decides a result."""

    device: str = "auto"
    workers: int = 0  # processes; 0 for one a core
    threads: int = 1  # of each process
    batch: int = 32  # rows evaluated at a time
    tensorboard: bool = False  # log training there too

    def resolve(self) -> str:
        """The device's real name."""
        known = {
            "cpu": True,
            "cuda": torch.cuda.is_available(),
            "mps": torch.backends.mps.is_available(),
        }
        if self.device == "auto":
            return "cuda" if known["cuda"] else "cpu"
        if not known[self.device]:
            has = ", ".join(name for name, here in known.items() if here)
            raise UserError(f"device {self.device!r} is not on this machine: it has {has}")
        return self.device


def sweep(experiments: list[Experiment], folder: Path, machine: Machine) -> None:
    """Carry out every experiment that `folder` does not hold yet."""
    device = machine.resolve()
    for experiment in experiments:
        experiment.check()
    refuse_mixture(experiments, folder)
    have = Records(folder).runs if folder.is_dir() else {}
    todo = [e for e in experiments if e.run not in have]
    if len(todo) < len(experiments):
        tqdm.write(f"{len(experiments) - len(todo)} of {len(experiments)} runs are in {folder} already")
    if not todo:
        return
    writer = Writer(folder)
    workers = min(len(todo), machine.workers or (os.cpu_count() or 1 if device == "cpu" else 1))
    context = get_context("spawn")
    lines: Any = context.Manager().Queue()
    stop = threading.Event()
    listener = threading.Thread(target=write_lines, args=(writer, lines, stop))
    listener.start()
    given = (slots(context, workers), context.RLock(), plugin.sources())
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=start_worker, initargs=given)
    try:
        futures: dict[Future[str], Experiment] = {
            pool.submit(carry_out, e, folder, device, machine, lines): e for e in todo
        }
        for future in as_completed(futures):
            e = futures[future]
            if future.result() != "ok":
                tqdm.write(f"{label(e)}: {future.result()}; the others go on", file=sys.stderr)
    except BaseException:
        for process in list((pool._processes or {}).values()):
            process.terminate()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    finally:
        stop.set()
        listener.join()
        writer.close()
    pool.shutdown()


def refuse_mixture(experiments: list[Experiment], folder: Path) -> None:
    """Refuse a folder that holds a run of the same task and model under other settings: a table of both would lie."""
    if not folder.is_dir():
        return

    def settings(plain: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in plain.items() if key != "seed"}

    for line in Records(folder).runs.values():
        for experiment in experiments:
            mine, held = settings(experiment.to_json()), settings(line["experiment"])
            if experiment.task.name == line["task"] and experiment.model == line["model"] and mine != held:
                raise UserError(
                    f"{str(folder)!r} holds another experiment of {line['task']} with {line['model']} "
                    f"({difference(mine, held)}): choose another --out"
                )


def difference(mine: dict[str, Any], held: dict[str, Any], path: str = "") -> str:
    """The first field in which two experiments differ, by its dotted name."""
    for key in sorted({*mine, *held}):
        a, b = mine.get(key), held.get(key)
        if isinstance(a, dict) and isinstance(b, dict) and a != b:
            return difference(a, b, f"{path}{key}.")
        if a != b:
            return f"{path}{key} is {b} there, {a} here"
    return "no difference"


def slots(context: Any, workers: int) -> Any:
    numbers = context.Queue()
    for number in range(workers):
        numbers.put(number)
    return numbers


_slot = 0


def start_worker(numbers: Any, lock: Any, plugins: list[plugin.Source]) -> None:
    """In each new process: load the plugins, before any task of theirs arrives; take a line for the progress bar."""
    global _slot
    plugin.restore(plugins)
    _slot = numbers.get()
    tqdm.set_lock(lock)


def write_lines(writer: Writer, lines: Any, stop: threading.Event) -> None:
    """Append what the processes send, until told to stop and nothing is left."""
    while True:
        try:
            line = lines.get(timeout=0.2)
        except queue.Empty:
            if stop.is_set():
                return
            continue
        except (EOFError, OSError):
            return
        writer.cell(line) if isinstance(line, Cell) else writer.run(line)


def label(experiment: Experiment) -> str:
    return f"{experiment.task.name} {experiment.model} seed {experiment.seed}"


def carry_out(experiment: Experiment, folder: Path, device: str, machine: Machine, lines: Any) -> str:
    """Train, evaluate and send the records of one experiment; returns its status. Runs in a process of its own."""
    threads, batch = machine.threads, machine.batch
    torch.set_num_threads(threads)
    where = torch.device(device)
    torch.manual_seed(experiment.seed)
    net = models.build(experiment.model, experiment.architecture, experiment.vocabulary, experiment.train.mean_loops)
    saved = folder / "checkpoints" / f"{experiment.run}.safetensors"
    look = "{desc} {percentage:3.0f}%|{bar}| {remaining} left{postfix}"  # fits a terminal of eighty columns
    bar = tqdm(
        total=experiment.train.steps,
        desc=label(experiment),
        position=_slot,
        leave=False,
        disable=None,
        bar_format=look,
    )

    def progress(step: int, loss: float, accuracy: float) -> None:
        bar.set_postfix_str(f"loss {loss:.2f}, accuracy {accuracy:.0%}", refresh=False)
        bar.update(step - bar.n)

    told = board.logged(progress, folder, experiment.run) if machine.tensorboard else progress
    trained = train(net, experiment, where, saved, told)
    bar.close()
    net.eval()
    if trained.status == "ok":
        groups = asked_together(experiment.task)
        for group in tqdm(groups, desc=f"{label(experiment)} asked", position=_slot, leave=False, disable=None):
            for cell in evaluate(net, experiment, group, where, batch):
                lines.put(cell)
    commit, dirty = code()
    lines.put(
        Run(
            run=experiment.run,
            experiment=experiment.to_json(),
            task=experiment.task.name,
            task_version=experiment.task.version,
            model=experiment.model,
            seed=experiment.seed,
            train_max_depth=experiment.task.train_depths[-1],
            parameters=models.parameters(net),
            train_flops=trained.flops,
            train_seconds=round(trained.seconds, 2),
            steps=trained.steps,
            status=trained.status,
            versions={"python": platform.python_version(), "torch": torch.__version__, "numpy": numpy.__version__},
            device=torch.cuda.get_device_name() if device == "cuda" else f"{device} {platform.machine()}",
            threads=threads,
            git_commit=commit,
            git_dirty=dirty,
        )
    )
    weights = folder / "weights" / f"{experiment.run}.safetensors"
    weights.parent.mkdir(exist_ok=True)
    save_file(net.state_dict(), weights)
    saved.unlink(missing_ok=True)
    return trained.status


def code() -> tuple[str | None, bool | None]:
    """The commit of the code that runs, and whether it was changed since; None where git cannot tell."""
    here = Path(__file__).resolve().parent

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.CalledProcessError):
        return None, None

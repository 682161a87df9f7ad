"""Carries out a list of Experiments, by one of three engines, and writes records as they come."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from evaluate.records import Records, Writer, audited
from evaluate.run.carry import Means, Outcome, carry_out, checkpoint_of, label, ready
from evaluate.run.experiment import Experiment, RunFailed
from evaluate.run.folder import claimed, refuse_mixture, refuse_versions
from evaluate.run.limits import check_limits
from evaluate.run.local import carry_out_here
from evaluate.run.ranks import Together, by_torchrun, check_rows
from evaluate.run.train import SAVE_EVERY
from evaluate.run.version import commit
from tasks import UserError
from tasks.files import write_over

ENGINES = ("local", "ray")


@dataclass(frozen=True)
class Machine:
    """Where and how experiments run: nothing here decides a result."""

    device: str = "auto"
    workers: int = 0  # processes; 0 for one a core, or one a GPU
    threads: int = 1  # of each process; 0 for the cores shared out among the processes
    batch: int = 32  # rows evaluated at a time
    save_every: float = SAVE_EVERY  # seconds between checkpoints
    engine: str = "local"
    tensorboard: bool = False  # log training there too
    compile: bool = False  # compile the Blocks

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

    def means(self, device: str, threads: int) -> Means:
        """What each experiment is carried out by."""
        return Means(device, threads, self.batch, self.save_every, commit(), self.tensorboard, self.compile)

    def threads_each(self, processes: int) -> int:
        """Threads of each of so many processes here."""
        return self.threads or max(1, (os.cpu_count() or 1) // processes)

    def shared_out(self, runs: int, device: str) -> tuple[int, int]:
        """Processes, and threads of each, for so many runs."""
        cores = os.cpu_count() or 1
        at_once = {"cpu": cores, "cuda": torch.cuda.device_count()}.get(device, 1)
        workers = max(1, min(runs, self.workers or at_once))
        return workers, self.threads_each(workers)


def sweep(experiments: list[Experiment], folder: Path, machine: Machine, mixed: bool = False) -> bool:
    """Carry out every experiment that `folder` does not hold yet. Is this the process that shows what came of it?

    mixed: the folder may hold runs of one task and model under several settings, to be told apart by their ids.
    """
    # on a cluster the driver may have no GPU: then each node is asked for one by name
    device = "cuda" if machine.engine == "ray" and machine.device == "cuda" else machine.resolve()
    experiments = list({e.run: e for e in experiments}.values())
    for experiment in experiments:
        experiment.check()
    for experiment in {(e.task, e.model): e for e in experiments}.values():
        check_limits(experiment)
    with stoppable() as heed:
        if by_torchrun():
            return sweep_together(experiments, folder, machine, device, heed)
        if not mixed:
            refuse_mixture(experiments, folder)
        with claimed(folder):
            todo = to_do(experiments, folder, mixed)
            if todo:
                workers, threads = machine.shared_out(len(todo), device)
                means = machine.means(device, threads)
                if machine.engine == "ray":
                    from evaluate.run.cluster import carry_out_on_ray

                    write_down(carry_out_on_ray(todo, folder, means), len(todo), folder, heed)
                else:
                    write_down(carry_out_here(todo, folder, means, workers), len(todo), folder, heed)
    return True


def to_do(experiments: list[Experiment], folder: Path, mixed: bool = False) -> list[Experiment]:
    """The experiments that a claimed folder lacks, once it is sure that it may be added to."""
    if not mixed:
        refuse_mixture(experiments, folder)
    held = Records(folder).runs
    todo = [e for e in experiments if e.run not in held]
    for experiment in experiments:
        if experiment.run in held:  # killed just after its record was written
            checkpoint_of(experiment, folder).unlink(missing_ok=True)
    if len(todo) < len(experiments):
        already = len(experiments) - len(todo)
        tqdm.write(f"{already} of {len(experiments)} runs are in {folder} already", file=sys.stderr)
    if todo:
        refuse_versions({e.task.name for e in todo}, folder)
    for experiment in todo:
        note = ready(experiment, folder)
        if note:
            tqdm.write(note, file=sys.stderr)
    return todo


def write_down(
    outcomes: Iterator[tuple[Experiment, Outcome | RunFailed]], expected: int, folder: Path, heed: Callable[[], None]
) -> None:
    """Weights, then records, and only then does the checkpoint go: at no moment is a run in neither.

    Each of the expected runs is told in a line when it is written, or has failed. heed is called after each, and may
    end it. Raises RunFailed, at the end, if any has failed.
    """
    writer = Writer(folder)
    failures = []
    for number, (experiment, outcome) in enumerate(outcomes, 1):
        if isinstance(outcome, RunFailed):
            failures.append(outcome)
            if expected > 1:
                tqdm.write(f"{number} of {expected}: failed: {outcome}", file=sys.stderr)
            heed()
            continue
        write_over(folder / "weights" / f"{experiment.run}.safetensors", outcome.weights)
        cells = audited(outcome.cells, experiment.task.version, experiment.task.written_sizes)
        writer.add(outcome.run, cells, outcome.inside)
        checkpoint_of(experiment, folder).unlink(missing_ok=True)
        how = f"{outcome.run.status}, {outcome.run.steps} steps in {outcome.run.train_seconds:.0f} s"
        if lost := sum(cell.not_numbers or 0 for cell in cells):
            how += f"; {lost} answers were no numbers, and count as wrong"
        tqdm.write(f"{number} of {expected}: {label(experiment)}: {how}", file=sys.stderr)
        heed()
    if failures and expected == 1:
        raise failures[0]
    if failures:
        kept = f"; what is whole is in {folder}" if len(failures) < expected else ""
        raise RunFailed(f"{len(failures)} of {expected} runs failed, as told above{kept}")


def sweep_together(
    experiments: list[Experiment], folder: Path, machine: Machine, device: str, heed: Callable[[], None]
) -> bool:
    """One rank's part of a sweep in which all ranks train each model together, and the first alone reads and writes."""
    if machine.engine != "local":
        raise UserError(f"--engine is {machine.engine!r}: allowed under torchrun is 'local'")
    if machine.workers:
        raise UserError(
            f"--workers is {machine.workers}: allowed under torchrun is 0, as its own processes are the workers"
        )
    for experiment in experiments:
        check_rows(experiment)  # before the processes meet: each finds the same by itself
    place, beside = (int(os.environ.get(name, here)) for name, here in (("LOCAL_RANK", 0), ("LOCAL_WORLD_SIZE", 1)))
    if device == "cuda":
        if place >= torch.cuda.device_count():
            raise UserError(
                f"process {place + 1} of {beside} here has no GPU: this machine has {torch.cuda.device_count()}"
            )
        device = f"cuda:{place}"
        torch.cuda.set_device(device)
    means = machine.means(device, machine.threads_each(beside))
    with Together(device) as ranks:

        def carried_out(experiment: Experiment) -> Outcome:
            outcome = carry_out(experiment, folder, means, ranks)
            ranks.wait()  # its checkpoint goes once every rank has taken from it what it began with
            return outcome

        if not ranks.first:
            go, *wanted = ranks.agreed([0] * (1 + len(experiments)))
            for experiment, mine in zip(experiments, wanted, strict=True):
                if go and mine:
                    carried_out(experiment)
            return False
        told = [0] * (1 + len(experiments))
        with ExitStack() as held:
            try:
                held.enter_context(claimed(folder))
                todo = {e.run for e in to_do(experiments, folder)}
                told = [1, *(int(e.run in todo) for e in experiments)]
            finally:
                ranks.agreed(told)  # a refusal too: the others then end
            work = [e for e in experiments if e.run in todo]
            write_down(((e, carried_out(e)) for e in work), len(work), folder, heed)
        return True


@contextmanager
def stoppable() -> Iterator[Callable[[], None]]:
    """Take a polite request to end (SIGTERM) as Ctrl-C is taken: whole records, and one line.

    Python drops an exception that is raised while an object is torn down, and a Ctrl-C with it. What is given here
    raises one that was dropped.
    """
    asked = False

    def stop(*_: object) -> None:
        nonlocal asked
        asked = True
        raise KeyboardInterrupt

    def heed() -> None:
        if asked:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield heed
        return
    wanted = [signal.SIGTERM, signal.SIGINT]
    before = {s: signal.getsignal(s) for s in wanted if signal.getsignal(s) is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, stop)
    try:
        yield heed
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

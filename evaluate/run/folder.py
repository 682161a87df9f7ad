"""A folder of results as one owner sees it: claimed by one process, of one set of settings, of one version."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from evaluate.records import Records
from evaluate.run.experiment import Experiment
from evaluate.run.version import code_version, commit
from tasks import Task, UserError

try:
    import fcntl
except ImportError:  # Windows, which has no flock: nothing keeps two processes apart there
    fcntl = None  # type: ignore[assignment]


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Hold a folder as its only writer. The claim is the system's (flock), and ends with the process however it ends.

    It is on the folder itself, so that no lock file is ever left behind.
    """
    new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise UserError(f"cannot write to {str(folder)!r}: {error.strerror}") from None
    try:
        if fcntl:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                new = False  # it is the other's, who has put nothing there yet
                raise UserError(
                    f"another process is at work in {str(folder)!r}: wait for it, or choose another --out"
                ) from None
            except OSError:  # a file system without locks
                pass
        if not (folder.is_dir() and os.path.samestat(os.fstat(handle), os.stat(folder))):
            new = False  # who had made it has removed it, and its lock keeps nobody out
            raise UserError(f"another process has just removed {str(folder)!r}, empty: the same command makes it again")
        if not os.access(folder, os.W_OK):
            raise UserError(f"cannot write to {str(folder)!r}: it is read-only here")
        sweep_scratch(folder)
        yield
    finally:
        if new:  # and nothing came of it
            for empty in (folder / "checkpoints", folder):
                with contextlib.suppress(OSError):
                    empty.rmdir()
        os.close(handle)


def sweep_scratch(folder: Path) -> None:
    """Remove what processes that were killed while writing have left."""
    for scratch in (*folder.glob("*.tmp"), *folder.glob("checkpoints/*.tmp"), *folder.glob("weights/*.tmp")):
        with contextlib.suppress(OSError):
            scratch.unlink()


def settings(plain: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in plain.items() if key != "seed"}


def task_of(plain: dict[str, Any]) -> dict[str, Any]:
    """The task's fields of a record's experiment; none where that is no experiment of ours."""
    task = plain.get("task")
    return task if isinstance(task, dict) else {}


def refuse_mixture(experiments: list[Experiment], folder: Path) -> None:
    """Refuse a folder that holds a run of the same task and model under other settings, or of the same task otherwise
    made for another model: a table of both would lie. What one command may mix, it may go on with."""
    if not folder.is_dir():
        return
    wanted: dict[tuple[str, str], list[dict[str, Any]]] = {}
    tasks: dict[str, dict[Task, dict[str, Any]]] = {}  # by name: a preset may ask some of its models less deep
    for experiment in experiments:
        mine = settings(experiment.to_json())
        tasks.setdefault(experiment.task.name, {})[experiment.task] = mine["task"]
        alike = wanted.setdefault((experiment.task.name, experiment.model), [])
        if mine not in alike:
            alike.append(mine)
    lines = Records(folder).runs.values()
    for line in lines:
        held = settings(line["experiment"])
        for mine in wanted.get((line["task"], line["model"]), []):
            if mine != held:
                raise UserError(
                    f"{str(folder)!r} holds another experiment of {line['task']} with {line['model']} "
                    f"({difference(mine, held)}): choose another --out"
                )
    ours = [line for line in lines if not line["experiment"].get("elsewhere")]
    for name, forms in tasks.items():
        here = [(task_of(line["experiment"]), line["model"]) for line in ours if line["task"] == name]
        others = [(there, model) for there, model in here if there not in forms.values()]
        for mine in forms.values():
            if others and mine not in [there for there, _ in here]:
                raise UserError(
                    f"{str(folder)!r} holds {name} of other sizes or depths, of {others[0][1]} "
                    f"({difference(mine, others[0][0], 'task.')}): choose another --out"
                )
        for task, mine in forms.items():
            refuse_sizes(task, mine, lines, folder)  # of what answered elsewhere too, which has depths of its own


def refuse_sizes(task: Task, plain: dict[str, Any], lines: Iterable[dict[str, Any]], folder: Path) -> None:
    """Refuse a folder whose runs (`lines`) hold this task at other sizes. plain: the task as a record names it."""
    here = {name: plain[name] for name in task.sizes if name in plain}
    for line in lines:
        there = {name: task_of(line["experiment"]).get(name) for name in here}
        if line["task"] == task.name and there != here:
            raise UserError(
                f"{str(folder)!r} holds {task.name} at other sizes ({difference(here, there, 'task.')}): choose "
                "another --out"
            )


def refuse_versions(tasks: set[str], folder: Path) -> None:
    """Refuse to add to runs of these tasks that other code or another torch made; one that does not say is believed."""
    for line in Records(folder).runs.values():
        if line["task"] not in tasks:
            continue
        mine = {"code": code_version(line["task"]), "torch": torch.__version__}
        for part, here in mine.items():
            held = line["versions"].get(part, here)
            if held != here:
                raise UserError(
                    f"{str(folder)!r} holds run {line['run']} ({line['task']} {line['model']}) of {part} {held} "
                    f"(commit {str(line['git_commit'])[:12]}), this is {part} {here} (commit {str(commit()[0])[:12]}): "
                    "go on with that version, or choose another --out"
                )


def difference(mine: dict[str, Any], held: dict[str, Any], path: str = "") -> str:
    """The first field in which two experiments differ, by its dotted name."""
    for key in sorted({*mine, *held}):
        a, b = mine.get(key, "unset"), held.get(key, "unset")
        if isinstance(a, dict) and isinstance(b, dict) and a != b:
            return difference(a, b, f"{path}{key}.")
        if a != b:
            return f"{path}{key} is {b} there, {a} here"
    return "no difference"

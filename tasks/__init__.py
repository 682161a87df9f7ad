"""What is asked: the list of tasks, by name. A new built-in task is one file and one line here."""

from __future__ import annotations

from tasks.arithmetic.mod_chain import ModChain
from tasks.errors import UserError, unknown
from tasks.graph.khop_facts import KhopFacts
from tasks.task import NOT_ASKED, SELECTION, SPLITS, TEST, TRAIN, Answers, Batch, Task, draw, stream

TASKS: dict[str, type[Task]] = {
    "khop_facts": KhopFacts,
    "mod_chain": ModChain,
}


def task_class(name: str) -> type[Task]:
    """The task class of that name, or an error with the nearest spelling."""
    if name not in TASKS:
        raise unknown("task", name, TASKS)
    return TASKS[name]


__all__ = [
    "NOT_ASKED",
    "SELECTION",
    "SPLITS",
    "TASKS",
    "TEST",
    "TRAIN",
    "Answers",
    "Batch",
    "Task",
    "UserError",
    "draw",
    "stream",
    "task_class",
    "unknown",
]

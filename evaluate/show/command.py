"""The command that repeats a run, from its record alone."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from evaluate.show.grid import flat

NAMES = ("task.name", "task.version", "task.plugin", "model", "seed")
"""Fields of an experiment that have an option of their own, or follow from one."""


def command(runs: Sequence[dict[str, Any]]) -> str:
    """One command for runs that differ in their seeds only: every field of the experiment is set by its name."""
    plain = runs[0]["experiment"]
    fields = flat(plain)
    task = fields.get("task.name", runs[0]["task"])
    model, seeds = runs[0]["model"], [str(run["seed"]) for run in runs]
    words = ["run", "--tasks", task, "--models", model, "--seeds", ",".join(seeds)]
    if plain.get("elsewhere"):
        words = ["score", task, "ANSWERED", "--model", model, "--seed", seeds[0]]
    words = ["python", "run_benchmarks.py", *words, "--out", f"results/{task}-{model}"]
    stamps = [str(fields[name]) for name in ("task.plugin", "model_plugin", "parts_plugin") if name in fields]
    for file in dict.fromkeys(stamp.rsplit(" ", 1)[0] for of in stamps for stamp in of.split(", ")):
        words += ["--plugin", file]
    for name, value in fields.items():
        if name not in NAMES and "." in name:
            words += [f"--{name}", _written(value)]
    return shlex.join(words)


def _written(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)

"""The verb that asks trained weights anew."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluate.commands.options import (
    Parser,
    add_device,
    add_format,
    add_plugins,
    at_least,
    at_most,
    check_device,
    check_held,
    check_plugin,
    names,
    overrides,
    sized,
    whole_numbers,
)
from evaluate.show.screen import tell
from tasks import Task, plugin
from tasks.errors import UserError, unknown

if TYPE_CHECKING:
    from evaluate.run.experiment import Experiment

COLUMNS = ("model", "seed", "depth", "step", "length", "rule", "loops", "correct", "count", "accuracy", "low", "high")
LEGEND = "loops: used on average, --loops at most. low, high: Wilson's 95% interval over questions."


def ask(arguments: Sequence[str]) -> None:
    """trained weights, asked other depths, sizes or loops"""
    parser = Parser(prog="run_benchmarks.py ask", allow_abbrev=False, description=(
        "Sizes by --task.NAME: any that leave the words as they are."))  # fmt: skip
    parser.add_argument("folder", type=Path, metavar="DIR", help="whose weights `run` has left in it")
    parser.add_argument("--task", help="which of its tasks (default the only one)")
    parser.add_argument("--model", default="rdt", help="which of its models (default rdt)")
    parser.add_argument("--seeds", help="comma-separated, or ranges as 0-4 (default all)")
    parser.add_argument("--depths", help="comma-separated, or ranges as 1-4 (default the task's test depths)")
    parser.add_argument("--over", metavar="NAME=V,V", help="a size of the task, and its values: depth against it")
    parser.add_argument("--loops", type=int, help="how many at most (default the most that the run was asked for)")
    parser.add_argument("--count", type=int, default=128, help="rows a depth (default 128)")
    parser.add_argument("--batch", type=int, default=64, help="rows at a time (default 64)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    add_device(parser)
    parser.add_argument("--moving", action="store_true",
                        help="compute only what still moves, until nothing does: for great depths")  # fmt: skip
    parser.add_argument("--each-step", action="store_true",
                        help="a line for each shallower question of the same rows too, its step")  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the rows as JSON lines")
    add_format(parser)
    add_plugins(parser)
    known, rest = parser.parse_known_args(list(arguments))
    if known.each_step and known.over:
        raise UserError("--each-step and --over are two tables: give one of them")
    at_least(known, count=1, batch=1, threads=1)
    check_device(known)
    at_most(known, count=10**7, threads=1024)
    if known.loops is not None:
        at_least(known, loops=1)
        at_most(known, loops=10**6)
    from evaluate.show import rows as shown
    from tasks.files import refuse_taken, write_new

    shown.check_format(known.format)
    if known.out:
        refuse_taken(known.out)
    plugin.load(known.plugin)
    rows = answered(known, overrides(rest, parser))
    if known.out:
        write_new(known.out, "".join(json.dumps(row) + "\n" for row in rows))
    if known.over and known.format not in ("csv", "json"):
        rows, columns = against(rows, known.over.partition("=")[0])
        legend = "accuracy, with the most loops or by --moving, all seeds together"
    else:
        columns, legend = [name for name in COLUMNS if name != "step" or known.each_step], LEGEND
    table = shown.formatted(rows, columns, known.format)
    tell(shown.together([table, legend], known.format), style=known.format)


def answered(known: argparse.Namespace, changes: list[tuple[str, str]]) -> list[dict[str, Any]]:
    """A row for each run, size, depth and way of stopping."""
    import torch
    from tqdm import tqdm

    from evaluate.run.limits import is_of_memory
    from evaluate.run.own_models import list_own_models
    from evaluate.run.sweep import Machine
    from evaluate.study import ask as study
    from evaluate.study.weights import trained

    torch.set_num_threads(known.threads)
    device = Machine(device=known.device).resolve()
    list_own_models()
    cells = []
    for experiment in runs_of(known):
        model = trained(experiment, known.folder)
        if model is None:
            which = f"{experiment.model}, seed {experiment.seed}"
            raise UserError(f"{known.folder} holds no weights of {which}: allowed is a folder that `run` has filled")
        model.to(device)
        for task in sizes(experiment, changes, known.over):
            study.check_words(task, experiment.task)
            depths = whole_numbers("depths", known.depths) if known.depths is not None else task.test_depths
            check_plugin(task, depths)
            for depth in depths:
                task.check_depth(depth)
                cells.append((experiment, model, task, depth))
    rows = []
    for experiment, model, task, depth in tqdm(cells, disable=None, leave=False):
        loops = known.loops or experiment.evaluate.loops[-1]
        how = {"batch": known.batch, "moving": known.moving, "each_step": known.each_step, "device": device}
        about = {"run": experiment.run, "task": task.name, "model": experiment.model, "seed": experiment.seed}
        try:
            answers = study.ask(model, task, depth, loops, count=known.count, seed=experiment.evaluate.seed, **how)
        except (MemoryError, RuntimeError) as error:
            if is_of_memory(error):
                raise UserError(f"depth {depth} does not fit into memory: smaller --batch or --count might") from None
            raise
        rows += [{**about, "sizes": task.written_sizes, **answer} for answer in answers]
    return rows


def runs_of(known: argparse.Namespace) -> list[Experiment]:
    """The runs of a folder that were meant, of one task and one model."""
    from evaluate import records

    runs = [run for run in records.read(known.folder).runs.values() if run["status"] == "ok"]
    tasks = sorted({run["task"] for run in runs})
    if known.task is None and len(tasks) > 1:
        raise UserError(f"{known.folder} holds several tasks: choose by --task one of {', '.join(tasks)}")
    if not tasks:
        raise UserError(f"no run of {known.folder} came to its end: there is nothing to ask")
    task = known.task or tasks[0]
    check_held(known.folder, [task], tasks)
    if task not in tasks:
        raise unknown("task", task, tasks)
    models = sorted({run["model"] for run in runs if run["task"] == task})
    if known.model not in models:
        raise unknown("model", known.model, models)
    found = [run for run in runs if (run["task"], run["model"]) == (task, known.model)]
    wanted = whole_numbers("seeds", known.seeds) if known.seeds is not None else sorted({run["seed"] for run in found})
    for seed in wanted:
        if seed not in {run["seed"] for run in found}:
            raise UserError(f"{known.folder} holds no seed {seed} of {known.model} on {task}")
    return [as_recorded(run) for run in found if run["seed"] in wanted]


def as_recorded(run: dict[str, Any]) -> Experiment:
    """The experiment of a run's record, if this code has it still."""
    from evaluate.run.experiment import from_json
    from evaluate.run.folder import task_of

    if run["experiment"].get("elsewhere"):
        raise UserError(f"{run['model']} answered elsewhere: there is no model here to ask")
    try:
        experiment = from_json(run["experiment"])
    except UserError:
        experiment = None
    if experiment is None or experiment.run != run["run"]:
        plain = run["experiment"]
        if stamp := task_of(plain).get("plugin") or plain.get("model_plugin") or plain.get("parts_plugin"):
            raise UserError(f"run {run['run']} is of the plugin {stamp.split()[0]}: name it, unchanged, by --plugin")
        raise UserError(f"run {run['run']} is of an experiment that this code does not have: ask it by the code of it")
    return experiment


def sizes(e: Experiment, changes: list[tuple[str, str]], over: str | None) -> list[Task]:
    """The task as it is to be asked: with the changes, and with each value of the size that is varied."""
    name, equals, values = (over or "").partition("=")
    if over is not None and not (equals and names(values)):
        raise UserError(f"--over is {over!r}: allowed is a size and its values, as columns=14,28,56")
    if over is None:
        return [sized(e, changes).task]
    if name not in e.task.sizes:
        raise unknown("size", name, e.task.sizes)
    return [sized(e, [*changes, (f"task.{name}", value)]).task for value in names(values)]


def against(rows: list[dict[str, Any]], name: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Depth against one size: a row a depth, a column a value, all runs pooled, by the fixed loops or the only way."""
    held = [row for row in rows if row["rule"] in ("fixed", "none")] or rows
    pooled: dict[int, dict[str, list[int]]] = {}
    for row in held:
        cell = pooled.setdefault(row["depth"], {}).setdefault(f"{name} {row['sizes'][name]}", [0, 0])
        cell[0] += row["correct"]
        cell[1] += row["count"]
    columns = list(dict.fromkeys(f"{name} {row['sizes'][name]}" for row in held))
    table = [
        {"depth": depth, **{column: cells[column][0] / cells[column][1] for column in cells}}
        for depth, cells in sorted(pooled.items())
    ]
    return table, ["depth", *columns]

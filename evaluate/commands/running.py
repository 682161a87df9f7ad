"""The verb that makes records, and the one that lists what can be asked of it."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from evaluate.commands.options import (
    Parser,
    add_device,
    add_plugins,
    at_least,
    at_most,
    check_device,
    check_plugin,
    names,
    not_empty,
    overrides,
    tell_unread,
    whole_numbers,
)
from evaluate.show.screen import tell
from tasks import TASKS, Task, plugin, task_class
from tasks.errors import UserError, unknown

if TYPE_CHECKING:
    from evaluate.run.experiment import Experiment


def run(arguments: Sequence[str]) -> None:
    """train, evaluate and show the experiments of a preset"""
    from evaluate import records
    from evaluate.run.sweep import Machine, sweep
    from evaluate.show import plots, tables
    from evaluate.show.grid import Results

    parser = run_parser()
    known, rest = parser.parse_known_args(list(arguments))
    check_options(known)
    experiments = asked_for(known, rest, parser)
    out = Path(known.out or f"results/{known.preset}")
    try:
        machine = Machine(
            device=known.device,
            workers=known.workers,
            threads=known.threads,
            batch=known.batch,
            save_every=known.save_every,
            engine=known.engine,
            tensorboard=known.tensorboard,
            compile=known.compile,
        )
        if not sweep(experiments, out, machine):
            return  # another of torchrun's processes shows it
    except KeyboardInterrupt:
        kept = f"what is whole is in {out}: the same command goes on from there" if out.exists() else "nothing was kept"
        raise UserError(f"stopped; {kept}") from None
    except BrokenPipeError:
        raise UserError(f"stopped, as nobody reads on; what is whole is in {out}") from None
    held = records.read(out)
    print(tables.heading(held))
    found = Results(held)
    tell(tables.show(found))
    drawn = plots.draw_all(found, out / "plots")
    tell(f"\nplots: {out / 'plots'}, {len(drawn)} files\nas a page: python run_benchmarks.py report {quote(str(out))}")


def run_parser() -> Parser:
    from evaluate.run.presets import PRESETS
    from evaluate.run.sweep import ENGINES

    parser = Parser(prog="run_benchmarks.py run", allow_abbrev=False, description=(
        "Besides these, any field of an experiment by its dotted name: --train.steps 500, --task.entities 200, "
        "--architecture.width 128, --evaluate.count 1000."))  # fmt: skip
    parser.add_argument("--preset", default="quick", help=f"{', '.join(PRESETS)} (default quick)")
    parser.add_argument("--tasks", help="only these, comma-separated (default the preset's, or those of --plugin)")
    parser.add_argument(
        "--models", help="these alone, comma-separated (default the preset's); variants: rdt@halting=none"
    )
    parser.add_argument("--seeds", help="comma-separated, or ranges as 0-4 (default the preset's)")
    parser.add_argument("--out", help="folder for the records (default results/PRESET)")
    add_device(parser)
    parser.add_argument("--workers", type=int, default=0, help="processes (default 0: one a core, or a GPU)")
    parser.add_argument("--threads", type=int, default=1, help="of each process (default 1; 0 shares the cores out)")
    parser.add_argument("--batch", type=int, default=32, help="most rows evaluated at a time (default 32)")
    parser.add_argument("--save-every", type=float, default=30.0, help="seconds between checkpoints (default 30)")
    parser.add_argument("--engine", default="local", help=f"{' or '.join(ENGINES)} (default local)")
    parser.add_argument(
        "--compile", action="store_true", help="compile the Blocks: a minute or more, then faster steps"
    )
    parser.add_argument("--precision", help="of training: float32 or bfloat16; short for --train.precision")
    parser.add_argument("--tensorboard", action="store_true", help="log training to the folder's tensorboard/")
    add_plugins(parser)
    return parser


def check_options(known: argparse.Namespace) -> None:
    """What is wrong in itself, whatever the experiments are."""
    from evaluate.run import board
    from evaluate.run.presets import PRESETS
    from evaluate.run.sweep import ENGINES

    if known.tensorboard:
        board.check_installed()
    if known.preset not in PRESETS:
        raise unknown("preset", known.preset, PRESETS)
    check_device(known)
    if known.engine not in ENGINES:
        raise unknown("engine", known.engine, ENGINES)
    at_least(known, workers=0, threads=0, batch=1, save_every=0)
    at_most(known, threads=1024)
    not_empty(known, "tasks", "models")
    if known.out == "":
        raise UserError("--out is empty: allowed is the name of a folder")
    if known.out and Path(known.out).exists() and not Path(known.out).is_dir():
        raise UserError(f"--out is {known.out!r}, a file: allowed is the name of a folder")


def asked_for(known: argparse.Namespace, rest: list[str], parser: Parser) -> list[Experiment]:
    """The experiments of a command line: the preset's, narrowed down, changed field by field, and checked."""
    from evaluate.run.experiment import as_named, override
    from evaluate.run.own_models import list_own_models
    from evaluate.run.presets import PRESETS

    own = plugin.load(known.plugin)
    tasks = names(known.tasks or ",".join(own))
    own_models = list_own_models()
    models = names(known.models or ",".join(own_models))
    experiments = PRESETS[known.preset]()
    check_names(tasks, models)
    experiments = chosen(experiments, tasks, models)
    if known.precision:
        rest = ["--train.precision", known.precision, *rest]
    changes = overrides(rest, parser)
    experiments = [override(e, changes) for e in experiments]
    if known.seeds is not None:
        seeds = whole_numbers("seeds", known.seeds)
        experiments = [
            replace(e, seed=seed) for seed in seeds for e in dict.fromkeys(replace(e, seed=0) for e in experiments)
        ]
    experiments = [as_named(e) for e in experiments]
    for experiment in experiments:
        experiment.check()
    for task in dict.fromkeys(e.task for e in experiments):
        check_plugin(task)
    tell_unread(changes, [e.base for e in experiments])
    tell_recipes(known.preset, tasks)
    return experiments


def tell_recipes(preset: str, tasks: list[str]) -> None:
    """Which tasks a preset lacks, and so trains by the settings of another, though they have a recipe of their own."""
    from evaluate.run.presets import PRESETS, RECIPES
    from evaluate.run.ranks import speaks

    have = [e.task.name for e in PRESETS[preset]()]
    if (without := [name for name in tasks if name in RECIPES and name not in have]) and speaks():
        told = f"{', '.join(without)}: not in {preset}, trained by its settings of {have[0]}"
        print(f"{told}; by a recipe of its own: --preset reference", file=sys.stderr)


def check_names(tasks: list[str], models: list[str]) -> None:
    from model import MODELS

    for kind, wanted, allowed in (("task", tasks, TASKS), ("model", models, MODELS)):
        for name in wanted:
            base = name.partition("@")[0]  # of a model's name the rest is what is changed of it
            if base not in allowed:
                raise unknown(kind, base, allowed)


def chosen(experiments: list[Experiment], tasks: list[str], models: list[str]) -> list[Experiment]:
    """The preset's experiments of these tasks and models.

    A variant that the preset lacks takes the settings of its model, and a model or a task that it lacks those of the
    first, but for learning rates that a baseline has on that task alone. Of a preset that has variants alone (`rates`)
    it takes those of the first model.
    """
    if tasks:
        from evaluate.run.presets import moved

        first = [e for e in experiments if e.task == experiments[0].task]
        have = {name: [e for e in experiments if e.task.name == name] for name in tasks}
        experiments = [
            e
            for name in tasks
            for e in have[name] or [moved(e, task_class(name)()) for e in first]  # type: ignore[call-arg]
        ]
    if models:
        plain = [e for e in experiments if e.model == e.base]
        wanted = []
        for name in models:  # the preset's own of that name, or its variants of that model; else one by its settings
            own = [e for e in experiments if e.model == name] or [e for e in experiments if e.base == name]
            if not (own or plain):
                like = experiments[0].base
                taken = [change.partition("=")[0] for change in name.split("@")[1:]]
                if set_by := [field for field in taken if f"@{field}=" in experiments[0].model]:
                    raise UserError(f"model {name!r}: {set_by[0]} is what this preset tries, leave it out")
                own = [replace(e, model=name + e.model.removeprefix(like)) for e in experiments if e.base == like]
            base = name.partition("@")[0]
            its = [e for e in plain if e.model == base] or [e for e in plain if e.model == plain[0].model]
            wanted += own or [replace(e, model=name) for e in its]
        experiments = wanted
    return experiments


def list_(arguments: Sequence[str]) -> None:
    """tasks, models and presets, a line each; of a task its sizes"""
    parser = Parser(prog="run_benchmarks.py list", allow_abbrev=False)
    parser.add_argument("task", metavar="TASK", nargs="?", help="only this task, and its sizes")
    add_plugins(parser)
    known = parser.parse_args(list(arguments))
    plugin.load(known.plugin)
    if known.task is not None:
        return list_sizes(task_class(known.task)())  # type: ignore[call-arg]
    from evaluate.run.own_models import list_own_models
    from evaluate.run.presets import PRESETS

    list_own_models()
    from model import SUMMARIES

    sections = {
        "tasks": {name: task.summary for name, task in TASKS.items()},
        "models": SUMMARIES,
        "presets": {name: (preset.__doc__ or "").strip().split("\n")[0] for name, preset in PRESETS.items()},
    }
    for section, lines in sections.items():
        tell(section)
        for name, summary in lines.items():
            tell(textwrap.fill(summary, 80, initial_indent=f"  {name:20}  ", subsequent_indent=" " * 24))


def list_sizes(task: Task) -> None:
    """A task, and each option that sets one of its sizes, with the default."""
    tell(textwrap.fill(f"{task.name}: {task.summary}", 80))
    for field in fields(task):
        value = getattr(task, field.name)
        told = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        tell(textwrap.fill(told, 80, initial_indent=f"  --task.{field.name:20}  ", subsequent_indent=" " * 31))

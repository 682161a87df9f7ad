"""The verbs that ask of the suite itself: how fast it is, what a model is made of, shortcuts, the field's claims."""

from __future__ import annotations

import argparse
import json
import os
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from evaluate.commands.options import (
    SIZES,
    Parser,
    add_format,
    add_plugins,
    add_seed,
    at_least,
    at_most,
    check_plugin,
    joined,
    names,
    not_empty,
    overrides,
    sized,
    tell_unread,
    whole_numbers,
)
from evaluate.show.screen import tell
from tasks import TASKS, Task, plugin, task_class
from tasks.errors import UserError, unknown

if TYPE_CHECKING:
    from evaluate.ledger import Entry

BENCHES = ("tasks", "model", "cache", "slots", "settling", "scaling")


def bench(arguments: Sequence[str]) -> None:
    """how fast tasks and models are, and how costs grow"""
    parser = Parser(prog="run_benchmarks.py bench", allow_abbrev=False)
    parser.add_argument("--what", default="tasks", help=f"{', '.join(BENCHES)} (default tasks)")
    parser.add_argument("--folder", type=Path, metavar="DIR",
                        help="whose weights `--what settling` and `slots` take (default results/quick)")  # fmt: skip
    parser.add_argument("--preset", help="whose cost `--what scaling` reckons (default quick)")
    parser.add_argument("--tasks", help="of `--what tasks` only these, comma-separated")
    add_format(parser)
    add_plugins(parser)
    known = parser.parse_args(list(arguments))
    if known.what not in BENCHES:
        raise unknown("bench", known.what, BENCHES)
    read = {"tasks": ("tasks", "plugin"), "scaling": ("preset",), "settling": ("folder",), "slots": ("folder",)}
    for option in ("folder", "preset", "tasks", "plugin"):
        if getattr(known, option) and option not in read.get(known.what, ()):
            raise UserError(f"--{option}: `--what {known.what}` has no use for it")
    not_empty(known, "tasks")
    from evaluate.show.rows import check_format

    check_format(known.format)
    if known.what == "tasks":
        bench_of_tasks(names(known.tasks or ""), known.plugin, known.format)
    elif known.what == "scaling":
        bench_of_scaling(known.preset or "quick", known.format)
    else:
        bench_of_model(known.what, known.folder or Path("results/quick"), known.format)


def bench_of_tasks(wanted: list[str], plugins: list[str], style: str) -> None:
    from evaluate.show.rows import formatted, together
    from evaluate.study.bench_tasks import COLUMNS, LEGEND, bench_tasks

    own = plugin.load(plugins)
    rows = bench_tasks([task_class(name)() for name in wanted or own or list(TASKS)])  # type: ignore[call-arg]
    tell(together([formatted(rows, COLUMNS, style), LEGEND], style), style=style)


def bench_of_scaling(preset: str, style: str) -> None:
    from evaluate.run.presets import PRESETS
    from evaluate.show.rows import formatted, together
    from evaluate.study import bench_scaling as scaling

    if preset not in PRESETS:
        raise unknown("preset", preset, PRESETS)
    if style == "csv":
        raise UserError("--format is 'csv', which holds one table, and these are two: allowed are the others, as json")
    rows = scaling.bench_scaling()
    reckoned = scaling.reckon(preset)
    if style == "json":
        print(json.dumps({"scaling": rows, "reckoned": reckoned}))
        return
    parts = [
        formatted(rows, scaling.COLUMNS, style),
        f"\nexperiments like those of the preset {preset}:",
        formatted(reckoned, scaling.RECKONED, style),
    ]
    tell(together(parts, style), style=style)


def bench_of_model(what: str, folder: Path, style: str) -> None:
    from evaluate.run.flops import on_threads
    from evaluate.show.rows import formatted, together
    from evaluate.study import bench_cache, bench_model, bench_settling, bench_slots

    bench: ModuleType
    with on_threads(1):
        if what == "settling":
            rows, bench = bench_settling.bench_settling(folder), bench_settling
        elif what == "slots":
            rows, bench = bench_slots.bench_slots(folder), bench_slots
        elif what == "cache":
            rows, bench = bench_cache.bench_cache(), bench_cache
        else:
            rows, bench = bench_model.bench_model(), bench_model
    tell(together([formatted(rows, bench.COLUMNS, style), bench.LEGEND], style), style=style)


def show_model(arguments: Sequence[str]) -> None:
    """parts, parameters and FLOPs of a model"""
    parser = Parser(prog="run_benchmarks.py show-model", allow_abbrev=False, description=(
        "Sizes and parts by --architecture.NAME."))  # fmt: skip
    parser.add_argument("model", metavar="MODEL", nargs="?", default="rdt")
    parser.add_argument("--task", help="whose vocabulary it has (default the plugin's, else khop_facts)")
    add_format(parser)
    add_plugins(parser)
    known, rest = parser.parse_known_args(list(arguments))
    from evaluate.run.experiment import Experiment, as_named, override
    from evaluate.run.own_models import list_own_models
    from evaluate.show.rows import check_format, formatted, together
    from evaluate.study.parts import COLUMNS, LEGEND, show_model

    check_format(known.format)
    own = plugin.load(known.plugin)
    list_own_models()
    task = known.task or next(iter(own), "khop_facts")
    experiment = Experiment(task_class(task)(), known.model)  # type: ignore[call-arg]
    changes = overrides(rest, parser)
    e = as_named(override(experiment, changes))
    e.check()
    tell_unread(changes, [e.base])
    rows = show_model(e.base, e.architecture, e.vocabulary, e.train.mean_loops)
    told = textwrap.fill(LEGEND, 80)
    tell(together([formatted(rows, COLUMNS, known.format), told], known.format), style=known.format)


def audit(arguments: Sequence[str]) -> None:
    """what shortcuts would score at each depth of a task"""
    parser = Parser(prog="run_benchmarks.py audit", allow_abbrev=False, description=SIZES)
    parser.add_argument("tasks", metavar="TASK", nargs="*", help="default all, or those of --plugin")
    parser.add_argument("--depths", help="comma-separated, or ranges as 1-4 (default each task's test depths)")
    parser.add_argument("--count", type=int, default=1000, help="questions a depth (default 1000)")
    add_seed(parser)
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the rows as JSON lines")
    add_format(parser)
    add_plugins(parser)
    known, rest = parser.parse_known_args(joined(arguments))
    changes = overrides(rest, parser)
    at_least(known, seed=0, count=1)
    at_most(known, count=10**7, seed=2**32 - 1)  # which is the most that the learners take
    from evaluate.show import rows as shown
    from tasks.files import refuse_taken, write_new

    shown.check_format(known.format)
    if known.out:
        refuse_taken(known.out)
    rows = audited(asked_of(known, changes), known.count, known.seed)
    if known.out:
        write_new(known.out, "".join(json.dumps(row) + "\n" for row in rows))
    table = shown.formatted(rows, ("task", "depth", "shortcut", "score", "chance"), known.format)
    from evaluate.study.audit import MEANS

    means = [f"{name:12}  {MEANS[name]}" for name in dict.fromkeys(str(row["shortcut"]) for row in rows)]
    tell(shown.together([table, "\n".join([*means, shown.verdict(rows)])], known.format), style=known.format)


def asked_of(known: argparse.Namespace, changes: list[tuple[str, str]]) -> list[tuple[Task, int]]:
    """The tasks that were named, of the sizes that were set, each with the depths that it is asked at."""
    own = plugin.load(known.plugin)
    wanted = [name for words in known.tasks for name in names(words)] or own or list(TASKS)
    tasks: list[Task] = [task_class(name)() for name in wanted]  # type: ignore[call-arg]
    if changes:
        from evaluate.run.experiment import Experiment

        tasks = [sized(Experiment(task, "rdt"), changes).task for task in tasks]
    depths = whole_numbers("depths", known.depths) if known.depths is not None else None
    asked = [(task, depth) for task in tasks for depth in depths or task.test_depths]
    for task, depth in asked:
        task.check_depth(depth)
        check_plugin(task, [depth])
    return asked


def audited(asked: list[tuple[Task, int]], count: int, seed: int) -> list[dict[str, object]]:
    try:
        from evaluate.study.audit import audit as rows_of
    except ModuleNotFoundError as error:
        raise UserError(f"audit needs the module {error.name}: python -m pip install -r requirements.txt") from None
    from tqdm import tqdm

    cells = tqdm(asked, disable=None, leave=False)
    return [row for task, depth in cells for row in rows_of(task, [depth], count, seed)]


def claims(arguments: Sequence[str]) -> None:
    """test the field's claims, and print a ledger of verdicts"""
    parser = Parser(prog="run_benchmarks.py claims", allow_abbrev=False)
    parser.add_argument("claims", metavar="CLAIM", nargs="*", help="numbers or names (default all)")
    parser.add_argument("--quick", action="store_true", help="three training seeds, not ten: half an hour on two cores")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for the records (default results/claims)")
    parser.add_argument("--workers", type=int, default=0, help="processes (default 0: one a core)")
    parser.add_argument("--show", type=Path, metavar="DIR", help="print that folder's ledger again, and run nothing")
    add_format(parser)
    known = parser.parse_args(list(arguments))
    at_least(known, workers=0)
    from evaluate.show import ledger, rows

    rows.check_format(known.format)
    wanted = [name for words in known.claims for name in names(words)]
    for option in ("quick", "out", "workers"):
        if known.show and getattr(known, option):
            raise UserError(f"--{option}: --show runs nothing, and has no use for it")
    if known.claims and not wanted:
        raise UserError("no claim is named: allowed are numbers and names, or none for all")
    found = ledger.chosen(known.show, wanted) if known.show else carried_out(wanted, known)
    tell(ledger.show(found, known.format), style=known.format)


def carried_out(wanted: list[str], known: argparse.Namespace) -> list[Entry]:
    """The ledger of these claims, after the runs that its folder lacks."""
    from evaluate.run.ranks import by_torchrun
    from evaluate.run.sweep import Machine
    from evaluate.study.claims import carry

    if by_torchrun():
        raise UserError("claims trains models too small to share: begin it without torchrun; --workers says how many")
    numbers = carry.chosen(wanted)
    seeds, out = carry.QUICK if known.quick else carry.FULL, known.out or Path("results/claims")
    missing, seconds = carry.reckon(numbers, seeds, out)
    if missing:
        machine_minutes = seconds / 60 / min(missing, known.workers or os.cpu_count() or 1)
        print(f"{missing} runs to do, about {seconds / 60:.0f} core minutes: {machine_minutes:.0f} minutes here",
              file=sys.stderr if known.format in ("csv", "json") else sys.stdout, flush=True)  # fmt: skip
    options = [*(["--quick"] if known.quick else []), *(["--out", str(out)] if known.out else [])]
    try:
        return carry.carry(numbers, seeds, out, Machine("cpu", known.workers, 1, 64), options)
    except KeyboardInterrupt:
        raise UserError(f"stopped; what is whole is in {out}: the same command goes on from there") from None
    except BrokenPipeError:
        raise UserError(f"stopped, as nobody reads on; what is whole is in {out}") from None

"""The command line, and nothing else: `python run_benchmarks.py [VERB] ...`, `--help` for the verbs."""

from __future__ import annotations

import argparse
import difflib
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, NoReturn

from tasks import SPLITS, TASKS, Task, plugin, task_class
from tasks.errors import UserError, unknown

if TYPE_CHECKING:
    from evaluate.show.grid import Results


class Parser(argparse.ArgumentParser):
    """argparse with one line an error."""

    def error(self, message: str) -> NoReturn:
        raise UserError(message)


def names(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def not_empty(known: argparse.Namespace, *options: str) -> None:
    for option in options:
        text = getattr(known, option)
        if text is not None and not names(text):
            raise UserError(f"--{option} is {text!r}: allowed are names separated by commas")


def whole_numbers(option: str, text: str) -> list[int]:
    """A user's whole numbers, separated by commas; each once."""
    try:
        numbers = list(dict.fromkeys(int(part) for part in names(text)))
    except ValueError:
        numbers = []
    if not numbers:
        what = repr(text) if names(text) else "empty"
        raise UserError(f"--{option} is {what}: allowed are whole numbers separated by commas")
    return numbers


def at_least(known: argparse.Namespace, **least: int) -> None:
    for name, low in least.items():
        if not getattr(known, name) >= low:
            raise UserError(f"--{name.replace('_', '-')} is {getattr(known, name)}: allowed is {low} or more")


def add_plugins(parser: Parser) -> None:
    parser.add_argument("--plugin", action="append", default=[], metavar="FILE", help=plugin.HELP)


def add_format(parser: Parser) -> None:
    parser.add_argument("--format", default="simple", help="simple, github, plain, latex, csv or json (default simple)")


def add_seed(parser: Parser) -> None:
    parser.add_argument("--seed", type=int, default=0, help="of the questions (default 0)")


def parse_sized(parser: Parser, arguments: Sequence[str]) -> tuple[argparse.Namespace, Task]:
    """What a verb about one task was given, and that task, with the sizes set by --task.NAME."""
    known, rest = parser.parse_known_args(list(arguments))
    plugin.load(known.plugin)
    at_least(known, seed=0, count=1)
    task = task_class(known.task)()  # type: ignore[call-arg]
    changes = overrides(rest, parser)
    if changes:
        from evaluate.run.experiment import Experiment, override

        experiment = Experiment(task, "rdt")
        for name, value in changes:
            if not name.startswith("task."):
                raise UserError(f"unknown option --{name}: only the sizes of the task, --task.NAME, can be set here")
            experiment = override(experiment, name, value)
        task = experiment.task
        check_plugin_sizes(task)
    task.check_bands()
    return known, task


def check_plugin_sizes(task: Task) -> None:
    """A plugin was checked at its own sizes; at others it is checked again."""
    if plugin.origin(task) and task != type(task)():  # type: ignore[call-arg]
        plugin.check(task)


def run(arguments: Sequence[str]) -> None:
    """train, evaluate and show the experiments of a preset"""
    from evaluate import records
    from evaluate.run import board
    from evaluate.run.experiment import Experiment, as_named, override
    from evaluate.run.own_models import list_own_models
    from evaluate.run.presets import PRESETS
    from evaluate.run.sweep import ENGINES, Machine, sweep
    from evaluate.show import plots, tables
    from evaluate.show.grid import Results
    from model import MODELS

    parser = Parser(prog="run_benchmarks.py run", allow_abbrev=False, description=(
        "Besides these, any field of an experiment by its dotted name: --train.steps 500, --task.entities 200, "
        "--architecture.width 128, --evaluate.count 1000."))  # fmt: skip
    parser.add_argument("--preset", default="quick", help=f"{', '.join(PRESETS)} (default quick)")
    parser.add_argument("--tasks", help="only these, comma-separated (default the preset's, or those of --plugin)")
    parser.add_argument("--models", help="only these of the preset, comma-separated; variants: rdt@halting=none")
    parser.add_argument("--seeds", help="comma-separated (default the preset's; 0 for most)")
    parser.add_argument("--out", help="folder for the records (default results/PRESET)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (default auto)")
    parser.add_argument("--workers", type=int, default=0, help="processes (default: one a core)")
    parser.add_argument("--threads", type=int, default=1, help="of each process (default 1; 0 shares the cores out)")
    parser.add_argument("--batch", type=int, default=32, help="rows evaluated at a time (default 32)")
    parser.add_argument("--save-every", type=float, default=30.0, help="seconds between checkpoints (default 30)")
    parser.add_argument("--engine", default="local", help=f"{' or '.join(ENGINES)} (default local)")
    parser.add_argument("--compile", action="store_true", help="compile the Blocks: a minute to begin, then faster")
    parser.add_argument("--precision", help="of training: float32 or bfloat16; short for --train.precision")
    parser.add_argument("--tensorboard", action="store_true", help="log training to the folder's tensorboard/")
    add_plugins(parser)
    known, rest = parser.parse_known_args(list(arguments))

    if known.tensorboard:
        board.check_installed()
    if known.preset not in PRESETS:
        raise unknown("preset", known.preset, PRESETS)
    devices = ("auto", "cpu", "cuda", "mps")
    if known.device not in devices:
        raise unknown("device", known.device, devices)
    if known.engine not in ENGINES:
        raise unknown("engine", known.engine, ENGINES)
    at_least(known, workers=0, threads=0, batch=1, save_every=0)
    if known.threads > 1024:
        raise UserError(f"--threads is {known.threads}: allowed is 0 to 1024")
    not_empty(known, "tasks", "models")
    own = plugin.load(known.plugin)
    known.tasks = known.tasks or ",".join(own)
    own_models = list_own_models()
    known.models = known.models or ",".join(own_models)
    experiments: list[Experiment] = PRESETS[known.preset]()
    for kind, wanted, allowed in (("task", known.tasks, TASKS), ("model", known.models, MODELS)):
        for name in names(wanted or ""):
            base = name.partition("@")[0]  # of a model's name the rest is what is changed of it
            if base not in allowed:
                raise unknown(kind, base, allowed)
    experiments = chosen(experiments, names(known.tasks or ""), names(known.models or ""))
    if known.precision:
        rest = ["--train.precision", known.precision, *rest]
    for name, value in overrides(rest, parser):
        experiments = [override(e, name, value) for e in experiments]
    if known.seeds is not None:
        seeds = whole_numbers("seeds", known.seeds)
        experiments = [
            replace(e, seed=seed) for seed in seeds for e in dict.fromkeys(replace(e, seed=0) for e in experiments)
        ]
    experiments = [as_named(e) for e in experiments]
    for experiment in experiments:
        experiment.check()
    for task in dict.fromkeys(e.task for e in experiments):
        check_plugin_sizes(task)

    out = Path(known.out or f"results/{known.preset}")
    try:
        machine = Machine(
            known.device,
            known.workers,
            known.threads,
            known.batch,
            known.save_every,
            known.engine,
            known.tensorboard,
            known.compile,
        )
        if not sweep(experiments, out, machine):
            return  # another of torchrun's processes shows it
    except KeyboardInterrupt:
        raise UserError(f"stopped; what is whole is in {out}: the same command goes on from there") from None
    held = records.read(out)
    print(tables.heading(held))
    found = Results(held)
    print(tables.show(found))
    print("\nplots: " + ", ".join(str(path) for path in plots.draw_all(found, out / "plots")))


def chosen(experiments: list, tasks: list[str], models: list[str]) -> list:  # type: ignore[type-arg]
    """The preset's experiments of these tasks and models; a name that the preset lacks takes another's settings."""
    if tasks:
        first = [e for e in experiments if e.task == experiments[0].task]
        have = {name: [e for e in experiments if e.task.name == name] for name in tasks}
        experiments = [
            e
            for name in tasks
            for e in have[name] or [replace(e, task=task_class(name)()) for e in first]  # type: ignore[call-arg]
        ]
    if models:
        plain = list({(e.task.name, e.seed): e for e in experiments if e.model == e.base}.values())
        wanted = []
        for name in models:  # the preset's own of that name, or its variants of that model; else one by its settings
            own = [e for e in experiments if e.model == name] or [e for e in experiments if e.base == name]
            if not (own or plain):
                raise UserError(f"the preset has no settings for model {name!r}: it has variants of others alone")
            wanted += own or [replace(e, model=name) for e in plain]
        experiments = wanted
    return experiments


def overrides(rest: list[str], parser: argparse.ArgumentParser) -> list[tuple[str, str]]:
    """Pairs of a dotted name and a value from what the parser did not know."""
    pairs = []
    words = iter(rest)
    for word in words:
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--"):
            raise UserError(f"unexpected argument {word!r}: see --help")
        if "." not in name:
            options = [option for action in parser._actions for option in action.option_strings]
            near = difflib.get_close_matches(f"--{name}", options, n=1, cutoff=0.5)
            raise UserError(f"unknown option --{name}: {f'did you mean {near[0]}? ' if near else ''}see --help")
        if not equals:
            value = next(words, "--")
            if value.startswith("--"):
                raise UserError(f"--{name} has no value")
        pairs.append((name, value))
    return pairs


def list_(arguments: Sequence[str]) -> None:
    """tasks, models and presets, a line each"""
    parser = Parser(prog="run_benchmarks.py list", allow_abbrev=False)
    add_plugins(parser)
    plugin.load(parser.parse_args(list(arguments)).plugin)
    from evaluate.run.own_models import list_own_models
    from evaluate.run.presets import PRESETS

    list_own_models()
    from model import SUMMARIES

    sections = {
        "tasks": {name: task.summary for name, task in TASKS.items()},
        "models": SUMMARIES,
        "presets": {name: (preset.__doc__ or "").strip() for name, preset in PRESETS.items()},
    }
    for section, lines in sections.items():
        print(section)
        for name, summary in lines.items():
            print(f"  {name:17} {summary}")


def add_selection(parser: Parser) -> None:
    parser.add_argument("--tasks", help="only these, comma-separated")
    parser.add_argument("--models", help="only these, comma-separated")
    parser.add_argument("--rule", help="what headlines stand on: act, 40, ... (default the most loops asked for)")


def results_of(folder: Path, known: argparse.Namespace) -> Results:
    """What a folder holds of the tasks and models that were asked for."""
    from evaluate import records
    from evaluate.show.grid import Results
    from evaluate.show.tables import heading

    not_empty(known, "tasks", "models")
    held = records.read(folder)
    if known.format not in ("csv", "json", "latex"):
        print(heading(held), flush=True)
    results = Results(held)
    results.only(names(known.tasks or ""), names(known.models or ""))
    return results


def table(arguments: Sequence[str]) -> None:
    """print the tables of a folder again, from its records"""
    parser = Parser(prog="run_benchmarks.py table", allow_abbrev=False)
    parser.add_argument("folder", type=Path, help="that `run` has written, or one of its files")
    allowed = "grid, bands, measures, seeds, ratios, suite, summary"
    parser.add_argument("--section", help=f"only these, comma-separated: {allowed}")
    parser.add_argument("--seeds", action="store_true", help="every seed too")
    add_selection(parser)
    add_format(parser)
    known = parser.parse_args(list(arguments))
    not_empty(known, "section")
    from evaluate.show import rows, tables

    rows.check_format(known.format)
    sections = names(known.section or "")
    if known.seeds:
        sections = [*(sections or tables.SHOWN[:-1]), "seeds", *(() if sections else tables.SHOWN[-1:])]
    results = results_of(known.folder, known)
    print(tables.show(results, known.format, sections, known.rule))
    if known.format == "csv":  # which has no place for them
        print("".join(f"{note}\n" for note in results.notes), end="", file=sys.stderr)


def compare(arguments: Sequence[str]) -> None:
    """put folders, or models, side by side: differences, intervals, what is more than chance"""
    parser = Parser(prog="run_benchmarks.py compare", allow_abbrev=False)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER", help="the first is what others are held to")
    parser.add_argument("--force", action="store_true", help="show also what cannot be compared, and say so")
    add_selection(parser)
    add_format(parser)
    known = parser.parse_args(list(arguments))
    from evaluate.show import compare, rows

    rows.check_format(known.format)
    models, known.models = names(known.models or ""), None
    folders = [results_of(folder, known) for folder in known.folders]
    for results in folders:
        out = sys.stderr if known.format in ("csv", "json") else sys.stdout
        mark = "% " if known.format == "latex" else ""
        print("".join(f"{mark}{note}\n" for note in results.notes), end="", file=out)
    print(compare.show(compare.sides(folders, models), known.format, known.force, known.rule))


def report(arguments: Sequence[str]) -> None:
    """write one HTML file that shows all of a folder; of several folders, one that compares them"""
    parser = Parser(prog="run_benchmarks.py report", allow_abbrev=False)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--out", type=Path, metavar="FILE", help="default report.html in the first folder")
    parser.add_argument("--plots", action="store_true", help="PNG and SVG files too, in the folder's plots/")
    parser.add_argument("--force", action="store_true", help="show also what cannot be compared, and say so")
    parser.add_argument("--tasks", help="only these, comma-separated")
    parser.add_argument("--models", help="only these, comma-separated; with several folders, the sides")
    known = parser.parse_args(list(arguments))
    from evaluate.show import compare
    from evaluate.show import report as single
    from evaluate.show import report_compared as compared
    from tasks.files import refuse_taken, write_new

    if known.out:
        refuse_taken(known.out)
    models, known.format = names(known.models or ""), "json"
    if len(known.folders) > 1:
        known.models = None
    folders = [results_of(folder, known) for folder in known.folders]
    if len(folders) > 1:
        page = compared.compared_page(compare.sides(folders, models), folders, known.force)
    else:
        page = single.report(folders[0])
    out = known.out or folders[0].folder / "report.html"
    if not known.out and os.access(out.parent, os.W_OK):
        out.unlink(missing_ok=True)  # the last report of these records
    write_new(out, page)
    print(f"{out}: {len(page) / 1e6:.1f} MB")
    if known.plots:
        from evaluate.show import plots

        for results in folders:
            print("\n".join(str(path) for path in plots.draw_all(results, results.folder / "plots")))


def new_task(arguments: Sequence[str]) -> None:
    """write a working task to change into your own"""
    parser = Parser(prog="run_benchmarks.py new-task", allow_abbrev=False)
    parser.add_argument("name", metavar="NAME", help="lower-case letters, digits and _")
    parser.add_argument("--out", type=Path, metavar="FILE", help="default NAME.py in this folder")
    known = parser.parse_args(list(arguments))
    out = known.out or Path(f"{known.name}.py")
    plugin.write_skeleton(known.name, out)
    print(f"{out} holds a task that works; what to try:")
    for line in (f"show {known.name} --depth 3", f"audit {known.name}", "run --preset smoke"):
        print(f"  python run_benchmarks.py {line} --plugin {out}")


def show(arguments: Sequence[str]) -> None:
    """examples of a task with answers and the oracle's steps"""
    parser = Parser(prog="run_benchmarks.py show", allow_abbrev=False, description="Sizes by --task.NAME.")
    parser.add_argument("task", metavar="TASK")
    parser.add_argument("--depth", type=int, required=True)
    add_seed(parser)
    parser.add_argument("--count", type=int, default=1, help="examples (default 1)")
    parser.add_argument("--png", type=Path, metavar="FILE", help="draw the first example's graph")
    add_plugins(parser)
    known, task = parse_sized(parser, arguments)
    from evaluate.show import example
    from tasks import TRAIN, draw

    batch = draw(task, known.seed, TRAIN, known.depth, 0, known.count)
    title = f"{task.name}, depth {known.depth}, seed {known.seed}"
    if known.png:
        example.draw_graph(task, batch.tokens[0], known.png, title)
    print(f"{title}: {task.summary}")
    for tokens, targets in zip(batch.tokens, batch.targets, strict=True):
        print(f"\n{example.as_text(task, tokens, targets)}")
    if known.png:
        print(f"\ndrawn: {known.png}")


def export(arguments: Sequence[str]) -> None:
    """write examples of a task as JSON lines for use elsewhere"""
    parser = Parser(prog="run_benchmarks.py export", allow_abbrev=False, description="Sizes by --task.NAME.")
    parser.add_argument("task", metavar="TASK")
    parser.add_argument("--out", type=Path, metavar="FILE", required=True)
    parser.add_argument("--depths", help="comma-separated (default the split's band)")
    parser.add_argument("--count", type=int, default=100, help="examples a depth (default 100)")
    parser.add_argument("--split", default="test", help=f"{', '.join(SPLITS)} (default test); they share no example")
    add_seed(parser)
    add_plugins(parser)
    known, task = parse_sized(parser, arguments)
    if known.split not in SPLITS:
        raise unknown("split", known.split, SPLITS)
    from evaluate.show import example
    from tasks.files import refuse_taken, write_new

    refuse_taken(known.out)
    depths = getattr(task, f"{known.split}_depths") if known.depths is None else whole_numbers("depths", known.depths)
    lines = list(example.lines(task, depths, known.split, known.seed, known.count))
    write_new(known.out, "\n".join(lines) + "\n")
    asked = ", ".join(map(str, depths))
    print(f"{known.out}: {len(lines)} examples of {task.name}, depths {asked}, {known.split} split")


def bench(arguments: Sequence[str]) -> None:
    """how fast tasks and models are, and how costs grow"""
    parser = Parser(prog="run_benchmarks.py bench", allow_abbrev=False)
    parser.add_argument("--what", default="tasks", help=f"{', '.join(BENCHES)} (default tasks)")
    parser.add_argument("--folder", type=Path, default=Path("results/quick"), metavar="DIR",
                        help="whose weights `--what settling` and `slots` take (default results/quick)")  # fmt: skip
    parser.add_argument("--preset", default="quick", help="whose cost `--what scaling` reckons (default quick)")
    parser.add_argument("--tasks", help="only these, comma-separated")
    add_format(parser)
    add_plugins(parser)
    known = parser.parse_args(list(arguments))
    if known.what not in BENCHES:
        raise unknown("bench", known.what, BENCHES)
    from evaluate.show.rows import check_format, formatted

    if known.what in ("model", "cache", "slots", "settling"):
        check_format(known.format)
        return bench_of_model(known.what, known.folder, known.format)
    if known.what == "scaling":
        check_format(known.format)
        return bench_scaling(known.preset, known.format)
    from evaluate.study.bench_tasks import COLUMNS, LEGEND, bench_tasks

    check_format(known.format)
    own = plugin.load(known.plugin)
    wanted = names(known.tasks or "") or own or list(TASKS)
    rows = bench_tasks([task_class(name)() for name in wanted])  # type: ignore[call-arg]
    print(formatted(rows, COLUMNS, known.format))
    if known.format != "json":
        print(LEGEND)


def bench_of_model(what: str, folder: Path, style: str) -> None:
    import torch

    from evaluate.show.rows import formatted
    from evaluate.study import bench_cache, bench_model, bench_settling, bench_slots

    torch.set_num_threads(1)
    bench: ModuleType
    if what == "settling":
        rows, bench = bench_settling.bench_settling(folder), bench_settling
    elif what == "slots":
        rows, bench = bench_slots.bench_slots(folder), bench_slots
    elif what == "cache":
        rows, bench = bench_cache.bench_cache(), bench_cache
    else:
        rows, bench = bench_model.bench_model(), bench_model
    print(formatted(rows, bench.COLUMNS, style))
    if style != "json":
        print(bench.LEGEND)


def show_model(arguments: Sequence[str]) -> None:
    """parts, parameters and FLOPs of a model"""
    parser = Parser(prog="run_benchmarks.py show-model", allow_abbrev=False, description=(
        "Sizes and parts by --architecture.NAME."))  # fmt: skip
    parser.add_argument("model", metavar="MODEL", nargs="?", default="rdt")
    parser.add_argument("--task", default="khop_facts", help="whose vocabulary it has (default khop_facts)")
    add_format(parser)
    add_plugins(parser)
    known, rest = parser.parse_known_args(list(arguments))
    from evaluate.run.experiment import Experiment, as_named, override
    from evaluate.run.own_models import list_own_models
    from evaluate.show.rows import check_format, formatted
    from evaluate.study.parts import COLUMNS, LEGEND, show_model

    check_format(known.format)
    plugin.load(known.plugin)
    list_own_models()
    experiment = Experiment(task_class(known.task)(), known.model)  # type: ignore[call-arg]
    for name, value in overrides(rest, parser):
        experiment = override(experiment, name, value)
    e = as_named(experiment)
    e.check()
    rows = show_model(e.base, e.architecture, e.vocabulary, e.train.mean_loops)
    print(formatted(rows, COLUMNS, known.format))
    if known.format != "json":
        print(LEGEND)


BENCHES = ("tasks", "model", "cache", "slots", "settling", "scaling")


def bench_scaling(preset: str, style: str) -> None:
    from evaluate.run.presets import PRESETS
    from evaluate.show.rows import formatted
    from evaluate.study import bench_scaling as scaling

    if preset not in PRESETS:
        raise unknown("preset", preset, PRESETS)
    rows = scaling.bench_scaling()
    reckoned = scaling.reckon(preset)
    if style == "json":
        print(json.dumps({"scaling": rows, "reckoned": reckoned}))
        return
    print(formatted(rows, scaling.COLUMNS, style))
    print(f"\nexperiments like those of the preset {preset}:\n{formatted(reckoned, scaling.RECKONED, style)}")


def audit(arguments: Sequence[str]) -> None:
    """what shortcuts would score at each depth of a task"""
    parser = Parser(prog="run_benchmarks.py audit", allow_abbrev=False)
    parser.add_argument("tasks", metavar="TASK", nargs="*", help="default all, or those of --plugin")
    parser.add_argument("--depths", help="comma-separated (default each task's test depths)")
    parser.add_argument("--count", type=int, default=1000, help="questions a depth (default 1000)")
    add_seed(parser)
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the rows as JSON lines")
    add_format(parser)
    add_plugins(parser)
    known = parser.parse_args(list(arguments))
    at_least(known, seed=0, count=1)
    from evaluate.show import rows as shown
    from tasks.files import refuse_taken, write_new

    shown.check_format(known.format)
    if known.out:
        refuse_taken(known.out)
    own = plugin.load(known.plugin)
    wanted = [name for words in known.tasks for name in names(words)] or own or list(TASKS)
    tasks = [task_class(name)() for name in wanted]  # type: ignore[call-arg]
    depths = {task.name: whole_numbers("depths", known.depths) if known.depths else task.test_depths for task in tasks}
    for task in tasks:
        for depth in depths[task.name]:
            task.check_depth(depth)
    try:
        from evaluate.study.audit import audit as rows_of
    except ModuleNotFoundError as error:
        raise UserError(f"audit needs the module {error.name}: python -m pip install -r requirements.txt") from None
    from tqdm import tqdm

    cells = tqdm([(task, depth) for task in tasks for depth in depths[task.name]], disable=None, leave=False)
    rows = [row for task, depth in cells for row in rows_of(task, [depth], known.count, known.seed)]
    if known.out:
        write_new(known.out, "".join(json.dumps(row) + "\n" for row in rows))
    print(shown.formatted(rows, ("task", "depth", "shortcut", "score", "chance"), known.format))
    if known.format != "json":
        print(shown.verdict(rows))


def claims(arguments: Sequence[str]) -> None:
    """test the field's claims, and print a ledger of verdicts"""
    parser = Parser(prog="run_benchmarks.py claims", allow_abbrev=False)
    parser.add_argument("claims", metavar="CLAIM", nargs="*", help="numbers or names (default all)")
    parser.add_argument("--quick", action="store_true", help="three training seeds, not ten: half an hour on two cores")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for the records (default results/claims)")
    parser.add_argument("--workers", type=int, default=0, help="processes (default: one a core)")
    parser.add_argument("--show", type=Path, metavar="DIR", help="print that folder's ledger again, and run nothing")
    add_format(parser)
    known = parser.parse_args(list(arguments))
    at_least(known, workers=0)
    from evaluate.show import ledger, rows

    rows.check_format(known.format)
    wanted = [name for words in known.claims for name in names(words)]
    if known.claims and not wanted:
        raise UserError("no claim is named: allowed are numbers and names, or none for all")
    if known.show:
        print(ledger.show(ledger.chosen(known.show, wanted), known.format))
        return
    from evaluate.run.sweep import Machine
    from evaluate.study.claims import carry

    numbers = carry.chosen(wanted)
    seeds, out = carry.QUICK if known.quick else carry.FULL, known.out or Path("results/claims")
    told = sys.stderr if known.format in ("csv", "json") else sys.stdout
    missing, seconds = carry.reckon(numbers, seeds, out)
    if missing:
        machine_minutes = seconds / 60 / min(missing, known.workers or os.cpu_count() or 1)
        print(f"{missing} runs to do, about {seconds / 60:.0f} core minutes: {machine_minutes:.0f} minutes here",
              file=told, flush=True)  # fmt: skip
    options = [*(["--quick"] if known.quick else []), *(["--out", str(out)] if known.out else [])]
    try:
        found = carry.carry(numbers, seeds, out, Machine("cpu", known.workers, 1, 64), options)
    except KeyboardInterrupt:
        raise UserError(f"stopped; what is whole is in {out}: the same command goes on from there") from None
    print(ledger.show(found, known.format))


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {
    "run": run,
    "list": list_,
    "table": table,
    "compare": compare,
    "report": report,
    "show": show,
    "show-model": show_model,
    "new-task": new_task,
    "export": export,
    "bench": bench,
    "audit": audit,
    "claims": claims,
}


def main(arguments: Sequence[str]) -> int:
    """Carry out one command line; returns the exit status, 2 for a user's mistake."""
    verb, rest = (arguments[0], arguments[1:]) if arguments and not arguments[0].startswith("-") else ("run", arguments)
    if arguments[:1] in (["-h"], ["--help"]):
        print("usage: python run_benchmarks.py [VERB] [OPTIONS], VERB --help for its options\n")
        for name, command in COMMANDS.items():
            print(f"  {name:9}{command.__doc__}" + (" (the default)" if name == "run" else ""))
        return 0
    try:
        if verb not in COMMANDS:
            raise unknown("verb", verb, COMMANDS)
        COMMANDS[verb](rest)
    except UserError as error:
        print(f"run_benchmarks.py: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # whoever reads us has seen enough, as `| head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:  # a disk that is full, a file that cannot be read
        print(f"run_benchmarks.py: {error.filename or 'the system'}: {error.strerror or error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

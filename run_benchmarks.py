"""The command line, and nothing else: `python run_benchmarks.py [run|list|table] ...`."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from tasks.errors import UserError, unknown

VERBS = ("run", "list", "table")


class Parser(argparse.ArgumentParser):
    """argparse with one line an error."""

    def error(self, message: str) -> NoReturn:
        raise UserError(message)


def names(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def run(arguments: Sequence[str]) -> None:
    """train, evaluate and show the experiments of a preset"""
    from evaluate import records
    from evaluate.run.experiment import Experiment, override
    from evaluate.run.presets import PRESETS
    from evaluate.run.sweep import Machine, sweep
    from evaluate.show import plots, tables
    from model import MODELS
    from tasks import TASKS

    parser = Parser(prog="run_benchmarks.py run", allow_abbrev=False, description=(
        "Besides these, any field of an experiment by its dotted name: --train.steps 500, --task.entities 200, "
        "--architecture.width 128, --evaluate.count 1000."))  # fmt: skip
    parser.add_argument("--preset", default="quick", help=f"{', '.join(PRESETS)} (default quick)")
    parser.add_argument("--tasks", help="only these of the preset, comma-separated")
    parser.add_argument("--models", help="only these of the preset, comma-separated")
    parser.add_argument("--seeds", default="0", help="comma-separated (default 0)")
    parser.add_argument("--out", help="folder for the records (default results/PRESET)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (default auto)")
    parser.add_argument("--workers", type=int, default=0, help="processes (default: one a core)")
    parser.add_argument("--threads", type=int, default=1, help="threads of each process (default 1)")
    parser.add_argument("--batch", type=int, default=32, help="rows evaluated at a time (default 32)")
    known, rest = parser.parse_known_args(list(arguments))

    if known.preset not in PRESETS:
        raise unknown("preset", known.preset, PRESETS)
    devices = ("auto", "cpu", "cuda", "mps")
    if known.device not in devices:
        raise unknown("device", known.device, devices)
    for name, least in (("workers", 0), ("threads", 1), ("batch", 1)):
        if getattr(known, name) < least:
            raise UserError(f"--{name} is {getattr(known, name)}: allowed is {least} or more")
    experiments: list[Experiment] = PRESETS[known.preset]()
    for kind, wanted, allowed in (("task", known.tasks, TASKS), ("model", known.models, MODELS)):
        for name in names(wanted or ""):
            if name not in allowed:
                raise unknown(kind, name, allowed)
    experiments = chosen(experiments, names(known.tasks or ""), names(known.models or ""))
    for name, value in overrides(rest, parser):
        experiments = [override(e, name, value) for e in experiments]
    try:
        seeds = [int(seed) for seed in names(known.seeds)]
    except ValueError:
        raise UserError(f"--seeds is {known.seeds!r}: allowed are whole numbers separated by commas") from None
    if not seeds:
        raise UserError("--seeds is empty: allowed are whole numbers separated by commas")
    experiments = [replace(e, seed=seed) for seed in dict.fromkeys(seeds) for e in experiments]
    for experiment in experiments:
        experiment.check()

    out = Path(known.out or f"results/{known.preset}")
    try:
        sweep(experiments, out, Machine(known.device, known.workers, known.threads, known.batch))
    except KeyboardInterrupt:
        raise UserError(f"stopped; what is whole is in {out}: the same command goes on from there") from None
    found = records.read(out)
    print(tables.show(found))
    print("\nplots: " + ", ".join(str(path) for path in plots.draw_all(found, out / "plots")))


def chosen(experiments: list, tasks: list[str], models: list[str]) -> list:  # type: ignore[type-arg]
    """The preset's experiments of these tasks and models; a name that the preset lacks takes another's settings."""
    from tasks import task_class

    if tasks:
        have = {e.task.name: e.task for e in experiments}
        first = next(iter(have.values()))
        for name in tasks:
            have.setdefault(name, task_class(name)())  # type: ignore[call-arg]
        experiments = [replace(e, task=have[name]) for name in tasks for e in experiments if e.task == first]
    if models:
        base = list({e.task.name: e for e in experiments}.values())
        experiments = [replace(e, model=name) for name in models for e in base]
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
    Parser(prog="run_benchmarks.py list").parse_args(list(arguments))
    from evaluate.run.presets import PRESETS
    from model import SUMMARIES
    from tasks import TASKS

    sections = {
        "tasks": {name: task.summary for name, task in TASKS.items()},
        "models": SUMMARIES,
        "presets": {name: (preset.__doc__ or "").strip() for name, preset in PRESETS.items()},
    }
    for section, lines in sections.items():
        print(section)
        for name, summary in lines.items():
            print(f"  {name:17} {summary}")


def table(arguments: Sequence[str]) -> None:
    """print the tables of a folder again, from its records"""
    parser = Parser(prog="run_benchmarks.py table", allow_abbrev=False)
    parser.add_argument("folder", type=Path)
    known = parser.parse_args(list(arguments))
    from evaluate import records
    from evaluate.show import tables

    print(tables.show(records.read(known.folder)))


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {"run": run, "list": list_, "table": table}


def main(arguments: Sequence[str]) -> int:
    """Carry out one command line; returns the exit status, 2 for a user's mistake."""
    verb, rest = (arguments[0], arguments[1:]) if arguments and not arguments[0].startswith("-") else ("run", arguments)
    if arguments[:1] in (["-h"], ["--help"]):
        print("usage: python run_benchmarks.py [VERB] [OPTIONS], VERB --help for its options\n")
        for name, command in COMMANDS.items():
            print(f"  {name:8} {command.__doc__}" + (" (the default)" if name == "run" else ""))
        return 0
    try:
        if verb not in COMMANDS:
            raise unknown("verb", verb, COMMANDS)
        COMMANDS[verb](rest)
    except UserError as error:
        print(f"run_benchmarks.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

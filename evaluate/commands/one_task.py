"""The verbs about one task: a new one to change, its examples to look at or for use elsewhere, answers from there."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence
from pathlib import Path
from re import fullmatch
from shlex import quote

from evaluate.commands.options import (
    SIZES,
    Parser,
    add_plugins,
    add_seed,
    at_least,
    at_most,
    check_ending,
    check_plugin,
    overrides,
    sized,
    whole_numbers,
)
from evaluate.show.screen import tell
from tasks import SPLITS, Task, UserError, plugin, task_class
from tasks.errors import unknown


def parse_sized(parser: Parser, arguments: Sequence[str]) -> tuple[argparse.Namespace, Task]:
    """What a verb about one task was given, and that task, with the sizes set by --task.NAME."""
    known, rest = parser.parse_known_args(list(arguments))
    plugin.load(known.plugin)
    at_least(known, seed=0, **({"count": 1} if "count" in known else {}))
    at_most(known, **({"count": 10**7} if "count" in known else {}))
    task = task_class(known.task)()  # type: ignore[call-arg]
    changes = overrides(rest, parser)
    if changes:
        from evaluate.run.experiment import Experiment

        task = sized(Experiment(task, "rdt"), changes).task
        check_plugin(task)
    task.check_bands()
    return known, task


def new_task(arguments: Sequence[str]) -> None:
    """write a working task to change into your own"""
    parser = Parser(prog="run_benchmarks.py new-task", allow_abbrev=False)
    parser.add_argument("name", metavar="NAME", help="lower-case letters, digits and _")
    parser.add_argument("--out", type=Path, metavar="FILE", help="default NAME.py in this folder")
    known = parser.parse_args(list(arguments))
    out = known.out or Path(f"{known.name}.py")
    check_ending("out", out, ".py")
    plugin.write_skeleton(known.name, out)
    print(f"{out} holds a task that works; what to try:")
    for line in (
        f"show {known.name} --depth 3",
        f"audit {known.name}",
        f"run --preset smoke --out results/{known.name}",
    ):
        print(f"  python run_benchmarks.py {line} --plugin {quote(str(out))}")
    print("Records keep to one version of the file: once edited, it wants another --out.")


def show(arguments: Sequence[str]) -> None:
    """examples of a task with answers and the oracle's steps"""
    parser = Parser(prog="run_benchmarks.py show", allow_abbrev=False, description=SIZES)
    parser.add_argument("task", metavar="TASK")
    parser.add_argument("--depth", type=int, help="of the last question (default the deepest trained)")
    add_seed(parser)
    parser.add_argument("--count", type=int, default=1, help="examples (default 1)")
    parser.add_argument("--png", type=Path, metavar="FILE", help="draw the first example's graph")
    add_plugins(parser)
    known, task = parse_sized(parser, arguments)
    if known.png:
        check_ending("png", known.png, ".png")
    from evaluate.show import example
    from tasks import TRAIN, draw

    depth = task.train_depths[-1] if known.depth is None else known.depth
    check_plugin(task, [depth])
    batch = draw(task, known.seed, TRAIN, depth, 0, known.count)
    title = f"{task.name}, depth {depth}, seed {known.seed}"
    if known.png:
        example.draw_graph(task, batch.tokens[0], known.png, title)
    tell(textwrap.fill(f"{title}: {task.summary}", 80))
    for tokens, targets in zip(batch.tokens, batch.targets, strict=True):
        print(f"\n{example.as_text(task, tokens, targets)}")
    if known.png:
        print(f"\ndrawn: {known.png}")


def export(arguments: Sequence[str]) -> None:
    """write examples of a task as JSON lines for use elsewhere"""
    parser = Parser(prog="run_benchmarks.py export", allow_abbrev=False, description=SIZES)
    parser.add_argument("task", metavar="TASK")
    parser.add_argument("--out", type=Path, metavar="FILE", required=True)
    parser.add_argument("--depths", help="comma-separated, or ranges as 1-4 (default the split's band)")
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
    check_plugin(task, depths)
    lines = list(example.lines(task, depths, known.split, known.seed, known.count))
    write_new(known.out, "\n".join(lines) + "\n")
    asked = ", ".join(map(str, depths))
    print(f"{known.out}: {len(lines)} examples of {task.name}, depths {asked}, {known.split} split")


def score(arguments: Sequence[str]) -> None:
    """answers that a model gave elsewhere to exported questions, as records"""
    parser = Parser(prog="run_benchmarks.py score", allow_abbrev=False, description=SIZES)
    parser.add_argument("task", metavar="TASK")
    parser.add_argument("answered", type=Path, metavar="FILE", help="lines of `export`, each with a field `given`")
    parser.add_argument("--model", required=True, metavar="NAME", help="what the model is called in tables")
    parser.add_argument("--seed", type=int, default=0, help="of the model's training (default 0)")
    parser.add_argument("--parameters", type=int, default=0, metavar="N", help="how many it has, if known")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a folder of results, new or not")
    add_plugins(parser)
    known, task = parse_sized(parser, arguments)
    at_least(known, parameters=0)
    at_most(known, seed=2**31 - 1, parameters=10**18)
    if not known.answered.exists():  # best told before torch is loaded
        raise UserError(f"cannot read {str(known.answered)!r}: there is no such file")
    from evaluate import scored
    from evaluate.records import Records, Writer
    from evaluate.run.experiment import Experiment
    from evaluate.run.folder import claimed, refuse_sizes
    from evaluate.run.version import commit
    from model import MODELS

    if not fullmatch(r"(?a:[\w.-]{1,40})", known.model) or known.model in MODELS:
        allowed = "1 to 40 letters, digits and . - _, and no model of the suite"
        raise UserError(f"--model is {known.model!r}: allowed are {allowed}")
    plain = Experiment(task, "rdt").to_json()["task"]
    run, cells, notes = scored.score(task, plain, known.answered, known.model, known.seed, known.parameters, commit())
    with claimed(known.out):
        held = Records(known.out).runs
        if run.run in held:
            raise UserError(
                f"{str(known.out)!r} holds {known.model} on {task.name}, seed {known.seed}: all of its depths belong "
                "into one FILE; give another --out"
            )
        refuse_sizes(task, plain, held.values(), known.out)
        Writer(known.out).add(run, cells)
    told = ", ".join(f"{cell.correct} of {cell.count} at {cell.depth}" for cell in cells)
    tell(
        f"{task.name}, {known.model}: {told}",
        *notes,
        f"what comes of it: python run_benchmarks.py table {quote(str(known.out))}",
    )

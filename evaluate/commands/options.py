"""What verbs share: a parser with one line an error, the options of several verbs, and how words are read."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from evaluate.show.rows import FORMATS
from tasks import TASKS, Task, checks, plugin
from tasks.errors import UserError, unknown

if TYPE_CHECKING:
    from evaluate.run.experiment import Experiment


class Parser(argparse.ArgumentParser):
    """argparse with one line an error."""

    def error(self, message: str) -> NoReturn:
        if found := re.fullmatch(r"argument (\S+): invalid (int|float) value: (.*)", message):
            name, kind, value = found.groups()
            raise UserError(f"{name} is {value}: allowed is a {'whole ' if kind == 'int' else ''}number")
        raise UserError(message)


def add_plugins(parser: Parser) -> None:
    parser.add_argument("--plugin", action="append", default=[], metavar="FILE", help=plugin.HELP)


def add_format(parser: Parser) -> None:
    parser.add_argument("--format", default="simple", help=f"{', '.join(FORMATS)} (default simple)")


def add_seed(parser: Parser) -> None:
    parser.add_argument("--seed", type=int, default=0, help="of the questions (default 0)")


MOST_NUMBERS = 10_000
"""Of seeds or depths: more were hardly meant."""

SIZES = "Sizes by --task.NAME VALUE: `list TASK` names them."


def names(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def not_empty(known: argparse.Namespace, *options: str) -> None:
    for option in options:
        text = getattr(known, option)
        if text is not None and not names(text):
            raise UserError(f"--{option} is {text!r}: allowed are names separated by commas")


def check_held(folder: Path, wanted: Sequence[str], held: Sequence[str]) -> None:
    """Refuse a task of ours that a folder of records lacks: it is not misspelt."""
    for task in wanted:
        if task in TASKS and task not in held:
            raise UserError(f"{task} is not in {str(folder)!r}: it holds {', '.join(held)}")


def whole_numbers(option: str, text: str) -> list[int]:
    """A user's whole numbers and ranges of them, as 0-4, separated by commas; each once."""
    numbers: dict[int, None] = {}
    for part in names(text):
        found = re.fullmatch(r"(-?\d{1,99})(?:-(\d{1,99}))?", part)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if last >= first and len(numbers) + last - first >= MOST_NUMBERS:
            raise UserError(f"--{option} is {text!r}: allowed are {MOST_NUMBERS:,} numbers at most")
        if last < first:
            numbers = {}
            break
        numbers |= dict.fromkeys(range(first, last + 1))
    if not numbers:
        what = repr(text) if names(text) else "empty"
        raise UserError(f"--{option} is {what}: allowed are whole numbers separated by commas, and ranges as 0-4")
    return list(numbers)


def check_ending(option: str, path: Path, ending: str) -> None:
    if path.suffix != ending:
        raise UserError(f"--{option} is {str(path)!r}: allowed is a name that ends in {ending}")


def at_least(known: argparse.Namespace, **least: int) -> None:
    for name, low in least.items():
        if not getattr(known, name) >= low:
            raise UserError(f"--{name.replace('_', '-')} is {getattr(known, name)}: allowed is {low} or more")


DEVICES = ("auto", "cpu", "cuda", "mps")


def add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", help=f"{', '.join(DEVICES)} (default auto: cuda where it is there)")


def check_device(known: argparse.Namespace) -> None:
    if known.device not in DEVICES:
        raise unknown("device", known.device, DEVICES)


def at_most(known: argparse.Namespace, **most: int) -> None:
    for name, high in most.items():
        if not getattr(known, name) <= high:
            raise UserError(f"--{name.replace('_', '-')} is {getattr(known, name)}: allowed is {high} or less")


def overrides(rest: list[str], parser: Parser) -> list[tuple[str, str]]:
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


def joined(arguments: Sequence[str]) -> list[str]:
    """`--task.NAME VALUE` as one word, so that a verb that takes any number of words takes no value for one of them."""
    words: list[str] = []
    for word in arguments:
        if words and words[-1].startswith("--task.") and "=" not in words[-1] and not word.startswith("--"):
            words[-1] += f"={word}"
        else:
            words.append(word)
    return words


def sized(experiment: Experiment, changes: Sequence[tuple[str, str]]) -> Experiment:
    """The experiment with sizes of its task changed, by --task.NAME, and nothing else."""
    from evaluate.run.experiment import override

    for name, _ in changes:
        if not name.startswith("task."):
            raise UserError(f"unknown option --{name}: only the sizes of the task, --task.NAME, can be set here")
    return override(experiment, changes)


def tell_unread(changes: Sequence[tuple[str, str]], bases: Sequence[str]) -> None:
    """What was changed by name for models that have no use for it: told, and refused where nothing else was changed."""
    from evaluate.run.experiment import unread
    from evaluate.run.ranks import speaks

    models = tuple(dict.fromkeys(bases))
    by_models: dict[tuple[str, ...], list[str]] = {}
    for name in dict(changes):
        without = tuple(base for base in models if unread(base, name))
        by_models.setdefault(without, []).append(f"--{name}")
    if models and by_models.keys() == {models}:
        have = "have" if len(models) > 1 else "has"
        raise UserError(f"{', '.join(by_models[models])}: {' and '.join(models)} {have} no use for it")
    for without, changed in by_models.items():
        if without and speaks():
            print(f"{', '.join(changed)}: without effect on {', '.join(without)}", file=sys.stderr)


def check_plugin(task: Task, depths: Sequence[int] = ()) -> None:
    """A plugin was checked at its own sizes and bands: at other sizes, and at depths beside them, it is once more."""
    if not plugin.origin(task):
        return
    if task != type(task)():  # type: ignore[call-arg]
        checks.check(task)
    for depth in depths:
        if depth not in (*task.train_depths, *task.selection_depths, *task.test_depths):
            checks.check_beyond(task, depth)

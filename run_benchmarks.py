"""The command line, and nothing else: `python run_benchmarks.py [VERB] ...`, `--help` for the verbs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

from evaluate.commands import asking, measuring, one_task, reading, running
from evaluate.show.screen import tell
from tasks.errors import UserError, unknown

COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {
    "run": running.run,
    "list": running.list_,
    "table": reading.table,
    "compare": reading.compare,
    "report": reading.report,
    "ask": asking.ask,
    "show": one_task.show,
    "show-model": measuring.show_model,
    "new-task": one_task.new_task,
    "export": one_task.export,
    "score": one_task.score,
    "bench": measuring.bench,
    "audit": measuring.audit,
    "claims": measuring.claims,
}


def main(arguments: Sequence[str]) -> int:
    """Carry out one command line; returns the exit status, 2 for a user's mistake."""
    verb, rest = (arguments[0], arguments[1:]) if arguments and not arguments[0].startswith("-") else ("run", arguments)
    if arguments[:1] in (["-h"], ["--help"]):
        print("usage: python run_benchmarks.py [VERB] [OPTIONS], VERB --help for its options\n")
        for name, command in COMMANDS.items():
            tell(f"  {name:10}  {command.__doc__}" + (" (the default)" if name == "run" else ""))
        return 0
    try:
        if unreadable := [word for word in arguments if "\0" in word]:  # which no shell can pass on
            raise UserError(f"{unreadable[0]!r} holds a null character, which no option and no file name can have")
        if verb not in COMMANDS:
            raise unknown("verb", verb, COMMANDS)
        COMMANDS[verb](rest)
    except UserError as error:
        print(f"run_benchmarks.py: {error}", file=sys.stderr)
        return 2
    except MemoryError as error:
        print(f"run_benchmarks.py: it does not fit into memory{f': {error}' if str(error) else ''}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # whoever reads us has seen enough, as `| head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:  # a disk that is full, a file that cannot be read
        print(f"run_benchmarks.py: {error.filename or 'the system'}: {error.strerror or error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 - None where it was closed
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):  # a terminal that lacks a letter of a name shows its number
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    sys.exit(main(sys.argv[1:]))

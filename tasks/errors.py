"""A user's mistake, told in one line. Only the command line catches it, prints it and exits with status 2."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """What is wrong, the value, and what is allowed: one line, for people."""


def unknown(kind: str, name: str, allowed: Iterable[str]) -> UserError:
    """The error for a name that is not among `allowed`: the nearest spelling first, but for numbers, then all."""
    names = list(allowed)
    near = difflib.get_close_matches(name, [name for name in names if not name.isdigit()], n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return UserError(f"unknown {kind} {name!r}: {hint}allowed: {', '.join(names)}")


def check_sizes(task: object, **allowed: tuple[int, int]) -> None:
    """Refuse a field of a task that lies outside its (least, most), naming both."""
    for field, (least, most) in allowed.items():
        value = getattr(task, field)
        if not least <= value <= most:
            raise UserError(f"{getattr(task, 'name', task)}: {field} is {value}: allowed is {least} to {most}")


def check_prime(task: object, field: str, least: int, most: int) -> None:
    """Refuse a field of a task that is no prime from `least` to `most`."""
    value = getattr(task, field)
    if not least <= value <= most or any(value % k == 0 for k in range(2, int(value**0.5) + 1)):
        name = getattr(task, "name", task)
        raise UserError(f"{name}: {field} is {value}: allowed are the primes from {least} to {most}")

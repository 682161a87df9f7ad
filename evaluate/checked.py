"""Is a line that came from a file what its dataclass says? Files come from others, and are not taken on trust."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Any

MOST = 10**30  # no count, and no number of FLOPs, comes near


def anything(value: Any) -> bool:
    return True


def whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < MOST


def number(value: Any) -> bool:
    return whole(value) or (isinstance(value, float) and math.isfinite(value))


def word(value: Any) -> bool:
    return isinstance(value, str) and value != "" and value.isprintable()


def table(value: Any) -> bool:
    return isinstance(value, dict)


def words(value: Any) -> bool:
    return isinstance(value, dict) and all(map(word, value.values()))


def shares(value: Any) -> bool:
    """Lists of one length, each of shares of a whole."""
    if not isinstance(value, list) or not value or not all(isinstance(row, list) for row in value):
        return False
    if len({len(row) for row in value}) > 1 or not all(number(part) and part >= 0 for row in value for part in row):
        return False
    return all(abs(sum(row) - 1) < 1e-3 for row in value)


def counts(value: Any) -> bool:
    return isinstance(value, list) and all(whole(part) and part >= 0 for part in value)


def amounts(value: Any) -> bool:
    return isinstance(value, list) and all(part is None or (number(part) and 0 <= part < MOST) for part in value)


ALLOWED: dict[str, tuple[Callable[[Any], bool], str]] = {
    "str": (word, "a name"),
    "int": (whole, "a whole number"),
    "float": (number, "a number"),
    "dict[str, Any]": (table, "a table of fields"),
    "dict[str, str]": (words, "a table of names"),
    "list[list[float]]": (shares, "lists of shares that sum to 1"),
    "list[float | None]": (amounts, "a list of numbers of 0 or more"),
    "list[int]": (counts, "a list of whole numbers of 0 or more"),
    "bool": (lambda value: isinstance(value, bool), "true or false"),
}
"""By a field's annotation. A field of another kind is not looked at."""


def parsed(text: bytes) -> dict[str, Any] | None:
    """A line of JSON that is a table; None for any other."""
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return line if isinstance(line, dict) else None


def fault(kind: type, line: dict[str, Any]) -> str | None:
    """What is wrong with a line that should be a `kind`, a dataclass: the field, the value, what is allowed; or None.

    A field with a default may be missing; a field that `kind` does not have is another version's affair.
    """
    for field in fields(kind):
        annotation = str(field.type).removesuffix(" | None")
        if field.name not in line:
            if field.default is MISSING and field.default_factory is MISSING:
                return f"{field.name} is missing"
            continue
        allows, what = ALLOWED.get(annotation, (anything, ""))
        value = line[field.name]
        if not (allows(value) or (value is None and annotation != field.type)):
            return f"{field.name} is {shown(value)}: allowed is {what}"
    return None


def shown(value: Any) -> str:
    """A value of any kind and size, short enough for a line."""
    if isinstance(value, int) and not whole(value) and not isinstance(value, bool):
        return "a number beyond all bounds"
    text = ascii(value)
    return text if len(text) <= 40 else f"{text[:37]}..."

"""Small groups of permutations, for the tasks whose steps must not commute."""

from __future__ import annotations

from functools import cache
from itertools import permutations

import numpy as np

from tasks.errors import UserError

GROUPS = ("S3", "A4", "S4", "A5", "S5")


@cache
def elements(group: str) -> tuple[str, ...]:
    """The permutations of a group, each as its images ("120" sends 0 to 1, 1 to 2, 2 to 0); the identity first."""
    if group not in GROUPS:
        raise UserError(f"group is {group!r}: allowed are {', '.join(GROUPS)}")
    images = permutations(range(int(group[1])))
    return tuple("".join(map(str, p)) for p in images if group[0] == "S" or _even(p))


def _even(images: tuple[int, ...]) -> bool:
    return sum(a > b for i, a in enumerate(images) for b in images[i + 1 :]) % 2 == 0


def product_table(names: tuple[str, ...]) -> np.ndarray:
    """table[a, b] is the element "first a, then b"; int64 (elements, elements)."""
    images = np.array([[int(c) for c in name] for name in names])  # (elements, points)
    products = np.stack([images[b][images] for b in range(len(names))], axis=1)  # (a, b, point)
    place = {name: i for i, name in enumerate(names)}
    return np.array([[place["".join(map(str, p))] for p in row] for row in products.tolist()])


def then(a: str, b: str) -> str:
    """The element "first a, then b", by following each point: slow, and independent of the table."""
    return "".join(b[int(point)] for point in a)

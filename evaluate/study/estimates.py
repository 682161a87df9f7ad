"""What measured laws share: a figure with its 95% interval, and numbers that can be fitted at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

Values = Sequence[float] | np.ndarray


class Estimate(NamedTuple):
    """A figure and the ends of its 95% interval; an end is 0 or inf where the data set none."""

    value: float
    low: float
    high: float


def checked(**named: Values) -> list[np.ndarray]:
    """Arrays (n,) of one length, finite and above 0; ValueError names the first that is not."""
    arrays = {name: np.asarray(values, float) for name, values in named.items()}
    length = len(np.atleast_1d(next(iter(arrays.values()))))
    for name, array in arrays.items():
        if array.ndim != 1 or len(array) != length:
            raise ValueError(f"{name}: shape {array.shape}, must be ({length},) as {next(iter(arrays))} is")
        wrong = array[~(np.isfinite(array) & (array > 0))]
        if len(wrong):
            raise ValueError(f"{name}: {wrong[0]:g}, must be a finite number above 0")
    if not length:
        raise ValueError(f"{next(iter(arrays))}: no values, at least one is needed")
    return list(arrays.values())

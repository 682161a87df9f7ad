"""Random numbers of a training step, a row at a time: who trains on some rows of a batch draws for the whole batch and
takes those of its own, so that several processes draw what one would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

_rows: tuple[int, slice] | None = None


@contextmanager
def rows_of(batch: int, mine: slice) -> Iterator[None]:
    """Within it the rows at hand are these of a batch of so many.

    Noise on the state is put on the rows that have begun, which a process alone draws no more for: by it several
    processes train otherwise than one.
    """
    global _rows
    _rows = batch, mine
    try:
        yield
    finally:
        _rows = None


def uniform(rows: int, *shape: int, device: torch.device) -> Tensor:
    """Numbers from 0 to 1 (rows, *shape)."""
    if _rows is None:
        return torch.rand(rows, *shape, device=device)
    batch, mine = _rows
    return torch.rand(batch, *shape, device=device)[mine]


def normal_like(h: Tensor) -> Tensor:
    """Normally distributed numbers of the shape of h, whose rows are the first of those at hand, or all."""
    if _rows is None:
        return torch.randn_like(h)
    batch, mine = _rows
    return torch.randn_like(h.new_empty(batch, *h.shape[1:]))[mine][: len(h)]

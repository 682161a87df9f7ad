"""FLOPs, counted on a CPU wherever the model is, so that those of any two runs compare."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from evaluate.run.experiment import Experiment
from model import build


def on_cpu(model: nn.Module, experiment: Experiment) -> nn.Module:
    """A copy to count FLOPs by, as in training and without what a forward has kept, wherever the model is: on a GPU
    torch's counter sees other parts of attention and of recurrences."""
    copy = build(experiment.base, experiment.architecture, experiment.vocabulary, experiment.train.mean_loops)
    copy.load_state_dict(model.state_dict())
    return copy


@contextmanager
def on_threads(count: int) -> Iterator[None]:
    """So many of torch's threads, and afterwards as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def counted(call: Callable[[], Any]) -> int:
    """FLOPs of a call on a CPU by torch's counter. It sees nothing of what torch computes in one piece there: torch's
    own recurrences and encoder layers, as a user's model may have, are taken apart meanwhile; attention's products of
    queries, keys and values are not."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with warnings.catch_warnings():  # of GPUs by another maker, whose settings are set along with the CPU's
            warnings.simplefilter("ignore", UserWarning)
            with torch.backends.mkldnn.flags(enabled=False), FlopCounterMode(display=False) as counter:
                call()
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return int(counter.get_total_flops())


class Flops:
    """FLOPs of one question by torch's counter. They are linear in loops, so that two counts tell all others: for the
    suite's models (with `adapter_past=off` loops past the adapters cost less); for others it is assumed."""

    def __init__(self, model: nn.Module, row: Tensor) -> None:
        looped = getattr(model, "looped", True)
        self.once = counted(lambda: model(row, (1,) if looped else None))
        self.more = counted(lambda: model(row, (2,))) - self.once if looped else 0

    def at(self, loops: float | None) -> int:
        return round(self.once + self.more * ((1 if loops is None else loops) - 1))

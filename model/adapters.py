"""Linear maps of the recurrent block: tied over the loops, or with a low-rank adapter for each loop.

Every linear map of a Block is called with the loops that its rows are in, so that one Block serves both.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.config import ModelConfig

Loop = int | Tensor | None
"""Loops already done: one number for all rows; for rows in different loops, what `own_adapters` says of them; None
outside the loop."""


def own_adapters(loops: Tensor, config: ModelConfig) -> Tensor:
    """1 for the adapters, of all side by side, that rows which have done `loops` (batch,) use, and 0 for the others.

    Returns (batch, 1, adapter_loops * adapter_rank). As `adapter_of` says, for tensors.
    """
    count = config.adapter_loops
    hold = config.adapter_past == "hold"
    t = loops % count if config.adapter_past == "cycle" else loops.clamp(max=count - hold)
    own = t[:, None] == torch.arange(count, device=loops.device)
    return own.float().repeat_interleave(config.adapter_rank, dim=1)[:, None, :]


def adapter_of(loop: int, config: ModelConfig) -> int:
    """The number of the adapter that a loop uses: adapter_loops, which is none, where it is past them and `off`."""
    if config.adapter_past == "cycle":
        return loop % config.adapter_loops
    return min(loop, config.adapter_loops - (config.adapter_past == "hold"))


def shared_loop(loops: list[int], config: ModelConfig) -> int | None:
    """One loop whose adapters serve rows that have done `loops`; None if they need different ones."""
    if config.adapters == "none":
        return loops[0]
    return loops[0] if len({adapter_of(loop, config) for loop in loops}) == 1 else None


class Projection(nn.Linear):
    """A linear map without bias, the same in every loop."""

    __call__: Callable[..., Tensor]

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)
        nn.init.normal_(self.weight, std=inputs**-0.5)

    def at(self, loop: int | None) -> Tensor:
        """The matrix (outputs, inputs) that loop number `loop` multiplies by; None outside the loop."""
        return self.weight

    # the map in two steps, so that it can be taken apart: forward(x) = widen(x) @ matrix.T = finish(x @ tall.T)

    def widen(self, x: Tensor, loop: Loop) -> Tensor:
        """What `matrix` multiplies, for x (..., inputs): its columns beyond the inputs are the adapters'."""
        return x

    def matrix(self, loop: Loop) -> Tensor:
        return self.weight

    def tall(self, loop: Loop) -> Tensor:
        """A matrix whose products with parts of x may be added up before `finish`."""
        return self.weight

    def finish(self, y: Tensor, loop: Loop) -> Tensor:
        return y

    def forward(self, x: Tensor, loop: Loop = None) -> Tensor:
        return F.linear(self.widen(x, loop), self.matrix(loop))


class DepthwiseLoRA(Projection):
    """W + B_t A_t: loop t has a low-rank adapter of its own (Relaxed Recursive Transformers, 2410.20672).

    B starts at zero, so that the model starts tied. The adapters stand side by side in two matrices:
    `down` (loops * rank, inputs) and `up` (outputs, loops * rank).
    """

    def __init__(self, inputs: int, outputs: int, config: ModelConfig) -> None:
        super().__init__(inputs, outputs)
        self.config = config
        ranks = config.adapter_loops * config.adapter_rank
        self.down = nn.Parameter(torch.randn(ranks, inputs) * inputs**-0.5)
        self.up = nn.Parameter(torch.zeros(outputs, ranks))

    def at(self, loop: int | None) -> Tensor:
        if loop is None:
            return self.weight
        t, rank = adapter_of(loop, self.config), self.config.adapter_rank
        its = slice(t * rank, (t + 1) * rank)  # empty for an adapter that there is not
        return torch.addmm(self.weight, self.up[:, its], self.down[its])

    # rows in different loops: run all adapters side by side, keep each row's own, and add them in one product;
    # one loop for all rows: add its adapter to the weight, once

    def widen(self, x: Tensor, loop: Loop) -> Tensor:
        return torch.cat([x, F.linear(x, self.down) * loop], dim=-1) if isinstance(loop, Tensor) else x

    def matrix(self, loop: Loop) -> Tensor:
        return torch.cat([self.weight, self.up], dim=1) if isinstance(loop, Tensor) else self.at(loop)

    def tall(self, loop: Loop) -> Tensor:
        return torch.cat([self.weight, self.down]) if isinstance(loop, Tensor) else self.at(loop)

    def finish(self, y: Tensor, loop: Loop) -> Tensor:
        if not isinstance(loop, Tensor):
            return y
        return y[..., : self.out_features] + F.linear(y[..., self.out_features :] * loop, self.up)

"""Linear maps of the recurrent block: tied over the loops, or with a low-rank adapter for each loop.

Every linear map of a Block is called with the loops that its rows are in, so that one Block serves both.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.config import ModelConfig

Loop = int | Tensor | None
"""Loops already done: one number for all rows; for rows in different loops, what `own_adapters` says of them; None
outside the loop."""


def own_adapters(loops: Tensor, config: ModelConfig) -> Tensor:
    """1 for the adapters, of all side by side, that rows which have done `loops` (batch,) use, and 0 for the others.

    Returns (batch, 1, adapter_loops * adapter_rank).
    """
    count = config.adapter_loops
    t = loops % count if config.adapter_past == "cycle" else loops.clamp(max=count - 1)
    own = t[:, None] == torch.arange(count, device=loops.device)
    if config.adapter_past == "off":
        own = own & (loops < count)[:, None]
    return own.float().repeat_interleave(config.adapter_rank, dim=1)[:, None, :]


class Projection(nn.Linear):
    """A linear map without bias, the same in every loop."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)
        nn.init.normal_(self.weight, std=inputs**-0.5)

    def at(self, loop: int | None) -> Tensor:
        """The matrix (outputs, inputs) that loop number `loop` multiplies by; None outside the loop."""
        return self.weight

    def forward(self, x: Tensor, loop: Loop = None) -> Tensor:  # type: ignore[override]
        return F.linear(x, self.weight)


class DepthwiseLoRA(Projection):
    """W + B_t A_t: loop t has a low-rank adapter of its own (Relaxed Recursive Transformers, 2410.20672).

    B starts at zero, so that the model starts tied. The adapters stand side by side in two matrices:
    `down` (loops * rank, inputs) and `up` (outputs, loops * rank).
    """

    def __init__(self, inputs: int, outputs: int, config: ModelConfig) -> None:
        super().__init__(inputs, outputs)
        self.rank, self.loops, self.past = config.adapter_rank, config.adapter_loops, config.adapter_past
        self.down = nn.Parameter(torch.randn(self.loops * self.rank, inputs) * inputs**-0.5)
        self.up = nn.Parameter(torch.zeros(outputs, self.loops * self.rank))

    def at(self, loop: int | None) -> Tensor:
        if loop is None or (loop >= self.loops and self.past == "off"):
            return self.weight
        t = loop % self.loops if self.past == "cycle" else min(loop, self.loops - 1)
        its = slice(t * self.rank, (t + 1) * self.rank)
        return torch.addmm(self.weight, self.up[:, its], self.down[its])

    def forward(self, x: Tensor, loop: Loop = None) -> Tensor:  # type: ignore[override]
        if not isinstance(loop, Tensor):  # one loop for all rows: add its adapter to the weight, once
            return F.linear(x, self.at(loop))
        # rows in different loops: run all adapters side by side, keep each row's own, and add them in one product
        low = F.linear(x, self.down) * loop
        return F.linear(torch.cat([x, low], dim=-1), torch.cat([self.weight, self.up], dim=1))

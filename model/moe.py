"""The feed-forward part: shared and routed experts (DeepSeekMoE, 2401.06066), or one dense network to compare."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.adapters import Loop
from model.attention import Project
from model.config import ModelConfig


def no_autocast(device: str) -> AbstractContextManager[Any]:
    """Products as exact as what is multiplied, where there is an autocast to turn off: the meta device has none."""
    return torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext()


class Router(nn.Module):
    """Chooses the top k experts by score + bias and weighs them by score alone (2408.15664, auxiliary-loss-free).

    The scores are sigmoids and the k weights are normed to one, as in DeepSeek-V3 (2412.19437). One expert alone is
    weighed by its score as it is: a weight of one would teach the router nothing. Under autocast scores stay float32.

    The bias moves against the load by `rate` after each training step (`balance`), never by gradient.
    """

    bias: Tensor
    load: Tensor

    def __init__(self, width: int, experts: int, active: int, rate: float) -> None:
        super().__init__()
        self.active, self.rate = active, rate
        self.score = nn.Linear(width, experts, bias=False)
        nn.init.normal_(self.score.weight, std=width**-0.5)
        self.register_buffer("bias", torch.zeros(experts))
        self.register_buffer("load", torch.zeros(experts), persistent=False)  # positions routed since the last balance

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The experts chosen for x (..., width) and their weights, several summing to one: (..., active) both."""
        with no_autocast(x.device.type):
            scores = self.score(x.to(self.score.weight.dtype)).sigmoid()
        chosen = (scores + self.bias).topk(self.active, dim=-1).indices
        if self.training:
            with torch.no_grad():
                self.load.index_add_(0, chosen.flatten(), torch.ones_like(chosen.flatten(), dtype=self.load.dtype))
        weights = scores.gather(-1, chosen)
        return chosen, weights / weights.sum(-1, keepdim=True) if self.active > 1 else weights

    @torch.no_grad()
    def balance(self) -> None:
        """Move each expert's bias up if it had less than its share of the load, down if it had more."""
        self.bias += self.rate * (self.load.mean() - self.load).sign()
        self.load.zero_()


class MixtureOfExperts(nn.Module):
    """SwiGLU experts side by side in two matrices. Nothing is dropped and no expert has a capacity.

    Works in two ways that agree. In training on a CPU: expert by expert, on the positions that chose it, which is the
    least work. Elsewhere: all experts on all positions, with weight zero where one was not chosen. That never asks the
    device how many chose what, and a row's answer depends on the rows beside it by rounding alone.
    """

    def __init__(self, config: ModelConfig, project: Project) -> None:
        super().__init__()
        c = config
        self.experts, self.shared, self.hidden = c.experts, c.shared_experts, c.expert_width
        total = c.shared_experts + c.experts
        self.router = Router(c.width, c.experts, c.active_experts, c.balance_rate)
        self.enter = project(c.width, total * 2 * self.hidden)  # rows: each expert's gate, then its value
        self.leave = project(total * self.hidden, c.width)

    def forward(self, x: Tensor, loop: Loop = None) -> Tensor:
        """x: (..., width), and so is the result."""
        chosen, weights = self.router(x)
        if self.training and x.device.type == "cpu" and not torch.compiler.is_compiling():
            return self.by_expert(x, chosen, weights, loop)
        return self.all_at_once(x, chosen, weights, loop)

    def all_at_once(self, x: Tensor, chosen: Tensor, weights: Tensor, loop: Loop) -> Tensor:
        spread = weights.new_zeros(*x.shape[:-1], self.experts).scatter(-1, chosen, weights)
        spread = F.pad(spread, (self.shared, 0), value=1.0)[..., None]
        gate, value = self.enter(x, loop).unflatten(-1, (-1, 2, self.hidden)).unbind(-2)
        return self.leave((F.silu(gate) * value * spread).flatten(-2), loop)

    def by_expert(self, x: Tensor, chosen: Tensor, weights: Tensor, loop: Loop) -> Tensor:
        enter = self.enter.matrix(loop).split(2 * self.hidden)
        leave = self.leave.tall(loop).split(self.hidden, dim=1)
        inputs = self.enter.widen(x, loop).flatten(0, -2)

        def run(expert: int, part: Tensor) -> Tensor:
            gate, value = F.linear(part, enter[expert]).chunk(2, dim=-1)
            return F.linear(F.silu(gate) * value, leave[expert])

        flat = chosen.flatten()
        order = flat.argsort(stable=True)  # choices, expert by expert
        position = order // chosen.shape[-1]
        parts = inputs.index_select(0, position).split(torch.bincount(flat, minlength=self.experts).tolist())
        routed = torch.cat([run(self.shared + i, part) for i, part in enumerate(parts)])
        routed = routed * weights.flatten().index_select(0, order)[:, None]
        y = routed.new_zeros(len(inputs), routed.shape[1]).index_add(0, position, routed)
        for expert in range(self.shared):
            y = y + run(expert, inputs)
        return self.leave.finish(y.view(*x.shape[:-1], -1), loop)


class DenseFeedForward(nn.Module):
    """One SwiGLU network of as many hidden units as a position uses in the mixture: the shared and active experts'."""

    def __init__(self, config: ModelConfig, project: Project) -> None:
        super().__init__()
        hidden = config.expert_width * (config.shared_experts + config.active_experts)
        self.enter = project(config.width, 2 * hidden)
        self.leave = project(hidden, config.width)

    def forward(self, x: Tensor, loop: Loop = None) -> Tensor:
        """x: (batch, length, width), and so is the result."""
        gate, value = self.enter(x, loop).chunk(2, dim=-1)
        return self.leave(F.silu(gate) * value, loop)


FEED_FORWARD: dict[str, type[MixtureOfExperts | DenseFeedForward]] = {
    "moe": MixtureOfExperts,
    "dense": DenseFeedForward,
}

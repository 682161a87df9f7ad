"""The feed-forward part: shared and routed experts (DeepSeekMoE, 2401.06066), or one dense network to compare."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.adapters import Loop
from model.attention import Project
from model.config import ModelConfig


class Router(nn.Module):
    """Chooses the top k experts by score + bias and weighs them by score alone (2408.15664, auxiliary-loss-free).

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

    def forward(self, x: Tensor) -> Tensor:
        """Weights (..., experts) for x (..., width): they sum to one, and are zero for experts not chosen."""
        scores = self.score(x).sigmoid()
        chosen = torch.zeros_like(scores).scatter(-1, (scores + self.bias).topk(self.active, dim=-1).indices, 1.0)
        if self.training:
            with torch.no_grad():
                self.load += chosen.sum(dim=tuple(range(chosen.dim() - 1)))
        weights = scores * chosen
        return weights / weights.sum(-1, keepdim=True)

    @torch.no_grad()
    def balance(self) -> None:
        """Move each expert's bias up if it had less than its share of the load, down if it had more."""
        self.bias += self.rate * (self.load.mean() - self.load).sign()
        self.load.zero_()


class MixtureOfExperts(nn.Module):
    """SwiGLU experts side by side in two matrices; an expert that a position did not choose has weight zero.

    Nothing is dropped and no expert has a capacity.
    """

    def __init__(self, config: ModelConfig, project: Project) -> None:
        super().__init__()
        c = config
        self.total, self.shared, self.hidden = c.shared_experts + c.experts, c.shared_experts, c.expert_width
        self.router = Router(c.width, c.experts, c.active_experts, c.balance_rate)
        self.enter = project(c.width, self.total * 2 * self.hidden)
        self.leave = project(self.total * self.hidden, c.width)

    def forward(self, x: Tensor, loop: Loop = None) -> Tensor:
        """x: (batch, length, width), and so is the result."""
        weights = F.pad(self.router(x), (self.shared, 0), value=1.0)  # batch, length, experts in all
        gate, value = self.enter(x, loop).unflatten(-1, (2, self.total, self.hidden)).unbind(-3)
        return self.leave((F.silu(gate) * value * weights[..., None]).flatten(-2), loop)


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


FEED_FORWARD = {"moe": MixtureOfExperts, "dense": DenseFeedForward}

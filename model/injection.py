"""How the state h and the input e meet before each loop: one class a kind, h <- A h + B e."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.config import ModelConfig

SLOWEST = 2**-7
"""The least decay rate: A is at most exp(-1/128) = 0.992, which float32 and bfloat16 both hold apart from 1."""


class LTIInjection(nn.Module):
    """Diagonal A and B, the spectral radius of A below 1 by construction.

    After Parcae (2604.12946), whose B is a full matrix, and whose A and B share a learnt step.
    A = exp(-(SLOWEST + softplus(a))) for each channel: softplus is never negative and never NaN for a finite a, so
    that A lies in [0, exp(-SLOWEST)] whatever the parameter. Starts at `config.memory`, by default sqrt(1/5), as Parcae
    does.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        start = math.log(math.expm1(-math.log(config.memory) - SLOWEST))  # so that A starts at config.memory
        self.a = nn.Parameter(torch.full((config.width,), start))
        self.b = nn.Parameter(torch.ones(config.width))

    def decay(self) -> Tensor:
        """The diagonal of A (width,)."""
        return torch.exp(-(SLOWEST + F.softplus(self.a)))

    def forward(self, h: Tensor, e: Tensor) -> Tensor:
        """A h + B e; all (batch, length, width)."""
        return torch.addcmul(self.b * e, self.decay(), h)


class NormedInjection(LTIInjection):
    """A RMSNorm(h) + B e: whatever its size, the state has the same weight beside the input in every loop.

    For walks of many steps. A state that grows outweighs e, carries what it has left behind, and errors grow with it;
    and no trained depth tells, so that training does not keep it from growing. Huginn (Geiping et al., 2502.05171)
    norms what a loop has made; here a loop begins with the norm.
    """

    def forward(self, h: Tensor, e: Tensor) -> Tensor:
        return super().forward(F.rms_norm(h, h.shape[-1:]), e)


class UnconstrainedInjection(nn.Module):
    """Diagonal A and B without any bound: A starts where the LTI's does and may grow past 1.

    It differs from LTI in the bound alone. Parcae (2604.12946) compares itself with a full matrix of [h; e] instead.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.full((config.width,), config.memory))
        self.b = nn.Parameter(torch.ones(config.width))

    def decay(self) -> Tensor:
        """The diagonal of A (width,), any real numbers."""
        return self.a

    def forward(self, h: Tensor, e: Tensor) -> Tensor:
        """A h + B e; all (batch, length, width)."""
        return self.a * h + self.b * e


class AdditiveInjection(nn.Module):
    """h + e, with nothing to bound h: the plain looped transformer's.

    Input injection as in Yang et al. (2311.12424) and Fan et al. (2409.15647). The loop of Saunshi et al. (2502.17416)
    has none ("none"), and the recall of Bansal et al. (2202.05826) reads e beside h, not added to it.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()

    def forward(self, h: Tensor, e: Tensor) -> Tensor:
        return h + e


class NormedAdditiveInjection(nn.Module):
    """RMSNorm(h) + e: no A, no B, and yet a state that keeps its weight beside e (`looped_normed`). Is it A and B that
    carry depth, or any state that does not grow?

    That a loop wants e again and a norm on its state is argued in "Stability and Generalization in Looped Transformers"
    (2604.15259).
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()

    def forward(self, h: Tensor, e: Tensor) -> Tensor:
        return F.rms_norm(h, h.shape[-1:]) + e


class NoInjection(nn.Module):
    """h alone: e is seen once, as the first state, and never again."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()

    def forward(self, h: Tensor, e: Tensor) -> Tensor:
        return h


INJECTION = {
    "lti": LTIInjection,
    "normed": NormedInjection,
    "unconstrained": UnconstrainedInjection,
    "additive": AdditiveInjection,
    "normed_additive": NormedAdditiveInjection,
    "none": NoInjection,
}

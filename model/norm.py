"""RMSNorm (1910.07467): x / sqrt(mean(x^2) + eps), times a weight for each channel; eps is float32's own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class RMSNorm(nn.RMSNorm):
    """torch's own, with the derivative written out where torch makes it of many passes over memory: on a CPU."""

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., width), and so is the result."""
        plain = x.device.type != "cpu" or torch.compiler.is_compiling()
        y: Tensor = super().forward(x) if plain else InFewPasses.apply(x, self.weight)  # type: ignore[no-untyped-call]
        return y


class InFewPasses(torch.autograd.Function):
    """Of bfloat16 with float32's eps, as torch's own kernels have it.

    With s = 1 / sqrt(mean(x^2) + eps), y = s x w, and u = s x: dL/dw = sum(g u), dL/dx = s (g w - u mean(g w u)).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        size = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        scale = (size.square() / x.shape[-1] + torch.finfo(torch.promote_types(x.dtype, torch.float32)).eps).rsqrt()
        ctx.save_for_backward(x, scale, weight)
        y: Tensor = (x * scale).mul_(weight)
        return y

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor]:
        x, scale, weight = ctx.saved_tensors
        unit = x * scale
        along = g * unit
        back = (along @ weight.to(g.dtype) / -x.shape[-1])[..., None]
        return unit.mul_(back).addcmul_(g, weight.to(g.dtype)).mul_(scale), along.reshape(-1, x.shape[-1]).sum(0)

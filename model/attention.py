"""Multi-head Latent Attention (DeepSeek-V2, 2405.04434) with local and global heads, and full attention to compare.

Keys and values of every head are expanded from one small latent a position, which is all that a cache would hold,
together with one rotary key that all local heads share.
Local heads see the last `window` positions, with rotary positions. Global heads see everything up to their own
position and have no position signal, so that an input longer than any trained is nothing new to either kind.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.adapters import Loop
from model.config import ModelConfig

Project = Callable[[int, int], nn.Module]


@lru_cache(maxsize=16)
def angles(length: int, half: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosine and sine (length, half) of position times frequency, the frequencies falling from 1 to 1 / 10,000."""
    frequency = 10_000.0 ** (-torch.arange(half, device=device, dtype=torch.float32) / half)
    angle = torch.arange(length, device=device, dtype=torch.float32)[:, None] * frequency
    return angle.cos(), angle.sin()


def rotate(x: Tensor) -> Tensor:
    """Rotary positions (RoFormer, 2104.09864) on x (..., length, width), the pairs being (i, i + width / 2)."""
    cos, sin = angles(x.shape[-2], x.shape[-1] // 2, x.device)
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1).to(x.dtype)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(batch, length, heads * width) to (batch, heads, length, width)."""
    return x.unflatten(-1, (heads, x.shape[-1] // heads)).transpose(1, 2)


def see_window(q: Tensor, k: Tensor, v: Tensor, window: int) -> Tensor:
    """Each position attends to itself and the window - 1 before it; work grows with length, not with its square.

    q, k: (batch, heads, length, width); v: (batch, heads, length, value width); returns the shape of v.
    """
    length = q.shape[2]
    window = min(window, length)
    k = F.pad(k, (0, 0, window - 1, 0))
    v = F.pad(v, (0, 0, window - 1, 0))
    scores = torch.stack([(q * k[:, :, w : w + length]).sum(-1) for w in range(window)], dim=-1)
    scores = scores * q.shape[-1] ** -0.5  # batch, heads, length, window
    back = torch.arange(window - 1, -1, -1, device=q.device)  # how far back each entry of the window lies
    before_start = torch.arange(length, device=q.device)[:, None] < back
    weights = scores.masked_fill(before_start, float("-inf")).softmax(-1)
    out = weights[..., 0, None] * v[:, :, :length]
    for w in range(1, window):
        out = out + weights[..., w, None] * v[:, :, w : w + length]
    return out


def see_all(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Each position attends to itself and everything before it. Shapes as in see_window."""
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


class LatentAttention(nn.Module):
    """One projection reads x and gives queries, the latent and the shared rotary key; another expands the latent."""

    def __init__(self, config: ModelConfig, project: Project) -> None:
        super().__init__()
        c = self.config = config
        self.read = project(c.width, c.heads * c.head_width + c.local_heads * c.rope_width + c.latent + c.rope_width)
        self.normalise = nn.RMSNorm(c.latent)
        self.expand = project(c.latent, 2 * c.heads * c.head_width)
        self.write = project(c.heads * c.head_width, c.width)

    def forward(self, x: Tensor, loop: Loop = None, keep: Tensor | None = None) -> Tensor:
        """x: (batch, length, width). keep: (batch, global heads), zero where a row does without a global head."""
        c = self.config
        local = c.local_heads
        q, q_rope, latent, k_rope = self.read(x, loop).split(
            [c.heads * c.head_width, local * c.rope_width, c.latent, c.rope_width], dim=-1
        )
        k, v = split_heads(self.expand(self.normalise(latent), loop), c.heads).chunk(2, -1)
        q = split_heads(q, c.heads)
        seen = []
        if local:
            q_rope = rotate(split_heads(q_rope, local))
            k_rope = rotate(k_rope[:, None]).expand(-1, local, -1, -1)
            q_local, k_local = torch.cat([q[:, :local], q_rope], -1), torch.cat([k[:, :local], k_rope], -1)
            seen.append(see_window(q_local, k_local, v[:, :local], c.window))
        if local < c.heads:
            out = see_all(q[:, local:], k[:, local:], v[:, local:])
            seen.append(out if keep is None else out * keep[:, :, None, None])
        heads = seen[0] if len(seen) == 1 else torch.cat(seen, dim=1)
        return self.write(heads.transpose(1, 2).flatten(2), loop)


class FullAttention(nn.Module):
    """The same two kinds of heads with keys and values of their own (no latent), for the ablation of MLA."""

    def __init__(self, config: ModelConfig, project: Project) -> None:
        super().__init__()
        c = self.config = config
        self.read = project(c.width, 3 * c.heads * c.head_width)
        self.write = project(c.heads * c.head_width, c.width)

    def forward(self, x: Tensor, loop: Loop = None, keep: Tensor | None = None) -> Tensor:
        """Shapes as in LatentAttention."""
        c = self.config
        local = c.local_heads
        q, k, v = split_heads(self.read(x, loop), c.heads).chunk(3, -1)
        seen = []
        if local:
            seen.append(see_window(rotate(q[:, :local]), rotate(k[:, :local]), v[:, :local], c.window))
        if local < c.heads:
            out = see_all(q[:, local:], k[:, local:], v[:, local:])
            seen.append(out if keep is None else out * keep[:, :, None, None])
        heads = seen[0] if len(seen) == 1 else torch.cat(seen, dim=1)
        return self.write(heads.transpose(1, 2).flatten(2), loop)


ATTENTION = {"latent": LatentAttention, "full": FullAttention}

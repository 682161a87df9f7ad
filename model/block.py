"""The one Block that every model is built of: norm, attention, norm, feed-forward, each added to the stream."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from model.adapters import DepthwiseLoRA, Loop, Projection
from model.attention import ATTENTION, Places
from model.config import ModelConfig
from model.moe import FEED_FORWARD
from model.norm import RMSNorm


class Block(nn.Module):
    """x + attention(norm(x)), then + feed_forward(norm(x)). With `looped`, its projections may have adapters."""

    def __init__(self, config: ModelConfig, looped: bool = False) -> None:
        super().__init__()
        adapted = looped and config.adapters == "lora"
        project = partial(DepthwiseLoRA, config=config) if adapted else Projection
        self.attention_norm = RMSNorm(config.width)
        self.attention = ATTENTION[config.attention](config, project)
        self.feed_forward_norm = RMSNorm(config.width)
        self.feed_forward = FEED_FORWARD[config.feed_forward](config, project)
        nn.init.zeros_(self.attention.write.weight)  # a new Block changes nothing: a loop of them starts calm
        nn.init.zeros_(self.feed_forward.leave.weight)

    def forward(self, x: Tensor, loop: Loop = None, keep: Tensor | None = None) -> Tensor:
        """x: (batch, length, width), and so is the result. loop, keep: see DepthwiseLoRA and LatentAttention."""
        x = x + self.attention(self.attention_norm(x), loop, keep)
        return x + self.feed_forward(self.feed_forward_norm(x), loop)

    def forward_at(self, x: Tensor, places: Places) -> Tensor:
        """As forward outside the loop, for the positions at `places` alone: (n, width)."""
        return self.attend(places.of(x), places, self.attention.cached(self.attention_norm(x)))

    def attend(self, x: Tensor, places: Places, cache: Tensor, loop: int | None = None) -> Tensor:
        """As forward, for x (n, width) at `places` of rows whose other positions are in `cache`."""
        x = x + self.attention.attend(self.attention_norm(x), places, cache, loop)
        return x + self.feed_forward(self.feed_forward_norm(x), loop)

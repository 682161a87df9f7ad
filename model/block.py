"""The one Block that every model is built of: norm, attention, norm, feed-forward, each added to the stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import cast

from torch import Tensor, nn

from model.adapters import DepthwiseLoRA, Loop, Projection
from model.attention import ATTENTION, Places
from model.config import ModelConfig
from model.moe import FEED_FORWARD
from model.norm import RMSNorm


class Block(nn.Module):
    """x + attention(norm(x)), then + feed_forward(norm(x)). With `looped`, its projections may have adapters."""

    __call__: Callable[..., Tensor]

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
        y: Tensor = self.feed_forward(self.feed_forward_norm(x), loop)
        return x + y

    def forward_at(self, x: Tensor, places: Places) -> Tensor:
        """As forward outside the loop, for the positions at `places` alone: (n, width)."""
        return self.attend(places.of(x), places, self.attention.cached(self.attention_norm(x)))

    def attend(self, x: Tensor, places: Places, cache: Tensor, loop: int | None = None) -> Tensor:
        """As forward, for x (n, width) at `places` of rows whose other positions are in `cache`."""
        x = x + self.attention.attend(self.attention_norm(x), places, cache, loop)
        y: Tensor = self.feed_forward(self.feed_forward_norm(x), loop)
        return x + y


class Blocks(nn.ModuleList):
    """Blocks, one after another."""

    def __iter__(self) -> Iterator[Block]:
        return cast(Iterator[Block], super().__iter__())

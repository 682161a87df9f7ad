"""The baselines that do not loop: the same Block, stacked."""

from __future__ import annotations

from torch import Tensor, nn

from model.block import Block, Blocks
from model.config import ConfigError, ModelConfig
from model.draws import uniform
from model.injection import INJECTION
from model.moe import Router
from model.norm import RMSNorm
from model.rdt import Outputs, check_tokens, head_for


class Transformer(nn.Module):
    """`blocks` Blocks with weights of their own, between an embedding and a head.

    With a `stack_injection` it is a loop of `looped_normed`, unrolled, each pass by weights of its own: before it the
    norm of what the last one made, and the input once more.
    """

    looped = False

    def __init__(self, config: ModelConfig, vocabulary: int, blocks: int) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Embedding(vocabulary, config.width)
        nn.init.normal_(self.embed.weight)
        early = min(config.prelude_blocks, blocks)  # as far as those see that stand before the RDT's loop
        configs = [config.before_loop] * early + [config] * (blocks - early)
        self.blocks = Blocks(Block(c) for c in configs)
        self.again = range(0)
        if config.stack_injection != "none":
            self.again = range(early, blocks - config.coda_blocks, config.recurrent_blocks)
            self.input_norm = RMSNorm(config.width)
            self.inject = INJECTION[config.stack_injection](config)
        self.output_norm = RMSNorm(config.width)
        self.head = head_for(self.embed, config)
        self.routers = [m for m in self.modules() if isinstance(m, Router)]

    def read(self, tokens: Tensor, keep: Tensor | None = None) -> Tensor:
        """Logits (batch, length, vocabulary) for tokens (batch, length)."""
        check_tokens(tokens, self.embed.num_embeddings)
        x = e = self.embed(tokens)
        for at, block in enumerate(self.blocks):
            if at in self.again:
                if at == self.again.start:
                    x = e = self.input_norm(x)
                else:
                    x = self.inject(x, e)
            x = block(x, None, keep)
        logits: Tensor = self.head(self.output_norm(x))
        return logits

    def forward(self, tokens: Tensor, loops: tuple[int, ...] | None = None) -> Tensor:
        """Logits (1, batch, length, vocabulary). There are no loops to count, so that none may be asked for."""
        if loops is not None:
            raise ConfigError(f"loops is {loops}: this model does not loop, allowed is None")
        return self.read(tokens)[None]

    def training_outputs(self, tokens: Tensor, horizons: list[int], gradient_loops: int) -> Outputs:
        """As the RDT's, for the same training loop; the horizons mean nothing here."""
        global_heads = self.config.heads - self.config.local_heads
        keep = (uniform(len(tokens), global_heads, device=tokens.device) >= self.config.global_drop).float()
        logits = self.read(tokens, keep)
        return Outputs([logits], [], logits.new_zeros(()))

    def after_step(self) -> None:
        """As the RDT's: move the routers' biases against their load."""
        for router in self.routers:
            router.balance()

"""The baseline that recurs over tokens: one step of a recurrent network for each, and no loop over depth."""

from __future__ import annotations

from torch import Tensor, nn

from model.config import ConfigError, ModelConfig
from model.moe import no_autocast
from model.norm import RMSNorm
from model.rdt import Outputs, check_tokens, head_for

LAYERS = 2


class GRU(nn.Module):
    """Two layers of gated recurrent units (Cho et al., 1406.1078), between an embedding and a head.

    What stands in order, a step a token, is its own kind of depth: the state at a position is as many steps deep as
    there are tokens before it. So it tells apart what loops give from what any recurrence gives. Under autocast the
    recurrence stays float32.
    """

    looped = False

    def __init__(self, config: ModelConfig, vocabulary: int, units: int) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Embedding(vocabulary, config.width)
        nn.init.normal_(self.embed.weight)
        self.recurrent = nn.GRU(config.width, units, LAYERS, batch_first=True)
        self.narrow = nn.Linear(units, config.width, bias=False)
        self.output_norm = RMSNorm(config.width)
        self.head = head_for(self.embed, config)

    def forward(self, tokens: Tensor, loops: tuple[int, ...] | None = None) -> Tensor:
        """Logits (1, batch, length, vocabulary) for tokens (batch, length). There are no loops to count."""
        if loops is not None:
            raise ConfigError(f"loops is {loops}: this model does not loop, allowed is None")
        check_tokens(tokens, self.embed.num_embeddings)
        with no_autocast(tokens.device.type):  # cuDNN's recurrence would be in float16, whatever autocast is to
            states, _ = self.recurrent(self.embed(tokens))
        logits: Tensor = self.head(self.output_norm(self.narrow(states)))
        return logits[None]

    def training_outputs(self, tokens: Tensor, horizons: list[int], gradient_loops: int) -> Outputs:
        """As the RDT's, for the same training loop; the horizons mean nothing here, and all steps have gradient."""
        logits = self(tokens)[0]
        return Outputs([logits], [], logits.new_zeros(()))

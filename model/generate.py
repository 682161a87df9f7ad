"""Greedy generation with a cache: each new token costs one position, at any loop count.

What is cached is what attention reads of a position in a loop: one latent and one shared rotary key, or the keys and
values of full attention. Exact caches hold it for every loop; a shared one holds `slots` of them, loop t using slot
t mod slots (2502.05171), so that its size does not depend on the loop count, and later tokens read what the last loops
left there.
"""

from __future__ import annotations

import torch
from torch import Tensor

from model.attention import Places
from model.block import Blocks
from model.config import ConfigError
from model.halting import Halting
from model.rdt import RDT, check_loops


class Decoder:
    """A model with the caches of some rows: feed it positions in order, and it answers as the full forward would."""

    def __init__(self, model: RDT, batch: int, length: int, loops: int, slots: int | None = None) -> None:
        """length: the most positions that a row may come to have. slots: None for exact caches."""
        check_loops((loops,))
        if slots is not None and slots < 1:
            raise ConfigError(f"slots is {slots}: allowed is 1 or more, or None for a slot for every loop")
        self.model, self.loops, self.slots = model, loops, max(1, loops if slots is None else min(slots, loops))

        def empty(blocks: Blocks) -> list[Tensor]:
            return [block.attention.cache(batch, length) for block in blocks]

        self.prelude, self.coda = empty(model.prelude), empty(model.coda)
        self.recurrent = [empty(model.recurrent) for _ in range(self.slots)]

    @property
    def bytes(self) -> int:
        """The bytes that all caches hold."""
        return sum(cache.nbytes for caches in (self.prelude, self.coda, *self.recurrent) for cache in caches)

    @torch.no_grad()
    def feed(self, tokens: Tensor, places: Places, halting: bool = False) -> Tensor:
        """Logits (n, vocabulary) for tokens (n,) at `places`, whose rows have been fed everything before them.

        halting: the answers under the model's own gate after `loops` loops at most, rather than of the last state.
        """
        model = self.model

        def through(blocks: Blocks, x: Tensor, caches: list[Tensor], loop: int | None = None) -> Tensor:
            for block, cache in zip(blocks, caches, strict=True):
                x = block.attend(x, places, cache, loop)
            return x

        e = model.input_norm(through(model.prelude, model.embed(tokens), self.prelude))
        h = model.first(e)
        halted = Halting.start(h)
        for loop in range(self.loops):
            x = model.inject(h, e) + model.signal(loop, h)
            h = through(model.recurrent, x, self.recurrent[loop % self.slots], loop)
            if halting:
                assert model.gate is not None
                halted = halted.step(h, model.gate(h)[0])
        h = through(model.coda, halted.finish(h) if halting else h, self.coda)
        logits: Tensor = model.head(model.output_norm(h))
        return logits


@torch.no_grad()
def generate(
    model: RDT, prompts: list[Tensor], new: int, loops: int, slots: int | None = None, halting: bool = False
) -> Tensor:
    """The `new` likeliest tokens, one after another, behind each prompt (length,), of any length: (prompts, new)."""
    if halting and model.gate is None:
        raise ConfigError("halting is True, but this model has no gate: its configuration says halting 'none'")
    if not prompts or any(prompt.dim() != 1 or len(prompt) == 0 for prompt in prompts):
        raise ConfigError("prompts: allowed are one or more rows (length,) of at least one token each")
    device = prompts[0].device
    lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)
    longest = int(lengths.max()) + max(new, 1)
    column = torch.arange(longest, device=device)
    decoder = Decoder(model, len(prompts), longest, loops, slots)
    logits = decoder.feed(torch.cat(prompts), Places.where(column < lengths[:, None]), halting)
    latest = logits[lengths.cumsum(0) - 1].argmax(-1)
    made = [latest]
    for step in range(1, new):
        latest = decoder.feed(latest, Places.where(column == lengths[:, None] + step - 1), halting).argmax(-1)
        made.append(latest)
    return torch.stack(made[:new], dim=1) if new else latest.new_zeros(len(prompts), 0)

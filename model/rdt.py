"""The Recurrent-Depth Transformer: Prelude -> looped Recurrent Block -> Coda. Read it from top to bottom.

    e       = RMSNorm(Prelude(tokens))
    h_0     = 0
    h_{t+1} = A h_t + B e + Transformer(h_t, e)
    answer  = Coda(h_T)

A Block adds what it computes to what it is given, so that Block(A h + B e) is A h + B e + Transformer(h, e), the
Transformer reading A h + B e. With this injection, the default, h never grows without bound: A is below 1 and the
Transformer reads through a norm.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import count, islice
from typing import NamedTuple

import torch
from torch import Tensor, nn

from model.adapters import own_adapters, shared_loop
from model.attention import Places
from model.block import Block, Blocks
from model.config import ConfigError, ModelConfig
from model.draws import normal_like, uniform
from model.halting import GATE, Halting
from model.injection import INJECTION
from model.moe import Router
from model.norm import RMSNorm

PONDER = 0.01
"""The weight of the ponder cost."""


class Outputs(NamedTuple):
    """What a training step is judged by. Logits are (batch, length, vocabulary)."""

    answers: list[Tensor]  # the first is the model's own
    probes: list[Tensor]  # together as much as one answer
    penalty: Tensor  # scalar


class RDT(nn.Module):
    """The reference model. Its parts are chosen here, once, by their names."""

    looped = True

    def __init__(self, config: ModelConfig, vocabulary: int) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Embedding(vocabulary, config.width)
        nn.init.normal_(self.embed.weight)
        self.prelude = Blocks(Block(config.before_loop) for _ in range(config.prelude_blocks))
        self.input_norm = RMSNorm(config.width)
        self.inject = INJECTION[config.injection](config)
        self.disturb = partial(noisy, share=config.noise) if config.noise else undisturbed
        self.signal = sinusoidal if config.loop_signal == "sinusoidal" else no_signal
        self.recurrent = Blocks(Block(config, looped=True) for _ in range(config.recurrent_blocks))
        self.coda = Blocks(Block(config) for _ in range(config.coda_blocks))
        self.output_norm = RMSNorm(config.width)
        self.head = head_for(self.embed, config)
        self.gate = GATE[config.halting](config, vocabulary) if config.halting in GATE else None
        self.routers = [m for m in self.modules() if isinstance(m, Router)]

    # the three stages

    def encode(self, tokens: Tensor, keep: Tensor | None = None) -> Tensor:
        """e (batch, length, width) for tokens (batch, length): what every loop is given again."""
        check_tokens(tokens, self.embed.num_embeddings)
        x = self.embed(tokens)
        for block in self.prelude:
            x = block(x, None, keep)
        e: Tensor = self.input_norm(x)
        return e

    def first(self, e: Tensor) -> Tensor:
        """h_0 (batch, length, width): zero, or e itself where e is never injected."""
        return e if self.config.injection == "none" else torch.zeros_like(e)

    def step(self, h: Tensor, e: Tensor, t: int | Tensor, keep: Tensor | None = None) -> Tensor:
        """One loop: h_{t+1} from h_t and e, all (batch, length, width). t: loops done, a number or (batch,)."""
        loop = own_adapters(t, self.config) if isinstance(t, Tensor) else t
        x: Tensor = self.inject(h, e) + self.signal(t, h)
        for block in self.recurrent:
            x = block(x, loop, keep)
        return x

    def read(self, h: Tensor, keep: Tensor | None = None, places: Places | None = None) -> Tensor:
        """Logits (batch, length, vocabulary) for a state h, or (n, vocabulary) at these places alone."""
        if places is not None:
            return self.read_at(h, places)
        for block in self.coda:
            h = block(h, None, keep)
        logits: Tensor = self.head(self.output_norm(h))
        return logits

    def read_at(self, h: Tensor, places: Places) -> Tensor:
        """As `read`, at these places alone: of the others the last Block takes keys and values, and no more."""
        *early, last = self.coda or (None,)
        for block in early:
            h = block(h)
        h = last.forward_at(h, places) if last else places.of(h)
        logits: Tensor = self.head(self.output_norm(h))
        return logits

    # inference

    def trajectory(self, tokens: Tensor) -> Iterator[Tensor]:
        """h_0, h_1, h_2, ... without end, each (batch, length, width); holds one state at a time."""
        e = self.encode(tokens)
        h = self.first(e)
        for loop in count():
            yield h
            h = self.step(h, e, loop)

    def forward(self, tokens: Tensor, loops: tuple[int, ...], places: Places | None = None) -> Tensor:
        """Logits (len(loops), batch, length, vocabulary) from one pass: 1..64 cost 64 loops, not 2,080.

        With places, (len(loops), n, vocabulary): the answers there, without the work for any others.
        """
        check_loops(loops)
        states = enumerate(islice(self.trajectory(tokens), loops[-1] + 1))
        return torch.stack([self.read(h, places=places) for done, h in states if done in loops])

    # training

    def training_outputs(self, tokens: Tensor, horizons: list[int], gradient_loops: int) -> Outputs:
        """Unroll row i for horizons[i] loops, the last `gradient_loops` of them with gradient.

        Horizons must fall from row to row. All rows end together: a row with a shorter horizon starts later, so that
        the loops with gradient are the same for all, and the rows that have not started cost no more than the gate,
        whose probe is judged on their first states too, and learns that nothing is known there.
        """
        batch, last, device = len(tokens), horizons[0], tokens.device
        global_heads = self.config.heads - self.config.local_heads
        keep = (uniform(batch, global_heads, device=device) >= self.config.global_drop).float()
        at = sent(torch.tensor(horizons), device)
        e = self.encode(tokens, keep)
        cut = max(0, last - gradient_loops)

        with torch.no_grad():
            given = e.detach()
            h = self.first(given).clone()
            halting = Halting.start(h)
            for t in range(cut):
                n, loop = self.started(horizons, at, last - t)
                h[:n] = self.step(self.disturb(h[:n]), given[:n], loop, keep[:n])
                if self.gate is not None:
                    part = Halting(*(x[:n] for x in halting)).step(h[:n], self.gate(h[:n])[0])
                    for whole, new in zip(halting, part, strict=True):
                        whole[:n] = new
        torch.clear_autocast_cache()  # older torch hands on from there weights that were cast without gradient
        begun = sum(horizon > last - cut for horizon in horizons)
        h = torch.cat([h[:begun], self.first(e[begun:])])
        if self.config.late:
            h = torch.where(late_starters(h, self.config.late), self.first(e), h)
        probes = []
        for t in range(cut, last):
            n, loop = self.started(horizons, at, last - t)
            new = self.step(self.disturb(h[:n]), e[:n], loop, keep[:n])
            h = new if n == batch else torch.cat([new, h[n:]])
            if self.gate is not None:
                probability, probe = self.gate(h)
                halting = halting.step(h, probability).where(n, halting)
                if probe is not None:
                    probes.append(probe)
        if self.gate is None:
            return Outputs([self.read(h, keep)], [], h.new_zeros(()))
        answers = self.read(torch.cat([h, halting.finish(h)]), keep.repeat(2, 1)).chunk(2)
        return Outputs(list(answers), probes, PONDER * halting.ponder().mean())

    def started(self, horizons: list[int], at: Tensor, left: int) -> tuple[int, int | Tensor]:
        """How many rows have started when `left` loops are left, and what `step` takes for the loops that they have
        done: one number where that is all the same to it. `at`: the horizons where the model is."""
        done = [horizon - left for horizon in horizons if horizon >= left]
        shared = shared_loop(done, self.config) if self.config.loop_signal == "none" else None
        return len(done), at[: len(done)] - left if shared is None else shared

    def after_step(self) -> None:
        """Called once after each training step: move the routers' biases against their load."""
        for router in self.routers:
            router.balance()


def head_for(embed: nn.Embedding, config: ModelConfig) -> nn.Linear:
    """From a normed state to logits, by weights of its own; or by the embedding's (Press and Wolf, 1608.05859), which
    then begins as small as a head does."""
    vocabulary, width = embed.weight.shape
    head = nn.Linear(width, vocabulary, bias=False)
    nn.init.normal_(head.weight, std=width**-0.5)
    if config.head == "tied":
        embed.weight = head.weight
    return head


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """A copy there: to a GPU from pinned memory, so that nobody waits for it."""
    return (tensor.pin_memory() if device.type == "cuda" else tensor).to(device, non_blocking=True)


def late_starters(h: Tensor, share: float) -> Tensor:
    """(batch, length, 1): in this share of the rows, all positions from a random one on.

    Who walks at one position is done within the first loops of a trained row, and rests in those after them. Started
    late it walks among states as old as they are on longer walks, and with gradient through every step. What the gate
    has summed up stays: a position that had halted keeps its halted answer, and does not learn to halt once more.
    """
    batch, length = h.shape[:2]
    place = (uniform(batch, 1, 1, device=h.device) * length / share).floor()  # past the end in the other rows
    return torch.arange(length, device=h.device)[:, None] >= place


def noisy(h: Tensor, share: float) -> Tensor:
    """h (batch, length, width) and noise of this share of its size, so that in training a loop has to answer right from
    what is only near the state that it was left (after 2102.04877)."""
    size = h.detach().square().mean(-1, keepdim=True).sqrt()
    return h + share * size * normal_like(h)


def undisturbed(h: Tensor) -> Tensor:
    """The default: a state is handed on as it is."""
    return h


def no_signal(t: int | Tensor, h: Tensor) -> float:
    """The default: a loop does not know which one it is, except by its adapter."""
    return 0.0


def sinusoidal(t: int | Tensor, h: Tensor) -> Tensor:
    """A sinusoidal code of the loop's index, after Universal Transformers (1807.03819): (width,), or, for rows in
    loops t (batch,) of their own, (batch, 1, width)."""
    half = h.shape[-1] // 2
    index = t.to(h.dtype)[:, None, None] if isinstance(t, Tensor) else float(t)
    angle = index * 10_000.0 ** (-torch.arange(half, device=h.device, dtype=h.dtype) / half)
    return torch.cat([angle.sin(), angle.cos()], dim=-1)


def check_tokens(tokens: Tensor, vocabulary: int) -> None:
    """Refuse tokens that are not below `vocabulary`, where looking does not mean waiting for a device."""
    if tokens.device.type == "cpu" and tokens.numel():
        least, most = (int(x) for x in tokens.aminmax())
        if least < 0 or most >= vocabulary:
            raise ConfigError(f"a token is {least if least < 0 else most}: this model's are 0 to {vocabulary - 1}")


def check_loops(loops: tuple[int, ...]) -> None:
    """Refuse loop counts that are not a non-empty, increasing tuple of whole numbers of at least 0."""
    if not loops or list(loops) != sorted(set(loops)) or loops[0] < 0:
        raise ConfigError(f"loops is {tuple(loops)}: allowed are increasing whole numbers of 0 or more, at least one")

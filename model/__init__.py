"""What answers: the list of models, by name. Every one but the GRU is built of one kind of Block."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from model.baseline import Transformer
from model.config import ConfigError, ModelConfig, unknown
from model.gru import GRU
from model.rdt import RDT, check_loops


def parameters(model: nn.Module) -> int:
    """The number of trained numbers in a model."""
    return sum(p.numel() for p in model.parameters())


def _rdt(config: ModelConfig, vocabulary: int, mean_loops: float) -> nn.Module:
    return RDT(config, vocabulary)


PLAIN: dict[str, Any] = {"feed_forward": "dense", "adapters": "none", "halting": "none"}


def _looped(config: ModelConfig, vocabulary: int, mean_loops: float) -> nn.Module:
    return RDT(replace(config, injection="additive", **PLAIN), vocabulary)


def _looped_normed(config: ModelConfig, vocabulary: int, mean_loops: float) -> nn.Module:
    return RDT(replace(config, injection="normed_additive", **PLAIN), vocabulary)


def _matched(config: ModelConfig, vocabulary: int, blocks: int, target: int) -> Transformer:
    """So many Blocks, each as wide inside as gives them all together so many parameters, or nearest to that."""
    with torch.device("meta"):
        narrow, wide = (
            parameters(Transformer(replace(config, expert_width=w), vocabulary, blocks)) for w in (1, 2)
        )  # parameters are linear in the width
    width = max(1, round(1 + (target - narrow) / (wide - narrow)))
    return Transformer(replace(config, expert_width=width), vocabulary, blocks)


def _rdt_size(config: ModelConfig, vocabulary: int) -> int:
    with torch.device("meta"):
        return parameters(RDT(config, vocabulary))


def _transformer(config: ModelConfig, vocabulary: int, mean_loops: float) -> nn.Module:
    """One Block for each of the RDT's, each with wider experts, so that parameters match the RDT's."""
    blocks = config.prelude_blocks + config.recurrent_blocks + config.coda_blocks
    return _matched(config, vocabulary, blocks, _rdt_size(config, vocabulary))


def _transformer_deep(config: ModelConfig, vocabulary: int, mean_loops: float) -> nn.Module:
    """As many Blocks as the RDT passes through at its mean training loops, so that FLOPs a token match the RDT's."""
    blocks = config.prelude_blocks + round(config.recurrent_blocks * mean_loops) + config.coda_blocks
    return Transformer(config, vocabulary, blocks)


ORDINARY: dict[str, Any] = {"attention": "full", "feed_forward": "dense", "window": 2**20, "prelude_window": 0}
"""Blocks of the usual kind: each head has keys and values of its own, and sees the whole row (none is longer)."""


def _transformer_rope(config: ModelConfig, vocabulary: int, mean_loops: float) -> nn.Module:
    """As many ordinary Blocks as come nearest to the RDT's parameters, each then as wide inside as matches them."""
    ordinary, target = replace(config, local_heads=config.heads, **ORDINARY), _rdt_size(config, vocabulary)
    with torch.device("meta"):
        none, one = (parameters(Transformer(ordinary, vocabulary, blocks)) for blocks in (0, 1))
    return _matched(ordinary, vocabulary, max(1, round((target - none) / (one - none))), target)


def _gru(config: ModelConfig, vocabulary: int, mean_loops: float) -> nn.Module:
    """As many units as give it the RDT's parameters, or nearest to them."""

    def size(units: int) -> int:
        return parameters(GRU(config, vocabulary, units))

    target = _rdt_size(config, vocabulary)
    with torch.device("meta"):
        above = max(2, bisect_left(range(2**14), target, lo=1, key=size))
        units = min(above - 1, above, key=lambda units: abs(size(units) - target))
    return GRU(config, vocabulary, units)


MODELS: dict[str, Callable[[ModelConfig, int, float], nn.Module]] = {
    "rdt": _rdt,
    "looped": _looped,
    "looped_normed": _looped_normed,
    "transformer": _transformer,
    "transformer_deep": _transformer_deep,
    "transformer_rope": _transformer_rope,
    "gru": _gru,
}

SUMMARIES = {
    "rdt": "the full Recurrent-Depth Transformer",
    "looped": "the plain looped transformer: no A/B injection, experts, adapters or halting",
    "looped_normed": "`looped`, with a norm on its state before each loop",
    "transformer": "no loop, as many parameters as the RDT",
    "transformer_deep": "no loop, as many FLOPs a token as the RDT at its mean training loops",
    "transformer_rope": "no loop, ordinary heads that see the whole row and all places, as many parameters as the RDT",
    "gru": "a recurrence over tokens in place of depth, as many parameters as the RDT",
}

ADAPTERS = ("adapters", "adapter_rank", "adapter_loops")
OF_LOOPS = ("loop_signal", "memory", "noise", "late", "adapter_past")
OF_STACKS = ("stack_injection",)
OF_BLOCKS = ("window", "prelude_window", "active_experts", "global_drop", "balance_rate")
OF_THE_RDT = ("injection", "memory", "halting", "feed_forward", "experts", "balance_rate", "adapter_past", *ADAPTERS)
UNREAD: dict[str, tuple[str, ...]] = {
    "rdt": OF_STACKS,
    "looped": (*OF_THE_RDT, *OF_STACKS),
    "looped_normed": (*OF_THE_RDT, *OF_STACKS),
    "transformer": OF_LOOPS,
    "transformer_deep": ("injection", "halting", *OF_LOOPS, *ADAPTERS),
    "transformer_rope": (*OF_LOOPS, "window", "prelude_window", "global_drop", "balance_rate"),
    "gru": (*OF_LOOPS, *OF_BLOCKS, *OF_STACKS),
}
"""Fields of a ModelConfig without which a model is the same, as it is what it is by another choice of them or has no
use for them: a variant that says it changed one would be no other model. What has as many parameters as the RDT depends
on all that changes these."""


def build(name: str, config: ModelConfig, vocabulary: int, mean_loops: float) -> nn.Module:
    """The model of that name, with fresh weights from torch's current seed. `mean_loops`: the RDT's in training."""
    if name not in MODELS:
        raise unknown("model", name, tuple(MODELS))
    return MODELS[name](config, vocabulary, mean_loops)


__all__ = [
    "GRU",
    "MODELS",
    "RDT",
    "SUMMARIES",
    "UNREAD",
    "ConfigError",
    "ModelConfig",
    "Transformer",
    "build",
    "check_loops",
    "parameters",
]

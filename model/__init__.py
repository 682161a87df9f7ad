"""What answers: the list of models, by name. Every one is built of the same Block."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import nn

from model.baseline import Transformer
from model.config import ConfigError, ModelConfig, unknown
from model.rdt import RDT, check_loops


def parameters(model: nn.Module) -> int:
    """The number of trained numbers in a model."""
    return sum(p.numel() for p in model.parameters())


def _rdt(config: ModelConfig, vocabulary: int, mean_loops: float) -> nn.Module:
    return RDT(config, vocabulary)


def _looped(config: ModelConfig, vocabulary: int, mean_loops: float) -> nn.Module:
    plain = replace(config, injection="additive", feed_forward="dense", adapters="none", halting="none")
    return RDT(plain, vocabulary)


def _transformer(config: ModelConfig, vocabulary: int, mean_loops: float) -> nn.Module:
    """One Block for each of the RDT's, each with wider experts, so that parameters match the RDT's."""
    blocks = config.prelude_blocks + config.recurrent_blocks + config.coda_blocks
    with torch.device("meta"):
        target = parameters(RDT(config, vocabulary))
        narrow, wide = (
            parameters(Transformer(replace(config, expert_width=w), vocabulary, blocks)) for w in (1, 2)
        )  # parameters are linear in the experts' width
    width = max(1, round(1 + (target - narrow) / (wide - narrow)))
    return Transformer(replace(config, expert_width=width), vocabulary, blocks)


def _transformer_deep(config: ModelConfig, vocabulary: int, mean_loops: float) -> nn.Module:
    """As many Blocks as the RDT passes through at its mean training loops, so that FLOPs a token match the RDT's."""
    blocks = config.prelude_blocks + round(config.recurrent_blocks * mean_loops) + config.coda_blocks
    return Transformer(config, vocabulary, blocks)


MODELS: dict[str, Callable[[ModelConfig, int, float], nn.Module]] = {
    "rdt": _rdt,
    "looped": _looped,
    "transformer": _transformer,
    "transformer_deep": _transformer_deep,
}

SUMMARIES = {
    "rdt": "the full Recurrent-Depth Transformer",
    "looped": "the plain looped transformer: no A/B injection, experts, adapters or halting",
    "transformer": "no loop, as many parameters as the RDT",
    "transformer_deep": "no loop, as many FLOPs a token as the RDT at its mean training loops",
}


def build(name: str, config: ModelConfig, vocabulary: int, mean_loops: float) -> nn.Module:
    """The model of that name, with fresh weights from torch's current seed. `mean_loops`: the RDT's in training."""
    if name not in MODELS:
        raise unknown("model", name, tuple(MODELS))
    return MODELS[name](config, vocabulary, mean_loops)


__all__ = [
    "MODELS",
    "RDT",
    "SUMMARIES",
    "ConfigError",
    "ModelConfig",
    "Transformer",
    "build",
    "check_loops",
    "parameters",
]

"""A small RDT and some tokens, for the tests of the model."""

from dataclasses import replace

import torch
from torch import nn

from model import RDT, ModelConfig

SMALL = ModelConfig(width=32, head_width=8, latent=16, rope_width=4, expert_width=16)
VOCABULARY = 20
MATCHED = ("transformer", "transformer_rope", "gru")  # as many parameters as the RDT, whatever that takes


def shaken(module):
    """The module as if it had been trained: weights that start at zero are moved."""
    for parameter in module.parameters():
        if parameter.dim() == 2 and not parameter.any():
            nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5)
    return module


def rdt(**changes):
    return shaken(RDT(replace(SMALL, **changes), VOCABULARY)).eval()


def some_tokens(batch=3, length=7):
    return torch.randint(VOCABULARY, (batch, length))

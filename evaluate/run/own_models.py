"""A user's own models: what a plugin holds under MODELS is proven on a few rows, and then listed beside ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from model import MODELS, SUMMARIES, ModelConfig
from tasks import UserError, plugin

_own: dict[str, str] = {}  # the plugin's stamp of each model that is listed


def list_own_models(check: bool = True) -> list[str]:
    """List the models of all loaded plugins; returns their names. `check`: False where another process has done it."""
    names = []
    for name, (make, stamp) in plugin.models().items():
        if name in MODELS and name not in _own:
            raise UserError(f"{stamp.split()[0]}: the name {name!r} is already taken: choose another")
        if check:
            check_model(name, make)
        MODELS[name], _own[name] = make, stamp
        SUMMARIES[name] = (make.__doc__ or f"from {stamp.split()[0]}").strip().split("\n")[0]
        names.append(name)
    return names


def model_origin(name: str) -> str | None:
    """The plugin that a model comes from, so that edited code is another experiment; None for one of ours."""
    return _own.get(name)


@torch.no_grad()
def check_model(name: str, make: Callable[..., Any]) -> None:
    """Prove the contract of a model on random tokens: shapes, numbers, causality; one line where it is broken."""
    vocabulary, batch, length = 7, 2, 6
    try:
        net = make(ModelConfig(), vocabulary, 12.0)
        if not isinstance(net, nn.Module):
            raise UserError(f"model {name!r} is a {type(net).__name__}: allowed is a torch.nn.Module")
        net.eval()
        loops = (1, 3) if getattr(net, "looped", True) else None
        tokens = torch.randint(vocabulary, (batch, length), generator=torch.Generator().manual_seed(0))
        logits, other = (
            net(tokens, loops),
            net(torch.cat([tokens[:, :-1], (tokens[:, -1:] + 1) % vocabulary], 1), loops),
        )
    except UserError:
        raise
    except Exception as error:
        message = " ".join(str(error).split())
        raise UserError(f"model {name!r} raised {type(error).__name__}: {message}") from error
    wanted = (len(loops) if loops else 1, batch, length, vocabulary)
    if not isinstance(logits, torch.Tensor) or tuple(logits.shape) != wanted:
        have = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise UserError(f"model {name!r}: forward(tokens, {loops}) gave {have}: allowed are logits {wanted}")
    if not logits.isfinite().all():
        raise UserError(f"model {name!r}: its logits are not all finite")
    if not torch.allclose(logits[:, :, :-1], other[:, :, :-1], atol=1e-4):
        raise UserError(f"model {name!r} answers a position by what stands behind it: allowed are causal models")

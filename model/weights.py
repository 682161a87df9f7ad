"""Trained weights on disk: safetensors and nothing else, so that a file from a stranger is data and never code."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import nn

from model.config import ConfigError


def load_weights(model: nn.Module, path: Path) -> None:
    """Put the weights that `run` left in `path` into a model of the same configuration, or say what is in the way."""
    if not path.is_file():
        raise ConfigError(f"no weights file {str(path)!r}")
    try:
        with safe_open(path, framework="pt") as file:
            held = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (it is no dictionary)
    except (SafetensorError, OSError, ValueError) as error:
        why = " ".join(str(error).split())
        allowed = "allowed is one that `run` wrote"
        raise ConfigError(f"{str(path)!r} is no whole safetensors file ({why}): {allowed}") from None
    wanted = model.state_dict()
    for name in sorted({*held, *wanted}):
        here, there = (tuple(x[name].shape) if name in x else "missing" for x in (wanted, held))
        if here != there:
            raise ConfigError(f"{str(path)!r} is of another model: {name} is {there} in the file, {here} in this model")
    model.load_state_dict(held)

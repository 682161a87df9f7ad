"""What a cache holds for one position: a latent and one rotary key, against all keys and values."""

from __future__ import annotations

from typing import Any

import torch

from model import ModelConfig
from model.adapters import Projection
from model.attention import ATTENTION

COLUMNS = ("sizes", "latent", "full", "ratio")
LEGEND = "bytes of one position in one layer, as float32: of the tensors that a cache of 1,000 positions allocates"

SIZES = {
    "quick": ModelConfig(),
    "DeepSeek-V2": ModelConfig(width=5120, heads=128, head_width=128, local_heads=64, latent=512, rope_width=64),
}


def bench_cache(positions: int = 1000) -> list[dict[str, Any]]:
    """A row for each size."""
    rows = []
    for name, config in SIZES.items():
        with torch.device("meta"):
            held = {kind: made(config, Projection).cache(1, positions).nbytes for kind, made in ATTENTION.items()}
        each = {kind: size // positions for kind, size in held.items()}
        rows.append({"sizes": name, **each, "ratio": each["full"] / each["latent"]})
    return rows

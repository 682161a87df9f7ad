"""What a model is made of: its parts with their parameters and FLOPs, for `show-model`."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from model import RDT, ModelConfig, build, parameters

COLUMNS = ("part", "what", "parameters", "FLOPs")
LENGTH = 32
LEGEND = (
    f"FLOPs: matrix products for one token of a row of {LENGTH}, by torch's counter; in one loop for what is looped.\n"
    "A Block holds the parts below it."
)


def show_model(name: str, config: ModelConfig, vocabulary: int, mean_loops: float) -> list[dict[str, Any]]:
    """A row for each part, in the order in which a token passes them: parameters, and FLOPs of one token.

    FLOPs are torch's own count of matrix products on a row of LENGTH tokens, divided by them; of one loop for what
    is looped.
    """
    with torch.device("meta"):
        net = build(name, config, vocabulary, mean_loops).eval()
        tokens = torch.zeros(1, LENGTH, dtype=torch.long)
        with FlopCounterMode(display=False) as counter:
            net(tokens, (1,) if getattr(net, "looped", True) else None)
    flops = {path.partition(".")[2]: sum(count.values()) for path, count in counter.get_flop_counts().items()}
    rows = []
    for path, part in net.named_modules():
        direct = path != "" and "." not in path and not isinstance(part, nn.ModuleList)
        if direct or _inside_block(path):
            rows.append([path, type(part).__name__, parameters(part), flops.get(path, 0) // LENGTH])
    rows.append(["in all", "one loop" if isinstance(net, RDT) else "", parameters(net), flops.get("", 0) // LENGTH])
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows]


def _inside_block(path: str) -> bool:
    """A Block of a list, or its attention or feed-forward."""
    words = path.split(".")
    return len(words) in (2, 3) and words[1].isdigit() and (len(words) == 2 or not words[2].endswith("norm"))

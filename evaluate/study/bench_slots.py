"""What cache slots that loops share cost a trained model in accuracy, when it is fed token by token."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from evaluate.run.extrapolation import questions
from evaluate.study.bench_settling import TASK, knowing
from model.attention import Places
from model.generate import Decoder

SLOTS, DEPTHS, ROWS = (None, 8, 4, 2, 1), (5, 10, 20), 64
COLUMNS = ("depth", "loops", "slots", "accuracy", "equal", "bytes")
LEGEND = (
    f"{TASK}, {ROWS} rows fed token by token; slots: None for one a loop, which is exact. accuracy: of all questions\n"
    f"asked on the way; equal: the share of them answered as by the exact cache. bytes: of all caches."
)


@torch.no_grad()
def bench_slots(folder: Path) -> list[dict[str, Any]]:
    """A row for each depth and number of slots."""
    model, experiment = knowing(folder)
    rows = []
    for depth in DEPTHS:
        batch = questions(experiment.task, depth, ROWS, experiment.evaluate.seed)
        tokens, targets = torch.from_numpy(batch.tokens), torch.from_numpy(batch.targets)
        loops, asked, column = max(32, 3 * depth), targets >= 0, torch.arange(tokens.shape[1]).expand_as(tokens)
        exact = None
        for slots in SLOTS:
            decoder = Decoder(model, len(tokens), tokens.shape[1], loops, slots)
            told = [decoder.feed(tokens[:, i], Places.where(column == i)).argmax(-1) for i in range(tokens.shape[1])]
            answers = torch.stack(told, dim=1)[asked]
            exact = answers if exact is None else exact
            right, same = (float((answers == other).float().mean()) for other in (targets[asked], exact))
            values = (depth, loops, decoder.slots if slots else None, right, same, decoder.bytes)
            rows.append(dict(zip(COLUMNS, values, strict=True)))
    return rows

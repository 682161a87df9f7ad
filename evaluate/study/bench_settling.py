"""What loops over the moving positions alone cost by depth, against the full loop, for a trained model."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import torch

from evaluate import records
from evaluate.run.experiment import Experiment, from_json
from evaluate.run.extrapolation import questions
from evaluate.study.weights import trained
from model import RDT
from model.settling import settle
from tasks import UserError

TASK, DEPTHS = "khop_facts", (80, 160, 320, 640)
ROWS, FULL_POSITIONS = 32, 2560
COLUMNS = ("depth", "accuracy", "loops", "share", "seconds", "slope", "full", "faster", "compared", "equal")
LEGEND = (
    f"{TASK}, {ROWS} rows; loops: of the slowest row. share: positions computed, of those in a full loop. seconds: of\n"
    f"this process's own time; slope: of their logarithm over depth's, from the first depth on. full: seconds of as\n"
    f"many full loops, reckoned from {FULL_POSITIONS} positions; faster: full over seconds; compared: the asked\n"
    f"ones of these, and equal: the share of them that answers as it does there; last, of all depths pooled."
)


def bench_settling(folder: Path, rounds: int = 3) -> list[dict[str, Any]]:
    """A row for each depth, and one for all of them pooled."""
    model, experiment = knowing(folder)
    rows: list[dict[str, Any]] = []
    for depth in DEPTHS:
        batch = questions(experiment.task, depth, ROWS, experiment.evaluate.seed)
        tokens, targets = torch.from_numpy(batch.tokens), torch.from_numpy(batch.targets)
        seconds, found = min(
            (timed(lambda t=tokens, d=depth: settle(model, t, 4 * d)) for _ in range(rounds)), key=first
        )
        loops, some = int(found.loops.max()), FULL_POSITIONS // depth
        full, h = timed(lambda t=tokens[:some], n=loops: full_loop(model, t, n))
        with torch.no_grad():
            mine, other = model.read(found.h).argmax(-1), model.read(h).argmax(-1)
        asked = targets >= 0
        same = (mine[:some] == other)[asked[:some]].float()
        start = rows[0] if rows else None
        rows.append(
            {
                "depth": depth,
                "accuracy": float((mine == targets)[asked].float().mean()),
                "loops": loops,
                "share": found.updates / (tokens.numel() * loops),
                "seconds": seconds,
                "slope": math.log(seconds / start["seconds"]) / math.log(depth / start["depth"]) if start else None,
                "full": full * ROWS / some,
                "faster": full * ROWS / some / seconds,
                "compared": len(same),
                "equal": float(same.mean()),
            }
        )
    compared = sum(row["compared"] for row in rows)
    pooled = sum(row["compared"] * row["equal"] for row in rows) / compared
    return [*rows, {**dict.fromkeys(COLUMNS), "depth": "all", "compared": compared, "equal": pooled}]


def knowing(folder: Path) -> tuple[RDT, Experiment]:
    """The RDT of a folder of results that knows TASK, and its experiment."""
    for line in records.read(folder).runs.values():
        if line["task"] == TASK and line["model"] == "rdt" and line["status"] == "ok":
            experiment = from_json(line["experiment"])
            model = trained(experiment, folder)
            if not isinstance(model, RDT):
                raise UserError(f"{folder} holds no weights: allowed is a folder whose weights `run` has left")
            return model, experiment
    raise UserError(f"{str(folder)!r} holds no trained rdt of {TASK}: allowed is a folder that `run` has written")


@torch.no_grad()
def full_loop(model: RDT, tokens: torch.Tensor, loops: int) -> torch.Tensor:
    states = model.trajectory(tokens)
    for _ in range(loops):
        next(states)
    return next(states)


def timed(call: Any) -> tuple[float, Any]:
    began = time.process_time()
    result = call()
    return time.process_time() - began, result


def first(pair: tuple[float, Any]) -> float:
    return pair[0]

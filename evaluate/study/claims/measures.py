"""What a claim asks of a trained model that no record holds: taken from its weights, a line a run and measure.

`measures.jsonl` in the folder of results: `run`, `measure`, `value`, `measures_version`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from evaluate.checked import shown
from evaluate.run.experiment import Experiment
from evaluate.run.extrapolation import questions
from evaluate.study.weights import trained
from model import RDT
from model.generate import Decoder
from model.moe import Router
from tasks import NOT_ASKED, TRAIN, UserError, draw
from tasks.files import write_over

MEASURES_VERSION = 1  # raised whenever a measure changes its meaning
NAME = "measures.jsonl"
ROWS = 256
HOPS, READ_LOOPS = 10, 24  # the probe's: twice the deepest trained depth, and loops enough for it
ROUTED_LOOPS, SHUFFLES = 16, 20


def loss(model: nn.Module, experiment: Experiment) -> dict[str, Any]:
    """Cross-entropy in nats on held-out questions of the trained depths together, for each number of loops asked."""
    rows = questions(experiment.task, experiment.task.train_depths[-1], ROWS, experiment.evaluate.seed)
    tokens, targets, _ = (torch.from_numpy(array) for array in rows)
    loops = experiment.evaluate.loops
    losses = [
        float(F.cross_entropy(logits.flatten(0, 1).double(), targets.flatten(), ignore_index=NOT_ASKED))
        for logits in model(tokens, loops)
    ]
    return {"loops": list(loops), "loss": losses}


def routing(model: nn.Module, experiment: Experiment) -> dict[str, float]:
    """Bits by which an expert tells the loop that chose it: Jensen-Shannon divergence of expert use between the first
    loops, and the same with each position's loops shuffled, which is what chance leaves of it."""
    assert isinstance(model, RDT)
    rows = questions(experiment.task, experiment.task.train_depths[-1], 32, experiment.evaluate.seed)
    chosen: list[Tensor] = []
    router = next(module for module in model.recurrent.modules() if isinstance(module, Router))

    def listen(router: Any, given: object, made: tuple[Tensor, Tensor]) -> None:
        spread = made[1].new_zeros(*made[1].shape[:-1], router.score.out_features)
        chosen.append(spread.scatter(-1, *made).flatten(0, -2).double())

    handle = router.register_forward_hook(listen)
    try:
        list(islice(model.trajectory(torch.from_numpy(rows.tokens)), ROUTED_LOOPS + 1))
    finally:
        handle.remove()
    use = torch.stack(chosen)  # loops, positions, experts
    generator = torch.Generator().manual_seed(0)
    shuffled = []
    for _ in range(SHUFFLES):
        order = torch.rand(use.shape[:2], generator=generator).argsort(0)
        shuffled.append(divergence(use.gather(0, order[..., None].expand_as(use))))
    return {"observed": divergence(use), "shuffled": sum(shuffled) / SHUFFLES}


def divergence(use: Tensor) -> float:
    """Jensen-Shannon divergence in bits of the mean expert use of loops (loops, positions, experts)."""
    by_loop = use.mean(1)
    return float(entropy(by_loop.mean(0)) - entropy(by_loop).mean())


def entropy(shares: Tensor) -> Tensor:
    return -(shares * shares.clamp(min=1e-30).log2()).sum(-1)


def probe(model: nn.Module, experiment: Experiment) -> list[list[float]]:
    """Accuracy of a linear probe (loops, hops) that reads the entity after hop k from h_t at the place of hop k.

    One ridge regression for each loop and hop, fitted on training rows and scored on held-out ones.
    """
    assert isinstance(model, RDT)
    task, seed = experiment.task, experiment.evaluate.seed
    known, asked = draw(task, seed, TRAIN, HOPS, 0, 4 * ROWS), questions(task, HOPS, ROWS, seed)
    both = torch.from_numpy(known.tokens), torch.from_numpy(asked.tokens)
    answers = torch.from_numpy(known.targets), torch.from_numpy(asked.targets)
    found = []
    for seen, held in islice(zip(*(model.trajectory(tokens) for tokens in both), strict=False), 1, READ_LOOPS + 1):
        found.append([read_out(seen[:, hop], answers[0][:, hop], held[:, hop], answers[1][:, hop])
                      for hop in range(1, HOPS + 1)])  # fmt: skip
    return found


def read_out(seen: Tensor, answers: Tensor, held: Tensor, right: Tensor) -> float:
    """Held-out accuracy of a linear map fitted to states (rows, width) and answers (rows,) by ridge regression."""
    middle, spread = seen.mean(0), seen.std(0) + 1e-6
    x, y = ((part - middle) / spread for part in (seen, held))
    x, y = (F.pad(part.double(), (0, 1), value=1.0) for part in (x, y))
    gram = x.T @ x + torch.eye(x.shape[1], dtype=x.dtype)
    weights = torch.linalg.solve(gram, x.T @ F.one_hot(answers).double())
    return float(((y @ weights).argmax(-1) == right).double().mean())


def cache(model: nn.Module, experiment: Experiment) -> int:
    """Bytes that a position takes in a cache of Prelude, one loop and Coda, by the cache itself."""
    assert isinstance(model, RDT)
    return Decoder(model, 1, 1, 1).bytes


def written(model: nn.Module, experiment: Experiment) -> dict[str, Any]:
    """Right answers by depth when every step is the model's own greedy one, and FLOPs of such a question."""
    task = experiment.task
    found = {}
    for depth in task.test_depths:
        rows = questions(task, depth, experiment.evaluate.count, experiment.evaluate.seed)
        tokens = torch.from_numpy(rows.tokens.copy())
        for place in range(1, 2 * depth, 2):
            tokens[:, place + 1] = model(tokens[:, : place + 1], None)[0, :, -1].argmax(-1)
        with FlopCounterMode(display=False) as counter:  # with a cache, each position is computed once
            model(tokens[:1, : 2 * depth], None)
        right = int((tokens[:, -1] == torch.from_numpy(rows.targets[:, -2])).sum())
        found[str(depth)] = {"correct": right, "count": len(tokens), "flops": int(counter.get_total_flops())}
    return found


MEASURES: dict[str, Callable[[nn.Module, Experiment], Any]] = {
    "loss": loss,
    "routing": routing,
    "probe": probe,
    "cache": cache,
    "written": written,
}
"""Every measure by name. A new one is a function of a trained model and its experiment, and a line here."""

SHAPES: dict[str, Any] = {
    "loss": {"loops": [1], "loss": [1.0]},
    "routing": {"observed": 1.0, "shuffled": 1.0},
    "probe": [[1.0]],
    "cache": 1,
    "written": {"10": {"correct": 1, "count": 1, "flops": 1}},
}
"""What a value looks like that a file holds, by an example. The value of another measure is not looked at."""


@torch.no_grad()
def take(name: str, experiment: Experiment, folder: Path) -> bool:
    """Take a measure of a run and append its line; False where the run's weights are gone."""
    model = trained(experiment, folder)
    if model is None:
        return False
    value = MEASURES[name](model, experiment)
    line = {"run": experiment.run, "measure": name, "value": value, "measures_version": MEASURES_VERSION}
    path = folder / NAME
    before = path.read_bytes() if path.exists() else b""
    write_over(path, before[: before.rfind(b"\n") + 1] + json.dumps(line).encode() + b"\n")
    return True


def held(folder: Path) -> dict[str, dict[str, Any]]:
    """The measures of a folder by run and name, but for a last line that was cut off; another version's are refused."""
    path = folder / NAME
    found: dict[str, dict[str, Any]] = {}
    whole = path.read_bytes().rpartition(b"\n")[0] if path.exists() else b""
    for number, text in enumerate(whole.splitlines(), 1):
        try:
            line = json.loads(text)
            version, run, name, value = (line[key] for key in ("measures_version", "run", "measure", "value"))
            if not isinstance(run, str) or not isinstance(name, str):
                raise TypeError
        except (ValueError, KeyError, TypeError, RecursionError):
            raise UserError(f"{path}: line {number} is no measure: remove it, and `claims` takes it again") from None
        if version != MEASURES_VERSION:
            raise UserError(f"{path}: line {number} has measures version {version!r}: allowed is {MEASURES_VERSION}")
        if name in SHAPES and not alike(value, SHAPES[name]):
            told = f"{name} is {shown(value)}: allowed is what `claims` has measured, as {SHAPES[name]}"
            raise UserError(f"{path}: line {number}: {told}")
        found.setdefault(run, {})[name] = value
    return found


def alike(value: Any, example: Any) -> bool:
    """Is a value of the same kinds as an example, lists that stand side by side being of one length?"""
    if isinstance(example, list) and isinstance(value, list) and value:
        pairs = [(part, example[0]) for part in value]
    elif isinstance(example, dict) and isinstance(value, dict):
        pairs = [(value.get(key), part) for key, part in example.items()]
    else:
        return isinstance(example, (int, float)) and isinstance(value, (int, float)) and not isinstance(value, bool)
    lengths = {len(part) for part, _ in pairs if isinstance(part, list)}
    return len(lengths) <= 1 and all(alike(*pair) for pair in pairs)

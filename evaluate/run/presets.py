"""The presets: lists of Experiments, as data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from evaluate.run.experiment import Evaluate, Experiment, Train
from model import ModelConfig
from tasks import TASKS

SMALL = ModelConfig(width=32, head_width=8, latent=16, rope_width=4, expert_width=16)


def smoke() -> list[Experiment]:
    """Everything once, small: learns nothing, takes seconds."""
    train = Train(steps=20, batch=16, warmup=5, shortest_horizon=2, longest_horizon=6, gradient_loops=2)
    evaluate = Evaluate(loops=(1, 2, 4, 8), count=16)
    tasks = (replace(TASKS[name](), test_depths=(10, 12)) for name in ("khop_facts", "mod_chain"))  # type: ignore[call-arg]
    return [
        Experiment(task, model, architecture=SMALL, train=train, evaluate=evaluate)
        for task in tasks
        for model in ("rdt", "transformer", "transformer_deep")
    ]


def quick() -> list[Experiment]:
    """Two tasks, the RDT and two baselines, trained on depths 1 to 5 and asked up to 80: minutes on two cores."""
    return [
        Experiment(TASKS[task](), model)  # type: ignore[call-arg]
        for model in ("rdt", "transformer_deep", "transformer")
        for task in ("khop_facts", "mod_chain")
    ]


PRESETS: dict[str, Callable[[], list[Experiment]]] = {"smoke": smoke, "quick": quick}

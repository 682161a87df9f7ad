"""Trains one model and prints its loss at every step: alone, or as one of torchrun's processes."""

import json
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import torch

import evaluate.run.train as training
from evaluate.run import curriculum
from evaluate.run.presets import smoke
from evaluate.run.ranks import ALONE, Together, by_torchrun
from model import build
from tasks.arithmetic.carry_chain import CarryChain

training.CHECK_EVERY = 1
torch.set_num_threads(1)
task, name, optimizer = sys.argv[1:4]
found = next((e for e in smoke() if e.task.name == task), smoke()[0])
changes = {"steps": 30, "batch": 16, "optimizer": optimizer, "average": 0.5, "gradient_loops": 2}
if task == "carry_chain":
    found = replace(found, task=CarryChain(columns=7, curriculum=(4, 5)))
    changes["batch"] = 17
    curriculum.PASS = 0.0  # goes on at every step
experiment = replace(found, model=name, train=replace(found.train, **changes))
torch.manual_seed(experiment.seed)
model = build(name, experiment.architecture, experiment.vocabulary, experiment.train.mean_loops)
ranks = Together("cpu") if by_torchrun() else ALONE
losses, accuracies = [], []


def progress(step: int, loss: float, accuracy: float) -> None:
    losses.append(loss)
    accuracies.append(accuracy)


training.train(model, experiment, torch.device("cpu"), progress=progress, ranks=ranks)
if ranks.first:
    biases = [router.bias.tolist() for router in model.routers]
    norm = float(torch.stack([p.detach().norm() for p in model.parameters()]).norm())
    rows = [curriculum.rows_a_step(experiment, stage) for stage in experiment.task.stages]
    print(json.dumps({"rows": rows, "losses": losses, "accuracies": accuracies, "biases": biases, "norm": norm}))
if isinstance(ranks, Together):
    ranks.end()

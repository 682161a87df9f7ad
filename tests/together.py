"""Trains one model and prints its loss at every step: alone, or as one of torchrun's processes; or alone, in halves.

In halves: one process adds up the gradients of the rows that two would have had, in the order in which they would.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import torch
from torch import Tensor, nn

import evaluate.run.train as training
from evaluate.run import curriculum
from evaluate.run.experiment import Train
from evaluate.run.presets import smoke
from evaluate.run.ranks import ALONE, Alone, LossOf, Together, WholeBatch, by_torchrun
from model import build
from tasks import NOT_ASKED
from tasks.arithmetic.carry_chain import CarryChain


class InHalves(Alone):
    def gradients(
        self, loss_of: LossOf, model: nn.Module, tokens: Tensor, targets: Tensor, loops: list[int], train: Train
    ) -> tuple[Tensor, Tensor]:
        begun, total, answers = torch.get_rng_state(), 0.0, torch.empty_like(tokens)
        for half in (slice(0, None, 2), slice(1, None, 2)):
            torch.set_rng_state(begun)
            weight = (targets[half] != NOT_ASKED).sum() / (targets != NOT_ASKED).sum() * 2
            with WholeBatch(len(tokens), half):
                share = len(tokens[half]) / len(tokens) * 2
                loss, answers[half] = loss_of(model, tokens[half], targets[half], loops[half], train, weight, share)
            (loss / 2).backward()  # adds to the first half's gradients; halving is exact
            total = total + loss.detach() / 2
        return total, answers


training.CHECK_EVERY = 1
torch.set_num_threads(1)
task, name, optimizer, *halves = sys.argv[1:]
found = next((e for e in smoke() if e.task.name == task), smoke()[0])
changes = {"steps": 16, "batch": 16, "optimizer": optimizer, "average": 0.5, "gradient_loops": 2}
if task == "carry_chain":
    found = replace(found, task=CarryChain(columns=7, curriculum=(4, 5)))
    changes["batch"] = 17
    curriculum.PASS = 0.0  # goes on at every step
experiment = replace(found, model=name, train=replace(found.train, **changes))
torch.manual_seed(experiment.seed)
model = build(name, experiment.architecture, experiment.vocabulary, experiment.train.mean_loops)
ranks = Together("cpu") if by_torchrun() else InHalves() if halves else ALONE
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

"""The one training loop, the same for every model and task."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import AdamW, Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from evaluate.run import checkpoint
from evaluate.run.curriculum import Curriculum, rows_a_step
from evaluate.run.experiment import Experiment, Train
from evaluate.run.flops import counted, on_cpu, on_threads
from evaluate.run.ranks import ALONE, Alone
from model.rdt import Outputs, sent
from tasks import NOT_ASKED, TRAIN, Batch, Task, UserError, draw, stream

HORIZONS, BLANKS, SHALLOWS = 3, 4, 5  # the second integers of streams of their own; 0 to 2 are the splits
SHALLOW = 1 / 8  # the share of rows that are shallower than the deepest, where a row asks its shallower depths anyhow
CHECK_EVERY = 25  # steps between looks at the loss: a look waits for the device
SAVE_EVERY = 30.0  # seconds
AVERAGE = 0.98
"""What a step keeps of the running average of the weights. Errors of a percent a hop that no training depth shows come
from the last steps' noise: in a trial of 800 steps on khop_facts the average took depth 80 from 91% to 100% (seed 0).
With 1,200 steps nothing is lost without it (results/reference/ablation)."""


@dataclass(frozen=True)
class Trained:
    """What came of training."""

    status: str  # "ok", or "diverged" where the loss or a weight stopped being finite
    steps: int
    seconds: float
    flops: int  # on the first rank; nobody asks the others
    stage_steps: list[int]  # at each stage of the curriculum, the task itself last


def training_rows(experiment: Experiment, step: int, task: Task) -> Batch:
    """The rows of one step at one stage, padded on the right, where a causal model sees nothing of it.

    A task whose rows ask all shallower depths too draws its deepest training depth; the others draw all in turn, and so
    does each where training asks for the answers of a row's deepest questions alone. Where rows of all depths are
    equally long, a shallow row may look otherwise: there some rows are shallower all the same. In a share of the rows
    one token, at any place, is a blank. The answers behind it cannot be known, and all that is right is to stay unsure,
    for however many loops. Without such rows nothing that waits in training waits for long, and at depths beyond
    training a model that loops talks itself into an answer before there is one.
    """
    settings, seed, batch = experiment.train, experiment.seed, rows_a_step(experiment, task)
    depths = task.train_depths
    if not task.prefixes or settings.answers == "deepest":
        shares = [batch // len(depths) + (i < batch % len(depths)) for i in range(len(depths))]
    else:
        lots = stream(seed, SHALLOWS, 0, step).random(batch) if task.fixed_length else np.ones(batch)
        lots = np.minimum(lots * (len(depths) - 1) / SHALLOW, len(depths) - 1).astype(int)
        shares = np.bincount(lots, minlength=len(depths)).tolist()
    parts = [draw(task, seed, TRAIN, d, step, n) for d, n in zip(depths, shares, strict=True) if n]
    length = max(part.tokens.shape[1] for part in parts)

    def padded(array: np.ndarray, fill: int) -> np.ndarray:
        return np.pad(array, ((0, 0), (0, length - array.shape[1])), constant_values=fill)

    tokens = np.concatenate([padded(part.tokens, 0) for part in parts])
    targets = np.concatenate([padded(part.targets, NOT_ASKED) for part in parts])
    asked = np.concatenate([padded(part.depths, 0) for part in parts])
    if settings.answers == "deepest":
        targets[asked < asked.max(1, keepdims=True)] = NOT_ASKED
    rng = stream(seed, BLANKS, 0, step)
    (rows,) = np.nonzero(rng.random(len(tokens)) < settings.blank)
    tokens[rows, rng.integers(length, size=len(rows))] = len(task.vocabulary)
    return Batch(tokens, targets, asked)


def horizon_range(train: Train, share: float = 1.0) -> tuple[int, int]:
    """The fewest and the most loops of a row, at a stage whose deepest question has this share of the task's depth.

    The most are two at least, also where 1 is asked for: the claims' designs of one loop were made, and sized, so.
    """
    return max(1, round(train.shortest_horizon * share)), max(2, round(train.longest_horizon * share))


def horizons(train: Train, seed: int, step: int, rows: int, share: float = 1.0) -> tuple[list[int], np.ndarray]:
    """Loops of each row, falling, and the order in which rows take them: both from a stream of their own."""
    rng = stream(seed, HORIZONS, 0, step)
    shortest, longest = horizon_range(train, share)
    drawn = rng.integers(shortest, longest + 1, size=rows)
    return sorted(drawn.tolist(), reverse=True), rng.permutation(rows)


def optimizers(model: nn.Module, train: Train) -> list[Optimizer]:
    """Muon for matrices inside, AdamW for embedding, head, halting gate and vectors, or for all; each parameter in one
    group. In a user's own model every matrix with a row for each word is taken for an embedding or a head."""
    own = not hasattr(model, "training_outputs")
    words = {part.num_embeddings for part in model.modules() if own and isinstance(part, nn.Embedding)}
    matrices, decayed, plain = [], [], []
    for name, parameter in model.named_parameters():
        outside = name.startswith(("embed", "head", "gate")) or (parameter.dim() > 0 and len(parameter) in words)
        if parameter.dim() < 2:
            plain.append(parameter)
        elif train.optimizer == "muon" and parameter.dim() == 2 and not outside:
            matrices.append(parameter)
        else:
            decayed.append(parameter)
    groups = [{"params": decayed, "weight_decay": train.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    groups = [group for group in groups if group["params"]]
    made: list[Optimizer] = [AdamW(groups, lr=train.learning_rate, betas=(0.9, 0.98))] if groups else []
    if matrices:
        made.append(torch.optim.Muon(matrices, lr=train.matrix_learning_rate, weight_decay=train.weight_decay))
    for group in (group for optimizer in made for group in optimizer.param_groups):
        group["initial_lr"] = group["lr"]  # torch's name for what a schedule takes shares of
    return made


def rate(train: Train, step: int) -> float:
    """The share of the learning rates at a step: a linear rise, a plateau, a linear fall to zero."""
    rise = (step + 1) / train.warmup if train.warmup else 1.0
    fall = (train.steps - step) / (train.decay * train.steps) if train.decay else 1.0
    return min(1.0, rise, fall)


def update(model: nn.Module, made: list[Optimizer], train: Train, step: int) -> None:
    """Go down the gradients that stand, at the rates of this step, and forget them."""
    nn.utils.clip_grad_norm_(model.parameters(), train.clip)
    for optimizer in made:
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * rate(train, step)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    if hasattr(model, "after_step"):
        model.after_step()  # type: ignore[operator]


def loss_of(
    model: nn.Module,
    tokens: Tensor,
    targets: Tensor,
    loops: list[int],
    train: Train,
    weight: Tensor | float = 1.0,
    share: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """The loss to step on, and the model's own answers (batch, length).

    Where these are only some rows of a batch, `weight` is of what they ask, and `share` of the rows themselves.
    """
    with torch.autocast(tokens.device.type, torch.bfloat16, enabled=train.precision == "bfloat16"):
        outputs = outputs_of(model, tokens, loops, train.gradient_loops)

    def judged(logits: Tensor) -> Tensor:
        return weight * F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), ignore_index=NOT_ASKED)

    loss = share * outputs.penalty
    for logits in outputs.answers:
        loss = loss + judged(logits)
    for logits in outputs.probes:
        loss = loss + judged(logits) / len(outputs.probes)
    return loss, outputs.answers[0].detach().argmax(-1)


def outputs_of(model: nn.Module, tokens: Tensor, loops: list[int], gradient_loops: int) -> Outputs:
    """What a training step is judged by. A user's own model that has nothing to say of training answers through its
    forward, all rows with as many loops as one of them, whichever it is, and with gradient through all loops."""
    if hasattr(model, "training_outputs"):
        outputs: Outputs = model.training_outputs(tokens, loops, gradient_loops)  # type: ignore[operator]
        return outputs
    drawn = loops[int(torch.randint(len(loops), ()))]
    logits = model(tokens, (drawn,) if getattr(model, "looped", True) else None)[0]
    return Outputs([logits], [], logits.new_zeros(()))


def accuracy_of(answers: Tensor, tokens: Tensor, targets: Tensor, blank: int) -> float:
    """The share of asked positions answered right, in rows without a blank."""
    asked = (targets != NOT_ASKED) & (tokens != blank).all(1, keepdim=True)
    return float((answers == targets)[asked].float().mean())


def step_flops(model: nn.Module, experiment: Experiment, task: Task) -> int:
    """FLOPs of a mean training step at one stage by torch's counter: horizons spread evenly over their range."""
    train = experiment.train
    tokens, targets, _ = (torch.from_numpy(a) for a in training_rows(experiment, 0, task))
    model = on_cpu(model, experiment)  # a copy whose routers may count their load
    shortest, longest = horizon_range(train, task.train_depths[-1] / experiment.task.train_depths[-1])
    if not hasattr(model, "training_outputs"):  # a step has one horizon for all rows
        longest = shortest = (longest + shortest) // 2
    spread = np.linspace(longest, shortest, len(tokens)).round().astype(int).tolist()
    return counted(lambda: loss_of(model, tokens, targets, spread, train)[0].backward())


Averaging = Callable[[list[Tensor] | tuple[Tensor, ...], list[Tensor] | tuple[Tensor, ...], Tensor | int], None]
"""What AveragedModel takes: the averages, what is averaged now, and how many have been so far."""


def moving_average(model: nn.Module) -> Averaging:
    """torch's exponential one; where a model holds infinite numbers, as masks do, they stay (inf less inf is none)."""
    moved: Averaging = get_ema_multi_avg_fn(AVERAGE)
    if all(bool(buffer.isfinite().all()) for buffer in model.buffers()):
        return moved

    def but_for_infinite(held: Sequence[Tensor], now: Sequence[Tensor], count: Tensor | int) -> None:
        moved([*held], [*now], count)
        for kept, new in zip(held, now, strict=True):
            kept.copy_(torch.where(new.isinf(), new, kept))

    return but_for_infinite


def train(
    model: nn.Module,
    experiment: Experiment,
    device: torch.device,
    saved: Path | None = None,
    progress: Callable[[int, float, float], None] = lambda step, loss, accuracy: None,
    save_every: float = SAVE_EVERY,
    ranks: Alone = ALONE,
) -> Trained:
    """Train `model` in place. With `saved`, go on from the checkpoint there and leave one every `save_every` seconds.

    progress is told the step, loss and accuracy every CHECK_EVERY steps.
    """
    settings = experiment.train
    model.to(device).train()
    made = optimizers(model, settings)
    torch.manual_seed(experiment.seed)
    average = AveragedModel(model, multi_avg_fn=moving_average(model), use_buffers=True)
    curriculum = Curriculum(experiment.task)
    parts = {"model": model, "average": average, "curriculum": curriculum}
    begun = experiment.run, experiment.task.name
    done, before = checkpoint.load(saved, *begun, parts, made) if saved else (0, 0.0)
    if ranks.agreed([done]) != [done]:
        raise UserError(
            f"a process of torchrun finds a checkpoint of step {done}, and the first another: all must see one --out"
        )
    began = written = time.monotonic()
    blank = len(experiment.task.vocabulary)
    finite = torch.ones((), dtype=torch.bool, device=device)

    def trained(status: str, steps: int) -> Trained:
        seconds = before + time.monotonic() - began
        share = (os.cpu_count() or 1) // max(1, torch.cuda.device_count())  # of the cores, for each GPU's process
        with on_threads(torch.get_num_threads() if device.type == "cpu" else max(1, share)):
            flops = curriculum.cost(lambda stage: step_flops(model, experiment, stage)) if ranks.first else 0
        return Trained(status, steps, seconds, flops, curriculum.spent.tolist())

    for step in range(done, settings.steps):
        rows = training_rows(experiment, step, curriculum.task)
        loops, order = horizons(settings, experiment.seed, step, len(rows.tokens), curriculum.share)
        tokens, targets, asked = (sent(torch.from_numpy(array[order]), device) for array in rows)
        loss, answers = ranks.gradients(loss_of, model, tokens, targets, loops, settings)
        update(model, made, settings, step)
        if step >= settings.steps * (1 - settings.average):
            average.update_parameters(model)
        curriculum.count(answers, tokens, targets, asked, blank)
        finite &= loss.isfinite()
        if (step + 1) % CHECK_EVERY == 0 or step + 1 == settings.steps:
            accuracy = accuracy_of(answers, tokens, targets, blank)
            curriculum.look()
            progress(step + 1, float(loss), accuracy)
            if not finite:
                return trained("diverged", step + 1)
            due = time.monotonic() - written >= save_every or step + 1 == settings.steps
            if saved and ranks.first and due:
                written = time.monotonic()
                checkpoint.save(saved, *begun, step + 1, before + written - began, parts, made)
    if average.n_averaged:
        model.load_state_dict(average.module.state_dict())
    whole = all(bool(parameter.isfinite().all()) for parameter in model.parameters())
    whole &= not any(bool(buffer.isnan().any()) for buffer in model.buffers())
    return trained("ok" if whole else "diverged", settings.steps)

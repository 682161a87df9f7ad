"""One experiment carried out, from fresh weights to its records. Engines decide where; nothing of theirs comes here."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

import numpy
import torch
from safetensors.torch import save as bytes_of
from torch import nn
from tqdm import tqdm

import model as models
from evaluate.records import Cell, Diagnostics, Run
from evaluate.run import board, checkpoint
from evaluate.run.diagnostics import diagnostics
from evaluate.run.experiment import Experiment, RunFailed
from evaluate.run.extrapolation import asked_together, evaluate
from evaluate.run.flops import on_threads
from evaluate.run.limits import is_of_memory
from evaluate.run.own_models import model_origin
from evaluate.run.ranks import ALONE, Alone
from evaluate.run.train import Trained, train
from evaluate.run.version import code_version
from model.block import Block
from tasks import UserError
from tasks.checks import in_a_line, through_plugin

GRAPHS = 32  # of a Block: rows and places may each be one or many, with gradient and without, in single steps or not
LOOK = "{desc} {percentage:3.0f}%|{bar}| {remaining} left{postfix}"  # fits a terminal of eighty columns


@dataclass(frozen=True)
class Means:
    """By what means one experiment is carried out: nothing here decides a result."""

    device: str
    threads: int
    batch: int  # rows evaluated at a time
    save_every: float  # seconds between checkpoints
    commit: tuple[str | None, bool | None]  # of the code, and whether it was changed since; a node cannot tell
    tensorboard: bool = False  # log training there too
    compile: bool = False  # compile the Blocks: answers stay, but for rounding
    line: int = 0  # of the terminal, for the progress bar


@dataclass(frozen=True)
class Outcome:
    """What came of it. Whoever owns the folder writes it down."""

    run: Run
    cells: list[Cell]
    inside: Diagnostics | None
    weights: bytes  # a safetensors file


def label(experiment: Experiment) -> str:
    return f"{experiment.task.name} {experiment.model} seed {experiment.seed}"


def checkpoint_of(experiment: Experiment, folder: Path) -> Path:
    return folder / "checkpoints" / f"{experiment.run}.safetensors"


def attempted(experiment: Experiment, folder: Path, means: Means) -> Outcome | RunFailed:
    """`carry_out`, or why it failed: what one run cannot do is not to end the others."""
    try:
        return carry_out(experiment, folder, means)
    except RunFailed as failure:
        why = str(failure)
    return RunFailed(why)  # another one: the frames of that one hold the model, and its memory


def carry_out(experiment: Experiment, folder: Path, means: Means, ranks: Alone = ALONE) -> Outcome:
    """Train and evaluate one experiment, going on from its checkpoint in `folder`. Writes checkpoints alone.

    Raises RunFailed where memory does not do, and for whatever a user's own model raises. What the folder's disk does
    is not the model's doing, and is raised as it is.
    """
    try:
        with on_threads(means.threads):
            return _carry_out(experiment, folder, means, ranks)
    except RunFailed as failure:
        raise RunFailed(f"{label(experiment)}: {failure}") from None
    except (Exception, SystemExit) as error:
        if is_of_memory(error):
            raise RunFailed(
                f"{label(experiment)} does not fit into memory: smaller --batch, train.batch or architecture might"
            ) from None
        if means.compile and isinstance(error, torch._dynamo.exc.BackendCompilerFailed):
            why = str(error.inner_exception).split("\n")[0]
            raise RunFailed(
                f"{label(experiment)}: cannot be compiled here: {why}; without --compile it runs"
            ) from error
        ours = isinstance(error, (UserError, OSError)) and not through_plugin(error)
        if model_origin(experiment.base) and not ours:
            raise RunFailed(in_a_line(label(experiment), error)) from error
        raise


def _carry_out(experiment: Experiment, folder: Path, means: Means, ranks: Alone) -> Outcome:
    where = torch.device(means.device)
    torch.manual_seed(experiment.seed)
    net = models.build(experiment.base, experiment.architecture, experiment.vocabulary, experiment.train.mean_loops)
    torch.backends.cudnn.allow_tf32 = False  # products are what train.precision says, and no less
    torch.backends.cuda.matmul.allow_tf32 = False
    if means.compile:
        torch._dynamo.reset()  # its limit of graphs is a process's, not a model's
        torch._dynamo.config.cache_size_limit = GRAPHS
    for block in [m for m in net.modules() if isinstance(m, Block)] if means.compile else []:
        block.compile(dynamic=True)
    saved = checkpoint_of(experiment, folder)
    quiet = None if ranks.first else True
    bar = tqdm(
        total=experiment.train.steps,
        desc=label(experiment),
        position=means.line,
        leave=False,
        disable=quiet,
        bar_format=LOOK,
    )

    def progress(step: int, loss: float, accuracy: float) -> None:
        bar.set_postfix_str(f"loss {loss:.2f}, accuracy {accuracy:.0%}", refresh=False)
        bar.update(step - bar.n)

    told = board.logged(progress, folder, experiment.run) if means.tensorboard and ranks.first else progress
    with bar:
        trained = train(net, experiment, where, saved, told, means.save_every, ranks)
    net.eval()
    cells: list[Cell] = []
    inside = None
    if trained.status == "ok" and ranks.first:
        groups = asked_together(experiment.task)
        asked = tqdm(groups, desc=f"{label(experiment)} asked", position=means.line, leave=False, disable=None)
        cells = [cell for group in asked for cell in evaluate(net, experiment, group, where, means.batch)]
        inside = diagnostics(net, experiment, where)
    weights = bytes_of({k: v.cpu().contiguous().clone() for k, v in net.state_dict().items()})
    return Outcome(record(experiment, net, trained, where, means), cells, inside, weights)


def record(experiment: Experiment, net: nn.Module, trained: Trained, where: torch.device, means: Means) -> Run:
    """What is kept of a run beside its cells: what was carried out, by what, and what it took."""
    git_commit, git_dirty = means.commit
    made_with = {"python": platform.python_version(), "torch": torch.__version__, "numpy": numpy.__version__}
    made_with |= {"compiled": "Blocks"} if means.compile else {}
    return Run(
        run=experiment.run,
        experiment=experiment.to_json(),
        task=experiment.task.name,
        task_version=experiment.task.version,
        model=experiment.model,
        seed=experiment.seed,
        train_max_depth=experiment.task.train_depths[-1],
        parameters=models.parameters(net),
        train_flops=trained.flops,
        train_seconds=round(trained.seconds, 2),
        steps=trained.steps,
        status=trained.status,
        stage_steps=trained.stage_steps,
        versions={**made_with, "code": code_version(experiment.task.name)},
        device=torch.cuda.get_device_name(where) if where.type == "cuda" else f"{where.type} {platform.machine()}",
        threads=means.threads,
        git_commit=git_commit,
        git_dirty=git_dirty,
    )


def ready(experiment: Experiment, folder: Path) -> str | None:
    """Look at what a run that was cut off has left, before any work: another version's is refused by name.

    A damaged checkpoint is removed, and the line that says so is returned: the run starts over.
    """
    path = checkpoint_of(experiment, folder)
    try:
        checkpoint.opened(path, experiment.run, experiment.task.name)
    except checkpoint.Damaged as damage:
        path.unlink()
        return f"{label(experiment)}: {damage}; removed, and the run starts over"
    return None

"""One model trained by several processes together (torchrun): the same batch, losses and steps as by one.

(But for noise on the state, and with gradient through more loops than a rank's longest row is unrolled for: its gate is
judged on as many of them as that row has.) Every rank draws the whole batch and takes its own rows of it, so that
nothing is sent but gradients, the loss, the answers and the routers' loads.
"""

from __future__ import annotations

import datetime
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from evaluate.run.curriculum import rows_a_step
from evaluate.run.experiment import Experiment, Train
from model.draws import rows_of
from tasks import NOT_ASKED, UserError

LossOf = Callable[..., tuple[Tensor, Tensor]]
"""train.loss_of: the loss to step on, and the model's own answers."""

PATIENCE = datetime.timedelta(days=2)  # for ranks that wait while the first evaluates; a death is noticed at once


class Alone:
    """Training by one process."""

    first = True

    def agreed(self, numbers: list[int]) -> list[int]:
        """What the first rank says, on every rank."""
        return numbers

    def gradients(
        self, loss_of: LossOf, model: nn.Module, tokens: Tensor, targets: Tensor, loops: list[int], train: Train
    ) -> tuple[Tensor, Tensor]:
        """Set the gradients of a step; returns its loss and the model's answers (batch, length)."""
        loss, answers = loss_of(model, tokens, targets, loops, train)
        loss.backward()
        return loss.detach(), answers


ALONE = Alone()


class Together(Alone):
    """One rank of several, begun by torchrun; a context in which they stand together.

    A rank that fails leaves the group as it is, and it ends with the process: to free it might wait for ever, for the
    group's own threads (gloo's, where what averages the gradients frees it, under Python's lock) or for what the others
    have not answered (nccl).
    """

    def __init__(self, device: str) -> None:
        try:
            distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo", timeout=PATIENCE)
            distributed.barrier()  # one that had nothing to do would end, and take away where the others still meet
        except (RuntimeError, ValueError) as error:
            raise UserError(f"torchrun's processes do not find each other: {str(error).splitlines()[0]}") from None
        self.rank, self.world = distributed.get_rank(), distributed.get_world_size()
        self.first = self.rank == 0
        self.device = device
        self._judged: tuple[nn.Module, nn.Module] | None = None

    def gradients(
        self, loss_of: LossOf, model: nn.Module, tokens: Tensor, targets: Tensor, loops: list[int], train: Train
    ) -> tuple[Tensor, Tensor]:
        """As of one process: a rank's rows weigh by how much of what the batch asks is theirs."""
        mine = slice(self.rank, None, self.world)  # every rank has long and short horizons alike
        asked = (targets != NOT_ASKED).sum()
        weight = (targets[mine] != NOT_ASKED).sum() / asked * self.world
        share = len(tokens[mine]) / len(tokens) * self.world
        # a user's own model draws one horizon for all rows, of those of the whole batch
        own_loops = loops[mine] if hasattr(model, "training_outputs") else loops
        with heard():
            judged = self.judged(loss_of, model)
            with rows_of(len(tokens), mine):
                loss, own = judged(tokens[mine], targets[mine], own_loops, train, weight, share)
            loss.backward()
            total = loss.detach() / self.world
            distributed.all_reduce(total)
            lacks = -(-len(tokens) // self.world) - len(own)  # rows that the first rank has more
            own = F.pad(own, (0, 0, 0, lacks))
            parts = [torch.empty_like(own) for _ in range(self.world)]
            distributed.all_gather(parts, own.contiguous())
            for router in getattr(model, "routers", []):
                distributed.all_reduce(router.load)
        return total, torch.stack(parts, 1).flatten(0, 1)[: len(tokens)]

    def judged(self, loss_of: LossOf, model: nn.Module) -> nn.Module:
        """The model with its loss, as one module whose gradients are averaged over ranks; made once a model."""
        if self._judged is None or self._judged[0] is not model:
            with warnings.catch_warnings():  # torch 2.13 has a new name for broadcast_buffers, which 2.6 lacks
                warnings.simplefilter("ignore", FutureWarning)
                whole = DistributedDataParallel(
                    Judged(loss_of, model), broadcast_buffers=False, find_unused_parameters=True
                )
            self._judged = (model, whole)
        return self._judged[1]

    def agreed(self, numbers: list[int]) -> list[int]:
        told = torch.tensor(numbers, device=self.device)
        with heard():
            distributed.broadcast(told, 0)
        return [int(n) for n in told.tolist()]

    def wait(self) -> None:
        """Until every rank has come here."""
        with heard():
            distributed.barrier()

    def __enter__(self) -> Together:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._judged = None  # first: it would free the group under Python's lock, which the group's threads want
            distributed.destroy_process_group()


class Judged(nn.Module):
    """A model and its loss behind one `forward`, which is where DistributedDataParallel looks."""

    def __init__(self, loss_of: LossOf, model: nn.Module) -> None:
        super().__init__()
        self.loss_of, self.model = loss_of, model

    def forward(
        self, tokens: Tensor, targets: Tensor, loops: list[int], train: Train, weight: Tensor, share: float
    ) -> tuple[Tensor, Tensor]:
        return self.loss_of(self.model, tokens, targets, loops, train, weight, share)


@contextmanager
def heard() -> Iterator[None]:
    """Tell in one line that another process has gone silent."""
    try:
        yield
    except RuntimeError as error:
        text = str(error)
        if isinstance(error, distributed.DistBackendError) or "gloo" in text or "onnection" in text:
            raise UserError(
                f"rank {distributed.get_rank()}: another of torchrun's processes has died; what is whole is kept, and "
                "the same command goes on from there"
            ) from None
        raise


def check_rows(experiment: Experiment) -> None:
    """Refuse a batch in which one of torchrun's processes would have no row."""
    world = int(os.environ["WORLD_SIZE"])
    least = min(rows_a_step(experiment, stage) for stage in experiment.task.stages)
    if least < world:
        batch = f"train.batch is {experiment.train.batch}, which makes {least} rows a step at some stage"
        raise UserError(f"{batch}: allowed here is one row or more for each of the {world} processes")


def by_torchrun() -> bool:
    """Is this process one of several that torchrun has begun?"""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ


def speaks() -> bool:
    """Is this the one process of torchrun's that says what all would say? A process alone is."""
    return not by_torchrun() or os.environ["RANK"] == "0"

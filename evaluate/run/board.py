"""Training as TensorBoard shows it: loss and accuracy by step, one folder a run. An extra: no requirement."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from tasks import UserError

Progress = Callable[[int, float, float], None]


def check_installed() -> None:
    if find_spec("tensorboard") is None:
        raise UserError("--tensorboard needs the module tensorboard: python -m pip install tensorboard")


def logged(progress: Progress, folder: Path, run: str) -> Progress:
    """`progress` that also writes what it is told to `folder`/tensorboard/`run`."""
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder / "tensorboard" / run))

    def told(step: int, loss: float, accuracy: float) -> None:
        progress(step, loss, accuracy)
        writer.add_scalar("loss", loss, step)
        writer.add_scalar("accuracy", accuracy, step)
        writer.flush()

    return told

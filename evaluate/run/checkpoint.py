"""The full state of a training run on disk: safetensors for tensors, JSON for the rest, written atomically.

The file carries the sha256 of its own bytes (with zeros where the sum stands), so that one altered byte anywhere is
noticed, and the version of the code that wrote it.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as tensors_of
from safetensors.torch import save as bytes_of
from torch import Tensor, nn
from torch.optim import Optimizer

from evaluate.run.version import code_version
from tasks import UserError
from tasks.files import write_over

Modules = dict[str, nn.Module]
"""The modules of a training run, by the name under which they are saved."""

EMPTY = "0" * 64
SUM = re.compile(rb'"sha256":"([0-9a-f]{64})"')


class Damaged(UserError):
    """A checkpoint that is not what was written."""


def save(
    path: Path, run: str, task: str, step: int, seconds: float, modules: Modules, optimizers: list[Optimizer]
) -> None:
    """Write all that the next step depends on: weights, buffers, optimisers, torch's random state, and the step."""
    tensors: dict[str, Tensor] = {}
    for name, module in modules.items():
        tensors |= {f"{name}.{key}": value for key, value in module.state_dict().items()}
    tensors["random"] = torch.get_rng_state()
    where = next(modules["model"].parameters()).device
    if where.type == "cuda":
        tensors["random_there"] = torch.cuda.get_rng_state(where)
    for i, optimizer in enumerate(optimizers):
        for j, state in optimizer.state_dict()["state"].items():
            for key, value in state.items():
                tensors[f"optimizer.{i}.{j}.{key}"] = torch.as_tensor(value)
    about = {"run": run, "step": str(step), "seconds": json.dumps(seconds), **written_by(task), "sha256": EMPTY}
    content = bytes_of({k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}, about)
    write_over(path, sealed(content))


def written_by(task: str) -> dict[str, str]:
    """The versions that a state can be taken from: another torch or other code would go on otherwise than it began."""
    return {"torch": torch.__version__, "code": code_version(task)}


def sealed(content: bytes) -> bytes:
    """The bytes of a file with their own sum in the place that was left for it."""
    return content.replace(EMPTY.encode(), hashlib.sha256(content).hexdigest().encode(), 1)


def read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """What a file says about itself, and its tensors; Damaged where a byte is not as it was written."""
    content = path.read_bytes()
    header = content[8 : 8 + int.from_bytes(content[:8], "little")]
    found = SUM.search(header)
    if not found:
        raise Damaged(f"{path} is damaged: it has no checksum")
    blank = content.replace(found[1], EMPTY.encode(), 1)
    if hashlib.sha256(blank).hexdigest() != found[1].decode():
        raise Damaged(f"{path} is damaged: its checksum is another")
    try:
        return json.loads(header)["__metadata__"], tensors_of(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise Damaged(f"{path} is damaged: {error}") from None


def opened(path: Path, run: str, task: str) -> tuple[dict[str, str], dict[str, Tensor]] | None:
    """The checkpoint of a run, None where there is none; one of another run or another version is refused by name."""
    if not path.exists():
        return None
    about, tensors = read(path)
    if about["run"] != run:
        raise UserError(f"{path} is of run {about['run']}, not {run}: remove it")
    for part, mine in written_by(task).items():
        if about.get(part) != mine:
            raise UserError(
                f"{path} was begun by {part} {about.get(part)}, this is {part} {mine}: "
                "go on with that version, choose another --out, or remove the file to start this run over"
            )
    return about, tensors


def load(path: Path, run: str, task: str, modules: Modules, optimizers: list[Optimizer]) -> tuple[int, float]:
    """Put the state of `path` back; returns steps done and seconds spent, (0, 0.0) where there is no such file."""
    found = opened(path, run, task)
    if found is None:
        return 0, 0.0
    about, tensors = found
    for name, module in modules.items():
        start = f"{name}."
        module.load_state_dict({k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)})
    for i, optimizer in enumerate(optimizers):
        state: dict[int, dict[str, Any]] = {}
        for key, value in tensors.items():
            if key.startswith(f"optimizer.{i}."):
                _, _, j, name = key.split(".", 3)
                state.setdefault(int(j), {})[name] = value
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    torch.set_rng_state(tensors["random"])
    where = next(modules["model"].parameters()).device
    if where.type == "cuda" and "random_there" in tensors:
        torch.cuda.set_rng_state(tensors["random_there"], where)
    return int(about["step"]), float(about["seconds"])

"""The full state of a training run on disk: safetensors for tensors, JSON for the rest, written atomically."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

Modules = dict[str, nn.Module]
"""The modules of a training run, by the name under which they are saved."""


def save(path: Path, run: str, step: int, seconds: float, modules: Modules, optimizers: list[Optimizer]) -> None:
    """Write all that the next step depends on: weights, buffers, optimisers, torch's random state, and the step."""
    tensors: dict[str, Tensor] = {}
    for name, module in modules.items():
        tensors |= {f"{name}.{key}": value for key, value in module.state_dict().items()}
    tensors["random"] = torch.get_rng_state()
    for i, optimizer in enumerate(optimizers):
        for j, state in optimizer.state_dict()["state"].items():
            for key, value in state.items():
                tensors[f"optimizer.{i}.{j}.{key}"] = torch.as_tensor(value)
    about = {"run": run, "step": str(step), "seconds": json.dumps(seconds), "torch": torch.__version__}
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".tmp")
    save_file({k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}, scratch, metadata=about)
    os.replace(scratch, path)


def load(path: Path, run: str, modules: Modules, optimizers: list[Optimizer]) -> tuple[int, float]:
    """Put the state of `path` back; returns steps done and seconds spent, (0, 0.0) where it holds none of this run."""
    if not path.exists():
        return 0, 0.0
    try:
        with safe_open(path, framework="pt") as file:
            about: dict[str, str] = file.metadata() or {}
            if about.get("run") != run or about.get("torch") != torch.__version__:
                return 0, 0.0
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError):
        return 0, 0.0
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
    return int(about["step"]), float(about["seconds"])
